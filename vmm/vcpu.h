/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual processors: a thread each, which runs guest code in KVM and takes the accesses that leave
 * the guest to the buses.
 */
#ifndef TENON_VMM_VCPU_H
#define TENON_VMM_VCPU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "util/error.h"

struct boot_linux_entry;
struct bus;
struct kvm;
struct kvm_cpuid2;
struct kvm_run;
struct vcpu;

/* Why a processor stopped by itself. */
enum vcpu_end {
	VCPU_END_SHUTDOWN, /* triple fault: a reset, on a PC */
	VCPU_END_FAILED,   /* KVM cannot go on; `vcpu->error` says why */
};

struct vcpu_handler {
	struct bus *ports, *memory;
	_Atomic bool
		stop; /* set it and kick: the processors leave the guest and their threads end */
	/* Called on the processor's thread, which returns after it. */
	void (*ended)(void *context, struct vcpu *vcpu, enum vcpu_end end);
	void *context;
};

struct vcpu {
	unsigned index;
	int fd;
	uint32_t run_size;
	struct kvm_run *run;
	struct vcpu_handler *handler;
	struct error error;
	bool started;
	pthread_t thread;
};

/* Makes processor `index` with what CPUID shall say. Registers are as after power-on: processor 0 would
 * begin at the reset vector, the others wait for a start-up interrupt. */
int vcpu_create(struct vcpu *vcpu, struct kvm *kvm, unsigned index, struct kvm_cpuid2 *cpuid,
		struct vcpu_handler *handler, struct error *error);
void vcpu_destroy(struct vcpu *vcpu);

/* Sets the registers with which a 64-bit Linux kernel is entered. */
int vcpu_enter_linux(struct vcpu *vcpu, const struct boot_linux_entry *entry, struct error *error);

/* Starts the thread. */
int vcpu_start(struct vcpu *vcpu, struct error *error);

/* Makes the processor leave the guest, if it is there, so that it sees `stop`; waits for its thread to
 * end. From the thread that started it. Nothing happens if it was not started. */
void vcpu_kick(struct vcpu *vcpu);
void vcpu_join(struct vcpu *vcpu);
/* The same, but no longer than until `deadline` (CLOCK_REALTIME); false if it runs still. */
bool vcpu_join_until(struct vcpu *vcpu, const struct timespec *deadline);

/* Runs on the calling thread until `stop` is set or it ends by itself. */
void vcpu_run(struct vcpu *vcpu);

#endif
