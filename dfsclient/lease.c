/*
 * The lease of a handle: one thread, started with the first file that is opened
 * for writing, tells the NameNode that the handle lives and keeps idle pipelines
 * alive.
 */
#include "core/base/clock.h"
#include "dfsclient/fs_priv.h"

#define RENEW_MS 20000      /* a third of HDFS's soft limit */

static uint64_t
renew_every_ms(const struct fs *fs)
{
    uint64_t third = fs->conf.lease_soft_ms / 3;

    return third < RENEW_MS ? third : RENEW_MS;
}

/* A failure is nobody's yet: the writers learn it from their own calls when the lease is lost. */
static void
renew(struct fs *fs)
{
    RenewLeaseRequestProto req = RENEW_LEASE_REQUEST_PROTO__INIT;
    struct arena a;

    arena_init(&a, 64 * KB);
    req.clientname = fs_bin(fs->client_name);
    enum rc ignored = fs_call(fs, ROW_renew_lease, &req.base, &a, NULL, NULL);
    (void)ignored;          /* asked again after the next tick */
    arena_fini(&a);
}

static void
run(void *arg)
{
    struct fs *fs = arg;
    uint64_t every_ms = renew_every_ms(fs), idle_ms = fs->conf.socket_ms / 2;
    uint64_t tick_ms = every_ms < idle_ms ? every_ms : idle_ms, renewed_ms = clock_mono_ms(fs->w.clock);

    mutex_lock(fs->w.threads, fs->lock);
    while (!fs->stopping) {
        bool timed_out = !cond_wait(fs->w.threads, fs->wake, fs->lock,
                                    fs->writers == NULL ? FOREVER : clock_deadline(fs->w.clock, tick_ms));
        if (fs->stopping || fs->writers == NULL || !timed_out)
            continue;
        for (struct fs_writer *wr = fs->writers; wr != NULL; wr = fs_writer_next(wr))
            fs_writer_heartbeat(wr, idle_ms / 2);
        if (clock_mono_ms(fs->w.clock) - renewed_ms + tick_ms / 2 < every_ms)
            continue;
        mutex_unlock(fs->w.threads, fs->lock);
        renew(fs);
        renewed_ms = clock_mono_ms(fs->w.clock);
        mutex_lock(fs->w.threads, fs->lock);
    }
    mutex_unlock(fs->w.threads, fs->lock);
}

enum rc
fs_lease_enter(struct fs *fs, struct fs_writer *wr, struct why *why)
{
    enum rc rc = RC_OK;

    mutex_lock(fs->w.threads, fs->lock);
    if (fs->renewer == NULL)
        rc = thread_spawn(fs->w.threads, "lease", run, fs, &fs->renewer, why);
    if (rc == RC_OK) {
        fs_writer_link(&fs->writers, wr);
        cond_signal(fs->w.threads, fs->wake);
    }
    mutex_unlock(fs->w.threads, fs->lock);
    return rc;
}

void
fs_lease_leave(struct fs *fs, struct fs_writer *wr)
{
    mutex_lock(fs->w.threads, fs->lock);
    fs_writer_unlink(&fs->writers, wr);
    mutex_unlock(fs->w.threads, fs->lock);
}

void
fs_lease_stop(struct fs *fs)
{
    if (fs->renewer == NULL)
        return;
    mutex_lock(fs->w.threads, fs->lock);
    fs->stopping = true;
    cond_signal(fs->w.threads, fs->wake);
    mutex_unlock(fs->w.threads, fs->lock);
    rpc_client_stop(fs->nn);
    thread_join(fs->w.threads, fs->renewer);
    fs->renewer = NULL;
}
