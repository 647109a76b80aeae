/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An address space (I/O ports, or memory that is not RAM) and who answers where.
 *
 * Devices claim ranges; a vCPU that left the guest with an access finds the device by address. What no
 * device claims reads as all ones and swallows writes, as on a PC. Ranges may come and go while vCPUs
 * run (a PCI BAR moves): an access looks its device up under a lock and calls it without the lock, so
 * a device must outlive the vCPUs, and locks itself.
 */
#ifndef TENON_VMM_BUS_H
#define TENON_VMM_BUS_H

#include <pthread.h>
#include <stdint.h>

/*
 * How a device answers. `offset` is relative to the range and `size` is 1 to 8 bytes; both are the
 * guest's choice, any alignment, but never leave the range. Values are little-endian numbers.
 */
struct bus_ops {
	uint64_t (*read)(void *device, uint64_t offset, unsigned size);
	void (*write)(void *device, uint64_t offset, unsigned size, uint64_t value);
};

struct bus_range {
	uint64_t base, size;
	const struct bus_ops *ops;
	void *device;
};

#define BUS_RANGES_MAX 512

struct bus {
	pthread_rwlock_t lock;
	unsigned count;
	struct bus_range ranges[BUS_RANGES_MAX]; /* ordered by base */
};

void bus_init(struct bus *bus);
void bus_fini(struct bus *bus);

/* Claims [base, base + size). -EEXIST if some of it is taken, -EINVAL if it is empty or wraps,
 * -ENOSPC if there are too many ranges. */
int bus_claim(struct bus *bus, uint64_t base, uint64_t size, const struct bus_ops *ops,
	      void *device);

/* Gives back the range that begins at `base` and belongs to `device`; nothing if there is none. */
void bus_release(struct bus *bus, uint64_t base, const void *device);

/* Accesses of 1 to 8 bytes. One that begins in a range and leaves it is answered by nobody. */
uint64_t bus_read(struct bus *bus, uint64_t address, unsigned size);
void bus_write(struct bus *bus, uint64_t address, unsigned size, uint64_t value);

/* All ones in `size` bytes. */
static inline uint64_t bus_all_ones(unsigned size)
{
	return size >= 8 ? UINT64_MAX : (1ULL << (8 * size)) - 1;
}

/* Copies out of, or into, a device's register bytes at [offset, offset + size): a plain little-endian
 * view of `bytes`, for devices whose registers have no side effects. */
uint64_t bus_bytes_read(const uint8_t *bytes, uint64_t offset, unsigned size);
void bus_bytes_write(uint8_t *bytes, uint64_t offset, unsigned size, uint64_t value);

#endif
