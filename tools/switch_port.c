/* SPDX-License-Identifier: BSD-2-Clause */
/* The ports of a switch as --port describes them; see switch_port.h. */
#include "tools/switch_port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/switch.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "vswitch/switch.h"

#define SPEC_SHOWN 120 /* of a port as it was described */

void port_spec_free(struct port_spec *spec)
{
	free(spec->copy);
	free(spec->tunnel);
	port_dhcp_free(spec);
}

/* What is no port at all is told of all that could be. */
static int bad_spec(struct error *error, const struct port_type *type, const char *spec,
		    const char *found)
{
	char forms[1024] = "";
	size_t used = 0;

	for (const struct port_type *each = type ? type : port_types; each->name; each++) {
		used += (size_t)snprintf(forms + used, sizeof(forms) - used, "%sPORT=%s",
					 !used          ? ""
					 : each[1].name ? ", "
							: " or ",
					 each->form);
		if (type || used >= sizeof(forms))
			break;
	}
	return error_set(error, -EINVAL, "port %s: found \"%s\", expected %s", spec, found, forms);
}

static const struct port_type *find_type(const char *name)
{
	const struct port_type *type = port_types;

	while (type->name && strcmp(type->name, name))
		type++;
	return type->name ? type : NULL;
}

static int parse_type(struct port_spec *out, const char *spec, char *type, struct error *error)
{
	CLEANUP_FREE char *whole = strdup(type);
	char *colon = strchr(type, ':');
	int rc;

	if (!whole)
		return -ENOMEM;
	if (colon)
		*colon++ = '\0';
	out->argument = colon;
	out->type = find_type(type);
	if (!out->type)
		return bad_spec(error, NULL, spec, whole);
	rc = out->type->parse(out, error);
	return rc == -ENOTSUP ? bad_spec(error, out->type, spec, whole) : rc;
}

static int take_shape(struct port_spec *out, const char *option, struct error *error)
{
	struct link_model unused = { 0 };

	out->shapes[switch_shape_direction(option) == LINK_OUT] = option;
	return switch_shape_change(&unused, option, error);
}

static int parse_option(struct port_spec *out, char *option, const char **said, struct error *error)
{
	int rc = port_config_agree(said, option, error);

	if (rc)
		return rc;
	if (port_config_knows(option))
		return port_config_set(&out->config, option, error);
	if (switch_shape_direction(option))
		return take_shape(out, option, error);
	rc = out->type->option ? out->type->option(out, option, error) : -ENOTSUP;
	if (rc != -ENOTSUP)
		return rc;
	return error_set(
		error, -EINVAL,
		"option \"%.60s\": expected %svlan=, trunk=, native=, dot1q-tunnel=, cvlans=, "
		"tag-type=, "
		"isolate=, addresses=, broadcast=, multicast=, unknown=, police-in=, police-out=, "
		"shape-in=, shape-out=, reserved=, stp...= or bond...=",
		option, out->type->options);
}

int port_spec_parse(struct port_spec *out, const char *spec, struct error *error)
{
	char *rest, *type, *option;
	const char *said = NULL;
	int rc;

	*out = (struct port_spec){ .copy = strdup(spec) };
	if (!out->copy)
		return error_set(error, -ENOMEM, "port: out of memory");
	rest = strchr(out->copy, '=');
	if (!rest)
		return bad_spec(error, NULL, spec, spec);
	*rest++ = '\0';
	out->name = out->copy;
	type = strsep(&rest, ",");
	rc = vswitch_check_port_name(out->name, error);
	if (!rc)
		rc = parse_type(out, spec, type, error);
	while (!rc && (option = strsep(&rest, ",")))
		rc = parse_option(out, option, &said, error);
	if (!rc && out->type->check)
		rc = out->type->check(out, error);
	if (!rc || !strncmp(error->text, "port ", 5))
		return rc;
	/* What is wrong has to find room behind it. */
	error_prefix(error, "port %.*s%s", SPEC_SHOWN, spec,
		     strlen(spec) > SPEC_SHOWN ? "..." : "");
	return -EINVAL;
}

static bool needs_socket(const struct port_spec *spec)
{
	return spec->type->own_socket && !spec->argument;
}

/* ---- Paths ---- */

