/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening the ends of a copy; see copy.h. Each becomes a struct block or a plain file descriptor. A volume or
 * array that a running server owns is reached through the socket on which the server exports it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"
#include "block/image_format.h"
#include "block/nbd.h"
#include "block/partition.h"
#include "rpc/rpc.h"
#include "tools/copy.h"
#include "tools/describe.h"
#include "tools/device_look.h"
#include "tools/owner.h"
#include "tools/qemu_disk.h"
#include "tools/served.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "util/size.h"
#include "virtio/vhost_user_blk_client.h"

#define FIFO_PATIENCE_NS 50000000ULL /* between two looks whether somebody reads it */

/* A named pipe, a terminal, /dev/null: read or written in order, as "-" is. */
static bool is_stream(const struct stat *status)
{
	return S_ISFIFO(status->st_mode) || S_ISCHR(status->st_mode);
}

/* ---- Arrays and volumes ---- */

/* The name of a group is neither a volume nor meant to be a file's. */
static int check_no_group(struct copy_command *copy, const char *word, struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	struct volume_group *group;
	struct stat status;

	/* Files need no devices that can be looked at. */
	if (strpbrk(word, "/:.") || !strcmp(word, "-") || !stat(word, &status) ||
	    stack_look(&look, &copy->given, NULL) || stack_find_group(look, word, &group, NULL))
		return 0;
	error_set(error, -EISDIR, "%s: is a volume group, expected a volume or a file", word);
	return error_advise(error,
			    "name a volume of it, %s/LV (`tenon lv list`), or the file as ./%s",
			    word, word);
}

/* Whether `word` names an array or a volume. A path that exists, or begins with "." or "/", is a file; of
 * two words with a slash between, the group decides: is there one of that name? */
int copy_is_object(struct copy_command *copy, const char *word, bool *object, struct error *error)
{
	CLEANUP_FREE char *vg = strndup(word, strcspn(word, "/"));
	CLEANUP_STACK struct stack *look = NULL;
	struct volume_group *group;
	struct stat status;
	int rc;

	*object = stack_names_array(word);
	if (*object || !vg)
		return vg ? 0 : -ENOMEM;
	if (!stack_names_volume(word))
		return check_no_group(copy, word, error);
	*object = stat(vg, &status) || !S_ISDIR(status.st_mode);
	if (*object)
		return 0;
	rc = stack_look(&look, &copy->given, error);
	if (!rc)
		*object = !stack_find_group(look, vg, &group, NULL);
	return rc;
}

/* A back-end that is busy with another client hangs up, and cannot say why. */
static int open_socket(struct copy_end *end, const char *path, struct error *error)
{
	int rc = vhost_user_blk_client_open(&end->block, path, NULL, error);

	if (rc != -EPROTO)
		return rc;
	served_explain(path, end->word, error);
	return error->code;
}

static int open_owned(struct copy_end *end, const char *socket, struct error *error)
{
	json_t *answer = NULL;
	const char *path;
	int rc = rpc_call(socket, "export.find",
			  json_pack("{s:o}", "name", describe_text(end->word)), &answer, error);

	if (rc)
		return rc;
	path = json_string_value(json_object_get(answer, "socket"));
	rc = path ? open_socket(end, path, error)
		  : error_set(error, -EPROTO, "%s: the server named no socket", end->word);
	json_decref(answer);
	return rc;
}

void copy_explain_folder(const char *word, struct error *error)
{
	CLEANUP_FREE char *folder = strndup(word, strcspn(word, "/"));
	struct stat status;

	if (!stack_names_array(word) && folder && stat(folder, &status))
		error_prefix(error, "there is no folder %s here, and no volume", folder);
}

static int devices_of(struct stack *look, const char *word, struct device_list *devices,
		      struct error *error)
{
	int rc = stack_devices_of(look, word, devices, error);

	if (rc == -ENOENT)
		copy_explain_folder(word, error);
	return rc;
}

