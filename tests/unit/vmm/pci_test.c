/* SPDX-License-Identifier: BSD-2-Clause */
/* Buses, PCI configuration space by both ways, base address registers that move. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "vmm/pci.h"

#define WINDOW      0xc0000000ULL
#define WINDOW_SIZE 0x100000ULL
#define HIGH        0x800000000ULL

static struct bus memory, ports;
static struct pci_bus pci;
static uint8_t registers[0x1000];
static uint64_t moved_to;

static uint64_t device_read(void *device, uint64_t offset, unsigned size)
{
	return bus_bytes_read(device, offset, size);
}

static void device_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
	bus_bytes_write(device, offset, size, value);
}

static const struct bus_ops device_ops = { .read = device_read, .write = device_write };

static void bar_moved(struct pci_function *function, unsigned bar, uint64_t address)
{
	(void)function, (void)bar;
	moved_to = address;
}

static const struct pci_function_ops function_ops = { .bar_moved = bar_moved };

static struct pci_function device;

static void begin(void)
{
	static const struct pci_window windows[PCI_WINDOWS] = { { WINDOW, WINDOW_SIZE },
								{ HIGH, WINDOW_SIZE } };

	bus_init(&memory);
	bus_init(&ports);
	pci_bus_init(&pci, &memory, windows);
	bus_claim(&ports, 0xcf8, PCI_PORTS, &pci_ports_ops, &pci);
	bus_claim(&memory, 0xe0000000, 1 << 20, &pci_ecam_ops, &pci);
	pci_function_init(&device, &function_ops, 0x1af4, 0x1042, 0x018000, 1);
	pci_function_set_bar(&device, 0, sizeof(registers), &device_ops, registers);
	CU_ASSERT_EQUAL(pci_bus_add(&pci, &device), 1);
	memset(registers, 0x11, sizeof(registers));
	moved_to = 0;
}

static void end(void)
{
	pci_bus_fini(&pci);
	bus_fini(&memory);
	bus_fini(&ports);
}

static uint32_t config_read(unsigned slot, unsigned at, unsigned size)
{
	bus_write(&ports, 0xcf8, 4, 0x80000000u | slot << 11 | (at & 0xfc));
	return (uint32_t)bus_read(&ports, 0xcfc + (at & 3), size);
}

static void config_write(unsigned slot, unsigned at, unsigned size, uint32_t value)
{
	bus_write(&ports, 0xcf8, 4, 0x80000000u | slot << 11 | (at & 0xfc));
	bus_write(&ports, 0xcfc + (at & 3), size, value);
}

static uint64_t ecam(unsigned slot, unsigned at)
{
	return 0xe0000000 + (slot << 15) + at;
}

static void test_ranges_do_not_overlap(void)
{
	struct bus bus;

	bus_init(&bus);
	CU_ASSERT_EQUAL(bus_claim(&bus, 100, 10, &device_ops, registers), 0);
	CU_ASSERT_EQUAL(bus_claim(&bus, 109, 1, &device_ops, registers), -EEXIST);
	CU_ASSERT_EQUAL(bus_claim(&bus, 90, 11, &device_ops, registers), -EEXIST);
	CU_ASSERT_EQUAL(bus_claim(&bus, 90, 100, &device_ops, registers), -EEXIST);
	CU_ASSERT_EQUAL(bus_claim(&bus, 110, 1, &device_ops, registers), 0);
	CU_ASSERT_EQUAL(bus_claim(&bus, 90, 10, &device_ops, registers), 0);
	CU_ASSERT_EQUAL(bus_claim(&bus, 5, 0, &device_ops, registers), -EINVAL);
	CU_ASSERT_EQUAL(bus_claim(&bus, UINT64_MAX, 2, &device_ops, registers), -EINVAL);
	bus_release(&bus, 100, NULL); /* somebody else's */
	CU_ASSERT_EQUAL(bus_claim(&bus, 105, 1, &device_ops, registers), -EEXIST);
	bus_release(&bus, 100, registers);
	CU_ASSERT_EQUAL(bus_claim(&bus, 105, 1, &device_ops, registers), 0);
	bus_fini(&bus);
}

static void test_nobody_answers_with_all_ones(void)
{
	begin();
	CU_ASSERT_EQUAL(bus_read(&memory, 0x12345678, 4), 0xffffffff);
	CU_ASSERT_EQUAL(bus_read(&memory, UINT64_MAX, 8), UINT64_MAX);
	CU_ASSERT_EQUAL(bus_read(&ports, 0x2f8, 1), 0xff);
	bus_write(&memory, 0x12345678, 8, 1);
	/* Begins in a range and leaves it. */
	CU_ASSERT_EQUAL(bus_read(&ports, 0xcfe, 4), 0xffffffff);
	end();
}

