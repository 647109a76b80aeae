/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio device as its transport sees it: what it offers, its configuration space, and being
 * switched on and off. The transport (virtio_pci.c) has registers and the status machine; the device
 * has the queues once the driver is ready.
 */
#ifndef TENON_VMM_VIRTIO_DEVICE_H
#define TENON_VMM_VIRTIO_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct virtio_device;

#define VIRTIO_DEVICE_QUEUES_MAX 64u
#define VIRTIO_DEVICE_QUEUE_SIZE 256u /* the largest that we offer */

/* A queue as the driver has set it up. */
struct virtio_device_queue {
	bool enabled;
	uint16_t size;
	uint64_t desc, driver, device; /* guest addresses, as the driver gave them: not checked */
	int kick_fd, call_fd;          /* the transport's */
};

/* Called with the transport's lock held, so never two at a time. */
struct virtio_device_ops {
	/* The driver is ready: `features` is a part of what was offered. On failure nothing runs. */
	int (*activate)(struct virtio_device *device, uint64_t features,
			const struct virtio_device_queue *queues, struct error *error);
	/* Stops all queues; when it returns, the device touches neither memory nor eventfds. Called
	 * only after activate() succeeded. */
	void (*stop)(struct virtio_device *device);
	/* Accesses to the configuration space, inside `config_size`; 1 to 8 bytes. */
	uint64_t (*read_config)(struct virtio_device *device, uint64_t offset, unsigned size);
	void (*write_config)(struct virtio_device *device, uint64_t offset, unsigned size,
			     uint64_t value);
	/* The back-end has something to say: true if the configuration space is another now. */
	bool (*refresh)(struct virtio_device *device);
	/* Goes on over another connection, which it takes over, also when it fails; queues that ran run again,
	 * with all that is in their rings. *changed as above. -EINVAL if it cannot ever. */
	int (*resume)(struct virtio_device *device, void *connection, bool *changed,
		      struct error *error);
	void (*destroy)(struct virtio_device *device);
};

struct virtio_device {
	const struct virtio_device_ops *ops;
	const char *name; /* for messages; the device's */
	uint16_t id;      /* VIRTIO_ID_... */
	uint32_t class_code;
	uint64_t features; /* on offer */
	unsigned queue_count;
	uint32_t config_size;
};

#endif
