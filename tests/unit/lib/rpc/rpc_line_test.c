/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines within a time: what came in it counts, however late it is read. */
#include "fiber_run.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "rpc/rpc_line.h"
#include "util/cleanup.h"

/* The time is over before the first byte is looked for. */
static const struct rpc_patience no_time = { 1, 1, 0 };

static int read_late(void *arg)
{
	size_t bytes = *(size_t *)arg, length;
	struct rpc_reader reader = { .patience = &no_time, .most = 1u << 16 };
	CLEANUP_FREE char *text = malloc(bytes);
	char *line;
	int fds[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	reader.fd = fds[0];
	memset(text, 'x', bytes);
	CU_ASSERT_EQUAL_FATAL(send(fds[1], text, bytes - 1, 0), (ssize_t)bytes - 1);
	CU_ASSERT_EQUAL(rpc_read_line(&reader, &line, &length), -ETIMEDOUT);
	CU_ASSERT_EQUAL(reader.used, bytes - 1);
	CU_ASSERT_EQUAL_FATAL(send(fds[1], "\n", 1, 0), 1);
	CU_ASSERT_EQUAL_FATAL(rpc_read_line(&reader, &line, &length), 1);
	CU_ASSERT_EQUAL(length, bytes - 1);
	CU_ASSERT(!memcmp(line, text, length));
	CU_ASSERT_EQUAL(rpc_read_line(&reader, &line, &length), -ETIMEDOUT);
	rpc_reader_free(&reader);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

/* Of one piece, and of more than the reader takes at once. */
static void test_a_line_that_is_there_is_read_when_its_time_is_over(void)
{
	for (const size_t *bytes = (const size_t[]){ 2, 4096, 4097, 30000, 0 }; *bytes; bytes++)
		CU_ASSERT_EQUAL(fiber_run_real(fiber_run_first_engine(), read_late, (void *)bytes),
				0);
}

UNIT_MAIN("rpc_line", UNIT(test_a_line_that_is_there_is_read_when_its_time_is_over))
