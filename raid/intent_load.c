/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a write-intent bitmap comes from: made new, or read from the members. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/array.h"
#include "raid/intent.h"
#include "util/bytes.h"

static struct raid_intent *intent_new(struct raid_array *array, const struct md_bitmap *super)
{
	struct raid_intent *intent = calloc(1, sizeof(*intent));

	if (!intent)
		return NULL;
	intent->array = array;
	list_init(&intent->watch.node);
	intent->super = *super;
	intent->chunks = md_bitmap_chunks(super->sync_sectors, super->chunk_bytes);
	intent->chunk_shift = (unsigned)__builtin_ctz(super->chunk_bytes >> MD_SECTOR_SHIFT);
	intent->pages = (unsigned)(round_up(md_bitmap_bytes(intent->chunks), MD_BITMAP_PAGE) /
				   MD_BITMAP_PAGE);
	intent->state = calloc(intent->chunks, sizeof(*intent->state));
	intent->image = calloc(intent->pages, MD_BITMAP_PAGE);
	intent->page_state = calloc(intent->pages, 1);
	intent->set_at = calloc(intent->chunks, sizeof(*intent->set_at));
	fiber_queue_init(&intent->queue);
	if (!intent->state || !intent->image || !intent->page_state || !intent->set_at) {
		raid_intent_free(intent);
		return NULL;
	}
	return intent;
}

static void set_all(struct raid_intent *intent)
{
	for (uint64_t chunk = 0; chunk < intent->chunks; chunk++)
		md_bitmap_put(intent->image, chunk, true);
	intent->rewrite = true;
}

/* Counts what is set, and keeps it where a resync or a missing member needs it. */
static void take_in(struct raid_intent *intent)
{
	bool needed = raid_array_degraded(intent->array) ||
		      intent->array->resync_position != MD_RESYNC_DONE;

	/* Bits beyond the last chunk mean nothing; mdadm leaves them set. */
	for (uint64_t chunk = intent->chunks;
	     MD_BITMAP_SUPER_BYTES + chunk / 8 < (uint64_t)intent->pages * MD_BITMAP_PAGE; chunk++)
		md_bitmap_put(intent->image, chunk, false);
	for (uint64_t chunk = 0; chunk < intent->chunks; chunk++) {
		if (!md_bitmap_test(intent->image, chunk))
			continue;
		intent->set++;
		intent->state[chunk].needed = needed;
	}
}

static struct md_bitmap new_super(const struct raid_array *array, uint32_t chunk)
{
	struct md_bitmap super = {
		.version = MD_BITMAP_VERSION,
		.events = array->events,
		.events_cleared = array->events,
		.sync_sectors = array->sync_sectors,
		.chunk_bytes = chunk,
		.daemon_sleep = MD_BITMAP_SLEEP,
	};

	array->metadata->bitmap_uuid(array, super.uuid);
	return super;
}

int raid_intent_create(struct raid_array *array, uint32_t chunk, bool all_set)
{
	struct md_bitmap super = new_super(array, chunk);
	struct raid_intent *intent = intent_new(array, &super);

	if (!intent)
		return -ENOMEM;
	if (all_set)
		set_all(intent);
	take_in(intent);
	array->intent = intent;
	raid_intent_watch(intent);
	return 0;
}

/* ---- Reading ---- */

static uint64_t room_on(const struct raid_member *member)
{
	return md_superblock_bitmap_room(&member->sb, member->meta->size >> MD_SECTOR_SHIFT);
}

/* What it may take on any member that it is, or will be, written to. */
static uint64_t least_room(const struct raid_array *array)
{
	uint64_t room = UINT64_MAX;

	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->state != RAID_MEMBER_STALE && (member->sb.features & MD_FEATURE_BITMAP))
			room = MIN(room, room_on(member));
	}
	return room;
}

