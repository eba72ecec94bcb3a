#include "tests/cluster/dn_namenode.h"

#include <string.h>

#include "core/base/attr.h"
#include "core/rpc/protocols.h"
#include "tests/unit/suites.h"

static void
note_changes(struct namenode *nn, const DnBlocksChangedRequest *q)
{
    for (size_t i = 0; i < q->n_storages; i++)
        for (size_t k = 0; k < q->storages[i]->n_changes; k++) {
            const DnChange *c = q->storages[i]->changes[k];

            if (c->kind != DN_CHANGE__KIND__RECEIVED)
                continue;
            nn->received++;
            nn->last_bytes = c->block->bytes;
            nn->last_stamp = c->block->stamp;
        }
    cond_broadcast(nn->world.threads, nn->changed);
}

static void
nn_submit(void *arg, struct rpc_call *call)
{
    struct namenode *nn = arg;
    bool keep = false;

    if (call->method_index == ROW_dn_register) {
        DnRegisterReply *r = CONTAINER_OF(call->reply, DnRegisterReply, base);

        r->cluster_id = arena_strdup(&call->arena, "CID-7");
        r->block_pool_id = arena_strdup(&call->arena, POOL);
        r->host = arena_strdup(&call->arena, "127.0.0.1");
        r->epoch = 1;
    }
    mutex_lock(nn->world.threads, nn->mu);
    if (call->method_index == ROW_dn_blocks_changed)
        note_changes(nn, CONTAINER_OF(call->request, DnBlocksChangedRequest, base));
    if (call->method_index == ROW_dn_wait_orders) {
        call->next = nn->waiting;
        nn->waiting = call;
        keep = true;
    } else if (call->method_index == ROW_dn_blocks_changed && nn->hold) {
        call->next = nn->held;
        nn->held = call;
        keep = true;
    }
    mutex_unlock(nn->world.threads, nn->mu);
    if (!keep)
        rpc_reply(call);
}

void
nn_let_go(struct namenode *nn, struct rpc_call **list)
{
    struct rpc_call *call, *next;

    mutex_lock(nn->world.threads, nn->mu);
    call = *list;
    *list = NULL;
    nn->hold = false;
    mutex_unlock(nn->world.threads, nn->mu);
    for (; call != NULL; call = next) {
        next = call->next;
        rpc_reply(call);
    }
}

void
nn_start(struct namenode *nn, const struct world *w)
{
    struct rpc_server_options o = { .frame_max = 16 * MB, .conn_max = 100, .inflight_max = 10, .idle_ms = 600000 };
    struct rpc_service service = { &datanode_rpc, nn_submit, nn };
    struct why why;

    memset(nn, 0, sizeof *nn);
    nn->world = *w;
    nn->mu = mutex_new(nn->world.threads);
    nn->changed = cond_new(nn->world.threads);
    ck_assert_int_eq(net_addr_parse("127.0.0.1:0", 0, &o.at, &why), RC_OK);
    ck_assert_int_eq(rpc_server_start(&nn->world, &o, &service, 1, &nn->server, &why), RC_OK);
}

void
nn_stop(struct namenode *nn)
{
    nn_let_go(nn, &nn->waiting);
    rpc_server_stop(nn->server);
    nn_let_go(nn, &nn->waiting);
    rpc_server_free(nn->server);
    cond_free(nn->world.threads, nn->changed);
    mutex_free(nn->world.threads, nn->mu);
}
