#include "namenode/txlog.h"

#include <stdio.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/io/sqlvfs.h"
#include "namenode/edit.h"
#include "namenode/schema.h"

#define ROW_VERSION 1

enum { HAS_CLIENT_ID = 1, HAS_REPLY = 2 };

static void
put_span(struct buf *b, struct span s)
{
    buf_varint(b, s.n);
    buf_put(b, s.p, s.n);
}

void
nn_txlog_begin(struct buf *row)
{
    buf_clear(row);
    buf_u8(row, ROW_VERSION);
}

void
nn_txlog_add(struct buf *row, const struct nn_txcall *c)
{
    buf_u8(row, (uint8_t)((c->has_client_id ? HAS_CLIENT_ID : 0) | (c->has_reply ? HAS_REPLY : 0)));
    if (c->has_client_id) {
        buf_put(row, c->client_id, sizeof c->client_id);
        buf_be32(row, (uint32_t)c->call_id);
    }
    buf_varint(row, c->at_ms);
    put_span(row, c->method);
    put_span(row, c->user);
    if (c->has_reply)
        put_span(row, c->reply);
    buf_varint(row, c->edit_count);
    put_span(row, c->edits);
}

enum rc
nn_txlog_read(struct span row, enum rc (*on_call)(void *arg, const struct nn_txcall *call, struct why *why), void *arg,
              struct why *why)
{
    struct rd r;
    enum rc rc;

    rd_init(&r, row.p, row.n);
    if (rd_u8(&r) != ROW_VERSION)
        return why_set(why, RC_BAD_FORMAT, "a row of the log has a version that this NameNode does not know");
    while (!r.bad && r.left > 0) {
        struct nn_txcall c = { 0 };
        uint8_t flags = rd_u8(&r);

        c.has_client_id = (flags & HAS_CLIENT_ID) != 0;
        c.has_reply = (flags & HAS_REPLY) != 0;
        if (c.has_client_id) {
            const uint8_t *id = rd_bytes(&r, sizeof c.client_id);
            if (id != NULL)
                memcpy(c.client_id, id, sizeof c.client_id);
            c.call_id = (int32_t)rd_be32(&r);
        }
        c.at_ms = rd_varint(&r);
        c.method = rd_delimited(&r);
        c.user = rd_delimited(&r);
        if (c.has_reply)
            c.reply = rd_delimited(&r);
        c.edit_count = rd_varint(&r);
        c.edits = rd_delimited(&r);
        if (!r.bad && (rc = on_call(arg, &c, why)) != RC_OK)
            return rc;
    }
    return rd_finish(&r, "row of the log", why);
}

static enum rc
replay_call(void *arg, const struct nn_txcall *c, struct why *why)
{
    struct nn_db *to = arg;
    struct rd r;
    uint64_t count = 0;
    enum rc rc;

    rd_init(&r, c->edits.p, c->edits.n);
    while (!r.bad && r.left > 0) {
        struct span bytes = rd_delimited(&r);
        struct nn_edit e;

        if (r.bad)
            break;
        if ((rc = nn_edit_decode(&e, bytes.p, bytes.n, why)) != RC_OK || (rc = nn_edit_tables(to, &e, why)) != RC_OK)
            return rc;
        count++;
    }
    if (count != c->edit_count)
        return why_set(why, RC_BAD_FORMAT, "a call in the log has %llu edits, not %llu", (unsigned long long)count,
                       (unsigned long long)c->edit_count);
    return rd_finish(&r, "edits of the log", why);
}

enum rc
nn_txlog_apply(struct nn_db *db, uint64_t txid, uint64_t at_ms, struct span row, struct why *why)
{
    sqlite3_stmt *st;
    enum rc rc;

    if ((rc = nn_txlog_read(row, replay_call, db, why)) != RC_OK)
        return why_prefix(why, "transaction %llu", (unsigned long long)txid);
    if ((st = nn_sql(db, SQL_LOG_ADD, why)) == NULL)
        return why->rc;
    nn_bind_u64(st, 1, txid);
    nn_bind_u64(st, 2, at_ms);
    nn_bind_span(st, 3, row);
    return nn_run(db, st, why);
}

