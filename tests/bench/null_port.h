/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports of benches, polled as guests are: one has a burst of 64-byte frames whenever it is asked, or nothing; all take what they are given and keep nothing.
 */
#ifndef TENON_TESTS_BENCH_NULL_PORT_H
#define TENON_TESTS_BENCH_NULL_PORT_H

#include <stdlib.h>
#include <x86intrin.h>

#include "vswitch/switch.h"

struct null_port {
	struct port port;
	/* Writes the addresses and what else differs into the first `count` of `bytes`; NULL: has nothing to send. */
	void (*fill)(struct null_port *null, unsigned count);
	uint64_t making; /* cycles that it took to make what is received */
	struct frame frames[PORT_BURST];
	struct iovec pieces[PORT_BURST];
	uint8_t bytes[PORT_BURST][64];
};

static unsigned null_port_receive(struct port *port, struct frame **frames, unsigned max)
{
	struct null_port *null = container_of(port, struct null_port, port);
	uint64_t from = __rdtsc();

	if (!null->fill)
		return 0;
	null->fill(null, max);
	for (unsigned i = 0; i < max; i++) {
		null->pieces[i] = (struct iovec){ null->bytes[i], 64 };
		null->frames[i] =
			(struct frame){ .pieces = &null->pieces[i], .count = 1, .length = 64 };
		frames[i] = &null->frames[i];
	}
	null->making += __rdtsc() - from;
	return max;
}

static void null_port_release(struct port *port)
{
	(void)port;
}

static unsigned null_port_transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	(void)frames;
	port->counters.tx_frames += count;
	return count;
}

/* The port is the first of whatever the bench allocated around it. */
static void null_port_destroy(struct port *port)
{
	free(container_of(port, struct null_port, port));
}

static const struct port_ops null_port_ops = { .type = "null",
					       .polled = true,
					       .receive = null_port_receive,
					       .release = null_port_release,
					       .transmit = null_port_transmit,
					       .destroy = null_port_destroy };

/* Takes `null`, from calloc(). */
static int null_port_add(struct vswitch *vswitch, struct null_port *null, const char *name)
{
	null->port.ops = &null_port_ops;
	null->port.up = true;
	return vswitch_add_port(vswitch, &null->port, name, NULL);
}

#endif
