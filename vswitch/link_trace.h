/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A rate that was recorded: the times at which a link had room for 1500 bytes, as mahimahi's mm-link has them in its files. Each line is a
 * time in milliseconds since the beginning, none is less than the one before, and the last is when it all begins
 * again. A packet takes what is left of an opportunity and as much of those after it as it needs; what nobody takes is lost.
 *
 * What was read does not change, and is shared and counted: who keeps a model with one has it counted for himself.
 */
#ifndef TENON_VSWITCH_LINK_TRACE_H
#define TENON_VSWITCH_LINK_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define LINK_TRACE_BYTES    (1u << 20)      /* of a file */
#define LINK_TRACE_MOST     (24 * 3600000u) /* ms: a day */
#define LINK_TRACE_ROOM     1500u           /* bytes of an opportunity */
#define LINK_TRACE_NAME_MAX 64

struct link_trace {
	unsigned references;
	char name
		[LINK_TRACE_NAME_MAX]; /* the last part of the file's, without what a word cannot have */
	unsigned count;
	uint32_t ms[]; /* the last is the period */
};

/* The last part of a file's name, with '_' for what a word of a model cannot have. */
void link_file_name(const char *path, char *name, size_t size);

/* Reads `text`, of the file `name`. -EINVAL with the line in `error`; -ENOMEM. */
int link_trace_read(struct link_trace **out, const char *name, const char *text,
		    struct error *error);
/* Counts one more who keeps it, or one less; of NULL nothing. */
struct link_trace *link_trace_take(struct link_trace *trace);
void link_trace_drop(struct link_trace *trace);

/* Where a way is in it; zeroed to begin, with the next packet. */
struct link_trace_place {
	bool began;
	uint64_t origin; /* when it began */
	uint64_t next;   /* the opportunity, counted through all passes ... */
	unsigned left;   /* ... and what is left of it */
};

/* Gives a packet of `length` bytes that comes at `now` its room: `sent` is when the last of it is. False, and nothing is taken: that is later than
 * `most` ns from now. */
bool link_trace_send(const struct link_trace *trace, struct link_trace_place *place, uint64_t now,
		     size_t length, uint64_t most, uint64_t *sent);

#endif
