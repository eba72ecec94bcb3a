#include "namenode/nn.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/io/io.h"
#include "core/io/queue.h"
#include "core/io/sqlvfs.h"
#include "core/io/thread.h"
#include "namenode/blocks.h"
#include "namenode/copies.h"
#include "namenode/core.h"
#include "namenode/disk.h"
#include "namenode/dispatch.h"
#include "namenode/edit.h"
#include "namenode/groups.h"
#include "namenode/inode.h"
#include "namenode/reader.h"
#include "namenode/schema.h"
#include "namenode/settle.h"
#include "namenode/snapshot.h"

#define QUEUE_MAX 100000

static const struct nn_answer answer_rpc = { rpc_reply, rpc_reply_encoded, rpc_fail };

/* ---- the state directory ---- */

static enum rc
open_dir(struct nn *nn, struct why *why)
{
    struct io *io = nn->world->io;
    char **dirs = conf_list(nn->conf.nn_dirs), *lock_path = NULL;
    size_t n;
    enum rc rc = RC_NOMEM;

    if (dirs == NULL || dirs[0] == NULL) {
        rc = why_set(why, RC_BAD_CONFIG, "dfs.namenode.name.dir names no directory");
        goto out;
    }
    if ((nn->dir = mem_strdup(strncmp(dirs[0], "file://", 7) == 0 ? dirs[0] + 7 : dirs[0])) == NULL ||
        (nn->db_path = mem_printf("%s/namespace.db", nn->dir)) == NULL ||
        (nn->reserve_path = mem_printf("%s/reserve", nn->dir)) == NULL ||
        (lock_path = mem_printf("%s/in_use.lock", nn->dir)) == NULL) {
        (void)why_rc(why, RC_NOMEM);
        goto out;
    }
    if ((rc = io_mkdirs(io, nn->dir, 0700, why)) != RC_OK ||
        (rc = io_open(io, lock_path, IO_READ | IO_WRITE | IO_CREATE | IO_PRIVATE, &nn->lock_fd, why)) != RC_OK) {
        (void)why_prefix(why, "dfs.namenode.name.dir");
        goto out;
    }
    if ((rc = io_lock(io, nn->lock_fd, why)) == RC_BUSY)
        (void)why_set(why, RC_BUSY, "another NameNode is running on %s", nn->dir);
    if (rc != RC_OK)
        goto out;
    for (n = 0; dirs[n] != NULL; n++)
        ;
    if ((rc = nn_copies_open(nn, dirs + 1, n - 1, &nn->copies, why)) == RC_OK)
        rc = nn_copies_check_missing(nn->copies, nn->db_path, why);
out:
    conf_list_free(dirs);
    mem_free(lock_path);
    return rc;
}

/* ---- identity ---- */

enum rc
nn_apply_format(struct nn_db *db, const struct nn_edit_format *x, uint64_t at_ms, struct why *why)
{
    enum rc rc;

    if ((rc = nn_meta_set(db, "cluster_id", x->cluster_id, why)) != RC_OK ||
        (rc = nn_meta_set(db, "pool_id", x->pool_id, why)) != RC_OK ||
        (rc = nn_meta_set_u64(db, "namespace_id", x->namespace_id, why)) != RC_OK ||
        (rc = nn_meta_set_u64(db, "created", at_ms, why)) != RC_OK)
        return rc;
    return nn_inode_add_root(db, x->owner, x->group, at_ms, why);
}

