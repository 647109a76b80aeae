/* SPDX-License-Identifier: BSD-2-Clause */
/* What the disk of a partition is a part of; see signature.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/identity.h"
#include "block/partition.h"
#include "block/raid_magic.h"
#include "block/signature.h"
#include "util/cleanup.h"
#include "util/error.h"

/* Whether it is that of a partition, which ends with its disk or begins with it. */
static bool is_in_partition(const struct partition_table *table, uint64_t offset)
{
	for (unsigned i = 0; i < table->count; i++) {
		const struct partition *part = &table->partitions[i];

		if (!part->is_extended && offset >= part->start &&
		    offset - part->start < part->length)
			return true;
	}
	return false;
}

/* What is not there, or not for this user to read, is as good as nothing here; a disk that fails is not. */
static bool is_nothing(int rc)
{
	return rc != -EIO && !error_is_shortage(rc);
}

/* 1 where the disk itself is an array's. What has no partitions is nothing here. */
static int look_at_disk(const char *path, struct block_signature *found)
{
	CLEANUP_PARTITION_TABLE struct partition_table table = { 0 };
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	struct block_raid_magic magic;
	int rc = fd < 0 || size < 0 ? -errno : size > 0;

	if (rc > 0)
		rc = partition_table_read(&table, fd, path, NULL);
	if (rc > 0)
		rc = block_raid_magic_find_file(fd, (uint64_t)size, &magic);
	if (rc < 0)
		return is_nothing(rc) ? 0 : rc;
	if (!rc || is_in_partition(&table, magic.offset))
		return 0;
	*found = (struct block_signature){ .offset = magic.offset };
	snprintf(found->type, sizeof(found->type), "linux_raid_member");
	snprintf(found->name, sizeof(found->name), "%s", magic.name);
	return 1;
}

int block_signature_below(const char *name, struct block_signature *found, char **whole)
{
	struct block_identity identity = { 0 };
	unsigned number;
	char *path;
	int rc = 0;

	*whole = NULL;
	if (partition_split(name, &path, &number)) {
		rc = look_at_disk(path, found);
		if (rc > 0)
			*whole = path;
		else
			free(path);
		return rc;
	}
	rc = strncmp(name, "/dev/", 5) ? -ENOENT : block_identify_path(&identity, name);
	if (rc)
		return is_nothing(rc) ? 0 : rc;
	for (unsigned i = 1; !rc && i < identity.count; i++) {
		const struct block_part *part = &identity.parts[i];

		if (!part->exact || !part->path)
			continue;
		rc = look_at_disk(part->path, found);
		if (rc > 0)
			*whole = strdup(part->path);
	}
	block_identity_free(&identity);
	return rc;
}
