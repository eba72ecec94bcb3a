#include "namenode/asked.h"

#include "namenode/located.h"

static const char *text_of(struct arena *arena, ProtobufCBinaryData d)
{
    return arena_strndup(arena, d.data, d.len);
}

struct nn_node *nn_asked_node(const struct nn_core *core, struct arena *arena, const DatanodeIDProto *id)
{
    const struct nn_nodes *t = &core->blocks->nodes;
    const char *uuid = text_of(arena, id->datanodeuuid), *host = text_of(arena, id->ipaddr);
    struct nn_node *n = uuid == NULL ? NULL : nn_node_find(t, uuid);

    if (n == NULL && host != NULL && id->xferport <= UINT16_MAX)
        n = nn_node_find_address(t, host, (uint16_t)id->xferport);
    return n;
}

enum rc nn_asked_nodes(struct nn_core *core, struct arena *arena, DatanodeInfoProto *const *list, size_t n,
                       struct nn_node *const **ret, size_t *ret_n, struct why *why)
{
    struct nn_node **found = arena_calloc(arena, n + 1, sizeof(struct nn_node *));
    size_t count = 0;

    if (found == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < n; i++)
        if ((found[count] = nn_asked_node(core, arena, list[i]->id)) != NULL)
            count++;
    *ret = found;
    *ret_n = count;
    return RC_OK;
}

struct nn_storage *nn_asked_storage(const struct nn_core *core, struct arena *arena, const ProtobufCBinaryData *uuid,
                                    const DatanodeIDProto *node)
{
    const char *text = uuid == NULL ? NULL : text_of(arena, *uuid);
    struct nn_storage *s = text == NULL || text[0] == '\0' ? NULL : nn_storage_find(&core->blocks->nodes, text);
    struct nn_node *n;

    if (s != NULL || node == NULL)
        return s;
    n = nn_asked_node(core, arena, node);
    return n == NULL || n->storage_count == 0 ? NULL : n->storages[0];
}

enum rc nn_asked_texts(struct arena *arena, const ProtobufCBinaryData *list, size_t n, const char *const **ret, struct why *why)
{
    const char **texts = arena_calloc(arena, n + 1, sizeof(const char *));

    if (texts == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < n; i++)
        if ((texts[i] = text_of(arena, list[i])) == NULL)
            return why_rc(why, RC_NOMEM);
    *ret = texts;
    return RC_OK;
}

bool nn_asked_located(struct nn_core *core, struct arena *arena, struct block_id id, uint64_t stamp, uint64_t bytes,
                      uint64_t offset, struct nn_storage *const *at, size_t n, LocatedBlockProto **ret)
{
    struct nn_location *loc = arena_calloc(arena, n + 1, sizeof *loc);
    struct nn_view_node *nodes = arena_calloc(arena, n + 1, sizeof *nodes);

    if (loc == NULL || nodes == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        nn_view_node_of(at[i]->node, &nodes[i]);
        loc[i] = (struct nn_location){ &nodes[i], at[i]->uuid };
    }
    *ret = nn_located_block(arena, core->nn->id.pool_id, id, stamp, bytes, offset, loc, n, false);
    return *ret != NULL;
}
