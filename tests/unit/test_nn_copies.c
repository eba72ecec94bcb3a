/* Copies of the log and what is rebuilt from them. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/io/io.h"
#include "core/io/sqlvfs.h"
#include "namenode/copies.h"
#include "namenode/core.h"
#include "namenode/db.h"
#include "namenode/logcopy.h"
#include "namenode/recover.h"
#include "namenode/txlog.h"
#include "tests/unit/nn_fixture.h"
#include "tests/unit/suites.h"

Suite *suite_nn_copies(void);

static const struct nn_logcopy_id id = { 77, 1700000000123 };

/* ---- the format ---- */

struct seen {
    uint64_t txids[16];
    size_t count;
};

static enum rc
note(void *arg, const struct nn_logcopy_record *rec, struct why *why)
{
    struct seen *s = arg;

    (void)why;
    ck_assert_uint_lt(s->count, ARRAY_LEN(s->txids));
    ck_assert_uint_eq(rec->row.n, 10 * rec->txid);
    ck_assert_uint_eq(rec->at_ms, 1000 + rec->txid);
    s->txids[s->count++] = rec->txid;
    return RC_OK;
}

static void
put(struct buf *b, enum nn_logcopy_kind kind, uint64_t txid)
{
    uint8_t row[256];

    memset(row, (int)txid, sizeof row);
    nn_logcopy_put(b, &id, &(struct nn_logcopy_record){ kind, txid, 1000 + txid, { row, kind == NN_LOGCOPY_GROUP ? 10 * txid : 0 } });
}

/* A segment with groups 5, 6 and 7. */
static void
make_segment(struct buf *b)
{
    buf_init(b, 64 * KB);
    nn_logcopy_put_head(b, &id, 5);
    for (uint64_t txid = 5; txid <= 7; txid++)
        put(b, NN_LOGCOPY_GROUP, txid);
}

static enum rc
read_segment(const struct buf *b, size_t n, struct seen *s, struct why *why)
{
    struct nn_logcopy_id whose;
    uint64_t first;
    enum rc rc;

    *s = (struct seen){ .count = 0 };
    if ((rc = nn_logcopy_read(span_of(b->p, n), &whose, &first, note, s, why)) == RC_OK) {
        ck_assert_uint_eq(whose.namespace_id, id.namespace_id);
        ck_assert_uint_eq(whose.created_ms, id.created_ms);
        ck_assert_uint_eq(first, 5);
    }
    return rc;
}

START_TEST(segment_cut_at_any_byte_gives_the_groups_before_the_cut)
{
    struct buf b;
    struct seen s;
    struct why why;
    size_t ends[3] = { 32 + 25 + 50, 32 + 2 * 25 + 110, 32 + 3 * 25 + 180 };

    make_segment(&b);
    ck_assert_uint_eq(b.n, ends[2]);
    for (size_t n = 32; n <= b.n; n++) {
        ck_assert_int_eq(read_segment(&b, n, &s, &why), RC_OK);
        ck_assert_uint_eq(s.count, (size_t)(n >= ends[0]) + (n >= ends[1]) + (n >= ends[2]));
    }
    buf_fini(&b);
}
END_TEST

