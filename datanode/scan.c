#include "datanode/scan.h"

#include <inttypes.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "datanode/send.h"

#define SOON_MAX 256
#define STEP_BYTES (512 * KB)
#define RATE_MIN (1 * MB)
#define IDLE_MS 60000
#define LOOK_MS 2000                /* for suspect ones */
#define AGAIN_MIN_MS 2000           /* how long a replica that is still suspect is left in peace, at first */
#define AGAIN_MAX_MS (2 * 60 * 1000)

struct dn_scan {
    struct dn *dn;
    struct mutex *mu;               /* guards what follows */
    struct cond *wake;
    bool stop;
    struct block_id soon[SOON_MAX];
    size_t soon_n;
    struct thread *thread;
    uint64_t again_ms, again_wait_ms;   /* the thread's: when suspect ones are read again; how long it waited for that */
    size_t again_n;                 /* how many were left at the last time */
};

uint64_t
dn_scan_rate(uint64_t bytes, uint64_t period_ms)
{
    uint64_t rate = period_ms < 1000 ? bytes : bytes / (period_ms / 1000) / 9 * 10;     /* done after nine tenths */

    return rate < RATE_MIN ? RATE_MIN : rate;
}

void
dn_scan_soon(struct dn_scan *s, struct block_id id)
{
    mutex_lock(s->dn->w.threads, s->mu);
    if (s->soon_n < SOON_MAX) {
        s->soon[s->soon_n++] = id;
        cond_signal(s->dn->w.threads, s->wake);
    }
    mutex_unlock(s->dn->w.threads, s->mu);
}

/* Sleep; false when stopping.  Wakes early when there is a complaint. */
static bool
pause_for(struct dn_scan *s, uint64_t ms)
{
    bool stop;

    mutex_lock(s->dn->w.threads, s->mu);
    if (!s->stop && s->soon_n == 0)
        (void)cond_wait(s->dn->w.threads, s->wake, s->mu, clock_deadline(s->dn->w.clock, ms));
    stop = s->stop;
    mutex_unlock(s->dn->w.threads, s->mu);
    return !stop;
}

/*
 * Verify one replica, at this rate (0: as fast as it goes); false when stopping.  doubted: somebody thinks it bad, and
 * is told when it is not.
 */
static bool
verify(struct dn_scan *s, struct block_id id, uint64_t rate, bool doubted)
{
    struct dn *dn = s->dn;
    struct dn_source src;
    struct why why;
    uint32_t step;
    uint8_t *p = NULL;
    bool go_on = true, good = true;

    if (dn_store_read(dn->store, id, (struct stamp){ 0 }, &src, &why) != RC_OK)
        return true;                /* gone meanwhile, or reported already */
    step = src.meta.chunk > STEP_BYTES ? src.meta.chunk : (uint32_t)(STEP_BYTES / src.meta.chunk * src.meta.chunk);
    if (src.view.state != RS_FINALIZED || (src.view.corrupt && !doubted) || (p = mem_alloc(step + step / src.meta.chunk * 4)) == NULL)
        goto out;
    io_drop_cache(dn->w.io, src.data_fd);       /* it is the disk that is to be looked at */
    io_drop_cache(dn->w.io, src.meta_fd);
    for (uint64_t at = 0; at < src.view.visible && go_on && good; at += step) {
        uint32_t n = src.view.visible - at < step ? (uint32_t)(src.view.visible - at) : step;

        good = dn_read_chunks(dn, &src, at, n, p, &why) == RC_OK;
        if (rate > 0 && good)
            go_on = pause_for(s, n * UINT64_C(1000) / rate);
    }
    metric_add(&dn->metrics.replicas_scanned, 1);
    if (good && go_on && (doubted || src.view.suspect))
        (void)dn_store_confirm(dn->store, &src);
out:
    mem_free(p);
    dn_source_fini(dn->store, &src);
    return go_on;
}

static bool
complaints(struct dn_scan *s)
{
    struct block_id id;
    bool some;

    do {
        mutex_lock(s->dn->w.threads, s->mu);
        some = s->soon_n > 0 && !s->stop;
        if (some)
            id = s->soon[--s->soon_n];
        mutex_unlock(s->dn->w.threads, s->mu);
        if (some && !verify(s, id, 0, true))
            return false;
    } while (some);
    return true;
}

