/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the guest's console output goes: a ring, and a thread that writes it out.
 *
 * The guest never waits for whoever reads its console. The thread may: in write(2) to a terminal that is
 * paused, a pipe whose reader does something else, a file system that does not answer. Meanwhile the ring
 * keeps the newest output; what falls out of it, the oldest, is counted, told to the log, and marked in the
 * output where it is missing, once there is somebody to read that again. A file that cannot be written (a
 * full disk) is tried again each second. A pipe without readers, or a terminal that was hung up, is given up:
 * from then on all is dropped.
 */
#ifndef TENON_VMM_CONSOLE_OUTPUT_H
#define TENON_VMM_CONSOLE_OUTPUT_H

#include <stdint.h>

struct console_output;
struct error;
struct log;

#define CONSOLE_OUTPUT_SIZE (256u << 10) /* bytes that wait for the reader; a power of two */

/* Starts the thread. `fd` stays the caller's. */
int console_output_create(struct console_output **out, int fd, struct log *log,
			  struct error *error);

/* Takes a byte; never waits. From any thread, those of vCPUs too. */
void console_output_put(struct console_output *output, uint8_t byte);

/* Waits until all is written, or nothing more was for `patience_ms`. */
void console_output_drain(struct console_output *output, unsigned patience_ms);

/* How many bytes the reader has not got and will not get. */
uint64_t console_output_lost(struct console_output *output);

/* Ends the thread, and with it what was not written; one that a file keeps in write(2) is left behind, with a
 * descriptor of its own. NULL is fine. */
void console_output_destroy(struct console_output *output);

#endif