/* Whether both ends lie on a device in common: then it is locked once, for both. */
static int share_devices(struct copy_command *copy, bool *share, struct error *error)
{
	CLEANUP_DEVICES struct device_list source = { 0 }, destination = { 0 };
	CLEANUP_STACK struct stack *look = NULL;
	int rc = stack_look(&look, &copy->given, error);

	*share = false;
	if (!rc)
		rc = devices_of(look, copy->source.word, &source, error);
	if (!rc)
		rc = devices_of(look, copy->destination.word, &destination, error);
	for (unsigned i = 0; !rc && i < source.count; i++)
		for (unsigned k = 0; k < destination.count; k++)
			*share |= !strcmp(source.paths[i], destination.paths[k]);
	return rc;
}

/* Two objects on the same devices: the source's stack serves both. */
static int open_both(struct copy_command *copy, struct error *error)
{
	const struct stack_options options = { .write = true, .lock = true };
	struct copy_end *source = &copy->source, *destination = &copy->destination;
	char *words[] = { source->word, destination->word };
	struct cli_words targets = { words, 2 };
	int rc = stack_claim(&source->stack, &copy->given, &targets, &options, error);

	if (!rc)
		rc = stack_open_block(source->stack, source->word, false, &source->block, error);
	if (!rc)
		rc = stack_open_block(source->stack, destination->word, true, &destination->block,
				      error);
	if (!rc && (source->block == destination->block ||
		    !strcmp(source->block->name, destination->block->name))) {
		rc = error_set(error, -EINVAL, "%s: is the source and the destination",
			       destination->word);
		error_advise(error, "name two different ones");
	}
	return rc;
}

static int open_object(struct copy_command *copy, struct copy_end *end, bool writable,
		       struct error *error)
{
	const struct stack_options options = { .write = writable, .lock = true };
	struct cli_words targets = { &end->word, 1 };
	int rc;

	for (;;) {
		CLEANUP_FREE char *socket = NULL;

		rc = owner_find(&copy->given, end->word, &socket, error);
		if (rc == -ENOENT)
			copy_explain_folder(end->word, error);
		if (rc)
			return rc;
		if (!socket)
			break;
		rc = open_owned(end, socket, error);
		if (!rc || !owner_has_ended(rc, socket))
			return rc;
	}
	rc = stack_claim(&end->stack, &copy->given, &targets, &options, error);
	if (rc == -ENOENT)
		copy_explain_folder(end->word, error);
	return rc ? rc : stack_open_block(end->stack, end->word, writable, &end->block, error);
}

/* ---- The source ---- */

/* What the disk is in, rather than the disk. */
static int check_format(const struct copy_command *copy, const struct image_format *format,
			struct error *error)
{
	size_t length;

	/* Whoever names the format knows what the bytes look like. */
	if (!format || copy->raw || copy->source.given_format)
		return 0;
	image_format_refuse(format, copy->source.word, error);
	if (copy->source.block && qemu_disk_is_format(format->name))
		return error_advise(error,
				    "--format %s has it read as one, where no guest can have "
				    "written that to its disk; --raw takes its bytes as they are",
				    format->name);
	length = strlen(error->advice);
	snprintf(error->advice + length, sizeof(error->advice) - length,
		 "; --raw takes its bytes as they are");
	return -EINVAL;
}

/* Over an open descriptor. Of what cannot be read twice, the head is kept. */
static int begin_stream(struct copy_command *copy, struct error *error)
{
	struct copy_end *end = &copy->source;
	struct stat status;
	ssize_t got;
	off_t at;

	if (fstat(end->out.fd, &status))
		return error_set(error, -errno, "%s: %s", end->word, error_name(errno));
	if (S_ISDIR(status.st_mode))
		return error_set(error, -EISDIR, "%s: is a folder, expected a file", end->word);
	at = lseek(end->out.fd, 0, SEEK_CUR);
	if (S_ISREG(status.st_mode) && at >= 0) {
		end->size = at < status.st_size ? (uint64_t)(status.st_size - at) : 0;
		end->size_known = true;
		return at ? 0 : check_format(copy, image_format_of_file(end->out.fd), error);
	}
	got = copy_stream_read(end->out.fd, end->head, COPY_HEAD, true);
	if (got < 0)
		return error_set(error, (int)got, "%s: reading it: %s", end->word,
				 error_name((int)got));
	end->head_length = (size_t)got;
	return check_format(copy, image_format_of_head(end->head, end->head_length), error);
}

