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

static int open_source(struct copy *copy, struct error *error)
{
	struct end *end = &copy->source;
	struct stat status;
	int rc;

	if (!strcmp(end->word, "-")) {
		end->fd = dup(STDIN_FILENO);
		return 0;
	}
	if (!strncmp(end->word, "vhost-user:", 11))
		return vhost_user_blk_client_open(&end->block, end->word + 11, error);
	rc = is_object(copy, end->word, &end->is_object, error);
	if (rc)
		return rc;
	if (end->is_object)
		return open_object(copy, end, false, error);
	/* A file whose size is no multiple of a sector is a stream of known length. */
	if (!stat(end->word, &status) && S_ISREG(status.st_mode) && status.st_size % 512) {
		end->size = (uint64_t)status.st_size;
		end->fd = open(end->word, O_RDONLY | O_CLOEXEC);
		return end->fd < 0
			       ? error_set(error, -errno, "%s: %s", end->word, error_name(errno))
			       : 0;
	}
	return block_open_file(&end->block, end->word, BLOCK_OPEN_LOCK, 0, error);
}

/* What would break an array or a group is refused without --force. */
static int check_overwrite(struct copy *copy, struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;
	struct block_signature found;

	if (copy->force || block_open_file(&block, copy->destination.word, 0, 0, NULL) ||
	    block_signature_find(block, &found, NULL) != 1)
		return 0;
	if (strcmp(found.type, "linux_raid_member") && strcmp(found.type, "LVM2_member"))
		return 0;
	error_set(error, -EEXIST, "%s: found a signature of %s at byte %llu",
		  copy->destination.word, found.name, (unsigned long long)found.offset);
	return error_advise(error, "use --force to overwrite it");
}

static int open_destination_file(struct copy *copy, struct error *error)
{
	struct end *end = &copy->destination;
	struct stat status;
	bool exists = !stat(end->word, &status);
	unsigned flags = BLOCK_OPEN_WRITE | BLOCK_OPEN_LOCK;
	uint64_t size = copy->source.block ? copy->source.block->size : copy->source.size;
	int rc = exists ? check_overwrite(copy, error) : 0;

	if (rc)
		return rc;
	if (exists && !S_ISREG(status.st_mode))
		return block_open_file(&end->block, end->word, flags, 0, error);
	end->created = !exists;
	if (copy->source.block)
		return block_open_file(&end->block, end->word, flags | BLOCK_OPEN_CREATE, size,
				       error);
	end->fd = open(end->word, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	return end->fd < 0 ? error_set(error, -errno, "%s: %s", end->word, error_name(errno)) : 0;
}

static int open_destination(struct copy *copy, struct error *error)
{
	struct end *end = &copy->destination;
	int rc;

	if (!strcmp(end->word, "-")) {
		end->fd = dup(STDOUT_FILENO);
		return 0;
	}
	if (!strncmp(end->word, "vhost-user:", 11))
		return vhost_user_blk_client_open(&end->block, end->word + 11, error);
	rc = is_object(copy, end->word, &end->is_object, error);
	if (rc)
		return rc;
	return end->is_object ? open_object(copy, end, true, error)
			      : open_destination_file(copy, error);
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

static int copy_blocks(struct copy *copy, struct error *error)
{
	const struct block_copy_options options = {
		.destination_is_zero = copy->destination.created,
		.may_unmap = true,
		.progress = report,
		.arg = copy,
	};

	return block_copy(copy->source.block, copy->destination.block, &options, NULL, error);
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
	int rc = open_source(copy, error);

	if (!rc)
		rc = open_destination(copy, error);
	if (!rc)
		rc = check_fits(copy, error);
	if (!rc)
		rc = copy->source.block && copy->destination.block ? copy_blocks(copy, error)
								   : copy_stream(copy, error);
	cli_progress_end(&copy->progress);
	if (rc && copy->destination.created)
		unlink(copy->destination.word);
	close_end(&copy->source, NULL);
	if (rc)
		close_end(&copy->destination, NULL);
	else
		rc = close_end(&copy->destination, error);
	return rc;
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
