/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tenon copy`: between files, host block devices, streams ("-"), volumes, arrays and vhost-user disks.
 *
 * Two block devices are copied with several requests in flight and holes kept; a stream is copied in order.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"
#include "block/copy.h"
#include "tools/copy.h"
#include "tools/devices.h"
#include "tools/qemu_disk.h"
#include "util/process.h"
#include "virtio/vhost_user_blk_client.h"

#define RANGES_TOLD 16u

static void report(void *arg, uint64_t done, uint64_t total)
{
	struct copy_command *copy = arg;

	cli_progress_report(&copy->progress, done, total, 0);
}

/* ---- What could not be read ---- */

static bool is_map(const void *head, size_t length)
{
	static const char *const starts[] = { "# Mapfile.", "# Rescue Logfile." };

	for (size_t i = 0; i < 2; i++)
		if (length >= strlen(starts[i]) && !memcmp(head, starts[i], strlen(starts[i])))
			return true;
	return false;
}

static int open_map(struct copy_command *copy, struct error *error)
{
	static const struct output_kind kind = { "a map file of ddrescue", is_map };

	/* An older one stays as it is until there is a new one. */
	return output_open(&copy->map, copy->map_path,
			   OUTPUT_APPEND | (copy->consent.force ? OUTPUT_FORCE : 0), &kind, error);
}

static int write_map(struct copy_command *copy, struct error *error)
{
	FILE *to = fdopen(copy->map.fd, "a");
	int rc = 0;

	if (!to)
		return -errno;
	copy->map.fd = -1;
	if (copy->map.is_file && ftruncate(fileno(to), 0))
		rc = -errno;
	rescue_map_print(&copy->unreadable, copy->source.size, to);
	if (!rc && (fflush(to) || (copy->map.is_file && fsync(fileno(to)))))
		rc = -errno;
	if (fclose(to) && !rc)
		rc = -errno;
	return rc ? error_set(error, rc, "%s: writing it: %s", copy->map_path, error_name(rc)) : 0;
}

/* Lists them. It is a failure of the command, after all that could be done was done. */
static int tell_unreadable(struct copy_command *copy, struct error *error)
{
	const struct rescue_map *map = &copy->unreadable;

	if (!map->count)
		return 0;
	for (unsigned i = 0; i < map->count && i < RANGES_TOLD; i++)
		cli_warn("%s: %" PRIu64 " bytes at byte %" PRIu64 " cannot be read",
			 copy->source.word, map->ranges[i].length, map->ranges[i].offset);
	if (map->count > RANGES_TOLD)
		cli_warn("%s: and %u ranges more%s%s", copy->source.word, map->count - RANGES_TOLD,
			 copy->map_path ? ", see " : "", copy->map_path ? copy->map_path : "");
	error_set(error, -EIO,
		  "%s: %" PRIu64 " bytes in %u range%s could not be read, and are zeroes in %s",
		  copy->source.word, map->bytes, map->count, map->count == 1 ? "" : "s",
		  copy->destination.word);
	return error_advise(error, copy->map_path ? "GNU ddrescue can go on with the map"
						  : "--map FILE keeps a list for GNU ddrescue");
}

/* ---- Copying ---- */

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

/* Says who it is, where the server of an end does not answer any more, or has gone. */
static void explain_server(const struct copy_end *end, int rc, struct error *error)
{
	pid_t server = end->block ? vhost_user_blk_client_server(end->block) : 0;
	char who[PROCESS_TEXT];

	if (!server || (rc != -ETIMEDOUT && rc != -ENOTCONN))
		return;
	if (rc == -ENOTCONN) {
		error_set(error, rc, "%s: process %d, which serves it, went away during the copy",
			  end->word, (int)server);
		error_advise(error, "what was copied may be there in part: copy again");
		return;
	}
	error_set(error, rc, "%s: no answer from %s, which serves it", end->word,
		  process_describe(server, who));
	error_advise(
		error,
		"`kill -CONT %d` lets it go on; what was copied may be there in part: copy again",
		(int)server);
}

static int copy_blocks(struct copy_command *copy, struct error *error)
{
	struct block *destination = copy->destination.block;
	const struct block_copy_options options = {
		.destination_is_zero = copy->destination.is_zero,
		.may_unmap = true,
		.no_flush = true,
		.unreadable = copy->skip_errors ? &copy->unreadable : NULL,
		.progress = report,
		.arg = copy,
	};
	struct error cut = { 0 };
	int rc = block_copy(copy->source.block, destination, &options, NULL, error);

	/* What was copied of it may be all that there is now: with --skip-errors it is kept. */
	if (rc == -EIO || (!rc && copy->unreadable.count))
		explain_cut(copy, rc ? error : &cut);
	if (!rc && cut.code)
		cli_warn("%s", cut.text);
	if (!rc && copy->destination.is_fresh && copy->source.size < destination->size) {
		rc = block_file_cut(destination, copy->source.size);
		if (rc)
			return error_set(error, rc, "%s: making it %" PRIu64 " bytes long: %s",
					 copy->destination.word, copy->source.size, error_name(rc));
	}
	if (rc)
		return rc;
	rc = block_flush(destination);
	return rc ? error_set(error, rc, "%s: flushing: %s", copy->destination.word, error_name(rc))
		  : 0;
}

struct job {
	struct copy_command *copy;
	struct error *error;
};

/* All that leaves something behind when it is interrupted. */
static int work(void *arg)
{
	struct job *job = arg;
	struct copy_command *copy = job->copy;
	int rc = copy_open_destination(copy, job->error);

	if (!rc && copy->map_path)
		rc = open_map(copy, job->error);
	if (rc)
		return rc;
	if (copy->source.block && copy->destination.block)
		return copy_blocks(copy, job->error);
	return copy_stream(copy, job->error);
}

static int copy_run(void *arg, struct error *error)
{
	struct copy_command *copy = arg;
	struct job job = { copy, error };
	int closed, rc;
	bool failed;

	if (copy->consent.dry_run)
		return copy_plan(copy, error);
	rc = copy_open_source(copy, error);
	if (!rc)
		rc = cli_interruptible(work, &job, error);
	cli_progress_end(&copy->progress);
	explain_server(&copy->source, rc, error);
	explain_server(&copy->destination, rc, error);
	failed = rc;
	if (!rc && copy->map_path)
		rc = write_map(copy, error);
	if (!rc)
		rc = tell_unreadable(copy, error);
	/* What was there before stays, whatever has become of it. */
	if (failed)
		copy_discard_end(&copy->destination);
	output_discard(&copy->map, copy->map_path);
	rescue_map_free(&copy->unreadable);
	/* The destination first: it may lie on the source's stack. */
	closed = copy_close_end(&copy->destination, rc ? NULL : error);
	rc = rc ? rc : closed;
	closed = copy_close_end(&copy->source, rc ? NULL : error);
	if (copy->reader_left)
		cli_end_by_pipe();
	return rc ? rc : closed;
}

static bool check_format_options(const struct copy_command *copy, int *status)
{
	const char *const given[] = { copy->source.given_format, copy->destination.given_format };

	for (size_t i = 0; i < 2; i++) {
		if (!given[i])
			continue;
		if (copy->raw)
			*status = cli_usage_error("--raw and --%sformat: one or the other",
						  i ? "output-" : "");
		else if (strcmp(given[i], "raw") != 0 && !qemu_disk_is_format(given[i]))
			*status = cli_usage_error("--%sformat %s: expected raw, %s",
						  i ? "output-" : "", given[i], qemu_disk_formats);
		else
			continue;
		return false;
	}
	return true;
}

int command_copy(int argc, char **argv)
{
	struct copy_command copy = {
		.progress.what = "copy", .source.out.fd = -1, .destination.out.fd = -1, .map.fd = -1
	};
	const struct cli_option options[] = {
		{ "force", CLI_FLAG, &copy.consent.force, NULL,
		  "overwrite what carries a signature" },
		{ "raw", CLI_FLAG, &copy.raw, NULL,
		  "take qcow2, gzip and the like as the bytes that they are, at both ends" },
		{ "format", CLI_TEXT, &copy.source.given_format, "FORMAT",
		  "of the source: raw, qcow2, vmdk, vdi, vhdx, vhd; else by its name" },
		{ "output-format", CLI_TEXT, &copy.destination.given_format, "FORMAT",
		  "of the destination, likewise" },
		{ "backing", CLI_FLAG, &copy.backing, NULL,
		  "read the files that the source image names, its backing files" },
		{ "skip-errors", CLI_FLAG, &copy.skip_errors, NULL,
		  "go on past what cannot be read, and list it" },
		{ "map", CLI_TEXT, &copy.map_path, "FILE",
		  "--skip-errors, and write the list for GNU ddrescue" },
		CLI_OPTIONS_CONSENT(&copy.consent),
		CLI_OPTION_DEVICE(&copy.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("copy SOURCE DESTINATION", options, argc, argv, 2, 2, &operands, &status))
		return status;
	copy.source.word = operands.words[0];
	copy.destination.word = operands.words[1];
	if (!check_format_options(&copy, &status))
		return status;
	copy.skip_errors |= copy.map_path != NULL;
	return cli_on_fiber(copy_run, &copy);
}
