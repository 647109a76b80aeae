/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vswitch/bond: a bond on several forwarding threads while links come and go, flap, and have hostile LACPDUs come in, and the bond's mode,
 * mirrors and rates change. It is ThreadSanitizer that judges (tests/thread_test.sh).
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/random.h"
#include "vswitch/bond.h"
#include "vswitch/internal.h"

#define LINKS    4
#define STATIONS 2
#define LONG     124 /* as long as a LACPDU is with its head */

/* A port that always has frames; of a link some are LACPDUs of anybody. */
struct busy_port {
	struct port port;
	bool is_link;
	uint64_t random;
	uint8_t bytes[PORT_BURST][LONG];
	struct iovec pieces[PORT_BURST];
	struct frame frames[PORT_BURST];
};

static uint64_t next_random(struct busy_port *busy)
{
	return random_mix(busy->random += 0x9e3779b97f4a7c15ULL);
}

/* Now in step, then not; of one of two systems, or one that nobody has seen yet; and markers. */
static void make_slow(struct busy_port *busy, uint8_t *bytes)
{
	uint64_t random = next_random(busy);
	struct lacp_pdu pdu = {
		.actor = { .system_priority = 1,
			   .system = 0x0200000000f0ULL + (random & 1),
			   .key = (uint16_t)(1 + (random >> 1 & 1)),
			   .port = (uint16_t)(busy->port.index + 1),
			   .state = (uint8_t)(random >> 8) },
		.partner = { .system_priority = BOND_PRIORITY,
			     .system = busy->port.vswitch->mac,
			     .state = (uint8_t)(random >> 16) },
	};

	lacp_pdu_encode(&pdu, bytes + VIRTIO_NET_FRAME_MIN);
	mac_to_bytes(SLOW_GROUP, bytes);
	put_be16(bytes + VLAN_AT, SLOW_TYPE);
	if ((random >> 24 & 7) == 0)
		bytes[VIRTIO_NET_FRAME_MIN] = SLOW_MARKER;
	if ((random >> 24 & 7) == 1)
		bytes[VIRTIO_NET_FRAME_MIN + (random >> 32) % 110] ^= (uint8_t)(random >> 40);
}

static unsigned busy_receive(struct port *port, struct frame **frames, unsigned max)
{
	struct busy_port *busy = container_of(port, struct busy_port, port);

	for (unsigned i = 0; i < max; i++) {
		uint64_t random = next_random(busy);
		uint8_t *bytes = busy->bytes[i];

		/* To all now and then; stations are behind the links and at the others. */
		memset(bytes, 0, LONG);
		mac_to_bytes((random & 15) ? 0x020000000000ULL + (random >> 8) % 24
					   : 0xffffffffffffULL,
			     bytes);
		mac_to_bytes(0x020000000000ULL + (random >> 16) % 12 + (busy->is_link ? 12 : 0),
			     bytes + 6);
		if (busy->is_link && i == 3)
			make_slow(busy, bytes);
		busy->pieces[i] = (struct iovec){ bytes, LONG };
		busy->frames[i] =
			(struct frame){ .pieces = &busy->pieces[i], .count = 1, .length = LONG };
		frames[i] = &busy->frames[i];
	}
	/* The cable is in and out. */
	if (busy->is_link && !(next_random(busy) & 255))
		port_set_up(port, !port_is_up(port));
	return port_is_up(port) ? max : 0;
}

static unsigned busy_transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		port_count_tx(port, frames[i]);
	return count;
}

static void stays(struct port *port)
{
	(void)port;
}

static const struct port_ops busy_ops = { .type = "busy",
					  .polled = true,
					  .receive = busy_receive,
					  .release = stays,
					  .transmit = busy_transmit,
					  .destroy = stays };

static void add_busy(struct vswitch *vswitch, struct busy_port *busy, const char *name,
		     bool is_link)
{
	uint64_t random = busy->random + 1;

	*busy = (struct busy_port){ .port = { .ops = &busy_ops, .up = true },
				    .is_link = is_link,
				    .random = random };
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port(vswitch, &busy->port, name, NULL), 0);
}

