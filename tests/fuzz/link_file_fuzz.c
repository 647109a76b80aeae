/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of links: the first byte says whether the rest is a recorded rate or a distribution of jitter. Whatever it is, it is refused with a reason, or is
 * what its header says: times that do not go back, with a period, by which packets are sent in order; or numbers of which random bits choose one.
 */
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "util/random.h"
#include "vswitch/link_table.h"
#include "vswitch/link_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void send_by(const struct link_trace *trace, uint64_t seed)
{
	struct link_trace_place place = { 0 };
	struct random random = { seed };
	uint64_t now = 1000000000, last = 0, sent;

	for (unsigned i = 1; i < trace->count; i++)
		if (trace->ms[i] < trace->ms[i - 1])
			abort();
	if (!trace->count || !trace->ms[trace->count - 1] ||
	    trace->ms[trace->count - 1] > LINK_TRACE_MOST)
		abort();
	for (unsigned i = 0; i < 100; i++) {
		now += random_below(&random, (uint64_t)1 << random_below(&random, 45));
		if (!link_trace_send(trace, &place, now, random_below(&random, 65536),
				     (uint64_t)1 << random_below(&random, 50), &sent))
			continue;
		if (sent < now || sent < last)
			abort();
		last = sent;
	}
}

static void choose_of(const struct link_table *table)
{
	const uint64_t bits[] = { 0, 1, (uint64_t)1 << 62, ((uint64_t)1 << 63) - 1 };

	if (!table->count || table->count > LINK_TABLE_MOST)
		abort();
	for (unsigned i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		double value = link_table_value(table, bits[i]);

		if (!(value >= -4 && value <= 4))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct link_trace *trace = NULL;
	struct link_table *table = NULL;
	struct error error = { 0 };
	char *text;
	int rc;

	if (!size)
		return 0;
	/* Of its own size, so that a byte beyond it is seen. */
	text = strndup((const char *)data + 1, size - 1);
	if (!text)
		return 0;
	rc = data[0] & 1 ? link_table_read(&table, "fuzz", text, &error)
			 : link_trace_read(&trace, "fuzz", text, &error);
	if (rc && !error.text[0])
		abort();
	if (trace)
		send_by(trace, size);
	if (table)
		choose_of(table);
	link_trace_drop(trace);
	link_table_drop(table);
	free(text);
	return 0;
}
