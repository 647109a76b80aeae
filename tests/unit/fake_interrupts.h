/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupt controllers that only remember what they were asked, for tests of devices without KVM. */
#ifndef TENON_TESTS_FAKE_INTERRUPTS_H
#define TENON_TESTS_FAKE_INTERRUPTS_H

#include "vmm/interrupts.h"

#define FAKE_ROUTES 64

struct fake_interrupts {
	struct interrupts interrupts; /* what devices are given */
	unsigned line_changes, rises;
	bool level;
	unsigned sent;
	struct interrupt_message last;
	unsigned commits;
	int refuse; /* a negative errno with which commits fail */
	bool route_used[FAKE_ROUTES];
	struct interrupt_message routes[FAKE_ROUTES];
	int attached[FAKE_ROUTES]; /* how many eventfds */
	unsigned attach_calls;
	int doorbells;
	uint64_t last_doorbell;
};

void fake_interrupts_init(struct fake_interrupts *fake);
unsigned fake_interrupts_routes(const struct fake_interrupts *fake);
int fake_interrupts_attached(const struct fake_interrupts *fake);

#endif
