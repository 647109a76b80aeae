/* SPDX-License-Identifier: BSD-2-Clause */
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
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/event_guard.h"
#include "util/peer_file.h"
#include "virtio/guest_memory.h"
#include "virtio/vhost_user.h"
#include "virtio/vhost_user_frontend.h"
#include "virtio/virtio_net.h"
#include "virtio/virtqueue.h"
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
#define NET_OWN_FEATURES                                                                           \
	(BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_SPEED_DUPLEX))
/* What Linux's bonding and spanning trees want to know. */
#define NET_SPEED_MBIT  10000
#define NET_FULL_DUPLEX 1

#define NET_QUEUES 2 /* receive, transmit */

/* For the messages of a resume, during which a vCPU may wait: the back-end has just answered others. */
#define RESUME_TIMEOUT_MS 2000

/* Of the back-end, before others have their turn. */
#define REQUESTS_AT_ONCE 16

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
	bool active;      /* from here on, what the driver has set up */
	uint64_t accepted;
	struct virtio_device_queue queues[VIRTIO_DEVICE_QUEUES_MAX];
	struct vhost_user_inflight_region inflight; /* fd -1: none */
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

/* The region belongs to the driver's rings as they are now. */
static void forget_inflight(struct vhost_user_device *vhost)
{
	peer_file_close(steal_fd(&vhost->inflight.fd));
}

/* Errors do not matter: a back-end that is gone has stopped. */
static void stop(struct virtio_device *device)
{
	struct vhost_user_device *vhost = device_of(device);

	for (unsigned i = 0; i < device->queue_count; i++)
		if (vhost->started & BIT(i))
			(void)vhost_user_frontend_stop_queue(vhost->fe, i, NULL, NULL);
	vhost->started = 0;
	vhost->active = false;
	forget_inflight(vhost);
	(void)vhost_user_frontend_set_status(vhost->fe, 0, NULL);
	(void)vhost_user_frontend_reset_device(vhost->fe, NULL);
}

/* Where the back-end is to begin with a queue. One that comes after another goes on behind what that one has
 * shown, or as the in-flight region tells; a packed ring is offered only where there is one. */
static int find_base(const struct vhost_user_device *vhost, const struct virtio_device_queue *queue,
		     bool again, uint32_t *base)
{
	uint16_t used = 0;
	int rc = 0;

	if (again && !(vhost->accepted & BIT(VIRTIO_F_RING_PACKED)))
		rc = guest_memory_read(vhost->memory,
				       queue->device + offsetof(struct vring_used, idx), &used,
				       sizeof(used));
	*base = vhost->accepted & BIT(VIRTIO_F_RING_PACKED) ? VIRTQUEUE_BASE_PACKED : le16toh(used);
	return rc;
}

static int start_queues(struct vhost_user_device *vhost, bool again, struct error *error)
{
	for (unsigned i = 0; i < vhost->device.queue_count; i++) {
		const struct virtio_device_queue *setup = &vhost->queues[i];
		struct vhost_user_queue queue = { .size = setup->size,
						  .desc = setup->desc,
						  .avail = setup->driver,
						  .used = setup->device,
						  .kick_fd = setup->kick_fd,
						  .call_fd = setup->call_fd };
		int rc;

		if (!setup->enabled)
			continue;
		if (find_base(vhost, setup, again, &queue.base) < 0)
			return error_set(error, -EINVAL, "%s: queue %u is not in guest memory",
					 vhost->name, i);
		rc = vhost_user_frontend_start_queue(vhost->fe, i, &queue, error);
		if (rc < 0)
			return rc;
		vhost->started |= BIT(i);
		/* The last back-end may have ended before it told of what it had shown. */
		if (again)
			(void)event_give(setup->call_fd);
	}
	return 0;
}

static bool tracks_inflight(const struct vhost_user_device *vhost)
{
	return vhost_user_frontend_protocol_features(vhost->fe) >>
		       VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD &
	       1;
}

