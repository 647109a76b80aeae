/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages of LLDP; see lldp_message.h. */
#include "vswitch/lldp_message.h"

#include <errno.h>
#include <string.h>

#include "util/bytes.h"

enum tlv {
	TLV_END,
	TLV_CHASSIS,
	TLV_PORT,
	TLV_TTL,
	TLV_PORT_DESCRIPTION,
	TLV_SYSTEM_NAME,
	TLV_SYSTEM_DESCRIPTION,
	TLV_CAPABILITIES,
	TLV_MANAGEMENT,
	TLV_ORGANIZATION = 127,
};

#define TLV_HEAD 2
#define TLV_MOST 511

/* An organization's number and the subtype, before what the organization says. */
#define ORGANIZATION_8021 0x0080c2u
#define PORT_VLAN         (ORGANIZATION_8021 << 8 | 1)
#define PORT_VLAN_LENGTH  6
#define VLAN_MOST         4094

/* Of link aggregation: 802.1's, and 802.3's of before there was that one, which lldpd still has; of one form. */
#define AGGREGATION        (ORGANIZATION_8021 << 8 | 7)
#define AGGREGATION_OLD    (0x00120fu << 8 | 3)
#define AGGREGATION_LENGTH 9

/* Of the number of an interface behind an address. */
#define NUMBERING_UNKNOWN 1
#define NUMBERING_LENGTH  5 /* with the kind of number */

/* ---- Writing ---- */

struct writer {
	uint8_t *bytes;
	size_t size, used;
	bool full;
};

static uint8_t *begin_tlv(struct writer *writer, enum tlv type, size_t length)
{
	uint8_t *at = writer->bytes + writer->used;

	if (writer->full || TLV_HEAD + length > writer->size - writer->used) {
		writer->full = true;
		return NULL;
	}
	put_be16(at, (uint16_t)((unsigned)type << 9 | length));
	writer->used += TLV_HEAD + length;
	return at + TLV_HEAD;
}

static void put_id(struct writer *writer, enum tlv type, const struct lldp_id *id)
{
	uint8_t *at = begin_tlv(writer, type, 1u + id->length);

	if (!at)
		return;
	at[0] = id->kind;
	memcpy(at + 1, id->bytes, id->length);
}

static void put_text(struct writer *writer, enum tlv type, const struct lldp_text *text)
{
	uint8_t *at = text->there ? begin_tlv(writer, type, text->length) : NULL;

	if (at)
		memcpy(at, text->bytes, text->length);
}

static void put_management(struct writer *writer, const struct lldp_address *address)
{
	uint8_t *at;

	if (!address->length)
		return;
	/* The lengths of the address, with its kind, and of an object identifier, of which there is none. */
	at = begin_tlv(writer, TLV_MANAGEMENT, 2u + address->length + NUMBERING_LENGTH + 1);
	if (!at)
		return;
	at[0] = (uint8_t)(1 + address->length);
	at[1] = address->kind;
	memcpy(at + 2, address->bytes, address->length);
	at += 2 + address->length;
	at[0] = NUMBERING_UNKNOWN;
	put_be32(at + 1, 0);
	at[NUMBERING_LENGTH] = 0;
}

static void put_aggregation(struct writer *writer, uint32_t kind,
			    const struct lldp_message *message)
{
	uint8_t *at = message->has_aggregation
			      ? begin_tlv(writer, TLV_ORGANIZATION, AGGREGATION_LENGTH)
			      : NULL;

	if (!at)
		return;
	put_be32(at, kind);
	at[4] = message->aggregation;
	put_be32(at + 5, message->aggregated_port);
}

static void put_options(struct writer *writer, const struct lldp_message *message)
{
	uint8_t *at;

	put_text(writer, TLV_PORT_DESCRIPTION, &message->port_description);
	put_text(writer, TLV_SYSTEM_NAME, &message->system_name);
	put_text(writer, TLV_SYSTEM_DESCRIPTION, &message->system_description);
	if (message->has_capabilities && (at = begin_tlv(writer, TLV_CAPABILITIES, 4))) {
		put_be16(at, message->capabilities);
		put_be16(at + 2, message->enabled);
	}
	put_management(writer, &message->management);
	if (message->has_vlan && (at = begin_tlv(writer, TLV_ORGANIZATION, PORT_VLAN_LENGTH))) {
		put_be32(at, PORT_VLAN);
		put_be16(at + 4, message->vlan);
	}
	put_aggregation(writer, AGGREGATION, message);
	put_aggregation(writer, AGGREGATION_OLD, message);
}

int lldp_encode(const struct lldp_message *message, uint8_t *bytes, size_t size)
{
	struct writer writer = { .bytes = bytes, .size = size };
	uint8_t *at;

	if (!message->chassis.length || !message->port.length)
		return -EINVAL;
	put_id(&writer, TLV_CHASSIS, &message->chassis);
	put_id(&writer, TLV_PORT, &message->port);
	at = begin_tlv(&writer, TLV_TTL, 2);
	if (at)
		put_be16(at, message->ttl);
	if (message->ttl)
		put_options(&writer, message);
	begin_tlv(&writer, TLV_END, 0);
	return writer.full ? -EMSGSIZE : (int)writer.used;
}

/* ---- Reading ---- */

struct reader {
	const uint8_t *at;
	size_t left;
	/* Of the TLV that was read last. */
	unsigned type;
	size_t length;
	const uint8_t *value;
};

/* False: there is none, or not all of it. */
static bool next_tlv(struct reader *reader)
{
	uint16_t head;

	if (reader->left < TLV_HEAD)
		return false;
	head = get_be16(reader->at);
	reader->type = head >> 9;
	reader->length = head & TLV_MOST;
	if (reader->length > reader->left - TLV_HEAD)
		return false;
	reader->value = reader->at + TLV_HEAD;
	reader->at += TLV_HEAD + reader->length;
	reader->left -= TLV_HEAD + reader->length;
	return true;
}

