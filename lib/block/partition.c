/* SPDX-License-Identifier: BSD-2-Clause */
/* See partition.h. */
#include "block/partition.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "block/blkid_library.h"
#include "block/block.h"
#include "block/nbd.h"
#include "util/bytes.h"
#include "util/error.h"

#define LIST_MOST   4096u /* partitions; Linux itself numbers 256 */
#define GPT_MAGIC   "EFI PART"
#define DIGITS_MOST 4u

/* ---- Reading ---- */

static int device_size(int fd, uint64_t *size)
{
	struct stat status;

	if (fstat(fd, &status))
		return -errno;
	*size = (uint64_t)status.st_size;
	if (S_ISBLK(status.st_mode) && ioctl(fd, BLKGETSIZE64, size))
		return -errno;
	return 0;
}

static int take_partitions(struct partition_table *table, blkid_partlist list)
{
	int count = libblkid.blkid_partlist_numof_partitions(list);

	table->partitions = calloc((size_t)MAX(count, 1), sizeof(*table->partitions));
	if (!table->partitions)
		return -ENOMEM;
	for (int i = 0; i < count && i < (int)LIST_MOST; i++) {
		blkid_partition from = libblkid.blkid_partlist_get_partition(list, i);
		struct partition *to = &table->partitions[table->count];
		uint64_t start = (uint64_t)libblkid.blkid_partition_get_start(from);
		uint64_t length = (uint64_t)libblkid.blkid_partition_get_size(from);

		/* libblkid counts in 512 bytes always. What cannot be in bytes is outside of anything. */
		*to = (struct partition){
			.number = (unsigned)libblkid.blkid_partition_get_partno(from),
			.start = start > INT64_MAX / 512 ? INT64_MAX : start * 512,
			.length = length > INT64_MAX / 512 ? INT64_MAX : length * 512,
			.is_extended = libblkid.blkid_partition_is_extended(from),
			.has_parent = libblkid.blkid_parttable_get_parent(
					      libblkid.blkid_partition_get_table(from)) != NULL,
		};
		table->count++;
	}
	return 1;
}

/* With sectors of one size. *backup: it is a GPT, and what was read is the copy at the end. */
static int read_table(struct partition_table *table, int fd, uint32_t sector, bool *backup)
{
	blkid_probe probe = libblkid.blkid_new_probe();
	blkid_partlist list;
	int rc = probe && !libblkid.blkid_probe_set_device(probe, fd, 0, 0) ? 0 : -ENOMEM;

	*backup = false;
	if (!rc) {
		libblkid.blkid_probe_set_sectorsize(probe, sector);
		libblkid.blkid_probe_enable_superblocks(probe, 0);
		libblkid.blkid_probe_enable_partitions(probe, 1);
		errno = 0;
		list = libblkid.blkid_probe_get_partitions(probe);
		if (list && libblkid.blkid_partlist_get_table(list)) {
			blkid_parttable found = libblkid.blkid_partlist_get_table(list);
			const char *type = libblkid.blkid_parttable_get_type(found);

			snprintf(table->type, sizeof(table->type), "%s", type ? type : "unknown");
			table->sector_size = sector;
			*backup =
				!strcmp(table->type, "gpt") &&
				libblkid.blkid_parttable_get_offset(found) != (blkid_loff_t)sector;
			rc = take_partitions(table, list);
		}
	}
	libblkid.blkid_free_probe(probe);
	return rc;
}

static bool has_magic(int fd, uint64_t offset)
{
	char magic[8];

	return pread(fd, magic, sizeof(magic), (off_t)offset) == sizeof(magic) &&
	       !memcmp(magic, GPT_MAGIC, sizeof(magic));
}

/* A GPT that libblkid does not believe: a checksum is wrong, or its disk was longer. */
static int check_damaged(int fd, uint32_t sector, uint64_t size, const char *path,
			 struct error *error)
{
	char header[48];
	uint64_t last;

