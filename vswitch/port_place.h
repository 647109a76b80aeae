/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports that are on interfaces of the host: that no two are on one, and what these are called now. */
#ifndef TENON_VSWITCH_PORT_PLACE_H
#define TENON_VSWITCH_PORT_PLACE_H

#include "vswitch/port.h"

/*
 * From attach(). -EBUSY: another port of the switch is on the same interface, whatever kind it is. A TAP and a packet socket: what goes to the one comes in by the
 * other, and round again. Who is not told where an interface is finds nothing.
 */
int port_check_place(struct port *port, struct error *error);

/* For describe(): `name`, and what the interface is called now if that is something else. */
void port_place_text(struct port *port, const char *name, char where[PORT_TEXT_MAX]);

#endif
