/* SPDX-License-Identifier: BSD-2-Clause */
/* The bzImage loader: what it puts where, and what it says to files that are no kernel. Memory map and
 * tables for the guest: ACPI checksums, and iasl's opinion of them. */
#include "unit.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/error.h"
#include "virtio/guest_memory.h"
#include "vmm/acpi.h"
#include "vmm/boot_linux.h"
#include "vmm/layout.h"
#include "vmm/power.h"

#define SETUP_SECTORS 4
#define PAYLOAD_AT    ((SETUP_SECTORS + 1) * 512)
#define PAYLOAD       8192
#define IMAGE_SIZE    (PAYLOAD_AT + PAYLOAD)
#define RAM           (64ULL << 20)

static uint8_t image[IMAGE_SIZE];
static struct guest_memory memory;
static uint8_t *ram;

/* A header like that of Debian's 6.1 kernel, with a small payload. */
static void make_image(void)
{
	memset(image, 0, sizeof(image));
	image[0x1f1] = SETUP_SECTORS;
	put_le32(image + 0x1f4, PAYLOAD / 16); /* syssize */
	put_le16(image + 0x1fe, 0xaa55);
	image[0x200] = 0xeb;
	image[0x201] = 0x6a; /* the header ends at 0x26c */
	memcpy(image + 0x202, "HdrS", 4);
	put_le16(image + 0x206, 0x020f);
	image[0x211] = LOADED_HIGH;
	put_le32(image + 0x22c, 0x7fffffff); /* initrd_addr_max */
	put_le32(image + 0x230, 0x200000);   /* kernel_alignment */
	image[0x234] = 1;                    /* relocatable */
	put_le16(image + 0x236, 0x7f);       /* xloadflags */
	put_le32(image + 0x238, 2047);       /* cmdline_size */
	put_le64(image + 0x258, 0x1000000);  /* pref_address */
	put_le32(image + 0x260, 0x1000000);  /* init_size */
	memset(image + PAYLOAD_AT, 0xcc, PAYLOAD);
}

static void begin(void)
{
	make_image();
	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	guest_memory_add_region(&memory, 0, RAM, ram, NULL);
}

static void end(void)
{
	guest_memory_clear(&memory);
	munmap(ram, RAM);
}

static struct boot_linux a_boot(void)
{
	return (struct boot_linux){ .kernel_name = "vmlinuz",
				    .kernel = image,
				    .kernel_size = sizeof(image),
				    .cmdline = "console=ttyS0" };
}

static void test_kernel_is_loaded_as_the_protocol_says(void)
{
	struct boot_linux boot = a_boot();
	struct boot_linux_entry entry;
	struct boot_params *params;
	static const uint8_t initrd[5000] = { 1, 2, 3 };
	uint64_t initrd_at, total = 0;

	begin();
	boot.initrd = initrd;
	boot.initrd_size = sizeof(initrd);
	boot.seed[0] = 0x42;
	CU_ASSERT_EQUAL_FATAL(boot_linux_load(&boot, &memory, &entry, NULL), 0);
	CU_ASSERT_EQUAL(entry.instruction, 0x1000200);
	CU_ASSERT_EQUAL(ram[0x1000000], 0xcc);
	CU_ASSERT_EQUAL(ram[0x1000000 + PAYLOAD - 1], 0xcc);
	params = (struct boot_params *)(ram + entry.boot_params);
	CU_ASSERT_EQUAL(params->hdr.header, 0x53726448);
	CU_ASSERT_EQUAL(params->hdr.type_of_loader, 0xff);
	CU_ASSERT_EQUAL(params->acpi_rsdp_addr, LAYOUT_ACPI_TABLES);
	CU_ASSERT_STRING_EQUAL((char *)ram + params->hdr.cmd_line_ptr, "console=ttyS0");
	initrd_at = params->hdr.ramdisk_image;
	CU_ASSERT_EQUAL(initrd_at % 4096, 0);
	CU_ASSERT_TRUE(initrd_at >= 0x2000000 && initrd_at + sizeof(initrd) <= RAM);
	CU_ASSERT_EQUAL(memcmp(ram + initrd_at, initrd, sizeof(initrd)), 0);
	CU_ASSERT_EQUAL(params->hdr.ramdisk_size, sizeof(initrd));
	for (unsigned i = 0; i < params->e820_entries; i++) {
		struct boot_e820_entry at;

		memcpy(&at, &params->e820_table[i], sizeof(at));
		if (at.type == 1)
			total += at.size;
		CU_ASSERT_FALSE(at.type == 1 && at.addr < LAYOUT_ACPI_TABLES + LAYOUT_ACPI_SIZE &&
				at.addr + at.size > LAYOUT_ACPI_TABLES);
	}
	CU_ASSERT_EQUAL(total, RAM - (LAYOUT_HIGH_MEMORY - LAYOUT_LOW_RAM_END));
	CU_ASSERT_EQUAL(get_le32(ram + params->hdr.setup_data + 8), SETUP_RNG_SEED);
	CU_ASSERT_EQUAL(ram[params->hdr.setup_data + 16], 0x42);
	/* Page tables: the last 2 MiB of the first 4 GiB. */
	CU_ASSERT_EQUAL(get_le64(ram + entry.page_tables + 0x5000 + 511 * 8), 0xffe00083);
	end();
}

