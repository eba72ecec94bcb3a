#include "datanode/volume.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/mem.h"

#define LAYOUT "-57"
#define TEXT_MAX (64 * KB)

/* path := a/b; paths are bounded by DN_DIR_MAX and fixed names, so a cut is our own bug. */
static void
join(struct dn_path *ret, const char *a, const char *b)
{
    int n = snprintf(ret->p, sizeof ret->p, "%s/%s", a, b);

    if (n < 0 || (size_t)n >= sizeof ret->p)
        ret->p[0] = '\0';
}

/* A small text file; *ret NULL when there is none. */
static enum rc
read_text(struct io *io, const char *path, char **ret, struct why *why)
{
    uint8_t *p = NULL;
    size_t n;
    enum rc rc;

    *ret = NULL;
    if ((rc = io_read_file(io, path, TEXT_MAX, &p, &n, why)) == RC_SYS_NOT_FOUND)
        return RC_OK;
    if (rc == RC_OK)
        *ret = (char *)p;
    return rc;
}

/* Take key's value into have, or refuse when have says something else. */
static enum rc
agree(const char *path, const char *text, const char *key, char *have, size_t cap, struct why *why)
{
    char value[256];

    if (!dn_property(text, key, value, sizeof value) || value[0] == '\0' || strlen(value) >= cap)
        return why_set(why, RC_BAD_FORMAT, "%s has no usable %s", path, key);
    if (have[0] != '\0' && strcmp(have, value) != 0)
        return why_set(why, RC_WRONG_CLUSTER, "%s: %s is %s, but this DataNode is of %s", path, key, value, have);
    (void)snprintf(have, cap, "%s", value);
    return RC_OK;
}

static enum rc
read_version(struct io *io, struct dn_volume_dir *v, struct dn_identity *id, struct why *why)
{
    char layout[16], *text = NULL;
    struct dn_path path;
    enum rc rc;

    join(&path, v->dir, "current/VERSION");
    if ((rc = read_text(io, path.p, &text, why)) != RC_OK || text == NULL)
        return rc;
    if (!dn_property(text, "layoutVersion", layout, sizeof layout) || strcmp(layout, LAYOUT) != 0)
        rc = why_set(why, RC_BAD_FORMAT, "%s: layoutVersion is not " LAYOUT, path.p);
    else if ((rc = agree(path.p, text, "clusterID", id->cluster_id, sizeof id->cluster_id, why)) == RC_OK &&
             (rc = agree(path.p, text, "datanodeUuid", id->node_uuid, sizeof id->node_uuid, why)) == RC_OK)
        rc = agree(path.p, text, "storageID", v->uuid, sizeof v->uuid, why);
    mem_free(text);
    return rc;
}

struct pools {
    char name[256];
    unsigned count;
};

static bool
note_pool(void *arg, const char *name)
{
    struct pools *pools = arg;

    if (strncmp(name, "BP-", 3) == 0 && strlen(name) < sizeof pools->name) {
        (void)snprintf(pools->name, sizeof pools->name, "%s", name);
        pools->count++;
    }
    return true;
}

static enum rc
find_pool(struct io *io, struct dn_volume_dir *v, struct dn_identity *id, struct why *why)
{
    struct pools pools = { .count = 0 };
    struct dn_path path;
    enum rc rc;

    join(&path, v->dir, "current");
    if ((rc = io_list(io, path.p, note_pool, &pools, why)) != RC_OK || pools.count == 0)
        return rc;
    if (pools.count > 1)
        return why_set(why, RC_BAD_FORMAT, "%s holds %u block pools", path.p, pools.count);
    if (id->pool_id[0] != '\0' && strcmp(id->pool_id, pools.name) != 0)
        return why_set(why, RC_WRONG_CLUSTER, "%s holds block pool %s, but this DataNode is of %s", path.p, pools.name,
                       id->pool_id);
    (void)snprintf(id->pool_id, sizeof id->pool_id, "%s", pools.name);
    return RC_OK;
}

