/* SPDX-License-Identifier: BSD-2-Clause */
/* See rescue.h. */
#include "block/rescue.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "util/bytes.h"

static int make_room(struct rescue_map *map)
{
	unsigned room = map->room ? 2 * map->room : 16;
	struct rescue_range *grown;

	if (map->count < map->room)
		return 0;
	grown = realloc(map->ranges, room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	map->ranges = grown;
	map->room = room;
	return 0;
}

int rescue_map_add(struct rescue_map *map, uint64_t offset, uint64_t length)
{
	struct rescue_range *ranges = map->ranges;
	unsigned at = map->count;
	bool before, after;

	/* Nearly always at the end: copies go upwards. */
	while (at && ranges[at - 1].offset > offset)
		at--;
	before = at && ranges[at - 1].offset + ranges[at - 1].length == offset;
	after = at < map->count && offset + length == ranges[at].offset;
	map->bytes += length;
	if (before) {
		ranges[at - 1].length += length;
		if (after) {
			ranges[at - 1].length += ranges[at].length;
			map->count--;
			memmove(&ranges[at], &ranges[at + 1], (map->count - at) * sizeof(*ranges));
		}
		return 0;
	}
	if (after) {
		ranges[at].offset = offset;
		ranges[at].length += length;
		return 0;
	}
	if (make_room(map))
		return -ENOMEM;
	ranges = map->ranges;
	memmove(&ranges[at + 1], &ranges[at], (map->count - at) * sizeof(*ranges));
	ranges[at] = (struct rescue_range){ offset, length };
	map->count++;
	return 0;
}

/* Whether reading elsewhere on the device may still go well. */
static bool is_of_the_place(int code)
{
	switch (code) {
	case -ENOMEM:
	case -ECANCELED:
	case -EINVAL:
	case -EBADF:
	case -ENODEV:
	case -ENXIO:
	case -EPIPE:
	case -ENOTCONN:
	case -ECONNRESET:
	case -ESHUTDOWN:
		return false;
	}
	return true;
}

int rescue_read(struct block *block, uint64_t offset, void *at, uint64_t length,
		struct rescue_map *map)
{
	const uint64_t unit = block->logical_block_size;
	uint64_t half;
	int rc = fiber_cancelled() ? -ECANCELED : block_read(block, offset, at, length);

	if (!rc || !is_of_the_place(rc))
		return rc;
	if (length <= unit) {
		memset(at, 0, length);
		return rescue_map_add(map, offset, length);
	}
	half = round_up(length / 2, unit);
	rc = rescue_read(block, offset, at, half, map);
	return rc ? rc : rescue_read(block, offset + half, (char *)at + half, length - half, map);
}

static void print_range(FILE *to, uint64_t offset, uint64_t length, char status)
{
	if (length)
		fprintf(to, "0x%08" PRIX64 "  0x%08" PRIX64 "  %c\n", offset, length, status);
}

void rescue_map_print(const struct rescue_map *map, uint64_t size, FILE *to)
{
	uint64_t at = 0;

	fprintf(to, "# Mapfile. Created by tenon copy\n"
		    "# current_pos  current_status  current_pass\n");
	/* '+': finished; the pass is ddrescue's count of its own. */
	fprintf(to, "0x%08" PRIX64 "     +               1\n", size);
	fprintf(to, "#      pos        size  status\n");
	for (unsigned i = 0; i < map->count; i++) {
		uint64_t end = MIN(map->ranges[i].offset + map->ranges[i].length, size);

		print_range(to, at, map->ranges[i].offset - at, '+');
		print_range(to, map->ranges[i].offset, end - map->ranges[i].offset, '-');
		at = end;
	}
	print_range(to, at, size - at, '+');
}
