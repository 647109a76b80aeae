/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The neighbours of one port, as they told of themselves by LLDP (IEEE 802.1AB-2016, 9.2.7 and 9.2.8): each by its chassis and
 * port, for as long as its last message said. At most LLDP_NEIGHBOURS; when there are as many, those that come anew
 * are refused until one has gone: a guest that invents others takes room from itself alone.
 */
#ifndef TENON_VSWITCH_LLDP_NEIGHBOURS_H
#define TENON_VSWITCH_LLDP_NEIGHBOURS_H

#include "util/list.h"
#include "vswitch/lldp_message.h"

#define LLDP_NEIGHBOURS 8 /* of one port */
#define LLDP_SECOND     1000000000ULL

struct lldp_neighbour {
	struct list node;
	uint64_t until; /* when it ages out */
	struct lldp_message message;
};

struct lldp_counters {
	uint64_t sent, received;
	uint64_t discarded; /* of those that came: no message, or of a neighbour that was refused */
	uint64_t errors;    /* no message, or with a TLV that was left out */
	uint64_t refused;   /* for want of room */
	uint64_t aged;      /* neighbours */
	uint64_t tlvs_discarded, tlvs_unknown;
};

struct lldp_neighbours {
	struct list list; /* in the order in which they came */
	unsigned count;
	struct lldp_counters counters;
};

/* What a message did. */
enum lldp_news { LLDP_NOTHING, LLDP_CAME, LLDP_REFRESHED, LLDP_WENT };

void lldp_neighbours_init(struct lldp_neighbours *neighbours);

/* Takes what is behind the EtherType of a frame that came at `now`. */
enum lldp_news lldp_neighbours_hear(struct lldp_neighbours *neighbours, const uint8_t *bytes,
				    size_t length, uint64_t now);

/* Lets go of those whose time is over, or of all. */
void lldp_neighbours_age(struct lldp_neighbours *neighbours, uint64_t now);
void lldp_neighbours_clear(struct lldp_neighbours *neighbours);

/* When the next ages out, or TIMER_NEVER. */
uint64_t lldp_neighbours_next(const struct lldp_neighbours *neighbours);

#endif
