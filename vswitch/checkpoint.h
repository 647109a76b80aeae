/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What looks at the frames of a port, one way: captures, mirrors and rules (filter.h). A port has one for what comes in
 * and one for what goes out; where nothing looks, a burst of frames asks `active` and goes on.
 *
 *	in	as the frame came: before its VLAN is found		out	as it leaves: tagged, cut and summed
 *
 * What a checkpoint says follows from the captures and rules that the switch has, and is put together anew when one of
 * them or a port comes or goes: checkpoint_refresh(), in a call.
 */
#ifndef TENON_VSWITCH_CHECKPOINT_H
#define TENON_VSWITCH_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

struct capture;
struct filter;
struct filter_program;
struct frame;
struct port_mirror;
struct port;
struct vswitch;
struct vswitch_thread;

enum port_way { PORT_IN, PORT_OUT, PORT_WAYS };

/* As a set of ways. */
#define PORT_WAY(way)  (1u << (way))
#define PORT_BOTH_WAYS (PORT_WAY(PORT_IN) | PORT_WAY(PORT_OUT))

#define CHECKPOINT_CAPTURES 8 /* at one port, and of one switch */
#define CHECKPOINT_MIRRORS  8 /* the same */

struct checkpoint {
	bool active; /* there is any of what follows */
	uint8_t capture_count;
	struct checkpoint_capture {
		struct capture *capture;
		const struct filter_program *filter; /* NULL: all frames */
		unsigned interface;
	} captures[CHECKPOINT_CAPTURES];
	struct filter *filter; /* NULL: there are no rules */
	uint8_t mirror_count;
	struct port_mirror *mirrors[CHECKPOINT_MIRRORS]; /* that copy what passes (port_mirror.h) */
};

void checkpoint_refresh(struct vswitch *vswitch);

/* Has the captures record a frame of the port; `dropped`: why it goes no further, or NULL. */
void checkpoint_capture(struct vswitch_thread *thread, const struct port *port, enum port_way way,
			const struct frame *frame, const char *dropped);

#endif
