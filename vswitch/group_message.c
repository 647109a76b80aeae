/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages about groups; see group_message.h. */
#include "vswitch/group_message.h"

#include <arpa/inet.h>
#include <string.h>

#include "util/bytes.h"
#include "virtio/virtio_net.h"
#include "vswitch/mac_table.h"

#define ETHERNET_HEADER 14
#define TYPE_VLAN       0x8100
#define TYPE_IPV4       0x0800
#define TYPE_IPV6       0x86dd
#define IPV6_HEADER     40
#define PROTOCOL_IGMP   2
#define PROTOCOL_ICMPV6 58
#define PROTOCOL_PIM    103

#define ALL_NODES_V4   0xe0000001u
#define ALL_NODES_V6   ((struct group_address){ 0xff02000000000000, 1 })
#define ALL_PIM_V4     0xe000000du
#define ALL_SNOOPERS   0xe000006au /* RFC 4286, 7 */
#define LINK_LOCAL_TOP 0xfe80u

#define MAC_BROADCAST 0xffffffffffffULL

#define MS 1000000ULL

enum igmp_type {
	IGMP_QUERY = 0x11,
	IGMP_REPORT_1 = 0x12,
	IGMP_REPORT_2 = 0x16,
	IGMP_LEAVE = 0x17,
	IGMP_REPORT_3 = 0x22,
	IGMP_ROUTER = 0x30,
	IGMP_ROUTER_GONE = 0x32,
};

enum mld_type {
	MLD_QUERY = 130,
	MLD_REPORT_1 = 131,
	MLD_DONE = 132,
	MLD_REPORT_2 = 143,
	MLD_ROUTER = 151,
	MLD_ROUTER_GONE = 153,
};

char *group_address_format(struct group_address address, char text[GROUP_ADDRESS_TEXT])
{
	uint8_t bytes[16];

	put_be64(bytes, address.high);
	put_be64(bytes + 8, address.low);
	if (group_address_is_v4(address))
		inet_ntop(AF_INET, bytes + 12, text, GROUP_ADDRESS_TEXT);
	else
		inet_ntop(AF_INET6, bytes, text, GROUP_ADDRESS_TEXT);
	return text;
}

static struct group_address v4_at(const uint8_t *at)
{
	return group_address_v4(get_be32(at));
}

static struct group_address v6_at(const uint8_t *at)
{
	return (struct group_address){ get_be64(at), get_be64(at + 8) };
}

static bool is_multicast(struct group_address address)
{
	return group_address_is_v4(address) ? (address.low >> 28 & 0xf) == 0xe
					    : address.high >> 56 == 0xff;
}

static bool is_link_local(struct group_address address)
{
	return (address.high >> 48 & 0xffc0) == LINK_LOCAL_TOP;
}

/* ---- What both have ---- */

/* A number of 3 bits for a power of two, and `bits` after the first (RFC 3376, 4.1.1; RFC 3810, 5.1.3). */
static uint64_t decode_float(uint32_t code, unsigned bits)
{
	uint32_t exponent = code >> bits & 7, mantissa = code & ((1u << bits) - 1);

	if (!(code >> (bits + 3)))
		return code;
	return (uint64_t)(mantissa | 1u << bits) << (exponent + 3);
}

static uint32_t encode_float(uint64_t value, unsigned bits)
{
	uint32_t exponent = 0;

	if (value < 1u << (bits + 3))
		return (uint32_t)value;
	value >>= 3;
	while (value >> (bits + 1) && exponent < 7) {
		value >>= 1;
		exponent++;
	}
	value = MIN(value, (2u << bits) - 1);
	return 1u << (bits + 3) | exponent << bits | ((uint32_t)value & ((1u << bits) - 1));
}

/* What follows the time of a query, in the newer version: flags and a count at `at`, then addresses. */
static bool parse_query_tail(struct group_message *out, const uint8_t *at, size_t length,
			     size_t address_size)
{
	out->suppress = at[0] >> 3 & 1;
	out->robustness = at[0] & 7;
	out->interval_ns = decode_float(at[1], 4) * 1000 * MS;
	out->sources = at + 4;
	out->source_count = get_be16(at + 2);
	return 4 + out->source_count * address_size <= length;
}

