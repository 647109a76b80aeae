/* SPDX-License-Identifier: BSD-2-Clause */
/* See capture_format.h. */
#include "vswitch/capture_format.h"

#include <string.h>

#include "util/bytes.h"

#define LINKTYPE_ETHERNET 1

#define PCAP_MAGIC       0xa1b23c4d /* with nanoseconds */
#define PCAP_MAGIC_MICRO 0xa1b2c3d4

#define BLOCK_SECTION   0x0a0d0d0a
#define BLOCK_INTERFACE 1
#define BLOCK_PACKET    6
#define SECTION_MAGIC   0x1a2b3c4d
#define OPTION_NAME     2 /* of an interface */
#define OPTION_TSRESOL  9 /* of an interface */
#define OPTION_FLAGS    2 /* of a packet */
#define FLAGS_IN        1
#define FLAGS_OUT       2

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
	uint16_t option, option_length;
};

struct packet_block {
	struct block_head head;
	uint32_t interface, time_high, time_low, captured, length;
};

struct packet_tail {
	uint16_t option, option_length;
	uint32_t flags;
	uint32_t end;
	uint32_t length;
};

_Static_assert(sizeof(struct section_block) == CAPTURE_HEADER, "28 bytes");

size_t capture_put_header(enum capture_format format, uint8_t *at)
{
	const struct pcap_header classic = { .magic = PCAP_MAGIC,
					     .major = 2,
					     .minor = 4,
					     .snaplen = CAPTURE_SNAPLEN,
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

size_t capture_put_interface(uint8_t *at, const char *name)
{
	static const uint8_t resolution[12] = { OPTION_TSRESOL, 0, 1, 0, 9 };
	size_t length = strlen(name), padded = round_up(length, 4);
	struct interface_block block = { .linktype = LINKTYPE_ETHERNET,
					 .snaplen = CAPTURE_SNAPLEN,
					 .option = OPTION_NAME,
					 .option_length = (uint16_t)length };
	uint32_t size = (uint32_t)(sizeof(block) + padded + sizeof(resolution) + sizeof(size));

	block.head = (struct block_head){ BLOCK_INTERFACE, size };
	memset(at, 0, size);
	memcpy(at, &block, sizeof(block));
	memcpy(at + sizeof(block), name, length);
	memcpy(at + sizeof(block) + padded, resolution, sizeof(resolution));
	memcpy(at + size - sizeof(size), &size, sizeof(size));
	return size;
}

size_t capture_packet_data(enum capture_format format)
{
	return format == CAPTURE_PCAP ? sizeof(struct pcap_record) : sizeof(struct packet_block);
}

size_t capture_packet_room(enum capture_format format, size_t length)
{
	if (format == CAPTURE_PCAP)
		return sizeof(struct pcap_record) + length;
	return sizeof(struct packet_block) + round_up(length, 4) + sizeof(struct packet_tail);
}

size_t capture_put_packet(enum capture_format format, uint8_t *at, unsigned interface, bool out,
			  uint64_t time_ns, uint32_t length)
{
	uint32_t size = (uint32_t)capture_packet_room(format, length);
	const struct pcap_record record = { (uint32_t)(time_ns / 1000000000),
					    (uint32_t)(time_ns % 1000000000), length, length };
	const struct packet_block block = {
		{ BLOCK_PACKET, size }, interface, (uint32_t)(time_ns >> 32),
		(uint32_t)time_ns,      length,    length
	};
	const struct packet_tail tail = { OPTION_FLAGS, 4, out ? FLAGS_OUT : FLAGS_IN, 0, size };

	if (format == CAPTURE_PCAP) {
		memcpy(at, &record, sizeof(record));
		return size;
	}
	memcpy(at, &block, sizeof(block));
	memset(at + sizeof(block) + length, 0, round_up(length, 4) - length);
	memcpy(at + size - sizeof(tail), &tail, sizeof(tail));
	return size;
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
