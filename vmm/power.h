/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power: the ACPI registers for sleep and reset (hardware-reduced, ACPI 6.4 section 4.8.3.7), and the
 * power button as a generic event device.
 *
 * Port 0 is the sleep control register: SLP_EN with sleep type 5 switches the machine off. Port 1 is
 * the sleep status register, always 0. A write of POWER_RESET_VALUE to port 2 resets. Port 3 tells
 * the AML which events came in (bit 0: the power button) and is cleared by reading it.
 */
#ifndef TENON_VMM_POWER_H
#define TENON_VMM_POWER_H

#include <stdatomic.h>

#include "vmm/bus.h"

struct interrupts;

#define POWER_PORTS         4u
#define POWER_SLEEP_CONTROL 0u
#define POWER_SLEEP_STATUS  1u
#define POWER_RESET         2u
#define POWER_EVENTS        3u

#define POWER_RESET_VALUE  1u
#define POWER_SLEEP_TYPE   5u /* of S5, as the _S5_ package says */
#define POWER_EVENT_BUTTON 1u

enum power_request { POWER_REQUEST_OFF, POWER_REQUEST_RESET };

struct power {
	struct interrupts *interrupts;
	unsigned gsi;
	_Atomic unsigned events;
	/* The guest asks for an end; called on the vCPU's thread. */
	void (*requested)(void *context, enum power_request request);
	void *context;
};

extern const struct bus_ops power_bus_ops;

/* Presses the power button. */
void power_press_button(struct power *power);

#endif
