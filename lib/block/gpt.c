/* SPDX-License-Identifier: BSD-2-Clause */
/* See gpt.h: reading. */
#include "block/gpt.h"

#include <errno.h>
#include <isa-l.h>
#include <stdio.h>
#include <string.h>

#include "block/block.h"
#include "block/gpt_format.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/utf16.h"

const uint8_t gpt_type_esp[16] = { 0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
				   0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b };
const uint8_t gpt_type_linux[16] = { 0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47,
				     0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4 };
const uint8_t gpt_type_root_x86_64[16] = { 0xe3, 0xbc, 0x68, 0x4f, 0xcd, 0xe8, 0xb1, 0x4d,
					   0x96, 0xe7, 0xfb, 0xca, 0xf9, 0x84, 0xb7, 0x09 };

/* UEFI 5.3.3, Discoverable Partitions Specification, and the lists of sfdisk and gdisk. */
static const struct {
	const char *id, *name;
} types[] = {
	{ "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "EFI system" },
	{ "21686148-6449-6e6f-744e-656564454649", "BIOS boot" },
	{ "0fc63daf-8483-4772-8e79-3d69d8477de4", "Linux file system" },
	{ "4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "Linux root (x86-64)" },
	{ "bc13c2ff-59e6-4262-a352-b275fd6f7172", "Linux extended boot" },
	{ "933ac7e1-2eb4-4f13-b844-0e14e2aef915", "Linux home" },
	{ "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "Linux swap" },
	{ "e6d6d379-f507-44c2-a23c-238f2a3df928", "Linux LVM" },
	{ "a19d880f-05fc-4d3b-a006-743f0f84911e", "Linux RAID" },
	{ "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "Microsoft basic data" },
	{ "e3c9e316-0b5c-4db8-817d-f92df00215ae", "Microsoft reserved" },
	{ "de94bba4-06d1-4d40-a16a-bfd50179d6ac", "Windows recovery" },
};

void gpt_uuid(const uint8_t id[16], char text[GPT_UUID])
{
	snprintf(text, GPT_UUID, "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", get_le32(id),
		 get_le16(id + 4), get_le16(id + 6), id[8], id[9], id[10], id[11], id[12], id[13],
		 id[14], id[15]);
}

const char *gpt_type_name(const uint8_t type[16])
{
	char text[GPT_UUID];

	gpt_uuid(type, text);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(text, types[i].id))
			return types[i].name;
	return NULL;
}

/* ---- One copy ---- */

/* In both, `at` is on the disk: nothing is read beyond. */
static int read_sectors(struct block *block, uint32_t sector, uint64_t at, void *to, size_t length,
			struct error *error)
{
	int rc = block_read(block, at * sector, to, round_up(length, sector));

	return rc ? error_set(error, rc, "%s: reading sector %llu: %s", block->name,
			      (unsigned long long)at, error_name(rc))
		  : 0;
}

/* Whether the header says what can be; all of it is as yet of unknown origin. `sectors`: of the disk. */
static const char *check_header(const uint8_t *header, uint32_t sector, uint64_t at,
				uint64_t sectors)
{
	uint8_t copy[GPT_SECTOR_MOST];
	uint32_t length = get_le32(header + GPT_HEADER_SIZE);
	uint64_t first = get_le64(header + GPT_FIRST_USABLE);
	uint64_t last = get_le64(header + GPT_LAST_USABLE);
	uint64_t list = get_le64(header + GPT_ENTRIES_AT);
	uint32_t count = get_le32(header + GPT_COUNT), size = get_le32(header + GPT_ENTRY_SIZE);

	if (length < GPT_HEADER_BYTES || length > sector)
		return "the size of its header cannot be";
	memcpy(copy, header, sector);
	put_le32(copy + GPT_HEADER_CRC, 0);
	if (get_le32(header + GPT_HEADER_CRC) != crc32_gzip_refl(0, copy, length))
		return "the checksum of its header is wrong";
	if (get_le64(header + GPT_AT) != at)
		return "it says that it lies elsewhere";
	if (size < GPT_ENTRY_BYTES || size > GPT_SECTOR_MOST || !is_power_of_two(size) || !count ||
	    count > GPT_LIST_MOST / size)
		return "the size of its list cannot be";
	if (last >= sectors)
		return "the disk was longer";
	if (first > last || !range_within(list, gpt_list_sectors(count, size, sector), sectors) ||
	    (list <= last && list + gpt_list_sectors(count, size, sector) > first) || list < 1)
		return "the places that it names cannot be";
	return NULL;
}

/* Whether its partitions can be. */
static const char *check_entries(const struct gpt *gpt)
{
	for (uint32_t i = 0; i < gpt->count; i++) {
		const uint8_t *entry = gpt->entries + (size_t)i * gpt->entry_size;
		uint64_t first = get_le64(entry + GPT_FIRST), last = get_le64(entry + GPT_LAST);

		if (bytes_all_zero(entry, 16))
			continue;
		if (first > last || first < gpt->first_usable || last > gpt->last_usable)
			return "a partition lies outside of what can be used";
		for (uint32_t k = 0; k < i; k++) {
			const uint8_t *other = gpt->entries + (size_t)k * gpt->entry_size;

			if (!bytes_all_zero(other, 16) && first <= get_le64(other + GPT_LAST) &&
			    get_le64(other + GPT_FIRST) <= last)
				return "partitions overlap";
		}
	}
	return NULL;
}

/* A copy of the table whose header is in sector `at`. *copy says what there is; *why, what is wrong with it. */
static int read_copy(struct block *block, uint32_t sector, uint64_t at, struct gpt *gpt,
		     enum gpt_copy *copy, const char **why, uint64_t *other, struct error *error)
{
	uint8_t header[GPT_SECTOR_MOST];
	uint64_t sectors = block->size / sector;
	size_t length;
	int rc;

	*copy = GPT_ABSENT;
	*why = NULL;
	if (at >= sectors)
		return 0;
	rc = read_sectors(block, sector, at, header, sector, error);
	if (rc || memcmp(header, GPT_MAGIC, 8))
		return rc;
	*copy = GPT_DAMAGED;
	*why = check_header(header, sector, at, sectors);
	*other = get_le64(header + GPT_OTHER);
	if (*why)
		return 0;
	*gpt = (struct gpt){ .sector_size = sector,
			     .first_usable = get_le64(header + GPT_FIRST_USABLE),
			     .last_usable = get_le64(header + GPT_LAST_USABLE),
			     .count = get_le32(header + GPT_COUNT),
			     .entry_size = get_le32(header + GPT_ENTRY_SIZE),
			     .entries_at = get_le64(header + GPT_ENTRIES_AT) };
	memcpy(gpt->id, header + GPT_DISK_ID, 16);
	length = (size_t)gpt->count * gpt->entry_size;
	gpt->entries = malloc(round_up(length, sector));
	if (!gpt->entries)
		return -ENOMEM;
	rc = read_sectors(block, sector, gpt->entries_at, gpt->entries, length, error);
	if (!rc && get_le32(header + GPT_LIST_CRC) != crc32_gzip_refl(0, gpt->entries, length))
		*why = "the checksum of its list is wrong";
	else if (!rc)
		*why = check_entries(gpt);
	if (rc || *why)
		gpt_free(gpt);
	else
		*copy = GPT_GOOD;
	return rc;
}

/* ---- Both ---- */

static bool say_the_same(const struct gpt *one, const struct gpt *other)
{
	return !memcmp(one->id, other->id, 16) && one->first_usable == other->first_usable &&
	       one->last_usable == other->last_usable && one->count == other->count &&
	       one->entry_size == other->entry_size &&
	       !memcmp(one->entries, other->entries, (size_t)one->count * one->entry_size);
}

static void say_problem(struct gpt_look *look, const char *primary_why, const char *backup_why)
{
	const char *text = NULL;

	if (look->primary != GPT_GOOD && look->backup != GPT_GOOD)
		text = primary_why ? primary_why : backup_why;
	else if (look->primary == GPT_ABSENT)
		text = "the primary is gone; this is the backup";
	else if (look->backup == GPT_ABSENT)
		text = "the backup is gone";
	if (look->primary == GPT_DAMAGED && look->backup == GPT_GOOD)
		snprintf(look->problem, sizeof(look->problem),
			 "the primary is damaged (%s); this is the backup", primary_why);
	else if (look->primary == GPT_GOOD && look->backup == GPT_DAMAGED)
		snprintf(look->problem, sizeof(look->problem), "the backup is damaged (%s)",
			 backup_why);
	else if (text)
		snprintf(look->problem, sizeof(look->problem), "%s", text);
	else if (look->differ)
		snprintf(look->problem, sizeof(look->problem),
			 "primary and backup do not say the same; this is the primary");
	else if (look->backup_early)
		snprintf(look->problem, sizeof(look->problem),
			 "the backup is not at the end: the disk was shorter");
}

/* With sectors of one size. */
static int look_with(struct block *block, uint32_t sector, struct gpt_look *look,
		     struct error *error)
{
	CLEANUP_GPT struct gpt primary = { 0 }, backup = { 0 };
	uint64_t end = block->size / sector - 1, backup_at = 0, primary_at = 0;
	const char *primary_why = NULL, *backup_why = NULL;
	int rc = read_copy(block, sector, 1, &primary, &look->primary, &primary_why, &backup_at,
			   error);

	if (rc)
		return rc;
	if (look->primary != GPT_GOOD)
		backup_at = end;
	rc = read_copy(block, sector, backup_at, &backup, &look->backup, &backup_why, &primary_at,
		       error);
	/* What it names may never have been one: the end of the disk is asked, too. */
	if (!rc && look->backup == GPT_ABSENT && backup_at != end) {
		backup_at = end;
		rc = read_copy(block, sector, end, &backup, &look->backup, &backup_why, &primary_at,
			       error);
	}
	if (rc || (look->primary == GPT_ABSENT && look->backup == GPT_ABSENT))
		return rc;
	look->backup_early = look->backup == GPT_GOOD && backup_at != end;
	look->differ = look->primary == GPT_GOOD && look->backup == GPT_GOOD &&
		       !say_the_same(&primary, &backup);
	say_problem(look, primary_why, backup_why);
	if (look->primary == GPT_GOOD) {
		look->gpt = primary;
		primary.entries = NULL;
	} else if (look->backup == GPT_GOOD) {
		look->gpt = backup;
		look->gpt.entries_at = 2;
		backup.entries = NULL;
	}
	look->gpt.backup_at = look->backup == GPT_GOOD ? backup_at : end;
	return 1;
}

int gpt_look(struct block *block, struct gpt_look *look, struct error *error)
{
	const uint32_t sizes[] = { block->logical_block_size,
				   block->logical_block_size == 512 ? 4096 : 512 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int rc = 0;

		*look = (struct gpt_look){ 0 };
		/* A device of larger sectors has no smaller ones. */
		if (sizes[i] >= block->logical_block_size && block->size / sizes[i] > 6)
			rc = look_with(block, sizes[i], look, error);
		if (rc < 0)
			return rc;
		if (rc > 0)
			return look->gpt.entries ? 1 : 0;
	}
	return 0;
}

/* ---- Entries ---- */

bool gpt_partition(const struct gpt *gpt, uint32_t index, struct gpt_partition *partition)
{
	const uint8_t *entry = gpt->entries + (size_t)index * gpt->entry_size;
	uint64_t first, last;

	if (index >= gpt->count || bytes_all_zero(entry, 16))
		return false;
	first = get_le64(entry + GPT_FIRST);
	last = get_le64(entry + GPT_LAST);
	*partition = (struct gpt_partition){ .number = index + 1,
					     .start = first * gpt->sector_size,
					     .length = (last - first + 1) * gpt->sector_size };
	memcpy(partition->type, entry, 16);
	memcpy(partition->id, entry + GPT_ID, 16);
	utf16_decode(entry + GPT_ENTRY_NAME, GPT_NAME_UNITS, partition->name);
	return true;
}