START_TEST(flipped_bit_anywhere_is_damage_or_the_torn_last_group)
{
    struct buf b;
    struct seen s;
    struct why why;
    size_t last = 32 + 2 * 25 + 110;

    make_segment(&b);
    for (size_t bit = 0; bit < 8 * b.n; bit++) {
        enum rc rc;

        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        rc = read_segment(&b, b.n, &s, &why);
        if (bit / 8 == 4)
            ck_assert_int_eq(rc, RC_BAD_FORMAT);
        else if (bit / 8 < last)
            ck_assert_int_eq(rc, RC_CORRUPT);
        else
            ck_assert(rc == RC_OK && s.count == 2);
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_fini(&b);
}
END_TEST

START_TEST(segment_of_a_later_version_is_left_alone)
{
    struct buf b;
    struct seen s;
    struct why why;

    make_segment(&b);
    b.p[4] = 2;
    ck_assert_int_eq(read_segment(&b, b.n, &s, &why), RC_BAD_FORMAT);
    ck_assert_ptr_nonnull(strstr(why.text, "version 2"));
    ck_assert_uint_eq(s.count, 0);
    buf_fini(&b);
}
END_TEST

START_TEST(group_that_was_undone_is_not_shown_and_its_number_comes_again)
{
    struct buf b;
    struct seen s;
    struct why why;

    make_segment(&b);
    put(&b, NN_LOGCOPY_GROUP, 8);
    put(&b, NN_LOGCOPY_UNDONE, 8);
    ck_assert_int_eq(read_segment(&b, b.n, &s, &why), RC_OK);
    ck_assert_uint_eq(s.count, 3);
    put(&b, NN_LOGCOPY_GROUP, 8);
    ck_assert_int_eq(read_segment(&b, b.n, &s, &why), RC_OK);
    ck_assert_uint_eq(s.count, 4);
    ck_assert_uint_eq(s.txids[3], 8);
    buf_fini(&b);
}
END_TEST

START_TEST(segment_that_is_missing_in_the_middle_is_a_gap)
{
    char dir[] = "/tmp/millrace-copy-XXXXXX";
    struct io *io = io_posix();
    struct nn_logcopy_state st;
    struct seen s = { .count = 0 };
    struct why why;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    for (uint64_t txid = 1; txid <= 3; txid++) {
        char *path = nn_logcopy_segment_path(dir, txid);
        struct buf b;

        buf_init(&b, 64 * KB);
        nn_logcopy_put_head(&b, &id, txid);
        put(&b, NN_LOGCOPY_GROUP, txid);
        ck_assert_int_eq(io_write_file(io, path, b.p, b.n, &why), RC_OK);
        buf_fini(&b);
        mem_free(path);
    }
    ck_assert_int_eq(nn_logcopy_scan(io, dir, note, &s, &st, &why), RC_OK);
    ck_assert_uint_eq(st.last, 3);
    ck_assert(st.has_files && !st.has_backup);
    char *path = nn_logcopy_segment_path(dir, 2);
    ck_assert_int_eq(io_unlink(io, path, &why), RC_OK);
    mem_free(path);
    ck_assert_int_eq(nn_logcopy_scan(io, dir, NULL, NULL, &st, &why), RC_CORRUPT);
    ck_assert_uint_eq(st.last, 1);
    ck_assert_int_eq(io_remove_tree(io, dir, &why), RC_OK);
}
END_TEST

/* ---- a NameNode with a copy ---- */

static struct nn_fixture f;
static char copy_dir[80], db_path[80], saved_path[80];

static void
start_copies(void)
{
    struct why why;

    ck_assert_int_eq(nn_copies_start(f.nn->copies, f.nn->core->txid, &why), RC_OK);
    while (nn_copies_live(f.nn->copies) > 0 && nn_copies_ready(f.nn->copies) == 0)
        usleep(1000);
}

/* The NameNode ends; its files stay. */
static void
end_nn(void)
{
    ck_assert(nn_copies_stop(f.nn->copies));
    if (f.reading)
        nn_reader_fini(&f.reader);
    f.reading = false;
    nn_free(f.nn);
    f.nn = NULL;
}

static void
setup(void)
{
    char both[200];
    struct why why;

    fixture_open(&f);
    snprintf(copy_dir, sizeof copy_dir, "%s/copy", f.dir);
    snprintf(db_path, sizeof db_path, "%s/namespace.db", f.dir);
    snprintf(saved_path, sizeof saved_path, "%s/saved", f.dir);
    snprintf(both, sizeof both, "%s,%s", f.dir, copy_dir);
    ck_assert_int_eq(conf_set(&f.conf, "dfs.namenode.name.dir", both, "test", &why), RC_OK);
    fixture_reopen(&f);
    start_copies();
    ck_assert_uint_eq(nn_copies_ready(f.nn->copies), 1);
}

static void
teardown(void)
{
    if (f.nn != NULL)
        ck_assert(nn_copies_stop(f.nn->copies));
    fixture_close(&f);
}

static void
copy_database(const char *from, const char *to)
{
    uint8_t *p;
    size_t n;
    struct why why;

    ck_assert_int_eq(io_read_file(io_posix(), from, 64 * MB, &p, &n, &why), RC_OK);
    ck_assert_int_eq(io_write_file(io_posix(), to, p, n, &why), RC_OK);
    mem_free(p);
}

static void
make_dirs(const char *prefix, int count)
{
    char path[64];

    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s%d", prefix, i);
        ck_assert_int_eq(fixture_mkdirs(&f, "root", path, 0755, NULL), RC_OK);
    }
}

