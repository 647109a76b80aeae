/* SPDX-License-Identifier: BSD-2-Clause */
/* Loads a bzImage; see boot_linux.h. */
#include "vmm/boot_linux.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/size.h"
#include "virtio/guest_memory.h"
#include "vmm/layout.h"

/* The setup header in the file (boot.rst, "The Real-Mode Kernel Header"). */
#define HEADER_START        0x1f1
#define HEADER_JUMP_OFFSET  0x201 /* its end is 0x202 plus this byte */
#define HEADER_BASE         0x202
#define HEADER_MINIMUM      0x264 /* up to init_size, which protocol 2.10 has */
#define HEADER_MAXIMUM      0x290 /* what follows in boot_params */
#define BOOT_FLAG_AT        0x1fe
#define BOOT_FLAG           0xaa55
#define MAGIC_AT            0x202
#define MAGIC               0x53726448 /* "HdrS" */
#define PROTOCOL_MINIMUM    0x020c     /* the first with xloadflags */
#define ENTRY_64            0x200
#define SETUP_SECTS_DEFAULT 4
#define SECTOR              512
#define PARAGRAPH           16
#define PAGE                4096
#define LOADER_UNDEFINED    0xff

_Static_assert(sizeof(struct boot_params) == 4096, "boot_params is one page");
_Static_assert(offsetof(struct boot_params, hdr) == HEADER_START, "setup header");
_Static_assert(offsetof(struct boot_params, edd_mbr_sig_buffer) == HEADER_MAXIMUM, "its end");
_Static_assert(offsetof(struct boot_params, acpi_rsdp_addr) == 0x70, "acpi_rsdp_addr");

