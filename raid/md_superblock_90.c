/* SPDX-License-Identifier: BSD-2-Clause */
/* md superblocks of version 0.90; see md_superblock_90.h. */
#include "raid/md_superblock_90.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "raid/md_superblock.h"
#include "util/bytes.h"
#include "util/error.h"

/* Words of 32 bits, numbered from the start. */
enum word {
	MAGIC = 0,
	MAJOR,
	MINOR,
	PATCH,
	GVALID,
	UUID0,
	CTIME,
	LEVEL,
	SIZE,
	NR_DISKS,
	RAID_DISKS,
	MD_MINOR,
	NOT_PERSISTENT,
	UUID1,
	UUID2,
	UUID3,
	UTIME = 32,
	STATE,
	ACTIVE,
	WORKING,
	FAILED,
	SPARE,
	CHECKSUM,
	EVENTS, /* two words, the low one first on a little-endian machine */
	CHECKPOINT_EVENTS = 41,
	RECOVERY_CHECKPOINT = 43,
	RESHAPE_POSITION, /* two words, in the order of the machine */
	NEW_LEVEL = 46,
	DELTA_DISKS,
	NEW_LAYOUT,
	NEW_CHUNK,
	LAYOUT = 64,
	CHUNK_SIZE,
	DEVICES = 128,
	DEVICE_WORDS = 32,
	THIS_DEVICE = 992,
	WORDS = 1024,
};

static uint32_t get(const void *page, bool big, unsigned word)
{
	const uint8_t *at = (const uint8_t *)page + 4 * (size_t)word;

	return big ? get_be32(at) : get_le32(at);
}

static void put(void *page, bool big, unsigned word, uint32_t value)
{
	uint8_t *at = (uint8_t *)page + 4 * (size_t)word;

	if (big)
		put_be32(at, value);
	else
		put_le32(at, value);
}

static uint64_t get_pair(const void *page, bool big, unsigned word)
{
	uint64_t first = get(page, big, word), second = get(page, big, word + 1);

	return big ? first << 32 | second : second << 32 | first;
}

static void put_pair(void *page, bool big, unsigned word, uint64_t value)
{
	put(page, big, word + (big ? 0 : 1), (uint32_t)(value >> 32));
	put(page, big, word + (big ? 1 : 0), (uint32_t)value);
}

int md90_place(uint64_t device_sectors, uint64_t *sector)
{
	if (device_sectors < 2 * MD90_RESERVED_SECTORS)
		return -ENOSPC;
	*sector = round_down(device_sectors, MD90_RESERVED_SECTORS) - MD90_RESERVED_SECTORS;
	return 0;
}

bool md90_is_there(const void *page)
{
	return get_le32(page) == MD_MAGIC || get_be32(page) == MD_MAGIC;
}

/* The sum of all words but its own, with the carries added once. */
static uint32_t checksum(const void *page, bool big)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < WORDS; i++)
		sum += i == CHECKSUM ? 0 : get(page, big, i);
	return (uint32_t)sum + (uint32_t)(sum >> 32);
}

static void decode_device(const void *page, bool big, unsigned word, struct md90_device *device)
{
	device->number = get(page, big, word);
	device->major = get(page, big, word + 1);
	device->minor = get(page, big, word + 2);
	device->raid_disk = get(page, big, word + 3);
	device->state = get(page, big, word + 4);
}

static void decode_fields(const void *page, struct md90_superblock *sb)
{
	static const unsigned uuid[] = { UUID0, UUID1, UUID2, UUID3 };
	bool big = sb->big_endian;

	sb->minor_version = get(page, big, MINOR);
	sb->patch_version = get(page, big, PATCH);
	for (unsigned i = 0; i < 4; i++)
		memcpy(sb->uuid + 4 * (size_t)i, (const uint8_t *)page + 4 * (size_t)uuid[i], 4);
	sb->ctime = get(page, big, CTIME);
	sb->level = (int32_t)get(page, big, LEVEL);
	sb->size_kib = get(page, big, SIZE);
	sb->nr_disks = get(page, big, NR_DISKS);
	sb->raid_disks = get(page, big, RAID_DISKS);
	sb->md_minor = get(page, big, MD_MINOR);
	sb->not_persistent = get(page, big, NOT_PERSISTENT);
	sb->utime = get(page, big, UTIME);
	sb->state = get(page, big, STATE);
	sb->active_disks = get(page, big, ACTIVE);
	sb->working_disks = get(page, big, WORKING);
	sb->failed_disks = get(page, big, FAILED);
	sb->spare_disks = get(page, big, SPARE);
	sb->events = get_pair(page, big, EVENTS);
	sb->checkpoint_events = get_pair(page, big, CHECKPOINT_EVENTS);
	sb->recovery_checkpoint = get(page, big, RECOVERY_CHECKPOINT);
	sb->reshape_position = get_pair(page, big, RESHAPE_POSITION);
	sb->new_level = (int32_t)get(page, big, NEW_LEVEL);
	sb->delta_disks = (int32_t)get(page, big, DELTA_DISKS);
	sb->new_layout = get(page, big, NEW_LAYOUT);
	sb->new_chunk_bytes = get(page, big, NEW_CHUNK);
	sb->layout = get(page, big, LAYOUT);
	sb->chunk_bytes = get(page, big, CHUNK_SIZE);
	for (unsigned i = 0; i < MD90_DEVICES; i++)
		decode_device(page, big, DEVICES + i * DEVICE_WORDS, &sb->devices[i]);
	decode_device(page, big, THIS_DEVICE, &sb->this_device);
}

