#include "datanode/link.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/clock.h"
#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "datanode/link_priv.h"

#define WORK_MAX 100000
#define BACKOFF_FIRST_MS 200
#define BACKOFF_MAX_MS 10000
#define QUIET_TRIES 5               /* a NameNode that starts beside us is not there at once */

uint64_t
dn_link_epoch(struct dn_link *l)
{
    uint64_t epoch;

    mutex_lock(l->dn->w.threads, l->mu);
    epoch = l->epoch;
    mutex_unlock(l->dn->w.threads, l->mu);
    return epoch;
}

bool
dn_link_is_up(struct dn_link *l)
{
    return dn_link_epoch(l) != 0;
}

uint64_t
dn_link_wait(struct dn_link *l)
{
    uint64_t epoch;

    mutex_lock(l->dn->w.threads, l->mu);
    while (l->epoch == 0 && !l->stop)
        (void)cond_wait(l->dn->w.threads, l->changed, l->mu, FOREVER);
    epoch = l->stop ? 0 : l->epoch;
    mutex_unlock(l->dn->w.threads, l->mu);
    return epoch;
}

bool
dn_link_stopping(struct dn_link *l)
{
    bool stop;

    mutex_lock(l->dn->w.threads, l->mu);
    stop = l->stop;
    mutex_unlock(l->dn->w.threads, l->mu);
    return stop;
}

void
dn_link_pause(struct dn_link *l, uint64_t ms)
{
    uint64_t deadline_ms = clock_deadline(l->dn->w.clock, ms);

    mutex_lock(l->dn->w.threads, l->mu);
    while (!l->stop && cond_wait(l->dn->w.threads, l->changed, l->mu, deadline_ms))
        ;
    mutex_unlock(l->dn->w.threads, l->mu);
}

enum rc
dn_link_call(struct dn_link *l, uint64_t epoch, enum datanode_row method, const ProtobufCMessage *request,
             struct arena *arena, uint64_t timeout_ms, const ProtobufCMessage **ret, struct why *why)
{
    enum rc rc = rpc_client_call(l->rpc, method, request, arena, timeout_ms, ret, why);

    if (rc != RC_UNREGISTERED)
        return rc;
    mutex_lock(l->dn->w.threads, l->mu);
    if (l->epoch == epoch) {
        l->epoch = 0;
        cond_broadcast(l->dn->w.threads, l->changed);
    }
    mutex_unlock(l->dn->w.threads, l->mu);
    return rc;
}

/* --- Registration. */

/* The storages as the NameNode is told of them; in arena. */
static enum rc
describe_storages(struct dn *dn, struct arena *a, DnStorage ***ret, size_t *ret_n)
{
    unsigned n = dn_store_volume_count(dn->store);
    DnStorage **list = arena_calloc(a, n, sizeof *list);
    struct dn_volume_stat st;
    size_t count = 0;

    for (unsigned i = 0; list != NULL && i < n; i++) {
        dn_store_volume_stat(dn->store, i, &st);
        if (st.uuid[0] == '\0')
            continue;                   /* not of a cluster yet */
        if ((list[count] = arena_alloc(a, sizeof **list)) == NULL)
            return RC_NOMEM;
        dn_storage__init(list[count]);
        if ((list[count]->uuid = arena_strdup(a, st.uuid)) == NULL)
            return RC_NOMEM;
        list[count]->capacity = st.capacity;
        list[count]->dfs_used = st.used;
        list[count]->remaining = st.remaining;
        list[count]->failed = st.failed;
        list[count]->has_report_seq = true;
        list[count]->report_seq = st.seq;
        count++;
    }
    *ret = list;
    *ret_n = count;
    return list == NULL ? RC_NOMEM : RC_OK;
}

/* The host part of an address to bind to says where others find us, unless it stands for all. */
static const char *
own_host(const struct dn *dn)
{
    const char *host = dn->data_at.host;

    if (dn->conf.dn_host_name != NULL && dn->conf.dn_host_name[0] != '\0')
        return dn->conf.dn_host_name;
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0 ? "" : host;
}

static enum rc
adopt(struct dn_link *l, const DnRegisterReply *reply, struct why *why)
{
    struct dn_identity id = { .namespace_id = reply->namespace_id, .created_ms = reply->created_ms };

    if (strlen(reply->cluster_id) >= sizeof id.cluster_id || strlen(reply->block_pool_id) >= sizeof id.pool_id)
        return why_set(why, RC_BAD_MESSAGE, "cluster or pool id is too long");
    (void)snprintf(id.cluster_id, sizeof id.cluster_id, "%s", reply->cluster_id);
    (void)snprintf(id.pool_id, sizeof id.pool_id, "%s", reply->block_pool_id);
    return dn_store_join(l->dn->store, &id, why);
}

