/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: vhost-user ports, driven by front-ends of our own; one that is hostile harms itself only. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_port.h"
#include "net_guest.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/unix_socket.h"
#include "virtio/vhost_user_frontend_private.h"
#include "util/random.h"
#include "vswitch/internal.h"
#include "vswitch/port_vhost_user.h"
#include "vswitch/switch.h"

#define MRG VIRTIO_NET_BIT(MRG_RXBUF)
#define ALL (MRG | VIRTIO_NET_HOST_OFFLOADS | VIRTIO_NET_GUEST_OFFLOADS)

static struct net_guest *plug_in(struct vswitch *vswitch, const char *name, uint64_t features)
{
	struct vhost_user_frontend *frontend;
	struct error error = { 0 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) ||
	    vswitch_add_port_vhost_user_fd(vswitch, name, pair[0], &error) ||
	    vhost_user_frontend_adopt(&frontend, pair[1], name, &error)) {
		fprintf(stderr, "plug_in: %s\n", error.text);
		abort();
	}
	return net_guest_start(frontend, features);
}

struct lab {
	struct vswitch *vswitch;
	struct net_guest *a, *b;
};

static struct lab make_lab_of(const struct vswitch_options *options, uint64_t a_features,
			      uint64_t b_features)
{
	struct lab lab;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&lab.vswitch, options, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_start(lab.vswitch, NULL), 0);
	lab.a = plug_in(lab.vswitch, "a", a_features);
	lab.b = plug_in(lab.vswitch, "b", b_features);
	return lab;
}

static struct lab make_lab(uint64_t a_features, uint64_t b_features)
{
	const struct vswitch_options options = { .seed = 1 };

	return make_lab_of(&options, a_features, b_features);
}

static void end_lab(struct lab *lab)
{
	net_guest_end(lab->a);
	net_guest_end(lab->b);
	vswitch_destroy(lab->vswitch);
}

/* The port's status, freed by the caller with the whole. */
static struct vswitch_port_status *status_of(struct lab *lab, unsigned index,
					     struct vswitch_status **status)
{
	CU_ASSERT_EQUAL_FATAL(vswitch_status(lab->vswitch, status), 0);
	return &(*status)->ports[index];
}

static uint64_t dropped(struct lab *lab, unsigned index, enum port_drop why)
{
	struct vswitch_status *status;
	uint64_t count = status_of(lab, index, &status)->counters.drops[why];

	vswitch_status_free(status);
	return count;
}

/* A broadcast of random bytes. */
static void fill_frame(uint8_t *frame, size_t length, uint64_t seed)
{
	struct random random = { seed };

	random_fill(&random, frame, length);
	memset(frame, 0xff, 6);
	frame[6] = 2;
	put_be16(frame + 12, 0x88b5);
}

static void test_frames_of_all_lengths(void)
{
	static uint8_t sent[65600], got[65600];
	struct lab lab = make_lab(MRG | 1ULL << VIRTIO_RING_F_EVENT_IDX, ALL);
	static const size_t lengths[] = { 14,   60,   63,   64,   65,   1514, 1515,  3000,
					  9000, 1524, 1525, 3059, 3060, 3061, 65535, 65553 };

	net_guest_give_buffers(lab.b, 200, 1536);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
		for (unsigned parts = 1; parts <= 40; parts += 13) {
			size_t length = lengths[i];

			fill_frame(sent, length, i);
			CU_ASSERT_TRUE_FATAL(net_guest_send(lab.a, sent, length, NULL, parts));
			CU_ASSERT_EQUAL_FATAL(net_guest_receive(lab.b, got, sizeof(got),
								NET_GUEST_PATIENCE),
					      length);
			CU_ASSERT_EQUAL(memcmp(sent, got, length), 0);
			CU_ASSERT_EQUAL(lab.b->buffers, (length + 12 + 1535) / 1536);
			CU_ASSERT_EQUAL(lab.b->header.flags, 0);
			net_guest_give_buffers(lab.b, lab.b->buffers, 1536);
		}
	end_lab(&lab);
}

static void test_without_mergeable_buffers(void)
{
	struct lab lab = make_lab(0, 0);
	uint8_t sent[4000], got[4000];

	net_guest_give_buffers(lab.b, 4, 1526);
	for (unsigned i = 0; i < 8; i++) {
		fill_frame(sent, i % 2 ? 1515 : 1514, i);
		CU_ASSERT_TRUE(net_guest_send(lab.a, sent, i % 2 ? 1515 : 1514, NULL, 2));
		if (i % 2)
			continue;
		CU_ASSERT_EQUAL(net_guest_receive(lab.b, got, sizeof(got), NET_GUEST_PATIENCE),
				1514);
		CU_ASSERT_EQUAL(memcmp(sent, got, 1514), 0);
		CU_ASSERT_EQUAL(le16toh(lab.b->header.num_buffers), 1);
	}
	CU_ASSERT_EQUAL(dropped(&lab, 1, PORT_DROP_TOO_LONG), 3);
	/* The last long one met a ring without buffers. */
	CU_ASSERT_EQUAL(dropped(&lab, 1, PORT_DROP_NO_BUFFER), 1);
	end_lab(&lab);
}

