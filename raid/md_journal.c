/* SPDX-License-Identifier: BSD-2-Clause */
/* The write journal on disk; see md_journal.h. */
#include "raid/md_journal.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "raid/md_ppl.h"
#include "util/bytes.h"
#include "util/error.h"

#define MAGIC   0x6433c509u
#define VERSION 1u

struct meta_block {
	uint32_t magic, checksum;
	uint8_t version, pad[3];
	uint32_t meta_size;
	uint64_t seq, position;
} __attribute__((packed));

/* Before the checksums, of 4 bytes for each block, or the stripes, of 8 bytes each. */
struct payload {
	uint16_t type, flags;
	uint32_t size;     /* sectors; of a flush: bytes of stripes */
	uint64_t location; /* not of a flush */
} __attribute__((packed));

static_assert(sizeof(struct meta_block) == MD_JOURNAL_HEADER, "journal meta block");
static_assert(sizeof(struct payload) == 16, "journal payload");

#define FLUSH_HEADER 8u

#define FIELD(at, bits, type, field)                                                               \
	get_le##bits((const uint8_t *)(at) + offsetof(struct type, field))
#define PUT_FIELD(at, bits, type, field, value)                                                    \
	put_le##bits((uint8_t *)(at) + offsetof(struct type, field), value)

/* The kernel begins with what is left of the UUID's, and does not turn the result over. */
static uint32_t checksum(const uint8_t uuid[16], const void *block, size_t zero_at)
{
	static const uint8_t zero[4];
	const uint8_t *bytes = block;
	uint32_t sum = md_crc32c(0, uuid, 16);

	if (zero_at == MD_JOURNAL_BLOCK)
		return ~md_crc32c(sum, block, MD_JOURNAL_BLOCK);
	sum = md_crc32c(sum, block, zero_at);
	sum = md_crc32c(sum, zero, sizeof(zero));
	return ~md_crc32c(sum, bytes + zero_at + 4, MD_JOURNAL_BLOCK - zero_at - 4);
}

uint32_t md_journal_checksum(const uint8_t uuid[16], const void *block)
{
	return checksum(uuid, block, MD_JOURNAL_BLOCK);
}

int md_journal_decode(const void *block, const uint8_t uuid[16], struct md_journal_meta *meta,
		      struct error *error)
{
	uint32_t found, sum;

	memset(meta, 0, sizeof(*meta));
	if (FIELD(block, 32, meta_block, magic) != MAGIC)
		return -ENOENT;
	meta->bytes = FIELD(block, 32, meta_block, meta_size);
	meta->sequence = FIELD(block, 64, meta_block, seq);
	meta->position = FIELD(block, 64, meta_block, position);
	if (((const uint8_t *)block)[offsetof(struct meta_block, version)] != VERSION)
		return error_set(error, -EINVAL, "the journal block's version is %u, expected %u",
				 ((const uint8_t *)block)[offsetof(struct meta_block, version)],
				 VERSION);
	found = FIELD(block, 32, meta_block, checksum);
	sum = checksum(uuid, block, offsetof(struct meta_block, checksum));
	if (found != sum)
		return error_set(error, -EINVAL,
				 "the journal block's checksum is %08x, expected %08x", found, sum);
	if (meta->bytes < MD_JOURNAL_HEADER || meta->bytes > MD_JOURNAL_BLOCK)
		return error_set(error, -EINVAL,
				 "the journal block has %u bytes, expected %u to %u", meta->bytes,
				 MD_JOURNAL_HEADER, MD_JOURNAL_BLOCK);
	return 0;
}

static int next_flush(const uint8_t *at, uint32_t room, uint32_t size,
		      struct md_journal_payload *payload, uint32_t *bytes, struct error *error)
{
	if (size > room - FLUSH_HEADER || size % 8)
		return error_set(
			error, -EINVAL,
			"a flush in a journal block has %u bytes, expected whole words within "
			"%u",
			size, room - FLUSH_HEADER);
	payload->stripes = at + FLUSH_HEADER;
	payload->stripe_count = size / 8;
	*bytes = FLUSH_HEADER + size;
	return 1;
}

