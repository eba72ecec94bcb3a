/* Paths, permissions, leases, trees. */
#include <string.h>

#include "namenode/core.h"
#include "namenode/groups.h"
#include "namenode/inode.h"
#include "namenode/lease.h"
#include "namenode/path.h"
#include "namenode/perm.h"
#include "tests/unit/nn_fixture.h"
#include "tests/unit/suites.h"

Suite *suite_nn_names(void);

static struct nn_fixture f;

static void setup(void) { fixture_open(&f); }
static void teardown(void) { fixture_close(&f); }

static struct span
span_text(const char *s)
{
    return span_of(s, strlen(s));
}

START_TEST(names_that_may_be_made_are_told_from_those_that_may_not)
{
    static const struct { const char *path; bool ok; } cases[] = {
        { "/", true }, { "/a", true }, { "/a/b c/%/\xc3\xa9", true }, { "/a/", true }, { "/.x", true }, { "/a..b", true },
        { "", false }, { "a", false }, { "/a//b", false }, { "//a", false }, { "/a/./b", false }, { "/a/..", false },
        { "/a:b", false }, { "/\xff", false }, { "/\xc0\xaf", false }, { "/\xed\xa0\x80", false }, { "/a\xc3", false },
    };
    struct why why = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        ck_assert_msg((nn_path_check_new(span_text(cases[i].path), "", &why) == RC_OK) == cases[i].ok, "%s", cases[i].path);
}
END_TEST

START_TEST(path_with_a_nul_is_refused_not_cut_short)
{
    GetFileInfoRequestProto q = GET_FILE_INFO_REQUEST_PROTO__INIT;
    struct test_call *t;

    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/a", 0755, NULL), RC_OK);
    q.src = (ProtobufCBinaryData){ .len = 4, .data = (uint8_t *)"/a\0b" };
    t = fixture_call(&f, "root", "getFileInfo", &q.base);
    ck_assert_int_eq(fixture_run(&f, t), RC_BAD_PATH);
    fixture_call_free(t);
}
END_TEST

START_TEST(stranger_without_execute_on_the_way_is_denied)
{
    struct why why = { 0 };

    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/priv", 0700, NULL), RC_OK);
    ck_assert_int_eq(fixture_mkdirs(&f, "alice", "/priv/x", 0755, &why), RC_DENIED);
    ck_assert_str_eq(why.text,
                     "Permission denied: user=alice, access=EXECUTE, inode=\"/priv\":root:supergroup:drwx------");
}
END_TEST

START_TEST(member_of_the_supergroup_may_do_everything)
{
    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/priv", 0700, NULL), RC_OK);
    ck_assert_int_eq(fixture_mkdirs(&f, "carol", "/priv/x", 0755, NULL), RC_OK);
}
END_TEST

struct counted_groups {
    struct nn_groups groups;
    int asked;
};

static void
count_asked(const struct nn_groups *g, const char *user, void (*on_group)(void *arg, const char *group), void *arg)
{
    ((struct counted_groups *)(uintptr_t)g)->asked++;
    on_group(arg, user);
}

static void
expect_group(void *arg, const char *group)
{
    ck_assert_str_eq(group, "dave");
    ++*(int *)arg;
}

START_TEST(groups_are_asked_for_once_in_five_minutes)
{
    struct counted_groups g = { { count_asked }, 0 };
    int told = 0;

    f.nn->groups = &g.groups;
    nn_groups_each(f.nn, "dave", expect_group, &told);
    f.clock.now_ms += 299999;
    nn_groups_each(f.nn, "dave", expect_group, &told);
    ck_assert_int_eq(g.asked, 1);
    f.clock.now_ms += 1;
    nn_groups_each(f.nn, "dave", expect_group, &told);
    ck_assert_int_eq(g.asked, 2);
    ck_assert_int_eq(told, 3);
}
END_TEST

START_TEST(permissions_switched_off_let_everybody_in)
{
    struct why why = { 0 };

    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/priv", 0700, NULL), RC_OK);
    ck_assert_int_eq(conf_set(&f.conf, "dfs.permissions.enabled", "false", "test", &why), RC_OK);
    fixture_reopen(&f);
    ck_assert_int_eq(fixture_mkdirs(&f, "alice", "/priv/x", 0755, NULL), RC_OK);
}
END_TEST

START_TEST(sticky_directory_keeps_files_of_others)
{
    struct why why = { 0 };
    bool deleted;

    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/tmp", 01777, NULL), RC_OK);
    ck_assert_int_eq(fixture_create(&f, "alice", "/tmp/a", "c", 1, NULL), RC_OK);
    ck_assert_int_eq(fixture_delete(&f, "bob", "/tmp/a", false, &deleted, &why), RC_DENIED);
    ck_assert_ptr_nonnull(strstr(why.text, "Permission denied by sticky bit: user=bob, path=\"/tmp/a\":alice:supergroup:"));
    ck_assert_int_eq(fixture_delete(&f, "alice", "/tmp/a", false, &deleted, &why), RC_OK);
    ck_assert(deleted);
}
END_TEST

