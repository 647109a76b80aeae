/* A virtio device behind a vhost-user connection; see vhost_user_device.h. */
#include "vmm/vhost_user_device.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "virtio/vhost_user_frontend.h"
#include "virtio/virtio_net.h"
#include "vmm/bus.h"

#define BIT(feature) (1ULL << (feature))

#define RING_FEATURES                                                                              \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX))

#define BLK_FEATURES                                                                               \
	(RING_FEATURES | BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) |                  \
	 BIT(VIRTIO_BLK_F_GEOMETRY) | BIT(VIRTIO_BLK_F_RO) | BIT(VIRTIO_BLK_F_BLK_SIZE) |          \
	 BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_TOPOLOGY) | BIT(VIRTIO_BLK_F_CONFIG_WCE) |     \
	 BIT(VIRTIO_BLK_F_MQ) | BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES))

/* Without those that need a control queue, which back-ends leave to the front-end. */
#define NET_FEATURES                                                                               \
	(RING_FEATURES | VIRTIO_NET_GUEST_OFFLOADS | VIRTIO_NET_HOST_OFFLOADS |                    \
	 BIT(VIRTIO_NET_F_GUEST_UFO) | BIT(VIRTIO_NET_F_HOST_UFO) | BIT(VIRTIO_NET_F_MRG_RXBUF))

/* What this end adds to a NIC, and the back-end need not know. */
#define NET_OWN_FEATURES (BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS))

#define NET_QUEUES 2 /* receive, transmit */

#define CLASS_STORAGE  0x018000u
#define CLASS_ETHERNET 0x020000u

/* Device status bits that the driver has set when the device is activated. */
#define STATUS_FEATURES_OK                                                                         \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)

struct vhost_user_device {
	struct virtio_device device;
	struct vhost_user_frontend *fe;
	const struct guest_memory *memory;
	char *name;
	enum machine_device_type type;
	uint8_t mac[6];
	uint64_t own_features;
	uint64_t started; /* a bit for each queue that runs */
	union {
		struct virtio_blk_config blk;
		struct virtio_net_config net;
		uint8_t bytes[1];
	} config;
};

static struct vhost_user_device *device_of(struct virtio_device *device)
{
	return container_of(device, struct vhost_user_device, device);
}

/* ---- Running ---- */

/* Errors do not matter: a back-end that is gone has stopped. */
static void stop(struct virtio_device *device)
{
	struct vhost_user_device *vhost = device_of(device);

	for (unsigned i = 0; i < device->queue_count; i++)
		if (vhost->started & BIT(i))
			(void)vhost_user_frontend_stop_queue(vhost->fe, i, NULL, NULL);
	vhost->started = 0;
	(void)vhost_user_frontend_set_status(vhost->fe, 0, NULL);
	(void)vhost_user_frontend_reset_device(vhost->fe, NULL);
}

static int start_queues(struct vhost_user_device *vhost, const struct virtio_device_queue *queues,
			struct error *error)
{
	for (unsigned i = 0; i < vhost->device.queue_count; i++) {
		struct vhost_user_queue queue = { .size = queues[i].size,
						  .desc = queues[i].desc,
						  .avail = queues[i].driver,
						  .used = queues[i].device,
						  .kick_fd = queues[i].kick_fd,
						  .call_fd = queues[i].call_fd };
		int rc;

		if (!queues[i].enabled)
			continue;
		rc = vhost_user_frontend_start_queue(vhost->fe, i, &queue, error);
		if (rc < 0)
			return rc;
		vhost->started |= BIT(i);
	}
	return 0;
}

static int activate(struct virtio_device *device, uint64_t features,
		    const struct virtio_device_queue *queues, struct error *error)
{
	struct vhost_user_device *vhost = device_of(device);
	int rc;

	features &= ~vhost->own_features;
	if ((rc = vhost_user_frontend_set_features(vhost->fe, features, error)) < 0 ||
	    (rc = vhost_user_frontend_set_status(vhost->fe, STATUS_FEATURES_OK, error)) < 0 ||
	    (rc = vhost_user_frontend_set_memory(vhost->fe, vhost->memory, error)) < 0 ||
	    (rc = start_queues(vhost, queues, error)) < 0 ||
	    (rc = vhost_user_frontend_set_status(
		     vhost->fe, STATUS_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK, error)) < 0)
		stop(device);
	return rc;
}

/* ---- Configuration space ---- */

static uint64_t read_config(struct virtio_device *device, uint64_t offset, unsigned size)
{
	return bus_bytes_read(device_of(device)->config.bytes, offset, size);
}

/* A disk's only writable field is the write cache switch, which is the back-end's to judge; the NIC
 * has none. */
static void write_config(struct virtio_device *device, uint64_t offset, unsigned size,
			 uint64_t value)
{
	struct vhost_user_device *vhost = device_of(device);
	uint8_t byte = (uint8_t)value;

	if (device->id != VIRTIO_ID_BLOCK || size != 1 ||
	    offset != offsetof(struct virtio_blk_config, wce) || byte > 1)
		return;
	if (vhost_user_frontend_set_config(vhost->fe, (uint32_t)offset, &byte, 1, NULL) == 0)
		vhost->config.blk.wce = byte;
}

