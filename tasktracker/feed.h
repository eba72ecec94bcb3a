/*
 * feed -- threads that move an attempt's input from the filesystem and its output into it.
 *
 * A feed reads a file from a position to its end into a socket; a sink reads a
 * socket to its end into a file.  The other end of the socket is the worker's.
 */
#ifndef TASKTRACKER_FEED_H
#define TASKTRACKER_FEED_H

#include "core/base/world.h"
#include "dfsclient/fs.h"
#include "tasktracker/pipes.h"

struct feed;
/* Start; *ret_fd is the worker's end, the caller closes it once it is sent. */
enum rc feed_start(const struct world *w, struct pipes *pipes, struct fs *fs, const char *path, uint64_t at,
                   struct feed **ret, int *ret_fd, struct why *why) MUST_CHECK;
/* End it and free.  RC_OK unless reading failed: then why. */
enum rc feed_stop(struct feed *f, struct why *why) MUST_CHECK;

struct sink;
enum rc sink_start(const struct world *w, struct pipes *pipes, struct fs *fs, const char *path,
                   const struct fs_create_options *o, struct sink **ret, int *ret_fd, struct why *why) MUST_CHECK;
/* The worker closed its end after `bytes`: close the file; or give it up.  Frees.  RC_OK: durable and whole. */
enum rc sink_finish(struct sink *s, uint64_t bytes, struct why *why) MUST_CHECK;
/* Give the file up.  RC_OK unless writing had failed before: then why. */
enum rc sink_abandon(struct sink *s, struct why *why) MUST_CHECK;

#endif
