/* SPDX-License-Identifier: BSD-2-Clause */
/* How long a disk takes; see disk_time.h. */
#include "tools/lab/disk_time.h"

#include <math.h>

#include "util/bytes.h"

#define SECOND_NS 1000000000ull
#define MS_NS     1000000ull
#define US_NS     1000ull
#define MB        1000000ull

#define READ_AHEAD (2u << 20) /* bytes: a segment of a drive's cache */

const char *const lab_model_names[] = { "instant", "hdd", "smr", "ssd", "nvme", "cable", NULL };

/* What data sheets of drives of these kinds say, rounded. */
static const struct lab_disk_model usual[] = {
	[LAB_MODEL_INSTANT] = { .channels = 32, .cache = 64 << 20 },
	[LAB_MODEL_HDD] = { .seek_least_ns = 500 * US_NS,
			    .seek_most_ns = 16 * MS_NS,
			    .rotation_ns = 8333333,
			    .rate = 250 * MB,
			    .rate_inner = 120 * MB,
			    .latency_ns = 100 * US_NS,
			    .channels = 1,
			    .flush_ns = 8 * MS_NS,
			    .cache = 64 << 20 },
	[LAB_MODEL_SMR] = { .seek_least_ns = 600 * US_NS,
			    .seek_most_ns = 18 * MS_NS,
			    .rotation_ns = 11111111,
			    .rate = 190 * MB,
			    .rate_inner = 90 * MB,
			    .latency_ns = 100 * US_NS,
			    .channels = 1,
			    .flush_ns = 12 * MS_NS,
			    .cache = 64 << 20,
			    .media_cache = 20000 * MB,
			    .clean_rate = 8 * MB },
	[LAB_MODEL_SSD] = { .rate = 520 * MB,
			    .rate_inner = 520 * MB,
			    .latency_ns = 90 * US_NS,
			    .channels = 8,
			    .flush_ns = 500 * US_NS,
			    .cache = 64 << 20 },
	[LAB_MODEL_NVME] = { .rate = 3200 * MB,
			     .rate_inner = 3200 * MB,
			     .latency_ns = 60 * US_NS,
			     .channels = 32,
			     .flush_ns = 200 * US_NS,
			     .cache = 64 << 20 },
	[LAB_MODEL_CABLE] = { .rate = 520 * MB,
			      .rate_inner = 520 * MB,
			      .latency_ns = 90 * US_NS,
			      .channels = 8,
			      .flush_ns = 500 * US_NS,
			      .cache = 64 << 20,
			      .link_errors = 2000,
			      .retry_ns = 500 * MS_NS },
};

void lab_disk_model_complete(struct lab_disk_model *model)
{
	const struct lab_disk_model *from = &usual[model->kind];
	uint64_t inner = model->rate ? model->rate : from->rate_inner;

	/* Each is its own default. */
#define TAKE(field) (model->field = model->field ? model->field : from->field)
	TAKE(seek_least_ns);
	TAKE(seek_most_ns);
	TAKE(rotation_ns);
	TAKE(latency_ns);
	TAKE(channels);
	TAKE(flush_ns);
	TAKE(cache);
	TAKE(media_cache);
	TAKE(clean_rate);
	TAKE(read_errors);
	TAKE(link_errors);
	TAKE(retry_ns);
	TAKE(rate);
#undef TAKE
	model->rate_inner = model->rate_inner ? model->rate_inner : inner;
}

static uint64_t transfer_ns(const struct lab_disk_model *model, uint64_t offset, uint64_t length)
{
	double at = model->size ? (double)offset / (double)model->size : 0;
	double rate = (double)model->rate - at * ((double)model->rate - (double)model->rate_inner);

	return rate > 0 ? (uint64_t)((double)length * (double)SECOND_NS / rate) : 0;
}

static uint64_t seek_ns(struct lab_disk_time *time, uint64_t offset)
{
	const struct lab_disk_model *model = &time->model;
	uint64_t away = offset > time->head ? offset - time->head : time->head - offset;

	if (!model->seek_most_ns || !away)
		return 0;
	/* What is near is in its cache already, or comes by: no drive goes elsewhere between two of those. */
	if (away <= READ_AHEAD)
		return offset > time->head ? transfer_ns(model, offset, away) : 0;
	return model->seek_least_ns +
	       (uint64_t)((double)(model->seek_most_ns - model->seek_least_ns) *
			  sqrt((double)away / (double)model->size)) +
	       random_below(&time->random, model->rotation_ns + 1);
}

/* Random writes of a shingled disk go to a cache on the medium, in order; when it is full each waits for as much to be
 * rewritten. It cleans while it has nothing else to do. */
static uint64_t shingled_ns(struct lab_disk_time *time, uint64_t now, uint64_t offset,
			    uint64_t length)
{
	const struct lab_disk_model *model = &time->model;
	uint64_t idle = now > time->dirty_ns ? now - time->dirty_ns : 0;
	uint64_t cleaned = (uint64_t)((double)idle * (double)model->clean_rate / (double)SECOND_NS);

	time->dirty -= MIN(time->dirty, cleaned);
	time->dirty_ns = MAX(now, time->dirty_ns);
	if (offset == time->write_end)
		return 0;
	time->dirty += length;
	if (time->dirty <= model->media_cache)
		return 0;
	time->dirty -= length;
	return (uint64_t)((double)length * (double)SECOND_NS / (double)model->clean_rate);
}

static unsigned first_free(const struct lab_disk_time *time)
{
	unsigned best = 0;

	for (unsigned i = 1; i < time->model.channels; i++)
		if (time->free_ns[i] < time->free_ns[best])
			best = i;
	return best;
}

uint64_t lab_disk_serve(struct lab_disk_time *time, uint64_t now, bool write, uint64_t offset,
			uint64_t length, uint64_t slow)
{
	const struct lab_disk_model *model = &time->model;
	unsigned channel = first_free(time);
	uint64_t begin = MAX(now, time->free_ns[channel]), end = begin + model->latency_ns;

	end += seek_ns(time, offset);
	if (write && model->kind == LAB_MODEL_SMR)
		end += shingled_ns(time, begin, offset, length);
	end = MAX(end, time->bus_free_ns) + transfer_ns(model, offset, length);
	time->bus_free_ns = end;
	end = begin + (end - begin) * slow / 100;
	time->free_ns[channel] = end;
	time->busy_ns += end - begin;
	time->head = offset + length;
	if (write)
		time->write_end = offset + length;
	return end;
}

void lab_disk_pass(struct lab_disk_time *time, uint64_t now, uint64_t offset, uint64_t length,
		   uint64_t most)
{
	uint64_t step = 512u << 10, end;
	uint64_t begin = MAX(now, time->bus_free_ns);

	/* As requests of 512 KiB one behind the other, without seeks between them. */
	end = begin + transfer_ns(&time->model, offset + length / 2, length);
	if (time->model.channels == 1)
		end += length / step * time->model.latency_ns;
	if (most)
		end = MAX(end,
			  begin + (uint64_t)((double)length * (double)SECOND_NS / (double)most));
	time->bus_free_ns = end;
	for (unsigned i = 0; i < time->model.channels; i++)
		time->free_ns[i] = MAX(time->free_ns[i], end);
	time->busy_ns += end - begin;
	time->head = time->write_end = offset + length;
}

uint64_t lab_disk_serve_flush(struct lab_disk_time *time, uint64_t now)
{
	uint64_t end = now;

	for (unsigned i = 0; i < time->model.channels; i++)
		end = MAX(end, time->free_ns[i]);
	return end + time->model.flush_ns;
}
