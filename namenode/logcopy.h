/*
 * logcopy -- what a further directory of dfs.namenode.name.dir holds: the log in
 * segments, and a backup of the database from which it goes on.
 *
 * Plain functions over files; nothing is kept between calls.  Any thread.
 * Layout: docs/formats/namenode-copy.md.
 *
 * A record is never shown to a caller whose group was undone, nor one that is
 * not whole.  A record that is damaged while a good one follows is RC_CORRUPT;
 * the last one of a segment, damaged or cut short, was being written when the
 * machine stopped, and ends the segment.  What the next segment begins with says
 * whether something is missing.
 */
#ifndef NAMENODE_LOGCOPY_H
#define NAMENODE_LOGCOPY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/rc.h"
#include "core/io/io.h"
#include "namenode/txlog.h"

#define NN_LOGCOPY_RECORD_MAX (NN_TXLOG_BYTES_MAX + 64)

/* Whose log it is. */
struct nn_logcopy_id {
    uint32_t namespace_id;
    uint64_t created_ms;
};

enum nn_logcopy_kind {
    NN_LOGCOPY_GROUP = 1,       /* a row of the table log */
    NN_LOGCOPY_UNDONE = 2,      /* the group of this number, which came just before, was not committed */
};

struct nn_logcopy_record {
    enum nn_logcopy_kind kind;
    uint64_t txid;
    uint64_t at_ms;
    struct span row;
};

typedef enum rc nn_logcopy_fn(void *arg, const struct nn_logcopy_record *rec, struct why *why);

/* Append the head of a segment, or a record, to b. */
void nn_logcopy_put_head(struct buf *b, const struct nn_logcopy_id *id, uint64_t first_txid);
void nn_logcopy_put(struct buf *b, const struct nn_logcopy_id *id, const struct nn_logcopy_record *rec);

/* The records of the segment in bytes.  RC_BAD_FORMAT: its version is not known; RC_CORRUPT. */
enum rc nn_logcopy_read(struct span bytes, struct nn_logcopy_id *ret_id, uint64_t *ret_first, nn_logcopy_fn *fn, void *arg,
                        struct why *why) MUST_CHECK;

/* Names of files in dir; the caller frees them. */
char *nn_logcopy_segment_path(const char *dir, uint64_t first_txid);
char *nn_logcopy_backup_path(const char *dir, uint64_t txid);

struct nn_logcopy_state {
    bool has_files;             /* backups or segments, of whatever worth */
    bool has_id;
    struct nn_logcopy_id id;
    bool has_backup;
    uint64_t backup;            /* last transaction of the newest backup */
    uint64_t last;              /* of the log that goes on from it */
    uint32_t last_sum;          /* CRC32C of the row of `last`, when it is in the log */
    bool last_is_logged;
};

/*
 * Read dir: the newest backup's number, then every record after it in order to
 * fn (may be NULL).  RC_CORRUPT also when the log has a gap: then what was read
 * before stands in *ret.  A folder that is missing or empty has no files.
 */
enum rc nn_logcopy_scan(struct io *io, const char *dir, nn_logcopy_fn *fn, void *arg, struct nn_logcopy_state *ret,
                        struct why *why) MUST_CHECK;

/* Delete what the backup of this number makes unnecessary: other backups, and segments that end before it. */
enum rc nn_logcopy_trim(struct io *io, const char *dir, uint64_t backup, struct why *why) MUST_CHECK;

#endif
