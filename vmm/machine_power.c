/* Switching the machine on and off; see machine.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/log.h"
#include "vmm/acpi.h"
#include "vmm/boot_linux.h"
#include "vmm/cpuid.h"
#include "vmm/machine_internal.h"

/* Kernel and initial RAM disk are read whole, with some sense of proportion. */
#define FILE_SIZE_MAX (2ULL << 30)

struct file {
	uint8_t *bytes;
	size_t size;
};

static void cleanup_file(struct file *file)
{
	free(file->bytes);
}

static int read_bytes(int fd, struct file *file, const char *path, struct error *error)
{
	size_t done = 0;

	while (done < file->size) {
		ssize_t got = read(fd, file->bytes + done, file->size - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set(error, -errno, "%s: %s", path, error_name(errno));
		if (got == 0)
			return error_set(error, -EIO, "%s: ends at byte %zu, expected %zu", path,
					 done, file->size);
		done += (size_t)got;
	}
	return 0;
}

/* Reads a whole file; the caller frees it. */
static int read_file(struct file *file, const char *path, struct error *error)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return error_set(error, -errno, "%s: %s", path, error_name(errno));
	if (!S_ISREG(status.st_mode))
		return error_set(error, -EINVAL, "%s: not a regular file", path);
	if ((uint64_t)status.st_size > FILE_SIZE_MAX)
		return error_set(error, -EFBIG, "%s: %lld bytes, expected at most 2 GiB", path,
				 (long long)status.st_size);
	file->size = (size_t)status.st_size;
	file->bytes = malloc(MAX(file->size, 1));
	if (!file->bytes)
		return error_set(error, -ENOMEM, "%s: out of memory", path);
	return read_bytes(fd, file, path, error);
}

int machine_check_kernel(const struct machine *machine, struct error *error)
{
	CLEANUP(cleanup_file) struct file kernel = { 0 };
	struct boot_linux_image image;
	int rc = read_file(&kernel, machine->kernel, error);

	if (rc < 0)
		return error_prefix(error, "kernel");
	return boot_linux_parse(&image, machine->kernel, kernel.bytes, kernel.size, error);
}

/*
 * What stands where a PC's BIOS is entered: a reset. Linux comes here to restart on hardware-reduced
 * ACPI: it takes that for a sign of UEFI, finds none, and falls back to the BIOS entry without trying
 * the ACPI reset register (arch/x86/kernel/reboot.c, reboot_init() and BOOT_EFI, 6.1).
 */
static void write_bios_entry(struct machine *machine)
{
	static const uint8_t code[] = {
		0xba,
		(LAYOUT_PORT_POWER + POWER_RESET) & 0xff,
		(LAYOUT_PORT_POWER + POWER_RESET) >> 8, /* mov $port, %dx */
		0xb0,
		POWER_RESET_VALUE, /* mov $value, %al */
		0xee,              /* out %al, %dx */
		0xf4,              /* hlt */
		0xeb,
		0xfd, /* jmp to the hlt */
	};

	memcpy(guest_memory_translate(&machine->memory, LAYOUT_BIOS_ENTRY, sizeof(code)), code,
	       sizeof(code));
}

