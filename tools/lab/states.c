/* SPDX-License-Identifier: BSD-2-Clause */
/* All that disks may hold when the power goes; see states.h. */
#include "tools/lab/states.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lab/store.h"
#include "util/bytes.h"

/* ---- One state ---- */

/* Bytes of an event; NULL: zeroes. */
static void write_event(struct lab_store *store, const struct lab_trace_event *event)
{
	if (event->data)
		lab_store_write(store, event->offset, event->data, event->length);
	else
		lab_store_zero(store, event->offset, event->length);
}

static bool is_enough(const struct lab_states *states)
{
	return states->states >= states->plan->states ||
	       (states->is_enough && states->is_enough(states->arg));
}

/* The disks hold what is durable, and of the rest what is kept. */
static void make_state(struct lab_states *states)
{
	for (unsigned i = 0; i < states->disk_count; i++)
		lab_store_reset(states->state[i]);
	for (unsigned i = 0; i < states->pending_count; i++) {
		const struct lab_trace_event *event = &states->trace->events[states->pending[i]];

		if (states->kept[i])
			write_event(states->state[event->disk], event);
	}
}

static void look_at_state(struct lab_states *states)
{
	if (is_enough(states))
		return;
	make_state(states);
	states->look(states->arg);
	states->states++;
}

/* ---- Subsets ---- */

static void keep_all(struct lab_states *states, bool keep)
{
	for (unsigned i = 0; i < states->pending_count; i++)
		states->kept[i] = keep;
}

void lab_states_show(struct lab_states *states)
{
	keep_all(states, true);
	make_state(states);
}

/* All subsets, or none, all, all but one or two by chance, and samples; each with the newest, if there is a new one. */
static void look_at_subsets(struct lab_states *states, bool newest)
{
	const struct lab_explore *plan = states->plan;
	unsigned count = states->pending_count - newest;

	states->moments++;
	if (count <= plan->subsets) {
		for (uint64_t set = 0; set < 1ull << count; set++) {
			for (unsigned i = 0; i < states->pending_count; i++)
				states->kept[i] = i >= count || set >> i & 1;
			look_at_state(states);
		}
		return;
	}
	for (uint64_t sample = 0; sample < plan->samples; sample++) {
		uint64_t chance = random_below(&states->random, 101);

		keep_all(states, sample == 1);
		for (unsigned i = 0; sample > 1 && i < count; i++)
			states->kept[i] = random_below(&states->random, 100) < chance;
		if (newest)
			states->kept[count] = true;
		look_at_state(states);
	}
}

/* ---- The trace ---- */

/* What is in a cache is never written over something newer that went past it: it has that from now on. */
static void supersede(struct lab_trace_event *old, const struct lab_trace_event *newer)
{
	uint64_t start = MAX(old->offset, newer->offset);
	uint64_t end = MIN(old->offset + old->length, newer->offset + newer->length);

	if (old->disk != newer->disk || start >= end)
		return;
	if (!old->data)
		old->data = calloc(1, old->length);
	if (!old->data)
		abort();
	if (newer->data)
		memcpy((char *)old->data + (start - old->offset),
		       (const char *)newer->data + (start - newer->offset), end - start);
	else
		memset((char *)old->data + (start - old->offset), 0, end - start);
}

static void becomes_durable(struct lab_states *states, uint64_t number)
{
	struct lab_trace_event *events = states->trace->events;
	unsigned at = 0;

	while (at < states->pending_count && events[states->pending[at]].number != number)
		at++;
	if (at == states->pending_count)
		return;
	write_event(states->durable[events[states->pending[at]].disk],
		    &events[states->pending[at]]);
	for (unsigned i = 0; i < at; i++)
		supersede(&events[states->pending[i]], &events[states->pending[at]]);
	states->pending_count--;
	memmove(&states->pending[at], &states->pending[at + 1],
		(states->pending_count - at) * sizeof(states->pending[0]));
}

static void go_on(struct lab_states *states, uint64_t at)
{
	const struct lab_trace_event *event = &states->trace->events[at];

	switch (event->kind) {
	case LAB_TRACE_WRITE:
		/* The caches make room. */
		if (states->pending_count == LAB_PENDING)
			becomes_durable(states, states->trace->events[states->pending[0]].number);
		states->writes = event->number;
		states->pending[states->pending_count++] = at;
		look_at_subsets(states, true);
		break;
	case LAB_TRACE_DURABLE:
		becomes_durable(states, event->number);
		break;
	default:
		if (states->event(states->arg, event))
			look_at_subsets(states, false);
	}
}

void lab_states_run(struct lab_states *states)
{
	struct lab_disk_model model = { .kind = LAB_MODEL_INSTANT };

	lab_disk_model_complete(&model);
	states->random.state = states->seed;
	for (unsigned i = 0; i < states->disk_count; i++) {
		char name[16];

		snprintf(name, sizeof(name), "disk%u", i);
		model.size = lab_store_size(states->base[i]);
		states->durable[i] = lab_store_create(model.size, states->base[i]);
		states->state[i] = lab_store_create(model.size, states->durable[i]);
		states->disks[i] =
			lab_disk_create(&states->rack, i, name, states->state[i], &model, i);
	}
	for (uint64_t at = 0; at < states->trace->count && !is_enough(states); at++)
		go_on(states, at);
	for (unsigned i = 0; i < states->disk_count; i++) {
		block_unref(&states->disks[i]->block);
		lab_store_free(states->durable[i]);
	}
}

uint64_t *lab_states_pending(const struct lab_states *states, unsigned *kept, unsigned *count)
{
	uint64_t *numbers = calloc(states->pending_count + 1, sizeof(*numbers));
	unsigned left;

	if (!numbers)
		abort();
	*kept = 0;
	for (unsigned i = 0; i < states->pending_count; i++)
		*kept += states->kept[i];
	left = *kept;
	for (unsigned i = 0, at = 0; i < states->pending_count; i++)
		numbers[states->kept[i] ? at++ : left++] =
			states->trace->events[states->pending[i]].number;
	*count = states->pending_count;
	return numbers;
}