static int share_inflight(struct vhost_user_device *vhost, struct error *error)
{
	int rc = 0;

	if (!tracks_inflight(vhost)) {
		if (vhost->inflight.fd < 0)
			return 0;
		return error_set(error, -EINVAL,
				 "%s: the back-end before this one noted what was in flight; this "
				 "one does not know of that",
				 vhost->name);
	}
	if (vhost->inflight.fd < 0)
		rc = vhost_user_frontend_get_inflight(vhost->fe,
						      (uint16_t)vhost->device.queue_count,
						      VIRTIO_DEVICE_QUEUE_SIZE, &vhost->inflight,
						      error);
	return rc < 0 ? rc : vhost_user_frontend_set_inflight(vhost->fe, &vhost->inflight, error);
}

/* Has the back-end run the device as the driver has set it up, for the first time or again. */
static int start(struct vhost_user_device *vhost, bool again, struct error *error)
{
	int rc;

	if ((rc = vhost_user_frontend_set_features(vhost->fe, vhost->accepted, error)) < 0 ||
	    (rc = vhost_user_frontend_set_status(vhost->fe, STATUS_FEATURES_OK, error)) < 0 ||
	    (rc = vhost_user_frontend_set_memory(vhost->fe, vhost->memory, error)) < 0 ||
	    (rc = share_inflight(vhost, error)) < 0 ||
	    (rc = start_queues(vhost, again, error)) < 0 ||
	    (rc = vhost_user_frontend_set_status(
		     vhost->fe, STATUS_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK, error)) < 0)
		return rc;
	return 0;
}

