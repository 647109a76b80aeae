/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether the options of a tunnel can be; see port_tunnel.h. */
#include <errno.h>
#include <netinet/in.h>

#include "util/error.h"
#include "vswitch/mac_table.h"
#include "vswitch/port_tunnel.h"

static const struct endpoint *first_remote(const struct vswitch_tunnel_options *options)
{
	if (options->group.address.length)
		return &options->group.address;
	return options->remote_count ? &options->remotes[0] : &options->stations[0].remote;
}

static int check_group(const struct vswitch_tunnel_options *options, struct error *error)
{
	if (options->kind != TUNNEL_VXLAN)
		return error_set(error, -EINVAL, "option \"group=\" is of vxlan: geneve has none");
	if (options->remote_count)
		return error_set(error, -EINVAL,
				 "options \"group=\" and \"remote=\": expected one of them; who is "
				 "in the group is found out");
	if (options->outer.inherit_ttl)
		return error_set(
			error, -EINVAL,
			"option \"ttl=inherit\": expected a number with \"group=\", which says "
			"how far the group goes");
	return tunnel_group_check(&options->group, error);
}

static int check_remote(const struct vswitch_tunnel_options *options, const struct endpoint *remote,
			struct error *error)
{
	const struct endpoint *first = first_remote(options);
	sa_family_t family = remote->address.any.sa_family;
	bool group = family == AF_INET6
			     ? IN6_IS_ADDR_MULTICAST(&remote->address.in6.sin6_addr) ||
				       IN6_IS_ADDR_UNSPECIFIED(&remote->address.in6.sin6_addr)
			     : IN_MULTICAST(ntohl(remote->address.in.sin_addr.s_addr)) ||
				       ntohl(remote->address.in.sin_addr.s_addr) - 1 >= 0xfffffffe;

	if (group)
		return error_set(error, -EINVAL,
				 "remote %s: expected the address of one host; name each of "
				 "several",
				 remote->text);
	if (family != first->address.any.sa_family)
		return error_set(error, -EINVAL,
				 "remotes %s and %s: expected all of IPv4 or all of IPv6",
				 first->text, remote->text);
	return 0;
}

int vswitch_tunnel_check(const struct vswitch_tunnel_options *options, struct error *error)
{
	int rc = 0;

	if (options->group.address.length)
		rc = check_group(options, error);
	else if (!options->remote_count && !options->station_count)
		return error_set(error, -EINVAL, "option \"remote=\" is missing: the other host");
	else if (*options->group.interface)
		return error_set(error, -EINVAL, "option \"dev=\" is of a group (group=)");
	for (unsigned i = 0; i < options->remote_count && !rc; i++) {
		rc = check_remote(options, &options->remotes[i], error);
		for (unsigned j = 0; j < i && !rc; j++)
			if (endpoint_same_host(&options->remotes[i], &options->remotes[j]))
				rc = error_set(error, -EINVAL, "remote %s: it is given twice",
					       options->remotes[i].text);
	}
	for (unsigned i = 0; i < options->station_count && !rc; i++) {
		rc = check_remote(options, &options->stations[i].remote, error);
		if (!rc && !mac_is_station(options->stations[i].mac))
			rc = error_set(error, -EINVAL,
				       "station@%s: a group's address, or zero: no station has it",
				       options->stations[i].remote.text);
	}
	if (rc || !options->local.length)
		return rc;
	if (options->local.address.any.sa_family != first_remote(options)->address.any.sa_family)
		return error_set(error, -EINVAL,
				 "local %s: expected an address of the remotes' kind",
				 options->local.text);
	return 0;
}
