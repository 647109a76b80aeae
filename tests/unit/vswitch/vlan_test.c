/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: VLANs, isolation, storm control, as words say it; frames between fake ports, in virtual time. */
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "util/error.h"

#define A         0x0200000000a1ULL
#define B         0x0200000000b1ULL
#define BROADCAST 0xffffffffffffULL
#define SECOND    1000000000ULL

static uint64_t clock_value;

static uint64_t test_clock(void *arg)
{
	return *(uint64_t *)arg;
}

static struct vswitch *make_switch(void)
{
	struct vswitch_options options = { .seed = 1,
					   .clock = test_clock,
					   .clock_arg = &clock_value };
	struct vswitch *vswitch;

	clock_value = 1000 * SECOND;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	return vswitch;
}

static struct port_config config_of(const char *words)
{
	struct port_config config = { 0 };
	char copy[128], *rest = copy, *word;
	struct error error = { 0 };

	snprintf(copy, sizeof(copy), "%s", words);
	while ((word = strsep(&rest, ",")) && *word)
		CU_ASSERT_EQUAL_FATAL(port_config_set(&config, word, &error), 0);
	return config;
}

static struct fake_port *add(struct vswitch *vswitch, const char *name, const char *words)
{
	struct port_config config = config_of(words);
	struct fake_port *fake = fake_port_add(vswitch, name, 0);

	CU_ASSERT_EQUAL(vswitch_set_port(vswitch, name, &config, NULL), 0);
	return fake;
}

/* A frame of 60 bytes, or with a tag of 64. */
static void put(struct fake_port *fake, uint64_t destination, uint64_t source, int tag)
{
	uint8_t bytes[64] = { 0 };
	unsigned at = 12;

	put_be16(bytes, (uint16_t)(destination >> 32));
	put_be32(bytes + 2, (uint32_t)destination);
	put_be16(bytes + 6, (uint16_t)(source >> 32));
	put_be32(bytes + 8, (uint32_t)source);
	if (tag >= 0) {
		put_be32(bytes + 12, 0x81000000 | (unsigned)tag);
		at = 16;
	}
	put_be16(bytes + at, 0x88b5);
	bytes[at + 2] = 0x5a;
	fake_port_put(fake, bytes, at + 48, NULL);
}

/* The tag of the last frame that the port got, -1 for none, -2 for no frame. Its payload is whole. */
static int last_tag(struct fake_port *fake)
{
	const struct fake_frame *frame;
	unsigned at = 12;
	int tag = -1;

	if (!fake->out_count)
		return -2;
	frame = &fake->out[fake->out_count - 1];
	if (get_be16(frame->bytes + 12) == 0x8100) {
		tag = get_be16(frame->bytes + 14);
		at = 16;
	}
	CU_ASSERT_EQUAL(frame->length, at + 48);
	CU_ASSERT_EQUAL(get_be16(frame->bytes + at), 0x88b5);
	CU_ASSERT_EQUAL(frame->bytes[at + 2], 0x5a);
	fake_port_clear(fake);
	return tag;
}

struct vlan_case {
	const char *from;
	int tag;
	/* What leaves by an unconfigured port, an access port of 10, a trunk of 10 and 20, one with native 10. */
	int any, access, trunk, native;
};