int md90_decode(const void *page, struct md90_superblock *sb, struct error *error)
{
	uint32_t major, found, sum;

	memset(sb, 0, sizeof(*sb));
	if (!md90_is_there(page))
		return -ENOENT;
	sb->big_endian = get_le32(page) != MD_MAGIC;
	decode_fields(page, sb);
	major = get(page, sb->big_endian, MAJOR);
	if (major != 0 || sb->minor_version < 90 || sb->minor_version > 91)
		return error_set(error, -EINVAL, "the version is %u.%u, expected 0.90 or 0.91",
				 major, sb->minor_version);
	found = get(page, sb->big_endian, CHECKSUM);
	sum = checksum(page, sb->big_endian);
	if (found != sum)
		return error_set(error, -EINVAL, "checksum is %08x, expected %08x", found, sum);
	if (!sb->raid_disks || sb->raid_disks > MD90_DEVICES)
		return error_set(error, -EINVAL, "raid_disks is %u, expected 1 to %u",
				 sb->raid_disks, MD90_DEVICES);
	if (sb->this_device.number >= MD90_DEVICES)
		return error_set(error, -EINVAL,
				 "this device's number is %u, expected less than %u",
				 sb->this_device.number, MD90_DEVICES);
	return 0;
}

static void encode_device(void *page, bool big, unsigned word, const struct md90_device *device)
{
	put(page, big, word, device->number);
	put(page, big, word + 1, device->major);
	put(page, big, word + 2, device->minor);
	put(page, big, word + 3, device->raid_disk);
	put(page, big, word + 4, device->state);
}

void md90_encode(const struct md90_superblock *sb, void *page)
{
	static const unsigned uuid[] = { UUID0, UUID1, UUID2, UUID3 };
	bool big = sb->big_endian;

	memset(page, 0, MD90_BYTES);
	put(page, big, MAGIC, MD_MAGIC);
	put(page, big, MINOR, sb->minor_version);
	put(page, big, PATCH, sb->patch_version);
	for (unsigned i = 0; i < 4; i++)
		memcpy((uint8_t *)page + 4 * (size_t)uuid[i], sb->uuid + 4 * (size_t)i, 4);
	put(page, big, CTIME, sb->ctime);
	put(page, big, LEVEL, (uint32_t)sb->level);
	put(page, big, SIZE, sb->size_kib);
	put(page, big, NR_DISKS, sb->nr_disks);
	put(page, big, RAID_DISKS, sb->raid_disks);
	put(page, big, MD_MINOR, sb->md_minor);
	put(page, big, NOT_PERSISTENT, sb->not_persistent);
	put(page, big, UTIME, sb->utime);
	put(page, big, STATE, sb->state);
	put(page, big, ACTIVE, sb->active_disks);
	put(page, big, WORKING, sb->working_disks);
	put(page, big, FAILED, sb->failed_disks);
	put(page, big, SPARE, sb->spare_disks);
	put_pair(page, big, EVENTS, sb->events);
	put_pair(page, big, CHECKPOINT_EVENTS, sb->checkpoint_events);
	put(page, big, RECOVERY_CHECKPOINT, sb->recovery_checkpoint);
	put_pair(page, big, RESHAPE_POSITION, sb->reshape_position);
	put(page, big, NEW_LEVEL, (uint32_t)sb->new_level);
	put(page, big, DELTA_DISKS, (uint32_t)sb->delta_disks);
	put(page, big, NEW_LAYOUT, sb->new_layout);
	put(page, big, NEW_CHUNK, sb->new_chunk_bytes);
	put(page, big, LAYOUT, sb->layout);
	put(page, big, CHUNK_SIZE, sb->chunk_bytes);
	for (unsigned i = 0; i < MD90_DEVICES; i++)
		encode_device(page, big, DEVICES + i * DEVICE_WORDS, &sb->devices[i]);
	encode_device(page, big, THIS_DEVICE, &sb->this_device);
	put(page, big, CHECKSUM, checksum(page, big));
}

/* ---- As those of 1.x ---- */

void md90_swap_uuid(const uint8_t from[16], uint8_t to[16])
{
	for (unsigned i = 0; i < 16; i += 4)
		put_be32(to + i, get_le32(from + i));
}

