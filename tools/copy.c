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
#include "tools/copy.h"
#include "tools/devices.h"
#include "tools/qemu_disk.h"
#include "util/process.h"
#include "virtio/vhost_user_blk_client.h"

#define RANGES_TOLD 16u

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

struct job {
	struct copy_command *copy;
	struct error *error;
};

/* All that leaves something behind when it is interrupted. */
static int work(void *arg)
{
	struct job *job = arg;
	struct copy_command *copy = job->copy;
	int rc = copy->resumed ? copy_resume_find(copy, job->error) : 0;

	if (!rc)
		rc = copy_open_destination(copy, job->error);
	if (!rc && copy->resumed)
		rc = copy_resume_begin(copy, job->error);
	if (!rc && copy->map_path)
		rc = open_map(copy, job->error);
	/* The last that can fail before there is something of the copy. */
	if (!rc)
		rc = copy_wipe_old(copy, job->error);
	if (rc)
		return rc;
	if (copy->source.block && copy->destination.block)
		return copy_blocks(copy, job->error);
	return copy_stream(copy, job->error);
}

/* ---- More than copying ---- */

/* What can be read but once, or not again, is neither compared nor gone on with. */
static int check_repeatable(const struct copy_command *copy, struct error *error)
{
	const struct copy_end *source = &copy->source, *destination = &copy->destination;
	const char *option = copy->verify ? "verify" : copy->resumed ? "resume" : NULL;
	const char *stream = NULL;
	struct stat status;

	if (!option)
		return 0;
	if (!source->block)
		stream = source->word;
	else if (!destination->is_object && !destination->block &&
		 (output_is_descriptor(destination->word) ||
		  (!stat(destination->word, &status) &&
		   (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)))))
		stream = destination->word;
	if (!stream)
		return 0;
	error_set(error, -EINVAL, "%s: --%s needs what can be read again, on both sides",
		  strcmp(stream, "-") != 0 ? stream
		  : stream == source->word ? "standard input"
					   : "standard output",
		  option);
	return error_advise(error, "name a file or a device that has bytes");
}

/* As sha256sum says it. Standard output may be the copy. */
static void print_digest(struct copy_command *copy)
{
	bool taken = output_is_standard(copy->destination.word);
	char text[COPY_DIGEST_TEXT];

	fprintf(taken ? stderr : stdout, "%s  ", copy_digest_end(&copy->digest, text));
	if (taken)
		fprintf(stderr, "%s\n", copy->destination.word);
	else
		cli_say("%s", copy->destination.word);
}

static void tell_resume(const struct copy_command *copy)
{
	cli_note("%s: is kept, complete up to byte %" PRIu64 " of %" PRIu64
		 ": the same command goes on from there",
		 copy->destination.word, copy->resume.done, copy->source.size);
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
		rc = check_repeatable(copy, error);
	if (!rc && copy->checksum)
		rc = copy_digest_init(&copy->digest,
				      copy->source.size_known ? copy->source.size : UINT64_MAX,
				      error);
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
	if (!failed && copy->checksum)
		print_digest(copy);
	/* What was there before stays, whatever has become of it. */
	if (failed && copy->resume.written)
		tell_resume(copy);
	else if (failed)
		copy_discard_end(&copy->destination);
	output_discard(&copy->map, copy->map_path);
	rescue_map_free(&copy->unreadable);
	copy_resume_free(&copy->resume);
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
		{ "verify", CLI_FLAG, &copy.verify, NULL,
		  "read both again at the end, and compare them" },
		{ "checksum", CLI_FLAG, &copy.checksum, NULL,
		  "print the SHA-256 of what was copied, as sha256sum does" },
		{ "resume", CLI_FLAG, &copy.resumed, NULL,
		  "keep a checkpoint; where there is one, go on from it" },
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
	if (copy.resumed && (copy.skip_errors || copy.map_path))
		return cli_usage_error("--resume and --%s: one or the other",
				       copy.map_path ? "map" : "skip-errors");
	copy.skip_errors |= copy.map_path != NULL;
	return cli_on_fiber(copy_run, &copy);
}
