/*
 * simsched -- nodes, fibers, the order in which they run, and the trace.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/check.h"
#include "core/io/sqlvfs.h"
#include "tests/sim/sim_priv.h"
#include "tests/sim/simworld.h"

#if defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#endif
#endif
#ifdef SIM_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define STACK_BYTES (2 * MB)
#else
#define STACK_BYTES (512 * KB)
#endif

#define GUARD_BYTES (16 * KB)

void *
sim_alloc(size_t n)
{
    struct mem_heap *was = sim_heap_enter();
    void *p = mem_zalloc(n);

    CHECK(p != NULL);
    sim_heap_leave(was);
    return p;
}

void *
sim_grow(void *p, size_t count, size_t *cap, size_t size)
{
    struct mem_heap *was;

    if (count < *cap)
        return p;
    *cap = *cap == 0 ? 16 : *cap * 2;
    was = sim_heap_enter();
    p = mem_realloc(p, *cap * size);
    CHECK(p != NULL);
    sim_heap_leave(was);
    return p;
}

void
sim_mix(struct sim *s, uint64_t v)
{
    s->fingerprint = (s->fingerprint ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    s->fingerprint ^= s->fingerprint >> 29;
}

/* The trace. */

static void
trace_line(struct sim *s, const char *level, const char *event, const char *text)
{
    const char *node = s->running != NULL ? s->running->node->name : "-";

    sim_mix(s, s->now_us);
    for (const char *p = event; *p != '\0'; p++)
        sim_mix(s, (uint8_t)*p);
    for (const char *p = text; *p != '\0'; p++)
        sim_mix(s, (uint8_t)*p);
    if (s->options.trace != NULL)
        fprintf(s->options.trace, "%6llu.%06llu %-6s %s%s%s%s%s\n", (unsigned long long)(s->now_us / 1000000),
                (unsigned long long)(s->now_us % 1000000), node, level, level[0] != '\0' ? " " : "", event,
                text[0] != '\0' ? " " : "", text);
}

static void
on_log(void *arg, enum log_level level, const char *event, const char *text)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };
    struct sim *s = arg;

    if (level <= LOG_WARN)
        s->warnings++;
    trace_line(s, names[level], event, text);
}

void
sim_note(struct sim *s, const char *event, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (unsigned i = 0; i < SIM_HAPPENINGS; i++)
        s->happened[i] += strcmp(event, sim_happenings[i]) == 0;
    trace_line(s, "", event, text);
}

/* Events: things that happen at a time, in the order they were asked for. */

static bool
event_is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->seq < b->seq;
}

void
sim_after(struct sim *s, uint64_t delay_us, void (*fn)(struct sim *s, void *arg), void *arg)
{
    struct sim_event e = { s->now_us + delay_us, s->seq++, fn, arg };
    size_t i;

    s->events = sim_grow(s->events, s->event_count, &s->event_cap, sizeof e);
    for (i = s->event_count++; i > 0 && event_is_before(&e, &s->events[(i - 1) / 2]); i = (i - 1) / 2)
        s->events[i] = s->events[(i - 1) / 2];
    s->events[i] = e;
}

static struct sim_event
event_take(struct sim *s)
{
    struct sim_event first = s->events[0], last = s->events[--s->event_count];
    size_t i = 0, child;

    while ((child = 2 * i + 1) < s->event_count) {
        if (child + 1 < s->event_count && event_is_before(&s->events[child + 1], &s->events[child]))
            child++;
        if (!event_is_before(&s->events[child], &last))
            break;
        s->events[i] = s->events[child];
        i = child;
    }
    s->events[i] = last;
    return first;
}

/* Fibers. */

static void
ready_add(struct sim *s, struct thread *t)
{
    t->state = FIBER_READY;
    s->ready = sim_grow(s->ready, s->ready_count, &s->ready_cap, sizeof *s->ready);
    t->ready_at = s->ready_count;
    s->ready[s->ready_count++] = t;
}

