/* SPDX-License-Identifier: BSD-2-Clause */
/* See turns.h. */
#include "vswitch/turns.h"

#include <string.h>

#include "util/random.h"

#define BUFFER 1536u /* about what receivers have frames in */
#define TURNS  1024u /* that are told apart; who has more in a round has the last */

void turns_forgive(struct vswitch_thread *thread)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < thread->awake_count; i++)
		if (thread->awake[i]->debt >= TURN_COST)
			least = MIN(least, thread->awake[i]->debt);
	for (unsigned i = 0; i < thread->awake_count; i++)
		thread->awake[i]->debt -= MIN(thread->awake[i]->debt, least);
}

/* The turn of each entry, and in begin[turn + 1] how many have it. Returns the last. */
static unsigned find_turns(const struct egress *egress, uint16_t turn[EGRESS_ROOM],
			   uint16_t begin[TURNS + 1])
{
	uint16_t had[VSWITCH_PORTS_MAX] = { 0 };
	unsigned last = 0;

	for (unsigned i = 0; i < egress->count; i++) {
		const struct egress_entry *entry = &egress->entries[i];
		uint16_t *next = &had[entry->source];

		turn[i] = *next;
		*next = (uint16_t)MIN(*next + 1 + entry->frame->length / BUFFER, TURNS - 1);
		begin[turn[i] + 1]++;
		last = MAX(last, (unsigned)turn[i]);
	}
	return last;
}

void turns_at_receiver(struct vswitch_thread *thread, struct egress *egress)
{
	struct egress_entry in_turn[EGRESS_ROOM];
	uint16_t turn[EGRESS_ROOM], begin[TURNS + 1] = { 0 }, place[TURNS];
	uint32_t lot = (uint32_t)random_mix(thread->rounds);
	unsigned last = find_turns(egress, turn, begin);

	for (unsigned i = 0; i <= last; i++) {
		unsigned sources = begin[i + 1];

		/* In the last one a source may have several, which keep their order. */
		place[i] = begin[i] + (uint16_t)(sources && i < TURNS - 1 ? lot % sources : 0);
		begin[i + 1] += begin[i];
	}
	for (unsigned i = 0; i < egress->count; i++) {
		unsigned now = turn[i];

		in_turn[place[now]++] = egress->entries[i];
		if (place[now] == begin[now + 1])
			place[now] = begin[now];
	}
	memcpy(egress->entries, in_turn, egress->count * sizeof(in_turn[0]));
	thread->crowded = true;
}
