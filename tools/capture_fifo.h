/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The FIFO by which a switch gives a live capture to the command that asked for it: RUNTIME/capture-RANDOM.
 *
 * It has a name until both have it open. A command that was killed before that leaves it: the next one removes what nobody reads
 * and is older than the moment that a command needs to open its own. No two have one name, and so none is removed in another's place.
 */
#ifndef TENON_TOOLS_CAPTURE_FIFO_H
#define TENON_TOOLS_CAPTURE_FIFO_H

struct error;

#define CAPTURE_FIFO_SETTLED_S 10 /* seconds; without a reader after these, it never gets one */

/* Makes one and opens it for reading (*fd, non-blocking, close-on-exec), and removes those that are left. The caller frees *path,
 * also after a failure, and removes the file. 0, or a negative errno with `error` set. */
int capture_fifo_make(char **path, int *fd, struct error *error);

#endif
