/* SPDX-License-Identifier: BSD-2-Clause */
/* The types of ports that --port knows; see switch_port.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netdev/link.h"
#include "netdev/netns.h"
#include "tools/switch.h"
#include "tools/switch_port.h"
#include "tools/uplink.h"
#include "util/error.h"
#include "util/number.h"
#include "util/unix_socket.h"
#include "vswitch/bond.h"
#include "vswitch/link_model.h"
#include "vswitch/port_datagram.h"
#include "vswitch/port_packet.h"
#include "vswitch/port_pcap.h"
#include "vswitch/port_stream.h"
#include "vswitch/port_user.h"
#include "vswitch/port_vde.h"
#include "vswitch/switch.h"

/* ---- vhost-user ---- */

static int no_argument(struct port_spec *spec, struct error *error)
{
	(void)error;
	return spec->argument ? -ENOTSUP : 0;
}

static int vhost_user_parse(struct port_spec *spec, struct error *error)
{
	struct sockaddr_un address;

	if (!spec->argument)
		return 0;
	spec->owns = spec->argument;
	return *spec->argument ? unix_socket_address(&address, spec->argument, error) : -ENOTSUP;
}

/* Of ports whose other end listens. */
static int client_option(struct port_spec *spec, char *option, struct error *error)
{
	(void)error;
	if (strcmp(option, "client"))
		return -ENOTSUP;
	spec->client = true;
	spec->owns = NULL;
	return 0;
}

/* "queues=N"; -ENOTSUP: it is another option. `what`: of which there are up to `most`. */
static int queues_option(struct port_spec *spec, const char *option, unsigned most,
			 const char *what, struct error *error)
{
	static const char key[] = "queues=";
	uint64_t queues;

	if (strncmp(option, key, sizeof(key) - 1) != 0)
		return -ENOTSUP;
	if (number_parse(option + sizeof(key) - 1, 1, most, &queues, NULL))
		return error_set(error, -EINVAL, "%.40s: expected a number of %s, 1 to %u", option,
				 what, most);
	spec->queues = (unsigned)queues;
	return 0;
}

static int vhost_user_option(struct port_spec *spec, char *option, struct error *error)
{
	int rc = queues_option(spec, option, VSWITCH_VHOST_USER_PAIRS_MAX, "queue pairs", error);

	return rc == -ENOTSUP ? client_option(spec, option, error) : rc;
}

static int client_check(struct port_spec *spec, struct error *error)
{
	if (spec->client && !spec->argument)
		return error_set(error, -EINVAL,
				 "option \"client\": expected an address to connect to, as in "
				 "%s:PATH,client",
				 spec->type->name);
	return 0;
}

static int vhost_user_add(struct vswitch *vswitch, const struct port_spec *spec, const char *path,
			  const struct socket_options *sockets, struct error *error)
{
	struct vswitch_vhost_user_options options = { .access = &sockets->access,
						      .client = spec->client,
						      .pairs = spec->queues,
						      .config = &spec->config };

	return vswitch_add_port_vhost_user(vswitch, spec->name, path ? path : spec->argument,
					   &options, error);
}

/* ---- tap ---- */

static int interface_parse(struct port_spec *spec, struct error *error)
{
	if (!spec->argument || !*spec->argument)
		return -ENOTSUP;
	spec->owns = spec->argument;
	return link_check_name(spec->argument, error);
}

/* "key=VALUE": the value; NULL: it is another option. */
static const char *value_of(const char *option, const char *key)
{
	size_t length = strlen(key);

	return strncmp(option, key, length) || option[length] != '=' ? NULL : option + length + 1;
}

/* Of two interfaces of one name in two namespaces, each may have a port. */
static int interface_option(struct port_spec *spec, char *option, struct error *error)
{
	const char *netns = value_of(option, "netns");

	if (netns && !*netns)
		return error_set(error, -EINVAL,
				 "option \"netns=\": expected the name or path of a network "
				 "namespace");
	if (!netns && strcmp(option, "plain"))
		return -ENOTSUP;
	spec->plain |= !netns;
	if (netns) {
		spec->netns = netns;
		spec->owns = NULL;
	}
	return 0;
}

static int tap_option(struct port_spec *spec, char *option, struct error *error)
{
	int rc = queues_option(spec, option, VSWITCH_TAP_QUEUES_MAX, "queues", error);

	return rc == -ENOTSUP ? interface_option(spec, option, error) : rc;
}

/* The namespace's descriptor; 0: the own one. */
static int open_netns_of(const struct port_spec *spec, struct error *error)
{
	int fd = spec->netns ? netns_open(spec->netns, error) : 0;

	if (fd < 0)
		error_prefix(error, "port %s", spec->name);
	return fd;
}

