#include "core/conf/conf.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "tests/unit/suites.h"

suite_fn suite_conf_file;

/* Load text as a file with that name, in a folder that is gone afterwards; paths in why lose the folder. */
static enum rc
load(struct conf *c, unsigned who, const char *name, const char *text, struct why *why)
{
    char dir[] = "/tmp/conf-test-XXXXXX";
    FILE *f;
    enum rc rc;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(chdir(dir), 0);
    ck_assert_ptr_nonnull(f = fopen(name, "w"));
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(conf_init(c, who, why), RC_OK);
    why->text[0] = '\0';
    rc = conf_load(c, name, why);
    unlink(name);
    ck_assert_int_eq(chdir("/"), 0);
    rmdir(dir);
    return rc;
}

START_TEST(keys_comments_and_indentation_are_read)
{
    struct why why;
    struct conf c;

    ck_assert_int_eq(load(&c, NN, "a.conf",
        "# a comment\n"
        "fs.defaultFS = hdfs://10.0.0.1:8020   ; where it is\n"
        "\n"
        "[all]\n"
        "   dfs.replication=2\n"
        "\tdfs.blocksize = 64m\r\n"
        "hadoop.proxyuser.root.hosts = *", &why), RC_OK);
    ck_assert_str_eq(c.fs_default, "hdfs://10.0.0.1:8020");
    ck_assert_uint_eq(c.replication, 2);
    ck_assert_uint_eq(c.block_bytes, 64 * MB);
    ck_assert_str_eq(conf_find(&c, "hadoop.proxyuser.root.hosts"), "*");
    ck_assert_str_eq(conf_origin(&c, "dfs.replication"), "a.conf:5");
    conf_fini(&c);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(section_of_another_program_is_checked_and_not_taken)
{
    struct why why;
    struct conf c;

    ck_assert_int_eq(load(&c, DN, "a.conf",
        "[namenode]\nmillrace.log.level = debug\n[datanode]\ndfs.heartbeat.interval = 1s\n", &why), RC_OK);
    ck_assert_str_eq(c.log_level, "info");
    ck_assert_uint_eq(c.heartbeat_ms, 1000);
    conf_fini(&c);
    ck_assert_int_eq(load(&c, DN, "a.conf", "[namenode]\ndfs.replication = 0\n", &why), RC_BAD_CONFIG);
    ck_assert_str_eq(why.text, "a.conf:2: dfs.replication: 0 is below the least value, 1");
    conf_fini(&c);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(every_problem_is_listed_with_file_and_line)
{
    struct why why;
    struct conf c;

    ck_assert_int_eq(load(&c, NN, "a.conf",
        "dfs.replicaton = 2\n"
        "junk\n"
        "dfs.replication = 2\n"
        "[name]\n"
        "dfs.blocksize = 1\n", &why), RC_BAD_CONFIG);
    ck_assert_str_eq(why.text,
        "a.conf:2: neither \"key = value\" nor \"[section]\"\n"
        "a.conf:1: dfs.replicaton: unknown key; did you mean dfs.replication?\n"
        "a.conf:5: [name]: unknown section; there are [all], [namenode], [datanode], [jobtracker], [tasktracker] "
        "and [client]");
    ck_assert_uint_eq(c.replication, 2);
    conf_fini(&c);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(more_problems_than_fit_are_counted)
{
    char text[100 * 10 + 1];
    struct why why;
    struct conf c;

    for (size_t i = 0; i < 100; i++)
        memcpy(text + 10 * i, "dfs.x = 1\n", 11);
    ck_assert_int_eq(load(&c, NN, "a.conf", text, &why), RC_BAD_CONFIG);
    ck_assert_ptr_nonnull(strstr(why.text, "a.conf:12: "));
    ck_assert_ptr_null(strstr(why.text, "a.conf:13: "));
    ck_assert_ptr_nonnull(strstr(why.text, "\na.conf: and 88 more"));
    conf_fini(&c);
}
END_TEST

START_TEST(long_value_is_read_whole)
{
    static const char key[] = "dfs.datanode.data.dir = ";
    struct why why;
    struct conf c;
    struct buf b;
    size_t n;

    buf_init(&b, 4 * KB);
    buf_put_str(&b, key);
    for (int i = 0; i < 60; i++)
        buf_printf(&b, "/srv/disk%02d/with a long name/#%d;,", i, i);
    n = b.n;
    buf_put(&b, " ; sixty disks\ndfs.replication = 2\n", 36);
    ck_assert_int_eq(load(&c, DN, "a.conf", (const char *)b.p, &why), RC_OK);
    b.p[n] = '\0';
    ck_assert_str_eq(c.dn_dirs, (const char *)b.p + strlen(key));
    buf_fini(&b);
    ck_assert_uint_eq(c.replication, 2);
    ck_assert_str_eq(conf_origin(&c, "dfs.replication"), "a.conf:2");
    conf_fini(&c);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(missing_or_binary_file_is_refused)
{
    struct why why;
    struct conf c;

    ck_assert_int_eq(conf_init(&c, NN, &why), RC_OK);
    ck_assert_int_eq(conf_load(&c, "/nonexistent/x.conf", &why), RC_BAD_CONFIG);
    ck_assert_str_eq(why.text, "/nonexistent/x.conf: No such file or directory");
    ck_assert_int_eq(conf_load(&c, "/proc/self/exe", &why), RC_BAD_CONFIG);
    conf_fini(&c);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

static void
count_unknown(void *arg, const char *key, const char *from)
{
    ck_assert_str_eq(key, "dfs.nameservices");
    ck_assert_str_eq(from, "hdfs-site.xml:9");
    ++*(int *)arg;
}

START_TEST(hadoop_site_file_is_read_and_unknown_keys_are_noted)
{
    struct why why;
    struct conf c;
    int unknown = 0;

    setenv("NAME_DIR", "/data/nn", 1);
    ck_assert_int_eq(load(&c, NN, "hdfs-site.xml",
        "<?xml version=\"1.0\"?>\n"
        "<?xml-stylesheet type=\"text/xsl\" href=\"configuration.xsl\"?>\n"
        "<!-- site -->\n"
        "<configuration>\n"
        "  <property><name>dfs.replication</name><value> 2 </value><final>true</final></property>\n"
        "  <property><name>dfs.namenode.rpc-address</name><value>10.0.0.1:9000</value>\n"
        "     <description>a &lt;b&gt;</description></property>\n"
        "  <property><name>dfs.namenode.name.dir</name><value>file://${env.NAME_DIR}/${dfs.replication}/${x}</value></property>\n"
        "  <property><name>dfs.nameservices</name><value>a&amp;b</value></property>\n"
        "</configuration>\n", &why), RC_OK);
    ck_assert_uint_eq(c.replication, 2);
    ck_assert_str_eq(c.nn_rpc_bind, "10.0.0.1:9000");
    ck_assert_str_eq(c.nn_dirs, "file:///data/nn/2/${x}");
    ck_assert_str_eq(conf_find(&c, "dfs.nameservices"), "a&b");
    conf_each_unknown(&c, count_unknown, &unknown);
    ck_assert_int_eq(unknown, 1);
    conf_fini(&c);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(folder_gives_its_site_files_in_order)
{
    char dir[] = "/tmp/conf-test-XXXXXX";
    struct why why;
    struct conf c;
    FILE *f;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(conf_init(&c, NN, &why), RC_OK);
    ck_assert_int_eq(conf_load(&c, dir, &why), RC_BAD_CONFIG);
    ck_assert_ptr_nonnull(strstr(why.text, ": has none of core-site.xml, hdfs-site.xml"));
    ck_assert_int_eq(chdir(dir), 0);
    ck_assert_ptr_nonnull(f = fopen("core-site.xml", "w"));
    fputs("<configuration><property><name>fs.defaultFS</name><value>hdfs://a</value></property>"
          "<property><name>dfs.replication</name><value>4</value></property></configuration>", f);
    fclose(f);
    ck_assert_ptr_nonnull(f = fopen("hdfs-site.xml", "w"));
    fputs("<configuration><property><name>dfs.replication</name><value>2</value></property></configuration>", f);
    fclose(f);
    ck_assert_int_eq(conf_load(&c, dir, &why), RC_OK);
    ck_assert_str_eq(c.fs_default, "hdfs://a");
    ck_assert_uint_eq(c.replication, 2);
    conf_fini(&c);
    unlink("core-site.xml");
    unlink("hdfs-site.xml");
    ck_assert_int_eq(chdir("/"), 0);
    rmdir(dir);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(every_failed_allocation_while_loading_leaks_nothing)
{
    static const char text[] = "dfs.hosts = /a\n[datanode]\ndfs.replication = 2\n[namenode]\nmine = 1\n";
    char path[] = "/tmp/conf-test-XXXXXX";
    int fd = mkstemp(path);
    enum rc rc = RC_NOMEM;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    for (uint64_t n = 1; rc != RC_OK; n += n % 50 == 0 ? 40 : 1) {
        struct why why;
        struct conf c;

        ck_assert_int_eq(conf_init(&c, NN, &why), RC_OK);
        mem_fail_nth(n);
        rc = conf_load(&c, path, &why);
        mem_fail_nth(0);
        ck_assert_msg(rc == RC_OK || rc == RC_NOMEM || rc == RC_BAD_CONFIG, "%s", why.text);
        conf_fini(&c);
        ck_assert_uint_eq(mem_live(), 0);
    }
    unlink(path);
}
END_TEST

START_TEST(malformed_site_file_is_refused_with_its_line)
{
    struct why why;
    struct conf c;

    ck_assert_int_eq(load(&c, NN, "x.xml", "<configuration>\n<property>\n</configuration>\n", &why), RC_BAD_CONFIG);
    ck_assert_str_eq(why.text, "x.xml:3: mismatched tag");
    conf_fini(&c);
    ck_assert_int_eq(load(&c, NN, "x.xml", "<configuration><property><value>1</value></property></configuration>",
                          &why), RC_BAD_CONFIG);
    ck_assert_str_eq(why.text, "x.xml:1: <property> without <name>");
    conf_fini(&c);
    ck_assert_int_eq(load(&c, NN, "x.xml", "<html/>", &why), RC_BAD_CONFIG);
    ck_assert_str_eq(why.text, "x.xml:1: not a <configuration>");
    conf_fini(&c);
    ck_assert_int_eq(load(&c, NN, "x.xml", "<!DOCTYPE x [<!ENTITY a \"b\">]>\n<configuration/>", &why), RC_BAD_CONFIG);
    ck_assert_str_eq(why.text, "x.xml:1: document types are not read");
    conf_fini(&c);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

Suite *
suite_conf_file(void)
{
    Suite *s = suite_create("conf_file");
    TCase *t = tcase_create("conf_file");

    tcase_add_test(t, keys_comments_and_indentation_are_read);
    tcase_add_test(t, section_of_another_program_is_checked_and_not_taken);
    tcase_add_test(t, every_problem_is_listed_with_file_and_line);
    tcase_add_test(t, more_problems_than_fit_are_counted);
    tcase_add_test(t, long_value_is_read_whole);
    tcase_add_test(t, missing_or_binary_file_is_refused);
    tcase_add_test(t, hadoop_site_file_is_read_and_unknown_keys_are_noted);
    tcase_add_test(t, folder_gives_its_site_files_in_order);
    tcase_add_test(t, every_failed_allocation_while_loading_leaks_nothing);
    tcase_add_test(t, malformed_site_file_is_refused_with_its_line);
    suite_add_tcase(s, t);
    return s;
}
