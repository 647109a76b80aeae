/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program of somebody else's that runs beside the command, until it has done its work or the command ends, however that
 * comes about: a kill -9 of ours is one of it, too. It has no input, and what it says is kept.
 */
#ifndef TENON_TOOLS_CHILD_H
#define TENON_TOOLS_CHILD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct confine_path;
struct error;

struct child {
	pid_t pid; /* 0: none */
	int pidfd;
	int said; /* a file of what it wrote to its standard output and error */
	const char *program;
};

struct child_options {
	const char *package; /* that has the program, for who lacks it */
	int listener; /* a listening socket that it gets as sd_listen_fds(3) has it; -1: none */
	/* The files that it may use besides the system's, where the kernel can do that (confine.h); NULL: all. */
	const struct confine_path *files;
	unsigned file_count;
};

/* argv[0] is found as spawn_finds() does; it must live as long as `child`. 0, -ENOENT where there is none, or another
 * negative errno with `error` set. */
int child_start(struct child *child, char *const argv[], const struct child_options *options,
		struct error *error);

/* Until it ends, `timeout_ns` at most: its exit status, 128 + N for signal N, -ETIMEDOUT, or -ECANCELED. Then it is not
 * there any more. On a fiber. */
int child_wait(struct child *child, uint64_t timeout_ns);

/* Ends it: SIGTERM, and SIGKILL where that did not do it within some seconds. On a fiber. */
void child_end(struct child *child);

/* The last line that it said, without its name and what stands before the end of a quoted name; empty: nothing. */
void child_last_words(const struct child *child, char *text, size_t size);

/* Closes what is kept of it. It has ended. */
void child_forget(struct child *child);

#endif