static void test_too_few_buffers_are_put_back(void)
{
	struct lab lab = make_lab(MRG, MRG);
	uint8_t sent[9000], got[9000];

	fill_frame(sent, 9000, 1);
	CU_ASSERT_TRUE(net_guest_send(lab.a, sent, 100, NULL, 1));
	CU_ASSERT_EQUAL(dropped(&lab, 1, PORT_DROP_NO_BUFFER), 1);
	net_guest_give_buffers(lab.b, 3, 1536);
	CU_ASSERT_TRUE(net_guest_send(lab.a, sent, 9000, NULL, 1));
	CU_ASSERT_EQUAL(dropped(&lab, 1, PORT_DROP_NO_BUFFER), 2);
	CU_ASSERT_EQUAL(net_guest_receive(lab.b, got, sizeof(got), 0), 0);
	/* All three are still there. */
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_TRUE(net_guest_send(lab.a, sent, 200 + i, NULL, 1));
		CU_ASSERT_EQUAL(net_guest_receive(lab.b, got, sizeof(got), NET_GUEST_PATIENCE),
				200 + i);
		CU_ASSERT_EQUAL(memcmp(sent, got, 200 + i), 0);
	}
	end_lab(&lab);
}

static void test_nonsense_from_a_guest(void)
{
	struct virtio_net_header header = { .flags = 1, .csum_start = htole16(60000) };
	struct lab lab = make_lab(ALL, ALL);
	uint8_t bytes[100] = { [6] = 2 }, got[100];

	net_guest_give_buffers(lab.b, 10, 2048);
	CU_ASSERT_TRUE(net_guest_send_raw(lab.a, bytes, 1));
	CU_ASSERT_TRUE(net_guest_send_raw(lab.a, bytes, 12));
	CU_ASSERT_TRUE(net_guest_send_raw(lab.a, bytes, 25));
	CU_ASSERT_EQUAL(dropped(&lab, 0, PORT_DROP_BAD_LENGTH), 3);
	CU_ASSERT_TRUE(net_guest_send(lab.a, bytes, 100, &header, 1));
	CU_ASSERT_EQUAL(dropped(&lab, 0, PORT_DROP_BAD_CHECKSUM), 1);
	header.csum_start = htole16(34);
	header.gso_type = 77;
	CU_ASSERT_TRUE(net_guest_send(lab.a, bytes, 100, &header, 1));
	CU_ASSERT_EQUAL(dropped(&lab, 0, PORT_DROP_BAD_GSO), 1);
	header.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	header.gso_size = 10;
	CU_ASSERT_TRUE(net_guest_send(lab.a, bytes, 100, &header, 1));
	CU_ASSERT_EQUAL(dropped(&lab, 0, PORT_DROP_BAD_PACKET), 1);
	/* The port goes on. A guest may not vouch for checksums. */
	header = (struct virtio_net_header){ .flags = VIRTIO_NET_HDR_F_DATA_VALID };
	CU_ASSERT_TRUE(net_guest_send(lab.a, bytes, 26 - 12, &header, 1));
	CU_ASSERT_EQUAL(net_guest_receive(lab.b, got, sizeof(got), NET_GUEST_PATIENCE), 14);
	CU_ASSERT_EQUAL(lab.b->header.flags, 0);
	end_lab(&lab);
}

static void test_a_broken_ring_stops_its_own_port(void)
{
	struct lab lab = make_lab(MRG, MRG);
	struct net_guest *c = plug_in(lab.vswitch, "c", MRG);
	struct vswitch_status *status;
	uint8_t frame[100], got[100];
	bool broken = false;
	uint64_t one = 1;

	fill_frame(frame, 100, 1);
	net_guest_give_buffers(lab.b, 4, 2048);
	net_guest_give_buffers(c, 4, 2048);
	/* `a` claims to have made far more chains available than its ring holds. */
	lab.a->tx.avail->idx = htole16(5000);
	CU_ASSERT_EQUAL(write(lab.a->tx_kick, &one, sizeof(one)), sizeof(one));
	for (unsigned i = 0; i < NET_GUEST_PATIENCE && !broken; i++) {
		usleep(1000);
		broken = strstr(status_of(&lab, 0, &status)->state, "broken");
		vswitch_status_free(status);
	}
	CU_ASSERT_TRUE_FATAL(broken);
	CU_ASSERT_TRUE(net_guest_send(c, frame, 100, NULL, 1));
	CU_ASSERT_EQUAL(net_guest_receive(lab.b, got, sizeof(got), NET_GUEST_PATIENCE), 100);
	/* It still receives: its other ring is whole. */
	net_guest_give_buffers(lab.a, 1, 2048);
	CU_ASSERT_TRUE(net_guest_send(c, frame, 100, NULL, 1));
	CU_ASSERT_EQUAL(net_guest_receive(lab.a, got, sizeof(got), NET_GUEST_PATIENCE), 100);
	/* A receive ring can be broken too: a buffer that cannot hold a header. */
	net_guest_give_buffers(lab.a, 1, 11);
	CU_ASSERT_TRUE(net_guest_send(c, frame, 100, NULL, 1));
	CU_ASSERT_TRUE(net_guest_send(c, frame, 100, NULL, 1));
	CU_ASSERT_EQUAL(dropped(&lab, 0, PORT_DROP_RX_DISABLED), 1);
	CU_ASSERT_EQUAL(net_guest_receive(lab.b, got, sizeof(got), NET_GUEST_PATIENCE), 100);
	net_guest_end(c);
	end_lab(&lab);
}

