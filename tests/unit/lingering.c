/* SPDX-License-Identifier: BSD-2-Clause */
/* See lingering.h. */
#include "lingering.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"
#include "util/cleanup.h"
#include "util/peer_file.h"

#define AN_HOUR 3600

void lingering_make(struct lingering *lingering)
{
	struct linger linger = { .l_onoff = 1, .l_linger = AN_HOUR };
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CLEANUP_CLOSE int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof(address);
	static char bytes[65536];
	int small = 4096;

	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	CU_ASSERT_EQUAL_FATAL(bind(listener, (void *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(listener, 1), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(listener, (void *)&address, &length), 0);
	lingering->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(lingering->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	CU_ASSERT_EQUAL_FATAL(connect(lingering->fd, (void *)&address, sizeof(address)), 0);
	lingering->other = accept(listener, NULL, NULL);
	CU_ASSERT_TRUE_FATAL(lingering->other >= 0);
	while (send(lingering->fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	CU_ASSERT_EQUAL_FATAL(
		setsockopt(lingering->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
}

void lingering_send(struct lingering *lingering, int to, const void *bytes, unsigned length,
		    unsigned count, int flags)
{
	union {
		char bytes[PEER_FILES_ROOM];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)(length ? bytes : "!"), length ? length : 1 };
	struct msghdr header = { .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	for (unsigned i = 0; i < count; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &lingering->fd, sizeof(int));
	CU_ASSERT_EQUAL(sendmsg(to, &header, flags | MSG_NOSIGNAL), (ssize_t)iov.iov_len);
	/* Not its last one: that is on its way. */
	cleanup_close(&lingering->fd);
}

void lingering_end(struct lingering *lingering)
{
	close(lingering->other);
}
