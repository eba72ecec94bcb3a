#include "core/io/sqlvfs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/io/io.h"
#include "core/io/thread.h"
#include "core/net/net.h"
#include "tests/unit/suites.h"

struct bench {
    struct io io;           /* io_posix with the calls below in front */
    struct io_ops ops;
    struct world w;
    char dir[64], path[128];
    bool fail_write;
    enum rc fail_sync;      /* what a sync fails with, or RC_OK */
    unsigned syncs, dir_syncs;
};

static struct bench *bench_of(struct io *io) { return CONTAINER_OF(io, struct bench, io); }

static enum rc
b_sync(struct io *io, int fd, struct why *why)
{
    bench_of(io)->syncs++;
    if (bench_of(io)->fail_sync != RC_OK)
        return why_set(why, bench_of(io)->fail_sync, "sync made to fail");
    return io_sync(io_posix(), fd, why);
}

static enum rc
b_sync_dir(struct io *io, const char *path, struct why *why)
{
    bench_of(io)->dir_syncs++;
    return io_sync_dir(io_posix(), path, why);
}

static enum rc
b_pwrite(struct io *io, int fd, const void *p, size_t n, uint64_t at, struct why *why)
{
    if (bench_of(io)->fail_write)
        return why_set(why, RC_NO_SPACE, "disk made full");
    return io_pwrite(io_posix(), fd, p, n, at, why);
}

static void
bench_init(struct bench *b)
{
    memset(b, 0, sizeof *b);
    b->ops = *io_posix()->ops;
    b->ops.sync = b_sync;
    b->ops.sync_dir = b_sync_dir;
    b->ops.pwrite = b_pwrite;
    b->io.ops = &b->ops;
    world_posix(&b->w);
    b->w.io = &b->io;
    snprintf(b->dir, sizeof b->dir, "/tmp/millrace-sqlvfs-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(b->dir));
    snprintf(b->path, sizeof b->path, "%s/state.db", b->dir);
}

static void
bench_fini(struct bench *b)
{
    struct why why;

    ck_assert_int_eq(io_remove_tree(io_posix(), b->dir, &why), RC_OK);
}

static struct sqlvfs *
vfs_made(struct bench *b)
{
    struct sqlvfs *v = NULL;
    struct why why;

    ck_assert_msg(sqlvfs_new(&b->w, "test", &v, &why) == RC_OK, "%s", why.text);
    return v;
}

static sqlite3 *
opened(struct sqlvfs *v, struct bench *b, bool writer)
{
    sqlite3 *db = NULL;
    struct why why;

    ck_assert_msg(db_open(v, b->path, writer, &db, &why) == RC_OK, "%s", why.text);
    return db;
}

static void
run(sqlite3 *db, const char *sql)
{
    struct why why;

    ck_assert_msg(db_exec(db, sql, &why) == RC_OK, "%s", why.text);
}

static long long
one(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st = NULL;
    struct why why;
    long long v;

    ck_assert_msg(db_prepare(db, sql, &st, &why) == RC_OK, "%s", why.text);
    ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
    v = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return v;
}

static void
fill(sqlite3 *db, int rows)
{
    char sql[160];

    snprintf(sql, sizeof sql, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<%d)"
             "INSERT INTO t SELECT i, randomblob(200) FROM n", rows);
    run(db, sql);
}

