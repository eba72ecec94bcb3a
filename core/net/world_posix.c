#include "core/net/net.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/rng.h"
#include "core/io/io.h"
#include "core/io/thread.h"

static uint64_t
px_mono_us(struct clock *c)
{
    struct timespec ts;

    (void)c;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t
px_wall_ms(struct clock *c)
{
    struct timespec ts;

    (void)c;
    CHECK(clock_gettime(CLOCK_REALTIME, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t
px_random(struct rng *r)
{
    uint64_t v;
    ssize_t n;

    (void)r;
    do {
        n = getrandom(&v, sizeof v, 0);
    } while (n < 0 && errno == EINTR);
    CHECK(n == (ssize_t)sizeof v);
    return v;
}

static const struct clock px_clock = { .mono_us = px_mono_us, .wall_ms = px_wall_ms };
static const struct rng px_rng = { .next = px_random };

void
world_posix(struct world *ret)
{
    *ret = (struct world){
        .clock = (struct clock *)&px_clock,     /* neither is ever written to */
        .rng = (struct rng *)&px_rng,
        .io = io_posix(),
        .threads = threads_posix(),
        .net = net_posix(),
    };
}
