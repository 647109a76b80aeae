/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports become links of bonds, and are none any more; what a user may set and what not; see bond.h. All of it in calls. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "vswitch/bond.h"
#include "vswitch/internal.h"

/* ---- What may be ---- */

int bond_refuse_link(const struct port *port, const char *what, struct error *error)
{
	if (!bond_is_link(port))
		return 0;
	return error_set(error, -EINVAL, "port %s: it is a link of bond %s, which %s are for",
			 port->name, bond_of(port)->name, what);
}

int bond_refuse_bond(const struct port *port, const char *what, struct error *error)
{
	if (!port->bond)
		return 0;
	return error_set(error, -EINVAL, "port %s: it is a bond: %s are for each of its links",
			 port->name, what);
}

/* What is said of the port besides; a link has all that from its bond. */
static int check_alone(const struct port *port, const struct port_config *config,
		       struct error *error)
{
	struct port_config rest = *config;
	char text[PORT_CONFIG_TEXT];

	rest.bond = (struct bond_config){ 0 };
	memset(rest.police, 0, sizeof(rest.police));
	port_config_describe(&rest, text, sizeof(text));
	if (text[0])
		return error_set(error, -EINVAL,
				 "port %s: %.100s: a link has the settings of its bond: give them "
				 "to %s",
				 port->name, text, config->bond.of);
	return 0;
}

/* A mirror looks at bonds, and copies go to them: as all frames do. */
static int check_mirrors(const struct vswitch *vswitch, const struct port *port, const char *bond,
			 struct error *error)
{
	for (unsigned i = 0; i < vswitch->mirrors.count; i++) {
		const struct port_mirror_options *options = &vswitch->mirrors.list[i].options;
		bool found = !strcmp(options->to, port->name);

		for (unsigned k = 0; k < options->source_count; k++)
			found |= !strcmp(options->sources[k].port, port->name);
		if (found)
			return error_set(error, -EBUSY,
					 "port %s: it cannot become a link: mirror %s has it; "
					 "bond %s can be in its place there",
					 port->name, options->name, bond);
	}
	return 0;
}

/* Addresses that a user put there, which would be forgotten. */
static int check_addresses(const struct vswitch *vswitch, const struct port *port, const char *bond,
			   struct error *error)
{
	struct mac_entry first;
	int found = port_static_addresses(port, NULL, &first);

	if (found < 0)
		return error_set(error, -ENOMEM, "port %s: out of memory", port->name);
	if (!found)
		return 0;
	error_set(error, -EBUSY,
		  "port %s: it cannot become a link: %d static address%s at it, and those of links "
		  "are at their bond",
		  port->name, found, found > 1 ? "es are" : " is");
	error_advise(error,
		     "remove what `tenon switch table list %s` shows as static there, and add it "
		     "at %s",
		     vswitch->name, bond);
	return -EBUSY;
}

static int check_link(const struct vswitch *vswitch, const struct port *port,
		      const struct port_config *config, struct error *error)
{
	const char *name = config->bond.of;
	const struct port *bond = vswitch_find_port(vswitch, name);
	unsigned count = 0;
	int rc;

	if (!bond) {
		error_set(error, -ENOENT, "port %s: bond %s: there is none of that name",
			  port->name, name);
		error_advise(error, "`tenon switch lacp %s add %s` makes it", vswitch->name, name);
		return -ENOENT;
	}
	if (!bond->bond || port->bond || port->encloses)
		return error_set(error, -EINVAL, "port %s: it cannot be a link of %s: %s",
				 port->name, name,
				 !bond->bond  ? "that is no bond"
				 : port->bond ? "it is a bond itself"
					      : "it is a tunnel");
	for (unsigned i = 0; i < vswitch->port_count; i++)
		count += vswitch->list[i]->home == bond->index && vswitch->list[i] != bond &&
			 vswitch->list[i] != port;
	if (count >= BOND_LINKS_MAX)
		return error_set(error, -ENOSPC, "port %s: bond %s has %d links, no more fit",
				 port->name, name, BOND_LINKS_MAX);
	rc = check_alone(port, config, error);
	if (!rc)
		rc = check_mirrors(vswitch, port, name, error);
	return rc || vswitch_find_port(vswitch, port->name) != port
		       ? rc
		       : check_addresses(vswitch, port, name, error);
}