/* arch/x86/pci/direct.c (6.1): pci_check_type1() and pci_sanity_check(). */
static void test_linux_accepts_configuration_type_1(void)
{
	begin();
	bus_write(&ports, 0xcfb, 1, 0x01);
	bus_write(&ports, 0xcf8, 4, 0x80000000);
	CU_ASSERT_EQUAL(bus_read(&ports, 0xcf8, 4), 0x80000000);
	CU_ASSERT_EQUAL(config_read(0, 0x0a, 2), 0x0600);
	bus_write(&ports, 0xcf8, 4, 0x00000000);
	CU_ASSERT_EQUAL(bus_read(&ports, 0xcfc, 4), 0xffffffff);
	end();
}

static void test_both_ways_see_the_same(void)
{
	begin();
	CU_ASSERT_EQUAL(config_read(1, PCI_VENDOR_ID, 4), 0x10421af4);
	CU_ASSERT_EQUAL(bus_read(&memory, ecam(1, PCI_VENDOR_ID), 4), 0x10421af4);
	CU_ASSERT_EQUAL(config_read(1, PCI_DEVICE_ID, 2), 0x1042);
	CU_ASSERT_EQUAL(config_read(1, 0x0b, 1), 0x01);
	bus_write(&memory, ecam(1, PCI_COMMAND), 2, 0xffff);
	CU_ASSERT_EQUAL(config_read(1, PCI_COMMAND, 2), 0x0406);
	/* Read-only bytes stay. */
	config_write(1, PCI_VENDOR_ID, 4, 0);
	CU_ASSERT_EQUAL(config_read(1, PCI_VENDOR_ID, 4), 0x10421af4);
	/* Extended space: no capabilities. Absent slots, functions, buses: nobody. */
	CU_ASSERT_EQUAL(bus_read(&memory, ecam(1, 0x100), 4), 0);
	CU_ASSERT_EQUAL(bus_read(&memory, ecam(2, 0), 4), 0xffffffff);
	CU_ASSERT_EQUAL(bus_read(&memory, ecam(1, 0x1000), 4), 0xffffffff);
	bus_write(&ports, 0xcf8, 4, 0x80010000);
	CU_ASSERT_EQUAL(bus_read(&ports, 0xcfc, 4), 0xffffffff);
	/* Sizes and alignments that PCI does not have. */
	CU_ASSERT_EQUAL(bus_read(&memory, ecam(1, 0), 8), UINT64_MAX);
	CU_ASSERT_EQUAL(bus_read(&memory, ecam(1, 1), 2), 0xffff);
	CU_ASSERT_EQUAL(bus_read(&memory, ecam(1, 0), 3), 0xffffff);
	end();
}

