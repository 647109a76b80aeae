/* SPDX-License-Identifier: BSD-2-Clause */
/* Bridge protocol data units: IEEE 802.1D-2004, clause 9. Numbers are big-endian; times are in units of 1/256 second. */
#ifndef TENON_VSWITCH_RSTP_BPDU_H
#define TENON_VSWITCH_RSTP_BPDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RSTP_SECOND   256
#define RSTP_LLC_SIZE 3 /* 42 42 03 */
#define RSTP_BPDU_MAX (RSTP_LLC_SIZE + 36)

enum rstp_type { RSTP_BPDU_CONFIG = 0, RSTP_BPDU_RST = 2, RSTP_BPDU_TCN = 0x80 };

/* 9.3.3; of a role on the wire 1 is alternate or backup. */
enum rstp_flag {
	RSTP_FLAG_TC = 1,
	RSTP_FLAG_PROPOSAL = 2,
	RSTP_FLAG_LEARNING = 0x10,
	RSTP_FLAG_FORWARDING = 0x20,
	RSTP_FLAG_AGREEMENT = 0x40,
	RSTP_FLAG_TC_ACK = 0x80,
};

enum rstp_role { RSTP_DISABLED, RSTP_ALTERNATE, RSTP_ROOT, RSTP_DESIGNATED, RSTP_BACKUP };

/* 17.6; compared in this order, less is better. */
struct rstp_vector {
	uint64_t root;
	uint32_t cost;
	uint64_t bridge;
	uint16_t port;
	uint16_t receiver; /* the port it came in at, on a root path; else 0 */
};

struct rstp_times {
	uint16_t message_age, max_age, hello, forward_delay;
};

struct rstp_bpdu {
	enum rstp_type type;
	uint8_t version, flags;
	enum rstp_role
		role; /* of the port that sent it; of a config BPDU: designated; RSTP_DISABLED: unknown */
	struct rstp_vector priority;
	struct rstp_times times;
};

/* Whole seconds, upwards. */
static inline unsigned rstp_seconds(uint16_t time)
{
	return (time + RSTP_SECOND - 1u) / RSTP_SECOND;
}

/* < 0: `a` is better. */
int rstp_vector_compare(const struct rstp_vector *a, const struct rstp_vector *b);

/* Reads what follows an 802.3 frame's length. False for what is no BPDU of ours (9.3.4). */
bool rstp_bpdu_decode(struct rstp_bpdu *bpdu, const uint8_t *bytes, size_t length);

/* Writes LLC and BPDU; returns their length. */
size_t rstp_bpdu_encode(const struct rstp_bpdu *bpdu, uint8_t bytes[RSTP_BPDU_MAX]);

#endif
