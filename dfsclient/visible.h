/*
 * visible -- what a DataNode says of a replica that is being written.
 */
#ifndef DFSCLIENT_VISIBLE_H
#define DFSCLIENT_VISIBLE_H

#include "dfsclient/fs_priv.h"

/* The length that the replica of b at l shows to readers.  One attempt, of patience_ms at most. */
enum rc fs_visible_length(struct fs *fs, const struct fs_block *b, const struct fs_location *l, uint64_t patience_ms,
                          uint64_t *ret, struct why *why) MUST_CHECK;

/* Whether the node answers at all, whatever it says. */
bool fs_node_answers(struct fs *fs, const struct fs_block *b, const struct fs_location *l, uint64_t patience_ms);

#endif
