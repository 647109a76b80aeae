/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lvm2 accepts. Its tools check a group each time they write it, and answer "Internal error" to every
 * change of one that fails: whoever commits such metadata has taken the group from them. So nothing is
 * committed that does not pass here, and what a user asks for is checked before the first byte is written.
 *
 * Mirrors, for what this code can change, vg_validate() (lib/metadata/metadata.c), validate_tag() and
 * validate_name() (lib/misc/lvm-string.c), lv_name_is_used_in_vg(), and read_flags()
 * (lib/format_text/flags.c). Stricter than lvm2 on purpose:
 *
 *	- device-mapper's name of a volume must fit where hyphens are doubled, too: lvm2 makes such a volume
 *	  and then cannot activate it;
 *	- a removed volume in the history that is in no chain is not dropped, as lvm2 does while it writes, but
 *	  forbids changes until lvm2 has;
 *	- a status or a segment type that lvm2 2.03 does not know forbids changes of the whole group: lvm2
 *	  cannot read, or will not write, such a group, and whoever wrote it knows rules that nobody here does.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "volume/lvm_vg.h"

/* lvm2's NAME_LEN, less two hyphens and a NUL: of the names of group and volume together. */
#define NAMES_LENGTH 124

#define HISTORY "historical_logical_volumes"

/* ---- Tags ---- */

static bool tag_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("._-+/=!:&#", c));
}

int volume_tag_check(const char *tag, struct error *error)
{
	const char *c = tag;

	if (!*tag)
		return error_set(error, -EINVAL, "tag \"\": is empty");
	if (*tag == '@') {
		error_set(error, -EINVAL, "tag \"%.200s\": begins with @", tag);
		error_advise(error,
			     "@ only says on command lines that a tag follows; leave it out");
		return -EINVAL;
	}
	while (tag_character(*c))
		c++;
	if (!*c)
		return 0;
	error_set(error, -EINVAL, "tag \"%.200s\": byte %zu is 0x%02x", tag, (size_t)(c - tag) + 1,
		  (unsigned char)*c);
	error_advise(error, "letters, digits and . _ - + / = ! : & # are allowed");
	return -EINVAL;
}

int lvm_tags_check(const char *const *tags, unsigned count, struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < count; i++)
		rc = volume_tag_check(tags[i], error);
	return rc;
}

static int check_kept_tags(const struct volume_group *group, const char *what, const char *name,
			   char *const *tags, unsigned count, struct error *error)
{
	struct error why;

	if (!lvm_tags_check((const char *const *)tags, count, &why))
		return 0;
	return error_set(error, -EINVAL, "volume group %s: %s %.128s: %s", group->name, what, name,
			 why.text);
}

/* ---- Names ---- */

/* device-mapper's name is GROUP-VOLUME with hyphens doubled. */
static size_t dm_name_length(const char *group, const char *name)
{
	size_t length = strlen(group) + 1 + strlen(name);

	for (const char *c = group; *c; c++)
		length += *c == '-';
	for (const char *c = name; *c; c++)
		length += *c == '-';
	return length;
}

static int check_length(const struct volume_group *group, const char *name, struct error *error)
{
	size_t group_length = strlen(group->name), length = strlen(name);

	if (group_length + length <= NAMES_LENGTH)
		return 0;
	return error_set(
		error, -EINVAL,
		"%s/%s: the names of the group (%zu characters) and of the volume (%zu) have "
		"%zu together, at most %d are allowed",
		group->name, name, group_length, length, group_length + length, NAMES_LENGTH);
}

/* The section of volumes that were removed and are remembered (record_lvs_history of lvm2), or NULL. */
static const struct lvm_config_node *history(const struct volume_group *group)
{
	const struct lvm_config_node *node = lvm_config_find(group->private->extra, HISTORY);

	return node && node->section ? node->child : NULL;
}

/* What a remembered volume is called: by its section, or by a key in it. */
static const char *remembered_name(const struct lvm_config_node *node)
{
	const struct lvm_config_node *name = lvm_config_find(node->child, "name");

	if (name && name->value_count == 1 && name->values->type == LVM_CONFIG_STRING)
		return name->values->string;
	return node->key;
}

static bool remembered(const struct volume_group *group, const char *name)
{
	for (const struct lvm_config_node *node = history(group); node; node = node->next)
		if (!strcmp(remembered_name(node), name))
			return true;
	return false;
}

