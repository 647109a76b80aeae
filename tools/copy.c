/*
 * `tenon copy`: between files, host block devices, streams ("-"), volumes, arrays and vhost-user disks.
 *
 * Each side becomes a struct block or a plain file descriptor. Two blocks are copied with several requests in
 * flight and holes kept; a stream is copied in order. A volume or array that a running server owns is reached
 * through the socket on which the server exports it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"
#include "block/copy.h"
#include "block/file.h"
#include "block/signature.h"
#include "rpc/rpc.h"
#include "tools/owner.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "util/size.h"
#include "virtio/vhost_user_blk_client.h"

#define STREAM_PIECE (1u << 20)

struct end {
	char *word;
	bool is_object;      /* an array or a volume */
	struct block *block; /* or, for a stream: */
	int fd;
	uint64_t size; /* of a stream, where it is known; else 0 */
	struct stack *stack;
	bool created; /* the file was not there before */
};

struct copy {
	struct cli_words given;
	struct end source, destination;
	bool force;
	struct cli_progress progress;
};

/* ---- Opening ---- */

/* A named pipe, a terminal, /dev/null: read or written in order, as "-" is. */
static bool is_stream(const struct stat *status)
{
	return S_ISFIFO(status->st_mode) || S_ISCHR(status->st_mode);
}

/* Whether `word` names an array or a volume. A path that exists, or begins with "." or "/", is a file; of
 * two words with a slash between, the group decides: is there one of that name? */
static int is_object(struct copy *copy, const char *word, bool *object, struct error *error)
{
	CLEANUP_FREE char *vg = strndup(word, strcspn(word, "/"));
	CLEANUP_STACK struct stack *look = NULL;
	struct volume_group *group;
	struct stat status;
	int rc;

	*object = stack_names_array(word);
	if (*object || !stack_names_volume(word) || !vg)
		return vg ? 0 : -ENOMEM;
	*object = stat(vg, &status) || !S_ISDIR(status.st_mode);
	if (*object)
		return 0;
	rc = stack_look(&look, &copy->given, error);
	if (!rc)
		*object = !stack_find_group(look, vg, &group, NULL);
	return rc;
}

static int open_owned(struct end *end, const char *socket, struct error *error)
{
	json_t *answer = NULL;
	const char *path;
	int rc = rpc_call(socket, "export.find", json_pack("{s:s}", "name", end->word), &answer,
			  error);

	if (rc)
		return rc;
	path = json_string_value(json_object_get(answer, "socket"));
	rc = path ? vhost_user_blk_client_open(&end->block, path, error)
		  : error_set(error, -EPROTO, "%s: the server named no socket", end->word);
	json_decref(answer);
	return rc;
}

/* Whether both ends lie on a device in common: then it is locked once, for both. */
static int share_devices(struct copy *copy, bool *share, struct error *error)
{
	CLEANUP_DEVICES struct device_list source = { 0 }, destination = { 0 };
	CLEANUP_STACK struct stack *look = NULL;
	int rc = stack_look(&look, &copy->given, error);

	*share = false;
	if (!rc)
		rc = stack_devices_of(look, copy->source.word, &source, error);
	if (!rc)
		rc = stack_devices_of(look, copy->destination.word, &destination, error);
	for (unsigned i = 0; !rc && i < source.count; i++)
		for (unsigned k = 0; k < destination.count; k++)
			*share |= !strcmp(source.paths[i], destination.paths[k]);
	return rc;
}

