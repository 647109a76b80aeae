/* SPDX-License-Identifier: BSD-2-Clause */
/* Measures how fast KVM runs guest code; see machine.h. */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "util/bytes.h"
#include "util/error.h"
#include "virtio/guest_memory.h"
#include "vmm/bus.h"
#include "vmm/cpuid.h"
#include "vmm/kvm.h"
#include "vmm/machine.h"
#include "vmm/vcpu.h"

#define LOOPS      20000u /* between two looks at the clock */
#define MEASURE_NS 50000000ULL
#define CODE_AT    0x1000u
#define MEMORY     0x10000u
#define TICK_PORT  0xe9u

/* Real mode: forever { ecx = LOOPS; do { } while (--ecx); out(0xe9) } */
static const uint8_t code[] = {
	0x66, 0xb9,      LOOPS & 0xff, LOOPS >> 8 & 0xff, LOOPS >> 16, 0x00, /* mov $LOOPS, %ecx */
	0x66, 0x49,                                                          /* dec %ecx */
	0x75, 0xfc,                                                          /* jnz -4 */
	0xe6, TICK_PORT, /* out %al, $TICK_PORT */
	0xeb, 0xf2,      /* jmp -14 */
};

/* The quickest round counts: others were interrupted by something else on a busy host. */
struct measurement {
	struct vcpu_handler handler;
	struct timespec start, last; /* of the first round, of the present one */
	uint64_t ticks, quickest_ns;
};

static uint64_t since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)(now.tv_sec - start->tv_sec) * 1000000000ULL + (uint64_t)now.tv_nsec -
	       (uint64_t)start->tv_nsec;
}

static uint64_t tick_read(void *device, uint64_t offset, unsigned size)
{
	(void)device, (void)offset, (void)size;
	return 0;
}

static void tick_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
	struct measurement *measurement = device;

	(void)offset, (void)size, (void)value;
	/* The first round warms up. */
	if (measurement->ticks++ == 0)
		clock_gettime(CLOCK_MONOTONIC, &measurement->start);
	else
		measurement->quickest_ns =
			MIN(measurement->quickest_ns, MAX(since(&measurement->last), 1));
	clock_gettime(CLOCK_MONOTONIC, &measurement->last);
	if (measurement->ticks > 1 && since(&measurement->start) >= MEASURE_NS)
		atomic_store(&measurement->handler.stop, true);
}

static const struct bus_ops tick_ops = { .read = tick_read, .write = tick_write };

static void ended(void *context, struct vcpu *vcpu, enum vcpu_end end)
{
	struct measurement *measurement = context;

	(void)vcpu, (void)end;
	measurement->quickest_ns = 0;
}

/* Real mode from address 0. */
static int enter_code(struct vcpu *vcpu)
{
	struct kvm_regs regs = { .rip = CODE_AT, .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return 0;
}

static int measure_on(struct measurement *measurement, struct kvm *kvm, struct error *error)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(kvm->device, error);
	struct vcpu vcpu;
	int rc;

	if (!cpuid)
		return error ? error->code : -EIO;
	rc = vcpu_create(&vcpu, kvm, 0, cpuid, &measurement->handler, error);
	free(cpuid);
	if (rc < 0)
		return rc;
	rc = enter_code(&vcpu);
	if (rc < 0) {
		error_set(error, rc, "/dev/kvm: cannot set registers: %s", error_name(rc));
	} else {
		vcpu_run(&vcpu);
		if (!measurement->quickest_ns)
			rc = error_set(error, -EIO, "/dev/kvm: a test guest failed: %s",
				       vcpu.error.text);
	}
	vcpu_destroy(&vcpu);
	return rc;
}

static int measure(struct measurement *measurement, int device, struct error *error)
{
	struct guest_memory memory = { 0 };
	struct kvm kvm;
	int rc;

	rc = guest_memory_create_region(&memory, "kvm-speed", 0, MEMORY, error);
	if (rc < 0)
		return rc;
	memcpy(memory.regions[0].host + CODE_AT, code, sizeof(code));
	rc = kvm_create(&kvm, device, error);
	if (rc >= 0) {
		rc = kvm_set_memory(&kvm, &memory, error);
		if (rc >= 0)
			rc = measure_on(measurement, &kvm, error);
		kvm_destroy(&kvm);
	}
	guest_memory_clear(&memory);
	return rc;
}

int machine_kvm_speed(uint64_t *instructions_per_second, struct error *error)
{
	CLEANUP_CLOSE int device = kvm_open_device(error);
	struct measurement measurement = { .quickest_ns = UINT64_MAX };
	struct bus ports, memory;
	int rc;

	if (device < 0)
		return device;
	bus_init(&ports);
	bus_init(&memory);
	bus_claim(&ports, TICK_PORT, 1, &tick_ops, &measurement);
	measurement.handler.ports = &ports;
	measurement.handler.memory = &memory;
	measurement.handler.ended = ended;
	measurement.handler.context = &measurement;
	rc = measure(&measurement, device, error);
	bus_fini(&ports);
	bus_fini(&memory);
	if (rc < 0)
		return rc;
	*instructions_per_second = (2ULL * LOOPS + 3) * 1000000000ULL / measurement.quickest_ns;
	return 0;
}
