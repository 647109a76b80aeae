/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of `tenon copy`: copy.c (the command), copy_plan.c (--dry-run), copy_end.c (opening source and destination), copy_image.c
 * (those in a format of QEMU's), copy_blocks.c (of two block devices), copy_stream.c (in order, where one of them is none),
 * copy_resume.c (--resume), copy_digest.c (--checksum).
 *
 * Nothing of the destination changes before both ends are open, the source is known to be the bytes of a disk,
 * and what is known of the sizes fits.
 */
#ifndef TENON_TOOLS_COPY_H
#define TENON_TOOLS_COPY_H

#include "block/output.h"
#include "block/rescue.h"
#include "tools/cli.h"
#include "tools/consent.h"
#include "tools/copy_digest.h"
#include "tools/copy_resume.h"

struct block;
struct stack;

#define COPY_HEAD 4096u

struct copy_end {
	char *word;
	bool is_object;      /* an array or a volume */
	struct block *block; /* or, for a stream: */
	struct output
		out; /* .fd, also of a source; -1: none. Of an image it is there to be removed by */
	struct stack *stack;
	const char *given_format; /* as the user says, or NULL */
	const char *format;       /* of the image that it is; NULL: it is the bytes of the disk */
	struct qemu_disk *image;  /* that `block` is of */

	/* Of a source. */
	uint64_t size;   /* in bytes, exactly, where it is known; else 0 */
	bool size_known; /* it will have `size` bytes */
	char head[COPY_HEAD];
	size_t head_length; /* bytes of a stream that were read to look at */

	/* Of a destination. */
	bool is_zero;  /* it was made or emptied, and reads as zeroes */
	bool is_fresh; /* and is a regular file, of any length */
};

struct copy_command {
	struct cli_words given;
	struct copy_end source, destination;
	bool raw, skip_errors;
	bool backing;                   /* images may name other files */
	bool verify, checksum, resumed; /* the options */
	struct copy_digest digest;
	struct copy_resume resume;
	struct consent consent; /* .force: overwrite what is recognised */
	bool wipe;              /* what is recognised at the destination may go */
	bool reader_left;       /* of standard output */
	const char *map_path;
	struct output map;
	struct rescue_map unreadable;
	struct cli_progress progress;
};

/* Whether `word` names an array or a volume, rather than a file. */
int copy_is_object(struct copy_command *copy, const char *word, bool *object, struct error *error);

/* What was found to be no volume may have been meant as a file: "here/there" is one in a folder as well. */
void copy_explain_folder(const char *word, struct error *error);

/* Which formats the ends have, once is_object is known of both: what the user says, or else the names of files. */
int copy_choose_formats(struct copy_command *copy, struct error *error);
int copy_open_source_image(struct copy_command *copy, struct error *error);
/* Makes it. The caller has seen that it is not the source. */
int copy_open_destination_image(struct copy_command *copy, struct error *error);

/* What is recognised on a volume, an array or a host's block device is overwritten by whoever says so. 0 or a negative errno. */
int copy_check_overwrite(struct copy_command *copy, struct block *block, struct error *error);
/*
 * What may be overwritten has another signature at its end perhaps (an array's member, the other copy of a partition table), which would
 * say later that it is still what it was. 0 or a negative errno.
 */
int copy_wipe_old(const struct copy_command *copy, struct error *error);

/* For --dry-run: says what the copy would do, from a look at both ends. 0 or a negative errno with `error` set, as far
 * as it can be told that the copy would fail. */
int copy_plan(struct copy_command *copy, struct error *error);

/* Both where they lie on a device in common, and else the source alone. */
int copy_open_source(struct copy_command *copy, struct error *error);
/* Unless it is open. On a fiber; heeds its cancellation. */
int copy_open_destination(struct copy_command *copy, struct error *error);
/* Removes the file again that the destination is, if it was made for it. */
void copy_discard_end(struct copy_end *end);
int copy_close_end(struct copy_end *end, struct error *error);

/* Both on a fiber; they heed its cancellation: -ECANCELED. */
int copy_blocks(struct copy_command *copy, struct error *error);
int copy_stream(struct copy_command *copy, struct error *error);

/* Reads until `length` bytes are there or the stream ends; bytes, or a negative errno. On a fiber; of what is no
 * file (`may_wait`) it suspends, as long as there is nothing to read. */
ssize_t copy_stream_read(int fd, char *at, size_t length, bool may_wait);

#endif
