/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: ports that come, change and go while others run; frames of the switch's own; several threads. */
#include "unit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/internal.h"

#define A         0x0200000000a1ULL
#define B         0x0200000000b1ULL
#define C         0x0200000000c1ULL
#define BROADCAST 0xffffffffffffULL
#define SECOND    1000000000ULL

static uint64_t test_clock(void *arg)
{
	return *(uint64_t *)arg;
}

static struct vswitch *make_switch(uint64_t *clock, unsigned threads)
{
	struct vswitch_options options = {
		.seed = 1, .clock = test_clock, .clock_arg = clock, .threads = threads
	};
	struct vswitch *vswitch;

	*clock = 1000 * SECOND;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	return vswitch;
}

/* Static addresses of a port are in VLANs that it carries: one with such is not moved to another VLAN. */
static void test_a_static_address_holds_its_vlan(void)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	struct port_config config = { 0 };
	struct error error = { 0 };
	uint64_t clock;
	struct vswitch *vswitch = make_switch(&clock, 1);

	fake_port_add(vswitch, "a", 0);
	fake_port_put_frame(fake_port_add(vswitch, "b", 0), BROADCAST, B, 0);
	vswitch_round(vswitch);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_address(vswitch, 0, A, "a", NULL), 0);
	CU_ASSERT_EQUAL_FATAL(port_config_set(&config, "vlan=2", &error), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(vswitch, "a", &config, &error), -EBUSY);
	CU_ASSERT_STRING_EQUAL(error.text, "port a: it would not carry VLAN 0 any more, in which "
					   "the static address 02:00:00:00:00:a1 is at it");
	CU_ASSERT_EQUAL(vswitch_set_port(vswitch, "b", &config, &error), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_status(vswitch, &status), 0);
	CU_ASSERT_EQUAL(status->ports[0].config.vlan.kind, VLAN_PORT_ANY);
	CU_ASSERT_EQUAL(vswitch_remove_address(vswitch, 0, A, NULL), 0);
	CU_ASSERT_EQUAL(vswitch_set_port(vswitch, "a", &config, &error), 0);
	vswitch_destroy(vswitch);
}

/* The others keep their slots; what was known of the port that went is forgotten; its slot serves the next. */
static void test_a_port_goes_and_another_comes(void)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	struct fake_port *a, *c, *d;
	struct error error = { 0 };
	uint64_t clock;
	struct vswitch *vswitch = make_switch(&clock, 1);

	a = fake_port_add(vswitch, "a", 0);
	fake_port_put_frame(fake_port_add(vswitch, "b", 0), BROADCAST, B, 0);
	c = fake_port_add(vswitch, "c", 0);
	CU_ASSERT_EQUAL(vswitch_add_address(vswitch, 0, 0x020000000b02, "b", NULL), 0);
	fake_port_put_frame(c, BROADCAST, C, 0);
	vswitch_round(vswitch);
	CU_ASSERT_EQUAL(vswitch_remove_port(vswitch, "none", &error), -ENOENT);
	CU_ASSERT_EQUAL(vswitch_remove_port(vswitch, "b", &error), 0);
	CU_ASSERT_EQUAL(c->port.index, 2);
	d = fake_port_add(vswitch, "d", 0);
	CU_ASSERT_EQUAL(d->port.index, 1);
	CU_ASSERT_EQUAL_FATAL(vswitch_status(vswitch, &status), 0);
	CU_ASSERT_EQUAL(status->port_count, 3);
	CU_ASSERT_STRING_EQUAL(status->ports[2].name, "d");
	CU_ASSERT_EQUAL_FATAL(status->address_count, 1);
	CU_ASSERT_STRING_EQUAL(status->ports[status->addresses[0].port].name, "c");
	fake_port_clear(a);
	fake_port_clear(c);
	fake_port_put_frame(a, B, A, 0); /* nobody's now */
	fake_port_put_frame(a, C, A, 0);
	vswitch_round(vswitch);
	CU_ASSERT_EQUAL(d->out_count, 1);
	CU_ASSERT_EQUAL(c->out_count, 2);
	vswitch_destroy(vswitch);
}

/* A port that takes a part of what it is offered loses no more than what it has no room for. */
static void test_what_a_port_does_not_take(void)
{
	uint64_t clock;
	struct vswitch *vswitch = make_switch(&clock, 1);
	struct fake_port *a = fake_port_add(vswitch, "a", 0), *b = fake_port_add(vswitch, "b", 0);

	for (unsigned i = 0; i < FAKE_PORT_FRAMES - 3; i++)
		fake_port_put_frame(a, B, A, 0);
	while (vswitch_round(vswitch))
		;
	for (unsigned i = 0; i < 10; i++)
		fake_port_put_frame(a, B, A, 0);
	while (vswitch_round(vswitch))
		;
	CU_ASSERT_EQUAL(b->out_count, FAKE_PORT_FRAMES);
	CU_ASSERT_EQUAL(b->port.counters.drops[PORT_DROP_NO_BUFFER], 7);
	CU_ASSERT_EQUAL(b->port.counters.tx_frames, FAKE_PORT_FRAMES);
	vswitch_destroy(vswitch);
}

