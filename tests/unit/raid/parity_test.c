/* SPDX-License-Identifier: BSD-2-Clause */
/* Parity against tables of logarithms made here, byte by byte: an arithmetic of its own. */
#include <stdlib.h>
#include <string.h>

#include "raid/parity.h"
#include "unit.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/random.h"

#define LENGTH 512u
#define MOST   20u

static uint8_t exponent[510], logarithm[256];

static void make_tables(void)
{
	unsigned value = 1;

	for (unsigned i = 0; i < 255; i++) {
		exponent[i] = exponent[i + 255] = (uint8_t)value;
		logarithm[value] = (uint8_t)i;
		value <<= 1;
		if (value & 0x100)
			value ^= 0x11d;
	}
}

static uint8_t times(uint8_t a, uint8_t b)
{
	return a && b ? exponent[logarithm[a] + logarithm[b]] : 0;
}

struct sample {
	uint8_t *memory, *truth;
	void *blocks[MOST + 2];
	struct raid_column column;
};

static uint8_t *block_of(struct sample *sample, unsigned i)
{
	return sample->memory + (size_t)i * LENGTH;
}

/* Random data, with P and Q by definition; `gaps` is a mask of slots. */
static void sample_make(struct sample *sample, unsigned slots, bool has_q, uint32_t gaps,
			uint64_t seed)
{
	struct random random = { seed };
	size_t all = (size_t)(slots + 2) * LENGTH;
	uint8_t *p, *q;

	make_tables();
	sample->memory = aligned_alloc(RAID_PARITY_ALIGN, all);
	sample->truth = malloc(all);
	random_fill(&random, sample->memory, all);
	sample->column = (struct raid_column){ sample->blocks, slots, has_q, LENGTH };
	for (unsigned i = 0; i < slots + 2; i++)
		sample->blocks[i] = block_of(sample, i);
	p = block_of(sample, slots);
	q = block_of(sample, slots + 1);
	memset(p, 0, 2 * LENGTH);
	for (unsigned i = 0; i < slots; i++) {
		if (gaps >> i & 1)
			sample->blocks[i] = RAID_PARITY_GAP;
		for (unsigned at = 0; !(gaps >> i & 1) && at < LENGTH; at++) {
			p[at] ^= block_of(sample, i)[at];
			q[at] ^= times(exponent[i], block_of(sample, i)[at]);
		}
	}
	memcpy(sample->truth, sample->memory, all);
}

static void sample_end(struct sample *sample)
{
	free(sample->memory);
	free(sample->truth);
}

static bool sample_is_whole(struct sample *sample)
{
	return memcmp(sample->truth, sample->memory,
		      (size_t)(sample->column.slots + 1 + sample->column.has_q) * LENGTH) == 0;
}

static void spoil(struct sample *sample, int what)
{
	unsigned slots = sample->column.slots;

	memset(block_of(sample, what >= 0 ? (unsigned)what : slots + (what == RAID_SLOT_Q)), 0xee,
	       LENGTH);
}

static void check_generate(unsigned slots, bool has_q, uint32_t gaps)
{
	struct sample sample;

	sample_make(&sample, slots, has_q, gaps, slots);
	spoil(&sample, RAID_SLOT_P);
	if (has_q)
		spoil(&sample, RAID_SLOT_Q);
	raid_parity_generate(&sample.column);
	CU_ASSERT_TRUE(sample_is_whole(&sample));
	sample_end(&sample);
}

static void test_generate(void)
{
	for (unsigned slots = 1; slots <= MOST; slots++) {
		check_generate(slots, false, 0);
		check_generate(slots, true, 0);
	}
	check_generate(6, true, 1u << 0 | 1u << 1);
	check_generate(6, true, 1u << 0 | 1u << 5);
	check_generate(6, true, 1u << 2 | 1u << 3);
}

static void check_recover(struct raid_parity_recipes *recipes, unsigned slots, bool has_q,
			  uint32_t gaps, int x, int y)
{
	int missing[2] = { x, y };
	struct sample sample;

	sample_make(&sample, slots, has_q, gaps, slots * 31);
	/* Without recipes; one is made, over another's perhaps; it is there. */
	for (unsigned i = 0; i < 3; i++) {
		sample.column.recipes = i ? recipes : NULL;
		spoil(&sample, x);
		spoil(&sample, y);
		raid_parity_recover(&sample.column, missing, x == y ? 1 : 2);
		CU_ASSERT_TRUE(sample_is_whole(&sample));
	}
	sample_end(&sample);
}

static void check_every_loss(struct raid_parity_recipes *recipes, unsigned slots, uint32_t gaps)
{
	for (int x = RAID_SLOT_Q; x < (int)slots; x++) {
		for (int y = RAID_SLOT_Q; y < (int)slots; y++) {
			if (x >= 0 && gaps >> x & 1)
				continue;
			if (y >= 0 && gaps >> y & 1)
				continue;
			check_recover(recipes, slots, true, gaps, x, y);
		}
	}
}

