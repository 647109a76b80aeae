/* SPDX-License-Identifier: BSD-2-Clause */
/* The PCI transport of virtio; see virtio_pci.h. */
#include "vmm/virtio_pci.h"

#include <errno.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"

#define VIRTIO_VENDOR         0x1af4u
#define VIRTIO_DEVICE_BASE    0x1040u
#define VIRTIO_REVISION       1u
#define PCI_CAPABILITY_VENDOR 0x09u

static struct virtio_pci *virtio_of(struct pci_function *function)
{
	return container_of(function, struct virtio_pci, function);
}

/* ---- Configuration space ---- */

static void bar_moved(struct pci_function *function, unsigned bar, uint64_t address)
{
	struct virtio_pci *virtio = virtio_of(function);

	(void)bar;
	pthread_mutex_lock(&virtio->lock);
	virtio_pci_remove_doorbells(virtio);
	virtio->bar_address = address;
	virtio_pci_add_doorbells(virtio);
	pthread_mutex_unlock(&virtio->lock);
}

/* The access capability (4.1.4.10) says which BAR, where in it and how many bytes; its last four bytes
 * are a window onto that. False if it says something that does not exist. */
static bool window_target(const struct virtio_pci *virtio, uint32_t *offset, uint32_t *size)
{
	const uint8_t *window = virtio->function.config + virtio->window;

	*offset = get_le32(window + offsetof(struct virtio_pci_cap, offset));
	*size = get_le32(window + offsetof(struct virtio_pci_cap, length));
	return window[offsetof(struct virtio_pci_cap, bar)] == VIRTIO_PCI_BAR &&
	       (*size == 1 || *size == 2 || *size == 4) && *offset % *size == 0;
}

static bool touches_window(const struct virtio_pci *virtio, unsigned offset)
{
	return offset / 4 * 4 == virtio->window + sizeof(struct virtio_pci_cap);
}

static void before_read(struct pci_function *function, unsigned offset, unsigned size)
{
	struct virtio_pci *virtio = virtio_of(function);
	uint32_t at, length;

	(void)size;
	if (touches_window(virtio, offset) && window_target(virtio, &at, &length))
		put_le32(function->config + virtio->window + sizeof(struct virtio_pci_cap),
			 (uint32_t)pci_bar_read(function, VIRTIO_PCI_BAR, at, length));
}

static void after_write(struct pci_function *function, unsigned offset, unsigned size)
{
	struct virtio_pci *virtio = virtio_of(function);
	unsigned control = virtio->msix_capability + MSIX_CONTROL;
	uint32_t at, length;

	if (touches_window(virtio, offset) && window_target(virtio, &at, &length))
		pci_bar_write(function, VIRTIO_PCI_BAR, at, length,
			      get_le32(function->config + virtio->window +
				       sizeof(struct virtio_pci_cap)));
	if (offset < control + 2 && offset + size > control) {
		pthread_mutex_lock(&virtio->lock);
		if (msix_set_control(&virtio->msix, get_le16(function->config + control)) < 0)
			virtio_pci_fail_locked(virtio, "KVM refused an interrupt route");
		pthread_mutex_unlock(&virtio->lock);
	}
}

static void function_reset(struct pci_function *function)
{
	struct virtio_pci *virtio = virtio_of(function);

	pthread_mutex_lock(&virtio->lock);
	virtio_pci_reset(virtio);
	msix_reset(&virtio->msix);
	pthread_mutex_unlock(&virtio->lock);
}

static const struct pci_function_ops function_ops = {
	.before_read = before_read,
	.after_write = after_write,
	.bar_moved = bar_moved,
	.reset = function_reset,
};

/* ---- Making it ---- */

/* Adds one of the capabilities that point into the BAR; `extra` bytes follow it. */
static int add_structure(struct virtio_pci *virtio, uint8_t type, uint32_t offset, uint32_t length,
			 const void *extra, unsigned extra_size)
{
	uint8_t bytes[sizeof(struct virtio_pci_cap) + 4] = { 0 };
	struct virtio_pci_cap cap = { .cap_len = (uint8_t)(sizeof(cap) + extra_size),
				      .cfg_type = type,
				      .bar = VIRTIO_PCI_BAR,
				      .offset = htole32(offset),
				      .length = htole32(length) };

	memcpy(bytes, &cap, sizeof(cap));
	memcpy(bytes + sizeof(cap), extra, extra_size);
	return pci_function_add_capability(&virtio->function, PCI_CAPABILITY_VENDOR, bytes + 2,
					   (unsigned)sizeof(cap) + extra_size);
}

