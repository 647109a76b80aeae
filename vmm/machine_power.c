/* Switching the machine on and off; see machine.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "util/bytes.h"
#include "util/log.h"
#include "vmm/acpi.h"
#include "vmm/boot_linux.h"
#include "vmm/cpuid.h"
#include "vmm/machine_internal.h"

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
