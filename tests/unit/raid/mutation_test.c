/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every word of what arrays keep on their members, made hostile on one member or on all, with its checksum right again: superblocks of 1.2, 1.0 and
 * 0.90, those of reshapes that were cut off in the middle, those of dm-raid, bitmaps, logs of partial parity and journals.
 *
 * Whoever looks only writes nothing; what does not start for writing has its members left as they were; and what starts has the
 * data, also after all that is to be done is done, and without any member that it can be without then. A lie that all members tell may be
 * believed: then others' data are no fault (`believed`).
 *
 * A part of them, or all with TORTURE=1.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/overlay.h"
#include "fiber/fiber.h"
#include "mutation_images.h"
#include "raid/md_format.h"
#include "raid/md_ppl.h"
#include "raid/md_superblock.h"
#include "raid/raid.h"
#include "unit.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/standard.h"

#define STEP 97u /* of so many mutations one, without TORTURE */

/* One word, of 4 or 8 bytes, on one device or on all. */
struct mutation {
	uint64_t at;
	unsigned device; /* count: all */
	bool wide;
	unsigned value;
	enum { SUPER, SUPER_90, BITMAP, PPL, JOURNAL, SUPER_DM } structure;
};

struct run {
	struct images *images;
	struct mutation mutation;
	struct block *blocks[MOST], *metas[MOST];
	unsigned done, refused, believed;
	unsigned step; /* of so many mutations one */
};

/* ---- Mutations ---- */

static void mend_super(uint8_t *page)
{
	put_le32(page + 216, md_superblock_checksum(page, MIN(get_le32(page + 220), 1920u)));
}

static void mend_super_90(uint8_t *page)
{
	uint64_t sum = 0;

	put_le32(page + 152, 0);
	for (unsigned i = 0; i < 4096; i += 4)
		sum += get_le32(page + i);
	put_le32(page + 152, (uint32_t)sum + (uint32_t)(sum >> 32));
}

static void mend(const struct mutation *mutation, const uint8_t uuid[16], uint8_t *page)
{
	static const uint8_t zeroes[4];

	switch (mutation->structure) {
	case SUPER:
		mend_super(page);
		break;
	case SUPER_90:
		mend_super_90(page);
		break;
	case PPL:
		memcpy(page + 532, zeroes, 4);
		put_le32(page + 532, ~md_crc32c(~0u, page, 4096));
		break;
	case JOURNAL:
		memcpy(page + 4, zeroes, 4);
		put_le32(page + 4, md_crc32c(md_crc32c(~0u, uuid, 16), page, 4096));
		break;
	case BITMAP:
	case SUPER_DM:
		break;
	}
}

/* Byte of the page on this device; 0 is none. */
static uint64_t page_of(const struct images *images, const struct mutation *mutation, unsigned i)
{
	const struct md_superblock *sb = &images->sb[i];
	bool journal = images->kind->options.bitmap == RAID_BITMAP_JOURNAL;

	switch (mutation->structure) {
	case BITMAP:
		return md_superblock_byte(sb, sb->bitmap_offset);
	case PPL:
		return md_superblock_byte(sb, sb->ppl_offset);
	case JOURNAL:
		return journal && i + 1 == images->count
			       ? (sb->data_offset + sb->recovery_offset) * 512
			       : 0;
	default:
		return sb->super_offset * 512;
	}
}

#define VALUES 18u

static uint64_t hostile(uint64_t was, bool wide, unsigned value)
{
	static const uint64_t fixed[] = {
		0, 1, 2, 3, 5, 0x7fffffff, 0x80000000, UINT64_MAX, 1ull << 33, 1ull << 62
	};

	if (value < ARRAY_SIZE(fixed))
		return wide || fixed[value] != 1ull << 33 ? fixed[value] : 0x10000;
	switch (value - ARRAY_SIZE(fixed)) {
	case 0:
		return was + 1;
	case 1:
		return was - 1;
	case 2:
		return was + 8;
	case 3:
		return was - 8;
	case 4:
		return was ^ 0x80;
	case 5:
		return was << 1;
	case 6:
		return was >> 1;
	default:
		return was ^ (wide ? 0xffffffff00000000ull : 0xffff0000u);
	}
}

static bool change(const struct images *images, const struct mutation *mutation, unsigned i,
		   struct block *block)
{
	bool dm = mutation->structure == SUPER_DM;
	uint64_t at = dm ? 0 : page_of(images, mutation, i), was;
	const uint8_t *before = dm ? images->meta_bytes[i] : images->bytes[i] + at;
	uint8_t page[4096], *word = page + mutation->at;

	if (!at && !dm)
		return false;
	memcpy(page, before, sizeof(page));
	was = mutation->wide ? get_le64(word) : get_le32(word);
	if (mutation->wide)
		put_le64(word, hostile(was, true, mutation->value));
	else
		put_le32(word, (uint32_t)hostile(was, false, mutation->value));
	mend(mutation, images->sb[0].set_uuid, page);
	if (memcmp(page, before, sizeof(page)) == 0)
		return false;
	CU_ASSERT_EQUAL(block_write(block, at, page, sizeof(page), 0), 0);
	return true;
}

