/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: a vhost-user port with several queue pairs, and which of them a guest gets a frame on. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net_guest.h"
#include "util/bytes.h"
#include "util/error.h"
#include "virtio/vhost_user_frontend_private.h"
#include "vswitch/internal.h"
#include "vswitch/switch.h"

#define PAIRS 4
#define FLOWS 64
#define MQ    (VIRTIO_NET_BIT(MRG_RXBUF) | VIRTIO_NET_BIT(MQ))

static struct net_guest *plug_in(struct vswitch *vswitch, const char *name, unsigned pairs,
				 uint64_t features)
{
	const struct vswitch_vhost_user_options options = { .pairs = pairs };
	struct vhost_user_frontend *frontend;
	struct error error = { 0 };
	char path[108];

	snprintf(path, sizeof(path), "%s/%s.sock", unit_directory(), name);
	if (vswitch_add_port_vhost_user(vswitch, name, path, &options, &error) ||
	    vhost_user_frontend_connect(&frontend, path, &error)) {
		fprintf(stderr, "plug_in: %s\n", error.text);
		abort();
	}
	CU_ASSERT_EQUAL(vhost_user_frontend_queue_count(frontend), pairs);
	CU_ASSERT_EQUAL(!!(vhost_user_frontend_features(frontend) & VIRTIO_NET_BIT(MQ)), pairs > 1);
	CU_ASSERT_EQUAL(!!(vhost_user_frontend_features(frontend) & VIRTIO_NET_BIT(GUEST_ANNOUNCE)),
			pairs > 1);
	return net_guest_start(frontend, features);
}

/* A guest with one pair, and one with several. */
struct lab {
	struct vswitch *vswitch;
	struct net_guest *one, *pairs[PAIRS];
};

static struct lab make_lab(uint64_t features)
{
	struct vswitch_options options = { .seed = 1 };
	struct lab lab;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&lab.vswitch, &options, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_start(lab.vswitch, NULL), 0);
	lab.one = plug_in(lab.vswitch, "one", 1, VIRTIO_NET_BIT(MRG_RXBUF));
	lab.pairs[0] = plug_in(lab.vswitch, "many", PAIRS, MQ | features);
	for (unsigned i = 1; i < PAIRS; i++)
		lab.pairs[i] = net_guest_add_pair(lab.pairs[0], i);
	return lab;
}

static void end_lab(struct lab *lab)
{
	net_guest_end(lab->one);
	for (unsigned i = 0; i < PAIRS; i++)
		net_guest_end(lab->pairs[i]);
	vswitch_destroy(lab->vswitch);
}

static void give_buffers(struct lab *lab, unsigned count)
{
	for (unsigned i = 0; i < PAIRS; i++)
		net_guest_give_buffers(lab->pairs[i], count, 1536);
}

static uint64_t dropped(struct lab *lab, enum port_drop why)
{
	struct vswitch_status *status;
	uint64_t count;

	CU_ASSERT_EQUAL_FATAL(vswitch_status(lab->vswitch, &status), 0);
	count = status->ports[1].counters.drops[why];
	vswitch_status_free(status);
	return count;
}

/* UDP over IPv4 between two stations, of one flow of many; the other way its ports and addresses are exchanged. */
static void fill_flow(uint8_t frame[64], unsigned flow, bool back)
{
	memset(frame, 0, 64);
	frame[0] = frame[6] = 2;
	frame[back ? 11 : 5] = 9;
	frame[back ? 5 : 11] = 7;
	put_be16(frame + 12, 0x0800);
	frame[14] = 0x45;
	frame[23] = 17;
	put_be32(frame + (back ? 26 : 30), 0x0a000009);
	put_be32(frame + (back ? 30 : 26), 0x0a000007);
	put_be16(frame + (back ? 34 : 36), 5000);
	put_be16(frame + (back ? 36 : 34), (uint16_t)(1000 + flow));
}

/* The pair on which one comes; PAIRS: on none. */
static unsigned where_it_comes(struct lab *lab, const uint8_t frame[64])
{
	uint8_t got[64];

	CU_ASSERT_TRUE_FATAL(net_guest_send(lab->one, frame, 64, NULL, 1));
	/* It is there, or nowhere: who sent it has its chain back. */
	for (unsigned i = 0; i < PAIRS; i++)
		if (net_guest_receive(lab->pairs[i], got, sizeof(got), 0)) {
			CU_ASSERT_EQUAL(memcmp(frame, got, 64), 0);
			net_guest_give_buffers(lab->pairs[i], 1, 1536);
			return i;
		}
	return PAIRS;
}