START_TEST(tree_with_a_directory_that_is_closed_to_the_caller_is_not_deleted)
{
    struct why why = { 0 };
    bool deleted;

    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/t", 0777, NULL), RC_OK);
    ck_assert_int_eq(fixture_mkdirs(&f, "alice", "/t/mine", 0777, NULL), RC_OK);
    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/t/mine/his/x", 0755, NULL), RC_OK);
    ck_assert_int_eq(fixture_delete(&f, "alice", "/t/mine", true, &deleted, &why), RC_DENIED);
    ck_assert_str_eq(why.text,
                     "Permission denied: user=alice, access=ALL, inode=\"/t/mine/his\":root:supergroup:drwxr-xr-x");
}
END_TEST

/* Rounds of the periodic table until nothing is left to reclaim. */
static uint64_t
count(const char *sql)
{
    sqlite3_stmt *st;
    uint64_t n;

    ck_assert_int_eq(sqlite3_prepare_v2(f.nn->core->db.sql, sql, -1, &st, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
    n = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return n;
}

START_TEST(deleted_tree_is_gone_at_once_and_its_rows_soon)
{
    bool deleted = false;
    int rounds = 0;

    for (int i = 0; i < 1500; i++) {
        char path[64];

        snprintf(path, sizeof path, "/big/d%d/f%d", i % 7, i);
        if (i % 3 == 0)
            ck_assert_int_eq(fixture_create(&f, "root", path, "c", 1, NULL), RC_OK);
        else
            ck_assert_int_eq(fixture_mkdirs(&f, "root", path, 0755, NULL), RC_OK);
    }
    ck_assert_int_eq(fixture_delete(&f, "root", "/big", true, &deleted, NULL), RC_OK);
    ck_assert(deleted);
    ck_assert(!fixture_exists(&f, "/big/d1"));
    while (count("SELECT count(*) FROM reclaim") > 0 && rounds < 100) {
        nn_core_group(f.nn->core, NULL, 0);
        rounds++;
    }
    ck_assert_int_gt(rounds, 1);        /* bounded: not all in one */
    ck_assert_uint_eq(count("SELECT count(*) FROM inodes"), 1);
    ck_assert_uint_eq(count("SELECT count(*) FROM leases"), 0);
    fixture_check_replay(&f);
}
END_TEST

START_TEST(file_held_by_another_client_is_not_created_before_the_soft_limit)
{
    struct why why = { 0 };

    ck_assert_int_eq(fixture_create(&f, "root", "/x", "A", 1, NULL), RC_OK);
    f.clock.now_ms += f.conf.lease_soft_ms;
    ck_assert_int_eq(fixture_create(&f, "root", "/x", "B", 1, &why), RC_BEING_CREATED);
    ck_assert_str_eq(why.text, "Failed to CREATE_FILE /x for B on 10.0.0.1 because this file lease is currently owned by A "
                               "on 10.0.0.1");
    ck_assert_int_eq(fixture_create(&f, "root", "/x", "A", 1, &why), RC_BEING_CREATED);
    ck_assert_str_eq(why.text, "Failed to CREATE_FILE /x for A on 10.0.0.1 because A is already the current lease holder.");
}
END_TEST

static struct nn_inode
inode_of(const char *path)
{
    struct arena arena;
    struct nn_path p;
    struct why why = { 0 };
    struct nn_inode i;

    arena_init(&arena, 1 * MB);
    ck_assert_int_eq(nn_path_lookup(&f.nn->core->db, &arena, span_text(path), &p, &why), RC_OK);
    ck_assert(nn_path_exists(&p));
    i = *nn_path_last(&p);
    arena_fini(&arena);
    return i;
}

START_TEST(renewal_keeps_the_lease_past_the_hard_limit)
{
    RenewLeaseRequestProto q = RENEW_LEASE_REQUEST_PROTO__INIT;

    q.clientname = text_of("A");
    ck_assert_int_eq(fixture_create(&f, "root", "/x", "A", 1, NULL), RC_OK);
    for (int i = 0; i < 4; i++) {
        struct test_call *t = fixture_call(&f, "root", "renewLease", &q.base);

        f.clock.now_ms += f.conf.lease_hard_ms / 2;
        ck_assert_int_eq(fixture_run(&f, t), RC_OK);
        fixture_call_free(t);
        nn_core_group(f.nn->core, NULL, 0);
    }
    ck_assert(inode_of("/x").open);
}
END_TEST

START_TEST(silent_holder_loses_its_empty_file_after_the_hard_limit)
{
    ck_assert_int_eq(fixture_create(&f, "root", "/x", "A", 1, NULL), RC_OK);
    f.clock.now_ms += f.conf.lease_hard_ms + 1;
    nn_core_group(f.nn->core, NULL, 0);
    ck_assert(!inode_of("/x").open);
    ck_assert_uint_eq(count("SELECT count(*) FROM leases"), 0);
    fixture_check_replay(&f);
}
END_TEST

START_TEST(restart_gives_every_holder_a_fresh_limit)
{
    ck_assert_int_eq(fixture_create(&f, "root", "/x", "A", 1, NULL), RC_OK);
    f.clock.now_ms += f.conf.lease_hard_ms + 1;
    fixture_reopen(&f);
    nn_core_group(f.nn->core, NULL, 0);
    ck_assert(inode_of("/x").open);
    ck_assert_uint_eq(nn_lease_idle_ms(f.nn->core, span_text("A")), 0);
}
END_TEST

START_TEST(mkdirs_gives_missing_parents_write_and_execute_for_the_owner)
{
    ck_assert_int_eq(fixture_mkdirs(&f, "root", "/p/q", 0444, NULL), RC_OK);
    ck_assert_uint_eq(inode_of("/p").perm, 0744);
    ck_assert_uint_eq(inode_of("/p/q").perm, 0444);
    ck_assert_uint_eq(inode_of("/").children, 1);
    ck_assert_uint_eq(inode_of("/p").children, 1);
}
END_TEST

START_TEST(mode_is_shown_as_ls_shows_it)
{
    char text[10];

    nn_perm_text(01777, text);
    ck_assert_str_eq(text, "rwxrwxrwt");
    nn_perm_text(01644, text);
    ck_assert_str_eq(text, "rw-r--r-T");
    nn_perm_text(0, text);
    ck_assert_str_eq(text, "---------");
}
END_TEST

START_TEST(listing_goes_on_after_a_name_and_says_how_many_are_left)
{
    GetListingRequestProto q = GET_LISTING_REQUEST_PROTO__INIT;
    struct test_call *t;
    const DirectoryListingProto *l;
    struct why why = { 0 };

    for (int i = 0; i < 25; i++) {
        char path[32];

        snprintf(path, sizeof path, "/l/f%02d", i);
        ck_assert_int_eq(fixture_mkdirs(&f, "root", path, 0755, NULL), RC_OK);
    }
    ck_assert_int_eq(conf_set(&f.conf, "dfs.ls.limit", "10", "test", &why), RC_OK);
    fixture_reopen(&f);
    q.src = text_of("/l");
    q.startafter = text_of("f04");
    t = fixture_call(&f, "root", "getListing", &q.base);
    ck_assert_int_eq(fixture_run(&f, t), RC_OK);
    l = ((const GetListingResponseProto *)(const void *)t->call.reply)->dirlist;
    ck_assert_uint_eq(l->n_partiallisting, 10);
    ck_assert_uint_eq(l->remainingentries, 10);
    ck_assert_mem_eq(l->partiallisting[0]->path.data, "f05", 3);
    fixture_call_free(t);
}
END_TEST

Suite *
suite_nn_names(void)
{
    Suite *s = suite_create("nn_names");
    TCase *c = tcase_create("names");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, names_that_may_be_made_are_told_from_those_that_may_not);
    tcase_add_test(c, path_with_a_nul_is_refused_not_cut_short);
    tcase_add_test(c, stranger_without_execute_on_the_way_is_denied);
    tcase_add_test(c, member_of_the_supergroup_may_do_everything);
    tcase_add_test(c, permissions_switched_off_let_everybody_in);
    tcase_add_test(c, groups_are_asked_for_once_in_five_minutes);
    tcase_add_test(c, sticky_directory_keeps_files_of_others);
    tcase_add_test(c, tree_with_a_directory_that_is_closed_to_the_caller_is_not_deleted);
    tcase_add_test(c, deleted_tree_is_gone_at_once_and_its_rows_soon);
    tcase_add_test(c, file_held_by_another_client_is_not_created_before_the_soft_limit);
    tcase_add_test(c, renewal_keeps_the_lease_past_the_hard_limit);
    tcase_add_test(c, silent_holder_loses_its_empty_file_after_the_hard_limit);
    tcase_add_test(c, restart_gives_every_holder_a_fresh_limit);
    tcase_add_test(c, mkdirs_gives_missing_parents_write_and_execute_for_the_owner);
    tcase_add_test(c, mode_is_shown_as_ls_shows_it);
    tcase_add_test(c, listing_goes_on_after_a_name_and_says_how_many_are_left);
    suite_add_tcase(s, c);
    return s;
}