static void test_frames_of_the_switch(void)
{
	uint8_t frame[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 0x88, 0xb5 };
	struct port_config access = { .vlan = { .kind = VLAN_PORT_ACCESS, .untagged = 10 } };
	struct error error = { 0 };
	uint64_t clock;
	struct vswitch *vswitch = make_switch(&clock, 2);
	struct fake_port *a = fake_port_add(vswitch, "a", 0), *b = fake_port_add(vswitch, "b", 0);

	CU_ASSERT_EQUAL(vswitch_set_port(vswitch, "b", &access, &error), 0);
	CU_ASSERT_EQUAL(vswitch_send(vswitch, NULL, 0, frame, sizeof(frame), &error), 0);
	CU_ASSERT_EQUAL(a->out_count, 1);
	CU_ASSERT_EQUAL(b->out_count, 0);
	CU_ASSERT_EQUAL(vswitch_send(vswitch, NULL, 10, frame, sizeof(frame), &error), 0);
	CU_ASSERT_EQUAL_FATAL(a->out_count, 2);
	CU_ASSERT_EQUAL(a->out[1].length, 64);
	CU_ASSERT_EQUAL(get_be32(a->out[1].bytes + 12), 0x8100000a);
	CU_ASSERT_EQUAL(b->out_count, 1);
	CU_ASSERT_EQUAL(b->out[0].length, 60);
	CU_ASSERT_EQUAL(vswitch_send(vswitch, "b", 11, frame, sizeof(frame), &error), -ENETDOWN);
	CU_ASSERT_EQUAL(vswitch_send(vswitch, "z", 0, frame, sizeof(frame), &error), -ENOENT);
	CU_ASSERT_EQUAL(vswitch_send(vswitch, "a", 0, frame, 13, &error), -EINVAL);
	CU_ASSERT_EQUAL(vswitch_send(vswitch, "a", 4095, frame, 60, &error), -EINVAL);
	vswitch_destroy(vswitch);
}

/* ---- Timers ---- */

struct ticking_port {
	struct port port;
	struct timer timer;
	uint64_t ticks, last;
};

static void tick(struct timer *timer)
{
	struct ticking_port *ticking = container_of(timer, struct ticking_port, timer);

	ticking->ticks++;
	ticking->last = port_now(&ticking->port);
	port_timer_arm(&ticking->port, timer, timer->when + SECOND);
}

static int ticking_attach(struct port *port, struct error *error)
{
	struct ticking_port *ticking = container_of(port, struct ticking_port, port);

	(void)error;
	ticking->timer.expire = tick;
	port_timer_arm(port, &ticking->timer, port_now(port) + SECOND);
	return 0;
}

static void ticking_detach(struct port *port)
{
	port_timer_disarm(port, &container_of(port, struct ticking_port, port)->timer);
}

static unsigned nothing(struct port *port, struct frame **frames, unsigned max)
{
	(void)port, (void)frames, (void)max;
	return 0;
}

static void stays(struct port *port)
{
	(void)port;
}

/* Time stands still but where it is told to go; an hour takes none. */
static void test_timers_of_ports(void)
{
	static const struct port_ops ops = { .type = "ticking",
					     .attach = ticking_attach,
					     .detach = ticking_detach,
					     .receive = nothing,
					     .destroy = stays };
	struct ticking_port ticking = { .port.ops = &ops };
	uint64_t clock;
	struct vswitch *vswitch = make_switch(&clock, 3);

	fake_port_add(vswitch, "a", 0);
	CU_ASSERT_EQUAL(vswitch_next_timer(vswitch), UINT64_MAX);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port(vswitch, &ticking.port, "t", NULL), 0);
	for (unsigned i = 0; i < 3600; i++) {
		clock = vswitch_next_timer(vswitch);
		CU_ASSERT_EQUAL(vswitch_round(vswitch), 1);
		CU_ASSERT_EQUAL(vswitch_round(vswitch), 0);
	}
	CU_ASSERT_EQUAL(ticking.ticks, 3600);
	CU_ASSERT_EQUAL(ticking.last, (1000 + 3600) * SECOND);
	CU_ASSERT_EQUAL(vswitch_remove_port(vswitch, "t", NULL), 0);
	CU_ASSERT_EQUAL(vswitch_next_timer(vswitch), UINT64_MAX);
	vswitch_destroy(vswitch);
}

