#include "core/net/idle.h"

#include <string.h>

#include "core/io/thread.h"
#include "tests/unit/suites.h"

suite_fn suite_idle;

/* Sockets are numbers below 100, open until they are closed. */
struct fake {
    struct net net;
    struct net_ops ops;
    struct clock clock;
    uint64_t now_us;
    bool closed[100], ended[100], talks[100];
    struct world w;
    struct dtp_idle *idle;
};

static uint64_t
fake_mono_us(struct clock *c)
{
    return ((struct fake *)((char *)c - offsetof(struct fake, clock)))->now_us;
}

static void
fake_close(struct net *n, int sock)
{
    ck_assert(!((struct fake *)n)->closed[sock]);
    ((struct fake *)n)->closed[sock] = true;
}

static enum rc
fake_try_read(struct net *n, int sock, void *p, size_t cap, size_t *ret_n, struct why *why)
{
    struct fake *f = (struct fake *)n;

    (void)p;
    (void)cap;
    (void)why;
    if (f->ended[sock])
        return RC_CLOSED;
    *ret_n = f->talks[sock];
    return RC_OK;
}

static const struct net_addr here = { .host = "10.0.0.1", .port = 9866 }, there = { .host = "10.0.0.2", .port = 9866 };

static void
begin(struct fake *f)
{
    memset(f, 0, sizeof *f);
    f->ops = (struct net_ops){ .close = fake_close, .try_read = fake_try_read };
    f->net.ops = &f->ops;
    f->clock.mono_us = fake_mono_us;
    f->w = (struct world){ .clock = &f->clock, .threads = threads_posix(), .net = &f->net };
    ck_assert_int_eq(dtp_idle_new(&f->w, &f->idle, NULL), RC_OK);
}

static void
put(struct fake *f, const struct net_addr *to, int sock)
{
    struct dtp_conn c;

    ck_assert_int_eq(dtp_conn_init(&c, &f->w, sock, 1, 1, NULL), RC_OK);
    dtp_idle_put(f->idle, to, &c);
    ck_assert_int_eq(c.sock, -1);
}

/* The socket that is given out, -1 for none. */
static int
take(struct fake *f, const struct net_addr *to)
{
    struct dtp_conn c;
    int sock;

    if (!dtp_idle_take(f->idle, to, 1, 1, &c))
        return -1;
    sock = c.sock;
    dtp_conn_fini(&c);
    return sock;
}

START_TEST(the_latest_connection_to_the_peer_is_given_out_once)
{
    struct fake f;

    begin(&f);
    put(&f, &here, 1);
    put(&f, &there, 2);
    put(&f, &here, 3);
    ck_assert_int_eq(take(&f, &here), 3);
    ck_assert_int_eq(take(&f, &here), 1);
    ck_assert_int_eq(take(&f, &here), -1);
    ck_assert(!f.closed[2]);
    dtp_idle_free(f.idle);
    ck_assert(f.closed[2]);
}
END_TEST

START_TEST(one_that_its_peer_has_ended_or_spoken_on_is_closed_instead)
{
    struct fake f;

    begin(&f);
    for (int sock = 1; sock <= 3; sock++)
        put(&f, &here, sock);
    f.ended[3] = true;
    f.talks[2] = true;
    ck_assert_int_eq(take(&f, &here), 1);
    ck_assert(f.closed[2] && f.closed[3]);
    dtp_idle_free(f.idle);
}
END_TEST

START_TEST(one_that_was_kept_too_long_is_closed)
{
    struct fake f;

    begin(&f);
    put(&f, &here, 1);
    put(&f, &there, 2);
    f.now_us = 3000000;
    ck_assert_int_eq(take(&f, &here), -1);
    ck_assert(f.closed[1] && !f.closed[2]);
    put(&f, &here, 3);
    ck_assert(f.closed[2] && !f.closed[3]);
    dtp_idle_free(f.idle);
}
END_TEST

START_TEST(when_too_many_are_kept_the_oldest_goes)
{
    struct fake f;

    begin(&f);
    for (int sock = 1; sock <= 64; sock++)
        put(&f, &here, sock);
    ck_assert(!f.closed[1]);
    put(&f, &there, 65);
    ck_assert(f.closed[1] && !f.closed[2]);
    dtp_idle_free(f.idle);
}
END_TEST

START_TEST(one_with_bytes_that_nobody_took_is_not_kept)
{
    struct dtp_conn c;
    struct fake f;

    begin(&f);
    ck_assert_int_eq(dtp_conn_init(&c, &f.w, 1, 1, 1, NULL), RC_OK);
    c.in_n = 1;
    dtp_idle_put(f.idle, &here, &c);
    ck_assert(f.closed[1]);
    ck_assert_int_eq(take(&f, &here), -1);
    dtp_idle_free(f.idle);
}
END_TEST

Suite *
suite_idle(void)
{
    Suite *s = suite_create("idle");
    TCase *t = tcase_create("connections");

    tcase_add_test(t, the_latest_connection_to_the_peer_is_given_out_once);
    tcase_add_test(t, one_that_its_peer_has_ended_or_spoken_on_is_closed_instead);
    tcase_add_test(t, one_that_was_kept_too_long_is_closed);
    tcase_add_test(t, when_too_many_are_kept_the_oldest_goes);
    tcase_add_test(t, one_with_bytes_that_nobody_took_is_not_kept);
    suite_add_tcase(s, t);
    return s;
}
