/* SPDX-License-Identifier: BSD-2-Clause */
/* The vhost-user-blk server: a client that sends messages without end gets a share of its worker, and others their turn. */
#include "unit.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "block/block.h"
#include "fiber_run.h"
#include "virtio/vhost_user.h"
#include "virtio/vhost_user_blk.h"
#include "virtio/vhost_user_blk_private.h"

#define REGIONS VHOST_USER_MAX_TABLE_REGIONS
#define MOST    1000000u
#define MS      1000000ULL

static void make_table(struct vhost_user_message *table, int fds[REGIONS])
{
	*table = (struct vhost_user_message){ .header = { VHOST_USER_SET_MEM_TABLE,
							  VHOST_USER_VERSION,
							  sizeof(table->payload.memory) },
					      .payload.memory.count = REGIONS };
	for (unsigned i = 0; i < REGIONS; i++) {
		struct vhost_user_region region = { i << 20, 1 << 20, i << 20, 0 };

		memcpy(&table->payload.memory.regions[i], &region, sizeof(region));
		fds[i] = memfd_create("storm", MFD_CLOEXEC);
		CU_ASSERT_EQUAL(ftruncate(fds[i], 1 << 20), 0);
	}
}

/* Until it is left alone. */
static int storm(struct vhost_user_blk_server *server, int fd)
{
	struct vhost_user_message table;
	int fds[REGIONS], rc = 0;
	uint64_t before = server->rested_ns;
	unsigned sent = 0;

	make_table(&table, fds);
	while (server->rested_ns == before && sent < MOST &&
	       (rc == 0 || rc == -EAGAIN || rc == -ETOOMANYREFS)) {
		rc = vhost_user_send(fd, &table, fds, REGIONS, MSG_DONTWAIT);
		if (rc)
			fiber_sleep(MS / 10);
		else
			sent++;
	}
	for (unsigned i = 0; i < REGIONS; i++)
		close(fds[i]);
	return rc;
}

/* What it is asked after that it answers, when it has rested. */
static bool answers(int fd)
{
	struct vhost_user_message ask = { .header = { VHOST_USER_GET_FEATURES, VHOST_USER_VERSION,
						      0 } };
	struct vhost_user_receiver answer;
	int rc;

	while ((rc = vhost_user_send(fd, &ask, NULL, 0, MSG_DONTWAIT)) == -EAGAIN)
		fiber_sleep(MS);
	CU_ASSERT_EQUAL(rc, 0);
	vhost_user_receiver_init(&answer);
	while ((rc = vhost_user_receive(&answer, fd, MSG_DONTWAIT)) == -EAGAIN)
		fiber_sleep(MS);
	vhost_user_receiver_reset(&answer);
	return rc == 1 && answer.message.header.request == VHOST_USER_GET_FEATURES;
}

static int run_storm(void *arg)
{
	const struct vhost_user_blk_options options = { .queue_count = 1 };
	struct vhost_user_blk_server *server;
	struct block *disk;
	int pair[2], rc;

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&disk, "disk", 1 << 20, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	CU_ASSERT_EQUAL_FATAL(
		vhost_user_blk_server_adopt(&server, disk, pair[0], "disk", &options, NULL), 0);
	rc = storm(server, pair[1]);
	CU_ASSERT(rc == 0 || rc == -EAGAIN || rc == -ETOOMANYREFS);
	CU_ASSERT(server->rested_ns > 0);
	CU_ASSERT_TRUE(answers(pair[1]));
	/* Also while it rests the server can end. */
	storm(server, pair[1]);
	vhost_user_blk_server_stop(server);
	close(pair[1]);
	block_unref(disk);
	return 0;
}

/* In virtual time: one that has less than a twentieth of a processor, as on a crowded host, gives nobody more than a twentieth of all time. */
static void test_a_storm_of_messages_rests(void)
{
	CU_ASSERT_EQUAL(fiber_run_each(run_storm, NULL), 0);
}

UNIT_MAIN("vhost_user_blk_share", UNIT(test_a_storm_of_messages_rests))
