/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of frames; see frame.h. */
#include "vswitch/frame.h"

#include <string.h>

#include "util/bytes.h"

unsigned frame_slice(const struct frame *frame, size_t offset, size_t length, struct iovec *out,
		     unsigned space)
{
	unsigned used = 0;

	for (unsigned i = 0; i < frame->count && length; i++) {
		const struct iovec *piece = &frame->pieces[i];
		size_t take;

		if (offset >= piece->iov_len) {
			offset -= piece->iov_len;
			continue;
		}
		if (used == space)
			return 0;
		take = MIN(piece->iov_len - offset, length);
		out[used++] = (struct iovec){ (uint8_t *)piece->iov_base + offset, take };
		length -= take;
		offset = 0;
	}
	return used;
}

void frame_copy_out(const struct iovec *pieces, unsigned count, size_t offset, void *to,
		    size_t length)
{
	uint8_t *at = to;

	for (unsigned i = 0; i < count && length; i++) {
		size_t take;

		if (offset >= pieces[i].iov_len) {
			offset -= pieces[i].iov_len;
			continue;
		}
		take = MIN(pieces[i].iov_len - offset, length);
		memcpy(at, (const uint8_t *)pieces[i].iov_base + offset, take);
		at += take;
		length -= take;
		offset = 0;
	}
}
