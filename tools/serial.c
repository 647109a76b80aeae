/* SPDX-License-Identifier: BSD-2-Clause */
/* See serial.h. */
#include "tools/serial.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "volume/volume.h"

/* The name space of these hashes, in the sense of RFC 4122; made once, at random. */
static const uuid_t name_space = { 0x6d, 0x1f, 0x0c, 0x52, 0x3b, 0x8a, 0x4e, 0x07,
				   0x9c, 0x41, 0x5e, 0xd3, 0x20, 0xb6, 0x77, 0x1a };

static const char *serial_of(const char *identity, char serial[SERIAL_TEXT])
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	unsigned bits = 0, have = 0, at = 0;
	uuid_t hash;

	uuid_generate_sha1(hash, name_space, identity, strlen(identity));
	for (unsigned i = 0; i < sizeof(hash) && at < SERIAL_BYTES; i++) {
		/* The two that hold the version and the variant. */
		if (i == 6 || i == 8)
			continue;
		bits = bits << 8 | hash[i];
		for (have += 8; have >= 5 && at < SERIAL_BYTES; have -= 5)
			serial[at++] = digits[bits >> (have - 5) & 31];
	}
	serial[at] = '\0';
	return serial;
}

const char *serial_of_volume(const struct volume_group *group, const struct volume_lv *lv,
			     char serial[SERIAL_TEXT])
{
	char identity[2 * VOLUME_UUID_TEXT + 8];

	snprintf(identity, sizeof(identity), "LVM-%s-%s", group->uuid, lv->uuid);
	return serial_of(identity, serial);
}

const char *serial_of_array(const uint8_t set_uuid[16], char serial[SERIAL_TEXT])
{
	char identity[40] = "MD-";

	for (unsigned i = 0; i < 16; i++)
		snprintf(identity + 3 + 2 * i, 3, "%02x", set_uuid[i]);
	return serial_of(identity, serial);
}

const char *serial_of_file(const char *path, char serial[SERIAL_TEXT])
{
	CLEANUP_FREE char *real = realpath(path, NULL);
	CLEANUP_FREE char *identity = NULL;

	if (asprintf(&identity, "FILE-%s", real ? real : path) < 0)
		identity = NULL;
	return serial_of(identity ? identity : path, serial);
}

int serial_check(const char *serial, struct error *error)
{
	size_t length = strlen(serial);

	if (!length || length > SERIAL_BYTES)
		return error_set(error, -EINVAL,
				 "serial '%s': has %zu characters, expected 1 to %u", serial,
				 length, SERIAL_BYTES);
	for (const char *at = serial; *at; at++)
		if (!isascii(*at) || (!isalnum((unsigned char)*at) && !strchr("-._+:@#", *at)))
			return error_set(error, -EINVAL,
					 "serial '%s': expected letters, digits and any of -._+:@#",
					 serial);
	return 0;
}