START_TEST(a_commit_is_seen_by_an_open_reader_and_by_a_later_process)
{
    struct bench b;
    struct sqlvfs *v;
    sqlite3 *writer, *reader;
    unsigned syncs;

    bench_init(&b);
    v = vfs_made(&b);
    writer = opened(v, &b, true);
    run(writer, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
    reader = opened(v, &b, false);
    ck_assert_int_eq(one(reader, "SELECT count(*) FROM t"), 0);
    syncs = b.syncs;
    run(writer, "BEGIN; INSERT INTO t VALUES(1, 'x'); INSERT INTO t VALUES(2, 'y')");
    ck_assert_int_eq(one(reader, "SELECT count(*) FROM t"), 0);
    run(writer, "COMMIT");
    ck_assert_uint_gt(b.syncs, syncs);      /* the commit waited for the disk */
    ck_assert_uint_gt(b.dir_syncs, 0);      /* and so did the names */
    ck_assert_int_eq(one(reader, "SELECT count(*) FROM t"), 2);
    sqlite3_close(reader);
    sqlite3_close(writer);
    sqlvfs_free(v);
    v = vfs_made(&b);
    writer = opened(v, &b, true);
    ck_assert_int_eq(one(writer, "SELECT count(*) FROM t"), 2);
    sqlite3_close(writer);
    sqlvfs_free(v);
    bench_fini(&b);
}
END_TEST

START_TEST(the_wal_of_a_killed_process_is_replayed)
{
    struct bench b;
    struct sqlvfs *v;
    sqlite3 *db;
    int status;

    bench_init(&b);
    if (fork() == 0) {
        v = vfs_made(&b);
        db = opened(v, &b, true);
        run(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
        fill(db, 500);
        run(db, "BEGIN; DELETE FROM t WHERE a > 100");      /* never committed */
        _exit(0);
    }
    wait(&status);
    ck_assert_int_eq(status, 0);
    v = vfs_made(&b);
    db = opened(v, &b, true);
    ck_assert_int_eq(one(db, "SELECT count(*) FROM t"), 500);
    run(db, "PRAGMA wal_checkpoint(TRUNCATE)");
    ck_assert_int_eq(one(db, "SELECT count(*) FROM t"), 500);
    sqlite3_close(db);
    sqlvfs_free(v);
    bench_fini(&b);
}
END_TEST

START_TEST(open_while_another_process_has_it_is_busy)
{
    struct bench b;
    struct sqlvfs *v;
    sqlite3 *db;
    int status;

    bench_init(&b);
    v = vfs_made(&b);
    db = opened(v, &b, true);
    run(db, "CREATE TABLE t(a)");
    if (fork() == 0) {
        struct bench own = b;
        sqlite3 *second = NULL;
        struct why why;
        struct sqlvfs *v2;

        own.io.ops = &own.ops;
        own.w.io = &own.io;
        v2 = vfs_made(&own);
        _exit(db_open(v2, own.path, true, &second, &why) == RC_BUSY ? 0 : 1);
    }
    wait(&status);
    ck_assert_int_eq(status, 0);
    run(db, "INSERT INTO t VALUES(1)");
    sqlite3_close(db);
    sqlvfs_free(v);
    bench_fini(&b);
}
END_TEST

START_TEST(a_reader_cannot_write)
{
    struct bench b;
    struct sqlvfs *v;
    sqlite3 *writer, *reader;
    struct why why;

    bench_init(&b);
    v = vfs_made(&b);
    writer = opened(v, &b, true);
    run(writer, "CREATE TABLE t(a)");
    reader = opened(v, &b, false);
    ck_assert_int_eq(db_exec(reader, "INSERT INTO t VALUES(1)", &why), RC_SYS_DENIED);
    sqlite3_close(writer);
    sqlite3_close(reader);
    sqlvfs_free(v);
    bench_fini(&b);
}
END_TEST

START_TEST(a_full_disk_is_no_space_and_passes)
{
    struct bench b;
    struct sqlvfs *v;
    sqlite3 *db;
    struct why why;

    bench_init(&b);
    v = vfs_made(&b);
    db = opened(v, &b, true);
    run(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
    run(db, "BEGIN; INSERT INTO t VALUES(1, 2)");
    b.fail_write = true;
    ck_assert_int_eq(db_exec(db, "COMMIT", &why), RC_NO_SPACE);
    ck_assert_ptr_nonnull(strstr(why.text, "disk made full"));
    ck_assert_int_ne(sqlite3_get_autocommit(db), 0);
    b.fail_write = false;
    run(db, "INSERT INTO t VALUES(3, 4)");
    ck_assert_int_eq(one(db, "SELECT sum(a) FROM t"), 3);
    sqlite3_close(db);
    sqlvfs_free(v);
    bench_fini(&b);
}
END_TEST

START_TEST(nothing_is_written_after_a_failed_sync)
{
    struct bench b;
    struct sqlvfs *v;
    sqlite3 *db;
    struct why why;
    unsigned syncs;

    bench_init(&b);
    v = vfs_made(&b);
    db = opened(v, &b, true);
    run(db, "CREATE TABLE t(a)");
    b.fail_sync = _i == 0 ? RC_IO : RC_NO_SPACE;
    ck_assert_int_eq(db_exec(db, "INSERT INTO t VALUES(1)", &why), RC_IO);
    ck_assert_ptr_nonnull(strstr(why.text, "sync made to fail"));
    b.fail_sync = RC_OK;
    syncs = b.syncs;
    ck_assert_int_eq(db_exec(db, "INSERT INTO t VALUES(2)", &why), RC_IO);
    ck_assert_uint_eq(b.syncs, syncs);      /* not even tried */
    sqlite3_close(db);
    sqlvfs_free(v);
    bench_fini(&b);
}
END_TEST

START_TEST(every_flipped_byte_of_a_page_is_found)
{
    struct bench b;
    struct sqlvfs *v;
    sqlite3 *db;
    struct why why;
    int fd;

    bench_init(&b);
    v = vfs_made(&b);
    db = opened(v, &b, true);
    run(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
    fill(db, 100);
    sqlite3_close(db);
    for (off_t at = 4096; at < 8192; at += 131) {
        uint8_t byte;

        fd = open(b.path, O_RDWR);
        ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
        byte ^= 0x10;
        ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
        db = opened(v, &b, false);
        ck_assert_int_eq(db_exec(db, "SELECT sum(length(b)) FROM t", &why), RC_CORRUPT);
        ck_assert_ptr_nonnull(strstr(why.text, "page 2"));
        sqlite3_close(db);
        byte ^= 0x10;
        ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
        close(fd);
    }
    db = opened(v, &b, false);
    ck_assert_int_eq(one(db, "SELECT sum(length(b)) FROM t"), 20000);
    sqlite3_close(db);
    sqlvfs_free(v);
    bench_fini(&b);
}
END_TEST

START_TEST(a_database_without_page_sums_is_refused)
{
    struct bench b;
    struct sqlvfs *v;
    sqlite3 *db = NULL;
    struct why why;

    bench_init(&b);
    ck_assert_int_eq(sqlite3_open(b.path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "CREATE TABLE t(a); PRAGMA journal_mode=WAL", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    v = vfs_made(&b);
    ck_assert_int_eq(db_open(v, b.path, true, &db, &why), RC_BAD_FORMAT);
    sqlvfs_free(v);
    bench_fini(&b);
}
END_TEST

START_TEST(open_of_a_missing_database_by_a_reader_is_not_found)
{
    struct bench b;
    struct sqlvfs *v;
    sqlite3 *db = NULL;
    struct why why;

    bench_init(&b);
    v = vfs_made(&b);
    ck_assert_int_eq(db_open(v, b.path, false, &db, &why), RC_SYS_NOT_FOUND);
    sqlvfs_free(v);
    bench_fini(&b);
}
END_TEST

struct reading { struct sqlvfs *v; struct bench *b; long long last; bool ordered; };

static void
read_for_a_while(void *arg)
{
    struct reading *r = arg;
    sqlite3 *db = opened(r->v, r->b, false);

    r->ordered = true;
    while (r->last < 300) {
        long long n = one(db, "SELECT count(*) FROM t"), sum = one(db, "SELECT sum(a) - count(*) FROM u");

        if (n < r->last || sum != 0)
            r->ordered = false;
        r->last = n;
    }
    sqlite3_close(db);
}

START_TEST(readers_on_threads_see_only_whole_commits)
{
    struct bench b;
    struct sqlvfs *v;
    sqlite3 *db;
    struct thread *threads[3];
    struct reading r[3];
    struct why why;

    bench_init(&b);
    v = vfs_made(&b);
    db = opened(v, &b, true);
    run(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE TABLE u(a)");
    for (int i = 0; i < 3; i++) {
        r[i] = (struct reading){ v, &b, -1, false };
        ck_assert_int_eq(thread_spawn(b.w.threads, "reader", read_for_a_while, &r[i], &threads[i], &why), RC_OK);
    }
    for (int i = 0; i < 300; i++) {
        run(db, "BEGIN; INSERT INTO t(b) VALUES(randomblob(100)); INSERT INTO u VALUES(1)");
        run(db, "COMMIT");
        if (i % 50 == 49)
            run(db, "PRAGMA wal_checkpoint(PASSIVE)");
    }
    for (int i = 0; i < 3; i++) {
        thread_join(b.w.threads, threads[i]);
        ck_assert(r[i].ordered);
    }
    sqlite3_close(db);
    sqlvfs_free(v);
    bench_fini(&b);
}
END_TEST

static Suite *
suite_sqlvfs(void)
{
    Suite *s = suite_create("sqlvfs");
    TCase *c = tcase_create("sqlvfs");

    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_commit_is_seen_by_an_open_reader_and_by_a_later_process);
    tcase_add_test(c, the_wal_of_a_killed_process_is_replayed);
    tcase_add_test(c, open_while_another_process_has_it_is_busy);
    tcase_add_test(c, a_reader_cannot_write);
    tcase_add_test(c, a_full_disk_is_no_space_and_passes);
    tcase_add_loop_test(c, nothing_is_written_after_a_failed_sync, 0, 2);
    tcase_add_test(c, every_flipped_byte_of_a_page_is_found);
    tcase_add_test(c, a_database_without_page_sums_is_refused);
    tcase_add_test(c, open_of_a_missing_database_by_a_reader_is_not_found);
    tcase_add_test(c, readers_on_threads_see_only_whole_commits);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(suite_sqlvfs)
