/* SPDX-License-Identifier: BSD-2-Clause */
/* A port that floods another takes nothing from who sends that one less than its share. */
#include "unit.h"

#include <stdlib.h>

#include "util/bytes.h"
#include "vswitch/switch.h"

#define ROUNDS 2000
#define LENGTH 60

/* Sends so many frames in each round, or takes so many. */
struct paced_port {
	struct port port;
	unsigned sends, takes;
	unsigned room; /* in this round */
	uint8_t bytes[LENGTH];
	uint32_t next; /* frame of its own */
	struct frame frames[PORT_BURST];
	struct iovec pieces[PORT_BURST];
	uint8_t copies[PORT_BURST][LENGTH];
	uint64_t got[256]; /* by the last byte of the sender's address */
	uint32_t last[256];
	unsigned disordered;
};

static struct paced_port *paced_of(struct port *port)
{
	return container_of(port, struct paced_port, port);
}

static unsigned receive(struct port *port, struct frame **frames, unsigned max)
{
	struct paced_port *paced = paced_of(port);
	unsigned count = MIN(paced->sends, max);

	paced->room = paced->takes;
	for (unsigned i = 0; i < count; i++) {
		memcpy(paced->copies[i], paced->bytes, LENGTH);
		put_be32(paced->copies[i] + 20, ++paced->next);
		paced->pieces[i] = (struct iovec){ paced->copies[i], LENGTH };
		paced->frames[i] =
			(struct frame){ .pieces = &paced->pieces[i], .count = 1, .length = LENGTH };
		frames[i] = &paced->frames[i];
	}
	return count;
}

static void release(struct port *port)
{
	(void)port;
}

static unsigned transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	struct paced_port *paced = paced_of(port);
	unsigned taken = MIN(count, paced->room);

	for (unsigned i = 0; i < taken; i++) {
		const uint8_t *bytes = frames[i]->pieces[0].iov_base;
		uint32_t number = get_be32(bytes + 20);

		paced->got[bytes[11]]++;
		paced->disordered += number <= paced->last[bytes[11]];
		paced->last[bytes[11]] = number;
	}
	paced->room -= taken;
	return taken;
}

static void destroy(struct port *port)
{
	free(paced_of(port));
}

static const struct port_ops ops = { .type = "paced",
				     .receive = receive,
				     .release = release,
				     .transmit = transmit,
				     .destroy = destroy };

static struct paced_port *add(struct vswitch *vswitch, const char *name, uint8_t address,
			      unsigned sends, unsigned takes)
{
	struct paced_port *paced = calloc(1, sizeof(*paced));
	static const uint8_t head[12] = { 2, 0, 0, 0, 0, 'r', 2 };

	paced->port.ops = &ops;
	paced->port.up = true;
	paced->sends = sends;
	paced->takes = takes;
	memcpy(paced->bytes, head, sizeof(head));
	paced->bytes[11] = address;
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port(vswitch, &paced->port, name, NULL), 0);
	return paced;
}

/* The flood begins before the others in each round, so that it would have all. */
static void test_a_flood_costs_a_neighbour_nothing(void)
{
	struct vswitch_options options = { .seed = 1 };
	struct paced_port *receiver;
	struct vswitch *vswitch;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	add(vswitch, "flood", 'f', PORT_BURST, 0);
	add(vswitch, "neighbour", 'n', 2, 0);
	add(vswitch, "other", 'o', 1, 0);
	receiver = add(vswitch, "receiver", 'r', 0, 8);
	/* Where it is. */
	CU_ASSERT_EQUAL(vswitch_add_address(vswitch, 0, 0x020000000072, "receiver", NULL), 0);
	for (unsigned i = 0; i < ROUNDS; i++)
		vswitch_round(vswitch);
	/* All but what the first round cost, in which nobody knew that there is no room. */
	CU_ASSERT_TRUE(receiver->got['n'] >= 2 * (ROUNDS - 1));
	CU_ASSERT_TRUE(receiver->got['o'] >= ROUNDS - 1);
	/* And the flood has what is left. */
	CU_ASSERT_EQUAL(receiver->got['f'], 8 * ROUNDS - receiver->got['n'] - receiver->got['o']);
	CU_ASSERT_EQUAL(receiver->disordered, 0);
	vswitch_destroy(vswitch);
}

/* Two that both want more than there is have the same. */
static void test_two_floods_share(void)
{
	struct vswitch_options options = { .seed = 1 };
	struct paced_port *receiver;
	struct vswitch *vswitch;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	add(vswitch, "a", 'a', PORT_BURST, 0);
	add(vswitch, "b", 'b', PORT_BURST, 0);
	receiver = add(vswitch, "receiver", 'r', 0, 8);
	CU_ASSERT_EQUAL(vswitch_add_address(vswitch, 0, 0x020000000072, "receiver", NULL), 0);
	for (unsigned i = 0; i < ROUNDS; i++)
		vswitch_round(vswitch);
	CU_ASSERT_EQUAL(receiver->got['a'] + receiver->got['b'], 8 * ROUNDS);
	CU_ASSERT_TRUE(receiver->got['a'] - receiver->got['b'] <= 16);
	CU_ASSERT_EQUAL(receiver->disordered, 0);
	vswitch_destroy(vswitch);
}

/* Rounds are short, and a guest gives back one buffer at a time: it is not always the first one's. */
static void test_little_room_is_shared_too(void)
{
	static const char names[] = { 'a', 'b', 'c' };

	for (unsigned takes = 1; takes <= 2; takes++) {
		struct vswitch_options options = { .seed = 1 };
		struct paced_port *receiver;
		struct vswitch *vswitch;

		CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
		for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
			add(vswitch, (char[]){ names[i], 0 }, (uint8_t)names[i], 4, 0);
		receiver = add(vswitch, "receiver", 'r', 0, takes);
		CU_ASSERT_EQUAL(vswitch_add_address(vswitch, 0, 0x020000000072, "receiver", NULL),
				0);
		for (unsigned i = 0; i < ROUNDS; i++)
			vswitch_round(vswitch);
		for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
			CU_ASSERT_TRUE(receiver->got[(uint8_t)names[i]] > ROUNDS * takes / 4);
		CU_ASSERT_EQUAL(receiver->disordered, 0);
		vswitch_destroy(vswitch);
	}
}

UNIT_MAIN("fair", UNIT(test_a_flood_costs_a_neighbour_nothing), UNIT(test_two_floods_share),
	  UNIT(test_little_room_is_shared_too))