enum rc
nn_txlog_last(struct nn_db *db, uint64_t *ret_txid, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_LOG_LAST, why);
    bool row;
    enum rc rc;

    if (st == NULL)
        return why->rc;
    if ((rc = nn_step(db, st, &row, why)) == RC_OK)
        *ret_txid = row ? nn_column_u64(st, 0) : 0;
    nn_done(st);
    return rc;
}

enum rc
nn_txlog_replay(struct nn_db *from, struct nn_db *to, struct why *why)
{
    sqlite3_stmt *st;
    uint64_t expect = 1;
    bool row;
    enum rc rc;

    if ((rc = nn_schema_create(to, why)) != RC_OK || (rc = nn_exec(to, SQL_BEGIN, why)) != RC_OK)
        return rc;
    if ((st = nn_sql(from, SQL_LOG_FROM, why)) == NULL)
        return why->rc;
    nn_bind_u64(st, 1, 1);
    while ((rc = nn_step(from, st, &row, why)) == RC_OK && row) {
        uint64_t txid = nn_column_u64(st, 0);
        if (txid != expect++)
            rc = why_set(why, RC_CORRUPT, "the log goes from %llu to %llu", (unsigned long long)(expect - 2),
                         (unsigned long long)txid);
        else if ((rc = nn_txlog_read(nn_column_span(st, 1), replay_call, to, why)) != RC_OK)
            (void)why_prefix(why, "transaction %llu", (unsigned long long)txid);
        if (rc != RC_OK)
            break;
    }
    nn_done(st);
    return rc == RC_OK ? nn_exec(to, SQL_COMMIT, why) : rc;
}

static bool
same_value(sqlite3_stmt *a, sqlite3_stmt *b, int column)
{
    if (sqlite3_column_type(a, column) != sqlite3_column_type(b, column))
        return false;
    if (sqlite3_column_type(a, column) == SQLITE_INTEGER)
        return sqlite3_column_int64(a, column) == sqlite3_column_int64(b, column);
    struct span x = nn_column_span(a, column), y = nn_column_span(b, column);
    return x.n == y.n && (x.n == 0 || memcmp(x.p, y.p, x.n) == 0);
}

static enum rc
compare_rows(struct nn_db *a, struct nn_db *b, sqlite3_stmt *x, sqlite3_stmt *y, const char *table, struct why *why)
{
    for (uint64_t n = 1;; n++) {
        bool in_a, in_b;
        enum rc rc;

        if ((rc = nn_step(a, x, &in_a, why)) != RC_OK || (rc = nn_step(b, y, &in_b, why)) != RC_OK)
            return rc;
        if (in_a != in_b)
            return why_set(why, RC_CORRUPT, "table %s: row %llu is in one database only", table, (unsigned long long)n);
        if (!in_a)
            return RC_OK;
        for (int c = 0; c < sqlite3_column_count(x); c++)
            if (!same_value(x, y, c))
                return why_set(why, RC_CORRUPT, "table %s: row %llu (first column %s and %s) differs in column %s", table,
                               (unsigned long long)n, (const char *)sqlite3_column_text(x, 0),
                               (const char *)sqlite3_column_text(y, 0), sqlite3_column_name(x, c));
    }
}

enum rc
nn_txlog_compare(struct nn_db *a, struct nn_db *b, struct why *why)
{
    for (size_t i = 0; nn_schema_tables[i] != NULL; i++) {
        char text[128];
        sqlite3_stmt *x = NULL, *y = NULL;
        enum rc rc;

        snprintf(text, sizeof text, "SELECT * FROM %s ORDER BY 1", nn_schema_tables[i]);
        if ((rc = db_prepare(a->sql, text, &x, why)) == RC_OK && (rc = db_prepare(b->sql, text, &y, why)) == RC_OK)
            rc = compare_rows(a, b, x, y, nn_schema_tables[i], why);
        (void)sqlite3_finalize(x);      /* repeats an error that is in rc */
        (void)sqlite3_finalize(y);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}
