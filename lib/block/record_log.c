/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading and replaying a dm-log-writes log, which may be anybody's; see record.h. */
#include "block/record.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "block/record_format.h"
#include "util/bytes.h"
#include "util/error.h"

#define SECTOR_MAXIMUM 4096u
#define PIECE_SIZE     (256u << 10)

static_assert(BLOCK_LOG_FLUSH == RECORD_FLAG_FLUSH && BLOCK_LOG_FUA == RECORD_FLAG_FUA &&
		      BLOCK_LOG_DISCARD == RECORD_FLAG_DISCARD &&
		      BLOCK_LOG_MARK == RECORD_FLAG_MARK &&
		      BLOCK_LOG_METADATA == RECORD_FLAG_METADATA,
	      "the interface's flags are the log's");
static_assert(BLOCK_LOG_MARK_SIZE == SECTOR_MAXIMUM - sizeof(struct record_entry_format) + 1,
	      "a mark of the largest sector fits");

int block_log_open(struct block_log *at, struct block *log, struct error *error)
{
	unsigned char sector[SECTOR_MAXIMUM];
	struct record_super_format super;
	uint32_t size;
	int rc;

	if (log->size < log->logical_block_size)
		return error_set(error, -EINVAL, "%s: no dm-log-writes log: it is empty",
				 log->name);
	rc = block_read(log, 0, sector, log->logical_block_size);
	if (rc < 0)
		return error_set(error, rc, "%s: reading the log's superblock: %s", log->name,
				 error_name(rc));
	memcpy(&super, sector, sizeof(super));
	if (le64toh(super.magic) != RECORD_MAGIC)
		return error_set(error, -EINVAL,
				 "%s: no dm-log-writes log: magic at byte 0 is 0x%llx, expected "
				 "0x%llx",
				 log->name, (unsigned long long)le64toh(super.magic),
				 (unsigned long long)RECORD_MAGIC);
	if (le64toh(super.version) != RECORD_VERSION)
		return error_set(error, -EINVAL,
				 "%s: dm-log-writes log: version at byte 8 is %llu, expected %llu",
				 log->name, (unsigned long long)le64toh(super.version),
				 (unsigned long long)RECORD_VERSION);
	size = le32toh(super.sectorsize);
	if (!is_power_of_two(size) || size < 512 || size > SECTOR_MAXIMUM ||
	    size % log->logical_block_size)
		return error_set(error, -EINVAL,
				 "%s: dm-log-writes log: sector size at byte 24 is %u, expected a "
				 "power of two from %u to %u",
				 log->name, size, log->logical_block_size, SECTOR_MAXIMUM);
	*at = (struct block_log){
		.log = log, .sector_size = size, .entries = le64toh(super.nr_entries), .next = size
	};
	return 0;
}

static int damaged(const struct block_log *at, struct error *error, const char *what,
		   uint64_t found)
{
	error_set(error, -EINVAL,
		  "%s: dm-log-writes log: entry %llu of %llu at byte %llu: %s %llu does not fit",
		  at->log->name, (unsigned long long)at->index, (unsigned long long)at->entries,
		  (unsigned long long)at->next, what, (unsigned long long)found);
	return -EINVAL;
}

/* What an entry's sector says, checked against the log's bounds. */
static int decode(const struct block_log *at, const unsigned char *sector,
		  struct block_log_entry *entry, uint64_t *stored, struct error *error)
{
	struct record_entry_format header;
	uint64_t flags, text;

	memcpy(&header, sector, sizeof(header));
	flags = le64toh(header.flags);
	text = le64toh(header.data_len);
	if (flags & ~RECORD_FLAGS_KNOWN)
		return damaged(at, error, "flags", flags);
	if (__builtin_mul_overflow(le64toh(header.sector), at->sector_size, &entry->offset))
		return damaged(at, error, "sector", le64toh(header.sector));
	if (__builtin_mul_overflow(le64toh(header.nr_sectors), at->sector_size, &entry->length))
		return damaged(at, error, "number of sectors", le64toh(header.nr_sectors));
	entry->index = at->index;
	entry->flags = (unsigned)flags;
	entry->data = at->next + at->sector_size;
	entry->mark[0] = '\0';
	*stored = at->sector_size;
	if (!(flags & RECORD_FLAG_DISCARD)) {
		if (!range_within(entry->data, entry->length, at->log->size))
			return damaged(at, error, "number of sectors", le64toh(header.nr_sectors));
		*stored += entry->length;
	}
	if (flags & RECORD_FLAG_MARK) {
		if (text > at->sector_size - sizeof(header))
			return damaged(at, error, "length of the mark", text);
		memcpy(entry->mark, sector + sizeof(header), text);
		entry->mark[text] = '\0';
	}
	return 0;
}

int block_log_next(struct block_log *at, struct block_log_entry *entry, struct error *error)
{
	unsigned char sector[SECTOR_MAXIMUM];
	uint64_t stored;
	int rc;

	if (at->index >= at->entries)
		return 0;
	if (!range_within(at->next, at->sector_size, at->log->size))
		return damaged(at, error, "the log's size of", at->log->size);
	rc = block_read(at->log, at->next, sector, at->sector_size);
	if (rc < 0)
		return error_set(error, rc, "%s: reading log entry %llu at byte %llu: %s",
				 at->log->name, (unsigned long long)at->index,
				 (unsigned long long)at->next, error_name(rc));
	rc = decode(at, sector, entry, &stored, error);
	if (rc < 0)
		return rc;
	at->next += stored;
	at->index++;
	return 1;
}

static int copy_data(const struct block_log *at, const struct block_log_entry *entry,
		     struct block *target)
{
	CLEANUP_FREE char *piece = malloc(MIN(entry->length, (uint64_t)PIECE_SIZE));
	int rc = 0;

	if (!piece)
		return -ENOMEM;
	for (uint64_t done = 0, step; done < entry->length && !rc; done += step) {
		step = MIN(entry->length - done, (uint64_t)PIECE_SIZE);
		rc = block_read(at->log, entry->data + done, piece, step);
		if (!rc)
			rc = block_write(target, entry->offset + done, piece, step, 0);
	}
	return rc;
}

int block_log_apply(const struct block_log *at, const struct block_log_entry *entry,
		    struct block *target, struct error *error)
{
	int rc = 0;

	if (!entry->length)
		return 0;
	if (!range_within(entry->offset, entry->length, target->size))
		rc = -EINVAL;
	else if (entry->flags & BLOCK_LOG_DISCARD)
		rc = block_write_zeroes(target, entry->offset, entry->length, BLOCK_MAY_UNMAP);
	else
		rc = copy_data(at, entry, target);
	if (rc < 0)
		error_set(error, rc,
			  "%s: replaying log entry %llu, %llu bytes at byte %llu, on %s of %llu "
			  "bytes: %s",
			  at->log->name, (unsigned long long)entry->index,
			  (unsigned long long)entry->length, (unsigned long long)entry->offset,
			  target->name, (unsigned long long)target->size, error_name(rc));
	return rc;
}

int block_log_replay(struct block_log *at, struct block *target, unsigned flags, const char *mark,
		     struct block_log_entry *entry, struct error *error)
{
	struct block_log_entry own;
	int rc;

	if (!entry)
		entry = &own;
	while ((rc = block_log_next(at, entry, error)) > 0) {
		rc = block_log_apply(at, entry, target, error);
		if (rc < 0)
			return rc;
		if (entry->flags & flags ||
		    (mark && entry->flags & BLOCK_LOG_MARK && !strcmp(entry->mark, mark)))
			return 1;
	}
	return rc;
}
