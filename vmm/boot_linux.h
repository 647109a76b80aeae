/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads a Linux kernel (bzImage) into guest memory by the 64-bit boot protocol: kernel, initial RAM
 * disk, command line, memory map, random seed, and the descriptor and page tables with which the
 * first processor enters. Documentation/x86/boot.rst (6.1), "64-bit Boot Protocol".
 *
 * The kernel file is not trusted: every field of its header that decides something is checked.
 */
#ifndef TENON_VMM_BOOT_LINUX_H
#define TENON_VMM_BOOT_LINUX_H

#include <stddef.h>
#include <stdint.h>

struct error;
struct guest_memory;

#define BOOT_LINUX_SEED_SIZE 32

/* What a bzImage says of itself, checked. */
struct boot_linux_image {
	const uint8_t *file;
	size_t size;
	size_t header_end;       /* the setup header is file[0x1f1 .. header_end) */
	size_t payload;          /* where the protected-mode part begins; to the file's end */
	uint64_t needs;          /* bytes of RAM from the load address on */
	uint64_t address;        /* where it is loaded, and runs */
	uint64_t initrd_end_max; /* an initial RAM disk ends at or below */
	size_t cmdline_max;      /* without the NUL */
};

struct boot_linux {
	const char *kernel_name; /* for messages */
	const uint8_t *kernel;
	size_t kernel_size;
	const char *initrd_name;
	const uint8_t *initrd; /* NULL: none */
	size_t initrd_size;
	const char *cmdline;
	uint8_t seed[BOOT_LINUX_SEED_SIZE]; /* random, for the guest's own generator */
};

/* How the first processor starts: in 64-bit mode, paging on, interrupts off, RSI = boot_params. */
struct boot_linux_entry {
	uint64_t instruction;
	uint64_t boot_params;
	uint64_t page_tables;
	uint64_t gdt;
	uint16_t gdt_limit;
};

#define BOOT_LINUX_CODE_SELECTOR 0x10
#define BOOT_LINUX_DATA_SELECTOR 0x18

/* Checks a file's header. -ENOEXEC with `error` set: what is wrong where. */
int boot_linux_parse(struct boot_linux_image *image, const char *name, const uint8_t *file,
		     size_t size, struct error *error);

/*
 * Where an initial RAM disk of `size` bytes (0: none) goes in a machine whose RAM from address 0 ends at
 * `ram_end`. -ENOMEM if it or the kernel does not fit, with how much memory it takes in `error`; the names
 * are for that.
 */
int boot_linux_place(const struct boot_linux_image *image, const char *kernel_name,
		     const char *initrd_name, uint64_t size, uint64_t ram_end, uint64_t *address,
		     struct error *error);

/* Whether a command line is short enough for the kernel and for us; -E2BIG with `error` set. */
int boot_linux_check_cmdline(const struct boot_linux_image *image, const char *kernel_name,
			     const char *cmdline, struct error *error);

/*
 * Loads everything; guest memory was zero. Its region at address 0 is the RAM below the PCI hole.
 * Besides the errors of boot_linux_parse(): -ENOMEM when kernel or initial RAM disk do not fit,
 * -E2BIG for the command line.
 */
int boot_linux_load(const struct boot_linux *boot, const struct guest_memory *memory,
		    struct boot_linux_entry *entry, struct error *error);

#endif
