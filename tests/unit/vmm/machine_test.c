/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole machine under this host's /dev/kvm, with guests of a few hundred instructions: a bzImage
 * made here around a piece of 64-bit code. Skips where there is no /dev/kvm.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/error.h"
#include "vmm/kvm.h"
#include "vmm/machine.h"

#define PAYLOAD_AT (2 * 512)
#define IMAGE_SIZE (PAYLOAD_AT + 2048)

static char kernel_path[128], console_path[128];
static uint64_t memory_size = 64 << 20;

static bool no_kvm(void)
{
	struct error error = { 0 };
	int device = kvm_open_device(&error);

	if (device < 0) {
		unit_skip("%s", error.text);
		return true;
	}
	close(device);
	return false;
}

/* Writes a bzImage whose 64-bit entry is `code`, putting it in place in one step. */
static void write_kernel(const uint8_t *code, size_t length)
{
	uint8_t image[IMAGE_SIZE] = { 0 };
	char fresh[160];
	FILE *file;

	image[0x1f1] = 1;
	put_le32(image + 0x1f4, (IMAGE_SIZE - PAYLOAD_AT) / 16);
	put_le16(image + 0x1fe, 0xaa55);
	image[0x201] = 0x6a;
	memcpy(image + 0x202, "HdrS", 4);
	put_le16(image + 0x206, 0x020f);
	image[0x211] = 1;
	put_le32(image + 0x22c, 0x7fffffff);
	put_le32(image + 0x230, 0x200000);
	image[0x234] = 1;
	put_le16(image + 0x236, 1);
	put_le32(image + 0x238, 2047);
	put_le64(image + 0x258, 0x1000000);
	put_le32(image + 0x260, 0x100000);
	memcpy(image + PAYLOAD_AT + 0x200, code, length);
	snprintf(kernel_path, sizeof(kernel_path), "%s/kernel", unit_directory());
	snprintf(console_path, sizeof(console_path), "%s/console", unit_directory());
	unlink(console_path); /* it would be added to */
	snprintf(fresh, sizeof(fresh), "%s.new", kernel_path);
	file = fopen(fresh, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fwrite(image, 1, sizeof(image), file);
	fclose(file);
	CU_ASSERT_EQUAL(rename(fresh, kernel_path), 0);
}

static size_t read_console(char *text, size_t size)
{
	int fd = open(console_path, O_RDONLY);
	ssize_t length = fd < 0 ? 0 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[length > 0 ? length : 0] = '\0';
	return length > 0 ? (size_t)length : 0;
}

static int create(struct machine **machine, unsigned cpus, struct error *error)
{
	struct machine_options options = { .kernel = kernel_path,
					   .cmdline = "test",
					   .memory = memory_size,
					   .cpus = cpus,
					   .console = console_path };

	return machine_create(machine, &options, error);
}

static int run(unsigned cpus, enum machine_end *end, struct error *error)
{
	struct machine *machine;
	int rc = create(&machine, cpus, error);

	if (rc < 0)
		return rc;
	rc = machine_run(machine, end, error);
	machine_destroy(machine);
	return rc;
}

/* Fragments of guest code. */
#define OUT(port, value) 0x66, 0xba, (port)&0xff, (port) >> 8, 0xb0, value, 0xee
#define POWER_OFF        OUT(0x600, 5 << 2 | 1 << 5)
#define RESET            OUT(0x602, 1)
#define HALT             0xf4, 0xeb, 0xfd

static void test_guest_writes_and_powers_off(void)
{
	static const uint8_t code[] = { OUT(0x3f8, 'h'), OUT(0x3f8, 'i'), POWER_OFF, HALT };
	struct error error = { 0 };
	enum machine_end end = MACHINE_END_STOPPED;
	char text[64];

	if (no_kvm())
		return;
	write_kernel(code, sizeof(code));
	CU_ASSERT_EQUAL(run(1, &end, &error), 0);
	CU_ASSERT_EQUAL(end, MACHINE_END_POWER_OFF);
	read_console(text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "hi");
}

/* What Linux's boot stub finds: RSI points at the boot parameters, the command line is there. */
static void test_registers_at_entry(void)
{
	static const uint8_t code[] = {
		0x8b,      0x9e, 0x28, 0x02, 0x00, 0x00, /* mov 0x228(%rsi), %ebx: cmd_line_ptr */
		0xb9,      0x04, 0x00, 0x00, 0x00,       /* mov $4, %ecx */
		0x66,      0xba, 0xf8, 0x03,             /* mov $0x3f8, %dx */
		0x8a,      0x03,                         /* 1: mov (%rbx), %al */
		0xee,                                    /* out %al, %dx */
		0x48,      0xff, 0xc3,                   /* inc %rbx */
		0xff,      0xc9,                         /* dec %ecx */
		0x75,      0xf6,                         /* jnz 1b */
		0x8c,      0xc8,                         /* mov %cs, %eax */
		0x04,      0x30,                         /* add $'0', %al */
		0xee,                                    /* out: 0x10 + '0' is '@' */
		0x8c,      0xd8,                         /* mov %ds, %eax */
		0x04,      0x30,                         /* add $'0', %al */
		0xee,                                    /* out: 0x18 + '0' is 'H' */
		POWER_OFF, HALT,
	};
	struct error error = { 0 };
	enum machine_end end;
	char text[64];

	if (no_kvm())
		return;
	write_kernel(code, sizeof(code));
	CU_ASSERT_EQUAL(run(1, &end, &error), 0);
	read_console(text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "test@H");
}

static void test_absent_devices_read_as_all_ones(void)
{
	static const uint8_t code[] = {
		OUT(0xcfb, 1), /* as pci_check_type1() begins */
		0xb8,          0x00,      0x00, 0x00,
		0x80,                                 /* mov $0x80000000, %eax */
		0x66,          0xba,      0xf8, 0x0c, /* mov $0xcf8, %dx */
		0xef,                                 /* out %eax, %dx */
		0x66,          0xba,      0xfe, 0x0c, /* mov $0xcfe, %dx: device id of the bridge */
		0xec,                                 /* in %dx, %al */
		0x04,          0x30,                  /* '8' */
		0x66,          0xba,      0xf8, 0x03,
		0xee, /* out %al, $0x3f8 */
		0xb8,          0x00,      0xf8, 0x00,
		0x80, /* mov $0x8000f800, %eax: slot 31 */
		0x66,          0xba,      0xf8, 0x0c,
		0xef, /* to 0xcf8 */
		0x66,          0xba,      0xfc, 0x0c,
		0xed,                /* in 0xcfc, %eax */
		0xff,          0xc0, /* inc %eax: 0 */
		0x04,          0x30, /* '0' */
		0x66,          0xba,      0xf8, 0x03,
		0xee, /* out %al, $0x3f8 */
		0xbb,          0x00,      0x00, 0x0f,
		0xe0,                /* mov $0xe00f0000, %ebx: ECAM, slot 30 */
		0x8b,          0x03, /* mov (%rbx), %eax */
		0xff,          0xc0, /* inc %eax */
		0x04,          0x30, /* '0' */
		0xee,                /* out */
		0xbb,          0x00,      0x00, 0x00,
		0xe0,                           /* ECAM, the bridge */
		0x8a,          0x43,      0x02, /* mov 2(%rbx), %al */
		0x04,          0x30,            /* '8' */
		0xee,          POWER_OFF, HALT,
	};
	struct error error = { 0 };
	enum machine_end end;
	char text[64];

	if (no_kvm())
		return;
	write_kernel(code, sizeof(code));
	CU_ASSERT_EQUAL(run(1, &end, &error), 0);
	read_console(text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "8008");
}

struct runner {
	struct machine *machine;
	enum machine_end end;
	int rc;
	struct error error;
};

static void *run_in_thread(void *argument)
{
	struct runner *runner = argument;

	runner->rc = machine_run(runner->machine, &runner->end, &runner->error);
	return NULL;
}

/* Waits until the console shows at least so many bytes. */
static bool await_console(size_t bytes)
{
	char text[4096];

	for (int i = 0; i < 2000; i++) {
		if (read_console(text, sizeof(text)) >= bytes)
			return true;
		usleep(2000);
	}
	return false;
}

/*
 * A guest that restarts for ever. Meanwhile its kernel is overwritten in place, which is worse than an
 * upgrade that renames: the machine goes on with what it was started with.
 */
static void reset_until_stopped(const uint8_t *code, size_t length, unsigned cpus)
{
	struct runner runner = { .end = MACHINE_END_POWER_OFF };
	pthread_t thread;
	char text[4096];
	size_t shown;

	if (no_kvm())
		return;
	write_kernel(code, length);
	CU_ASSERT_EQUAL_FATAL(create(&runner.machine, cpus, &runner.error), 0);
	pthread_create(&thread, NULL, run_in_thread, &runner);
	CU_ASSERT_TRUE(await_console(3));
	CU_ASSERT_EQUAL(truncate(kernel_path, 100), 0);
	CU_ASSERT_TRUE(await_console(read_console(text, sizeof(text)) + 3));
	machine_stop(runner.machine);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(runner.rc, 0);
	CU_ASSERT_EQUAL(runner.end, MACHINE_END_STOPPED);
	machine_destroy(runner.machine);
	shown = read_console(text, sizeof(text));
	CU_ASSERT_EQUAL(strspn(text, "A"), shown);
}

static void test_reset_starts_again(void)
{
	static const uint8_t code[] = { OUT(0x3f8, 'A'), RESET, HALT };

	reset_until_stopped(code, sizeof(code), 1);
}

static void test_reset_with_processors_that_wait(void)
{
	static const uint8_t code[] = { OUT(0x3f8, 'A'), RESET, HALT };

	reset_until_stopped(code, sizeof(code), 3);
}

static void test_triple_fault_is_a_reset(void)
{
	static const uint8_t code[] = { OUT(0x3f8, 'A'), 0x0f, 0x0b,
					HALT }; /* ud2 without an IDT */

	reset_until_stopped(code, sizeof(code), 1);
}

static void test_memory_is_zero_after_a_reset(void)
{
	/* Prints what it finds at 48 MiB plus 'A', then writes there. */
	static const uint8_t code[] = {
		0xbb,  0x00, 0x00, 0x00, 0x03, /* mov $0x3000000, %ebx */
		0x8a,  0x03,                   /* mov (%rbx), %al */
		0x04,  'A',                    /* add $'A', %al */
		0x66,  0xba, 0xf8, 0x03, 0xee, /* out %al, $0x3f8 */
		0xc6,  0x03, 0x07,             /* movb $7, (%rbx) */
		RESET, HALT,
	};

	reset_until_stopped(code, sizeof(code), 1);
}

/* A guest that does nothing, on several processors, can be switched off at once. */
static void test_stop_from_outside(void)
{
	static const uint8_t code[] = { OUT(0x3f8, 'A'), HALT };
	struct runner runner = { 0 };
	pthread_t thread;

	if (no_kvm())
		return;
	write_kernel(code, sizeof(code));
	CU_ASSERT_EQUAL_FATAL(create(&runner.machine, 40, &runner.error), 0);
	pthread_create(&thread, NULL, run_in_thread, &runner);
	CU_ASSERT_TRUE(await_console(1));
	machine_press_power_button(runner.machine);
	machine_stop(runner.machine);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(runner.rc, 0);
	CU_ASSERT_EQUAL(runner.end, MACHINE_END_STOPPED);
	machine_destroy(runner.machine);
}

/* RAM goes on above the PCI hole: the last entry of the memory map. */
static void test_memory_above_the_hole(void)
{
	static const uint8_t code[] = {
		0x0f,      0xb6, 0x8e, 0xe8, 0x01,
		0x00,      0x00,       /* movzbl 0x1e8(%rsi), %ecx: entries */
		0x6b,      0xc9, 0x14, /* imul $20, %ecx, %ecx */
		0x8a,      0x84, 0x0e, 0xc0, 0x02,
		0x00,      0x00,                   /* mov 0x2d0-20+4(%rsi,%rcx), %al */
		0x04,      '0',                    /* '1': bits 39:32 of its address */
		0x66,      0xba, 0xf8, 0x03, 0xee, /* out %al, $0x3f8 */
		0x8a,      0x84, 0x0e, 0xc7, 0x02,
		0x00,      0x00, /* mov 0x2d0-20+11(%rsi,%rcx), %al */
		0x04,      '0',  /* 'p': bits 31:24 of its size, 1 GiB */
		0xee,            /* out */
		POWER_OFF, HALT,
	};
	struct error error = { 0 };
	enum machine_end end;
	char text[64];

	if (no_kvm())
		return;
	write_kernel(code, sizeof(code));
	memory_size = 4ULL << 30;
	CU_ASSERT_EQUAL(run(1, &end, &error), 0);
	memory_size = 64 << 20;
	read_console(text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "1p");
}

static void test_stop_before_it_runs(void)
{
	static const uint8_t code[] = { HALT };
	struct machine *machine;
	enum machine_end end;

	if (no_kvm())
		return;
	write_kernel(code, sizeof(code));
	CU_ASSERT_EQUAL_FATAL(create(&machine, 1, NULL), 0);
	machine_stop(machine);
	CU_ASSERT_EQUAL(machine_run(machine, &end, NULL), 0);
	CU_ASSERT_EQUAL(end, MACHINE_END_STOPPED);
	machine_destroy(machine);
}

static void test_options_are_checked(void)
{
	static const uint8_t code[] = { HALT };
	struct machine_options options = { .console = "/dev/null", .memory = 64 << 20, .cpus = 1 };
	struct error error = { 0 };
	char fifo[128], long_line[3000];
	struct machine *machine;

	memset(long_line, 'x', sizeof(long_line));
	long_line[sizeof(long_line) - 1] = '\0';
	write_kernel(code, sizeof(code));
	options.kernel = kernel_path;
	options.cpus = 0;
	CU_ASSERT_EQUAL(machine_create(&machine, &options, &error), -EINVAL);
	options.cpus = 255;
	CU_ASSERT_EQUAL(machine_create(&machine, &options, &error), -EINVAL);
	options.cpus = 1;
	options.memory = 16 << 20;
	CU_ASSERT_EQUAL(machine_create(&machine, &options, &error), -EINVAL);
	options.memory = (64 << 20) + 512;
	CU_ASSERT_EQUAL(machine_create(&machine, &options, &error), -EINVAL);
	options.memory = 64 << 20;
	options.kernel = "/nonexistent/vmlinuz";
	CU_ASSERT_EQUAL(machine_create(&machine, &options, &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "/nonexistent/vmlinuz"));
	snprintf(fifo, sizeof(fifo), "%s/fifo", unit_directory());
	CU_ASSERT_EQUAL(mkfifo(fifo, 0600), 0);
	options.kernel = fifo; /* nobody writes, and nobody waits */
	CU_ASSERT_EQUAL(machine_create(&machine, &options, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "FIFO"));
	options.kernel = kernel_path;
	options.initrd = fifo;
	CU_ASSERT_EQUAL(machine_create(&machine, &options, &error), -EINVAL);
	options.initrd = NULL;
	options.cmdline = long_line;
	CU_ASSERT_EQUAL(machine_create(&machine, &options, &error), -E2BIG);
	options.cmdline = NULL;
	options.kernel = "/dev/null";
	CU_ASSERT_EQUAL(machine_create(&machine, &options, &error), -EINVAL);
	if (no_kvm())
		return;
	options.kernel = kernel_path;
	options.console = "/nonexistent/console";
	CU_ASSERT_EQUAL(machine_create(&machine, &options, &error), -ENOENT);
}

static void test_speed_is_measured(void)
{
	uint64_t speed = 0;
	struct error error = { 0 };

	if (no_kvm())
		return;
	CU_ASSERT_EQUAL(machine_kvm_speed(&speed, &error), 0);
	CU_ASSERT_TRUE(speed > 10000);
	printf("  KVM runs %.1f million instructions a second here\n", (double)speed / 1e6);
}

UNIT_MAIN("vmm machine", UNIT(test_guest_writes_and_powers_off), UNIT(test_registers_at_entry),
	  UNIT(test_absent_devices_read_as_all_ones), UNIT(test_reset_starts_again),
	  UNIT(test_reset_with_processors_that_wait), UNIT(test_triple_fault_is_a_reset),
	  UNIT(test_memory_is_zero_after_a_reset), UNIT(test_stop_from_outside),
	  UNIT(test_memory_above_the_hole), UNIT(test_stop_before_it_runs),
	  UNIT(test_options_are_checked), UNIT(test_speed_is_measured))
