/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests and a part of an array that is being moved to another shape: they wait for it, and it for them. */
#ifndef TENON_RAID_RESHAPE_GATE_H
#define TENON_RAID_RESHAPE_GATE_H

#include <stdint.h>

#include "fiber/fiber.h"
#include "util/list.h"

struct raid_reshape_gate {
	uint64_t from, to; /* bytes that are being moved: nobody else is there; from == to: none */
	struct list users; /* requests */
	struct fiber_queue queue;
};

/* A request, on its fiber's stack. */
struct raid_reshape_user {
	struct list node;
	uint64_t offset, end; /* bytes of the array */
};

void raid_reshape_gate_init(struct raid_reshape_gate *gate);

/* Around a request; the first suspends while any of its bytes is being moved. */
void raid_reshape_gate_enter(struct raid_reshape_gate *gate, struct raid_reshape_user *user,
			     uint64_t offset, uint64_t length);
void raid_reshape_gate_leave(struct raid_reshape_gate *gate, struct raid_reshape_user *user);

/* From here on requests to bytes [from, to) wait; suspends until those that are there have ended. */
void raid_reshape_gate_take(struct raid_reshape_gate *gate, uint64_t from, uint64_t to);
void raid_reshape_gate_let_go(struct raid_reshape_gate *gate);

#endif
