/* Groups, the log, the retry cache, restarts. */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/io/queue.h"
#include "core/io/thread.h"
#include "core/proto/ids.h"
#include "namenode/core.h"
#include "namenode/edit.h"
#include "namenode/periodic.h"
#include "namenode/retry.h"
#include "namenode/verify.h"
#include "tests/unit/nn_fixture.h"
#include "tests/unit/suites.h"

Suite *suite_nn_group(void);

static struct nn_fixture f;

/* Another connection that has the right to write until somebody waits for it. */
static struct threads waiting;
static struct threads_ops waiting_ops;
static sqlite3 *holder;

static void setup(void) { fixture_open(&f); }
static void teardown(void) { fixture_close(&f); }

static struct test_call *
rename_call(RenameRequestProto *q, const char *from, const char *to)
{
    rename_request_proto__init(q);
    q->src = text_of(from);
    q->dst = text_of(to);
    return fixture_call(&f, "root", "rename", &q->base);
}

static bool
renamed(const struct test_call *t)
{
    ck_assert_int_eq(t->why.rc, RC_OK);
    return ((const RenameResponseProto *)(const void *)t->call.reply)->result;
}

START_TEST(two_renames_that_make_a_cycle_in_one_group_only_the_first_is_done)
{
    RenameRequestProto q1, q2;
    struct test_call *calls[2];

    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/a", 0755, NULL), RC_OK);
    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/b", 0755, NULL), RC_OK);
    calls[0] = rename_call(&q1, "/a", "/b/a");
    calls[1] = rename_call(&q2, "/b", "/a/b");
    fixture_group(&f, calls, 2);
    ck_assert(renamed(calls[0]));
    ck_assert(!renamed(calls[1]));
    ck_assert(fixture_exists(&f, "/b/a"));
    fixture_call_free(calls[0]);
    fixture_call_free(calls[1]);
    fixture_check_replay(&f);
}
END_TEST

static void
give_id(struct test_call *t, int32_t call_id)
{
    memset(t->call.client_id, 7, sizeof t->call.client_id);
    t->call.has_client_id = true;
    t->call.call_id = call_id;
}

START_TEST(call_asked_again_gets_the_first_reply_and_changes_nothing)
{
    RenameRequestProto q1, q2;
    struct test_call *first, *again;

    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/a", 0755, NULL), RC_OK);
    first = rename_call(&q1, "/a", "/b");
    again = rename_call(&q2, "/a", "/b");
    give_id(first, 5);
    give_id(again, 5);
    ck_assert_int_eq(fixture_run(&f, first), RC_OK);
    ck_assert(renamed(first));
    ck_assert_int_eq(fixture_run(&f, again), RC_OK);
    ck_assert(again->encoded);
    ck_assert(renamed(again));
    fixture_call_free(first);
    fixture_call_free(again);
}
END_TEST

START_TEST(call_asked_again_in_the_same_group_gets_the_first_reply)
{
    RenameRequestProto q1, q2;
    struct test_call *calls[2];

    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/a", 0755, NULL), RC_OK);
    calls[0] = rename_call(&q1, "/a", "/b");
    calls[1] = rename_call(&q2, "/a", "/b");
    give_id(calls[0], 5);
    give_id(calls[1], 5);
    fixture_group(&f, calls, 2);
    ck_assert(renamed(calls[0]) && renamed(calls[1]));
    ck_assert(calls[1]->encoded);
    fixture_call_free(calls[0]);
    fixture_call_free(calls[1]);
}
END_TEST

START_TEST(call_asked_again_after_a_restart_gets_the_first_reply)
{
    RenameRequestProto q1, q2;
    struct test_call *first, *again;

    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/a", 0755, NULL), RC_OK);
    first = rename_call(&q1, "/a", "/b");
    give_id(first, 5);
    ck_assert_int_eq(fixture_run(&f, first), RC_OK);
    fixture_call_free(first);
    fixture_reopen(&f);
    again = rename_call(&q2, "/a", "/b");
    give_id(again, 5);
    ck_assert_int_eq(fixture_run(&f, again), RC_OK);
    ck_assert(again->encoded && renamed(again));
    fixture_call_free(again);
}
END_TEST

