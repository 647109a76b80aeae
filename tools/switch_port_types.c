/* SPDX-License-Identifier: BSD-2-Clause */
/* The types of ports that --port knows; see switch_port.h. */
#include <errno.h>
#include <string.h>

#include "netdev/link.h"
#include "tools/switch.h"
#include "tools/switch_port.h"
#include "util/error.h"
#include "vswitch/port_datagram.h"
#include "vswitch/port_stream.h"
#include "vswitch/switch.h"

/* ---- vhost-user ---- */

static int no_argument(struct port_spec *spec, struct error *error)
{
	(void)error;
	return spec->argument ? -ENOTSUP : 0;
}

static int vhost_user_add(struct vswitch *vswitch, const struct port_spec *spec, const char *path,
			  const struct socket_options *sockets, struct error *error)
{
	struct vswitch_vhost_user_options options = { .access = &sockets->access,
						      .config = &spec->config };

	return vswitch_add_port_vhost_user(vswitch, spec->name, path, &options, error);
}

/* ---- tap ---- */

static int interface_parse(struct port_spec *spec, struct error *error)
{
	if (!spec->argument || !*spec->argument)
		return -ENOTSUP;
	spec->owns = spec->argument;
	return link_check_name(spec->argument, error);
}

static int tap_option(struct port_spec *spec, char *option, struct error *error)
{
	(void)error;
	if (strcmp(option, "plain"))
		return -ENOTSUP;
	spec->plain = true;
	return 0;
}

static int tap_add(struct vswitch *vswitch, const struct port_spec *spec, const char *path,
		   const struct socket_options *sockets, struct error *error)
{
	struct vswitch_tap_options options = { .plain = spec->plain, .config = &spec->config };

	(void)path, (void)sockets;
	return vswitch_add_port_tap(vswitch, spec->name, spec->argument, &options, error);
}

/* ---- qemu-stream ---- */

static int stream_parse(struct port_spec *spec, struct error *error)
{
	if (!spec->argument)
		return 0;
	spec->owns = spec->argument;
	return endpoint_parse(&spec->endpoint, spec->argument, "tcp", error);
}

static int stream_option(struct port_spec *spec, char *option, struct error *error)
{
	(void)error;
	if (strcmp(option, "client"))
		return -ENOTSUP;
	spec->client = true;
	spec->owns = NULL;
	return 0;
}

static int stream_check(struct port_spec *spec, struct error *error)
{
	if (spec->client && !spec->argument)
		return error_set(error, -EINVAL,
				 "option \"client\": expected an address to connect to, as in "
				 "qemu-stream:PATH,client");
	return 0;
}

static int stream_add(struct vswitch *vswitch, const struct port_spec *spec, const char *path,
		      const struct socket_options *sockets, struct error *error)
{
	struct endpoint endpoint = spec->endpoint;
	struct vswitch_stream_options options = { .endpoint = &endpoint,
						  .client = spec->client,
						  .access = &sockets->access,
						  .config = &spec->config };
	int rc = path ? endpoint_parse(&endpoint, path, "tcp", error) : 0;

	return rc ? rc : vswitch_add_port_stream(vswitch, spec->name, &options, error);
}

/* ---- qemu-dgram ---- */

#define REMOTE "remote="

static int datagram_parse(struct port_spec *spec, struct error *error)
{
	if (!spec->argument)
		return 0;
	spec->owns = spec->argument;
	return endpoint_parse(&spec->endpoint, spec->argument, "udp", error);
}

static int datagram_option(struct port_spec *spec, char *option, struct error *error)
{
	if (strncmp(option, REMOTE, strlen(REMOTE)))
		return -ENOTSUP;
	return endpoint_parse(&spec->remote, option + strlen(REMOTE), "udp", error);
}

static int datagram_check(struct port_spec *spec, struct error *error)
{
	const struct endpoint *local = &spec->endpoint, *remote = &spec->remote;

	if (!remote->length)
		return error_set(error, -EINVAL,
				 "option \"remote=\" is missing: where the other end receives");
	if ((spec->argument ? local->address.any.sa_family : AF_UNIX) !=
	    remote->address.any.sa_family)
		return error_set(
			error, -EINVAL,
			"remote=%s: expected an address of the same kind as the port's own",
			remote->text);
	return 0;
}

static int datagram_add(struct vswitch *vswitch, const struct port_spec *spec, const char *path,
			const struct socket_options *sockets, struct error *error)
{
	struct endpoint local = spec->endpoint;
	struct vswitch_datagram_options options = { .local = &local,
						    .remote = &spec->remote,
						    .config = &spec->config };
	int rc = path ? endpoint_parse(&local, path, "udp", error) : 0;

	(void)sockets;
	return rc ? rc : vswitch_add_port_datagram(vswitch, spec->name, &options, error);
}

const struct port_type port_types[] = {
	{ "vhost-user", "vhost-user", "", true, no_argument, NULL, NULL, vhost_user_add },
	{ "tap", "tap:IFNAME", "\"plain\", ", false, interface_parse, tap_option, NULL, tap_add },
	{ "qemu-stream", "qemu-stream[:PATH|:tcp:HOST:PORT]", "\"client\", ", true, stream_parse,
	  stream_option, stream_check, stream_add },
	{ "qemu-dgram", "qemu-dgram[:PATH|:udp:HOST:PORT],remote=ADDRESS", "remote=, ", true,
	  datagram_parse, datagram_option, datagram_check, datagram_add },
	{ NULL },
};
