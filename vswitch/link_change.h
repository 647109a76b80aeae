/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link that becomes another while packets are on their way. Each goes on as it was decided; but where the wire is another one (rate,
 * burst, trace) those that wait for it are sent as the new one can, in their order and with the delays that they have.
 */
#ifndef TENON_VSWITCH_LINK_CHANGE_H
#define TENON_VSWITCH_LINK_CHANGE_H

#include "vswitch/link_model.h"
#include "vswitch/link_queue.h"

/* `way`, with its packets in `queue`, is as `model` says from now on; `link` and `out` are its name and direction. */
void link_change(struct link_way *way, struct link_queue *queue, const struct link_model *model,
		 const char *link, bool out, uint64_t now);

#endif
