/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The BAR of a virtio PCI device: which structure an access is for, and the common configuration
 * structure (virtio 1.2, 4.1.4.3). That has a field for each register, found by where an access
 * begins. A 64-bit register may also be accessed in halves; any other access that is not exactly a
 * register reads as 0 and writes nothing.
 */
#include <linux/virtio_config.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "util/bytes.h"
#include "vmm/virtio_pci.h"

enum {
	DEVICE_FEATURE_SELECT = 0,
	DEVICE_FEATURE = 4,
	DRIVER_FEATURE_SELECT = 8,
	DRIVER_FEATURE = 12,
	CONFIG_VECTOR = 16,
	NUM_QUEUES = 18,
	DEVICE_STATUS = 20,
	CONFIG_GENERATION = 21,
	QUEUE_SELECT = 22,
	QUEUE_SIZE = 24,
	QUEUE_VECTOR = 26,
	QUEUE_ENABLE = 28,
	QUEUE_NOTIFY_OFFSET = 30,
	QUEUE_DESC = 32,
	QUEUE_DRIVER = 40,
	QUEUE_DEVICE = 48,
};

static const struct field {
	uint8_t offset, size;
} fields[] = {
	{ DEVICE_FEATURE_SELECT, 4 }, { DEVICE_FEATURE, 4 },
	{ DRIVER_FEATURE_SELECT, 4 }, { DRIVER_FEATURE, 4 },
	{ CONFIG_VECTOR, 2 },         { NUM_QUEUES, 2 },
	{ DEVICE_STATUS, 1 },         { CONFIG_GENERATION, 1 },
	{ QUEUE_SELECT, 2 },          { QUEUE_SIZE, 2 },
	{ QUEUE_VECTOR, 2 },          { QUEUE_ENABLE, 2 },
	{ QUEUE_NOTIFY_OFFSET, 2 },   { QUEUE_DESC, 8 },
	{ QUEUE_DRIVER, 8 },          { QUEUE_DEVICE, 8 },
};

static const struct field *find_field(uint64_t offset, unsigned size)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct field *field = &fields[i];

		if (field->offset == offset && field->size == size)
			return field;
		if (field->size == 8 && size == 4 &&
		    (offset == field->offset || offset == field->offset + 4u))
			return field;
	}
	return NULL;
}

/* The 32 feature bits that a select register names; there are 64. */
static uint32_t feature_word(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> (32 * select)) : 0;
}

/* The selected queue, or NULL: every register of a queue asks here. */
static struct virtio_pci_queue *selected(struct virtio_pci *virtio)
{
	return virtio->queue_select < virtio->queue_count ? &virtio->queues[virtio->queue_select]
							  : NULL;
}

static uint64_t read_queue_field(struct virtio_pci *virtio, unsigned field)
{
	const struct virtio_pci_queue *queue = selected(virtio);

	if (!queue)
		return field == QUEUE_VECTOR ? MSIX_NO_VECTOR : 0;
	switch (field) {
	case QUEUE_SIZE:
		return queue->setup.size;
	case QUEUE_VECTOR:
		return queue->vector;
	case QUEUE_ENABLE:
		return queue->setup.enabled;
	case QUEUE_NOTIFY_OFFSET:
		return virtio->queue_select;
	case QUEUE_DESC:
		return queue->setup.desc;
	case QUEUE_DRIVER:
		return queue->setup.driver;
	case QUEUE_DEVICE:
		return queue->setup.device;
	}
	return 0;
}

static uint64_t read_field(struct virtio_pci *virtio, unsigned field)
{
	switch (field) {
	case DEVICE_FEATURE_SELECT:
		return virtio->device_feature_select;
	case DEVICE_FEATURE:
		return feature_word(virtio->device->features, virtio->device_feature_select);
	case DRIVER_FEATURE_SELECT:
		return virtio->driver_feature_select;
	case DRIVER_FEATURE:
		return feature_word(virtio->driver_features, virtio->driver_feature_select);
	case CONFIG_VECTOR:
		return virtio->config_vector;
	case NUM_QUEUES:
		return virtio->queue_count;
	case DEVICE_STATUS:
		return virtio->status;
	case CONFIG_GENERATION:
		return virtio->generation;
	case QUEUE_SELECT:
		return virtio->queue_select;
	}
	return read_queue_field(virtio, field);
}

