/* SPDX-License-Identifier: BSD-2-Clause */
/* /dev/kvm and a virtual machine of it; see kvm.h. */
#include "vmm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "virtio/guest_memory.h"

static void advise_group(struct error *error)
{
	struct stat status;
	const struct group *group;

	if (stat("/dev/kvm", &status))
		return;
	group = getgrgid(status.st_gid);
	if (group)
		error_advise(error,
			     "add yourself to the group that owns it, as root: adduser "
			     "$USER %.32s; then log in again",
			     group->gr_name);
	else
		error_advise(error,
			     "its group, %u, has no name here; give it one and join it, as "
			     "root: groupadd -g %u kvm && adduser $USER kvm; then log in "
			     "again",
			     (unsigned)status.st_gid, (unsigned)status.st_gid);
}

static int explain_open_failure(int code, struct error *error)
{
	error_set(error, code, "/dev/kvm: %s", error_name(code));
	switch (code) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		error_advise(error, "this host offers no KVM; on bare metal, enable virtualization "
				    "in the firmware and load kvm-intel or kvm-amd; in a virtual "
				    "machine, its host must allow nested virtualization");
		break;
	case -EACCES:
	case -EPERM:
		advise_group(error);
		break;
	}
	return code;
}

static int check_capabilities(int device, struct error *error)
{
	static const struct {
		int capability;
		const char *name;
	} needed[] = {
		{ KVM_CAP_USER_MEMORY, "user memory" },
		{ KVM_CAP_IRQCHIP, "an in-kernel APIC" },
		{ KVM_CAP_IRQ_ROUTING, "interrupt routing" },
		{ KVM_CAP_IRQFD, "irqfd" },
		{ KVM_CAP_IOEVENTFD, "ioeventfd" },
		{ KVM_CAP_SIGNAL_MSI, "message-signalled interrupts" },
		{ KVM_CAP_EXT_CPUID, "CPUID" },
	};
	int version = ioctl(device, KVM_GET_API_VERSION, 0);

	if (version < 0)
		return error_set(error, -errno, "/dev/kvm: is not KVM: %s", error_name(errno));
	if (version != KVM_API_VERSION)
		return error_set(error, -EOPNOTSUPP, "/dev/kvm: API version %d, expected %d",
				 version, KVM_API_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (ioctl(device, KVM_CHECK_EXTENSION, needed[i].capability) <= 0)
			return error_set(error, -EOPNOTSUPP, "/dev/kvm: does not offer %s",
					 needed[i].name);
	return 0;
}

int kvm_open_device(struct error *error)
{
	CLEANUP_CLOSE int device = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int rc;

	if (device < 0)
		return explain_open_failure(-errno, error);
	rc = check_capabilities(device, error);
	return rc < 0 ? rc : steal_fd(&device);
}

/* Makes one ioctl of the set-up; `what` is for the message. */
static int tell_kvm(struct kvm *kvm, unsigned long request, void *argument, const char *what,
		    struct error *error)
{
	int rc = ioctl(kvm->vm, request, argument);

	return rc < 0 ? error_set(error, -errno, "/dev/kvm: %s: %s", what, error_name(errno)) : rc;
}

int kvm_create(struct kvm *kvm, int device, struct error *error)
{
	uint64_t identity = LAYOUT_IDENTITY_MAP;
	int rc;

	*kvm = (struct kvm){ .device = device, .vm = -1 };
	pthread_mutex_init(&kvm->routes_lock, NULL);
	kvm->interrupts.ops = &kvm_interrupts_ops;
	do {
		kvm->vm = ioctl(device, KVM_CREATE_VM, 0);
	} while (kvm->vm < 0 && errno == EINTR);
	if (kvm->vm < 0) {
		rc = error_set(error, -errno, "/dev/kvm: cannot create a machine: %s",
			       error_name(errno));
		goto fail;
	}
	rc = ioctl(device, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (rc < (int)sizeof(struct kvm_run)) {
		rc = error_set(error, -EOPNOTSUPP, "/dev/kvm: vCPU state of %d bytes", rc);
		goto fail;
	}
	kvm->run_size = (uint32_t)rc;
	/* Only Intel needs the first two; elsewhere they do nothing. */
	if ((rc = tell_kvm(kvm, KVM_SET_IDENTITY_MAP_ADDR, &identity, "identity map", error)) < 0 ||
	    (rc = tell_kvm(kvm, KVM_SET_TSS_ADDR, (void *)LAYOUT_TSS, "TSS address", error)) < 0 ||
	    (rc = tell_kvm(kvm, KVM_CREATE_IRQCHIP, NULL, "interrupt controllers", error)) < 0 ||
	    (rc = kvm_init_routes(kvm, error)) < 0)
		goto fail;
	return 0;
fail:
	kvm_destroy(kvm);
	return rc;
}

void kvm_destroy(struct kvm *kvm)
{
	if (kvm->vm >= 0)
		close(kvm->vm);
	kvm->vm = -1;
	free(kvm->routes);
	kvm->routes = NULL;
	pthread_mutex_destroy(&kvm->routes_lock);
}

int kvm_set_memory(struct kvm *kvm, const struct guest_memory *memory, struct error *error)
{
	for (unsigned i = 0; i < memory->count; i++) {
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.guest_phys_addr = memory->regions[i].guest_address,
			.memory_size = memory->regions[i].size,
			.userspace_addr = (uint64_t)memory->regions[i].host,
		};
		int rc = tell_kvm(kvm, KVM_SET_USER_MEMORY_REGION, &slot, "guest memory", error);

		if (rc < 0)
			return rc;
	}
	return 0;
}
