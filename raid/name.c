/* SPDX-License-Identifier: BSD-2-Clause */
/* Levels, states and UUIDs as people write them. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "raid/md_superblock.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"

const char *raid_level_name(int level, char buffer[16])
{
	switch (level) {
	case RAID_LEVEL_LINEAR:
		return "linear";
	case -4:
		return "multipath";
	case -5:
		return "faulty";
	case RAID_LEVEL_0:
	case RAID_LEVEL_1:
	case RAID_LEVEL_4:
	case RAID_LEVEL_5:
	case RAID_LEVEL_6:
	case RAID_LEVEL_10:
		snprintf(buffer, 16, "raid%d", level);
		return buffer;
	default:
		snprintf(buffer, 16, "level %d", level);
		return buffer;
	}
}

int raid_level_parse(const char *text, int *level, struct error *error)
{
	static const struct {
		const char *text;
		int level;
	} names[] = {
		{ "linear", RAID_LEVEL_LINEAR }, { "stripe", RAID_LEVEL_0 },
		{ "mirror", RAID_LEVEL_1 },      { "0", RAID_LEVEL_0 },
		{ "1", RAID_LEVEL_1 },           { "4", RAID_LEVEL_4 },
		{ "5", RAID_LEVEL_5 },           { "6", RAID_LEVEL_6 },
		{ "10", RAID_LEVEL_10 },
	};
	const char *number = strncasecmp(text, "raid", 4) == 0 ? text + 4 : text;

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcasecmp(number, names[i].text) == 0) {
			*level = names[i].level;
			return 0;
		}
	}
	error_set(error, -EINVAL, "RAID level \"%s\", expected linear, 0, 1, 4, 5, 6 or 10", text);
	return -EINVAL;
}

const char *raid_metadata_name(unsigned minor_version, char text[8])
{
	return md_superblock_version(minor_version, text);
}

char *raid_uuid_format(const uint8_t uuid[16], char text[RAID_UUID_TEXT])
{
	snprintf(text, RAID_UUID_TEXT, "%08x:%08x:%08x:%08x", get_be32(uuid), get_be32(uuid + 4),
		 get_be32(uuid + 8), get_be32(uuid + 12));
	return text;
}

int raid_uuid_parse(const char *text, uint8_t uuid[16])
{
	unsigned digits = 0;

	for (; *text; text++) {
		const char *hex = "0123456789abcdef", *digit;

		if (*text == ':' || *text == '-')
			continue;
		digit = strchr(hex, tolower((unsigned char)*text));
		if (!digit || digits == 32)
			return -EINVAL;
		uuid[digits / 2] =
			(uint8_t)(digits % 2 ? uuid[digits / 2] << 4 | (digit - hex) : digit - hex);
		digits++;
	}
	return digits == 32 ? 0 : -EINVAL;
}

const char *raid_operation_name(enum raid_operation operation)
{
	static const char *const names[] = {
		[RAID_IDLE] = "idle",   [RAID_RESYNC] = "resync", [RAID_RECOVER] = "recover",
		[RAID_CHECK] = "check", [RAID_REPAIR] = "repair", [RAID_RESHAPE] = "reshape",
	};

	return names[operation];
}

const char *raid_member_state_name(enum raid_member_state state)
{
	static const char *const names[] = {
		[RAID_MEMBER_IN_SYNC] = "in sync", [RAID_MEMBER_REBUILDING] = "rebuilding",
		[RAID_MEMBER_SPARE] = "spare",     [RAID_MEMBER_FAULTY] = "faulty",
		[RAID_MEMBER_STALE] = "stale",     [RAID_MEMBER_JOURNAL] = "journal",
	};

	return names[state];
}

const char *raid_time_format(uint64_t seconds, char text[RAID_TIME_TEXT])
{
	time_t when = (time_t)seconds;
	struct tm parts;

	if (!gmtime_r(&when, &parts) ||
	    !strftime(text, RAID_TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &parts))
		snprintf(text, RAID_TIME_TEXT, "?");
	return text;
}
