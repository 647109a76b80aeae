/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pinned memory: see pinned.h. A region is cut into steps, each of which is a buffer of the ring: one may have 1 GiB, and
 * a smaller one does not hold the worker up for long. A request that lies across two goes the way of all others.
 */
#include "fiber/pinned.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fiber/worker_private.h"
#include "util/bytes.h"

#define STEP (64u << 20)

struct worker_pinned {
	struct worker *worker;
	uint8_t *at;
	size_t length;
	unsigned first, steps; /* slots of the ring's table */
};

/* The number of regions that begin at or before `at`. */
static unsigned place_of(const struct worker_pins *pins, const void *at)
{
	unsigned low = 0, high = pins->count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if ((uintptr_t)pins->regions[middle]->at <= (uintptr_t)at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int worker_pinned_slot(const struct worker_pins *pins, const void *at, size_t length)
{
	unsigned place = place_of(pins, at);
	const struct worker_pinned *region;
	size_t offset;

	if (!place)
		return -1;
	region = pins->regions[place - 1];
	offset = (size_t)((uintptr_t)at - (uintptr_t)region->at);
	if (!range_within(offset, length, region->length) || !length ||
	    offset / STEP != (offset + length - 1) / STEP)
		return -1;
	return (int)(region->first + offset / STEP);
}

/* So many free slots in a row, or -ENOSPC. */
static int find_slots(const struct worker_pins *pins, size_t count)
{
	unsigned run = 0;

	for (unsigned i = 0; i < WORKER_PIN_SLOTS; i++) {
		run = pins->used[i] ? 0 : run + 1;
		if (run == count)
			return (int)(i + 1 - run);
	}
	return -ENOSPC;
}

static int add(struct worker_pins *pins, struct worker_pinned *region)
{
	unsigned place = place_of(pins, region->at);
	struct worker_pinned **regions =
		realloc(pins->regions, (pins->count + 1) * sizeof(struct worker_pinned *));

	if (!regions)
		return -ENOMEM;
	memmove(&regions[place + 1], &regions[place],
		(pins->count - place) * sizeof(struct worker_pinned *));
	regions[place] = region;
	pins->regions = regions;
	pins->count++;
	return 0;
}

static void forget(struct worker_pins *pins, const struct worker_pinned *region)
{
	unsigned place = 0;

	while (place < pins->count && pins->regions[place] != region)
		place++;
	if (place == pins->count)
		return;
	pins->count--;
	memmove(&pins->regions[place], &pins->regions[place + 1],
		(pins->count - place) * sizeof(struct worker_pinned *));
}

static int pin_steps(struct worker_pinned *region)
{
	struct worker *worker = region->worker;
	size_t left = region->length;
	uint8_t *at = region->at;
	int rc = 0;

	while (!rc && left) {
		size_t step = MIN(left, (size_t)STEP);

		rc = worker->engine->pin(worker, region->first + region->steps, at, step);
		if (rc)
			break;
		region->steps++;
		at += step;
		left -= step;
		if (left)
			fiber_yield();
	}
	return rc;
}

int worker_pin(struct worker_pinned **out, void *at, size_t length)
{
	struct worker *worker = fiber_current()->worker;
	struct worker_pins *pins = &worker->pins;
	struct worker_pinned *region;
	size_t count = length / STEP + (length % STEP != 0);
	int rc;

	if (!worker->engine->pin)
		return -EOPNOTSUPP;
	rc = count ? find_slots(pins, count) : -EINVAL;
	if (rc < 0)
		return rc;
	region = calloc(1, sizeof(*region));
	if (!region)
		return -ENOMEM;
	*region = (struct worker_pinned){
		.worker = worker, .at = at, .length = length, .first = (unsigned)rc
	};
	memset(&pins->used[region->first], 1, count);
	rc = pin_steps(region);
	if (!rc)
		rc = add(pins, region);
	memset(&pins->used[region->first + region->steps], 0, count - region->steps);
	if (rc) {
		worker_unpin(region);
		return rc;
	}
	*out = region;
	return 0;
}

void worker_unpin(struct worker_pinned *pinned)
{
	struct worker *worker;

	if (!pinned)
		return;
	worker = pinned->worker;
	forget(&worker->pins, pinned);
	for (unsigned i = 0; i < pinned->steps; i++) {
		worker->engine->unpin(worker, pinned->first + i);
		worker->pins.used[pinned->first + i] = 0;
	}
	free(pinned);
}