static uint16_t role_of(const struct md90_superblock *from, const struct md90_device *device)
{
	/* In a reshape to fewer members those that will have no place have one still. */
	uint32_t places = from->raid_disks;

	if (from->minor_version == 91 && from->delta_disks < 0 &&
	    from->delta_disks >= -(int32_t)MD90_DEVICES)
		places += (uint32_t)-from->delta_disks;
	/* A place that is empty is said to be faulty, too. */
	if (device->state & MD90_REMOVED)
		return MD_ROLE_SPARE;
	if (device->state & MD90_FAULTY)
		return MD_ROLE_FAULTY;
	if ((device->state & (MD90_SYNC | (from->minor_version == 91 ? MD90_ACTIVE : 0))) &&
	    device->raid_disk < places)
		return (uint16_t)device->raid_disk;
	return MD_ROLE_SPARE;
}

/* As super_90_validate() of the kernel. */
static uint64_t resynced(const struct md90_superblock *from)
{
	if (from->state & MD90_CLEAN)
		return MD_RESYNC_DONE;
	return from->checkpoint_events == from->events ? from->recovery_checkpoint : 0;
}

static void take_array(const struct md90_superblock *from, struct md_superblock *sb)
{
	md90_swap_uuid(from->uuid, sb->set_uuid);
	snprintf(sb->set_name, sizeof(sb->set_name), "%u", from->md_minor);
	sb->preferred_minor = from->md_minor;
	sb->big_endian = from->big_endian;
	sb->ctime = from->ctime;
	sb->utime = from->utime;
	sb->level = from->level;
	/* It does not say how zones of RAID0 follow each other. */
	sb->layout = from->level == 0 ? 0 : from->layout;
	sb->size = from->level > 0 ? 2 * (uint64_t)from->size_kib : 0;
	sb->chunk_sectors = from->chunk_bytes >> MD_SECTOR_SHIFT;
	sb->raid_disks = from->raid_disks;
	sb->events = from->events;
	sb->resync_offset = resynced(from);
	if (from->state & MD90_BITMAP)
		sb->features |= MD_FEATURE_BITMAP;
	sb->next = (from->state >> MD90_NEXT_SHIFT) & MD90_NEXT_MASK;
	if (sb->next > MD_NEXT_LEVEL_5)
		sb->next = MD_NEXT_NONE;
	if (from->minor_version != 91)
		return;
	sb->features |= MD_FEATURE_RESHAPE;
	sb->reshape_position = from->reshape_position;
	sb->new_level = from->new_level;
	sb->delta_disks = from->delta_disks;
	sb->new_layout = from->new_layout;
	sb->new_chunk_sectors = from->new_chunk_bytes >> MD_SECTOR_SHIFT;
	md_superblock_take_next(sb);
}

/* A faulty device has another number, and its place is empty; by its own superblock it has both still. */
static void take_faulty(const struct md90_superblock *from, struct md_superblock *sb)
{
	for (uint32_t i = from->raid_disks; i < MD90_DEVICES; i++) {
		uint32_t place = from->devices[i].raid_disk;

		if (sb->roles[i] != MD_ROLE_FAULTY || place >= from->raid_disks ||
		    !(from->devices[place].state & MD90_REMOVED))
			continue;
		sb->roles[place] = MD_ROLE_FAULTY;
		sb->roles[i] = MD_ROLE_SPARE;
	}
}

static void take_devices(const struct md90_superblock *from, struct md_superblock *sb)
{
	sb->max_dev = MD90_DEVICES;
	for (unsigned i = 0; i < MD_MAX_DEVICES; i++)
		sb->roles[i] = i < MD90_DEVICES ? role_of(from, &from->devices[i]) : MD_ROLE_SPARE;
	take_faulty(from, sb);
	sb->dev_number = from->this_device.number;
	/* It is being filled as data are moved; how far is not told. */
	if (from->minor_version == 91 &&
	    (from->this_device.state & (MD90_ACTIVE | MD90_SYNC | MD90_FAULTY)) == MD90_ACTIVE)
		sb->features |= MD_FEATURE_RECOVERY_OFFSET;
	if (from->this_device.state & MD90_WRITE_MOSTLY)
		sb->devflags |= MD_DEVICE_WRITE_MOSTLY;
	if (from->this_device.state & MD90_FAILFAST)
		sb->devflags |= MD_DEVICE_FAILFAST;
}

int md90_load(const void *page, uint64_t device_sectors, struct md_superblock *sb,
	      struct error *error)
{
	struct md90_superblock from;
	int rc = md90_decode(page, &from, error);

	memset(sb, 0, sizeof(*sb));
	/* What 1.1 and 1.2 have there is theirs. */
	if (rc == -ENOENT || (get(page, from.big_endian, MAJOR) != 0))
		return -ENOENT;
	sb->minor_version = MD_VERSION_90;
	sb->checksum = get(page, from.big_endian, CHECKSUM);
	sb->checksum_expected = checksum(page, from.big_endian);
	take_array(&from, sb);
	take_devices(&from, sb);
	if (!md90_place(device_sectors, &sb->super_offset))
		sb->data_size = sb->super_offset;
	sb->bitmap_offset = MD_SUPERBLOCK_SECTORS;
	if (rc || !from.big_endian)
		return rc;
	error_set(error, -EINVAL,
		  "version 0.90 in the byte order of a big-endian machine, expected little-endian");
	error_advise(error, "`mdadm --assemble --update=byteorder` turns it round");
	return -EINVAL;
}
