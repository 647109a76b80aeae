/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happened in a run, in order, as far as it says which contents disks may have when the power goes: the writes to all disks
 * and when each became durable; and what the user of the array asked for and was told.
 */
#ifndef TENON_LAB_TRACE_H
#define TENON_LAB_TRACE_H

#include <stdbool.h>
#include <stdint.h>

enum lab_trace_kind {
	LAB_TRACE_WRITE,   /* number, disk, offset, length, data (NULL: zeroes): issued */
	LAB_TRACE_DURABLE, /* number */
	LAB_TRACE_ISSUE,   /* sector (offset), count (length), number: a version */
	LAB_TRACE_ACK,     /* the same; flag: durable, by FUA */
	LAB_TRACE_FLUSH,   /* number: a token */
	LAB_TRACE_FLUSHED, /* number: a token */
	LAB_TRACE_BEGIN,   /* number: an operation on a group */
	LAB_TRACE_END,     /* number: it was told to be done */
	LAB_TRACE_FORGET, /* disk (a volume), sector (offset), count (length): nobody asks for it */
};

struct lab_trace_event {
	enum lab_trace_kind kind;
	unsigned disk;
	bool flag;
	uint64_t number, offset, length;
	void *data;
};

struct lab_trace {
	struct lab_trace_event *events;
	uint64_t count, room;
};

/* Adds one; `data` is copied. */
void lab_trace_add(struct lab_trace *trace, const struct lab_trace_event *event);
void lab_trace_free(struct lab_trace *trace);

#endif