/* ---- Several threads ---- */

/* A port that always has frames, for the next one of a ring of them. */
struct busy_port {
	struct port port;
	uint8_t bytes[PORT_BURST][64];
	struct iovec pieces[PORT_BURST];
	struct frame frames[PORT_BURST];
	uint64_t sum; /* of what it got */
};

static unsigned busy_receive(struct port *port, struct frame **frames, unsigned max)
{
	struct busy_port *busy = container_of(port, struct busy_port, port);

	for (unsigned i = 0; i < max; i++) {
		busy->pieces[i] = (struct iovec){ busy->bytes[i], sizeof(busy->bytes[i]) };
		busy->frames[i] =
			(struct frame){ .pieces = &busy->pieces[i], .count = 1, .length = 64 };
		frames[i] = &busy->frames[i];
	}
	return max;
}

static unsigned busy_transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	struct busy_port *busy = container_of(port, struct busy_port, port);

	for (unsigned i = 0; i < count; i++) {
		busy->sum += ((const uint8_t *)frames[i]->pieces[0].iov_base)[11];
		port_count_tx(port, frames[i]);
	}
	return count;
}

static const struct port_ops busy_ops = { .type = "busy",
					  .polled = true,
					  .receive = busy_receive,
					  .release = stays,
					  .transmit = busy_transmit,
					  .destroy = stays };

static void add_busy(struct vswitch *vswitch, struct busy_port *busy, unsigned number,
		     unsigned count)
{
	char name[8];

	*busy = (struct busy_port){ .port = { .ops = &busy_ops, .up = true } };
	for (unsigned i = 0; i < PORT_BURST; i++) {
		/* Now and then to all, and from an address that others have, too: it moves. */
		busy->bytes[i][0] = i == 7 ? 0xff : 2;
		busy->bytes[i][5] = (uint8_t)((number + 1) % count);
		busy->bytes[i][6] = 2;
		busy->bytes[i][11] = (uint8_t)(i == 9 ? 99 : number);
	}
	snprintf(name, sizeof(name), "p%u", number);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port(vswitch, &busy->port, name, NULL), 0);
}

/* Looks at the switch until `enough`, for however long the machine takes. */
static void wait_until(struct vswitch *vswitch, bool (*enough)(const struct vswitch_status *status))
{
	bool done = false;

	for (unsigned i = 0; !done && i < 60000; i++) {
		struct vswitch_status *status;

		CU_ASSERT_EQUAL_FATAL(vswitch_status(vswitch, &status), 0);
		done = enough(status);
		vswitch_status_free(status);
		usleep(1000);
	}
	CU_ASSERT_TRUE(done);
}

static bool frames_came(const struct vswitch_status *status)
{
	for (unsigned i = 0; i < status->port_count; i++)
		if (status->ports[i].counters.rx_frames < 1000)
			return false;
	return true;
}

static bool links_delivered(const struct vswitch_status *status)
{
	return status->ports[1].link_in.counters.delivered &&
	       status->ports[1].link_out.counters.delivered &&
	       status->ports[2].link_out.counters.delivered;
}

static void wait_for_frames(struct vswitch *vswitch)
{
	wait_until(vswitch, frames_came);
}

static void wait_for_links(struct vswitch *vswitch)
{
	wait_until(vswitch, links_delivered);
}

