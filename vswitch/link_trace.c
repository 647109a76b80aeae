/* SPDX-License-Identifier: BSD-2-Clause */
/* See link_trace.h. */
#include "vswitch/link_trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"

#define MS 1000000ULL

/* ---- Reading ---- */

void link_file_name(const char *path, char *name, size_t size)
{
	static const char known[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+";
	const char *slash = strrchr(path, '/');

	snprintf(name, size, "%s", slash ? slash + 1 : path);
	for (char *at = name; *at; at++)
		if (!strchr(known, *at))
			*at = '_';
	if (!name[0])
		strcpy(name, "_");
}

static int wrong_line(const struct link_trace *trace, unsigned line, const char *expected,
		      struct error *error)
{
	return error_set(error, -EINVAL, "trace %s: line %u: expected %s", trace->name, line,
			 expected);
}

/* A number and the end of its line; *text is then the next one. */
static bool read_ms(const char **text, uint32_t *ms)
{
	const char *at = *text;
	uint64_t value = 0;

	for (; *at >= '0' && *at <= '9' && value <= LINK_TRACE_MOST; at++)
		value = 10 * value + (uint64_t)(*at - '0');
	if (at == *text || value > LINK_TRACE_MOST)
		return false;
	at += *at == '\r';
	if (*at && *at != '\n')
		return false;
	*text = at + (*at == '\n');
	*ms = (uint32_t)value;
	return true;
}

static int read_lines(struct link_trace *trace, const char *text, struct error *error)
{
	while (*text) {
		unsigned line = trace->count + 1;
		uint32_t ms;

		if (!read_ms(&text, &ms))
			return wrong_line(
				trace, line,
				"a whole number of milliseconds, at most a day, and nothing else",
				error);
		if (trace->count && ms < trace->ms[trace->count - 1])
			return wrong_line(trace, line, "no time before that of the line before",
					  error);
		trace->ms[trace->count++] = ms;
	}
	if (!trace->count)
		return error_set(error, -EINVAL, "trace %s: there is nothing in it", trace->name);
	if (!trace->ms[trace->count - 1])
		return wrong_line(trace, trace->count,
				  "a time after 0: with the last one it begins again", error);
	return 0;
}

int link_trace_read(struct link_trace **out, const char *name, const char *text,
		    struct error *error)
{
	size_t length = strnlen(text, LINK_TRACE_BYTES + 1), lines = 1;
	struct link_trace *trace;
	int rc;

	for (size_t i = 0; i < length; i++)
		lines += text[i] == '\n';
	trace = calloc(1, sizeof(*trace) + lines * sizeof(trace->ms[0]));
	if (!trace)
		return error_set(error, -ENOMEM, "trace: out of memory");
	trace->references = 1;
	link_file_name(name, trace->name, sizeof(trace->name));
	if (length > LINK_TRACE_BYTES)
		rc = error_set(error, -EFBIG,
			       "trace %s: it is longer than the %u bytes that are read",
			       trace->name, LINK_TRACE_BYTES);
	else
		rc = read_lines(trace, text, error);
	if (rc)
		free(trace);
	else
		*out = trace;
	return rc;
}

struct link_trace *link_trace_take(struct link_trace *trace)
{
	if (trace)
		__atomic_add_fetch(&trace->references, 1, __ATOMIC_RELAXED);
	return trace;
}

void link_trace_drop(struct link_trace *trace)
{
	if (trace && !__atomic_sub_fetch(&trace->references, 1, __ATOMIC_ACQ_REL))
		free(trace);
}

/* ---- Opportunities ---- */

static uint64_t opportunity_time(const struct link_trace *trace,
				 const struct link_trace_place *place)
{
	uint64_t period = trace->ms[trace->count - 1] * MS;

	return place->origin + place->next / trace->count * period +
	       trace->ms[place->next % trace->count] * MS;
}

/* The first one that is not over at `elapsed` ns after the beginning. */
static uint64_t first_at(const struct link_trace *trace, uint64_t elapsed)
{
	uint64_t period = trace->ms[trace->count - 1] * MS, pass, rest;
	unsigned low = 0, high = trace->count - 1;

	if (!elapsed)
		return 0;
	/* After the nanosecond before; the last of a pass is later than any `rest`. */
	pass = (elapsed - 1) / period;
	rest = (elapsed - 1) % period;
	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (trace->ms[middle] * MS > rest)
			high = middle;
		else
			low = middle + 1;
	}
	return pass * trace->count + low;
}

bool link_trace_send(const struct link_trace *trace, struct link_trace_place *place, uint64_t now,
		     size_t length, uint64_t most, uint64_t *sent)
{
	struct link_trace_place to;

	if (!place->began)
		*place = (struct link_trace_place){ true, now, 0, LINK_TRACE_ROOM };
	to = *place;
	if (opportunity_time(trace, &to) < now) {
		to.next = first_at(trace, now - to.origin);
		to.left = LINK_TRACE_ROOM;
	}
	if (length > to.left) {
		length -= to.left;
		to.next += (length + LINK_TRACE_ROOM - 1) / LINK_TRACE_ROOM;
		to.left = LINK_TRACE_ROOM;
		length = (length - 1) % LINK_TRACE_ROOM + 1;
	}
	to.left -= (unsigned)length;
	*sent = opportunity_time(trace, &to);
	if (*sent - now > most)
		return false;
	*place = to;
	return true;
}