static size_t make_tcp(uint8_t *frame, size_t payload, unsigned gso_size,
		       struct virtio_net_header *header)
{
	size_t length = 54 + payload;

	fill_frame(frame, length, 3);
	put_be16(frame + 12, 0x0800);
	frame[14] = 0x45;
	put_be16(frame + 16, (uint16_t)(length - 14));
	put_be16(frame + 20, 0);
	frame[23] = IPPROTO_TCP;
	put_be32(frame + 26, 0x0a000001);
	put_be32(frame + 30, 0x0a000002);
	frame[46] = 0x50;
	put_be16(frame + 50, (uint16_t)((0x1403 + IPPROTO_TCP + 20 + payload) % 0xffff));
	*header = (struct virtio_net_header){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = gso_size ? VIRTIO_NET_HDR_GSO_TCPV4 : 0,
		.gso_size = htole16((uint16_t)gso_size),
		.csum_start = htole16(34),
		.csum_offset = htole16(16),
	};
	return length;
}

static bool tcp_checksum_good(const uint8_t *frame, size_t length)
{
	uint8_t pseudo[12];
	uint64_t sum;

	memcpy(pseudo, frame + 26, 8);
	put_be16(pseudo + 8, IPPROTO_TCP);
	put_be16(pseudo + 10, (uint16_t)(length - 34));
	sum = virtio_net_sum(0, pseudo, sizeof(pseudo));
	return virtio_net_fold(virtio_net_sum(sum, frame + 34, length - 34)) == 0xffff;
}

