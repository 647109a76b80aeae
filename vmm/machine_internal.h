/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's own structure, for machine*.c. */
#ifndef TENON_VMM_MACHINE_INTERNAL_H
#define TENON_VMM_MACHINE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "virtio/guest_memory.h"
#include "vmm/boot_source.h"
#include "vmm/bus.h"
#include "vmm/console.h"
#include "vmm/kvm.h"
#include "vmm/machine.h"
#include "vmm/panic.h"
#include "vmm/pci.h"
#include "vmm/power.h"
#include "vmm/serial.h"
#include "vmm/vcpu.h"
#include "vmm/virtio_pci.h"

struct kvm_cpuid2;
struct pollfd;
struct vhost_user_frontend;

/* Why the machine is to stop; the first reason counts. */
enum machine_request {
	MACHINE_REQUEST_NONE,
	MACHINE_REQUEST_OFF,
	MACHINE_REQUEST_RESET,
	MACHINE_REQUEST_TRIPLE_FAULT, /* a reset, on a PC */
	MACHINE_REQUEST_PANIC,
	MACHINE_REQUEST_STOP,
	MACHINE_REQUEST_QUIT, /* the same, at the console */
	MACHINE_REQUEST_FAILED,
};

/* A thread that looks for a back-end which hung up. */
struct machine_search {
	pthread_t thread;
	bool running;
	bool again; /* what was found last was of no use: not at once */
	_Atomic bool done;
	int cancel; /* an eventfd: it is to end */
	int wake;   /* the machine's */
	pthread_mutex_t lock;
	int attempt; /* the connection that it shakes hands over, or -1 */
	struct vhost_user_frontend *found;
};

struct machine_slot {
	struct virtio_pci *pci;
	int fd; /* to its back-end; -1 when that has hung up */
	int (*connect)(void *context, struct error *error);
	void *connect_context;
	struct machine_search search;
};

struct machine {
	struct boot_source source;
	char *cmdline;
	unsigned cpus;
	enum machine_policy on_reboot, on_panic;
	struct log *log;

	int kvm_device;
	struct kvm_cpuid2 *cpuid;
	bool tsc_deadline;
	struct pci_window windows[PCI_WINDOWS];

	struct guest_memory memory;
	struct bus ports, mmio;
	struct pci_bus pci;
	struct serial serial;
	struct power power;
	struct panic panic;
	struct console console;
	unsigned device_count;
	struct machine_slot devices[PCI_SLOTS];
	int serial_event; /* the serial port has something for us */
	int wake;         /* `request` or `button` was set */

	/* From power-on to power-off: */
	struct kvm kvm;
	struct vcpu_handler handler;
	struct vcpu *vcpus;
	unsigned vcpu_count; /* made */
	_Atomic enum machine_request request;
	_Atomic bool button;
	_Atomic bool panicked; /* and that was told */
};

/* Asks the machine to stop; from any thread. */
void machine_ask(struct machine *machine, enum machine_request request);

/* machine_devices.c, on the thread of machine_run(): entries to wait for; what they say then, and what became of
 * searches; an end to those. */
#define MACHINE_DEVICE_ENTRIES (2 * PCI_SLOTS)
unsigned machine_devices_prepare(const struct machine *machine, struct pollfd *entries);
void machine_devices_check(struct machine *machine, const struct pollfd *entries);
void machine_devices_give_up(struct machine *machine);
/* Back-ends that hung up while nobody looked, or were hung up on because they did not stop. */
void machine_devices_notice_lost(struct machine *machine);

/* Whether kernel and initial RAM disk can be loaded into the memory. */
int machine_check_boot(const struct machine *machine, struct error *error);

/* Makes the KVM machine, loads everything, starts the vCPUs. On failure all is undone. */
int machine_power_on(struct machine *machine, struct error *error);

/* Stops vCPUs and devices and leaves memory zero. `for_good`: it will not be switched on again, and is not kept
 * long by a back-end that does not answer. */
void machine_power_off(struct machine *machine, bool for_good);

#endif