static enum rc
ask_to_register(struct dn_link *l, struct arena *arena, const DnRegisterRequest **ret_asked,
                const DnRegisterReply **ret, struct why *why)
{
    DnRegisterRequest *q = arena_alloc(arena, sizeof *q);
    struct dn *dn = l->dn;
    const ProtobufCMessage *m;
    struct dn_identity id;
    struct dn_seen seen;
    enum rc rc;

    if (q == NULL)
        return why_rc(why, RC_NOMEM);
    dn_register_request__init(q);
    dn_store_identity(dn->store, &id);
    dn_store_seen(dn->store, &seen);
    q->node_uuid = l->uuid;
    q->host = (char *)own_host(dn);
    q->name = dn->conf.node_name == NULL ? (char *)"" : dn->conf.node_name;
    q->data_port = dn->data_at.port;
    q->ipc_port = dn->ipc_at.port;
    q->http_port = dn->http_at.port;
    q->cluster_id = arena_strdup(arena, id.cluster_id);
    q->version = (char *)"millrace-" MILLRACE_VERSION;
    q->seen_txid = seen.txid;
    q->seen_block_id = seen.block_id;
    q->seen_stamp = seen.stamp;
    if (q->cluster_id == NULL || describe_storages(dn, arena, &q->storages, &q->n_storages) != RC_OK)
        return why_rc(why, RC_NOMEM);
    if ((rc = rpc_client_call(l->rpc, ROW_dn_register, &q->base, arena, DN_CALL_MS, &m, why)) != RC_OK)
        return rc;
    *ret_asked = q;
    *ret = CONTAINER_OF(m, DnRegisterReply, base);
    return RC_OK;
}

/*
 * One try.  A node that is new has no storages to name before it knows the cluster:
 * it registers, joins, and registers again with them.
 */
static enum rc
try_register(struct dn_link *l, struct why *why)
{
    const DnRegisterRequest *asked;
    const DnRegisterReply *reply;
    struct arena arena;
    int volume;
    enum rc rc;

    arena_init(&arena, DN_ARENA);
    mutex_lock(l->dn->w.threads, l->mu);
    while (l->deleting && !l->stop)     /* no deletion of the last registration reaches into this one */
        (void)cond_wait(l->dn->w.threads, l->changed, l->mu, FOREVER);
    mutex_unlock(l->dn->w.threads, l->mu);
    if ((rc = ask_to_register(l, &arena, &asked, &reply, why)) != RC_OK)
        goto out;
    CRASH_POINT(dn_registering);
    if ((rc = adopt(l, reply, why)) != RC_OK)
        goto out;
    if (asked->n_storages == 0 && (rc = ask_to_register(l, &arena, &asked, &reply, why)) != RC_OK)
        goto out;
    mutex_lock(l->dn->w.threads, l->mu);
    for (size_t i = 0; i < asked->n_storages && i < reply->n_full_report; i++)
        if (reply->full_report[i] && (volume = dn_store_volume_find(l->dn->store, asked->storages[i]->uuid)) >= 0)
            l->full[volume] = true;
    l->epoch = reply->epoch;
    l->registrations++;
    cond_broadcast(l->dn->w.threads, l->changed);
    mutex_unlock(l->dn->w.threads, l->mu);
    log_info("registered", "cluster=%s pool=%s epoch=%" PRIu64 " host=%s", reply->cluster_id, reply->block_pool_id,
             reply->epoch, reply->host);
    dn_store_wake_reports(l->dn->store);
out:
    arena_fini(&arena);
    return rc;
}

static void
keep_registering(struct dn_link *l)
{
    uint64_t wait_ms = BACKOFF_FIRST_MS;
    struct log_rate rate = { 0 };
    unsigned tries = 0;
    struct why why;
    enum rc rc;

    while (!dn_link_stopping(l) && (rc = try_register(l, &why)) != RC_OK && rc != RC_STOPPED) {
        if (rc == RC_WRONG_CLUSTER)
            log_error("wrong_cluster", "reason=\"%s\" next_try_ms=%u", why.text, BACKOFF_MAX_MS);
        else if (log_rate_ok(&rate, clock_mono_ms(l->dn->w.clock)))
            log_event(tries < QUIET_TRIES ? LOG_INFO : LOG_WARN, "registration_failed", "rc=%s reason=\"%s\" next_try_ms=%" PRIu64, rc_name(rc), why.text, wait_ms);
        if (rc == RC_WRONG_CLUSTER)
            wait_ms = BACKOFF_MAX_MS;   /* a person has to look; nothing here is touched */
        dn_link_pause(l, wait_ms / 2 + rng_below(l->dn->w.rng, wait_ms / 2 + 1));
        tries++;
        wait_ms = wait_ms * 2 < BACKOFF_MAX_MS ? wait_ms * 2 : BACKOFF_MAX_MS;
    }
}

