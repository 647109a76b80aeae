/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vswitch/stp: whole switches in a ring, on a virtual clock. Stations send broadcasts all the time: each comes to each other
 * station once at most, whatever links do; and how long none came is measured.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/snooping_protocol.h"
#include "vswitch/stp.h"
#include "vswitch/switch.h"

#define MS       1000000ULL
#define SECOND   (1000 * MS)
#define SWITCHES 4
#define ROOM     64
#define LONGEST  128
#define EVERY    (10 * MS) /* a broadcast of each station */
#define SENT_MAX 65536

/* A port with a cable to another one, or (without) with a station. */
struct cable {
	struct port port;
	struct cable *peer;
	unsigned in_count;
	uint16_t in_length[ROOM], held_length[ROOM];
	uint8_t in[ROOM][LONGEST], held[ROOM][LONGEST];
	struct iovec pieces[ROOM];
	struct frame frames[ROOM];
	uint8_t *seen;     /* of a station: how often each broadcast of the first one came */
	uint64_t received; /* when one did last */
	uint64_t silence;  /* the longest time without one */
	uint64_t bpdus, provider_bpdus;
	size_t heard_length; /* of the last one */
	uint8_t heard[LONGEST];
};

static uint64_t now;

static uint64_t test_clock(void *arg)
{
	(void)arg;
	return now;
}

static struct cable *cable_of(struct port *port)
{
	return container_of(port, struct cable, port);
}

static unsigned receive(struct port *port, struct frame **frames, unsigned max)
{
	struct cable *cable = cable_of(port);
	unsigned count = MIN(cable->in_count, max);

	memcpy(cable->held, cable->in, sizeof(cable->in));
	for (unsigned i = 0; i < count; i++) {
		cable->pieces[i] = (struct iovec){ cable->held[i], cable->in_length[i] };
		cable->frames[i] = (struct frame){ .pieces = &cable->pieces[i],
						   .count = 1,
						   .length = cable->in_length[i] };
		frames[i] = &cable->frames[i];
	}
	cable->in_count -= count;
	memmove(cable->in, cable->in + count, cable->in_count * sizeof(cable->in[0]));
	memmove(cable->in_length, cable->in_length + count, cable->in_count * sizeof(uint16_t));
	return count;
}

static void release(struct port *port)
{
	(void)port;
}

static void put_in(struct cable *cable, const uint8_t *bytes, size_t length)
{
	if (cable->in_count == ROOM) /* a storm: it will be seen */
		return;
	cable->in_length[cable->in_count] = (uint16_t)length;
	memcpy(cable->in[cable->in_count++], bytes, length);
}

static void hear(struct cable *station, const uint8_t *bytes, size_t length)
{
	if (get_be16(bytes + 12) != 0x88b5) {
		station->bpdus += bytes[0] == 1 && bytes[5] == 0;
		station->provider_bpdus += bytes[0] == 1 && bytes[5] == 8;
		station->heard_length = length;
		memcpy(station->heard, bytes, length);
		return;
	}
	if (get_be32(bytes + 18) != 0 || !station->seen)
		return; /* of another station than the first */
	station->seen[get_be32(bytes + 14) % SENT_MAX]++;
	if (station->received)
		station->silence = MAX(station->silence, now - station->received);
	station->received = now;
}

static unsigned transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	struct cable *cable = cable_of(port);

	for (unsigned i = 0; i < count; i++) {
		uint8_t bytes[LONGEST];
		size_t length = MIN(frames[i]->length, (uint32_t)LONGEST);

		frame_copy_out(frames[i]->pieces, frames[i]->count, 0, bytes, length);
		port_count_tx(port, frames[i]);
		if (cable->peer)
			put_in(cable->peer, bytes, length);
		else
			hear(cable, bytes, length);
	}
	return count;
}

/* What the other end sends then goes nowhere. */
static void destroy(struct port *port)
{
	struct cable *cable = cable_of(port);

	if (cable->peer && cable->peer->peer == cable)
		cable->peer->peer = NULL;
	free(cable->seen);
	free(cable);
}

static const struct port_ops ops = { .type = "cable",
				     .receive = receive,
				     .release = release,
				     .transmit = transmit,
				     .destroy = destroy };

