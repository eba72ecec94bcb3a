#include "namenode/snapshot.h"

#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/io/thread.h"
#include "namenode/blocks.h"
#include "namenode/core.h"

enum rc
nn_snapshot_publish(struct nn_core *core, struct why *why)
{
    struct nn *nn = core->nn;
    struct nn_snapshot *fresh = mem_zalloc(sizeof *fresh), *old;
    enum rc rc;

    if (fresh == NULL)
        return why_rc(why, RC_NOMEM);
    fresh->refs = 1;
    fresh->txid = core->txid;
    if ((rc = nn_nodes_view_new(core, &fresh->nodes, why)) != RC_OK) {
        mem_free(fresh);
        return rc;
    }
    mutex_lock(nn->world->threads, nn->lock);
    old = nn->snapshot;
    nn->snapshot = fresh;
    mutex_unlock(nn->world->threads, nn->lock);
    nn_snapshot_unref(nn, old);
    return RC_OK;
}

const struct nn_snapshot *
nn_snapshot_ref(struct nn *nn)
{
    struct nn_snapshot *s;

    mutex_lock(nn->world->threads, nn->lock);
    s = nn->snapshot;
    if (s != NULL)
        s->refs++;
    mutex_unlock(nn->world->threads, nn->lock);
    return s;
}

void
nn_snapshot_unref(struct nn *nn, const struct nn_snapshot *s)
{
    struct nn_snapshot *mine = (struct nn_snapshot *)s;     /* const for readers; the counter is under the lock */
    bool last;

    if (mine == NULL)
        return;
    mutex_lock(nn->world->threads, nn->lock);
    CHECK(mine->refs > 0);
    last = --mine->refs == 0;
    mutex_unlock(nn->world->threads, nn->lock);
    if (last) {
        nn_nodes_view_free(mine->nodes);
        mem_free(mine);
    }
}
