/* SPDX-License-Identifier: BSD-2-Clause */
/* The ports of a switch as --port describes them; see switch.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netdev/link.h"
#include "tools/switch.h"
#include "util/cleanup.h"
#include "vswitch/switch.h"

#define VHOST_USER "vhost-user"
#define TAP        "tap:"

/* NAME=vhost-user, or NAME=tap:IFNAME[,plain]. */
struct port_spec {
	char *copy; /* of the whole, cut into pieces */
	const char *name;
	const char *ifname; /* of a TAP; NULL: a vhost-user socket */
	bool plain;
};

static void spec_free(struct port_spec *spec)
{
	free(spec->copy);
}

static int bad_spec(struct error *error, const char *spec, const char *found)
{
	return error_set(error, -EINVAL,
			 "--port %s: found \"%s\", expected NAME=vhost-user or NAME=tap:IFNAME",
			 spec, found);
}

static int parse_tap(struct port_spec *out, const char *spec, char *ifname, struct error *error)
{
	char *comma = strchr(ifname, ',');

	if (comma) {
		*comma = '\0';
		if (strcmp(comma + 1, "plain"))
			return error_set(error, -EINVAL,
					 "--port %s: TAP option \"%s\": expected \"plain\" or none",
					 spec, comma + 1);
		out->plain = true;
	}
	if (!*ifname)
		return bad_spec(error, spec, TAP);
	if (link_check_name(ifname, error)) {
		error_prefix(error, "--port %s", spec);
		return -EINVAL;
	}
	out->ifname = ifname;
	return 0;
}

static int parse(struct port_spec *out, const char *spec, struct error *error)
{
	char *kind;

	*out = (struct port_spec){ .copy = strdup(spec) };
	if (!out->copy)
		return -ENOMEM;
	kind = strchr(out->copy, '=');
	if (!kind)
		return bad_spec(error, spec, spec);
	*kind++ = '\0';
	out->name = out->copy;
	if (vswitch_check_port_name(out->name, error)) {
		error_prefix(error, "--port %s", spec);
		return -EINVAL;
	}
	if (!strcmp(kind, VHOST_USER))
		return 0;
	if (!strncmp(kind, TAP, strlen(TAP)))
		return parse_tap(out, spec, kind + strlen(TAP), error);
	return bad_spec(error, spec, kind);
}

bool switch_needs_sockets(const struct cli_words *specs)
{
	bool needed = false;

	for (unsigned i = 0; i < specs->count; i++) {
		const char *kind = strchr(specs->words[i], '=');

		needed |= kind && !strcmp(kind + 1, VHOST_USER);
	}
	return needed;
}

/* Whether a port can be beside an earlier one, which was parsed without a fault. */
static int check_pair(const struct port_spec *spec, const char *text, const char *earlier,
		      struct error *error)
{
	struct port_spec other;
	int rc = parse(&other, earlier, error);

	if (!rc && !strcmp(spec->name, other.name))
		rc = error_set(error, -EEXIST, "--port %s: the name \"%s\" is given twice", text,
			       spec->name);
	else if (!rc && spec->ifname && other.ifname && !strcmp(spec->ifname, other.ifname))
		rc = error_set(error, -EEXIST,
			       "--port %s: interface %s is the one of port %s already", text,
			       spec->ifname, other.name);
	spec_free(&other);
	return rc;
}

int switch_check_ports(const struct cli_words *specs, struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; i < specs->count && !rc; i++) {
		struct port_spec spec;

		rc = parse(&spec, specs->words[i], error);
		for (unsigned j = 0; j < i && !rc; j++)
			rc = check_pair(&spec, specs->words[i], specs->words[j], error);
		spec_free(&spec);
	}
	return rc;
}

int switch_add_port(struct vswitch *vswitch, const char *text, const struct socket_options *sockets,
		    struct error *error)
{
	struct vswitch_tap_options options = { 0 };
	CLEANUP_FREE char *path = NULL;
	struct port_spec spec;
	int rc = parse(&spec, text, error);

	options.plain = spec.plain;
	if (!rc && spec.ifname)
		rc = vswitch_add_port_tap(vswitch, spec.name, spec.ifname, &options, error);
	else if (!rc && asprintf(&path, "%s/%s.sock", sockets->directory, spec.name) < 0)
		rc = -ENOMEM;
	else if (!rc)
		rc = vswitch_add_port_vhost_user(vswitch, spec.name, path, &sockets->access, error);
	spec_free(&spec);
	return rc;
}