struct ring {
	struct vswitch *switches[SWITCHES];
	struct cable *left[SWITCHES], *right[SWITCHES], *stations[SWITCHES];
	uint32_t sent;
	uint64_t next_send;
};

static struct cable *add_cable(struct vswitch *vswitch, const char *name)
{
	struct cable *cable = calloc(1, sizeof(*cable));

	CU_ASSERT_PTR_NOT_NULL_FATAL(cable);
	cable->port.ops = &ops;
	cable->port.up = true;
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port(vswitch, &cable->port, name, NULL), 0);
	return cable;
}

/* Each joined to the next, the last to the first; `tree`: with spanning trees. The first is the root. */
static struct ring *make_ring(bool legacy)
{
	struct vswitch_options options = { .seed = 1, .clock = test_clock };
	struct ring *ring = calloc(1, sizeof(*ring));

	CU_ASSERT_PTR_NOT_NULL_FATAL(ring);
	now = 1000 * SECOND;
	ring->next_send = now;
	for (unsigned i = 0; i < SWITCHES; i++) {
		struct rstp_config config = rstp_config_default();

		config.legacy = legacy;
		config.address = 0x020000001000 + i * 0x10000;
		CU_ASSERT_EQUAL_FATAL(vswitch_create(&ring->switches[i], &options, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(vswitch_set_stp(ring->switches[i], &config, NULL), 0);
		ring->left[i] = add_cable(ring->switches[i], "left");
		ring->right[i] = add_cable(ring->switches[i], "right");
		ring->stations[i] = add_cable(ring->switches[i], "station");
		ring->stations[i]->seen = calloc(1, SENT_MAX);
	}
	for (unsigned i = 0; i < SWITCHES; i++) {
		ring->right[i]->peer = ring->left[(i + 1) % SWITCHES];
		ring->left[(i + 1) % SWITCHES]->peer = ring->right[i];
	}
	return ring;
}

static void send_all(struct ring *ring)
{
	uint8_t bytes[64] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02 };

	put_be16(bytes + 12, 0x88b5);
	put_be32(bytes + 14, ring->sent++);
	for (unsigned i = 0; i < SWITCHES; i++) {
		bytes[11] = (uint8_t)(i + 1);
		put_be32(bytes + 18, i);
		put_in(ring->stations[i], bytes, sizeof(bytes));
	}
	ring->next_send += EVERY;
}

static void run(struct ring *ring, uint64_t time)
{
	for (uint64_t end = now + time; now < end;) {
		uint64_t next = ring->next_send;
		unsigned rounds = 0, work;

		if (now >= ring->next_send)
			send_all(ring);
		do {
			work = 0;
			for (unsigned i = 0; i < SWITCHES; i++)
				work += vswitch_round(ring->switches[i]);
		} while (work && ++rounds < 1000);
		CU_ASSERT_TRUE_FATAL(rounds < 1000); /* else frames go round */
		for (unsigned i = 0; i < SWITCHES; i++)
			next = MIN(next, vswitch_next_timer(ring->switches[i]));
		now = MAX(next, now + MS / 10);
	}
}

/* No broadcast came twice, and for how long none did at the worst place, since it was asked last. */
static uint64_t silence(struct ring *ring)
{
	uint64_t longest = 0;

	for (unsigned i = 1; i < SWITCHES; i++) {
		unsigned twice = 0;

		for (unsigned k = 0; k < SENT_MAX; k++)
			twice += ring->stations[i]->seen[k] > 1;
		CU_ASSERT_EQUAL(twice, 0);
		longest = MAX(longest, ring->stations[i]->silence);
		ring->stations[i]->silence = 0;
	}
	return longest;
}

static void end(struct ring *ring)
{
	for (unsigned i = 0; i < SWITCHES; i++)
		vswitch_destroy(ring->switches[i]);
	free(ring);
}

static const char *role(struct ring *ring, unsigned which, unsigned port)
{
	CLEANUP(cleanup_stp_status) struct stp_status *status = NULL;

	CU_ASSERT_EQUAL_FATAL(vswitch_stp_status(ring->switches[which], &status), 0);
	return status->ports[port].role;
}

static void test_a_ring_is_opened_and_a_lost_cable_replaced(void)
{
	struct ring *ring = make_ring(false);

	run(ring, 5 * SECOND);
	silence(ring);
	CU_ASSERT_TRUE(ring->stations[2]->received > now - SECOND);
	CU_ASSERT_TRUE(ring->stations[2]->bpdus > 1);
	CU_ASSERT_STRING_EQUAL(role(ring, 2, 1), "alternate"); /* as far from the root either way */
	CU_ASSERT_STRING_EQUAL(role(ring, 1, 0), "root");
	/* Both ends see the link go. */
	port_set_up(&ring->left[1]->port, false);
	port_set_up(&ring->right[0]->port, false);
	run(ring, 2 * SECOND);
	CU_ASSERT_TRUE(silence(ring) <= 20 * MS); /* the next broadcast came */
	CU_ASSERT_STRING_EQUAL(role(ring, 1, 1), "root");
	/* And come back. */
	port_set_up(&ring->left[1]->port, true);
	port_set_up(&ring->right[0]->port, true);
	run(ring, 5 * SECOND);
	CU_ASSERT_TRUE(silence(ring) <= 20 * MS);
	CU_ASSERT_STRING_EQUAL(role(ring, 1, 0), "root");
	end(ring);
}

/* A cable that loses everything, which no end sees: three hello times, and in the old protocol also the age and two delays. */
static void test_a_cable_goes_bad_unseen(void)
{
	static const struct {
		bool legacy;
		uint64_t calm, least, most;
	} runs[] = { { false, 5 * SECOND, 4 * SECOND, 7 * SECOND },
		     { true, 40 * SECOND, 30 * SECOND, 55 * SECOND } };
	struct link_model all_lost = { 0 };

	CU_ASSERT_EQUAL_FATAL(link_model_set(&all_lost, "loss=100%", NULL), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(runs); i++) {
		struct ring *ring = make_ring(runs[i].legacy);
		uint64_t longest;

		run(ring, runs[i].calm);
		silence(ring);
		CU_ASSERT_EQUAL(vswitch_set_link(ring->switches[1], "left", LINK_IN | LINK_OUT,
						 &all_lost, NULL),
				0);
		run(ring, 60 * SECOND);
		longest = silence(ring);
		CU_ASSERT_TRUE(longest >= runs[i].least && longest <= runs[i].most);
		CU_ASSERT_STRING_EQUAL(role(ring, 1, 1), "root");
		end(ring);
	}
}

static void test_ports_out_of_the_tree(void)
{
	struct port_config config = { 0 };
	struct vswitch_options options = { .seed = 1, .clock = test_clock };
	struct rstp_config tree = rstp_config_default();
	struct stp_status *status = NULL;
	struct error error = { 0 };
	struct vswitch *vswitch;
	struct cable *a, *b;

	now = 1000 * SECOND;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	a = add_cable(vswitch, "a");
	b = add_cable(vswitch, "b");
	CU_ASSERT_EQUAL(vswitch_stp_status(vswitch, &status), -ENOENT);
	CU_ASSERT_EQUAL(vswitch_stop_stp(vswitch, &error), -ENOENT);
	tree.max_age = 40;
	CU_ASSERT_EQUAL(vswitch_set_stp(vswitch, &tree, &error), -EINVAL);
	tree.max_age = 20;
	CU_ASSERT_EQUAL(port_config_set(&config, "stp=off", NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(vswitch, "a", &config, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_stp(vswitch, &tree, NULL), 0);
	vswitch_round(vswitch);
	CU_ASSERT_EQUAL(a->port.holds, 0);
	CU_ASSERT_EQUAL(a->bpdus, 0);
	CU_ASSERT_NOT_EQUAL(b->port.holds, 0);
	CU_ASSERT_EQUAL(b->bpdus, 1);
	CU_ASSERT_EQUAL_FATAL(vswitch_stp_status(vswitch, &status), 0);
	CU_ASSERT_NOT_EQUAL(status->config.address, 0);
	CU_ASSERT_STRING_EQUAL(status->ports[0].state, "forwarding");
	CU_ASSERT_STRING_EQUAL(status->ports[1].role, "designated");
	CU_ASSERT_EQUAL(status->ports[1].cost, 2000);
	vswitch_stp_status_free(status);
	CU_ASSERT_EQUAL(port_config_set(&config, "stp=on", NULL), 0);
	CU_ASSERT_EQUAL(port_config_set(&config, "stp-edge=yes", NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(vswitch, "a", &config, NULL), 0);
	CU_ASSERT_EQUAL(a->port.holds, 0);
	CU_ASSERT_EQUAL(a->bpdus, 1);
	CU_ASSERT_EQUAL(vswitch_remove_port(vswitch, "a", NULL), 0);
	CU_ASSERT_EQUAL(vswitch_stop_stp(vswitch, NULL), 0);
	CU_ASSERT_EQUAL(b->port.holds, 0);
	vswitch_destroy(vswitch);
}

static void second_by_second(struct vswitch *vswitch, unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i++) {
		now += SECOND;
		while (vswitch_round(vswitch))
			;
	}
}

/* A neighbour that says without end that the topology changed does not have all hosts asked as often. */
static void test_changes_without_end(void)
{
	static const uint8_t tcn[60] = { 1, 0x80, 0xc2, 0,    0,    0, 2, 0, 0, 0,   0,
					 9, 0,    7,    0x42, 0x42, 3, 0, 0, 0, 0x80 };
	static const char *const words[] = { "igmp=on", "mld=on", "querier=on" };
	struct vswitch_options options = { .seed = 1, .clock = test_clock };
	struct rstp_config tree = rstp_config_default();
	struct port_config config = { 0 };
	struct vswitch *vswitch;
	struct cable *a, *b;
	uint64_t before;

	now = 1000 * SECOND;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	a = add_cable(vswitch, "a");
	b = add_cable(vswitch, "b");
	CU_ASSERT_EQUAL(port_config_set(&config, "stp-edge=no", NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(vswitch, "a", &config, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(vswitch, "b", &config, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_stp(vswitch, &tree, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_snooping(vswitch, NULL, words, 3, NULL), 0);
	second_by_second(vswitch, 60);
	CU_ASSERT_EQUAL(b->port.holds, 0);
	before = b->port.counters.tx_frames - b->bpdus;
	for (unsigned i = 0; i < 500; i++) {
		now += MS;
		put_in(a, tcn, sizeof(tcn));
		while (vswitch_round(vswitch))
			;
	}
	/* At once, and (for the others) a second later: by IPv4 and IPv6. */
	CU_ASSERT_EQUAL(b->port.counters.tx_frames - b->bpdus - before, 2);
	second_by_second(vswitch, 2);
	CU_ASSERT_EQUAL(b->port.counters.tx_frames - b->bpdus - before, 4);
	vswitch_destroy(vswitch);
}

static void set(struct vswitch *vswitch, const char *port, struct port_config *config,
		const char *word)
{
	CU_ASSERT_EQUAL(port_config_set(config, word, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(vswitch, port, config, NULL), 0);
}

/* What came to the tree from each port, while `port` gets a topology change notification to that address. */
static void bpdus_after(struct vswitch *vswitch, struct cable *port, uint8_t address, bool tagged,
			uint64_t counts[4])
{
	static const uint8_t tcn[8] = { 0, 7, 0x42, 0x42, 3, 0, 0, 0 };
	CLEANUP(cleanup_stp_status) struct stp_status *status = NULL;
	uint8_t bytes[64] = { 1, 0x80, 0xc2, 0, 0, address, 2, 0, 0, 0, 0, 9 };

	put_be32(bytes + 12, 0x88a8000a);
	memcpy(bytes + (tagged ? 16 : 12), tcn, sizeof(tcn));
	bytes[tagged ? 24 : 20] = 0x80;
	put_in(port, bytes, sizeof(bytes));
	while (vswitch_round(vswitch))
		;
	CU_ASSERT_EQUAL_FATAL(vswitch_stp_status(vswitch, &status), 0);
	for (unsigned i = 0; i < 4; i++)
		counts[i] = status->ports[i].rx_bpdus;
}

/* IEEE 802.1Q-2022, 8.6.3: a provider's bridges have a group of their own, and customers' bridges do not see them. */
static void test_a_provider(void)
{
	struct vswitch_options options = { .seed = 1, .clock = test_clock };
	struct rstp_config tree = rstp_config_default();
	struct port_config configs[4] = { 0 };
	struct vswitch *vswitch;
	struct cable *ports[4];
	uint64_t counts[4], dropped, strangers;

	now = 1000 * SECOND;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	for (unsigned i = 0; i < 4; i++)
		ports[i] = add_cable(vswitch,
				     (const char *[]){ "trunk", "tunnel", "other", "any" }[i]);
	CU_ASSERT_EQUAL(vswitch_set_stp(vswitch, &tree, NULL), 0);
	set(vswitch, "trunk", &configs[0], "trunk=10");
	set(vswitch, "trunk", &configs[0], "tag-type=802.1ad");
	set(vswitch, "tunnel", &configs[1], "dot1q-tunnel=10");
	set(vswitch, "other", &configs[2], "dot1q-tunnel=20");
	second_by_second(vswitch, 60);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(ports[i]->port.holds, 0);
		CU_ASSERT_TRUE(ports[i]->provider_bpdus > 20);
		ports[i]->bpdus = 0;
	}
	CU_ASSERT_EQUAL(ports[3]->provider_bpdus, 0);
	CU_ASSERT_TRUE(ports[3]->bpdus > 20);

	/* A customer's comes to the other end, in the provider's tag, and is not ours. */
	strangers = ports[3]->bpdus;
	bpdus_after(vswitch, ports[1], 0, false, counts);
	CU_ASSERT_EQUAL(counts[0] + counts[1] + counts[2] + counts[3], 0);
	CU_ASSERT_EQUAL(ports[0]->heard_length, 68);
	CU_ASSERT_EQUAL(get_be32(ports[0]->heard + 12), 0x88a8000a);
	CU_ASSERT_EQUAL(ports[0]->heard[5], 0);
	CU_ASSERT_EQUAL(ports[2]->bpdus, 0);
	bpdus_after(vswitch, ports[0], 0, true, counts);
	CU_ASSERT_EQUAL(counts[0] + counts[1] + counts[2] + counts[3], 0);
	CU_ASSERT_EQUAL(ports[1]->bpdus, 1);
	/* A port that carries the VLAN and is no provider's hears the switch's own tree, and no other one. */
	CU_ASSERT_EQUAL(ports[3]->bpdus, strangers);
	set(vswitch, "any", &configs[3], "vlan=10");
	strangers = ports[3]->bpdus;
	bpdus_after(vswitch, ports[1], 0, false, counts);
	CU_ASSERT_EQUAL(ports[3]->bpdus, strangers);
	set(vswitch, "tunnel", &configs[1], "reserved=00:flood");
	bpdus_after(vswitch, ports[1], 0, false, counts);
	CU_ASSERT_EQUAL(ports[3]->bpdus, strangers + 1);
	set(vswitch, "tunnel", &configs[1], "reserved=none");
	set(vswitch, "any", &configs[3], "vlan=none");
	/* What neighbours say to one another is not a customer's. */
	dropped = ports[1]->port.counters.drops[PORT_DROP_RESERVED];
	bpdus_after(vswitch, ports[1], 14, false, counts);
	CU_ASSERT_EQUAL(ports[1]->port.counters.drops[PORT_DROP_RESERVED], dropped + 1);
	/* Ours, at either kind of port, and a stranger's. */
	bpdus_after(vswitch, ports[0], 8, false, counts);
	bpdus_after(vswitch, ports[1], 8, false, counts);
	bpdus_after(vswitch, ports[3], 0, false, counts);
	bpdus_after(vswitch, ports[3], 8, false, counts);
	CU_ASSERT_EQUAL(counts[0], 1);
	CU_ASSERT_EQUAL(counts[1], 1);
	CU_ASSERT_EQUAL(counts[3], 1);
	CU_ASSERT_EQUAL(ports[3]->port.counters.drops[PORT_DROP_RESERVED], 1);

	/* Said otherwise: bridges that know of no provider, and a provider's port without tags. */
	set(vswitch, "trunk", &configs[0], "stp-group=bridge");
	set(vswitch, "any", &configs[3], "stp-group=provider");
	for (unsigned i = 0; i < 4; i++)
		ports[i]->bpdus = ports[i]->provider_bpdus = 0;
	second_by_second(vswitch, 10);
	CU_ASSERT_TRUE(ports[0]->bpdus >= 5 && !ports[0]->provider_bpdus);
	CU_ASSERT_TRUE(ports[3]->provider_bpdus >= 5 && !ports[3]->bpdus);
	bpdus_after(vswitch, ports[0], 0, false, counts);
	CU_ASSERT_EQUAL(counts[0], 2);
	/* And the user's word of the address counts first. */
	set(vswitch, "tunnel", &configs[1], "reserved=00:drop");
	bpdus_after(vswitch, ports[1], 0, false, counts);
	CU_ASSERT_EQUAL(ports[1]->port.counters.drops[PORT_DROP_RESERVED], dropped + 2);
	vswitch_destroy(vswitch);
}

/* Who does not hear what he sends forwards everywhere: two ways to a neighbour were a loop. */
static int set_reserved(struct vswitch *vswitch, const char *text, struct error *error)
{
	struct reserved_choices choices = { 0 };

	CU_ASSERT_EQUAL_FATAL(reserved_parse(&choices, text, NULL), 0);
	return vswitch_set_reserved(vswitch, &choices, error);
}

static int set_words(struct vswitch *vswitch, const char *port, const char *words,
		     struct error *error)
{
	struct port_config config = { .vlan.kind = VLAN_PORT_TRUNK };
	char copy[128], *rest = copy, *word;

	snprintf(copy, sizeof(copy), "%s", words);
	while ((word = strsep(&rest, ",")))
		CU_ASSERT_EQUAL_FATAL(port_config_set(&config, word, NULL), 0);
	return vswitch_set_port(vswitch, port, &config, error);
}

static void test_a_tree_hears(void)
{
	static const char *const deaf[] = { "stp=flood", "stp=drop", "all=flood", "00=flood",
					    "00=drop" };
	static const char *const others[] = { "lldp=flood", "all=flood,stp=handle", "08=flood",
					      "none" };
	struct vswitch_options options = { .name = "lab", .seed = 1, .clock = test_clock };
	struct rstp_config tree = rstp_config_default();
	struct error error = { 0 };
	struct vswitch *vswitch;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	add_cable(vswitch, "a");
	add_cable(vswitch, "b");
	/* Before there is a tree all of it may be said, and then there is none. */
	for (unsigned i = 0; i < ARRAY_SIZE(deaf); i++) {
		CU_ASSERT_EQUAL(set_reserved(vswitch, deaf[i], NULL), 0);
		CU_ASSERT_EQUAL(vswitch_set_stp(vswitch, &tree, &error), -EINVAL);
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "switch lab: reserved: BPDUs"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, "switch reserved lab stp=handle"));
	CU_ASSERT_EQUAL(set_reserved(vswitch, "none", NULL), 0);
	CU_ASSERT_EQUAL(set_words(vswitch, "b", "reserved=stp:flood", NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_stp(vswitch, &tree, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "switch lab: port b: reserved: BPDUs"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, "stp=off"));
	/* A port that is no part of it may. */
	CU_ASSERT_EQUAL(set_words(vswitch, "b", "reserved=stp:flood,stp=off", NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_stp(vswitch, &tree, &error), 0);
	/* And the other way. */
	CU_ASSERT_EQUAL(set_words(vswitch, "b", "reserved=stp:flood", &error), -EINVAL);
	CU_ASSERT_EQUAL(set_words(vswitch, "b", "reserved=stp:drop", &error), -EINVAL);
	CU_ASSERT_EQUAL(set_words(vswitch, "b", "reserved=00:drop", &error), -EINVAL);
	CU_ASSERT_EQUAL(set_words(vswitch, "b", "dot1q-tunnel=7,reserved=08:flood", &error),
			-EINVAL);
	CU_ASSERT_EQUAL(set_words(vswitch, "b", "dot1q-tunnel=7,reserved=00:flood", &error), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(deaf); i++)
		CU_ASSERT_EQUAL(set_reserved(vswitch, deaf[i], &error), -EINVAL);
	/* The switch's choice for the group of providers' bridges, at such a port. */
	CU_ASSERT_EQUAL(set_reserved(vswitch, "08=flood", &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "port b: reserved: BPDUs (01:80:C2:00:00:08)"));
	CU_ASSERT_EQUAL(set_words(vswitch, "b", "vlan=none", &error), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
		CU_ASSERT_EQUAL(set_reserved(vswitch, others[i], &error), 0);
	vswitch_destroy(vswitch);
}

UNIT_MAIN("spanning tree of switches", UNIT(test_a_provider), UNIT(test_a_tree_hears),
	  UNIT(test_a_ring_is_opened_and_a_lost_cable_replaced), UNIT(test_a_cable_goes_bad_unseen),
	  UNIT(test_ports_out_of_the_tree), UNIT(test_changes_without_end))