/* Loaded low, a kernel that can be moved moves up and runs over the end of memory: it is refused, with how
 * much memory would do, and is taken with as much. */
static void test_least_memory(void)
{
	struct boot_linux_image parsed;
	struct error error = { 0 };
	uint64_t initrd;

	make_image();
	put_le32(image + 0x260, 0x3378000); /* Debian 12's cloud kernel: 51.4 MiB from 16 MiB on */
	CU_ASSERT_EQUAL(boot_linux_parse(&parsed, "vmlinuz", image, sizeof(image), NULL), 0);
	CU_ASSERT_EQUAL(parsed.address, 0x1000000);
	CU_ASSERT_EQUAL(boot_linux_place(&parsed, "vmlinuz", NULL, 0, RAM, &initrd, &error),
			-ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "51.47 MiB from 0x1000000 on"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, "--memory 68M"));
	CU_ASSERT_EQUAL(boot_linux_place(&parsed, "vmlinuz", NULL, 0, 68 << 20, &initrd, &error),
			0);
	CU_ASSERT_EQUAL(boot_linux_place(&parsed, "vmlinuz", "initrd", 5 << 20, 68 << 20, &initrd,
					 &error),
			-ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, "--memory 73M"));
	CU_ASSERT_EQUAL(boot_linux_place(&parsed, "vmlinuz", "initrd", 5 << 20, 73 << 20, &initrd,
					 &error),
			0);
	CU_ASSERT_TRUE(initrd >= 0x1000000 + 0x3378000);
	/* Below 3 GiB there is not room for everything. */
	CU_ASSERT_EQUAL(boot_linux_place(&parsed, "vmlinuz", "initrd", 3ULL << 30, LAYOUT_RAM_HOLE,
					 &initrd, &error),
			-ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, "no machine has room"));
}

/* The start-up code rounds up to kernel_alignment; what cannot be moved stays where it is. */
static void test_load_addresses(void)
{
	struct boot_linux_image parsed;

	make_image();
	put_le64(image + 0x258, 0x1000001);
	CU_ASSERT_EQUAL(boot_linux_parse(&parsed, "k", image, sizeof(image), NULL), 0);
	CU_ASSERT_EQUAL(parsed.address, 0x1200000);
	put_le64(image + 0x258, 0);
	CU_ASSERT_EQUAL(boot_linux_parse(&parsed, "k", image, sizeof(image), NULL), 0);
	CU_ASSERT_EQUAL(parsed.address, 0x200000);
	image[0x234] = 0;
	CU_ASSERT_EQUAL(boot_linux_parse(&parsed, "k", image, sizeof(image), NULL), -ENOEXEC);
	put_le64(image + 0x258, 0x100000);
	CU_ASSERT_EQUAL(boot_linux_parse(&parsed, "k", image, sizeof(image), NULL), 0);
	CU_ASSERT_EQUAL(parsed.address, 0x100000);
}