static int tap_add(struct vswitch *vswitch, const struct port_spec *spec, const char *path,
		   const struct socket_options *sockets, struct error *error)
{
	struct vswitch_tap_options options = { .plain = spec->plain,
					       .queues = spec->queues,
					       .config = &spec->config };
	int rc = open_netns_of(spec, error);

	(void)path, (void)sockets;
	if (rc < 0)
		return rc;
	options.netns = rc;
	rc = vswitch_add_port_tap(vswitch, spec->name, spec->argument, &options, error);
	if (options.netns)
		close(options.netns);
	return rc;
}

/* ---- qemu-stream ---- */

static int stream_parse(struct port_spec *spec, struct error *error)
{
	if (!spec->argument)
		return 0;
	spec->owns = spec->argument;
	return endpoint_parse(&spec->endpoint, spec->argument, "tcp", error);
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
						    .access = &sockets->access,
						    .remote = &spec->remote,
						    .config = &spec->config };
	int rc = path ? endpoint_parse(&local, path, "udp", error) : 0;

	(void)sockets;
	return rc ? rc : vswitch_add_port_datagram(vswitch, spec->name, &options, error);
}

/* ---- vde ---- */

/* Several ports may have one directory. */
static int vde_parse(struct port_spec *spec, struct error *error)
{
	(void)error;
	return spec->argument && *spec->argument ? 0 : -ENOTSUP;
}

static int vde_add(struct vswitch *vswitch, const struct port_spec *spec, const char *path,
		   const struct socket_options *sockets, struct error *error)
{
	struct vswitch_vde_options options = { .directory = spec->argument,
					       .access = &sockets->access,
					       .config = &spec->config };

	(void)path;
	return vswitch_add_port_vde(vswitch, spec->name, &options, error);
}

/* ---- packet ---- */

static int packet_add(struct vswitch *vswitch, const struct port_spec *spec, const char *path,
		      const struct socket_options *sockets, struct error *error)
{
	struct vswitch_packet_options options = { .plain = spec->plain, .config = &spec->config };
	int rc = open_netns_of(spec, error);

	(void)path, (void)sockets;
	if (rc < 0)
		return rc;
	options.netns = rc;
	rc = vswitch_add_port_packet(vswitch, spec->name, spec->argument, &options, error);
	if (options.netns)
		close(options.netns);
	return rc;
}

/* ---- pcap ---- */

static int pcap_parse(struct port_spec *spec, struct error *error)
{
	(void)error;
	spec->timing.passes = 1;
	return spec->argument && !*spec->argument ? -ENOTSUP : 0;
}

static int pcap_option(struct port_spec *spec, char *option, struct error *error)
{
	const char *value;
	char *end;

	if (!strcmp(option, "loop")) {
		spec->timing.passes = 0;
	} else if (!strcmp(option, "force")) {
		spec->force = true;
	} else if ((value = value_of(option, "record"))) {
		spec->record = value;
	} else if ((value = value_of(option, "speed"))) {
		spec->timing.speed = *value >= '0' && *value <= '9' ? strtod(value, &end) : NAN;
		if (!(spec->timing.speed >= REPLAY_SPEED_MIN &&
		      spec->timing.speed <= REPLAY_SPEED_MAX) ||
		    *end)
			return error_set(
				error, -EINVAL,
				"speed=%.40s: expected a number from %g to %g, as in 2 for "
				"twice as fast",
				value, REPLAY_SPEED_MIN, REPLAY_SPEED_MAX);
	} else if ((value = value_of(option, "interval"))) {
		spec->timing.has_interval = true;
		if (!link_read_time(value, &spec->timing.interval_ns))
			return error_set(error, -EINVAL,
					 "interval=%.40s: expected a time, as in 10us or 1ms, or 0",
					 value);
	} else {
		return -ENOTSUP;
	}
	return 0;
}

static int pcap_check(struct port_spec *spec, struct error *error)
{
	const struct replay_timing *timing = &spec->timing;

	if (!spec->argument && !spec->record)
		return error_set(error, -EINVAL,
				 "expected a file to replay, as in pcap:FILE, or record=FILE");
	if (!spec->argument && (timing->has_interval || timing->speed > 0 || !timing->passes))
		return error_set(error, -EINVAL,
				 "loop, speed= and interval= are about a file that is replayed, "
				 "which is not given");
	if (timing->has_interval && timing->speed > 0)
		return error_set(error, -EINVAL, "speed= and interval=: expected one of them");
	if (spec->force && !spec->record)
		return error_set(error, -EINVAL,
				 "force: it is about the file of record=, which is not given");
	return 0;
}

static int pcap_add(struct vswitch *vswitch, const struct port_spec *spec, const char *path,
		    const struct socket_options *sockets, struct error *error)
{
	struct vswitch_pcap_options options = { .replay = spec->argument,
						.timing = spec->timing,
						.record = spec->record,
						.force = spec->force,
						.config = &spec->config };

	(void)path, (void)sockets;
	return vswitch_add_port_pcap(vswitch, spec->name, &options, error);
}