START_TEST(reply_older_than_the_limit_is_forgotten_at_a_restart)
{
    RenameRequestProto q1;
    struct test_call *first;

    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/a", 0755, NULL), RC_OK);
    first = rename_call(&q1, "/a", "/b");
    give_id(first, 5);
    ck_assert_int_eq(fixture_run(&f, first), RC_OK);
    fixture_call_free(first);
    for (int i = 0; i < 12; i++) {
        char dir[16];

        (void)snprintf(dir, sizeof dir, "/later%d", i);
        f.clock.now_ms += f.conf.retry_cache_ms / 10;
        ck_assert_int_eq(fixture_mkdirs(&f, "root", dir, 0755, NULL), RC_OK);
    }
    fixture_reopen(&f);
    ck_assert_uint_eq(nn_retry_count(f.nn->core->retry), 0);
}
END_TEST

START_TEST(reply_is_kept_over_a_jump_of_the_wall_clock_and_a_restart)
{
    RenameRequestProto q1, q2;
    struct test_call *first, *again;

    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/a", 0755, NULL), RC_OK);
    first = rename_call(&q1, "/a", "/b");
    give_id(first, 5);
    ck_assert_int_eq(fixture_run(&f, first), RC_OK);
    fixture_call_free(first);
    f.clock.jump_ms += 3600000;
    f.clock.now_ms += 11000;
    nn_core_group(f.nn->core, NULL, 0);     /* old replies are looked for every ten seconds */
    ck_assert_uint_eq(nn_retry_count(f.nn->core->retry), 1);
    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/c", 0755, NULL), RC_OK);
    fixture_reopen(&f);
    again = rename_call(&q2, "/a", "/b");
    give_id(again, 5);
    ck_assert_int_eq(fixture_run(&f, again), RC_OK);
    ck_assert(again->encoded && renamed(again));
    fixture_call_free(again);
    f.clock.now_ms += f.conf.retry_cache_ms + 11000;
    nn_core_group(f.nn->core, NULL, 0);
    ck_assert_uint_eq(nn_retry_count(f.nn->core->retry), 0);
}
END_TEST

START_TEST(failure_is_not_kept_for_a_repeat)
{
    Rename2RequestProto q = RENAME2_REQUEST_PROTO__INIT;
    struct test_call *t;

    q.src = text_of("/a");
    q.dst = text_of("/b");
    t = fixture_call(&f, "root", "rename2", &q.base);
    give_id(t, 9);
    ck_assert_int_eq(fixture_run(&f, t), RC_NOT_FOUND);
    fixture_call_free(t);
    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/a", 0755, NULL), RC_OK);
    t = fixture_call(&f, "root", "rename2", &q.base);
    give_id(t, 9);
    ck_assert_int_eq(fixture_run(&f, t), RC_OK);
    fixture_call_free(t);
    ck_assert(fixture_exists(&f, "/b"));
}
END_TEST

START_TEST(refused_call_leaves_nothing_of_its_edits)
{
    struct why why = { 0 };
    uint64_t before = f.nn->core->txid;
    char name[600];

    /* The parents come before the name that is too long is met?  Names are checked first: nothing is made. */
    memset(name, 'x', sizeof name);
    memcpy(name, "/p/q/", 5);
    name[sizeof name - 1] = '\0';
    ck_assert_int_eq(fixture_mkdirs(&f, "root", name, 0755, &why), RC_NAME_TOO_LONG);
    ck_assert(!fixture_exists(&f, "/p"));
    ck_assert_uint_eq(f.nn->core->txid, before);
}
END_TEST

static enum rc
make_mark(struct nn_core *core, void *arg, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_MKDIR, .at_ms = 5 };

    ++*(int *)arg;
    e.mkdir = (struct nn_edit_mkdir){ .inode = core->next.inode++, .parent = ROOT_INODE, .name = span_of("mark", 4),
                                      .perm = 0755, .owner = span_of("root", 4), .group = span_of("root", 4) };
    return nn_edit_apply(core, &e, why);
}