static int activate(struct virtio_device *device, uint64_t features,
		    const struct virtio_device_queue *queues, struct error *error)
{
	struct vhost_user_device *vhost = device_of(device);
	int rc;

	vhost->accepted = features & ~vhost->own_features;
	memcpy(vhost->queues, queues, device->queue_count * sizeof(*queues));
	rc = start(vhost, false, error);
	if (rc < 0)
		stop(device);
	else
		vhost->active = true;
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

/* The back-end's configuration space, as the guest sees it: with our number of queues, and its own choice of
 * cache. */
static int fetch_config(struct vhost_user_device *vhost, struct virtio_blk_config *config,
			struct error *error)
{
	int rc = vhost_user_frontend_get_config(vhost->fe, 0, config, sizeof(*config), error);

	config->num_queues = vhost->config.blk.num_queues;
	config->wce = vhost->config.blk.wce;
	return rc;
}

static bool refresh(struct virtio_device *device)
{
	struct vhost_user_device *vhost = device_of(device);
	struct virtio_blk_config config = { 0 };
	bool changed = false;

	/* What is left of them is looked at when the channel is readable again, and that is at once. */
	for (unsigned i = 0; i < REQUESTS_AT_ONCE; i++)
		changed |= vhost_user_frontend_take_request(vhost->fe) > 0;
	if (!changed || vhost->type != MACHINE_DISK || fetch_config(vhost, &config, NULL) < 0 ||
	    !memcmp(&config, &vhost->config.blk, sizeof(config)))
		return false;
	vhost->config.blk = config;
	return true;
}

/* ---- Making it ---- */

static void destroy(struct virtio_device *device)
{
	struct vhost_user_device *vhost = device_of(device);

	vhost_user_frontend_close(vhost->fe);
	forget_inflight(vhost);
	free(vhost->name);
	free(vhost);
}

static int resume(struct virtio_device *device, void *connection, bool *changed,
		  struct error *error);

static const struct virtio_device_ops device_ops = {
	.activate = activate,
	.stop = stop,
	.read_config = read_config,
	.write_config = write_config,
	.refresh = refresh,
	.resume = resume,
	.destroy = destroy,
};

static int make_disk(struct vhost_user_device *vhost, struct error *error)
{
	struct virtio_blk_config *config = &vhost->config.blk;
	struct virtio_device *device = &vhost->device;
	unsigned queues = MAX(vhost_user_frontend_queue_count(vhost->fe), 1u);
	int rc = vhost_user_frontend_get_config(vhost->fe, 0, config, sizeof(*config), error);

	if (rc == -EOPNOTSUPP)
		error_prefix(error, "not usable as a disk");
	if (rc < 0)
		return rc;
	if (!config->capacity)
		return error_set(error, -EINVAL, "%s: a disk of 0 bytes", vhost->name);
	device->id = VIRTIO_ID_BLOCK;
	device->class_code = CLASS_STORAGE;
	device->config_size = sizeof(*config);
	device->features &= BLK_FEATURES | (tracks_inflight(vhost) ? BIT(VIRTIO_F_RING_PACKED) : 0);
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
	config->speed = htole32(NET_SPEED_MBIT);
	config->duplex = NET_FULL_DUPLEX;
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
	vhost->inflight.fd = -1;
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

/* Asks the back-end behind the new connection what it is. -EINVAL if it is not like `old`. */
static int compare(struct vhost_user_device *vhost, const struct vhost_user_device *old,
		   struct error *error)
{
	struct virtio_device *device = &vhost->device;
	int rc = set_up(vhost, error);

	if (rc < 0)
		return rc;
	/* Vectors and registers were made for so many queues. */
	if (device->queue_count != old->device.queue_count)
		return error_set(error, -EINVAL, "%s: the back-end has %u queues now, it had %u",
				 vhost->name, device->queue_count, old->device.queue_count);
	if (old->active && (old->accepted & ~device->features))
		return error_set(error, -EINVAL,
				 "%s: the back-end offers features 0x%llx now, and the guest uses "
				 "0x%llx",
				 vhost->name, (unsigned long long)device->features,
				 (unsigned long long)old->accepted);
	return 0;
}

/* A driver that has chosen whether there is a write cache is not to be asked again. */
static int keep_cache_choice(struct vhost_user_device *vhost, uint8_t wce, struct error *error)
{
	if (!vhost->active || vhost->type != MACHINE_DISK ||
	    !(vhost->accepted & BIT(VIRTIO_BLK_F_CONFIG_WCE)) || vhost->config.blk.wce == wce)
		return 0;
	vhost->config.blk.wce = wce;
	return vhost_user_frontend_set_config(vhost->fe, offsetof(struct virtio_blk_config, wce),
					      &wce, 1, error);
}

static int resume(struct virtio_device *device, void *connection, bool *changed,
		  struct error *error)
{
	struct vhost_user_device *vhost = device_of(device), old = *vhost;
	int rc;

	vhost->fe = connection;
	vhost_user_frontend_set_timeout(vhost->fe, RESUME_TIMEOUT_MS);
	rc = compare(vhost, &old, error);
	if (rc == 0)
		rc = keep_cache_choice(vhost, old.config.blk.wce, error);
	if (rc == 0 && vhost->active)
		rc = start(vhost, true, error);
	if (rc < 0) {
		vhost_user_frontend_close(vhost->fe);
		if (old.inflight.fd < 0)
			forget_inflight(vhost);
		*vhost = old;
		return rc;
	}
	vhost_user_frontend_set_timeout(vhost->fe, VHOST_USER_DEVICE_TIMEOUT_MS);
	*changed = memcmp(vhost->config.bytes, old.config.bytes, device->config_size) != 0;
	vhost_user_frontend_close(old.fe);
	return 0;
}

int vhost_user_device_shake_hands(const struct virtio_device *device, int fd,
				  struct vhost_user_frontend **out, struct error *error)
{
	return vhost_user_frontend_adopt(out, fd, device->name, error);
}

int vhost_user_device_reconnect(struct virtio_device *device, int fd, struct error *error)
{
	struct vhost_user_frontend *fe;
	bool changed;
	int rc = vhost_user_device_shake_hands(device, fd, &fe, error);

	return rc < 0 ? rc : resume(device, fe, &changed, error);
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

int vhost_user_device_channel(const struct virtio_device *device)
{
	const struct vhost_user_device *vhost =
		container_of((struct virtio_device *)device, struct vhost_user_device, device);

	return vhost_user_frontend_channel(vhost->fe);
}
