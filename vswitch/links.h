/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files about links of ports share. */
#ifndef TENON_VSWITCH_LINKS_H
#define TENON_VSWITCH_LINKS_H

struct port;
struct vswitch;

/* In a call: the link over the port, which is *link if it had none; that is taken then, and NULL. */
struct port *vswitch_link_over(struct vswitch *vswitch, struct port *port, struct port **link);

#endif
