/* SPDX-License-Identifier: BSD-2-Clause */
/* See bytes.h. */
#include "util/bytes.h"

bool bytes_all_zero(const void *at, size_t length)
{
	const unsigned char *bytes = at;
	size_t head = MIN(length, (size_t)16);

	/* After the first 16 bytes, zero means: equal to itself shifted by 16; memcmp is fast. */
	for (size_t i = 0; i < head; i++)
		if (bytes[i])
			return false;
	return length <= 16 || !memcmp(bytes, bytes + 16, length - 16);
}
