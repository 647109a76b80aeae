/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages of LLDP (IEEE 802.1AB-2016, clauses 8 and 9.2.7.7; 802.1Q-2022 annex D of the port's VLAN; 802.1AX-2014 annex E of its aggregation): what a station says of itself
 * to the one at the other end of its cable.
 *
 *	chassis, port, TTL	each once, in this order, at the beginning: else the message is none (-EBADMSG)
 *	anything else		one that is broken, or there a second time, is left out and counted (tlvs_bad)
 *	the end			by an end TLV, or with the frame; what is behind it is padding
 *
 * Texts are bytes as they came: of any value, also zero, in no known coding. Who shows them cleans them.
 */
#ifndef TENON_VSWITCH_LLDP_MESSAGE_H
#define TENON_VSWITCH_LLDP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LLDP_TYPE        0x88cc         /* EtherType */
#define LLDP_GROUP       0x0180c200000e /* "nearest bridge": no bridge passes it on */
#define LLDP_MESSAGE_MAX 1500
#define LLDP_TEXT_MAX    255
#define LLDP_ADDRESS_MAX 31

enum lldp_chassis_kind { LLDP_CHASSIS_MAC = 4, LLDP_CHASSIS_NETWORK = 5 };
enum lldp_port_kind { LLDP_PORT_MAC = 3, LLDP_PORT_NETWORK = 4, LLDP_PORT_INTERFACE = 5 };

/* Of what the address is: IANA's families. */
enum lldp_address_kind { LLDP_ADDRESS_IPV4 = 1, LLDP_ADDRESS_IPV6 = 2 };

#define LLDP_CAPABILITY_BRIDGE (1 << 2)
#define LLDP_CAPABILITIES      11

/* It can be a link of a bond; it is. */
#define LLDP_AGGREGATION_CAPABLE (1 << 0)
#define LLDP_AGGREGATION_ENABLED (1 << 1)

struct lldp_id {
	uint8_t kind, length; /* 1 to 255 bytes */
	uint8_t bytes[LLDP_TEXT_MAX];
};

struct lldp_text {
	bool there;
	uint8_t length; /* 0 to 255 bytes */
	uint8_t bytes[LLDP_TEXT_MAX];
};

struct lldp_address {
	uint8_t kind, length; /* 0 bytes: none */
	uint8_t bytes[LLDP_ADDRESS_MAX];
};

struct lldp_message {
	struct lldp_id chassis, port;
	uint16_t ttl; /* seconds; 0: the port goes, and nothing else is said */
	struct lldp_text port_description, system_name, system_description;
	bool has_capabilities;
	uint16_t capabilities, enabled; /* LLDP_CAPABILITY_... */
	bool has_vlan;
	uint16_t vlan; /* of what has no tag; 0: none */
	bool has_aggregation;
	uint8_t aggregation;            /* LLDP_AGGREGATION_... */
	uint32_t aggregated_port;       /* the number of the bond's port; 0: it is in none */
	struct lldp_address management; /* the first one */
	uint16_t tlvs_bad, tlvs_unknown;
};

/* As many bytes as were written, or -EMSGSIZE: it does not fit; -EINVAL: an identity without bytes. */
int lldp_encode(const struct lldp_message *message, uint8_t *bytes, size_t size);

/* -EBADMSG: it is no message, and *message is not to be used. */
int lldp_decode(struct lldp_message *message, const uint8_t *bytes, size_t length);

/* "bridge"; by the number of the bit, below LLDP_CAPABILITIES. */
const char *lldp_capability_name(unsigned bit);

/* "mac"; "reserved" for what the standard does not name. */
const char *lldp_chassis_kind_name(uint8_t kind);
const char *lldp_port_kind_name(uint8_t kind);

static inline bool lldp_id_same(const struct lldp_id *a, const struct lldp_id *b)
{
	return a->kind == b->kind && a->length == b->length &&
	       !__builtin_memcmp(a->bytes, b->bytes, a->length);
}

#endif
