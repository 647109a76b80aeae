/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing superblocks of version 0.90, as super_90_sync() of Linux 6.1 does: a member in sync has the number of its place, all
 * others those behind the places; but md counts these anew each time, and here who has one keeps it: a spare that failed is written no more, and
 * is known by the number that its own superblock has. What is being filled is a spare until it is full. While the array
 * is reshaped the minor version is 91; data are where they were, since nothing could say of another place.
 */
#include <errno.h>

#include "raid/array.h"
#include "raid/md_superblock_90.h"
#include "raid/metadata.h"
#include "util/bytes.h"

/* In a reshape to fewer members those that will have no place have one still. */
static uint32_t places_of(const struct md_superblock *sb)
{
	return sb->raid_disks +
	       (sb->features & MD_FEATURE_RESHAPE ? (uint32_t)MAX(-sb->delta_disks, 0) : 0);
}

/* Numbers behind the places, a bit each. */
struct numbers {
	uint32_t first;
	uint32_t kept;  /* by who has them by its own superblock */
	uint32_t given; /* so far */
};

static bool has_number(const struct numbers *numbers, const struct raid_member *member)
{
	return member->own_number >= numbers->first && member->own_number < MD90_DEVICES;
}

/* md gives one number to two, one after the other: who is known first keeps it. */
static uint32_t number_behind(struct numbers *numbers, const struct raid_member *member)
{
	uint32_t number = member->own_number;

	if (!has_number(numbers, member) || (numbers->given & 1u << number)) {
		number = numbers->first;
		while (number < MD90_DEVICES && ((numbers->kept | numbers->given) & 1u << number))
			number++;
	}
	if (number < MD90_DEVICES)
		numbers->given |= 1u << number;
	return number;
}

/* What the superblock of the member that is written says of it: one that came to its place since is not there yet. */
static struct md90_device describe(const struct raid_member *member,
				   const struct md_superblock *view, struct numbers *numbers)
{
	struct md90_device device = { .number = member->sb.dev_number };
	uint16_t role = md_superblock_role(view, member->sb.dev_number);
	bool has_place = role < places_of(view) && !member->replaces;
	bool full = has_place && member->state != RAID_MEMBER_REBUILDING;

	/* What is filled as data are moved goes by the position. */
	has_place = full || (has_place && (view->features & MD_FEATURE_RESHAPE));
	device.number = device.raid_disk = has_place ? role : number_behind(numbers, member);
	if (role == MD_ROLE_FAULTY) {
		/* Its place, by which it is known again: its own superblock has it still. md has the number there, which nobody reads. */
		device.raid_disk =
			member->own_number < view->raid_disks ? member->own_number : device.number;
		device.state = MD90_FAULTY;
	} else if (has_place)
		device.state = full ? MD90_ACTIVE | MD90_SYNC : MD90_ACTIVE;
	if (member->sb.devflags & MD_DEVICE_WRITE_MOSTLY)
		device.state |= MD90_WRITE_MOSTLY;
	if (member->sb.devflags & MD_DEVICE_FAILFAST)
		device.state |= MD90_FAILFAST;
	return device;
}

static void count(struct md90_superblock *to, const struct md90_device *device)
{
	to->nr_disks++;
	if (device->state & MD90_FAULTY) {
		to->failed_disks++;
		return;
	}
	to->working_disks++;
	if (device->state & MD90_ACTIVE)
		to->active_disks++;
	else
		to->spare_disks++;
}

/* Who was left out has no number, but for one that is not removed yet. */
static bool is_told(const struct raid_member *member, const struct raid_member *of)
{
	return member->state != RAID_MEMBER_STALE || member == of || member->marked_faulty;
}

/* 0; -ENOSPC: there is no number for the member itself, and 0 would be another's. */
static int put_devices(const struct raid_member *of, struct md90_superblock *to)
{
	int rc = -ENOSPC;
	struct numbers numbers = { .first = places_of(&of->sb) };

	list_for_each(at, &of->array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (is_told(member, of) && has_number(&numbers, member))
			numbers.kept |= 1u << member->own_number;
	}
	list_for_each(at, &of->array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);
		struct md90_device device;

		if (!is_told(member, of))
			continue;
		device = describe(member, &of->sb, &numbers);
		if (device.number >= MD90_DEVICES)
			continue;
		to->devices[device.number] = device;
		if (member == of) {
			to->this_device = device;
			rc = 0;
		}
		count(to, &device);
	}
	for (uint32_t i = 0; i < MIN(of->sb.raid_disks, MD90_DEVICES); i++) {
		if (to->devices[i].state)
			continue;
		to->devices[i] = (struct md90_device){ .number = i,
						       .raid_disk = i,
						       .state = MD90_REMOVED | MD90_FAULTY };
		to->failed_disks++;
	}
	return rc;
}

static void put_array(const struct md_superblock *sb, struct md90_superblock *to)
{
	to->minor_version = 90;
	md90_swap_uuid(sb->set_uuid, to->uuid);
	to->ctime = (uint32_t)sb->ctime;
	to->utime = (uint32_t)sb->utime;
	to->level = sb->level;
	to->size_kib = (uint32_t)(sb->size / 2);
	to->raid_disks = sb->raid_disks;
	to->md_minor = sb->preferred_minor;
	to->events = sb->events;
	to->layout = sb->layout;
	to->chunk_bytes = sb->chunk_sectors << MD_SECTOR_SHIFT;
	to->state |= (uint32_t)sb->next << MD90_NEXT_SHIFT;
	if (sb->features & MD_FEATURE_BITMAP)
		to->state |= MD90_BITMAP;
	to->reshape_position = UINT64_MAX;
	if (sb->features & MD_FEATURE_RESHAPE) {
		to->minor_version = 91;
		to->reshape_position = sb->reshape_position;
		to->new_level = sb->new_level;
		to->delta_disks = sb->delta_disks;
		to->new_layout = sb->new_layout;
		to->new_chunk_bytes = sb->new_chunk_sectors << MD_SECTOR_SHIFT;
	}
	if (sb->resync_offset == MD_RESYNC_DONE) {
		to->state |= MD90_CLEAN;
		to->recovery_checkpoint = UINT32_MAX;
	} else {
		to->recovery_checkpoint = (uint32_t)MIN(sb->resync_offset, UINT32_MAX - 1);
	}
	to->checkpoint_events = sb->events;
}

static int write_90(struct raid_member *member)
{
	uint8_t page[MD90_BYTES] __attribute__((aligned(512)));
	struct md90_superblock to = { 0 };
	int rc;

	put_array(&member->sb, &to);
	rc = put_devices(member, &to);
	if (rc)
		return rc;
	md90_encode(&to, page);
	rc = block_write(member->block, member->sb.super_offset << MD_SECTOR_SHIFT, page,
			 sizeof(page), BLOCK_FUA);
	if (!rc)
		member->own_number = to.this_device.number;
	return rc;
}

static void bitmap_uuid_90(const struct raid_array *array, uint8_t uuid[16])
{
	md90_swap_uuid(array->uuid, uuid);
}

const struct raid_metadata_ops raid_metadata_90 = {
	.name = "0.90",
	.most_devices = MD90_DEVICES,
	.behind_places = true,
	.adding = true,
	.says_dirty = true,
	.write = write_90,
	.bitmap_uuid = bitmap_uuid_90,
};
