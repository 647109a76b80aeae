/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The address table; see mac_table.h. Entries live in an array; each is in a hash chain and in a list in
 * the order of last sight, both linked by indices. To keep the list cheap an entry's time is refreshed
 * only when it is a second old.
 *
 * Who changes something holds `lock`, and makes the sequence of the bucket whose chain he changes odd meanwhile. Who reads
 * a chain takes no lock: he reads its sequence before and after, and begins again where it is odd or has
 * changed. He may meet an entry that has just gone to another chain, and follow that one; indices are always good ones, so
 * all that happens is that he walks for nothing. What he reads is atomic for that.
 */
#include "vswitch/mac_table.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

#include "util/bytes.h"
#include "util/poll_window.h"
#include "util/random.h"

#define NONE      UINT32_MAX
#define REFRESH   1000000000ULL
#define WALK_MOST 64u /* entries, after which a reader looks whether he is still where he thinks */
#define NEAR      4096u /* entries that a processor has at hand anyway */
#define BUCKETS                                                                                    \
	4u /* for each entry: then a chain is rarely longer than one, and the next one is not fetched ahead */
#define BUCKETS_MOST (1u << 30)

#define LARGE_PAGE (2u << 20)

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
};

char *mac_format(uint64_t mac, char text[MAC_TEXT])
{
	snprintf(text, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", (unsigned)(mac >> 40 & 255),
		 (unsigned)(mac >> 32 & 255), (unsigned)(mac >> 24 & 255),
		 (unsigned)(mac >> 16 & 255), (unsigned)(mac >> 8 & 255), (unsigned)(mac & 255));
	return text;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool mac_parse(const char *text, uint64_t *mac)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < 6; i++, text += 3) {
		int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0)
			return false;
		value = value << 8 | (unsigned)(high * 16 + low);
		if (i == 5 ? text[2] != '\0' : text[2] != ':' && text[2] != '-')
			return false;
	}
	*mac = value;
	return true;
}

/* Of large tables nearly every look is at another page: large pages, where the system has them, have it found at once. */
static void *allocate(size_t bytes)
{
	size_t align = bytes < LARGE_PAGE ? 64 : LARGE_PAGE;
	void *at = aligned_alloc(align, (bytes + align - 1) / align * align);

	if (at && align == LARGE_PAGE)
		(void)madvise(at, bytes, MADV_HUGEPAGE);
	return at;
}

int mac_table_create(struct mac_table **out, const struct mac_table_options *options)
{
	static const struct mac_table_options defaults;
	struct mac_table *table = calloc(1, sizeof(*table));
	uint32_t buckets = 64;

	if (!table)
		return -ENOMEM;
	if (!options)
		options = &defaults;
	table->hash_key = random_mix(options->seed + 0x9e3779b97f4a7c15ULL);
	table->ageing = options->ageing_ns ? options->ageing_ns : MAC_TABLE_AGEING;
	table->size = options->size ? options->size : MAC_TABLE_SIZE;
	table->per_port = options->per_port ? options->per_port : MAC_TABLE_PER_PORT;
	table->move_limit = options->move_limit;
	while (buckets < (uint64_t)table->size * BUCKETS && buckets < BUCKETS_MOST)
		buckets *= 2;
	table->mask = buckets - 1;
	pthread_mutex_init(&table->lock, NULL);
	table->buckets = allocate(buckets * sizeof(*table->buckets));
	table->entries = allocate((table->size + 1) / 2 * 64);
	table->moves = calloc(table->size, sizeof(*table->moves));
	if (!table->buckets || !table->entries || !table->moves) {
		mac_table_destroy(table);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < buckets; i++)
		table->buckets[i] = (struct mac_table_bucket){ 0, NONE };
	for (uint32_t i = 0; i < table->size; i++)
		table->entries[i] =
			(struct mac_table_entry){ .chain = i + 1 < table->size ? i + 1 : NONE };
	table->learned = table->fixed = (struct mac_table_order){ NONE, NONE };
	*out = table;
	return 0;
}

