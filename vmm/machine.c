/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtual machine: made and destroyed; see machine.h. machine_run.c runs it. */
#include "vmm/machine.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "util/bytes.h"
#include "util/log.h"
#include "util/size.h"
#include "vmm/cpuid.h"
#include "vmm/machine_internal.h"
#include "vmm/vhost_user_device.h"

#define CMDLINE_DEFAULT "console=ttyS0"
#define PAGE            4096u

void machine_ask(struct machine *machine, enum machine_request request)
{
	enum machine_request none = MACHINE_REQUEST_NONE;

	/* The first counts, but to be switched off from outside counts most. */
	if (request == MACHINE_REQUEST_STOP || request == MACHINE_REQUEST_QUIT)
		atomic_store(&machine->request, request);
	else
		atomic_compare_exchange_strong(&machine->request, &none, request);
	/* The vCPU that asked runs no further instruction. */
	atomic_store(&machine->handler.stop, true);
	eventfd_write(machine->wake, 1);
}

static void power_requested(void *context, enum power_request request)
{
	machine_ask(context,
		    request == POWER_REQUEST_OFF ? MACHINE_REQUEST_OFF : MACHINE_REQUEST_RESET);
}

static void vcpu_ended(void *context, struct vcpu *vcpu, enum vcpu_end end)
{
	struct machine *machine = context;

	(void)vcpu; /* its error is read when all have stopped */
	machine_ask(machine, end == VCPU_END_SHUTDOWN ? MACHINE_REQUEST_TRIPLE_FAULT
						      : MACHINE_REQUEST_FAILED);
}

/* Told once for each start; a guest may write as often as it likes. */
static void panic_happened(void *context, unsigned events)
{
	struct machine *machine = context;
	bool told = atomic_exchange(&machine->panicked, true);

	if (!(events & PANIC_PANICKED)) {
		if (!told)
			log_warning(machine->log,
				    "the guest crashed; its own crash kernel takes over");
		return;
	}
	if (!told)
		log_warning(machine->log, "the guest's kernel panicked");
	if (machine->on_panic != MACHINE_IGNORE)
		machine_ask(machine, MACHINE_REQUEST_PANIC);
}

/* ---- Making it ---- */

static int check_options(const struct machine_options *options, struct error *error)
{
	char text[SIZE_TEXT], least[SIZE_TEXT];

	if (!options->cpus || options->cpus > LAYOUT_CPUS_MAX)
		return error_set(error, -EINVAL, "%u processors, expected 1 to %u", options->cpus,
				 LAYOUT_CPUS_MAX);
	if (options->memory < LAYOUT_MEMORY_MINIMUM || options->memory % PAGE)
		return error_set(error, -EINVAL,
				 "memory of %s (%llu bytes), expected at least %s, a multiple of "
				 "4 KiB",
				 size_format(options->memory, text),
				 (unsigned long long)options->memory,
				 size_format(LAYOUT_MEMORY_MINIMUM, least));
	return 0;
}

static int make_memory(struct machine *machine, uint64_t size, struct error *error)
{
	uint64_t low = MIN(size, LAYOUT_RAM_HOLE);
	int rc;

	rc = guest_memory_create_region(&machine->memory, "guest-ram", 0, low, error);
	if (rc >= 0 && size > low)
		rc = guest_memory_create_region(&machine->memory, "guest-ram-4g", LAYOUT_4G,
						size - low, error);
	if (rc >= 0)
		return 0;
	error_prefix(error, "guest memory");
	return rc;
}

/* The 64-bit window comes after the RAM, as far as the processor has addresses. */
static int place_windows(struct machine *machine, struct error *error)
{
	char reach[SIZE_TEXT];
	const struct guest_memory_region *last =
		&machine->memory.regions[machine->memory.count - 1];
	uint64_t limit = 1ULL << MIN(cpuid_physical_bits(machine->cpuid), 52u);
	uint64_t base = round_up(MAX(last->guest_address + last->size, LAYOUT_4G), 1ULL << 30);

	if (last->guest_address + last->size > limit)
		return error_set(error, -EINVAL,
				 "memory up to address 0x%llx: this host's processor has addresses "
				 "for %s",
				 (unsigned long long)(last->guest_address + last->size),
				 size_format(limit, reach));
	machine->windows[0] = (struct pci_window){ LAYOUT_PCI_MEM32, LAYOUT_PCI_MEM32_SIZE };
	if (base < limit)
		machine->windows[1] =
			(struct pci_window){ base, MIN(LAYOUT_PCI_MEM64_SIZE, limit - base) };
	return 0;
}