static void test_offloads_pass_through(void)
{
	static uint8_t frame[65553], got[65553];
	struct virtio_net_header header;
	struct lab lab = make_lab(ALL, ALL);
	size_t length = make_tcp(frame, 60000, 1448, &header);

	net_guest_give_buffers(lab.b, 64, 1536);
	CU_ASSERT_TRUE(net_guest_send(lab.a, frame, length, &header, 17));
	CU_ASSERT_EQUAL(net_guest_receive(lab.b, got, sizeof(got), NET_GUEST_PATIENCE), length);
	CU_ASSERT_EQUAL(memcmp(frame, got, length), 0);
	CU_ASSERT_EQUAL(lab.b->header.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	CU_ASSERT_EQUAL(le16toh(lab.b->header.gso_size), 1448);
	CU_ASSERT_EQUAL(lab.b->header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	CU_ASSERT_EQUAL(le16toh(lab.b->header.hdr_len), 54);
	end_lab(&lab);
}

static void test_offloads_done_in_software(void)
{
	static uint8_t frame[65553];
	struct virtio_net_header header;
	struct lab lab = make_lab(ALL, 0);
	uint8_t got[2000];
	size_t length = make_tcp(frame, 30000, 1000, &header);

	net_guest_give_buffers(lab.b, 100, 1526);
	CU_ASSERT_TRUE(net_guest_send(lab.a, frame, length, &header, 17));
	for (unsigned i = 0; i < 30; i++) {
		CU_ASSERT_EQUAL_FATAL(
			net_guest_receive(lab.b, got, sizeof(got), NET_GUEST_PATIENCE), 1054);
		CU_ASSERT_TRUE(tcp_checksum_good(got, 1054));
		CU_ASSERT_EQUAL(memcmp(got + 54, frame + 54 + 1000 * i, 1000), 0);
		CU_ASSERT_EQUAL(lab.b->header.flags, 0);
		CU_ASSERT_EQUAL(lab.b->header.gso_type, 0);
	}
	length = make_tcp(frame, 999, 0, &header);
	CU_ASSERT_TRUE(net_guest_send(lab.a, frame, length, &header, 3));
	CU_ASSERT_EQUAL(net_guest_receive(lab.b, got, sizeof(got), NET_GUEST_PATIENCE), length);
	CU_ASSERT_TRUE(tcp_checksum_good(got, length));
	end_lab(&lab);
}

/* A port of fixed properties, before anybody sends to it. */
static int make_tunnel(void *arg)
{
	struct fake_port *tunnel = arg;

	tunnel->port.encloses = true;
	tunnel->port.frame_max = 1464;
	return 0;
}

/* Of a guest that sums itself, and whose MTU is larger than a tunnel's: timestamps make the headers longer than 64 bytes. */
static void test_a_finished_segment_is_cut(void)
{
	uint8_t frame[1514], pseudo[4] = { 0, IPPROTO_TCP, 1480 >> 8, 1480 & 0xff };
	struct lab lab = make_lab(MRG, ALL);
	struct fake_port *tunnel = fake_port_add(lab.vswitch, "t", 0);
	uint64_t sent = 0;
	uint16_t sum;

	CU_ASSERT_EQUAL(vswitch_call(lab.vswitch, make_tunnel, tunnel), 0);
	fill_frame(frame, sizeof(frame), 1);
	put_be16(frame + 12, 0x0800);
	memcpy(frame + 14, "\x45\0\x05\xdc\0\0\0\0\x40\x06\0\0\x0a\0\0\1\x0a\0\0\2", 20);
	frame[46] = 8 << 4;
	memset(frame + 50, 0, 2);
	sum = (uint16_t)~virtio_net_fold(virtio_net_sum(
		virtio_net_sum(virtio_net_sum(0, frame + 26, 8), pseudo, 4), frame + 34, 1480));
	memcpy(frame + 50, &sum, 2);
	CU_ASSERT_TRUE(net_guest_send(lab.a, frame, sizeof(frame), NULL, 1));
	for (unsigned i = 0; i < 60000 && !sent && !dropped(&lab, 2, PORT_DROP_TOO_LONG); i++) {
		struct vswitch_status *status;

		sent = status_of(&lab, 2, &status)->counters.tx_frames;
		vswitch_status_free(status);
		usleep(1000);
	}
	CU_ASSERT_EQUAL(sent, 2);
	end_lab(&lab);
}

/* Stopping a queue gives the place to go on from; frames for a stopped queue are counted. */
static void test_stop_and_go_on(void)
{
	struct lab lab = make_lab(MRG, MRG);
	struct error error = { 0 };
	uint8_t frame[100], got[100];
	uint32_t last_avail = 77;

	fill_frame(frame, 100, 1);
	net_guest_give_buffers(lab.b, 10, 2048);
	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT_TRUE(net_guest_send(lab.a, frame, 100, NULL, 1));
		CU_ASSERT_EQUAL(net_guest_receive(lab.b, got, sizeof(got), NET_GUEST_PATIENCE),
				100);
	}
	CU_ASSERT_EQUAL(vhost_user_frontend_stop_queue(lab.b->frontend, 0, &last_avail, &error), 0);
	CU_ASSERT_EQUAL(last_avail, 4);
	CU_ASSERT_TRUE(net_guest_send(lab.a, frame, 100, NULL, 1));
	CU_ASSERT_EQUAL(dropped(&lab, 1, PORT_DROP_RX_DISABLED), 1);
	{
		struct vhost_user_queue queue = { .size = NET_GUEST_QUEUE,
						  .base = last_avail,
						  .desc = lab.b->rx.desc_address,
						  .avail = lab.b->rx.avail_address,
						  .used = lab.b->rx.used_address,
						  .kick_fd = lab.b->rx_kick,
						  .call_fd = lab.b->rx_call };

		CU_ASSERT_EQUAL(vhost_user_frontend_start_queue(lab.b->frontend, 0, &queue, &error),
				0);
	}
	CU_ASSERT_TRUE(net_guest_send(lab.a, frame, 100, NULL, 1));
	CU_ASSERT_EQUAL(net_guest_receive(lab.b, got, sizeof(got), NET_GUEST_PATIENCE), 100);
	end_lab(&lab);
}

static void test_front_ends_come_and_go(void)
{
	struct vswitch_options options = { .seed = 1 };
	CLEANUP(cleanup_vswitch) struct vswitch *vswitch = NULL;
	struct vhost_user_frontend *frontend, *second = NULL;
	struct vswitch_status *status;
	struct error error = { 0 };
	struct net_guest *guest;
	char path[128], mac[6] = { 2 };
	uint8_t frame[60];
	bool up;

	snprintf(path, sizeof(path), "%s/p.sock", unit_directory());
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_vhost_user(vswitch, "p", path, NULL, &error), 0);
	CU_ASSERT_EQUAL(vswitch_add_port_vhost_user(vswitch, "q", path, NULL, &error), -EADDRINUSE);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "port q"));
	CU_ASSERT_EQUAL_FATAL(vswitch_start(vswitch, NULL), 0);
	for (unsigned i = 1; i <= 3; i++) {
		CU_ASSERT_EQUAL_FATAL(vhost_user_frontend_connect(&frontend, path, &error), 0);
		guest = net_guest_start(frontend, MRG);
		CU_ASSERT_NOT_EQUAL(vhost_user_frontend_connect(&second, path, &error), 0);
		fill_frame(frame, 60, 1);
		memcpy(frame + 6, mac, 6);
		CU_ASSERT_TRUE(net_guest_send(guest, frame, 60, NULL, 1));
		CU_ASSERT_EQUAL_FATAL(vswitch_status(vswitch, &status), 0);
		CU_ASSERT_TRUE(status->ports[0].up);
		CU_ASSERT_STRING_EQUAL(status->ports[0].state, "up");
		/* The attempt to listen there once more was the first. */
		CU_ASSERT_EQUAL(status->ports[0].counters.connections, i + 1);
		CU_ASSERT_EQUAL(status->address_count, 1);
		vswitch_status_free(status);
		net_guest_end(guest);
		up = true;
		for (unsigned j = 0; j < NET_GUEST_PATIENCE && up; j++) {
			usleep(1000);
			CU_ASSERT_EQUAL_FATAL(vswitch_status(vswitch, &status), 0);
			up = status->ports[0].up;
			CU_ASSERT_TRUE(up || !status->address_count);
			vswitch_status_free(status);
		}
		CU_ASSERT_FALSE_FATAL(up);
	}
	vswitch_destroy(steal_pointer(&vswitch));
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
}