/* Flows that the guest has not sent in are shared out, each to one queue; and one that it has sent in comes where it sent. */
static void check_steering(uint64_t features)
{
	struct lab lab = make_lab(features);
	unsigned share[PAIRS + 1] = { 0 }, at[FLOWS];
	uint8_t frame[64], got[64];

	give_buffers(&lab, 100);
	net_guest_give_buffers(lab.one, 200, 1536);
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < FLOWS; i++) {
			unsigned came;

			fill_flow(frame, i, false);
			came = where_it_comes(&lab, frame);
			share[came]++;
			CU_ASSERT_TRUE(round == 0 || at[i] == came);
			at[i] = came;
		}
	for (unsigned i = 0; i < PAIRS; i++)
		CU_ASSERT(share[i] >= 2 * FLOWS / PAIRS / 3);
	CU_ASSERT_EQUAL(share[PAIRS], 0);
	for (unsigned pair = 0; pair < PAIRS; pair++)
		for (unsigned i = 0; i < 8; i++) {
			fill_flow(frame, 1000 * pair + i, true);
			CU_ASSERT_TRUE(net_guest_send(lab.pairs[pair], frame, 64, NULL, 1 + i % 3));
			CU_ASSERT_EQUAL(net_guest_receive(lab.one, got, sizeof(got),
							  NET_GUEST_PATIENCE),
					64);
			CU_ASSERT_EQUAL(memcmp(frame, got, 64), 0);
			fill_flow(frame, 1000 * pair + i, false);
			CU_ASSERT_EQUAL(where_it_comes(&lab, frame), pair);
		}
	end_lab(&lab);
}

static void test_flows_have_their_queues(void)
{
	check_steering(0);
	check_steering(1ULL << VIRTIO_F_RING_PACKED | 1ULL << VIRTIO_RING_F_INDIRECT_DESC |
		       1ULL << VIRTIO_RING_F_EVENT_IDX);
	check_steering(1ULL << VIRTIO_F_IN_ORDER);
}

/* One queue without buffers costs frames of its own only. */
static void test_a_full_queue(void)
{
	struct lab lab = make_lab(0);
	unsigned lost = 0;
	uint8_t frame[64];

	for (unsigned i = 1; i < PAIRS; i++)
		net_guest_give_buffers(lab.pairs[i], 100, 1536);
	for (unsigned i = 0; i < FLOWS; i++) {
		fill_flow(frame, i, false);
		lost += where_it_comes(&lab, frame) == PAIRS;
	}
	CU_ASSERT(lost > 0 && lost < FLOWS / 2);
	CU_ASSERT_EQUAL(dropped(&lab, PORT_DROP_NO_BUFFER), lost);
	end_lab(&lab);
}

/* Of a burst for all of them that goes at once, as a port with several frames gives it. */
static void test_a_burst_for_all(void)
{
	struct lab lab = make_lab(0);
	struct port *port = vswitch_find_port(lab.vswitch, "many");
	struct iovec pieces[PORT_BURST];
	struct frame frames[PORT_BURST], *list[PORT_BURST];
	static uint8_t bytes[PORT_BURST][64];
	unsigned done = 0, lost = 0, came = 0;
	uint8_t got[64];

	vswitch_stop(lab.vswitch);
	give_buffers(&lab, 3);
	for (unsigned i = 0; i < PORT_BURST; i++) {
		fill_flow(bytes[i], i, false);
		pieces[i] = (struct iovec){ bytes[i], 64 };
		frames[i] = (struct frame){ .pieces = &pieces[i], .count = 1, .length = 64 };
		list[i] = &frames[i];
	}
	/* As egress does. */
	while (done < PORT_BURST) {
		done += port->ops->transmit(port, list + done, PORT_BURST - done);
		if (done < PORT_BURST) {
			lost++;
			done++;
		}
	}
	for (unsigned i = 0; i < PAIRS; i++)
		while (net_guest_receive(lab.pairs[i], got, sizeof(got), 0))
			came++;
	CU_ASSERT_EQUAL(came, 3 * PAIRS);
	CU_ASSERT_EQUAL(came + lost, PORT_BURST);
	CU_ASSERT_EQUAL_FATAL(vswitch_start(lab.vswitch, NULL), 0);
	end_lab(&lab);
}

static void enable(struct net_guest *guest, unsigned index, bool enabled)
{
	struct vhost_user_message message = {
		.header = { VHOST_USER_SET_VRING_ENABLE, VHOST_USER_VERSION,
			    sizeof(message.payload.state) },
		.payload.state = { index, enabled },
	};

	CU_ASSERT_EQUAL(frontend_command(guest->frontend, &message, NULL, 0, NULL), 0);
}

/* A driver that uses fewer of them for a while (Linux: ethtool -L): flows of those that it left come to others. */
static void test_fewer_queues(void)
{
	struct lab lab = make_lab(0);
	uint8_t frame[64];

	give_buffers(&lab, 100);
	for (unsigned used = PAIRS; used > 0; used--) {
		for (unsigned i = 0; i < FLOWS; i++) {
			fill_flow(frame, i, false);
			CU_ASSERT(where_it_comes(&lab, frame) < used);
			/* Sent on one that is disabled: dropped, and nothing is learned. */
			fill_flow(frame, i, true);
			CU_ASSERT_TRUE(net_guest_send(lab.pairs[i % PAIRS], frame, 64, NULL, 1));
		}
		CU_ASSERT_EQUAL(dropped(&lab, PORT_DROP_TX_DISABLED),
				(PAIRS - used) * (PAIRS - used + 1) / 2 * (FLOWS / PAIRS));
		enable(lab.pairs[0], 2 * (used - 1), false);
		enable(lab.pairs[0], 2 * (used - 1) + 1, false);
	}
	fill_flow(frame, 0, false);
	CU_ASSERT_EQUAL(where_it_comes(&lab, frame), PAIRS);
	CU_ASSERT_EQUAL(dropped(&lab, PORT_DROP_RX_DISABLED), 1);
	for (unsigned i = 0; i < 2 * PAIRS; i++)
		enable(lab.pairs[0], i, true);
	CU_ASSERT(where_it_comes(&lab, frame) < PAIRS);
	CU_ASSERT_EQUAL(vhost_user_frontend_stop_queue(lab.pairs[0]->frontend, 4, NULL, NULL), 0);
	for (unsigned i = 0; i < FLOWS; i++) {
		fill_flow(frame, i, false);
		CU_ASSERT_NOT_EQUAL(where_it_comes(&lab, frame), 2);
	}
	end_lab(&lab);
}

