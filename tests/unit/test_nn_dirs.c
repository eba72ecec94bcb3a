/* Directories that are remembered, and edits without a savepoint. */
#include <string.h>

#include "core/base/mem.h"
#include "namenode/core.h"
#include "namenode/dirs.h"
#include "tests/unit/nn_fixture.h"
#include "tests/unit/suites.h"

Suite *suite_nn_dirs(void);

static struct nn_fixture f;

static void setup(void) { fixture_open(&f); }
static void teardown(void) { fixture_close(&f); }

static enum rc
run(struct test_call *t)
{
    enum rc rc = fixture_run(&f, t);

    fixture_call_free(t);
    return rc;
}

static enum rc
stat_as(const char *user, const char *path)
{
    GetFileInfoRequestProto q = GET_FILE_INFO_REQUEST_PROTO__INIT;

    q.src = text_of(path);
    return run(fixture_call(&f, user, "getFileInfo", &q.base));
}

static enum rc
rename_dir(const char *from, const char *to)
{
    RenameRequestProto q = RENAME_REQUEST_PROTO__INIT;

    q.src = text_of(from);
    q.dst = text_of(to);
    return run(fixture_call(&f, "root", "rename", &q.base));
}

static enum rc
set_mode(const char *path, uint32_t perm)
{
    SetPermissionRequestProto q = SET_PERMISSION_REQUEST_PROTO__INIT;
    FsPermissionProto p = FS_PERMISSION_PROTO__INIT;

    p.perm = perm;
    q.src = text_of(path);
    q.permission = &p;
    return run(fixture_call(&f, "root", "setPermission", &q.base));
}

static enum rc
create(const char *user, const char *path)
{
    return fixture_create(&f, user, path, "client-1", 1, NULL);
}

START_TEST(path_through_a_directory_that_was_renamed_leads_nowhere)
{
    ck_assert_int_eq(create("root", "/a/b/f"), RC_OK);
    ck_assert(fixture_exists(&f, "/a/b/f"));
    ck_assert_int_eq(rename_dir("/a", "/z"), RC_OK);
    ck_assert(!fixture_exists(&f, "/a/b/f"));
    ck_assert(fixture_exists(&f, "/z/b/f"));
    ck_assert_int_eq(create("root", "/a/b/g"), RC_OK);
    ck_assert(fixture_exists(&f, "/a/b/g"));
    ck_assert(!fixture_exists(&f, "/z/b/g"));
    fixture_check_replay(&f);
}
END_TEST

START_TEST(path_through_a_directory_that_was_deleted_leads_nowhere)
{
    bool deleted;

    ck_assert_int_eq(create("root", "/a/b/f"), RC_OK);
    ck_assert(fixture_exists(&f, "/a/b/f"));
    ck_assert_int_eq(fixture_delete(&f, "root", "/a", true, &deleted, NULL), RC_OK);
    ck_assert(!fixture_exists(&f, "/a/b/f"));
    ck_assert_int_eq(create("root", "/a/b/g"), RC_OK);
    ck_assert(!fixture_exists(&f, "/a/b/f"));
    fixture_check_replay(&f);
}
END_TEST

START_TEST(mode_of_a_directory_on_the_way_counts_at_once)
{
    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/p/q", 0777, NULL), RC_OK);
    ck_assert_int_eq(create("alice", "/p/q/f"), RC_OK);
    ck_assert_int_eq(stat_as("alice", "/p/q/f"), RC_OK);
    ck_assert_int_eq(set_mode("/p", 0700), RC_OK);
    ck_assert_int_eq(stat_as("alice", "/p/q/f"), RC_DENIED);
    ck_assert_int_eq(create("alice", "/p/q/g"), RC_DENIED);
    ck_assert_int_eq(set_mode("/p", 0755), RC_OK);
    ck_assert_int_eq(stat_as("alice", "/p/q/f"), RC_OK);
    ck_assert_int_eq(create("alice", "/p/q/g"), RC_OK);
}
END_TEST

START_TEST(entries_of_a_remembered_directory_are_counted)
{
    bool deleted;

    f.nn->conf.dir_items_max = 3;
    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/q/r", 0755, NULL), RC_OK);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(create("root", i == 0 ? "/q/r/0" : i == 1 ? "/q/r/1" : "/q/r/2"), RC_OK);
    ck_assert_int_eq(create("root", "/q/r/3"), RC_DIR_FULL);
    ck_assert_int_eq(fixture_delete(&f, "root", "/q/r/1", false, &deleted, NULL), RC_OK);
    ck_assert_int_eq(create("root", "/q/r/3"), RC_OK);
    ck_assert_int_eq(create("root", "/q/r/4"), RC_DIR_FULL);
    fixture_check_replay(&f);
}
END_TEST