/* ---- Making it ---- */

static void destroy(struct virtio_device *device)
{
	struct vhost_user_device *vhost = device_of(device);

	vhost_user_frontend_close(vhost->fe);
	free(vhost->name);
	free(vhost);
}

static const struct virtio_device_ops device_ops = {
	.activate = activate,
	.stop = stop,
	.read_config = read_config,
	.write_config = write_config,
	.destroy = destroy,
};

static int make_disk(struct vhost_user_device *vhost, struct error *error)
{
	struct virtio_blk_config *config = &vhost->config.blk;
	struct virtio_device *device = &vhost->device;
	unsigned queues = MAX(vhost_user_frontend_queue_count(vhost->fe), 1u);
	int rc = vhost_user_frontend_get_config(vhost->fe, 0, config, sizeof(*config), error);

	if (rc < 0)
		return rc == -EOPNOTSUPP ? error_prefix(error, "not usable as a disk") : rc;
	if (!config->capacity)
		return error_set(error, -EINVAL, "%s: a disk of 0 bytes", vhost->name);
	device->id = VIRTIO_ID_BLOCK;
	device->class_code = CLASS_STORAGE;
	device->config_size = sizeof(*config);
	device->features &= BLK_FEATURES;
	if (device->features & BIT(VIRTIO_BLK_F_MQ))
		queues = MIN(queues, MAX(le16toh(config->num_queues), 1u));
	else
		queues = 1;
	device->queue_count = MIN(queues, VIRTIO_DEVICE_QUEUES_MAX);
	config->num_queues = htole16((uint16_t)device->queue_count);
	return 0;
}

static void make_nic(struct vhost_user_device *vhost)
{
	struct virtio_net_config *config = &vhost->config.net;
	struct virtio_device *device = &vhost->device;

	device->id = VIRTIO_ID_NET;
	device->class_code = CLASS_ETHERNET;
	device->config_size = sizeof(*config);
	device->queue_count = NET_QUEUES;
	vhost->own_features = NET_OWN_FEATURES;
	device->features = (device->features & NET_FEATURES) | NET_OWN_FEATURES;
	memcpy(config->mac, vhost->mac, sizeof(config->mac));
	config->status = htole16(VIRTIO_NET_S_LINK_UP);
	config->max_virtqueue_pairs = htole16(1);
}

/* Asks the back-end at `vhost->fe` what it is. */
static int set_up(struct vhost_user_device *vhost, struct error *error)
{
	struct virtio_device *device = &vhost->device;

	device->features = vhost_user_frontend_features(vhost->fe);
	if (!(device->features & BIT(VIRTIO_F_VERSION_1)))
		return error_set(error, -EOPNOTSUPP,
				 "%s: the back-end offers features 0x%llx, without VERSION_1; "
				 "expected virtio 1.0 or later",
				 vhost->name, (unsigned long long)device->features);
	if (vhost->type == MACHINE_DISK)
		return make_disk(vhost, error);
	make_nic(vhost);
	return 0;
}

int vhost_user_device_create(struct virtio_device **out, const struct machine_device *config,
			     const struct guest_memory *memory, struct error *error)
{
	CLEANUP_CLOSE int fd = config->fd;
	struct vhost_user_device *vhost = calloc(1, sizeof(*vhost));
	int rc;

	if (!vhost || !(vhost->name = strdup(config->name))) {
		free(vhost);
		return error_set(error, -ENOMEM, "%s: out of memory", config->name);
	}
	vhost->memory = memory;
	vhost->type = config->type;
	memcpy(vhost->mac, config->mac, sizeof(vhost->mac));
	vhost->device.ops = &device_ops;
	vhost->device.name = vhost->name;
	rc = vhost_user_frontend_adopt(&vhost->fe, steal_fd(&fd), config->name, error);
	if (rc == 0)
		rc = set_up(vhost, error);
	if (rc < 0) {
		destroy(&vhost->device);
		return rc;
	}
	*out = &vhost->device;
	return 0;
}

int vhost_user_device_reconnect(struct virtio_device *device, int fd, struct error *error)
{
	struct vhost_user_device *vhost = device_of(device), old = *vhost;
	int rc = vhost_user_frontend_adopt(&vhost->fe, fd, vhost->name, error);

	if (rc == 0)
		rc = set_up(vhost, error);
	else
		vhost->fe = NULL;
	/* Vectors and registers were made for so many queues. */
	if (rc == 0 && device->queue_count != old.device.queue_count)
		rc = error_set(error, -EINVAL, "%s: the back-end has %u queues now, it had %u",
			       vhost->name, device->queue_count, old.device.queue_count);
	if (rc < 0) {
		vhost_user_frontend_close(vhost->fe);
		*vhost = old;
		return rc;
	}
	vhost_user_frontend_close(old.fe);
	return 0;
}

void vhost_user_device_set_timeout(struct virtio_device *device, unsigned timeout_ms)
{
	vhost_user_frontend_set_timeout(device_of(device)->fe, timeout_ms);
}

int vhost_user_device_fd(const struct virtio_device *device)
{
	const struct vhost_user_device *vhost =
		container_of((struct virtio_device *)device, struct vhost_user_device, device);

	return vhost_user_frontend_fd(vhost->fe);
}
