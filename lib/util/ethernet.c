/* SPDX-License-Identifier: BSD-2-Clause */
/* See ethernet.h. */
#include "util/ethernet.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/random.h"

static unsigned digit(char c)
{
	return isdigit((unsigned char)c) ? (unsigned)(c - '0')
					 : (unsigned)(tolower((unsigned char)c) - 'a' + 10);
}

int ethernet_parse(const char *text, uint8_t address[6], struct error *error)
{
	bool good = strlen(text) == 17;
	uint8_t bytes[6], any = 0;

	for (unsigned i = 0; i < 6 && good; i++) {
		const char *at = text + 3 * i;

		good = isxdigit((unsigned char)at[0]) && isxdigit((unsigned char)at[1]) &&
		       at[2] == (i < 5 ? ':' : '\0');
		bytes[i] = good ? (uint8_t)(digit(at[0]) << 4 | digit(at[1])) : 0;
		any |= bytes[i];
	}
	if (!good || !any || bytes[0] & 1)
		return error_set(error, -EINVAL,
				 "'%.40s': no Ethernet address of a station, expected "
				 "XX:XX:XX:XX:XX:XX with an even first byte and not all zero",
				 text);
	memcpy(address, bytes, sizeof(bytes));
	return 0;
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = random_mix(hash ^ (uint8_t)*text);
	return hash;
}

void ethernet_from_path(const char *path, unsigned index, uint8_t address[6])
{
	CLEANUP_FREE char *resolved = realpath(path, NULL);
	FILE *file = fopen("/etc/machine-id", "re");
	char machine[33] = "";
	uint64_t hash;

	if (file) {
		if (!fgets(machine, sizeof(machine), file))
			machine[0] = '\0';
		fclose(file);
	}
	hash = mix_text(mix_text(index, machine), resolved ? resolved : path);
	for (unsigned i = 0; i < 6; i++)
		address[i] = (uint8_t)(hash >> (8 * i));
	address[0] = 0x52; /* locally administered, one station */
}
