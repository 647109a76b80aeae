/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a user decides about link aggregation, as words KEY=VALUE among those of a port (port_config.h).
 *
 * Of a port that is a link:
 *	bond=NAME			it is a link of that bond, which has its VLANs and all other settings
 *	bond-priority=N			1 to 65535 (32768): of several, the lower one is chosen first
 * Of a bond:
 *	bond-mode=lacp			links that the other end agrees on, by LACP (lacp.h); if nothing is said
 *	bond-mode=static		all links that are up carry frames ("balance-xor", a static trunk)
 *	bond-mode=active-backup		one of them
 *	bond-hash=layer2 | layer2+3 | layer3+4 | vlan+srcmac	what decides which link a frame leaves by (bond_hash.h)
 *	bond-min-links=N		with less links that carry frames the bond is down
 *	bond-primary=PORT		active-backup: is used whenever it is up
 *	bond-updelay=MS			a link that comes up counts as up after so many milliseconds, if others carry meanwhile
 *	bond-downdelay=MS		one that goes down counts as down after so many; what it would have sent goes by others at once (of active-backup: is lost)
 *	bond-lacp=active|passive	passive: speak when spoken to
 *	bond-rate=slow|fast		ask for a LACPDU each 30 seconds, or each second
 *	bond-fallback=yes|no		where nobody speaks LACP one link carries frames
 *	bond-key=N, bond-system-priority=N, bond-system=ADDRESS	what this end is known by (1 to 65535)
 * An empty value, or "none", takes one back.
 */
#ifndef TENON_VSWITCH_BOND_CONFIG_H
#define TENON_VSWITCH_BOND_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct lacp_config;

#define BOND_NAME_MAX    32 /* as port names */
#define BOND_PRIORITY    32768
#define BOND_LINKS_MAX   16
#define BOND_CONFIG_TEXT 400

enum bond_mode { BOND_LACP, BOND_STATIC, BOND_ACTIVE_BACKUP };
enum bond_hash_kind { BOND_LAYER2, BOND_LAYER23, BOND_LAYER34, BOND_VLAN_SOURCE };

/* All zero: nothing was said. */
struct bond_config {
	char of[BOND_NAME_MAX]; /* the bond that the port is a link of; "": none */
	uint16_t priority;      /* 0: BOND_PRIORITY */

	uint8_t mode, hash; /* enum bond_mode, bond_hash_kind */
	uint8_t min_links;
	bool passive, fast, fallback;
	uint16_t key, system_priority;
	uint16_t up_delay_ms, down_delay_ms;
	uint64_t system; /* 0: the switch's */
	char primary[BOND_NAME_MAX];
};

bool bond_config_knows(const char *word);
/* Changes `config` by one word. -EINVAL, and nothing changed, with `error` set. */
int bond_config_set(struct bond_config *config, const char *word, struct error *error);
/* The words that make it, each with ',' before it. As long as fits. */
void bond_config_describe(const struct bond_config *config, char *text, size_t size);

/* Whether any is of a bond. */
bool bond_config_is_of_bond(const struct bond_config *config);

const char *bond_mode_name(enum bond_mode mode);
const char *bond_hash_name(enum bond_hash_kind kind);

/* What LACP is to be by it; the address and key are the switch's and the bond's own. */
struct lacp_config bond_config_lacp(const struct bond_config *config, uint64_t mac, uint16_t key);

#endif