/* Of all members one is mutated, or all; false: nothing is different then. */
static bool begin(struct run *run)
{
	bool any = false;

	for (unsigned i = 0; i < run->images->count; i++) {
		CU_ASSERT_EQUAL_FATAL(
			block_create_overlay(&run->blocks[i], run->images->base[i], NULL), 0);
		CU_ASSERT_EQUAL_FATAL(
			block_create_overlay(&run->metas[i], run->images->meta[i], NULL), 0);
		if (run->mutation.device == i || run->mutation.device == run->images->count)
			any |= change(run->images, &run->mutation, i,
				      run->mutation.structure == SUPER_DM ? run->metas[i]
									  : run->blocks[i]);
	}
	return any;
}

static void end(struct run *run)
{
	for (unsigned i = 0; i < run->images->count; i++) {
		block_unref(run->blocks[i]);
		block_unref(run->metas[i]);
	}
}

/* ---- What must hold ---- */

static void say(const struct run *run, const char *what, const char *more)
{
	static const char *const structures[] = { "superblock",    "superblock",
						  "bitmap",        "PPL header",
						  "journal block", "dm-raid superblock" };
	const struct mutation *mutation = &run->mutation;

	printf("%s: %s, byte %llu, %u bytes, value %u, device %u: %s%s\n", run->images->kind->name,
	       structures[mutation->structure], (unsigned long long)mutation->at,
	       mutation->wide ? 8 : 4, mutation->value, mutation->device, what, more);
}

static void wrong(const struct run *run, const char *what, const char *more)
{
	say(run, what, more);
	CU_FAIL("see above");
}

static uint64_t written(const struct run *run)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < run->images->count; i++)
		bytes += block_overlay_written(run->blocks[i]) +
			 block_overlay_written(run->metas[i]);
	return bytes;
}

struct span {
	unsigned from, to;
};

static bool touches(const struct mutation *mutation, const struct span *spans, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (mutation->at < spans[i].to &&
		    mutation->at + (mutation->wide ? 8 : 4) > spans[i].from)
			return true;
	return false;
}

static bool loses_new_offset(const struct run *run)
{
	const struct mutation *mutation = &run->mutation;
	unsigned device = MIN(mutation->device, run->images->count - 1);
	uint32_t was = run->images->sb[device].features;

	return was & ~hostile(was, false, mutation->value) & MD_FEATURE_NEW_OFFSET;
}

/*
 * Of a member only its own superblock says where its data are and which number it has; level, layout, size, chunk, number of devices, a
 * reshape, and which number has which place, all of them say.
 */
static bool may_be_believed(const struct run *run)
{
	static const struct span own[] = { { 124, 136 }, { 160, 164 } },
				 own_90[] = { { 3968, 3988 } };
	static const struct span all[] = { { 8, 12 }, { 72, 96 }, { 100, 124 }, { 256, 4096 } };
	static const struct span all_90[] = { { 8, 12 },    { 28, 36 },   { 40, 44 },
					      { 176, 200 }, { 256, 264 }, { 512, 3968 } };
	/* The shape before a reshape, the reshape, and where data are; of what is not reshaped the volume group knows its shape. */
	static const struct span all_dm[] = { { 8, 12 }, { 48, 72 }, { 84, 120 } };
	const struct mutation *mutation = &run->mutation;
	bool told_by_all = mutation->device == run->images->count;

	/* Whether its data are to begin elsewhere. */
	if (mutation->structure == SUPER && mutation->at == 8 && loses_new_offset(run))
		return true;
	if (mutation->structure == SUPER)
		return touches(mutation, own, ARRAY_SIZE(own)) ||
		       (told_by_all && touches(mutation, all, ARRAY_SIZE(all)));
	if (mutation->structure == SUPER_DM)
		return told_by_all && touches(mutation, all_dm, ARRAY_SIZE(all_dm));
	if (mutation->structure == SUPER_90)
		return touches(mutation, own_90, ARRAY_SIZE(own_90)) ||
		       (told_by_all && touches(mutation, all_90, ARRAY_SIZE(all_90)));
	return false;
}

static void check_data(struct run *run, struct raid_array *array, const char *when)
{
	struct block *block = raid_array_block(array);
	static uint8_t buffer[3 * SIZE];
	uint64_t size = run->images->data_size;
	int rc = block->size < size ? -ENXIO : block_read(block, 0, buffer, size);

	if (!rc && memcmp(buffer, run->images->data, size) == 0)
		return;
	if (may_be_believed(run))
		run->believed++;
	else
		wrong(run, rc ? error_name(rc) : "other data, ", when);
}

static int assemble(struct run *run, unsigned without, bool read_only, struct raid_array **array,
		    struct error *error)
{
	const struct raid_assemble_options options = { .read_only = read_only, .now = 1700001000 };
	struct block *given[MOST];
	unsigned count = 0;

