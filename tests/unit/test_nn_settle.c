/* Groups whose COMMIT has returned and whose WAL is not synced: nobody hears of them. */
#include <pthread.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/io/io.h"
#include "core/io/queue.h"
#include "core/io/thread.h"
#include "namenode/core.h"
#include "namenode/settle.h"
#include "tests/unit/nn_fixture.h"
#include "tests/unit/suites.h"

Suite *suite_nn_settle(void);

static struct nn_fixture f;

/* A disk whose syncs wait until they may end, and threads whose waiting can be seen.  Everything under lock. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool shut, fails;
    unsigned begun, ended;      /* syncs */
    unsigned waits;             /* of threads for a condition */
    struct threads threads;
    struct threads_ops ops;
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static enum rc
sync_at_the_gate(struct io *io, int fd, struct why *why)
{
    bool fails;
    enum rc rc;

    (void)io;
    pthread_mutex_lock(&gate.lock);
    gate.begun++;
    pthread_cond_broadcast(&gate.changed);
    while (gate.shut)
        pthread_cond_wait(&gate.changed, &gate.lock);
    fails = gate.fails;
    pthread_mutex_unlock(&gate.lock);
    rc = fails ? why_set(why, RC_IO, "the disk is gone") : io_sync(io_posix(), fd, why);
    pthread_mutex_lock(&gate.lock);
    gate.ended++;
    pthread_mutex_unlock(&gate.lock);
    return rc;
}

static bool
wait_seen(struct threads *t, struct cond *c, struct mutex *m, uint64_t deadline_ms)
{
    (void)t;
    pthread_mutex_lock(&gate.lock);
    gate.waits++;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    return cond_wait(threads_posix(), c, m, deadline_ms);
}

static void
set_gate(bool shut, bool fails)
{
    pthread_mutex_lock(&gate.lock);
    gate.shut = shut;
    gate.fails = fails;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static unsigned
syncs(const unsigned *count)
{
    unsigned n;

    pthread_mutex_lock(&gate.lock);
    n = *count;
    pthread_mutex_unlock(&gate.lock);
    return n;
}

/* Until one more sync has begun than had. */
static void
await_sync(unsigned had)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.begun == had)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static enum rc
nothing(struct nn_core *core, void *arg, struct why *why)
{
    (void)core, (void)arg, (void)why;
    return RC_OK;
}

/* The thread runs, and something waits for the core: it does not sync itself. */
static void
setup(void)
{
    struct why why;

    fixture_open(&f);
    f.io_ops.sync = sync_at_the_gate;
    gate.ops = *threads_posix()->ops;
    gate.ops.wait = wait_seen;
    gate.threads.ops = &gate.ops;
    gate.begun = gate.ended = gate.waits = 0;
    f.world.threads = &gate.threads;
    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/first", 0755, NULL), RC_OK);   /* the WAL has its name */
    ck_assert(fixture_exists(&f, "/first"));    /* the reader has opened the database */
    ck_assert_int_eq(nn_settle_start(f.nn->settle, f.nn->core->txid, &why), RC_OK);
    ck_assert_int_eq(nn_core_post(f.nn, nothing, NULL), RC_OK);
}

static void
teardown(void)
{
    void *item;

    set_gate(false, false);
    nn_settle_stop(f.nn->settle);
    while (queue_length(f.nn->core_queue) > 0) {
        ck_assert_int_eq(queue_take(f.nn->core_queue, 0, &item), RC_OK);
        mem_free(item);
    }
    fixture_close(&f);
}

static struct test_call *
mkdirs(const char *path)
{
    static FsPermissionProto p = FS_PERMISSION_PROTO__INIT;
    MkdirsRequestProto q = MKDIRS_REQUEST_PROTO__INIT;
    struct test_call *t;

    p.perm = 0755;
    q.src = text_of(path);
    q.masked = &p;
    t = fixture_call(&f, "root", "mkdirs", &q.base);
    fixture_group(&f, &t, 1);
    return t;
}