/* One that is named is a link; what was named once may have left since, or, of a new bond, not be there yet. */
static int check_primary(const struct vswitch *vswitch, const struct port *port,
			 const struct bond_config *config, struct error *error)
{
	const char *name = config->primary;
	const struct port *link = vswitch_find_port(vswitch, name);

	if (!name[0] || !strcmp(name, port->config.bond.primary) ||
	    vswitch_find_port(vswitch, port->name) != port ||
	    (link && link != port && link->home == port->index))
		return 0;
	error_set(error, -ENOENT, "port %s: bond-primary=%s: %s", port->name, name,
		  link ? "that port is no link of this bond" : "there is no port of that name");
	error_advise(error, "`tenon switch lacp %s show %s` shows its links", vswitch->name,
		     port->name);
	return -ENOENT;
}

int bond_check_port(const struct vswitch *vswitch, const struct port *port,
		    const struct port_config *config, struct error *error)
{
	if (!config)
		return 0;
	if (!port->bond && bond_config_is_of_bond(&config->bond))
		return error_set(
			error, -EINVAL,
			"port %s: bond-...=: these are settings of a bond, which it is not",
			port->name);
	if (config->police[0].rate || config->police[1].rate) {
		int rc = bond_refuse_bond(port, "rates", error);

		if (rc)
			return rc;
	}
	if (port->bond && check_primary(vswitch, port, &config->bond, error))
		return -ENOENT;
	return config->bond.of[0] ? check_link(vswitch, port, config, error) : 0;
}

int bond_check_idle(const struct port *port, struct error *error)
{
	const struct vswitch *vswitch = port->vswitch;

	for (unsigned i = 0; port->bond && i < vswitch->port_count; i++) {
		const struct port *link = vswitch->list[i];

		if (link == port || link->home != port->index)
			continue;
		error_set(error, -EBUSY, "switch %s: bond %s: port %s is a link of it",
			  vswitch->name, port->name, link->name);
		error_advise(error, "`tenon switch port set %s %s bond=none` has it leave",
			     vswitch->name, link->name);
		return -EBUSY;
	}
	return 0;
}

/* ---- Settings ---- */

void bond_own_config(const struct port *port, struct port_config *config)
{
	*config = port->config;
	if (!bond_is_link(port))
		return;
	*config = (struct port_config){ .bond = port->config.bond };
	memcpy(config->police, port->config.police, sizeof(config->police));
}

/* A link has what its bond has, but for what makes it a link. */
static void inherit(struct port *link, const struct port_config *own)
{
	struct port_config config = bond_of(link)->config;

	config.bond = own->bond;
	memcpy(config.police, own->police, sizeof(config.police));
	port_apply_config(link, &config);
}

/* Other protocols than those of the wire do not know it any more, and know it again. */
static void set_home(struct port *port, uint16_t home)
{
	struct vswitch *vswitch = port->vswitch;

	if (port->home == home)
		return;
	if (!bond_is_link(port)) {
		protocols_port_hidden(vswitch, port);
		port_forget(port);
		mac_table_drop_port(vswitch->table, port->index);
	}
	bond_drop_link(vswitch, port->index);
	port->home = home;
	port->recent_source = port->recent_destination = (struct mac_recent){ 0 };
	protocols_port_shown(vswitch, port);
	if (bond_is_link(port))
		capture_sessions_port_joins(vswitch, port);
	checkpoint_refresh(vswitch);
}

uint16_t bond_home(const struct port *port, const struct port_config *config)
{
	return config && config->bond.of[0]
		       ? vswitch_find_port(port->vswitch, config->bond.of)->index
		       : port->index;
}

void bond_configure_port(struct port *port, const struct port_config *config)
{
	struct vswitch *vswitch = port->vswitch;
	struct port_config own = *config;

	if (own.bond.of[0]) {
		set_home(port, bond_home(port, &own));
		inherit(port, &own);
		return;
	}
	port_apply_config(port, &own);
	set_home(port, port->index);
	for (unsigned i = 0; port->bond && i < vswitch->port_count; i++) {
		struct port *link = vswitch->list[i];
		struct port_config of_link = link->config;

		if (link != port && link->home == port->index)
			inherit(link, &of_link);
	}
	if (port->bond)
		bond_settle(port->bond);
}

void bond_port_goes(struct port *port)
{
	struct vswitch *vswitch = port->vswitch;

	for (unsigned i = 0; port->bond && i < vswitch->port_count; i++) {
		struct port *link = vswitch->list[i];

		if (link != port && link->home == port->index)
			set_home(link, link->index);
	}
}

uint64_t bond_speed(const struct port *port, uint64_t (*speed_of)(const struct port *port))
{
	const struct vswitch *vswitch = port->vswitch;
	uint64_t speed = 0;

	for (unsigned i = 0; i < vswitch->port_count; i++) {
		const struct port *link = vswitch->list[i];

		if (link != port && link->home == port->index)
			speed += speed_of(link);
	}
	return speed;
}
