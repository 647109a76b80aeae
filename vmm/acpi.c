/* SPDX-License-Identifier: BSD-2-Clause */
/* The ACPI tables of the machine; see acpi.h. */
#include "vmm/acpi.h"

#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "vmm/aml.h"
#include "vmm/layout.h"
#include "vmm/panic.h"
#include "vmm/power.h"
#include "vmm/serial.h"

#define HEADER_SIZE 36
#define RSDP_SIZE   36
#define FADT_SIZE   276
#define TABLE_ALIGN 64
#define DSDT_SIZE   4096

/* FADT feature flags (ACPI 6.4, table 5.10). */
#define FADT_WBINVD              (1u << 0)
#define FADT_C1                  (1u << 2)
#define FADT_POWER_BUTTON_METHOD (1u << 4)
#define FADT_SLEEP_BUTTON_METHOD (1u << 5)
#define FADT_RESET_REGISTER      (1u << 10)
#define FADT_HARDWARE_REDUCED    (1u << 20)

/* IA-PC boot architecture flags (table 5.11): what is not there. No 8042 either: bit 1 stays 0. */
#define BOOT_ARCH_NO_VGA  (1u << 2)
#define BOOT_ARCH_NO_CMOS (1u << 5)

static void sum_to_zero(uint8_t *at, size_t length, size_t checksum)
{
	uint8_t sum = 0;

	at[checksum] = 0;
	for (size_t i = 0; i < length; i++)
		sum += at[i];
	at[checksum] = (uint8_t)-sum;
}

/* Names in tables have a fixed length and no NUL. */
static void put_tag(uint8_t *at, const char *tag, size_t length)
{
	memcpy(at, tag, length);
}

/* Fills in the header of a table whose body is written (ACPI table 5.4). */
static void finish_table(uint8_t *at, const char *signature, uint8_t revision, size_t length)
{
	put_tag(at, signature, 4);
	put_le32(at + 4, (uint32_t)length);
	at[8] = revision;
	put_tag(at + 10, "TENON ", 6);
	put_tag(at + 16, "TENONVMM", 8);
	put_le32(at + 24, 1);
	put_tag(at + 28, "TENO", 4);
	put_le32(at + 32, 1);
	sum_to_zero(at, length, 9);
}

/* A generic address: one byte register in port space (table 5.1). */
static void put_port_register(uint8_t *at, unsigned port)
{
	at[0] = 1; /* system I/O */
	at[1] = 8; /* bits wide */
	at[2] = 0;
	at[3] = 1; /* byte access */
	put_le64(at + 4, port);
}

static size_t build_fadt(uint8_t *at, uint64_t dsdt)
{
	put_le16(at + 109, BOOT_ARCH_NO_VGA | BOOT_ARCH_NO_CMOS);
	put_le32(at + 112, FADT_WBINVD | FADT_C1 | FADT_POWER_BUTTON_METHOD |
				   FADT_SLEEP_BUTTON_METHOD | FADT_RESET_REGISTER |
				   FADT_HARDWARE_REDUCED);
	put_port_register(at + 116, LAYOUT_PORT_POWER + POWER_RESET);
	at[128] = POWER_RESET_VALUE;
	at[131] = 5; /* minor version: 6.5 */
	put_le64(at + 140, dsdt);
	put_port_register(at + 244, LAYOUT_PORT_POWER + POWER_SLEEP_CONTROL);
	put_port_register(at + 256, LAYOUT_PORT_POWER + POWER_SLEEP_STATUS);
	put_tag(at + 268, "TENONVMM", 8);
	finish_table(at, "FACP", 6, FADT_SIZE);
	return FADT_SIZE;
}

static size_t build_madt(uint8_t *at, unsigned cpus)
{
	uint8_t *entry = at + HEADER_SIZE + 8;

	put_le32(at + HEADER_SIZE, LAYOUT_LOCAL_APIC); /* flags stay 0: no 8259 */
	for (unsigned i = 0; i < cpus; i++, entry += 8) {
		entry[0] = 0; /* local APIC */
		entry[1] = 8;
		entry[2] = (uint8_t)i;  /* processor UID */
		entry[3] = (uint8_t)i;  /* APIC id */
		put_le32(entry + 4, 1); /* enabled */
	}
	entry[0] = 1; /* I/O APIC; its id must differ from the processors' */
	entry[1] = 12;
	entry[2] = (uint8_t)cpus;
	put_le32(entry + 4, LAYOUT_IOAPIC);
	put_le32(entry + 8, 0); /* first GSI */
	entry += 12;
	entry[0] = 4; /* local APIC NMI: LINT1 of every processor */
	entry[1] = 6;
	entry[2] = 0xff;
	entry[5] = 1;
	entry += 6;
	finish_table(at, "APIC", 5, (size_t)(entry - at));
	return (size_t)(entry - at);
}