static enum rc
heartbeat(struct dn_link *l, uint64_t epoch, struct why *why)
{
    DnHeartbeatRequest q = DN_HEARTBEAT_REQUEST__INIT;
    const DnHeartbeatReply *reply;
    const ProtobufCMessage *m;
    struct arena arena;
    struct dn_seen seen;
    enum rc rc = RC_NOMEM;

    arena_init(&arena, DN_ARENA);
    q.node_uuid = l->uuid;
    q.epoch = epoch;
    q.transfers = dn_transfers(l->dn);
    if (describe_storages(l->dn, &arena, &q.storages, &q.n_storages) != RC_OK) {
        (void)why_rc(why, rc);
        goto out;
    }
    for (size_t i = 0; i < q.n_storages; i++)
        q.failed_volumes += q.storages[i]->failed;
    if ((rc = dn_link_call(l, epoch, ROW_dn_heartbeat, &q.base, &arena, DN_CALL_MS, &m, why)) != RC_OK)
        goto out;
    reply = CONTAINER_OF(m, DnHeartbeatReply, base);
    seen = (struct dn_seen){ reply->txid, reply->block_id, reply->stamp };
    dn_store_raise_seen(l->dn->store, &seen);
out:
    arena_fini(&arena);
    return rc;
}

static void
keeper(void *arg)
{
    struct dn_link *l = arg;
    struct log_rate rate = { 0 };
    struct why why;
    uint64_t epoch;
    enum rc rc;

    while (!dn_link_stopping(l)) {
        if ((epoch = dn_link_epoch(l)) == 0) {
            keep_registering(l);
            continue;
        }
        if ((rc = heartbeat(l, epoch, &why)) == RC_UNREGISTERED)
            continue;
        if (rc != RC_OK && rc != RC_STOPPED && log_rate_ok(&rate, clock_mono_ms(l->dn->w.clock)))
            log_warn("heartbeat_failed", "rc=%s reason=\"%s\"", rc_name(rc), why.text);
        mutex_lock(l->dn->w.threads, l->mu);
        if (!l->stop && l->epoch == epoch)      /* somebody may have found that we are to register again */
            (void)cond_wait(l->dn->w.threads, l->changed, l->mu,
                            clock_deadline(l->dn->w.clock, l->dn->conf.heartbeat_ms));
        mutex_unlock(l->dn->w.threads, l->mu);
    }
}

/* --- Start and stop. */

static void
link_fini(struct dn_link *l)
{
    struct threads *t = l->dn->w.threads;

    rpc_client_free(l->rpc);
    if (l->work != NULL)
        queue_free(l->work);
    if (l->changed != NULL)
        cond_free(t, l->changed);
    if (l->mu != NULL)
        mutex_free(t, l->mu);
    mem_free(l);
}

static enum rc
link_init(struct dn_link *l, struct why *why)
{
    struct rpc_client_options o = { .protocol = &datanode_rpc, .user = "datanode", .connect_ms = l->dn->conf.rpc_connect_ms };
    struct dn_identity id;
    enum rc rc;

    dn_store_identity(l->dn->store, &id);
    (void)snprintf(l->uuid, sizeof l->uuid, "%s", id.node_uuid);
    if ((rc = net_addr_parse_hdfs(l->dn->conf.fs_default, &o.to, why)) != RC_OK || (rc = rpc_client_new(&l->dn->w, &o, &l->rpc, why)) != RC_OK)
        return rc;
    if ((l->mu = mutex_new(l->dn->w.threads)) == NULL || (l->changed = cond_new(l->dn->w.threads)) == NULL ||
        queue_new(l->dn->w.threads, WORK_MAX, &l->work) != RC_OK)
        return why_rc(why, RC_NOMEM);
    return RC_OK;
}

enum rc
dn_link_start(struct dn *dn, struct dn_link **ret, struct why *why)
{
    struct dn_link *l = mem_zalloc(sizeof *l);
    struct threads *t = dn->w.threads;
    enum rc rc;

    if (l == NULL)
        return why_rc(why, RC_NOMEM);
    l->dn = dn;
    if ((rc = link_init(l, why)) != RC_OK) {
        link_fini(l);
        return rc;
    }
    if ((rc = thread_spawn(t, "dn-keeper", keeper, l, &l->keeper, why)) != RC_OK ||
        (rc = thread_spawn(t, "dn-report", dn_link_reporter, l, &l->reporter, why)) != RC_OK ||
        (rc = thread_spawn(t, "dn-orders", dn_link_taker, l, &l->taker, why)) != RC_OK ||
        (rc = thread_spawn(t, "dn-delete", dn_link_worker, l, &l->worker, why)) != RC_OK) {
        dn_link_stop(l);
        dn_link_free(l);
        return rc;
    }
    *ret = l;
    return RC_OK;
}

void
dn_link_stop(struct dn_link *l)
{
    struct threads *t = l->dn->w.threads;

    mutex_lock(t, l->mu);
    l->stop = true;
    cond_broadcast(t, l->changed);
    mutex_unlock(t, l->mu);
    rpc_client_stop(l->rpc);
    dn_store_stop(l->dn->store);
    queue_stop(l->work);
}

void
dn_link_free(struct dn_link *l)
{
    struct threads *t = l->dn->w.threads;
    struct thread *all[] = { l->keeper, l->reporter, l->taker, l->worker };

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i] != NULL)
            thread_join(t, all[i]);
    link_fini(l);
}
