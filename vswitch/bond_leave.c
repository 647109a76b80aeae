/* SPDX-License-Identifier: BSD-2-Clause */
/* A link is to be taken out of its bond, and nothing is to be lost by that: see bond.h. */
#include "vswitch/bond.h"
#include "vswitch/internal.h"

struct leave_call {
	struct vswitch *vswitch;
	const char *name;
	bool leave;
};

static int ask_link(void *arg)
{
	const struct leave_call *call = arg;
	const struct port *port = vswitch_find_port(call->vswitch, call->name);

	return port && bond_link_leaves(call->vswitch, port->index, call->leave);
}

bool vswitch_link_leaves(struct vswitch *vswitch, const char *name, bool leave)
{
	struct leave_call call = { vswitch, name, leave };

	return vswitch_call(vswitch, ask_link, &call);
}
