/* SPDX-License-Identifier: BSD-2-Clause */
/* What CPUID says in the guest; see cpuid.h. */
#include "vmm/cpuid.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "util/bytes.h"
#include "util/error.h"

/* Leaf 1. */
#define FEATURE_C_PDCM         (1u << 15)
#define FEATURE_C_TSC_DEADLINE (1u << 24)
#define FEATURE_C_HYPERVISOR   (1u << 31)
#define FEATURE_D_HTT          (1u << 28)
/* Leaf 7. */
#define FEATURE_7C_WAITPKG (1u << 5)

#define PHYSICAL_BITS_DEFAULT 36

struct kvm_cpuid2 *cpuid_supported(int device, struct error *error)
{
	struct kvm_cpuid2 *cpuid;

	cpuid = calloc(1, sizeof(*cpuid) + CPUID_ENTRIES_MAX * sizeof(cpuid->entries[0]));
	if (!cpuid) {
		error_set(error, -ENOMEM, "CPUID: out of memory");
		return NULL;
	}
	cpuid->nent = CPUID_ENTRIES_MAX;
	if (ioctl(device, KVM_GET_SUPPORTED_CPUID, cpuid) < 0) {
		error_set(error, -errno, "/dev/kvm: supported CPUID: %s", error_name(errno));
		free(cpuid);
		return NULL;
	}
	return cpuid;
}

static const struct kvm_cpuid_entry2 *find_leaf(const struct kvm_cpuid2 *cpuid, uint32_t function)
{
	for (unsigned i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == function)
			return &cpuid->entries[i];
	return NULL;
}

unsigned cpuid_physical_bits(const struct kvm_cpuid2 *cpuid)
{
	const struct kvm_cpuid_entry2 *entry = find_leaf(cpuid, 0x80000008);

	return entry && (entry->eax & 0xff) ? entry->eax & 0xff : PHYSICAL_BITS_DEFAULT;
}

static void remove_leaf(struct kvm_cpuid2 *cpuid, uint32_t function)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function != function)
			cpuid->entries[kept++] = cpuid->entries[i];
	cpuid->nent = kept;
}

/* How many bits of an APIC id number the cores. */
static unsigned core_bits(unsigned cpus)
{
	unsigned bits = 0;

	while ((1u << bits) < cpus)
		bits++;
	return bits;
}

/* Extended topology (leaves 0xb and 0x1f): one thread a core, all cores in one package. */
static int set_topology(struct kvm_cpuid2 *cpuid, uint32_t leaf,
			const struct cpuid_machine *machine, unsigned index)
{
	enum { INVALID, THREAD, CORE };
	struct kvm_cpuid_entry2 levels[] = {
		{ .index = 0, .eax = 0, .ebx = 1, .ecx = THREAD << 8 },
		{ .index = 1,
		  .eax = core_bits(machine->cpus),
		  .ebx = machine->cpus,
		  .ecx = CORE << 8 | 1 },
		{ .index = 2, .ecx = INVALID << 8 | 2 },
	};

	remove_leaf(cpuid, leaf);
	if (cpuid->nent + ARRAY_SIZE(levels) > CPUID_ENTRIES_MAX)
		return -ENOSPC;
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		levels[i].function = leaf;
		levels[i].flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		levels[i].edx = index;
		cpuid->entries[cpuid->nent++] = levels[i];
	}
	return 0;
}

/* Cache leaves (4 on Intel, 0x8000001d on AMD): bits 25:14 say how many ids share the cache, less 1.
 * First and second level are each core's own. */
static void set_cache_sharing(struct kvm_cpuid_entry2 *entry, unsigned cpus)
{
	unsigned level = entry->eax >> 5 & 7;
	unsigned sharing = level >= 3 ? (1u << core_bits(cpus)) - 1 : 0;

	if (!(entry->eax & 0x1f))
		return; /* the end of the list */
	entry->eax = (entry->eax & ~(0xfffu << 14)) | sharing << 14;
	if (entry->function == 4)
		entry->eax = (entry->eax & 0x03ffffff) | MIN((1u << core_bits(cpus)) - 1, 63u)
								 << 26;
}

static void adjust_entry(struct kvm_cpuid_entry2 *entry, const struct cpuid_machine *machine,
			 unsigned index)
{
	switch (entry->function) {
	case 0x1:
		entry->ebx = (entry->ebx & 0x0000ffff) | machine->cpus << 16 | index << 24;
		entry->ecx &= ~FEATURE_C_PDCM;
		entry->ecx |= FEATURE_C_HYPERVISOR;
		/* KVM never says this by itself (virt/kvm/api.rst, KVM_GET_SUPPORTED_CPUID). */
		if (machine->tsc_deadline)
			entry->ecx |= FEATURE_C_TSC_DEADLINE;
		entry->edx &= ~FEATURE_D_HTT;
		if (machine->cpus > 1)
			entry->edx |= FEATURE_D_HTT;
		break;
	case 0x7:
		if (entry->index == 0)
			entry->ecx &= ~FEATURE_7C_WAITPKG;
		break;
	case 0xa: /* no performance counters */
		entry->eax = entry->ebx = entry->ecx = entry->edx = 0;
		break;
	case 0x4:
	case 0x8000001d:
		set_cache_sharing(entry, machine->cpus);
		break;
	case 0x80000008: /* cores less 1, bits of the APIC id */
		entry->ecx = (entry->ecx & ~0xf0ffu) | core_bits(machine->cpus) << 12 |
			     (machine->cpus - 1);
		break;
	case 0x8000001e:
		entry->eax = index;
		entry->ebx = index;
		entry->ecx = 0;
		break;
	}
}

int cpuid_adjust(struct kvm_cpuid2 *cpuid, const struct cpuid_machine *machine, unsigned index)
{
	const struct kvm_cpuid_entry2 *basic = find_leaf(cpuid, 0);
	uint32_t highest = basic ? basic->eax : 0;
	int rc = 0;

	for (unsigned i = 0; i < cpuid->nent; i++)
		adjust_entry(&cpuid->entries[i], machine, index);
	if (highest >= 0xb)
		rc = set_topology(cpuid, 0xb, machine, index);
	if (!rc && highest >= 0x1f)
		rc = set_topology(cpuid, 0x1f, machine, index);
	return rc;
}