/* IEEE 802.1Q-2022, 6.9 and 8.6.2: what each kind of port takes in, and what it lets out and how. */
static void test_tags_in_and_out(void)
{
	static const struct vlan_case cases[] = {
		{ "", -1, -1, -2, -2, -2 },
		{ "", 0xe000, 0xe000, -2, -2, -2 }, /* a priority tag stays */
		{ "", 0xa00a, 0xa00a, -1, 0xa00a, -1 },
		{ "", 20, 20, -2, 20, 20 },
		{ "", 30, 30, -2, -2, -2 },
		{ "", 4095, -2, -2, -2, -2 },
		{ "vlan=10", -1, 10, -1, 10, -1 },
		{ "vlan=10", 0xe000, 0xe00a, -1, 0xe00a,
		  -1 }, /* and here is put into the port's VLAN */
		{ "vlan=10", 10, -2, -2, -2, -2 },
		{ "vlan=10", 20, -2, -2, -2, -2 },
		{ "trunk=10+20", -1, -2, -2, -2, -2 },
		{ "trunk=10+20", 0xe000, -2, -2, -2, -2 },
		{ "trunk=10+20", 10, 10, -1, 10, -1 },
		{ "trunk=10+20", 30, -2, -2, -2, -2 },
		{ "trunk=all", 20, 20, -2, 20, 20 },
		{ "trunk=20,native=10", -1, 10, -1, 10, -1 },
		{ "trunk=20,native=10", 10, 10, -1, 10, -1 },
		{ "trunk=20,native=10", 0x2000, 0x200a, -1, 0x200a, -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct vlan_case *each = &cases[i];
		struct vswitch *vswitch = make_switch();
		struct fake_port *from = add(vswitch, "from", each->from);
		struct fake_port *any = add(vswitch, "any", "");
		struct fake_port *access = add(vswitch, "access", "vlan=10");
		struct fake_port *trunk = add(vswitch, "trunk", "trunk=10+20");
		struct fake_port *native = add(vswitch, "native", "trunk=20,native=10");

		put(from, BROADCAST, A, each->tag);
		vswitch_round(vswitch);
		CU_ASSERT_EQUAL(last_tag(any), each->any);
		CU_ASSERT_EQUAL(last_tag(access), each->access);
		CU_ASSERT_EQUAL(last_tag(trunk), each->trunk);
		CU_ASSERT_EQUAL(last_tag(native), each->native);
		CU_ASSERT_EQUAL(from->port.counters.drops[PORT_DROP_VLAN], each->any == -2);
		vswitch_destroy(vswitch);
	}
}

/* One address in two VLANs, at two ports. */
static void test_each_vlan_learns_for_itself(void)
{
	struct vswitch *vswitch = make_switch();
	struct fake_port *trunk = add(vswitch, "trunk", "trunk=10+20");
	struct fake_port *ten = add(vswitch, "ten", "vlan=10"),
			 *ten2 = add(vswitch, "ten2", "vlan=10");
	struct fake_port *twenty = add(vswitch, "twenty", "vlan=20");

	put(ten, BROADCAST, A, -1);
	put(twenty, BROADCAST, A, -1);
	vswitch_round(vswitch);
	fake_port_clear(ten2);
	fake_port_clear(trunk);
	put(trunk, A, B, 10);
	put(trunk, A, B, 20);
	vswitch_round(vswitch);
	CU_ASSERT_EQUAL(ten->out_count, 1);
	CU_ASSERT_EQUAL(twenty->out_count, 1);
	CU_ASSERT_EQUAL(ten2->out_count, 0);
	vswitch_destroy(vswitch);
}

/* A large TCP frame whose tag is taken off, or put on, where it must be cut and where it passes. */
static void test_large_frames_change_their_tag(void)
{
	static uint8_t bytes[4018];
	struct virtio_net_header header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					    .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					    .gso_size = htole16(1000),
					    .csum_start = htole16(38),
					    .csum_offset = htole16(16) };
	struct vswitch *vswitch = make_switch();
	struct fake_port *trunk = add(vswitch, "trunk", "trunk=10");
	struct fake_port *cuts = add(vswitch, "cuts", "vlan=10");
	struct fake_port *takes = add(vswitch, "takes", "vlan=10");
	struct fake_port *other = add(vswitch, "other", "trunk=10");

	takes->port.features = VIRTIO_NET_GUEST_OFFLOADS;
	memset(bytes, 0xff, 6);
	bytes[6] = 2;
	put_be32(bytes + 12, 0x8100200a);
	put_be16(bytes + 16, 0x0800);
	bytes[18] = 0x45;
	put_be16(bytes + 20, 4000);
	bytes[27] = IPPROTO_TCP;
	bytes[50] = 0x50;
	for (unsigned i = 58; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	fake_port_put(trunk, bytes, sizeof(bytes), &header);
	vswitch_round(vswitch);
	CU_ASSERT_EQUAL_FATAL(cuts->out_count, 4);
	for (unsigned i = 0; i < 4; i++) {
		size_t payload = i < 3 ? 1000 : 960;

		CU_ASSERT_EQUAL(cuts->out[i].length, 54 + payload);
		CU_ASSERT_EQUAL(get_be16(cuts->out[i].bytes + 12), 0x0800);
		CU_ASSERT_EQUAL(memcmp(cuts->out[i].bytes + 54, bytes + 58 + 1000 * i, payload), 0);
		CU_ASSERT_EQUAL(other->out[i].length, 58 + payload);
		CU_ASSERT_EQUAL(get_be32(other->out[i].bytes + 12), 0x8100200a);
	}
	CU_ASSERT_EQUAL_FATAL(takes->out_count, 1);
	CU_ASSERT_EQUAL(takes->out[0].length, sizeof(bytes) - 4);
	CU_ASSERT_EQUAL(takes->out[0].offload.checksum_start, 34);
	CU_ASSERT_EQUAL(takes->out[0].offload.headers, 54);
	CU_ASSERT_EQUAL(memcmp(takes->out[0].bytes + 12, bytes + 16, sizeof(bytes) - 16), 0);
	vswitch_destroy(vswitch);
}

static void test_isolation(void)
{
	struct vswitch *vswitch = make_switch();
	struct fake_port *a = add(vswitch, "a", "isolate=1"), *b = add(vswitch, "b", "isolate=1");
	struct fake_port *c = add(vswitch, "c", "isolate=2"), *d = add(vswitch, "d", "");

	put(a, BROADCAST, A, -1);
	put(d, BROADCAST, 0x0200000000d1, -1);
	vswitch_round(vswitch);
	CU_ASSERT_EQUAL(b->out_count, 1); /* from d */
	CU_ASSERT_EQUAL(c->out_count, 2);
	CU_ASSERT_EQUAL(d->out_count, 1);
	put(b, A, B, -1);
	vswitch_round(vswitch);
	CU_ASSERT_EQUAL(a->out_count, 1);
	CU_ASSERT_EQUAL(b->port.counters.drops[PORT_DROP_ISOLATED], 1);
	vswitch_destroy(vswitch);
}

/* So many a second on average, 32 at once; each kind for itself, and what goes to one port is none. */
static void test_storm_control(void)
{
	struct vswitch *vswitch = make_switch();
	struct fake_port *a = add(vswitch, "a", "broadcast=100,unknown=200");
	struct fake_port *b = add(vswitch, "b", "");

	put(b, BROADCAST, B, -1);
	vswitch_round(vswitch);
	for (unsigned i = 0; i < 50; i++)
		put(a, BROADCAST, A, -1);
	while (vswitch_round(vswitch))
		;
	CU_ASSERT_EQUAL(b->out_count, 32);
	CU_ASSERT_EQUAL(a->port.counters.drops[PORT_DROP_STORM_BROADCAST], 18);
	for (unsigned i = 0; i < 50; i++)
		put(a, B, A, -1);
	for (unsigned i = 0; i < 40; i++)
		put(a, 0x01005e000001, A, -1);
	while (vswitch_round(vswitch))
		;
	CU_ASSERT_EQUAL(b->out_count, 122);
	fake_port_clear(b);
	for (unsigned i = 0; i < 40; i++)
		put(a, 0x020000000099, A, -1);
	while (vswitch_round(vswitch))
		;
	CU_ASSERT_EQUAL(b->out_count, 32);
	CU_ASSERT_EQUAL(a->port.counters.drops[PORT_DROP_STORM_UNKNOWN], 8);
	/* Over ten seconds, one every millisecond: a thousand, after what came at once. */
	fake_port_clear(b);
	for (unsigned i = 0; i < 10000; i++) {
		clock_value += SECOND / 1000;
		put(a, BROADCAST, A, -1);
		vswitch_round(vswitch);
		if (b->out_count == FAKE_PORT_FRAMES)
			fake_port_clear(b);
	}
	CU_ASSERT_EQUAL(b->port.counters.tx_frames, 32 + 50 + 40 + 32 + 1000);
	vswitch_destroy(vswitch);
}

/* A frame with these tags (type and VLAN, outermost first), of large TCP or plain. */
static void put_tags(struct fake_port *fake, const uint32_t *tags, unsigned count)
{
	uint8_t bytes[128] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02 };
	size_t at = 12;

	for (unsigned i = 0; i < count; i++, at += 4)
		put_be32(bytes + at, tags[i]);
	put_be16(bytes + at, 0x88b5);
	bytes[at + 2] = 0x5a;
	fake_port_put(fake, bytes, at + 48, NULL);
}

