/* SPDX-License-Identifier: BSD-2-Clause */
/* Reshapes of dm-raid's arrays, which a volume group begins: the power goes in the middle of them, at their beginning and end, again and again.
 * Virtual time. */
#include "reshape_scene.h"

#define K 1024u

static void play_level(int level, unsigned count, uint32_t layout, unsigned devices,
		       uint64_t new_chunk, uint32_t new_layout)
{
	const struct reshape_kind kind = {
		.components = true,
		.options = { .level = level, .chunk = 8 * K },
		.count = count,
		.layout = layout,
		.new_layout = new_layout,
		.grow = { .devices = devices, .chunk = new_chunk },
	};

	reshape_play(&kind, count + devices);
}

static void test_more(void)
{
	play_level(5, 3, 2, 4, 0, 2);
}

static void test_fewer(void)
{
	play_level(6, 6, 5, 5, 0, 5);
}

static void test_chunk(void)
{
	play_level(5, 3, 2, 0, 32 * K, 2);
}

static void test_layout(void)
{
	play_level(6, 5, 8, 0, 0, 10);
}

static void test_copies(void)
{
	play_level(10, 4, 0x102, 6, 0, 0x102);
}

UNIT_MAIN("dm-raid reshapes", UNIT(test_more), UNIT(test_fewer), UNIT(test_chunk),
	  UNIT(test_layout), UNIT(test_copies))
