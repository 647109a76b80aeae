/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contexts: where a suspended stack stands, and the switch between two of them.
 *
 * On x86-64 a context is a stack pointer and the switch saves what the System V ABI (section 3.2.1)
 * makes the callee keep: rbx, rbp, r12 to r15, and the control words of SSE and x87. The signal mask
 * is not part of it, which makes the switch some hundred times cheaper than swapcontext(). Other
 * architectures (or -DTENON_FIBER_UCONTEXT) use ucontext.
 */
#ifndef TENON_FIBER_CONTEXT_H
#define TENON_FIBER_CONTEXT_H

#include <stddef.h>

#if defined(__x86_64__) && !defined(TENON_FIBER_UCONTEXT)

struct context {
	void *sp;
};

/* Saves the running context in `*save` and goes on where `sp` was saved. */
void context_switch_sp(void **save, void *sp);

static inline void context_switch(struct context *from, const struct context *to)
{
	context_switch_sp(&from->sp, to->sp);
}

#else

#include <ucontext.h>

struct context {
	ucontext_t state;
};

void context_switch(struct context *from, const struct context *to);

#endif

/* Makes a context that calls `entry()`, which must not return, on the stack [low, low + size). */
void context_init(struct context *context, void *low, size_t size, void (*entry)(void));

#endif
