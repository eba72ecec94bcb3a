#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/io/io.h"
#include "tests/unit/suites.h"

suite_fn suite_path;

static const char *
make_dir(char out[64])
{
    snprintf(out, 64, "%s", "/tmp/millrace-path-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(out));
    return out;
}

static const char *
under(const char *dir, const char *name, char out[256])
{
    snprintf(out, 256, "%s/%s", dir, name);
    return out;
}

static bool
note_name(void *arg, const char *name)
{
    char *seen = arg, *end = seen + strlen(seen);

    snprintf(end, 16, "%s ", name);
    return strcmp(name, "stop") != 0;
}

START_TEST(mkdirs_makes_every_level_and_takes_what_is_there)
{
    struct io *io = io_posix();
    char dir[64], path[256];
    struct io_stat st;
    struct why why;

    make_dir(dir);
    ck_assert_int_eq(io_mkdirs(io, under(dir, "a/b/c/", path), 0755, &why), RC_OK);
    ck_assert_int_eq(io_mkdirs(io, under(dir, "a/b/c", path), 0755, &why), RC_OK);
    ck_assert_int_eq(io_stat(io, path, &st, &why), RC_OK);
    ck_assert(st.is_dir);
    ck_assert_int_eq(io_remove_tree(io, dir, &why), RC_OK);
    ck_assert_int_eq(io_stat(io, dir, &st, &why), RC_SYS_NOT_FOUND);
    ck_assert_int_eq(io_remove_tree(io, dir, &why), RC_OK);
}
END_TEST

START_TEST(mkdirs_below_a_file_is_refused)
{
    struct io *io = io_posix();
    char dir[64], path[256];
    struct why why;

    make_dir(dir);
    ck_assert_int_eq(io_write_file(io, under(dir, "f", path), "x", 1, &why), RC_OK);
    ck_assert_int_eq(io_mkdirs(io, under(dir, "f/g", path), 0755, &why), RC_SYS_NOT_DIR);
    ck_assert_int_eq(io_remove_tree(io, dir, &why), RC_OK);
}
END_TEST

START_TEST(a_written_file_is_read_back_and_replaced)
{
    struct io *io = io_posix();
    char dir[64], path[256];
    struct why why;
    uint8_t *p;
    size_t n;

    make_dir(dir);
    ck_assert_int_eq(io_write_file(io, under(dir, "f", path), "first", 5, &why), RC_OK);
    ck_assert_int_eq(io_write_file(io, path, "2nd", 3, &why), RC_OK);
    ck_assert_int_eq(io_read_file(io, path, 3, &p, &n, &why), RC_OK);
    ck_assert_uint_eq(n, 3);
    ck_assert_str_eq((char *)p, "2nd");
    mem_free(p);
    ck_assert_int_eq(io_read_file(io, path, 2, &p, &n, &why), RC_BAD_FORMAT);
    ck_assert_int_eq(io_remove_tree(io, dir, &why), RC_OK);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(a_link_is_deleted_and_not_followed)
{
    struct io *io = io_posix();
    char dir[64], kept[256], tree[256], link[256];
    struct io_stat st;
    struct why why;

    make_dir(dir);
    ck_assert_int_eq(io_mkdirs(io, under(dir, "kept/inside", kept), 0755, &why), RC_OK);
    ck_assert_int_eq(io_mkdirs(io, under(dir, "tree", tree), 0755, &why), RC_OK);
    ck_assert_int_eq(symlink(kept, under(dir, "tree/link", link)), 0);
    ck_assert_int_eq(io_remove_tree(io, tree, &why), RC_OK);
    ck_assert_int_eq(io_stat(io, kept, &st, &why), RC_OK);
    ck_assert_int_eq(io_remove_tree(io, dir, &why), RC_OK);
}
END_TEST

START_TEST(list_is_in_byte_order_and_can_be_stopped)
{
    static const char *const names[] = { "z", "a", "stop", "\xc3\xa4", "B" };
    struct io *io = io_posix();
    char dir[64], path[256], seen[256] = "";
    struct why why;

    make_dir(dir);
    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(io_mkdir(io, under(dir, names[i], path), 0755, &why), RC_OK);
    ck_assert_int_eq(io_list(io, dir, note_name, seen, &why), RC_OK);
    ck_assert_str_eq(seen, "B a stop ");
    ck_assert_int_eq(io_remove_tree(io, dir, &why), RC_OK);
}
END_TEST

START_TEST(a_second_lock_is_busy)
{
    struct io *io = io_posix();
    char dir[64], path[256];
    struct why why;
    int a, b;

    make_dir(dir);
    under(dir, "lock", path);
    ck_assert_int_eq(io_open(io, path, IO_READ | IO_WRITE | IO_CREATE, &a, &why), RC_OK);
    ck_assert_int_eq(io_open(io, path, IO_READ | IO_WRITE, &b, &why), RC_OK);
    ck_assert_int_eq(io_lock(io, a, &why), RC_OK);
    ck_assert_int_eq(io_lock(io, b, &why), RC_BUSY);
    io_close(io, a);
    ck_assert_int_eq(io_lock(io, b, &why), RC_OK);
    io_close(io, b);
    ck_assert_int_eq(io_remove_tree(io, dir, &why), RC_OK);
}
END_TEST

START_TEST(write_file_survives_every_allocation_failure)
{
    struct io *io = io_posix();
    char dir[64], path[256];
    enum rc rc = RC_NOMEM;
    struct why why;

    make_dir(dir);
    under(dir, "a/b", path);
    for (uint64_t n = 1; rc != RC_OK; n++) {
        mem_fail_nth(n);
        if ((rc = io_mkdirs(io, path, 0755, &why)) == RC_OK)
            rc = io_write_file(io, under(dir, "a/b/f", path), "x", 1, &why);
        mem_fail_nth(0);
        ck_assert(rc == RC_OK || rc == RC_NOMEM);
        under(dir, "a/b", path);
    }
    ck_assert_uint_eq(mem_live(), 0);
    ck_assert_int_eq(io_remove_tree(io, dir, &why), RC_OK);
}
END_TEST

Suite *
suite_path(void)
{
    Suite *s = suite_create("path");
    TCase *t = tcase_create("path");

    tcase_add_test(t, mkdirs_makes_every_level_and_takes_what_is_there);
    tcase_add_test(t, mkdirs_below_a_file_is_refused);
    tcase_add_test(t, a_written_file_is_read_back_and_replaced);
    tcase_add_test(t, a_link_is_deleted_and_not_followed);
    tcase_add_test(t, list_is_in_byte_order_and_can_be_stopped);
    tcase_add_test(t, a_second_lock_is_busy);
    tcase_add_test(t, write_file_survives_every_allocation_failure);
    suite_add_tcase(s, t);
    return s;
}
