/* SPDX-License-Identifier: BSD-2-Clause */
/* The address table, as each frame asks it; see mac_table.h and mac_table_private.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "util/poll_window.h"
#include "vswitch/mac_table_private.h"

#define WALK_MOST 64u /* entries, after which a reader looks whether he is still where he thinks */
#define NEAR      4096u /* entries that a processor has at hand anyway */
#define BUCKETS                                                                                    \
	4u /* for each entry: then a chain is rarely longer than one, and the next one is not fetched ahead */
#define BUCKETS_MOST (1u << 30)

#define LARGE_PAGE (2u << 20)

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
	mac_table_learn_anew(table, key, port, now);
	return 0;
}

unsigned mac_table_count(const struct mac_table *table)
{
	return GET(table->count);
}
