#include "namenode/reader.h"

#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/io/queue.h"
#include "core/io/thread.h"
#include "core/proto/ids.h"
#include "namenode/admit.h"
#include "namenode/dispatch.h"
#include "namenode/inode.h"
#include "namenode/settle.h"
#include "namenode/snapshot.h"
#include "namenode/txlog.h"

#define BATCH_MAX 16
#define READ_US 5000            /* one read transaction of a long read */
#define REPLY_US 200            /* a reply waits that long for those of its batch */

enum rc
nn_reader_init(struct nn_reader *r, struct nn *nn, struct why *why)
{
    *r = (struct nn_reader){ .nn = nn };
    return nn_db_open(&r->db, nn->vfs, nn->db_path, false, &nn->conf, why);
}

void
nn_reader_fini(struct nn_reader *r)
{
    nn_db_fini(&r->db);
}

enum rc
nn_reader_pause(struct nn_reader *r, uint64_t *begun_us, struct why *why)
{
    uint64_t now_us = clock_mono_us(r->nn->world->clock);
    enum rc rc;

    if (now_us - *begun_us < READ_US)
        return RC_OK;
    *begun_us = now_us;
    r->seen = UINT64_MAX;       /* whatever can be seen when it is answered */
    nn_dirs_end(&r->db);
    if ((rc = nn_exec(&r->db, SQL_COMMIT, why)) != RC_OK)
        return rc;
    return nn_exec(&r->db, SQL_BEGIN, why);
}

/* A call that was carried out and is still to be answered. */
struct done {
    struct rpc_call *call;      /* NULL: none */
    enum rc rc;
    struct why why;
};

static void
answer(struct nn_reader *r, struct done *d, bool more)
{
    if (d->call == NULL)
        return;
    if (r->seen > 0 && !nn_settle_until(r->nn->settle, r->seen)) {
        nn_settle_leave(r->nn->settle, d->call);        /* who asked asks the NameNode that starts next */
        d->call = NULL;
        return;
    }
    r->seen = 0;
    metric_add(&r->nn->metrics.calls, 1);
    if (d->rc != RC_OK)
        metric_add(&r->nn->metrics.calls_failed, 1);
    d->call->more = more;
    if (d->rc != RC_OK)
        r->nn->answer->fail(d->call, &d->why);
    else
        r->nn->answer->reply(d->call);
    d->call = NULL;
}

/* The transaction shows the tables of the moment at which it first reads. */
static enum rc
begin(struct nn_reader *r, struct why *why)
{
    uint64_t before = nn_dirs_load(&r->nn->dirs);
    struct nn_inode root;
    bool found;
    enum rc rc;

    nn_dirs_end(&r->db);
    if ((rc = nn_exec(&r->db, SQL_BEGIN, why)) != RC_OK ||
        (rc = nn_inode_find(&r->db, ROOT_INODE, &root, &found, why)) != RC_OK)
        return rc;
    nn_dirs_begin(&r->db, before, &r->nn->dirs);
    return !old_bug(OLD_BUG_READ_BEFORE_SYNC) && nn_settle_is_behind(r->nn->settle) ? nn_txlog_last(&r->db, &r->seen, why) : RC_OK;
}

/* One call, inside the read transaction, which is begun for the first one. */
static enum rc
carry_out(struct nn_reader *r, struct rpc_call *call, struct why *why)
{
    enum rc rc;

    if (sqlite3_get_autocommit(r->db.sql) &&    /* also when a call before ended it with an error */
        (rc = begin(r, why)) != RC_OK)
        return rc;
    if ((rc = nn_admit_reader(r, call, why)) != RC_OK)
        return rc;
    return nn_dispatch(r, call, why);
}

void
nn_reader_batch(struct nn_reader *r, struct rpc_call **calls, size_t n)
{
    uint64_t answered_us = clock_mono_us(r->nn->world->clock), now_us;
    struct done d = { 0 };
    struct why why;

    r->snap = nn_snapshot_ref(r->nn);
    for (size_t i = 0; i < n; i++) {
        enum rc rc = carry_out(r, calls[i], &why);

        /* Replies leave together, and with the last of the batch at the latest. */
        now_us = clock_mono_us(r->nn->world->clock);
        answer(r, &d, now_us - answered_us < REPLY_US);
        if (now_us - answered_us >= REPLY_US)
            answered_us = now_us;
        d.call = calls[i];
        if ((d.rc = rc) != RC_OK)
            d.why = why;
    }
    answer(r, &d, false);
    if (!sqlite3_get_autocommit(r->db.sql) && nn_exec(&r->db, SQL_COMMIT, &why) != RC_OK) {
        log_error("read_transaction_stuck", "reason=%s", why.text);
        nn_set_failed(r->nn);
    }
    nn_snapshot_unref(r->nn, r->snap);
    r->snap = NULL;
}

void
nn_reader_run(void *arg)
{
    struct nn_reader *r = arg;
    void *calls[BATCH_MAX];
    size_t n;

    while (queue_take_many(r->nn->read_queue, FOREVER, calls, BATCH_MAX, &n) == RC_OK)
        nn_reader_batch(r, (struct rpc_call **)calls, n);
}