/* A front-end that wants more is told how many queue pairs there are, before and after it tries. */
static void test_one_queue_pair(void)
{
	struct lab lab = make_lab(MRG, MRG);
	struct vhost_user_queue queue = { .size = NET_GUEST_QUEUE,
					  .desc = lab.a->tx.desc_address,
					  .avail = lab.a->tx.avail_address,
					  .used = lab.a->tx.used_address,
					  .kick_fd = lab.a->tx_kick,
					  .call_fd = lab.a->tx_call };

	CU_ASSERT_EQUAL(vhost_user_frontend_queue_count(lab.a->frontend), 1);
	CU_ASSERT_NOT_EQUAL(vhost_user_frontend_start_queue(lab.a->frontend, 2, &queue, NULL), 0);
	end_lab(&lab);
}

/* In a migrated guest's place: the others learn where it is. And what is longer than its MTU does not come to it. */
static void test_what_a_front_end_says_for_its_guest(void)
{
	struct lab lab = make_lab(MRG, MRG);
	struct vswitch_status *status;
	struct error error = { 0 };
	uint8_t frame[1600], got[1600];
	uint8_t mac[8] = { 2, 0, 0, 0, 0, 7 };
	uint64_t value;

	net_guest_give_buffers(lab.b, 8, 2048);
	memcpy(&value, mac, 8);
	CU_ASSERT_EQUAL(frontend_command_u64(lab.a->frontend, VHOST_USER_SEND_RARP, value, &error),
			0);
	CU_ASSERT_EQUAL_FATAL(net_guest_receive(lab.b, got, sizeof(got), NET_GUEST_PATIENCE), 60);
	CU_ASSERT_EQUAL(get_be16(got + 12), 0x8035);
	CU_ASSERT_EQUAL(memcmp(got + 6, mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(got + 32, mac, 6), 0);
	status_of(&lab, 0, &status);
	CU_ASSERT_EQUAL_FATAL(status->address_count, 1);
	CU_ASSERT_EQUAL(status->addresses[0].mac, 0x020000000007);
	CU_ASSERT_EQUAL(status->addresses[0].port, 0);
	vswitch_status_free(status);
	/* No station's. */
	value = 1;
	CU_ASSERT_EQUAL(frontend_command_u64(lab.a->frontend, VHOST_USER_SEND_RARP, value, &error),
			0);
	CU_ASSERT_EQUAL(frontend_command_u64(lab.b->frontend, VHOST_USER_NET_SET_MTU, 67, &error) &&
				frontend_command_u64(lab.b->frontend, VHOST_USER_NET_SET_MTU, 65536,
						     &error),
			1);
	CU_ASSERT_EQUAL(frontend_command_u64(lab.b->frontend, VHOST_USER_NET_SET_MTU, 1400, &error),
			0);
	fill_frame(frame, sizeof(frame), 1);
	CU_ASSERT_TRUE(net_guest_send(lab.a, frame, 1415, NULL, 1));
	CU_ASSERT_TRUE(net_guest_send(lab.a, frame, 1414, NULL, 1));
	CU_ASSERT_EQUAL(net_guest_receive(lab.b, got, sizeof(got), NET_GUEST_PATIENCE), 1414);
	CU_ASSERT_EQUAL(dropped(&lab, 1, PORT_DROP_TOO_LONG), 1);
	end_lab(&lab);
}

/* Without descriptors the thread does not spin, and who waits is not left waiting. */
static void test_out_of_descriptors(void)
{
	CLEANUP(cleanup_vswitch) struct vswitch *vswitch = NULL;
	struct rlimit old, few;
	struct sockaddr_un address;
	struct vswitch_status *status;
	struct error error = { 0 };
	char path[128], byte;
	uint64_t rounds;
	int fd;

	snprintf(path, sizeof(path), "%s/few.sock", unit_directory());
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, NULL, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_vhost_user(vswitch, "p", path, NULL, &error), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_start(vswitch, NULL), 0);
	CU_ASSERT_EQUAL(unix_socket_address(&address, path, &error), 0);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	getrlimit(RLIMIT_NOFILE, &old);
	few = (struct rlimit){ (rlim_t)fd + 1, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &few);
	CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL(read(fd, &byte, 1), 0);
	usleep(20000);
	CU_ASSERT_EQUAL_FATAL(vswitch_status(vswitch, &status), 0);
	rounds = status->rounds;
	vswitch_status_free(status);
	CU_ASSERT_TRUE(rounds < 200);
	setrlimit(RLIMIT_NOFILE, &old);
	close(fd);
	/* And it goes on. */
	fd = unix_socket_connect(path, &error);
	CU_ASSERT_TRUE(fd >= 0);
	close(fd);
}