static void test_what_does_not_fit_is_refused(void)
{
	struct boot_linux boot = a_boot();
	struct boot_linux_entry entry;
	struct error error = { 0 };
	char cmdline[3000];

	begin();
	put_le32(image + 0x260, 0xffffffff);
	CU_ASSERT_EQUAL(boot_linux_load(&boot, &memory, &entry, &error), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "4.00 GiB"));
	CU_ASSERT_NOT_EQUAL(error.advice[0], 0);
	make_image();
	boot.initrd = ram; /* never read: its size decides */
	boot.initrd_size = 40 << 20;
	boot.initrd_name = "initrd.img";
	CU_ASSERT_EQUAL(boot_linux_load(&boot, &memory, &entry, &error), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "initrd.img"));
	boot.initrd_size = UINT64_MAX - 100;
	CU_ASSERT_EQUAL(boot_linux_load(&boot, &memory, &entry, &error), -ENOMEM);
	boot.initrd = NULL;
	boot.initrd_size = 0;
	memset(cmdline, 'a', sizeof(cmdline));
	cmdline[2048] = '\0';
	boot.cmdline = cmdline;
	CU_ASSERT_EQUAL(boot_linux_load(&boot, &memory, &entry, &error), -E2BIG);
	cmdline[2047] = '\0';
	CU_ASSERT_EQUAL(boot_linux_load(&boot, &memory, &entry, &error), 0);
	end();
}

static void expect_refusal(const uint8_t *bytes, size_t size, const char *says)
{
	struct boot_linux_image parsed;
	struct error error = { 0 };

	CU_ASSERT_EQUAL(boot_linux_parse(&parsed, "kernel", bytes, size, &error), -ENOEXEC);
	if (!strstr(error.text, says))
		printf("  '%s' does not say '%s'\n", error.text, says);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, says));
}

static void test_broken_images_are_refused(void)
{
	struct boot_linux_image parsed;

	make_image();
	CU_ASSERT_EQUAL(boot_linux_parse(&parsed, "kernel", image, sizeof(image), NULL), 0);
	expect_refusal(image, 0, "0 bytes long");
	expect_refusal(image, 0x263, "bytes long");
	expect_refusal(image, 0x300, "truncated");
	/* memtest86+ ends in the middle of its last paragraph, which is what syssize counts. */
	for (unsigned short_of = 1; short_of < 16; short_of++)
		CU_ASSERT_EQUAL(
			boot_linux_parse(&parsed, "kernel", image, IMAGE_SIZE - short_of, NULL), 0);
	expect_refusal(image, IMAGE_SIZE - 16, "truncated: 8176 bytes");
	image[0x1fe] = 0;
	expect_refusal(image, sizeof(image), "at byte 0x1fe is 0xaa00, expected 0xaa55");
	make_image();
	image[0x202] = 'h';
	expect_refusal(image, sizeof(image), "at byte 0x202");
	make_image();
	put_le16(image + 0x206, 0x020b);
	expect_refusal(image, sizeof(image), "boot protocol 2.11");
	make_image();
	image[0x211] = 0;
	expect_refusal(image, sizeof(image), "zImage");
	make_image();
	image[0x236] = 0;
	expect_refusal(image, sizeof(image), "64-bit");
	make_image();
	image[0x201] = 0x50; /* ends before init_size */
	expect_refusal(image, sizeof(image), "0x252");
	make_image();
	image[0x201] = 0xff; /* would run over what follows in boot_params */
	expect_refusal(image, sizeof(image), "0x301");
	make_image();
	put_le32(image + 0x230, 3);
	expect_refusal(image, sizeof(image), "power of two");
	make_image();
	put_le64(image + 0x258, UINT64_MAX);
	expect_refusal(image, sizeof(image), "pref_address");
	make_image();
	put_le32(image + 0x1f4, 0xffffffff);
	expect_refusal(image, sizeof(image), "promises");
}

/* A file that ends inside its header is not read past its end (ASan would tell). */
static void test_file_ends_inside_the_header(void)
{
	for (size_t size = 0x260; size < 0x270; size++) {
		struct boot_linux_image parsed;
		uint8_t *file = malloc(size);

		make_image();
		memcpy(file, image, size);
		CU_ASSERT_EQUAL(boot_linux_parse(&parsed, "kernel", file, size, NULL), -ENOEXEC);
		free(file);
	}
}