/* A pair that its guest has broken takes nothing; the others go on. */
static void test_a_broken_queue(void)
{
	struct lab lab = make_lab(0);
	struct vswitch_status *status;
	uint8_t frame[64], got[64];
	unsigned lost = 0;

	give_buffers(&lab, 100);
	net_guest_give_buffers(lab.one, 100, 1536);
	for (unsigned ring = 0; ring < 2; ring++) {
		struct virtqueue_driver *driver = ring ? &lab.pairs[1]->tx : &lab.pairs[1]->rx;

		*(uint16_t *)(lab.pairs[1]->base +
			      (driver->avail_address - lab.pairs[1]->guest_base) + 2) +=
			2 * NET_GUEST_QUEUE;
		virtqueue_driver_kick(driver);
	}
	eventfd_write(lab.pairs[1]->tx_kick, 1);
	for (unsigned i = 0; i < FLOWS; i++) {
		unsigned pair = i % PAIRS == 1 ? 0 : i % PAIRS;

		fill_flow(frame, i, false);
		lost += where_it_comes(&lab, frame) == PAIRS;
		fill_flow(frame, i, true);
		CU_ASSERT_TRUE(net_guest_send(lab.pairs[pair], frame, 64, NULL, 1));
		CU_ASSERT_EQUAL(net_guest_receive(lab.one, got, sizeof(got), NET_GUEST_PATIENCE),
				64);
	}
	CU_ASSERT(lost > 0 && lost < FLOWS / 2);
	CU_ASSERT_EQUAL_FATAL(vswitch_status(lab.vswitch, &status), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(status->ports[1].state, "broken by its guest"));
	vswitch_status_free(status);
	end_lab(&lab);
}

static int tell_region(struct net_guest *guest, enum vhost_user_request request, int fd)
{
	struct vhost_user_message message = {
		.header = { request, VHOST_USER_VERSION, sizeof(message.payload.region) },
		.payload.region.region = { 1ULL << 40, 65536, 1ULL << 41, 0 },
	};

	return frontend_command(guest->frontend, &message, &fd, fd >= 0, NULL);
}

/* QEMU 7.2 tells of regions once for each pair. Another file at the same place is another thing. */
static void test_regions_are_told_for_each_pair(void)
{
	struct lab lab = make_lab(0);
	int fd = memfd_create("region", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int other = memfd_create("region", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint8_t frame[64];

	CU_ASSERT_EQUAL(ftruncate(fd, 65536), 0);
	CU_ASSERT_EQUAL(ftruncate(other, 65536), 0);
	give_buffers(&lab, 10);
	for (unsigned i = 0; i < PAIRS; i++)
		CU_ASSERT_EQUAL(tell_region(lab.pairs[0], VHOST_USER_ADD_MEM_REG, fd), 0);
	CU_ASSERT_NOT_EQUAL(tell_region(lab.pairs[0], VHOST_USER_ADD_MEM_REG, other), 0);
	for (unsigned i = 0; i < PAIRS; i++)
		CU_ASSERT_EQUAL(tell_region(lab.pairs[0], VHOST_USER_REM_MEM_REG, -1), 0);
	CU_ASSERT_EQUAL(tell_region(lab.pairs[0], VHOST_USER_ADD_MEM_REG, other), 0);
	fill_flow(frame, 0, false);
	CU_ASSERT(where_it_comes(&lab, frame) < PAIRS);
	close(fd);
	close(other);
	end_lab(&lab);
}

static void test_too_many_pairs(void)
{
	CLEANUP(cleanup_vswitch) struct vswitch *vswitch = NULL;
	struct vswitch_vhost_user_options options = { .pairs = VSWITCH_VHOST_USER_PAIRS_MAX + 1 };
	struct error error = { 0 };

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, NULL, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_add_port_vhost_user(vswitch, "p", "/tmp/never", &options, &error),
			-EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "128"));
}

UNIT_MAIN("switch_vhost_user_queues", UNIT(test_flows_have_their_queues), UNIT(test_a_full_queue),
	  UNIT(test_a_burst_for_all), UNIT(test_fewer_queues), UNIT(test_a_broken_queue),
	  UNIT(test_regions_are_told_for_each_pair), UNIT(test_too_many_pairs))
