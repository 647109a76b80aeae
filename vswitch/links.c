/* SPDX-License-Identifier: BSD-2-Clause */
/* Links of ports go bad, and are good again, while others run; see switch.h. */
#include <errno.h>

#include "util/error.h"
#include "util/log.h"
#include "vswitch/bond.h"
#include "vswitch/internal.h"
#include "vswitch/links.h"
#include "vswitch/port_link.h"

struct link_call {
	struct vswitch *vswitch;
	const char *name;
	unsigned directions;
	const struct link_model *model;
	struct port *link; /* a new one, if the port has none; taken */
	struct error *error;
};

static void put_over(struct vswitch *vswitch, struct port *link, struct port *lower)
{
	port_link_put_over(link, lower);
	vswitch_thread_replace(lower->thread, lower, link);
	vswitch->ports[lower->index] = link;
	for (unsigned i = 0; i < vswitch->port_count; i++)
		if (vswitch->list[i] == lower)
			vswitch->list[i] = link;
}

struct port *vswitch_link_over(struct vswitch *vswitch, struct port *port, struct port **link)
{
	struct port *over = *link;

	if (port_link_lower(port))
		return port;
	put_over(vswitch, over, port);
	checkpoint_refresh(vswitch); /* who knew the port below */
	*link = NULL;
	return over;
}

static int set_link(void *arg)
{
	struct link_call *call = arg;
	struct port *port = vswitch_find_port(call->vswitch, call->name);
	char words[512];

	if (!port)
		return vswitch_no_such_port(call->vswitch, call->name, call->error);
	if (bond_refuse_bond(port, "bad links", call->error))
		return -EINVAL;
	port = vswitch_link_over(call->vswitch, port, &call->link);
	port_link_set(port, call->directions, call->model);
	protocols_port_event(call->vswitch, port->index, PROTOCOL_PORT_CHANGED);
	link_model_describe(call->model, words, sizeof(words));
	log_info(call->vswitch->log, "port %s: its link is now, %s: %s", port->name,
		 link_ways_text(call->directions), words[0] ? words : "perfect");
	return 0;
}

int vswitch_set_link(struct vswitch *vswitch, const char *name, unsigned directions,
		     const struct link_model *model, struct error *error)
{
	struct link_call call = { vswitch, name, directions, model, port_link_create(), error };
	int rc = link_model_check(model, error);

	if (!rc && !call.link)
		rc = error_set(error, -ENOMEM, "port %s: out of memory", name);
	if (!rc)
		rc = vswitch_call(vswitch, set_link, &call);
	if (call.link)
		call.link->ops->destroy(call.link);
	return rc;
}