static void set_words(struct vswitch *vswitch, const char *port, const char *words)
{
	struct port_config config = { 0 };
	char copy[100], *rest = copy, *word;

	strcpy(copy, words);
	while ((word = strsep(&rest, ",")))
		CU_ASSERT_EQUAL_FATAL(port_config_set(&config, word, NULL), 0);
	vswitch_set_port(vswitch, port, &config, NULL); /* a link that a mirror has may not */
}

static void change_mirror(struct vswitch *vswitch, unsigned step)
{
	struct port_mirror_options mirror = { .name = "m", .source_count = 1 };

	vswitch_remove_mirror(vswitch, "m", NULL);
	if (step % 3 == 0)
		return;
	strcpy(mirror.to, step % 3 == 1 ? "b" : "s1");
	strcpy(mirror.sources[0].port, step % 3 == 1 ? "s0" : "b");
	mirror.sources[0].ways = PORT_BOTH_WAYS;
	CU_ASSERT_EQUAL(vswitch_add_mirror(vswitch, &mirror, NULL), 0);
}

static void look(struct vswitch *vswitch)
{
	struct vswitch_bond_status *status;

	CU_ASSERT_EQUAL_FATAL(vswitch_bond_status(vswitch, &status), 0);
	CU_ASSERT_EQUAL_FATAL(status->count, 1);
	CU_ASSERT_TRUE(status->bonds[0].link_count <= LINKS);
	vswitch_bond_status_free(status);
}

static void change(struct vswitch *vswitch, struct busy_port links[LINKS], unsigned step)
{
	static const char *const modes[] = { "bond-mode=static", "bond-rate=fast,bond-fallback=yes",
					     "bond-mode=active-backup,bond-primary=l1",
					     "bond-min-links=2,isolate=1" };
	char name[] = "l0";
	unsigned at = step % LINKS;

	name[1] = (char)('0' + at);
	switch (step % 5) {
	case 0:
		set_words(vswitch, name, "bond=none");
		break;
	case 1:
		CU_ASSERT_EQUAL(vswitch_remove_port(vswitch, name, NULL), 0);
		add_busy(vswitch, &links[at], name, true);
		break;
	case 2:
		set_words(vswitch, "b", modes[step / 5 % ARRAY_SIZE(modes)]);
		break;
	case 3:
		change_mirror(vswitch, step / 5);
		break;
	default:
		set_words(vswitch, name, "bond=b,police-in=10M/1M");
		break;
	}
	for (unsigned i = 0; step % 5 == 4 && i < LINKS; i++) {
		name[1] = (char)('0' + i);
		set_words(vswitch, name, "bond=b");
	}
}

static bool stations_were_served(struct vswitch *vswitch)
{
	struct vswitch_status *status;
	bool served = true;

	CU_ASSERT_EQUAL_FATAL(vswitch_status(vswitch, &status), 0);
	for (unsigned i = 0; i < status->port_count; i++)
		if (status->ports[i].name[0] == 's')
			served &= status->ports[i].counters.rx_frames &&
				  status->ports[i].counters.tx_frames;
	vswitch_status_free(status);
	return served;
}

static void test_links_come_and_go_while_threads_forward(void)
{
	static struct busy_port links[LINKS], stations[STATIONS];
	struct vswitch_options options = { .seed = 1, .threads = 3 };
	struct vswitch *vswitch;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_bond(vswitch, "b", NULL, NULL), 0);
	for (unsigned i = 0; i < LINKS + STATIONS; i++) {
		char name[] = { i < LINKS ? 'l' : 's', (char)('0' + (i < LINKS ? i : i - LINKS)),
				'\0' };

		add_busy(vswitch, i < LINKS ? &links[i] : &stations[i - LINKS], name, i < LINKS);
		if (i < LINKS)
			set_words(vswitch, name, "bond=b");
	}
	CU_ASSERT_EQUAL_FATAL(vswitch_start(vswitch, NULL), 0);
	for (unsigned step = 0; step < 100; step++) {
		change(vswitch, links, step);
		look(vswitch);
		usleep(500);
	}
	/* For however long the machine takes. */
	for (unsigned i = 0; i < 60000 && !stations_were_served(vswitch); i++)
		usleep(1000);
	CU_ASSERT_TRUE(stations_were_served(vswitch));
	vswitch_stop(vswitch);
	vswitch_destroy(vswitch);
}

UNIT_MAIN("bond_threads", UNIT(test_links_come_and_go_while_threads_forward))
