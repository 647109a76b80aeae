/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The captures of a switch: which frames of which ports go to each. How they begin and end is in captures.c. In calls.
 */
#ifndef TENON_VSWITCH_CAPTURE_SESSION_H
#define TENON_VSWITCH_CAPTURE_SESSION_H

#include "vswitch/checkpoint.h"
#include "vswitch/port.h"
#include "vswitch/switch.h"

struct vswitch_status;

struct capture_session {
	unsigned id;
	struct capture *capture;
	struct filter_program *filter; /* NULL: all frames */
	char port[PORT_NAME_MAX];      /* "": all */
	bool once;
	unsigned ways;
	unsigned interfaces[VSWITCH_PORTS_MAX]; /* by slot */
};

struct capture_sessions {
	struct capture_session *list[CHECKPOINT_CAPTURES];
	unsigned count;
	unsigned last_id;
};

/*
 * -EBUSY: a capture or a port of the switch writes that file, or row, already, and what it is called here says more than the process
 * that has it locked; a row's files are locked only while they are written.
 */
int captures_check_alone(struct vswitch *vswitch, const char *path,
			 const struct capture_place *place, struct error *error);

/* The port is an interface of it, if it wants it. */
void capture_session_add_interface(struct capture_session *session, const struct port *port);

/* A port came: it is an interface of those that want it. checkpoint_refresh() follows. */
void capture_sessions_add_port(struct vswitch *vswitch, struct port *port);
/* It has become a link of a bond: of captures of that. */
void capture_sessions_port_joins(struct vswitch *vswitch, const struct port *port);

/* Puts those that look at the port that way into `checkpoint`. */
void capture_sessions_put(const struct vswitch *vswitch, const struct port *port, enum port_way way,
			  struct checkpoint *checkpoint);

/* Has writers look if there is something new; at the end of a round. */
void capture_sessions_flush(struct vswitch *vswitch);

void capture_sessions_status(const struct vswitch *vswitch, struct vswitch_status *status);

#endif
