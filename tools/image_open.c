/* SPDX-License-Identifier: BSD-2-Clause */
/* See image_look.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "block/block.h"
#include "block/image_format.h"
#include "tools/copy.h"
#include "tools/device_look.h"
#include "tools/host_disk.h"
#include "tools/image_look.h"
#include "tools/owner.h"
#include "tools/qemu_disk.h"
#include "tools/stack.h"

int image_is_object(const struct cli_words *given, const char *word, bool *object,
		    struct error *error)
{
	struct copy_command copy = { .given = *given };

	return copy_is_object(&copy, word, object, error);
}

static int open_object(struct image_disk *disk, const struct cli_words *given, char *word,
		       struct error *error)
{
	CLEANUP_FREE char *socket = NULL;
	int rc = owner_find(given, word, &socket, error);

	if (rc)
		return rc;
	if (socket) {
		rc = host_disk_open(&disk->served, word,
				    &(struct host_disk_options){ .shared = true }, error);
		if (!rc)
			disk->block = host_disk_get(disk->served);
		if (!rc && !disk->block)
			rc = error_set(error, -ENOTCONN, "%s: %s", word, disk->served->why.text);
		return rc;
	}
	rc = stack_look(&disk->stack, given, error);
	return rc ? rc : stack_open_block(disk->stack, word, false, &disk->block, error);
}

/* By qemu-nbd; see qemu_disk.h. */
static int open_image(struct image_disk *disk, const char *word, struct error *error)
{
	int rc = qemu_disk_open(&disk->image, word, qemu_disk_format_of_name(word), 0, error);

	if (!rc)
		disk->block = qemu_disk_block(disk->image);
	return rc;
}

int image_disk_open(struct image_disk *disk, const struct cli_words *given, char *word,
		    struct error *error)
{
	const struct image_format *format;
	bool object = false;
	int rc = image_is_object(given, word, &object, error);

	*disk = (struct image_disk){ .word = word, .is_object = object };
	if (!rc)
		rc = object ? open_object(disk, given, word, error)
			    : device_check_answers(word, error);
	if (!rc && !object && qemu_disk_format_of_name(word))
		rc = open_image(disk, word, error);
	else if (!rc && !object)
		rc = block_open_file(&disk->block, word, BLOCK_OPEN_ODD, 0, error);
	if (!rc && !object && !disk->image && (format = image_format_of_block(disk->block)))
		rc = image_format_refuse(format, word, error);
	if (rc)
		image_disk_close(disk);
	return rc;
}

void image_disk_close(struct image_disk *disk)
{
	/* An image's block is its own. */
	if (!disk->image)
		block_unref(disk->block);
	qemu_disk_close(disk->image, NULL);
	host_disk_close(disk->served);
	stack_close(disk->stack, NULL);
	*disk = (struct image_disk){ 0 };
}
