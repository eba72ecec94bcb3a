/*
 * net_sockets -- net_posix on the kernel's sockets.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/attr.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/io/io.h"
#include "core/io/thread.h"
#include "core/net/net.h"
#include "tests/unit/suites.h"

#define SECOND 1000

/* A listener and two ends of a connection to it. */
struct rig {
    struct world w;
    struct net *net;
    struct net_addr at, peer;
    int listener, a, b;
    char dir[64];
    struct why why;
};

static uint64_t
in_ms(struct rig *r, uint64_t ms)
{
    return clock_deadline(r->w.clock, ms);
}

static void
rig_init(struct rig *r, bool is_unix)
{
    struct net_addr at = { .host = "127.0.0.1" };

    memset(r, 0, sizeof *r);
    world_posix(&r->w);
    r->net = r->w.net;
    snprintf(r->dir, sizeof r->dir, "%s", "/tmp/millrace-net-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(r->dir));
    if (is_unix)
        snprintf(at.host, sizeof at.host, "%s/sock", r->dir);
    ck_assert_msg(net_listen(r->net, &at, &r->listener, &r->at, &r->why) == RC_OK, "%s", r->why.text);
    ck_assert_int_eq(net_connect(r->net, &r->at, in_ms(r, SECOND), &r->a, &r->why), RC_OK);
    ck_assert_int_eq(net_accept(r->net, r->listener, in_ms(r, SECOND), &r->b, &r->peer, &r->why), RC_OK);
}

static void
rig_fini(struct rig *r)
{
    if (r->a >= 0)
        net_close(r->net, r->a);
    if (r->b >= 0)
        net_close(r->net, r->b);
    if (r->listener >= 0)
        net_close(r->net, r->listener);
    ck_assert_int_eq(io_remove_tree(r->w.io, r->dir, &r->why), RC_OK);
    ck_assert_uint_eq(mem_live(), 0);
}

static int
make_file(struct rig *r, size_t n, uint8_t **ret)
{
    char path[128];
    int fd;

    *ret = mem_alloc(n);
    for (size_t i = 0; i < n; i++)
        (*ret)[i] = (uint8_t)(i * 31 + i / 977);
    snprintf(path, sizeof path, "%s/data", r->dir);
    ck_assert_int_eq(io_open(r->w.io, path, IO_READ | IO_WRITE | IO_CREATE, &fd, &r->why), RC_OK);
    ck_assert_int_eq(io_pwrite(r->w.io, fd, *ret, n, 0, &r->why), RC_OK);
    return fd;
}

START_TEST(addresses_of_both_ends_agree)
{
    struct net_addr addr;
    struct rig r;

    rig_init(&r, false);
    ck_assert_int_eq(r.net->ops->local(r.net, r.a, &addr, &r.why), RC_OK);
    ck_assert_str_eq(addr.host, "127.0.0.1");
    ck_assert_uint_eq(addr.port, r.peer.port);
    ck_assert_int_eq(r.net->ops->peer(r.net, r.a, &addr, &r.why), RC_OK);
    ck_assert_uint_eq(addr.port, r.at.port);
    rig_fini(&r);
}
END_TEST

START_TEST(a_port_in_use_is_said_to_be)
{
    struct net_addr bound;
    struct rig r;
    int sock;

    rig_init(&r, false);
    ck_assert_int_eq(net_listen(r.net, &r.at, &sock, &bound, &r.why), RC_ADDRESS_IN_USE);
    ck_assert_ptr_nonnull(strstr(r.why.text, "127.0.0.1:"));
    net_close(r.net, r.listener);
    r.listener = -1;
    ck_assert_int_eq(net_connect(r.net, &r.at, in_ms(&r, SECOND), &sock, &r.why), RC_REFUSED);
    rig_fini(&r);
}
END_TEST

START_TEST(reads_end_at_their_deadline_and_at_the_end)
{
    uint8_t byte;
    struct rig r;
    size_t n;

    rig_init(&r, false);
    ck_assert_int_eq(net_read(r.net, r.a, &byte, 1, in_ms(&r, 20), &n, &r.why), RC_TIMEOUT);
    ck_assert_int_eq(r.net->ops->try_read(r.net, r.a, &byte, 1, &n, &r.why), RC_OK);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(net_write(r.net, r.b, "xy", 2, FOREVER, &r.why), RC_OK);
    r.net->ops->shutdown_write(r.net, r.b);
    ck_assert_int_eq(net_read(r.net, r.a, &byte, 1, in_ms(&r, SECOND), &n, &r.why), RC_OK);
    ck_assert_int_eq(net_read_all(r.net, r.a, &byte, 1, in_ms(&r, SECOND), &r.why), RC_OK);
    ck_assert_int_eq(net_read(r.net, r.a, &byte, 1, in_ms(&r, SECOND), &n, &r.why), RC_CLOSED);
    ck_assert_int_eq(net_accept(r.net, r.listener, in_ms(&r, 20), &r.listener, &r.peer, &r.why), RC_TIMEOUT);
    rig_fini(&r);
}
END_TEST

START_TEST(a_write_that_nobody_reads_ends_at_its_deadline)
{
    size_t n = 64 * MB;
    uint8_t *p = mem_zalloc(n);
    struct rig r;

    rig_init(&r, false);
    ck_assert_int_eq(net_write(r.net, r.a, p, n, in_ms(&r, 50), &r.why), RC_TIMEOUT);
    net_close(r.net, r.b);
    r.b = -1;
    ck_assert_int_eq(net_write(r.net, r.a, p, n, in_ms(&r, SECOND), &r.why), RC_CLOSED);
    mem_free(p);
    rig_fini(&r);
}
END_TEST

struct blocked {
    struct rig *r;
    enum rc read, accept;
};

static void
block(void *arg)
{
    struct blocked *b = arg;
    struct net_addr peer;
    struct why why;
    uint8_t byte;
    size_t n;
    int sock;

    b->read = net_read(b->r->net, b->r->a, &byte, 1, FOREVER, &n, &why);
    b->accept = net_accept(b->r->net, b->r->listener, FOREVER, &sock, &peer, &why);
}

/* Over TCP and over a Unix socket. */
START_TEST(shutdown_wakes_whoever_blocks)
{
    struct thread *thread;
    struct blocked b;
    struct rig r;

    rig_init(&r, _i == 1);
    b = (struct blocked){ .r = &r };
    ck_assert_int_eq(thread_spawn(r.w.threads, "block", block, &b, &thread, &r.why), RC_OK);
    thread_sleep_until(r.w.threads, in_ms(&r, 20));     /* so that it blocks, most likely */
    net_shutdown(r.net, r.a);
    thread_sleep_until(r.w.threads, in_ms(&r, 20));
    net_shutdown(r.net, r.listener);
    thread_join(r.w.threads, thread);
    ck_assert_int_eq(b.read, RC_CLOSED);
    ck_assert_int_eq(b.accept, RC_CLOSED);
    rig_fini(&r);
}
END_TEST

struct reader {
    struct rig *r;
    uint8_t *p;
    size_t n;
    enum rc rc;
};

static void
read_whole(void *arg)
{
    struct reader *reader = arg;
    struct why why;

    reader->rc = net_read_all(reader->r->net, reader->r->b, reader->p, reader->n, FOREVER, &why);
}

START_TEST(send_file_sends_the_range_and_notices_a_short_file)
{
    size_t n = 5 * MB;
    struct thread *thread;
    struct reader reader;
    uint8_t *data;
    struct rig r;
    int fd;

    rig_init(&r, false);
    fd = make_file(&r, n, &data);
    reader = (struct reader){ .r = &r, .n = n - 12345, .p = mem_alloc(n) };
    ck_assert_int_eq(thread_spawn(r.w.threads, "reader", read_whole, &reader, &thread, &r.why), RC_OK);
    ck_assert_int_eq(r.net->ops->send_file(r.net, r.a, fd, 12345, n - 12345, in_ms(&r, 10 * SECOND), &r.why), RC_OK);
    thread_join(r.w.threads, thread);
    ck_assert_int_eq(reader.rc, RC_OK);
    ck_assert_mem_eq(reader.p, data + 12345, reader.n);
    ck_assert_int_eq(r.net->ops->send_file(r.net, r.a, fd, n - 10, 11, in_ms(&r, SECOND), &r.why), RC_EOF);
    net_close(r.net, r.b);      /* no SIGPIPE ends this process */
    r.b = -1;
    ck_assert_int_eq(r.net->ops->send_file(r.net, r.a, fd, 0, n, in_ms(&r, SECOND), &r.why), RC_CLOSED);
    io_close(r.w.io, fd);
    mem_free(reader.p);
    mem_free(data);
    rig_fini(&r);
}
END_TEST

START_TEST(write2_sends_both_runs)
{
    uint8_t *p = mem_zalloc(3 * MB), *q = mem_alloc(3 * MB);
    struct thread *thread;
    struct reader reader;
    struct rig r;

    rig_init(&r, false);
    memset(q, 7, 3 * MB);
    reader = (struct reader){ .r = &r, .n = 6 * MB, .p = mem_alloc(6 * MB) };
    ck_assert_int_eq(thread_spawn(r.w.threads, "reader", read_whole, &reader, &thread, &r.why), RC_OK);
    ck_assert_int_eq(r.net->ops->write2(r.net, r.a, p, 3 * MB, q, 3 * MB, in_ms(&r, 10 * SECOND), &r.why), RC_OK);
    thread_join(r.w.threads, thread);
    ck_assert_int_eq(reader.rc, RC_OK);
    ck_assert_mem_eq(reader.p, p, 3 * MB);
    ck_assert_mem_eq(reader.p + 3 * MB, q, 3 * MB);
    mem_free(reader.p);
    mem_free(p);
    mem_free(q);
    rig_fini(&r);
}
END_TEST

START_TEST(descriptors_pass_over_a_unix_socket)
{
    uint8_t *data, got[16];
    int fd, both[2], fds[4];
    size_t n, count;
    struct rig r;

    rig_init(&r, true);
    fd = make_file(&r, 1000, &data);
    both[0] = both[1] = fd;
    ck_assert_int_eq(r.net->ops->write_fds(r.net, r.a, "hello", 5, both, 2, in_ms(&r, SECOND), &r.why), RC_OK);
    ck_assert_int_eq(r.net->ops->write_fds(r.net, r.a, "none", 4, NULL, 0, in_ms(&r, SECOND), &r.why), RC_OK);
    ck_assert_int_eq(r.net->ops->read_fds(r.net, r.b, got, 5, in_ms(&r, SECOND), &n, fds, 4, &count, &r.why), RC_OK);
    ck_assert_uint_eq(n, 5);
    ck_assert_mem_eq(got, "hello", 5);
    ck_assert_uint_eq(count, 2);
    ck_assert_int_eq(io_pread(r.w.io, fds[1], got, 10, 500, &n, &r.why), RC_OK);
    ck_assert_mem_eq(got, data + 500, 10);
    io_close(r.w.io, fds[0]);
    io_close(r.w.io, fds[1]);
    ck_assert_int_eq(r.net->ops->read_fds(r.net, r.b, got, 16, in_ms(&r, SECOND), &n, fds, 4, &count, &r.why), RC_OK);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(r.net->ops->read_fds(r.net, r.b, got, 16, in_ms(&r, 20), &n, fds, 4, &count, &r.why), RC_TIMEOUT);
    io_close(r.w.io, fd);
    mem_free(data);
    rig_fini(&r);
}
END_TEST

START_TEST(descriptors_nobody_asked_for_are_closed)
{
    int many[8], fds[1], probe, after;
    uint8_t *data, got[16];
    size_t n, count;
    struct rig r;
    int fd;

    rig_init(&r, true);
    fd = make_file(&r, 10, &data);
    for (size_t i = 0; i < 8; i++)
        many[i] = fd;
    probe = dup(fd);
    close(probe);
    ck_assert_int_eq(r.net->ops->write_fds(r.net, r.a, "x", 1, many, 8, in_ms(&r, SECOND), &r.why), RC_OK);
    ck_assert_int_eq(r.net->ops->read_fds(r.net, r.b, got, 16, in_ms(&r, SECOND), &n, fds, 1, &count, &r.why), RC_OK);
    ck_assert_uint_eq(count, 1);
    io_close(r.w.io, fds[0]);
    after = dup(fd);
    ck_assert_int_eq(after, probe);     /* the lowest free number is the same: none was kept */
    close(after);
    io_close(r.w.io, fd);
    mem_free(data);
    rig_fini(&r);
}
END_TEST

START_TEST(a_socket_file_left_by_the_dead_is_replaced_one_in_use_is_not)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    struct net_addr at, bound;
    struct rig r;
    int sock;

    rig_init(&r, true);
    ck_assert_int_eq(net_listen(r.net, &r.at, &sock, &bound, &r.why), RC_ADDRESS_IN_USE);
    at = r.at;
    snprintf(at.host, sizeof at.host, "%s/old", r.dir);
    snprintf(un.sun_path, sizeof un.sun_path, "%s/old", r.dir);
    sock = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(sock, (struct sockaddr *)&un, sizeof un), 0);
    close(sock);
    ck_assert_int_eq(net_listen(r.net, &at, &sock, &bound, &r.why), RC_OK);
    net_close(r.net, sock);
    rig_fini(&r);
}
END_TEST

