/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The socket on which a storage server gives leases of its disks (block/lease.h), in the runtime directory, for processes of the
 * same user: one connection for each.
 *
 *	client	struct lease_request
 *	server	struct lease_answer; if its `rc` is 0, with the descriptors of the page and of the files (SCM_RIGHTS)
 *	client	closes the connection when it has let go of the lease; the server sends its end when the lease is over
 */
#ifndef TENON_TOOLS_LEASE_SOCKET_H
#define TENON_TOOLS_LEASE_SOCKET_H

#include <stdint.h>

#include "block/lease.h"

struct lease_request {
	char name[512]; /* VG/LV; both end with a zero */
	char id[32];    /* of the export, which says that it is that disk */
};

struct lease_answer {
	int32_t rc; /* 0 or a negative errno */
};

#endif
