/* SPDX-License-Identifier: BSD-2-Clause */
/* The types of ports that are tunnels; see switch_port.h, vswitch/port_tunnel.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/switch.h"
#include "tools/switch_port.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/number.h"
#include "vswitch/mac_table.h"
#include "vswitch/port_tunnel.h"

#define NO_VNI     UINT32_MAX
#define MTU_LEAST  256
#define MTU_MOST   65535
#define MAC_LENGTH 17

static const char *tunnel_value(const char *option, const char *key)
{
	size_t length = strlen(key);

	return strncmp(option, key, length) || option[length] != '=' ? NULL : option + length + 1;
}

static uint16_t udp_port(const struct vswitch_tunnel_options *tunnel)
{
	return tunnel->kind == TUNNEL_VXLAN ? VXLAN_UDP_PORT : GENEVE_UDP_PORT;
}

static int take_remote(struct vswitch_tunnel_options *tunnel, const char *value,
		       struct error *error)
{
	if (tunnel->remote_count == TUNNEL_REMOTES_MAX)
		return error_set(error, -EINVAL, "remote=%.60s: at most %d of them are possible",
				 value, TUNNEL_REMOTES_MAX);
	return endpoint_parse_udp(&tunnel->remotes[tunnel->remote_count++], value, udp_port(tunnel),
				  error);
}

/* MAC@REMOTE */
static int take_station(struct vswitch_tunnel_options *tunnel, const char *value,
			struct error *error)
{
	struct tunnel_station *station = &tunnel->stations[tunnel->station_count];
	CLEANUP_FREE char *mac = strndup(value, MAC_LENGTH);

	if (tunnel->station_count == TUNNEL_STATIONS_MAX)
		return error_set(error, -EINVAL, "station=%.60s: at most %d of them are possible",
				 value, TUNNEL_STATIONS_MAX);
	if (!mac || strlen(value) < MAC_LENGTH + 2 || value[MAC_LENGTH] != '@' ||
	    !mac_parse(mac, &station->mac))
		return error_set(error, -EINVAL,
				 "station=%.60s: expected MAC@REMOTE, as in "
				 "02:00:00:00:00:01@192.0.2.1",
				 value);
	tunnel->station_count++;
	return endpoint_parse_udp(&station->remote, value + MAC_LENGTH + 1, udp_port(tunnel),
				  error);
}

static int take_interface(struct vswitch_tunnel_options *tunnel, const char *value,
			  struct error *error)
{
	if (!*value || strlen(value) >= sizeof(tunnel->group.interface))
		return error_set(error, -EINVAL, "dev=%.60s: expected the name of an interface",
				 value);
	strcpy(tunnel->group.interface, value);
	return 0;
}

static int take_number(const char *key, const char *value, uint64_t least, uint64_t most,
		       uint64_t *number, struct error *error)
{
	if (!number_parse(value, least, most, number, NULL))
		return 0;
	return error_set(error, -EINVAL, "%s=%.40s: expected a number from %llu to %llu", key,
			 value, (unsigned long long)least, (unsigned long long)most);
}

static int take_tos(struct tunnel_outer_rule *outer, const char *value, struct error *error)
{
	uint64_t number = 0;

	outer->inherit_tos = !strcmp(value, "inherit");
	if (!outer->inherit_tos && (number_parse(value, 0, 255, &number, NULL) || number & 3))
		return error_set(
			error, -EINVAL,
			"tos=%.40s: expected \"inherit\", or four times a DSCP, 0 to 252: the "
			"last two bits are for marks of congestion",
			value);
	outer->tos = (uint8_t)number;
	return 0;
}

static int take_ttl(struct tunnel_outer_rule *outer, const char *value, struct error *error)
{
	uint64_t number = 0;

	outer->inherit_ttl = !strcmp(value, "inherit");
	if (!outer->inherit_ttl && number_parse(value, 1, 255, &number, NULL))
		return error_set(error, -EINVAL,
				 "ttl=%.40s: expected \"inherit\", or a number from 1 to 255",
				 value);
	outer->ttl = (uint8_t)number;
	return 0;
}

int port_tunnel_option(struct port_spec *spec, char *option, struct error *error)
{
	struct vswitch_tunnel_options *tunnel = spec->tunnel;
	const char *value;
	uint64_t number;
	int rc;

	if (!strcmp(option, "fragment")) {
		tunnel->fragment = true;
		return 0;
	}
	if ((value = tunnel_value(option, "remote")))
		return take_remote(tunnel, value, error);
	if ((value = tunnel_value(option, "group")))
		return endpoint_parse_udp(&tunnel->group.address, value, udp_port(tunnel), error);
	if ((value = tunnel_value(option, "dev")))
		return take_interface(tunnel, value, error);
	if ((value = tunnel_value(option, "tos")))
		return take_tos(&tunnel->outer, value, error);
	if ((value = tunnel_value(option, "ttl")))
		return take_ttl(&tunnel->outer, value, error);
	if ((value = tunnel_value(option, "station")))
		return take_station(tunnel, value, error);
	if ((value = tunnel_value(option, "local")))
		return endpoint_parse_udp(&tunnel->local, value, udp_port(tunnel), error);
	if ((value = tunnel_value(option, "vni"))) {
		rc = take_number("vni", value, 0, TUNNEL_VNI_MOST, &number, error);
		if (!rc)
			tunnel->vni = (uint32_t)number;
		return rc;
	}
	if ((value = tunnel_value(option, "mtu"))) {
		rc = take_number("mtu", value, MTU_LEAST, MTU_MOST, &number, error);
		if (!rc)
			tunnel->mtu = (unsigned)number;
		return rc;
	}
	return -ENOTSUP;
}

/* "vxlan:remote=..." is "vxlan,remote=...". */
int port_tunnel_parse(struct port_spec *spec, struct error *error)
{
	spec->tunnel = calloc(1, sizeof(*spec->tunnel));
	if (!spec->tunnel)
		return error_set(error, -ENOMEM, "out of memory");
	spec->tunnel->kind = strcmp(spec->type->name, "vxlan") ? TUNNEL_GENEVE : TUNNEL_VXLAN;
	spec->tunnel->vni = NO_VNI;
	return spec->argument ? port_tunnel_option(spec, (char *)spec->argument, error) : 0;
}

int port_tunnel_check(struct port_spec *spec, struct error *error)
{
	if (spec->tunnel->vni == NO_VNI)
		return error_set(error, -EINVAL,
				 "option \"vni=\" is missing: the number of the segment, 0 to %u",
				 TUNNEL_VNI_MOST);
	return vswitch_tunnel_check(spec->tunnel, error);
}

int port_tunnel_add(struct vswitch *vswitch, const struct port_spec *spec, const char *path,
		    const struct socket_options *sockets, struct error *error)
{
	(void)path, (void)sockets;
	spec->tunnel->config = &spec->config;
	return vswitch_add_port_tunnel(vswitch, spec->name, spec->tunnel, error);
}