static int open_source_stream(struct copy_command *copy, struct error *error)
{
	struct copy_end *end = &copy->source;
	bool standard = !strcmp(end->word, "-");

	/* The writer of a FIFO is waited for in poll(). */
	end->out.fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
			       : open(end->word, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (end->out.fd >= 0)
		return begin_stream(copy, error);
	error_set(error, -errno, "%s: opening it: %s", end->word, error_name(errno));
	if (error->code == -ENOENT)
		error_advise(error, "name a file, - for a stream, VG/LV or md/NAME");
	return error->code;
}

static int open_source_file(struct copy_command *copy, uint64_t size, struct error *error)
{
	struct copy_end *end = &copy->source;
	int rc =
		block_open_file(&end->block, end->word, BLOCK_OPEN_LOCK | BLOCK_OPEN_ODD, 0, error);

	end->size = size;
	/* A copy without them would look like a whole one. */
	if (!rc && block_nbd_rest(end->block)) {
		error_set(
			error, -EINVAL,
			"%s: the last %u of its bytes make no whole block, and would not be copied",
			end->word, block_nbd_rest(end->block));
		return error_advise(error, "`nbdcopy` copies them");
	}
	return rc ? rc : check_format(copy, image_format_of_block(end->block), error);
}

static int open_source(struct copy_command *copy, struct error *error)
{
	struct copy_end *end = &copy->source;
	struct stat status;
	unsigned number;
	int rc;

	if (!strcmp(end->word, "-"))
		return open_source_stream(copy, error);
	if (end->format)
		rc = copy_open_source_image(copy, error);
	else if (!strncmp(end->word, "vhost-user:", 11))
		rc = open_socket(end, end->word + 11, error);
	else if (end->is_object)
		rc = open_object(copy, end, false, error);
	else if (block_is_nbd(end->word) || partition_split(end->word, NULL, &number))
		rc = open_source_file(copy, 0, error);
	else if (stat(end->word, &status) || is_stream(&status) ||
		 (S_ISREG(status.st_mode) && !status.st_size))
		return open_source_stream(copy, error);
	else
		rc = open_source_file(copy, S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0,
				      error);
	if (rc)
		return rc;
	if (!end->size)
		end->size = end->block->size;
	end->size_known = true;
	return 0;
}

static int check_answers(const struct copy_end *end, struct error *error)
{
	return !strcmp(end->word, "-") || !strncmp(end->word, "vhost-user:", 11)
		       ? 0
		       : device_check_answers(end->word, error);
}

int copy_open_source(struct copy_command *copy, struct error *error)
{
	struct copy_end *source = &copy->source, *destination = &copy->destination;
	CLEANUP_FREE char *socket = NULL;
	bool share = false;
	int rc = check_answers(source, error);

	if (!rc)
		rc = check_answers(destination, error);
	if (!rc)
		rc = copy_is_object(copy, source->word, &source->is_object, error);
	if (!rc)
		rc = copy_is_object(copy, destination->word, &destination->is_object, error);
	if (!rc)
		rc = copy_choose_formats(copy, error);
	if (!rc && source->is_object && destination->is_object) {
		rc = owner_find(&copy->given, source->word, &socket, error);
		if (!rc && !socket)
			rc = share_devices(copy, &share, error);
	}
	if (rc)
		return rc;
	if (!share)
		return open_source(copy, error);
	rc = open_both(copy, error);
	if (!rc) {
		source->size = source->block->size;
		source->size_known = true;
	}
	return rc;
}

/* ---- The destination ---- */

/* Nothing is written before it is known that all fits. */
static int check_fits(const struct copy_command *copy, struct error *error)
{
	const struct copy_end *source = &copy->source, *destination = &copy->destination;
	char sizes[2][SIZE_TEXT];

	if (source->size <= destination->block->size)
		return 0;
	error_set(error, -ENOSPC, "%s: has %llu bytes (%s), the source has %llu (%s)",
		  destination->word, (unsigned long long)destination->block->size,
		  size_format(destination->block->size, sizes[0]), (unsigned long long)source->size,
		  size_format(source->size, sizes[1]));
	return error_advise(error, "use a larger destination");
}

static int open_output(struct copy_command *copy, bool is_fifo, struct error *error)
{
	struct copy_end *end = &copy->destination;
	unsigned flags = OUTPUT_NONBLOCK | (copy->consent.force ? OUTPUT_FORCE : 0);
	int rc;

	/* The reader of a FIFO may come later. */
	while ((rc = output_open(&end->out, end->word, flags, NULL, error)) == -ENXIO && is_fifo)
		if (fiber_sleep(FIFO_PATIENCE_NS))
			return -ECANCELED;
	return rc;
}

/* By name, or a standard input that is the same file. */
static bool is_the_source(const struct copy_command *copy, const struct stat *destination)
{
	const struct copy_end *source = &copy->source;
	struct stat status;

	if (source->is_object || !S_ISREG(destination->st_mode))
		return false;
	if (source->out.fd >= 0 ? fstat(source->out.fd, &status) : stat(source->word, &status))
		return false;
	return status.st_dev == destination->st_dev && status.st_ino == destination->st_ino;
}

/* The file that an earlier command has begun. It was cut to the source's size if that had come to the end. */
static int open_begun(struct copy_command *copy, const struct stat *status, struct error *error)
{
	struct copy_end *end = &copy->destination;
	uint64_t whole = copy->source.block->size;
	int rc;

	if ((uint64_t)status->st_size == copy->source.size && copy->source.size != whole &&
	    truncate(end->word, (off_t)whole))
		return error_set(error, -errno, "%s: %s", end->word, error_name(errno));
	rc = block_open_file(&end->block, end->word, BLOCK_OPEN_WRITE | BLOCK_OPEN_LOCK, 0, error);
	end->is_fresh = !rc;
	return rc;
}

static int open_destination_path(struct copy_command *copy, struct error *error)
{
	struct copy_end *end = &copy->destination;
	unsigned flags = BLOCK_OPEN_WRITE | BLOCK_OPEN_LOCK;
	struct stat status = { 0 };
	bool exists = !stat(end->word, &status);
	unsigned number;
	int rc;

	if (output_is_descriptor(end->word) || (exists && is_stream(&status)))
		return open_output(copy, S_ISFIFO(status.st_mode), error);
	if (exists && is_the_source(copy, &status)) {
		error_set(error, -EINVAL, "%s: is the source and the destination", end->word);
		return error_advise(error, "name two different files");
	}
	if (end->format)
		return copy_open_destination_image(copy, error);
	if (block_is_nbd(end->word) || partition_split(end->word, NULL, &number) ||
	    (exists && !S_ISREG(status.st_mode))) {
		rc = block_open_file(&end->block, end->word, flags, 0, error);
		return rc ? rc : copy_check_overwrite(copy, end->block, error);
	}
	if (!copy->source.block)
		return open_output(copy, false, error);
	if (copy->resume.begun)
		return open_begun(copy, &status, error);
	flags |= BLOCK_OPEN_CREATE;
	flags |= copy->consent.force || copy->resume.going_on ? BLOCK_OPEN_FORCE : 0;
	rc = block_open_file(&end->block, end->word, flags, copy->source.block->size, error);
	end->is_fresh = end->is_zero = !rc;
	return rc;
}

int copy_open_destination(struct copy_command *copy, struct error *error)
{
	struct copy_end *end = &copy->destination;
	int rc = 0;

	if (end->block)
		rc = 0;
	else if (!strncmp(end->word, "vhost-user:", 11))
		rc = open_socket(end, end->word + 11, error);
	else if (end->is_object)
		rc = open_object(copy, end, true, error);
	else
		rc = open_destination_path(copy, error);
	if (!rc && end->is_object)
		rc = copy_check_overwrite(copy, end->block, error);
	return rc || !end->block ? rc : check_fits(copy, error);
}

void copy_discard_end(struct copy_end *end)
{
	if (end->block && !end->image)
		block_file_discard(end->block, end->word);
	else
		output_discard(&end->out, end->word);
}

int copy_close_end(struct copy_end *end, struct error *error)
{
	int rc = 0;

	if (end->image)
		rc = qemu_disk_close(end->image, error);
	else
		block_unref(end->block);
	output_close(&end->out);
	return rc ? rc : stack_close(end->stack, error);
}
