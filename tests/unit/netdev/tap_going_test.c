/* SPDX-License-Identifier: BSD-2-Clause */
/* netdev: a TAP interface whose last user has closed it, or has ended, and which the kernel has not let go of. */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net_namespace.h"
#include "netdev/tap.h"
#include "util/bytes.h"
#include "util/error.h"

#define NAME "tapg"

/* Its descriptor is nobody's: as of a file that somebody looks at in /proc, here on its way through a socket. */
static void leave_behind(const struct tap *tap, int socket)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &tap->fd, sizeof(tap->fd));
	CU_ASSERT_EQUAL_FATAL(sendmsg(socket, &message, 0), 1);
}

static void *let_go(void *arg)
{
	const int *ends = arg;

	nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
	close(ends[0]);
	close(ends[1]);
	return NULL;
}

static void check(unsigned former, unsigned next)
{
	struct tap_options options = { .queues = former };
	struct error error = { 0 };
	pthread_t thread;
	struct tap tap;
	int ends[2];

	CU_ASSERT_EQUAL_FATAL(tap_open(&tap, NAME, &options, &error), 0);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	leave_behind(&tap, ends[0]);
	tap_close(&tap);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, let_go, ends), 0);
	options.queues = next;
	if (tap_open(&tap, NAME, &options, &error)) {
		printf("%s\n", error.text);
		CU_FAIL("it was not waited for");
	} else {
		CU_ASSERT_TRUE(tap.created);
		CU_ASSERT_EQUAL(tap.queues, next);
	}
	pthread_join(thread, NULL);
	tap_close(&tap);
}

static void test_who_is_about_to_let_go_is_waited_for(void)
{
	if (!net_namespace_with_taps())
		return;
	for (unsigned former = 1; former <= 2; former++)
		for (unsigned next = 1; next <= 2; next++)
			check(former, next);
}

UNIT_MAIN("tap_going", UNIT(test_who_is_about_to_let_go_is_waited_for))
