/*
 * orders -- the held waitOrders call of each DataNode.
 */

#include "core/proto/datanode.pb-c.h"
#include "namenode/blockmap.h"

#define ORDERS_PER_REPLY 500

static DnBlock *block_message(struct arena *a, const struct nn_order *o)
{
    DnBlock *b = arena_alloc(a, sizeof *b);

    if (b == NULL)
        return NULL;
    dn_block__init(b);
    b->id = o->block.v;
    b->stamp = o->stamp.v;
    b->bytes = o->bytes;
    return b;
}

static DnPeer *peer_message(struct arena *a, const struct nn_storage *s)
{
    DnPeer *p = arena_alloc(a, sizeof *p);

    if (p == NULL)
        return NULL;
    dn_peer__init(p);
    p->node_uuid = s->node->uuid;
    p->host = s->node->host;
    p->data_port = s->node->data_port;
    p->ipc_port = s->node->ipc_port;
    p->storage_uuid = s->uuid;
    return p;
}

static DnOrder *order_message(struct arena *a, const struct nn_order *o)
{
    DnOrder *m = arena_alloc(a, sizeof *m);

    if (m == NULL)
        return NULL;
    dn_order__init(m);
    m->seq = o->seq;
    m->kind = (DnOrder__Kind)o->kind;
    if (o->block.v != 0 && (m->block = block_message(a, o)) == NULL)
        return NULL;
    if (o->storage != NULL)
        m->storage_uuid = o->storage->uuid;
    if (o->new_stamp.v != 0) {
        m->has_new_stamp = true;
        m->new_stamp = o->new_stamp.v;
    }
    if (o->kind == NN_SET_ASIDE) {
        m->has_keep_ms = true;
        m->keep_ms = o->keep_ms;
    }
    if (o->truncates) {
        m->has_truncate_bytes = true;
        m->truncate_bytes = o->truncate_bytes;
    }
    if (o->target_count == 0)
        return m;
    if ((m->targets = arena_calloc(a, o->target_count, sizeof(DnPeer *))) == NULL)
        return NULL;
    for (m->n_targets = 0; m->n_targets < o->target_count; m->n_targets++)
        if ((m->targets[m->n_targets] = peer_message(a, o->targets[m->n_targets])) == NULL)
            return NULL;
    return m;
}

void nn_orders_answer(struct nn_core *core, struct nn_node *n)
{
    struct rpc_call *call = n->waiting;
    DnWaitOrdersReply *reply;
    const struct nn_order *o;
    struct why why;

    if (call == NULL)
        return;
    n->waiting = NULL;
    reply = (DnWaitOrdersReply *)(void *)call->reply;
    reply->orders = arena_calloc(&call->arena, ORDERS_PER_REPLY, sizeof(DnOrder *));
    for (o = n->orders; reply->orders != NULL && o != NULL && reply->n_orders < ORDERS_PER_REPLY; o = o->next) {
        if ((reply->orders[reply->n_orders] = order_message(&call->arena, o)) == NULL) {
            nn_core_release(core, call, why_rc(&why, RC_NOMEM), &why);
            return;
        }
        reply->n_orders++;
    }
    nn_core_release(core, call, RC_OK, NULL);
}

void nn_orders_kick(struct nn_core *core)
{
    struct nn_nodes *t = &core->blocks->nodes;

    for (size_t i = 0; i < t->count; i++)
        if (t->all[i]->waiting != NULL && t->all[i]->orders != NULL)
            nn_orders_answer(core, t->all[i]);
}
