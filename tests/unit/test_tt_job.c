/* What a tracker does with the files of a job that is over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/io/io.h"
#include "tasktracker/tt_priv.h"
#include "tests/unit/suites.h"

Suite *suite_tt_job(void);

/* A disk that fails to delete and to look, so many times. */
struct disk {
    struct io io;
    struct io_ops ops;
    int unlinks_failing, stats_failing;
};

static enum rc
unlink_or_fail(struct io *io, const char *path, struct why *why)
{
    struct disk *d = CONTAINER_OF(io, struct disk, io);

    if (d->unlinks_failing > 0) {
        d->unlinks_failing--;
        return why_set(why, RC_IO, "%s: unlink: Input/output error", path);
    }
    return io_unlink(io_posix(), path, why);
}

static enum rc
stat_or_fail(struct io *io, const char *path, struct io_stat *ret, struct why *why)
{
    struct disk *d = CONTAINER_OF(io, struct disk, io);

    if (d->stats_failing > 0) {
        d->stats_failing--;
        return why_set(why, RC_IO, "%s: stat: Input/output error", path);
    }
    return io_stat(io_posix(), path, ret, why);
}

struct tracker {
    struct disk disk;
    struct world w;
    struct tt tt;
    char dir[64];
};

static void
tracker_init(struct tracker *t)
{
    *t = (struct tracker){ .disk = { .ops = *io_posix()->ops }, .dir = "/tmp/unit_tt.XXXXXX" };
    ck_assert_ptr_nonnull(mkdtemp(t->dir));
    t->disk.ops.unlink = unlink_or_fail;
    t->disk.ops.stat = stat_or_fail;
    t->disk.io.ops = &t->disk.ops;
    t->w.io = &t->disk.io;
    t->w.threads = threads_posix();
    t->tt.w = &t->w;
    t->tt.dir = t->dir;
    ck_assert_ptr_nonnull(t->tt.m = mutex_new(t->w.threads));
}

static void
tracker_fini(struct tracker *t)
{
    mutex_free(t->w.threads, t->tt.m);
    ck_assert_int_eq(io_remove_tree(io_posix(), t->dir, NULL), RC_OK);
    ck_assert_uint_eq(mem_live(), 0);
}

/* A job with a file here; its directory, which is the caller's. */
static char *
add_job(struct tracker *t, uint64_t number)
{
    struct tt_job *j = tt_job_get(&t->tt, number);
    char *dir, file[256];
    struct why why;

    ck_assert_ptr_nonnull(j);
    ck_assert_int_eq(io_mkdirs(io_posix(), j->dir, 0700, &why), RC_OK);
    (void)snprintf(file, sizeof file, "%s/output", j->dir);
    ck_assert_int_eq(io_write_file(io_posix(), file, "x", 1, &why), RC_OK);
    ck_assert_ptr_nonnull(dir = mem_strdup(j->dir));
    return dir;
}

static void
forget(struct tracker *t, uint64_t number)
{
    struct tt_job *j = tt_job_get(&t->tt, number);

    tt_lock(&t->tt);
    tt_job_forget(&t->tt, j);
    tt_unlock(&t->tt);
    tt_bury(&t->tt);
}

START_TEST(a_directory_that_could_not_be_deleted_is_deleted_later)
{
    struct tracker t;
    char *dir;

    tracker_init(&t);
    dir = add_job(&t, 1);
    t.disk.unlinks_failing = t.disk.stats_failing = 1;
    forget(&t, 1);
    ck_assert_int_eq(access(dir, F_OK), 0);
    t.disk.unlinks_failing = t.disk.stats_failing = 1;
    tt_bury(&t.tt);
    ck_assert_int_eq(access(dir, F_OK), 0);
    tt_bury(&t.tt);
    ck_assert_int_ne(access(dir, F_OK), 0);
    ck_assert_ptr_null(t.tt.doomed);
    mem_free(dir);
    tracker_fini(&t);
}
END_TEST

START_TEST(a_directory_that_waits_to_be_deleted_is_kept_for_a_job_that_came_back)
{
    struct tracker t;
    char *dir, *again;

    tracker_init(&t);
    dir = add_job(&t, 1);
    t.disk.unlinks_failing = t.disk.stats_failing = 1;
    forget(&t, 1);
    again = add_job(&t, 1);
    ck_assert_str_eq(dir, again);
    tt_bury(&t.tt);
    ck_assert_int_eq(access(dir, F_OK), 0);
    forget(&t, 1);
    ck_assert_int_ne(access(dir, F_OK), 0);
    mem_free(dir);
    mem_free(again);
    tracker_fini(&t);
}
END_TEST

START_TEST(a_tracker_that_stops_does_not_wait_for_its_disk)
{
    struct tracker t;

    tracker_init(&t);
    mem_free(add_job(&t, 1));
    t.tt.stopping = true;
    t.disk.unlinks_failing = t.disk.stats_failing = 1;
    forget(&t, 1);
    ck_assert_ptr_null(t.tt.doomed);
    tracker_fini(&t);
}
END_TEST

START_TEST(why_a_tree_was_not_deleted_is_what_the_disk_said)
{
    struct tracker t;
    struct why why;

    tracker_init(&t);
    t.disk.stats_failing = 1;
    ck_assert_int_eq(io_remove_tree(t.w.io, t.dir, &why), RC_IO);
    ck_assert_ptr_nonnull(strstr(why.text, "Input/output error"));
    tracker_fini(&t);
}
END_TEST

Suite *
suite_tt_job(void)
{
    Suite *s = suite_create("tt_job");
    TCase *t = tcase_create("files");

    tcase_add_test(t, a_directory_that_could_not_be_deleted_is_deleted_later);
    tcase_add_test(t, a_directory_that_waits_to_be_deleted_is_kept_for_a_job_that_came_back);
    tcase_add_test(t, a_tracker_that_stops_does_not_wait_for_its_disk);
    tcase_add_test(t, why_a_tree_was_not_deleted_is_what_the_disk_said);
    suite_add_tcase(s, t);
    return s;
}