static struct why
refused_start(void)
{
    struct nn_options o = { .conf = &f.conf, .superuser = "root" };
    struct why why = { 0 };

    ck_assert_int_eq(nn_open(&f.world, &o, &f.nn, &why), RC_CORRUPT);
    f.nn = NULL;
    ck_assert_ptr_nonnull(strstr(why.text, "--recover-from"));
    return why;
}

static void
recover(struct nn_recovered *r)
{
    struct why why = { 0 };

    if (nn_recover(&f.world, &f.conf, copy_dir, r, &why) != RC_OK)
        ck_abort_msg("recover: %s", why.text);
}

START_TEST(copy_rebuilt_equals_the_database)
{
    char path[96];
    struct nn_recovered r;
    struct nn_db copy;
    struct why why = { 0 };
    bool deleted;

    make_dirs("/a", 20);
    ck_assert_int_eq(fixture_create(&f, "root", "/a1/file", "c", 1, NULL), RC_OK);
    ck_assert_int_eq(fixture_delete(&f, "root", "/a2", true, &deleted, NULL), RC_OK);
    snprintf(path, sizeof path, "%s/rebuilt.db", f.dir);
    if (nn_rebuild(&f.world, &f.conf, copy_dir, path, &r, &why) != RC_OK)
        ck_abort_msg("rebuild: %s", why.text);
    ck_assert_uint_eq(r.txid, f.nn->core->txid);
    ck_assert_int_eq(nn_db_open(&copy, f.nn->vfs, path, true, &f.conf, &why), RC_OK);
    if (nn_txlog_compare(&f.nn->core->db, &copy, &why) != RC_OK)
        ck_abort_msg("compare: %s", why.text);
    nn_db_fini(&copy);
}
END_TEST

START_TEST(database_that_is_gone_is_not_made_anew_but_recovered)
{
    struct nn_recovered r;
    struct why why;
    uint64_t txid;

    make_dirs("/a", 10);
    txid = f.nn->core->txid;
    end_nn();
    ck_assert_int_eq(io_unlink(io_posix(), db_path, &why), RC_OK);
    (void)refused_start();
    recover(&r);
    ck_assert_uint_eq(r.txid, txid);
    fixture_reopen(&f);
    start_copies();
    ck_assert(fixture_exists(&f, "/a0") && fixture_exists(&f, "/a9"));
    make_dirs("/b", 2);
    fixture_check_replay(&f);
}
END_TEST

START_TEST(damaged_database_is_moved_aside_and_recovered)
{
    struct nn_recovered r;
    struct io_stat st;
    struct why why;
    uint8_t junk[9000];

    make_dirs("/a", 10);
    end_nn();
    memset(junk, 0xa5, sizeof junk);
    ck_assert_int_eq(io_write_file(io_posix(), db_path, junk, sizeof junk, &why), RC_OK);
    (void)refused_start();
    recover(&r);
    ck_assert_int_eq(io_stat(io_posix(), r.moved, &st, &why), RC_OK);
    ck_assert_uint_eq(st.size, sizeof junk);
    fixture_reopen(&f);
    ck_assert(fixture_exists(&f, "/a9"));
}
END_TEST

START_TEST(healthy_database_is_not_replaced)
{
    struct nn_recovered r;
    struct why why;

    make_dirs("/a", 3);
    end_nn();
    ck_assert_int_eq(nn_recover(&f.world, &f.conf, copy_dir, &r, &why), RC_EXISTS);
    fixture_reopen(&f);
    ck_assert(fixture_exists(&f, "/a2"));
}
END_TEST

START_TEST(group_that_only_the_copy_has_is_taken_from_it_at_the_start)
{
    make_dirs("/a", 3);
    end_nn();
    copy_database(db_path, saved_path);
    fixture_reopen(&f);
    start_copies();
    make_dirs("/late", 1);
    end_nn();
    copy_database(saved_path, db_path);
    fixture_reopen(&f);
    ck_assert(fixture_exists(&f, "/late0"));
    start_copies();
    make_dirs("/b", 1);
    fixture_check_replay(&f);
}
END_TEST

