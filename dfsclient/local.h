/*
 * local -- the files of a replica on this machine, by descriptor over the
 * DataNode's Unix socket (operation 87).
 */
#ifndef DFSCLIENT_LOCAL_H
#define DFSCLIENT_LOCAL_H

#include "dfsclient/fs_priv.h"

/* Whether the location is on this machine and configuration allows to read it directly. */
bool local_is_here(const struct fs *fs, const struct fs_location *l);

/* Data and meta file of the block, open for reading; the caller closes them. */
enum rc local_open(struct fs *fs, const struct fs_block *b, const struct fs_location *l, int *ret_data_fd,
                   int *ret_meta_fd, struct why *why) MUST_CHECK;

#endif
