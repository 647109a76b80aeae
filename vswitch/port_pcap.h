/* SPDX-License-Identifier: BSD-2-Clause */
/* A port that is files: what one holds comes in, at its times; what leaves is recorded in another. */
#ifndef TENON_VSWITCH_PORT_PCAP_H
#define TENON_VSWITCH_PORT_PCAP_H

#include <stdbool.h>

#include "vswitch/replay.h"

struct port_config;
struct vswitch;

struct vswitch_pcap_options {
	const char *replay; /* a pcap or pcapng file, or NULL */
	struct replay_timing timing;
	const char *record;               /* a path as capture_open() takes it, or NULL */
	bool force;                       /* over what is no older capture */
	const struct port_config *config; /* NULL: nothing was decided */
};

/* Reads the whole file first. Errors of replay_read() and capture_open(). */
int vswitch_add_port_pcap(struct vswitch *vswitch, const char *name,
			  const struct vswitch_pcap_options *options, struct error *error);

#endif
