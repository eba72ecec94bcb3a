#include "tests/sim/simcontext.h"

#include <stdint.h>
#include <stdlib.h>

#include "core/base/check.h"

#ifdef __x86_64__

void sim_context_swap(void **save_sp, void *sp);
void sim_context_start(void);

__asm__(".text\n"
        ".globl sim_context_swap\n"
        ".type sim_context_swap, @function\n"
        "sim_context_swap:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size sim_context_swap, . - sim_context_swap\n"
        ".globl sim_context_start\n"
        ".type sim_context_start, @function\n"
        "sim_context_start:\n"
        "    movq %r12, %rdi\n"
        "    callq *%r13\n"
        "    ud2\n"
        ".size sim_context_start, . - sim_context_start\n");

void
sim_context_init(struct sim_context *c, void *stack, size_t bytes, void (*fn)(void *arg), void *arg)
{
    /* What sim_context_swap takes off: r15, r14, r13, r12, rbx, rbp and where to return to. */
    uintptr_t *top = (uintptr_t *)(void *)((char *)stack + bytes) - 9;

    top[0] = top[1] = 0;
    top[2] = (uintptr_t)fn;
    top[3] = (uintptr_t)arg;
    top[4] = top[5] = 0;
    top[6] = (uintptr_t)sim_context_start;
    top[7] = top[8] = 0;        /* the stack is aligned to 16 bytes where fn is called */
    c->sp = top;
}

void
sim_context_switch(struct sim_context *from, struct sim_context *to)
{
    sim_context_swap(&from->sp, to->sp);
}

#else

static void
context_start(unsigned fn_high, unsigned fn_low, unsigned arg_high, unsigned arg_low)
{
    void (*fn)(void *arg) = (void (*)(void *))((uintptr_t)fn_high << 32 | fn_low);

    fn((void *)((uintptr_t)arg_high << 32 | arg_low));
    abort();
}

void
sim_context_init(struct sim_context *c, void *stack, size_t bytes, void (*fn)(void *arg), void *arg)
{
    CHECK(getcontext(&c->u) == 0);
    c->u.uc_stack.ss_sp = stack;
    c->u.uc_stack.ss_size = bytes;
    makecontext(&c->u, (void (*)(void))context_start, 4, (unsigned)((uintptr_t)fn >> 32), (unsigned)(uintptr_t)fn,
                (unsigned)((uintptr_t)arg >> 32), (unsigned)(uintptr_t)arg);
}

void
sim_context_switch(struct sim_context *from, struct sim_context *to)
{
    if (swapcontext(&from->u, &to->u) != 0)
        abort();
}

#endif
