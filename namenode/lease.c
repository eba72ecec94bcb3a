#include "namenode/lease.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/table.h"
#include "namenode/core.h"
#include "namenode/dispatch.h"
#include "namenode/edit.h"
#include "namenode/path.h"
#include "namenode/periodic.h"
#include "namenode/recovery.h"

struct holder {
    uint64_t renewed_ms;        /* mono */
    UT_hash_handle hh;
    size_t n;
    uint8_t name[];
};

struct nn_leases {
    struct holder *holders;     /* of open files; others may linger until LEASES runs */
    uint64_t started_ms;        /* mono */
};

static struct holder *
find_holder(const struct nn_leases *l, struct span name)
{
    struct holder *h;

    HASH_FIND(hh, l->holders, name.p, name.n, h);
    return h;
}

static void
drop_all(struct nn_leases *l)
{
    struct holder *h, *next;

    HASH_ITER(hh, l->holders, h, next) {
        HASH_DELETE(hh, l->holders, h);
        mem_free(h);
    }
}

enum rc
nn_leases_new(struct nn_core *core, struct nn_leases **ret, struct why *why)
{
    struct nn_leases *l = mem_zalloc(sizeof *l);

    if (l == NULL)
        return why_rc(why, RC_NOMEM);
    l->started_ms = nn_core_mono_ms(core);
    *ret = l;
    return RC_OK;
}

void
nn_leases_free(struct nn_leases *l)
{
    if (l == NULL)
        return;
    drop_all(l);
    mem_free(l);
}

enum rc
nn_leases_reload(struct nn_core *core, struct why *why)
{
    (void)core, (void)why;      /* renewals do not follow from edits: nothing to undo */
    return RC_OK;
}

enum rc
nn_lease_renew(struct nn_core *core, struct span name, struct why *why)
{
    struct nn_leases *l = core->leases;
    struct holder *h = find_holder(l, name);

    if (h == NULL) {
        if ((h = mem_zalloc(sizeof *h + name.n)) == NULL)
            return why_rc(why, RC_NOMEM);
        h->n = name.n;
        if (name.n > 0)
            memcpy(h->name, name.p, name.n);
        HASH_ADD_KEYPTR(hh, l->holders, h->name, h->n, h);
    }
    if (h->renewed_ms == 0 || !old_bug(OLD_BUG_LEASE_NOT_RENEWED))
        h->renewed_ms = nn_core_mono_ms(core);
    return RC_OK;
}

void
nn_leases_forgive(struct nn_leases *l, uint64_t ms)
{
    struct holder *h, *next;

    l->started_ms += ms;
    HASH_ITER(hh, l->holders, h, next)
        h->renewed_ms += ms;
}

uint64_t
nn_lease_idle_ms(const struct nn_core *core, struct span name)
{
    const struct holder *h = find_holder(core->leases, name);
    uint64_t since_ms = h == NULL ? core->leases->started_ms : h->renewed_ms, now_ms = nn_core_mono_ms(core);

    return now_ms > since_ms ? now_ms - since_ms : 0;       /* forgiven time may reach beyond now */
}

static enum rc
copy_span(struct arena *arena, struct span from, struct span *ret, struct why *why)
{
    char *p = arena_strndup(arena, from.n == 0 ? (const void *)"" : from.p, from.n);

    if (p == NULL)
        return why_rc(why, RC_NOMEM);
    *ret = span_of(p, from.n);
    return RC_OK;
}

enum rc
nn_lease_find(struct nn_db *db, struct arena *arena, uint64_t inode, struct nn_lease *ret, bool *ret_found, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_LEASE_BY_INODE, why);
    enum rc rc;

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, inode);
    if ((rc = nn_step(db, st, ret_found, why)) != RC_OK || !*ret_found)
        return rc;
    if ((rc = copy_span(arena, nn_column_span(st, 0), &ret->holder, why)) == RC_OK)
        rc = copy_span(arena, nn_column_span(st, 1), &ret->client_node, why);
    nn_done(st);
    return rc;
}

static enum rc
count_files(struct nn_core *core, struct span holder, uint64_t *ret, struct why *why)
{
    sqlite3_stmt *st = nn_sql(&core->db, SQL_LEASE_COUNT, why);
    bool row;
    enum rc rc;

    if (st == NULL)
        return why->rc;
    nn_bind_span(st, 1, holder);
    if ((rc = nn_step(&core->db, st, &row, why)) != RC_OK)
        return rc;
    *ret = row ? nn_column_u64(st, 0) : 0;
    nn_done(st);
    return RC_OK;
}

