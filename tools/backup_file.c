/* SPDX-License-Identifier: BSD-2-Clause */
/* Files with the backup of a reshape in place; see backup_file.h. */
#include "tools/backup_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"
#include "block/overlay.h"
#include "util/bytes.h"
#include "util/cleanup.h"

static int open_one(struct block **out, const char *path, const struct stack_options *options,
		    struct error *error)
{
	unsigned flags = options->write  ? BLOCK_OPEN_WRITE | BLOCK_OPEN_LOCK
			 : options->lock ? BLOCK_OPEN_LOCK
					 : 0;
	CLEANUP_BLOCK struct block *file = NULL;
	int rc = block_open_file(&file, path, flags, 0, error);

	if (rc)
		return error_prefix(error, "backup file"), rc;
	if (!options->rehearse) {
		*out = steal_pointer(&file);
		return 0;
	}
	return block_create_overlay(out, file, error);
}

int backup_files_open(struct stack *stack, const struct stack_options *options, struct error *error)
{
	const struct cli_words *backups = options->backups;
	int rc = 0;

	if (!backups || !backups->count)
		return 0;
	stack->backups = calloc(backups->count, sizeof(struct block *));
	if (!stack->backups)
		return -ENOMEM;
	for (unsigned i = 0; !rc && i < backups->count; i++) {
		rc = open_one(&stack->backups[stack->backup_count], backups->words[i], options,
			      error);
		stack->backup_count += !rc;
	}
	return rc;
}

void backup_files_release(struct stack *stack, bool all)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < stack->backup_count; i++) {
		if (all || stack->backups[i]->references == 1)
			block_unref(stack->backups[i]);
		else
			stack->backups[kept++] = stack->backups[i];
	}
	stack->backup_count = kept;
	if (kept)
		return;
	free(stack->backups);
	stack->backups = NULL;
}

/* 1: it is a block device; 0: it can be made. */
static int check_new(const char *path, struct error *error)
{
	struct stat found;

	if (stat(path, &found))
		return 0;
	if (S_ISBLK(found.st_mode))
		return 1;
	error_set(error, -EEXIST, "%s exists, expected a new file for the backup", path);
	return error_advise(error, "choose another name, or remove it if it is of no use");
}

/* Its name is to outlive a power cut as what is written to it does: without it nobody goes on with the array. */
static int keep_name(const char *path, struct error *error)
{
	CLEANUP_FREE char *copy = strdup(path);
	CLEANUP_CLOSE int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	/* A folder that cannot be read is flushed by nobody, nor where that is not to be had. */
	if (fd < 0 || !fsync(fd) || errno == EINVAL)
		return copy ? 0 : -ENOMEM;
	return error_set(error, -errno, "%s: its folder cannot be flushed: %s", path,
			 error_name(errno));
}

int backup_file_make(struct block **out, const char *path, uint64_t bytes, struct error *error)
{
	int rc = check_new(path, error);

	if (rc < 0)
		return rc;
	if (rc)
		return block_open_file(out, path, BLOCK_OPEN_WRITE | BLOCK_OPEN_LOCK, 0, error);
	rc = block_open_file(out, path, BLOCK_OPEN_WRITE | BLOCK_OPEN_LOCK | BLOCK_OPEN_CREATE,
			     bytes, error);
	return rc ? rc : keep_name(path, error);
}

int backup_file_for(struct raid_array *array, struct raid_grow *grow, const char *path,
		    struct block **block, struct error *error)
{
	struct raid_grow check = *grow;
	uint64_t bytes = 0;
	int rc;

	*block = NULL;
	if (!path)
		return 0;
	grow->backup_comes = true;
	check.backup_comes = check.only_check = true;
	check.backup_bytes = &bytes;
	rc = raid_grow(array, &check, error);
	if (!rc && bytes && grow->only_check)
		return MIN(check_new(path, error), 0);
	if (rc || !bytes)
		return rc;
	rc = backup_file_make(block, path, bytes, error);
	grow->backup = *block;
	return rc;
}

void backup_file_discard(struct block *block, const char *path)
{
	if (block && block->references == 1)
		block_file_discard(block, path);
}
