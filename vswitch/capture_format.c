/* SPDX-License-Identifier: BSD-2-Clause */
/* See capture_format.h. */
#include "vswitch/capture_format.h"

#include <string.h>

#include "util/bytes.h"

#define LINKTYPE_ETHERNET 1

#define PCAP_MAGIC       0xa1b23c4d /* with nanoseconds */
#define PCAP_MAGIC_MICRO 0xa1b2c3d4

#define BLOCK_SECTION    0x0a0d0d0a
#define BLOCK_INTERFACE  1
#define BLOCK_STATISTICS 5
#define BLOCK_PACKET     6
#define SECTION_MAGIC    0x1a2b3c4d

#define OPTION_END     0
#define OPTION_COMMENT 1
/* Of an interface. */
#define OPTION_NAME    2
#define OPTION_TSRESOL 9
#define OPTION_FILTER  11
/* Of a packet. */
#define OPTION_FLAGS     2
#define OPTION_DROPCOUNT 4
#define OPTION_ID        5
#define OPTION_VERDICT   7
/* Of statistics. */
#define OPTION_RECEIVED 4
#define OPTION_DROPPED  5

#define FLAGS_IN            1u
#define FLAGS_OUT           2u
#define FLAGS_RECEPTION     2 /* the bit where it begins */
#define VERDICT_TC          1 /* what follows is that of a traffic control program: pkt_cls.h */
#define VERDICT_TC_ACT_SHOT 2

struct pcap_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy, snaplen, linktype;
};

struct pcap_record {
	uint32_t seconds, nanoseconds, captured, length;
};

struct block_head {
	uint32_t type, length;
};

struct section_block {
	struct block_head head;
	uint32_t magic;
	uint16_t major, minor;
	uint32_t section_length[2]; /* not given */
	uint32_t length;
};

struct interface_block {
	struct block_head head;
	uint16_t linktype, reserved;
	uint32_t snaplen;
};

struct statistics_block {
	struct block_head head;
	uint32_t interface, time_high, time_low;
};

struct packet_block {
	struct block_head head;
	uint32_t interface, time_high, time_low, captured, length;
};

_Static_assert(sizeof(struct pcap_header) == CAPTURE_PCAP_HEADER, "24 bytes");
_Static_assert(sizeof(struct section_block) == CAPTURE_HEADER, "28 bytes");

size_t capture_put_header(enum capture_format format, uint32_t snaplen, uint8_t *at)
{
	const struct pcap_header classic = { .magic = PCAP_MAGIC,
					     .major = 2,
					     .minor = 4,
					     .snaplen = snaplen,
					     .linktype = LINKTYPE_ETHERNET };
	const struct section_block section = { .head = { BLOCK_SECTION, sizeof(section) },
					       .magic = SECTION_MAGIC,
					       .major = 1,
					       .section_length = { UINT32_MAX, UINT32_MAX },
					       .length = sizeof(section) };

	if (format == CAPTURE_PCAP) {
		memcpy(at, &classic, sizeof(classic));
		return sizeof(classic);
	}
	memcpy(at, &section, sizeof(section));
	return sizeof(section);
}

/* ---- Options of blocks ---- */

static uint8_t *put_option(uint8_t *at, uint16_t code, const void *value, size_t length)
{
	uint16_t head[2] = { code, (uint16_t)length };

	memcpy(at, head, sizeof(head));
	memcpy(at + sizeof(head), value, length);
	memset(at + sizeof(head) + length, 0, round_up(length, 4) - length);
	return at + sizeof(head) + round_up(length, 4);
}

static size_t option_size(size_t length)
{
	return 4 + round_up(length, 4);
}

/* The end of the options and of a block that begins at `block`, whose head it writes. Returns its size. */
static size_t end_block(uint8_t *block, uint8_t *at, uint32_t type)
{
	struct block_head head = { type, 0 };

	at = put_option(at, OPTION_END, "", 0);
	head.length = (uint32_t)(at + sizeof(head.length) - block);
	memcpy(at, &head.length, sizeof(head.length));
	memcpy(block, &head, sizeof(head));
	return head.length;
}

size_t capture_put_interface(uint8_t *at, const char *name, const char *filter, uint32_t snaplen)
{
	static const uint8_t resolution = 9; /* nanoseconds */
	const struct interface_block block = { .linktype = LINKTYPE_ETHERNET, .snaplen = snaplen };
	uint8_t *end = at + sizeof(block);

	memcpy(at, &block, sizeof(block));
	end = put_option(end, OPTION_NAME, name, strlen(name));
	end = put_option(end, OPTION_TSRESOL, &resolution, sizeof(resolution));
	if (filter) {
		char text[1 + CAPTURE_FILTER_TEXT + 1] = { 0 }; /* kind 0: as libpcap has it */
		size_t length = MIN(strlen(filter), (size_t)CAPTURE_FILTER_TEXT);

		memcpy(text + 1, filter, length);
		end = put_option(end, OPTION_FILTER, text, 1 + length);
	}
	return end_block(at, end, BLOCK_INTERFACE);
}

