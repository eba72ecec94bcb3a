/*
 * simcontext -- a point of execution on a stack of its own, to leave and to come back to.
 *
 * On x86-64 a switch saves the registers that a function must keep and nothing
 * else; elsewhere it is swapcontext(3), which asks the kernel for the signal
 * mask each time.
 */
#ifndef TESTS_SIM_SIMCONTEXT_H
#define TESTS_SIM_SIMCONTEXT_H

#include <stddef.h>

#ifdef __x86_64__
struct sim_context {
    void *sp;
};
#else
#include <ucontext.h>
struct sim_context {
    ucontext_t u;
};
#endif

/* The first switch to it calls fn(arg), which must not return. */
void sim_context_init(struct sim_context *c, void *stack, size_t bytes, void (*fn)(void *arg), void *arg);

/* Go on at `to`; returns when somebody switches to `from`. */
void sim_context_switch(struct sim_context *from, struct sim_context *to);

#endif