/* Whether all whom a query is about take it: RFC 3376, 4.1.9 and 4.1.12; RFC 3810, 5.1.10 and 5.1.15. */
static bool is_for_whom_it_asks(const struct group_message *query, struct group_address all)
{
	bool to_all = group_address_same(query->destination, all);

	if (group_address_is_zero(query->group))
		return to_all && !query->source_count;
	return is_multicast(query->group) &&
	       (to_all || group_address_same(query->destination, query->group));
}

/* Whether all records are there, and of groups. */
static bool parse_records(struct group_message *out, const uint8_t *at, size_t length)
{
	size_t size = out->is_mld ? 16 : 4;

	out->records = at + 8;
	out->record_count = get_be16(at + 6);
	at += 8;
	length -= 8;
	for (unsigned i = 0; i < out->record_count; i++) {
		size_t whole;

		if (length < 4 + size)
			return false;
		whole = 4 + size + get_be16(at + 2) * size + at[1] * 4u;
		if (whole > length || !is_multicast(out->is_mld ? v6_at(at + 4) : v4_at(at + 4)))
			return false;
		at += whole;
		length -= whole;
	}
	return true;
}

void group_record_next(const struct group_message *message, const uint8_t **at,
		       struct group_record *out)
{
	const uint8_t *record = *at;
	size_t size = message->is_mld ? 16 : 4;

	out->type = record[0];
	out->source_count = get_be16(record + 2);
	out->sources = record + 4 + size;
	out->group = message->is_mld ? v6_at(record + 4) : v4_at(record + 4);
	*at = record + 4 + size + out->source_count * size + record[1] * 4u;
}

struct group_address group_source_at(bool is_mld, const uint8_t *sources, unsigned number)
{
	return is_mld ? v6_at(sources + number * 16) : v4_at(sources + number * 4);
}

static enum group_message_found good_if(bool good)
{
	return good ? GROUP_MESSAGE_GOOD : GROUP_MESSAGE_BAD;
}

/* ---- IGMP ---- */

static bool parse_igmp_query(struct group_message *out, const uint8_t *at, size_t length)
{
	out->kind = GROUP_QUERY;
	out->version = length > 8 ? 3 : at[1] ? 2 : 1;
	out->response_ns = at[1] * 100 * MS;
	if (out->version == 1)
		out->response_ns = 10000 * MS;
	if (out->version == 3) {
		if (length < 12 || !parse_query_tail(out, at + 8, length - 8, 4))
			return false;
		out->response_ns = decode_float(at[1], 4) * 100 * MS;
	}
	return is_for_whom_it_asks(out, group_address_v4(ALL_NODES_V4));
}

static enum group_message_found parse_igmp(struct group_message *out, const uint8_t *at,
					   size_t length)
{
	if (length < 8 || virtio_net_fold(virtio_net_sum(0, at, length)) != 0xffff)
		return GROUP_MESSAGE_BAD;
	out->group = v4_at(at + 4);
	switch (at[0]) {
	case IGMP_QUERY:
		return good_if(parse_igmp_query(out, at, length));
	case IGMP_REPORT_1:
	case IGMP_REPORT_2:
		out->kind = GROUP_REPORT;
		out->version = at[0] == IGMP_REPORT_1 ? 1 : 2;
		return good_if(is_multicast(out->group));
	case IGMP_LEAVE:
		out->kind = GROUP_LEAVE;
		out->version = 2;
		return good_if(is_multicast(out->group));
	case IGMP_REPORT_3:
		out->kind = GROUP_REPORT;
		out->version = 3;
		return good_if(parse_records(out, at, length));
	case IGMP_ROUTER:
	case IGMP_ROUTER_GONE:
		out->kind = at[0] == IGMP_ROUTER ? GROUP_ROUTER : GROUP_ROUTER_GONE;
		return group_address_same(out->destination, group_address_v4(ALL_SNOOPERS))
			       ? GROUP_MESSAGE_GOOD
			       : GROUP_MESSAGE_NONE;
	default:
		return GROUP_MESSAGE_NONE;
	}
}

static bool is_pim_hello(const uint8_t *at, size_t length)
{
	return length >= 4 && at[0] == 0x20;
}

/* Of options in a header only those are known that a host never drops it for: padding, and a router alert. */
static bool options_are_known_v4(const uint8_t *at, size_t length)
{
	for (size_t i = 0; i < length && at[i] != 0;) {
		if (at[i] == 1)
			i++;
		else if (at[i] == 0x94 && i + 4 <= length && at[i + 1] == 4)
			i += 4;
		else
			return false;
	}
	return true;
}