void mac_table_destroy(struct mac_table *table)
{
	if (!table)
		return;
	pthread_mutex_destroy(&table->lock);
	free(table->buckets);
	free(table->entries);
	free(table->moves);
	free(table);
}

/* ---- Reading ---- */

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

/* What a reader sees of an entry. */
struct sight {
	bool found;
	uint16_t port;
	uint64_t seen;
};

/* Walks a chain; false: what was read means nothing, for it changed. */
static inline bool try_to_look(const struct mac_table *table, const struct mac_table_bucket *bucket,
			       uint64_t key, struct sight *out)
{
	uint32_t before = atomic_load_explicit(&bucket->sequence, memory_order_acquire);
	uint32_t at = GET(bucket->first);

	out->found = false;
	if (before & 1)
		return false;
	for (unsigned steps = 0; at != NONE; steps++) {
		const struct mac_table_entry *entry = &table->entries[at];

		if (GET(entry->key) == key) {
			out->found = true;
			out->port = GET(entry->port);
			out->seen = GET(entry->seen);
			break;
		}
		if (steps % WALK_MOST == WALK_MOST - 1 && GET(bucket->sequence) != before)
			return false;
		at = GET(entry->chain);
	}
	atomic_thread_fence(memory_order_acquire);
	return GET(bucket->sequence) == before;
}

static inline struct sight look(const struct mac_table *table, uint64_t key)
{
	const struct mac_table_bucket *bucket = bucket_of(table, key);
	struct sight sight;

	while (!try_to_look(table, bucket, key, &sight))
		cpu_relax();
	return sight;
}

uint16_t mac_table_lookup_until(struct mac_table *table, uint16_t fid, uint64_t mac, uint64_t now,
				uint64_t *until)
{
	struct sight sight = look(table, key_of(fid, mac));

	if (!sight.found ||
	    (sight.seen != UINT64_MAX && time_since(sight.seen, now) >= table->ageing))
		return MAC_TABLE_NO_PORT;
	if (until)
		*until = sight.seen == UINT64_MAX ? UINT64_MAX : sight.seen + table->ageing;
	return sight.port;
}

void mac_table_prefetch(const struct mac_table *table, const uint64_t *keys, unsigned count)
{
	const struct mac_table_bucket *buckets[MAC_TABLE_FETCH_MAX];

	for (unsigned i = 0; i < count; i++) {
		buckets[i] = bucket_of(table, keys[i]);
		__builtin_prefetch(buckets[i]);
	}
	for (unsigned i = 0; i < count; i++) {
		uint32_t at = GET(buckets[i]->first);

		/* A hint: where nothing is, the first is as good as any. */
		__builtin_prefetch(&table->entries[at == NONE ? 0 : at]);
	}
}

bool mac_table_is_near(const struct mac_table *table)
{
	return GET(table->count) < NEAR;
}

/* ---- Changing, with the lock held ---- */

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
	if (!entry->is_static)
		table->at_port[port]++;
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
		if (table->free == NONE || port_is_full(table, port)) {
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

uint64_t mac_table_learn(struct mac_table *table, uint16_t fid, uint64_t mac, uint16_t port,
			 uint64_t now)
{
	uint64_t key = key_of(fid, mac);
	struct sight sight;

	if (!mac_is_station(mac))
		return 0;
	sight = look(table, key);
	if (sight.found && sight.port == port &&
	    (sight.seen == UINT64_MAX || time_since(sight.seen, now) < REFRESH))
		return sight.seen == UINT64_MAX ? UINT64_MAX : sight.seen + REFRESH;
	pthread_mutex_lock(&table->lock);
	learn(table, key, port, now);
	pthread_mutex_unlock(&table->lock);
	return 0;
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

unsigned mac_table_count(const struct mac_table *table)
{
	return GET(table->count);
}

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