/* The first transaction: tables, identity, the root. */
static enum rc
format(struct nn *nn, struct why *why)
{
    struct rng *rng = nn->world->rng;
    char uuid[37], cluster_id[64], pool_id[128];
    struct net_addr at;
    struct nn_edit e = { .kind = EDIT_FORMAT, .at_ms = clock_wall_ms(nn->world->clock) };
    enum rc rc;

    if ((rc = net_addr_parse(nn->conf.nn_rpc_bind, 8020, &at, why)) != RC_OK)
        return rc;
    rng_uuid(rng, uuid);
    snprintf(cluster_id, sizeof cluster_id, "CID-%s", uuid);
    snprintf(pool_id, sizeof pool_id, "BP-%" PRIu64 "-%.64s-%" PRIu64, rng_below(rng, INT32_MAX),
             strcmp(at.host, "localhost") == 0 ? "127.0.0.1" : at.host, e.at_ms);
    e.format.cluster_id = span_of(cluster_id, strlen(cluster_id));
    e.format.pool_id = span_of(pool_id, strlen(pool_id));
    e.format.namespace_id = rng_below(rng, INT32_MAX - 1) + 1;
    e.format.owner = span_of(nn->superuser, strlen(nn->superuser));
    e.format.group = span_of(nn->conf.supergroup, strlen(nn->conf.supergroup));
    if ((rc = nn_core_format(nn->core, &e, why)) != RC_OK)
        return rc;
    log_info("namespace_created", "dir=%s cluster=%s pool=%s", nn->dir, cluster_id, pool_id);
    return RC_OK;
}

static enum rc
load_identity(struct nn *nn, struct why *why)
{
    struct nn_db *db = &nn->core->db;
    uint64_t namespace_id = 0;
    enum rc rc;

    if ((rc = nn_meta_get(db, "cluster_id", nn->id.cluster_id, sizeof nn->id.cluster_id, why)) != RC_OK ||
        (rc = nn_meta_get(db, "pool_id", nn->id.pool_id, sizeof nn->id.pool_id, why)) != RC_OK ||
        (rc = nn_meta_get_u64(db, "namespace_id", &namespace_id, why)) != RC_OK ||
        (rc = nn_meta_get_u64(db, "created", &nn->id.created_ms, why)) != RC_OK)
        return rc;
    nn->id.namespace_id = (uint32_t)namespace_id;
    return RC_OK;
}

/* ---- opening ---- */

static enum rc
open_database(struct nn *nn, struct why *why)
{
    bool empty = false, full = false;
    enum rc rc;

    if ((rc = sqlvfs_new(nn->world, "namenode", &nn->vfs, why)) != RC_OK ||
        (rc = nn_core_new(nn, &nn->core, why)) != RC_OK ||
        (rc = nn_schema_check(&nn->core->db, &empty, why)) != RC_OK)
        goto out;
    if (empty && (rc = format(nn, why)) != RC_OK)
        goto out;
    CRASH_POINT(nn_opened);
    /* A flipped bit in the WAL's first frames drops all of it: what says whose namespace this is must not be only
     * there, or the next start would make a new one.  On a full disk that has to wait. */
    if ((rc = db_exec(nn->core->db.sql, "PRAGMA wal_checkpoint(TRUNCATE)", why)) != RC_OK && rc != RC_NO_SPACE)
        goto out;
    if ((rc = load_identity(nn, why)) != RC_OK || (rc = nn_copies_settle(nn->copies, nn->core, why)) != RC_OK ||
        (rc = nn_core_load(nn->core, why)) != RC_OK || (rc = nn_disk_reserve(nn, &full, why)) != RC_OK)
        goto out;
    nn->core->disk_full = full;
    CRASH_POINT(nn_loaded);
out:
    if (rc != RC_OK) {
        (void)why_prefix(why, "%s", nn->db_path);
        rc = nn_copies_advise(nn->copies, why);
    }
    return rc;
}

