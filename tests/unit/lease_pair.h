/* SPDX-License-Identifier: BSD-2-Clause */
/* A lease (block/lease.h) with both of its sides in this process. */
#ifndef TENON_TESTS_LEASE_PAIR_H
#define TENON_TESTS_LEASE_PAIR_H

#include "block/lease.h"

struct lease_pair {
	struct block_lease *lease;
	struct lease_use *use;
	int ends[2]; /* of the connection: the server's, the user's */
};

/* 0, or what block_lease_give() says. */
int lease_pair_give(struct lease_pair *pair, struct block *block, pid_t user);
/* Whether the user has been told that it is over. */
bool lease_pair_is_told(const struct lease_pair *pair);
void lease_pair_end(struct lease_pair *pair, bool gone);

#endif