/* Says what a file is that is not a bzImage, where that is easily told. */
static const char *guess(const uint8_t *file, size_t size)
{
	static const struct {
		const char *magic;
		unsigned length, at;
		const char *meaning;
	} known[] = {
		{ "\177ELF", 4, 0, "an ELF file: give the bzImage (vmlinuz), not vmlinux" },
		{ "\x1f\x8b", 2, 0, "a gzip file: a bzImage is not compressed as a whole" },
		{ "\x28\xb5\x2f\xfd", 4, 0, "a zstd file: perhaps the initial RAM disk" },
		{ "070701", 6, 0, "a cpio archive: perhaps the initial RAM disk" },
		{ "ARM\x64", 4, 0x38, "a kernel for ARM" },
		{ "QFI\xfb", 4, 0, "a qcow2 disk image" },
		{ "!<arch>", 7, 0, "an archive: perhaps a Debian package" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (range_within(known[i].at, known[i].length, size) &&
		    !memcmp(file + known[i].at, known[i].magic, known[i].length))
			return known[i].meaning;
	return NULL;
}

static int refuse(struct error *error, const char *name, const uint8_t *file, size_t size,
		  const char *what, uint64_t at, uint64_t found, uint64_t expected)
{
	const char *meaning = guess(file, size);

	error_set(error, -ENOEXEC,
		  "%s: not a bzImage: %s at byte 0x%llx is 0x%llx, expected 0x%llx", name, what,
		  (unsigned long long)at, (unsigned long long)found, (unsigned long long)expected);
	if (meaning)
		error_advise(error, "it looks like %s", meaning);
	else
		error_advise(error, "give an x86-64 Linux kernel, such as /boot/vmlinuz-VERSION");
	return -ENOEXEC;
}

/* Whether it is a bzImage at all, of a protocol new enough. */
static int check_magic(const char *name, const uint8_t *file, size_t size, struct error *error)
{
	if (size < HEADER_MINIMUM) {
		error_set(error, -ENOEXEC,
			  "%s: not a bzImage: %zu bytes long, the header alone takes %d", name,
			  size, HEADER_MINIMUM);
		error_advise(error, "give an x86-64 Linux kernel, such as /boot/vmlinuz-VERSION");
		return -ENOEXEC;
	}
	if (get_le16(file + BOOT_FLAG_AT) != BOOT_FLAG)
		return refuse(error, name, file, size, "the boot flag", BOOT_FLAG_AT,
			      get_le16(file + BOOT_FLAG_AT), BOOT_FLAG);
	if (get_le32(file + MAGIC_AT) != MAGIC)
		return refuse(error, name, file, size, "the header magic", MAGIC_AT,
			      get_le32(file + MAGIC_AT), MAGIC);
	return 0;
}

/* Whether it can be entered in 64-bit mode. */
static int check_protocol(const char *name, const struct setup_header *header, struct error *error)
{
	if (header->version < PROTOCOL_MINIMUM)
		return error_set(error, -ENOEXEC,
				 "%s: boot protocol %u.%02u at byte 0x206, expected 2.12 or later",
				 name, header->version >> 8, header->version & 0xff);
	if (!(header->loadflags & LOADED_HIGH))
		return error_set(error, -ENOEXEC,
				 "%s: loadflags at byte 0x211 are 0x%x: a zImage, loaded low; "
				 "expected a bzImage (bit 0 set)",
				 name, header->loadflags);
	if (!(header->xloadflags & XLF_KERNEL_64))
		return error_set(error, -ENOEXEC,
				 "%s: xloadflags at byte 0x236 are 0x%x: no 64-bit entry (bit 0); "
				 "expected a kernel for x86-64",
				 name, header->xloadflags);
	return 0;
}

/*
 * Where it prefers to be. A kernel that can be moved may be loaded elsewhere, but not to run lower: its
 * start-up code moves itself up to the preferred address (arch/x86/boot/compressed/head_64.S, 6.1,
 * LOAD_PHYSICAL_ADDR), and overwrites or misses what is not there.
 */
static uint64_t load_address(const struct setup_header *header)
{
	uint64_t address = MAX(header->pref_address, LAYOUT_HIGH_MEMORY);

	return header->relocatable_kernel ? round_up(address, (uint64_t)header->kernel_alignment)
					  : address;
}

/* Whether sizes and addresses in the header are possible and agree with the file. */
static int check_sizes(struct boot_linux_image *image, const char *name,
		       const struct setup_header *header, struct error *error)
{
	uint64_t promised = (uint64_t)header->syssize * PARAGRAPH, payload;

	if (image->header_end < HEADER_MINIMUM || image->header_end > image->payload ||
	    image->header_end > HEADER_MAXIMUM)
		return error_set(error, -ENOEXEC,
				 "%s: the setup header ends at byte 0x%zx (from byte 0x201), "
				 "expected 0x%x to 0x%x",
				 name, image->header_end, HEADER_MINIMUM, HEADER_MAXIMUM);
	payload = image->size > image->payload ? image->size - image->payload : 0;
	/* It counts in paragraphs, and a file need not fill the last one. */
	if (round_up(payload, PARAGRAPH) < promised || payload <= ENTRY_64)
		return error_set(error, -ENOEXEC,
				 "%s: truncated: %llu bytes of kernel after the setup code (byte "
				 "0x%zx), the header promises %llu",
				 name, (unsigned long long)payload, image->payload,
				 (unsigned long long)promised);
	if (header->relocatable_kernel && !is_power_of_two(header->kernel_alignment))
		return error_set(error, -ENOEXEC,
				 "%s: kernel_alignment at byte 0x230 is 0x%x, expected a power of "
				 "two",
				 name, header->kernel_alignment);
	if (header->pref_address >= LAYOUT_4G)
		return error_set(error, -ENOEXEC,
				 "%s: pref_address at byte 0x258 is 0x%llx, expected less than "
				 "4 GiB",
				 name, (unsigned long long)header->pref_address);
	if (!header->relocatable_kernel && header->pref_address < LAYOUT_HIGH_MEMORY)
		return error_set(error, -ENOEXEC,
				 "%s: pref_address at byte 0x258 is 0x%llx, and the kernel cannot "
				 "be moved: expected 0x%llx or more",
				 name, (unsigned long long)header->pref_address,
				 LAYOUT_HIGH_MEMORY);
	image->address = load_address(header);
	image->needs = MAX(payload, (uint64_t)header->init_size);
	return 0;
}

int boot_linux_parse(struct boot_linux_image *image, const char *name, const uint8_t *file,
		     size_t size, struct error *error)
{
	struct setup_header header;
	unsigned sectors;
	size_t end;
	int rc;

	rc = check_magic(name, file, size, error);
	if (rc < 0)
		return rc;
	end = (size_t)HEADER_BASE + file[HEADER_JUMP_OFFSET];
	memset(&header, 0, sizeof(header));
	memcpy(&header, file + HEADER_START, MIN(sizeof(header), MIN(end, size) - HEADER_START));
	rc = check_protocol(name, &header, error);
	if (rc < 0)
		return rc;
	sectors = header.setup_sects ? header.setup_sects : SETUP_SECTS_DEFAULT;
	*image = (struct boot_linux_image){
		.file = file,
		.size = size,
		.header_end = end,
		.payload = (sectors + 1) * (size_t)SECTOR,
		.initrd_end_max = (uint64_t)header.initrd_addr_max + 1,
		.cmdline_max = header.cmdline_size,
	};
	return check_sizes(image, name, &header, error);
}

static int does_not_fit(const struct boot_linux_image *image, const char *kernel_name,
			const char *initrd_name, uint64_t size, uint64_t ram_end,
			struct error *error)
{
	uint64_t kernel_end = round_up(image->address + image->needs, PAGE), least, end_max;
	char kernel[SIZE_TEXT], initrd[SIZE_TEXT], has[SIZE_TEXT];

	size_format(image->needs, kernel);
	size_format(ram_end, has);
	if (size)
		error_set(error, -ENOMEM,
			  "%s: the kernel takes %s from 0x%llx on, and %s: the initial RAM disk "
			  "takes %s above it: there are %s",
			  kernel_name, kernel, (unsigned long long)image->address, initrd_name,
			  size_format(size, initrd), has);
	else
		error_set(error, -ENOMEM,
			  "%s: the kernel takes %s from 0x%llx on, the machine has %s", kernel_name,
			  kernel, (unsigned long long)image->address, has);
	end_max = MIN(LAYOUT_RAM_HOLE, size ? image->initrd_end_max : LAYOUT_RAM_HOLE);
	if (kernel_end > end_max || size > end_max - kernel_end) {
		error_advise(error, "no machine has room for that: all of it must lie below 0x%llx",
			     (unsigned long long)end_max);
		return -ENOMEM;
	}
	least = (kernel_end + round_up(size, PAGE) + (1 << 20) - 1) >> 20;
	error_advise(error,
		     "give the machine at least --memory %lluM, and what the guest needs to work",
		     (unsigned long long)least);
	return -ENOMEM;
}

/* The initial RAM disk goes as high as it may, so that the kernel can unpack below it. */
int boot_linux_place(const struct boot_linux_image *image, const char *kernel_name,
		     const char *initrd_name, uint64_t size, uint64_t ram_end, uint64_t *address,
		     struct error *error)
{
	uint64_t kernel_end = round_up(image->address + image->needs, PAGE);
	uint64_t end = round_down(MIN(ram_end, image->initrd_end_max), PAGE);

	*address = 0;
	if (!range_within(image->address, image->needs, ram_end))
		return does_not_fit(image, kernel_name, initrd_name, size, ram_end, error);
	if (!size)
		return 0;
	if (end < kernel_end || size > end - kernel_end)
		return does_not_fit(image, kernel_name, initrd_name, size, ram_end, error);
	*address = round_down(end - size, PAGE);
	return 0;
}

int boot_linux_check_cmdline(const struct boot_linux_image *image, const char *kernel_name,
			     const char *cmdline, struct error *error)
{
	size_t length = strlen(cmdline), most = MIN(image->cmdline_max, LAYOUT_CMDLINE_SIZE - 1);

	return length <= most
		       ? 0
		       : error_set(error, -E2BIG,
				   "the kernel command line has %zu bytes, %s takes at most %zu",
				   length, kernel_name, most);
}

static void add_memory(struct boot_params *params, uint64_t start, uint64_t end, uint32_t type)
{
	struct boot_e820_entry entry = { .addr = start, .size = end - start, .type = type };

	params->e820_table[params->e820_entries++] = entry;
}

static void describe_memory(struct boot_params *params, const struct guest_memory *memory)
{
	enum { RAM = 1, RESERVED = 2 };

	add_memory(params, 0, LAYOUT_LOW_RAM_END, RAM);
	add_memory(params, LAYOUT_LOW_RAM_END, LAYOUT_HIGH_MEMORY, RESERVED);
	add_memory(params, LAYOUT_HIGH_MEMORY, memory->regions[0].size, RAM);
	add_memory(params, LAYOUT_PCI_ECAM, LAYOUT_PCI_ECAM + LAYOUT_PCI_ECAM_SIZE, RESERVED);
	add_memory(params, LAYOUT_IDENTITY_MAP, LAYOUT_4G, RESERVED);
	for (unsigned i = 1; i < memory->count; i++)
		add_memory(params, memory->regions[i].guest_address,
			   memory->regions[i].guest_address + memory->regions[i].size, RAM);
}

/* A seed for the guest's random number generator, which it trusts and wipes. */
static void write_seed(uint8_t *at, const uint8_t seed[BOOT_LINUX_SEED_SIZE])
{
	struct setup_data data = { .type = SETUP_RNG_SEED, .len = BOOT_LINUX_SEED_SIZE };

	memcpy(at, &data, sizeof(data));
	memcpy(at + sizeof(data), seed, BOOT_LINUX_SEED_SIZE);
}

/* Maps the first 4 GiB to themselves in pages of 2 MiB: one PML4 entry, four page directories. */
static void write_page_tables(uint8_t *at)
{
	enum { TABLE = 0x03, LARGE = 0x83 }; /* present, writable, large page */

	put_le64(at, LAYOUT_PAGE_TABLES + 0x1000 + TABLE);
	for (unsigned i = 0; i < 4; i++) {
		uint8_t *directory = at + 0x2000 + 0x1000 * (size_t)i;

		put_le64(at + 0x1000 + 8 * i, LAYOUT_PAGE_TABLES + 0x2000 + 0x1000 * i + TABLE);
		for (unsigned j = 0; j < 512; j++)
			put_le64(directory + 8 * j, ((uint64_t)i * 512 + j) * 0x200000 + LARGE);
	}
}

/* Flat segments at the selectors that the protocol asks for. */
static void write_gdt(uint8_t *at)
{
	put_le64(at + BOOT_LINUX_CODE_SELECTOR, 0x00af9b000000ffffULL); /* 64-bit, execute/read */
	put_le64(at + BOOT_LINUX_DATA_SELECTOR, 0x00cf93000000ffffULL); /* read/write */
}

int boot_linux_load(const struct boot_linux *boot, const struct guest_memory *memory,
		    struct boot_linux_entry *entry, struct error *error)
{
	struct boot_linux_image image;
	struct boot_params *params;
	uint64_t initrd, ram_end;
	uint8_t *ram;
	int rc;

	rc = boot_linux_parse(&image, boot->kernel_name, boot->kernel, boot->kernel_size, error);
	if (rc < 0)
		return rc;
	if (!memory->count || memory->regions[0].guest_address ||
	    memory->regions[0].size < LAYOUT_MEMORY_MINIMUM)
		return error_set(error, -ENOMEM, "no RAM at address 0");
	ram = memory->regions[0].host;
	ram_end = memory->regions[0].size;
	rc = boot_linux_check_cmdline(&image, boot->kernel_name, boot->cmdline, error);
	if (rc < 0)
		return rc;
	rc = boot_linux_place(&image, boot->kernel_name, boot->initrd_name, boot->initrd_size,
			      ram_end, &initrd, error);
	if (rc < 0)
		return rc;

	memcpy(ram + image.address, image.file + image.payload, image.size - image.payload);
	if (boot->initrd_size)
		memcpy(ram + initrd, boot->initrd, boot->initrd_size);
	memcpy(ram + LAYOUT_CMDLINE, boot->cmdline, strlen(boot->cmdline) + 1);
	write_seed(ram + LAYOUT_SETUP_DATA, boot->seed);
	write_page_tables(ram + LAYOUT_PAGE_TABLES);
	write_gdt(ram + LAYOUT_GDT);

	params = (struct boot_params *)(ram + LAYOUT_BOOT_PARAMS);
	memset(params, 0, sizeof(*params));
	memcpy(&params->hdr, image.file + HEADER_START, image.header_end - HEADER_START);
	params->hdr.type_of_loader = LOADER_UNDEFINED;
	params->hdr.cmd_line_ptr = LAYOUT_CMDLINE;
	params->hdr.ramdisk_image = (uint32_t)initrd;
	params->hdr.ramdisk_size = (uint32_t)boot->initrd_size;
	params->hdr.setup_data = LAYOUT_SETUP_DATA;
	params->acpi_rsdp_addr = LAYOUT_ACPI_TABLES;
	describe_memory(params, memory);

	*entry = (struct boot_linux_entry){
		.instruction = image.address + ENTRY_64,
		.boot_params = LAYOUT_BOOT_PARAMS,
		.page_tables = LAYOUT_PAGE_TABLES,
		.gdt = LAYOUT_GDT,
		.gdt_limit = BOOT_LINUX_DATA_SELECTOR + 7,
	};
	return 0;
}
