/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk in a file of our own becomes larger: its table, the partition that lies last, and the file system in that, where it
 * is ext4 (or ext2, ext3). See image.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"
#include "block/dos_table.h"
#include "block/gpt.h"
#include "block/signature.h"
#include "tools/image.h"
#include "util/bytes.h"
#include "util/error.h"

struct grow {
	const char *path;
	struct image_grown *grown;
};

/* ---- What is there ---- */

static int look_at_content(struct block *block, struct image_grown *grown, struct error *error)
{
	CLEANUP_BLOCK struct block *part = NULL;
	struct block_signature found;
	int rc;

	if (!range_within(grown->start, grown->length, block->size))
		return error_set(error, -EINVAL, "%s: partition %u is not wholly on the disk",
				 block->name, grown->number);
	rc = block_create_slice(&part, block->name, block, grown->start, grown->length, error);
	if (!rc)
		rc = block_signature_find(part, &found, error);
	if (rc > 0)
		snprintf(grown->content, sizeof(grown->content), "%s", found.type);
	return MIN(rc, 0);
}

/* What has a use for more room; swap and what is unknown have none. */
static bool can_use_more(const char *content)
{
	static const char *const kinds[] = { "ext2",  "ext3", "ext4",        "xfs",
					     "btrfs", "f2fs", "LVM2_member", "crypto_LUKS" };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(content, kinds[i]))
			return true;
	return false;
}

/* ---- Tables ---- */

/* The backup goes to the end in any case: firmware and tools look for it there. */
static int grow_gpt(struct block *block, struct gpt *gpt, struct image_grown *grown,
		    struct error *error)
{
	struct gpt_partition partition;
	uint64_t length;
	int rc;

	for (uint32_t i = 0; i < gpt->count; i++)
		if (gpt_partition(gpt, i, &partition) && partition.start >= grown->start) {
			grown->number = partition.number;
			grown->start = partition.start;
			grown->length = partition.length;
		}
	rc = gpt_fit(gpt, block->size);
	if (rc)
		return error_set(error, rc,
				 "%s: its partition table does not fit a disk of %llu bytes",
				 block->name, (unsigned long long)block->size);
	if (grown->number)
		rc = look_at_content(block, grown, error);
	if (!rc && grown->number && can_use_more(grown->content)) {
		gpt_grow_last(gpt, &grown->number, &length);
		grown->by = length - grown->length;
		grown->length = length;
	}
	return rc ? rc : gpt_write(block, gpt, error);
}

/* Something, if only an extended partition with nothing in it, ends behind where it begins. */
static bool is_in_the_way(const struct dos_table *table, const struct image_grown *grown)
{
	for (unsigned i = 0; i < table->count; i++)
		if (table->partitions[i].number != grown->number &&
		    table->partitions[i].start + table->partitions[i].length > grown->start)
			return true;
	return false;
}

static int grow_dos(struct block *block, const struct dos_table *table, struct image_grown *grown,
		    struct error *error)
{
	uint64_t length;
	int rc;

	for (unsigned i = 0; i < table->count; i++)
		if (table->partitions[i].start >= grown->start && !table->partitions[i].extended) {
			grown->number = table->partitions[i].number;
			grown->start = table->partitions[i].start;
			grown->length = table->partitions[i].length;
		}
	rc = grown->number ? look_at_content(block, grown, error) : 0;
	/* Logical ones lie in another that would have to grow, too. */
	if (rc || grown->number > 4 || is_in_the_way(table, grown) || !can_use_more(grown->content))
		return rc;
	length = round_down(MIN(block->size, (uint64_t)UINT32_MAX * 512), GPT_ALIGNMENT);
	if (length <= grown->start + grown->length)
		return 0;
	length -= grown->start;
	rc = dos_table_resize(block, table, grown->number, length, error);
	if (rc)
		return rc;
	grown->by = length - grown->length;
	grown->length = length;
	return 0;
}

static int grow_table(void *arg, struct error *error)
{
	struct grow *grow = arg;
	struct image_grown *grown = grow->grown;
	CLEANUP_BLOCK struct block *block = NULL;
	CLEANUP_GPT_LOOK struct gpt_look look = { 0 };
	struct dos_table dos;
	uint64_t before = grown->length;
	int rc = block_open_file(&block, grow->path, BLOCK_OPEN_WRITE | BLOCK_OPEN_LOCK, 0, error);

	if (!rc)
		rc = gpt_look(block, &look, error);
	if (rc < 0)
		return rc;
	grown->start = grown->length = 0;
	if (rc > 0)
		return grow_gpt(block, &look.gpt, grown, error);
	if (*look.problem) {
		error_set(error, -EINVAL, "its GPT is damaged: %s", look.problem);
		return error_advise(error, "repair it, by `gdisk`");
	}
	rc = dos_table_read(block, &dos, error);
	if (rc > 0)
		return grow_dos(block, &dos, grown, error);
	/* A file system on all of it. */
	grown->length = block->size;
	if (!rc)
		rc = look_at_content(block, grown, error);
	if (!rc && can_use_more(grown->content))
		grown->by = block->size - before;
	return rc;
}

/* ---- The file system ---- */

/* Neither leaves anything but a whole file system, or the error. */
static int grow_file_system(const char *temporary, const char *path, struct image_grown *grown,
			    struct error *error)
{
	CLEANUP_FREE char *at = NULL, *size = NULL;
	int rc;

	if (asprintf(&at, "%s?offset=%llu", path, (unsigned long long)grown->start) < 0)
		return at = NULL, -ENOMEM;
	if (asprintf(&size, "%lluK", (unsigned long long)(grown->length >> 10)) < 0)
		return size = NULL, -ENOMEM;
	/* 1: errors were corrected, a journal was replayed. */
	rc = image_run_status(temporary, "e2fsprogs",
			      (const char *const[]){ "e2fsck", "-f", "-p", at, NULL }, 1, 0, error);
	if (!rc)
		rc = image_run_status(temporary, "e2fsprogs",
				      (const char *const[]){ "resize2fs", at, size, NULL }, 0,
				      IMAGE_RUN_UNCUT, error);
	if (!rc)
		rc = image_run_status(temporary, "e2fsprogs",
				      (const char *const[]){ "e2fsck", "-f", "-n", at, NULL }, 0, 0,
				      error);
	if (rc) {
		error_prefix(error, "its ext4 file system does not grow");
		return rc;
	}
	grown->file_system = true;
	return 0;
}

int image_grow(const char *temporary, const char *name, uint64_t size, struct image_grown *grown)
{
	CLEANUP_FREE char *path = *name == '/' ? strdup(name) : image_path(temporary, name);
	CLEANUP_CLOSE int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	struct grow grow = { .path = path, .grown = grown };
	struct error error = { 0 };
	struct stat disk;
	int status, rc = 0;

	*grown = (struct image_grown){ 0 };
	if (fd < 0 || fstat(fd, &disk))
		return cli_fail(path ? -errno : -ENOMEM, &error);
	grown->length = (uint64_t)disk.st_size;
	if (size != (uint64_t)disk.st_size && ftruncate(fd, (off_t)size))
		return cli_fail(error_set(&error, -errno, "%s: %s", path, error_name(errno)),
				&error);
	status = cli_on_fiber(grow_table, &grow);
	if (!status && grown->by && !strncmp(grown->content, "ext", 3))
		rc = grow_file_system(temporary, path, grown, &error);
	return rc ? cli_fail(rc, &error) : status;
}
