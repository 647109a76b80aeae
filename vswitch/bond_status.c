/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking at bonds; see bond.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vswitch/bond.h"
#include "vswitch/internal.h"

struct bond_call {
	struct vswitch *vswitch;
	struct vswitch_bond_status *out;
};

static void fill_links(struct vswitch_bond *out, const struct bond *bond)
{
	const struct vswitch *vswitch = bond->port.vswitch;

	for (unsigned i = 0; i < vswitch->port_count && out->link_count < BOND_LINKS_MAX; i++) {
		const struct port *port = vswitch->list[i];
		const struct bond_link *link = bond_link_at(vswitch, port->index);
		struct vswitch_bond_link *to = &out->links[out->link_count];

		if (!link || link->bond != bond)
			continue;
		memcpy(to->name, port->name, sizeof(to->name));
		to->up = port_is_up(port);
		to->carries = link->carries;
		to->share = bond_buckets_at(&bond->buckets, port->index);
		to->lacp = link->lacp;
		out->link_count++;
	}
}

static void fill_bond(struct vswitch_bond *out, const struct bond *bond)
{
	const struct vswitch *vswitch = bond->port.vswitch;

	memcpy(out->name, bond->port.name, sizeof(out->name));
	out->up = port_is_up(&bond->port);
	out->config = bond->port.config.bond;
	out->lacp = bond->lacp.config;
	out->has_partner = bond->lacp.has_partner;
	out->partner = bond->lacp.partner;
	out->failovers = bond->failovers;
	out->announced = bond->announced;
	if (out->config.mode == BOND_ACTIVE_BACKUP && bond->active != BOND_NOWHERE)
		memcpy(out->active, vswitch->ports[bond->active]->name, sizeof(out->active));
	fill_links(out, bond);
}

static int fill_all(void *arg)
{
	const struct bond_call *call = arg;
	const struct vswitch *vswitch = call->vswitch;

	call->out->bonds = calloc(vswitch->port_count + 1, sizeof(*call->out->bonds));
	if (!call->out->bonds)
		return -ENOMEM;
	for (unsigned i = 0; i < vswitch->port_count; i++)
		if (vswitch->list[i]->bond)
			fill_bond(&call->out->bonds[call->out->count++], vswitch->list[i]->bond);
	return 0;
}

int vswitch_bond_status(struct vswitch *vswitch, struct vswitch_bond_status **out)
{
	struct bond_call call = { vswitch, calloc(1, sizeof(*call.out)) };
	int rc = call.out ? vswitch_call(vswitch, fill_all, &call) : -ENOMEM;

	if (rc)
		vswitch_bond_status_free(call.out);
	else
		*out = call.out;
	return rc;
}

void vswitch_bond_status_free(struct vswitch_bond_status *status)
{
	if (!status)
		return;
	free(status->bonds);
	free(status);
}
