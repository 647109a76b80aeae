/* SPDX-License-Identifier: BSD-2-Clause */
/* What AddressSanitizer and ThreadSanitizer must be told of fibers, and what they and valgrind cannot do; nothing in other builds. */
#ifndef TENON_FIBER_SANITIZER_H
#define TENON_FIBER_SANITIZER_H

#include <stdbool.h>
#include <stddef.h>
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif

#ifdef FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

/* Before a switch to the stack [low, low + size); `save` NULL: the running stack ends. */
static inline void fiber_switch_begins(void **save, const void *low, size_t size)
{
	__sanitizer_start_switch_fiber(save, low, size);
}

/* After it, on the new stack; tells which stack it came from. */
static inline void fiber_switch_ended(void *saved, const void **low, size_t *size)
{
	__sanitizer_finish_switch_fiber(saved, low, size);
}

static inline void fiber_unpoison(const void *at, size_t size)
{
	__asan_unpoison_memory_region(at, size);
}
#else
static inline void fiber_switch_begins(void **save, const void *low, size_t size)
{
	(void)save, (void)low, (void)size;
}

static inline void fiber_switch_ended(void *saved, const void **low, size_t *size)
{
	(void)saved, (void)low, (void)size;
}

static inline void fiber_unpoison(const void *at, size_t size)
{
	(void)at, (void)size;
}
#endif

#if defined(__SANITIZE_THREAD__)
#define FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#endif
#endif

/* Whether a child can have our memory: ThreadSanitizer and valgrind take that of each for a copy. */
static inline bool fiber_shares_memory(void)
{
#ifdef FIBER_TSAN
	return false;
#else
	return !RUNNING_ON_VALGRIND;
#endif
}

/* ThreadSanitizer's idea of a fiber, or of the loop. Switching is also an order between the two. */
#ifdef FIBER_TSAN
#include <sanitizer/tsan_interface.h>

static inline void *fiber_tsan_create(void)
{
	return __tsan_create_fiber(0);
}

static inline void *fiber_tsan_self(void)
{
	return __tsan_get_current_fiber();
}

/* Directly before the switch itself. */
static inline void fiber_tsan_switch(void *to)
{
	__tsan_switch_to_fiber(to, 0);
}

static inline void fiber_tsan_destroy(void *fiber)
{
	__tsan_destroy_fiber(fiber);
}
#else
static inline void *fiber_tsan_create(void)
{
	return NULL;
}

static inline void *fiber_tsan_self(void)
{
	return NULL;
}

static inline void fiber_tsan_switch(void *to)
{
	(void)to;
}

static inline void fiber_tsan_destroy(void *fiber)
{
	(void)fiber;
}
#endif

#endif
