/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch/lacp: the machines of link aggregation, two systems and cables between them, in virtual time. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "vswitch/lacp.h"

#define LINKS  4
#define SECOND LACP_SECOND
#define MS     1000000ULL

struct end {
	struct lacp lacp;
	struct lacp_link links[LINKS];
	struct end *peer[LINKS]; /* where the cable goes; NULL: nowhere */
	unsigned peer_link[LINKS];
	unsigned sent[LINKS], changes, answers;
	uint8_t last[LINKS][LACP_PDU_LEN];
};

struct message {
	struct end *to;
	unsigned link;
	uint8_t bytes[LACP_PDU_LEN];
};

static uint64_t now;
static struct message wire[256];
static unsigned wire_count;

static void send(struct lacp *lacp, struct lacp_link *link, const uint8_t bytes[LACP_PDU_LEN])
{
	struct end *end = container_of(lacp, struct end, lacp);
	unsigned number = (unsigned)(link - end->links);

	end->sent[number] += bytes[0] == SLOW_LACP;
	end->answers += bytes[0] == SLOW_MARKER;
	memcpy(end->last[number], bytes, LACP_PDU_LEN);
	CU_ASSERT_TRUE_FATAL(wire_count < ARRAY_SIZE(wire));
	if (!end->peer[number])
		return;
	wire[wire_count] =
		(struct message){ .to = end->peer[number], .link = end->peer_link[number] };
	memcpy(wire[wire_count++].bytes, bytes, LACP_PDU_LEN);
}

static void changed(struct lacp *lacp)
{
	container_of(lacp, struct end, lacp)->changes++;
}

static const struct lacp_ops ops = { send, changed };

static void deliver(void)
{
	while (wire_count) {
		struct message first = wire[0];

		memmove(wire, wire + 1, --wire_count * sizeof(wire[0]));
		lacp_receive(&first.to->lacp, &first.to->links[first.link], first.bytes,
			     LACP_PDU_LEN, now);
	}
}

static void run_until(struct end **ends, unsigned count, uint64_t until)
{
	for (;;) {
		uint64_t next = UINT64_MAX;

		deliver();
		for (unsigned i = 0; i < count; i++)
			next = MIN(next, lacp_next(&ends[i]->lacp));
		if (next > until)
			break;
		CU_ASSERT_TRUE_FATAL(next >= now || !next);
		now = MAX(now, next);
		for (unsigned i = 0; i < count; i++)
			lacp_run(&ends[i]->lacp, now);
	}
	now = until;
}

static struct end *make_end(uint64_t system, const struct lacp_config *with, unsigned links)
{
	struct end *end = calloc(1, sizeof(*end));
	struct lacp_config config = with ? *with : (struct lacp_config){ 0 };

	CU_ASSERT_PTR_NOT_NULL_FATAL(end);
	config.system = system;
	config.system_priority = config.system_priority ? config.system_priority : 32768;
	config.key = config.key ? config.key : 7;
	lacp_init(&end->lacp, &ops, &config, now);
	for (unsigned i = 0; i < links; i++)
		lacp_add(&end->lacp, &end->links[i], (uint16_t)(i + 1), 32768, now);
	return end;
}

static void cable(struct end *a, unsigned a_link, struct end *b, unsigned b_link)
{
	a->peer[a_link] = b;
	a->peer_link[a_link] = b_link;
	b->peer[b_link] = a;
	b->peer_link[b_link] = a_link;
}

static void all_up(struct end *end, unsigned links)
{
	for (unsigned i = 0; i < links; i++)
		lacp_link_up(&end->lacp, &end->links[i], true, now);
}

static unsigned carrying(const struct end *end)
{
	unsigned count = 0;

	for (unsigned i = 0; i < LINKS; i++)
		count += end->links[i].mux == LACP_CARRYING;
	return count;
}

static void begin(void)
{
	now = 1000 * SECOND;
	wire_count = 0;
}

/* ---- The format ---- */

/* As figure 6-7 has it; the values are such as Linux's bonding sends. */
static const uint8_t vector[LACP_PDU_LEN] = {
	0x01, 0x01,                         /* LACP, version 1 */
	0x01, 0x14, 0xff, 0xff,             /* actor, system priority */
	0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, /* system */
	0x00, 0x0f, 0x00, 0xff, 0x00, 0x01, /* key, port priority, port */
	0x3d, 0x00, 0x00, 0x00,             /* state */
	0x02, 0x14, 0x80, 0x00,             /* partner */
	0x02, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x00, 0x07, 0x80, 0x00,
	0x00, 0x02, 0x3f, 0x00, 0x00, 0x00, 0x03, 0x10, 0x00, 0x05, /* collector, its delay */
};

