/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The recording layer; see record.h.
 *
 * A change becomes an entry before it goes down, with a copy of the data, and the copy is what goes
 * down: what is logged is what was written, even if the memory of the caller changes meanwhile.
 */
#include "block/record.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "block/iov.h"
#include "block/layer.h"
#include "block/record_format.h"
#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/list.h"

struct record_entry {
	struct list node;
	uint64_t offset, length, flags;
	uint64_t stored;      /* bytes in the log */
	bool zeroes;          /* the data is zeroes, and not in the buffer */
	unsigned char *bytes; /* its sector, and then the data */
};

struct record {
	struct block block;
	struct block *lower, *log;
	uint32_t sector_size;
	struct list unflushed; /* complete, in the order of completion */
	struct fiber_mutex appending;
	uint64_t next, entries; /* of the log: the next byte, and what is complete before it */
	int rc;                 /* the error that ended the log */
};

static struct record *record_of(struct block *block)
{
	return container_of(block, struct record, block);
}

/* ---- Entries ---- */

static void entry_free(struct record_entry *entry)
{
	free(entry->bytes);
	free(entry);
}

/* `iov` NULL: no data in the buffer. */
static struct record_entry *entry_new(struct record *record, uint64_t offset, uint64_t length,
				      uint64_t flags, const struct iovec *iov, unsigned count)
{
	uint32_t size = record->sector_size;
	struct record_entry *entry = calloc(1, sizeof(*entry));
	struct iov_range from = iov_range_of(iov, count);
	struct record_entry_format header = {
		.sector = htole64(offset / size),
		.nr_sectors = htole64(length / size),
		.flags = htole64(flags),
	};

	if (!entry)
		return NULL;
	entry->bytes = malloc(size + (iov ? length : 0));
	if (!entry->bytes) {
		free(entry);
		return NULL;
	}
	entry->offset = offset;
	entry->length = length;
	entry->flags = flags;
	entry->stored = size + (flags & RECORD_FLAG_DISCARD ? 0 : length);
	entry->zeroes = !iov && length;
	memset(entry->bytes, 0, size);
	memcpy(entry->bytes, &header, sizeof(header));
	if (iov)
		iov_copy_out(&from, entry->bytes + size, length);
	list_init(&entry->node);
	return entry;
}

/* ---- The log ---- */

static int write_super(struct record *record)
{
	unsigned char sector[4096] = { 0 };
	struct record_super_format super = {
		.magic = htole64(RECORD_MAGIC),
		.version = htole64(RECORD_VERSION),
		.nr_entries = htole64(record->entries),
		.sectorsize = htole32(record->sector_size),
	};

	memcpy(sector, &super, sizeof(super));
	return block_write(record->log, 0, sector, record->sector_size, 0);
}

static int write_entry(struct record *record, const struct record_entry *entry)
{
	uint64_t inline_bytes = entry->zeroes ? record->sector_size : entry->stored;
	int rc;

	if (!range_within(record->next, entry->stored, record->log->size))
		return -ENOSPC;
	rc = block_write(record->log, record->next, entry->bytes, inline_bytes, 0);
	if (!rc && inline_bytes < entry->stored)
		rc = block_write_zeroes(record->log, record->next + inline_bytes,
					entry->stored - inline_bytes, BLOCK_MAY_UNMAP);
	return rc;
}

/* Writes the entries to the log in order, and frees them. The superblock follows where somebody may
 * want to replay to. */
static void append(struct record *record, struct list *entries)
{
	bool super = false;
	struct list *at;

	fiber_mutex_lock(&record->appending);
	while ((at = list_pop(entries))) {
		struct record_entry *entry = list_entry(at, struct record_entry, node);

		if (!record->rc)
			record->rc = write_entry(record, entry);
		if (!record->rc) {
			record->next += entry->stored;
			record->entries++;
			super |= entry->flags &
				 (RECORD_FLAG_FLUSH | RECORD_FLAG_FUA | RECORD_FLAG_MARK);
		}
		entry_free(entry);
	}
	if (super) {
		int rc = write_super(record);

		if (!record->rc)
			record->rc = rc;
	}
	fiber_mutex_unlock(&record->appending);
}

static void append_one(struct record *record, struct record_entry *entry)
{
	struct list entries;

	list_init(&entries);
	list_add_tail(&entries, &entry->node);
	append(record, &entries);
}

static void take_unflushed(struct record *record, struct list *entries)
{
	struct list *at;

	list_init(entries);
	while ((at = list_pop(&record->unflushed)))
		list_add_tail(entries, at);
}

/* ---- Requests ---- */

/* The change has gone down with `rc`. */
static int completed(struct record *record, struct record_entry *entry, int rc)
{
	if (rc < 0)
		entry_free(entry);
	else if (entry->flags & RECORD_FLAG_FUA)
		append_one(record, entry);
	else
		list_add_tail(&record->unflushed, &entry->node);
	return rc;
}

static int record_writev(struct block *block, uint64_t offset, uint64_t length,
			 const struct iovec *iov, unsigned count, unsigned flags)
{
	struct record *record = record_of(block);
	uint64_t log_flags = flags & BLOCK_FUA ? RECORD_FLAG_FUA : 0;
	struct record_entry *entry = entry_new(record, offset, length, log_flags, iov, count);

	if (!entry)
		return -ENOMEM;
	return completed(record, entry,
			 block_write(record->lower, offset, entry->bytes + record->sector_size,
				     length, flags));
}