static void test_bar_is_sized_and_decoded(void)
{
	begin();
	CU_ASSERT_EQUAL(config_read(1, PCI_BAR_0, 4), WINDOW | 4);
	CU_ASSERT_EQUAL(bus_read(&memory, WINDOW, 4), 0xffffffff); /* not decoded yet */
	config_write(1, PCI_BAR_0, 4, 0xffffffff);
	CU_ASSERT_EQUAL(config_read(1, PCI_BAR_0, 4), 0xfffff004);
	config_write(1, PCI_BAR_0 + 4, 4, 0xffffffff);
	CU_ASSERT_EQUAL(config_read(1, PCI_BAR_0 + 4, 4), 0xffffffff);
	config_write(1, PCI_BAR_0, 4, WINDOW);
	config_write(1, PCI_BAR_0 + 4, 4, 0);
	config_write(1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	CU_ASSERT_EQUAL(moved_to, WINDOW);
	CU_ASSERT_EQUAL(bus_read(&memory, WINDOW + 0xffc, 4), 0x11111111);
	config_write(1, PCI_COMMAND, 2, 0);
	CU_ASSERT_EQUAL(moved_to, 0);
	CU_ASSERT_EQUAL(bus_read(&memory, WINDOW, 4), 0xffffffff);
	end();
}

/* Two writes move a 64-bit register; between them it may point anywhere. */
static void test_bar_moves_while_decoded(void)
{
	begin();
	config_write(1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	config_write(1, PCI_BAR_0 + 4, 4, HIGH >> 32);
	CU_ASSERT_EQUAL(moved_to, 0);
	config_write(1, PCI_BAR_0, 4, (uint32_t)HIGH + 0x2000);
	CU_ASSERT_EQUAL(moved_to, HIGH + 0x2000);
	CU_ASSERT_EQUAL(bus_read(&memory, HIGH + 0x2000, 4), 0x11111111);
	CU_ASSERT_EQUAL(bus_read(&memory, WINDOW, 4), 0xffffffff);
	/* Over RAM, the local APIC, ECAM: not decoded, and nothing else is disturbed. */
	config_write(1, PCI_BAR_0 + 4, 4, 0);
	config_write(1, PCI_BAR_0, 4, 0x00100000);
	CU_ASSERT_EQUAL(moved_to, 0);
	config_write(1, PCI_BAR_0, 4, 0xfee00000);
	CU_ASSERT_EQUAL(moved_to, 0);
	config_write(1, PCI_BAR_0, 4, 0xe0000000);
	CU_ASSERT_EQUAL(moved_to, 0);
	CU_ASSERT_EQUAL(bus_read(&memory, ecam(1, 0), 4), 0x10421af4);
	/* A reset puts it back. */
	pci_bus_reset(&pci);
	CU_ASSERT_EQUAL(config_read(1, PCI_BAR_0, 4), WINDOW | 4);
	CU_ASSERT_EQUAL(config_read(1, PCI_COMMAND, 2), 0);
	end();
}

static void test_two_bars_in_one_place(void)
{
	struct pci_function other;

	begin();
	pci_function_init(&other, NULL, 0x1af4, 0x1041, 0x020000, 1);
	pci_function_set_bar(&other, 0, sizeof(registers), &device_ops, registers);
	CU_ASSERT_EQUAL(pci_bus_add(&pci, &other), 2);
	CU_ASSERT_EQUAL(config_read(2, PCI_BAR_0, 4), (WINDOW + 0x1000) | 4);
	config_write(1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	config_write(2, PCI_BAR_0, 4, WINDOW);
	config_write(2, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	CU_ASSERT_EQUAL(other.bars[0].claimed_at, 0);
	CU_ASSERT_EQUAL(bus_read(&memory, WINDOW, 4), 0x11111111);
	end();
}

static void test_capabilities_form_a_list(void)
{
	struct pci_function function;
	uint8_t body[14] = { 1, 2, 3 };

	pci_function_init(&function, NULL, 1, 2, 3, 4);
	CU_ASSERT_EQUAL(pci_function_add_capability(&function, 0x09, body, 15), 0x40);
	CU_ASSERT_EQUAL(pci_function_add_capability(&function, 0x11, body, 12), 0x50);
	CU_ASSERT_EQUAL(function.config[PCI_CAPABILITIES], 0x40);
	CU_ASSERT_EQUAL(function.config[0x41], 0x50);
	CU_ASSERT_EQUAL(function.config[0x51], 0);
	CU_ASSERT_EQUAL(function.config[0x42], 1);
	CU_ASSERT_TRUE(function.config[PCI_STATUS] & PCI_STATUS_CAPABILITIES);
	CU_ASSERT_EQUAL(pci_function_add_capability(&function, 0x09, body, 200), -ENOSPC);
}

static void test_slots_and_window_run_out(void)
{
	static struct pci_function many[PCI_SLOTS];
	unsigned added = 0;

	begin();
	for (unsigned i = 0; i < PCI_SLOTS; i++) {
		pci_function_init(&many[i], NULL, 1, 2, 3, 4);
		added += pci_bus_add(&pci, &many[i]) > 0;
	}
	CU_ASSERT_EQUAL(added, PCI_SLOTS - 2);
	end();
	begin();
	pci_function_init(&many[0], NULL, 1, 2, 3, 4);
	pci_function_set_bar(&many[0], 0, WINDOW_SIZE, &device_ops, registers);
	CU_ASSERT_EQUAL(pci_bus_add(&pci, &many[0]), -ENOSPC);
	end();
}

UNIT_MAIN("vmm pci", UNIT(test_ranges_do_not_overlap), UNIT(test_nobody_answers_with_all_ones),
	  UNIT(test_linux_accepts_configuration_type_1), UNIT(test_both_ways_see_the_same),
	  UNIT(test_bar_is_sized_and_decoded), UNIT(test_bar_moves_while_decoded),
	  UNIT(test_two_bars_in_one_place), UNIT(test_capabilities_form_a_list),
	  UNIT(test_slots_and_window_run_out))
