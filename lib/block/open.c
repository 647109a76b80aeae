/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening a device by its name, which may be that of a partition. */
#include <errno.h>

#include "block/file.h"
#include "block/nbd.h"
#include "block/partition.h"
#include "util/cleanup.h"
#include "util/error.h"

/* As block_open_file(), for a name that partition_split() has taken apart. */
static int open_partition(struct block **out, const char *name, const char *path, unsigned number,
			  unsigned flags, struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;
	uint64_t start, length, now_start, now_length;
	int rc = partition_locate(path, number, &start, &length, error);

	if (!rc)
		rc = block_open_part(&block, name, path, flags, start, length, error);
	/* From now on nobody of ours changes the table: that takes the whole disk. */
	if (!rc)
		rc = partition_locate(path, number, &now_start, &now_length, error);
	if (!rc && (start != now_start || length != now_length))
		rc = error_set(error, -EAGAIN, "%s: the partition table changed meanwhile", name);
	if (!rc)
		*out = steal_pointer(&block);
	return rc;
}

int block_open_file(struct block **out, const char *path, unsigned flags, uint64_t size,
		    struct error *error)
{
	CLEANUP_FREE char *whole = NULL;
	unsigned number;

	if (block_is_nbd(path))
		return block_open_nbd(out, path, flags & BLOCK_OPEN_WRITE, error);
	if (!(flags & BLOCK_OPEN_CREATE) && partition_split(path, &whole, &number))
		return open_partition(out, path, whole, number, flags, error);
	return file_open(out, path, flags, size, error);
}
