/* SPDX-License-Identifier: BSD-2-Clause */
/* See ip_fragments.h. */
#include "netdev/ip_fragments.h"

#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "virtio/virtio_net.h"

#define ETHERNET_SIZE 14u
#define HEADER_LEAST  20u
#define HEADER_MOST   60u
#define PAYLOAD_AT    (ETHERNET_SIZE + HEADER_MOST)
#define TOTAL_MOST    65535u
#define UNIT          8u /* offsets count these */
#define UNITS         (TOTAL_MOST / UNIT + 1)

#define KEY_SIZE    17 /* who sent it (Ethernet), identification, protocol, addresses */
#define SOURCE_SIZE 6

#define MORE_FRAGMENTS 0x2000
#define OFFSET         0x1fff

/* A datagram of which not all is there. */
struct datagram {
	bool used;
	uint64_t began;
	uint8_t key[KEY_SIZE];
	unsigned header; /* bytes, once its first fragment is there; else 0 */
	unsigned end;    /* of its payload, once its last one is; else 0 */
	unsigned reach;  /* the farthest end of those that came */
	unsigned units;  /* that are there */
	uint8_t there[UNITS];
	uint8_t bytes[PAYLOAD_AT + TOTAL_MOST]; /* the header ends where the payload begins */
};

struct ip_fragments {
	struct datagram datagrams[IP_FRAGMENTS_DATAGRAMS];
};

/* One that came. */
struct fragment {
	const uint8_t *frame, *payload;
	unsigned header, offset, length;
	bool last;
	uint8_t key[KEY_SIZE];
};

struct ip_fragments *ip_fragments_create(void)
{
	return calloc(1, sizeof(struct ip_fragments));
}

void ip_fragments_destroy(struct ip_fragments *fragments)
{
	free(fragments);
}

bool ip_fragments_is_one(const uint8_t *frame, size_t length)
{
	return length >= ETHERNET_SIZE + HEADER_LEAST && get_be16(frame + 12) == 0x0800 &&
	       frame[ETHERNET_SIZE] >> 4 == 4 &&
	       get_be16(frame + ETHERNET_SIZE + 6) & (MORE_FRAGMENTS | OFFSET);
}

/* Of a header, in memory order: 0, if its checksum is right. */
static uint16_t header_sum(const uint8_t *header, unsigned length)
{
	return (uint16_t)~virtio_net_fold(virtio_net_sum(0, header, length));
}

static bool look(struct fragment *fragment, const uint8_t *frame, size_t length)
{
	const uint8_t *ip = frame + ETHERNET_SIZE;
	unsigned total = get_be16(ip + 2);
	uint16_t place = get_be16(ip + 6);

	fragment->frame = frame;
	fragment->header = (ip[0] & 15u) * 4;
	if (fragment->header < HEADER_LEAST || total <= fragment->header ||
	    ETHERNET_SIZE + total > length || header_sum(ip, fragment->header))
		return false;
	fragment->payload = ip + fragment->header;
	fragment->length = total - fragment->header;
	fragment->offset = (place & OFFSET) * UNIT;
	fragment->last = !(place & MORE_FRAGMENTS);
	memcpy(fragment->key, frame + 6, SOURCE_SIZE);
	memcpy(fragment->key + 6, ip + 4, 2);
	fragment->key[8] = ip[9];
	memcpy(fragment->key + 9, ip + 12, 8);
	return (fragment->last || fragment->length % UNIT == 0) &&
	       fragment->header + fragment->offset + fragment->length <= TOTAL_MOST;
}

/* How many wait of who sent this. */
static unsigned count_of(const struct ip_fragments *fragments, const uint8_t *source)
{
	unsigned count = 0;

	for (unsigned i = 0; i < IP_FRAGMENTS_DATAGRAMS; i++)
		count += fragments->datagrams[i].used &&
			 !memcmp(fragments->datagrams[i].key, source, SOURCE_SIZE);
	return count;
}

