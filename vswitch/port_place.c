/* SPDX-License-Identifier: BSD-2-Clause */
/* See port_place.h. */
#include "vswitch/port_place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "netdev/link.h"
#include "util/error.h"
#include "vswitch/internal.h"
#include "vswitch/port_link.h"

int port_check_place(const struct port *port, const struct link_place *own, struct error *error)
{
	const struct vswitch *vswitch = port->vswitch;
	struct link_place others;

	for (unsigned i = 0; i < vswitch->port_count; i++) {
		struct port *lower = port_link_lower(vswitch->list[i]);
		struct port *other = lower ? lower : vswitch->list[i];

		if (other == port || !other->ops->place || !other->ops->place(other, &others) ||
		    !link_place_same(own, &others))
			continue;
		return error_set(error, -EBUSY,
				 "switch %s: port %s: interface %s is port %s's already",
				 vswitch->name, port->name, own->name, other->name);
	}
	return 0;
}

void port_place_text(struct port *port, const char *name, char where[PORT_TEXT_MAX])
{
	struct link_place now = { 0 };

	/* What it is called is known to those, too, who are not told of which namespace it is. */
	(void)port->ops->place(port, &now);
	if (!now.name[0] || !strcmp(now.name, name))
		snprintf(where, PORT_TEXT_MAX, "%s", name);
	else
		snprintf(where, PORT_TEXT_MAX, "%s (now %s)", name, now.name);
}
