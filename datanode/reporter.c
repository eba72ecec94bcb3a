/* The reporter: changes in order, and full reports. */
#include <inttypes.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/clock.h"
#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "datanode/link_priv.h"
#include "datanode/report.h"

#define CHANGES_MAX 1000        /* of one storage in one call */
#define BATCH_MS 300            /* how long changes wait that nobody waits for */
#define RETRY_MS 200
#define RANGE_REPLICAS 2000

/* Changes of one volume, as the NameNode is told of them; *ret_seq is the last one's number. NULL: there are none. */
static DnStorageChanges *
describe_changes(struct dn_link *l, unsigned volume, struct arena *a, uint64_t *ret_seq)
{
    struct dn_change *list = arena_calloc(a, CHANGES_MAX, sizeof *list);
    DnStorageChanges *m = arena_alloc(a, sizeof *m);
    struct dn_volume_stat st;
    size_t n;

    if (list == NULL || m == NULL || (n = dn_store_unsent(l->dn->store, volume, list, CHANGES_MAX)) == 0)
        return NULL;
    dn_storage_changes__init(m);
    dn_store_volume_stat(l->dn->store, volume, &st);
    m->storage_uuid = arena_strdup(a, st.uuid);
    m->changes = arena_calloc(a, n, sizeof *m->changes);
    if (m->storage_uuid == NULL || m->changes == NULL)
        return NULL;
    for (; m->n_changes < n; m->n_changes++) {
        DnChange *c = arena_alloc(a, sizeof *c);
        DnBlock *b = arena_alloc(a, sizeof *b);

        if (c == NULL || b == NULL)
            return NULL;
        dn_change__init(c);
        dn_block__init(b);
        b->id = list[m->n_changes].id.v;
        b->stamp = list[m->n_changes].stamp.v;
        b->bytes = list[m->n_changes].bytes;
        c->kind = (DnChange__Kind)list[m->n_changes].kind;
        c->block = b;
        c->seq = list[m->n_changes].seq;
        m->changes[m->n_changes] = c;
    }
    *ret_seq = list[n - 1].seq;
    return m;
}

/* Send what is queued, oldest first, until there is nothing more. */
static enum rc
send_changes(struct dn_link *l, uint64_t epoch, struct why *why)
{
    unsigned count = dn_store_volume_count(l->dn->store), volumes[DN_VOLUMES_MAX];
    DnStorageChanges *list[DN_VOLUMES_MAX];
    uint64_t seqs[DN_VOLUMES_MAX];
    const ProtobufCMessage *m;
    struct arena arena;
    enum rc rc = RC_OK;

    arena_init(&arena, DN_ARENA);
    do {
        DnBlocksChangedRequest q = DN_BLOCKS_CHANGED_REQUEST__INIT;

        arena_reset(&arena);
        for (unsigned i = 0; i < count; i++) {
            volumes[q.n_storages] = i;
            list[q.n_storages] = describe_changes(l, i, &arena, &seqs[q.n_storages]);
            q.n_storages += list[q.n_storages] != NULL;
        }
        if (q.n_storages == 0)
            break;
        q.node_uuid = l->uuid;
        q.epoch = epoch;
        q.storages = list;
        CRASH_POINT(dn_before_report);
        rc = dn_link_call(l, epoch, ROW_dn_blocks_changed, &q.base, &arena, DN_CALL_MS, &m, why);
        CRASH_POINT(dn_after_report);
        for (size_t i = 0; rc == RC_OK && i < q.n_storages; i++)
            dn_store_sent(l->dn->store, volumes[i], seqs[i]);
    } while (rc == RC_OK);
    arena_fini(&arena);
    return rc;
}

/* --- Full reports. */

struct full {
    struct dn_link *l;
    uint64_t epoch, seq;
    char uuid[64];
    struct dn_view *replicas;
    size_t n;
    struct dn_range *ranges;
    size_t range_count;
};

static void
put_range(const struct dn_range *r, DnRange *ret)
{
    dn_range__init(ret);
    ret->first_id = r->first;
    ret->last_id = r->last;
    ret->count = r->count;
    ret->hash = r->hash;
}

static enum rc
send_hashes(struct full *f, struct arena *arena, const DnReportHashesReply **ret, struct why *why)
{
    DnReportHashesRequest q = DN_REPORT_HASHES_REQUEST__INIT;
    DnRange *ranges = arena_calloc(arena, f->range_count, sizeof *ranges);
    DnRange **list = arena_calloc(arena, f->range_count, sizeof *list);
    const ProtobufCMessage *m;
    enum rc rc;

    if (ranges == NULL || list == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < f->range_count; i++) {
        put_range(&f->ranges[i], &ranges[i]);
        list[i] = &ranges[i];
    }
    q.node_uuid = f->l->uuid;
    q.epoch = f->epoch;
    q.storage_uuid = f->uuid;
    q.seq = f->seq;
    q.ranges = list;
    q.n_ranges = f->range_count;
    if ((rc = dn_link_call(f->l, f->epoch, ROW_dn_report_hashes, &q.base, arena, DN_CALL_MS, &m, why)) == RC_OK)
        *ret = CONTAINER_OF(m, DnReportHashesReply, base);
    return rc;
}

