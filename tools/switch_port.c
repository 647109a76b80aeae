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

/* PORT=vhost-user, or PORT=tap:IFNAME[,plain], and settings (port_config.h) behind it. */
struct port_spec {
	char *copy; /* of the whole, cut into pieces */
	const char *name;
	const char *ifname; /* of a TAP; NULL: a vhost-user socket */
	bool plain;
	struct port_config config;
};

static void spec_free(struct port_spec *spec)
{
	free(spec->copy);
}

static int bad_spec(struct error *error, const char *spec, const char *found)
{
	return error_set(error, -EINVAL,
			 "--port %s: found \"%s\", expected PORT=vhost-user or PORT=tap:IFNAME",
			 spec, found);
}

static int parse_type(struct port_spec *out, const char *spec, const char *type,
		      struct error *error)
{
	if (!strcmp(type, VHOST_USER))
		return 0;
	if (strncmp(type, TAP, strlen(TAP)) || !type[strlen(TAP)])
		return bad_spec(error, spec, type);
	out->ifname = type + strlen(TAP);
	return link_check_name(out->ifname, error);
}

static int parse_option(struct port_spec *out, const char *option, struct error *error)
{
	if (port_config_knows(option))
		return port_config_set(&out->config, option, error);
	if (out->ifname && !strcmp(option, "plain")) {
		out->plain = true;
		return 0;
	}
	return error_set(error, -EINVAL,
			 "option \"%.60s\": expected %svlan=, trunk=, native=, "
			 "isolate=, addresses=, broadcast=, multicast= or unknown=",
			 option, out->ifname ? "\"plain\", " : "");
}

static int parse(struct port_spec *out, const char *spec, struct error *error)
{
	char *rest, *type, *option;
	int rc;

	*out = (struct port_spec){ .copy = strdup(spec) };
	if (!out->copy)
		return -ENOMEM;
	rest = strchr(out->copy, '=');
	if (!rest)
		return bad_spec(error, spec, spec);
	*rest++ = '\0';
	out->name = out->copy;
	type = strsep(&rest, ",");
	rc = vswitch_check_port_name(out->name, error);
	if (!rc)
		rc = parse_type(out, spec, type, error);
	while (!rc && (option = strsep(&rest, ",")))
		rc = parse_option(out, option, error);
	if (!rc || !strncmp(error->text, "--port", 6))
		return rc;
	error_prefix(error, "--port %s", spec);
	return -EINVAL;
}

bool switch_needs_sockets(const struct cli_words *specs)
{
	bool needed = false;

	for (unsigned i = 0; i < specs->count; i++) {
		const char *kind = strchr(specs->words[i], '=');

		needed |= kind && !strncmp(kind + 1, VHOST_USER, strlen(VHOST_USER));
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
	struct vswitch_vhost_user_options vhost_user = { .access = &sockets->access };
	struct vswitch_tap_options options = { 0 };
	CLEANUP_FREE char *path = NULL;
	struct port_spec spec;
	int rc = parse(&spec, text, error);

	options.plain = spec.plain;
	options.config = vhost_user.config = &spec.config;
	if (!rc && spec.ifname)
		rc = vswitch_add_port_tap(vswitch, spec.name, spec.ifname, &options, error);
	else if (!rc && !sockets->directory)
		rc = error_set(
			error, -EINVAL,
			"port %s: the switch was started without --socket-dir, and has no place "
			"for its socket",
			spec.name);
	else if (!rc && asprintf(&path, "%s/%s.sock", sockets->directory, spec.name) < 0)
		rc = -ENOMEM;
	else if (!rc)
		rc = vswitch_add_port_vhost_user(vswitch, spec.name, path, &vhost_user, error);
	spec_free(&spec);
	return rc;
}
