#include <stdio.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/io/thread.h"
#include "core/net/loop.h"
#include "core/net/net.h"
#include "tests/unit/suites.h"

suite_fn suite_loop;

#define SOCKS 4

/* A world whose poller says what the test wants and whose clock moves only when the poller waits. */
struct rig {
    struct world w;
    struct clock clock;
    struct net net;
    struct net_ops ops;
    struct loop *loop;
    uint64_t now_us;
    unsigned wakes, all_wakes;
    void *tags[SOCKS];          /* of watched sockets */
    unsigned events[SOCKS];
    bool ready[SOCKS];          /* say so in the next wait */
    char trace[256];
    struct loop_timer *timer;
    void (*in_wait)(struct rig *r);     /* once */
};

static uint64_t
fake_mono(struct clock *c)
{
    return CONTAINER_OF(c, struct rig, clock)->now_us;
}

static enum rc
fake_poller_new(struct net *n, struct net_poller **ret, struct why *why)
{
    (void)why;
    *ret = (struct net_poller *)n;      /* there is one; it is never looked into */
    return RC_OK;
}

static void
fake_poller_free(struct net *n, struct net_poller *p)
{
    (void)n;
    (void)p;
}

static enum rc
fake_poller_set(struct net *n, struct net_poller *p, int sock, unsigned events, void *tag, struct why *why)
{
    struct rig *r = CONTAINER_OF(n, struct rig, net);

    (void)p;
    (void)why;
    r->tags[sock] = tag;
    r->events[sock] = events;
    return RC_OK;
}

static enum rc
fake_poller_wait(struct net *n, struct net_poller *p, uint64_t deadline_ms, struct net_ready *out, size_t max,
                 size_t *ret_n, struct why *why)
{
    struct rig *r = CONTAINER_OF(n, struct rig, net);
    size_t count = 0;

    (void)p;
    (void)max;
    (void)why;
    if (r->in_wait != NULL)
        r->in_wait(r);
    r->in_wait = NULL;
    for (int sock = 0; sock < SOCKS; sock++) {
        if (!r->ready[sock] || r->events[sock] == 0)
            continue;
        r->ready[sock] = false;
        out[count++] = (struct net_ready){ r->tags[sock], r->events[sock] };
    }
    if (count == 0 && r->wakes == 0) {
        ck_assert_msg(deadline_ms != FOREVER, "nothing will ever happen");
        if (deadline_ms * 1000 > r->now_us)
            r->now_us = deadline_ms * 1000;
    }
    r->wakes = 0;
    *ret_n = count;
    return RC_OK;
}

static void
fake_poller_wake(struct net *n, struct net_poller *p)
{
    (void)p;
    CONTAINER_OF(n, struct rig, net)->wakes++;
    CONTAINER_OF(n, struct rig, net)->all_wakes++;
}

static void
rig_init(struct rig *r)
{
    struct why why;

    memset(r, 0, sizeof *r);
    r->clock.mono_us = fake_mono;
    r->ops = (struct net_ops){ .poller_new = fake_poller_new, .poller_free = fake_poller_free,
                               .poller_set = fake_poller_set, .poller_wait = fake_poller_wait,
                               .poller_wake = fake_poller_wake };
    r->net.ops = &r->ops;
    r->w = (struct world){ .clock = &r->clock, .net = &r->net, .threads = threads_posix() };
    r->now_us = 1000000;
    ck_assert_int_eq(loop_new(&r->w, &r->loop, &why), RC_OK);
}

static void
rig_fini(struct rig *r)
{
    loop_free(r->loop);
    ck_assert_uint_eq(mem_live(), 0);
}

static void
trace(struct rig *r, const char *what)
{
    size_t n = strlen(r->trace);

    snprintf(r->trace + n, sizeof r->trace - n, "%s@%lu ", what, (unsigned long)(r->now_us / 1000 - 1000));
}

static void on_a(void *arg) { trace(arg, "a"); }
static void on_b(void *arg) { trace(arg, "b"); }
static void on_c(void *arg) { trace(arg, "c"); }

static void
on_end(void *arg)
{
    trace(arg, "end");
    loop_stop(((struct rig *)arg)->loop);
}

static void
on_cancel(void *arg)
{
    struct rig *r = arg;

    trace(r, "cancel");
    loop_timer_cancel(r->loop, r->timer);
}

static struct loop_timer *
add(struct rig *r, uint64_t delay_ms, void (*fn)(void *arg))
{
    struct loop_timer *t;

    ck_assert_int_eq(loop_timer_add(r->loop, delay_ms, fn, r, &t), RC_OK);
    return t;
}