static void test_a_socket_path_too_long(void)
{
	CLEANUP(cleanup_vswitch) struct vswitch *vswitch = NULL;
	struct error error = { 0 };
	char path[200];

	memset(path, 'x', sizeof(path));
	memcpy(path, "/tmp/", 5);
	path[109] = '\0';
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, NULL, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_add_port_vhost_user(vswitch, "p", path, NULL, &error),
			-ENAMETOOLONG);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "107"));
}

static void start_transmission(struct net_guest *guest, int kick_fd, uint32_t base)
{
	struct vhost_user_queue queue = { .size = NET_GUEST_QUEUE,
					  .base = base,
					  .desc = guest->tx.desc_address,
					  .avail = guest->tx.avail_address,
					  .used = guest->tx.used_address,
					  .kick_fd = kick_fd,
					  .call_fd = guest->tx_call };

	CU_ASSERT_EQUAL(vhost_user_frontend_start_queue(guest->frontend, 1, &queue, NULL), 0);
}

/* Has the guest transmit with another kick eventfd. */
static void change_kick(struct net_guest *guest, int kick_fd)
{
	CU_ASSERT_EQUAL(vhost_user_frontend_stop_queue(guest->frontend, 1, NULL, NULL), 0);
	start_transmission(guest, kick_fd, 0);
}

/* A front-end that lost count, as virtio-user after its back-end was killed: nothing comes twice, and nothing is wrong with the ring. */
static void test_a_ring_says_where_it_stands(void)
{
	struct lab lab = make_lab(MRG, MRG);
	uint8_t frame[64], got[64];

	net_guest_give_buffers(lab.b, 8, 1536);
	for (unsigned i = 0; i < 6; i++) {
		fill_frame(frame, sizeof(frame), i);
		if (i == 3)
			change_kick(lab.a, lab.a->tx_kick);
		CU_ASSERT_TRUE(net_guest_send(lab.a, frame, sizeof(frame), NULL, 1));
		CU_ASSERT_EQUAL(net_guest_receive(lab.b, got, sizeof(got), NET_GUEST_PATIENCE),
				sizeof(frame));
		CU_ASSERT_EQUAL(memcmp(frame, got, sizeof(frame)), 0);
	}
	CU_ASSERT_EQUAL(net_guest_receive(lab.b, got, sizeof(got), 50), 0);
	end_lab(&lab);
}

/* A chain of two entries leaves one in the ring that looks available: a switch that served it knows better than that. */
static void test_a_packed_ring_goes_on_where_it_was_left(void)
{
	const uint64_t packed = 1ULL << VIRTIO_F_RING_PACKED | 1ULL << VIRTIO_RING_F_INDIRECT_DESC;
	struct lab lab = make_lab(MRG | packed, MRG);
	uint8_t frame[64], got[64];
	uint32_t base = 0;

	lab.a->tx.indirect = false;
	net_guest_give_buffers(lab.b, 8, 1536);
	for (unsigned i = 0; i < 4; i++) {
		fill_frame(frame, sizeof(frame), i);
		CU_ASSERT_TRUE(net_guest_send(lab.a, frame, sizeof(frame), NULL, 1));
		CU_ASSERT_EQUAL(net_guest_receive(lab.b, got, sizeof(got), NET_GUEST_PATIENCE),
				sizeof(frame));
		CU_ASSERT_EQUAL(memcmp(frame, got, sizeof(frame)), 0);
		CU_ASSERT_EQUAL(vhost_user_frontend_stop_queue(lab.a->frontend, 1, &base, NULL), 0);
		CU_ASSERT_EQUAL(base & 0x7fff, 2 * i + 2);
		start_transmission(lab.a, lab.a->tx_kick, base);
	}
	CU_ASSERT_EQUAL(net_guest_receive(lab.b, got, sizeof(got), 50), 0);
	for (unsigned i = 0; i < PORT_DROP_COUNT; i++)
		CU_ASSERT_EQUAL(dropped(&lab, 0, i), 0);
	end_lab(&lab);
}

