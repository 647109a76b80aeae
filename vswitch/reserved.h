/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What becomes of frames to 01:80:c2:00:00:00 to ...0f, which no bridge forwards by itself (IEEE 802.1Q-2022, table 8-1):
 *
 *	handle		a protocol of the switch that runs at the port takes it (protocol.h); else it is dropped. The default,
 *			but for what is not a provider bridge's (table 8-2), at a port of one: that is customers', and passes, but
 *			only to such ports. What is behind others is another bridge's neighbour (8.6.3), which does not pass it on.
 *	drop		it is dropped, whoever runs
 *	flood		it passes as any group's frame does, as if the switch were a wire
 *
 * Chosen by protocol, or by the address's last byte for what has no choice of its own; for the switch, and for a port, whose
 * choice counts first. Written NAME=CHOICE with ',' between, or in a port's words NAME:CHOICE with '+':
 *	stp=flood,lldp=drop,02=flood		all=flood		stp=none takes one back
 * Where the switch's own spanning tree runs, BPDUs are handled: it would be deaf, and forward everywhere (stp.h).
 */
#ifndef TENON_VSWITCH_RESERVED_H
#define TENON_VSWITCH_RESERVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vswitch/frame.h"

struct error;

#define RESERVED_GROUP     0x0180c2000000ULL
#define RESERVED_ADDRESSES 16
#define RESERVED_TEXT      320 /* enough for all of them */

static inline bool reserved_is(uint64_t destination)
{
	return (destination & ~0xfULL) == RESERVED_GROUP;
}

enum reserved_choice {
	RESERVED_UNSAID,
	RESERVED_HANDLE,
	RESERVED_DROP,
	RESERVED_FLOOD,
	RESERVED_CUSTOMERS, /* nobody's choice: it passes between a provider's ports */
};

/* Those with a name. */
enum reserved_protocol {
	RESERVED_STP,
	RESERVED_LLDP,
	RESERVED_LACP,
	RESERVED_OAM,
	RESERVED_EAPOL,
	RESERVED_PAUSE,
	RESERVED_PTP,
	RESERVED_PROTOCOLS
};

/* All zero: nothing was said. */
struct reserved_choices {
	uint8_t of_address[RESERVED_ADDRESSES]; /* enum reserved_choice */
	uint8_t of_protocol[RESERVED_PROTOCOLS];
};

/* Changes `choices` by a text as above. -EINVAL, and nothing changed, with `error` set. */
int reserved_parse(struct reserved_choices *choices, const char *text, struct error *error);

/* The text that makes them, between its words `between`, and in each `is`; "" for nothing. As long as fits. */
void reserved_describe(const struct reserved_choices *choices, char is, char between, char *text,
		       size_t size);

/* What was chosen for BPDUs of the switch's own tree at a port: to ...00, or, where it is a provider bridge's, ...08. RESERVED_UNSAID: nothing. */
enum reserved_choice reserved_choice_of_bpdus(const struct reserved_choices *port,
					      const struct reserved_choices *vswitch,
					      bool provider);

/* What is to become of a frame to such an address, whose head is in one piece; `provider`: that came in at a provider bridge's port. */
enum reserved_choice reserved_choose(const struct reserved_choices *port,
				     const struct reserved_choices *vswitch, bool provider,
				     const struct frame *frame);

#endif