static size_t build_mcfg(uint8_t *at)
{
	uint8_t *entry = at + HEADER_SIZE + 8;

	put_le64(entry, LAYOUT_PCI_ECAM); /* segment 0 from bus 0 */
	entry[11] = LAYOUT_PCI_BUSES - 1;
	finish_table(at, "MCFG", 1, HEADER_SIZE + 24);
	return HEADER_SIZE + 24;
}

static void describe_pci(struct aml *aml, const struct acpi_machine *machine)
{
	aml_mark device = aml_device(aml, "PCI0");
	struct aml_resources resources;

	aml_name_eisa_id(aml, "_HID", "PNP0A08");
	aml_name_eisa_id(aml, "_CID", "PNP0A03");
	aml_name_integer(aml, "_SEG", 0);
	aml_name_integer(aml, "_BBN", 0);
	aml_name_integer(aml, "_UID", 0);
	aml_name_integer(aml, "_CCA", 1);
	resources = aml_resources(aml);
	aml_resource_bus_numbers(aml, 0, LAYOUT_PCI_BUSES - 1);
	aml_resource_port(aml, LAYOUT_PORT_PCI_ADDRESS, 8);
	aml_resource_memory_window(aml, LAYOUT_PCI_MEM32, LAYOUT_PCI_MEM32_SIZE);
	if (machine->pci_mem64_size)
		aml_resource_memory_window(aml, machine->pci_mem64, machine->pci_mem64_size);
	aml_close_resources(aml, resources);
	aml_close(aml, device);

	/* Linux uses ECAM only if a motherboard resource (or the e820 map) reserves it. */
	device = aml_device(aml, "ECAM");
	aml_name_eisa_id(aml, "_HID", "PNP0C02");
	aml_name_integer(aml, "_UID", 0);
	resources = aml_resources(aml);
	aml_resource_memory(aml, LAYOUT_PCI_ECAM, LAYOUT_PCI_ECAM_SIZE);
	aml_close_resources(aml, resources);
	aml_close(aml, device);
}

static void describe_serial(struct aml *aml)
{
	aml_mark device = aml_device(aml, "COM1");
	struct aml_resources resources;

	aml_name_eisa_id(aml, "_HID", "PNP0501");
	aml_name_integer(aml, "_UID", 0);
	resources = aml_resources(aml);
	aml_resource_port(aml, LAYOUT_PORT_SERIAL, SERIAL_PORTS);
	aml_resource_interrupt(aml, LAYOUT_GSI_SERIAL);
	aml_close_resources(aml, resources);
	aml_close(aml, device);
}

static void describe_panic(struct aml *aml)
{
	aml_mark device = aml_device(aml, "PEVT");
	struct aml_resources resources;

	aml_name(aml, "_HID");
	aml_string(aml, "QEMU0001");
	aml_name_integer(aml, "_UID", 0);
	resources = aml_resources(aml);
	aml_resource_port(aml, LAYOUT_PORT_PANIC, PANIC_PORTS);
	aml_close_resources(aml, resources);
	aml_close(aml, device);
}

/*
 * The generic event device: its interrupt runs _EVT, which asks the event register what happened.
 *
 *	OperationRegion (EREG, SystemIO, port, 1)
 *	Field (EREG, ByteAcc, NoLock, WriteAsZeros) { EVTS, 8 }
 *	Method (_EVT, 1, Serialized) { Local0 = EVTS; If (Local0 & 1) { Notify (PWRB, 0x80) } }
 */