/* The switch connects, also where nobody listens yet, and to the next one. */
static void test_a_front_end_that_listens(void)
{
	CLEANUP(cleanup_vswitch) struct vswitch *vswitch = NULL;
	const struct vswitch_vhost_user_options options = { .client = true };
	struct unix_listener listener = { .fd = -1 };
	struct vhost_user_frontend *frontend;
	struct vswitch_status *status;
	struct error error = { 0 };
	uint8_t frame[64];
	char path[128];

	snprintf(path, sizeof(path), "%s/listens.sock", unit_directory());
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, NULL, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_start(vswitch, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_vhost_user(vswitch, "p", path, &options, &error), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_status(vswitch, &status), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(status->ports[0].state, "cannot connect to"));
	CU_ASSERT_STRING_EQUAL(status->ports[0].where, path);
	vswitch_status_free(status);
	CU_ASSERT_EQUAL_FATAL(unix_listen(&listener, path, &error), 0);
	fcntl(listener.fd, F_SETFL, 0);
	for (unsigned i = 1; i < 3; i++) {
		struct net_guest *guest;
		int fd;

		fd = accept4(listener.fd, NULL, NULL, SOCK_CLOEXEC);
		CU_ASSERT_EQUAL_FATAL(vhost_user_frontend_adopt(&frontend, fd, "p", &error), 0);
		guest = net_guest_start(frontend, MRG);
		fill_frame(frame, sizeof(frame), i);
		CU_ASSERT_TRUE(net_guest_send(guest, frame, sizeof(frame), NULL, 1));
		CU_ASSERT_EQUAL_FATAL(vswitch_status(vswitch, &status), 0);
		CU_ASSERT_EQUAL(status->ports[0].counters.rx_frames, i);
		CU_ASSERT_EQUAL(status->ports[0].counters.connections, i);
		vswitch_status_free(status);
		net_guest_end(guest);
	}
	/* While it waits to try again. */
	CU_ASSERT_EQUAL(vswitch_remove_port(vswitch, "p", &error), 0);
	unix_listener_close(&listener);
}

/* Two rings with one eventfd, which is put back into blocking mode: of two wakes one finds nothing. */
static void test_an_eventfd_of_two_ports_blocks_nobody(void)
{
	struct lab lab = make_lab(MRG, MRG);
	int fd = eventfd(0, EFD_CLOEXEC);
	struct vswitch_status *status;

	change_kick(lab.a, fd);
	change_kick(lab.b, fd);
	CU_ASSERT_EQUAL(fcntl(fd, F_SETFL, 0), 0);
	usleep(20000); /* now it sleeps */
	eventfd_write(fd, 1);
	usleep(20000);
	status_of(&lab, 0, &status);
	vswitch_status_free(status);
	end_lab(&lab);
	close(fd);
}

/* A call eventfd that is full, and has whoever writes to it wait: its own port breaks. */
static void test_a_full_call_eventfd_holds_nobody(void)
{
	struct lab lab = make_lab(MRG, MRG);
	struct net_guest *c = plug_in(lab.vswitch, "c", MRG);
	const uint64_t full = UINT64_MAX - 1;
	struct vswitch_status *status;
	uint8_t frame[64], got[64];
	bool broken = false;

	net_guest_give_buffers(lab.b, 8, 1536);
	net_guest_give_buffers(c, 8, 1536);
	CU_ASSERT_EQUAL(write(lab.b->rx_call, &full, sizeof(full)), sizeof(full));
	CU_ASSERT_EQUAL(fcntl(lab.b->rx_call, F_SETFL, 0), 0);
	fill_frame(frame, sizeof(frame), 1);
	net_guest_send(lab.a, frame, sizeof(frame), NULL, 1);
	CU_ASSERT_EQUAL(net_guest_receive(c, got, sizeof(got), NET_GUEST_PATIENCE), sizeof(frame));
	for (unsigned i = 0; i < 600 && !broken; i++) {
		broken = strstr(status_of(&lab, 1, &status)->state, "call eventfd");
		vswitch_status_free(status);
		usleep(100000);
	}
	CU_ASSERT(broken);
	net_guest_end(c);
	end_lab(&lab);
}

static int is_resting(void *arg)
{
	const struct port *port = vswitch_find_port(arg, "c");

	return container_of(port, struct port_vhost_user, port)->listener.rest.place != 0;
}

static uint64_t still_clock(void *arg)
{
	return atomic_load((atomic_ullong *)arg);
}

/*
 * One that has memory mapped and unmapped without end is left alone for a while; others go on, and nothing of it is lost. Time stands still meanwhile: a
 * thread that has less than a twentieth of a processor, as on a crowded host, gives nobody more than a twentieth of all time.
 */