	if (!has_magic(fd, sector))
		return 0;
	if (pread(fd, header, sizeof(header), sector) != sizeof(header))
		return 0;
	last = get_le64(header + 32);
	if (last < UINT64_MAX / sector && (last + 1) * sector > size) {
		error_set(error, -EINVAL,
			  "%s: has a GPT for a disk of %llu bytes, but only %llu bytes", path,
			  (unsigned long long)((last + 1) * sector), (unsigned long long)size);
		error_advise(error, "its end is missing: make it %llu bytes long again",
			     (unsigned long long)((last + 1) * sector));
		return -EINVAL;
	}
	error_set(error, -EINVAL, "%s: has a GPT at byte %u that is damaged", path, sector);
	error_advise(error, "look at it with `sfdisk --verify %s`", path);
	return -EINVAL;
}

int partition_table_read(struct partition_table *table, int fd, const char *path,
			 struct error *error)
{
	static const uint32_t sectors[] = { 512, 4096 };
	uint64_t size = 0;
	int rc = device_size(fd, &size), logical = 0;

	*table = (struct partition_table){ 0 };
	if (rc)
		return error_set(error, rc, "%s: %s", path, error_name(rc));
	rc = libblkid_load(error);
	if (rc)
		return rc;
	if (ioctl(fd, BLKSSZGET, &logical))
		logical = 0;
	for (size_t i = 0; i < ARRAY_SIZE(sectors); i++) {
		bool backup;

		if (logical && (uint32_t)logical != sectors[i])
			continue;
		rc = read_table(table, fd, sectors[i], &backup);
		if (rc < 0)
			return error_set(error, rc, "%s: no memory for its partition table", path);
		if (backup) {
			partition_table_free(table);
			error_set(error, -EINVAL,
				  "%s: its GPT is damaged; only the backup at the end is good",
				  path);
			error_advise(error, "`sfdisk` or `gdisk` restore it from the backup");
			return -EINVAL;
		}
		if (!rc)
			rc = check_damaged(fd, sectors[i], size, path, error);
		if (rc)
			return rc;
	}
	return 0;
}

int partition_table_read_path(struct partition_table *table, const char *path, struct error *error)
{
	CLEANUP_CLOSE int fd = -1;
	struct stat status;

	*table = (struct partition_table){ 0 };
	if (stat(path, &status))
		return error_set(error, -errno, "%s: %s", path, error_name(errno));
	if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
		return 0;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return error_set(error, -errno, "%s: opening it: %s", path, error_name(errno));
	return partition_table_read(table, fd, path, error);
}

/* ---- Finding ---- */

void partition_table_list(const struct partition_table *table, char *text, unsigned size)
{
	size_t used = 0;

	*text = '\0';
	for (unsigned i = 0; i < table->count && used + 16 < size; i++)
		if (!table->partitions[i].is_extended)
			used += (size_t)snprintf(text + used, size - used, "%s%u", used ? ", " : "",
						 table->partitions[i].number);
}

static bool partitions_overlap(const struct partition *one, const struct partition *other)
{
	return one->start < other->start + other->length && other->start < one->start + one->length;
}

/* What may lie in one another: an extended partition and what it holds, and tables inside partitions. */
static bool may_share(const struct partition *one, const struct partition *other)
{
	return one->is_extended || other->is_extended || one->has_parent != other->has_parent;
}

static int check(const struct partition_table *table, const struct partition *partition,
		 uint64_t size, const char *path, struct error *error)
{
	unsigned number = partition->number;

	if (partition->is_extended) {
		error_set(error, -EINVAL, "%s: partition %u is extended: it only holds others",
			  path, number);
		error_advise(error, "its logical partitions have numbers from 5");
		return -EINVAL;
	}
	if (!partition->length)
		return error_set(error, -EINVAL, "%s: partition %u is empty", path, number);
	if (!range_within(partition->start, partition->length, size)) {
		error_set(error, -EINVAL,
			  "%s: partition %u is bytes %llu to %llu, but there are %llu bytes", path,
			  number, (unsigned long long)partition->start,
			  (unsigned long long)(partition->start + partition->length),
			  (unsigned long long)size);
		error_advise(error, "was the image cut? make it as long as it was");
		return -EINVAL;
	}
	for (unsigned i = 0; i < table->count; i++) {
		const struct partition *other = &table->partitions[i];

		if (other == partition || may_share(partition, other) ||
		    !partitions_overlap(partition, other))
			continue;
		error_set(error, -EINVAL, "%s: partitions %u and %u overlap at byte %llu", path,
			  number, other->number,
			  (unsigned long long)MAX(partition->start, other->start));
		error_advise(error, "repair the partition table first");
		return -EINVAL;
	}
	return 0;
}