START_TEST(database_that_is_behind_is_refused_and_recovered)
{
    struct nn_recovered r;

    make_dirs("/a", 3);
    end_nn();
    copy_database(db_path, saved_path);
    fixture_reopen(&f);
    start_copies();
    make_dirs("/late", 2);
    end_nn();
    copy_database(saved_path, db_path);
    ck_assert_ptr_nonnull(strstr(refused_start().text, "behind"));
    recover(&r);
    fixture_reopen(&f);
    ck_assert(fixture_exists(&f, "/late1"));
}
END_TEST

static atomic_uint copy_written, copy_unsynced;     /* calls for segments of the log */

static bool
is_segment(int fd)
{
    char link[64], path[512];
    ssize_t n;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if ((n = readlink(link, path, sizeof path - 1)) <= 0)
        return false;
    path[n] = '\0';
    return strstr(path, "/edits-") != NULL;
}

static enum rc
note_pwrite(struct io *io UNUSED, int fd, const void *p, size_t n, uint64_t at, struct why *why)
{
    if (is_segment(fd)) {
        atomic_fetch_add(&copy_written, 1);
        atomic_fetch_add(&copy_unsynced, 1);
    }
    return io_pwrite(io_posix(), fd, p, n, at, why);
}

static enum rc
note_sync(struct io *io UNUSED, int fd, struct why *why)
{
    enum rc rc = io_sync(io_posix(), fd, why);

    if (is_segment(fd))
        atomic_store(&copy_unsynced, 0);
    return rc;
}

START_TEST(group_is_durable_in_the_copy_when_it_is_answered)
{
    f.io_ops.pwrite = note_pwrite;
    f.io_ops.sync = note_sync;
    for (int i = 0; i < 5; i++) {
        atomic_store(&copy_written, 0);
        make_dirs("/a", i + 1);
        ck_assert_uint_gt(copy_written, 0);
        ck_assert_uint_eq(copy_unsynced, 0);
    }
}
END_TEST

START_TEST(copy_that_is_behind_gets_a_backup_at_the_start)
{
    struct nn_recovered r;
    struct why why;

    end_nn();
    ck_assert_int_eq(conf_set(&f.conf, "dfs.namenode.name.dir", f.dir, "test", &why), RC_OK);
    fixture_reopen(&f);
    make_dirs("/alone", 3);
    end_nn();
    char both[200];
    snprintf(both, sizeof both, "%s,%s", f.dir, copy_dir);
    ck_assert_int_eq(conf_set(&f.conf, "dfs.namenode.name.dir", both, "test", &why), RC_OK);
    fixture_reopen(&f);
    ck_assert_uint_eq(nn_copies_ready(f.nn->copies), 0);
    start_copies();
    ck_assert_uint_eq(nn_copies_ready(f.nn->copies), 1);
    end_nn();
    ck_assert_int_eq(io_unlink(io_posix(), db_path, &why), RC_OK);
    recover(&r);
    fixture_reopen(&f);
    ck_assert(fixture_exists(&f, "/alone2"));
}
END_TEST

START_TEST(undone_group_is_not_in_what_is_rebuilt)
{
    struct nn_copies *c = f.nn->copies;
    uint64_t txid = f.nn->core->txid;
    struct nn_logcopy_state st;
    struct why why;
    uint8_t row[] = { 1 };

    ck_assert_int_eq(nn_copies_begin(c, txid + 1, 5, span_of(row, 1), &why), RC_OK);
    ck_assert(nn_copies_undo(c));
    ck_assert_int_eq(nn_logcopy_scan(io_posix(), copy_dir, NULL, NULL, &st, &why), RC_OK);
    ck_assert_uint_eq(st.last, txid);
    make_dirs("/a", 1);
    ck_assert_uint_eq(nn_copies_live(c), 1);
    ck_assert_int_eq(nn_logcopy_scan(io_posix(), copy_dir, NULL, NULL, &st, &why), RC_OK);
    ck_assert_uint_eq(st.last, txid + 1);
}
END_TEST