	if (run->images->kind->dm)
		return assemble_dm(run->images, run->blocks, run->metas, without, false, &options,
				   array, error);
	for (unsigned i = 0; i < run->images->count; i++)
		if (i != without)
			given[count++] = run->blocks[i];
	return raid_assemble(array, given, count, &options, error);
}

static void look(struct run *run)
{
	struct raid_array *array;
	struct error error = { 0 };
	uint64_t before = written(run);

	if (assemble(run, MOST, true, &array, &error)) {
		if (!error.text[0])
			wrong(run, "refused without a word", "");
	} else {
		check_data(run, array, "read-only");
		raid_stop(array, NULL);
	}
	if (written(run) != before)
		wrong(run, "who looked only wrote", "");
}

static void without_each(struct run *run)
{
	for (unsigned i = 0; i < run->images->count; i++) {
		struct raid_array *array;
		struct error error = { 0 };

		if (assemble(run, i, true, &array, &error))
			continue;
		check_data(run, array, "without a member");
		raid_stop(array, NULL);
	}
}

static void use(struct run *run)
{
	struct raid_array *array;
	struct error error = { 0 };
	uint64_t before = written(run);

	if (assemble(run, MOST, false, &array, &error)) {
		run->refused++;
		if (!error.text[0])
			wrong(run, "refused without a word", "");
		if (written(run) != before)
			wrong(run, "refused, and written to: ", error.text);
		return;
	}
	check_data(run, array, "started");
	raid_rebuild_wait(array, NULL, NULL, SECONDS, NULL);
	check_data(run, array, "carried on");
	raid_stop(array, NULL);
	without_each(run);
}

static void each_value(struct run *run)
{
	static unsigned long number;
	unsigned count = run->images->count;

	for (unsigned value = 0; value < VALUES; value++) {
		/* One of the first, the last, all. */
		static const unsigned kinds_of_devices = 3;

		for (unsigned who = 0; who < kinds_of_devices; who++) {
			if (number++ % run->step)
				continue;
			run->mutation.value = value;
			run->mutation.device = who == 0 ? 1 : who == 1 ? count - 1 : count;
			if (begin(run)) {
				look(run);
				use(run);
				run->done++;
			}
			end(run);
		}
	}
}

static void each_word(struct run *run, uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to; at += 4) {
		run->mutation.at = at;
		run->mutation.wide = false;
		each_value(run);
		if (at % 8)
			continue;
		run->mutation.wide = true;
		each_value(run);
	}
}

static void each_structure(struct run *run)
{
	const struct raid_create_options *options = &run->images->kind->options;

	run->mutation.structure = run->images->kind->dm           ? SUPER_DM
				  : run->images->kind->version_90 ? SUPER_90
								  : SUPER;
	if (run->images->kind->dm) {
		each_word(run, 0, 152);
		/* Where data are, and where they go. */
		run->step = MIN(run->step, 7u);
		each_word(run, 96, 112);
		return;
	}
	if (run->images->kind->version_90) {
		each_word(run, 0, 288);
		each_word(run, 512, 512 + run->images->count * 128);
		each_word(run, 3968, 3988);
		return;
	}
	each_word(run, 0, 256 + 16);
	if (options->bitmap == RAID_BITMAP_INTERNAL) {
		run->mutation.structure = BITMAP;
		each_word(run, 0, 72);
		each_word(run, 256, 264);
	}
	if (options->bitmap == RAID_BITMAP_PPL) {
		run->mutation.structure = PPL;
		each_word(run, 512, 512 + 24 + 2 * 24);
	}
	if (options->bitmap == RAID_BITMAP_JOURNAL) {
		run->mutation.structure = JOURNAL;
		each_word(run, 0, 32 + 4 * 32);
	}
}

static int one_kind(void *arg)
{
	const struct kind *kind = arg;
	struct images *images = calloc(1, sizeof(*images));
	struct run run = { .images = images, .step = getenv("TORTURE") ? 1 : STEP };

	images->kind = kind;
	make(images);
	/* What is not damaged. */
	run.mutation.device = MOST;
	begin(&run);
	look(&run);
	use(&run);
	CU_ASSERT_EQUAL(run.refused, 0);
	end(&run);
	each_structure(&run);
	if (getenv("VERBOSE"))
		printf("%s: %u mutations, %u refused, %u believed\n", kind->name, run.done,
		       run.refused, run.believed);
	CU_ASSERT(run.done > 20);
	unmake(images);
	free(images);
	return 0;
}

static void test_no_word_has_an_array_lie(void)
{
	const char *only = getenv("KIND");

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct worker_options options = { .virtual_clock = true, .seed = 1 };
		struct worker *worker;

		if (only && !strstr(kinds[i].name, only))
			continue;
		CU_ASSERT_EQUAL_FATAL(worker_create(&worker, &options, NULL), 0);
		worker_run(worker, one_kind, (void *)&kinds[i]);
		worker_destroy(worker);
	}
}

UNIT_MAIN("raid: mutations", UNIT(test_no_word_has_an_array_lie))