/* Ports of several threads send to each other while some come and go and are looked at: what is lost is counted. */
static void test_threads_share_ports(void)
{
	enum { PORTS = 5 };
	static struct busy_port busy[PORTS], guest;
	struct vswitch_options options = { .seed = 1, .threads = 3 };
	struct vswitch_status *status;
	struct vswitch *vswitch;
	uint64_t rx = 0, tx = 0, copies = 0, dropped = 0;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	for (unsigned i = 0; i < PORTS; i++)
		add_busy(vswitch, &busy[i], i, PORTS);
	CU_ASSERT_EQUAL_FATAL(vswitch_start(vswitch, NULL), 0);
	for (unsigned i = 0; i < 30; i++) {
		struct port_config config = { .isolation = i % 2 };

		add_busy(vswitch, &guest, 50, PORTS);
		CU_ASSERT_EQUAL(vswitch_set_port(vswitch, "p1", &config, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(vswitch_status(vswitch, &status), 0);
		CU_ASSERT_EQUAL(status->port_count, PORTS + 1);
		CU_ASSERT_EQUAL(status->threads, 3);
		vswitch_status_free(status);
		CU_ASSERT_EQUAL(vswitch_remove_port(vswitch, "p50", NULL), 0);
	}
	vswitch_stop(vswitch);
	CU_ASSERT_EQUAL(vswitch_start(vswitch, NULL), 0);
	vswitch_stop(vswitch);
	/* Rounds are whole; once more from the beginning, where every frame is accounted for. */
	for (unsigned i = 0; i < PORTS; i++)
		memset(&busy[i].port.counters, 0, sizeof(busy[i].port.counters));
	CU_ASSERT_EQUAL(vswitch_start(vswitch, NULL), 0);
	wait_for_frames(vswitch);
	vswitch_stop(vswitch);
	for (unsigned i = 0; i < PORTS; i++) {
		const struct port_counters *counters = &busy[i].port.counters;

		rx += counters->rx_frames;
		tx += counters->tx_frames;
		copies += counters->flooded * (PORTS - 2);
		for (unsigned j = 0; j < PORT_DROP_COUNT; j++)
			dropped += counters->drops[j];
	}
	CU_ASSERT_TRUE(rx > 0);
	CU_ASSERT_EQUAL(rx + copies, tx + dropped);
	vswitch_destroy(vswitch);
}

/* Links that are bad, in real time, with frames of several threads on them. */
static void test_threads_share_links(void)
{
	enum { PORTS = 4 };
	static struct busy_port busy[PORTS];
	struct vswitch_options options = { .seed = 1, .threads = 2 };
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	struct link_model slow = { .delay_ns = 100000, .jitter_ns = 50000 }, good = { 0 };
	const struct link_counters *counters;
	struct vswitch *vswitch;

	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	for (unsigned i = 0; i < PORTS; i++)
		add_busy(vswitch, &busy[i], i, PORTS);
	CU_ASSERT_EQUAL_FATAL(vswitch_start(vswitch, NULL), 0);
	for (unsigned i = 0; i < 10; i++) {
		CU_ASSERT_EQUAL(vswitch_set_link(vswitch, "p1", LINK_IN | LINK_OUT, &slow, NULL),
				0);
		CU_ASSERT_EQUAL(vswitch_set_link(vswitch, "p2", LINK_OUT, &slow, NULL), 0);
		wait_for_links(vswitch);
		CU_ASSERT_EQUAL(vswitch_set_link(vswitch, "p1", LINK_OUT, &good, NULL), 0);
	}
	CU_ASSERT_EQUAL_FATAL(vswitch_status(vswitch, &status), 0);
	counters = &status->ports[2].link_out.counters;
	CU_ASSERT_TRUE(counters->delivered > 0);
	CU_ASSERT_EQUAL(counters->lost + counters->duplicated, 0);
	CU_ASSERT_TRUE(status->ports[1].link_in.counters.delivered > 0);
	CU_ASSERT_EQUAL(vswitch_remove_port(vswitch, "p1", NULL), 0);
	vswitch_destroy(vswitch);
}

struct now_call {
	struct vswitch *vswitch;
	uint64_t now;
};

static int see_now(void *arg)
{
	struct now_call *call = arg;

	/* Also that of a thread which sleeps on, whose ports a call may change. */
	call->now = MIN(call->vswitch->threads[0].now, call->vswitch->threads[1].now);
	return 0;
}

static void *ask_now(void *arg)
{
	struct now_call *call = arg;

	vswitch_call(call->vswitch, see_now, call);
	return NULL;
}

static bool is_asked(struct vswitch *vswitch)
{
	bool asked;

	pthread_mutex_lock(&vswitch->lock);
	asked = !list_empty(&vswitch->calls);
	pthread_mutex_unlock(&vswitch->lock);
	return asked;
}

/* A call wakes a thread that slept: its time is now, not that of the round before the sleep. */
static void test_a_call_is_now(void)
{
	uint64_t clock;
	struct now_call call = { .vswitch = make_switch(&clock, 2) };
	struct vswitch *vswitch = call.vswitch;
	pthread_t asker;

	vswitch_round(vswitch);
	clock += 30 * SECOND;
	vswitch->running = true;
	vswitch->parked = 1;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&asker, NULL, ask_now, &call), 0);
	while (!is_asked(vswitch))
		usleep(100);
	vswitch_thread_dispatch(&vswitch->threads[0], 0);
	pthread_join(asker, NULL);
	vswitch->running = false;
	CU_ASSERT_EQUAL(call.now, clock);
	vswitch_destroy(vswitch);
}

UNIT_MAIN("ports", UNIT(test_a_call_is_now), UNIT(test_a_port_goes_and_another_comes),
	  UNIT(test_a_static_address_holds_its_vlan), UNIT(test_what_a_port_does_not_take),
	  UNIT(test_frames_of_the_switch), UNIT(test_timers_of_ports),
	  UNIT(test_threads_share_ports), UNIT(test_threads_share_links))