/* That no host takes for another one's. */
static bool is_no_source_v4(uint32_t address)
{
	return address >> 28 == 0xe || address >> 24 == 127 || address == UINT32_MAX;
}

static enum group_message_found parse_ipv4(struct group_message *out, const uint8_t *ip,
					   size_t length)
{
	size_t header, total;
	bool fragment, pim;

	if (length < 20 || (ip[9] != PROTOCOL_IGMP && ip[9] != PROTOCOL_PIM))
		return GROUP_MESSAGE_NONE;
	header = (ip[0] & 15) * 4u;
	total = get_be16(ip + 2);
	fragment = get_be16(ip + 6) & 0x3fff; /* more follow, or it is not the first */
	pim = ip[9] == PROTOCOL_PIM;
	out->source = v4_at(ip + 12);
	out->destination = v4_at(ip + 16);
	if (pim && get_be32(ip + 16) != ALL_PIM_V4)
		return GROUP_MESSAGE_NONE;
	if (ip[0] >> 4 != 4 || header < 20 || total < header || total > length || fragment ||
	    virtio_net_fold(virtio_net_sum(0, ip, header)) != 0xffff || ip[8] != 1 ||
	    is_no_source_v4(get_be32(ip + 12)) || !options_are_known_v4(ip + 20, header - 20))
		return GROUP_MESSAGE_BAD;
	if (!pim)
		return parse_igmp(out, ip + header, total - header);
	out->kind = GROUP_ROUTER;
	return is_pim_hello(ip + header, total - header) && out->source.low ? GROUP_MESSAGE_GOOD
									    : GROUP_MESSAGE_NONE;
}

/* ---- MLD ---- */

static bool parse_mld_query(struct group_message *out, const uint8_t *at, size_t length)
{
	out->kind = GROUP_QUERY;
	out->version = length > 24 ? 2 : 1;
	out->response_ns = get_be16(at + 4) * MS;
	if (out->version == 2) {
		if (length < 28 || !parse_query_tail(out, at + 24, length - 24, 16))
			return false;
		out->response_ns = decode_float(get_be16(at + 4), 12) * MS;
	}
	return is_link_local(out->source) && is_for_whom_it_asks(out, ALL_NODES_V6);
}

/* Whose checksum is right. */
static enum group_message_found parse_mld(struct group_message *out, const uint8_t *at,
					  size_t length)
{
	/* A host that is about to find out whether its address is another's has none yet (RFC 3590). */
	bool from_here = is_link_local(out->source) || group_address_is_zero(out->source);
	bool of_one = length >= 24;

	if (of_one)
		out->group = v6_at(at + 8);
	switch (at[0]) {
	case MLD_QUERY:
		return good_if(of_one && parse_mld_query(out, at, length));
	case MLD_REPORT_1:
	case MLD_DONE:
		out->kind = at[0] == MLD_DONE ? GROUP_LEAVE : GROUP_REPORT;
		out->version = 1;
		return good_if(of_one && from_here && is_multicast(out->group));
	case MLD_REPORT_2:
		out->kind = GROUP_REPORT;
		out->version = 2;
		return good_if(from_here && parse_records(out, at, length));
	case MLD_ROUTER:
	case MLD_ROUTER_GONE:
		out->kind = at[0] == MLD_ROUTER ? GROUP_ROUTER : GROUP_ROUTER_GONE;
		return good_if(is_link_local(out->source));
	default:
		return GROUP_MESSAGE_NONE;
	}
}

static bool is_of_mld(uint8_t type)
{
	return type == MLD_QUERY || type == MLD_REPORT_1 || type == MLD_DONE ||
	       type == MLD_REPORT_2 || type == MLD_ROUTER || type == MLD_ROUTER_GONE;
}

static uint64_t sum_pseudo_header(const uint8_t *ip, size_t length)
{
	uint8_t tail[8] = { 0 };

	put_be32(tail, (uint32_t)length);
	tail[7] = PROTOCOL_ICMPV6;
	return virtio_net_sum(virtio_net_sum(0, ip + 8, 32), tail, sizeof(tail));
}

