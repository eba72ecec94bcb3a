#include "tests/sim/replicas.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/attr.h"

void
replicas_note(struct replicas *r, const struct name *name, const struct fs_block *blocks, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < r->count; i++)
        if (r->blocks[i].name != name)
            r->blocks[kept++] = r->blocks[i];
    r->count = kept;
    for (size_t i = 0; i < n && r->count < REPLICAS_MAX; i++)
        r->blocks[r->count++] = (struct replica_block){ blocks[i].id, blocks[i].stamp, blocks[i].bytes, name };
}

/* rest: the path of the data file below its volume. */
static bool
is_good(struct sim_node *n, const char *volume, const char *rest, const struct replica_block *b, bool *ret_rotten)
{
    const uint8_t *p;
    uint64_t bytes;
    char path[512];

    (void)snprintf(path, sizeof path, "%s%s", volume, rest);
    *ret_rotten = sim_disk_is_rotten(n, path);
    if (!sim_disk_bytes(n, path, &p, &bytes) || bytes != b->bytes)
        return false;
    (void)snprintf(path, sizeof path, "%s%s_%" PRIu64 ".meta", volume, rest, b->stamp);
    *ret_rotten = *ret_rotten || sim_disk_is_rotten(n, path);
    return sim_disk_bytes(n, path, &p, &bytes);
}

/* The block whose replica is at path, when it is one that is watched. */
static const struct replica_block *
block_at(const struct replicas *r, const char *path)
{
    const char *name = strrchr(path, '/');
    uint64_t id;
    char *end;

    if (strstr(path, "/finalized/") == NULL || strncmp(name, "/blk_", 5) != 0)
        return NULL;
    id = strtoull(name + 5, &end, 10);
    for (size_t i = 0; *end == '\0' && i < r->count; i++)      /* else it is a meta file */
        if (r->blocks[i].id == id)
            return r->blocks[i].name->state == NAME_THERE ? &r->blocks[i] : NULL;
    return NULL;
}

void
replicas_on_name_gone(void *replicas, struct sim_node *n, const char *path, const char *to)
{
    static const char *const volumes[] = { "/data", "/data2" };
    struct replicas *r = replicas;
    const struct replica_block *b = block_at(r, path);
    const char *rest = strchr(path + 1, '/');
    unsigned good = 0, wanted;
    bool is_rotten;

    if (b == NULL || (to != NULL && strstr(to, "/rbw/") != NULL))
        return;
    for (unsigned i = 0; i < CLUSTER_DATANODES; i++)
        for (size_t v = 0; v < ARRAY_LEN(volumes); v++) {
            struct sim_node *at = r->c->datanodes[i].node;
            bool is_this = at == n && strlen(volumes[v]) == (size_t)(rest - path) && strncmp(path, volumes[v], (size_t)(rest - path)) == 0;
            bool is = is_good(at, volumes[v], rest, b, &is_rotten);

            if (is_this && (!is || is_rotten))
                return;         /* this one helps nobody */
            good += !is_this && is;     /* rot that nobody has met yet cannot be known */
        }
    r->looked_at++;
    /* An order to delete may be older than the latest wish.  What is only set aside, its DataNode could not read. */
    wanted = to == NULL ? b->name->least_replicas : 1;
    if (good < 1 || good < wanted)
        sim_fail(r->c->s, "%s deletes a good replica of block %" PRIu64 " of %s, %u others are left of %u", sim_node_name(n),
                 b->id, b->name->path, good, wanted);
}
