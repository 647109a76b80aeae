/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How devices reach the guest's interrupt controllers, and how the guest's doorbells reach devices,
 * without a thread of ours in between.
 *
 * The machine implements this over KVM (kvm_interrupts.c); unit tests implement it over an array.
 * Functions may be called from any thread. They return 0 or a negative errno.
 */
#ifndef TENON_VMM_INTERRUPTS_H
#define TENON_VMM_INTERRUPTS_H

#include <stdbool.h>
#include <stdint.h>

struct interrupts;

/* A message-signalled interrupt as the device sends it: a 32-bit write of `data` to `address`. */
struct interrupt_message {
	uint64_t address;
	uint32_t data;
};

struct interrupts_ops {
	/* Sets the level of an I/O APIC pin. */
	int (*set_line)(struct interrupts *interrupts, unsigned gsi, bool level);

	/* Sends a message at once. */
	int (*send)(struct interrupts *interrupts, const struct interrupt_message *message);

	/*
	 * Routes. A route makes a message reachable by number (GSI), so that an eventfd can raise it.
	 * allocate_route() returns a GSI or a negative errno. set_route() only notes the message;
	 * commit_routes() makes what was noted effective in one call, which waits for every vCPU and
	 * is therefore made once for many routes.
	 */
	int (*allocate_route)(struct interrupts *interrupts);
	void (*free_route)(struct interrupts *interrupts, int gsi);
	void (*set_route)(struct interrupts *interrupts, int gsi,
			  const struct interrupt_message *message);
	int (*commit_routes)(struct interrupts *interrupts);

	/* From now on each signal of `event_fd` raises the GSI; a signal that is pending does so at
	 * once. Detaching leaves later signals pending in `event_fd`. */
	int (*attach)(struct interrupts *interrupts, int gsi, int event_fd);
	int (*detach)(struct interrupts *interrupts, int gsi, int event_fd);

	/* A guest write of any size to memory `address` signals `event_fd` and does nothing else. */
	int (*add_doorbell)(struct interrupts *interrupts, uint64_t address, int event_fd);
	int (*remove_doorbell)(struct interrupts *interrupts, uint64_t address, int event_fd);
};

struct interrupts {
	const struct interrupts_ops *ops;
};

#endif