static int add_window(struct virtio_pci *virtio)
{
	uint8_t *writable;
	int at = add_structure(virtio, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, "\0\0\0", 4);

	if (at < 0)
		return at;
	virtio->window = (unsigned)at;
	writable = virtio->function.writable + at;
	writable[offsetof(struct virtio_pci_cap, bar)] = 0xff;
	memset(writable + offsetof(struct virtio_pci_cap, offset), 0xff, 12); /* length, data */
	return 0;
}

static int add_msix(struct virtio_pci *virtio)
{
	uint8_t body[10];
	int at;

	put_le16(body, (uint16_t)(virtio->msix.vector_count - 1));
	put_le32(body + 2, VIRTIO_BAR_MSIX_TABLE | VIRTIO_PCI_BAR);
	put_le32(body + 6, VIRTIO_BAR_MSIX_PBA | VIRTIO_PCI_BAR);
	at = pci_function_add_capability(&virtio->function, MSIX_CAPABILITY_ID, body, 12);
	if (at < 0)
		return at;
	virtio->msix_capability = (unsigned)at;
	put_le16(virtio->function.writable + at + MSIX_CONTROL,
		 MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK_ALL);
	return 0;
}

static int add_capabilities(struct virtio_pci *virtio)
{
	uint8_t multiplier[4];
	int rc;

	put_le32(multiplier, VIRTIO_BAR_NOTIFY_MULTIPLIER);
	if ((rc = add_structure(virtio, VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_BAR_COMMON,
				VIRTIO_BAR_COMMON_SIZE, "", 0)) < 0 ||
	    (rc = add_structure(virtio, VIRTIO_PCI_CAP_ISR_CFG, VIRTIO_BAR_ISR, 1, "", 0)) < 0 ||
	    (rc = add_structure(virtio, VIRTIO_PCI_CAP_NOTIFY_CFG, VIRTIO_BAR_NOTIFY,
				virtio->queue_count * VIRTIO_BAR_NOTIFY_MULTIPLIER, multiplier,
				sizeof(multiplier))) < 0 ||
	    (rc = add_window(virtio)) < 0 || (rc = add_msix(virtio)) < 0)
		return rc;
	/* A device without configuration space must not have a structure for it. */
	if (virtio->device->config_size)
		rc = add_structure(virtio, VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_BAR_CONFIG,
				   virtio->device->config_size, "", 0);
	return rc < 0 ? rc : 0;
}

int virtio_pci_create(struct virtio_pci **out, struct virtio_device *device,
		      struct interrupts *interrupts, struct log *log, struct error *error)
{
	struct virtio_pci *virtio = calloc(1, sizeof(*virtio));
	int rc = -ENOMEM;

	if (!virtio) {
		device->ops->destroy(device);
		return error_set(error, -ENOMEM, "out of memory");
	}
	virtio->device = device;
	virtio->interrupts = interrupts;
	virtio->log = log;
	virtio->queue_count = MIN(device->queue_count, VIRTIO_DEVICE_QUEUES_MAX);
	pthread_mutex_init(&virtio->lock, NULL);
	pci_function_init(&virtio->function, &function_ops, VIRTIO_VENDOR,
			  (uint16_t)(VIRTIO_DEVICE_BASE + device->id), device->class_code,
			  VIRTIO_REVISION);
	/* A vector for each queue and one for changes of the configuration. */
	rc = msix_init(&virtio->msix, interrupts, virtio->queue_count + 1, virtio->queue_count);
	if (rc < 0 || (rc = add_capabilities(virtio)) < 0) {
		error_set(error, rc, "%s: %s", device->name, error_name(rc));
		virtio_pci_destroy(virtio);
		return rc;
	}
	pci_function_set_bar(&virtio->function, VIRTIO_PCI_BAR, VIRTIO_BAR_SIZE,
			     &virtio_pci_bar_ops, virtio);
	virtio_pci_clear_registers(virtio);
	*out = virtio;
	return 0;
}

void virtio_pci_destroy(struct virtio_pci *virtio)
{
	virtio->device->ops->destroy(virtio->device);
	msix_fini(&virtio->msix);
	pthread_mutex_destroy(&virtio->lock);
	free(virtio);
}
