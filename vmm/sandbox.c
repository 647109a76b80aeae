/* SPDX-License-Identifier: BSD-2-Clause */
/* Seccomp filters for the machine's threads; see sandbox.h. */
#include "vmm/sandbox.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <sys/mman.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/seccomp_library.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

/* A processor runs, and its exits reach devices: doorbells, interrupts and their routes (kvm_interrupts.c),
 * and the message of a failure (vcpu.c). */
static const uint64_t vcpu_ioctls[] = {
	KVM_RUN,   KVM_GET_REGS,  KVM_IRQ_LINE,       KVM_SIGNAL_MSI,
	KVM_IRQFD, KVM_IOEVENTFD, KVM_SET_GSI_ROUTING
};

/*
 * With any arguments:
 *   read, write	eventfds; messages to standard error
 *   poll		is an eventfd signalled (msix.c)
 *   eventfd2, close	a queue starts and stops (virtio_pci_state.c)
 *   sendmsg, recvmsg	vhost-user messages; a queue starts and stops
 *   setsockopt, getsockopt, fcntl	the same
 *   shutdown		a back-end that does not answer is hung up on
 *   futex		locks, conditions
 *   clock_*		where the vDSO has no clock
 *   munmap, madvise, brk, mremap, getrandom, sched_getaffinity   the C library's allocator
 *   exit ... tgkill	the thread's end, regular or by abort()
 */
static const int vcpu_calls[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(eventfd2),
	SCMP_SYS(close),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockopt),
	SCMP_SYS(fcntl),
	SCMP_SYS(shutdown),
	SCMP_SYS(futex),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(munmap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(mremap),
	SCMP_SYS(getrandom),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(sched_yield),
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(tgkill),
	SCMP_SYS(sched_getaffinity),
};

/*
 * Who asks takes no for an answer:
 *   openat		an allocator that gives memory back asks /proc first how memory is accounted for (glibc, check_may_shrink_heap())
 *   statx, clone*	a file that a back-end sends and nobody asked for (peer_file.h): it stays open
 */
static const int vcpu_refused[] = { SCMP_SYS(openat), SCMP_SYS(statx), SCMP_SYS(clone),
				    SCMP_SYS(clone3) };

/* Memory that the allocator asks for is never to be executed. */
static const int vcpu_mappings[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) };

static int add_vcpu_rules(scmp_filter_ctx filter)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(vcpu_refused) && !rc; i++)
		rc = libseccomp.seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), vcpu_refused[i],
						 0);
	for (size_t i = 0; i < ARRAY_SIZE(vcpu_calls) && !rc; i++)
		rc = libseccomp.seccomp_rule_add(filter, SCMP_ACT_ALLOW, vcpu_calls[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(vcpu_ioctls) && !rc; i++)
		rc = libseccomp.seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
						 SCMP_A1(SCMP_CMP_EQ, vcpu_ioctls[i], 0));
	for (size_t i = 0; i < ARRAY_SIZE(vcpu_mappings) && !rc; i++)
		rc = libseccomp.seccomp_rule_add(filter, SCMP_ACT_ALLOW, vcpu_mappings[i], 1,
						 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return rc;
}

int sandbox_enter_vcpu(struct error *error)
{
	scmp_filter_ctx filter;
	int rc;

#ifdef SANITIZED
	return 0;
#endif
	rc = libseccomp_load(error);
	if (rc)
		return rc;
	filter = libseccomp.seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!filter)
		return error_set(error, -ENOMEM, "sandbox: out of memory");
	rc = add_vcpu_rules(filter);
	if (!rc)
		rc = libseccomp.seccomp_load(filter);
	libseccomp.seccomp_release(filter);
	return rc < 0 ? error_set(error, rc, "sandbox: seccomp: %s", error_name(rc)) : 0;
}
