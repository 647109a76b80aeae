/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RAID5's and RAID6's parity: pure arithmetic over memory, by ISA-L.
 *
 * P is the sum (exclusive or) of the data blocks, Q the sum of 2^i times the block in slot i, in the field
 * GF(2^8) with the polynomial 0x11d (H. P. Anvin, "The mathematics of RAID-6"). Which disk has which slot is
 * raid5_geometry.h's. A slot may be a gap, a place that counts and has no data: DDF's layouts number the disks through,
 * those of P and Q too.
 *
 * Blocks are aligned to RAID_PARITY_ALIGN, lengths are multiples of it, and at most RAID_PARITY_LENGTH_MAX where there are gaps.
 */
#ifndef TENON_RAID_PARITY_H
#define TENON_RAID_PARITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAID_PARITY_ALIGN      64u
#define RAID_PARITY_LENGTH_MAX 65536u
#define RAID_PARITY_SLOTS_Q    255u /* with Q no more can be told apart */

/* What can be missing, besides a slot. */
#define RAID_SLOT_P (-1)
#define RAID_SLOT_Q (-2)

/*
 * Tables of factors for what was recovered before: made anew for each block of 4 KiB they take up to a quarter of the time. At most 64 of
 * them, each of 64 bytes a slot. Zeroed to begin with; of one worker; to be freed at the end.
 */
#define RAID_PARITY_RECIPES 64u

struct raid_parity_recipes {
	struct raid_parity_recipe *recipes[RAID_PARITY_RECIPES];
};

void raid_parity_recipes_free(struct raid_parity_recipes *recipes);

/* One column of a stripe. blocks[0 ... slots - 1] are data, with RAID_PARITY_GAP for gaps; then comes P, and then Q
 * where `has_q`. Without Q there are no gaps. */
struct raid_column {
	void **blocks;
	unsigned slots;
	bool has_q;
	size_t length;
	struct raid_parity_recipes *recipes; /* NULL: none are kept */
};

/* What stands in for a gap: zeroes, never written to. */
#define RAID_PARITY_GAP ((void *)raid_parity_zeroes)
extern const uint8_t raid_parity_zeroes[RAID_PARITY_LENGTH_MAX];

/* P, and Q where there is one, from all data. */
void raid_parity_generate(const struct raid_column *column);

/* Fills the blocks of what is missing (slots, RAID_SLOT_P, RAID_SLOT_Q; `count` of them, 1 or, with Q, 2) from all
 * others. */
void raid_parity_recover(const struct raid_column *column, const int *missing, unsigned count);

/* One data block that changes. */
struct raid_change_block {
	unsigned slot;
	const void *before, *after;
};

#define RAID_PARITY_CHANGES_MAX 128u

/* Parity after some blocks change, from what it was before; `q_before` NULL: only P. Before and after are
 * different memory. At most RAID_PARITY_CHANGES_MAX of them. */
void raid_parity_update(const struct raid_change_block *changes, unsigned count, size_t length,
			const void *p_before, void *p_after, const void *q_before, void *q_after);

enum raid_liar {
	RAID_LIAR_NOBODY,
	RAID_LIAR_DATA, /* one slot has other data than the rest says */
	RAID_LIAR_P,
	RAID_LIAR_Q,
	RAID_LIAR_UNKNOWN, /* more than one block is wrong */
};

/* Who is wrong in a column with Q, if exactly one block is: *slot for RAID_LIAR_DATA. `work` is room for twice
 * the length. Blocks are left as they are. */
enum raid_liar raid_parity_locate(const struct raid_column *column, void *work, unsigned *slot);

#endif
