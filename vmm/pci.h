/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI: one root bus with a host bridge at 00:00.0, configuration space by the ports CF8/CFC and by
 * ECAM, base address registers.
 *
 * A function is a 256-byte configuration space with a mask of what the guest may write. Base address
 * registers need nothing more: their address bits are writable, so that the guest's sizing probe
 * (write all ones, read back) answers itself, and after each write the functions's ranges are claimed
 * anew on the memory bus, if decoding is on and the address lies in a window that the host bridge
 * forwards. An address that does not is simply not decoded, which is also what happens between the two
 * writes that move a 64-bit register.
 *
 * PCI Local Bus 3.0 chapter 6; PCI Express Base 7.2.2 (ECAM).
 */
#ifndef TENON_VMM_PCI_H
#define TENON_VMM_PCI_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/bus.h"

#define PCI_CONFIG_SIZE 256u
#define PCI_BARS        6u
#define PCI_SLOTS       32u /* one function each */
#define PCI_WINDOWS     2u

/* Configuration registers that devices or tests name. */
#define PCI_VENDOR_ID        0x00u
#define PCI_DEVICE_ID        0x02u
#define PCI_COMMAND          0x04u
#define PCI_STATUS           0x06u
#define PCI_REVISION         0x08u
#define PCI_HEADER_TYPE      0x0eu
#define PCI_BAR_0            0x10u
#define PCI_SUBSYSTEM_VENDOR 0x2cu
#define PCI_SUBSYSTEM        0x2eu
#define PCI_CAPABILITIES     0x34u
#define PCI_FIRST_CAPABILITY 0x40u

#define PCI_COMMAND_MEMORY      0x0002u
#define PCI_COMMAND_MASTER      0x0004u
#define PCI_COMMAND_NO_INTX     0x0400u
#define PCI_STATUS_CAPABILITIES 0x0010u

struct pci_function;

struct pci_function_ops {
	/* Before the guest reads, and after it wrote, [offset, offset + size) of the configuration
	 * space. Optional. */
	void (*before_read)(struct pci_function *function, unsigned offset, unsigned size);
	void (*after_write)(struct pci_function *function, unsigned offset, unsigned size);
	/* A base address register is decoded at `address` now (0: not at all). Optional. */
	void (*bar_moved)(struct pci_function *function, unsigned bar, uint64_t address);
	/* The bus is reset. Optional. */
	void (*reset)(struct pci_function *function);
};

struct pci_bar {
	uint64_t size; /* 0: none; else a power of two, at least 4 KiB */
	uint64_t claimed_at;
	const struct bus_ops *ops;
	void *device;
};

struct pci_function {
	const struct pci_function_ops *ops;
	struct pci_bus *bus;
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE];
	uint8_t initial[PCI_CONFIG_SIZE]; /* `config` as pci_bus_add() found it */
	unsigned next_capability;         /* where the next one goes */
	unsigned last_capability;         /* whose `next` byte is still 0; 0: none yet */
	struct pci_bar bars[PCI_BARS];
};

struct pci_window {
	uint64_t base, size;
};

struct pci_bus {
	pthread_mutex_t lock; /* guards all configuration spaces and what follows from them */
	struct bus *memory;
	uint32_t address; /* the register at CF8 */
	uint64_t next_bar;
	struct pci_window windows[PCI_WINDOWS];
	struct pci_function bridge;
	struct pci_function *functions[PCI_SLOTS];
};

/* The range at CF8..CFF, and the ECAM range, both with the `struct pci_bus` as device. */
#define PCI_PORTS 8u
extern const struct bus_ops pci_ports_ops;
extern const struct bus_ops pci_ecam_ops;

/* A bus with only the host bridge on it. Base address registers may lie in `windows` (an empty one has
 * size 0) and are first laid out in the first one. */
void pci_bus_init(struct pci_bus *bus, struct bus *memory,
		  const struct pci_window windows[PCI_WINDOWS]);
void pci_bus_fini(struct pci_bus *bus);

/* Makes a type 0 header. `class_code` is class, subclass, interface: 0x020000 is Ethernet. */
void pci_function_init(struct pci_function *function, const struct pci_function_ops *ops,
		       uint16_t vendor, uint16_t device, uint32_t class_code, uint8_t revision);

/* Appends a capability of `size` bytes whose first is its id; returns its offset. The bytes (from
 * the third on) are copied from `body`, which has size - 2, and are read-only. -ENOSPC. */
int pci_function_add_capability(struct pci_function *function, uint8_t id, const void *body,
				unsigned size);

/* Makes registers `bar` and `bar` + 1 a 64-bit memory register of `size` bytes. */
void pci_function_set_bar(struct pci_function *function, unsigned bar, uint64_t size,
			  const struct bus_ops *ops, void *device);

/* Puts the function into the next free slot and gives its registers addresses; returns the slot,
 * -ENOSPC if slots or window are full. The function must outlive the bus. */
int pci_bus_add(struct pci_bus *bus, struct pci_function *function);

/* Every configuration space as it was when added: decoding off, addresses as laid out at first. */
void pci_bus_reset(struct pci_bus *bus);

/* An access through a function's base address register, as the guest's own would be; for the
 * capability that reaches registers through configuration space. Out of range: all ones, no effect. */
uint64_t pci_bar_read(struct pci_function *function, unsigned bar, uint64_t offset, unsigned size);
void pci_bar_write(struct pci_function *function, unsigned bar, uint64_t offset, unsigned size,
		   uint64_t value);

/* Configuration accesses of 1, 2 or 4 bytes; `slot` and `register` as the guest gave them. */
uint32_t pci_config_read(struct pci_bus *bus, unsigned slot, unsigned function, unsigned offset,
			 unsigned size);
void pci_config_write(struct pci_bus *bus, unsigned slot, unsigned function, unsigned offset,
		      unsigned size, uint32_t value);

#endif
