/* SPDX-License-Identifier: BSD-2-Clause */
/* See checkpoint.h. */
#include "vswitch/checkpoint.h"

#include <string.h>

#include "vswitch/capture_session.h"
#include "vswitch/internal.h"

/* ---- What looks ---- */

static void refresh_port(struct vswitch *vswitch, struct port *port)
{
	for (unsigned way = 0; way < PORT_WAYS; way++) {
		struct checkpoint *checkpoint = &port->checkpoint[way];

		*checkpoint = (struct checkpoint){ 0 };
		capture_sessions_put(vswitch, port, way, checkpoint);
		if (port->filter[way] &&
		    (port->filter[way]->count || port->filter[way]->police.rate))
			checkpoint->filter = port->filter[way];
		port_mirrors_put(vswitch, port, way, checkpoint);
		checkpoint->active = checkpoint->capture_count || checkpoint->filter ||
				     (way == PORT_IN &&
				      (checkpoint->mirror_count || bond_of(port)->mirror_only));
	}
}

void checkpoint_refresh(struct vswitch *vswitch)
{
	port_mirrors_refresh(vswitch);
	for (unsigned i = 0; i < vswitch->port_count; i++)
		for (unsigned way = 0; way < PORT_WAYS; way++)
			filter_find_mirrors(vswitch->list[i]->filter[way], vswitch);
	for (unsigned i = 0; i < vswitch->port_count; i++)
		refresh_port(vswitch, vswitch->list[i]);
	vswitch_control_soon(vswitch); /* which ports get only copies */
}

/* ---- Looking ---- */

void checkpoint_capture(struct vswitch_thread *thread, const struct port *port, enum port_way way,
			const struct frame *frame, const char *dropped)
{
	const struct checkpoint *checkpoint = &port->checkpoint[way];

	for (unsigned i = 0; i < checkpoint->capture_count; i++) {
		const struct checkpoint_capture *to = &checkpoint->captures[i];
		const struct capture_event event = { .interface = to->interface,
						     .out = way == PORT_OUT,
						     .dropped = dropped,
						     .id = frame->id,
						     .time_ns =
							     thread->now + thread->vswitch->epoch };

		if (filter_program_matches(to->filter, frame, thread->room))
			capture_frame(to->capture, &event, frame);
	}
}
