/*
 * copy -- files and trees from place to place: what put, get, cp, mv and getmerge share.
 */
#ifndef DFSCLIENT_SHELL_COPY_H
#define DFSCLIENT_SHELL_COPY_H

#include "dfsclient/shell/shell.h"

#define COPY_BYTES (4 * MB)         /* moved at a time */

#define COPY_THREADS_MAX 64

struct copy_pool;

struct copy {
    bool overwrite, direct, lazy;
    bool keep_times, keep_owner, keep_mode;
    bool delete_source;             /* of a local file, once it was copied */
    struct item_list sources;
    struct item_list place;         /* holds dst */
    struct item dst;
    struct copy_pool *pool;         /* NULL: one file after the other */
};

/* An open file to read, from wherever. */
struct source {
    struct fs_reader *reader;
    int fd;                         /* -1 when reader is set */
    uint64_t bytes;                 /* 0 unknown */
};
enum rc source_open(const struct item *it, struct source *ret, struct why *why) MUST_CHECK;
enum rc source_read(struct source *s, void *p, size_t n, uint64_t at, size_t *ret_n, struct why *why) MUST_CHECK;
void source_close(struct source *s);

/* A word that names something on the local disk unless it is a URI. */
enum rc copy_local_item(struct sh *sh, const char *word, struct arena *a, struct item *ret, struct why *why) MUST_CHECK;

void copy_init(struct copy *c);
void copy_fini(struct copy *c);
/* Find the destination: false when that failed (and was printed). */
bool copy_destination(struct sh *sh, struct copy *c, const char *word, bool local);
bool copy_sources(struct sh *sh, struct copy *c, int argc, char **argv, bool local);
/* What several sources, or one, ask of the destination. */
bool copy_check(struct sh *sh, struct copy *c);
/* Where src goes: into dst when that is a directory.  With its status. */
enum rc copy_target(struct sh *sh, const struct copy *c, const struct item *src, struct arena *a, struct item *ret,
                    struct why *why) MUST_CHECK;
/* One file, now.  What fails is printed; any thread. */
void copy_file(struct sh *sh, const struct copy *c, const struct item *src, const struct item *target, struct arena *a);

/* copy_pool.c: threads that copy files; at most `waiting` wait their turn.  c is borrowed until finish, which waits for all. */
enum rc copy_pool_new(struct sh *sh, const struct copy *c, size_t threads, size_t waiting, struct copy_pool **ret,
                      struct why *why) MUST_CHECK;
enum rc copy_pool_add(struct copy_pool *p, const struct item *src, const struct item *target, struct why *why) MUST_CHECK;
void copy_pool_finish(struct copy_pool *p);

/* Source is a directory and target inside it: printed. */
bool copy_into_itself(struct sh *sh, const struct item *src, const struct item *target);

#endif
