#include "namenode/retry.h"

#include <string.h>

#include "core/base/attr.h"
#include "core/base/mem.h"
#include "core/base/table.h"
#include "namenode/db.h"
#include "namenode/txlog.h"

#define REPLIES_MAX 500000                  /* the oldest is forgotten first */
#define LOAD_BYTES ((uint64_t)(64 * MB))    /* of the log, at start */
#define STEP_MAX_MS 60000

struct key {
    uint8_t client_id[16];
    int32_t call_id;
};

struct entry {
    struct key key;
    uint64_t at_ms;
    struct entry *next, *prev;  /* in order of arrival */
    UT_hash_handle hh;
    size_t n;
    uint8_t reply[];
};

struct nn_retry {
    uint64_t keep_ms;
    struct entry *table;
    struct entry *list;
    struct entry *first_open;   /* of the open group: this one and those after it */
};

enum rc
nn_retry_new(uint64_t keep_ms, struct nn_retry **ret, struct why *why)
{
    struct nn_retry *r = mem_zalloc(sizeof *r);

    if (r == NULL)
        return why_rc(why, RC_NOMEM);
    r->keep_ms = keep_ms;
    *ret = r;
    return RC_OK;
}

static void
drop(struct nn_retry *r, struct entry *e)
{
    HASH_DELETE(hh, r->table, e);
    DL_DELETE(r->list, e);
    mem_free(e);
}

void
nn_retry_free(struct nn_retry *r)
{
    if (r == NULL)
        return;
    while (r->list != NULL)
        drop(r, r->list);
    mem_free(r);
}

static void
key_of(struct key *key, const uint8_t client_id[16], int32_t call_id)
{
    memset(key, 0, sizeof *key);
    memcpy(key->client_id, client_id, sizeof key->client_id);
    key->call_id = call_id;
}

bool
nn_retry_find(const struct nn_retry *r, const uint8_t client_id[16], int32_t call_id, struct span *ret_reply)
{
    struct key key;
    struct entry *e;

    key_of(&key, client_id, call_id);
    HASH_FIND(hh, r->table, &key, sizeof key, e);
    if (e == NULL)
        return false;
    *ret_reply = span_of(e->reply, e->n);
    return true;
}

enum rc
nn_retry_add(struct nn_retry *r, const uint8_t client_id[16], int32_t call_id, uint64_t at_ms, struct span reply,
             struct why *why)
{
    struct entry *e = mem_zalloc(sizeof *e + reply.n), *old;

    if (e == NULL)
        return why_rc(why, RC_NOMEM);
    key_of(&e->key, client_id, call_id);
    e->at_ms = at_ms;
    e->n = reply.n;
    if (reply.n > 0)
        memcpy(e->reply, reply.p, reply.n);
    HASH_FIND(hh, r->table, &e->key, sizeof e->key, old);
    if (old != NULL) {
        if (old == r->first_open)
            r->first_open = old->next;
        drop(r, old);
    }
    HASH_ADD(hh, r->table, key, sizeof e->key, e);
    DL_APPEND(r->list, e);
    if (r->first_open == NULL)
        r->first_open = e;
    while (HASH_COUNT(r->table) > REPLIES_MAX && r->list != r->first_open)
        drop(r, r->list);
    return RC_OK;
}

void
nn_retry_commit(struct nn_retry *r)
{
    r->first_open = NULL;
}

void
nn_retry_rollback(struct nn_retry *r)
{
    while (r->first_open != NULL) {
        struct entry *e = r->first_open;

        r->first_open = e->next;
        drop(r, e);
    }
}

void
nn_retry_expire(struct nn_retry *r, uint64_t now_ms)
{
    while (r->list != NULL && r->first_open != r->list && r->list->at_ms + r->keep_ms < now_ms)
        drop(r, r->list);
}

size_t
nn_retry_count(const struct nn_retry *r)
{
    return HASH_COUNT(r->table);
}

struct load {
    struct nn_retry *r;
    uint64_t now_ms;
};

static enum rc
load_call(void *arg, const struct nn_txcall *c, struct why *why)
{
    struct load *l = arg;

    if (!c->has_client_id || !c->has_reply)
        return RC_OK;
    return nn_retry_add(l->r, c->client_id, c->call_id, l->now_ms, c->reply, why);
}

/* The first row worth reading: not older than keep_ms, and not so far back that reading on would take long. */
static enum rc
find_start(struct nn_db *db, uint64_t keep_ms, uint64_t *ret_txid, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_LOG_BACK, why);
    uint64_t bytes = 0, age_ms = 0, next_ms = 0;
    bool row;
    enum rc rc;

    if (st == NULL)
        return why->rc;
    *ret_txid = UINT64_MAX >> 1;
    while ((rc = nn_step(db, st, &row, why)) == RC_OK && row && bytes < LOAD_BYTES) {
        uint64_t at_ms = nn_column_u64(st, 1);

        if (next_ms > at_ms)
            age_ms += next_ms - at_ms < STEP_MAX_MS ? next_ms - at_ms : STEP_MAX_MS;
        if (age_ms > keep_ms)
            break;
        next_ms = at_ms;
        *ret_txid = nn_column_u64(st, 0);
        bytes += nn_column_u64(st, 2);
    }
    nn_done(st);
    return rc;
}

enum rc
nn_retry_load(struct nn_retry *r, struct nn_db *db, uint64_t now_ms, struct why *why)
{
    struct load load = { r, now_ms };
    sqlite3_stmt *st;
    uint64_t from;
    bool row;
    enum rc rc;

    if ((rc = find_start(db, r->keep_ms, &from, why)) != RC_OK)
        return rc;
    if ((st = nn_sql(db, SQL_LOG_FROM, why)) == NULL)
        return why->rc;
    nn_bind_u64(st, 1, from);
    while ((rc = nn_step(db, st, &row, why)) == RC_OK && row)
        if ((rc = nn_txlog_read(nn_column_span(st, 1), load_call, &load, why)) != RC_OK)
            break;
    nn_done(st);
    nn_retry_commit(r);
    return rc;
}