static void
ready_remove(struct sim *s, struct thread *t)
{
    struct thread *last = s->ready[--s->ready_count];

    s->ready[t->ready_at] = last;
    last->ready_at = t->ready_at;
}

static void
waitq_remove(struct thread *t)
{
    if (t->on == NULL)
        return;
    if (t->q_prev != NULL)
        t->q_prev->q_next = t->q_next;
    else
        t->on->head = t->q_next;
    if (t->q_next != NULL)
        t->q_next->q_prev = t->q_prev;
    t->on = NULL;
}

static void
waitq_add(struct sim_waitq *q, struct thread *t)
{
    struct thread *last = q->head;

    while (last != NULL && last->q_next != NULL)
        last = last->q_next;
    t->on = q;
    t->q_next = NULL;
    t->q_prev = last;
    if (last != NULL)
        last->q_next = t;
    else
        q->head = t;
}

static void
fiber_wake(struct sim *s, struct thread *t, bool timed_out)
{
    waitq_remove(t);
    t->timed_out = timed_out;
    ready_add(s, t);
}

void
sim_wake_one(struct sim *s, struct sim_waitq *q)
{
    struct thread *t;
    size_t n = 0;

    for (t = q->head; t != NULL; t = t->q_next)
        n++;
    if (n == 0)
        return;
    n = rng_below(&s->rng.rng, n);
    for (t = q->head; n > 0; n--)
        t = t->q_next;
    fiber_wake(s, t, false);
}

void
sim_wake_all(struct sim *s, struct sim_waitq *q)
{
    while (q->head != NULL)
        fiber_wake(s, q->head, false);
}

struct sim_stacks {
    void **free;
    size_t count, cap;
};

struct sim_stacks *sim_stacks_new(void) { return sim_alloc(sizeof(struct sim_stacks)); }

void
sim_stacks_free(struct sim_stacks *k)
{
    if (k == NULL)
        return;
    while (k->count > 0)
        (void)munmap((char *)k->free[--k->count] - GUARD_BYTES, STACK_BYTES + GUARD_BYTES);    /* was mapped so */
    mem_free(k->free);
    mem_free(k);
}

