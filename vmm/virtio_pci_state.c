/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a virtio PCI device: status machine, activation, reset, failure, and the doorbells that
 * come and go with it; see virtio_pci.h.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"
#include "vmm/virtio_pci.h"

#define ISR_CONFIG 2u

#define VERSION_1 (1ULL << VIRTIO_F_VERSION_1)

/* ---- Doorbells, which follow the BAR ---- */

void virtio_pci_remove_doorbells(struct virtio_pci *virtio)
{
	for (unsigned i = 0; i < virtio->queue_count; i++) {
		struct virtio_pci_queue *queue = &virtio->queues[i];

		if (queue->doorbell)
			virtio->interrupts->ops->remove_doorbell(
				virtio->interrupts,
				virtio->bar_address + VIRTIO_BAR_NOTIFY +
					i * VIRTIO_BAR_NOTIFY_MULTIPLIER,
				queue->setup.kick_fd);
		queue->doorbell = false;
	}
}

/* Without one, the guest's write comes to us, and we ring: slower, but as good. */
void virtio_pci_add_doorbells(struct virtio_pci *virtio)
{
	if (!virtio->active || !virtio->bar_address)
		return;
	for (unsigned i = 0; i < virtio->queue_count; i++) {
		struct virtio_pci_queue *queue = &virtio->queues[i];

		if (queue->setup.enabled)
			queue->doorbell = virtio->interrupts->ops->add_doorbell(
						  virtio->interrupts,
						  virtio->bar_address + VIRTIO_BAR_NOTIFY +
							  i * VIRTIO_BAR_NOTIFY_MULTIPLIER,
						  queue->setup.kick_fd) == 0;
	}
}

/* ---- On, off, failure ---- */

static void close_events(struct virtio_pci *virtio)
{
	for (unsigned i = 0; i < virtio->queue_count; i++) {
		struct virtio_device_queue *setup = &virtio->queues[i].setup;

		msix_disconnect(&virtio->msix, i);
		if (setup->kick_fd >= 0)
			close(setup->kick_fd);
		if (setup->call_fd >= 0)
			close(setup->call_fd);
		setup->kick_fd = setup->call_fd = -1;
	}
}

static int open_events(struct virtio_pci *virtio)
{
	for (unsigned i = 0; i < virtio->queue_count; i++) {
		struct virtio_device_queue *setup = &virtio->queues[i].setup;

		if (!setup->enabled)
			continue;
		/* Signalled from the start, for buffers that were put into a queue before the device is
		 * ready. Not written to later: the back-end shares the file, and could make us wait. */
		setup->kick_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
		setup->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (setup->kick_fd < 0 || setup->call_fd < 0)
			return -errno;
		msix_connect(&virtio->msix, i, setup->call_fd, virtio->queues[i].vector);
	}
	return msix_update(&virtio->msix);
}

/* Tells the driver that something about the device has changed. */
static void raise_config(struct virtio_pci *virtio)
{
	virtio->isr |= ISR_CONFIG;
	msix_raise(&virtio->msix, virtio->config_vector);
}