/* Two objects on the same devices: the source's stack serves both. */
static int open_both(struct copy *copy, struct error *error)
{
	const struct stack_options options = { .write = true, .lock = true };
	struct end *source = &copy->source, *destination = &copy->destination;
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

static int open_object(struct copy *copy, struct end *end, bool writable, struct error *error)
{
	const struct stack_options options = { .write = writable, .lock = true };
	struct cli_words targets = { &end->word, 1 };
	CLEANUP_FREE char *socket = NULL;
	int rc = owner_find(&copy->given, end->word, &socket, error);

	if (rc)
		return rc;
	if (socket)
		return open_owned(end, socket, error);
	rc = stack_claim(&end->stack, &copy->given, &targets, &options, error);
	return rc ? rc : stack_open_block(end->stack, end->word, writable, &end->block, error);
}

static int open_stream(struct end *end, int flags, struct error *error)
{
	end->fd = open(end->word, flags | O_CLOEXEC);
	if (end->fd >= 0)
		return 0;
	error_set(error, -errno, "%s: opening it: %s", end->word, error_name(errno));
	if (errno == ENOENT)
		error_advise(error, "name a file, - for a stream, VG/LV or md/NAME");
	return error->code;
}

static int open_source(struct copy *copy, struct error *error)
{
	struct end *end = &copy->source;
	struct stat status;

	if (!strcmp(end->word, "-")) {
		end->fd = dup(STDIN_FILENO);
		return 0;
	}
	if (!strncmp(end->word, "vhost-user:", 11))
		return vhost_user_blk_client_open(&end->block, end->word + 11, error);
	if (end->is_object)
		return open_object(copy, end, false, error);
	if (stat(end->word, &status) < 0)
		return open_stream(end, O_RDONLY, error);
	/* So is an empty file, and one whose size is no multiple of a sector: of known length. */
	if (S_ISREG(status.st_mode) && (!status.st_size || status.st_size % 512))
		end->size = (uint64_t)status.st_size;
	else if (!is_stream(&status))
		return block_open_file(&end->block, end->word, BLOCK_OPEN_LOCK, 0, error);
	return open_stream(end, O_RDONLY, error);
}
/* What would break an array or a group is refused without --force; on a host's block device, whatever
 * libblkid knows. */
static int check_overwrite(const struct copy *copy, struct block *block, bool is_device,
			   struct error *error)
{
	struct block_signature found;

	if (copy->force || block_signature_find(block, &found, NULL) != 1)
		return 0;
	if (!is_device && strcmp(found.type, "linux_raid_member") &&
	    strcmp(found.type, "LVM2_member"))
		return 0;
	error_set(error, -EEXIST, "%s: holds a %s (magic at byte %llu)", copy->destination.word,
		  found.name, (unsigned long long)found.offset);
	return error_advise(error, "give --force to overwrite it, if nothing on it is needed");
}

static int check_overwrite_file(const struct copy *copy, const struct stat *status,
				struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;

	if (block_open_file(&block, copy->destination.word, 0, 0, NULL))
		return 0;
	return check_overwrite(copy, block, S_ISBLK(status->st_mode), error);
}

/* A file that takes what comes, as long as it will be. Nobody else may use it. */
static int open_plain_file(struct end *end, struct error *error)
{
	int rc;

	end->fd = open(end->word, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (end->fd < 0)
		return error_set(error, -errno, "%s: creating it: %s", end->word,
				 error_name(errno));
	rc = file_lock(end->fd, end->word, true, error);
	if (!rc && ftruncate(end->fd, 0) < 0)
		rc = error_set(error, -errno, "%s: emptying it: %s", end->word, error_name(errno));
	return rc;
}

static bool is_same_file(const char *one, const char *other)
{
	struct stat status[2];

	return !stat(one, &status[0]) && !stat(other, &status[1]) &&
	       status[0].st_dev == status[1].st_dev && status[0].st_ino == status[1].st_ino;
}

static int open_destination_file(struct copy *copy, struct error *error)
{
	struct end *end = &copy->destination;
	struct stat status;
	bool exists = !stat(end->word, &status);
	unsigned flags = BLOCK_OPEN_WRITE | BLOCK_OPEN_LOCK;
	uint64_t size = copy->source.block ? copy->source.block->size : copy->source.size;
	int rc;

	if (exists && is_stream(&status))
		return open_stream(end, O_WRONLY, error);
	if (!copy->source.is_object && is_same_file(copy->source.word, end->word)) {
		error_set(error, -EINVAL, "%s: is the source and the destination", end->word);
		return error_advise(error, "name two different files");
	}
	rc = exists ? check_overwrite_file(copy, &status, error) : 0;
	if (rc)
		return rc;
	if (exists && !S_ISREG(status.st_mode))
		return block_open_file(&end->block, end->word, flags, 0, error);
	end->created = !exists;
	if (copy->source.block)
		return block_open_file(&end->block, end->word, flags | BLOCK_OPEN_CREATE, size,
				       error);
	return open_plain_file(end, error);
}

static int open_destination(struct copy *copy, struct error *error)
{
	struct end *end = &copy->destination;

	if (!strcmp(end->word, "-")) {
		end->fd = dup(STDOUT_FILENO);
		return 0;
	}
	if (!strncmp(end->word, "vhost-user:", 11))
		return vhost_user_blk_client_open(&end->block, end->word + 11, error);
	if (!end->is_object)
		return open_destination_file(copy, error);
	return open_object(copy, end, true, error);
}

static int open_ends(struct copy *copy, struct error *error)
{
	struct end *source = &copy->source, *destination = &copy->destination;
	CLEANUP_FREE char *socket = NULL;
	bool share = false;
	int rc = is_object(copy, source->word, &source->is_object, error);

	if (!rc)
		rc = is_object(copy, destination->word, &destination->is_object, error);
	if (!rc && source->is_object && destination->is_object) {
		rc = owner_find(&copy->given, source->word, &socket, error);
		if (!rc && !socket)
			rc = share_devices(copy, &share, error);
	}
	if (rc)
		return rc;
	if (share)
		return open_both(copy, error);
	rc = open_source(copy, error);
	return rc ? rc : open_destination(copy, error);
}

static int close_end(struct end *end, struct error *error)
{
	block_unref(end->block);
	if (end->fd >= 0)
		close(end->fd);
	return stack_close(end->stack, error);
}

/* ---- Copying ---- */

static void report(void *arg, uint64_t done, uint64_t total)
{
	struct copy *copy = arg;

	cli_progress_report(&copy->progress, done, total, 0);
}

/* As much as there is, up to `length`: fewer bytes only at the end. */
static ssize_t stream_read(int fd, char *at, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t got = read(fd, at + done, length - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

static int stream_write(int fd, const char *at, size_t length)
{
	while (length) {
		ssize_t put = write(fd, at, length);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		at += put;
		length -= (size_t)put;
	}
	return 0;
}

/* The next piece of the source at `offset`: bytes, 0 at the end. */
static ssize_t piece_read(struct end *source, uint64_t offset, char *at)
{
	uint64_t length;
	int rc;

	if (!source->block)
		return stream_read(source->fd, at, STREAM_PIECE);
	length = source->block->size - offset;
	length = length < STREAM_PIECE ? length : STREAM_PIECE;
	rc = length ? block_read(source->block, offset, at, length) : 0;
	return rc ? rc : (ssize_t)length;
}

/* The last piece of a stream is filled up with zeroes to a whole sector. */
static int piece_write(struct end *destination, uint64_t offset, char *at, size_t length,
		       struct error *error)
{
	struct block *block = destination->block;
	size_t whole;

	if (!block)
		return stream_write(destination->fd, at, length);
	whole = round_up(length, block->logical_block_size);
	memset(at + length, 0, whole - length);
	if (range_within(offset, whole, block->size))
		return block_write(block, offset, at, whole, 0);
	return error_set(error, -ENOSPC, "%s: has %llu bytes, the source has more",
			 destination->word, (unsigned long long)block->size);
}

static int copy_stream(struct copy *copy, struct error *error)
{
	CLEANUP_FREE char *piece = malloc(STREAM_PIECE + 4096);
	struct end *source = &copy->source, *destination = &copy->destination;
	uint64_t offset = 0, total = source->block ? source->block->size : source->size;
	ssize_t got;
	int rc = 0;

	if (!piece)
		return -ENOMEM;
	while (!rc && (got = piece_read(source, offset, piece))) {
		if (got < 0)
			return error_set(error, (int)got, "%s: reading at byte %llu: %s",
					 source->word, (unsigned long long)offset,
					 error_name((int)got));
		*error = (struct error){ 0 };
		rc = piece_write(destination, offset, piece, (size_t)got, error);
		if (rc && !error->code)
			error_set(error, rc, "%s: writing at byte %llu: %s", destination->word,
				  (unsigned long long)offset, error_name(rc));
		offset += (uint64_t)got;
		report(copy, offset, total);
	}
	if (!rc && destination->block)
		rc = block_flush(destination->block);
	else if (!rc && fsync(destination->fd) < 0 && errno != EINVAL && errno != EROFS)
		rc = -errno;
	if (rc && !error->code)
		error_set(error, rc, "%s: flushing: %s", destination->word, error_name(rc));
	return rc;
}

struct copy_job {
	struct copy *copy;
	struct error *error;
};

static int copy_blocks_fiber(void *arg)
{
	struct copy_job *job = arg;
	struct copy *copy = job->copy;
	const struct block_copy_options options = {
		.destination_is_zero = copy->destination.created,
		.may_unmap = true,
		.progress = report,
		.arg = copy,
	};

	return block_copy(copy->source.block, copy->destination.block, &options, NULL, job->error);
}

static int copy_blocks(struct copy *copy, struct error *error)
{
	struct copy_job job = { copy, error };

	return cli_interruptible(copy_blocks_fiber, &job, error);
}

/* Nothing is written before it is known that all fits. */
static int check_fits(const struct copy *copy, struct error *error)
{
	const struct end *source = &copy->source, *destination = &copy->destination;
	uint64_t size = source->block ? source->block->size : source->size;
	char sizes[2][SIZE_TEXT];

	if (!destination->block || size <= destination->block->size)
		return 0;
	error_set(error, -ENOSPC, "%s: has %llu bytes (%s), the source has %llu (%s)",
		  destination->word, (unsigned long long)destination->block->size,
		  size_format(destination->block->size, sizes[0]), (unsigned long long)size,
		  size_format(size, sizes[1]));
	return error_advise(error, "use a larger destination");
}

static int copy_run(void *arg, struct error *error)
{
	struct copy *copy = arg;
	int closed, rc = open_ends(copy, error);

	if (!rc && copy->destination.is_object && stack_names_array(copy->destination.word))
		rc = check_overwrite(copy, copy->destination.block, false, error);
	if (!rc)
		rc = check_fits(copy, error);
	if (!rc)
		rc = copy->source.block && copy->destination.block ? copy_blocks(copy, error)
								   : copy_stream(copy, error);
	cli_progress_end(&copy->progress);
	if (rc && copy->destination.created)
		unlink(copy->destination.word);
	/* The destination first: it may lie on the source's stack. */
	closed = close_end(&copy->destination, rc ? NULL : error);
	rc = rc ? rc : closed;
	closed = close_end(&copy->source, rc ? NULL : error);
	return rc ? rc : closed;
}

int command_copy(int argc, char **argv)
{
	struct copy copy = { .progress.what = "copy", .source.fd = -1, .destination.fd = -1 };
	const struct cli_option options[] = {
		{ "force", CLI_FLAG, &copy.force, NULL,
		  "overwrite a file that is a member of an array or group" },
		CLI_OPTION_DEVICE(&copy.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("copy SOURCE DESTINATION", options, argc, argv, 2, 2, &operands, &status))
		return status;
	copy.source.word = operands.words[0];
	copy.destination.word = operands.words[1];
	return cli_on_fiber(copy_run, &copy);
}
