/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whole arrays on damaged images: superblocks, bitmaps, write journals and partial parity logs, assembled, logs carried out, read and written.
 *
 * The input says which array it is and how it is assembled, and then what is done to its images, one thing after the other: bytes are
 * written over others, checksums made right, whole rings and logs made up of valid blocks that say anything. What must hold: who only looks
 * writes nothing; an array that does not start for writing leaves its members as they were, unless a log was carried out; one
 * that was stopped starts again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/overlay.h"
#include "fiber/fiber.h"
#include "raid/dm_raid.h"
#include "raid/md_format.h"
#include "raid/md_journal.h"
#include "raid/md_ppl.h"
#include "raid/md_superblock.h"
#include "raid/md_superblock_90.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/random.h"

#define DISKS     6u /* images at most */
#define SIZE      (2304u << 10)
#define META_SIZE (64u << 10)
#define OPS       64u
#define PIECE     (64u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum kind { JOURNAL_5, JOURNAL_6, PPL, BITMAP_1, BITMAP_10, PLAIN_0, VERSION_90, DM_5, KINDS };

static const struct {
	int level;
	unsigned disks;
	enum raid_bitmap_choice consistency;
} kinds[KINDS] = {
	[JOURNAL_5] = { 5, 3, RAID_BITMAP_JOURNAL },
	[JOURNAL_6] = { 6, 4, RAID_BITMAP_JOURNAL },
	[PPL] = { 5, 3, RAID_BITMAP_PPL },
	[BITMAP_1] = { 1, 2, RAID_BITMAP_INTERNAL },
	[BITMAP_10] = { 10, 4, RAID_BITMAP_INTERNAL },
	[PLAIN_0] = { 0, 2, RAID_BITMAP_NONE },
	[VERSION_90] = { 5, 3, RAID_BITMAP_NONE },
	[DM_5] = { 5, 3, RAID_BITMAP_NONE },
};

struct images {
	enum kind kind;
	unsigned count;
	uint64_t size[DISKS];
	struct block *disks[DISKS];     /* which nobody writes to once they are made */
	struct md_superblock sb[DISKS]; /* as they were made */
};

struct input {
	const uint8_t *at, *end;
};

struct run {
	struct images *images;
	struct input input;
	struct block *blocks[DISKS];
	uint64_t head[DISKS], sequence; /* of a journal that is made up */
};

static uint8_t next(struct input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

static uint16_t next16(struct input *input)
{
	uint16_t low = next(input);

	return (uint16_t)(low | next(input) << 8);
}

/* ---- Images as tenon makes them ---- */

static bool is_dm(const struct images *images)
{
	return images->kind == DM_5;
}

static int start(const struct images *images, struct block **blocks, unsigned missing,
		 const struct raid_assemble_options *options, struct raid_array **array,
		 struct error *error)
{
	struct raid_shape shape = { .name = "x", .level = 5, .layout = 2, .chunk = 16384 };
	struct raid_component components[DISKS / 2] = { 0 };
	struct block *given[DISKS];
	unsigned count = 0;

	if (is_dm(images)) {
		for (unsigned i = 0; i < 3; i++)
			if (i + 1 != missing)
				components[i] = (struct raid_component){ .data = blocks[i],
									 .meta = blocks[3 + i] };
		return raid_assemble_components(array, &shape, components, 3, options, error);
	}
	for (unsigned i = 0; i < images->count; i++)
		if (i + 1 != missing)
			given[count++] = blocks[i];
	return raid_assemble(array, given, count, options, error);
}

/* What tenon does not create itself. */
static void make_version_90(struct images *images, struct block **blocks)
{
	for (unsigned i = 0; i < images->count; i++) {
		struct md90_superblock sb = { .minor_version = 90,
					      .level = 5,
					      .size_kib = 1024,
					      .nr_disks = images->count,
					      .raid_disks = images->count,
					      .state = 1,
					      .active_disks = images->count,
					      .working_disks = images->count,
					      .events = 7,
					      .layout = 2,
					      .chunk_bytes = 16384 };
		uint8_t page[4096];
		uint64_t sector;

		for (unsigned k = 0; k < images->count; k++)
			sb.devices[k] =
				(struct md90_device){ .number = k, .raid_disk = k, .state = 6 };
		sb.this_device = sb.devices[i];
		memset(page, 0, sizeof(page));
		md90_encode(&sb, page);
		if (md90_place(images->size[i] / 512, &sector) ||
		    block_write(blocks[i], sector * 512, page, sizeof(page), 0))
			abort();
	}
}

static int make_fiber(void *arg)
{
	struct images *images = arg;
	const struct raid_create_options options = {
		.name = "x",
		.level = kinds[images->kind].level,
		.chunk = images->kind == BITMAP_1 ? 0 : 16384,
		.bitmap = kinds[images->kind].consistency,
		.bitmap_chunk = kinds[images->kind].consistency == RAID_BITMAP_INTERNAL ? 65536 : 0,
		.assume_clean = true,
		.uuid = (const uint8_t *)"sixteen bytes of",
		.now = 1700000000,
	};
	struct raid_new_member members[DISKS] = { 0 };
	struct raid_array *array;
	struct block **blocks = images->disks;
	static uint8_t data[PIECE];
	struct error error;
	bool found;

	for (unsigned i = 0; i < images->count; i++) {
		char name[] = "disk0";

		name[4] = (char)('0' + i);
		if (block_create_memory(&blocks[i], name, images->size[i], NULL))
			abort();
		members[i].block = blocks[i];
		members[i].journal = i == kinds[images->kind].disks;
	}
	if (images->kind == VERSION_90)
		make_version_90(images, blocks);
	if (images->kind == VERSION_90 || is_dm(images)
		    ? start(images, blocks, 0, &(struct raid_assemble_options){ 0 }, &array, &error)
		    : raid_create(&array, members, images->count, &options, &error))
		abort();
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 512);
	if (block_write(raid_array_block(array), 0, data, sizeof(data), 0) ||
	    block_write(raid_array_block(array), 100000 / 512 * 512, data, 8192, 0) ||
	    raid_stop(array, &error))
		abort();
	for (unsigned i = 0; i < images->count; i++) {
		if (!is_dm(images) && md_superblock_find(blocks[i], &images->sb[i], &found, NULL))
			abort();
	}
	return 0;
}

