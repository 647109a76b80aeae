/* SPDX-License-Identifier: BSD-2-Clause */
/* Copying one block device to another; see copy.h. */
#include "block/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "block/block.h"
#include "block/compare.h"
#include "tools/copy.h"
#include "util/bytes.h"

#define CHECKPOINT_NS 1000000000ull

/* ---- Called in the middle ---- */

static void report(void *arg, uint64_t done, uint64_t total)
{
	struct copy_command *copy = arg;

	/* Of a copy that is gone on with, the rest is copied. */
	total += copy->resume.begun;
	cli_progress_report(&copy->progress, done + copy->resume.begun, total, 0);
}

static void report_whole(void *arg, uint64_t done, uint64_t total)
{
	struct copy_command *copy = arg;

	cli_progress_report(&copy->progress, done, total, 0);
}

static int add_to_digest(void *arg, const void *at, uint64_t length, struct error *error)
{
	struct copy_command *copy = arg;

	(void)error;
	copy_digest_add(&copy->digest, at, length);
	return 0;
}

static int note(void *arg, uint64_t done, struct error *error)
{
	struct copy_command *copy = arg;
	uint64_t at = copy->resume.begun + done;

	/* Where both ends have blocks of 512 bytes, pieces begin at any. It is gone on from what both have, whatever they are then. */
	if (at != copy->source.block->size)
		at = round_down(at, COPY_RESUME_UNIT);
	return copy_resume_note(copy, at, error);
}

/* Says so where a file that is being copied was cut. */
static void explain_cut(const struct copy_command *copy, struct error *error)
{
	const struct copy_end *source = &copy->source;
	struct stat now;

	if (source->is_object || !source->block || stat(source->word, &now) ||
	    !S_ISREG(now.st_mode) || (uint64_t)now.st_size >= source->size)
		return;
	error_set(error, -EIO,
		  "%s: has %lld bytes, had %" PRIu64
		  " at the start: it was cut while it was copied",
		  source->word, (long long)now.st_size, source->size);
}

/* ---- The parts of it ---- */

/* What an earlier command has copied is part of the digest too. */
static int digest_begun(struct copy_command *copy, struct error *error)
{
	const struct block_copy_options options = {
		.length = copy->resume.begun,
		.destination_is_zero = true,
		.no_flush = true,
		.told = add_to_digest,
		.progress = report_whole,
		.arg = copy,
	};
	CLEANUP_BLOCK struct block *nothing = NULL;
	int rc = block_create_null(&nothing, "null", copy->source.block->size, error);

	if (rc)
		return rc;
	copy->progress.what = "checksum";
	rc = block_copy(copy->source.block, nothing, &options, NULL, error);
	cli_progress_end(&copy->progress);
	copy->progress = (struct cli_progress){ .what = "copy" };
	return rc;
}

static int copy_rest(struct copy_command *copy, struct error *error)
{
	const struct block_copy_options options = {
		.source_offset = copy->resume.begun,
		.destination_offset = copy->resume.begun,
		.destination_is_zero = copy->destination.is_zero,
		.may_unmap = true,
		.no_flush = true,
		.unreadable = copy->skip_errors ? &copy->unreadable : NULL,
		.told = copy->checksum ? add_to_digest : NULL,
		.checkpoint = copy->resumed ? note : NULL,
		.checkpoint_ns = CHECKPOINT_NS,
		.progress = report,
		.arg = copy,
	};
	struct error cut = { 0 };
	int rc;

	if (copy->resume.begun == copy->source.block->size)
		return 0;
	rc = block_copy(copy->source.block, copy->destination.block, &options, NULL, error);
	/* What was copied of it may be all that there is now: with --skip-errors it is kept. */
	if (rc == -EIO || (!rc && copy->unreadable.count))
		explain_cut(copy, rc ? error : &cut);
	if (!rc && cut.code)
		cli_warn("%s", cut.text);
	return rc;
}

static int verify(struct copy_command *copy, struct error *error)
{
	const struct block_compare_options options = { .progress = report_whole, .arg = copy };
	struct copy_end *source = &copy->source, *destination = &copy->destination;
	uint64_t differs = 0;
	int rc;

	/* Of an image, what qemu-nbd reads again is to come from the disk. */
	if (destination->image)
		(void)posix_fadvise(destination->out.fd, 0, 0, POSIX_FADV_DONTNEED);
	cli_progress_end(&copy->progress);
	copy->progress = (struct cli_progress){ .what = "verify" };
	rc = block_compare(source->block, destination->block, source->size, &options, &differs,
			   error);
	if (rc <= 0)
		return rc;
	/* What is wrong is not to be gone on from. */
	if (copy->resumed)
		copy_resume_end(copy);
	error_set(error, -EIO, "%s: differs from %s: the first byte that does is %" PRIu64,
		  destination->word, source->word, differs);
	return error_advise(error, "a disk, or memory, that is not to be trusted; or one of them "
				   "was written to meanwhile");
}

static int finish(struct copy_command *copy, struct error *error)
{
	struct copy_end *destination = &copy->destination;
	int rc = block_flush(destination->block);

	if (rc)
		return error_set(error, rc, "%s: flushing: %s", destination->word, error_name(rc));
	rc = copy->verify ? verify(copy, error) : 0;
	if (rc)
		return rc;
	/* From here on nothing is to be gone on with. */
	if (copy->resumed)
		copy_resume_end(copy);
	if (destination->is_fresh && copy->source.size < destination->block->size) {
		rc = block_file_cut(destination->block, copy->source.size);
		if (rc)
			return error_set(error, rc, "%s: making it %" PRIu64 " bytes long: %s",
					 destination->word, copy->source.size, error_name(rc));
		rc = block_flush(destination->block);
	}
	return rc ? error_set(error, rc, "%s: flushing: %s", destination->word, error_name(rc)) : 0;
}

int copy_blocks(struct copy_command *copy, struct error *error)
{
	int rc = copy->resume.begun ? copy_resume_check(copy, error) : 0;

	if (!rc && copy->checksum && copy->resume.begun)
		rc = digest_begun(copy, error);
	if (!rc)
		rc = copy_rest(copy, error);
	return rc ? rc : finish(copy, error);
}
