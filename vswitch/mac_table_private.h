/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the files of the address table:
 *
 *	mac_table.c		making it, looking up and learning what is known: for each frame, without the lock
 *	mac_table_change.c	what changes it, with the lock held
 *
 * Entries live in an array; each is in a hash chain and in a list in
 * the order of last sight, both linked by indices. To keep the list cheap an entry's time is refreshed
 * only when it is a second old.
 *
 * Who changes something holds `lock`, and makes the sequence of the bucket whose chain he changes odd meanwhile. Who reads
 * a chain takes no lock: he reads its sequence before and after, and begins again where it is odd or has
 * changed. He may meet an entry that has just gone to another chain, and follow that one; indices are always good ones, so
 * all that happens is that he walks for nothing. What he reads is atomic for that.
 */
#ifndef TENON_VSWITCH_MAC_TABLE_PRIVATE_H
#define TENON_VSWITCH_MAC_TABLE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "util/random.h"
#include "vswitch/mac_table.h"

#define NONE    UINT32_MAX
#define REFRESH 1000000000ULL
#define KEY_MAC ((1ULL << 48) - 1)

struct mac_table_bucket {
	_Atomic uint32_t sequence; /* odd while the chain changes */
	_Atomic uint32_t first;
};

/* What is looked at for each frame; half a cache line. */
struct mac_table_entry {
	_Atomic uint64_t key; /* fid << 48 | mac */
	_Atomic uint64_t seen;
	_Atomic uint32_t chain; /* the next in the hash bucket, or in the free list */
	_Atomic uint16_t port;
	bool is_static;
	bool held;             /* it has moved too often, and stays */
	uint32_t older, newer; /* by last sight */
};

_Static_assert(sizeof(struct mac_table_entry) == 32, "an entry lies in one cache line");

/* How often an entry has moved. */
struct mac_table_moves {
	uint64_t since; /* or, while it is held, until when */
	uint32_t count;
};

/* By last sight: of the learned ones; of the static ones. */
struct mac_table_order {
	uint32_t oldest, newest;
};

struct mac_table {
	_Atomic uint32_t generation; /* first: see mac_table_generation() */
	uint64_t hash_key, ageing;
	uint32_t size, per_port, move_limit, mask;
	struct mac_table_bucket *buckets;
	struct mac_table_entry *entries;

	/* Under `lock`. */
	pthread_mutex_t lock;
	uint32_t free;
	_Atomic uint32_t count;
	struct mac_table_moves *moves; /* of each entry */
	struct mac_table_order learned, fixed;
	struct mac_table_counters counters;
	uint32_t at_port[UINT16_MAX + 1]; /* how many learned addresses each port has */
	uint32_t limits[UINT16_MAX + 1];  /* and may have; 0: per_port */
	uint32_t ports;                   /* all that ever had one are below */
	uint32_t hand;                    /* where room is looked for next, in a full table */
};

#define GET(at)        atomic_load_explicit(&(at), memory_order_relaxed)
#define SET(at, value) atomic_store_explicit(&(at), value, memory_order_relaxed)

static inline uint64_t key_of(uint16_t fid, uint64_t mac)
{
	return (uint64_t)fid << 48 | mac;
}

static inline struct mac_table_bucket *bucket_of(const struct mac_table *table, uint64_t key)
{
	return &table->buckets[(uint32_t)random_mix(key ^ table->hash_key) & table->mask];
}

/* Threads have times of their own: what one has just seen may be ahead of another's. */
static inline uint64_t time_since(uint64_t then, uint64_t now)
{
	return now > then ? now - then : 0;
}

/* As mac_table_learn(), of a key that is not known, known elsewhere, or long not seen; takes the lock. */
void mac_table_learn_anew(struct mac_table *table, uint64_t key, uint16_t port, uint64_t now);

#endif