size_t capture_put_statistics(uint8_t *at, unsigned interface, uint64_t time_ns, uint64_t received,
			      uint64_t dropped)
{
	const struct statistics_block block = { .interface = interface,
						.time_high = (uint32_t)(time_ns >> 32),
						.time_low = (uint32_t)time_ns };
	uint8_t *end = at + sizeof(block);

	memcpy(at, &block, sizeof(block));
	end = put_option(end, OPTION_RECEIVED, &received, sizeof(received));
	end = put_option(end, OPTION_DROPPED, &dropped, sizeof(dropped));
	return end_block(at, end, BLOCK_STATISTICS);
}

/* ---- Packets ---- */

size_t capture_packet_data(enum capture_format format)
{
	return format == CAPTURE_PCAP ? sizeof(struct pcap_record) : sizeof(struct packet_block);
}

size_t capture_packet_room(enum capture_format format, const struct capture_packet *packet)
{
	size_t size = sizeof(struct packet_block) + round_up((size_t)packet->captured, 4) +
		      option_size(sizeof(uint32_t)) + option_size(0) + sizeof(uint32_t);

	if (format == CAPTURE_PCAP)
		return sizeof(struct pcap_record) + packet->captured;
	if (packet->lost)
		size += option_size(sizeof(packet->lost));
	if (packet->id)
		size += option_size(sizeof(packet->id));
	if (packet->dropped)
		size += option_size(1 + sizeof(uint64_t));
	if (packet->comment[0])
		size += option_size(strlen(packet->comment));
	return size;
}

static uint8_t *put_packet_options(uint8_t *at, const struct capture_packet *packet)
{
	static const uint64_t shot = VERDICT_TC_ACT_SHOT;
	uint8_t verdict[1 + sizeof(shot)] = { VERDICT_TC };
	uint32_t flags = (packet->out ? FLAGS_OUT : FLAGS_IN) | (uint32_t)packet->reception
									<< FLAGS_RECEPTION;

	if (packet->comment[0])
		at = put_option(at, OPTION_COMMENT, packet->comment, strlen(packet->comment));
	at = put_option(at, OPTION_FLAGS, &flags, sizeof(flags));
	if (packet->lost)
		at = put_option(at, OPTION_DROPCOUNT, &packet->lost, sizeof(packet->lost));
	if (packet->id)
		at = put_option(at, OPTION_ID, &packet->id, sizeof(packet->id));
	if (!packet->dropped)
		return at;
	memcpy(verdict + 1, &shot, sizeof(shot));
	return put_option(at, OPTION_VERDICT, verdict, sizeof(verdict));
}

size_t capture_put_packet(enum capture_format format, uint8_t *at,
			  const struct capture_packet *packet)
{
	const struct pcap_record record = { (uint32_t)(packet->time_ns / 1000000000),
					    (uint32_t)(packet->time_ns % 1000000000),
					    packet->captured, packet->length };
	const struct packet_block block = { .interface = packet->interface,
					    .time_high = (uint32_t)(packet->time_ns >> 32),
					    .time_low = (uint32_t)packet->time_ns,
					    .captured = packet->captured,
					    .length = packet->length };
	size_t padded = round_up((size_t)packet->captured, 4);
	uint8_t *data = at + sizeof(block);

	if (format == CAPTURE_PCAP) {
		memcpy(at, &record, sizeof(record));
		return sizeof(record) + packet->captured;
	}
	memcpy(at, &block, sizeof(block));
	memset(data + packet->captured, 0, padded - packet->captured);
	return end_block(at, put_packet_options(data + padded, packet), BLOCK_PACKET);
}

size_t capture_record_size(enum capture_format format, const uint8_t *at)
{
	struct pcap_record record;
	struct block_head head;

	if (format == CAPTURE_PCAP) {
		memcpy(&record, at, sizeof(record));
		return sizeof(record) + record.captured;
	}
	memcpy(&head, at, sizeof(head));
	return head.length;
}

bool capture_record_is_packet(enum capture_format format, const uint8_t *at)
{
	struct block_head head;

	memcpy(&head, at, sizeof(head));
	return format == CAPTURE_PCAP || head.type == BLOCK_PACKET;
}

bool capture_record_is_interface(enum capture_format format, const uint8_t *at)
{
	struct block_head head;

	memcpy(&head, at, sizeof(head));
	return format == CAPTURE_PCAPNG && head.type == BLOCK_INTERFACE;
}

uint32_t capture_record_interface(enum capture_format format, const uint8_t *at)
{
	struct packet_block block;

	if (format == CAPTURE_PCAP)
		return UINT32_MAX;
	memcpy(&block, at, sizeof(block));
	return block.interface;
}

bool capture_is_one(const void *head, size_t length)
{
	static const uint32_t magics[] = { PCAP_MAGIC, PCAP_MAGIC_MICRO, BLOCK_SECTION };
	uint32_t found;

	if (length < sizeof(found))
		return false;
	memcpy(&found, head, sizeof(found));
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
		if (found == magics[i] || found == __builtin_bswap32(magics[i]))
			return true;
	return false;
}