static void *
stack_new(struct sim *s)
{
    char *p;

    if (s->stacks->count > 0)
        return s->stacks->free[--s->stacks->count];
    p = mmap(NULL, STACK_BYTES + GUARD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK(mprotect(p, GUARD_BYTES, PROT_NONE) == 0);
    return p + GUARD_BYTES;
}

static void
stack_free(struct sim *s, void *stack)
{
#ifdef SIM_ASAN
    ASAN_UNPOISON_MEMORY_REGION(stack, STACK_BYTES);
#endif
    s->stacks->free = sim_grow(s->stacks->free, s->stacks->count, &s->stacks->cap, sizeof *s->stacks->free);
    s->stacks->free[s->stacks->count++] = stack;
}

void
sim_fiber_free(struct sim *s, struct thread *t)
{
    struct mem_heap *was;

    waitq_remove(t);
    if (t->state == FIBER_READY)
        ready_remove(s, t);
    if (t->all_prev != NULL)
        t->all_prev->all_next = t->all_next;
    else
        s->fibers = t->all_next;
    if (t->all_next != NULL)
        t->all_next->all_prev = t->all_prev;
    if (t->stack != NULL)
        stack_free(s, t->stack);
    was = sim_heap_enter();
    mem_free(t);
    sim_heap_leave(was);
}

/* Leave the running context for another (NULL: the loop); comes back when somebody switches here. */
static void
context_switch(struct sim *s, struct thread *from, struct thread *to)
{
    struct sim_context *old = from != NULL ? &from->context : &s->loop, *new = to != NULL ? &to->context : &s->loop;
    struct mem_heap *heap = mem_heap_use(NULL);

    s->running = to;
#ifdef SIM_ASAN
    void **fake = from != NULL ? &from->fake_stack : &s->loop_fake_stack;

    __sanitizer_start_switch_fiber(from != NULL && from->state == FIBER_DONE ? NULL : fake,
                                   to != NULL ? to->stack : s->loop_stack, to != NULL ? STACK_BYTES : s->loop_stack_bytes);
#endif
    sim_context_switch(old, new);
#ifdef SIM_ASAN
    __sanitizer_finish_switch_fiber(from != NULL ? from->fake_stack : s->loop_fake_stack, NULL, NULL);
#endif
    (void)mem_heap_use(heap);
}

static void
fiber_main(void *arg)
{
    struct thread *t = arg;
    struct sim *s = t->node->sim;

#ifdef SIM_ASAN
    const void *bottom;
    size_t size;

    __sanitizer_finish_switch_fiber(NULL, &bottom, &size);
    if (s->loop_stack == NULL) {        /* the first fiber is always started by the loop */
        s->loop_stack = bottom;
        s->loop_stack_bytes = size;
    }
#endif
    (void)mem_heap_use(t->node->heap);
    t->fn(t->arg);
    (void)mem_heap_use(NULL);
    ready_remove(s, t);
    t->state = FIBER_DONE;
    sim_wake_all(s, &t->joiners);
    s->ended = t;
    context_switch(s, t, NULL);
    abort();
}

struct thread *
sim_fiber_new(struct sim_node *n, const char *name, void (*fn)(void *arg), void *arg)
{
    struct sim *s = n->sim;
    struct thread *t = sim_alloc(sizeof *t);

    t->node = n;
    (void)snprintf(t->name, sizeof t->name, "%s", name);
    t->id = ++s->seq;
    t->fn = fn;
    t->arg = arg;
    t->deadline_us = FOREVER;
    t->stack = stack_new(s);
    sim_context_init(&t->context, t->stack, STACK_BYTES, fiber_main, t);
    if (s->fibers != NULL)
        s->fibers->all_prev = t;
    t->all_next = s->fibers;
    s->fibers = t;
    ready_add(s, t);
    return t;
}

/* Scheduling. */

static void
deadlines_fire(struct sim *s)
{
    uint64_t next = FOREVER;

    if (s->now_us < s->next_deadline_us)
        return;
    for (struct thread *t = s->fibers; t != NULL; t = t->all_next) {
        if (t->state != FIBER_WAITING)
            continue;
        if (t->deadline_us <= s->now_us)
            fiber_wake(s, t, true);
        else if (t->deadline_us < next)
            next = t->deadline_us;
    }
    s->next_deadline_us = next;
}

static void
fail_with_dump(struct sim *s, const char *what)
{
    size_t n = (size_t)snprintf(s->failure, sizeof s->failure, "%s at %llu us; fibers:", what,
                                (unsigned long long)s->now_us);

    for (const struct thread *t = s->fibers; t != NULL && n < sizeof s->failure; t = t->all_next)
        n += (size_t)snprintf(s->failure + n, sizeof s->failure - n, "\n    %s/%s: %s", t->node->name, t->name,
                              t->state == FIBER_READY ? "ready" : t->state == FIBER_DONE ? "ended" : t->doing);
    s->has_failed = true;
}

static bool
fiber_is_paused(const struct sim *s, const struct thread *t)
{
    return s->now_us < t->node->paused_until_us;
}

/* One of the ready fibers, as the seed says; NULL when all of them belong to paused nodes. */
static struct thread *
ready_draw(struct sim *s)
{
    size_t count = 0, n;

    if (s->now_us >= s->paused_until_us)
        return s->ready_count == 0 ? NULL : s->ready[s->ready_count == 1 ? 0 : rng_below(&s->rng.rng, s->ready_count)];
    for (size_t i = 0; i < s->ready_count; i++)
        count += !fiber_is_paused(s, s->ready[i]);
    n = rng_below(&s->rng.rng, count);
    for (size_t i = 0; i < s->ready_count; i++)
        if (!fiber_is_paused(s, s->ready[i]) && n-- == 0)
            return s->ready[i];
    return NULL;
}

/* When a paused node with a ready fiber goes on. */
static uint64_t
pause_end(const struct sim *s)
{
    uint64_t end = FOREVER;

    for (size_t i = 0; i < s->ready_count; i++)
        if (fiber_is_paused(s, s->ready[i]) && s->ready[i]->node->paused_until_us < end)
            end = s->ready[i]->node->paused_until_us;
    return end;
}

/* The fiber to run next; NULL when the history is over or nothing will ever happen. */
static struct thread *
fiber_pick(struct sim *s)
{
    for (;;) {
        struct thread *t;
        uint64_t next;

        while (s->event_count > 0 && s->events[0].at_us <= s->now_us) {
            struct sim_event e = event_take(s);

            e.fn(s, e.arg);
        }
        deadlines_fire(s);
        if (s->is_over || s->has_failed)
            return NULL;
        if ((t = ready_draw(s)) != NULL) {
            sim_mix(s, t->id ^ s->now_us << 20);
            return t;
        }
        next = s->next_deadline_us;
        if (s->event_count > 0 && s->events[0].at_us < next)
            next = s->events[0].at_us;
        if (pause_end(s) < next)
            next = pause_end(s);
        if (next == FOREVER)
            fail_with_dump(s, "deadlock: every fiber waits and nothing is to come");
        else if (next / 1000 > s->options.limit_ms)
            fail_with_dump(s, "the history takes too long");
        else
            s->now_us = next;
    }
}

void
sim_reschedule(struct sim *s)
{
    struct thread *self = s->running, *next = fiber_pick(s);

    if (next != self)
        context_switch(s, self, next);
}

bool
sim_wait(struct sim *s, struct sim_waitq *q, uint64_t deadline_us, const char *doing)
{
    struct thread *t = s->running;

    if (deadline_us <= s->now_us) {     /* others may still run first */
        sim_reschedule(s);
        return false;
    }
    ready_remove(s, t);
    t->state = FIBER_WAITING;
    t->doing = doing;
    t->deadline_us = deadline_us;
    if (deadline_us < s->next_deadline_us)
        s->next_deadline_us = deadline_us;
    if (q != NULL)
        waitq_add(q, t);
    sim_reschedule(s);
    t->deadline_us = FOREVER;
    return !t->timed_out;
}

void
sim_point(struct sim *s, enum sim_point p)
{
    struct sim_node *n = s->running->node;

    s->steps++;
    s->now_us++;
    n->points[p]++;
    if (n->crash_in > 0 && (n->crash_point == SIM_POINT_ANY || n->crash_point == p) && --n->crash_in == 0) {
        s->dying = n;
        s->dying_how = n->crash_how;
        context_switch(s, s->running, NULL);
        abort();                        /* a dead fiber was run */
    }
    if (s->now_us / 1000 > s->options.limit_ms && !s->has_failed)
        fail_with_dump(s, "the history takes too long");
    if (s->has_failed || s->now_us < n->paused_until_us || rng_below(&s->rng.rng, 3) == 0)
        sim_reschedule(s);
}

/* Nodes. */

static struct sim_node *
node_new(struct sim *s, struct sim_node *machine, const char *name, const char *address)
{
    struct sim_node *n = sim_alloc(sizeof *n), **end;

    n->sim = s;
    n->machine = machine != NULL ? machine : n;
    (void)snprintf(n->name, sizeof n->name, "%s", name);
    (void)snprintf(n->address, sizeof n->address, "%s", address);
    n->clock = (struct clock){ sim_clock_mono, sim_clock_wall };
    rng_seed(&n->rng, rng_u64(&s->rng.rng));
    n->threads.ops = &sim_threads_ops;
    n->mono_offset_us = machine != NULL ? machine->mono_offset_us : rng_below(&s->rng.rng, UINT64_C(1) << 32) * 1000;
    sim_disk_init(n);
    sim_net_init(n);
    sim_pipes_init(n);
    n->world = (struct world){ &n->clock, &n->rng.rng, &n->io, &n->threads, &n->net };
    for (end = &s->nodes; *end != NULL; end = &(*end)->next)
        ;
    *end = n;
    return n;
}

static struct sim_node *
node_up(struct sim_node *n)
{
    n->heap = mem_heap_new();
    CHECK(n->heap != NULL);
    n->is_up = true;
    n->incarnation++;
    return n;
}

struct sim_node *
sim_node_new(struct sim *s, const char *name, const char *address)
{
    struct sim_node *n = node_new(s, NULL, name, address);

    CHECK(s->node_count < SIM_NODES_MAX);
    n->index = s->node_count++;
    return node_up(n);
}

struct sim_node *
sim_node_new_on(struct sim_node *machine, struct sim_node *parent, const char *name)
{
    struct sim_node *n = node_new(machine->sim, machine->machine, name, machine->address);

    n->index = machine->index;
    n->parent = parent;
    return parent == NULL ? node_up(n) : n;
}

const char *sim_node_name(const struct sim_node *n) { return n->name; }
const struct world *sim_node_world(const struct sim_node *n) { return &n->world; }
bool sim_node_is_up(const struct sim_node *n) { return n->is_up; }
unsigned sim_node_boots(const struct sim_node *n) { return n->incarnation; }

uint64_t
sim_node_points(const struct sim_node *n, enum sim_point p)
{
    uint64_t sum = 0;

    if (p < SIM_POINT_KINDS)
        return n->points[p];
    for (size_t i = 0; i < SIM_POINT_KINDS; i++)
        sum += n->points[i];
    return sum;
}

void
sim_node_spawn(struct sim_node *n, const char *name, void (*fn)(void *arg), void *arg)
{
    CHECK(n->is_up);
    sim_fiber_new(n, name, fn, arg)->is_detached = true;
}

/* One process ends, and those that die with it. */
static void
process_end(struct sim_node *n, enum sim_crash how)
{
    struct sim *s = n->sim;
    struct thread *next;

    for (struct sim_node *child = s->nodes; child != NULL; child = child->next)
        if (child->parent == n && child->is_up)
            process_end(child, how);
    for (struct thread *t = s->fibers; t != NULL; t = t->all_next)
        if (t->node == n)
            waitq_remove(t);        /* first all: one may wait for the end of another */
    for (struct thread *t = s->fibers; t != NULL; t = next) {
        next = t->all_next;
        if (t->node == n)
            sim_fiber_free(s, t);
    }
    n->is_up = false;
    n->lost_power = how == SIM_POWER;
    n->crash_in = 0;
    sim_net_crash(n, how);
    sim_pipes_crash(n);
    sim_disk_crash(n);
    sqlvfs_forget(&n->world);
    mem_heap_drop(n->heap);
    n->heap = NULL;
}

static void
node_drop(struct sim_node *n, enum sim_crash how)
{
    sim_note(n->sim, "crash", "node=%s how=%s", n->name, how == SIM_KILL ? "kill" : "power");
    process_end(n, how);
    if (how != SIM_POWER)
        return;
    for (struct sim_node *other = n->sim->nodes; other != NULL; other = other->next) {
        if (other->machine != n->machine)
            continue;
        if (other->is_up)
            process_end(other, how);
        other->lost_power = true;
    }
    sim_disk_lose(n->machine);
}

void
sim_node_crash(struct sim_node *n, enum sim_crash how)
{
    CHECK(n->sim->running == NULL || n->sim->running->node != n);
    if (n->is_up)
        node_drop(n, how);
}

void
sim_node_crash_at(struct sim_node *n, enum sim_point p, uint64_t nth, enum sim_crash how)
{
    n->crash_point = p;
    n->crash_in = nth;
    n->crash_how = how;
}

void
sim_node_pause(struct sim_node *n, uint64_t ms)
{
    n->paused_until_us = n->sim->now_us + ms * 1000;
    if (n->paused_until_us > n->sim->paused_until_us)
        n->sim->paused_until_us = n->paused_until_us;
    sim_note(n->sim, "paused", "node=%s ms=%llu", n->name, (unsigned long long)ms);
}

void
sim_node_boot(struct sim_node *n)
{
    CHECK(!n->is_up);
    memset(n->points, 0, sizeof n->points);
    n->paused_until_us = 0;
    (void)node_up(n);
    for (struct sim_node *other = n->sim->nodes; other != NULL; other = other->next)
        if (other->machine == n->machine)
            other->lost_power = false;      /* its kernel answers again */
    if (n->parent == NULL)
        sim_note(n->sim, "boot", "node=%s", n->name);
}

/* Histories. */

struct sim *
sim_new(const struct sim_options *o)
{
    struct sim *s = sim_alloc(sizeof *s);

    s->options = *o;
    s->stacks = o->stacks != NULL ? o->stacks : sim_stacks_new();
    s->next_deadline_us = FOREVER;
    rng_seed(&s->rng, o->seed);
    (void)sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, (int)(o->seed % INT32_MAX) + 1, NULL);
    log_set_level(o->level);
    log_set_sink(on_log, s);
    s->driver = sim_node_new(s, "driver", "10.0.0.100");
    return s;
}