/* One for all runs, as are the disks. */
static void on_worker(int (*fn)(void *arg), void *arg)
{
	const struct worker_options options = { .virtual_clock = true, .seed = 1 };
	static struct worker *worker;

	if (!worker && worker_create(&worker, &options, NULL))
		abort();
	worker_run(worker, fn, arg);
}

static struct images *images_of(enum kind kind)
{
	static struct images made[KINDS];
	struct images *images = &made[kind];

	if (images->count)
		return images;
	images->kind = kind;
	images->count =
		kind == DM_5 ? 6
			     : kinds[kind].disks + (kinds[kind].consistency == RAID_BITMAP_JOURNAL);
	for (unsigned i = 0; i < images->count; i++)
		images->size[i] = kind == DM_5 && i >= 3 ? META_SIZE : SIZE;
	on_worker(make_fiber, images);
	return images;
}

/* ---- What is done to them ---- */

static uint64_t super_byte(const struct run *run, unsigned disk)
{
	return is_dm(run->images) ? 0 : run->images->sb[disk].super_offset * 512;
}

static void put(struct run *run, unsigned disk, uint64_t at, const void *bytes, uint64_t length)
{
	if (at + length > run->images->size[disk] ||
	    block_write(run->blocks[disk], at, bytes, length, 0))
		abort();
}

static void get(struct run *run, unsigned disk, uint64_t at, void *bytes, uint64_t length)
{
	if (at + length > run->images->size[disk] ||
	    block_read(run->blocks[disk], at, bytes, length))
		abort();
}

/* Bytes over others: of the superblock's page, what follows it, or of the data. */
static void patch(struct run *run, unsigned disk)
{
	uint8_t where = next(&run->input), page[4096];
	uint64_t at = super_byte(run, disk) + where % 4 * 4096;
	unsigned offset = next16(&run->input) % 4096, length = 1 + next(&run->input) % 16;

	if (where & 4 && !is_dm(run->images))
		at = run->images->sb[disk].data_offset * 512 + where / 8 * 4096;
	if (at + 4096 > run->images->size[disk])
		return;
	get(run, disk, at, page, sizeof(page));
	for (unsigned i = 0; i < length && offset + i < sizeof(page); i++)
		page[offset + i] = next(&run->input);
	put(run, disk, at, page, sizeof(page));
}

static void mend_superblock(struct run *run, unsigned disk)
{
	uint8_t page[4096];

	if (is_dm(run->images))
		return;
	get(run, disk, super_byte(run, disk), page, sizeof(page));
	if (run->images->kind == VERSION_90) {
		uint64_t sum = 0;

		put_le32(page + 152, 0);
		for (unsigned i = 0; i < sizeof(page); i += 4)
			sum += get_le32(page + i);
		put_le32(page + 152, (uint32_t)sum + (uint32_t)(sum >> 32));
	} else {
		uint32_t most = MIN(get_le32(page + 220), 1920u);

		put_le32(page + 216, md_superblock_checksum(page, most));
	}
	put(run, disk, super_byte(run, disk), page, sizeof(page));
}