START_TEST(calls_of_a_group_wait_for_its_sync_and_the_core_does_not)
{
    unsigned had = syncs(&gate.begun);
    struct test_call *a, *b, *c;

    set_gate(true, false);
    a = mkdirs("/a");
    await_sync(had);
    b = mkdirs("/b");
    c = mkdirs("/c");
    ck_assert(!a->answered && !b->answered && !c->answered);
    set_gate(false, false);
    nn_settle_stop(f.nn->settle);
    ck_assert(a->answered && b->answered && c->answered);
    ck_assert_int_eq(a->why.rc, RC_OK);
    ck_assert_uint_eq(syncs(&gate.ended), had + 2);     /* one for both that waited */
    fixture_call_free(a);
    fixture_call_free(b);
    fixture_call_free(c);
}
END_TEST

START_TEST(group_for_which_nobody_waits_is_synced_by_the_core)
{
    unsigned had = syncs(&gate.ended);
    struct test_call *a;
    void *item;

    ck_assert_int_eq(queue_take(f.nn->core_queue, 0, &item), RC_OK);
    mem_free(item);
    a = mkdirs("/a");
    ck_assert(a->answered);
    ck_assert_uint_eq(syncs(&gate.ended), had + 1);
    fixture_call_free(a);
}
END_TEST

static void *
read_a(void *arg)
{
    GetFileInfoRequestProto q = GET_FILE_INFO_REQUEST_PROTO__INIT;
    struct test_call *t;

    q.src = text_of("/a");
    t = fixture_call(&f, "root", "getFileInfo", &q.base);
    (void)fixture_run(&f, t);
    pthread_mutex_lock(&gate.lock);
    *(struct test_call **)arg = t;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    return NULL;
}

/* Start a reader of /a and wait until it waits for the disk, or has its answer. */
static bool
reads_without_waiting(pthread_t *ret, struct test_call **read)
{
    unsigned waits = syncs(&gate.waits);
    bool answered;

    *read = NULL;
    ck_assert_int_eq(pthread_create(ret, NULL, read_a, read), 0);
    pthread_mutex_lock(&gate.lock);
    while (gate.waits == waits && *read == NULL)
        pthread_cond_wait(&gate.changed, &gate.lock);
    answered = *read != NULL;
    pthread_mutex_unlock(&gate.lock);
    return answered;
}

START_TEST(reader_that_sees_a_group_waits_for_its_sync)
{
    unsigned had = syncs(&gate.begun);
    struct test_call *a, *read;
    pthread_t reader;

    set_gate(true, false);
    a = mkdirs("/a");
    await_sync(had);
    ck_assert(!reads_without_waiting(&reader, &read));
    set_gate(false, false);
    pthread_join(reader, NULL);
    ck_assert_int_eq(read->why.rc, RC_OK);
    ck_assert_ptr_nonnull(((GetFileInfoResponseProto *)read->call.reply)->fs);
    nn_settle_stop(f.nn->settle);
    ck_assert(a->answered);
    fixture_call_free(a);
    fixture_call_free(read);
}
END_TEST

START_TEST(after_a_failed_sync_nobody_hears_of_the_group)
{
    unsigned had = syncs(&gate.begun);
    struct test_call *a, *read;
    pthread_t reader;
    struct why why;

    set_gate(true, false);
    a = mkdirs("/a");
    await_sync(had);
    ck_assert(!reads_without_waiting(&reader, &read));
    set_gate(false, true);
    pthread_join(reader, NULL);
    nn_settle_stop(f.nn->settle);
    ck_assert(nn_has_failed(f.nn));
    ck_assert(!a->answered && !read->answered);
    (void)why_rc(&why, RC_STOPPED);
    nn_settle_abandon(f.nn->settle, &why);
    ck_assert_int_eq(a->why.rc, RC_STOPPED);
    ck_assert_int_eq(read->why.rc, RC_STOPPED);
    fixture_call_free(a);
    fixture_call_free(read);
}
END_TEST

Suite *
suite_nn_settle(void)
{
    Suite *s = suite_create("nn_settle");
    TCase *c = tcase_create("settle");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, calls_of_a_group_wait_for_its_sync_and_the_core_does_not);
    tcase_add_test(c, group_for_which_nobody_waits_is_synced_by_the_core);
    tcase_add_test(c, reader_that_sees_a_group_waits_for_its_sync);
    tcase_add_test(c, after_a_failed_sync_nobody_hears_of_the_group);
    suite_add_tcase(s, c);
    return s;
}
