/*
 * edit -- one change of the tables, as a value.
 *
 * Everything an edit needs is in it: numbers, stamps, times.  So applying it is
 * deterministic, and the log, replayed into an empty database, gives equal
 * tables.  Handlers check, form an edit and hand it to nn_edit_apply; no other
 * code changes tables.  A span in an edit is borrowed from whoever made it.
 */
#ifndef NAMENODE_EDIT_H
#define NAMENODE_EDIT_H

#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/rc.h"

struct nn_core;
struct nn_db;

enum nn_edit_kind {
#define EDIT(KIND, number, name, fields) EDIT_##KIND = (number),
#include "namenode/edit.def"
#include "namenode/edit_blocks.def"
#undef EDIT
};

#define U64(field) uint64_t field;
#define BYTES(field) struct span field;
#define EDIT(KIND, number, name, fields) struct nn_edit_##name { fields };
#include "namenode/edit.def"
#include "namenode/edit_blocks.def"
#undef EDIT
#undef U64
#undef BYTES

struct nn_edit {
    enum nn_edit_kind kind;
    uint64_t at_ms;             /* wall: when it happened */
    union {
#define EDIT(KIND, number, name, fields) struct nn_edit_##name name;
#include "namenode/edit.def"
#include "namenode/edit_blocks.def"
#undef EDIT
    };
};

/* Carries one kind out on the tables; in the file that owns the table. */
#define EDIT(KIND, number, name, fields)                                                                \
    enum rc nn_apply_##name(struct nn_db *db, const struct nn_edit_##name *x, uint64_t at_ms, struct why *why) MUST_CHECK;
#include "namenode/edit.def"
#include "namenode/edit_blocks.def"
#undef EDIT


void nn_edit_encode(const struct nn_edit *e, struct buf *b);
/* Spans point into p. */
enum rc nn_edit_decode(struct nn_edit *e, const void *p, size_t n, struct why *why) MUST_CHECK;

/* Tables only: what nn_edit_apply and a replay have in common. */
enum rc nn_edit_tables(struct nn_db *db, const struct nn_edit *e, struct why *why) MUST_CHECK;

/*
 * Change the tables and add e to the group's log row.  The first edit of a call
 * opens the call's savepoint: when the handler then returns a failure, all its
 * edits are undone, tables and log.  Soft state is the caller's to change, after
 * the last edit succeeded.
 */
enum rc nn_edit_apply(struct nn_core *core, const struct nn_edit *e, struct why *why) MUST_CHECK;

/*
 * The same for the last edit of a call that cannot fail after it but for want of memory or by damage.  If it is the
 * only one it has no savepoint, which costs as much as the edit; should the call fail all the same, its whole group is
 * undone and everybody is told to try again.
 */
enum rc nn_edit_apply_last(struct nn_core *core, const struct nn_edit *e, struct why *why) MUST_CHECK;

#endif