enum rc
nn_open(const struct world *w, const struct nn_options *o, struct nn **ret, struct why *why)
{
    struct nn *nn = mem_zalloc(sizeof *nn);
    enum rc rc;

    if (nn == NULL)
        return why_rc(why, RC_NOMEM);
    nn->world = w;
    nn->lock_fd = -1;
    nn->groups = o->groups != NULL ? o->groups : nn_groups_system();
    nn->answer = o->answer != NULL ? o->answer : &answer_rpc;
    if ((rc = conf_copy(&nn->conf, o->conf, why)) != RC_OK)
        goto out;
    rc = RC_NOMEM;
    if ((nn->superuser = mem_strdup(o->superuser)) == NULL || (nn->lock = mutex_new(w->threads)) == NULL ||
        queue_new(w->threads, QUEUE_MAX, &nn->core_queue) != RC_OK ||
        queue_new(w->threads, QUEUE_MAX, &nn->read_queue) != RC_OK) {
        (void)why_rc(why, RC_NOMEM);
        goto out;
    }
    if ((rc = nn_settle_new(nn, &nn->settle, why)) != RC_OK ||
        (rc = nn_group_cache_new(nn, &nn->group_cache, why)) != RC_OK || (rc = open_dir(nn, why)) != RC_OK ||
        (rc = open_database(nn, why)) != RC_OK)
        goto out;
    *ret = nn;
    nn = NULL;
out:
    nn_free(nn);
    return rc;
}

void
nn_free(struct nn *nn)
{
    if (nn == NULL || nn->left_behind)
        return;
    nn_copies_free(nn->copies);
    nn_core_free(nn->core);
    nn_settle_free(nn->settle);
    if (nn->lock != NULL)
        nn_snapshot_unref(nn, nn->snapshot);
    sqlvfs_free(nn->vfs);
    if (nn->lock_fd >= 0)
        io_close(nn->world->io, nn->lock_fd);
    queue_free(nn->core_queue);
    queue_free(nn->read_queue);
    if (nn->lock != NULL)
        mutex_free(nn->world->threads, nn->lock);
    nn_group_cache_free(nn->group_cache);
    mem_free(nn->superuser);
    mem_free(nn->dir);
    mem_free(nn->db_path);
    mem_free(nn->reserve_path);
    conf_fini(&nn->conf);
    mem_free(nn);
}

/* ---- serving ---- */

