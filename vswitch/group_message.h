/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What hosts and routers say about groups: IGMP (RFC 1112, 2236, 3376), MLD (RFC 2710, 3810), and how routers show
 * themselves (PIM hello, RFC 7761; multicast router discovery, RFC 4286). Reading such a frame and making queries.
 *
 * A message counts if it is whole: lengths that fit into each other, no fragment, right checksums, a time to live of 1, options that all
 * know, and addresses that its kind may have. One that is not is bad; what is of another kind is no message.
 *
 * So is a query that those do not take whom it is about: sent to another group, or to another group's MAC address, which their interfaces do not
 * let through; or with what hosts drop it for. Nobody would answer, and who believed it would end all memberships.
 */
#ifndef TENON_VSWITCH_GROUP_MESSAGE_H
#define TENON_VSWITCH_GROUP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of IPv4 in its mapped form, ::ffff:a.b.c.d; all zero: none, and 0.0.0.0. */
struct group_address {
	uint64_t high, low;
};

static inline struct group_address group_address_v4(uint32_t address)
{
	return (struct group_address){ 0, address ? 0xffff00000000ULL | address : 0 };
}

static inline bool group_address_same(struct group_address a, struct group_address b)
{
	return a.high == b.high && a.low == b.low;
}

static inline bool group_address_is_zero(struct group_address address)
{
	return !address.high && !address.low;
}

static inline bool group_address_is_v4(struct group_address address)
{
	return !address.high && address.low >> 32 == 0xffff;
}

static inline bool group_address_less(struct group_address a, struct group_address b)
{
	return a.high != b.high ? a.high < b.high : a.low < b.low;
}

/* The MAC address that frames to a group go to: RFC 1112, 6.4; RFC 2464, 7. */
static inline uint64_t group_address_mac(struct group_address group)
{
	return group_address_is_v4(group) ? 0x01005e000000 | (group.low & 0x7fffff)
					  : 0x333300000000 | (group.low & UINT32_MAX);
}

#define GROUP_ADDRESS_TEXT 46
/* "239.1.2.3", "ff0e::1". Returns `text`. */
char *group_address_format(struct group_address address, char text[GROUP_ADDRESS_TEXT]);

enum group_message_kind {
	GROUP_QUERY,
	GROUP_REPORT,      /* of one group, or of records */
	GROUP_LEAVE,       /* "leave", "done" */
	GROUP_ROUTER,      /* a router is there */
	GROUP_ROUTER_GONE, /* and says that it is no more */
};

enum group_message_found { GROUP_MESSAGE_NONE, GROUP_MESSAGE_BAD, GROUP_MESSAGE_GOOD };

struct group_message {
	enum group_message_kind kind;
	bool is_mld;
	uint8_t version;                    /* 1, 2 or 3 of IGMP, 1 or 2 of MLD; of a router's: 0 */
	struct group_address source, group; /* `group` of a query: zero in a general one */
	struct group_address destination;
	/* Of queries. */
	uint64_t response_ns;   /* the most that a host may take */
	const uint8_t *sources; /* in the frame: group_source_at() */
	uint16_t source_count;
	bool suppress;      /* it is a repetition: routers do not lower their timers by it */
	uint8_t robustness; /* the querier's variables; 0: not said */
	uint64_t interval_ns;
	/* Of reports with records, in the frame. */
	const uint8_t *records;
	uint16_t record_count;
};

/* Reads an Ethernet frame, with or without one tag (0x8100). */
enum group_message_found group_message_parse(struct group_message *out, const uint8_t *frame,
					     size_t length);

/* RFC 3376, 4.2.12. */
enum group_record_type {
	GROUP_IS_INCLUDE = 1,
	GROUP_IS_EXCLUDE,
	GROUP_TO_INCLUDE,
	GROUP_TO_EXCLUDE,
	GROUP_ALLOW,
	GROUP_BLOCK,
};

struct group_record {
	uint8_t type; /* enum group_record_type, or what is none */
	uint16_t source_count;
	const uint8_t *sources; /* in the frame: group_source_at() */
	struct group_address group;
};

/* The next of the records at *at, which group_message_parse() found good. */
void group_record_next(const struct group_message *message, const uint8_t **at,
		       struct group_record *out);

/* The source of that number, of a query's or a record's. */
struct group_address group_source_at(bool is_mld, const uint8_t *sources, unsigned number);

/* What one query of ours may name: it fits into the smallest MTU of IPv6. */
#define GROUP_QUERY_SOURCES 64

struct group_query {
	bool is_mld;
	uint8_t version;                     /* 1 (MLD), 2, 3 (IGMP) */
	uint64_t mac;                        /* that it comes from */
	struct group_address source;         /* of IGMP may be zero */
	struct group_address group;          /* zero: a general query */
	const struct group_address *sources; /* of a group, in the newest version only */
	unsigned source_count;               /* at most GROUP_QUERY_SOURCES */
	bool suppress;                       /* in the newest version only */
	uint64_t response_ns;
	uint8_t robustness; /* 1 to 7 */
	uint64_t interval_ns;
};

#define GROUP_QUERY_ROOM (96 + GROUP_QUERY_SOURCES * 16)

/* Makes the frame, without tag; returns its length, at least 60. */
size_t group_query_make(const struct group_query *query, uint8_t frame[GROUP_QUERY_ROOM]);

/* Whether an IP packet may be a message, by its first `length` bytes: then it is to be read whole. At least 50 of them are there,
 * if the packet has as many. */
static inline bool group_message_may_be(bool is_ipv6, const uint8_t *ip, size_t length)
{
	if (!is_ipv6)
		return length >= 20 && (ip[9] == 2 || (ip[9] == 103 && ip[19] == 13));
	return length >= 42 &&
	       ((ip[6] == 0 && ip[40] == 58) || (ip[6] == 103 && ip[24] == 0xff && ip[39] == 13));
}

#endif
