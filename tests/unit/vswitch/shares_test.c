/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: who has the room of a receiver that gives back many buffers at once. */
#include "unit.h"

#include <string.h>

#include "util/bytes.h"
#include "vswitch/shares.h"

#define RING   256u
#define ROUNDS 40000u
#define WARM   4000u

/* What asks for `asks` buffers in a thousand rounds; each is refused where there is no room, or not for it. */
struct source {
	unsigned asks;
	unsigned due;
	uint64_t asked, had;
};

struct receiver {
	unsigned takes; /* in a thousand rounds */
	unsigned at_once;
	unsigned due, used;
	uint64_t taken;
};

static void take(struct receiver *receiver)
{
	for (receiver->due += receiver->takes; receiver->due >= 1000 * receiver->at_once;
	     receiver->due -= 1000 * receiver->at_once) {
		receiver->taken += MIN(receiver->used, receiver->at_once);
		receiver->used -= MIN(receiver->used, receiver->at_once);
	}
}

/* The sources in their order: turns are another's. */
static void run(struct receiver *receiver, struct source *sources, unsigned count)
{
	struct shares shares = { 0 };

	for (unsigned round = 0; round < ROUNDS; round++) {
		if (round == WARM) {
			receiver->taken = 0;
			for (unsigned i = 0; i < count; i++)
				sources[i].asked = sources[i].had = 0;
		}
		take(receiver);
		shares_begin_round(&shares, RING - receiver->used);
		for (unsigned i = 0; i < count; i++) {
			struct source *source = &sources[(round + i) % count];

			for (source->due += source->asks; source->due >= 1000;
			     source->due -= 1000) {
				source->asked++;
				if (!shares_allow(&shares, (unsigned)(source - sources) * 50, 1) ||
				    receiver->used == RING)
					continue;
				receiver->used++;
				source->had++;
				shares_given(&shares, 1);
			}
		}
	}
}

/* Who asks for less than half of it has all of that beside a flood, however many buffers come at once; and the receiver has all that it can take. */
static void test_beside_a_flood(void)
{
	static const unsigned bursts[] = { 1, 32, 64, 128 };

	for (unsigned i = 0; i < ARRAY_SIZE(bursts); i++) {
		struct source sources[] = { { .asks = 32000 }, { .asks = 900 } };
		struct receiver receiver = { .takes = 3000, .at_once = bursts[i] };

		run(&receiver, sources, 2);
		CU_ASSERT_TRUE(sources[1].had * 100 >= sources[1].asked * 99);
		CU_ASSERT_TRUE(receiver.taken * 1000 >= (ROUNDS - WARM) * 3000ull * 98 / 100);
	}
}

/* What one does not ask for is the others', who have alike of it. */
static void test_shares_are_fair(void)
{
	struct source sources[] = {
		{ .asks = 32000 }, { .asks = 500 }, { .asks = 8000 }, { .asks = 20000 }
	};
	struct receiver receiver = { .takes = 5000, .at_once = 64 };
	uint64_t fair = (ROUNDS - WARM) * 1500ull / 1000;

	run(&receiver, sources, 4);
	CU_ASSERT_TRUE(sources[1].had * 100 >= sources[1].asked * 99);
	CU_ASSERT_TRUE(sources[0].had + sources[2].had + sources[3].had >= fair * 3 * 98 / 100);
	CU_ASSERT_TRUE(receiver.taken * 1000 >= (ROUNDS - WARM) * 5000ull * 98 / 100);
}

/* One alone has all of it, and so have those who ask for less than there is. */
static void test_nobody_is_held_back_for_nothing(void)
{
	struct source alone[] = { { .asks = 32000 } };
	struct source modest[] = { { .asks = 900 }, { .asks = 1900 } };
	struct receiver receiver = { .takes = 3000, .at_once = 64 }, other = receiver;

	run(&receiver, alone, 1);
	CU_ASSERT_TRUE(alone[0].had * 1000 >= (ROUNDS - WARM) * 3000ull * 99 / 100);
	run(&other, modest, 2);
	CU_ASSERT_EQUAL(modest[0].had, modest[0].asked);
	CU_ASSERT_EQUAL(modest[1].had, modest[1].asked);
}

/* A flood that has become modest is taken for that, and the other way round. */
static void test_who_floods_changes(void)
{
	struct shares shares = { 0 };

	for (unsigned time = 0; time < 2; time++) {
		unsigned flood = time ? 7 : 3, other = time ? 3 : 7;

		for (unsigned round = 0; round < 200; round++) {
			unsigned room = 16;

			shares_begin_round(&shares, room);
			for (unsigned i = 0; i < 33; i++)
				if (shares_allow(&shares, i ? flood : other, 1) && room) {
					shares_given(&shares, 1);
					room--;
				}
		}
		CU_ASSERT_TRUE(shares.greedy[flood]);
		CU_ASSERT_FALSE(shares.greedy[other]);
	}
}

UNIT_MAIN("shares", UNIT(test_beside_a_flood), UNIT(test_shares_are_fair),
	  UNIT(test_nobody_is_held_back_for_nothing), UNIT(test_who_floods_changes))