/*
 * Read the suspect ones again, and those that still are after a longer while each time: a read that failed says
 * nothing of the bytes, and they may be the last ones of their block.  False when stopping.
 */
static bool
suspects(struct dn_scan *s)
{
    struct clock *clock = s->dn->w.clock;
    struct block_id list[SOON_MAX];
    size_t n = dn_store_suspects(s->dn->store, list, ARRAY_LEN(list));

    if (n == 0) {
        s->again_ms = s->again_wait_ms = s->again_n = 0;
        return true;
    }
    if (n > s->again_n)             /* a new one */
        s->again_ms = s->again_wait_ms = 0;
    if (clock_mono_ms(clock) < s->again_ms)
        return true;
    for (size_t i = 0; i < n; i++)
        if (!verify(s, list[i], 0, true))
            return false;
    s->again_wait_ms = s->again_wait_ms == 0 ? AGAIN_MIN_MS : 2 * s->again_wait_ms;
    if (s->again_wait_ms > AGAIN_MAX_MS)
        s->again_wait_ms = AGAIN_MAX_MS;
    s->again_ms = clock_deadline(clock, s->again_wait_ms);
    s->again_n = dn_store_suspects(s->dn->store, list, ARRAY_LEN(list));
    return true;
}

/* All replicas of a volume, from a random one on: a DataNode that is often restarted still gets to all of them. */
static bool
scan_volume(struct dn_scan *s, unsigned volume, uint64_t rate)
{
    struct dn_view *list = NULL;
    struct why why;
    uint64_t seq, start;
    size_t n = 0;
    bool go_on = true;

    if (dn_store_snapshot(s->dn->store, volume, &list, &n, &seq, &why) != RC_OK)
        return true;
    start = rng_below(s->dn->w.rng, n);
    for (size_t i = 0; i < n && go_on; i++)
        go_on = verify(s, list[(start + i) % n].id, rate, false) && complaints(s) && suspects(s);
    mem_free(list);
    return go_on;
}

static void
scanner(void *arg)
{
    struct dn_scan *s = arg;
    struct dn *dn = s->dn;
    uint64_t period_ms = dn->conf.scan_period_h * 3600 * 1000, due_ms, replicas, bytes;

    due_ms = clock_mono_ms(dn->w.clock) + IDLE_MS;      /* let a start be over first */
    while (complaints(s) && suspects(s) && pause_for(s, LOOK_MS)) {
        if (period_ms == 0 || clock_mono_ms(dn->w.clock) < due_ms)
            continue;
        due_ms = clock_mono_ms(dn->w.clock) + period_ms;
        dn_store_totals(dn->store, &replicas, &bytes);
        log_info("scan_begun", "replicas=%" PRIu64 " bytes=%" PRIu64, replicas, bytes);
        for (unsigned i = 0; i < dn_store_volume_count(dn->store); i++)
            if (!scan_volume(s, i, dn_scan_rate(bytes, period_ms)))
                return;
        log_info("scan_ended", "replicas=%" PRIu64, replicas);
    }
}

enum rc
dn_scan_start(struct dn *dn, struct dn_scan **ret, struct why *why)
{
    struct dn_scan *s = mem_zalloc(sizeof *s);
    enum rc rc = RC_NOMEM;

    if (s == NULL)
        return why_rc(why, rc);
    s->dn = dn;
    if ((s->mu = mutex_new(dn->w.threads)) == NULL || (s->wake = cond_new(dn->w.threads)) == NULL)
        (void)why_rc(why, rc);
    else
        rc = thread_spawn(dn->w.threads, "dn-scan", scanner, s, &s->thread, why);
    if (rc != RC_OK) {
        dn_scan_stop(s);
        return rc;
    }
    *ret = s;
    return RC_OK;
}

void
dn_scan_stop(struct dn_scan *s)
{
    struct threads *t = s->dn->w.threads;

    if (s->thread != NULL) {
        mutex_lock(t, s->mu);
        s->stop = true;
        cond_broadcast(t, s->wake);
        mutex_unlock(t, s->mu);
        thread_join(t, s->thread);
    }
    if (s->wake != NULL)
        cond_free(t, s->wake);
    if (s->mu != NULL)
        mutex_free(t, s->mu);
    mem_free(s);
}
