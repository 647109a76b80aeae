/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The settings of snooping as words KEY=VALUE.
 *
 * Of the switch:
 *	igmp=on, mld=on			snoop (off)
 *	querier=on			ask where nobody does (off)
 *	unknown=flood | drop		groups that no port reported: to all ports, or to router ports only (flood)
 *	address=10.0.0.1		of our IGMP queries (0.0.0.0: wins no election)
 *	mld-address=fe80::1		of our MLD queries; none: of the switch's MAC address
 *	igmp-version=3, mld-version=2	of our queries
 *	robustness=2, query-interval=125, response-interval=10, last-member-interval=1
 *					RFC 3376, 8; in seconds
 *	groups=4096, port-groups=512	that are remembered, in all and of a port
 * Of a port:
 *	router=auto | always | never	where routers are; never: what only routers say is dropped
 *	fast-leave=on			a leave ends it at once: one host is behind the port (off)
 *	groups=100			that are remembered; none: port-groups
 */
#ifndef TENON_VSWITCH_SNOOPING_WORDS_H
#define TENON_VSWITCH_SNOOPING_WORDS_H

#include "vswitch/snooping.h"

/* Changes by one word. -EINVAL, and nothing changed, with `error` set. */
int snooping_settings_set(struct snooping_settings *settings, const char *word,
			  struct error *error);
int snooping_port_settings_set(struct snooping_port_settings *settings, const char *word,
			       struct error *error);

/* Whether they can be together. -EINVAL. */
int snooping_settings_check(const struct snooping_settings *settings, struct error *error);

const char *snooping_router_name(enum snooping_router router);

#endif