/* The path in a piece between two commas that begins at no root; NULL: there is none. */
static const char *relative_path(const char *piece, bool is_type)
{
	static const struct {
		const char *before;
		bool of_type, has_slash;
	} forms[] = {
		{ "vde:", true, false },        { "pcap:", true, false },
		{ "vhost-user:", true, false }, { "qemu-stream:", true, false },
		{ "qemu-dgram:", true, false }, { "record=", false, false },
		{ "remote=", false, false },    { "leases=", false, false },
		{ "netns=", false, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		const char *path = piece + strlen(forms[i].before);

		if (forms[i].of_type != is_type ||
		    strncmp(piece, forms[i].before, strlen(forms[i].before)) != 0)
			continue;
		if (!*path || *path == '/' || !strncmp(path, "tcp:", 4) ||
		    !strncmp(path, "udp:", 4) || (forms[i].has_slash && !strchr(path, '/')))
			return NULL;
		return path;
	}
	return NULL;
}

char *switch_path_from_root(const char *path)
{
	CLEANUP_FREE char *here = *path == '/' ? NULL : getcwd(NULL, 0);
	char *whole;

	if (!here)
		return strdup(path);
	return asprintf(&whole, "%s/%s", here, path) < 0 ? NULL : whole;
}

char *switch_port_from_root(const char *spec, struct error *error)
{
	CLEANUP_FREE char *copy = strdup(spec), *here = getcwd(NULL, 0);
	char *rest = copy, *piece, *out = NULL;
	const char *path;
	size_t length;
	FILE *stream = open_memstream(&out, &length);
	bool moved = false, has_paths = true;

	if (stream && copy) {
		if (strchr(copy, '='))
			fprintf(stream, "%s=", strsep(&rest, "="));
		for (bool is_type = true; (piece = strsep(&rest, ",")); is_type = false) {
			/* The remotes of these are hosts. */
			if (is_type)
				has_paths =
					strncmp(piece, "vxlan", 5) && strncmp(piece, "geneve", 6);
			path = has_paths ? relative_path(piece, is_type) : NULL;
			moved |= path != NULL;
			fprintf(stream, "%s%.*s%s%s%s", is_type ? "" : ",",
				path ? (int)(path - piece) : 0, piece, path && here ? here : "",
				path ? "/" : "", path ? path : piece);
		}
	}
	if (!stream || fclose(stream) || !copy) {
		error_set(error, -ENOMEM, "port: out of memory");
	} else if (moved && (!here || strchr(here, ','))) {
		error_set(error, -EINVAL, "%s: a path in it is relative to a working directory %s",
			  spec, here ? "with a comma in its name" : "that cannot be told");
		error_advise(error, "give it from the root (/...), or from another directory");
	} else {
		return out;
	}
	free(out);
	return NULL;
}

bool switch_needs_sockets(const struct cli_words *specs)
{
	bool needed = false;

	for (unsigned i = 0; i < specs->count; i++) {
		struct error unused = { 0 };
		struct port_spec spec;

		if (!port_spec_parse(&spec, specs->words[i], &unused))
			needed |= needs_socket(&spec);
		port_spec_free(&spec);
	}
	return needed;
}

/* Whether a port can be beside an earlier one, which was parsed without a fault. */
static int check_pair(const struct port_spec *spec, const char *text, const char *earlier,
		      struct error *error)
{
	struct port_spec other;
	int rc = port_spec_parse(&other, earlier, error);

	if (!rc && !strcmp(spec->name, other.name))
		rc = error_set(error, -EEXIST, "port %s: the name \"%s\" is given twice", text,
			       spec->name);
	else if (!rc && spec->owns && other.owns && spec->type == other.type &&
		 !strcmp(spec->owns, other.owns))
		rc = error_set(error, -EEXIST, "port %s: %s is the one of port %s already", text,
			       spec->owns, other.name);
	port_spec_free(&other);
	return rc;
}

int switch_check_ports(const struct cli_words *specs, struct error *error)
{
	int rc = 0;

	if (specs->count > VSWITCH_PORTS_MAX)
		return error_set(error, -EINVAL, "%u ports: a switch has at most %d", specs->count,
				 VSWITCH_PORTS_MAX);
	for (unsigned i = 0; i < specs->count && !rc; i++) {
		struct port_spec spec;

		rc = port_spec_parse(&spec, specs->words[i], error);
		for (unsigned j = 0; j < i && !rc; j++)
			rc = check_pair(&spec, specs->words[i], specs->words[j], error);
		port_spec_free(&spec);
	}
	return rc;
}

/* None without the other: a port that is not as it was asked for is none. */
static int add_shapes(struct vswitch *vswitch, const struct port_spec *spec, struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; i < 2 && !rc; i++) {
		struct link_model model = { 0 };

		if (!spec->shapes[i])
			continue;
		rc = switch_shape_change(&model, spec->shapes[i], error);
		if (!rc)
			rc = vswitch_set_link(vswitch, spec->name, i ? LINK_OUT : LINK_IN, &model,
					      error);
	}
	if (rc)
		vswitch_remove_port(vswitch, spec->name, NULL);
	return rc;
}

int switch_add_port(struct vswitch *vswitch, const char *text, const struct socket_options *sockets,
		    struct error *error)
{
	CLEANUP_FREE char *path = NULL;
	struct port_spec spec;
	int rc = port_spec_parse(&spec, text, error);

	if (!rc && needs_socket(&spec)) {
		if (!sockets->directory)
			rc = error_set(error, -EINVAL,
				       "port %s: the switch was started without --socket-dir, and "
				       "has no place "
				       "for its socket",
				       spec.name);
		else if (asprintf(&path, "%s/%s.sock", sockets->directory, spec.name) < 0)
			rc = error_set(error, -ENOMEM, "port %s: out of memory", spec.name);
	}
	if (!rc)
		rc = spec.type->add(vswitch, &spec, path, sockets, error);
	if (!rc)
		rc = add_shapes(vswitch, &spec, error);
	port_spec_free(&spec);
	return rc;
}
