/* SPDX-License-Identifier: BSD-2-Clause */
/* What changes the address table, and what is told of all of it; see mac_table_private.h. */
#include <errno.h>

#include "util/bytes.h"
#include "vswitch/mac_table_private.h"

#define HAND_STEPS 64 /* how many entries one that is to be learned looks at for room */

/* ---- With the lock held ---- */

static void begin_change(struct mac_table *table, uint64_t key)
{
	_Atomic uint32_t *sequence = &bucket_of(table, key)->sequence;

	SET(*sequence, GET(*sequence) + 1);
	atomic_thread_fence(memory_order_release);
}

static void end_change(struct mac_table *table, uint64_t key)
{
	_Atomic uint32_t *sequence = &bucket_of(table, key)->sequence;

	atomic_store_explicit(sequence, GET(*sequence) + 1, memory_order_release);
}

static uint32_t find(const struct mac_table *table, uint64_t key)
{
	uint32_t at = GET(bucket_of(table, key)->first);

	while (at != NONE && GET(table->entries[at].key) != key)
		at = GET(table->entries[at].chain);
	return at;
}

static struct mac_table_order *order_of(struct mac_table *table, uint32_t at)
{
	return table->entries[at].is_static ? &table->fixed : &table->learned;
}

static void unlink_age(struct mac_table *table, uint32_t at)
{
	struct mac_table_entry *entry = &table->entries[at];
	struct mac_table_order *order = order_of(table, at);

	if (entry->older != NONE)
		table->entries[entry->older].newer = entry->newer;
	else
		order->oldest = entry->newer;
	if (entry->newer != NONE)
		table->entries[entry->newer].older = entry->older;
	else
		order->newest = entry->older;
}

static void append_age(struct mac_table *table, uint32_t at)
{
	struct mac_table_entry *entry = &table->entries[at];
	struct mac_table_order *order = order_of(table, at);

	entry->newer = NONE;
	entry->older = order->newest;
	if (order->newest != NONE)
		table->entries[order->newest].newer = at;
	else
		order->oldest = at;
	order->newest = at;
}

static void forget(struct mac_table *table, uint32_t at)
{
	struct mac_table_entry *entry = &table->entries[at];
	uint64_t key = GET(entry->key);
	_Atomic uint32_t *link = &bucket_of(table, key)->first;

	while (GET(*link) != at)
		link = &table->entries[GET(*link)].chain;
	begin_change(table, key);
	SET(*link, GET(entry->chain));
	unlink_age(table, at);
	if (!entry->is_static)
		table->at_port[GET(entry->port)]--;
	SET(table->count, GET(table->count) - 1);
	SET(entry->chain, table->free);
	SET(entry->key, 0);
	table->free = at;
	/* Not before the change: who sees it then waits for the end of that, and keeps no answer that was true before. */
	SET(table->generation, GET(table->generation) + 1);
	end_change(table, key);
}

static bool too_old(const struct mac_table *table, const struct mac_table_entry *entry,
		    uint64_t now)
{
	return !entry->is_static && time_since(GET(entry->seen), now) >= table->ageing;
}

static void expire(struct mac_table *table, uint64_t now)
{
	while (table->learned.oldest != NONE &&
	       too_old(table, &table->entries[table->learned.oldest], now)) {
		forget(table, table->learned.oldest);
		table->counters.aged++;
	}
}

static bool port_is_full(const struct mac_table *table, uint16_t port)
{
	uint32_t limit = table->limits[port] ? table->limits[port] : table->per_port;

	return table->at_port[port] >= limit;
}

static uint32_t most_of_a_port(const struct mac_table *table)
{
	uint32_t most = 0;

	for (uint32_t port = 0; port < table->ports; port++)
		most = MAX(most, table->at_port[port]);
	return most;
}

/*
 * In a full table a port that has many, half as many as any or more, gives up an entry for `port`, so that some together cannot keep the
 * others' stations from being learned; never one that would have fewer then. Looks at a few entries only, and goes on there the next time.
 */
