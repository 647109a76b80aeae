/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The address table; see mac_table.h. Entries live in an array; each is in a hash chain and in a list in
 * the order of last sight, both linked by indices. To keep the list cheap an entry's time is refreshed
 * only when it is a second old.
 */
#include "vswitch/mac_table.h"

#include <errno.h>
#include <stdio.h>

#include "util/bytes.h"
#include "util/random.h"

#define NONE    UINT32_MAX
#define REFRESH 1000000000ULL

struct mac_table_entry {
	struct mac_entry entry;
	uint32_t chain;        /* the next in the hash bucket, or in the free list */
	uint32_t older, newer; /* by last sight */
};

struct mac_table {
	uint64_t key, ageing;
	uint32_t size, per_port, count, mask;
	uint32_t oldest, newest, free;
	struct mac_table_counters counters;
	uint32_t *buckets;
	struct mac_table_entry *entries;
	uint32_t at_port[UINT16_MAX]; /* how many addresses each port has */
};

char *mac_format(uint64_t mac, char text[MAC_TEXT])
{
	snprintf(text, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", (unsigned)(mac >> 40 & 255),
		 (unsigned)(mac >> 32 & 255), (unsigned)(mac >> 24 & 255),
		 (unsigned)(mac >> 16 & 255), (unsigned)(mac >> 8 & 255), (unsigned)(mac & 255));
	return text;
}

int mac_table_create(struct mac_table **out, const struct mac_table_options *options)
{
	static const struct mac_table_options defaults;
	struct mac_table *table = calloc(1, sizeof(*table));
	uint32_t buckets = 1;

	if (!table)
		return -ENOMEM;
	if (!options)
		options = &defaults;
	table->key = random_mix(options->seed + 0x9e3779b97f4a7c15ULL);
	table->ageing = options->ageing_ns ? options->ageing_ns : MAC_TABLE_AGEING;
	table->size = options->size ? options->size : MAC_TABLE_SIZE;
	table->per_port = options->per_port ? options->per_port : MAC_TABLE_PER_PORT;
	while (buckets < table->size)
		buckets *= 2;
	table->mask = buckets - 1;
	table->buckets = malloc(buckets * sizeof(*table->buckets));
	table->entries = calloc(table->size, sizeof(*table->entries));
	if (!table->buckets || !table->entries) {
		mac_table_destroy(table);
		return -ENOMEM;
	}
	memset(table->buckets, 0xff, buckets * sizeof(*table->buckets));
	for (uint32_t i = 0; i < table->size; i++)
		table->entries[i].chain = i + 1 < table->size ? i + 1 : NONE;
	table->oldest = table->newest = NONE;
	*out = table;
	return 0;
}

void mac_table_destroy(struct mac_table *table)
{
	if (!table)
		return;
	free(table->buckets);
	free(table->entries);
	free(table);
}

static uint32_t *bucket_of(const struct mac_table *table, uint64_t mac)
{
	return &table->buckets[random_mix(mac ^ table->key) & table->mask];
}

static uint32_t find(const struct mac_table *table, uint64_t mac)
{
	uint32_t at = *bucket_of(table, mac);

	while (at != NONE && table->entries[at].entry.mac != mac)
		at = table->entries[at].chain;
	return at;
}

static void unlink_age(struct mac_table *table, uint32_t at)
{
	struct mac_table_entry *entry = &table->entries[at];

	if (entry->older != NONE)
		table->entries[entry->older].newer = entry->newer;
	else
		table->oldest = entry->newer;
	if (entry->newer != NONE)
		table->entries[entry->newer].older = entry->older;
	else
		table->newest = entry->older;
}

static void append_age(struct mac_table *table, uint32_t at)
{
	struct mac_table_entry *entry = &table->entries[at];

	entry->newer = NONE;
	entry->older = table->newest;
	if (table->newest != NONE)
		table->entries[table->newest].newer = at;
	else
		table->oldest = at;
	table->newest = at;
}

static void forget(struct mac_table *table, uint32_t at)
{
	struct mac_table_entry *entry = &table->entries[at];
	uint32_t *link = bucket_of(table, entry->entry.mac);

	while (*link != at)
		link = &table->entries[*link].chain;
	*link = entry->chain;
	unlink_age(table, at);
	table->at_port[entry->entry.port]--;
	table->count--;
	entry->chain = table->free;
	table->free = at;
}

static bool too_old(const struct mac_table *table, const struct mac_table_entry *entry,
		    uint64_t now)
{
	return now - entry->entry.seen >= table->ageing;
}

void mac_table_expire(struct mac_table *table, uint64_t now)
{
	while (table->oldest != NONE && too_old(table, &table->entries[table->oldest], now)) {
		forget(table, table->oldest);
		table->counters.aged++;
	}
}

static void insert(struct mac_table *table, uint64_t mac, uint16_t port, uint64_t now)
{
	uint32_t at, *bucket = bucket_of(table, mac);

	mac_table_expire(table, now);
	if (table->free == NONE || table->at_port[port] >= table->per_port) {
		table->counters.refused++;
		return;
	}
	at = table->free;
	table->free = table->entries[at].chain;
	table->entries[at].entry = (struct mac_entry){ mac, now, port };
	table->entries[at].chain = *bucket;
	*bucket = at;
	append_age(table, at);
	table->at_port[port]++;
	table->count++;
	table->counters.learned++;
}

void mac_table_learn(struct mac_table *table, uint64_t mac, uint16_t port, uint64_t now)
{
	struct mac_table_entry *entry;
	uint32_t at;

	if (!mac_is_station(mac))
		return;
	at = find(table, mac);
	if (at == NONE) {
		insert(table, mac, port, now);
		return;
	}
	entry = &table->entries[at];
	if (entry->entry.port == port && now - entry->entry.seen < REFRESH)
		return;
	if (entry->entry.port != port) {
		if (table->at_port[port] >= table->per_port) {
			table->counters.refused++;
			return;
		}
		table->at_port[entry->entry.port]--;
		table->at_port[port]++;
		table->counters.moved += !too_old(table, entry, now);
		entry->entry.port = port;
	}
	entry->entry.seen = now;
	unlink_age(table, at);
	append_age(table, at);
}

uint16_t mac_table_lookup(const struct mac_table *table, uint64_t mac, uint64_t now)
{
	uint32_t at = find(table, mac);

	if (at == NONE || too_old(table, &table->entries[at], now))
		return MAC_TABLE_NO_PORT;
	return table->entries[at].entry.port;
}

void mac_table_flush_port(struct mac_table *table, uint16_t port)
{
	uint32_t next;

	for (uint32_t at = table->oldest; at != NONE; at = next) {
		next = table->entries[at].newer;
		if (table->entries[at].entry.port == port)
			forget(table, at);
	}
}

unsigned mac_table_count(const struct mac_table *table)
{
	return table->count;
}

void mac_table_counters(const struct mac_table *table, struct mac_table_counters *out)
{
	*out = table->counters;
}

unsigned mac_table_list(const struct mac_table *table, uint64_t now, struct mac_entry *entries,
			unsigned space)
{
	unsigned count = 0;

	for (uint32_t at = table->oldest; at != NONE && count < space;
	     at = table->entries[at].newer)
		if (!too_old(table, &table->entries[at], now))
			entries[count++] = table->entries[at].entry;
	return count;
}
