/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A copy that can be gone on with (--resume): its checkpoint, a small file beside the target that says how much of it is known
 * to be copied and durable, and of what to what.
 *
 *	none		no copy was begun, or it came to its end
 *	there		everything before `done` is in the destination; what is after that may be, in part. It is replaced as a whole, by
 *			rename(2), after the destination was flushed: at whatever moment the power fails, what it says is true
 *	stale		source or destination are not those that it was written for: other ones, of another size, or a source file
 *			that was written to since. It is refused, and nothing is changed
 *
 * Both ends are known by what stays: files by file system, inode and time of birth, and a source also by the time of its last
 * change; volumes and arrays by their UUIDs; others by their names, which may be another
 * disk's by now. So what was copied is sampled on both before anything is written. Of a source that is no file nobody knows whether it
 * was written to since: there all that was copied is compared, unless it is far away (NBD): then who asks knows, or says --verify.
 */
#ifndef TENON_TOOLS_COPY_RESUME_H
#define TENON_TOOLS_COPY_RESUME_H

#include <stdbool.h>
#include <stdint.h>

#define COPY_RESUME_UNIT 4096u /* no block is larger */

struct copy_command;
struct error;

struct copy_resume {
	char *path;                 /* of the checkpoint */
	char *source, *destination; /* what they are known by */
	uint64_t begun;             /* from here on it is copied */
	uint64_t done;              /* up to here it is copied */
	bool going_on; /* one was found, and holds; with `begun` 0 nothing is known of the destination but that it is ours */
	bool written;  /* there is one, of this copy */
};

/* Where a checkpoint is, and what it says; the source is open, the destination is not. 0; -ESTALE, -EINVAL for a damaged one, or another
 * negative errno with `error` set. */
int copy_resume_find(struct copy_command *copy, struct error *error);
/* Once the destination is there, and nothing of the source was written to it: makes one where there is none. */
int copy_resume_begin(struct copy_command *copy, struct error *error);
/* Both ends are open: whether the destination holds what is said to be copied; of a file as far as samples tell. -ESTALE. */
int copy_resume_check(struct copy_command *copy, struct error *error);
/* All before `done`, a multiple of the unit or all, is durable. */
int copy_resume_note(struct copy_command *copy, uint64_t done, struct error *error);
/* The copy has come to its end. */
void copy_resume_end(struct copy_command *copy);
void copy_resume_free(struct copy_resume *resume);

#endif