/* The last frame has just these; or (count 99) there is none. */
static void expect_tags(struct fake_port *fake, const uint32_t *tags, unsigned count)
{
	const struct fake_frame *frame;
	size_t at = 12;

	CU_ASSERT_EQUAL_FATAL(fake->out_count, count != 99);
	if (count == 99)
		return;
	frame = &fake->out[0];
	for (unsigned i = 0; i < count; i++, at += 4)
		CU_ASSERT_EQUAL(get_be32(frame->bytes + at), tags[i]);
	CU_ASSERT_EQUAL(get_be16(frame->bytes + at), 0x88b5);
	CU_ASSERT_EQUAL(frame->bytes[at + 2], 0x5a);
	CU_ASSERT_EQUAL(frame->length, at + 48);
	fake_port_clear(fake);
}

#define C(vlan) (0x81000000u | (vlan))
#define S(vlan) (0x88a80000u | (vlan))

/* IEEE 802.1ad: a customer's tags are carried in the provider's. */
static void test_service_tags(void)
{
	static const struct {
		const char *from;
		uint32_t tags[3];
		unsigned count;
		/* By a trunk of S-VLANs 10 and 20, a customer's port of 10, a trunk of C-VLANs 10 and 20. */
		struct {
			uint32_t tags[3];
			unsigned count;
		} to[3];
	} cases[] = {
		{ "dot1q-tunnel=10",
		  { 0 },
		  0,
		  { { { S(10) }, 1 }, { { 0 }, 0 }, { { C(10) }, 1 } } },
		{ "dot1q-tunnel=10",
		  { C(7) },
		  1,
		  { { { S(10), C(7) }, 2 }, { { C(7) }, 1 }, { { C(10), C(7) }, 2 } } },
		{ "dot1q-tunnel=10",
		  { S(10), C(7) },
		  2,
		  { { { S(10), S(10), C(7) }, 3 },
		    { { S(10), C(7) }, 2 },
		    { { C(10), S(10), C(7) }, 3 } } },
		{ "dot1q-tunnel=20",
		  { C(7) },
		  1,
		  { { { S(20), C(7) }, 2 }, { { 0 }, 99 }, { { C(20), C(7) }, 2 } } },
		{ "trunk=10+30,tag-type=802.1ad",
		  { S(0x600a), C(7) },
		  2,
		  { { { S(0x600a), C(7) }, 2 }, { { C(7) }, 1 }, { { C(0x600a), C(7) }, 2 } } },
		{ "trunk=10+30,tag-type=802.1ad",
		  { S(30) },
		  1,
		  { { { 0 }, 99 }, { { 0 }, 99 }, { { 0 }, 99 } } },
		{ "trunk=10+30,tag-type=802.1ad",
		  { C(10) },
		  1,
		  { { { 0 }, 99 }, { { 0 }, 99 }, { { 0 }, 99 } } },
		{ "trunk=10,native=20,tag-type=802.1ad",
		  { C(10) },
		  1,
		  { { { S(20), C(10) }, 2 }, { { 0 }, 99 }, { { C(20), C(10) }, 2 } } },
		{ "vlan=10", { 0 }, 0, { { { S(10) }, 1 }, { { 0 }, 0 }, { { C(10) }, 1 } } },
		{ "trunk=10", { C(10) }, 1, { { { S(10) }, 1 }, { { 0 }, 0 }, { { C(10) }, 1 } } },
		/* A port of which nothing was said has C-tags. */
		{ "",
		  { C(10), C(7) },
		  2,
		  { { { S(10), C(7) }, 2 }, { { C(7) }, 1 }, { { C(10), C(7) }, 2 } } },
		{ "tag-type=0x9100",
		  { 0x9100000a, C(7) },
		  2,
		  { { { S(10), C(7) }, 2 }, { { C(7) }, 1 }, { { C(10), C(7) }, 2 } } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vswitch *vswitch = make_switch();
		struct fake_port *from = add(vswitch, "from", cases[i].from);
		struct fake_port *to[] = { add(vswitch, "s", "trunk=10+20,tag-type=802.1ad"),
					   add(vswitch, "customer", "dot1q-tunnel=10"),
					   add(vswitch, "c", "trunk=10+20") };

		put_tags(from, cases[i].tags, cases[i].count);
		vswitch_round(vswitch);
		for (unsigned k = 0; k < ARRAY_SIZE(to); k++)
			expect_tags(to[k], cases[i].to[k].tags, cases[i].to[k].count);
		vswitch_destroy(vswitch);
	}
}

/* A customer's port may be for some of his VLANs only, both ways. */
static void test_customers_vlans(void)
{
	/* What is sent at `from`, and whether it comes to a port of 7 and of what has no tag, to one of 8, and to one of all. */
	static const struct {
		const char *from;
		uint32_t tags[2];
		unsigned count;
		bool comes[3];
	} cases[] = {
		{ "dot1q-tunnel=10", { 0 }, 0, { true, false, true } },
		{ "dot1q-tunnel=10", { C(0xe000) }, 1, { true, false, true } },
		{ "dot1q-tunnel=10", { C(0xe007) }, 1, { true, false, true } },
		{ "dot1q-tunnel=10", { C(8) }, 1, { false, true, true } },
		{ "dot1q-tunnel=10", { S(8) }, 1, { false, true, true } },
		{ "dot1q-tunnel=10", { C(9), C(8) }, 2, { false, false, true } },
		{ "dot1q-tunnel=10", { C(4095) }, 1, { false, false, true } },
		{ "dot1q-tunnel=10,cvlans=7-9", { 0 }, 0, { false, false, false } },
		{ "dot1q-tunnel=10,cvlans=7-9", { C(6) }, 1, { false, false, false } },
		{ "dot1q-tunnel=10,cvlans=7-9", { C(7) }, 1, { true, false, true } },
		{ "dot1q-tunnel=10,cvlans=7-9,cvlans=all", { C(6) }, 1, { false, false, true } },
		{ "trunk=10,tag-type=802.1ad", { S(10), C(8) }, 2, { false, true, true } },
		{ "trunk=10,tag-type=802.1ad", { S(10) }, 1, { true, false, true } },
		{ "vlan=10", { 0 }, 0, { true, false, true } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vswitch *vswitch = make_switch();
		struct fake_port *from = add(vswitch, "from", cases[i].from);
		struct fake_port *to[] = { add(vswitch, "seven", "dot1q-tunnel=10,cvlans=0+7"),
					   add(vswitch, "eight", "dot1q-tunnel=10,cvlans=8"),
					   add(vswitch, "all", "dot1q-tunnel=10") };
		bool any = false;

		put_tags(from, cases[i].tags, cases[i].count);
		vswitch_round(vswitch);
		for (unsigned k = 0; k < ARRAY_SIZE(to); k++) {
			CU_ASSERT_EQUAL(to[k]->out_count, cases[i].comes[k]);
			any |= cases[i].comes[k];
		}
		CU_ASSERT_EQUAL(from->port.counters.drops[PORT_DROP_VLAN], !any);
		vswitch_destroy(vswitch);
	}
}

/* To a station whose port is not for that VLAN of the customer's: dropped, and counted. */
static void test_a_station_of_another_customers_vlan(void)
{
	static const uint32_t eight = C(8), seven = C(7);
	struct vswitch *vswitch = make_switch();
	struct fake_port *from = add(vswitch, "from", "dot1q-tunnel=10");
	struct fake_port *to = add(vswitch, "to", "dot1q-tunnel=10,cvlans=7");
	uint8_t bytes[64] = { 0 };

	put_tags(to, &seven, 1);
	vswitch_round(vswitch);
	fake_port_clear(from);
	bytes[0] = 0x02; /* put_tags() sent from there */
	bytes[6] = 0x02;
	bytes[11] = 0x77;
	for (unsigned i = 0; i < 2; i++) {
		put_be32(bytes + 12, i ? seven : eight);
		fake_port_put(from, bytes, sizeof(bytes), NULL);
		vswitch_round(vswitch);
		CU_ASSERT_EQUAL(to->out_count, i);
		CU_ASSERT_EQUAL(from->port.counters.drops[PORT_DROP_VLAN], 1);
	}
	vswitch_destroy(vswitch);
}

/* A customer's large frame with a tag: the provider's is put before it, and what it asks for is as much further on. */
static void test_large_frames_get_a_service_tag(void)
{
	static uint8_t bytes[4018];
	struct virtio_net_header header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					    .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					    .gso_size = htole16(1000),
					    .csum_start = htole16(38),
					    .csum_offset = htole16(16) };
	struct vswitch *vswitch = make_switch();
	struct fake_port *customer = add(vswitch, "customer", "dot1q-tunnel=10");
	struct fake_port *cuts = add(vswitch, "cuts", "trunk=10,tag-type=802.1ad");
	struct fake_port *takes = add(vswitch, "takes", "trunk=10,tag-type=802.1ad");

	takes->port.features = VIRTIO_NET_GUEST_OFFLOADS;
	memset(bytes, 0xff, 6);
	bytes[6] = 2;
	put_be32(bytes + 12, C(7));
	put_be16(bytes + 16, 0x0800);
	bytes[18] = 0x45;
	put_be16(bytes + 20, 4000);
	bytes[27] = IPPROTO_TCP;
	bytes[50] = 0x50;
	for (unsigned i = 58; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	fake_port_put(customer, bytes, sizeof(bytes), &header);
	vswitch_round(vswitch);
	CU_ASSERT_EQUAL_FATAL(cuts->out_count, 4);
	for (unsigned i = 0; i < 4; i++) {
		size_t payload = i < 3 ? 1000 : 960;

		CU_ASSERT_EQUAL(cuts->out[i].length, 62 + payload);
		CU_ASSERT_EQUAL(get_be32(cuts->out[i].bytes + 12), S(10));
		CU_ASSERT_EQUAL(get_be32(cuts->out[i].bytes + 16), C(7));
		CU_ASSERT_EQUAL(memcmp(cuts->out[i].bytes + 62, bytes + 58 + 1000 * i, payload), 0);
	}
	CU_ASSERT_EQUAL_FATAL(takes->out_count, 1);
	CU_ASSERT_EQUAL(takes->out[0].length, sizeof(bytes) + 4);
	CU_ASSERT_EQUAL(takes->out[0].offload.checksum_start, 42);
	CU_ASSERT_EQUAL(takes->out[0].offload.headers, 62);
	CU_ASSERT_EQUAL(memcmp(takes->out[0].bytes + 16, bytes + 12, sizeof(bytes) - 12), 0);
	vswitch_destroy(vswitch);
}

static void test_words(void)
{
	static const char *const good[] = { "vlan=10",
					    "trunk=1-5+9",
					    "trunk=1-4094,native=7",
					    "isolate=3,addresses=5",
					    "dot1q-tunnel=10",
					    "trunk=10,tag-type=802.1ad",
					    "tag-type=0x9100",
					    "vlan=4094,broadcast=1,multicast=2,unknown=3" };
	static const char *const bad[] = { "vlan=0",         "vlan=4095",       "vlan=1x",
					   "trunk=5-3",      "trunk=1++2",      "native=5",
					   "isolate=0",      "isolate=65536",   "broadcast=-1",
					   "addresses= 1",   "mtu=5",           "vlan",
					   "dot1q-tunnel=0", "tag-type=0x88a8", "tag-type=802.1",
					   "cvlans=7" };
	static const char *const lists[] = { "cvlans=4095", "cvlans=9-7", "cvlans=0+", "cvlans=a" };
	struct port_config config = config_of("vlan=10,isolate=3"), before = config;
	struct error error = { 0 };
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CU_ASSERT_EQUAL(port_config_set(&config, bad[i], &error), -EINVAL);
	CU_ASSERT_EQUAL(memcmp(&config, &before, sizeof(config)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		config = config_of(good[i]);
		port_config_describe(&config, text, sizeof(text));
		CU_ASSERT_STRING_EQUAL(text, good[i]);
	}
	config = config_of("dot1q-tunnel=10");
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		CU_ASSERT_EQUAL(port_config_set(&config, lists[i], &error), -EINVAL);
	config = config_of("dot1q-tunnel=10,cvlans=4,cvlans=0+7,dot1q-tunnel=11");
	port_config_describe(&config, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "dot1q-tunnel=11,cvlans=0+7");
	config = config_of("dot1q-tunnel=10,cvlans=4,vlan=5,isolate=1");
	port_config_describe(&config, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "vlan=5,isolate=1");
	config = config_of("trunk=3,native=7,trunk=none,isolate=4,isolate=none,broadcast=");
	port_config_describe(&config, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "");
	CU_ASSERT_TRUE(port_config_knows("vlan=x"));
	CU_ASSERT_FALSE(port_config_knows("plain"));
	CU_ASSERT_FALSE(port_config_knows("vlan"));
}

UNIT_MAIN("vlan", UNIT(test_tags_in_and_out), UNIT(test_each_vlan_learns_for_itself),
	  UNIT(test_large_frames_change_their_tag), UNIT(test_isolation), UNIT(test_storm_control),
	  UNIT(test_service_tags), UNIT(test_customers_vlans),
	  UNIT(test_a_station_of_another_customers_vlan), UNIT(test_large_frames_get_a_service_tag),
	  UNIT(test_words))
