/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI configuration space and base address registers; see pci.h. */
#include "vmm/pci.h"

#include <errno.h>
#include <string.h>

#include "util/bytes.h"

#define CONFIG_ADDRESS_ENABLE 0x80000000u

#define BAR_64BIT 0x4u
#define BAR_INFO  0xfu /* the bits that say what kind it is */

/* Red Hat's generic PCIe host bridge: any vendor will do, its class is what Linux looks for
 * (arch/x86/pci/direct.c, pci_sanity_check). */
#define HOST_BRIDGE_VENDOR 0x1b36u
#define HOST_BRIDGE_DEVICE 0x0008u
#define HOST_BRIDGE_CLASS  0x060000u

void pci_function_init(struct pci_function *function, const struct pci_function_ops *ops,
		       uint16_t vendor, uint16_t device, uint32_t class_code, uint8_t revision)
{
	*function = (struct pci_function){ .ops = ops, .next_capability = PCI_FIRST_CAPABILITY };
	put_le16(function->config + PCI_VENDOR_ID, vendor);
	put_le16(function->config + PCI_DEVICE_ID, device);
	put_le32(function->config + PCI_REVISION, class_code << 8 | revision);
	put_le16(function->config + PCI_SUBSYSTEM_VENDOR, vendor);
	put_le16(function->config + PCI_SUBSYSTEM, device);
	put_le16(function->writable + PCI_COMMAND,
		 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX);
}

int pci_function_add_capability(struct pci_function *function, uint8_t id, const void *body,
				unsigned size)
{
	unsigned at = function->next_capability;

	if (size < 2 || size > PCI_CONFIG_SIZE - at)
		return -ENOSPC;
	function->config[at] = id;
	memcpy(function->config + at + 2, body, size - 2);
	if (function->last_capability) {
		function->config[function->last_capability + 1] = (uint8_t)at;
	} else {
		function->config[PCI_CAPABILITIES] = (uint8_t)at;
		put_le16(function->config + PCI_STATUS, PCI_STATUS_CAPABILITIES);
	}
	function->last_capability = at;
	function->next_capability = (unsigned)round_up(at + size, 4);
	return (int)at;
}

static uint8_t *bar_register(struct pci_function *function, unsigned bar)
{
	return function->config + PCI_BAR_0 + 4 * bar;
}

void pci_function_set_bar(struct pci_function *function, unsigned bar, uint64_t size,
			  const struct bus_ops *ops, void *device)
{
	function->bars[bar] = (struct pci_bar){ .size = size, .ops = ops, .device = device };
	put_le64(bar_register(function, bar), BAR_64BIT);
	put_le64(function->writable + PCI_BAR_0 + 4 * bar, ~(size - 1));
}

static bool in_a_window(const struct pci_bus *bus, uint64_t address, uint64_t size)
{
	for (unsigned i = 0; i < PCI_WINDOWS; i++)
		if (address >= bus->windows[i].base &&
		    range_within(address - bus->windows[i].base, size, bus->windows[i].size))
			return true;
	return false;
}

/* Where the guest wants the register decoded: 0 for nowhere, or somewhere that is not forwarded. */
static uint64_t wanted_address(struct pci_function *function, unsigned bar)
{
	uint64_t address = get_le64(bar_register(function, bar)) & ~(uint64_t)BAR_INFO;

	if (!(get_le16(function->config + PCI_COMMAND) & PCI_COMMAND_MEMORY))
		return 0;
	return in_a_window(function->bus, address, function->bars[bar].size) ? address : 0;
}

static void move_bar(struct pci_function *function, unsigned bar)
{
	struct pci_bar *at = &function->bars[bar];
	uint64_t wanted = wanted_address(function, bar);

	if (wanted == at->claimed_at)
		return;
	if (at->claimed_at)
		bus_release(function->bus->memory, at->claimed_at, at->device);
	if (wanted && bus_claim(function->bus->memory, wanted, at->size, at->ops, at->device) < 0)
		wanted = 0;
	at->claimed_at = wanted;
	if (function->ops && function->ops->bar_moved)
		function->ops->bar_moved(function, bar, wanted);
}

static void move_bars(struct pci_function *function)
{
	for (unsigned bar = 0; bar < PCI_BARS; bar++)
		if (function->bars[bar].size)
			move_bar(function, bar);
}

void pci_bus_init(struct pci_bus *bus, struct bus *memory,
		  const struct pci_window windows[PCI_WINDOWS])
{
	memset(bus, 0, sizeof(*bus));
	pthread_mutex_init(&bus->lock, NULL);
	bus->memory = memory;
	memcpy(bus->windows, windows, sizeof(bus->windows));
	bus->next_bar = windows[0].base;
	pci_function_init(&bus->bridge, NULL, HOST_BRIDGE_VENDOR, HOST_BRIDGE_DEVICE,
			  HOST_BRIDGE_CLASS, 0);
	pci_bus_add(bus, &bus->bridge);
}

void pci_bus_fini(struct pci_bus *bus)
{
	pthread_mutex_destroy(&bus->lock);
}

static int lay_out_bar(struct pci_bus *bus, struct pci_function *function, unsigned bar)
{
	uint64_t size = function->bars[bar].size;
	uint64_t address = round_up(bus->next_bar, size);

	if (!in_a_window(bus, address, size))
		return -ENOSPC;
	bus->next_bar = address + size;
	put_le64(bar_register(function, bar), address | BAR_64BIT);
	return 0;
}