/* Of who has most, with the new one for `source`, the oldest: who sends many gives up its own. All are used. */
static struct datagram *choose_victim(struct ip_fragments *fragments, const uint8_t *source)
{
	struct datagram *victim = NULL;
	unsigned most = 0;

	for (unsigned i = 0; i < IP_FRAGMENTS_DATAGRAMS; i++) {
		struct datagram *datagram = &fragments->datagrams[i];
		unsigned count = count_of(fragments, datagram->key) +
				 !memcmp(datagram->key, source, SOURCE_SIZE);

		if (!victim || count > most || (count == most && datagram->began < victim->began)) {
			victim = datagram;
			most = count;
		}
	}
	return victim;
}

/* The one that it is of, or room for a new one. */
static struct datagram *find(struct ip_fragments *fragments, const struct fragment *fragment,
			     uint64_t now)
{
	struct datagram *room = NULL;

	for (unsigned i = 0; i < IP_FRAGMENTS_DATAGRAMS; i++) {
		struct datagram *datagram = &fragments->datagrams[i];

		if (datagram->used && now - datagram->began > IP_FRAGMENTS_PATIENCE_NS)
			datagram->used = false;
		if (datagram->used && !memcmp(datagram->key, fragment->key, KEY_SIZE))
			return datagram;
		if (!datagram->used)
			room = datagram;
	}
	if (!room)
		room = choose_victim(fragments, fragment->key);
	room->used = true;
	room->began = now;
	room->header = room->end = room->reach = room->units = 0;
	memcpy(room->key, fragment->key, KEY_SIZE);
	memset(room->there, 0, sizeof(room->there));
	return room;
}

/* Puts it where it belongs. False: it does not fit to what came before. */
static bool place(struct datagram *datagram, const struct fragment *fragment)
{
	unsigned first = fragment->offset / UNIT, end = fragment->offset + fragment->length;
	unsigned units = (fragment->length + UNIT - 1) / UNIT, had = 0;

	for (unsigned i = 0; i < units; i++)
		had += datagram->there[first + i];
	/* Behind the end there is nothing: units are only counted, and one there would stand for a hole. */
	if (fragment->last ? end < datagram->reach || (datagram->end && datagram->end != end)
			   : datagram->end && end > datagram->end)
		return false;
	if (had)
		return had == units; /* it came twice */
	memset(datagram->there + first, 1, units);
	datagram->units += units;
	datagram->reach = MAX(datagram->reach, end);
	memcpy(datagram->bytes + PAYLOAD_AT + fragment->offset, fragment->payload,
	       fragment->length);
	if (fragment->last)
		datagram->end = end;
	if (!fragment->offset) {
		datagram->header = fragment->header;
		memcpy(datagram->bytes + HEADER_MOST - fragment->header, fragment->frame,
		       ETHERNET_SIZE + fragment->header);
	}
	return true;
}

const uint8_t *ip_fragments_add(struct ip_fragments *fragments, const uint8_t *frame,
				size_t *length, uint64_t now)
{
	struct fragment fragment;
	struct datagram *datagram;
	unsigned total;
	uint16_t sum;
	uint8_t *ip;

	if (!look(&fragment, frame, *length))
		return NULL;
	datagram = find(fragments, &fragment, now);
	if (!place(datagram, &fragment)) {
		datagram->used = false;
		return NULL;
	}
	total = datagram->header + datagram->end;
	if (!datagram->header || !datagram->end ||
	    datagram->units != (datagram->end + UNIT - 1) / UNIT)
		return NULL;
	datagram->used = false;
	if (total > TOTAL_MOST)
		return NULL;
	ip = datagram->bytes + PAYLOAD_AT - datagram->header;
	put_be16(ip + 2, (uint16_t)total);
	memset(ip + 6, 0, 2);
	memset(ip + 10, 0, 2);
	sum = header_sum(ip, datagram->header);
	memcpy(ip + 10, &sum, sizeof(sum));
	*length = ETHERNET_SIZE + total;
	return ip - ETHERNET_SIZE;
}