static int load(struct machine *machine, struct boot_linux_entry *entry, struct error *error)
{
	CLEANUP(cleanup_file) struct file kernel = { 0 }, initrd = { 0 };
	struct boot_linux boot = { .kernel_name = machine->kernel,
				   .initrd_name = machine->initrd,
				   .cmdline = machine->cmdline };
	struct acpi_machine acpi = { .cpus = machine->cpus,
				     .pci_mem64 = machine->windows[1].base,
				     .pci_mem64_size = machine->windows[1].size };
	int rc;

	rc = read_file(&kernel, machine->kernel, error);
	if (rc < 0)
		return error_prefix(error, "kernel");
	boot.kernel = kernel.bytes;
	boot.kernel_size = kernel.size;
	if (machine->initrd) {
		rc = read_file(&initrd, machine->initrd, error);
		if (rc < 0)
			return error_prefix(error, "initial RAM disk");
		boot.initrd = initrd.bytes;
		boot.initrd_size = initrd.size;
	}
	if (getrandom(boot.seed, sizeof(boot.seed), 0) != sizeof(boot.seed))
		return error_set(error, -EIO, "no random numbers from the system");
	rc = boot_linux_load(&boot, &machine->memory, entry, error);
	if (rc < 0)
		return rc;
	write_bios_entry(machine);
	rc = acpi_build(&acpi,
			guest_memory_translate(&machine->memory, LAYOUT_ACPI_TABLES,
					       LAYOUT_ACPI_SIZE),
			LAYOUT_ACPI_SIZE);
	return rc < 0 ? error_set(error, rc, "the ACPI tables need more than %llu bytes",
				  (unsigned long long)LAYOUT_ACPI_SIZE)
		      : 0;
}

static int make_vcpus(struct machine *machine, struct error *error)
{
	struct cpuid_machine cpuid = { .cpus = machine->cpus,
				       .tsc_deadline = machine->tsc_deadline };

	for (unsigned i = 0; i < machine->cpus; i++) {
		int rc = cpuid_adjust(machine->cpuid, &cpuid, i);

		if (rc < 0)
			return error_set(error, rc, "CPUID has more leaves than fit");
		rc = vcpu_create(&machine->vcpus[i], &machine->kvm, i, machine->cpuid,
				 &machine->handler, error);
		if (rc < 0)
			return rc;
		machine->vcpu_count++;
	}
	return 0;
}

static int start(struct machine *machine, struct error *error)
{
	struct boot_linux_entry entry;
	int rc;

	rc = kvm_set_memory(&machine->kvm, &machine->memory, error);
	if (rc < 0)
		return rc;
	rc = load(machine, &entry, error);
	if (rc < 0)
		return rc;
	rc = make_vcpus(machine, error);
	if (rc < 0)
		return rc;
	rc = vcpu_enter_linux(&machine->vcpus[0], &entry, error);
	for (unsigned i = 0; rc >= 0 && i < machine->vcpu_count; i++)
		rc = vcpu_start(&machine->vcpus[i], error);
	return rc;
}

int machine_power_on(struct machine *machine, struct error *error)
{
	int rc;

	/* A request to stop that came early is seen when the machine is on. */
	atomic_store(&machine->handler.stop, false);
	machine->vcpu_count = 0;
	rc = kvm_create(&machine->kvm, machine->kvm_device, error);
	if (rc < 0)
		return rc;
	rc = start(machine, error);
	if (rc < 0)
		machine_power_off(machine);
	return rc;
}

/* Gives the memory back to the host, which also makes it zero for the next start. */
static void clear_memory(struct machine *machine)
{
	for (unsigned i = 0; i < machine->memory.count; i++) {
		const struct guest_memory_region *region = &machine->memory.regions[i];

		if (fallocate(region->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      (off_t)region->fd_offset, (off_t)region->size) < 0)
			memset(region->host, 0, region->size);
	}
}

void machine_power_off(struct machine *machine)
{
	bool closed = machine->serial.closed;

	atomic_store(&machine->handler.stop, true);
	serial_set_closed(&machine->serial, true); /* no vCPU waits for the console's reader */
	for (unsigned i = 0; i < machine->vcpu_count; i++)
		vcpu_kick(&machine->vcpus[i]);
	for (unsigned i = 0; i < machine->vcpu_count; i++)
		vcpu_join(&machine->vcpus[i]);
	serial_set_closed(&machine->serial, closed);
	pci_bus_reset(&machine->pci);
	serial_reset(&machine->serial);
	atomic_store(&machine->power.events, 0);
	for (unsigned i = 0; i < machine->vcpu_count; i++)
		vcpu_destroy(&machine->vcpus[i]);
	machine->vcpu_count = 0;
	kvm_destroy(&machine->kvm);
	clear_memory(machine);
}