/* Reads [0, bytes) of the member's bitmap; a logical block may be larger than what is asked for. */
static int read_bitmap(const struct raid_member *member, uint8_t *to, uint64_t bytes)
{
	uint64_t unit = member->meta->logical_block_size, whole = round_up(bytes, unit);
	CLEANUP_FREE uint8_t *bounce = malloc(whole);
	int rc;

	if (!bounce)
		return -ENOMEM;
	if (md_superblock_byte(&member->sb, member->sb.bitmap_offset) % unit)
		return -EINVAL;
	rc = block_read(member->meta, md_superblock_byte(&member->sb, member->sb.bitmap_offset),
			bounce, whole);
	if (!rc)
		memcpy(to, bounce, bytes);
	return rc;
}

static int check_super(const struct raid_member *member, const struct md_bitmap *super,
		       struct error *error)
{
	const struct raid_array *array = member->array;
	char found[RAID_UUID_TEXT], expected[RAID_UUID_TEXT];
	uint8_t uuid[16];

	array->metadata->bitmap_uuid(array, uuid);
	if (memcmp(super->uuid, uuid, sizeof(super->uuid)) != 0)
		return error_set(error, -EINVAL, "the UUID is %s, expected the array's, %s",
				 raid_uuid_format(super->uuid, found),
				 raid_uuid_format(uuid, expected));
	if (super->sync_sectors != array->sync_sectors && !array->metadata->grows)
		return error_set(error, -EINVAL, "it covers %llu sectors, expected %llu",
				 (unsigned long long)super->sync_sectors,
				 (unsigned long long)array->sync_sectors);
	return 0;
}

/* -EINVAL with `error` set where this member's copy is of no use. */
static int load_from(struct raid_member *member, struct raid_intent **out, struct error *error)
{
	struct raid_array *array = member->array;
	uint8_t bytes[MD_BITMAP_SUPER_BYTES];
	struct raid_intent *intent;
	struct md_bitmap super;
	bool marked;
	int rc;

	rc = read_bitmap(member, bytes, sizeof(bytes));
	if (rc)
		return error_set(error, rc, "cannot be read: %s", error_name(rc));
	rc = md_bitmap_decode(bytes, least_room(array), &super, error);
	/* Also where no superblock says so (mdadm before 4.1): another machine may be writing. */
	if (super.version == MD_BITMAP_VERSION_CLUSTERED && super.nodes)
		return error_set(error, -EOPNOTSUPP,
				 "%s: its bitmap is that of a cluster of %u machines; it can be "
				 "examined, not assembled",
				 array->block.name, super.nodes);
	if (rc == -ENOENT)
		return error_set(error, -EINVAL, "magic is 0x%08x, expected 0x%08x",
				 get_le32(bytes), MD_BITMAP_MAGIC);
	if (!rc)
		rc = check_super(member, &super, error);
	if (rc)
		return rc;
	intent = intent_new(array, &super);
	if (!intent)
		return -ENOMEM;
	rc = read_bitmap(member, intent->image, md_bitmap_bytes(intent->chunks));
	if (rc) {
		raid_intent_free(intent);
		return error_set(error, rc, "cannot be read: %s", error_name(rc));
	}
	marked = array->metadata->clean_events && super.events >= array->metadata->clean_events;
	if (marked)
		intent->super.events -= array->metadata->clean_events;
	/* Of this very update: what was cut off between the two says nothing. */
	intent->clean = marked && intent->super.events == array->events;
	/* Nothing was written yet after the one that comes next. */
	if (intent->super.events + marked < array->events || (super.state & MD_BITMAP_STALE)) {
		log_warning(array->log,
			    "%s: the bitmap is out of date (events %llu, expected %llu): all of "
			    "it counts as dirty",
			    array->block.name, (unsigned long long)intent->super.events,
			    (unsigned long long)array->events);
		set_all(intent);
		intent->clean = false;
		intent->super.events_cleared = array->events;
		intent->super.state &= ~MD_BITMAP_STALE;
	}
	*out = intent;
	return 0;
}

/* What is set in the other is, and is needed where it is there. */
static void take_over(struct raid_intent *intent, const struct raid_intent *old)
{
	for (uint64_t chunk = 0; chunk < old->chunks; chunk++) {
		uint64_t here = chunk << old->chunk_shift >> intent->chunk_shift;

		if (here >= intent->chunks)
			return;
		if (!md_bitmap_test(old->image, chunk))
			continue;
		md_bitmap_put(intent->image, here, true);
		intent->state[here].needed |= old->state[chunk].needed;
	}
}