static void make_devices(struct machine *machine)
{
	struct interrupts *interrupts = &machine->kvm.interrupts;

	bus_init(&machine->ports);
	bus_init(&machine->mmio);
	pci_bus_init(&machine->pci, &machine->mmio, machine->windows);
	serial_init(&machine->serial, interrupts, LAYOUT_GSI_SERIAL, machine->serial_event);
	serial_set_output(&machine->serial, console_put, &machine->console);
	machine->power.interrupts = interrupts;
	machine->power.gsi = LAYOUT_GSI_EVENT;
	machine->power.requested = power_requested;
	machine->power.context = machine;
	machine->panic.happened = panic_happened;
	machine->panic.context = machine;
	machine->handler.ports = &machine->ports;
	machine->handler.memory = &machine->mmio;
	machine->handler.ended = vcpu_ended;
	machine->handler.context = machine;
	bus_claim(&machine->ports, LAYOUT_PORT_SERIAL, SERIAL_PORTS, &serial_bus_ops,
		  &machine->serial);
	bus_claim(&machine->ports, LAYOUT_PORT_POWER, POWER_PORTS, &power_bus_ops, &machine->power);
	bus_claim(&machine->ports, LAYOUT_PORT_PANIC, PANIC_PORTS, &panic_bus_ops, &machine->panic);
	bus_claim(&machine->ports, LAYOUT_PORT_PCI_ADDRESS, PCI_PORTS, &pci_ports_ops,
		  &machine->pci);
	bus_claim(&machine->mmio, LAYOUT_PCI_ECAM, LAYOUT_PCI_ECAM_SIZE, &pci_ecam_ops,
		  &machine->pci);
}

static int copy_strings(struct machine *machine, const struct machine_options *options)
{
	machine->cmdline = strdup(options->cmdline ? options->cmdline : CMDLINE_DEFAULT);
	machine->vcpus = calloc(options->cpus, sizeof(*machine->vcpus));
	return machine->cmdline && machine->vcpus ? 0 : -ENOMEM;
}

static int open_resources(struct machine *machine, const struct machine_options *options,
			  struct error *error)
{
	int rc = copy_strings(machine, options);

	if (rc < 0)
		return error_set(error, rc, "out of memory");
	rc = boot_source_open(&machine->source, options, error);
	if (rc < 0)
		return rc;
	rc = make_memory(machine, options->memory, error);
	if (rc < 0)
		return rc;
	rc = machine_check_boot(machine, error);
	if (rc < 0)
		return rc;
	machine->kvm_device = kvm_open_device(error);
	if (machine->kvm_device < 0)
		return machine->kvm_device;
	machine->tsc_deadline =
		ioctl(machine->kvm_device, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	machine->cpuid = cpuid_supported(machine->kvm_device, error);
	if (!machine->cpuid)
		return -EIO;
	machine->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	machine->serial_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (machine->wake < 0 || machine->serial_event < 0)
		return error_set(error, -errno, "eventfd: %s", error_name(errno));
	rc = place_windows(machine, error);
	if (rc < 0)
		return rc;
	return console_open(&machine->console, options->console ? options->console : "stdio",
			    options->force, machine->log, error);
}

static void close_resources(struct machine *machine)
{
	console_close(&machine->console);
	guest_memory_clear(&machine->memory);
	for (int i = 0; i < 3; i++) {
		int *fds[] = { &machine->kvm_device, &machine->wake, &machine->serial_event };

		cleanup_close(fds[i]);
	}
	free(machine->cpuid);
	boot_source_close(&machine->source);
	free(machine->cmdline);
	free(machine->vcpus);
	free(machine);
}

int machine_create(struct machine **out, const struct machine_options *options, struct error *error)
{
	struct machine *machine;
	int rc = check_options(options, error);

	if (rc < 0)
		return rc;
	machine = calloc(1, sizeof(*machine));
	if (!machine)
		return error_set(error, -ENOMEM, "out of memory");
	machine->cpus = options->cpus;
	machine->on_reboot = options->on_reboot;
	machine->on_panic = options->on_panic;
	machine->log = options->log;
	machine->kvm_device = machine->wake = machine->serial_event = -1;
	machine->console.in = machine->console.out = -1;
	rc = open_resources(machine, options, error);
	if (rc < 0) {
		close_resources(machine);
		return rc;
	}
	make_devices(machine);
	*out = machine;
	return 0;
}

int machine_add_device(struct machine *machine, const struct machine_device *config,
		       struct error *error)
{
	struct virtio_device *device;
	struct virtio_pci *virtio;
	int rc = vhost_user_device_create(&device, config, &machine->memory, error);

	if (rc < 0)
		return rc;
	rc = virtio_pci_create(&virtio, device, &machine->kvm.interrupts, machine->log, error);
	if (rc < 0)
		return rc;
	rc = pci_bus_add(&machine->pci, &virtio->function);
	if (rc < 0) {
		virtio_pci_destroy(virtio);
		return error_set(error, rc, "%s: a machine has room for %u devices", config->name,
				 PCI_SLOTS - 1);
	}
	machine->devices[machine->device_count].pci = virtio;
	machine->devices[machine->device_count].connect = config->connect;
	machine->devices[machine->device_count].connect_context = config->connect_context;
	machine->devices[machine->device_count++].fd = vhost_user_device_fd(device);
	return 0;
}

void machine_destroy(struct machine *machine)
{
	if (!machine)
		return;
	for (unsigned i = 0; i < machine->device_count; i++)
		virtio_pci_destroy(machine->devices[i].pci);
	serial_fini(&machine->serial);
	pci_bus_fini(&machine->pci);
	bus_fini(&machine->ports);
	bus_fini(&machine->mmio);
	close_resources(machine);
}
