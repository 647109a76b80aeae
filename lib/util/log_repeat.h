/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a log leaves out of what it is told again and again: an error that stays, in a loop that tries it again.
 *
 * Messages begin with what they are about, up to the first ": ". What is said of the same once more is told once a minute, and nothing is told of
 * more often than LOG_REPEAT_LINES times a minute (a guest that reads a bad disk here and there); the next line of it says how many were left out.
 * Two lines in turn, as of what comes and goes, are no repetition.
 */
#ifndef TENON_UTIL_LOG_REPEAT_H
#define TENON_UTIL_LOG_REPEAT_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_REPEAT_NS    60000000000ull
#define LOG_REPEAT_LINES 200u
#define LOG_REPEAT_SEEN                                                                            \
	64u /* things that are remembered; whose last line is the oldest is forgotten first */

/* Zeroed; the caller's lock. */
struct log_repeat {
	struct log_repeat_of {
		uint64_t about, text; /* hashes */
		uint64_t told_ns;     /* its last line */
		uint64_t minute_ns;   /* began, with `lines` */
		unsigned lines, left_out;
	} seen[LOG_REPEAT_SEEN];
};

/* Whether it is to be told; and then how many there were since the last line of it that were not. */
bool log_repeat_tells(struct log_repeat *repeat, const char *text, uint64_t now_ns,
		      unsigned *left_out);
/* There was no room for the line. The next one like it is no repetition. */
void log_repeat_take_back(struct log_repeat *repeat, const char *text, unsigned left_out);

#endif