/* A router alert for MLD, which hosts and routers require (RFC 3810, 6.2, 7.4), and padding as Linux takes it. */
static bool has_router_alert(const uint8_t *at, size_t length)
{
	size_t padding = 0;
	bool found = false;

	for (size_t i = 2, size; i < length; i += size) {
		size = at[i] ? 2 : 1;
		if (i + size > length)
			return false;
		size += at[i] ? at[i + 1] : 0;
		if (i + size > length)
			return false;
		padding = at[i] > 1 ? 0 : padding + size;
		for (size_t j = i + 2; at[i] == 1 && j < i + size; j++)
			if (at[j])
				return false;
		if (padding > 7 || (at[i] > 1 && (at[i] != 5 || size != 4 || get_be16(at + i + 2))))
			return false;
		found = found || at[i] == 5;
	}
	return found;
}

/* MLD has a hop-by-hop header before it, with a router alert. */
static enum group_message_found parse_ipv6(struct group_message *out, const uint8_t *ip,
					   size_t length)
{
	size_t payload, options;
	const uint8_t *at;

	out->is_mld = true;
	if (length < IPV6_HEADER + 8)
		return GROUP_MESSAGE_NONE;
	payload = get_be16(ip + 4);
	out->source = v6_at(ip + 8);
	out->destination = v6_at(ip + 24);
	if (ip[6] == PROTOCOL_PIM) {
		out->kind = GROUP_ROUTER;
		return ip[24] == 0xff && ip[25] == 2 && ip[39] == 13 &&
				       is_pim_hello(ip + IPV6_HEADER, length - IPV6_HEADER) &&
				       is_link_local(out->source) && ip[7] == 1
			       ? GROUP_MESSAGE_GOOD
			       : GROUP_MESSAGE_NONE;
	}
	if (ip[6] != 0 || ip[IPV6_HEADER] != PROTOCOL_ICMPV6)
		return GROUP_MESSAGE_NONE;
	options = (ip[IPV6_HEADER + 1] + 1u) * 8;
	at = ip + IPV6_HEADER + options;
	if (ip[0] >> 4 != 6 || payload + IPV6_HEADER > length || payload < options + 8)
		return GROUP_MESSAGE_BAD;
	payload -= options;
	if (!is_of_mld(at[0]))
		return GROUP_MESSAGE_NONE;
	if (ip[7] != 1 || !has_router_alert(ip + IPV6_HEADER, options) ||
	    virtio_net_fold(virtio_net_sum(sum_pseudo_header(ip, payload), at, payload)) != 0xffff)
		return GROUP_MESSAGE_BAD;
	return parse_mld(out, at, payload);
}

static enum group_message_found parse_packet(struct group_message *out, uint16_t type,
					     const uint8_t *ip, size_t length)
{
	if (type == TYPE_IPV4)
		return parse_ipv4(out, ip, length);
	return type == TYPE_IPV6 ? parse_ipv6(out, ip, length) : GROUP_MESSAGE_NONE;
}

/* As cards let it in: by the group's address, or that of all. */
static bool is_let_in(struct group_address destination, uint64_t mac)
{
	return mac == group_address_mac(destination) || mac == MAC_BROADCAST;
}

enum group_message_found group_message_parse(struct group_message *out, const uint8_t *frame,
					     size_t length)
{
	size_t at = ETHERNET_HEADER - 2;
	enum group_message_found found;

	*out = (struct group_message){ 0 };
	if (length >= at + 6 && get_be16(frame + at) == TYPE_VLAN)
		at += 4;
	if (length < at + 2 || !(frame[0] & 1))
		return GROUP_MESSAGE_NONE;
	found = parse_packet(out, get_be16(frame + at), frame + at + 2, length - at - 2);
	return found == GROUP_MESSAGE_GOOD && !is_let_in(out->destination, mac_from_bytes(frame))
		       ? GROUP_MESSAGE_BAD
		       : found;
}

/* ---- Queries ---- */

static uint8_t *put_mac(uint8_t *at, uint64_t mac)
{
	put_be16(at, (uint16_t)(mac >> 32));
	put_be32(at + 2, (uint32_t)mac);
	return at + 6;
}

static void put_checksum(uint8_t *at, uint64_t sum)
{
	uint16_t folded = (uint16_t)~virtio_net_fold(sum);

	memcpy(at, &folded, sizeof(folded));
}

