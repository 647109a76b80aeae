/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon image import`: a disk of a guest from an image, larger than that, with a seed that tells it who it is. See image.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/cli.h"
#include "tools/image.h"
#include "tools/qemu_disk.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/size.h"

#define SEED_VOLUME (4u << 20)

struct import {
	struct image_job job;
	char *source;
	const char *format, *seed_given;
	uint64_t size;
	struct image_identity identity;

	struct image_place place, seed_place;
	char *seed;   /* where it goes; NULL: none */
	uint64_t had; /* bytes of the disk in the image */
	struct image_grown grown;
};

/* ---- Sizes ---- */

/* How large the disk is to be, now that it is known how large it is. */
static int find_size(struct import *import, const char *path)
{
	struct error error = { 0 };
	char sizes[2][SIZE_TEXT];
	struct stat status;

	if (stat(path, &status))
		return cli_fail(-errno, &error);
	import->had = (uint64_t)status.st_size;
	if (!import->size || import->size >= import->had)
		return image_job_fit(&import->job, &import->place, import->had, &import->size);
	error_set(&error, -ENOSPC, "%s: would have %s, the disk in %s has %s", import->job.out,
		  size_format(import->size, sizes[0]), import->source,
		  size_format(import->had, sizes[1]));
	return cli_fail(-ENOSPC, &error);
}

/* ---- The work ---- */

/* Both are made before either is written. */
static int make_volumes(struct import *import)
{
	int status = EXIT_DONE;

	if (import->place.is_volume && !import->place.exists)
		status = image_job_make_volume(&import->job, import->job.out, import->size);
	if (!status && import->seed && import->seed_place.is_volume && !import->seed_place.exists)
		status = image_job_make_volume(&import->job, import->seed, SEED_VOLUME);
	return status;
}

static int tell(const struct import *import)
{
	const struct image_grown *grown = &import->grown;
	char size[SIZE_TEXT], where[48] = "the disk";

	if (grown->number)
		snprintf(where, sizeof(where), "partition %u", grown->number);
	cli_say("%s: %s of %s", import->job.out, size_format(import->size, size), import->source);
	if (grown->file_system)
		cli_say("%s: %s and its %s file system have %s now", import->job.out, where,
			grown->content, size_format(grown->length, size));
	else if (grown->by)
		cli_say("%s: %s has %s now; what is in it (%s) grows by itself, or in the guest",
			import->job.out, where, size_format(grown->length, size), grown->content);
	else if (grown->number && import->size > import->had)
		cli_say("%s: %s is the last one, and has its size still: %s is in it",
			import->job.out, where,
			*grown->content ? grown->content : "nothing that is known");
	if (import->seed)
		cli_say("%s: seed for cloud-init; the guest needs it as a disk beside its own",
			import->seed);
	return EXIT_DONE;
}

static int make_seed(struct import *import)
{
	struct error error = { 0 };
	int rc = image_seed_make(import->job.temporary, "seed", &import->identity, &error);

	return rc ? cli_fail(rc, &error) : EXIT_DONE;
}

/* A file that is written over keeps its mode. */
static int check_secret(const struct import *import)
{
	struct error error = { 0 };
	struct stat at;

	if (!import->identity.hash_path || import->seed_place.is_volume ||
	    stat(import->seed, &at) || !S_ISREG(at.st_mode) || !(at.st_mode & 077))
		return EXIT_DONE;
	error_set(&error, -EACCES,
		  "%s: is open to others (mode %03o), and would hold the hash of a password",
		  import->seed, at.st_mode & 0777);
	error_advise(&error, "`chmod 600` it, or name another file with --seed");
	return cli_fail(error.code, &error);
}

/* Before any is written to: what goes over the source, or over what was just made, is lost. */
static int check_apart(const struct import *import)
{
	struct error error = { 0 };
	int rc = image_check_apart(import->source, import->job.out, "the source and the disk",
				   &error);

	if (!rc)
		rc = image_check_apart(import->source, import->seed, "the source and the seed",
				       &error);
	if (!rc)
		rc = image_check_apart(import->job.out, import->seed, "the disk and its seed",
				       &error);
	return rc ? cli_fail(rc, &error) : EXIT_DONE;
}

/* Where it is made: a new file in its place, without a name until it is whole, so that it is written once. What is there already is not touched before
 * that, and e2fsck and resize2fs take no volume: those are written to from a file in the temporary folder. */
static int make_disk(const struct import *import, char **disk, int *unnamed)
{
	const struct image_place *place = &import->place;
	int status = EXIT_DONE;
	struct stat link;

	if (!place->is_volume && lstat(import->job.out, &link) &&
	    !qemu_disk_format_of_name(import->job.out))
		status = image_job_unnamed(import->job.out, disk, unnamed);
	if (!status && !*disk)
		*disk = image_path(import->job.temporary, "disk");
	return status || *disk ? status : cli_fail(-ENOMEM, &(struct error){ 0 });
}

static int work(struct image_job *job)
{
	struct import *import = container_of(job, struct import, job);
	CLEANUP_FREE char *disk = NULL, *made = NULL;
	CLEANUP_CLOSE int unnamed = -1;
	int status;

	if (image_identity_any(&import->identity)) {
		if (asprintf(&made, job->is_volume ? "%s-seed" : "%s-seed.img",
			     job->is_volume ? job->out : job->base) < 0)
			return made = NULL, cli_fail(-ENOMEM, &(struct error){ 0 });
		import->seed = import->seed_given ? (char *)import->seed_given : made;
	}
	status = check_apart(import);
	if (!status)
		status = image_job_look(job, job->out, &import->place);
	if (!status && import->seed)
		status = image_job_look(job, import->seed, &import->seed_place);
	if (!status && import->seed)
		status = check_secret(import);
	if (!status)
		status = make_disk(import, &disk, &unnamed);
	if (!status)
		status = image_job_fetch(job, import->source, import->format, disk);
	if (!status)
		status = find_size(import, disk);
	if (!status)
		status = image_grow(job->temporary, disk, import->size, &import->grown);
	if (!status && import->seed)
		status = make_seed(import);
	if (!status)
		status = make_volumes(import);
	if (!status)
		status = unnamed >= 0 ? image_job_name(disk, unnamed, job->out)
				      : image_job_put(job, disk, job->out);
	if (!status && import->seed) {
		umask(0077); /* of a file: it has the password's hash */
		status = image_job_put(job, "seed", import->seed);
	}
	return status ? status : tell(import);
}

int image_import_verb(int argc, char **argv)
{
	struct import import = { 0 };
	const struct cli_option options[] = {
		{ "size", CLI_SIZE, &import.size, "SIZE",
		  "of the disk (the volume's, or the image's)", 1 << 20, 0 },
		{ "format", CLI_TEXT, &import.format, "FORMAT",
		  "of SOURCE: raw, qcow2, vmdk, vdi, vhdx or vhd (as its name says)" },
		IMAGE_IDENTITY_OPTIONS(&import.identity),
		{ "seed", CLI_TEXT, &import.seed_given, "FILE|VG/LV",
		  "where the seed goes (FILE-seed.img or VG/LV-seed)" },
		{ "force", CLI_FLAG, &import.job.force, NULL,
		  "overwrite what carries a signature" },
		CLI_OPTION_DEVICE(&import.job.given),
		CLI_OPTION_END,
	};
	struct error error = { 0 };
	struct cli_words operands;
	int status;

	if (!cli_parse("image import SOURCE FILE|VG/LV", options, argc, argv, 2, 2, &operands,
		       &status))
		return status;
	if (import.seed_given && !image_identity_any(&import.identity))
		return cli_usage_error("--seed: there is nothing to tell the guest; give "
				       "--hostname, --user, --ssh-key or --password-hash too");
	import.source = operands.words[0];
	if (image_identity_read(&import.identity, &error)) {
		image_identity_free(&import.identity);
		return cli_fail(error.code, &error);
	}
	status = image_job_run(&import.job, operands.words[1], work);
	image_identity_free(&import.identity);
	return status;
}
