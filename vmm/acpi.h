/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ACPI tables of the machine: RSDP, XSDT, FADT (hardware-reduced), MADT, MCFG, DSDT.
 *
 * Hardware-reduced means no PM1 registers, no PM timer, no SCI, and to Linux also: no 8259, no 8254,
 * no CMOS clock. So everything that the guest is to find, the serial port included, stands in the
 * DSDT. ACPI 6.4 section 4.1; arch/x86/kernel/acpi/boot.c (6.1), acpi_generic_reduced_hw_init.
 */
#ifndef TENON_VMM_ACPI_H
#define TENON_VMM_ACPI_H

#include <stddef.h>
#include <stdint.h>

struct acpi_machine {
	unsigned cpus;      /* their APIC ids are 0 .. cpus - 1 */
	uint64_t pci_mem64; /* 64-bit window; size 0: none */
	uint64_t pci_mem64_size;
};

/* Writes the tables to `at`, which is guest memory from LAYOUT_ACPI_TABLES on and was zero; the RSDP
 * comes first. Returns the bytes used or -ENOSPC. */
int acpi_build(const struct acpi_machine *machine, uint8_t *at, size_t size);

#endif
