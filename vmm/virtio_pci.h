/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI transport of virtio 1.2 (section 4.1), modern devices only: five capabilities, one memory BAR
 * with all structures and MSI-X, the device status machine. There is no INTx and no legacy interface.
 *
 * Doorbells of the guest and interrupts of the back-end bypass this code; see interrupts.h.
 *
 * What a driver does wrong harms its own device only: registers of queues that do not exist read as 0
 * and swallow writes, status bits out of order are refused, queues that cannot be used make the device
 * ask for a reset (DEVICE_NEEDS_RESET).
 */
#ifndef TENON_VMM_VIRTIO_PCI_H
#define TENON_VMM_VIRTIO_PCI_H

#include <pthread.h>

#include "vmm/msix.h"
#include "vmm/pci.h"
#include "vmm/virtio_device.h"

struct log;

/* The BAR. */
#define VIRTIO_PCI_BAR         0u
#define VIRTIO_BAR_SIZE        0x8000u
#define VIRTIO_BAR_COMMON      0x0000u
#define VIRTIO_BAR_COMMON_SIZE 56u
#define VIRTIO_BAR_ISR         0x1000u
#define VIRTIO_BAR_CONFIG      0x2000u
#define VIRTIO_BAR_NOTIFY      0x3000u
#define VIRTIO_BAR_MSIX_TABLE  0x4000u
#define VIRTIO_BAR_MSIX_PBA    0x6000u

#define VIRTIO_BAR_NOTIFY_MULTIPLIER 4u

struct virtio_pci_queue {
	struct virtio_device_queue setup;
	uint16_t vector;
	bool doorbell; /* is with KVM */
};

struct virtio_pci {
	struct pci_function function;
	struct virtio_device *device;
	struct interrupts *interrupts;
	struct log *log;
	unsigned window; /* where in configuration space the access capability lies */
	unsigned msix_capability;

	pthread_mutex_t lock; /* guards the rest */
	struct msix msix;
	uint64_t bar_address; /* 0: not decoded */
	bool active;          /* the device was activated */
	uint8_t status, isr, generation;
	uint32_t device_feature_select, driver_feature_select;
	uint64_t driver_features;
	uint16_t config_vector, queue_select;
	unsigned queue_count;
	struct virtio_pci_queue queues[VIRTIO_DEVICE_QUEUES_MAX];
};

/* Wraps `device`, which it takes over, also when it fails. Put &out->function on a bus. */
int virtio_pci_create(struct virtio_pci **out, struct virtio_device *device,
		      struct interrupts *interrupts, struct log *log, struct error *error);
void virtio_pci_destroy(struct virtio_pci *virtio);

/* The device cannot go on (its back-end is gone): the driver is told that it needs a reset, and the
 * log why. From any thread. */
void virtio_pci_fail(struct virtio_pci *virtio, const char *why);

/* Resets the device, as its driver would, while no vCPU runs: the back-end lets go of the memory. */
void virtio_pci_stop(struct virtio_pci *virtio);

/* The back-end has something to say; it has come back over another connection (see struct virtio_device_ops). The
 * driver is told if the configuration space has changed. From any thread. */
void virtio_pci_refresh(struct virtio_pci *virtio);
int virtio_pci_resume(struct virtio_pci *virtio, void *connection, struct error *error);

/* ---- Between the files; all with the lock held ---- */

/* virtio_pci_registers.c: what answers in the BAR (takes the lock). */
extern const struct bus_ops virtio_pci_bar_ops;

/* virtio_pci_state.c: a write to the device status; a reset, after which the device is quiet; failure;
 * the registers as after power-on. */
void virtio_pci_set_status(struct virtio_pci *virtio, uint8_t status);
void virtio_pci_reset(struct virtio_pci *virtio);
void virtio_pci_fail_locked(struct virtio_pci *virtio, const char *why);
void virtio_pci_clear_registers(struct virtio_pci *virtio);

/* The doorbells lie in the BAR: removed before it moves, added after. */
void virtio_pci_add_doorbells(struct virtio_pci *virtio);
void virtio_pci_remove_doorbells(struct virtio_pci *virtio);

#endif