static bool displace_one(struct mac_table *table, uint16_t port)
{
	uint32_t most = most_of_a_port(table), many = MAX(most / 2, table->at_port[port] + 2);

	/* Each frame of a flood may ask, and those of equal shares ask for nothing. */
	if (most < many)
		return false;
	for (unsigned steps = 0; steps < HAND_STEPS; steps++) {
		uint32_t at = table->hand;

		table->hand = (at + 1) % table->size;
		if (table->entries[at].is_static ||
		    table->at_port[GET(table->entries[at].port)] < many)
			continue;
		forget(table, at);
		table->counters.displaced++;
		return true;
	}
	return false;
}

/* A new entry; there is a free one. */
static void insert(struct mac_table *table, uint64_t key, uint16_t port, uint64_t seen)
{
	_Atomic uint32_t *first = &bucket_of(table, key)->first;
	uint32_t at = table->free;
	struct mac_table_entry *entry = &table->entries[at];

	table->free = GET(entry->chain);
	begin_change(table, key);
	SET(entry->key, key);
	SET(entry->seen, seen);
	SET(entry->port, port);
	SET(entry->chain, GET(*first));
	entry->is_static = seen == UINT64_MAX;
	entry->held = false;
	table->moves[at].count = 0;
	SET(*first, at);
	append_age(table, at);
	if (!entry->is_static) {
		table->at_port[port]++;
		table->ports = MAX(table->ports, port + 1u);
	}
	SET(table->count, GET(table->count) + 1);
	end_change(table, key);
}

/* Whether the entry has moved so often that it stays where it is for a while. */
static bool is_held(const struct mac_table *table, uint32_t at, uint64_t now)
{
	struct mac_table_entry *entry = &table->entries[at];
	struct mac_table_moves *moves = &table->moves[at];

	if (!table->move_limit)
		return false;
	if (entry->held) {
		entry->held = (int64_t)(moves->since - now) > 0;
		if (entry->held)
			return true;
		moves->count = 0;
	}
	if (!moves->count || time_since(moves->since, now) >= REFRESH)
		*moves = (struct mac_table_moves){ .since = now };
	if (moves->count < table->move_limit) {
		moves->count++;
		return false;
	}
	entry->held = true;
	moves->since = now + MAC_TABLE_HOLD;
	return true;
}

/* False: it stays where it is. */
static bool move(struct mac_table *table, uint32_t at, uint16_t port, uint64_t now)
{
	struct mac_table_entry *entry = &table->entries[at];
	bool live = !too_old(table, entry, now);

	if (port_is_full(table, port)) {
		table->counters.refused++;
		return false;
	}
	if (live && is_held(table, at, now)) {
		table->counters.held++;
		return false;
	}
	table->at_port[GET(entry->port)]--;
	table->at_port[port]++;
	table->ports = MAX(table->ports, port + 1u);
	table->counters.moved += live;
	SET(entry->port, port);
	SET(table->generation, GET(table->generation) + 1);
	return true;
}

static void learn(struct mac_table *table, uint64_t key, uint16_t port, uint64_t now)
{
	uint32_t at = find(table, key);
	struct mac_table_entry *entry = &table->entries[at];

	if (at == NONE) {
		expire(table, now);
		if (port_is_full(table, port) ||
		    (table->free == NONE && !displace_one(table, port))) {
			table->counters.refused++;
			return;
		}
		insert(table, key, port, now);
		table->counters.learned++;
		return;
	}
	if (entry->is_static) {
		table->counters.held += GET(entry->port) != port;
		return;
	}
	begin_change(table, key);
	if (GET(entry->port) == port || move(table, at, port, now)) {
		SET(entry->seen, now);
		unlink_age(table, at);
		append_age(table, at);
	}
	end_change(table, key);
}

void mac_table_learn_anew(struct mac_table *table, uint64_t key, uint16_t port, uint64_t now)
{
	pthread_mutex_lock(&table->lock);
	learn(table, key, port, now);
	pthread_mutex_unlock(&table->lock);
}

