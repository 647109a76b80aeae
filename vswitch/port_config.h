/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a user decides about a port, of whatever type: its VLANs, whom it may reach, how much it may flood and
 * how many addresses it may have. Written as words KEY=VALUE:
 *
 *	vlan=10				an access port (vlan.h)
 *	trunk=10+20-29 | trunk=all	a trunk of these VLANs
 *	native=5			of a trunk: the VLAN of what has no tag
 *	dot1q-tunnel=10			a customer's port of this VLAN, whatever tags its frames have
 *	cvlans=0+7			of a customer's port: for these of his VLANs, and what has no tag of his (0); all: for any
 *	tag-type=802.1q|802.1ad|0x9100	of the tags that are VLANs here
 *	isolate=3			ports of one isolation group (1 to 65535) do not reach each other
 *	addresses=100			at most so many learned addresses
 *	broadcast=1000, multicast=1000, unknown=1000
 *					storm control: so many frames of that kind a second come in to be flooded, or ten
 *					milliseconds' worth at once, and at least 32
 *	police-in=10M/1M, police-out=1000p/50p
 *					what comes from it, or goes to it: so much passes (police.h), after its rules; the rest is dropped
 *	reserved=stp:flood+02:drop	frames to reserved addresses (reserved.h), where it is not as the switch has it
 *	stp=off, stp-cost=100, stp-edge=yes ...		its part in the spanning tree (rstp.h)
 *	bond=NAME, bond-mode=lacp ...			it is a link of a bond, or what a bond is (bond_config.h)
 * An empty value, or "none", takes one back: vlan=none makes a port of the first kind again.
 */
#ifndef TENON_VSWITCH_PORT_CONFIG_H
#define TENON_VSWITCH_PORT_CONFIG_H

#include <stdint.h>

#include "vswitch/bond_config.h"
#include "vswitch/police.h"
#include "vswitch/reserved.h"
#include "vswitch/rstp.h"
#include "vswitch/vlan.h"

struct error;

enum port_storm {
	PORT_STORM_BROADCAST,
	PORT_STORM_MULTICAST,
	PORT_STORM_UNKNOWN,
	PORT_STORM_COUNT
};

/* All zero: of nothing was said anything. */
struct port_config {
	struct vlan_port vlan;
	uint16_t isolation;               /* its group; 0: none */
	uint32_t addresses;               /* 0: what the switch allows each port */
	uint32_t storm[PORT_STORM_COUNT]; /* frames a second; 0: no limit */
	struct police police[2];          /* by enum port_way: what was said, with full buckets */
	struct reserved_choices reserved;
	struct rstp_port_config stp;
	struct bond_config bond;
};

/* Whether KEY=VALUE is one of these words, so that what belongs to the type can be told from it. */
bool port_config_knows(const char *word);

/*
 * What a port is of VLANs (vlan=, trunk= or dot1q-tunnel=) one of the words says that come together. `said` is that of them, in their order;
 * NULL before the first. -EINVAL with `error` set where `word` would be another, or take back what was just said.
 */
int port_config_agree(const char **said, const char *word, struct error *error);

/* Changes `config` by one word. -EINVAL, and nothing changed, with `error` set. */
int port_config_set(struct port_config *config, const char *word, struct error *error);

/*
 * Whether it is a provider bridge's port: the tree's messages are for such bridges there, and what customers' bridges tell one another
 * passes (reserved.h).
 */
static inline bool port_config_is_provider(const struct port_config *config)
{
	return config->stp.group == RSTP_GROUP_PROVIDER ||
	       (config->stp.group == RSTP_GROUP_AUTO && vlan_is_service(&config->vlan));
}

#define PORT_CONFIG_TEXT 12288 /* fits all: a trunk of each second VLAN has 10 KiB */

/* The words that make it, with ',' between; "" for nothing. As long as fits. */
void port_config_describe(const struct port_config *config, char *text, size_t size);

/* "broadcast" ... */
const char *port_storm_name(enum port_storm kind);

#endif