static int record_write_zeroes(struct block *block, uint64_t offset, uint64_t length,
			       unsigned flags)
{
	struct record *record = record_of(block);
	uint64_t log_flags = flags & BLOCK_FUA ? RECORD_FLAG_FUA : 0;
	struct record_entry *entry = entry_new(record, offset, length, log_flags, NULL, 0);

	if (!entry)
		return -ENOMEM;
	return completed(record, entry, block_write_zeroes(record->lower, offset, length, flags));
}

static int record_discard(struct block *block, uint64_t offset, uint64_t length)
{
	struct record *record = record_of(block);
	struct record_entry *entry;

	if (!record->lower->discard_granularity)
		return 0; /* it would change nothing */
	entry = entry_new(record, offset, length, RECORD_FLAG_DISCARD, NULL, 0);
	if (!entry)
		return -ENOMEM;
	return completed(record, entry, block_discard(record->lower, offset, length));
}

static int record_readv(struct block *block, uint64_t offset, uint64_t length,
			const struct iovec *iov, unsigned count)
{
	(void)length;
	return block_readv(record_of(block)->lower, offset, iov, count);
}

static int record_status(struct block *block, uint64_t offset, uint64_t *length,
			 enum block_status *status)
{
	return block_status(record_of(block)->lower, offset, length, status);
}

/* Durable with this flush is what was complete when it began. */
static int record_flush(struct block *block)
{
	struct record *record = record_of(block);
	struct record_entry *flush = entry_new(record, 0, 0, RECORD_FLAG_FLUSH, NULL, 0);
	struct list entries;
	int rc;

	if (!flush)
		return -ENOMEM;
	take_unflushed(record, &entries);
	rc = block_flush(record->lower);
	if (rc < 0) {
		/* They go with the next one; what came meanwhile was complete later. */
		struct list *at, later;

		take_unflushed(record, &later);
		while ((at = list_pop(&entries)) || (at = list_pop(&later)))
			list_add_tail(&record->unflushed, at);
		entry_free(flush);
		return rc;
	}
	list_add_tail(&entries, &flush->node);
	append(record, &entries);
	return 0;
}

int block_record_mark(struct block *block, const char *text)
{
	struct record *record = record_of(block);
	size_t length = strlen(text);
	struct record_entry *entry;

	if (length >= record->sector_size - sizeof(struct record_entry_format))
		return -EINVAL;
	entry = entry_new(record, 0, 0, RECORD_FLAG_MARK, NULL, 0);
	if (!entry)
		return -ENOMEM;
	put_le64(entry->bytes + offsetof(struct record_entry_format, data_len), length);
	memcpy(entry->bytes + sizeof(struct record_entry_format), text, length);
	append_one(record, entry);
	return record->rc;
}

int block_record_finish(struct block *block, struct error *error)
{
	struct record *record = record_of(block);
	struct list entries;
	int rc;

	take_unflushed(record, &entries);
	append(record, &entries);
	rc = write_super(record);
	if (!rc)
		rc = block_flush(record->log);
	if (record->rc)
		rc = record->rc;
	if (rc < 0)
		return error_set(error, rc,
				 "%s: the log of %s ended after %llu entries and %llu bytes: %s",
				 record->log->name, block->name,
				 (unsigned long long)record->entries,
				 (unsigned long long)record->next, error_name(rc));
	return 0;
}

static void record_close(struct block *block)
{
	struct record *record = record_of(block);

	block_record_finish(block, NULL);
	block_unref(record->log);
	block_unref(record->lower);
	free(record);
}

static const struct block_ops record_ops = {
	.type = "record",
	.start = block_start_on_fiber,
	.readv = record_readv,
	.writev = record_writev,
	.discard = record_discard,
	.write_zeroes = record_write_zeroes,
	.status = record_status,
	.flush = record_flush,
	.close = record_close,
};

int block_create_record(struct block **out, const char *name, struct block *lower,
			struct block *log, struct error *error)
{
	uint32_t size = lower->logical_block_size;
	struct record *record;
	int rc;

	if (log->logical_block_size > size || log->size < size)
		return error_set(error, -EINVAL,
				 "%s: a log of %llu bytes in blocks of %u: expected blocks of %u "
				 "bytes at most, as %s has",
				 log->name, (unsigned long long)log->size, log->logical_block_size,
				 size, lower->name);
	record = calloc(1, sizeof(*record));
	if (!record)
		return error_set(error, -ENOMEM, "%s: out of memory", name);
	block_init(&record->block, &record_ops, name);
	block_copy_limits(&record->block, lower);
	record->lower = block_ref(lower);
	record->log = block_ref(log);
	record->sector_size = size;
	record->next = size;
	list_init(&record->unflushed);
	fiber_mutex_init(&record->appending);
	rc = write_super(record);
	if (rc < 0) {
		error_set(error, rc, "%s: writing a log: %s", log->name, error_name(rc));
		block_unref(&record->block);
		return rc;
	}
	*out = &record->block;
	return 0;
}