static void test_pdu_is_as_the_standard_has_it(void)
{
	struct lacp_pdu pdu;
	uint8_t bytes[LACP_PDU_LEN];
	char text[LACP_STATE_TEXT];

	CU_ASSERT_TRUE_FATAL(lacp_pdu_decode(&pdu, vector, sizeof(vector)));
	CU_ASSERT_EQUAL(pdu.actor.system_priority, 65535);
	CU_ASSERT_EQUAL(pdu.actor.system, 0x02000000000a);
	CU_ASSERT_EQUAL(pdu.actor.key, 15);
	CU_ASSERT_EQUAL(pdu.actor.port_priority, 255);
	CU_ASSERT_EQUAL(pdu.actor.port, 1);
	CU_ASSERT_STRING_EQUAL(lacp_state_text(pdu.actor.state, text),
			       "activity,aggregation,synchronization,collecting,distributing");
	CU_ASSERT_EQUAL(pdu.partner.system, 0x02000000000b);
	CU_ASSERT_EQUAL(pdu.partner.port, 2);
	CU_ASSERT_EQUAL(pdu.partner.state, 0x3f);
	CU_ASSERT_EQUAL(pdu.collector_delay, 5);
	lacp_pdu_encode(&pdu, bytes);
	CU_ASSERT_EQUAL(memcmp(bytes, vector, sizeof(bytes)), 0);
}

static void test_what_is_no_pdu_is_refused(void)
{
	static const struct {
		unsigned at;
		uint8_t is;
	} wrong[] = { { 0, 2 },  { 0, 3 },  { 1, 0 },  { 2, 2 },  { 3, 19 },
		      { 22, 1 }, { 23, 0 }, { 42, 4 }, { 43, 15 } };
	struct lacp_pdu pdu;
	uint8_t bytes[LACP_PDU_LEN];

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		memcpy(bytes, vector, sizeof(bytes));
		bytes[wrong[i].at] = wrong[i].is;
		CU_ASSERT_FALSE(lacp_pdu_decode(&pdu, bytes, sizeof(bytes)));
	}
	CU_ASSERT_FALSE(lacp_pdu_decode(&pdu, vector, LACP_PDU_LEN - 1));
	/* A later version has more, behind these. */
	memcpy(bytes, vector, sizeof(bytes));
	bytes[1] = 2;
	CU_ASSERT_TRUE(lacp_pdu_decode(&pdu, bytes, sizeof(bytes)));
}

static void test_markers_are_answered_but_not_too_many(void)
{
	struct end *end;
	uint8_t marker[LACP_PDU_LEN] = { SLOW_MARKER, 1, 1, 16, 0,    3,    2,    0,
					 0,           0, 0, 9,  0xde, 0xad, 0xbe, 0xef };

	begin();
	end = make_end(0x0a, NULL, 1);
	all_up(end, 1);
	lacp_receive(&end->lacp, &end->links[0], marker, sizeof(marker), now);
	CU_ASSERT_EQUAL(end->answers, 1);
	CU_ASSERT_EQUAL(end->last[0][2], 2);
	CU_ASSERT_EQUAL(memcmp(end->last[0] + 3, marker + 3, sizeof(marker) - 3), 0);
	/* An answer is not answered. */
	marker[2] = 2;
	lacp_receive(&end->lacp, &end->links[0], marker, sizeof(marker), now);
	CU_ASSERT_EQUAL(end->answers, 1);
	CU_ASSERT_EQUAL(end->links[0].counters.rx_bad, 1);
	marker[2] = 1;
	for (unsigned i = 0; i < 100; i++)
		lacp_receive(&end->lacp, &end->links[0], marker, sizeof(marker), now);
	CU_ASSERT_EQUAL(end->answers, LACP_MARKERS_MOST);
	now += SECOND;
	lacp_receive(&end->lacp, &end->links[0], marker, sizeof(marker), now);
	CU_ASSERT_EQUAL(end->answers, LACP_MARKERS_MOST + 1);
	free(end);
}

/* ---- Two systems ---- */