enum rc
nn_lease_renew_known(struct nn_core *core, struct span holder, struct why *why)
{
    sqlite3_stmt *st = nn_sql(&core->db, SQL_LEASE_ANY, why);
    bool row;
    enum rc rc;

    if (st == NULL)
        return why->rc;
    nn_bind_span(st, 1, holder);
    if ((rc = nn_step(&core->db, st, &row, why)) != RC_OK || !row)
        return rc;
    nn_done(st);
    return nn_lease_renew(core, holder, why);
}

/* "[Lease.  Holder: X, pending creates: N]" or "Holder X does not have any open files." */
static enum rc
tail(struct nn_core *core, struct arena *arena, struct span holder, const char **ret, struct why *why)
{
    uint64_t n;
    enum rc rc;

    if ((rc = count_files(core, holder, &n, why)) != RC_OK)
        return rc;
    *ret = n == 0 ? arena_printf(arena, "Holder %.*s does not have any open files.", (int)holder.n, (const char *)holder.p)
                  : arena_printf(arena, "[Lease.  Holder: %.*s, pending creates: %" PRIu64 "]", (int)holder.n,
                                 (const char *)holder.p, n);
    return *ret == NULL ? why_rc(why, RC_NOMEM) : RC_OK;
}

/* By number or path; *ret_found false when there is no such inode in the tree. */
static enum rc
find_file(struct nn_core *core, struct rpc_call *call, struct span src, uint64_t file_id, struct nn_inode *ret,
          struct span *ret_path, bool *ret_found, struct why *why)
{
    struct nn_path path;
    enum rc rc;

    if (file_id != 0) {
        if ((rc = nn_inode_find(&core->db, file_id, ret, ret_found, why)) != RC_OK || !*ret_found)
            return rc;
        return nn_inode_path(&core->db, &call->arena, file_id, ret_path, ret_found, why);
    }
    if ((rc = nn_path_lookup(&core->db, &call->arena, src, &path, why)) != RC_OK)
        return rc;
    *ret_found = nn_path_exists(&path);
    if (*ret_found) {
        *ret = path.inodes[path.depth];
        *ret_path = path.text;
    }
    return RC_OK;
}

/* RC_NOT_FOUND or RC_LEASE_EXPIRED: "before: path (inode N) [Lease. ...", the end naming the caller's own lease. */
static enum rc
refuse(struct nn_core *core, struct rpc_call *call, enum rc rc, const char *before, struct span path, uint64_t file_id,
       struct span holder, struct why *why)
{
    const char *end = "";

    if (tail(core, &call->arena, holder, &end, why) != RC_OK)
        return why->rc;
    return why_set(why, rc, "%s: %.*s (inode %" PRIu64 ") %s", before, (int)path.n, (const char *)path.p, file_id, end);
}

enum rc
nn_lease_check(struct nn_core *core, struct rpc_call *call, struct span src, uint64_t file_id, struct span holder,
               struct nn_inode *ret_file, struct span *ret_path, struct why *why)
{
    struct nn_recovery recovery;
    struct nn_inode file;
    struct nn_lease lease;
    struct span path = src;
    const char *text;
    bool found, leased = false, recovering = false;
    enum rc rc;

    if ((rc = find_file(core, call, src, file_id, &file, &path, &found, why)) != RC_OK)
        return rc;
    if (!found)
        return refuse(core, call, RC_NOT_FOUND, "File does not exist", src, file_id, holder, why);
    if (file.type != NN_FILE)
        return refuse(core, call, RC_LEASE_EXPIRED, "INode is not a regular file", path, file_id, holder, why);
    if (file.open && (rc = nn_lease_find(&core->db, &call->arena, file.id, &lease, &leased, why)) != RC_OK)
        return rc;
    if (leased && (rc = nn_recovery_find(&core->db, file.id, &recovery, &recovering, why)) != RC_OK)
        return rc;
    if (!file.open || !leased || recovering)
        return refuse(core, call, RC_LEASE_EXPIRED, "File is not open for writing", path, file_id, holder, why);
    if (lease.holder.n != holder.n || memcmp(lease.holder.p, holder.p, holder.n) != 0) {
        text = arena_printf(&call->arena, "Client (=%.*s) is not the lease owner (=%.*s", (int)holder.n,
                            (const char *)holder.p, (int)lease.holder.n, (const char *)lease.holder.p);
        return text == NULL ? why_rc(why, RC_NOMEM)
                            : refuse(core, call, RC_LEASE_EXPIRED, text, path, file_id, holder, why);
    }
    *ret_file = file;
    *ret_path = path;
    return RC_OK;
}