struct start {
    void (*fn)(struct sim *s, void *arg);
    void *arg;
    struct sim *s;
};

static void
driver_main(void *arg)
{
    struct start *start = arg;

    start->fn(start->s, start->arg);
    start->s->is_over = true;
}

bool
sim_run(struct sim *s, void (*fn)(struct sim *s, void *arg), void *arg)
{
    struct start start = { fn, arg, s };
    struct thread *next;

    sim_node_spawn(s->driver, "main", driver_main, &start);
    while ((next = fiber_pick(s)) != NULL) {
        context_switch(s, NULL, next);
        if (s->ended != NULL) {
            struct thread *t = s->ended;

            s->ended = NULL;
            stack_free(s, t->stack);
            t->stack = NULL;
            if (t->is_detached)
                sim_fiber_free(s, t);
        }
        if (s->dying != NULL) {
            struct sim_node *n = s->dying;

            s->dying = NULL;
            node_drop(n, s->dying_how);
        }
    }
    return !s->has_failed;
}

const char *sim_failure(const struct sim *s) { return s->failure; }

void
sim_fail(struct sim *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(s->failure, sizeof s->failure, fmt, ap);
    va_end(ap);
    s->has_failed = true;
    sim_note(s, "failed", "%s", s->failure);
    context_switch(s, s->running, NULL);
    abort();                            /* the loop runs nobody after a failure */
}

