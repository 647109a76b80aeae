/* SPDX-License-Identifier: BSD-2-Clause */
/* See port_mirror.h. */
#include "vswitch/port_mirror.h"

#include <string.h>

#include "vswitch/bond.h"
#include "vswitch/internal.h"

/* ---- Who looks at what ---- */

void port_mirrors_refresh(struct vswitch *vswitch)
{
	for (unsigned i = 0; i < vswitch->port_count; i++)
		vswitch->list[i]->mirror_only = false;
	for (unsigned i = 0; i < vswitch->mirrors.count; i++) {
		struct port_mirror *mirror = &vswitch->mirrors.list[i];

		mirror->port = mirror->options.to[0]
				       ? vswitch_find_port(vswitch, mirror->options.to)
				       : NULL;
		if (!mirror->port || mirror->options.shared)
			continue;
		mirror->port->mirror_only = true;
		mac_table_flush_port(vswitch->table, mirror->port->index);
	}
}

static unsigned ways_of(const struct port_mirror_options *options, const struct port *port)
{
	const char *name = bond_of(port)->name; /* what comes to a bond comes by its links */

	if (!options->source_count)
		return strcmp(options->to, name) ? PORT_WAY(PORT_IN) : 0;
	for (unsigned i = 0; i < options->source_count; i++)
		if (!strcmp(options->sources[i].port, name))
			return options->sources[i].ways;
	return 0;
}

void port_mirrors_put(struct vswitch *vswitch, const struct port *port, enum port_way way,
		      struct checkpoint *checkpoint)
{
	for (unsigned i = 0; i < vswitch->mirrors.count; i++) {
		struct port_mirror *mirror = &vswitch->mirrors.list[i];

		/* And what leaves was looked at before a link was chosen. */
		if (way == PORT_OUT && bond_is_link(port))
			continue;
		if (ways_of(&mirror->options, port) & PORT_WAY(way) && !bond_of(port)->mirror_only)
			checkpoint->mirrors[checkpoint->mirror_count++] = mirror;
	}
}