/* ---- By hand ---- */

int mac_table_add_static(struct mac_table *table, uint16_t fid, uint64_t mac, uint16_t port)
{
	uint64_t key = key_of(fid, mac);
	int rc = 0;
	uint32_t at;

	if (!mac_is_station(mac))
		return -EINVAL;
	pthread_mutex_lock(&table->lock);
	at = find(table, key);
	if (at != NONE)
		forget(table, at);
	/* What guests fill the table with keeps nothing out that is made by hand. */
	if (table->free == NONE && table->learned.oldest != NONE) {
		forget(table, table->learned.oldest);
		table->counters.displaced++;
	}
	if (table->free == NONE)
		rc = -ENOSPC;
	else
		insert(table, key, port, UINT64_MAX);
	pthread_mutex_unlock(&table->lock);
	return rc;
}

int mac_table_remove(struct mac_table *table, uint16_t fid, uint64_t mac)
{
	uint32_t at;

	pthread_mutex_lock(&table->lock);
	at = find(table, key_of(fid, mac));
	if (at != NONE)
		forget(table, at);
	pthread_mutex_unlock(&table->lock);
	return at == NONE ? -ENOENT : 0;
}

void mac_table_limit_port(struct mac_table *table, uint16_t port, unsigned limit)
{
	pthread_mutex_lock(&table->lock);
	table->limits[port] = limit;
	pthread_mutex_unlock(&table->lock);
}

/* Of one port, or of all (MAC_TABLE_NO_PORT). */
static void flush(struct mac_table *table, const struct mac_table_order *order, uint16_t port)
{
	uint32_t next;

	for (uint32_t at = order->oldest; at != NONE; at = next) {
		next = table->entries[at].newer;
		if (port == MAC_TABLE_NO_PORT || GET(table->entries[at].port) == port)
			forget(table, at);
	}
}

void mac_table_flush_port(struct mac_table *table, uint16_t port)
{
	pthread_mutex_lock(&table->lock);
	/* A spanning tree flushes all ports but one, as often as a neighbour likes: what that one has is not gone through. */
	if (port == MAC_TABLE_NO_PORT || table->at_port[port])
		flush(table, &table->learned, port);
	pthread_mutex_unlock(&table->lock);
}

void mac_table_drop_port(struct mac_table *table, uint16_t port)
{
	pthread_mutex_lock(&table->lock);
	flush(table, &table->learned, port);
	flush(table, &table->fixed, port);
	table->limits[port] = 0;
	pthread_mutex_unlock(&table->lock);
}

void mac_table_flush(struct mac_table *table)
{
	mac_table_flush_port(table, MAC_TABLE_NO_PORT);
}

void mac_table_expire(struct mac_table *table, uint64_t now)
{
	pthread_mutex_lock(&table->lock);
	expire(table, now);
	pthread_mutex_unlock(&table->lock);
}

/* ---- Looking ---- */

void mac_table_counters(const struct mac_table *table, struct mac_table_counters *out)
{
	*out = table->counters;
}

static unsigned list(const struct mac_table *table, const struct mac_table_order *order,
		     uint64_t now, struct mac_entry *entries, unsigned space)
{
	unsigned count = 0;

	for (uint32_t at = order->oldest; at != NONE && count < space;
	     at = table->entries[at].newer) {
		const struct mac_table_entry *entry = &table->entries[at];
		uint64_t key = GET(entry->key);

		if (too_old(table, entry, now))
			continue;
		entries[count++] =
			(struct mac_entry){ .mac = key & KEY_MAC,
					    .fid = (uint16_t)(key >> 48),
					    .seen = entry->is_static ? now : GET(entry->seen),
					    .port = GET(entry->port),
					    .is_static = entry->is_static };
	}
	return count;
}

unsigned mac_table_list(const struct mac_table *table, uint64_t now, struct mac_entry *entries,
			unsigned space)
{
	unsigned count = list(table, &table->fixed, now, entries, space);

	return count + list(table, &table->learned, now, entries + count, space - count);
}
