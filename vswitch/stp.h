/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The spanning tree of a switch: its ports, clock and frames for the machines of rstp.h, as a protocol (protocol.h). A port
 * of the tree learns and forwards as its state says; one with stp=off always does.
 */
#ifndef TENON_VSWITCH_STP_H
#define TENON_VSWITCH_STP_H

#include "util/cleanup.h"
#include "vswitch/port.h"
#include "vswitch/rstp.h"

struct error;
struct vswitch;

#define STP_PROTOCOL "stp"

/* Has the switch be part of a tree, or with other settings if it is already. Without an address it gets one at random. -EINVAL
 * (rstp_config_check()), -ENOMEM. */
int vswitch_set_stp(struct vswitch *vswitch, const struct rstp_config *config, struct error *error);

/* Ends that: all ports forward. -ENOENT. */
int vswitch_stop_stp(struct vswitch *vswitch, struct error *error);

struct stp_port_status {
	char name[PORT_NAME_MAX];
	const char *role, *state;
	uint16_t id;
	uint32_t cost;
	bool edge, point_to_point, rapid /* its neighbour speaks the new protocol, or none does */,
		shut;
	struct rstp_vector designated; /* what holds on its segment */
	uint64_t rx_bpdus, tx_bpdus, rx_bad, rx_tc, tx_tc, transitions;
};

struct stp_status {
	struct rstp_config config;
	uint64_t id;
	struct rstp_vector root;
	struct rstp_times times;                 /* that hold */
	char root_port[PORT_NAME_MAX];           /* "": this switch is the root */
	uint64_t topology_changes, since_change; /* the latter in seconds */
	unsigned port_count;
	struct stp_port_status *ports;
};

/* -ENOENT: it has no tree; -ENOMEM. The caller frees it with vswitch_stp_status_free(). */
int vswitch_stp_status(struct vswitch *vswitch, struct stp_status **out);
void vswitch_stp_status_free(struct stp_status *status);
DEFINE_CLEANUP(cleanup_stp_status, struct stp_status, vswitch_stp_status_free)

#endif
