/* SPDX-License-Identifier: BSD-2-Clause */
/* The Internet checksum (RFC 1071) over frames in pieces. */
#include "virtio/virtio_net.h"

#include <string.h>

#include "util/bytes.h"

/* Adds with the carry brought round, so that 64-bit words can be summed as well as 16-bit ones. */
static inline uint64_t add_words(uint64_t sum, uint64_t value)
{
	sum += value;
	return sum + (sum < value);
}

uint64_t virtio_net_sum(uint64_t sum, const void *at, size_t length)
{
	const uint8_t *bytes = at;
	uint64_t word, other = 0;

	for (; length >= 16; length -= 16, bytes += 16) {
		memcpy(&word, bytes, 8);
		sum = add_words(sum, word);
		memcpy(&word, bytes + 8, 8);
		other = add_words(other, word);
	}
	sum = add_words(sum, other);
	if (length >= 8) {
		memcpy(&word, bytes, 8);
		sum = add_words(sum, word);
		length -= 8;
		bytes += 8;
	}
	if (length) {
		word = 0;
		memcpy(&word, bytes, length);
		sum = add_words(sum, word);
	}
	return sum;
}

uint16_t virtio_net_fold(uint64_t sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)sum;
}

uint64_t virtio_net_sum_pieces(uint64_t sum, const struct iovec *pieces, size_t count,
			       size_t offset, size_t length)
{
	bool odd = false; /* whether the next byte is the second of its 16-bit word */

	for (size_t i = 0; i < count && length; i++) {
		size_t take;
		uint16_t part;

		if (offset >= pieces[i].iov_len) {
			offset -= pieces[i].iov_len;
			continue;
		}
		take = MIN(pieces[i].iov_len - offset, length);
		part = virtio_net_fold(
			virtio_net_sum(0, (const uint8_t *)pieces[i].iov_base + offset, take));
		if (odd)
			part = __builtin_bswap16(part);
		sum = add_words(sum, part);
		odd ^= take & 1;
		length -= take;
		offset = 0;
	}
	return sum;
}

void virtio_net_complete_checksum(struct virtio_net_offload *offload, const struct iovec *pieces,
				  size_t count, size_t length)
{
	size_t start = offload->checksum_start, at = start + offload->checksum_offset;
	uint16_t sum;

	/* The field holds the pseudo header's sum and is summed with the rest. */
	sum = ~virtio_net_fold(virtio_net_sum_pieces(0, pieces, count, start, length - start));
	/* 0 would mean "no checksum" to UDP; both are zero in ones' complement. */
	if (!sum)
		sum = 0xffff;
	memcpy((uint8_t *)pieces[0].iov_base + at, &sum, sizeof(sum));
	offload->needs_checksum = false;
	offload->checksum_start = offload->checksum_offset = 0;
}