static enum rc
end_posted(struct nn_core *core, void *arg, struct why *why)
{
    uint64_t *inode = arg;
    bool closed;
    enum rc rc = nn_recovery_begin(core, *inode, &closed, why);

    mem_free(inode);
    return rc;
}

enum rc
nn_lease_end_later(struct nn *nn, uint64_t inode, struct why *why)
{
    uint64_t *arg = mem_alloc(sizeof *arg);
    enum rc rc;

    if (arg == NULL)
        return why_rc(why, RC_NOMEM);
    *arg = inode;
    if ((rc = nn_core_post(nn, end_posted, arg)) != RC_OK) {
        mem_free(arg);
        return why_rc(why, rc);
    }
    return RC_OK;
}

enum rc
nn_apply_lease(struct nn_db *db, const struct nn_edit_lease *x, uint64_t at_ms, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_LEASE_ADD, why);

    (void)at_ms;
    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, x->inode);
    nn_bind_span(st, 2, x->holder);
    nn_bind_span(st, 3, x->client_node);
    return nn_run(db, st, why);
}

/* ---- leases whose holder is gone ---- */

#define LEASES_PER_ROUND 100

/* Holders that have been idle past limit_ms, at most LEASES_PER_ROUND; joined as length-prefixed bytes. */
static enum rc
idle_holders(struct nn_core *core, uint64_t limit_ms, struct buf *ret, struct why *why)
{
    sqlite3_stmt *st = nn_sql(&core->db, SQL_LEASE_HOLDERS, why);
    size_t n = 0;
    bool row;
    enum rc rc;

    if (st == NULL)
        return why->rc;
    while ((rc = nn_step(&core->db, st, &row, why)) == RC_OK && row && n < LEASES_PER_ROUND) {
        struct span holder = nn_column_span(st, 0);

        if (nn_lease_idle_ms(core, holder) <= limit_ms)
            continue;
        buf_varint(ret, holder.n);
        buf_put(ret, holder.p, holder.n);
        n++;
    }
    nn_done(st);
    return rc == RC_OK && !buf_ok(ret) ? why_rc(why, RC_NOMEM) : rc;
}

/* End the leases of one holder: its files are closed, or their recovery begins. */
static enum rc
end_holder(struct nn_core *core, struct span holder, struct why *why)
{
    uint64_t files[LEASES_PER_ROUND];
    size_t n = 0, closed = 0;
    sqlite3_stmt *st = nn_sql(&core->db, SQL_LEASE_FILES, why);
    bool row, done;
    enum rc rc;

    if (st == NULL)
        return why->rc;
    nn_bind_span(st, 1, holder);
    nn_bind_u64(st, 2, LEASES_PER_ROUND);
    while ((rc = nn_step(&core->db, st, &row, why)) == RC_OK && row)
        files[n++] = nn_column_u64(st, 0);
    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        rc = nn_recovery_begin(core, files[i], &done, why);
        closed += rc == RC_OK && done;
    }
    if (rc == RC_OK && n > 0) {
        char text[300];
        log_info("lease_ended", "holder=%s files=%zu closed=%zu reason=hard_limit",
                 log_quote(holder.p, holder.n, text, sizeof text), n, closed);
    }
    return rc;
}

/* Forget holders that have been silent past the hard limit and have no file; the table knows those that do. */
static void
forget_idle(struct nn_core *core, uint64_t limit_ms)
{
    struct nn_leases *l = core->leases;
    uint64_t now = nn_core_mono_ms(core);
    struct holder *h, *next;

    HASH_ITER(hh, l->holders, h, next) {
        if (now <= h->renewed_ms + 2 * limit_ms)
            continue;
        HASH_DELETE(hh, l->holders, h);
        mem_free(h);
    }
}

enum rc
nn_periodic_leases(struct nn_core *core, struct why *why)
{
    uint64_t limit_ms = core->nn->conf.lease_hard_ms;
    struct buf holders;
    struct rd r;
    enum rc rc;

    if (core->safe_mode || core->disk_full)
        return RC_OK;               /* nothing can be closed now */
    buf_init(&holders, 4 * MB);
    if ((rc = idle_holders(core, limit_ms, &holders, why)) != RC_OK)
        goto out;
    rd_init(&r, holders.p, holders.n);
    while (rc == RC_OK && r.left > 0)
        rc = end_holder(core, rd_delimited(&r), why);
    forget_idle(core, limit_ms);
out:
    buf_fini(&holders);
    return rc;
}
