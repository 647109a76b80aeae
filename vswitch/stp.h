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
struct reserved_choices;
struct vswitch;

#define STP_PROTOCOL "stp"

/* Has the switch be part of a tree, or with other settings if it is already. Without an address it gets one at random. -EINVAL
 * (rstp_config_check(), or its BPDUs are not handled: stp_check_reserved()), -ENOMEM. */
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

/*
 * On the forwarding thread: whether a tree would hear BPDUs with these choices for reserved addresses, at each port in it and at one that comes and
 * says nothing. Who sends them and hears none is designated and forwards at each port: two ways to one neighbour are a loop. The kernel's bridge
 * refuses the same of group_fwd_mask (BR_GROUPFWD_RESTRICTED). -EINVAL.
 */
int stp_check_heard(const struct vswitch *vswitch, const struct reserved_choices *choices,
		    struct error *error);
/* The same of choices that the switch, or a port, is to have. 0, too, where there is no tree. */
int stp_check_reserved(const struct vswitch *vswitch, const struct reserved_choices *choices,
		       struct error *error);
int stp_check_port(const struct vswitch *vswitch, const char *name,
		   const struct port_config *config, struct error *error);

#endif