static void test_recover_one_without_q(void)
{
	for (unsigned slots = 1; slots <= MOST; slots++) {
		for (int x = RAID_SLOT_P; x < (int)slots; x++)
			check_recover(NULL, slots, false, 0, x, x);
	}
}

static void test_recover_two(void)
{
	struct raid_parity_recipes recipes = { 0 };

	for (unsigned slots = 2; slots <= MOST; slots += slots < 6 ? 1 : 7)
		check_every_loss(&recipes, slots, 0);
	check_every_loss(&recipes, 6, 1u << 0 | 1u << 1);
	check_every_loss(&recipes, 6, 1u << 0 | 1u << 5);
	check_every_loss(&recipes, 7, 1u << 3 | 1u << 4);
	raid_parity_recipes_free(&recipes);
}

static void test_update(void)
{
	for (unsigned count = 1; count <= 4; count++) {
		uint8_t *after = aligned_alloc(RAID_PARITY_ALIGN, (size_t)(count + 2) * LENGTH);
		struct raid_change_block changes[4];
		struct random random = { count };
		struct sample sample;

		sample_make(&sample, 6, true, 1u << 2, count);
		random_fill(&random, after, (size_t)count * LENGTH);
		for (unsigned i = 0; i < count; i++)
			changes[i] =
				(struct raid_change_block){ i < 2 ? i : i + 1,
							    block_of(&sample, i < 2 ? i : i + 1),
							    after + (size_t)i * LENGTH };
		raid_parity_update(changes, count, LENGTH, block_of(&sample, 6),
				   after + (size_t)count * LENGTH, block_of(&sample, 7),
				   after + (size_t)(count + 1) * LENGTH);
		for (unsigned i = 0; i < count; i++)
			memcpy(block_of(&sample, changes[i].slot), changes[i].after, LENGTH);
		raid_parity_generate(&sample.column);
		CU_ASSERT_EQUAL(memcmp(block_of(&sample, 6), after + (size_t)count * LENGTH,
				       2 * LENGTH),
				0);
		sample_end(&sample);
		free(after);
	}
}

/* The most blocks at once, and Q's last slot. */
static void test_update_of_many(void)
{
	enum { MANY = RAID_PARITY_CHANGES_MAX };
	uint8_t *memory = aligned_alloc(RAID_PARITY_ALIGN, (2 * MANY + 4) * 64);
	struct raid_change_block changes[MANY];
	struct random random = { 7 };
	uint8_t p = 0, q = 0;

	make_tables();
	random_fill(&random, memory, (2 * MANY + 4) * 64);
	for (unsigned i = 0; i < MANY; i++) {
		changes[i] = (struct raid_change_block){ 254 - i, memory + (size_t)i * 64,
							 memory + (size_t)(MANY + i) * 64 };
		p ^= memory[i * 64 + 9] ^ memory[(MANY + i) * 64 + 9];
		q ^= times(exponent[254 - i], memory[i * 64 + 9] ^ memory[(MANY + i) * 64 + 9]);
	}
	memory += (size_t)2 * MANY * 64;
	p ^= memory[9];
	q ^= memory[64 + 9];
	raid_parity_update(changes, MANY, 64, memory, memory + 128, memory + 64, memory + 192);
	CU_ASSERT_EQUAL(memory[128 + 9], p);
	CU_ASSERT_EQUAL(memory[192 + 9], q);
	free(memory - (size_t)2 * MANY * 64);
}

static void test_locate(void)
{
	uint8_t *work = aligned_alloc(RAID_PARITY_ALIGN, 2 * LENGTH);

	for (int liar = RAID_SLOT_Q; liar < 8; liar++) {
		struct sample sample;
		unsigned slot = 99;
		enum raid_liar found;

		if (liar == 2 || liar == 7)
			continue;
		sample_make(&sample, 8, true, 1u << 2 | 1u << 7, (uint64_t)(liar + 5));
		CU_ASSERT_EQUAL(raid_parity_locate(&sample.column, work, &slot), RAID_LIAR_NOBODY);
		block_of(&sample, liar >= 0             ? (unsigned)liar
				  : liar == RAID_SLOT_P ? 8
							: 9)[17] ^= 0x41;
		found = raid_parity_locate(&sample.column, work, &slot);
		CU_ASSERT_EQUAL(found, liar >= 0             ? RAID_LIAR_DATA
				       : liar == RAID_SLOT_P ? RAID_LIAR_P
							     : RAID_LIAR_Q);
		CU_ASSERT_TRUE(liar < 0 || slot == (unsigned)liar);
		/* Two who lie at different bytes, and at the same. */
		block_of(&sample, liar == 1 ? 3 : 1)[18] ^= 0x10;
		CU_ASSERT_EQUAL(raid_parity_locate(&sample.column, work, &slot), RAID_LIAR_UNKNOWN);
		sample_end(&sample);
	}
	free(work);
}

UNIT_MAIN("parity", UNIT(test_generate), UNIT(test_recover_one_without_q), UNIT(test_recover_two),
	  UNIT(test_update), UNIT(test_update_of_many), UNIT(test_locate))