void
sim_free(struct sim *s)
{
    struct sim_node *n;
    struct mem_heap *was;

    if (s == NULL)
        return;
    s->options.trace = NULL;
    for (n = s->nodes; n != NULL; n = n->next)
        sim_node_crash(n, SIM_KILL);
    while ((n = s->nodes) != NULL) {
        s->nodes = n->next;
        sim_pipes_fini(n);
        sim_disk_fini(n);
        mem_free(n->socks);
        mem_free(n);
    }
    s->has_failed = true;               /* what is still to come touches no node */
    while (s->event_count > 0) {
        struct sim_event e = event_take(s);

        e.fn(s, e.arg);
    }
    log_set_sink(NULL, NULL);
    was = sim_heap_enter();
    if (s->stacks != s->options.stacks)
        sim_stacks_free(s->stacks);
    mem_free(s->ready);
    mem_free(s->events);
    mem_free(s);
    sim_heap_leave(was);
}

uint64_t sim_fingerprint(const struct sim *s) { return s->fingerprint; }
uint64_t sim_now_us(const struct sim *s) { return s->now_us; }
uint64_t sim_steps(const struct sim *s) { return s->steps; }
struct rng *sim_rng(struct sim *s) { return &s->rng.rng; }
const struct world *sim_driver_world(const struct sim *s) { return &s->driver->world; }
unsigned sim_warnings(const struct sim *s) { return s->warnings; }
struct plan *sim_plan(struct sim *s) { return s->options.plan; }

const char *
sim_point_name(enum sim_point p)
{
    static const char *const names[] = { "lock", "net", "read", "write", "sync", "name", "any" };

    return names[p];
}
