#include "namenode/nodes_view.h"


#include "core/base/mem.h"
#include "namenode/blockmap.h"

void nn_view_node_of(const struct nn_node *n, struct nn_view_node *ret)
{
    *ret = (struct nn_view_node){
        .uuid = n->uuid, .host = n->host, .host_name = n->host_name, .rack = n->rack, .address = n->address,
        .data_port = n->data_port, .ipc_port = n->ipc_port, .http_port = n->http_port,
        .registered = n->registered, .dead = n->dead, .confirmed = n->registered, .admin = n->admin,
        .heard_ms = n->heard_ms, .heard_wall_ms = n->heard_wall_ms, .transfers = n->transfers,
        .failed_volumes = n->failed_volumes, .space = nn_node_space(n),
    };
    for (size_t i = 0; i < n->storage_count; i++) {
        const struct nn_storage *s = n->storages[i];

        ret->confirmed = ret->confirmed && (s->confirmed || s->failed);
        if (i == 0 || s->reported_wall_ms < ret->reported_wall_ms)
            ret->reported_wall_ms = s->reported_wall_ms;
    }
}

static bool copy_text(struct arena *a, const char **text)
{
    return (*text = arena_strdup(a, *text)) != NULL;
}

static bool copy_nodes(struct nn_nodes_view *v, const struct nn_nodes *t)
{
    if ((v->nodes = arena_calloc(&v->arena, t->count + 1, sizeof *v->nodes)) == NULL ||
        (v->storages = arena_calloc(&v->arena, t->storage_count + 1, sizeof *v->storages)) == NULL)
        return false;
    v->node_count = t->count;
    v->storage_count = t->storage_count;
    for (size_t i = 0; i < t->count; i++) {
        struct nn_view_node *n = &v->nodes[i];

        nn_view_node_of(t->all[i], n);
        if (!copy_text(&v->arena, &n->uuid) || !copy_text(&v->arena, &n->host) || !copy_text(&v->arena, &n->host_name) ||
            !copy_text(&v->arena, &n->rack) || !copy_text(&v->arena, &n->address))
            return false;
        for (size_t k = 0; k < t->all[i]->storage_count; k++) {
            const struct nn_storage *s = t->all[i]->storages[k];
            struct nn_view_storage *to = &v->storages[s->no - 1];

            *to = (struct nn_view_storage){ .node = n, .capacity = s->capacity, .dfs_used = s->dfs_used,
                                            .remaining = s->remaining, .block_count = s->block_count,
                                            .failed = s->failed, .confirmed = s->confirmed };
            if ((to->uuid = arena_strdup(&v->arena, s->uuid)) == NULL)
                return false;
        }
    }
    return true;
}

void nn_safemode_text(const struct nn_blocks *b, struct buf *out)
{
    size_t silent = 0, reporting = 0;

    if (!b->safe.on)
        return;
    nn_safemode_explain(&b->safe, &b->facts, out);
    if (!b->safe.startup)
        return;
    for (size_t i = 0; i < b->nodes.count; i++) {
        struct nn_view_node n;

        nn_view_node_of(b->nodes.all[i], &n);
        silent += !n.registered;
        reporting += n.registered && !n.confirmed;
    }
    if (reporting > 0)
        buf_printf(out, " %zu DataNode(s) are still reporting.", reporting);
    if (silent == 0)
        return;
    buf_printf(out, " %zu DataNode(s) have not registered yet:", silent);
    for (size_t i = 0, named = 0; i < b->nodes.count && named < 10; i++)
        if (!b->nodes.all[i]->registered) {
            buf_printf(out, "%s %s", named > 0 ? "," : "", b->nodes.all[i]->address);
            named++;
        }
    buf_put_str(out, silent > 10 ? " and others." : ".");
}

static bool copy_safe_mode(struct nn_nodes_view *v, const struct nn_blocks *b)
{
    struct buf text;
    bool ok;

    v->safe = b->safe;
    v->facts = b->facts;
    buf_init(&text, 8 * KB);
    nn_safemode_text(b, &text);
    v->safe_text = buf_ok(&text) ? arena_strndup(&v->arena, text.p, text.n) : NULL;
    ok = v->safe_text != NULL;
    buf_fini(&text);
    return ok;
}

enum rc nn_nodes_view_new(const struct nn_core *core, struct nn_nodes_view **ret, struct why *why)
{
    struct nn_blocks *b = core->blocks;
    struct nn_nodes_view *v = mem_zalloc(sizeof *v);

    if (v == NULL)
        return why_rc(why, RC_NOMEM);
    arena_init(&v->arena, 256 * MB);
    v->counts = nn_work_counts(b->work);
    if (!copy_nodes(v, &b->nodes) || !copy_safe_mode(v, b) ||
        (v->missing = arena_calloc(&v->arena, NN_VIEW_MISSING_MAX, sizeof *v->missing)) == NULL) {
        nn_nodes_view_free(v);
        return why_rc(why, RC_NOMEM);
    }
    if (v->counts.missing > 0)
        v->missing_count = nn_work_list(b->work, NEED_MISSING, v->missing, NN_VIEW_MISSING_MAX);
    b->viewed_changes = b->nodes.changes;
    b->heard = false;
    *ret = v;
    return RC_OK;
}

void nn_nodes_view_free(struct nn_nodes_view *v)
{
    if (v == NULL)
        return;
    arena_fini(&v->arena);
    mem_free(v);
}