/* A meta block behind the last one, with what it names: locations near one another, so that stripes meet. */
static void add_meta(struct run *run, unsigned disk)
{
	const struct md_superblock *sb = &run->images->sb[disk];
	unsigned payloads = next(&run->input) % 8, blocks = 1,
		 parities = run->images->kind == JOURNAL_6 ? 2 : 1;
	uint64_t ring = sb->data_size / 8, at = run->head[disk] % ring;
	uint8_t meta[4096], page[4096];

	md_journal_begin(meta, run->sequence++, at * 8);
	for (unsigned i = 0; i < payloads; i++) {
		uint8_t what = next(&run->input);
		struct md_journal_payload payload = { .type = what % 3,
						      .location = next(&run->input) * 8ull };
		uint8_t stripe[8];

		put_le64(stripe, payload.location);
		if (payload.type == MD_JOURNAL_FLUSH) {
			payload.stripes = stripe;
			payload.stripe_count = 1;
		} else {
			payload.blocks = payload.type == MD_JOURNAL_PARITY ? parities : 1;
			if (what & 64)
				payload.blocks = 1 + what / 128;
		}
		for (unsigned k = 0; k < payload.blocks; k++) {
			memset(page, what + (int)k, sizeof(page));
			payload.checksums[k] = md_journal_checksum(sb->set_uuid, page);
			if (what & 32)
				payload.checksums[k]++;
			put(run, disk, (sb->data_offset + (at + blocks + k) % ring * 8) * 512, page,
			    sizeof(page));
		}
		if (!md_journal_add(meta, &payload))
			blocks += payload.blocks;
	}
	md_journal_seal(meta, sb->set_uuid);
	put(run, disk, (sb->data_offset + at * 8) * 512, meta, sizeof(meta));
	run->head[disk] = at + blocks;
}

/* The tail: where the superblock says that the ring begins, with what it takes for a meta block to be believed. */
static void set_tail(struct run *run, unsigned disk)
{
	uint8_t page[4096];

	run->head[disk] = next16(&run->input);
	get(run, disk, super_byte(run, disk), page, sizeof(page));
	put_le64(page + 152, run->head[disk] * 8);
	put(run, disk, super_byte(run, disk), page, sizeof(page));
	mend_superblock(run, disk);
}

/* All superblocks say that it was not stopped, so that logs count. */
static void make_dirty(struct run *run)
{
	uint8_t page[4096];

	if (is_dm(run->images) || run->images->kind == VERSION_90)
		return;
	for (unsigned i = 0; i < run->images->count; i++) {
		get(run, i, super_byte(run, i), page, sizeof(page));
		put_le64(page + 208, 0);
		put(run, i, super_byte(run, i), page, sizeof(page));
		mend_superblock(run, i);
	}
}

/* A header in the log of partial parity, with entries about anything. */
static void put_ppl(struct run *run, unsigned disk)
{
	const struct md_superblock *sb = &run->images->sb[disk];
	struct md_ppl_header header = { .signature = md_ppl_signature(sb->set_uuid),
					.generation = next(&run->input),
					.count = next(&run->input) % 4 };
	uint64_t area = (sb->super_offset + (uint64_t)sb->ppl_offset) * 512;
	uint64_t here = next(&run->input) % 3 * 132 * 1024, pp = 4096;
	uint8_t page[4096], fill[4096];

	for (unsigned i = 0; i < header.count; i++) {
		struct md_ppl_entry *entry = &header.entries[i];
		uint8_t what = next(&run->input);

		entry->data_sector = next(&run->input) * 8ull;
		entry->pp_bytes = what % 5 * 4096;
		entry->data_bytes = what / 5 % 5 * 4096;
		entry->parity_disk = what & 128 ? disk : next(&run->input) % 4;
		memset(fill, what, sizeof(fill));
		entry->checksum = 0;
		for (unsigned k = 0; k < entry->pp_bytes / 4096; k++, pp += 4096) {
			entry->checksum = md_crc32c(entry->checksum, fill, sizeof(fill));
			put(run, disk, area + here + pp, fill, sizeof(fill));
		}
	}
	md_ppl_encode(&header, page);
	put(run, disk, area + here, page, sizeof(page));
}

