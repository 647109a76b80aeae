/* SPDX-License-Identifier: BSD-2-Clause */
/* What a copy would do; see copy.h. Nothing is opened for writing, and nothing made. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "block/block.h"
#include "block/partition.h"
#include "block/signature.h"
#include "tools/copy.h"
#include "tools/device_look.h"
#include "tools/qemu_disk.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "util/size.h"

/* An end as it is; `size` 0: not known, or none yet. */
struct end_plan {
	const char *word;
	bool is_object, exists;
	struct block *block;
	uint64_t size;
	const char *image_format; /* of a source */
	struct qemu_disk *image;
};

static bool is_image(const char *word, const struct stat *status)
{
	unsigned number;

	return partition_split(word, NULL, &number) || S_ISBLK(status->st_mode) ||
	       (S_ISREG(status->st_mode) && status->st_size);
}

static int look_at(struct copy_command *copy, struct stack *look, struct end_plan *end,
		   struct error *error)
{
	struct stat status = { 0 };
	unsigned number;
	int rc = 0;

	if (!strcmp(end->word, "-") || !strncmp(end->word, "vhost-user:", 11))
		return 0;
	end->exists = end->is_object || !stat(end->word, &status) ||
		      partition_split(end->word, NULL, &number);
	if (end->image_format) {
		rc = qemu_disk_open(&end->image, end->word, end->image_format,
				    copy->backing ? QEMU_DISK_OTHERS : 0, error);
		end->block = rc ? NULL : block_ref(qemu_disk_block(end->image));
		end->size = rc ? 0 : end->block->size;
		return rc;
	}
	if (end->is_object) {
		rc = stack_open_block(look, end->word, false, &end->block, error);
	} else if (end->exists && is_image(end->word, &status)) {
		rc = device_check_answers(end->word, error);
		if (!rc)
			rc = block_open_file(&end->block, end->word, BLOCK_OPEN_ODD, 0, error);
	}
	if (!rc && end->block)
		end->size = S_ISREG(status.st_mode) ? (uint64_t)status.st_size : end->block->size;
	return rc;
}

static int plan(struct copy_command *copy, const struct end_plan *source,
		const struct end_plan *destination, struct error *error)
{
	struct block_signature found;
	char sizes[2][SIZE_TEXT], much[64] = "";
	bool is_file = !destination->is_object, force = copy->consent.force || copy->consent.yes;
	struct stat status;
	int rc = 0;

	if (is_file && destination->block && !stat(destination->word, &status))
		is_file = S_ISREG(status.st_mode);
	if (source->size)
		snprintf(much, sizeof(much), ", %s", size_format(source->size, sizes[0]));
	if (destination->block && !is_file && source->size > destination->size)
		return error_set(error, -ENOSPC, "%s: has %s, the source has %s", destination->word,
				 size_format(destination->size, sizes[0]),
				 size_format(source->size, sizes[1]));
	consent_plan(&copy->consent, "%s: would be %s %s%s", destination->word,
		     destination->exists || !strcmp(destination->word, "-") ? "written to from"
									    : "made from",
		     source->word, much);
	if (destination->block)
		rc = block_signature_find(destination->block, &found, force ? NULL : error);
	if (rc > 0)
		consent_loss(&copy->consent, "the %s on it would be lost", found.name);
	if (destination->block)
		consent_loss_below(&copy->consent, destination->block);
	return force ? 0 : MIN(rc, 0);
}

int copy_plan(struct copy_command *copy, struct error *error)
{
	struct end_plan source = { .word = copy->source.word };
	struct end_plan destination = { .word = copy->destination.word };
	CLEANUP_STACK struct stack *look = NULL;
	int closed, rc = stack_look(&look, &copy->given, error);

	if (!rc)
		rc = copy_is_object(copy, source.word, &copy->source.is_object, error);
	if (!rc)
		rc = copy_is_object(copy, destination.word, &copy->destination.is_object, error);
	if (!rc)
		rc = copy_choose_formats(copy, error);
	source.is_object = copy->source.is_object;
	source.image_format = copy->source.format;
	destination.is_object = copy->destination.is_object;
	if (!rc)
		rc = look_at(copy, look, &source, error);
	if (rc == -ENOENT && source.is_object)
		copy_explain_folder(source.word, error);
	if (!rc && !source.exists && strcmp(source.word, "-") &&
	    strncmp(source.word, "vhost-user:", 11))
		rc = error_set(error, -ENOENT, "%s: opening it: %s", source.word,
			       error_name(ENOENT));
	if (!rc && (rc = look_at(copy, look, &destination, error)) == -ENOENT &&
	    destination.is_object)
		copy_explain_folder(destination.word, error);
	if (!rc)
		rc = plan(copy, &source, &destination, error);
	if (!rc)
		rc = consent_ask(&copy->consent, error);
	block_unref(source.block);
	closed = qemu_disk_close(source.image, rc < 0 ? NULL : error);
	block_unref(destination.block);
	return rc < 0 ? rc : closed;
}
