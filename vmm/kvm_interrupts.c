/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts and doorbells over KVM: routes, irqfd, ioeventfd; see interrupts.h. */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "util/bytes.h"
#include "util/error.h"
#include "vmm/kvm.h"

#define IOAPIC_PINS     LAYOUT_GSI_MSI_FIRST
#define KVM_CHIP_IOAPIC KVM_IRQCHIP_IOAPIC

static struct kvm *kvm_of(struct interrupts *interrupts)
{
	return container_of(interrupts, struct kvm, interrupts);
}

static int request(struct kvm *kvm, unsigned long number, void *argument)
{
	return ioctl(kvm->vm, number, argument) < 0 ? -errno : 0;
}

int kvm_init_routes(struct kvm *kvm, struct error *error)
{
	kvm->routes = calloc(1, sizeof(*kvm->routes) +
					KVM_ROUTES_MAX * sizeof(struct kvm_irq_routing_entry));
	if (!kvm->routes)
		return error_set(error, -ENOMEM, "interrupt routes: out of memory");
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		kvm->routes->entries[pin] = (struct kvm_irq_routing_entry){
			.gsi = pin,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = KVM_CHIP_IOAPIC, .pin = pin },
		};
		kvm->route_used[pin] = 1;
	}
	kvm->routes->nr = IOAPIC_PINS;
	if (request(kvm, KVM_SET_GSI_ROUTING, kvm->routes) < 0)
		return error_set(error, -errno, "/dev/kvm: interrupt routes: %s",
				 error_name(errno));
	return 0;
}

static int set_line(struct interrupts *interrupts, unsigned gsi, bool level)
{
	struct kvm_irq_level line = { .irq = gsi, .level = level };

	return request(kvm_of(interrupts), KVM_IRQ_LINE, &line);
}

static int send_message(struct interrupts *interrupts, const struct interrupt_message *message)
{
	struct kvm_msi msi = {
		.address_lo = (uint32_t)message->address,
		.address_hi = (uint32_t)(message->address >> 32),
		.data = message->data,
	};

	return request(kvm_of(interrupts), KVM_SIGNAL_MSI, &msi);
}

/* The entry of `gsi` in the table, or the place where a new one goes. */
static struct kvm_irq_routing_entry *entry_of(struct kvm *kvm, int gsi)
{
	unsigned i = 0;

	while (i < kvm->routes->nr && kvm->routes->entries[i].gsi != (unsigned)gsi)
		i++;
	return &kvm->routes->entries[i];
}

static int allocate_route(struct interrupts *interrupts)
{
	struct kvm *kvm = kvm_of(interrupts);
	int gsi = LAYOUT_GSI_MSI_FIRST;

	pthread_mutex_lock(&kvm->routes_lock);
	while (gsi < KVM_ROUTES_MAX && kvm->route_used[gsi])
		gsi++;
	if (gsi < KVM_ROUTES_MAX)
		kvm->route_used[gsi] = 1;
	pthread_mutex_unlock(&kvm->routes_lock);
	return gsi < KVM_ROUTES_MAX ? gsi : -ENOSPC;
}

static void free_route(struct interrupts *interrupts, int gsi)
{
	struct kvm *kvm = kvm_of(interrupts);
	struct kvm_irq_routing_entry *entry;

	pthread_mutex_lock(&kvm->routes_lock);
	entry = entry_of(kvm, gsi);
	if (entry < &kvm->routes->entries[kvm->routes->nr])
		*entry = kvm->routes->entries[--kvm->routes->nr];
	kvm->route_used[gsi] = 0;
	pthread_mutex_unlock(&kvm->routes_lock);
}

static void set_route(struct interrupts *interrupts, int gsi,
		      const struct interrupt_message *message)
{
	struct kvm *kvm = kvm_of(interrupts);
	struct kvm_irq_routing_entry *entry;

	pthread_mutex_lock(&kvm->routes_lock);
	entry = entry_of(kvm, gsi);
	if (entry == &kvm->routes->entries[kvm->routes->nr])
		kvm->routes->nr++;
	*entry = (struct kvm_irq_routing_entry){
		.gsi = (unsigned)gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = (uint32_t)message->address,
			   .address_hi = (uint32_t)(message->address >> 32),
			   .data = message->data },
	};
	pthread_mutex_unlock(&kvm->routes_lock);
}

static int commit_routes(struct interrupts *interrupts)
{
	struct kvm *kvm = kvm_of(interrupts);
	int rc;

	pthread_mutex_lock(&kvm->routes_lock);
	rc = request(kvm, KVM_SET_GSI_ROUTING, kvm->routes);
	pthread_mutex_unlock(&kvm->routes_lock);
	return rc;
}

static int attach(struct interrupts *interrupts, int gsi, int event_fd)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)event_fd, .gsi = (uint32_t)gsi };

	return request(kvm_of(interrupts), KVM_IRQFD, &irqfd);
}

static int detach(struct interrupts *interrupts, int gsi, int event_fd)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)event_fd,
				   .gsi = (uint32_t)gsi,
				   .flags = KVM_IRQFD_FLAG_DEASSIGN };

	return request(kvm_of(interrupts), KVM_IRQFD, &irqfd);
}

/* Length 0 matches any size, and lets KVM on Intel skip decoding the instruction. */
static int change_doorbell(struct interrupts *interrupts, uint64_t address, int event_fd,
			   uint32_t flags)
{
	struct kvm_ioeventfd doorbell = { .addr = address, .fd = event_fd, .flags = flags };

	return request(kvm_of(interrupts), KVM_IOEVENTFD, &doorbell);
}

static int add_doorbell(struct interrupts *interrupts, uint64_t address, int event_fd)
{
	return change_doorbell(interrupts, address, event_fd, 0);
}

static int remove_doorbell(struct interrupts *interrupts, uint64_t address, int event_fd)
{
	return change_doorbell(interrupts, address, event_fd, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

const struct interrupts_ops kvm_interrupts_ops = {
	.set_line = set_line,
	.send = send_message,
	.allocate_route = allocate_route,
	.free_route = free_route,
	.set_route = set_route,
	.commit_routes = commit_routes,
	.attach = attach,
	.detach = detach,
	.add_doorbell = add_doorbell,
	.remove_doorbell = remove_doorbell,
};
