/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long to poll before sleeping, learned as KVM learns it for halted processors (halt_poll_ns,
 * virt/kvm/kvm_main.c): the window grows when one slept for a time so short that polling would have
 * bridged it, and shrinks when the pause was longer than one would ever poll.
 *
 * A pause that is longer than one polls costs the whole window for nothing. So where more than one in eight
 * of the last pauses was, nothing is polled until that has changed; a guest that waits for a disk after each of its
 * requests has a short pause and a long one in turn.
 */
#ifndef TENON_UTIL_POLL_WINDOW_H
#define TENON_UTIL_POLL_WINDOW_H

#include <stdint.h>

#define POLL_WINDOW_FIRST 8000u

/* Of `long_share`, which is of 256. */
#define POLL_WINDOW_SHARE_MOST 32u

/* Nanoseconds. `most` 0: never polls. */
struct poll_window {
	uint64_t most, window;
	unsigned long_share; /* of the last pauses: those not to be polled for */
};

/* How long to poll now. */
static inline uint64_t poll_window_now(const struct poll_window *polling)
{
	return polling->long_share > POLL_WINDOW_SHARE_MOST ? 0 : polling->window;
}

/* After a pause of so many nanoseconds, polled and slept. Polling for more than `worth` (or `most`) of it does not pay. */
static inline void poll_window_learn(struct poll_window *polling, uint64_t pause, uint64_t worth)
{
	uint64_t most = polling->most < worth ? polling->most : worth;
	uint64_t first = most < POLL_WINDOW_FIRST ? most : POLL_WINDOW_FIRST;

	polling->long_share -= polling->long_share / 8;
	if (pause > most) {
		polling->long_share += POLL_WINDOW_SHARE_MOST;
		polling->window = polling->window > POLL_WINDOW_FIRST ? polling->window / 2 : 0;
	} else if (pause > polling->window) {
		/* Polling would have bridged it. */
		polling->window = polling->window < first ? first : 2 * polling->window;
		if (polling->window > most)
			polling->window = most;
	}
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

#endif