const char *lvm_history_of(const struct volume_group *group, const char *name)
{
	for (const struct lvm_config_node *node = history(group); node; node = node->next)
		if (lvm_config_names(node->child, name))
			return remembered_name(node);
	return NULL;
}

int lvm_lv_dm_name_check(const struct volume_group *group, const char *name, struct error *error)
{
	size_t length = dm_name_length(group->name, name);
	int rc = check_length(group, name, error);

	if (rc || length <= VOLUME_NAME_LENGTH)
		return rc;
	return error_set(error, -EINVAL,
			 "%s/%s: device-mapper's name for it, in which hyphens are doubled, has "
			 "%zu characters, at most %d are allowed",
			 group->name, name, length, VOLUME_NAME_LENGTH);
}

int lvm_lv_new_name_check(const struct volume_group *group, const char *name, struct error *error)
{
	int rc = volume_lv_name_check(name, error);

	if (!rc)
		rc = lvm_lv_dm_name_check(group, name, error);
	if (rc)
		return rc;
	if (volume_group_get_lv(group, name))
		return error_set(error, -EEXIST, "%s/%s: exists already", group->name, name);
	if (!remembered(group, name))
		return 0;
	error_set(error, -EEXIST,
		  "%s/%s: a removed volume of this name is in the group's history, and LVM2 wants "
		  "the "
		  "names of both to differ",
		  group->name, name);
	error_advise(error, "choose another name, or have lvm2 forget it: lvremove %s/-%s",
		     group->name, name);
	return -EEXIST;
}

/* ---- Flags and types ---- */

static const char *unknown_status(const struct lvm_strings *status, const char *const *known)
{
	for (unsigned i = 0; i < status->count; i++) {
		const char *const *at = known;

		while (*at && strcmp(*at, status->at[i]))
			at++;
		if (!*at)
			return status->at[i];
	}
	return NULL;
}

static bool one_of(const char *word, size_t length, const char *const *words)
{
	for (; *words; words++)
		if (strlen(*words) == length && !memcmp(*words, word, length))
			return true;
	return false;
}

/* "raid5_ls+RESHAPE": a type and flags that only a newer lvm2 may pass over. */
static bool type_is_known(const char *type)
{
	static const char *const types[] = {
		"linear",      "striped",    "mirror",     "snapshot",   "thin",      "thin-pool",
		"cache",       "cache-pool", "writecache", "integrity",  "error",     "zero",
		"vdo",         "vdo-pool",   "raid0",      "raid0_meta", "raid1",     "raid10",
		"raid10_near", "raid4",      "raid5",      "raid5_n",    "raid5_la",  "raid5_ls",
		"raid5_ra",    "raid5_rs",   "raid6",      "raid6_nc",   "raid6_nr",  "raid6_zr",
		"raid6_la_6",  "raid6_ls_6", "raid6_ra_6", "raid6_rs_6", "raid6_n_6", NULL,
	};
	static const char *const flags[] = {
		"RESHAPE",
		"RESHAPE_DATA_OFFSET",
		"RESHAPE_DELTA_DISKS_PLUS",
		"RESHAPE_DELTA_DISKS_MINUS",
		"REMOVE_AFTER_RESHAPE",
		"METADATA_FORMAT",
		"CROP_METADATA",
		"CACHE_USES_CACHEVOL",
		NULL,
	};
	size_t length = strcspn(type, "+");

	if (!one_of(type, length, types))
		return false;
	/* What reshapes, has a format of its metadata, or is cropped. */
	if (type[length] && strncmp(type, "raid", 4) && strncmp(type, "cache", 5) &&
	    strncmp(type, "thin-pool", 9))
		return false;
	for (type += length; *type; type += length) {
		length = strcspn(++type, "+");
		if (!one_of(type, length, flags))
			return false;
	}
	return true;
}

static void lock_for_lv(struct volume_group *group, const struct volume_lv *lv)
{
	static const char *const known[] = { "READ",        "WRITE",     "FIXED_MINOR", "VISIBLE",
					     "PVMOVE",      "LOCKED",    "NOTSYNCED",   "REBUILD",
					     "WRITEMOSTLY", "CACHE_VOL", NULL };
	const char *status = unknown_status(&lv->private->status, known);

	if (status)
		lvm_vg_lock(group, LVM_LOCK_OTHER,
			    "its volume %s has the status %.60s, which is not known", lv->name,
			    status);
	for (unsigned i = 0; i < lv->segment_count; i++)
		if (!type_is_known(lv->segments[i].type))
			lvm_vg_lock(group, LVM_LOCK_OTHER,
				    "its volume %s is of the type %.60s, which is not known",
				    lv->name, lv->segments[i].type);
}

