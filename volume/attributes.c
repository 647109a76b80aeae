/* SPDX-License-Identifier: BSD-2-Clause */
/* `lvs -o attr`, as far as it follows from metadata. Parts of other volumes are known by their names, as they are to lvm2's users. */
#include <string.h>

#include "volume/mirror.h"
#include "volume/segment.h"

static const struct lvm_segment_type *type_of(const struct volume_lv *lv)
{
	return lv->segment_count && !lv->private->shown_type
		       ? lv->segments->private->type
		       : lvm_segment_type_find(volume_lv_type(lv));
}

static char attribute_of_type(const struct volume_lv *lv)
{
	return type_of(lv)->attribute;
}

/* Of a volume that nobody sees by itself. */
static bool is_part(const struct volume_lv *lv, const char *ending)
{
	size_t length, tail = strlen(ending);

	if (lv->visible)
		return false;
	length = strlen(lv->name);
	return length > tail && !strcmp(lv->name + length - tail, ending);
}

/* What a cache is in front of. */
static bool is_cached(const struct volume_lv *lv)
{
	return is_part(lv, "_corig") || is_part(lv, "_wcorig");
}

static bool is_image(const struct volume_lv *lv)
{
	return strstr(lv->name, "_rimage"); /* visible: split off for a while (raid_track.c) */
}

/* Of a mirror of the older type; a log of two legs is one itself. */
static bool is_leg(const struct volume_lv *lv)
{
	return !lv->visible && strstr(lv->name, "_mimage_");
}

static bool is_mirror_log(const struct volume_lv *lv)
{
	return !lv->visible && strstr(lv->name, "_mlog") && !lvm_lv_mirror(lv);
}

/* It, or the array that it is a part of. */
static bool is_of_raid(const struct volume_lv *lv)
{
	return attribute_of_type(lv) == 'r' || is_image(lv) ||
	       (!lv->visible && strstr(lv->name, "_rmeta"));
}

/* The first character of `lvs -o attr`, from the type. */
static char type_attribute(const struct volume_lv *lv)
{
	char attribute = attribute_of_type(lv);

	if (is_part(lv, "_imeta"))
		return 'e';
	if (is_image(lv))
		return lvm_strings_contain(&lv->private->status, "REBUILD") ? 'I' : 'i';
	if (is_leg(lv))
		return 'i';
	if (is_mirror_log(lv))
		return 'l';
	if ((attribute == 'r' || attribute == 'm') &&
	    lvm_strings_contain(&lv->private->status, "NOTSYNCED"))
		return attribute == 'r' ? 'R' : 'M';
	if (!lv->visible && (strstr(lv->name, "_rmeta") || strstr(lv->name, "_tmeta") ||
			     strstr(lv->name, "_cmeta") || strstr(lv->name, "_pmspare")))
		return 'e';
	if (!lv->visible && strstr(lv->name, "_tdata"))
		return 'T';
	if (is_part(lv, "_vdata"))
		return 'D';
	if (is_part(lv, "_cdata"))
		return 'C';
	if (is_cached(lv))
		return 'o';
	if (attribute != '-')
		return attribute;
	return lv->private->origin ? 'o' : '-';
}

/* The seventh: whose target of device-mapper it would be. */
static char target_attribute(const struct volume_lv *lv)
{
	const struct lvm_segment_type *type = type_of(lv);

	if (is_of_raid(lv))
		return 'r';
	if (type->attribute == 'm' || is_leg(lv) || is_mirror_log(lv))
		return 'm';
	if (is_cached(lv))
		return 'C';
	if (type->attribute == 's' || lv->private->origin)
		return 's';
	return type->target ? type->target : '-';
}

/* The second to last ones stand for device-mapper's state, which does not exist here. */
void volume_lv_attributes(const struct volume_lv *lv, char out[VOLUME_ATTRIBUTES])
{
	memcpy(out, "----------", VOLUME_ATTRIBUTES);
	out[0] = type_attribute(lv);
	out[1] = lv->writable ? 'w' : 'r';
	out[2] = "incla"[volume_allocation_of(NULL, lv)];
	if (lvm_strings_contain(&lv->private->status, "LOCKED"))
		out[2] = "INCLA"[volume_allocation_of(NULL, lv)];
	if (lvm_strings_contain(&lv->private->status, "FIXED_MINOR"))
		out[3] = 'm';
	if (lv->open_count) {
		out[4] = 'a';
		out[5] = 'o';
	}
	out[6] = target_attribute(lv);
	if (lv->private->zeroing)
		out[7] = 'z';
	if (lvm_strings_contain(&lv->private->status, "WRITEMOSTLY"))
		out[8] = 'w';
	if (lv->partial)
		out[8] = 'p';
	if (lv->activation_skip)
		out[9] = 'k';
}