/* The tail of the newer versions: flags, the querier's variables, sources. */
static size_t put_query_tail(uint8_t *at, const struct group_query *query)
{
	at[0] = (uint8_t)(query->suppress << 3 | (query->robustness <= 7 ? query->robustness : 0));
	at[1] = (uint8_t)encode_float(query->interval_ns / (1000 * MS), 4);
	put_be16(at + 2, (uint16_t)query->source_count);
	at += 4;
	for (unsigned i = 0; i < query->source_count; i++) {
		struct group_address source = query->sources[i];

		if (query->is_mld) {
			put_be64(at, source.high);
			put_be64(at + 8, source.low);
		} else {
			put_be32(at, (uint32_t)source.low);
		}
		at += query->is_mld ? 16 : 4;
	}
	return 4 + query->source_count * (query->is_mld ? 16u : 4u);
}

static size_t make_igmp(const struct group_query *query, uint8_t *ip)
{
	uint32_t group = (uint32_t)query->group.low;
	uint64_t tenths = query->response_ns / (100 * MS);
	uint8_t *at = ip + 24;
	size_t size = 8;

	at[0] = IGMP_QUERY;
	at[1] = query->version == 3 ? (uint8_t)encode_float(tenths, 4)
				    : (uint8_t)MAX(1u, MIN(tenths, 255u));
	put_be32(at + 4, group);
	if (query->version == 3)
		size += put_query_tail(at + 8, query);
	put_checksum(at + 2, virtio_net_sum(0, at, size));
	ip[0] = 0x46;
	ip[1] = 0xc0; /* internetwork control */
	put_be16(ip + 2, (uint16_t)(24 + size));
	put_be16(ip + 6, 0x4000);
	ip[8] = 1;
	ip[9] = PROTOCOL_IGMP;
	put_be32(ip + 12, (uint32_t)query->source.low);
	put_be32(ip + 16, group ? group : ALL_NODES_V4);
	put_be32(ip + 20, 0x94040000); /* router alert: RFC 2113 */
	put_checksum(ip + 10, virtio_net_sum(0, ip, 24));
	return 24 + size;
}

static size_t make_mld(const struct group_query *query, uint8_t *ip)
{
	static const uint8_t alert[8] = { PROTOCOL_ICMPV6, 0, 5, 2, 0, 0, 1, 0 }; /* RFC 2711 */
	bool general = group_address_is_zero(query->group);
	uint8_t *at = ip + IPV6_HEADER + 8;
	uint64_t ms = query->response_ns / MS;
	size_t size = 24;

	ip[0] = 0x60;
	ip[7] = 1;
	put_be64(ip + 8, query->source.high);
	put_be64(ip + 16, query->source.low);
	put_be64(ip + 24, general ? 0xff02000000000000 : query->group.high);
	put_be64(ip + 32, general ? 1 : query->group.low);
	memcpy(ip + IPV6_HEADER, alert, 8);
	at[0] = MLD_QUERY;
	put_be16(at + 4, query->version == 2 ? (uint16_t)encode_float(ms, 12)
					     : (uint16_t)MIN(ms, (uint64_t)UINT16_MAX));
	put_be64(at + 8, query->group.high);
	put_be64(at + 16, query->group.low);
	if (query->version == 2)
		size += put_query_tail(at + 24, query);
	put_be16(ip + 4, (uint16_t)(8 + size));
	put_checksum(at + 2, virtio_net_sum(sum_pseudo_header(ip, size), at, size));
	return IPV6_HEADER + 8 + size;
}

size_t group_query_make(const struct group_query *query, uint8_t frame[GROUP_QUERY_ROOM])
{
	struct group_address all = query->is_mld ? ALL_NODES_V6 : group_address_v4(ALL_NODES_V4);
	struct group_address to = group_address_is_zero(query->group) ? all : query->group;
	uint8_t *at = put_mac(put_mac(frame, group_address_mac(to)), query->mac);
	size_t length;

	memset(at, 0, GROUP_QUERY_ROOM - 12);
	put_be16(at, query->is_mld ? TYPE_IPV6 : TYPE_IPV4);
	length = ETHERNET_HEADER + (query->is_mld ? make_mld(query, frame + ETHERNET_HEADER)
						  : make_igmp(query, frame + ETHERNET_HEADER));
	return MAX(length, (size_t)60);
}
