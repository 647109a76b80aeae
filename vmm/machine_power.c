/* SPDX-License-Identifier: BSD-2-Clause */
/* Switching the machine on and off; see machine.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "util/bytes.h"
#include "util/log.h"
#include "vmm/acpi.h"
#include "vmm/boot_linux.h"
#include "vmm/cpuid.h"
#include "vmm/machine_internal.h"
#include "vmm/vhost_user_device.h"

/* ---- On ---- */

int machine_check_boot(const struct machine *machine, struct error *error)
{
	const struct boot_file *kernel = &machine->source.kernel, *initrd = &machine->source.initrd;
	struct boot_linux_image image;
	uint64_t address;
	int rc = boot_linux_parse(&image, kernel->name, kernel->bytes, kernel->size, error);

	if (rc < 0 ||
	    (rc = boot_linux_check_cmdline(&image, kernel->name, machine->cmdline, error)) < 0)
		return rc;
	return boot_linux_place(&image, kernel->name, initrd->name, initrd->size,
				machine->memory.regions[0].size, &address, error);
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
	const struct boot_file *kernel = &machine->source.kernel, *initrd = &machine->source.initrd;
	struct boot_linux boot = { .kernel_name = kernel->name,
				   .kernel = kernel->bytes,
				   .kernel_size = kernel->size,
				   .initrd_name = initrd->name,
				   .initrd = initrd->bytes,
				   .initrd_size = initrd->size,
				   .cmdline = machine->cmdline };
	struct acpi_machine acpi = { .cpus = machine->cpus,
				     .pci_mem64 = machine->windows[1].base,
				     .pci_mem64_size = machine->windows[1].size };
	int rc;

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

static int start_vcpus(struct machine *machine, struct error *error)
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
	atomic_store(&machine->panicked, false);
	machine->vcpu_count = 0;
	rc = kvm_create(&machine->kvm, machine->kvm_device, error);
	if (rc < 0)
		return rc;
	rc = start_vcpus(machine, error);
	if (rc < 0)
		machine_power_off(machine, true);
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

/* How long back-ends may take, all together, to stop. */
#define STOP_MS          30000
#define STOP_FOR_GOOD_MS 5000

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/*
 * A vCPU that waits for the answer of a back-end ends when that has answered. When the machine ends for good,
 * hanging up is as good, and need not be waited for longer than somebody waits who wants to be rid of it.
 */
static void join_vcpus(struct machine *machine, bool for_good)
{
	struct timespec deadline;
	bool ended = true;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += STOP_FOR_GOOD_MS / 1000;
	for (unsigned i = 0; for_good && i < machine->vcpu_count; i++)
		ended &= vcpu_join_until(&machine->vcpus[i], &deadline);
	for (unsigned i = 0; !ended && i < machine->device_count; i++)
		if (machine->devices[i].fd >= 0)
			shutdown(machine->devices[i].fd, SHUT_RDWR);
	for (unsigned i = 0; i < machine->vcpu_count; i++)
		vcpu_join(&machine->vcpus[i]);
}

/* Back-ends let go of the memory. One that does not answer in time is hung up on, and named. */
static void stop_devices(struct machine *machine, unsigned budget_ms)
{
	uint64_t end = now_ms() + budget_ms;

	for (unsigned i = 0; i < machine->device_count; i++) {
		struct virtio_pci *virtio = machine->devices[i].pci;
		uint64_t now = now_ms(), left = end > now + 100 ? end - now : 100;

		vhost_user_device_set_timeout(virtio->device, (unsigned)left);
		virtio_pci_stop(virtio);
		if (now_ms() >= now + left)
			log_warning(machine->log,
				    "%s: the back-end did not stop within %llu ms; it was hung up "
				    "on",
				    virtio->device->name, (unsigned long long)left);
		vhost_user_device_set_timeout(virtio->device, VHOST_USER_DEVICE_TIMEOUT_MS);
	}
}

void machine_power_off(struct machine *machine, bool for_good)
{
	atomic_store(&machine->handler.stop, true);
	for (unsigned i = 0; i < machine->vcpu_count; i++)
		vcpu_kick(&machine->vcpus[i]);
	join_vcpus(machine, for_good);
	stop_devices(machine, for_good ? STOP_FOR_GOOD_MS : STOP_MS);
	pci_bus_reset(&machine->pci);
	serial_reset(&machine->serial);
	atomic_store(&machine->power.events, 0);
	for (unsigned i = 0; i < machine->vcpu_count; i++)
		vcpu_destroy(&machine->vcpus[i]);
	machine->vcpu_count = 0;
	kvm_destroy(&machine->kvm);
	clear_memory(machine);
}
