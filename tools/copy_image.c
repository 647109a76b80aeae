/* SPDX-License-Identifier: BSD-2-Clause */
/* Ends of a copy that are files in a format of QEMU's; see copy.h, qemu_disk.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "block/block.h"
#include "block/nbd.h"
#include "block/partition.h"
#include "tools/copy.h"
#include "tools/qemu_disk.h"
#include "util/cleanup.h"

/* ---- Which format ---- */

/* A path, rather than a name of something else. */
static bool is_path(const struct copy_end *end)
{
	unsigned number;

	return !end->is_object && strcmp(end->word, "-") != 0 &&
	       strncmp(end->word, "vhost-user:", 11) != 0 && !block_is_nbd(end->word) &&
	       !partition_split(end->word, NULL, &number);
}

static int choose(struct copy_end *end, bool raw, struct error *error)
{
	struct stat status;
	bool exists = !stat(end->word, &status);

	end->format = NULL;
	if (raw || (end->given_format && !strcmp(end->given_format, "raw")))
		return 0;
	if (!end->given_format) {
		if (is_path(end) && (!exists || S_ISREG(status.st_mode)))
			end->format = qemu_disk_format_of_name(end->word);
		return 0;
	}
	if (!is_path(end) || (exists && !S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))) {
		error_set(error, -EINVAL, "%s: is no file, which a %s image must be", end->word,
			  end->given_format);
		return error_advise(error, "name a file");
	}
	end->format = end->given_format;
	return 0;
}

int copy_choose_formats(struct copy_command *copy, struct error *error)
{
	int rc = choose(&copy->source, copy->raw, error);

	return rc ? rc : choose(&copy->destination, copy->raw, error);
}

/* ---- Opening ---- */

int copy_open_source_image(struct copy_command *copy, struct error *error)
{
	struct copy_end *end = &copy->source;
	int rc = qemu_disk_open(&end->image, end->word, end->format,
				copy->backing ? QEMU_DISK_OTHERS : 0, error);

	if (rc)
		return rc;
	end->block = qemu_disk_block(end->image);
	return 0;
}

/* The file is ours: looked at, emptied, and then let go, so that qemu-img can lock it. */
static int make_file(struct copy_command *copy, struct error *error)
{
	struct copy_end *end = &copy->destination;
	struct output locked;
	char again[32];
	bool force = copy->consent.force || copy->resume.going_on;
	int rc = output_open(&locked, end->word, force ? OUTPUT_FORCE : 0, NULL, error);

	if (rc)
		return rc;
	snprintf(again, sizeof(again), "/proc/self/fd/%d", locked.fd);
	end->out.fd = open(again, O_RDONLY | O_CLOEXEC);
	if (end->out.fd < 0) {
		rc = error_set(error, -errno, "%s: %s", end->word, error_name(errno));
		output_discard(&locked, end->word);
		return rc;
	}
	end->out.is_file = true;
	end->out.created = locked.created;
	output_close(&locked);
	return 0;
}

/* The image that an earlier command has begun. */
static int keep_file(struct copy_end *end, struct error *error)
{
	end->out.fd = open(end->word, O_RDONLY | O_CLOEXEC);
	end->out.is_file = true;
	return end->out.fd < 0 ? error_set(error, -errno, "%s: %s", end->word, error_name(errno))
			       : 0;
}

int copy_open_destination_image(struct copy_command *copy, struct error *error)
{
	struct copy_end *end = &copy->destination;
	const struct copy_end *source = &copy->source;
	struct stat status;
	int rc;

	if (!stat(end->word, &status) && S_ISBLK(status.st_mode)) {
		error_set(error, -EINVAL, "%s: is a block device, and a %s image grows", end->word,
			  end->format);
		return error_advise(error, "name a file");
	}
	if (!source->size_known || !source->size) {
		error_set(error, -EINVAL, "%s: %s, so no %s image can be made for it",
			  !strcmp(source->word, "-") ? "standard input" : source->word,
			  source->size_known ? "has no bytes" : "nobody knows how long it will be",
			  end->format);
		return error_advise(error, "copy it to a raw file first");
	}
	rc = qemu_disk_check_host(end->word, error);
	if (!rc)
		rc = copy->resume.begun ? keep_file(end, error) : make_file(copy, error);
	/* From here on it has a signature: ours. */
	if (!rc && copy->resumed)
		rc = copy_resume_begin(copy, error);
	if (!rc && !copy->resume.begun)
		rc = qemu_disk_format(end->word, end->format, source->size, error);
	if (!rc)
		rc = qemu_disk_open(&end->image, end->word, end->format, QEMU_DISK_WRITE, error);
	if (rc)
		return rc;
	end->block = qemu_disk_block(end->image);
	end->is_zero = !copy->resume.begun;
	return 0;
}
