/* SPDX-License-Identifier: BSD-2-Clause */
/* A bond as a port; see bond.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "vswitch/bond.h"
#include "vswitch/internal.h"

/* ---- The port ---- */

/* Frames come by its links. */
static unsigned receive_nothing(struct port *port, struct frame **frames, unsigned max)
{
	(void)port, (void)frames, (void)max;
	return 0;
}

static void release_nothing(struct port *port)
{
	(void)port;
}

/* Never called: what leaves is lined up at links. */
static unsigned transmit_nothing(struct port *port, struct frame *const *frames, unsigned count)
{
	(void)frames;
	port->counters.drops[PORT_DROP_DOWN] += count;
	return count;
}

static int attach_bond(struct port *port, struct error *error)
{
	(void)error;
	bond_start(port->bond);
	return 0;
}

static void describe_bond(struct port *port, char where[PORT_TEXT_MAX], char state[PORT_TEXT_MAX],
			  char features[PORT_TEXT_MAX])
{
	const struct vswitch *vswitch = port->vswitch;
	size_t used = 0;

	where[0] = '\0';
	for (unsigned i = 0; i < vswitch->port_count && used < PORT_TEXT_MAX; i++) {
		const struct port *link = vswitch->list[i];

		if (link->home == port->index && link != port)
			used += (size_t)snprintf(where + used, PORT_TEXT_MAX - used, "%s%s",
						 used ? "+" : "", link->name);
	}
	snprintf(state, PORT_TEXT_MAX, "%s", port_is_up(port) ? "up" : "down");
	snprintf(features, PORT_TEXT_MAX, "%s", bond_mode_name(port->config.bond.mode));
}

static void destroy_bond(struct port *port)
{
	free(port->bond);
}

static const struct port_ops bond_ops = {
	.type = "bond",
	.attach = attach_bond,
	.receive = receive_nothing,
	.release = release_nothing,
	.transmit = transmit_nothing,
	.describe = describe_bond,
	.destroy = destroy_bond,
};

int vswitch_add_port_bond(struct vswitch *vswitch, const char *name,
			  const struct port_config *config, struct error *error)
{
	struct bond *bond = calloc(1, sizeof(*bond));
	int rc = bond ? bond_begin(vswitch, error)
		      : error_set(error, -ENOMEM, "port %s: out of memory", name);

	if (rc) {
		free(bond);
		return rc;
	}
	bond->port.ops = &bond_ops;
	bond->port.bond = bond;
	return vswitch_add_port_as(vswitch, &bond->port, name, config, error);
}
