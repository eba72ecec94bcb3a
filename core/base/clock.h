/*
 * clock -- what time it is.
 *
 * mono never goes back and is what every deadline is made of; wall is the
 * calendar (milliseconds since 1970, UTC) and is only for what people and
 * protocols see: modification times, log lines.  CLOCK_MONOTONIC starts
 * anywhere, so a mono time means nothing to another process.
 */
#ifndef CORE_BASE_CLOCK_H
#define CORE_BASE_CLOCK_H

#include <stdint.h>

#define FOREVER UINT64_MAX      /* a deadline that never comes */

struct clock {
    uint64_t (*mono_us)(struct clock *c);
    uint64_t (*wall_ms)(struct clock *c);
};

static inline uint64_t clock_mono_us(struct clock *c) { return c->mono_us(c); }
static inline uint64_t clock_mono_ms(struct clock *c) { return c->mono_us(c) / 1000; }
static inline uint64_t clock_wall_ms(struct clock *c) { return c->wall_ms(c); }

/* The deadline (mono, ms) that is timeout_ms from now; FOREVER stays FOREVER. */
static inline uint64_t clock_deadline(struct clock *c, uint64_t timeout_ms)
{
    return timeout_ms == FOREVER ? FOREVER : clock_mono_ms(c) + timeout_ms;
}

#endif
