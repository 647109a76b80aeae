/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A write-intent bitmap is given to an array that runs, or taken from it.
 *
 * Meanwhile no request is in the array, no rebuild runs, no member comes or goes, and the daemon clears nothing: so nobody
 * has a bracket open, or counts on the bitmap, while it changes.
 *
 * Why no crash loses data. To add one, members are flushed and said to be clean, so that nothing is to be set; then the bitmap is written to
 * all members, and only then do superblocks speak of it. Should they do so on some of them only, the others are one event behind, and are
 * taken as if they did (assemble_members.c). To remove one, superblocks cease to speak of it; whoever is one event behind has
 * one that is no longer asked for.
 */
#include <errno.h>
#include <stdlib.h>

#include "raid/intent.h"
#include "raid/md_layout.h"
#include "raid/rebuild.h"
#include "raid/still.h"
#include "util/bytes.h"

static int check(const struct raid_array *array, struct error *error)
{
	if (raid_level_maps(array->level))
		return error_set(error, -EOPNOTSUPP,
				 "%s keeps its data once: a bitmap would have nothing to say",
				 array->block.name);
	if (!(array->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS | MD_FEATURE_JOURNAL)))
		return 0;
	error_set(error, -EINVAL, "%s has a log, which does what a bitmap does, and more",
		  array->block.name);
	error_advise(error,
		     "for a bitmap in its place: `tenon raid grow %s --consistency resync` first",
		     array->name);
	return -EINVAL;
}

/* ---- Its place ---- */

/* The superblock as it would be with a bitmap at `offset`. How many bytes that may have; 0: it cannot be there. */
static uint64_t room_at(const struct raid_member *member, int32_t offset, struct md_superblock *sb)
{
	uint64_t sectors = member->block->size >> MD_SECTOR_SHIFT;

	*sb = member->sb;
	sb->features |= MD_FEATURE_BITMAP;
	sb->bitmap_offset = offset;
	return md_superblock_validate(sb, sectors, NULL) ? 0
							 : md_superblock_bitmap_room(sb, sectors);
}

/* Of a superblock at the end: how many bytes there are between the data and what stands before the superblock. */
static uint64_t room_before(const struct md_superblock *sb)
{
	uint64_t end = sb->super_offset, data = sb->data_offset + sb->data_size;

	if (sb->bblog_size && sb->bblog_offset < 0)
		end -= MIN(end, (uint64_t) - (int64_t)sb->bblog_offset);
	return end > data ? round_down(end - data, 8) << MD_SECTOR_SHIFT : 0;
}

/* How many bytes a bitmap may have on all members. It is at one distance from the superblock on all of them. */
static uint64_t least_room(const struct raid_array *array, struct md_superblock *sb)
{
	uint64_t least = UINT64_MAX;

	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);
		uint64_t room;

		if (!raid_member_writable(member))
			continue;
		room = array->minor_version ? room_at(member, MD_SUPERBLOCK_SECTORS, sb)
					    : room_before(&member->sb);
		least = MIN(least, room);
	}
	return least;
}

static int32_t place_of(const struct raid_array *array, uint64_t chunks)
{
	uint64_t sectors = round_up(md_bitmap_bytes(chunks), MD_BITMAP_PAGE) >> MD_SECTOR_SHIFT;
	uint64_t log = 0;

	if (array->minor_version)
		return MD_SUPERBLOCK_SECTORS;
	list_for_each(at, &array->members) {
		const struct md_superblock *sb = &list_entry(at, struct raid_member, node)->sb;

		if (raid_member_writable(list_entry(at, struct raid_member, node)) &&
		    sb->bblog_offset < 0)
			log = MAX(log, (uint64_t) - (int64_t)sb->bblog_offset);
	}
	return -(int32_t)(sectors + log);
}

