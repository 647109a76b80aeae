/* SPDX-License-Identifier: BSD-2-Clause */
/* How fast a RAID volume is synchronized, as lvm2's --minrecoveryrate and --maxrecoveryrate keep it with the volume. */
#include <errno.h>

#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/active_raid.h"
#include "volume/raid_change.h"
#include "volume/volume_raid.h"

#define LEAST_KEY "min_recovery_rate"
#define MOST_KEY  "max_recovery_rate"
#define KIB       1024u

struct raid_speed volume_lv_speed(const struct volume_lv *lv)
{
	const struct volume_segment *segment = lvm_lv_raid(lv);

	return segment ? segment->private->raid->speed : (struct raid_speed){ 0 };
}

static struct raid_speed wanted(const struct volume_lv *lv, const struct volume_settings *settings)
{
	struct raid_speed speed = volume_lv_speed(lv);

	if (settings->recovery_least)
		speed.least = round_up(*settings->recovery_least, KIB);
	if (settings->recovery_most)
		speed.most = round_up(*settings->recovery_most, KIB);
	return speed;
}

int lvm_raid_check_speed(const struct volume_group *group, const struct volume_lv *lv,
			 const struct volume_settings *settings, struct error *error)
{
	const uint64_t greatest = (uint64_t)INT32_MAX * KIB; /* dm-raid's */
	struct raid_speed speed;

	if (!settings->recovery_least && !settings->recovery_most)
		return 0;
	if (!lvm_lv_raid(lv) || !lvm_lv_raid(lv)->private->raid->kind->level)
		return error_set(error, -EOPNOTSUPP,
				 "%s/%s: its type is %s, of which nothing is synchronized",
				 group->name, lv->name, volume_lv_type(lv));
	if ((settings->recovery_least && *settings->recovery_least > greatest) ||
	    (settings->recovery_most && *settings->recovery_most > greatest))
		return error_set(error, -EINVAL,
				 "%s/%s: a recovery rate is at most %llu bytes a second",
				 group->name, lv->name, (unsigned long long)greatest);
	speed = wanted(lv, settings);
	if (!speed.most || speed.least <= speed.most)
		return 0;
	return error_set(error, -EINVAL,
			 "%s/%s: at least %llu and at most %llu bytes a second: the smallest "
			 "recovery rate is above the greatest",
			 group->name, lv->name, (unsigned long long)speed.least,
			 (unsigned long long)speed.most);
}

int lvm_raid_plan_speed(struct volume_group *group, struct volume_lv *lv,
			const struct volume_settings *settings)
{
	struct lvm_config *memory = &group->private->memory;
	struct volume_segment_private *private;
	struct volume_segment *segment;
	struct lvm_raid *raid;
	int rc = 0;

	if (!settings->recovery_least && !settings->recovery_most)
		return 0;
	private = lvm_config_alloc(memory, sizeof(*private));
	raid = lvm_config_alloc(memory, sizeof(*raid));
	segment = private && raid ? lvm_raid_copy_segment(group, lv) : NULL;
	if (!segment)
		return -ENOMEM;
	*private = *segment->private;
	*raid = *private->raid;
	raid->speed = wanted(lv, settings);
	private->raid = raid;
	segment->private = private;
	if (settings->recovery_least)
		rc = change_set_number(group, &private->extra, LEAST_KEY, raid->speed.least / KIB);
	if (!rc && settings->recovery_most)
		rc = change_set_number(group, &private->extra, MOST_KEY, raid->speed.most / KIB);
	return rc;
}

void lvm_raid_apply_speed(const struct volume_lv *lv, const struct volume_settings *settings)
{
	struct raid_array *array = volume_lv_array(lv);

	if (array && (settings->recovery_least || settings->recovery_most))
		lvm_array_set_speed(array, volume_lv_speed(lv));
}
