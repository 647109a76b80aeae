/* SPDX-License-Identifier: BSD-2-Clause */
/* What making and changing arrays share about members. */
#ifndef TENON_RAID_MEMBERS_H
#define TENON_RAID_MEMBERS_H

#include "raid/array.h"

/* A free dev_number, and room for it in the superblocks; MD_MAX_DEVICES when there is none. */
uint32_t raid_member_new_number(struct raid_array *array);

/* The member that a person names; -ENOENT with `error` set. */
int raid_member_named(struct raid_array *array, const char *device, struct raid_member **member,
		      struct error *error);

/* Erases superblocks, but for that of version 1.`kept`, or MD_VERSION_90 (-1: all), which is to be overwritten anyway: a
 * device that is being added always has either the old one or the new one. */
int raid_erase_but(struct block *block, int kept, struct error *error);

/* A random UUID, from the worker's source. */
void raid_device_uuid(uint8_t uuid[16]);

#endif
