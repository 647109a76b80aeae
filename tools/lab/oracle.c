/* SPDX-License-Identifier: BSD-2-Clause */
/* What an array must hold; see oracle.h. */
#include "tools/lab/oracle.h"

#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/random.h"

struct lab_acked {
	uint64_t number, sector, count;
	uint32_t version;
};

static uint32_t *make_versions(uint64_t sectors)
{
	uint32_t *versions = calloc(sectors + 1, sizeof(*versions));

	if (!versions)
		abort();
	return versions;
}

void lab_oracle_begin(struct lab_oracle *oracle, uint64_t sectors, uint64_t seed)
{
	*oracle = (struct lab_oracle){ .seed = seed, .sectors = sectors };
	oracle->durable = make_versions(sectors);
	oracle->acknowledged = make_versions(sectors);
	oracle->issued = make_versions(sectors);
}

void lab_oracle_end(struct lab_oracle *oracle)
{
	free(oracle->durable);
	free(oracle->acknowledged);
	free(oracle->issued);
	free(oracle->acked);
	*oracle = (struct lab_oracle){ 0 };
}

void lab_oracle_copy(struct lab_oracle *to, const struct lab_oracle *from)
{
	size_t size = from->sectors * sizeof(uint32_t);

	lab_oracle_begin(to, from->sectors, from->seed);
	memcpy(to->durable, from->durable, size);
	memcpy(to->acknowledged, from->acknowledged, size);
	memcpy(to->issued, from->issued, size);
	to->version = from->version;
	to->acks = from->acks;
	to->acked_count = to->acked_room = from->acked_count;
	to->acked = malloc((from->acked_count + 1) * sizeof(*to->acked));
	if (!to->acked)
		abort();
	if (from->acked_count)
		memcpy(to->acked, from->acked, from->acked_count * sizeof(*to->acked));
}

uint32_t lab_oracle_issue(struct lab_oracle *oracle, uint64_t sector, uint64_t count)
{
	uint32_t version = ++oracle->version;

	for (uint64_t i = 0; i < count; i++)
		oracle->issued[sector + i] = version;
	return version;
}

static void fill_sector(const struct lab_oracle *oracle, uint64_t sector, uint32_t version,
			unsigned char *at)
{
	struct random random = { random_mix(oracle->seed ^ sector << 32 ^ version) };

	if (!version) {
		memset(at, 0, LAB_SECTOR);
		return;
	}
	put_le64(at, sector);
	put_le32(at + 8, version);
	put_le32(at + 12, (uint32_t)random.state);
	for (unsigned i = 16; i < LAB_SECTOR; i += 8)
		put_le64(at + i, random_next(&random));
}

void lab_oracle_fill(const struct lab_oracle *oracle, uint64_t sector, uint64_t count,
		     uint32_t version, void *at)
{
	for (uint64_t i = 0; i < count; i++)
		fill_sector(oracle, sector + i, version, (unsigned char *)at + i * LAB_SECTOR);
}

void lab_oracle_ack(struct lab_oracle *oracle, uint64_t sector, uint64_t count, uint32_t version,
		    bool durable)
{
	for (uint64_t i = sector; i < sector + count; i++) {
		oracle->acknowledged[i] = MAX(oracle->acknowledged[i], version);
		if (durable)
			oracle->durable[i] = MAX(oracle->durable[i], version);
	}
	oracle->acks++;
	if (durable)
		return;
	if (oracle->acked_count == oracle->acked_room) {
		oracle->acked_room = oracle->acked_room ? 2 * oracle->acked_room : 64;
		oracle->acked = realloc(oracle->acked, oracle->acked_room * sizeof(*oracle->acked));
		if (!oracle->acked)
			abort();
	}
	oracle->acked[oracle->acked_count++] =
		(struct lab_acked){ oracle->acks, sector, count, version };
}

uint64_t lab_oracle_flush(const struct lab_oracle *oracle)
{
	return oracle->acks;
}

void lab_oracle_flushed(struct lab_oracle *oracle, uint64_t token)
{
	uint64_t left = 0;

	for (uint64_t i = 0; i < oracle->acked_count; i++) {
		const struct lab_acked acked = oracle->acked[i];

		if (acked.number > token) {
			oracle->acked[left++] = acked;
			continue;
		}
		for (uint64_t at = acked.sector; at < acked.sector + acked.count; at++)
			oracle->durable[at] = MAX(oracle->durable[at], acked.version);
	}
	oracle->acked_count = left;
}

struct lab_legal lab_oracle_legal(const struct lab_oracle *oracle, uint64_t sector, bool crashed)
{
	return (struct lab_legal){ crashed ? oracle->durable[sector] : oracle->acknowledged[sector],
				   oracle->issued[sector] };
}

uint32_t lab_oracle_version(const struct lab_oracle *oracle, uint64_t sector, const void *at)
{
	unsigned char expected[LAB_SECTOR];
	uint32_t version = get_le32((const unsigned char *)at + 8);

	if (version > oracle->version)
		return UINT32_MAX;
	/* Most of a region is often as it was. */
	if (!version && !*(const char *)at && memcmp(at, (const char *)at + 1, LAB_SECTOR - 1) == 0)
		return 0;
	fill_sector(oracle, sector, version, expected);
	return memcmp(at, expected, LAB_SECTOR) == 0 ? version : UINT32_MAX;
}

void lab_oracle_crash(struct lab_oracle *oracle)
{
	oracle->acked_count = 0;
}

void lab_oracle_take(struct lab_oracle *oracle, uint64_t sector, uint32_t version)
{
	oracle->durable[sector] = oracle->acknowledged[sector] = oracle->issued[sector] = version;
}

void lab_oracle_forget(struct lab_oracle *oracle, uint64_t sector)
{
	oracle->durable[sector] = oracle->acknowledged[sector] = 0;
	oracle->issued[sector] = LAB_ANYTHING;
}
