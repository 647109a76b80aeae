/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The settings of LLDP, as words KEY=VALUE.
 *
 * Of the switch:
 *	mode=both | send | receive | off	at ports that say nothing else (off)
 *	interval=30, hold=4		a message every so many seconds, which is believed for so many of these
 *	fast=4				so many a second apart where a port comes up, or a neighbour
 *	chassis=02:00:00:00:00:01	who the switch is
 *	name=TEXT, description=TEXT	of the system; empty: not told
 *	management=ADDRESS | none	where it can be asked, IPv4 or IPv6 (none)
 * Of a port:
 *	mode=both | send | receive | off | default
 *	description=TEXT		empty: its name
 */
#ifndef TENON_VSWITCH_LLDP_SETTINGS_H
#define TENON_VSWITCH_LLDP_SETTINGS_H

#include "vswitch/lldp_message.h"

struct error;

enum lldp_mode { LLDP_UNSAID, LLDP_OFF, LLDP_SEND, LLDP_RECEIVE, LLDP_BOTH };

struct lldp_settings {
	uint8_t mode; /* enum lldp_mode; never UNSAID */
	uint8_t hold, fast;
	uint16_t interval; /* seconds */
	uint64_t chassis;  /* a MAC address */
	struct lldp_text name, description;
	struct lldp_address management;
};

struct lldp_port_settings {
	uint8_t mode; /* enum lldp_mode */
	struct lldp_text description;
};

void lldp_settings_init(struct lldp_settings *settings, const char *name, uint64_t chassis);

/* Changes by one word. -EINVAL, and nothing changed, with `error` set. */
int lldp_settings_set(struct lldp_settings *settings, const char *word, struct error *error);
int lldp_port_settings_set(struct lldp_port_settings *settings, const char *word,
			   struct error *error);

/* "default" for LLDP_UNSAID. */
const char *lldp_mode_name(uint8_t mode);

/* How long a message is believed: 802.1AB-2016, 9.2.5.22. Seconds. */
uint16_t lldp_settings_ttl(const struct lldp_settings *settings);

#endif
