/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a spanning tree hears BPDUs, which users' choices for reserved addresses (reserved.h) can keep from it; see stp.h. */
#include <errno.h>

#include "util/error.h"
#include "vswitch/bond.h"
#include "vswitch/internal.h"
#include "vswitch/stp.h"

static const char *deaf_by(enum reserved_choice choice)
{
	return choice == RESERVED_FLOOD ? "flooded" : choice == RESERVED_DROP ? "dropped" : NULL;
}

static int check_hears(const struct vswitch *vswitch, const struct reserved_choices *choices,
		       const char *name, const struct port_config *config, struct error *error)
{
	bool provider = port_config_is_provider(config);
	const char *how = deaf_by(reserved_choice_of_bpdus(&config->reserved, choices, provider));

	if (config->stp.off || !how)
		return 0;
	error_set(error, -EINVAL,
		  "switch %s: port %s: reserved: BPDUs (01:80:C2:00:00:0%c) would be %s, not heard "
		  "by "
		  "the switch's spanning tree, which makes loops: expected stp=handle",
		  vswitch->name, name, provider ? '8' : '0', how);
	return error_advise(
		error,
		"`tenon switch port set %s %s reserved=stp:handle` has them heard, "
		"stp=off keeps the port out of the tree, `tenon switch stp %s off` ends it",
		vswitch->name, name, vswitch->name);
}

int stp_check_heard(const struct vswitch *vswitch, const struct reserved_choices *choices,
		    struct error *error)
{
	const struct reserved_choices nothing = { 0 };
	const char *how = deaf_by(reserved_choice_of_bpdus(&nothing, choices, false));

	/* As a port that comes, and says nothing, would have it. */
	if (how) {
		error_set(
			error, -EINVAL,
			"switch %s: reserved: BPDUs (01:80:C2:00:00:00) would be %s, not heard by "
			"the switch's spanning tree, which makes loops: expected stp=handle",
			vswitch->name, how);
		return error_advise(
			error,
			"`tenon switch reserved %s stp=handle` has them heard, `tenon switch stp "
			"%s off` ends the tree; a port with stp=off may have reserved=stp:%s",
			vswitch->name, vswitch->name, *how == 'f' ? "flood" : "drop");
	}
	for (unsigned i = 0; i < vswitch->port_count; i++) {
		const struct port *port = vswitch->list[i];

		if (!bond_is_link(port) &&
		    check_hears(vswitch, choices, port->name, &port->config, error))
			return -EINVAL;
	}
	return 0;
}

int stp_check_reserved(const struct vswitch *vswitch, const struct reserved_choices *choices,
		       struct error *error)
{
	return protocol_find(vswitch, STP_PROTOCOL) ? stp_check_heard(vswitch, choices, error) : 0;
}

int stp_check_port(const struct vswitch *vswitch, const char *name,
		   const struct port_config *config, struct error *error)
{
	/* A link has what its bond has. */
	if (!config || config->bond.of[0] || !protocol_find(vswitch, STP_PROTOCOL))
		return 0;
	return check_hears(vswitch, &vswitch->reserved, name, config, error);
}
