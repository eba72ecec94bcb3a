#include "core/conf/conf.h"

#include <string.h>

#include "core/base/mem.h"
#include "core/base/near.h"
#include "core/conf/conf_priv.h"
#include "core/conf/daemon.h"
#include "tests/unit/suites.h"

suite_fn suite_conf;

static struct conf
make_conf(unsigned who)
{
    struct conf c;
    struct why why;

    if (conf_init(&c, who, &why) != RC_OK)
        ck_abort_msg("%s", why.text);
    return c;
}

static void
refuse(struct conf *c, const char *key, const char *value, const char *text)
{
    struct why why;

    ck_assert_int_eq(conf_set(c, key, value, "-D", &why), RC_BAD_CONFIG);
    ck_assert_str_eq(why.text, text);
}

static void
accept(struct conf *c, const char *key, const char *value)
{
    struct why why;

    if (conf_set(c, key, value, "-D", &why) != RC_OK)
        ck_abort_msg("%s", why.text);
}

START_TEST(each_default_passes_its_own_limits_and_the_relations)
{
    struct conf c = make_conf(ALL);
    struct why why;

    if (conf_verify(&c, &why) != RC_OK)
        ck_abort_msg("%s", why.text);
    ck_assert_uint_eq(c.block_bytes, 128 * MB);
    ck_assert_uint_eq(c.replication, 3);
    ck_assert_uint_eq(c.heartbeat_ms, 3000);
    ck_assert_str_eq(c.nn_rpc_bind, "127.0.0.1:8020");
    ck_assert(c.permissions);
    ck_assert_double_eq(c.slowstart, 0.05);
    conf_fini(&c);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(keys_are_unique_and_aliases_lead_to_options)
{
    for (size_t i = 0; i < CONF_ROW_COUNT; i++)
        for (size_t k = i + 1; k < CONF_ROW_COUNT; k++)
            ck_assert_str_ne(conf_rows[i].key, conf_rows[k].key);
    for (const struct conf_alias *a = conf_aliases; a->key != NULL; a++) {
        const struct conf_row *row = conf_row_find(a->key);

        ck_assert_msg(row != NULL, "%s leads to no option", a->key);
        ck_assert_str_eq(row->key, a->now);
    }
}
END_TEST

START_TEST(time_default_is_written_in_seconds_or_milliseconds)
{
    for (size_t i = 0; i < CONF_ROW_COUNT; i++) {
        const char *suffix = conf_rows[i].dflt + strspn(conf_rows[i].dflt, "0123456789");

        if (conf_rows[i].kind == CONF_MSEC)
            ck_assert_msg(strcmp(suffix, "s") == 0 || strcmp(suffix, "ms") == 0, "%s", conf_rows[i].key);
    }
}
END_TEST

START_TEST(bare_time_is_in_the_unit_of_its_key)
{
    struct conf c = make_conf(ALL);

    accept(&c, "dfs.heartbeat.interval", "5");
    ck_assert_uint_eq(c.heartbeat_ms, 5000);
    accept(&c, "mapreduce.task.timeout", "5000");
    ck_assert_uint_eq(c.task_timeout_ms, 5000);
    accept(&c, "mapreduce.task.timeout", "2m");
    ck_assert_uint_eq(c.task_timeout_ms, 120000);
    accept(&c, "dfs.namenode.lease-hard-limit-sec", "7");
    ck_assert_uint_eq(c.lease_hard_ms, 7000);
    conf_fini(&c);
}
END_TEST

START_TEST(bytes_take_units_of_1024)
{
    struct conf c = make_conf(ALL);

    accept(&c, "dfs.blocksize", "64M");
    ck_assert_uint_eq(c.block_bytes, 64 * MB);
    accept(&c, "dfs.block.size", "1048576");
    ck_assert_uint_eq(c.block_bytes, MB);
    ck_assert_str_eq(conf_find(&c, "dfs.blocksize"), "1048576");
    ck_assert_str_eq(conf_find(&c, "dfs.block.size"), "1048576");
    ck_assert_str_eq(conf_origin(&c, "dfs.blocksize"), "-D");
    ck_assert_str_eq(conf_origin(&c, "dfs.replication"), "default");
    ck_assert_ptr_null(conf_origin(&c, "mine"));
    conf_fini(&c);
}
END_TEST

START_TEST(wrong_value_is_refused_with_key_and_reason_and_changes_nothing)
{
    struct conf c = make_conf(ALL);

    refuse(&c, "dfs.replication", "0", "dfs.replication: 0 is below the least value, 1");
    refuse(&c, "dfs.replication", "32768", "dfs.replication: 32768 is above the greatest value, 32767");
    refuse(&c, "dfs.replication", "three", "dfs.replication: \"three\" is not a whole number");
    refuse(&c, "dfs.replication", "-1", "dfs.replication: \"-1\" is not a whole number");
    refuse(&c, "dfs.replication", "3x", "dfs.replication: \"3x\" is not a whole number");
    refuse(&c, "dfs.replication", "", "dfs.replication: \"\" is not a whole number");
    refuse(&c, "dfs.blocksize", "1q", "dfs.blocksize: \"1q\" is not a number of bytes, such as 65536, 64k or 128m");
    refuse(&c, "dfs.blocksize", "99999999999t",
           "dfs.blocksize: \"99999999999t\" is not a number of bytes, such as 65536, 64k or 128m");
    refuse(&c, "dfs.heartbeat.interval", "1w",
           "dfs.heartbeat.interval: \"1w\" is not a time, such as 500ms, 30s, 10m, 1h or 7d");
    refuse(&c, "dfs.permissions.enabled", "maybe", "dfs.permissions.enabled: \"maybe\" is neither true nor false");
    refuse(&c, "dfs.namenode.safemode.threshold-pct", "nan",
           "dfs.namenode.safemode.threshold-pct: \"nan\" is not a number, such as 0.5");
    refuse(&c, "dfs.hosts", "a\nb", "dfs.hosts: has a control character");
    ck_assert_uint_eq(c.replication, 3);
    ck_assert_uint_eq(c.block_bytes, 128 * MB);
    conf_fini(&c);
}
END_TEST

START_TEST(unknown_key_is_refused_with_a_suggestion)
{
    struct conf c = make_conf(ALL);

    refuse(&c, "dfs.replicaton", "3", "dfs.replicaton: unknown key; did you mean dfs.replication?");
    refuse(&c, "dfs.namenode.namedir", "/x", "dfs.namenode.namedir: unknown key; did you mean dfs.namenode.name.dir?");
    refuse(&c, "millrace.no.such.thing.at.all", "3",
           "millrace.no.such.thing.at.all: unknown key; --print-config lists those there are");
    conf_fini(&c);
}
END_TEST

static void
count_extra(void *arg, const char *key, const char *value)
{
    unsigned *n = arg;

    (void)key;
    *n += (unsigned)strlen(value);
}

START_TEST(key_of_a_job_or_a_proxy_rule_is_kept)
{
    struct conf c = make_conf(ALL);
    unsigned sum = 0;

    accept(&c, "hadoop.proxyuser.root.hosts", "*");
    accept(&c, "wordcount.least", "12");
    accept(&c, "wordcount.least", "123");
    ck_assert_str_eq(conf_find(&c, "wordcount.least"), "123");
    ck_assert_str_eq(conf_find(&c, "hadoop.proxyuser.root.hosts"), "*");
    ck_assert_ptr_null(conf_find(&c, "wordcount.most"));
    conf_each_extra(&c, count_extra, &sum);
    ck_assert_uint_eq(sum, 4);
    conf_fini(&c);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(pair_is_split_at_its_first_equals_sign)
{
    struct conf c = make_conf(ALL);
    struct why why;

    ck_assert_int_eq(conf_set_pair(&c, "a.b=c=d", "-D", &why), RC_OK);
    ck_assert_str_eq(conf_find(&c, "a.b"), "c=d");
    ck_assert_int_eq(conf_set_pair(&c, "nothing", "-D", &why), RC_BAD_CONFIG);
    ck_assert_str_eq(why.text, "\"nothing\" is not of the form key=value");
    ck_assert_int_eq(conf_set_pair(&c, "=x", "-D", &why), RC_BAD_CONFIG);
    conf_fini(&c);
}
END_TEST

START_TEST(copy_is_equal_and_independent)
{
    struct conf c = make_conf(NN), d;
    struct why why;

    accept(&c, "dfs.hosts", "/etc/hosts.nn");
    accept(&c, "mine", "1");
    ck_assert_int_eq(conf_copy(&d, &c, &why), RC_OK);
    conf_fini(&c);
    ck_assert_str_eq(d.hosts_file, "/etc/hosts.nn");
    ck_assert_str_eq(conf_find(&d, "mine"), "1");
    ck_assert_str_eq(conf_origin(&d, "dfs.hosts"), "-D");
    ck_assert_uint_eq(d.who, NN);
    conf_fini(&d);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(every_failed_allocation_is_reported_and_leaks_nothing)
{
    enum rc rc = RC_NOMEM;

    for (uint64_t n = 1; rc != RC_OK; n += 7) {
        struct conf c;
        struct why why;

        mem_fail_nth(n);
        if ((rc = conf_init(&c, ALL, &why)) == RC_OK) {
            rc = conf_set(&c, "dfs.hosts", "x", "-D", &why);
            conf_fini(&c);
        }
        mem_fail_nth(0);
        ck_assert(rc == RC_OK || rc == RC_NOMEM);
        ck_assert_uint_eq(mem_live(), 0);
    }
}
END_TEST

struct changes {
    unsigned taken;
    unsigned left;
};

static void
count_change(void *arg, const char *key, const char *before, const char *now, bool taken)
{
    struct changes *changes = arg;

    ck_assert_str_ne(before, now);
    ck_assert_ptr_nonnull(key);
    *(taken ? &changes->taken : &changes->left) += 1;
}

START_TEST(reload_takes_live_options_and_keeps_old_texts_readable)
{
    struct conf c = make_conf(NN), fresh = make_conf(NN);
    struct changes changes = { 0 };
    struct why why;
    const char *before;

    accept(&c, "dfs.hosts", "/old");
    before = c.hosts_file;
    accept(&fresh, "dfs.hosts", "/new");
    accept(&fresh, "dfs.replication", "2");
    accept(&fresh, "dfs.namenode.safemode.threshold-pct", "0.5");
    accept(&fresh, "mapreduce.map.maxattempts", "9");       /* not for a NameNode */
    ck_assert_int_eq(conf_reload(&c, &fresh, count_change, &changes, &why), RC_OK);
    conf_fini(&fresh);
    ck_assert_uint_eq(changes.taken, 2);
    ck_assert_uint_eq(changes.left, 1);
    ck_assert_str_eq(c.hosts_file, "/new");
    ck_assert_str_eq(before, "/old");
    ck_assert_uint_eq(c.replication, 2);
    ck_assert_double_eq(c.safemode_pct, 0.999);
    conf_fini(&c);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(contradicting_options_are_all_named)
{
    struct conf c = make_conf(ALL);
    struct why why;

    accept(&c, "fs.defaultFS", "nn1:8020");
    accept(&c, "dfs.namenode.lease-soft-limit", "2h");
    accept(&c, "fs.permissions.umask-mode", "9");
    accept(&c, "millrace.log.level", "loud");
    ck_assert_int_eq(conf_verify(&c, &why), RC_BAD_CONFIG);
    ck_assert_str_eq(why.text, "fs.defaultFS: not of the form hdfs://host:port\n"
                               "dfs.namenode.lease-soft-limit: above dfs.namenode.lease-hard-limit\n"
                               "fs.permissions.umask-mode: not an octal number such as 022\n"
                               "millrace.log.level: neither error, warn, info nor debug");
    conf_fini(&c);
}
END_TEST

START_TEST(namenode_serves_where_the_filesystem_is_said_to_be)
{
    struct conf c = make_conf(NN);
    struct why why;

    ck_assert_int_eq(conf_derive(&c, &why), RC_OK);
    ck_assert_str_eq(conf_origin(&c, "dfs.namenode.rpc-address"), "default");
    accept(&c, "fs.defaultFS", "hdfs://nn1/");
    ck_assert_int_eq(conf_derive(&c, &why), RC_OK);
    ck_assert_str_eq(c.nn_rpc_bind, "nn1:8020");
    ck_assert_str_eq(conf_origin(&c, "dfs.namenode.rpc-address"), "fs.defaultFS");
    accept(&c, "dfs.namenode.rpc-address", "127.0.0.1:9");
    ck_assert_int_eq(conf_derive(&c, &why), RC_OK);
    ck_assert_str_eq(c.nn_rpc_bind, "127.0.0.1:9");
    conf_fini(&c);
    c = make_conf(NN);
    accept(&c, "fs.defaultFS", "hdfs://10.0.0.1:9000");
    ck_assert_int_eq(conf_derive(&c, &why), RC_OK);
    ck_assert_str_eq(c.nn_rpc_bind, "10.0.0.1:9000");
    conf_fini(&c);
}
END_TEST

START_TEST(address_off_loopback_needs_consent)
{
    static const char *const keys[] = { "dfs.namenode.rpc-address", "dfs.namenode.http-address", NULL };
    struct conf c = make_conf(NN);
    struct why why;

    ck_assert_int_eq(daemon_check_addresses(&c, keys, &why), RC_OK);
    accept(&c, "dfs.namenode.http-address", "0.0.0.0:9870");
    ck_assert_int_eq(daemon_check_addresses(&c, keys, &why), RC_BAD_CONFIG);
    ck_assert_ptr_nonnull(strstr(why.text, "dfs.namenode.http-address = 0.0.0.0:9870"));
    ck_assert_ptr_nonnull(strstr(why.text, "--insecure"));
    accept(&c, "millrace.insecure", "true");
    ck_assert_int_eq(daemon_check_addresses(&c, keys, &why), RC_OK);
    accept(&c, "dfs.namenode.http-address", "127.0.0.1:x");
    ck_assert_int_eq(daemon_check_addresses(&c, keys, &why), RC_BAD_CONFIG);
    ck_assert_ptr_nonnull(strstr(why.text, "dfs.namenode.http-address: "));
    conf_fini(&c);
}
END_TEST

START_TEST(list_is_split_trimmed_and_freed)
{
    char **list = conf_list(" /a , file:///b,, /c d ,");

    ck_assert_str_eq(list[0], "/a");
    ck_assert_str_eq(list[1], "/b");
    ck_assert_str_eq(list[2], "/c d");
    ck_assert_ptr_null(list[3]);
    conf_list_free(list);
    list = conf_list("");
    ck_assert_ptr_null(list[0]);
    conf_list_free(list);
    conf_list_free(NULL);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(distance_counts_swapped_neighbours_once)
{
    ck_assert_uint_eq(near_distance("abc", "abc", 9), 0);
    ck_assert_uint_eq(near_distance("abc", "acb", 9), 1);
    ck_assert_uint_eq(near_distance("abc", "ab", 9), 1);
    ck_assert_uint_eq(near_distance("abc", "xbcd", 9), 2);
    ck_assert_uint_eq(near_distance("", "abcd", 3), 3);
}
END_TEST

Suite *
suite_conf(void)
{
    Suite *s = suite_create("conf");
    TCase *t = tcase_create("conf");

    tcase_add_test(t, each_default_passes_its_own_limits_and_the_relations);
    tcase_add_test(t, keys_are_unique_and_aliases_lead_to_options);
    tcase_add_test(t, time_default_is_written_in_seconds_or_milliseconds);
    tcase_add_test(t, bare_time_is_in_the_unit_of_its_key);
    tcase_add_test(t, bytes_take_units_of_1024);
    tcase_add_test(t, wrong_value_is_refused_with_key_and_reason_and_changes_nothing);
    tcase_add_test(t, unknown_key_is_refused_with_a_suggestion);
    tcase_add_test(t, key_of_a_job_or_a_proxy_rule_is_kept);
    tcase_add_test(t, pair_is_split_at_its_first_equals_sign);
    tcase_add_test(t, copy_is_equal_and_independent);
    tcase_add_test(t, every_failed_allocation_is_reported_and_leaks_nothing);
    tcase_add_test(t, reload_takes_live_options_and_keeps_old_texts_readable);
    tcase_add_test(t, contradicting_options_are_all_named);
    tcase_add_test(t, namenode_serves_where_the_filesystem_is_said_to_be);
    tcase_add_test(t, address_off_loopback_needs_consent);
    tcase_add_test(t, list_is_split_trimmed_and_freed);
    tcase_add_test(t, distance_counts_swapped_neighbours_once);
    suite_add_tcase(s, t);
    return s;
}
