/* SPDX-License-Identifier: BSD-2-Clause */
/* Other processes, for messages that say whom one waits for: what /proc tells about them. */
#ifndef TENON_UTIL_PROCESS_H
#define TENON_UTIL_PROCESS_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#define PROCESS_TEXT 256

/*
 * "process 123 (tenon serve vg0), started 2026-11-25 19:06:34", with ", stopped" where a signal or a debugger
 * has stopped it. Its command is its own text: clean it (text.h) as all messages are. Returns `text`.
 */
const char *process_describe(pid_t pid, char text[PROCESS_TEXT]);

/* Its command line, with spaces between; as above, its own text. NULL where it is gone, or has none. */
const char *process_command(pid_t pid, char text[PROCESS_TEXT]);

/* Whether it runs the same program as this one. */
bool process_is_ours(pid_t pid);

/* Whether it is stopped: it does not run until somebody has it continue. */
bool process_is_stopped(pid_t pid);

/* Whether its first thread runs, or would if there were a processor for it: it is slow, and waits for nothing. */
bool process_is_runnable(pid_t pid);

/* The same of any of its threads: what it does may only be slow. */
bool process_has_runnable(pid_t pid);

/* Whether it has ended, also where its parent has not heard of that yet. */
bool process_is_gone(pid_t pid);

/* Whether it has ended, or is about to: it was killed, or gives back what it has. */
bool process_is_ending(pid_t pid);

/* Whether it has the file or device of `status` open: 1 or 0, also for a process that is gone; a negative errno where that cannot be seen. */
int process_has_open(pid_t pid, const struct stat *status);

/* The first process, but `except`, that holds a lock on the file or device of `status`; 0 where none can be
 * seen. Of other users' processes only locks of old kind (POSIX, flock) can. */
pid_t process_with_lock(const struct stat *status, pid_t except);

#endif
