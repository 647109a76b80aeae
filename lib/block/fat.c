/* SPDX-License-Identifier: BSD-2-Clause */
/* See fat.h. */
#include "block/fat.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/utf16.h"

#define SECTOR_MOST 4096u
#define ENTRY       32u
#define DEPTH_MOST  8u
#define FILES_MOST  4096u
#define FOLDER_MOST (256u << 10) /* bytes of a folder that are looked at */
#define TABLE_MOST  (8u << 20)
#define NAME_UNITS  (20u * 13u)
#define ATTR_VOLUME 0x08
#define ATTR_FOLDER 0x10
#define ATTR_LONG   0x0f
#define FAT12_BELOW 4085u
#define FAT16_BELOW 65525u

struct fat {
	struct block *block;
	unsigned bits; /* 12, 16, 32 */
	uint32_t cluster_size;
	uint64_t table_at, table_size; /* bytes: the first copy of the table */
	uint64_t root_at, root_size;   /* of FAT12 and FAT16 */
	uint32_t root_cluster;         /* of FAT32 */
	uint64_t data_at;
	uint32_t clusters;  /* their numbers are 2 to clusters + 1 */
	uint64_t cached_at; /* a sector of the table, or UINT64_MAX */
	uint8_t cached[SECTOR_MOST];
};

/* ---- Opening ---- */

/* A size that makes no sense, or one that the device does not have. */
static const char *take_sizes(struct fat *fat, const uint8_t *boot)
{
	uint32_t sector = get_le16(boot + 11), reserved = get_le16(boot + 14), copies = boot[16];
	uint32_t roots = get_le16(boot + 17);
	uint64_t sectors = get_le16(boot + 19) ? get_le16(boot + 19) : get_le32(boot + 32);
	uint64_t table = get_le16(boot + 22) ? get_le16(boot + 22) : get_le32(boot + 36);
	uint64_t data, per_cluster = boot[13], clusters;

	if (!is_power_of_two(sector) || sector < 512 || sector > SECTOR_MOST ||
	    !is_power_of_two(per_cluster) || !reserved || !copies || copies > 4 || !table ||
	    !sectors || table > UINT32_MAX / 4)
		return "its first sector says sizes that cannot be";
	data = reserved + copies * table + (roots * ENTRY + sector - 1) / sector;
	if (data >= sectors)
		return "its tables are larger than it is";
	if (sectors * sector > fat->block->size)
		return "it is larger than its device";
	clusters = (sectors - data) / per_cluster;
	fat->bits = clusters < FAT12_BELOW ? 12 : clusters < FAT16_BELOW ? 16 : 32;
	fat->cluster_size = sector * (uint32_t)per_cluster;
	fat->table_at = (uint64_t)reserved * sector;
	fat->table_size = table * sector;
	fat->root_at = fat->table_at + copies * fat->table_size;
	fat->root_size = (uint64_t)roots * ENTRY;
	fat->root_cluster = fat->bits == 32 ? get_le32(boot + 44) : 0;
	fat->data_at = data * sector;
	/* No more than the table speaks of. */
	fat->clusters = (uint32_t)MIN(clusters, fat->table_size * 8 / fat->bits);
	return fat->clusters < 3 ? "it has no clusters" : NULL;
}

int fat_open(struct fat **out, struct block *block, struct error *error)
{
	CLEANUP_FAT struct fat *fat = calloc(1, sizeof(*fat));
	uint8_t boot[SECTOR_MOST];
	uint32_t unit = block->logical_block_size;
	const char *why = NULL;
	int rc;

	if (!fat)
		return -ENOMEM;
	fat->block = block;
	fat->cached_at = UINT64_MAX;
	if (unit > SECTOR_MOST || block->size < unit)
		return error_set(error, -EINVAL, "%s: holds no FAT file system", block->name);
	rc = block_read(block, 0, boot, unit);
	if (rc)
		return error_set(error, rc, "%s: reading it: %s", block->name, error_name(rc));
	if (boot[510] != 0x55 || boot[511] != 0xaa || (boot[0] != 0xeb && boot[0] != 0xe9))
		why = "its first sector is not one's";
	else
		why = take_sizes(fat, boot);
	if (why)
		return error_set(error, -EINVAL, "%s: holds no FAT file system: %s", block->name,
				 why);
	*out = steal_pointer(&fat);
	return 0;
}

void fat_close(struct fat *fat)
{
	free(fat);
}

/* ---- Clusters ---- */

