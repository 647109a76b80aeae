/* SPDX-License-Identifier: BSD-2-Clause */
/* How fast a move may be, so that who goes on with it after a crash knows it: a tag of the move's own volume, which lvm2 keeps, and which goes with
 * that. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "volume/move.h"

#define RATE "tenon:move_rate:"

int lvm_move_keep_rate(struct volume_group *group, struct volume_lv *move, uint64_t rate)
{
	char text[sizeof(RATE) + 20];

	if (!rate)
		return 0;
	snprintf(text, sizeof(text), RATE "%" PRIu64, rate);
	move->tags = lvm_config_alloc(&group->private->memory, sizeof(*move->tags));
	if (!move->tags)
		return -ENOMEM;
	move->tags[0] = lvm_vg_string(group, text);
	move->tag_count = 1;
	return move->tags[0] ? 0 : -ENOMEM;
}

uint64_t lvm_move_rate(const struct volume_lv *move)
{
	uint64_t rate = 0;
	char *end;

	for (unsigned i = 0; !rate && i < move->tag_count; i++) {
		if (strncmp(move->tags[i], RATE, strlen(RATE)) != 0)
			continue;
		/* What somebody else made of it is none. */
		rate = strtoull(move->tags[i] + strlen(RATE), &end, 10);
		if (*end)
			rate = 0;
	}
	return rate;
}