static bool take_id(struct reader *reader, enum tlv type, struct lldp_id *id)
{
	if (!next_tlv(reader) || reader->type != type || reader->length < 2 ||
	    reader->length > 1 + LLDP_TEXT_MAX)
		return false;
	id->kind = reader->value[0];
	id->length = (uint8_t)(reader->length - 1);
	memcpy(id->bytes, reader->value + 1, id->length);
	return true;
}

static bool take_text(const struct reader *reader, struct lldp_text *text)
{
	if (text->there || reader->length > LLDP_TEXT_MAX)
		return false;
	text->there = true;
	text->length = (uint8_t)reader->length;
	memcpy(text->bytes, reader->value, reader->length);
	return true;
}

static bool take_capabilities(const struct reader *reader, struct lldp_message *message)
{
	if (message->has_capabilities || reader->length != 4)
		return false;
	message->has_capabilities = true;
	message->capabilities = get_be16(reader->value);
	message->enabled = get_be16(reader->value + 2);
	return true;
}

/* There may be several: the first is kept. */
static bool take_management(const struct reader *reader, struct lldp_address *address)
{
	const uint8_t *at = reader->value;
	size_t length = reader->length ? at[0] : 0; /* with its kind */

	if (length < 2 || length > 1 + LLDP_ADDRESS_MAX ||
	    reader->length < 1 + length + NUMBERING_LENGTH + 1 ||
	    reader->length != 1 + length + NUMBERING_LENGTH + 1 + at[1 + length + NUMBERING_LENGTH])
		return false;
	if (address->length)
		return true;
	address->kind = at[1];
	address->length = (uint8_t)(length - 1);
	memcpy(address->bytes, at + 2, length - 1);
	return true;
}

static bool take_vlan(const struct reader *reader, struct lldp_message *message)
{
	const uint8_t *at = reader->value;

	if (message->has_vlan || reader->length != PORT_VLAN_LENGTH || get_be16(at + 4) > VLAN_MOST)
		return false;
	message->has_vlan = true;
	message->vlan = get_be16(at + 4);
	return true;
}

/* Who says it both ways says the same: the first is kept. */
static bool take_aggregation(const struct reader *reader, struct lldp_message *message)
{
	if (reader->length != AGGREGATION_LENGTH)
		return false;
	if (message->has_aggregation)
		return true;
	message->has_aggregation = true;
	message->aggregation = reader->value[4];
	message->aggregated_port = get_be32(reader->value + 5);
	return true;
}

static bool take_organization(const struct reader *reader, struct lldp_message *message)
{
	if (reader->length < 4)
		return false;
	switch (get_be32(reader->value)) {
	case PORT_VLAN:
		return take_vlan(reader, message);
	case AGGREGATION:
	case AGGREGATION_OLD:
		return take_aggregation(reader, message);
	default:
		message->tlvs_unknown++;
		return true;
	}
}

static bool take_option(const struct reader *reader, struct lldp_message *message)
{
	switch (reader->type) {
	case TLV_PORT_DESCRIPTION:
		return take_text(reader, &message->port_description);
	case TLV_SYSTEM_NAME:
		return take_text(reader, &message->system_name);
	case TLV_SYSTEM_DESCRIPTION:
		return take_text(reader, &message->system_description);
	case TLV_CAPABILITIES:
		return take_capabilities(reader, message);
	case TLV_MANAGEMENT:
		return take_management(reader, &message->management);
	case TLV_ORGANIZATION:
		return take_organization(reader, message);
	default:
		message->tlvs_unknown++;
		return true;
	}
}

int lldp_decode(struct lldp_message *message, const uint8_t *bytes, size_t length)
{
	struct reader reader = { .at = bytes, .left = MIN(length, (size_t)LLDP_MESSAGE_MAX) };

	memset(message, 0, sizeof(*message));
	if (!take_id(&reader, TLV_CHASSIS, &message->chassis) ||
	    !take_id(&reader, TLV_PORT, &message->port))
		return -EBADMSG;
	if (!next_tlv(&reader) || reader.type != TLV_TTL || reader.length < 2)
		return -EBADMSG;
	message->ttl = get_be16(reader.value);
	if (!message->ttl)
		return 0;
	while (reader.left) {
		if (!next_tlv(&reader)) {
			message->tlvs_bad++;
			break;
		}
		if (reader.type == TLV_END)
			break;
		/* A second identity, or life: which is the true one? */
		if (reader.type <= TLV_TTL)
			return -EBADMSG;
		message->tlvs_bad += !take_option(&reader, message);
	}
	return 0;
}

/* ---- Names ---- */

const char *lldp_capability_name(unsigned bit)
{
	static const char *const names[LLDP_CAPABILITIES] = {
		"other",  "repeater",  "bridge", "wlan-access-point",
		"router", "telephone", "docsis", "station",
		"c-vlan", "s-vlan",    "tpmr",
	};

	return bit < LLDP_CAPABILITIES ? names[bit] : "reserved";
}

const char *lldp_chassis_kind_name(uint8_t kind)
{
	static const char *const names[] = {
		"reserved", "chassis-component", "interface-alias", "port-component",
		"mac",      "network-address",   "interface-name",  "local",
	};

	return names[kind < ARRAY_SIZE(names) ? kind : 0];
}

const char *lldp_port_kind_name(uint8_t kind)
{
	static const char *const names[] = {
		"reserved",        "interface-alias", "port-component",   "mac",
		"network-address", "interface-name",  "agent-circuit-id", "local",
	};

	return names[kind < ARRAY_SIZE(names) ? kind : 0];
}