START_TEST(a_poller_tells_what_is_ready_and_wakes)
{
    struct net_poller *p;
    struct net_ready ready[4];
    struct rig r;
    size_t n;

    rig_init(&r, false);
    ck_assert_int_eq(r.net->ops->poller_new(r.net, &p, &r.why), RC_OK);
    ck_assert_int_eq(r.net->ops->poller_set(r.net, p, r.a, NET_READ, &r.a, &r.why), RC_OK);
    ck_assert_int_eq(r.net->ops->poller_wait(r.net, p, in_ms(&r, 10), ready, 4, &n, &r.why), RC_OK);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(r.net->ops->poller_set(r.net, p, r.a, NET_READ | NET_WRITE, &r.a, &r.why), RC_OK);
    ck_assert_int_eq(r.net->ops->poller_wait(r.net, p, FOREVER, ready, 4, &n, &r.why), RC_OK);
    ck_assert_uint_eq(n, 1);
    ck_assert_ptr_eq(ready[0].tag, &r.a);
    ck_assert_uint_eq(ready[0].events, NET_WRITE);
    ck_assert_int_eq(r.net->ops->poller_set(r.net, p, r.a, NET_READ, &r.a, &r.why), RC_OK);
    ck_assert_int_eq(r.net->ops->poller_set(r.net, p, r.b, NET_READ, &r.b, &r.why), RC_OK);
    ck_assert_int_eq(net_write(r.net, r.a, "x", 1, FOREVER, &r.why), RC_OK);
    ck_assert_int_eq(net_write(r.net, r.b, "x", 1, FOREVER, &r.why), RC_OK);
    ck_assert_int_eq(r.net->ops->poller_wait(r.net, p, FOREVER, ready, 1, &n, &r.why), RC_OK);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(r.net->ops->poller_wait(r.net, p, FOREVER, ready, 1, &n, &r.why), RC_OK);
    ck_assert_uint_eq(n, 1);            /* what did not fit comes the next time */
    ck_assert_int_eq(r.net->ops->poller_set(r.net, p, r.a, 0, NULL, &r.why), RC_OK);
    ck_assert_int_eq(r.net->ops->poller_set(r.net, p, r.b, 0, NULL, &r.why), RC_OK);
    r.net->ops->poller_wake(r.net, p);
    r.net->ops->poller_wake(r.net, p);
    ck_assert_int_eq(r.net->ops->poller_wait(r.net, p, FOREVER, ready, 4, &n, &r.why), RC_OK);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(r.net->ops->poller_wait(r.net, p, in_ms(&r, 10), ready, 4, &n, &r.why), RC_OK);
    r.net->ops->poller_free(r.net, p);
    rig_fini(&r);
}
END_TEST

static Suite *
suite_net_sockets(void)
{
    Suite *s = suite_create("net_sockets");
    TCase *t = tcase_create("net_sockets");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, addresses_of_both_ends_agree);
    tcase_add_test(t, a_port_in_use_is_said_to_be);
    tcase_add_test(t, reads_end_at_their_deadline_and_at_the_end);
    tcase_add_test(t, a_write_that_nobody_reads_ends_at_its_deadline);
    tcase_add_loop_test(t, shutdown_wakes_whoever_blocks, 0, 2);
    tcase_add_test(t, send_file_sends_the_range_and_notices_a_short_file);
    tcase_add_test(t, write2_sends_both_runs);
    tcase_add_test(t, descriptors_pass_over_a_unix_socket);
    tcase_add_test(t, descriptors_nobody_asked_for_are_closed);
    tcase_add_test(t, a_socket_file_left_by_the_dead_is_replaced_one_in_use_is_not);
    tcase_add_test(t, a_poller_tells_what_is_ready_and_wakes);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(suite_net_sockets)
