/* SPDX-License-Identifier: BSD-2-Clause */
/* Fresh contexts; on x86-64 the switch itself is in context_x86_64.S. */
#include "fiber/context.h"

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && !defined(TENON_FIBER_UCONTEXT)

/* What context_switch_sp() pops; the layouts must agree. */
struct context_frame {
	uint32_t mxcsr;
	uint16_t x87_control;
	uint16_t unused;
	uint64_t r15, r14, r13, r12, rbx, rbp;
	void (*rip)(void);
	uint64_t return_address; /* of the entry function: none, where unwinders stop */
};

_Static_assert(sizeof(struct context_frame) == 72, "popped by context_switch_sp()");

void context_init(struct context *context, void *low, size_t size, void (*entry)(void))
{
	/* At its first instruction a function finds its return address at an odd multiple of 8. */
	uintptr_t top = ((uintptr_t)low + size) & ~(uintptr_t)15;
	struct context_frame *frame = (struct context_frame *)(top - sizeof(*frame));

	memset(frame, 0, sizeof(*frame));
	frame->mxcsr = 0x1f80;      /* the ABI's values at process start: all exceptions masked, */
	frame->x87_control = 0x37f; /* round to nearest */
	frame->rip = entry;
	context->sp = frame;
}

#else

void context_switch(struct context *from, const struct context *to)
{
	swapcontext(&from->state, &to->state);
}

void context_init(struct context *context, void *low, size_t size, void (*entry)(void))
{
	getcontext(&context->state);
	context->state.uc_stack.ss_sp = low;
	context->state.uc_stack.ss_size = size;
	context->state.uc_link = NULL;
	makecontext(&context->state, entry, 0);
}

#endif