int md_journal_next(const void *block, const struct md_journal_meta *meta, uint32_t *position,
		    struct md_journal_payload *payload, struct error *error)
{
	const uint8_t *at = (const uint8_t *)block + *position;
	uint32_t room = meta->bytes - *position, size, bytes = 0;
	int rc = 1;

	memset(payload, 0, sizeof(*payload));
	if (*position >= meta->bytes)
		return 0;
	if (room < FLUSH_HEADER)
		return error_set(error, -EINVAL, "a journal block ends within a payload");
	payload->type = FIELD(at, 16, payload, type);
	payload->flags = FIELD(at, 16, payload, flags);
	size = FIELD(at, 32, payload, size);
	if (payload->type == MD_JOURNAL_FLUSH) {
		rc = next_flush(at, room, size, payload, &bytes, error);
	} else if (payload->type == MD_JOURNAL_DATA || payload->type == MD_JOURNAL_PARITY) {
		uint32_t most = payload->type == MD_JOURNAL_DATA ? 1 : 2;

		payload->blocks = size / MD_JOURNAL_SECTORS;
		bytes = sizeof(struct payload) + 4 * payload->blocks;
		if (!payload->blocks || size % MD_JOURNAL_SECTORS || payload->blocks > most ||
		    bytes > room)
			return error_set(error, -EINVAL,
					 "a payload in a journal block has %u sectors, expected %u",
					 size, MD_JOURNAL_SECTORS);
		payload->location = FIELD(at, 64, payload, location);
		for (uint32_t i = 0; i < payload->blocks; i++)
			payload->checksums[i] =
				get_le32(at + sizeof(struct payload) + 4 * (size_t)i);
	} else {
		rc = error_set(error, -EINVAL,
			       "a payload in a journal block has type %u, expected 0 to 2",
			       payload->type);
	}
	*position += bytes;
	return rc;
}

void md_journal_begin(void *block, uint64_t sequence, uint64_t position)
{
	memset(block, 0, MD_JOURNAL_BLOCK);
	PUT_FIELD(block, 32, meta_block, magic, MAGIC);
	((uint8_t *)block)[offsetof(struct meta_block, version)] = VERSION;
	PUT_FIELD(block, 32, meta_block, meta_size, MD_JOURNAL_HEADER);
	PUT_FIELD(block, 64, meta_block, seq, sequence);
	PUT_FIELD(block, 64, meta_block, position, position);
}

int md_journal_add(void *block, const struct md_journal_payload *payload)
{
	uint32_t used = FIELD(block, 32, meta_block, meta_size);
	uint8_t *at = (uint8_t *)block + used;
	bool flush = payload->type == MD_JOURNAL_FLUSH;
	uint32_t bytes = flush ? FLUSH_HEADER + 8 * payload->stripe_count
			       : (uint32_t)sizeof(struct payload) + 4 * payload->blocks;

	if (bytes > MD_JOURNAL_BLOCK - used)
		return -ENOSPC;
	PUT_FIELD(at, 16, payload, type, (uint16_t)payload->type);
	PUT_FIELD(at, 16, payload, flags, payload->flags);
	PUT_FIELD(at, 32, payload, size,
		  flush ? 8 * payload->stripe_count : payload->blocks * MD_JOURNAL_SECTORS);
	if (flush)
		memcpy(at + FLUSH_HEADER, payload->stripes, 8 * (size_t)payload->stripe_count);
	else
		PUT_FIELD(at, 64, payload, location, payload->location);
	for (uint32_t i = 0; !flush && i < payload->blocks; i++)
		put_le32(at + sizeof(struct payload) + 4 * (size_t)i, payload->checksums[i]);
	PUT_FIELD(block, 32, meta_block, meta_size, used + bytes);
	return 0;
}

void md_journal_seal(void *block, const uint8_t uuid[16])
{
	PUT_FIELD(block, 32, meta_block, checksum,
		  checksum(uuid, block, offsetof(struct meta_block, checksum)));
}