static void test_other_files_are_recognised(void)
{
	static const struct {
		const char *bytes, *meaning;
	} files[] = { { "\177ELF", "ELF" }, { "070701", "cpio" }, { "\x28\xb5\x2f\xfd", "zstd" } };
	struct boot_linux_image parsed;
	uint8_t bytes[1024];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct error error = { 0 };

		memset(bytes, 0, sizeof(bytes));
		memcpy(bytes, files[i].bytes, strlen(files[i].bytes));
		CU_ASSERT_EQUAL(boot_linux_parse(&parsed, "k", bytes, sizeof(bytes), &error),
				-ENOEXEC);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, files[i].meaning));
	}
}

/* Every byte of the header, with every bit turned: either refused or loaded, never anything else. */
static void test_every_header_bit(void)
{
	struct boot_linux boot = a_boot();
	struct boot_linux_entry entry;
	unsigned loaded = 0, refused = 0;

	begin();
	for (unsigned at = 0x1f1; at < 0x26c; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			make_image();
			image[at] ^= (uint8_t)(1u << bit);
			if (boot_linux_load(&boot, &memory, &entry, NULL) == 0)
				loaded++;
			else
				refused++;
		}
	}
	CU_ASSERT_TRUE(loaded > 500);
	CU_ASSERT_TRUE(refused > 60);
	end();
}

/* ---- ACPI ---- */

static uint8_t tables[LAYOUT_ACPI_SIZE];

static uint8_t sum(const uint8_t *at, size_t length)
{
	uint8_t total = 0;

	while (length--)
		total += *at++;
	return total;
}

static uint8_t *table_at(uint64_t address)
{
	CU_ASSERT_FATAL(address >= LAYOUT_ACPI_TABLES &&
			address < LAYOUT_ACPI_TABLES + LAYOUT_ACPI_SIZE);
	return tables + (address - LAYOUT_ACPI_TABLES);
}

static void build_tables(unsigned cpus)
{
	struct acpi_machine machine = { .cpus = cpus,
					.pci_mem64 = 0x140000000,
					.pci_mem64_size = 0x400000000 };

	memset(tables, 0, sizeof(tables));
	CU_ASSERT_TRUE_FATAL(acpi_build(&machine, tables, sizeof(tables)) > 0);
}

/* Finds a table through the XSDT, as an operating system would. */
static uint8_t *find_table(const char *signature)
{
	uint8_t *xsdt = table_at(get_le64(tables + 24));
	unsigned count = (get_le32(xsdt + 4) - 36) / 8;

	for (unsigned i = 0; i < count; i++) {
		uint8_t *table = table_at(get_le64(xsdt + 36 + 8 * i));

		if (!memcmp(table, signature, 4))
			return table;
	}
	return NULL;
}

static void test_acpi_checksums(void)
{
	static const char *const signatures[] = { "FACP", "APIC", "MCFG" };
	uint8_t *xsdt;

	build_tables(2);
	CU_ASSERT_EQUAL(memcmp(tables, "RSD PTR ", 8), 0);
	CU_ASSERT_EQUAL(sum(tables, 20), 0);
	CU_ASSERT_EQUAL(sum(tables, 36), 0);
	xsdt = table_at(get_le64(tables + 24));
	CU_ASSERT_EQUAL(memcmp(xsdt, "XSDT", 4), 0);
	CU_ASSERT_EQUAL(sum(xsdt, get_le32(xsdt + 4)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(signatures); i++) {
		uint8_t *table = find_table(signatures[i]);

		CU_ASSERT_PTR_NOT_NULL_FATAL(table);
		CU_ASSERT_EQUAL(sum(table, get_le32(table + 4)), 0);
	}
	{
		uint8_t *dsdt = table_at(get_le64(find_table("FACP") + 140));

		CU_ASSERT_EQUAL(memcmp(dsdt, "DSDT", 4), 0);
		CU_ASSERT_EQUAL(sum(dsdt, get_le32(dsdt + 4)), 0);
	}
}

static void test_madt_lists_every_processor(void)
{
	static const unsigned counts[] = { 1, 2, 22, LAYOUT_CPUS_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		uint8_t *madt, *at, *end;
		unsigned cpus = 0, ioapics = 0;

		build_tables(counts[i]);
		madt = find_table("APIC");
		end = madt + get_le32(madt + 4);
		for (at = madt + 44; at < end; at += at[1]) {
			CU_ASSERT_FATAL(at[1] > 0);
			if (at[0] == 0) {
				CU_ASSERT_EQUAL(at[3], cpus);
				cpus++;
			}
			ioapics += at[0] == 1;
		}
		CU_ASSERT_PTR_EQUAL(at, end);
		CU_ASSERT_EQUAL(cpus, counts[i]);
		CU_ASSERT_EQUAL(ioapics, 1);
	}
}

static void test_fadt_has_ways_to_switch_off_and_reset(void)
{
	uint8_t *fadt;

	build_tables(1);
	fadt = find_table("FACP");
	CU_ASSERT_EQUAL(get_le32(fadt + 4), 276);
	CU_ASSERT_TRUE(get_le32(fadt + 112) & 1u << 20); /* hardware-reduced */
	CU_ASSERT_TRUE(get_le32(fadt + 112) & 1u << 10); /* reset register */
	CU_ASSERT_EQUAL(get_le64(fadt + 120), LAYOUT_PORT_POWER + POWER_RESET);
	CU_ASSERT_EQUAL(get_le64(fadt + 248), LAYOUT_PORT_POWER + POWER_SLEEP_CONTROL);
	CU_ASSERT_EQUAL(get_le64(fadt + 260), LAYOUT_PORT_POWER + POWER_SLEEP_STATUS);
}

static void write_table(const char *name, const uint8_t *table)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.dat", unit_directory(), name);
	file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fwrite(table, 1, get_le32(table + 4), file);
	fclose(file);
}

