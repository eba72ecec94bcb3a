/*
 * loop -- one thread that serves many connections.
 *
 * A loop owns a poller, timers and a queue of posted functions.  Everything
 * registered with it runs on the thread that is inside loop_run.  Callbacks
 * must not block.
 */
#ifndef CORE_NET_LOOP_H
#define CORE_NET_LOOP_H

#include <stdint.h>

#include "core/base/rc.h"
#include "core/base/world.h"

struct loop;
struct loop_timer;

enum rc loop_new(const struct world *w, struct loop **ret, struct why *why) MUST_CHECK;
void loop_free(struct loop *l);

/* Watch sock for events (NET_READ | NET_WRITE); 0 removes it.  arg is borrowed. */
enum rc loop_watch(struct loop *l, int sock, unsigned events, void (*fn)(void *arg, unsigned events), void *arg,
                   struct why *why) MUST_CHECK;

/* Call fn once after delay_ms; cancelling one that ran is not allowed. */
enum rc loop_timer_add(struct loop *l, uint64_t delay_ms, void (*fn)(void *arg), void *arg, struct loop_timer **ret) MUST_CHECK;
void loop_timer_cancel(struct loop *l, struct loop_timer *t);

/* From any thread: run fn(arg) on the loop's thread soon.  RC_STOPPED when it has ended. */
enum rc loop_post(struct loop *l, void (*fn)(void *arg), void *arg) MUST_CHECK;

void loop_run(struct loop *l);          /* until loop_stop */
void loop_stop(struct loop *l);         /* from any thread */

#endif