START_TEST(directory_of_a_group_that_was_undone_is_not_remembered)
{
    f.full = true;
    ck_assert_int_eq(create("root", "/d/e/f"), RC_BUSY);
    f.full = false;
    f.nn->core->disk_full = false;
    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/x/y", 0755, NULL), RC_OK);   /* takes the numbers of /d and /d/e */
    ck_assert_int_eq(create("root", "/d/e/f"), RC_OK);
    ck_assert(fixture_exists(&f, "/d/e/f"));
    ck_assert(!fixture_exists(&f, "/x/y/f"));
    fixture_check_replay(&f);
}
END_TEST

START_TEST(directories_of_a_commit_under_way_are_not_remembered)
{
    struct nn_inode dir = { .id = 20000, .type = NN_DIR }, got;
    struct nn_db db = { 0 };
    nn_dirs_number number = 4;

    nn_dirs_begin(&db, nn_dirs_load(&number), &number);
    nn_dirs_add(&db, 1, span_of("a", 1), &dir);
    ck_assert(nn_dirs_find(&db, 1, span_of("a", 1), &got));
    nn_dirs_end(&db);
    ck_assert(!nn_dirs_find(&db, 1, span_of("a", 1), &got));
    nn_dirs_begin(&db, nn_dirs_load(&number), &number);
    ck_assert(nn_dirs_find(&db, 1, span_of("a", 1), &got));
    nn_dirs_changing(&number);              /* during a COMMIT */
    nn_dirs_begin(&db, nn_dirs_load(&number), &number);
    ck_assert(!nn_dirs_find(&db, 1, span_of("a", 1), &got));
    nn_dirs_begin(&db, 4, &number);         /* it began between the load and the transaction's first read */
    ck_assert(!nn_dirs_find(&db, 1, span_of("a", 1), &got));
    nn_dirs_changing(&number);
    nn_dirs_begin(&db, nn_dirs_load(&number), &number);
    ck_assert(!nn_dirs_find(&db, 1, span_of("a", 1), &got));
    nn_dirs_forget_all(&db);
}
END_TEST

START_TEST(call_that_fails_after_its_last_edit_takes_its_group_with_it)
{
    unsigned undone = 0;
    enum rc rc = RC_BUSY;

    for (int warm = 0; warm < 12; warm++) {     /* tables that grow by themselves have their first size */
        char path[32];

        (void)snprintf(path, sizeof path, "/w/%d", warm);
        ck_assert_int_eq(create("root", path), RC_OK);
    }
    for (uint64_t n = 1; rc != RC_OK; n++) {
        struct test_call *t;
        CreateRequestProto q = CREATE_REQUEST_PROTO__INIT;
        FsPermissionProto p = FS_PERMISSION_PROTO__INIT;

        p.perm = 0644;
        q.src = text_of("/w/new");
        q.masked = &p;
        q.clientname = text_of("client-1");
        q.createflag = 1;
        q.replication = 3;
        q.blocksize = 1024;
        t = fixture_call(&f, "root", "create", &q.base);
        mem_fail_nth(n);
        rc = fixture_run(&f, t);
        mem_fail_nth(0);
        ck_assert(rc == RC_OK || rc == RC_NOMEM || rc == RC_BUSY);
        undone += rc == RC_BUSY;
        fixture_call_free(t);
        ck_assert(fixture_exists(&f, "/w/new") == (rc == RC_OK));
    }
    ck_assert_uint_gt(undone, 0);
    fixture_check_replay(&f);
}
END_TEST

Suite *
suite_nn_dirs(void)
{
    Suite *s = suite_create("nn_dirs");
    TCase *c = tcase_create("dirs");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, path_through_a_directory_that_was_renamed_leads_nowhere);
    tcase_add_test(c, path_through_a_directory_that_was_deleted_leads_nowhere);
    tcase_add_test(c, mode_of_a_directory_on_the_way_counts_at_once);
    tcase_add_test(c, entries_of_a_remembered_directory_are_counted);
    tcase_add_test(c, directory_of_a_group_that_was_undone_is_not_remembered);
    tcase_add_test(c, directories_of_a_commit_under_way_are_not_remembered);
    tcase_add_test(c, call_that_fails_after_its_last_edit_takes_its_group_with_it);
    suite_add_tcase(s, c);
    return s;
}
