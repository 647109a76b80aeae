/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bzImage loader: any file is refused or loaded. The last eight bytes choose how much memory the machine
 * has, how long the command line is, and an initial RAM disk's size, for which no bytes need to be there. What
 * is loaded must lie in memory, kernel and initial RAM disk apart from each other.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/bytes.h"
#include "util/error.h"
#include "virtio/guest_memory.h"
#include "vmm/boot_linux.h"
#include "vmm/layout.h"

#define RAM_MAXIMUM (128ULL << 20)
#define CHOICES     8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_placement(const struct boot_linux *boot, uint64_t ram_end, uint64_t initrd_size)
{
	struct boot_linux_image image;
	struct error error = { 0 };
	uint64_t initrd;

	if (boot_linux_parse(&image, "kernel", boot->kernel, boot->kernel_size, &error) < 0 ||
	    boot_linux_place(&image, "kernel", "initrd", initrd_size, ram_end, &initrd, &error) <
		    0) {
		require(error.text[0]);
		return;
	}
	require(image.address >= LAYOUT_HIGH_MEMORY);
	require(range_within(image.address, image.needs, ram_end));
	if (initrd_size)
		require(initrd >= image.address + image.needs &&
			range_within(initrd, initrd_size, MIN(ram_end, image.initrd_end_max)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t *ram;
	static char cmdline[70000];
	struct boot_linux boot = { .kernel_name = "kernel",
				   .initrd_name = "initrd",
				   .cmdline = cmdline };
	struct guest_memory memory = { 0 };
	struct boot_linux_entry entry;
	struct error error = { 0 };
	uint64_t ram_end;
	size_t length;

	if (size < CHOICES)
		return 0;
	if (!ram)
		ram = mmap(NULL, RAM_MAXIMUM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	boot.kernel_size = size - CHOICES;
	boot.kernel = data;
	data += boot.kernel_size;
	ram_end = LAYOUT_MEMORY_MINIMUM + (uint64_t)data[0] % 97 * (1 << 20);
	length = get_le16(data + 2);
	memset(cmdline, 'a', length);
	cmdline[length] = '\0';
	check_placement(&boot, ram_end, get_le32(data + 4) * (data[1] & 1 ? 4096ULL : 1));

	/* The kernel's own bytes once more, for they are there to be copied. */
	boot.initrd = boot.kernel;
	boot.initrd_size = data[1] & 2 ? boot.kernel_size : 0;
	guest_memory_add_region(&memory, 0, ram_end, ram, NULL);
	if (boot_linux_load(&boot, &memory, &entry, &error) == 0)
		require(range_within(entry.instruction, 1, ram_end));
	else
		require(error.text[0]);
	guest_memory_clear(&memory);
	return 0;
}