int raid_intent_resize(struct raid_array *array, uint64_t from, struct error *error)
{
	struct md_bitmap super = array->intent->super;
	uint64_t room = least_room(array);
	struct raid_intent *intent;

	super.sync_sectors = array->sync_sectors;
	super.chunk_bytes = (uint32_t)MAX(super.chunk_bytes,
					  md_bitmap_smallest_chunk(super.sync_sectors, room));
	if (md_bitmap_bytes(md_bitmap_chunks(super.sync_sectors, super.chunk_bytes)) > room)
		return error_set(error, -ENOSPC, "%s: its bitmap has no room to grow",
				 array->block.name);
	intent = intent_new(array, &super);
	if (!intent)
		return error_set(error, -ENOMEM, "out of memory");
	take_over(intent, array->intent);
	for (uint64_t chunk = from >> intent->chunk_shift; chunk < intent->chunks; chunk++) {
		md_bitmap_put(intent->image, chunk, true);
		intent->state[chunk].needed = 1;
	}
	for (uint64_t chunk = 0; chunk < intent->chunks; chunk++)
		intent->set += md_bitmap_test(intent->image, chunk);
	raid_intent_retire(array);
	array->intent = intent;
	raid_intent_watch(intent);
	return 0;
}

/* Begin anew, with everything set or nothing. */
static int start_anew(struct raid_array *array, bool all_set, struct error *error)
{
	uint64_t room = least_room(array);
	uint32_t chunk;

	chunk = md_bitmap_smallest_chunk(array->sync_sectors, room);
	if (md_bitmap_bytes(md_bitmap_chunks(array->sync_sectors, chunk)) > room)
		return error_set(error, -EINVAL, "%s: there is no room for a bitmap",
				 array->block.name);
	chunk = (uint32_t)MAX(chunk,
			      array->bitmap_chunk ? array->bitmap_chunk : MD_BITMAP_CHUNK_USUAL);
	return raid_intent_create(array, chunk, all_set);
}

int raid_intent_begin_anew(struct raid_array *array, struct error *error)
{
	int rc = start_anew(array, array->resync_position != MD_RESYNC_DONE, error);

	if (rc == -ENOMEM)
		return error_set(error, rc, "%s: no memory for its bitmap", array->block.name);
	if (!rc)
		array->intent->rewrite = true;
	return rc;
}

bool raid_intent_is_on(struct raid_member *member)
{
	uint8_t bytes[MD_BITMAP_SUPER_BYTES];
	struct md_bitmap super;

	return !read_bitmap(member, bytes, sizeof(bytes)) &&
	       !md_bitmap_decode(bytes, room_on(member), &super, NULL) &&
	       !check_super(member, &super, NULL);
}

int raid_intent_load(struct raid_array *array, bool grown_in_sync, struct error *error)
{
	struct error trouble = { 0 };
	int rc = -EINVAL;

	for (uint32_t i = 0; rc && rc != -EOPNOTSUPP && i < array->now.disks; i++) {
		struct raid_member *member = array->places[i].member;

		if (!member || member->state != RAID_MEMBER_IN_SYNC ||
		    !(member->sb.features & MD_FEATURE_BITMAP))
			continue;
		rc = load_from(member, &array->intent, &trouble);
		if (rc && rc != -EOPNOTSUPP)
			log_warning(array->log, "%s: bitmap at byte %llu: %s", member->block->name,
				    (unsigned long long)md_superblock_byte(
					    &member->sb, member->sb.bitmap_offset),
				    trouble.text);
	}
	if (rc == -ENOMEM)
		return error_set(error, rc, "%s: no memory for its bitmap", array->block.name);
	if (rc == -EOPNOTSUPP)
		return error_set(error, rc, "%s", trouble.text);
	if (rc)
		return start_anew(array, true, error);
	take_in(array->intent);
	raid_intent_watch(array->intent);
	if (array->intent->super.sync_sectors == array->sync_sectors)
		return 0;
	rc = raid_intent_resize(
		array, grown_in_sync ? UINT64_MAX : array->intent->super.sync_sectors, error);
	if (!rc)
		array->intent->rewrite = true;
	return rc;
}