START_TEST(posted_work_behind_a_lost_transaction_is_done_in_a_later_group)
{
    FsPermissionProto perm = FS_PERMISSION_PROTO__INIT;
    MkdirsRequestProto q = MKDIRS_REQUEST_PROTO__INIT;
    struct nn_post first = { 0 }, *posted = mem_zalloc(sizeof *posted), *list[2] = { &first, posted };
    struct test_call *t;
    char name[4100];
    size_t n = 0;
    int runs = 0;
    void *item;

    for (size_t level = 0; level < 16; level++)
        n += (size_t)snprintf(name + n, sizeof name - n, "/%0240zu", level);
    /* No page more than there are. */
    ck_assert_int_eq(sqlite3_exec(f.nn->core->db.sql, "PRAGMA max_page_count = 1", NULL, NULL, NULL), SQLITE_OK);
    perm.perm = 0755;
    q.src = text_of(name);
    q.masked = &perm;
    q.createparent = true;
    t = fixture_call(&f, "root", "mkdirs", &q.base);
    first.call = &t->call;
    *posted = (struct nn_post){ .fn = make_mark, .arg = &runs };
    nn_core_group(f.nn->core, list, 2);
    ck_assert_int_eq(t->why.rc, RC_BUSY);
    ck_assert_int_eq(runs, 0);
    fixture_call_free(t);
    ck_assert_int_eq(sqlite3_exec(f.nn->core->db.sql, "PRAGMA max_page_count = 100000", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(queue_take(f.nn->core_queue, 0, &item), RC_OK);
    list[0] = item;
    nn_core_group(f.nn->core, list, 1);
    ck_assert_int_eq(runs, 1);
    ck_assert(fixture_exists(&f, "/mark"));
    fixture_check_replay(&f);
}
END_TEST

START_TEST(full_database_undoes_the_whole_group_and_tells_everybody_to_retry)
{
    MkdirsRequestProto q[20];
    FsPermissionProto perm = FS_PERMISSION_PROTO__INIT;
    struct test_call *calls[20];
    char names[20][4100];
    size_t busy = 0;

    ck_assert_int_eq(sqlite3_exec(f.nn->core->db.sql, "PRAGMA max_page_count = 40", NULL, NULL, NULL), SQLITE_OK);
    perm.perm = 0755;
    for (size_t i = 0; i < 20; i++) {
        size_t n = 0;

        for (size_t level = 0; level < 16; level++)
            n += (size_t)snprintf(names[i] + n, sizeof names[i] - n, "/d%02zu%0240zu", i, level);
        mkdirs_request_proto__init(&q[i]);
        q[i].src = text_of(names[i]);
        q[i].masked = &perm;
        q[i].createparent = true;
        calls[i] = fixture_call(&f, "root", "mkdirs", &q[i].base);
    }
    fixture_group(&f, calls, 20);
    for (size_t i = 0; i < 20; i++) {
        ck_assert(calls[i]->answered);
        busy += calls[i]->why.rc == RC_BUSY;
        fixture_call_free(calls[i]);
    }
    ck_assert_uint_eq(busy, 20);
    ck_assert(f.nn->core->disk_full);
    ck_assert(!nn_has_failed(f.nn));
    ck_assert_int_eq(sqlite3_exec(f.nn->core->db.sql, "PRAGMA max_page_count = 100000", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/x", 0755, NULL), RC_SAFE_MODE);
    f.clock.now_ms += 2000;
    nn_core_group(f.nn->core, NULL, 0);     /* looks at the disk, which has room */
    ck_assert(!f.nn->core->disk_full);
    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/x", 0755, NULL), RC_OK);
    fixture_check_replay(&f);
}
END_TEST

START_TEST(disk_that_is_full_at_the_commit_undoes_the_group_and_the_namenode_goes_on)
{
    struct why why = { 0 };
    bool deleted;

    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/before", 0755, NULL), RC_OK);
    f.full = true;
    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/lost", 0755, &why), RC_BUSY);
    ck_assert_ptr_nonnull(strstr(why.text, "disk made full"));
    ck_assert(!nn_has_failed(f.nn));
    ck_assert(!fixture_exists(&f, "/lost"));
    f.full = false;                         /* as with what the reserve gave back */
    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/lost", 0755, &why), RC_SAFE_MODE);
    ck_assert_int_eq(fixture_delete(&f, "root", "/before", true, &deleted, NULL), RC_OK);
    fixture_check_replay(&f);
    fixture_reopen(&f);
    ck_assert(!fixture_exists(&f, "/lost"));
    ck_assert(!fixture_exists(&f, "/before"));
}
END_TEST

START_TEST(call_of_a_lost_group_that_is_asked_again_runs)
{
    RenameRequestProto q1, q2;
    struct test_call *lost, *again;

    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/a", 0755, NULL), RC_OK);
    lost = rename_call(&q1, "/a", "/b");
    again = rename_call(&q2, "/a", "/b");
    give_id(lost, 5);
    give_id(again, 5);
    f.full = true;
    ck_assert_int_eq(fixture_run(&f, lost), RC_BUSY);
    f.full = false;
    f.clock.now_ms += 2000;
    nn_core_group(f.nn->core, NULL, 0);     /* looks at the disk, which has room */
    ck_assert_int_eq(fixture_run(&f, again), RC_OK);
    ck_assert(!again->encoded);             /* nothing of the first is left that could answer it */
    ck_assert(fixture_exists(&f, "/b"));
    fixture_call_free(lost);
    fixture_call_free(again);
}
END_TEST

START_TEST(work_hurried_in_a_lost_group_is_not_tried_again_at_once)
{
    struct nn_core *core = f.nn->core;
    bool deleted;

    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/tree/of/names", 0755, NULL), RC_OK);
    f.full = true;
    ck_assert_int_eq(fixture_delete(&f, "root", "/tree", true, &deleted, NULL), RC_BUSY);
    for (size_t i = 0; i < NN_PERIODIC_COUNT; i++)
        ck_assert_uint_gt(core->due_us[i], clock_mono_us(f.world.clock));
    f.full = false;
    fixture_check_replay(&f);
}
END_TEST

static void
holder_ends(struct threads *t, uint64_t deadline_ms)
{
    (void)t, (void)deadline_ms;
    if (sqlite3_get_autocommit(holder) == 0)
        ck_assert_int_eq(sqlite3_exec(holder, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
}

START_TEST(connection_that_holds_the_lock_for_a_moment_costs_no_group)
{
    sqlite3_vfs *vfs = NULL;
    char path[200];

    waiting_ops = *threads_posix()->ops;
    waiting_ops.sleep_until = holder_ends;
    waiting.ops = &waiting_ops;
    f.world.threads = &waiting;
    fixture_reopen(&f);
    (void)snprintf(path, sizeof path, "%s", sqlite3_db_filename(f.nn->core->db.sql, "main"));
    ck_assert_int_eq(sqlite3_file_control(f.nn->core->db.sql, "main", SQLITE_FCNTL_VFS_POINTER, &vfs), SQLITE_OK);
    ck_assert_int_eq(sqlite3_open_v2(path, &holder, SQLITE_OPEN_READWRITE, vfs->zName), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/a", 0755, NULL), RC_OK);
    ck_assert_int_eq(sqlite3_close(holder), SQLITE_OK);
    ck_assert(fixture_exists(&f, "/a"));
    fixture_check_replay(&f);
}
END_TEST

START_TEST(second_namenode_on_the_same_folder_is_refused_by_name)
{
    struct nn_options o = { .conf = &f.conf, .superuser = "root" };
    struct why why = { 0 };
    struct nn *other;

    ck_assert_int_eq(nn_open(&f.world, &o, &other, &why), RC_BUSY);
    ck_assert_ptr_nonnull(strstr(why.text, "another NameNode"));
    ck_assert_ptr_nonnull(strstr(why.text, f.dir));
}
END_TEST

START_TEST(database_of_another_version_is_refused_with_both_versions)
{
    struct nn_options o = { .conf = &f.conf, .superuser = "root" };
    struct why why = { 0 };
    struct nn *other;

    ck_assert_int_eq(sqlite3_exec(f.nn->core->db.sql, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    nn_free(f.nn);
    f.nn = NULL;
    ck_assert_int_eq(nn_open(&f.world, &o, &other, &why), RC_BAD_FORMAT);
    ck_assert_ptr_nonnull(strstr(why.text, "99"));
}
END_TEST

START_TEST(identity_and_numbers_survive_a_restart)
{
    struct nn_identity before = f.nn->id;
    uint64_t inode;

    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/a/b", 0755, NULL), RC_OK);
    inode = f.nn->core->next.inode;
    fixture_reopen(&f);
    ck_assert_str_eq(before.cluster_id, f.nn->id.cluster_id);
    ck_assert_str_eq(before.pool_id, f.nn->id.pool_id);
    ck_assert_uint_eq(before.namespace_id, f.nn->id.namespace_id);
    ck_assert_uint_eq(inode, f.nn->core->next.inode);
    ck_assert(fixture_exists(&f, "/a/b"));
}
END_TEST

START_TEST(tables_that_break_a_rule_are_found_with_rule_and_number)
{
    struct why why = { 0 };

    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/a/b", 0755, NULL), RC_OK);
    ck_assert_int_eq(nn_verify(&f.nn->core->db, &why), RC_OK);
    ck_assert_int_eq(sqlite3_exec(f.nn->core->db.sql, "UPDATE inodes SET parent = 16387 WHERE id = 16386", NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(nn_verify(&f.nn->core->db, &why), RC_CORRUPT);
    ck_assert_ptr_nonnull(strstr(why.text, "reached from the root"));
    ck_assert_ptr_nonnull(strstr(why.text, "not true of number 1638"));
}
END_TEST

/* Any sequence of changes: the log replays to equal tables, and a restart shows the same. */
START_TEST(log_of_random_changes_replays_to_equal_tables)
{
    struct rng_seeded rng;
    bool deleted;

    rng_seed(&rng, (uint64_t)_i + 1);
    for (int step = 0; step < 150; step++) {
        char a[32], b[32];
        RenameRequestProto q;
        struct test_call *t;

        snprintf(a, sizeof a, "/d%u/e%u", (unsigned)rng_below(&rng.rng, 4), (unsigned)rng_below(&rng.rng, 4));
        snprintf(b, sizeof b, "/d%u/e%u", (unsigned)rng_below(&rng.rng, 4), (unsigned)rng_below(&rng.rng, 4));
        f.clock.now_ms += rng_below(&rng.rng, 2000);
        switch (rng_below(&rng.rng, 5)) {
        case 0: (void)fixture_mkdirs(&f, "root", a, 0755, NULL); break;
        case 1: (void)fixture_create(&f, "alice", a, "c1", 3, NULL); break;
        case 2: (void)fixture_delete(&f, "root", rng_below(&rng.rng, 4) == 0 ? "/d1" : a, true, &deleted, NULL); break;
        case 3: (void)fixture_mkdirs(&f, "root", "/d2/e3/x/y/z", 0700, NULL); break;
        default:
            t = rename_call(&q, a, b);
            (void)fixture_run(&f, t);
            fixture_call_free(t);
        }
    }
    fixture_check_replay(&f);
}
END_TEST

Suite *
suite_nn_group(void)
{
    Suite *s = suite_create("nn_group");
    TCase *c = tcase_create("group");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, two_renames_that_make_a_cycle_in_one_group_only_the_first_is_done);
    tcase_add_test(c, call_asked_again_gets_the_first_reply_and_changes_nothing);
    tcase_add_test(c, call_asked_again_in_the_same_group_gets_the_first_reply);
    tcase_add_test(c, call_asked_again_after_a_restart_gets_the_first_reply);
    tcase_add_test(c, reply_older_than_the_limit_is_forgotten_at_a_restart);
    tcase_add_test(c, reply_is_kept_over_a_jump_of_the_wall_clock_and_a_restart);
    tcase_add_test(c, failure_is_not_kept_for_a_repeat);
    tcase_add_test(c, refused_call_leaves_nothing_of_its_edits);
    tcase_add_test(c, posted_work_behind_a_lost_transaction_is_done_in_a_later_group);
    tcase_add_test(c, full_database_undoes_the_whole_group_and_tells_everybody_to_retry);
    tcase_add_test(c, call_of_a_lost_group_that_is_asked_again_runs);
    tcase_add_test(c, work_hurried_in_a_lost_group_is_not_tried_again_at_once);
    tcase_add_test(c, disk_that_is_full_at_the_commit_undoes_the_group_and_the_namenode_goes_on);
    tcase_add_test(c, connection_that_holds_the_lock_for_a_moment_costs_no_group);
    tcase_add_test(c, second_namenode_on_the_same_folder_is_refused_by_name);
    tcase_add_test(c, database_of_another_version_is_refused_with_both_versions);
    tcase_add_test(c, identity_and_numbers_survive_a_restart);
    tcase_add_test(c, tables_that_break_a_rule_are_found_with_rule_and_number);
    tcase_add_loop_test(c, log_of_random_changes_replays_to_equal_tables, 0, 5);
    suite_add_tcase(s, c);
    return s;
}
