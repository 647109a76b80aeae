/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch's memory of which port an address was last seen at (IEEE 802.1Q-2022, 8.7 and 8.8: the
 * learning process and the filtering database).
 *
 * Bounded twice: the whole table, and the addresses of one port, so that a guest that invents addresses
 * fills its own share and the others' stay. What does not fit is not learned, its frames are flooded.
 * An entry not refreshed for the ageing time is gone. Group addresses and zero are never learned.
 *
 * Time is an argument, in nanoseconds of any clock that does not go back. The hash is keyed with a
 * seed, so nobody can choose addresses that collide, and the same seed gives the same table.
 */
#ifndef TENON_VSWITCH_MAC_TABLE_H
#define TENON_VSWITCH_MAC_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/cleanup.h"

#define MAC_TABLE_SIZE     8192 /* addresses; what Open vSwitch has by default */
#define MAC_TABLE_PER_PORT 4096
#define MAC_TABLE_AGEING   (300 * 1000000000ULL) /* 802.1Q-2022, table 8-11 */
#define MAC_TABLE_NO_PORT  UINT16_MAX

/* A 48-bit address in the low bits, the first byte on the wire uppermost. */
static inline uint64_t mac_from_bytes(const uint8_t at[6])
{
	return (uint64_t)at[0] << 40 | (uint64_t)at[1] << 32 | (uint64_t)at[2] << 24 |
	       (uint64_t)at[3] << 16 | (uint64_t)at[4] << 8 | at[5];
}

static inline bool mac_is_group(uint64_t mac)
{
	return mac >> 40 & 1;
}

/* Whether it can be the address of one station: no group's, and not zero. */
static inline bool mac_is_station(uint64_t mac)
{
	return mac && !mac_is_group(mac);
}

#define MAC_TEXT 18
/* "02:00:5e:10:00:01". Returns `text`. */
char *mac_format(uint64_t mac, char text[MAC_TEXT]);

struct mac_table_options {
	unsigned size;      /* 0: MAC_TABLE_SIZE */
	unsigned per_port;  /* 0: MAC_TABLE_PER_PORT */
	uint64_t ageing_ns; /* 0: MAC_TABLE_AGEING */
	uint64_t seed;
};

struct mac_table_counters {
	uint64_t learned;
	uint64_t moved; /* seen at another port than before */
	uint64_t aged;
	uint64_t refused; /* not learned for want of room */
};

struct mac_entry {
	uint64_t mac;
	uint64_t seen; /* when last, to within a second */
	uint16_t port;
};

struct mac_table;

/* -ENOMEM. `options` may be NULL. */
int mac_table_create(struct mac_table **out, const struct mac_table_options *options);
void mac_table_destroy(struct mac_table *table);
DEFINE_CLEANUP(cleanup_mac_table, struct mac_table, mac_table_destroy)

/* `mac` was seen as a source at `port`. */
void mac_table_learn(struct mac_table *table, uint64_t mac, uint16_t port, uint64_t now);

/* The port where `mac` was last seen, or MAC_TABLE_NO_PORT. */
uint16_t mac_table_lookup(const struct mac_table *table, uint64_t mac, uint64_t now);

/* Forgets what was learned at `port`. */
void mac_table_flush_port(struct mac_table *table, uint16_t port);

/* Forgets entries that are too old. Needs not be called: the others do what they need of it. */
void mac_table_expire(struct mac_table *table, uint64_t now);

unsigned mac_table_count(const struct mac_table *table);
void mac_table_counters(const struct mac_table *table, struct mac_table_counters *out);

/* Copies up to `space` live entries, the longest unseen first; returns how many. */
unsigned mac_table_list(const struct mac_table *table, uint64_t now, struct mac_entry *entries,
			unsigned space);

#endif