START_TEST(copy_whose_directory_is_removed_is_dropped_and_service_goes_on)
{
    struct why why;

    make_dirs("/a", 1);
    ck_assert_int_eq(io_remove_tree(io_posix(), copy_dir, &why), RC_OK);
    f.clock.now_ms += 1500;
    while (nn_copies_live(f.nn->copies) > 0)
        usleep(1000);
    make_dirs("/b", 3);
    ck_assert(fixture_exists(&f, "/b2"));
    ck_assert_uint_eq(metric_get(&f.nn->metrics.name_dirs_failed), 1);
}
END_TEST

START_TEST(copy_of_another_namespace_is_refused)
{
    struct nn_options o = { .conf = &f.conf, .superuser = "root" };
    struct why why = { 0 };
    char pair[260], other[96];

    end_nn();
    snprintf(other, sizeof other, "%s/other", f.dir);
    ck_assert_int_eq(conf_set(&f.conf, "dfs.namenode.name.dir", other, "test", &why), RC_OK);
    fixture_reopen(&f);
    end_nn();
    snprintf(pair, sizeof pair, "%s,%s", other, copy_dir);
    ck_assert_int_eq(conf_set(&f.conf, "dfs.namenode.name.dir", pair, "test", &why), RC_OK);
    ck_assert_int_eq(nn_open(&f.world, &o, &f.nn, &why), RC_CORRUPT);
    f.nn = NULL;
    ck_assert_ptr_nonnull(strstr(why.text, "another namespace"));
}
END_TEST

START_TEST(backup_makes_older_segments_unnecessary)
{
    struct nn_logcopy_state st;
    struct why why;

    make_dirs("/a", 5);
    f.clock.now_ms += f.conf.backup_ms + 2000;
    while (metric_get(&f.nn->metrics.backups) < 2)
        usleep(1000);
    make_dirs("/b", 5);
    ck_assert_int_eq(nn_logcopy_scan(io_posix(), copy_dir, NULL, NULL, &st, &why), RC_OK);
    ck_assert_uint_eq(st.last, f.nn->core->txid);
    ck_assert_uint_ge(st.backup, 6);
    f.clock.now_ms += f.conf.backup_ms + 2000;
    while (metric_get(&f.nn->metrics.backups) < 3)
        usleep(1000);
    char *old = nn_logcopy_segment_path(copy_dir, 2);
    struct io_stat s;
    ck_assert_int_eq(io_stat(io_posix(), old, &s, &why), RC_SYS_NOT_FOUND);
    mem_free(old);
}
END_TEST

Suite *
suite_nn_copies(void)
{
    Suite *s = suite_create("copies");
    TCase *format = tcase_create("format"), *whole = tcase_create("namenode");

    tcase_add_test(format, segment_cut_at_any_byte_gives_the_groups_before_the_cut);
    tcase_add_test(format, flipped_bit_anywhere_is_damage_or_the_torn_last_group);
    tcase_add_test(format, segment_of_a_later_version_is_left_alone);
    tcase_add_test(format, group_that_was_undone_is_not_shown_and_its_number_comes_again);
    tcase_add_test(format, segment_that_is_missing_in_the_middle_is_a_gap);
    suite_add_tcase(s, format);
    tcase_add_checked_fixture(whole, setup, teardown);
    tcase_set_timeout(whole, 60);
    tcase_add_test(whole, copy_rebuilt_equals_the_database);
    tcase_add_test(whole, database_that_is_gone_is_not_made_anew_but_recovered);
    tcase_add_test(whole, damaged_database_is_moved_aside_and_recovered);
    tcase_add_test(whole, healthy_database_is_not_replaced);
    tcase_add_test(whole, group_that_only_the_copy_has_is_taken_from_it_at_the_start);
    tcase_add_test(whole, database_that_is_behind_is_refused_and_recovered);
    tcase_add_test(whole, group_is_durable_in_the_copy_when_it_is_answered);
    tcase_add_test(whole, copy_that_is_behind_gets_a_backup_at_the_start);
    tcase_add_test(whole, undone_group_is_not_in_what_is_rebuilt);
    tcase_add_test(whole, copy_whose_directory_is_removed_is_dropped_and_service_goes_on);
    tcase_add_test(whole, copy_of_another_namespace_is_refused);
    tcase_add_test(whole, backup_makes_older_segments_unnecessary);
    suite_add_tcase(s, whole);
    return s;
}
