/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/util/unix_socket: connecting where nobody listens, where the backlog is full, by a long path. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/unix_socket.h"

struct patience {
	int listener;
	unsigned waits, takes_after; /* then a client is taken off the backlog; 0: never */
};

static int wait_for_room(void *arg)
{
	struct patience *patience = arg;

	if (++patience->waits == 100)
		return -ETIMEDOUT;
	if (patience->waits == patience->takes_after)
		close(accept(patience->listener, NULL, NULL));
	return 0;
}

static void test_nobody_listens(void)
{
	struct patience patience = { 0 };
	struct error error = { 0 };
	char path[256];

	snprintf(path, sizeof(path), "%s/nobody", unit_directory());
	CU_ASSERT_EQUAL(unix_socket_connect_with(path, wait_for_room, &patience, &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, path));
	CU_ASSERT_EQUAL(unix_socket_connect(path, &error), -ENOENT);
	CU_ASSERT_NOT_EQUAL(error.advice[0], 0);
	CU_ASSERT_EQUAL(patience.waits, 0);
}

static void test_a_full_backlog_is_waited_for(void)
{
	CLEANUP_CLOSE int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct patience patience = { .listener = listener };
	CLEANUP_CLOSE int first = -1, second = -1;
	struct error error = { 0 };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/full", unit_directory());
	CU_ASSERT_EQUAL(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL(listen(listener, 0), 0);
	first = unix_socket_connect(address.sun_path, &error);
	CU_ASSERT(first >= 0);
	CU_ASSERT_EQUAL(fcntl(first, F_GETFL) & O_NONBLOCK, 0);
	CU_ASSERT_EQUAL(unix_socket_connect_with(address.sun_path, wait_for_room, &patience,
						 &error),
			-ETIMEDOUT);
	CU_ASSERT_EQUAL(patience.waits, 100);
	patience = (struct patience){ .listener = listener, .takes_after = 3 };
	second = unix_socket_connect_with(address.sun_path, wait_for_room, &patience, &error);
	CU_ASSERT(second >= 0);
	CU_ASSERT_EQUAL(patience.waits, 3);
	CU_ASSERT_NOT_EQUAL(fcntl(second, F_GETFL) & O_NONBLOCK, 0);
}

static void test_a_long_path(void)
{
	CLEANUP_CLOSE int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	CLEANUP_CLOSE int folder = -1, client = -1;
	struct error error = { 0 };
	char path[512], name[128];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	snprintf(path, sizeof(path), "%s/%s", unit_directory(), name);
	CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
	folder = open(path, O_PATH | O_CLOEXEC);
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/s", folder);
	CU_ASSERT_EQUAL(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL(listen(listener, 1), 0);
	strcat(path, "/s");
	client = unix_socket_connect(path, &error);
	CU_ASSERT(client >= 0);
}

UNIT_MAIN("unix socket", UNIT(test_nobody_listens), UNIT(test_a_full_backlog_is_waited_for),
	  UNIT(test_a_long_path))
