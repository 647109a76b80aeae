/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch's memory of which port an address was last seen at (IEEE 802.1Q-2022, 8.7 and 8.8: the
 * learning process and the filtering database). What is learned is a pair, of the filtering database (fid; here
 * each VLAN has its own) and the address: a station may be at one port in one VLAN and at another in the next.
 *
 * Bounded twice: the whole table, and the addresses of one port, so that a guest that invents addresses
 * fills its own share and the others' stay. What does not fit is not learned, its frames are flooded. When the whole table is full,
 * a port with many addresses gives one up for a port that has fewer: guests together cannot keep a neighbour's from being learned.
 * An entry not refreshed for the ageing time is gone. Group addresses and zero are never learned. Static
 * entries are made by hand: they do not age, do not move, and stay when their port goes down.
 *
 * An address that changes its port too often (mac_table_options.move_limit) is held where it is: in a loop, or
 * where two guests claim one address, each move would cost the table and misdirect its traffic.
 *
 * Threads: learning, looking up and flushing may be done by any number of them. Changes take a lock; looking up and
 * learning what is known already take none, but a sequence that says whether something changed meanwhile.
 *
 * Time is an argument, in nanoseconds of any clock that does not go back. The hash is keyed with a
 * seed, so nobody can choose addresses that collide, and the same seed gives the same table.
 */
#ifndef TENON_VSWITCH_MAC_TABLE_H
#define TENON_VSWITCH_MAC_TABLE_H

#include <stdbool.h>
#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "util/cleanup.h"

#define MAC_TABLE_SIZE     8192 /* addresses; what Open vSwitch has by default */
#define MAC_TABLE_PER_PORT 4096
#define MAC_TABLE_AGEING   (300 * 1000000000ULL) /* 802.1Q-2022, table 8-11 */
#define MAC_TABLE_HOLD     (5 * 1000000000ULL) /* how long an address that moves too often is held */
#define MAC_TABLE_NO_PORT  UINT16_MAX

/* A 48-bit address in the low bits, the first byte on the wire uppermost. */
static inline uint64_t mac_from_bytes(const uint8_t at[6])
{
	uint32_t high;
	uint16_t low;

	memcpy(&high, at, 4);
	memcpy(&low, at + 4, 2);
	return (uint64_t)be32toh(high) << 16 | be16toh(low);
}

