/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/fiber: who comes to a listening socket. */
#include "unit.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "fiber/acceptor.h"
#include "fiber/fiber.h"
#include "fiber_run.h"
#include "lingering.h"
#include "util/bytes.h"
#include "util/peer_file.h"
#include "util/unix_socket.h"

#define MOST 3u

struct visitor {
	struct accepted accepted;
	unsigned zero; /* when it begins */
};

struct rig {
	struct acceptor acceptor;
	struct unix_listener listener;
	char path[128];
	unsigned came, left, cancelled, turned_away;
};

/* Answers each byte, until there are no more. */
static void visit(struct accepted *client)
{
	struct rig *rig = container_of(client->acceptor, struct rig, acceptor);
	struct visitor *visitor = container_of(client, struct visitor, accepted);
	char byte;

	rig->came += !visitor->zero++;
	while (fiber_poll(client->fd, POLLIN, FIBER_FOREVER) > 0 &&
	       peer_receive_bytes(client->fd, &byte, 1) == 1)
		fiber_write(client->fd, &byte, 1);
	rig->cancelled += fiber_cancelled();
	rig->left++;
}

static void turned_away(struct acceptor *acceptor, int fd)
{
	/* He could be told why. */
	CU_ASSERT(fd >= 0);
	container_of(acceptor, struct rig, acceptor)->turned_away++;
}

static void begin(struct rig *rig, void (*full)(struct acceptor *acceptor, int fd))
{
	*rig = (struct rig){ .came = 0 };
	snprintf(rig->path, sizeof(rig->path), "%s/socket", unit_directory());
	CU_ASSERT_EQUAL_FATAL(unix_listen(&rig->listener, rig->path, NULL), 0);
	rig->acceptor = (struct acceptor){ .fd = rig->listener.fd,
					   .most = MOST,
					   .size = sizeof(struct visitor),
					   .run = visit,
					   .full = full };
	acceptor_begin(&rig->acceptor);
}

static int come(const struct rig *rig)
{
	int fd = fiber_connect_unix(rig->path);

	CU_ASSERT_FATAL(fd >= 0);
	return fd;
}

static bool is_answered(int fd)
{
	char byte = 'x';

	return !fiber_write(fd, &byte, 1) && fiber_read(fd, &byte, 1) == 1;
}

static int all_come(void *arg)
{
	struct rig rig;
	int fds[MOST + 1];

	(void)arg;
	for (unsigned how = 0; how < 2; how++) {
		begin(&rig, how ? turned_away : NULL);
		for (unsigned i = 0; i < MOST; i++) {
			fds[i] = come(&rig);
			CU_ASSERT(is_answered(fds[i]));
		}
		fds[MOST] = come(&rig);
		CU_ASSERT(!is_answered(fds[MOST]));
		close(fds[MOST]);
		CU_ASSERT_EQUAL(rig.turned_away, how);
		/* The place of one who has left is another's. */
		close(fds[0]);
		while (!rig.left)
			fiber_sleep(1000000);
		fds[0] = come(&rig);
		CU_ASSERT(is_answered(fds[0]));
		CU_ASSERT_EQUAL(rig.came, MOST + 1);
		acceptor_close(&rig.acceptor);
		/* Those who are there stay. */
		CU_ASSERT(is_answered(fds[1]));
		unix_listener_close(&rig.listener);
		acceptor_end(&rig.acceptor);
		CU_ASSERT_EQUAL(rig.acceptor.count, 0);
		CU_ASSERT_EQUAL(rig.left, MOST + 1);
		CU_ASSERT_EQUAL(rig.cancelled, MOST);
		for (unsigned i = 0; i < MOST; i++) {
			CU_ASSERT(!is_answered(fds[i]));
			close(fds[i]);
		}
	}
	return 0;
}

static void test_all_come(void)
{
	fiber_run_real(fiber_run_first_engine(), all_come, NULL);
}

/* Who sends files that make whoever closes them wait, and leaves: within what is read, unread, and turned away with them. */
static int send_files(void *arg)
{
	struct lingering lingering[3];
	struct rig rig;
	int fds[MOST + 1];
	char byte;

	(void)arg;
	begin(&rig, NULL);
	for (unsigned i = 0; i < MOST; i++)
		fds[i] = come(&rig);
	for (unsigned i = 0; i < 3; i++)
		lingering_make(&lingering[i]);
	CU_ASSERT(is_answered(fds[1]));
	fds[MOST] = fiber_connect_unix(rig.path);
	lingering_send(&lingering[0], fds[MOST], NULL, 0, 1, 0);
	CU_ASSERT(!is_answered(fds[MOST]));
	close(fds[MOST]);
	lingering_send(&lingering[1], fds[1], NULL, 0, 1, 0);
	CU_ASSERT_EQUAL(fiber_read(fds[1], &byte, 1), 1);
	acceptor_close(&rig.acceptor);
	lingering_send(&lingering[2], fds[0], NULL, 0, 1, 0);
	unix_listener_close(&rig.listener);
	acceptor_end(&rig.acceptor);
	for (unsigned i = 0; i < MOST; i++)
		close(fds[i]);
	for (unsigned i = 0; i < 3; i++)
		lingering_end(&lingering[i]);
	return 0;
}

static void test_files_that_nobody_wants(void)
{
	fiber_run_real(fiber_run_first_engine(), send_files, NULL);
}

UNIT_MAIN("acceptor", UNIT(test_all_come), UNIT(test_files_that_nobody_wants))