static enum rc
send_range(struct full *f, const struct dn_range *r, bool last, struct why *why)
{
    DnReportRangeRequest q = DN_REPORT_RANGE_REQUEST__INIT;
    const ProtobufCMessage *m;
    struct arena arena;
    DnRange range;
    uint64_t before = 0;
    enum rc rc = RC_NOMEM;

    arena_init(&arena, DN_ARENA);
    put_range(r, &range);
    q.node_uuid = f->l->uuid;
    q.epoch = f->epoch;
    q.storage_uuid = f->uuid;
    q.seq = f->seq;
    q.range = &range;
    q.last = last;
    q.n_replicas = 3 * r->count;
    if ((q.replicas = arena_calloc(&arena, q.n_replicas + 1, sizeof *q.replicas)) == NULL) {
        (void)why_rc(why, rc);
        goto out;
    }
    for (size_t i = 0; i < r->count; i++) {
        const struct dn_view *v = &f->replicas[r->from + i];

        dn_replica_numbers(v, before, q.replicas + 3 * i);
        before = v->id.v;
    }
    rc = dn_link_call(f->l, f->epoch, ROW_dn_report_range, &q.base, &arena, DN_CALL_MS, &m, why);
out:
    arena_fini(&arena);
    return rc;
}

/* The ranges that differ, in ascending order; between them what has changed meanwhile, which writers wait for. */
static enum rc
send_ranges(struct full *f, const DnReportHashesReply *differ, struct why *why)
{
    enum rc rc;

    for (size_t i = 0; i < differ->n_differ; i++) {
        if (differ->differ[i] >= f->range_count)
            return why_set(why, RC_BAD_MESSAGE, "range %" PRIu32 " of %zu is asked for", differ->differ[i],
                           f->range_count);
        if ((rc = send_range(f, &f->ranges[differ->differ[i]], i == differ->n_differ - 1, why)) != RC_OK ||
            (rc = send_changes(f->l, f->epoch, why)) != RC_OK)
            return rc;
    }
    return RC_OK;
}

static enum rc
full_report(struct dn_link *l, uint64_t epoch, unsigned volume, struct why *why)
{
    struct full f = { .l = l, .epoch = epoch };
    const DnReportHashesReply *differ;
    struct dn_volume_stat st;
    struct arena arena;
    enum rc rc;

    arena_init(&arena, DN_ARENA);
    dn_store_volume_stat(l->dn->store, volume, &st);
    memcpy(f.uuid, st.uuid, sizeof f.uuid);
    if (st.failed)
        goto nothing;
    if ((rc = dn_store_snapshot(l->dn->store, volume, &f.replicas, &f.n, &f.seq, why)) != RC_OK)
        goto out;
    f.range_count = dn_range_count(f.n, RANGE_REPLICAS);
    if ((f.ranges = mem_calloc(f.range_count, sizeof *f.ranges)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    dn_ranges(f.replicas, f.n, RANGE_REPLICAS, f.ranges);
    if ((rc = send_hashes(&f, &arena, &differ, why)) != RC_OK)
        goto out;
    CRASH_POINT(dn_hashes_sent);
    if ((rc = send_ranges(&f, differ, why)) != RC_OK)
        goto out;
    dn_store_sent(l->dn->store, volume, f.seq);
    metric_add(&l->dn->metrics.reports, 1);
    log_info("full_report", "storage=%s replicas=%zu ranges=%zu sent=%zu", f.uuid, f.n, f.range_count, differ->n_differ);
nothing:
    rc = RC_OK;
out:
    mem_free(f.ranges);
    mem_free(f.replicas);
    arena_fini(&arena);
    return rc;
}

/* Damage and doubts that were found before are in no full report: say them again. */
static enum rc
full_reports(struct dn_link *l, uint64_t epoch, struct why *why)
{
    bool due;
    enum rc rc;

    for (unsigned i = 0; i < dn_store_volume_count(l->dn->store); i++) {
        mutex_lock(l->dn->w.threads, l->mu);
        due = l->full[i];
        l->full[i] = false;
        mutex_unlock(l->dn->w.threads, l->mu);
        due = dn_store_needs_full(l->dn->store, i) || due;
        if (!due)
            continue;
        if ((rc = full_report(l, epoch, i, why)) == RC_OK) {
            dn_store_repeat_doubts(l->dn->store, i);
            continue;
        }
        mutex_lock(l->dn->w.threads, l->mu);
        l->full[i] = true;
        mutex_unlock(l->dn->w.threads, l->mu);
        return rc;
    }
    return RC_OK;
}

/* Now and then a report without being asked, in case both sides drifted apart. */
static void
make_due(struct dn_link *l, uint64_t *next_ms)
{
    uint64_t now_ms = clock_mono_ms(l->dn->w.clock);

    if (now_ms < *next_ms)
        return;
    *next_ms = now_ms + l->dn->conf.full_report_ms;
    mutex_lock(l->dn->w.threads, l->mu);
    for (unsigned i = 0; i < dn_store_volume_count(l->dn->store); i++)
        l->full[i] = true;
    mutex_unlock(l->dn->w.threads, l->mu);
}

void
dn_link_reporter(void *arg)
{
    struct dn_link *l = arg;
    uint64_t next_ms = clock_mono_ms(l->dn->w.clock) + l->dn->conf.full_report_ms, epoch;
    struct log_rate rate = { 0 };
    struct why why;
    enum rc rc;

    while ((epoch = dn_link_wait(l)) != 0) {
        make_due(l, &next_ms);
        if ((rc = send_changes(l, epoch, &why)) == RC_OK && (rc = full_reports(l, epoch, &why)) == RC_OK) {
            (void)dn_store_wait_changes(l->dn->store, clock_deadline(l->dn->w.clock, BATCH_MS));
            continue;
        }
        if (rc != RC_STOPPED && rc != RC_UNREGISTERED && log_rate_ok(&rate, clock_mono_ms(l->dn->w.clock)))
            log_warn("report_failed", "rc=%s reason=\"%s\" next_try_ms=%d", rc_name(rc), why.text, RETRY_MS);
        if (rc == RC_UNREGISTERED)
            continue;
        dn_link_pause(l, RETRY_MS);
    }
}