static void describe_power_button(struct aml *aml)
{
	aml_mark device = aml_device(aml, "PWRB"), method, condition, field;
	struct aml_resources resources;

	aml_name_eisa_id(aml, "_HID", "PNP0C0C");
	aml_name_integer(aml, "_UID", 0);
	aml_close(aml, device);

	device = aml_device(aml, "GED");
	aml_name(aml, "_HID");
	aml_string(aml, "ACPI0013");
	aml_name_integer(aml, "_UID", 0);
	resources = aml_resources(aml);
	aml_resource_interrupt(aml, LAYOUT_GSI_EVENT);
	aml_close_resources(aml, resources);
	aml_port_region(aml, "EREG", LAYOUT_PORT_POWER + POWER_EVENTS, 1);
	field = aml_byte_field(aml, "EREG");
	aml_field_entry(aml, "EVTS", 8);
	aml_close(aml, field);
	method = aml_method(aml, "_EVT", 1);
	aml_byte(aml, AML_STORE);
	aml_name_string(aml, "EVTS");
	aml_byte(aml, AML_LOCAL_0);
	condition = aml_if(aml);
	aml_byte(aml, AML_AND);
	aml_byte(aml, AML_LOCAL_0);
	aml_integer(aml, POWER_EVENT_BUTTON);
	aml_byte(aml, 0); /* the result goes nowhere else */
	aml_byte(aml, AML_NOTIFY);
	aml_name_string(aml, "\\_SB.PWRB");
	aml_integer(aml, 0x80);
	aml_close(aml, condition);
	aml_close(aml, method);
	aml_close(aml, device);
}

/* A full package of four: OpenBSD faults on a short one. */
static void describe_sleep(struct aml *aml)
{
	aml_mark package;

	aml_name(aml, "_S5");
	package = aml_package(aml, 4);
	aml_integer(aml, POWER_SLEEP_TYPE);
	for (int i = 0; i < 3; i++)
		aml_integer(aml, 0);
	aml_close(aml, package);
}

static size_t build_dsdt(uint8_t *at, const struct acpi_machine *machine)
{
	struct aml aml = { .at = at, .length = HEADER_SIZE, .size = DSDT_SIZE };
	aml_mark scope = aml_scope(&aml, "\\_SB");

	describe_pci(&aml, machine);
	describe_serial(&aml);
	describe_panic(&aml);
	describe_power_button(&aml);
	aml_close(&aml, scope);
	describe_sleep(&aml);
	if (aml.overflow)
		return 0;
	finish_table(at, "DSDT", 2, aml.length);
	return aml.length;
}

static void build_rsdp(uint8_t *at, uint64_t xsdt)
{
	put_tag(at, "RSD PTR ", 8);
	put_tag(at + 9, "TENON ", 6);
	at[15] = 2;
	put_le32(at + 20, RSDP_SIZE);
	put_le64(at + 24, xsdt);
	sum_to_zero(at, 20, 8);
	sum_to_zero(at, RSDP_SIZE, 32);
}

int acpi_build(const struct acpi_machine *machine, uint8_t *at, size_t size)
{
	enum { FADT, MADT, MCFG, TABLES };
	size_t offsets[TABLES], next = TABLE_ALIGN, dsdt = next, used;
	uint8_t *xsdt;

	/* A bound on the sum of all tables, so that the builders need none. */
	if (size < DSDT_SIZE + 4096 + 8 * (size_t)machine->cpus)
		return -ENOSPC;
	used = build_dsdt(at + dsdt, machine);
	if (!used)
		return -ENOSPC;
	next = round_up(next + used, TABLE_ALIGN);
	offsets[FADT] = next;
	next = round_up(next + build_fadt(at + next, LAYOUT_ACPI_TABLES + dsdt), TABLE_ALIGN);
	offsets[MADT] = next;
	next = round_up(next + build_madt(at + next, machine->cpus), TABLE_ALIGN);
	offsets[MCFG] = next;
	next = round_up(next + build_mcfg(at + next), TABLE_ALIGN);

	xsdt = at + next;
	for (size_t i = 0; i < TABLES; i++)
		put_le64(xsdt + HEADER_SIZE + 8 * i, LAYOUT_ACPI_TABLES + offsets[i]);
	finish_table(xsdt, "XSDT", 1, HEADER_SIZE + 8 * TABLES);
	build_rsdp(at, LAYOUT_ACPI_TABLES + next);
	return (int)(next + HEADER_SIZE + 8 * TABLES);
}