/* Any range, which is on the device. */
static int read_bytes(struct fat *fat, uint64_t at, void *to, size_t length)
{
	uint32_t unit = fat->block->logical_block_size;
	uint64_t from = round_down(at, unit), end = round_up(at + length, unit);
	CLEANUP_FREE char *whole = NULL;
	int rc;

	if (!range_within(at, length, fat->block->size) || end > fat->block->size)
		return -EIO;
	if (from == at && end == at + length)
		return block_read(fat->block, at, to, length);
	whole = malloc(end - from);
	if (!whole)
		return -ENOMEM;
	rc = block_read(fat->block, from, whole, end - from);
	if (!rc)
		memcpy(to, whole + (at - from), length);
	return rc;
}

static bool is_cluster(const struct fat *fat, uint32_t cluster)
{
	return cluster >= 2 && cluster - 2 < fat->clusters;
}

/* A byte of the table; 0xff where that cannot be read, which ends chains. */
static uint8_t table_byte(struct fat *fat, uint64_t at)
{
	uint64_t sector = round_down(at, SECTOR_MOST);
	size_t length = (size_t)MIN((uint64_t)SECTOR_MOST, fat->table_size - sector);

	if (at >= fat->table_size)
		return 0xff;
	if (fat->cached_at != sector) {
		memset(fat->cached, 0xff, sizeof(fat->cached));
		if (read_bytes(fat, fat->table_at + sector, fat->cached, length))
			memset(fat->cached, 0xff, sizeof(fat->cached));
		fat->cached_at = sector;
	}
	return fat->cached[at - sector];
}

/* What the table says of a cluster: 0 is free, and what is no cluster ends a chain. */
static uint32_t entry_of(struct fat *fat, uint32_t cluster)
{
	uint64_t at = (uint64_t)cluster * fat->bits / 8;
	uint32_t value = table_byte(fat, at) | (uint32_t)table_byte(fat, at + 1) << 8;

	if (fat->bits == 12)
		return cluster & 1 ? value >> 4 : value & 0xfff;
	if (fat->bits == 32)
		value |= (uint32_t)table_byte(fat, at + 2) << 16 |
			 (uint32_t)(table_byte(fat, at + 3) & 0x0f) << 24;
	return value;
}

/* At most `most` bytes of a chain. The caller frees it. */
static int read_chain(struct fat *fat, uint32_t cluster, size_t most, char **data, size_t *length)
{
	CLEANUP_FREE char *all = malloc(most + 1);

	*length = 0;
	if (!all)
		return -ENOMEM;
	while (*length < most && is_cluster(fat, cluster)) {
		size_t piece = MIN(most - *length, (size_t)fat->cluster_size);
		int rc = read_bytes(fat, fat->data_at + (uint64_t)(cluster - 2) * fat->cluster_size,
				    all + *length, piece);

		if (rc)
			return rc;
		*length += piece;
		cluster = entry_of(fat, cluster);
	}
	all[*length] = '\0';
	*data = steal_pointer(&all);
	return 0;
}

int fat_used(struct fat *fat, uint64_t *bytes)
{
	uint64_t used = 0;

	if (fat->table_size > TABLE_MOST)
		return -EFBIG;
	for (uint32_t i = 0; i < fat->clusters; i++)
		used += entry_of(fat, i + 2) != 0;
	*bytes = used * fat->cluster_size;
	return 0;
}

/* ---- Folders ---- */

struct walk {
	struct fat *fat;
	int (*fn)(void *arg, const struct fat_file *file);
	void *arg;
	unsigned files;
	char path[FAT_PATH];
};

/* The pieces of a long name, which stand before the entry that they are of, the last one first. */
struct long_name {
	uint8_t units[2 * NAME_UNITS];
	unsigned next; /* the number of the piece that is expected; 0: all are there */
	bool any;
	uint8_t sum;
};

static void take_piece(struct long_name *name, const uint8_t *entry)
{
	static const uint8_t places[13] = { 1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30 };
	unsigned number = entry[0] & 0x1f;

	if (entry[0] & 0x40) {
		memset(name->units, 0, sizeof(name->units));
		name->any = number >= 1 && number <= 20;
		name->sum = entry[13];
	} else if (!name->any || number != name->next || entry[13] != name->sum) {
		name->any = false;
	}
	if (!name->any || !number)
		return;
	name->next = number - 1;
	for (unsigned i = 0; i < 13; i++)
		memcpy(name->units + 2 * (13 * (number - 1) + i), entry + places[i], 2);
}

static uint8_t short_sum(const uint8_t *entry)
{
	uint8_t sum = 0;

	for (unsigned i = 0; i < 11; i++)
		sum = (uint8_t)((sum << 7 | sum >> 1) + entry[i]);
	return sum;
}

static char *put_part(char *to, const uint8_t *from, unsigned length, bool lower)
{
	while (length && from[length - 1] == ' ')
		length--;
	for (unsigned i = 0; i < length; i++)
		*to++ = (char)(lower && from[i] >= 'A' && from[i] <= 'Z' ? from[i] + 32 : from[i]);
	return to;
}