/* ---- user ---- */

static int user_option(struct port_spec *spec, char *option, struct error *error)
{
	unsigned count = spec->user.count;
	const char *value = value_of(option, "hostfwd");
	int rc;

	if (!strcmp(option, "loopback")) {
		spec->user.loopback = true;
		return 0;
	}
	if (!strcmp(option, "nodhcp")) {
		spec->user.no_dhcp = true;
		return 0;
	}
	if (!value)
		return -ENOTSUP;
	rc = user_network_parse_forward(&spec->user, value, error);
	if (!rc)
		spec->forwards[count] = value;
	return rc;
}

/* "user:hostfwd=..." is "user,hostfwd=...". */
static int user_parse(struct port_spec *spec, struct error *error)
{
	return spec->argument ? user_option(spec, (char *)spec->argument, error) : 0;
}

/* What its process is started with. */
static void user_words(const struct port_spec *spec, char *argv[USER_NETWORK_FORWARDS + 5])
{
	static char name[] = "tenon", word[] = UPLINK_PROCESS, loopback[] = "loopback",
		    nodhcp[] = "nodhcp";
	unsigned count = 0;

	argv[count++] = name;
	argv[count++] = word;
	for (unsigned i = 0; i < spec->user.count; i++)
		argv[count++] = (char *)spec->forwards[i];
	if (spec->user.loopback)
		argv[count++] = loopback;
	if (spec->user.no_dhcp)
		argv[count++] = nodhcp;
	argv[count] = NULL;
}

static int user_add(struct vswitch *vswitch, const struct port_spec *spec, const char *path,
		    const struct socket_options *sockets, struct error *error)
{
	char *argv[USER_NETWORK_FORWARDS + 5];
	struct vswitch_user_options options = { .argv = argv,
						.program = "/proc/self/exe",
						.type = "user",
						.where = "10.0.2.0/24",
						.config = &spec->config };

	(void)path, (void)sockets;
	user_words(spec, argv);
	return vswitch_add_port_user(vswitch, spec->name, &options, error);
}

int port_user_tell(struct vswitch *vswitch, const struct port_spec *spec, const char *text,
		   struct error *error)
{
	char *argv[USER_NETWORK_FORWARDS + 5];

	user_words(spec, argv);
	return vswitch_tell_port_user(vswitch, spec->name, text, argv, error);
}

/* ---- bond ---- */

static int bond_add(struct vswitch *vswitch, const struct port_spec *spec, const char *path,
		    const struct socket_options *sockets, struct error *error)
{
	(void)path, (void)sockets;
	return vswitch_add_port_bond(vswitch, spec->name, &spec->config, error);
}

const struct port_type port_types[] = {
	{ "vhost-user", "vhost-user[:PATH]", "\"client\", queues=, ", true, vhost_user_parse,
	  vhost_user_option, client_check, vhost_user_add },
	{ "tap", "tap:IFNAME", "\"plain\", netns=, queues=, ", false, interface_parse, tap_option,
	  NULL, tap_add },
	{ "qemu-stream", "qemu-stream[:PATH|:tcp:HOST:PORT]", "\"client\", ", true, stream_parse,
	  client_option, client_check, stream_add },
	{ "qemu-dgram", "qemu-dgram[:PATH|:udp:HOST:PORT],remote=ADDRESS", "remote=, ", true,
	  datagram_parse, datagram_option, datagram_check, datagram_add },
	{ "vde", "vde:DIR", "", false, vde_parse, NULL, NULL, vde_add },
	{ "packet", "packet:IFNAME", "\"plain\", netns=, ", false, interface_parse,
	  interface_option, NULL, packet_add },
	{ "pcap", "pcap[:FILE][,record=FILE]", "\"loop\", speed=, interval=, record=, \"force\", ",
	  false, pcap_parse, pcap_option, pcap_check, pcap_add },
	{ "user", "user[:hostfwd=tcp|udp:[HOST]:PORT-[GUEST]:PORT]",
	  "hostfwd=, \"loopback\", \"nodhcp\", ", false, user_parse, user_option, NULL, user_add },
	{ "dhcp", "dhcp:ADDRESS/LENGTH", PORT_DHCP_OPTIONS, false, port_dhcp_parse,
	  port_dhcp_option, port_dhcp_check, port_dhcp_add },
	{ "vxlan", "vxlan:remote=ADDRESS,vni=N", PORT_TUNNEL_OPTIONS, false, port_tunnel_parse,
	  port_tunnel_option, port_tunnel_check, port_tunnel_add },
	{ "geneve", "geneve:remote=ADDRESS,vni=N", PORT_TUNNEL_OPTIONS, false, port_tunnel_parse,
	  port_tunnel_option, port_tunnel_check, port_tunnel_add },
	{ "bond", "bond", "", false, no_argument, NULL, NULL, bond_add },
	{ NULL },
};