int partition_find(const struct partition_table *table, unsigned number, uint64_t size,
		   const char *path, const struct partition **found, struct error *error)
{
	char list[128];

	for (unsigned i = 0; i < table->count; i++)
		if (table->partitions[i].number == number) {
			*found = &table->partitions[i];
			return check(table, *found, size, path, error);
		}
	partition_table_list(table, list, sizeof(list));
	if (!table->sector_size)
		error_set(error, -ENOENT, "%s:%u: %s has no partition table", path, number, path);
	else
		error_set(error, -ENOENT, "%s:%u: there is no partition %u in its %s table", path,
			  number, number, table->type);
	if (*list)
		error_advise(error, "it has partitions %s", list);
	return -ENOENT;
}

char *partition_hint(const char *path)
{
	CLEANUP_PARTITION_TABLE struct partition_table table = { 0 };
	struct error why = { 0 };
	struct stat status;
	char list[128], *text;
	int rc, first = 0;

	if (stat(path, &status) || !S_ISREG(status.st_mode))
		return NULL;
	rc = partition_table_read_path(&table, path, &why);
	if (rc < 0)
		return strdup(why.text);
	for (unsigned i = table.count; i-- > 0;)
		if (!table.partitions[i].is_extended)
			first = (int)table.partitions[i].number;
	if (!first)
		return NULL;
	partition_table_list(&table, list, sizeof(list));
	rc = asprintf(&text, "%s: has a %s partition table with partition%s %s: name %s %s:%d%s",
		      path, table.type, strchr(list, ',') ? "s" : "", list,
		      strchr(list, ',') ? "them" : "it", path, first,
		      strchr(list, ',') ? " and so on" : "");
	return rc < 0 ? NULL : text;
}

/* ---- Names ---- */

bool partition_split(const char *name, char **path, unsigned *number)
{
	const char *colon = strrchr(name, ':'), *digits = colon ? colon + 1 : "";
	CLEANUP_FREE char *before = NULL;
	struct stat status;

	if (!*digits || colon == name || *digits == '0' || strlen(digits) > DIGITS_MOST ||
	    strspn(digits, "0123456789") != strlen(digits) || !lstat(name, &status))
		return false;
	before = strndup(name, (size_t)(colon - name));
	if (!before || stat(before, &status) ||
	    (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)))
		return false;
	*number = (unsigned)atoi(digits);
	if (path)
		*path = steal_pointer(&before);
	return true;
}

char *device_realpath(const char *name)
{
	CLEANUP_FREE char *path = NULL, *resolved = NULL;
	unsigned number;
	char *whole;

	if (!partition_split(name, &path, &number))
		return realpath(name, NULL);
	resolved = realpath(path, NULL);
	return resolved && asprintf(&whole, "%s:%u", resolved, number) >= 0 ? whole : NULL;
}

bool device_exists(const char *name)
{
	unsigned number;

	return !access(name, F_OK) || block_is_nbd(name) || partition_split(name, NULL, &number);
}

/* ---- Opening ---- */

int partition_locate(const char *path, unsigned number, uint64_t *start, uint64_t *length,
		     struct error *error)
{
	CLEANUP_PARTITION_TABLE struct partition_table table = { 0 };
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	const struct partition *found;
	uint64_t size = 0;
	int rc;

	if (fd < 0)
		return error_set(error, -errno, "%s: opening it: %s", path, error_name(errno));
	rc = partition_table_read(&table, fd, path, error);
	if (rc >= 0)
		rc = device_size(fd, &size);
	if (!rc)
		rc = partition_find(&table, number, size, path, &found, error);
	if (rc)
		return rc;
	*start = found->start;
	*length = found->length;
	return 0;
}