/* Says why, once for each time that the driver gets the device going. */
void virtio_pci_fail_locked(struct virtio_pci *virtio, const char *why)
{
	if (virtio->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	log_error(virtio->log, "%s: %s", virtio->device->name, why);
	virtio->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	raise_config(virtio);
}

void virtio_pci_fail(struct virtio_pci *virtio, const char *why)
{
	pthread_mutex_lock(&virtio->lock);
	virtio_pci_fail_locked(virtio, why);
	pthread_mutex_unlock(&virtio->lock);
}

/* A driver that reads a field in two parts looks at the generation before and after (4.1.4.3). */
static void config_changed(struct virtio_pci *virtio)
{
	virtio->generation++;
	if (virtio->active)
		raise_config(virtio);
}

void virtio_pci_refresh(struct virtio_pci *virtio)
{
	pthread_mutex_lock(&virtio->lock);
	if (virtio->device->ops->refresh(virtio->device))
		config_changed(virtio);
	pthread_mutex_unlock(&virtio->lock);
}

int virtio_pci_resume(struct virtio_pci *virtio, void *connection, struct error *error)
{
	bool changed = false;
	int rc;

	pthread_mutex_lock(&virtio->lock);
	rc = virtio->device->ops->resume(virtio->device, connection, &changed, error);
	if (rc == 0 && changed)
		config_changed(virtio);
	pthread_mutex_unlock(&virtio->lock);
	return rc;
}

static void activate_device(struct virtio_pci *virtio)
{
	struct virtio_device_queue queues[VIRTIO_DEVICE_QUEUES_MAX];
	struct error error = { 0 };
	int rc = open_events(virtio);

	if (rc < 0) {
		error_set(&error, rc, "cannot set up interrupts: %s", error_name(rc));
	} else {
		for (unsigned i = 0; i < virtio->queue_count; i++)
			queues[i] = virtio->queues[i].setup;
		rc = virtio->device->ops->activate(virtio->device, virtio->driver_features, queues,
						   &error);
	}
	if (rc < 0) {
		close_events(virtio);
		virtio_pci_fail_locked(virtio, error.text);
		return;
	}
	virtio->active = true;
	virtio_pci_add_doorbells(virtio);
}

/* The registers as after power-on (2.4). */
void virtio_pci_clear_registers(struct virtio_pci *virtio)
{
	virtio->status = virtio->isr = virtio->generation = 0;
	virtio->device_feature_select = virtio->driver_feature_select = 0;
	virtio->driver_features = 0;
	virtio->queue_select = 0;
	virtio->config_vector = MSIX_NO_VECTOR;
	for (unsigned i = 0; i < virtio->queue_count; i++)
		virtio->queues[i] = (struct virtio_pci_queue){
			.vector = MSIX_NO_VECTOR,
			.setup = { .size = VIRTIO_DEVICE_QUEUE_SIZE, .kick_fd = -1, .call_fd = -1 }
		};
}

/* When it returns, the device is quiet: the driver polls until the status reads 0. */
void virtio_pci_reset(struct virtio_pci *virtio)
{
	virtio_pci_remove_doorbells(virtio);
	if (virtio->active)
		virtio->device->ops->stop(virtio->device);
	virtio->active = false;
	close_events(virtio);
	virtio_pci_clear_registers(virtio);
}

void virtio_pci_stop(struct virtio_pci *virtio)
{
	pthread_mutex_lock(&virtio->lock);
	virtio_pci_reset(virtio);
	pthread_mutex_unlock(&virtio->lock);
}

static bool features_acceptable(const struct virtio_pci *virtio)
{
	return !(virtio->driver_features & ~virtio->device->features) &&
	       (virtio->driver_features & VERSION_1);
}

void virtio_pci_set_status(struct virtio_pci *virtio, uint8_t status)
{
	uint8_t old = virtio->status, fresh = status & ~old;

	if (!status) {
		virtio_pci_reset(virtio);
		return;
	}
	/* Bits go in order, and only a reset clears them (2.1.1). */
	if (old & ~status & ~VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	fresh &= VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED;
	if ((fresh & VIRTIO_CONFIG_S_DRIVER) && !(status & VIRTIO_CONFIG_S_ACKNOWLEDGE))
		return;
	if ((fresh & VIRTIO_CONFIG_S_FEATURES_OK) &&
	    (!(status & VIRTIO_CONFIG_S_DRIVER) || !features_acceptable(virtio)))
		fresh &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	if ((fresh & VIRTIO_CONFIG_S_DRIVER_OK) && !((old | fresh) & VIRTIO_CONFIG_S_FEATURES_OK))
		fresh &= ~VIRTIO_CONFIG_S_DRIVER_OK;
	virtio->status |= fresh;
	if ((fresh & VIRTIO_CONFIG_S_DRIVER_OK) && !(old & VIRTIO_CONFIG_S_NEEDS_RESET))
		activate_device(virtio);
}