/* Chunk and place. */
static int plan(struct raid_array *array, uint64_t *chunk, int32_t *offset, struct error *error)
{
	CLEANUP_FREE struct md_superblock *sb = malloc(sizeof(*sb));
	uint64_t room, least, chunks;

	if (!sb)
		return error_set(error, -ENOMEM, "out of memory");
	room = least_room(array, sb);
	least = md_bitmap_smallest_chunk(array->sync_sectors, room);
	if (md_bitmap_bytes(md_bitmap_chunks(array->sync_sectors, (uint32_t)least)) > room)
		return error_set(error, -ENOSPC,
				 "%s: its members have no room for a bitmap beside the superblock",
				 array->block.name);
	if (*chunk && (!is_power_of_two(*chunk) || *chunk < least || *chunk > 1u << 31))
		return error_set(
			error, -EINVAL,
			"%s: a bitmap chunk of %llu bytes, expected a power of two from %llu on: "
			"its members have %llu bytes for a bitmap",
			array->block.name, (unsigned long long)*chunk, (unsigned long long)least,
			(unsigned long long)room);
	if (!*chunk)
		*chunk = MAX(least, MD_BITMAP_CHUNK_USUAL);
	chunks = md_bitmap_chunks(array->sync_sectors, (uint32_t)*chunk);
	*offset = place_of(array, chunks);
	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (raid_member_writable(member) &&
		    room_at(member, *offset, sb) < md_bitmap_bytes(chunks))
			return error_set(error, -ENOSPC,
					 "%s: no room for a bitmap %d sectors from its superblock",
					 member->block->name, *offset);
	}
	return 0;
}

/* ---- Adding ---- */

static void set_place(struct raid_array *array, int32_t offset)
{
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (raid_member_writable(member))
			member->sb.bitmap_offset = offset;
	}
}

static int write_all(struct raid_member *member)
{
	return raid_intent_write_all(member->array->intent, member);
}

int raid_bitmap_write(struct raid_array *array, struct error *error)
{
	return raid_members_write_each(array, write_all, "bitmap", error);
}

static int add(struct raid_array *array, uint64_t chunk, struct error *error)
{
	int32_t offset = 0;
	int rc = check(array, error);

	if (!rc)
		rc = plan(array, &chunk, &offset, error);
	if (rc)
		return rc;
	/* Flushed, and nothing on its way: only what a resync has not reached is to be set. */
	rc = raid_array_mark_clean(array);
	if (!rc)
		rc = raid_intent_create(array, (uint32_t)chunk,
					raid_array_in_sync_below(array) != MD_RESYNC_DONE);
	if (rc)
		return error_set(error, rc, "%s: %s", array->block.name, error_name(rc));
	set_place(array, offset);
	rc = raid_bitmap_write(array, error);
	if (!rc) {
		rc = raid_super_update(array);
		if (rc)
			error_set(error, rc, "%s: superblocks cannot be written: %s",
				  array->block.name, error_name(rc));
	}
	if (rc) {
		raid_intent_retire(array);
		set_place(array, 0);
		array->super_wanted++;
	}
	return rc;
}

int raid_bitmap_add(struct raid_array *array, uint64_t chunk, struct error *error)
{
	if (array->intent)
		return error_set(error, -EEXIST, "%s has a bitmap already, of chunks of %u bytes",
				 array->block.name, array->intent->super.chunk_bytes);
	return raid_while_still(array, chunk, add, error);
}

/* ---- Removing ---- */

static int remove_it(struct raid_array *array, uint64_t chunk, struct error *error)
{
	struct raid_intent *intent = array->intent;
	int rc;

	(void)chunk;
	array->intent = NULL;
	rc = raid_super_update(array);
	if (rc) {
		/* The next update speaks of it again. */
		array->intent = intent;
		array->super_wanted++;
		return error_set(error, rc, "%s: superblocks cannot be written: %s",
				 array->block.name, error_name(rc));
	}
	array->intent = intent;
	raid_intent_retire(array);
	set_place(array, 0);
	return 0;
}

int raid_bitmap_remove(struct raid_array *array, struct error *error)
{
	if (!array->intent)
		return error_set(error, -ENOENT, "%s has no bitmap", array->block.name);
	return raid_while_still(array, 0, remove_it, error);
}
