/* SPDX-License-Identifier: BSD-2-Clause */
/* The panic event device; see panic.h. */
#include "vmm/panic.h"

#define KNOWN (PANIC_PANICKED | PANIC_CRASH_LOADED)

static uint64_t panic_read(void *device, uint64_t offset, unsigned size)
{
	(void)device, (void)offset, (void)size;
	return KNOWN;
}

static void panic_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
	struct panic *panic = device;

	(void)offset, (void)size;
	if (value & KNOWN)
		panic->happened(panic->context, value & KNOWN);
}

const struct bus_ops panic_bus_ops = { .read = panic_read, .write = panic_write };
