/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports that are on interfaces of the host: that no two are on one, and what these are called now. */
#ifndef TENON_VSWITCH_PORT_PLACE_H
#define TENON_VSWITCH_PORT_PLACE_H

#include "vswitch/port.h"

/*
 * Before a port is on the interface at `own`, in a call. -EBUSY: another port of the switch is on it, whatever kind it is. A TAP and a
 * packet socket: what goes to the one comes in by the other, and round again. A port that is not told where its interface is is not found.
 */
int port_check_place(const struct port *port, const struct link_place *own, struct error *error);

/* For describe(): `name`, and what the interface is called now if that is something else. */
void port_place_text(struct port *port, const char *name, char where[PORT_TEXT_MAX]);

#endif