static int in_directory(const char *command)
{
	char line[512];
	int status;

	snprintf(line, sizeof(line), "cd %s && %s", unit_directory(), command);
	status = system(line);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The ACPI compiler takes the tables apart, and what it makes of the DSDT compiles without a word. */
static void test_iasl_accepts_the_tables(void)
{
	if (system("command -v iasl >/dev/null")) {
		unit_skip("iasl (acpica-tools) is not installed");
		return;
	}
	build_tables(4);
	write_table("fadt", find_table("FACP"));
	write_table("madt", find_table("APIC"));
	write_table("mcfg", find_table("MCFG"));
	write_table("dsdt", table_at(get_le64(find_table("FACP") + 140)));
	for (int i = 0; i < 4; i++) {
		static const char *const names[] = { "fadt", "madt", "mcfg", "dsdt" };
		char command[128];

		snprintf(command, sizeof(command), "iasl -d %s.dat >%s.log 2>&1", names[i],
			 names[i]);
		CU_ASSERT_EQUAL(in_directory(command), 0);
		snprintf(command, sizeof(command), "! grep -qiE 'warning|error|invalid' %s.log",
			 names[i]);
		CU_ASSERT_EQUAL(in_directory(command), 0);
	}
	CU_ASSERT_EQUAL(in_directory("iasl dsdt.dsl >compile.log 2>&1"), 0);
	CU_ASSERT_EQUAL(in_directory("grep -q '0 Errors, 0 Warnings' compile.log"), 0);
	CU_ASSERT_EQUAL(in_directory("grep -q 'Notify (.*PWRB, 0x80)' dsdt.dsl"), 0);
	CU_ASSERT_EQUAL(in_directory("grep -q '_HID, \"QEMU0001\"' dsdt.dsl"), 0);
}

static void test_tables_that_do_not_fit(void)
{
	struct acpi_machine machine = { .cpus = 1 };

	CU_ASSERT_EQUAL(acpi_build(&machine, tables, 1000), -ENOSPC);
}

UNIT_MAIN("vmm boot", UNIT(test_kernel_is_loaded_as_the_protocol_says), UNIT(test_least_memory),
	  UNIT(test_load_addresses), UNIT(test_what_does_not_fit_is_refused),
	  UNIT(test_broken_images_are_refused), UNIT(test_file_ends_inside_the_header),
	  UNIT(test_other_files_are_recognised), UNIT(test_every_header_bit),
	  UNIT(test_acpi_checksums), UNIT(test_madt_lists_every_processor),
	  UNIT(test_fadt_has_ways_to_switch_off_and_reset), UNIT(test_iasl_accepts_the_tables),
	  UNIT(test_tables_that_do_not_fit))
