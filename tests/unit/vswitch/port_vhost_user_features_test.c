/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vswitch: every feature bit that a vhost-user port offers, and where its meaning is tested; every other one is refused.
 *
 *	CSUM, HOST_TSO4, HOST_TSO6, HOST_ECN, HOST_USO		offload_defects_test, virtio_net_test; a kernel's: guest/vhost_user_net_test
 *	GUEST_CSUM, _TSO4, _TSO6, _ECN, _USO4, _USO6		port_vhost_user_test test_offloads_pass_through, _done_in_software
 *	MRG_RXBUF						port_vhost_user_test test_frames_of_all_lengths, _without_mergeable_buffers
 *	MQ							port_vhost_user_queues_test; interop/switch_dpdk_test, guest/vhost_user_net_client_test
 *	GUEST_ANNOUNCE						the front-end's own (a control queue's command); frames of the guest: any
 *	LOG_ALL							lib/virtio/vhost_user_shared_test; guest/vhost_user_migration_test
 *	INDIRECT_DESC, EVENT_IDX, RING_PACKED, IN_ORDER		lib/virtio/virtqueue_*_test; DPDK's and Linux's drivers
 *	VERSION_1						all of these
 *
 *	MQ (protocol)						port_vhost_user_queues_test
 *	LOG_SHMFD						as LOG_ALL
 *	RARP, MTU						port_vhost_user_test test_what_a_front_end_says_for_its_guest
 *	REPLY_ACK, STATUS, RESET_DEVICE				lib/virtio/vhost_user_messages_test, vhost_user_test
 *	BACKEND_REQ						taken and kept: User Mode Linux has no interrupts without it (vhost_user_shared_test)
 *	CONFIGURE_MEM_SLOTS					vhost_user_messages_test; QEMU
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "util/error.h"
#include "virtio/vhost_user_frontend.h"
#include "virtio/vhost_user_frontend_private.h"
#include "virtio/virtio_net.h"
#include "virtio/virtqueue.h"
#include "vswitch/internal.h"
#include "vswitch/switch.h"

#define RING(bit)     (1ULL << VIRTIO_RING_F_##bit)
#define PROTOCOL(bit) (1ULL << VHOST_USER_PROTOCOL_F_##bit)
#define OWN           (1ULL << VHOST_USER_F_PROTOCOL_FEATURES)

static const uint64_t of_any_port =
	VIRTIO_NET_BIT(CSUM) | VIRTIO_NET_BIT(HOST_TSO4) | VIRTIO_NET_BIT(HOST_TSO6) |
	VIRTIO_NET_BIT(HOST_ECN) | VIRTIO_NET_BIT(HOST_USO) | VIRTIO_NET_BIT(GUEST_CSUM) |
	VIRTIO_NET_BIT(GUEST_TSO4) | VIRTIO_NET_BIT(GUEST_TSO6) | VIRTIO_NET_BIT(GUEST_ECN) |
	VIRTIO_NET_BIT(GUEST_USO4) | VIRTIO_NET_BIT(GUEST_USO6) | VIRTIO_NET_BIT(MRG_RXBUF) |
	RING(INDIRECT_DESC) | RING(EVENT_IDX) | 1ULL << VIRTIO_F_RING_PACKED |
	1ULL << VIRTIO_F_IN_ORDER | 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VHOST_USER_F_LOG_ALL | OWN;

static const uint64_t of_several_queues = VIRTIO_NET_BIT(MQ) | VIRTIO_NET_BIT(GUEST_ANNOUNCE);

static const uint64_t of_the_protocol = PROTOCOL(MQ) | PROTOCOL(LOG_SHMFD) | PROTOCOL(RARP) |
					PROTOCOL(REPLY_ACK) | PROTOCOL(MTU) |
					PROTOCOL(BACKEND_REQ) | PROTOCOL(RESET_DEVICE) |
					PROTOCOL(CONFIGURE_MEM_SLOTS) | PROTOCOL(STATUS);

/* What a port says to a value of a request, on a connection of its own. */
static int say(const char *path, enum vhost_user_request request, uint64_t value)
{
	struct vhost_user_frontend *frontend;
	struct error error = { 0 };
	int rc = vhost_user_frontend_connect(&frontend, path, &error);

	CU_ASSERT_EQUAL_FATAL(rc, 0);
	rc = frontend_command_u64(frontend, request, value, &error);
	vhost_user_frontend_close(frontend);
	return rc;
}

static uint64_t ask(const char *path, enum vhost_user_request request)
{
	struct vhost_user_frontend *frontend;
	struct error error = { 0 };
	uint64_t value = 0;

	CU_ASSERT_EQUAL_FATAL(vhost_user_frontend_connect(&frontend, path, &error), 0);
	CU_ASSERT_EQUAL(frontend_query_u64(frontend, request, &value, &error), 0);
	vhost_user_frontend_close(frontend);
	return value;
}

static void check_port(const char *path, uint64_t offered)
{
	CU_ASSERT_EQUAL(ask(path, VHOST_USER_GET_FEATURES), offered);
	CU_ASSERT_EQUAL(ask(path, VHOST_USER_GET_PROTOCOL_FEATURES), of_the_protocol);
	for (unsigned i = 0; i < 64; i++) {
		const uint64_t bit = 1ULL << i;
		uint64_t with = OWN | 1ULL << VIRTIO_F_VERSION_1 | bit;

		CU_ASSERT_EQUAL(say(path, VHOST_USER_SET_FEATURES, with) == 0, !!(offered & bit));
		CU_ASSERT_EQUAL(say(path, VHOST_USER_SET_PROTOCOL_FEATURES,
				    PROTOCOL(REPLY_ACK) | bit) == 0,
				!!(of_the_protocol & bit));
	}
	CU_ASSERT_EQUAL(say(path, VHOST_USER_SET_FEATURES, offered), 0);
	/* Not even what is asked for by none: a driver of before 1.0. */
	CU_ASSERT_EQUAL(say(path, VHOST_USER_SET_FEATURES, 0), 0);
}

static void test_each_bit(void)
{
	struct vswitch *vswitch;
	struct error error = { 0 };

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, NULL, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_start(vswitch, NULL), 0);
	for (unsigned pairs = 1; pairs < 9; pairs += 7) {
		const struct vswitch_vhost_user_options options = { .pairs = pairs };
		char path[108], name[8];

		snprintf(name, sizeof(name), "p%u", pairs);
		snprintf(path, sizeof(path), "%s/%s.sock", unit_directory(), name);
		CU_ASSERT_EQUAL_FATAL(
			vswitch_add_port_vhost_user(vswitch, name, path, &options, &error), 0);
		check_port(path, pairs > 1 ? of_any_port | of_several_queues : of_any_port);
	}
	vswitch_destroy(vswitch);
}

UNIT_MAIN("switch_vhost_user_features", UNIT(test_each_bit))