/* "BOOTX64 EFI" is BOOTX64.EFI; two bits say that a part is in lower case, as Windows NT has it. */
static void short_name(const uint8_t *entry, char *to)
{
	char *dot = put_part(to, entry, 8, entry[12] & 0x08), *end;

	*dot = '.';
	end = put_part(dot + 1, entry + 8, 3, entry[12] & 0x10);
	*(end == dot + 1 ? dot : end) = '\0';
}

static int walk_folder(struct walk *walk, const char *entries, size_t length, size_t path_length,
		       unsigned depth);

static int walk_into(struct walk *walk, uint32_t cluster, size_t path_length, unsigned depth)
{
	CLEANUP_FREE char *entries = NULL;
	size_t length;
	int rc = read_chain(walk->fat, cluster, FOLDER_MOST, &entries, &length);

	return rc ? rc : walk_folder(walk, entries, length, path_length, depth);
}

static int visit(struct walk *walk, const uint8_t *entry, const struct long_name *name,
		 size_t path_length, unsigned depth)
{
	uint32_t cluster = get_le16(entry + 26) |
			   (walk->fat->bits == 32 ? (uint32_t)get_le16(entry + 20) << 16 : 0);
	char text[UTF16_TEXT(NAME_UNITS)];
	struct fat_file file = { .path = walk->path,
				 .is_folder = entry[11] & ATTR_FOLDER,
				 .size = get_le32(entry + 28),
				 .cluster = cluster };
	int length, rc;

	if (name->any && !name->next && name->sum == short_sum(entry))
		utf16_decode(name->units, NAME_UNITS, text);
	else
		short_name(entry, text);
	if (!*text || !strcmp(text, ".") || !strcmp(text, "..") || strchr(text, '/'))
		return 0;
	length = snprintf(walk->path + path_length, sizeof(walk->path) - path_length, "%s%s",
			  path_length ? "/" : "", text);
	if (length < 0 || (size_t)length >= sizeof(walk->path) - path_length)
		return 0;
	if (walk->files++ == FILES_MOST)
		return -E2BIG;
	rc = walk->fn(walk->arg, &file);
	if (!rc && file.is_folder && depth + 1 < DEPTH_MOST)
		rc = walk_into(walk, cluster, path_length + (size_t)length, depth + 1);
	return rc;
}

static int walk_folder(struct walk *walk, const char *entries, size_t length, size_t path_length,
		       unsigned depth)
{
	struct long_name name = { .any = false };
	int rc = 0;

	for (size_t at = 0; !rc && at + ENTRY <= length && entries[at]; at += ENTRY) {
		const uint8_t *entry = (const uint8_t *)entries + at;

		if (entry[0] == 0xe5) {
			name.any = false;
		} else if ((entry[11] & 0x3f) == ATTR_LONG) {
			take_piece(&name, entry);
		} else {
			if (!(entry[11] & ATTR_VOLUME))
				rc = visit(walk, entry, &name, path_length, depth);
			name.any = false;
		}
	}
	return rc;
}

static int walk_root(struct walk *walk)
{
	struct fat *fat = walk->fat;
	CLEANUP_FREE char *entries = NULL;
	size_t length = (size_t)MIN(fat->root_size, (uint64_t)FOLDER_MOST);
	int rc;

	if (fat->bits == 32)
		return walk_into(walk, fat->root_cluster, 0, 0);
	entries = malloc(length + 1);
	rc = entries ? read_bytes(fat, fat->root_at, entries, length) : -ENOMEM;
	return rc ? rc : walk_folder(walk, entries, length, 0, 0);
}

int fat_walk(struct fat *fat, int (*fn)(void *arg, const struct fat_file *file), void *arg)
{
	struct walk walk = { .fat = fat, .fn = fn, .arg = arg };
	int rc = walk_root(&walk);

	return rc == -E2BIG ? 0 : rc;
}

struct wanted {
	const char *path;
	struct fat_file file;
};

static int compare(void *arg, const struct fat_file *file)
{
	struct wanted *wanted = arg;

	if (file->is_folder || strcasecmp(file->path, wanted->path))
		return 0;
	wanted->file = *file;
	return 1;
}

int fat_read(struct fat *fat, const char *path, size_t most, char **data, size_t *length)
{
	struct wanted wanted = { .path = path };
	int rc = fat_walk(fat, compare, &wanted);

	if (rc <= 0)
		return rc ? rc : -ENOENT;
	return read_chain(fat, wanted.file.cluster, (size_t)MIN((uint64_t)most, wanted.file.size),
			  data, length);
}