START_TEST(timers_run_at_their_time_and_in_order)
{
    struct rig r;

    rig_init(&r);
    add(&r, 30, on_c);
    add(&r, 10, on_a);
    add(&r, 50, on_end);
    add(&r, 30, on_b);
    add(&r, 20, on_a);
    loop_run(r.loop);
    ck_assert_str_eq(r.trace, "a@10 a@20 c@30 b@30 end@50 ");
    rig_fini(&r);
}
END_TEST

START_TEST(a_cancelled_timer_does_not_run)
{
    struct rig r;

    rig_init(&r);
    r.timer = add(&r, 20, on_b);
    add(&r, 10, on_cancel);
    add(&r, 40, on_end);
    loop_run(r.loop);
    ck_assert_str_eq(r.trace, "cancel@10 end@40 ");
    rig_fini(&r);
}
END_TEST

START_TEST(many_timers_run_sorted)
{
    struct rig r;
    struct loop_timer *odd[50];

    rig_init(&r);
    for (unsigned i = 0; i < 100; i++) {
        struct loop_timer *t = add(&r, 1 + (i * 37) % 100, i % 2 ? on_b : on_a);
        if (i % 2)
            odd[i / 2] = t;
    }
    for (unsigned i = 0; i < 50; i++)
        loop_timer_cancel(r.loop, odd[i]);
    add(&r, 8, on_end);
    loop_run(r.loop);       /* of 1 + 37 i mod 100 with even i: 1, 3, 5, 7 */
    ck_assert_str_eq(r.trace, "a@1 a@3 a@5 a@7 end@8 ");
    rig_fini(&r);
}
END_TEST

static void
post_three(struct rig *r)
{
    ck_assert_int_eq(loop_post(r->loop, on_a, r), RC_OK);
    ck_assert_int_eq(loop_post(r->loop, on_b, r), RC_OK);
    ck_assert_int_eq(loop_post(r->loop, on_end, r), RC_OK);
}

START_TEST(posts_run_in_order_with_one_wake)
{
    struct rig r;

    rig_init(&r);
    add(&r, 5, on_a);
    r.in_wait = post_three;
    loop_run(r.loop);
    ck_assert_str_eq(r.trace, "a@0 b@0 end@0 ");
    ck_assert_uint_eq(r.all_wakes, 2);      /* of the first post, and of loop_stop */
    ck_assert_int_eq(loop_post(r.loop, on_a, &r), RC_STOPPED);
    rig_fini(&r);
}
END_TEST

START_TEST(posts_to_a_loop_that_is_awake_run_without_a_wake)
{
    struct rig r;

    rig_init(&r);
    post_three(&r);
    ck_assert_uint_eq(r.all_wakes, 0);
    loop_run(r.loop);
    ck_assert_str_eq(r.trace, "a@0 b@0 end@0 ");
    rig_fini(&r);
}
END_TEST

static void
on_sock_closing_next(void *arg, unsigned events)
{
    struct rig *r = arg;
    struct why why;

    (void)events;
    trace(r, "first");
    ck_assert_int_eq(loop_watch(r->loop, 2, 0, NULL, NULL, &why), RC_OK);
}

static void
on_sock(void *arg, unsigned events)
{
    trace(arg, events & NET_WRITE ? "write" : "read");
}

START_TEST(a_watch_removed_in_a_batch_is_not_called)
{
    struct why why;
    struct rig r;

    rig_init(&r);
    ck_assert_int_eq(loop_watch(r.loop, 1, NET_READ, on_sock_closing_next, &r, &why), RC_OK);
    ck_assert_int_eq(loop_watch(r.loop, 2, NET_READ, on_sock, &r, &why), RC_OK);
    ck_assert_int_eq(loop_watch(r.loop, 3, NET_READ, on_sock, &r, &why), RC_OK);
    ck_assert_int_eq(loop_watch(r.loop, 3, NET_WRITE, on_sock, &r, &why), RC_OK);
    r.ready[1] = r.ready[2] = r.ready[3] = true;
    add(&r, 5, on_end);
    loop_run(r.loop);
    ck_assert_str_eq(r.trace, "first@0 write@0 end@5 ");
    ck_assert_int_eq(loop_watch(r.loop, 1, 0, NULL, NULL, &why), RC_OK);
    ck_assert_int_eq(loop_watch(r.loop, 3, 0, NULL, NULL, &why), RC_OK);
    rig_fini(&r);
}
END_TEST

Suite *
suite_loop(void)
{
    Suite *s = suite_create("loop");
    TCase *t = tcase_create("loop");

    tcase_add_test(t, timers_run_at_their_time_and_in_order);
    tcase_add_test(t, a_cancelled_timer_does_not_run);
    tcase_add_test(t, many_timers_run_sorted);
    tcase_add_test(t, posts_run_in_order_with_one_wake);
    tcase_add_test(t, posts_to_a_loop_that_is_awake_run_without_a_wake);
    tcase_add_test(t, a_watch_removed_in_a_batch_is_not_called);
    suite_add_tcase(s, t);
    return s;
}
