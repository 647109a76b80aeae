/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/util/unix_socket: connecting where nobody listens, where the backlog is full, by a long path;
 * listening where many do at once. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
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

/* Tells what became of it, and listens until the other end of `hold` is closed. */
static void listen_at_once(const char *path, int start, int told, int hold)
{
	struct unix_listener listener = { .fd = -1 };
	struct error error = { 0 };
	char byte, what;

	while (read(start, &byte, 1) < 0)
		;
	what = unix_listen(&listener, path, &error) == 0 ? 'y' : 'n';
	if (write(told, &what, 1) == 1 && read(hold, &byte, 1) == 0)
		unix_listener_close(&listener);
	_exit(0);
}

#define STARTERS 6

/* However many start in one moment where a dead server's file is: one listens, and can be reached. */
static void test_one_of_many_takes_a_stale_path(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/stale", unit_directory());
	for (unsigned round = 0; round < 40; round++) {
		struct sockaddr_un address;
		struct error error = { 0 };
		int start[2], told[2], hold[2], client, winners = 0;
		int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		CU_ASSERT_EQUAL(unix_socket_address(&address, path, &error), 0);
		CU_ASSERT_EQUAL_FATAL(bind(dead, (struct sockaddr *)&address, sizeof(address)), 0);
		close(dead);
		CU_ASSERT_FATAL(!pipe(start) && !pipe(told) && !pipe(hold));
		for (unsigned i = 0; i < STARTERS; i++)
			if (fork() == 0) {
				close(start[1]);
				close(hold[1]);
				listen_at_once(path, start[0], told[1], hold[0]);
			}
		close(start[1]);
		for (unsigned i = 0; i < STARTERS; i++) {
			char what = 0;

			CU_ASSERT_EQUAL_FATAL(read(told[0], &what, 1), 1);
			winners += what == 'y';
		}
		CU_ASSERT_EQUAL(winners, 1);
		client = unix_socket_connect(path, &error);
		CU_ASSERT(client >= 0);
		if (client >= 0)
			close(client);
		close(hold[1]);
		for (unsigned i = 0; i < STARTERS; i++)
			wait(NULL);
		CU_ASSERT_EQUAL(access(path, F_OK), -1);
		close(start[0]);
		close(told[0]);
		close(told[1]);
		close(hold[0]);
	}
}

UNIT_MAIN("unix socket", UNIT(test_nobody_listens), UNIT(test_a_full_backlog_is_waited_for),
	  UNIT(test_a_long_path), UNIT(test_one_of_many_takes_a_stale_path))
