/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses as people write them; see mac_table.h. */
#include <stdio.h>

#include "vswitch/mac_table.h"

char *mac_format(uint64_t mac, char text[MAC_TEXT])
{
	snprintf(text, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", (unsigned)(mac >> 40 & 255),
		 (unsigned)(mac >> 32 & 255), (unsigned)(mac >> 24 & 255),
		 (unsigned)(mac >> 16 & 255), (unsigned)(mac >> 8 & 255), (unsigned)(mac & 255));
	return text;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool mac_parse(const char *text, uint64_t *mac)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < 6; i++, text += 3) {
		int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0)
			return false;
		value = value << 8 | (unsigned)(high * 16 + low);
		if (i == 5 ? text[2] != '\0' : text[2] != ':' && text[2] != '-')
			return false;
	}
	*mac = value;
	return true;
}