static void test_a_storm_of_messages_rests(void)
{
	atomic_ullong clock = 1000000000;
	const struct vswitch_options options = { .seed = 1,
						 .clock = still_clock,
						 .clock_arg = &clock };
	struct lab lab = make_lab_of(&options, MRG, MRG);
	struct vhost_user_message table = { .header = { VHOST_USER_SET_MEM_TABLE,
							VHOST_USER_VERSION,
							sizeof(table.payload.memory) },
					    .payload.memory.count = VHOST_USER_MAX_TABLE_REGIONS };
	struct vhost_user_message ask = { .header = { VHOST_USER_GET_FEATURES, VHOST_USER_VERSION,
						      0 } };
	int pair[2], fds[VHOST_USER_MAX_TABLE_REGIONS], rc;
	struct vhost_user_receiver answer;
	uint8_t frame[64], got[64];

	for (unsigned i = 0; i < VHOST_USER_MAX_TABLE_REGIONS; i++) {
		struct vhost_user_region region = { i << 20, 1 << 20, i << 20, 0 };

		memcpy(&table.payload.memory.regions[i], &region, sizeof(region));
		fds[i] = memfd_create("storm", MFD_CLOEXEC);
		CU_ASSERT_EQUAL(ftruncate(fds[i], 1 << 20), 0);
	}
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_vhost_user_fd(lab.vswitch, "c", pair[0], NULL), 0);
	for (unsigned i = 0; i < 1000000 && !vswitch_call(lab.vswitch, is_resting, lab.vswitch);
	     i++) {
		rc = vhost_user_send(pair[1], &table, fds, VHOST_USER_MAX_TABLE_REGIONS,
				     MSG_DONTWAIT);
		/* -ETOOMANYREFS: so many descriptors on their way. */
		CU_ASSERT_TRUE_FATAL(rc == 0 || rc == -EAGAIN || rc == -ETOOMANYREFS);
	}
	CU_ASSERT_TRUE(vswitch_call(lab.vswitch, is_resting, lab.vswitch));
	net_guest_give_buffers(lab.b, 8, 1536);
	fill_frame(frame, sizeof(frame), 1);
	CU_ASSERT_TRUE(net_guest_send(lab.a, frame, sizeof(frame), NULL, 1));
	CU_ASSERT_EQUAL(net_guest_receive(lab.b, got, sizeof(got), NET_GUEST_PATIENCE),
			sizeof(frame));
	CU_ASSERT_EQUAL(vhost_user_send(pair[1], &ask, NULL, 0, 0), 0);
	/* However long it is to rest. */
	atomic_fetch_add(&clock, 1000000000);
	(void)vswitch_call(lab.vswitch, is_resting, lab.vswitch);
	vhost_user_receiver_init(&answer);
	CU_ASSERT_EQUAL(vhost_user_receive(&answer, pair[1], 0), 1);
	CU_ASSERT_EQUAL(answer.message.header.request, VHOST_USER_GET_FEATURES);
	for (unsigned i = 0; i < VHOST_USER_MAX_TABLE_REGIONS; i++)
		close(fds[i]);
	close(pair[1]);
	end_lab(&lab);
}

/* An idle switch with guests sleeps. */
static void test_idle_uses_no_time(void)
{
	struct lab lab = make_lab(MRG, MRG);
	struct vswitch_status *status;
	uint64_t rounds;

	usleep(5000);
	status_of(&lab, 0, &status);
	rounds = status->rounds;
	vswitch_status_free(status);
	usleep(50000);
	status_of(&lab, 0, &status);
	CU_ASSERT_TRUE(status->rounds - rounds < 1000);
	vswitch_status_free(status);
	end_lab(&lab);
}

UNIT_MAIN("switch_vhost_user", UNIT(test_frames_of_all_lengths),
	  UNIT(test_without_mergeable_buffers), UNIT(test_too_few_buffers_are_put_back),
	  UNIT(test_nonsense_from_a_guest), UNIT(test_a_broken_ring_stops_its_own_port),
	  UNIT(test_offloads_pass_through), UNIT(test_offloads_done_in_software),
	  UNIT(test_a_finished_segment_is_cut), UNIT(test_stop_and_go_on),
	  UNIT(test_front_ends_come_and_go), UNIT(test_one_queue_pair),
	  UNIT(test_what_a_front_end_says_for_its_guest), UNIT(test_out_of_descriptors),
	  UNIT(test_a_socket_path_too_long), UNIT(test_idle_uses_no_time),
	  UNIT(test_a_ring_says_where_it_stands),
	  UNIT(test_a_packed_ring_goes_on_where_it_was_left), UNIT(test_a_front_end_that_listens),
	  UNIT(test_an_eventfd_of_two_ports_blocks_nobody),
	  UNIT(test_a_full_call_eventfd_holds_nobody), UNIT(test_a_storm_of_messages_rests))
