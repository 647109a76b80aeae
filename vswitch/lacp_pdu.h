/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What link aggregation sends: LACPDUs and markers, slow protocols of IEEE 802.1AX-2014 (6.4.2.3, 6.5.3.3; annex B of 802.3
 * before that). Both are 110 bytes behind the EtherType 0x8809, to 01:80:c2:00:00:02.
 */
#ifndef TENON_VSWITCH_LACP_PDU_H
#define TENON_VSWITCH_LACP_PDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOW_GROUP   0x0180c2000002ULL
#define SLOW_TYPE    0x8809
#define SLOW_LACP    1
#define SLOW_MARKER  2
#define LACP_PDU_LEN 110 /* behind the EtherType, with the subtype */

/* The bits of a port's state (6.4.2.3). */
enum lacp_state {
	LACP_ACTIVITY = 0x01, /* it speaks unasked */
	LACP_SHORT_TIMEOUT = 0x02,
	LACP_AGGREGATION = 0x04, /* it may be one of several; else an individual link */
	LACP_SYNCHRONIZATION = 0x08,
	LACP_COLLECTING = 0x10,
	LACP_DISTRIBUTING = 0x20,
	LACP_DEFAULTED = 0x40, /* what it knows of its partner is not from a LACPDU */
	LACP_EXPIRED = 0x80,
};

/* What one end says of a link, or knows of the other. */
struct lacp_info {
	uint16_t system_priority;
	uint64_t system; /* an address */
	uint16_t key;
	uint16_t port_priority, port;
	uint8_t state; /* enum lacp_state */
};

struct lacp_pdu {
	struct lacp_info actor, partner;
	uint16_t collector_delay; /* in tens of microseconds */
};

void lacp_pdu_encode(const struct lacp_pdu *pdu, uint8_t bytes[LACP_PDU_LEN]);

/* From what is behind the EtherType. A later version is taken by what version 1 has of it. False: it is no LACPDU. */
bool lacp_pdu_decode(struct lacp_pdu *pdu, const uint8_t *bytes, size_t length);

/* Makes the answer to a marker, in `answer`. False: `bytes` are no marker that asks. */
bool lacp_marker_answer(uint8_t answer[LACP_PDU_LEN], const uint8_t *bytes, size_t length);

/* Of the same aggregation: all but the port, its priority and its state. */
static inline bool lacp_same_system(const struct lacp_info *a, const struct lacp_info *b)
{
	return a->system_priority == b->system_priority && a->system == b->system &&
	       a->key == b->key;
}

/* The state as words, "activity,aggregation": as long as fits. Returns `text`. */
#define LACP_STATE_TEXT 128
char *lacp_state_text(uint8_t state, char text[LACP_STATE_TEXT]);

#endif
