/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /dev/kvm and one virtual machine of it: memory slots, interrupt controllers, capabilities.
 *
 * A `struct kvm` lasts from one power-on or reset to the next: a reset makes a new one, which is the
 * only way to have every register of every emulated chip as after power-on.
 */
#ifndef TENON_VMM_KVM_H
#define TENON_VMM_KVM_H

#include <pthread.h>
#include <stdint.h>

#include "vmm/interrupts.h"
#include "vmm/layout.h"

struct error;
struct guest_memory;
struct kvm_irq_routing;

#define KVM_ROUTES_MAX 1024 /* GSIs, the I/O APIC's pins among them */

struct kvm {
	int device; /* /dev/kvm */
	int vm;
	uint32_t run_size; /* of the page that a vCPU shares with us */

	struct interrupts interrupts; /* what devices are given */
	pthread_mutex_t routes_lock;
	struct kvm_irq_routing *routes; /* the first 24 are the pins */
	uint8_t route_used[KVM_ROUTES_MAX];
};

/* Opens /dev/kvm and checks that it has what we need. -ENOENT, -EACCES, -EOPNOTSUPP and others with
 * `error` and advice set. The fd on success. */
int kvm_open_device(struct error *error);

/* A machine with local APICs and one I/O APIC in KVM, and no memory. `device` stays the caller's. */
int kvm_create(struct kvm *kvm, int device, struct error *error);
/* All vCPUs must be gone. Doorbells and attached eventfds go with it. */
void kvm_destroy(struct kvm *kvm);

int kvm_set_memory(struct kvm *kvm, const struct guest_memory *memory, struct error *error);

/* For kvm.c: */
extern const struct interrupts_ops kvm_interrupts_ops;
int kvm_init_routes(struct kvm *kvm, struct error *error);

#endif
