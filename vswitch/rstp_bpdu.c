/* SPDX-License-Identifier: BSD-2-Clause */
/* See rstp_bpdu.h. */
#include "vswitch/rstp_bpdu.h"

#include <string.h>

#include "util/bytes.h"

#define VERSION_RST 2

/* Behind LLC. */
enum {
	AT_PROTOCOL = 3,
	AT_VERSION = 5,
	AT_TYPE = 6,
	AT_FLAGS = 7,
	AT_ROOT = 8,
	AT_COST = 16,
	AT_BRIDGE = 20,
	AT_PORT = 28,
	AT_MESSAGE_AGE = 30,
	AT_MAX_AGE = 32,
	AT_HELLO = 34,
	AT_FORWARD_DELAY = 36,
	AT_VERSION_1 = 38,
	CONFIG_SIZE = 38,
	RST_SIZE = 39,
	TCN_SIZE = 7,
};

static const uint8_t llc[RSTP_LLC_SIZE] = { 0x42, 0x42, 0x03 };

#define COMPARE(field)                                                                             \
	do {                                                                                       \
		if (a->field != b->field)                                                          \
			return a->field < b->field ? -1 : 1;                                       \
	} while (0)

int rstp_vector_compare(const struct rstp_vector *a, const struct rstp_vector *b)
{
	COMPARE(root);
	COMPARE(cost);
	COMPARE(bridge);
	COMPARE(port);
	COMPARE(receiver);
	return 0;
}

static void decode_body(struct rstp_bpdu *bpdu, const uint8_t *bytes)
{
	unsigned role = bytes[AT_FLAGS] >> 2 & 3;

	bpdu->flags = bytes[AT_FLAGS];
	bpdu->role = bpdu->type == RSTP_BPDU_CONFIG ? RSTP_DESIGNATED : (enum rstp_role)role;
	bpdu->priority = (struct rstp_vector){ .root = get_be64(bytes + AT_ROOT),
					       .cost = get_be32(bytes + AT_COST),
					       .bridge = get_be64(bytes + AT_BRIDGE),
					       .port = get_be16(bytes + AT_PORT) };
	bpdu->times = (struct rstp_times){ .message_age = get_be16(bytes + AT_MESSAGE_AGE),
					   .max_age = get_be16(bytes + AT_MAX_AGE),
					   .hello = get_be16(bytes + AT_HELLO),
					   .forward_delay = get_be16(bytes + AT_FORWARD_DELAY) };
}

bool rstp_bpdu_decode(struct rstp_bpdu *bpdu, const uint8_t *bytes, size_t length)
{
	*bpdu = (struct rstp_bpdu){ 0 };
	if (length < TCN_SIZE || memcmp(bytes, llc, sizeof(llc)) != 0 ||
	    get_be16(bytes + AT_PROTOCOL))
		return false;
	bpdu->version = bytes[AT_VERSION];
	bpdu->type = bytes[AT_TYPE];
	switch (bytes[AT_TYPE]) {
	case RSTP_BPDU_TCN:
		return true;
	case RSTP_BPDU_CONFIG:
		if (length < CONFIG_SIZE)
			return false;
		decode_body(bpdu, bytes);
		/* Of a message that is too old nothing is believed. */
		return bpdu->times.message_age < bpdu->times.max_age;
	case RSTP_BPDU_RST:
		if (length < RST_SIZE || bpdu->version < VERSION_RST)
			return false;
		decode_body(bpdu, bytes);
		return true;
	default:
		return false;
	}
}

size_t rstp_bpdu_encode(const struct rstp_bpdu *bpdu, uint8_t bytes[RSTP_BPDU_MAX])
{
	unsigned role = bpdu->role == RSTP_BACKUP ? RSTP_ALTERNATE : bpdu->role;

	memset(bytes, 0, RSTP_BPDU_MAX);
	memcpy(bytes, llc, sizeof(llc));
	bytes[AT_VERSION] = bpdu->type == RSTP_BPDU_RST ? VERSION_RST : 0;
	bytes[AT_TYPE] = (uint8_t)bpdu->type;
	if (bpdu->type == RSTP_BPDU_TCN)
		return TCN_SIZE;
	bytes[AT_FLAGS] = bpdu->flags;
	if (bpdu->type == RSTP_BPDU_RST)
		bytes[AT_FLAGS] |= (uint8_t)(role << 2);
	put_be64(bytes + AT_ROOT, bpdu->priority.root);
	put_be32(bytes + AT_COST, bpdu->priority.cost);
	put_be64(bytes + AT_BRIDGE, bpdu->priority.bridge);
	put_be16(bytes + AT_PORT, bpdu->priority.port);
	put_be16(bytes + AT_MESSAGE_AGE, bpdu->times.message_age);
	put_be16(bytes + AT_MAX_AGE, bpdu->times.max_age);
	put_be16(bytes + AT_HELLO, bpdu->times.hello);
	put_be16(bytes + AT_FORWARD_DELAY, bpdu->times.forward_delay);
	return bpdu->type == RSTP_BPDU_RST ? RST_SIZE : CONFIG_SIZE;
}