static void test_two_systems_aggregate(void)
{
	struct end *ends[2];

	begin();
	ends[0] = make_end(0x0a, &(struct lacp_config){ .fast = true }, 2);
	ends[1] = make_end(0x0b, &(struct lacp_config){ .fast = true }, 2);
	cable(ends[0], 0, ends[1], 0);
	cable(ends[0], 1, ends[1], 1);
	all_up(ends[0], 2);
	all_up(ends[1], 2);
	run_until(ends, 2, now + LACP_WAIT - MS);
	/* They wait for others that may come along (6.4.15). */
	CU_ASSERT_EQUAL(carrying(ends[0]), 0);
	CU_ASSERT_EQUAL(ends[0]->links[0].mux, LACP_WAITING);
	run_until(ends, 2, now + 10 * MS);
	CU_ASSERT_EQUAL(carrying(ends[0]), 2);
	CU_ASSERT_EQUAL(carrying(ends[1]), 2);
	CU_ASSERT_EQUAL(ends[0]->links[0].actor.state, 0x3f);
	CU_ASSERT_EQUAL(ends[0]->links[0].partner.state, 0x3f);
	CU_ASSERT_EQUAL(ends[0]->lacp.partner.system, 0x0b);
	/* One a second, and no more. */
	memset(ends[0]->sent, 0, sizeof(ends[0]->sent));
	run_until(ends, 2, now + 10 * SECOND);
	CU_ASSERT_EQUAL(ends[0]->sent[0], 10);
	CU_ASSERT_EQUAL(carrying(ends[0]), 2);
	free(ends[0]);
	free(ends[1]);
}

static void test_slow_partners_are_told_slowly(void)
{
	struct end *ends[2];

	begin();
	ends[0] = make_end(0x0a, NULL, 1);
	ends[1] = make_end(0x0b, &(struct lacp_config){ .passive = true }, 1);
	cable(ends[0], 0, ends[1], 0);
	all_up(ends[0], 1);
	all_up(ends[1], 1);
	run_until(ends, 2, now + 10 * SECOND);
	CU_ASSERT_EQUAL(carrying(ends[0]), 1);
	CU_ASSERT_EQUAL(carrying(ends[1]), 1);
	memset(ends[0]->sent, 0, sizeof(ends[0]->sent));
	run_until(ends, 2, now + 300 * SECOND);
	CU_ASSERT_EQUAL(ends[0]->sent[0], 10);
	/* Who wants them fast from now on has them at once. */
	lacp_set(&ends[1]->lacp,
		 &(struct lacp_config){
			 .system = 0x0b, .system_priority = 32768, .key = 7, .fast = true },
		 now);
	memset(ends[0]->sent, 0, sizeof(ends[0]->sent));
	run_until(ends, 2, now + 10 * SECOND);
	CU_ASSERT_TRUE(ends[0]->sent[0] >= 10 && ends[0]->sent[0] <= 12);
	CU_ASSERT_EQUAL(carrying(ends[0]), 1);
	free(ends[0]);
	free(ends[1]);
}

static void test_two_passive_ends_stay_silent(void)
{
	struct lacp_config passive = { .passive = true };
	struct end *ends[2];

	begin();
	ends[0] = make_end(0x0a, &passive, 1);
	ends[1] = make_end(0x0b, &passive, 1);
	cable(ends[0], 0, ends[1], 0);
	all_up(ends[0], 1);
	all_up(ends[1], 1);
	run_until(ends, 2, now + 100 * SECOND);
	CU_ASSERT_EQUAL(ends[0]->sent[0] + ends[1]->sent[0], 0);
	CU_ASSERT_EQUAL(carrying(ends[0]), 0);
	CU_ASSERT_EQUAL(ends[0]->links[0].receive, LACP_RX_DEFAULTED);
	free(ends[0]);
	free(ends[1]);
}

