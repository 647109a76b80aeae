/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What CPUID says in the guest: what KVM supports on this host, made consistent for each processor.
 *
 * KVM passes the host's leaves through; some of them describe one host processor (APIC ids, how many
 * share a cache) and must tell of the guest's instead: one package of one-thread cores. Intel SDM 2A,
 * CPUID; AMD APM 3, appendix E.
 */
#ifndef TENON_VMM_CPUID_H
#define TENON_VMM_CPUID_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct kvm_cpuid2;

#define CPUID_ENTRIES_MAX 256

struct cpuid_machine {
	unsigned cpus;
	bool tsc_deadline; /* KVM's local APIC has the TSC deadline timer */
};

/* Asks /dev/kvm what it supports. The caller frees it. NULL with `error` set. */
struct kvm_cpuid2 *cpuid_supported(int device, struct error *error);

/* Turns what is supported into what processor `index` sees; may be applied again to its own result for
 * another processor. -ENOSPC if there is no room for a leaf. */
int cpuid_adjust(struct kvm_cpuid2 *cpuid, const struct cpuid_machine *machine, unsigned index);

/* How many bits a physical address has. */
unsigned cpuid_physical_bits(const struct kvm_cpuid2 *cpuid);

#endif
