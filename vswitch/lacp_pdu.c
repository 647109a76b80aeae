/* SPDX-License-Identifier: BSD-2-Clause */
/* See lacp_pdu.h. */
#include "vswitch/lacp_pdu.h"

#include <stdio.h>
#include <string.h>

#include "util/bytes.h"

/* TLVs by their places, which are fixed (figure 6-7). */
#define VERSION_AT    1
#define ACTOR_AT      2
#define PARTNER_AT    22
#define COLLECTOR_AT  42
#define INFO_TLV_LEN  20
#define COLLECTOR_LEN 16

enum { TLV_ACTOR = 1, TLV_PARTNER, TLV_COLLECTOR };

#define MARKER_AT     2
#define MARKER_LEN    16
#define MARKER_ASKS   1
#define MARKER_ANSWER 2

static void put_info(uint8_t *at, uint8_t type, const struct lacp_info *info)
{
	at[0] = type;
	at[1] = INFO_TLV_LEN;
	put_be16(at + 2, info->system_priority);
	put_be16(at + 4, (uint16_t)(info->system >> 32));
	put_be32(at + 6, (uint32_t)info->system);
	put_be16(at + 10, info->key);
	put_be16(at + 12, info->port_priority);
	put_be16(at + 14, info->port);
	at[16] = info->state;
}

static bool get_info(struct lacp_info *info, const uint8_t *at, uint8_t type)
{
	*info = (struct lacp_info){
		.system_priority = get_be16(at + 2),
		.system = (uint64_t)get_be16(at + 4) << 32 | get_be32(at + 6),
		.key = get_be16(at + 10),
		.port_priority = get_be16(at + 12),
		.port = get_be16(at + 14),
		.state = at[16],
	};
	return at[0] == type && at[1] == INFO_TLV_LEN;
}

void lacp_pdu_encode(const struct lacp_pdu *pdu, uint8_t bytes[LACP_PDU_LEN])
{
	memset(bytes, 0, LACP_PDU_LEN);
	bytes[0] = SLOW_LACP;
	bytes[VERSION_AT] = 1;
	put_info(bytes + ACTOR_AT, TLV_ACTOR, &pdu->actor);
	put_info(bytes + PARTNER_AT, TLV_PARTNER, &pdu->partner);
	bytes[COLLECTOR_AT] = TLV_COLLECTOR;
	bytes[COLLECTOR_AT + 1] = COLLECTOR_LEN;
	put_be16(bytes + COLLECTOR_AT + 2, pdu->collector_delay);
}

bool lacp_pdu_decode(struct lacp_pdu *pdu, const uint8_t *bytes, size_t length)
{
	if (length < LACP_PDU_LEN || bytes[0] != SLOW_LACP || !bytes[VERSION_AT])
		return false;
	pdu->collector_delay = get_be16(bytes + COLLECTOR_AT + 2);
	return get_info(&pdu->actor, bytes + ACTOR_AT, TLV_ACTOR) &&
	       get_info(&pdu->partner, bytes + PARTNER_AT, TLV_PARTNER) &&
	       bytes[COLLECTOR_AT] == TLV_COLLECTOR && bytes[COLLECTOR_AT + 1] == COLLECTOR_LEN;
}

bool lacp_marker_answer(uint8_t answer[LACP_PDU_LEN], const uint8_t *bytes, size_t length)
{
	if (length < LACP_PDU_LEN || bytes[0] != SLOW_MARKER || !bytes[VERSION_AT] ||
	    bytes[MARKER_AT] != MARKER_ASKS || bytes[MARKER_AT + 1] != MARKER_LEN)
		return false;
	memset(answer, 0, LACP_PDU_LEN);
	memcpy(answer, bytes, MARKER_AT + MARKER_LEN);
	answer[VERSION_AT] = 1;
	answer[MARKER_AT] = MARKER_ANSWER;
	return true;
}

char *lacp_state_text(uint8_t state, char text[LACP_STATE_TEXT])
{
	static const char *const names[] = { "activity",        "short_timeout", "aggregation",
					     "synchronization", "collecting",    "distributing",
					     "defaulted",       "expired" };
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (state & 1u << i)
			used += (size_t)snprintf(text + used, LACP_STATE_TEXT - used, "%s%s",
						 used ? "," : "", names[i]);
	return text;
}
