/*
 * cache -- columns that attempts have parsed, in memory files, for later attempts of the same user.
 *
 * An entry is known by a text: who, how it was read, and of which blocks with which stamps, so a file that changes
 * is another entry.  A worker fills one while it reads; when its attempt has succeeded the entry is sealed and counts.
 * Over the limit the entries used longest ago go.  Any thread.
 */
#ifndef TASKTRACKER_CACHE_H
#define TASKTRACKER_CACHE_H

#include <stdint.h>

#include "core/base/rc.h"
#include "core/io/thread.h"
#include "tasktracker/pipes.h"

struct cache;

enum cache_found { CACHE_NONE, CACHE_READY, CACHE_FILL };

/* limit: bytes of all ready entries.  Borrows pipes. */
enum rc cache_new(struct threads *threads, struct pipes *pipes, uint64_t limit, struct cache **ret, struct why *why) MUST_CHECK;
void cache_free(struct cache *c);       /* no attempt may be under way */

/*
 * Look for an entry.  READY: *ret_fd holds ret_bytes of columns, *ret_id names them in this run.  FILL: nobody has them;
 * *ret_fd is empty, and the caller ends it with cache_end.  NONE: somebody else is filling it, or there is no memory for it.
 * The descriptor is the caller's (pipes_close).
 */
enum cache_found cache_look(struct cache *c, const char *key, int *ret_fd, uint64_t *ret_bytes, uint64_t *ret_id);

/* The entry that look gave to be filled: whole, or to be dropped. */
void cache_end(struct cache *c, const char *key, bool whole);

uint64_t cache_bytes(struct cache *c);

#endif
