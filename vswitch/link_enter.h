/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How frames come to a bad link: cut into the packets that a wire would have, decided on one by one, and copied into its
 * queue.
 */
#ifndef TENON_VSWITCH_LINK_ENTER_H
#define TENON_VSWITCH_LINK_ENTER_H

#include "vswitch/link_model.h"
#include "vswitch/link_queue.h"

struct port;

/* Where they come: one way of a link. */
struct link_entrance {
	struct link_way *way;
	struct link_queue *queue;
	uint64_t now;
	/* The link, on the thread of which this is: has its captures record each packet, as it came, and why it is dropped. NULL: nobody
	 * records here. */
	const struct port *recorder;
};

/* Lets a frame in; its copies have the number `id`. NULL: of at least one of its packets something goes on; else why nothing does. */
const char *link_enter(const struct link_entrance *at, const struct frame *frame, uint64_t id);

#endif