void lvm_vg_lock_unknown(struct volume_group *group)
{
	static const char *const known[] = { "ALLOCATABLE", "EXPORTED", "MISSING", NULL };

	for (unsigned i = 0; i < group->pv_count; i++) {
		const char *status = unknown_status(&group->pvs[i]->private->status, known);

		if (status)
			lvm_vg_lock(group, LVM_LOCK_OTHER,
				    "its PV %s has the status %.60s, which is not known",
				    group->pvs[i]->uuid, status);
	}
	for (unsigned i = 0; i < group->lv_count; i++)
		if (!group->lvs[i]->private->plain)
			lock_for_lv(group, group->lvs[i]);
}

/* ---- All of it ---- */

/* Whether a remembered volume was made of one, or one of it, that is there or remembered. lvm2 forgets the
 * others whenever it writes the group. */
static bool in_a_chain(const struct volume_group *group, const struct lvm_config_node *node)
{
	char reference[VOLUME_NAME_LENGTH + 2];

	if (lvm_config_find(node->child, "origin") || lvm_config_find(node->child, "descendants"))
		return true;
	snprintf(reference, sizeof(reference), "-%s", remembered_name(node));
	for (const struct lvm_config_node *other = history(group); other; other = other->next)
		if (other != node && lvm_config_names(other->child, reference))
			return true;
	for (unsigned i = 0; i < group->lv_count; i++)
		for (unsigned k = 0; k < group->lvs[i]->segment_count; k++) {
			const struct volume_segment_private *segment =
				group->lvs[i]->segments[k].private;

			if (segment->node && lvm_config_names(segment->node->child, reference))
				return true;
		}
	return false;
}

static int check_history(const struct volume_group *group, struct error *error)
{
	for (const struct lvm_config_node *node = history(group); node; node = node->next) {
		if (volume_group_get_lv(group, remembered_name(node)))
			return error_set(error, -EINVAL,
					 "volume group %s: %.128s names a volume and one in the "
					 "history",
					 group->name, remembered_name(node));
		if (!in_a_chain(group, node))
			return error_set(error, -EINVAL,
					 "volume group %s: %.128s in the history is in no chain of "
					 "volumes",
					 group->name, remembered_name(node));
	}
	return 0;
}

/* Without a lock type nothing may carry arguments of one. */
static int check_lock_args(const struct volume_group *group, struct error *error)
{
	if (lvm_config_find(group->private->extra, "lock_type"))
		return 0;
	if (lvm_config_find(group->private->extra, "lock_args"))
		return error_set(error, -EINVAL, "volume group %s: lock_args without lock_type",
				 group->name);
	for (unsigned i = 0; i < group->lv_count; i++)
		if (lvm_config_find(group->lvs[i]->private->extra, "lock_args"))
			return error_set(error, -EINVAL,
					 "%s/%s: lock_args in a group without lock_type",
					 group->name, group->lvs[i]->name);
	return 0;
}

int lvm_vg_validate(const struct volume_group *group, struct error *error)
{
	int rc = check_kept_tags(group, "the group", group->name, group->tags, group->tag_count,
				 error);

	for (unsigned i = 0; !rc && i < group->pv_count; i++)
		rc = check_kept_tags(group, "PV", group->pvs[i]->uuid, group->pvs[i]->tags,
				     group->pvs[i]->tag_count, error);
	for (unsigned i = 0; !rc && i < group->lv_count; i++) {
		const struct volume_lv *lv = group->lvs[i];

		rc = check_length(group, lv->name, error);
		if (!rc)
			rc = check_kept_tags(group, "volume", lv->name, lv->tags, lv->tag_count,
					     error);
		if (!rc)
			rc = lvm_lv_validate(group, lv, error);
	}
	if (!rc)
		rc = check_history(group, error);
	if (!rc)
		rc = check_lock_args(group, error);
	if (rc)
		error_advise(error, "lvm2 would refuse this group from now on");
	return rc;
}

int volume_group_validate(const struct volume_group *group, struct error *error)
{
	return lvm_vg_validate(group, error);
}
