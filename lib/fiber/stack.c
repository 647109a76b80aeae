/* SPDX-License-Identifier: BSD-2-Clause */
/* Pooled stacks with guard regions; see stack.h. */
#include "fiber/stack.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "fiber/sanitizer.h"

/* Frames are several times larger with ASan. Untouched pages cost nothing. */
#ifdef FIBER_ASAN
#define STACK_SPACE (512 << 10)
#else
#define STACK_SPACE (256 << 10)
#endif
#define STACK_GUARD                                                                                \
	(16 << 10) /* more than a page: functions with large frames are not to jump it */
#define SLAB_STACKS 16
#define OUTERMOST   (8 << 10) /* holds the frames that a fiber's end leaves, and the fiber */

/* Were all tops at the same offset of a page, the busiest lines of all fibers would share a few sets
 * of the first-level cache. So the tops are spread over 32 places, 128 bytes apart. */
#define COLOURS    32
#define COLOUR_GAP 128

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13, include/uapi/asm-generic/mman-common.h */
#endif

struct stack_slab {
	struct stack_slab *next;
	char *map;
	struct fiber_stack stacks[SLAB_STACKS];
};

void stack_pool_init(struct stack_pool *pool)
{
	*pool = (struct stack_pool){ 0 };
}

void stack_pool_destroy(struct stack_pool *pool)
{
	struct stack_slab *slab;

	while ((slab = pool->slabs)) {
		pool->slabs = slab->next;
		fiber_unpoison(slab->map, (size_t)SLAB_STACKS * STACK_SPACE);
		munmap(slab->map, (size_t)SLAB_STACKS * STACK_SPACE);
		free(slab);
	}
	stack_pool_init(pool);
}

/* A guard without a mapping of its own where the kernel has that: the number of mappings is limited
 * (vm.max_map_count), and 10,000 fibers would take 20,000. */
static void guard(char *at)
{
	if (madvise(at, STACK_GUARD, MADV_GUARD_INSTALL) && mprotect(at, STACK_GUARD, PROT_NONE))
		abort();
}

static void add_slab(struct stack_pool *pool)
{
	static const size_t size = (size_t)SLAB_STACKS * STACK_SPACE;
	struct stack_slab *slab = malloc(sizeof(*slab));
	char *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (!slab || map == MAP_FAILED)
		abort();
	/* Else the first touch of a stack could take 2 MiB. */
	madvise(map, size, MADV_NOHUGEPAGE);
	slab->map = map;
	slab->next = pool->slabs;
	pool->slabs = slab;
	for (unsigned i = 0; i < SLAB_STACKS; i++) {
		struct fiber_stack *stack = &slab->stacks[i];
		unsigned colour = ((uintptr_t)map / STACK_SPACE + i) % COLOURS;

		guard(map + (size_t)i * STACK_SPACE);
		stack->low = map + (size_t)i * STACK_SPACE + STACK_GUARD;
		stack->size = STACK_SPACE - STACK_GUARD - (size_t)colour * COLOUR_GAP;
		stack->next = pool->cold;
		pool->cold = stack;
	}
}

struct fiber_stack *stack_get(struct stack_pool *pool)
{
	struct fiber_stack *stack = pool->warm;

	if (stack) {
		pool->warm = stack->next;
		pool->warm_count--;
		return stack;
	}
	if (!pool->cold)
		add_slab(pool);
	stack = pool->cold;
	pool->cold = stack->next;
	return stack;
}

void stack_put(struct stack_pool *pool, struct fiber_stack *stack)
{
	/* The outermost frames did not return and so did not unpoison what ASan put between their
	 * variables. */
	fiber_unpoison(stack->low + stack->size - OUTERMOST, OUTERMOST);
	if (pool->warm_count < STACKS_WARM) {
		stack->next = pool->warm;
		pool->warm = stack;
		pool->warm_count++;
		return;
	}
	madvise(stack->low, STACK_SPACE - STACK_GUARD, MADV_DONTNEED);
	stack->next = pool->cold;
	pool->cold = stack;
}