/* Receive machine (figure 6-18): current, expired, defaulted, by its timers. */
static void test_a_silent_partner_expires_then_defaults(void)
{
	struct end *ends[2];
	struct lacp_link *link;

	begin();
	ends[0] = make_end(0x0a, &(struct lacp_config){ .fast = true }, 2);
	ends[1] = make_end(0x0b, NULL, 2);
	cable(ends[0], 0, ends[1], 0);
	cable(ends[0], 1, ends[1], 1);
	all_up(ends[0], 2);
	all_up(ends[1], 2);
	run_until(ends, 2, now + 5500 * MS);
	CU_ASSERT_EQUAL_FATAL(carrying(ends[0]), 2);
	/* One cable is cut, and nobody's link goes down. */
	ends[0]->peer[0] = ends[1]->peer[0] = NULL;
	link = &ends[0]->links[0];
	run_until(ends, 2, now + 2900 * MS);
	CU_ASSERT_EQUAL(carrying(ends[0]), link->receive == LACP_RX_CURRENT ? 2 : 1);
	run_until(ends, 2, now + 200 * MS);
	CU_ASSERT_EQUAL(link->receive, LACP_RX_EXPIRED);
	CU_ASSERT_EQUAL(link->mux, LACP_ATTACHED);
	CU_ASSERT_TRUE(link->actor.state & LACP_EXPIRED);
	CU_ASSERT_FALSE(link->partner.state & LACP_SYNCHRONIZATION);
	CU_ASSERT_TRUE(link->partner.state & LACP_SHORT_TIMEOUT);
	CU_ASSERT_EQUAL(carrying(ends[0]), 1);
	run_until(ends, 2, now + LACP_SHORT);
	CU_ASSERT_EQUAL(link->receive, LACP_RX_DEFAULTED);
	CU_ASSERT_TRUE(link->actor.state & LACP_DEFAULTED);
	CU_ASSERT_FALSE(link->actor.state & LACP_EXPIRED);
	CU_ASSERT_EQUAL(link->mux, LACP_DETACHED);
	CU_ASSERT_EQUAL(carrying(ends[0]), 1);
	/* It comes back, to the same aggregate. */
	cable(ends[0], 0, ends[1], 0);
	run_until(ends, 2, now + 35 * SECOND);
	CU_ASSERT_EQUAL(carrying(ends[0]), 2);
	CU_ASSERT_EQUAL(carrying(ends[1]), 2);
	free(ends[0]);
	free(ends[1]);
}

static void test_links_to_two_partners_do_not_go_together(void)
{
	struct end *ends[3];

	begin();
	ends[0] = make_end(0x0a, &(struct lacp_config){ .fast = true }, 3);
	ends[1] = make_end(0x0b, &(struct lacp_config){ .fast = true }, 2);
	ends[2] = make_end(0x0c, &(struct lacp_config){ .fast = true }, 1);
	cable(ends[0], 0, ends[2], 0);
	cable(ends[0], 1, ends[1], 0);
	cable(ends[0], 2, ends[1], 1);
	for (unsigned i = 0; i < 3; i++)
		all_up(ends[i], 3 - i);
	run_until(ends, 3, now + 10 * SECOND);
	CU_ASSERT_EQUAL(carrying(ends[0]), ends[0]->lacp.partner.system == 0x0b ? 2 : 1);
	/* Who has been chosen stays, until it has no link. */
	if (ends[0]->lacp.partner.system == 0x0c)
		lacp_link_up(&ends[0]->lacp, &ends[0]->links[0], false, now);
	run_until(ends, 3, now + 10 * SECOND);
	CU_ASSERT_EQUAL(ends[0]->lacp.partner.system, 0x0b);
	CU_ASSERT_EQUAL(carrying(ends[0]), 2);
	lacp_link_up(&ends[0]->lacp, &ends[0]->links[0], true, now);
	run_until(ends, 3, now + 10 * SECOND);
	CU_ASSERT_EQUAL(carrying(ends[0]), 2);
	CU_ASSERT_FALSE(ends[0]->links[0].selected);
	/* The other end is not in step, and does not carry. */
	CU_ASSERT_EQUAL(carrying(ends[2]), 0);
	lacp_link_up(&ends[0]->lacp, &ends[0]->links[1], false, now);
	lacp_link_up(&ends[0]->lacp, &ends[0]->links[2], false, now);
	run_until(ends, 3, now + 10 * SECOND);
	CU_ASSERT_EQUAL(ends[0]->lacp.partner.system, 0x0c);
	CU_ASSERT_EQUAL(carrying(ends[0]), 1);
	CU_ASSERT_EQUAL(carrying(ends[2]), 1);
	for (unsigned i = 0; i < 3; i++)
		free(ends[i]);
}

