/* SPDX-License-Identifier: BSD-2-Clause */
/* See lease_pair.h. */
#include "lease_pair.h"

#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

int lease_pair_give(struct lease_pair *pair, struct block *block, pid_t user)
{
	int fds[LEASE_FDS], rc;
	unsigned count;

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair->ends), 0);
	rc = block_lease_give(&pair->lease, block, pair->ends[0], user);
	if (!rc) {
		count = block_lease_take_fds(pair->lease, fds);
		CU_ASSERT_EQUAL_FATAL(lease_use_open(&pair->use, fds, count), 0);
		return 0;
	}
	close(pair->ends[0]);
	close(pair->ends[1]);
	return rc;
}

bool lease_pair_is_told(const struct lease_pair *pair)
{
	char byte;

	return recv(pair->ends[1], &byte, 1, MSG_DONTWAIT) == 0;
}

void lease_pair_end(struct lease_pair *pair, bool gone)
{
	block_lease_end(pair->lease, gone);
	lease_use_close(pair->use);
	close(pair->ends[0]);
	close(pair->ends[1]);
}