int pci_bus_add(struct pci_bus *bus, struct pci_function *function)
{
	unsigned slot = 0;
	int rc = 0;

	while (slot < PCI_SLOTS && bus->functions[slot])
		slot++;
	if (slot == PCI_SLOTS)
		return -ENOSPC;
	for (unsigned bar = 0; bar < PCI_BARS && !rc; bar++)
		if (function->bars[bar].size)
			rc = lay_out_bar(bus, function, bar);
	if (rc < 0)
		return rc;
	memcpy(function->initial, function->config, sizeof(function->initial));
	function->bus = bus;
	bus->functions[slot] = function;
	return (int)slot;
}

void pci_bus_reset(struct pci_bus *bus)
{
	pthread_mutex_lock(&bus->lock);
	bus->address = 0;
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		struct pci_function *function = bus->functions[slot];

		if (!function)
			continue;
		if (function->ops && function->ops->reset)
			function->ops->reset(function);
		memcpy(function->config, function->initial, sizeof(function->config));
		move_bars(function);
	}
	pthread_mutex_unlock(&bus->lock);
}

uint64_t pci_bar_read(struct pci_function *function, unsigned bar, uint64_t offset, unsigned size)
{
	const struct pci_bar *at = bar < PCI_BARS ? &function->bars[bar] : NULL;

	if (!at || !range_within(offset, size, at->size))
		return bus_all_ones(size);
	return at->ops->read(at->device, offset, size) & bus_all_ones(size);
}

void pci_bar_write(struct pci_function *function, unsigned bar, uint64_t offset, unsigned size,
		   uint64_t value)
{
	const struct pci_bar *at = bar < PCI_BARS ? &function->bars[bar] : NULL;

	if (at && range_within(offset, size, at->size))
		at->ops->write(at->device, offset, size, value & bus_all_ones(size));
}

/* The function that answers, or NULL: absent, or an access that is not one of configuration space. */
static struct pci_function *find_function(struct pci_bus *bus, unsigned slot, unsigned function,
					  unsigned offset, unsigned size)
{
	if (slot >= PCI_SLOTS || function || (size != 1 && size != 2 && size != 4) || offset % size)
		return NULL;
	return bus->functions[slot];
}

uint32_t pci_config_read(struct pci_bus *bus, unsigned slot, unsigned function, unsigned offset,
			 unsigned size)
{
	struct pci_function *at;
	uint32_t value = (uint32_t)bus_all_ones(MIN(size, 4));

	pthread_mutex_lock(&bus->lock);
	at = find_function(bus, slot, function, offset, size);
	if (at && offset >= PCI_CONFIG_SIZE) {
		value = 0; /* no extended capabilities */
	} else if (at) {
		if (at->ops && at->ops->before_read)
			at->ops->before_read(at, offset, size);
		value = (uint32_t)bus_bytes_read(at->config, offset, size);
	}
	pthread_mutex_unlock(&bus->lock);
	return value;
}

void pci_config_write(struct pci_bus *bus, unsigned slot, unsigned function, unsigned offset,
		      unsigned size, uint32_t value)
{
	struct pci_function *at;

	pthread_mutex_lock(&bus->lock);
	at = find_function(bus, slot, function, offset, size);
	if (at && offset < PCI_CONFIG_SIZE) {
		for (unsigned i = 0; i < size; i++) {
			uint8_t mask = at->writable[offset + i];
			uint8_t byte = (uint8_t)(value >> (8 * i));

			at->config[offset + i] =
				(uint8_t)((at->config[offset + i] & ~mask) | (byte & mask));
		}
		move_bars(at);
		if (at->ops && at->ops->after_write)
			at->ops->after_write(at, offset, size);
	}
	pthread_mutex_unlock(&bus->lock);
}

/* ---- The ports: a 32-bit address register at CF8, its data at CFC ---- */

static bool ports_select(struct pci_bus *bus, uint64_t offset, uint32_t *address)
{
	pthread_mutex_lock(&bus->lock);
	*address = bus->address;
	pthread_mutex_unlock(&bus->lock);
	if (!(*address & CONFIG_ADDRESS_ENABLE) || (*address >> 16 & 0xff))
		return false;
	*address = (*address & ~3u) + (uint32_t)offset - 4;
	return true;
}

static uint64_t ports_read(void *device, uint64_t offset, unsigned size)
{
	struct pci_bus *bus = device;
	uint32_t address;

	if (offset == 0 && size == 4) {
		pthread_mutex_lock(&bus->lock);
		address = bus->address;
		pthread_mutex_unlock(&bus->lock);
		return address;
	}
	if (offset < 4 || !ports_select(bus, offset, &address))
		return bus_all_ones(size);
	return pci_config_read(bus, address >> 11 & 0x1f, address >> 8 & 7, address & 0xff, size);
}

static void ports_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
	struct pci_bus *bus = device;
	uint32_t address;

	if (offset == 0 && size == 4) {
		pthread_mutex_lock(&bus->lock);
		bus->address = (uint32_t)value;
		pthread_mutex_unlock(&bus->lock);
	} else if (offset >= 4 && ports_select(bus, offset, &address)) {
		pci_config_write(bus, address >> 11 & 0x1f, address >> 8 & 7, address & 0xff, size,
				 (uint32_t)value);
	}
}

const struct bus_ops pci_ports_ops = { .read = ports_read, .write = ports_write };

/* ---- ECAM: 4 KiB a function, eight functions a slot ---- */

static uint64_t ecam_read(void *device, uint64_t offset, unsigned size)
{
	if (offset >> 20 || size > 4)
		return bus_all_ones(size);
	return pci_config_read(device, offset >> 15 & 0x1f, offset >> 12 & 7, offset & 0xfff, size);
}

static void ecam_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
	if (offset >> 20 || size > 4)
		return;
	pci_config_write(device, offset >> 15 & 0x1f, offset >> 12 & 7, offset & 0xfff, size,
			 (uint32_t)value);
}

const struct bus_ops pci_ecam_ops = { .read = ecam_read, .write = ecam_write };
