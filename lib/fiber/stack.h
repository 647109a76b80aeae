/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stacks for the fibers of one worker: cut from large mappings, each with a guard region below it,
 * and reused last in first out, so that the next fiber finds its stack in the cache.
 *
 * No more than STACKS_WARM unused stacks keep their memory; the others give it back to the system
 * and keep their addresses.
 */
#ifndef TENON_FIBER_STACK_H
#define TENON_FIBER_STACK_H

#include <stddef.h>

#define STACKS_WARM 256

struct fiber_stack {
	struct fiber_stack *next; /* while unused */
	char *low;
	size_t size; /* without the guard; differs from stack to stack, see stack.c */
};

struct stack_slab;

struct stack_pool {
	struct fiber_stack *warm, *cold;
	unsigned warm_count;
	struct stack_slab *slabs;
};

void stack_pool_init(struct stack_pool *pool);
void stack_pool_destroy(struct stack_pool *pool); /* every stack must have come back */

/* Does not fail: without memory the process ends. */
struct fiber_stack *stack_get(struct stack_pool *pool);
/* Not of the stack that it runs on. */
void stack_put(struct stack_pool *pool, struct fiber_stack *stack);

#endif
