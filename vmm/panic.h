/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The panic event device: a guest whose kernel panics says so here. It is QEMU's pvpanic
 * (docs/specs/pvpanic.rst), for which Linux has a driver (pvpanic-mmio, found through ACPI's QEMU0001): one
 * port whose value when read says which events are known, and where the guest writes which one has come. A
 * guest without that driver, or one that has not loaded it yet, panics without our knowing.
 */
#ifndef TENON_VMM_PANIC_H
#define TENON_VMM_PANIC_H

#include "vmm/bus.h"

#define PANIC_PORTS        1u
#define PANIC_PANICKED     (1u << 0) /* the guest's kernel has panicked */
#define PANIC_CRASH_LOADED (1u << 1) /* it has, and a crash kernel of its own takes over */

struct panic {
	/* Called on the vCPU's thread with the events that are known, never 0. */
	void (*happened)(void *context, unsigned events);
	void *context;
};

extern const struct bus_ops panic_bus_ops;

#endif