static inline void mac_to_bytes(uint64_t mac, uint8_t at[6])
{
	uint32_t high = htobe32((uint32_t)(mac >> 16));
	uint16_t low = htobe16((uint16_t)mac);

	memcpy(at, &high, 4);
	memcpy(at + 4, &low, 2);
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
/* Reads that form, or one with '-' between; false for anything else. */
bool mac_parse(const char *text, uint64_t *mac);

struct mac_table_options {
	unsigned size;      /* 0: MAC_TABLE_SIZE */
	unsigned per_port;  /* 0: MAC_TABLE_PER_PORT */
	uint64_t ageing_ns; /* 0: MAC_TABLE_AGEING */
	unsigned
		move_limit; /* moves of an address in a second, beyond which it is held; 0: any number */
	uint64_t seed;
};

struct mac_table_counters {
	uint64_t learned;
	uint64_t moved; /* seen at another port than before */
	uint64_t aged;
	uint64_t refused;   /* not learned for want of room */
	uint64_t displaced; /* of a port with many, for another one, or for a static one */
	uint64_t held;      /* moves that were not made: too many, or the entry is static */
};

struct mac_entry {
	uint64_t mac;
	uint64_t seen; /* when last, to within a second */
	uint16_t fid;
	uint16_t port;
	bool is_static;
};

struct mac_table;

/* -ENOMEM. `options` may be NULL. */
int mac_table_create(struct mac_table **out, const struct mac_table_options *options);
void mac_table_destroy(struct mac_table *table);
DEFINE_CLEANUP(cleanup_mac_table, struct mac_table, mac_table_destroy)

/* `mac` was seen as a source at `port`. Returns until when saying so again would change nothing; 0: it would at once. */
uint64_t mac_table_learn(struct mac_table *table, uint16_t fid, uint64_t mac, uint16_t port,
			 uint64_t now);

/* The port where `mac` was last seen, or MAC_TABLE_NO_PORT; and until when, in *until (may be NULL). */
uint16_t mac_table_lookup_until(struct mac_table *table, uint16_t fid, uint64_t mac, uint64_t now,
				uint64_t *until);

static inline uint16_t mac_table_lookup(struct mac_table *table, uint16_t fid, uint64_t mac,
					uint64_t now)
{
	return mac_table_lookup_until(table, fid, mac, now, NULL);
}

/* Counts what may have made an earlier answer wrong: an entry moved or went. */
static inline uint32_t mac_table_generation(const struct mac_table *table)
{
	return __atomic_load_n((const uint32_t *)table, __ATOMIC_ACQUIRE);
}

/* One answer, kept by who asks the same again and again: most frames of a port come from one station, to one. */
struct mac_recent {
	uint64_t key, until;
	uint32_t generation;
	uint16_t port;
};

static inline void mac_recent_learn(struct mac_recent *recent, struct mac_table *table,
				    uint16_t fid, uint64_t mac, uint16_t port, uint64_t now)
{
	uint32_t generation = mac_table_generation(table);
	uint64_t key = (uint64_t)fid << 48 | mac;

	if (recent->key == key && recent->generation == generation && now < recent->until)
		return;
	recent->until = mac_table_learn(table, fid, mac, port, now);
	recent->key = key;
	recent->generation = generation;
	recent->port = port;
}

static inline uint16_t mac_recent_lookup(struct mac_recent *recent, struct mac_table *table,
					 uint16_t fid, uint64_t mac, uint64_t now)
{
	uint32_t generation = mac_table_generation(table);
	uint64_t key = (uint64_t)fid << 48 | mac, until;
	uint16_t port;

	if (recent->key == key && recent->generation == generation && now < recent->until)
		return recent->port;
	port = mac_table_lookup_until(table, fid, mac, now, &until);
	if (port == MAC_TABLE_NO_PORT)
		return port;
	recent->key = key;
	recent->until = until;
	recent->generation = generation;
	recent->port = port;
	return port;
}

#define MAC_TABLE_FETCH_MAX 64
/* Has the processor fetch what one of the two above will want for these pairs, fid << 48 | address; at most MAC_TABLE_FETCH_MAX. */
void mac_table_prefetch(const struct mac_table *table, const uint64_t *keys, unsigned count);
/* Whether the table is so small that it does not pay. */
bool mac_table_is_near(const struct mac_table *table);

/* Puts `mac` at `port` for good, in place of what was learned of it; in a full table, in place of what was not seen for longest. -EINVAL for what is no
 * station's; -ENOSPC: all are such. */
int mac_table_add_static(struct mac_table *table, uint16_t fid, uint64_t mac, uint16_t port);
/* Forgets an entry of either kind. -ENOENT. */
int mac_table_remove(struct mac_table *table, uint16_t fid, uint64_t mac);

/* How many addresses may be learned at `port`; 0: what the table was made with. Those beyond stay. */
void mac_table_limit_port(struct mac_table *table, uint16_t port, unsigned limit);

/* Forgets what was learned at `port`. */
void mac_table_flush_port(struct mac_table *table, uint16_t port);
/* The port is no more: forgets its static entries and its limit, too. */
void mac_table_drop_port(struct mac_table *table, uint16_t port);
/* Forgets all that was learned. */
void mac_table_flush(struct mac_table *table);

/* Forgets entries that are too old. Needs not be called: the others do what they need of it. */
void mac_table_expire(struct mac_table *table, uint64_t now);

unsigned mac_table_count(const struct mac_table *table);
void mac_table_counters(const struct mac_table *table, struct mac_table_counters *out);

/* Copies up to `space` live entries, static ones first, then the longest unseen first; returns how many. Nobody
 * changes the table meanwhile. */
unsigned mac_table_list(const struct mac_table *table, uint64_t now, struct mac_entry *entries,
			unsigned space);

#endif
