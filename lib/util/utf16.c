/* SPDX-License-Identifier: BSD-2-Clause */
/* See utf16.h. RFC 2781, RFC 3629. */
#include "util/utf16.h"

#include "util/bytes.h"

static char *put_utf8(char *to, uint32_t character)
{
	if (character < 0x80) {
		*to++ = (char)character;
		return to;
	}
	if (character < 0x800) {
		*to++ = (char)(0xc0 | character >> 6);
	} else {
		if (character < 0x10000) {
			*to++ = (char)(0xe0 | character >> 12);
		} else {
			*to++ = (char)(0xf0 | character >> 18);
			*to++ = (char)(0x80 | (character >> 12 & 0x3f));
		}
		*to++ = (char)(0x80 | (character >> 6 & 0x3f));
	}
	*to++ = (char)(0x80 | (character & 0x3f));
	return to;
}

void utf16_decode(const uint8_t *from, unsigned units, char *to)
{
	for (unsigned i = 0; i < units; i++) {
		uint32_t unit = get_le16(from + 2 * i);
		uint32_t next = i + 1 < units ? get_le16(from + 2 * i + 2) : 0;

		if (!unit)
			break;
		if ((unit & 0xfc00) == 0xd800 && (next & 0xfc00) == 0xdc00) {
			unit = 0x10000 + ((unit & 0x3ff) << 10) + (next & 0x3ff);
			i++;
		} else if ((unit & 0xf800) == 0xd800) {
			unit = 0xfffd;
		}
		to = put_utf8(to, unit);
	}
	*to = '\0';
}
