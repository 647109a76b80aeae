/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening a file that we write: a capture, a console's log, a copy, a list. The one opener for all of them.
 *
 * A path that a person gives may by mistake be something that is needed: the member of an array that a
 * server holds, a guest's disk, a letter. So an existing file is looked at before a byte of it changes: it is
 * locked, as a disk is (-EBUSY), it must carry no signature (file systems, LVM2, md, partition tables, qcow2
 * and the like), and it must be empty or an older file of the kind that is to be written (-EEXIST). `force`
 * is the user's word for the last two; nothing forces what is in use.
 *
 * The lock is held by the descriptor, and by others on what is below a device, so that no one else of ours writes to
 * the same bytes. None of this needs
 * a fiber, and none of it waits: not for the reader of a FIFO either, unless asked to.
 */
#ifndef TENON_BLOCK_OUTPUT_H
#define TENON_BLOCK_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "block/file_locks.h"

struct error;

#define OUTPUT_FORCE  (1u << 0)
#define OUTPUT_APPEND (1u << 1) /* goes on at the end, wherever that is then (O_APPEND) */
#define OUTPUT_WAIT   (1u << 2) /* for the reader of a FIFO; else -ENXIO while there is none */
#define OUTPUT_NONBLOCK                                                                            \
	(1u << 3) /* FIFOs, terminals: writes answer -EAGAIN (regular files never do) */
#define OUTPUT_FIFO  (1u << 4) /* only the FIFO of that very name, which is there and has a reader */
#define OUTPUT_LATER (1u << 5) /* a file keeps what it has until output_empty() */

#define OUTPUT_HEAD 4096u

struct output_kind {
	const char *name; /* "a capture" */
	/* Whether a file that begins with these bytes (at most OUTPUT_HEAD, never none) is one. */
	bool (*matches)(const void *head, size_t length);
};

/* Text, as logs and consoles leave it: no zero bytes. For `matches`. */
bool output_is_text(const void *head, size_t length);

struct output {
	int fd;       /* O_CLOEXEC, the caller's */
	bool is_file; /* a regular file: can be made shorter, and is flushed by fsync() */
	bool created; /* and was not there before */
	bool later;   /* output_empty() empties it yet */
	struct file_locks below;
};

/*
 * `path`: a file; "-", /dev/stdout, /dev/stderr or /dev/fd/N for a descriptor that the process was started
 * with, wherever that leads; a FIFO, a terminal, /dev/null. A file is emptied (not with OUTPUT_APPEND) once
 * all checks are passed. A host block device needs OUTPUT_FORCE.
 *
 * 0; -EBUSY, -EEXIST, -ENXIO, -EINVAL (a folder, a socket, with OUTPUT_FIFO anything else), or open()'s, with `error` set.
 */
int output_open(struct output *out, const char *path, unsigned flags,
		const struct output_kind *kind, struct error *error);

/* What a file with OUTPUT_LATER was opened for has begun. Of all else it does nothing. */
int output_empty(struct output *out, const char *path, struct error *error);

/* Whether `path` stands for a descriptor that the process was started with. */
bool output_is_descriptor(const char *path);
/* Whether that is standard output. */
bool output_is_standard(const char *path);

/* Closes it; the descriptor may have been given away (-1). */
void output_close(struct output *out);
/* Closes it, and removes it again if output_open() made it and it is still what `path` names. */
void output_discard(struct output *out, const char *path);

/* Removes `path` if that is the very file that is open as `fd`, and not what somebody else put there. */
void output_remove(int fd, const char *path);

/* The part of output_open() that looks at the content of an open regular file. `kind` NULL: anything without a
 * signature. 0 or -EEXIST with `error` set. */
int output_check_content(int fd, const char *path, const struct output_kind *kind,
			 struct error *error);

#endif
