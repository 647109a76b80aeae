/* SPDX-License-Identifier: BSD-2-Clause */
/* Levels, versions, times and UUIDs as people write them; a part of raid.h. */
#ifndef TENON_RAID_NAME_H
#define TENON_RAID_NAME_H

#include <stdint.h>

struct error;

#define RAID_NAME_SIZE 33   /* a set name is at most 32 bytes; with a NUL */
#define RAID_UUID_TEXT 36   /* "xxxxxxxx:xxxxxxxx:xxxxxxxx:xxxxxxxx" with a NUL */
#define RAID_SPARE     (-1) /* a role: no place in the array */

/* Levels as the superblock numbers them. */
enum raid_level {
	RAID_LEVEL_LINEAR = -1,
	RAID_LEVEL_0 = 0,
	RAID_LEVEL_1 = 1,
	RAID_LEVEL_4 = 4,
	RAID_LEVEL_5 = 5,
	RAID_LEVEL_6 = 6,
	RAID_LEVEL_10 = 10,
};

/* "linear", "raid1", ... as mdadm spells it; "level N" for an unknown one (in `buffer`). */
const char *raid_level_name(int level, char buffer[16]);
/* From "1", "raid1", "mirror", "linear", ...: 0, or -EINVAL with `error` set. */
int raid_level_parse(const char *text, int *level, struct error *error);

/* "1.0", "1.1", "1.2" or "0.90", of a minor_version. Returns `text`. */
const char *raid_metadata_name(unsigned minor_version, char text[8]);

#define RAID_TIME_TEXT 40
/* "2026-11-22T09:29:58Z". Returns `text`. */
const char *raid_time_format(uint64_t seconds, char text[RAID_TIME_TEXT]);

/* mdadm's way of writing a UUID: four colon-separated words. Returns `text`. */
char *raid_uuid_format(const uint8_t uuid[16], char text[RAID_UUID_TEXT]);
/* Takes mdadm's way and the usual one with dashes. 0 or -EINVAL. */
int raid_uuid_parse(const char *text, uint8_t uuid[16]);

#endif