enum rc
dn_volume_open(struct io *io, const char *dir, struct dn_volume_dir *ret, struct dn_identity *id, struct why *why)
{
    struct dn_identity found = *id;
    struct dn_volume_dir v = { .lock_fd = -1 };
    struct dn_path path;
    enum rc rc;

    if (dir[0] != '/' || strlen(dir) > DN_DIR_MAX)
        return why_set(why, RC_BAD_CONFIG, "data directory %s is not an absolute path of at most %d bytes", dir,
                       DN_DIR_MAX);
    (void)snprintf(v.dir, sizeof v.dir, "%s", dir);
    join(&path, dir, "current");
    if ((rc = io_mkdirs(io, path.p, 0700, why)) != RC_OK)
        return rc;
    join(&path, dir, "in_use.lock");
    if ((rc = io_open(io, path.p, IO_READ | IO_WRITE | IO_CREATE, &v.lock_fd, why)) != RC_OK)
        return rc;
    if ((rc = io_lock(io, v.lock_fd, why)) != RC_OK) {
        if (rc == RC_BUSY)
            (void)why_set(why, rc, "%s is in use by another DataNode", dir);
        goto out;
    }
    if ((rc = read_version(io, &v, &found, why)) != RC_OK)
        goto out;
    if (v.uuid[0] != '\0' && (rc = find_pool(io, &v, &found, why)) != RC_OK)
        goto out;
    *id = found;
    *ret = v;
    v.lock_fd = -1;
out:
    if (v.lock_fd >= 0)
        io_close(io, v.lock_fd);
    return rc;
}

void
dn_volume_close(struct io *io, struct dn_volume_dir *v)
{
    if (v->lock_fd >= 0)
        io_close(io, v->lock_fd);
    v->lock_fd = -1;
}

static enum rc
write_text(struct io *io, const char *path, struct why *why, const char *fmt, ...) PRINTF(4, 5);

static enum rc
write_text(struct io *io, const char *path, struct why *why, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof text)
        return why_set(why, RC_BUG, "%s: text is too long", path);
    return io_write_file(io, path, text, (size_t)n, why);
}

enum rc
dn_volume_join(struct io *io, struct dn_volume_dir *v, const struct dn_identity *id, const char *uuid, struct why *why)
{
    struct io_stat st;
    struct dn_path path;
    enum rc rc;

    if (v->uuid[0] == '\0') {
        join(&path, v->dir, "current/VERSION");
        if ((rc = write_text(io, path.p, why,
                             "storageID=%s\nclusterID=%s\ncTime=0\ndatanodeUuid=%s\nstorageType=DATA_NODE\n"
                             "layoutVersion=" LAYOUT "\n", uuid, id->cluster_id, id->node_uuid)) != RC_OK)
            return rc;
        (void)snprintf(v->uuid, sizeof v->uuid, "%s", uuid);
    }
    (void)snprintf(v->pool, sizeof v->pool, "%s/current/%s", v->dir, id->pool_id);
    join(&path, v->pool, "tmp");
    if ((rc = io_remove_tree(io, path.p, why)) != RC_OK || (rc = io_mkdirs(io, path.p, 0700, why)) != RC_OK)
        return rc;
    join(&path, v->pool, "aside");
    if ((rc = io_mkdirs(io, path.p, 0700, why)) != RC_OK)
        return rc;
    join(&path, v->pool, "current/rbw");
    if ((rc = io_mkdirs(io, path.p, 0700, why)) != RC_OK)
        return rc;
    join(&path, v->pool, "current/finalized");
    if ((rc = io_mkdirs(io, path.p, 0700, why)) != RC_OK)
        return rc;
    join(&path, v->pool, "current/VERSION");
    if ((rc = io_stat(io, path.p, &st, why)) != RC_SYS_NOT_FOUND)
        return rc;
    return write_text(io, path.p, why, "namespaceID=%" PRIu32 "\ncTime=%" PRIu64 "\nblockpoolID=%s\nlayoutVersion="
                      LAYOUT "\n", id->namespace_id, id->created_ms, id->pool_id);
}

static void
raise(uint64_t *to, const char *text, const char *key)
{
    char value[32];
    uint64_t n;

    if (dn_property(text, key, value, sizeof value) && (n = strtoull(value, NULL, 10)) > *to)
        *to = n;
}

enum rc
dn_seen_read(struct io *io, const struct dn_volume_dir *v, struct dn_seen *seen, struct why *why)
{
    char *text = NULL;
    struct dn_path path;
    enum rc rc;

    join(&path, v->dir, "current/seen");
    if ((rc = read_text(io, path.p, &text, why)) != RC_OK || text == NULL)
        return rc;
    raise(&seen->txid, text, "txid");
    raise(&seen->block_id, text, "blockId");
    raise(&seen->stamp, text, "generationStamp");
    mem_free(text);
    return RC_OK;
}

enum rc
dn_seen_write(struct io *io, const struct dn_volume_dir *v, const struct dn_seen *seen, struct why *why)
{
    struct dn_path path;

    join(&path, v->dir, "current/seen");
    return write_text(io, path.p, why, "txid=%" PRIu64 "\nblockId=%" PRIu64 "\ngenerationStamp=%" PRIu64 "\n",
                      seen->txid, seen->block_id, seen->stamp);
}