static void test_a_link_moved_to_another_partner_leaves_first(void)
{
	struct end *ends[3];

	begin();
	ends[0] = make_end(0x0a, &(struct lacp_config){ .fast = true }, 2);
	ends[1] = make_end(0x0b, &(struct lacp_config){ .fast = true }, 2);
	ends[2] = make_end(0x0c, &(struct lacp_config){ .fast = true }, 2);
	cable(ends[0], 0, ends[1], 0);
	cable(ends[0], 1, ends[1], 1);
	for (unsigned i = 0; i < 3; i++)
		all_up(ends[i], 2);
	run_until(ends, 3, now + 10 * SECOND);
	CU_ASSERT_EQUAL_FATAL(carrying(ends[0]), 2);
	cable(ends[0], 1, ends[2], 1);
	run_until(ends, 3, now + 2 * SECOND);
	CU_ASSERT_EQUAL(ends[0]->links[1].partner.system, 0x0c);
	CU_ASSERT_EQUAL(ends[0]->links[1].mux, LACP_DETACHED);
	CU_ASSERT_EQUAL(carrying(ends[0]), 1);
	for (unsigned i = 0; i < 3; i++)
		free(ends[i]);
}

static void test_a_cable_between_two_of_its_own_links_carries_nothing(void)
{
	struct end *ends[1];

	begin();
	ends[0] = make_end(0x0a, &(struct lacp_config){ .fast = true, .fallback = true }, 2);
	cable(ends[0], 0, ends[0], 1);
	all_up(ends[0], 2);
	run_until(ends, 1, now + 20 * SECOND);
	CU_ASSERT_EQUAL(carrying(ends[0]), 0);
	free(ends[0]);
}

static void test_fallback_has_one_link_work_alone(void)
{
	struct end *ends[2];

	begin();
	ends[0] = make_end(0x0a, &(struct lacp_config){ .fallback = true }, 2);
	ends[1] = make_end(0x0b, NULL, 2);
	all_up(ends[0], 2);
	run_until(ends, 1, now + LACP_SHORT + LACP_WAIT + MS);
	CU_ASSERT_EQUAL(carrying(ends[0]), 1);
	CU_ASSERT_EQUAL(ends[0]->links[0].mux, LACP_CARRYING);
	lacp_link_up(&ends[0]->lacp, &ends[0]->links[0], false, now);
	run_until(ends, 1, now + LACP_WAIT + MS);
	CU_ASSERT_EQUAL(ends[0]->links[1].mux, LACP_CARRYING);
	/* Somebody who speaks goes before that. */
	lacp_link_up(&ends[0]->lacp, &ends[0]->links[0], true, now);
	cable(ends[0], 0, ends[1], 0);
	all_up(ends[1], 1);
	run_until(ends, 2, now + 10 * SECOND);
	CU_ASSERT_EQUAL(ends[0]->links[0].mux, LACP_CARRYING);
	CU_ASSERT_FALSE(ends[0]->links[1].selected);
	free(ends[0]);
	free(ends[1]);
}

static void test_an_individual_partner_gets_one_link(void)
{
	struct end *ends[1];
	struct lacp_pdu pdu;
	uint8_t bytes[LACP_PDU_LEN];

	begin();
	ends[0] = make_end(0x0a, NULL, 2);
	all_up(ends[0], 2);
	CU_ASSERT_TRUE(lacp_pdu_decode(&pdu, vector, sizeof(vector)));
	pdu.actor.state &= (uint8_t)~LACP_AGGREGATION;
	for (unsigned i = 0; i < 2; i++) {
		pdu.actor.port = (uint16_t)(1 + i);
		lacp_pdu_encode(&pdu, bytes);
		lacp_receive(&ends[0]->lacp, &ends[0]->links[i], bytes, sizeof(bytes), now);
	}
	run_until(ends, 1, now + 5 * SECOND);
	CU_ASSERT_EQUAL(carrying(ends[0]), 1);
	free(ends[0]);
}

/* Never more than three in a second, whatever comes (6.4.16). */
static void test_no_more_than_three_in_a_second(void)
{
	struct end *ends[1];
	uint8_t bytes[LACP_PDU_LEN];
	uint64_t until;

	begin();
	ends[0] = make_end(0x0a, NULL, 1);
	all_up(ends[0], 1);
	memcpy(bytes, vector, sizeof(bytes));
	for (until = now + 10 * SECOND; now < until; now += 10 * MS) {
		bytes[17]++; /* the port: it says something else each time */
		lacp_receive(&ends[0]->lacp, &ends[0]->links[0], bytes, sizeof(bytes), now);
		run_until(ends, 1, now);
	}
	CU_ASSERT_TRUE(ends[0]->sent[0] >= 25 && ends[0]->sent[0] <= 31);
	free(ends[0]);
}

