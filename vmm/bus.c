/* SPDX-License-Identifier: BSD-2-Clause */
/* Address spaces; see bus.h. */
#include "vmm/bus.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "util/bytes.h"

void bus_init(struct bus *bus)
{
	pthread_rwlock_init(&bus->lock, NULL);
	bus->count = 0;
}

void bus_fini(struct bus *bus)
{
	pthread_rwlock_destroy(&bus->lock);
}

/* The index of the first range whose base is above `address`. */
static unsigned first_above(const struct bus *bus, uint64_t address)
{
	unsigned low = 0, high = bus->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (bus->ranges[middle].base <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int claim_locked(struct bus *bus, const struct bus_range *range)
{
	unsigned at = first_above(bus, range->base);

	if (at > 0 && range->base - bus->ranges[at - 1].base < bus->ranges[at - 1].size)
		return -EEXIST;
	if (at < bus->count && bus->ranges[at].base - range->base < range->size)
		return -EEXIST;
	if (bus->count == BUS_RANGES_MAX)
		return -ENOSPC;
	memmove(&bus->ranges[at + 1], &bus->ranges[at], (bus->count - at) * sizeof(*range));
	bus->ranges[at] = *range;
	bus->count++;
	return 0;
}

int bus_claim(struct bus *bus, uint64_t base, uint64_t size, const struct bus_ops *ops,
	      void *device)
{
	struct bus_range range = { base, size, ops, device };
	int rc;

	if (!size || size - 1 > UINT64_MAX - base)
		return -EINVAL;
	pthread_rwlock_wrlock(&bus->lock);
	rc = claim_locked(bus, &range);
	pthread_rwlock_unlock(&bus->lock);
	return rc;
}

void bus_release(struct bus *bus, uint64_t base, const void *device)
{
	pthread_rwlock_wrlock(&bus->lock);
	for (unsigned i = 0; i < bus->count; i++) {
		if (bus->ranges[i].base != base || bus->ranges[i].device != device)
			continue;
		bus->count--;
		memmove(&bus->ranges[i], &bus->ranges[i + 1],
			(bus->count - i) * sizeof(bus->ranges[0]));
		break;
	}
	pthread_rwlock_unlock(&bus->lock);
}

/* Copies the range that holds the whole access. */
static bool find_range(struct bus *bus, uint64_t address, unsigned size, struct bus_range *range)
{
	bool found = false;
	unsigned at;

	pthread_rwlock_rdlock(&bus->lock);
	at = first_above(bus, address);
	if (at > 0) {
		*range = bus->ranges[at - 1];
		found = range_within(address - range->base, size, range->size);
	}
	pthread_rwlock_unlock(&bus->lock);
	return found;
}

uint64_t bus_read(struct bus *bus, uint64_t address, unsigned size)
{
	struct bus_range range;

	if (!find_range(bus, address, size, &range))
		return bus_all_ones(size);
	return range.ops->read(range.device, address - range.base, size) & bus_all_ones(size);
}

void bus_write(struct bus *bus, uint64_t address, unsigned size, uint64_t value)
{
	struct bus_range range;

	if (find_range(bus, address, size, &range))
		range.ops->write(range.device, address - range.base, size,
				 value & bus_all_ones(size));
}

uint64_t bus_bytes_read(const uint8_t *bytes, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)bytes[offset + i] << (8 * i);
	return value;
}

void bus_bytes_write(uint8_t *bytes, uint64_t offset, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size; i++)
		bytes[offset + i] = (uint8_t)(value >> (8 * i));
}
