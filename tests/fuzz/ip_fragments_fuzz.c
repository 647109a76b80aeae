/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fragments of IPv4 of a hostile guest. The input is a row of them: identification and header length (a byte), place (16 bits, as in the
 * header), length of the payload (16 bits; it is made of its own bytes in the datagram). What is put together holds together.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "netdev/ip_fragments.h"
#include "util/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint16_t sum_of(const uint8_t *header, size_t length)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < length; i += 2)
		sum += get_be16(header + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void check(const uint8_t *frame, size_t length)
{
	const uint8_t *ip = frame + 14;
	unsigned header = (ip[0] & 15u) * 4;

	if (length < 14u + header || length != 14u + get_be16(ip + 2) || sum_of(ip, header) ||
	    ip_fragments_is_one(frame, length))
		abort();
	for (unsigned i = 0; i < length - 14 - header; i++)
		if (ip[header + i] != (uint8_t)(i + i / 251))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ip_fragments *fragments = ip_fragments_create();
	uint64_t now = 0;

	for (; size >= 5 && fragments; data += 5, size -= 5, now += 700000000) {
		unsigned header = (data[0] & 15u) * 4, payload = get_be16(data + 3);
		unsigned offset = (get_be16(data + 1) & 0x1fffu) * 8;
		size_t length = 14u + MAX(header, 20u) + payload;
		uint8_t *frame = calloc(1, length), *ip = frame + 14;
		const uint8_t *whole;

		frame[11] = data[0] >> 6; /* one of four stations */
		put_be16(frame + 12, 0x0800);
		ip[0] = (uint8_t)(0x40 | header / 4);
		put_be16(ip + 2, (uint16_t)(header + payload));
		ip[5] = data[0] >> 4;
		memcpy(ip + 6, data + 1, 2);
		put_be16(ip + 10, sum_of(ip, header));
		for (unsigned i = 0; i < payload; i++)
			ip[header + i] = (uint8_t)(offset + i + (offset + i) / 251);
		if (ip_fragments_is_one(frame, length)) {
			whole = ip_fragments_add(fragments, frame, &length, now);
			if (whole)
				check(whole, length);
		}
		free(frame);
	}
	ip_fragments_destroy(fragments);
	return 0;
}
