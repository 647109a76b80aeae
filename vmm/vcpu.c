/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual processors; see vcpu.h. */
#include "vmm/vcpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/thread.h"
#include "vmm/boot_linux.h"
#include "vmm/bus.h"
#include "vmm/kvm.h"
#include "vmm/sandbox.h"

/* Model-specific registers that firmware sets and Linux relies on. */
#define MSR_MISC_ENABLE         0x1a0
#define MSR_MISC_ENABLE_STRINGS 0x1
#define MSR_MTRR_DEFAULT_TYPE   0x2ff
#define MSR_MTRR_ENABLED_WB     0x806 /* else Linux disables PAT */

#define CR0_PE      0x00000001u
#define CR0_ET      0x00000010u
#define CR0_NE      0x00000020u
#define CR0_WP      0x00010000u
#define CR0_PG      0x80000000u
#define CR4_PAE     0x00000020u
#define EFER_LME    0x00000100u
#define EFER_LMA    0x00000400u
#define FLAGS_FIXED 0x2u

/*
 * The signal that takes a thread out of KVM_RUN. It stays blocked in the thread and KVM unblocks it
 * only while guest code runs, so that no handler is needed: KVM_RUN returns EINTR, also when the signal
 * came just before it.
 */
static int kick_signal(void)
{
	return SIGRTMIN;
}

static int unblock_kick_in_guest(struct vcpu *vcpu)
{
	union {
		struct kvm_signal_mask head;
		uint8_t bytes[sizeof(struct kvm_signal_mask) + sizeof(uint64_t)];
	} mask = { .head.len = sizeof(uint64_t) };
	/* Everything but the kick stays blocked; the process's signals are for other threads. */
	uint64_t blocked = ~(1ULL << (kick_signal() - 1));

	memcpy(mask.bytes + offsetof(struct kvm_signal_mask, sigset), &blocked, sizeof(blocked));
	return ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, &mask);
}

static int set_boot_msrs(struct vcpu *vcpu)
{
	static const struct kvm_msr_entry values[] = {
		{ .index = MSR_MTRR_DEFAULT_TYPE, .data = MSR_MTRR_ENABLED_WB },
		{ .index = MSR_MISC_ENABLE, .data = MSR_MISC_ENABLE_STRINGS },
	};
	union {
		struct kvm_msrs head;
		uint8_t bytes[sizeof(struct kvm_msrs) + sizeof(values)];
	} msrs = { .head.nmsrs = ARRAY_SIZE(values) };

	memcpy(msrs.bytes + offsetof(struct kvm_msrs, entries), values, sizeof(values));
	/* Fewer than all set means that this processor has no such register, which is fine. */
	return ioctl(vcpu->fd, KVM_SET_MSRS, &msrs);
}

int vcpu_create(struct vcpu *vcpu, struct kvm *kvm, unsigned index, struct kvm_cpuid2 *cpuid,
		struct vcpu_handler *handler, struct error *error)
{
	*vcpu = (struct vcpu){ .index = index,
			       .fd = -1,
			       .run = MAP_FAILED,
			       .run_size = kvm->run_size,
			       .handler = handler };
	vcpu->fd = ioctl(kvm->vm, KVM_CREATE_VCPU, (unsigned long)index);
	if (vcpu->fd < 0)
		return error_set(error, -errno, "/dev/kvm: cannot create processor %u: %s", index,
				 error_name(errno));
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED || ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid) < 0 ||
	    set_boot_msrs(vcpu) < 0 || unblock_kick_in_guest(vcpu) < 0) {
		int rc = -errno;

		vcpu_destroy(vcpu);
		return error_set(error, rc, "/dev/kvm: cannot set up processor %u: %s", index,
				 error_name(rc));
	}
	return 0;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (vcpu->run != MAP_FAILED)
		munmap(vcpu->run, vcpu->run_size);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	vcpu->run = MAP_FAILED;
	vcpu->fd = -1;
}

static int set_linux_segments(struct vcpu *vcpu, const struct boot_linux_entry *entry)
{
	struct kvm_segment data = { .limit = 0xffffffff,
				    .selector = BOOT_LINUX_DATA_SELECTOR,
				    .type = 3, /* read, write, accessed */
				    .present = 1,
				    .s = 1,
				    .db = 1,
				    .g = 1 };
	struct kvm_segment code = { .limit = 0xffffffff,
				    .selector = BOOT_LINUX_CODE_SELECTOR,
				    .type = 11, /* execute, read, accessed */
				    .present = 1,
				    .s = 1,
				    .l = 1,
				    .g = 1 };
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gdt = (struct kvm_dtable){ .base = entry->gdt, .limit = entry->gdt_limit };
	sregs.idt = (struct kvm_dtable){ 0 };
	sregs.cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	sregs.cr3 = entry->page_tables;
	sregs.cr4 = CR4_PAE;
	sregs.efer = EFER_LME | EFER_LMA;
	return ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0 ? -errno : 0;
}

