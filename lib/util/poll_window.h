/*
 * How long to poll before sleeping, learned as KVM learns it for halted processors (halt_poll_ns,
 * virt/kvm/kvm_main.c): the window grows when one slept for a time so short that polling would have
 * bridged it, and shrinks when the pause was longer than one would ever poll.
 */
#ifndef TENON_UTIL_POLL_WINDOW_H
#define TENON_UTIL_POLL_WINDOW_H

#include <stdint.h>
#include <time.h>

#define POLL_WINDOW_FIRST 8000u

/* Nanoseconds. `most` 0: never polls. */
struct poll_window {
	uint64_t most, window;
};

/* After a pause of so many nanoseconds, polled and slept. */
static inline void poll_window_learn(struct poll_window *polling, uint64_t pause)
{
	if (pause <= polling->window)
		return; /* polling bridged it */
	if (pause > polling->most)
		polling->window = polling->window > POLL_WINDOW_FIRST ? polling->window / 2 : 0;
	else if (2 * polling->window < POLL_WINDOW_FIRST)
		polling->window =
			polling->most < POLL_WINDOW_FIRST ? polling->most : POLL_WINDOW_FIRST;
	else
		polling->window =
			2 * polling->window < polling->most ? 2 * polling->window : polling->most;
}

/* Tells the processor that one waits in a loop. */
static inline void cpu_relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* CLOCK_MONOTONIC. */
static inline uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
