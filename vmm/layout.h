/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's memory map: the one place where a guest-physical address or an I/O port is given a
 * number. Everything that has to agree on one (loader, ACPI tables, PCI, KVM set-up) includes this.
 *
 *	0x0000_0000  RAM: boot data (GDT, boot_params, page tables, command line), below 0x9fc00
 *	0x0009_fc00  reserved: where a PC has its EBDA, video memory and ROMs; the ACPI tables, and
 *		     16 bytes of code where a BIOS is entered
 *	0x0010_0000  RAM up to 3 GiB: kernel (from 16 MiB if there is room), initrd at the end
 *	0xc000_0000  PCI: 32-bit memory window; the BARs of our own devices
 *	0xe000_0000  PCI: ECAM configuration space, 1 MiB a bus
 *	0xfec0_0000  I/O APIC (in KVM)
 *	0xfee0_0000  local APIC (in KVM)
 *	0xfffb_c000  pages that KVM needs for real mode on Intel
 *	0x1_0000_0000  RAM: what did not fit below 3 GiB
 *	above        PCI: 64-bit memory window
 */
#ifndef TENON_VMM_LAYOUT_H
#define TENON_VMM_LAYOUT_H

/* Boot data: written by the loader, dead once the kernel runs (boot protocol, "Memory Layout"). */
#define LAYOUT_GDT          0x00001000ULL
#define LAYOUT_BOOT_PARAMS  0x00002000ULL /* one page */
#define LAYOUT_SETUP_DATA   0x00003000ULL /* one page: the random seed */
#define LAYOUT_PAGE_TABLES  0x00010000ULL /* PML4, PDPT, four page directories */
#define LAYOUT_CMDLINE      0x00020000ULL
#define LAYOUT_CMDLINE_SIZE 0x00010000ULL /* at most, with the NUL */

#define LAYOUT_LOW_RAM_END 0x0009fc00ULL
#define LAYOUT_ACPI_TABLES 0x000e0000ULL /* the RSDP first, where a BIOS has it too */
#define LAYOUT_ACPI_SIZE   0x0001f000ULL
#define LAYOUT_BIOS_ENTRY  0x000ffff0ULL /* f000:fff0 */
#define LAYOUT_HIGH_MEMORY 0x00100000ULL
#define LAYOUT_KERNEL      0x01000000ULL /* the boot stub's KASLR wants 16 MiB or above */

#define LAYOUT_MEMORY_MINIMUM (32ULL << 20)
#define LAYOUT_RAM_HOLE       0xc0000000ULL /* RAM goes on at 4 GiB */
#define LAYOUT_4G             0x100000000ULL

#define LAYOUT_PCI_MEM32      0xc0000000ULL
#define LAYOUT_PCI_MEM32_SIZE 0x20000000ULL
#define LAYOUT_PCI_ECAM       0xe0000000ULL
#define LAYOUT_PCI_BUSES      1u
#define LAYOUT_PCI_ECAM_SIZE  (LAYOUT_PCI_BUSES << 20)
#define LAYOUT_PCI_MEM64_SIZE 0x400000000ULL

#define LAYOUT_IOAPIC       0xfec00000ULL
#define LAYOUT_LOCAL_APIC   0xfee00000ULL
#define LAYOUT_IDENTITY_MAP 0xfffbc000ULL /* one page */
#define LAYOUT_TSS          0xfffbd000ULL /* three pages */

/* I/O ports. */
#define LAYOUT_PORT_SERIAL      0x3f8u /* eight, as COM1 */
#define LAYOUT_PORT_PANIC       0x505u /* one, where QEMU has it */
#define LAYOUT_PORT_POWER       0x600u /* four: power.h has their order */
#define LAYOUT_PORT_PCI_ADDRESS 0xcf8u
#define LAYOUT_PORT_PCI_DATA    0xcfcu

/* Global system interrupts: pins of the I/O APIC below 24, message-signalled routes from 24. */
#define LAYOUT_GSI_SERIAL    4u
#define LAYOUT_GSI_EVENT     5u /* the power button */
#define LAYOUT_GSI_MSI_FIRST 24u

#define LAYOUT_CPUS_MAX 254u /* xAPIC identifiers; 255 is broadcast */

#endif