static void write_driver_features(struct virtio_pci *virtio, uint32_t value)
{
	unsigned shift = 32 * virtio->driver_feature_select;

	/* Settled once the driver has said FEATURES_OK (3.1.1, step 5). */
	if (virtio->driver_feature_select > 1 || (virtio->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return;
	virtio->driver_features &= ~(0xffffffffULL << shift);
	virtio->driver_features |= (uint64_t)value << shift;
}

/* A vector that does not exist reads back as "none" (4.1.5.1.2.1). */
static uint16_t usable_vector(const struct virtio_pci *virtio, uint64_t value)
{
	return value < virtio->msix.vector_count ? (uint16_t)value : MSIX_NO_VECTOR;
}

/* Merges a write of one half of a 64-bit register. */
static uint64_t merge(uint64_t old, unsigned at, unsigned size, uint64_t value)
{
	uint64_t mask = bus_all_ones(size) << (8 * at);

	return (old & ~mask) | (value << (8 * at) & mask);
}

static void write_queue_field(struct virtio_pci *virtio, unsigned field, unsigned at, unsigned size,
			      uint64_t value)
{
	struct virtio_pci_queue *queue = selected(virtio);

	/* What an enabled queue is like is settled; only a reset changes it (4.1.4.3.2). */
	if (!queue || queue->setup.enabled || (virtio->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	switch (field) {
	case QUEUE_SIZE:
		if (is_power_of_two(value) && value <= VIRTIO_DEVICE_QUEUE_SIZE)
			queue->setup.size = (uint16_t)value;
		break;
	case QUEUE_VECTOR:
		queue->vector = usable_vector(virtio, value);
		break;
	case QUEUE_ENABLE:
		if (value == 1 && (virtio->status & VIRTIO_CONFIG_S_FEATURES_OK))
			queue->setup.enabled = true;
		break;
	case QUEUE_DESC:
		queue->setup.desc = merge(queue->setup.desc, at, size, value);
		break;
	case QUEUE_DRIVER:
		queue->setup.driver = merge(queue->setup.driver, at, size, value);
		break;
	case QUEUE_DEVICE:
		queue->setup.device = merge(queue->setup.device, at, size, value);
		break;
	}
}

static uint64_t common_read(struct virtio_pci *virtio, uint64_t offset, unsigned size)
{
	const struct field *field = find_field(offset, size);

	if (!field)
		return 0;
	return read_field(virtio, field->offset) >> (8 * (offset - field->offset));
}

static void common_write(struct virtio_pci *virtio, uint64_t offset, unsigned size, uint64_t value)
{
	const struct field *field = find_field(offset, size);

	if (!field)
		return;
	switch (field->offset) {
	case DEVICE_FEATURE_SELECT:
		virtio->device_feature_select = (uint32_t)value;
		break;
	case DRIVER_FEATURE_SELECT:
		virtio->driver_feature_select = (uint32_t)value;
		break;
	case DRIVER_FEATURE:
		write_driver_features(virtio, (uint32_t)value);
		break;
	case CONFIG_VECTOR:
		virtio->config_vector = usable_vector(virtio, value);
		break;
	case DEVICE_STATUS:
		virtio_pci_set_status(virtio, (uint8_t)value);
		break;
	case QUEUE_SELECT:
		virtio->queue_select = (uint16_t)value;
		break;
	default:
		write_queue_field(virtio, field->offset, (unsigned)(offset - field->offset), size,
				  value);
	}
}

/* ---- The BAR ---- */

static uint64_t read_isr(struct virtio_pci *virtio)
{
	uint8_t isr = virtio->isr;

	virtio->isr = 0;
	return isr;
}

static uint64_t read_structure(struct virtio_pci *virtio, uint64_t offset, unsigned size)
{
	uint64_t at = offset & 0xfff;
	struct virtio_device *device = virtio->device;

	if (offset >= VIRTIO_BAR_MSIX_PBA)
		return msix_pending_read(&virtio->msix, offset - VIRTIO_BAR_MSIX_PBA, size);
	if (offset >= VIRTIO_BAR_MSIX_TABLE) {
		at = offset - VIRTIO_BAR_MSIX_TABLE;
		return range_within(at, size, virtio->msix.vector_count * MSIX_ENTRY_SIZE)
			       ? msix_table_read(&virtio->msix, at, size)
			       : 0;
	}
	switch (offset - at) {
	case VIRTIO_BAR_COMMON:
		return common_read(virtio, at, size);
	case VIRTIO_BAR_ISR:
		return at == 0 ? read_isr(virtio) : 0;
	case VIRTIO_BAR_CONFIG:
		return range_within(at, size, device->config_size)
			       ? device->ops->read_config(device, at, size)
			       : 0;
	}
	return 0;
}

/* Where KVM does not. A back-end that has filled the eventfd, which it shares, is told already; it must not
 * make a vCPU wait. */
static void ring(struct virtio_pci *virtio, uint64_t at)
{
	uint64_t index = at / VIRTIO_BAR_NOTIFY_MULTIPLIER;
	struct pollfd entry = { .events = POLLOUT };

	if (!virtio->active || index >= virtio->queue_count || !virtio->queues[index].setup.enabled)
		return;
	entry.fd = virtio->queues[index].setup.kick_fd;
	if (poll(&entry, 1, 0) == 1)
		eventfd_write(entry.fd, 1);
}

static int write_structure(struct virtio_pci *virtio, uint64_t offset, unsigned size,
			   uint64_t value)
{
	uint64_t at = offset & 0xfff;
	struct virtio_device *device = virtio->device;

	if (offset >= VIRTIO_BAR_MSIX_PBA)
		return 0; /* read-only */
	if (offset >= VIRTIO_BAR_MSIX_TABLE) {
		at = offset - VIRTIO_BAR_MSIX_TABLE;
		return range_within(at, size, virtio->msix.vector_count * MSIX_ENTRY_SIZE)
			       ? msix_table_write(&virtio->msix, at, size, value)
			       : 0;
	}
	switch (offset - at) {
	case VIRTIO_BAR_COMMON:
		common_write(virtio, at, size, value);
		break;
	case VIRTIO_BAR_CONFIG:
		if (range_within(at, size, device->config_size))
			device->ops->write_config(device, at, size, value);
		break;
	case VIRTIO_BAR_NOTIFY:
		ring(virtio, at);
		break;
	}
	return 0;
}

static uint64_t bar_read(void *context, uint64_t offset, unsigned size)
{
	struct virtio_pci *virtio = context;
	uint64_t value;

	pthread_mutex_lock(&virtio->lock);
	value = read_structure(virtio, offset, size);
	pthread_mutex_unlock(&virtio->lock);
	return value;
}

static void bar_write(void *context, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_pci *virtio = context;

	pthread_mutex_lock(&virtio->lock);
	if (write_structure(virtio, offset, size, value) < 0)
		virtio_pci_fail_locked(virtio, "KVM refused an interrupt route");
	pthread_mutex_unlock(&virtio->lock);
}

const struct bus_ops virtio_pci_bar_ops = { .read = bar_read, .write = bar_write };