int vcpu_enter_linux(struct vcpu *vcpu, const struct boot_linux_entry *entry, struct error *error)
{
	struct kvm_regs regs = { .rip = entry->instruction,
				 .rsi = entry->boot_params,
				 .rflags = FLAGS_FIXED };
	int rc = set_linux_segments(vcpu, entry);

	if (!rc && ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
		rc = -errno;
	return rc < 0 ? error_set(error, rc, "/dev/kvm: cannot set registers: %s", error_name(rc))
		      : 0;
}

/* Up to `count` accesses of one instruction (INS, OUTS with a prefix) in one exit. */
static void port_access(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	unsigned size = run->io.size;

	for (unsigned i = 0; i < run->io.count; i++, data += size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			bus_write(vcpu->handler->ports, run->io.port, size,
				  bus_bytes_read(data, 0, size));
		else
			bus_bytes_write(data, 0, size,
					bus_read(vcpu->handler->ports, run->io.port, size));
	}
}

static void memory_access(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	unsigned size = MIN(run->mmio.len, (unsigned)sizeof(run->mmio.data));

	if (run->mmio.is_write)
		bus_write(vcpu->handler->memory, run->mmio.phys_addr, size,
			  bus_bytes_read(run->mmio.data, 0, size));
	else
		bus_bytes_write(run->mmio.data, 0, size,
				bus_read(vcpu->handler->memory, run->mmio.phys_addr, size));
}

/* Puts into words why KVM cannot go on. */
static void describe_failure(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	struct kvm_regs regs = { 0 };
	char what[160];

	switch (run->exit_reason) {
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(what, sizeof(what),
			 "the hardware refused to enter the guest, reason 0x%llx",
			 (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		snprintf(what, sizeof(what), "KVM internal error %u%s", run->internal.suberror,
			 run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION
				 ? " (an instruction that it cannot emulate)"
				 : "");
		break;
	default:
		snprintf(what, sizeof(what), "KVM stopped with unexpected reason %u",
			 run->exit_reason);
		break;
	}
	ioctl(vcpu->fd, KVM_GET_REGS, &regs);
	error_set(&vcpu->error, -EIO, "processor %u: %s, at instruction 0x%llx", vcpu->index, what,
		  (unsigned long long)regs.rip);
}

/* Deals with one exit; false if the processor cannot go on. */
static bool handle_exit(struct vcpu *vcpu)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_IO:
		port_access(vcpu);
		return true;
	case KVM_EXIT_MMIO:
		memory_access(vcpu);
		return true;
	case KVM_EXIT_INTR:
		return true;
	case KVM_EXIT_SHUTDOWN:
		vcpu->handler->ended(vcpu->handler->context, vcpu, VCPU_END_SHUTDOWN);
		return false;
	default:
		describe_failure(vcpu);
		vcpu->handler->ended(vcpu->handler->context, vcpu, VCPU_END_FAILED);
		return false;
	}
}

void vcpu_run(struct vcpu *vcpu)
{
	while (!atomic_load(&vcpu->handler->stop)) {
		if (ioctl(vcpu->fd, KVM_RUN, 0) < 0) {
			/* EAGAIN: a processor that waits for its start-up interrupt woke up. */
			if (errno == EINTR || errno == EAGAIN)
				continue;
			error_set(&vcpu->error, -errno, "processor %u: KVM_RUN: %s", vcpu->index,
				  error_name(errno));
			vcpu->handler->ended(vcpu->handler->context, vcpu, VCPU_END_FAILED);
			return;
		}
		if (!handle_exit(vcpu))
			return;
	}
}

static void *thread_main(void *argument)
{
	struct vcpu *vcpu = argument;

	if (sandbox_enter_vcpu(&vcpu->error) < 0)
		vcpu->handler->ended(vcpu->handler->context, vcpu, VCPU_END_FAILED);
	else
		vcpu_run(vcpu);
	return NULL;
}

int vcpu_start(struct vcpu *vcpu, struct error *error)
{
	char name[16];
	int rc;

	snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
	rc = thread_start(&vcpu->thread, name, thread_main, vcpu);
	if (rc)
		return error_set(error, rc, "processor %u: cannot start a thread: %s", vcpu->index,
				 error_name(rc));
	vcpu->started = true;
	return 0;
}

void vcpu_kick(struct vcpu *vcpu)
{
	if (vcpu->started)
		pthread_kill(vcpu->thread, kick_signal());
}

void vcpu_join(struct vcpu *vcpu)
{
	if (vcpu->started)
		pthread_join(vcpu->thread, NULL);
	vcpu->started = false;
}

bool vcpu_join_until(struct vcpu *vcpu, const struct timespec *deadline)
{
	if (vcpu->started && pthread_timedjoin_np(vcpu->thread, NULL, deadline))
		return false;
	vcpu->started = false;
	return true;
}