static enum rc
start_threads(struct nn *nn, struct why *why)
{
    struct threads *t = nn->world->threads;
    enum rc rc;

    if ((rc = nn_settle_start(nn->settle, nn->core->txid, why)) != RC_OK ||
        (rc = nn_copies_start(nn->copies, nn->core->txid, why)) != RC_OK)
        return rc;
    if ((nn->readers = mem_calloc(nn->conf.nn_readers, sizeof *nn->readers)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < nn->conf.nn_readers; i++) {
        struct nn_reader *r = &nn->readers[i];

        if ((rc = nn_reader_init(r, nn, why)) != RC_OK) {
            nn_reader_fini(r);
            return rc;
        }
        nn->reader_count++;
        if ((rc = thread_spawn(t, "nn-reader", nn_reader_run, r, &r->thread, why)) != RC_OK)
            return rc;
    }
    return thread_spawn(t, "nn-core", nn_core_run, nn->core, &nn->core_thread, why);
}

static void
submit(void *arg, struct rpc_call *call)
{
    nn_submit(arg, call);
}

/* hadoop.proxyuser.REAL.hosts, .users and .groups: "*" or a list. */
static bool
listed(const char *value, const char *what)
{
    char **list, **p;
    bool found = false;

    if (value == NULL)
        return false;
    if ((list = conf_list(value)) == NULL)
        return false;
    for (p = list; *p != NULL && !found; p++)
        found = strcmp(*p, "*") == 0 || strcmp(*p, what) == 0;
    conf_list_free(list);
    return found;
}

struct group_search {
    const char *value;
    bool found;
};

static void
on_group(void *arg, const char *group)
{
    struct group_search *s = arg;

    s->found = s->found || listed(s->value, group);
}

static bool
may_proxy(void *arg, const char *real, const char *user, const struct net_addr *peer)
{
    struct nn *nn = arg;
    char key[320];
    struct group_search groups = { 0 };
    bool who;

    snprintf(key, sizeof key, "hadoop.proxyuser.%s.users", real);
    who = listed(conf_find(&nn->conf, key), user);
    snprintf(key, sizeof key, "hadoop.proxyuser.%s.groups", real);
    groups.value = conf_find(&nn->conf, key);
    if (!who && groups.value != NULL) {
        groups.found = strcmp(groups.value, "*") == 0;
        if (!groups.found)
            nn_groups_each(nn, user, on_group, &groups);
        who = groups.found;
    }
    snprintf(key, sizeof key, "hadoop.proxyuser.%s.hosts", real);
    return who && listed(conf_find(&nn->conf, key), peer->host);
}

enum rc
nn_serve(struct nn *nn, struct net_addr *ret_at, struct why *why)
{
    struct rpc_server_options o = { .frame_max = nn->conf.rpc_frame_max, .conn_max = nn->conf.rpc_conn_max,
                                    .inflight_max = 100, .idle_ms = 120000, .may_proxy = may_proxy, .proxy_arg = nn };
    struct rpc_service services[NN_PROTOCOLS];
    uint64_t txid = nn->core->txid;     /* the core's own once its thread runs */
    enum rc rc;

    for (size_t i = 0; i < NN_PROTOCOLS; i++)
        services[i] = (struct rpc_service){ .protocol = nn_protocols[i], .submit = submit, .arg = nn };
    if ((rc = net_addr_parse(nn->conf.nn_rpc_bind, 8020, &o.at, why)) != RC_OK || (rc = start_threads(nn, why)) != RC_OK ||
        (rc = rpc_server_start(nn->world, &o, services, NN_PROTOCOLS, &nn->server, why)) != RC_OK)
        goto out;
    *ret_at = *rpc_server_address(nn->server);
    log_info("namenode_serves", "rpc=%s:%u dir=%s cluster=%s txid=%" PRIu64, ret_at->host, ret_at->port, nn->dir,
             nn->id.cluster_id, txid);
out:
    if (rc != RC_OK)
        nn_stop(nn);
    return rc;
}

void
nn_stop(struct nn *nn)
{
    struct threads *t = nn->world->threads;

    queue_stop(nn->core_queue);
    queue_stop(nn->read_queue);
    if (nn->core_thread != NULL)
        thread_join(t, nn->core_thread);
    nn->core_thread = NULL;
    nn_settle_stop(nn->settle);
    nn->left_behind = !nn_copies_stop(nn->copies);
    for (size_t i = 0; i < nn->reader_count; i++) {
        if (nn->readers[i].thread != NULL)
            thread_join(t, nn->readers[i].thread);
        nn_reader_fini(&nn->readers[i]);
    }
    mem_free(nn->readers);
    nn->readers = NULL;
    nn->reader_count = 0;
    if (nn->server == NULL)
        return;
    nn_blocks_stop(nn->core);
    rpc_server_stop(nn->server);
    nn_core_abandon(nn->core);
    rpc_server_free(nn->server);
    nn->server = NULL;
}

void
nn_submit(struct nn *nn, struct rpc_call *call)
{
    struct nn_post *p;
    struct why why;
    enum rc rc = RC_NOMEM;

    if ((call->method->flags & RPC_READ) != 0) {
        rc = queue_put(nn->read_queue, call);
    } else if ((p = arena_zalloc(&call->arena, sizeof *p)) != NULL) {
        p->call = call;
        rc = queue_put(nn->core_queue, p);
    }
    if (rc != RC_OK) {
        (void)why_set(&why, rc == RC_STOPPED ? RC_BUSY : rc, "the NameNode %s", rc == RC_STOPPED ? "is shutting down" :
                      "has too many calls waiting");
        nn->answer->fail(call, &why);
    }
}

bool
nn_has_failed(struct nn *nn)
{
    bool failed;

    mutex_lock(nn->world->threads, nn->lock);
    failed = nn->failed;
    mutex_unlock(nn->world->threads, nn->lock);
    return failed;
}

void
nn_set_failed(struct nn *nn)
{
    mutex_lock(nn->world->threads, nn->lock);
    nn->failed = true;
    mutex_unlock(nn->world->threads, nn->lock);
}