static void change(struct run *run)
{
	for (unsigned ops = 0; run->input.at < run->input.end && ops < OPS; ops++) {
		uint8_t op = next(&run->input);
		unsigned disk = op / 8 % run->images->count;
		bool journaled = kinds[run->images->kind].consistency == RAID_BITMAP_JOURNAL;

		switch (op % 8) {
		case 0:
		case 1:
			patch(run, disk);
			if (op % 8)
				mend_superblock(run, disk);
			break;
		case 2:
		case 3:
		case 4:
			if (journaled)
				add_meta(run, run->images->count - 1);
			else if (run->images->kind == PPL)
				put_ppl(run, disk);
			break;
		case 5:
			if (journaled)
				set_tail(run, run->images->count - 1);
			else
				make_dirty(run);
			break;
		case 6:
			run->sequence += next(&run->input);
			break;
		default:
			mend_superblock(run, disk);
		}
	}
}

/* ---- What must hold ---- */

static uint64_t written(const struct run *run)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < run->images->count; i++)
		bytes += block_overlay_written(run->blocks[i]);
	return bytes;
}

static void read_all(struct raid_array *array)
{
	static uint8_t piece[PIECE];
	struct block *block = raid_array_block(array);

	for (uint64_t at = 0; at < MIN(block->size, 4u << 20); at += sizeof(piece))
		block_read(block, at, piece, MIN(sizeof(piece), block->size - at));
}

static void look(struct run *run, unsigned missing, bool force)
{
	const struct raid_assemble_options options = { .read_only = true, .force = force };
	struct raid_array *array;
	struct error error = { 0 };

	if (start(run->images, run->blocks, missing, &options, &array, &error)) {
		if (!error.text[0])
			abort();
		return;
	}
	read_all(array);
	raid_stop(array, NULL);
}

/* Whether it went as it must: what cannot be written down was told. */
static void use(struct run *run, unsigned missing, uint8_t flags)
{
	const struct raid_assemble_options options = { .force = flags & 1,
						       .refuse_degraded = flags & 2,
						       .journal_comes = flags & 4 };
	static const uint8_t bytes[24576] = { 1, 2, 3 };
	struct error error = { 0 };
	struct raid_array *array;
	uint64_t before = written(run);
	int rc = start(run->images, run->blocks, missing, &options, &array, &error);

	if (rc && !error.text[0])
		abort();
	/* Carried out in part, which can be done again. */
	if (rc && !strstr(error.text, "carried out") && written(run) != before)
		abort();
	if (rc)
		return;
	read_all(array);
	block_write(raid_array_block(array), 0, bytes,
		    MIN(sizeof(bytes), raid_array_block(array)->size), 0);
	raid_rebuild_wait(array, NULL, NULL, 1000000000, NULL);
	block_write(raid_array_block(array), 8192, bytes, 512, 0);
	if (!raid_stop(array, NULL) && !(flags & 4) &&
	    start(run->images, run->blocks, missing,
		  &(struct raid_assemble_options){ .read_only = true }, &array, &error))
		abort();
	else if (!(flags & 4))
		raid_stop(array, NULL);
}

/* What is made up goes on where the ring is. */
static void begin_journal(struct run *run)
{
	unsigned disk = run->images->count - 1;
	const struct md_superblock *sb = &run->images->sb[disk];
	uint8_t meta[4096];

	run->head[disk] = sb->recovery_offset / 8;
	get(run, disk, (sb->data_offset + sb->recovery_offset) * 512, meta, sizeof(meta));
	run->sequence = get_le64(meta + 16);
}

static int run_fiber(void *arg)
{
	struct run *run = arg;
	uint8_t flags = next(&run->input);
	unsigned missing = flags / 16 % (run->images->count + 1);
	uint64_t before;

	for (unsigned i = 0; i < run->images->count; i++)
		if (block_create_overlay(&run->blocks[i], run->images->disks[i], NULL))
			abort();
	if (kinds[run->images->kind].consistency == RAID_BITMAP_JOURNAL)
		begin_journal(run);
	change(run);
	before = written(run);
	look(run, missing, flags & 1);
	if (written(run) != before)
		abort();
	use(run, missing, flags);
	for (unsigned i = 0; i < run->images->count; i++)
		block_unref(run->blocks[i]);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run run = { .input = { data, data + size } };

	if (size < 3 || size > 4096)
		return 0;
	run.images = images_of(next(&run.input) % KINDS);
	on_worker(run_fiber, &run);
	return 0;
}