static void test_churn_is_found_after_a_minute(void)
{
	struct end *ends[1];

	begin();
	ends[0] = make_end(0x0a, NULL, 1);
	all_up(ends[0], 1);
	run_until(ends, 1, now + LACP_CHURN - MS);
	CU_ASSERT_EQUAL(ends[0]->links[0].actor_churn.state, LACP_CHURN_WATCHED);
	run_until(ends, 1, now + 2 * MS);
	CU_ASSERT_EQUAL(ends[0]->links[0].actor_churn.state, LACP_CHURN_FOUND);
	CU_ASSERT_EQUAL(ends[0]->links[0].actor_churn.found, 1);
	free(ends[0]);
}

static void test_who_leaves_says_so(void)
{
	struct end *ends[2];

	begin();
	ends[0] = make_end(0x0a, NULL, 2);
	ends[1] = make_end(0x0b, NULL, 2);
	cable(ends[0], 0, ends[1], 0);
	cable(ends[0], 1, ends[1], 1);
	all_up(ends[0], 2);
	all_up(ends[1], 2);
	run_until(ends, 2, now + 10 * SECOND);
	CU_ASSERT_EQUAL_FATAL(carrying(ends[1]), 2);
	lacp_remove(&ends[0]->lacp, &ends[0]->links[0], now);
	deliver();
	CU_ASSERT_EQUAL(carrying(ends[1]), 1);
	CU_ASSERT_EQUAL(carrying(ends[0]), 1);
	free(ends[0]);
	free(ends[1]);
}

/* Cables that are cut and mended, links that go down, settings that change: when all is quiet both ends agree. */
static void test_random_events_end_in_agreement(void)
{
	uint32_t random = 12345;

	for (unsigned run = 0; run < 200; run++) {
		struct lacp_config a = { .fast = run & 1, .fallback = run & 8 },
				   b = { .fast = run & 2, .passive = run & 4 };
		struct end *ends[2];

		begin();
		ends[0] = make_end(0x0a, &a, LINKS);
		ends[1] = make_end(0x0b, &b, LINKS);
		for (unsigned step = 0; step < 40; step++) {
			unsigned link = (random = random * 1664525 + 1013904223) >> 30;
			struct end *end = ends[(random >> 20) & 1];

			switch ((random >> 10) % 4) {
			case 0:
				cable(ends[0], link, ends[1], link);
				break;
			case 1:
				ends[0]->peer[link] = ends[1]->peer[link] = NULL;
				break;
			default:
				lacp_link_up(&end->lacp, &end->links[link], (random >> 12) & 1,
					     now);
				break;
			}
			run_until(ends, 2, now + (random >> 16) % 5000 * MS);
		}
		for (unsigned i = 0; i < LINKS; i++)
			cable(ends[0], i, ends[1], i);
		all_up(ends[0], LINKS);
		all_up(ends[1], LINKS);
		run_until(ends, 2, now + 200 * SECOND);
		CU_ASSERT_EQUAL(carrying(ends[0]), LINKS);
		CU_ASSERT_EQUAL(carrying(ends[1]), LINKS);
		free(ends[0]);
		free(ends[1]);
	}
}

UNIT_MAIN("lacp", UNIT(test_pdu_is_as_the_standard_has_it), UNIT(test_what_is_no_pdu_is_refused),
	  UNIT(test_markers_are_answered_but_not_too_many), UNIT(test_two_systems_aggregate),
	  UNIT(test_slow_partners_are_told_slowly), UNIT(test_two_passive_ends_stay_silent),
	  UNIT(test_a_silent_partner_expires_then_defaults),
	  UNIT(test_links_to_two_partners_do_not_go_together),
	  UNIT(test_a_link_moved_to_another_partner_leaves_first),
	  UNIT(test_a_cable_between_two_of_its_own_links_carries_nothing),
	  UNIT(test_fallback_has_one_link_work_alone),
	  UNIT(test_an_individual_partner_gets_one_link), UNIT(test_no_more_than_three_in_a_second),
	  UNIT(test_churn_is_found_after_a_minute), UNIT(test_who_leaves_says_so),
	  UNIT(test_random_events_end_in_agreement))
