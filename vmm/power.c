/* SPDX-License-Identifier: BSD-2-Clause */
/* ACPI sleep, reset and event registers; see power.h. */
#include "vmm/power.h"

#include "vmm/interrupts.h"

#define SLEEP_ENABLE     (1u << 5)
#define SLEEP_TYPE_SHIFT 2

static uint8_t read_port(struct power *power, uint64_t port)
{
	switch (port) {
	case POWER_EVENTS:
		return (uint8_t)atomic_exchange(&power->events, 0);
	default:
		return 0;
	}
}

static void write_port(struct power *power, uint64_t port, uint8_t value)
{
	switch (port) {
	case POWER_SLEEP_CONTROL:
		if (value == (SLEEP_ENABLE | POWER_SLEEP_TYPE << SLEEP_TYPE_SHIFT))
			power->requested(power->context, POWER_REQUEST_OFF);
		break;
	case POWER_RESET:
		if (value == POWER_RESET_VALUE)
			power->requested(power->context, POWER_REQUEST_RESET);
		break;
	}
}

static uint64_t power_read(void *device, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)read_port(device, offset + i) << (8 * i);
	return value;
}

static void power_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size; i++)
		write_port(device, offset + i, (uint8_t)(value >> (8 * i)));
}

const struct bus_ops power_bus_ops = { .read = power_read, .write = power_write };

void power_press_button(struct power *power)
{
	atomic_fetch_or(&power->events, POWER_EVENT_BUTTON);
	power->interrupts->ops->set_line(power->interrupts, power->gsi, true);
	power->interrupts->ops->set_line(power->interrupts, power->gsi, false);
}
