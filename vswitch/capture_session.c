/* SPDX-License-Identifier: BSD-2-Clause */
/* See capture_session.h. */
#include "vswitch/capture_session.h"

#include <stdio.h>
#include <string.h>

#include "vswitch/bond.h"
#include "vswitch/internal.h"

/* ---- What it looks at ---- */

static bool wants(const struct capture_session *session, const struct port *port)
{
	return !session->port[0] || !strcmp(session->port, port->name) ||
	       !strcmp(session->port, bond_of(port)->name);
}

void capture_session_add_interface(struct capture_session *session, const struct port *port)
{
	if (wants(session, port))
		session->interfaces[port->index] = capture_add_port(session->capture, port->name);
}

void capture_sessions_add_port(struct vswitch *vswitch, struct port *port)
{
	for (unsigned i = 0; i < vswitch->captures.count; i++)
		capture_session_add_interface(vswitch->captures.list[i], port);
}

void capture_sessions_port_joins(struct vswitch *vswitch, const struct port *port)
{
	for (unsigned i = 0; i < vswitch->captures.count; i++)
		if (!strcmp(vswitch->captures.list[i]->port, bond_of(port)->name))
			capture_session_add_interface(vswitch->captures.list[i], port);
}

void capture_sessions_put(const struct vswitch *vswitch, const struct port *port, enum port_way way,
			  struct checkpoint *checkpoint)
{
	for (unsigned i = 0; i < vswitch->captures.count; i++) {
		const struct capture_session *session = vswitch->captures.list[i];

		if (wants(session, port) && session->ways & PORT_WAY(way))
			checkpoint->captures[checkpoint->capture_count++] =
				(struct checkpoint_capture){ session->capture, session->filter,
							     session->interfaces[port->index] };
	}
}

void capture_sessions_flush(struct vswitch *vswitch)
{
	for (unsigned i = 0; i < vswitch->captures.count; i++)
		capture_flush(vswitch->captures.list[i]->capture);
}

/* ---- Looking ---- */

void capture_sessions_status(const struct vswitch *vswitch, struct vswitch_status *status)
{
	status->capture_count = vswitch->captures.count;
	for (unsigned i = 0; i < vswitch->captures.count; i++) {
		const struct capture_session *session = vswitch->captures.list[i];
		struct vswitch_capture_status *out = &status->captures[i];

		out->id = session->id;
		out->ways = session->ways;
		memcpy(out->port, session->port, sizeof(out->port));
		snprintf(out->filter, sizeof(out->filter), "%s",
			 session->filter ? filter_program_expression(session->filter) : "");
		capture_status(session->capture, &out->capture);
		snprintf(out->path, sizeof(out->path), "%s", out->capture.path);
		out->capture.path = out->path;
	}
}
