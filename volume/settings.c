/* SPDX-License-Identifier: BSD-2-Clause */
/* What is said of volumes, PVs and groups and moves nothing: tags, permissions, policies. */
#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "volume/change.h"
#include "volume/raid_change.h"

#define POLICY_KEY "allocation_policy"

/* ---- Policies ---- */

static const char *const allocation_names[] = {
	[VOLUME_ALLOCATE_INHERIT] = "inherit",       [VOLUME_ALLOCATE_NORMAL] = "normal",
	[VOLUME_ALLOCATE_CONTIGUOUS] = "contiguous", [VOLUME_ALLOCATE_CLING] = "cling",
	[VOLUME_ALLOCATE_ANYWHERE] = "anywhere",
};

int volume_allocation_parse(const char *name, enum volume_allocation *out, struct error *error)
{
	/* As lvm2 takes it, and keeps it. */
	if (!strcmp(name, "cling_by_tags"))
		name = allocation_names[VOLUME_ALLOCATE_CLING];
	for (unsigned i = 0; i < ARRAY_SIZE(allocation_names); i++)
		if (!strcmp(name, allocation_names[i])) {
			*out = (enum volume_allocation)i;
			return 0;
		}
	error_set(error, -EINVAL,
		  "allocation policy is %.60s, expected one of contiguous, cling, "
		  "normal, anywhere, inherit",
		  name);
	return -EINVAL;
}

const char *volume_allocation_name(enum volume_allocation allocation)
{
	return allocation_names[allocation];
}

enum volume_allocation volume_allocation_of(const struct volume_group *group,
					    const struct volume_lv *lv)
{
	struct lvm_config_node *extra = lv ? lv->private->extra : group->private->extra;
	const struct lvm_config_node *node = lvm_config_find(extra, POLICY_KEY);
	enum volume_allocation allocation;

	if (!node || node->value_count != 1 || node->values->type != LVM_CONFIG_STRING)
		return VOLUME_ALLOCATE_INHERIT;
	/* "cling_by_tags" and what may come. */
	if (!strncmp(node->values->string, "cling", 5))
		return VOLUME_ALLOCATE_CLING;
	return volume_allocation_parse(node->values->string, &allocation, NULL)
		       ? VOLUME_ALLOCATE_INHERIT
		       : allocation;
}

/* ---- Lists ---- */

int change_set_flag(struct volume_group *group, struct lvm_strings *strings, const char *flag,
		    bool set)
{
	struct lvm_strings new = { 0 };

	new.at = lvm_config_alloc(&group->private->memory, (strings->count + 1) * sizeof(*new.at));
	if (!new.at)
		return -ENOMEM;
	for (unsigned i = 0; i < strings->count; i++)
		if (strcmp(strings->at[i], flag))
			new.at[new.count++] = strings->at[i];
	if (set)
		new.at[new.count++] = lvm_vg_string(group, flag);
	if (set && !new.at[new.count - 1])
		return -ENOMEM;
	*strings = new;
	return 0;
}

static struct lvm_config_node *new_key(struct volume_group *group, const char *key,
				       struct lvm_config_value value)
{
	struct lvm_config *memory = &group->private->memory;
	struct lvm_config_node *node = lvm_config_alloc(memory, sizeof(*node));

	if (!node)
		return NULL;
	node->key = lvm_vg_string(group, key);
	node->values = lvm_config_alloc(memory, sizeof(*node->values));
	if (!node->key || !node->values)
		return NULL;
	*node->values = value;
	node->value_count = 1;
	return node;
}

/* `value` NULL: without it. */
static int set_key(struct volume_group *group, struct lvm_config_node **list, const char *key,
		   const struct lvm_config_value *value)
{
	struct lvm_config_node *first = value ? new_key(group, key, *value) : NULL;
	struct lvm_config_node **link = &first;

	if (value && !first)
		return -ENOMEM;
	if (first)
		link = &first->next;
	for (const struct lvm_config_node *node = *list; node; node = node->next) {
		if (!strcmp(node->key, key))
			continue;
		*link = lvm_config_alloc(&group->private->memory, sizeof(**link));
		if (!*link)
			return -ENOMEM;
		**link = *node;
		(*link)->next = NULL;
		link = &(*link)->next;
	}
	*list = first;
	return 0;
}

int change_set_key(struct volume_group *group, struct lvm_config_node **list, const char *key,
		   const char *value)
{
	struct lvm_config_value text = { .type = LVM_CONFIG_STRING };

	if (!value)
		return set_key(group, list, key, NULL);
	text.string = lvm_vg_string(group, value);
	return text.string ? set_key(group, list, key, &text) : -ENOMEM;
}

int change_set_number(struct volume_group *group, struct lvm_config_node **list, const char *key,
		      uint64_t value)
{
	const struct lvm_config_value number = { .type = LVM_CONFIG_INTEGER,
						 .integer = (int64_t)value };

	return set_key(group, list, key, value ? &number : NULL);
}

/* ---- What all of them have ---- */

static int set_tags(struct volume_group *group, char ***tags, unsigned *count,
		    const struct volume_settings *settings)
{
	struct lvm_strings list = { (const char **)*tags, *count };
	int rc = 0;

	for (unsigned i = 0; !rc && i < settings->delete_count; i++)
		rc = change_set_flag(group, &list, settings->delete_tags[i], false);
	for (unsigned i = 0; !rc && i < settings->add_count; i++)
		if (!lvm_strings_contain(&list, settings->add_tags[i]))
			rc = change_set_flag(group, &list, settings->add_tags[i], true);
	*tags = (char **)list.at;
	*count = list.count;
	return rc;
}

static int set_policy(struct volume_group *group, struct lvm_config_node **extra,
		      const struct volume_settings *settings)
{
	const char *name;

	if (!settings->allocation)
		return 0;
	name = *settings->allocation == VOLUME_ALLOCATE_INHERIT
		       ? NULL
		       : volume_allocation_name(*settings->allocation);
	return change_set_key(group, extra, POLICY_KEY, name);
}

/* ---- Volumes ---- */

static int find(struct volume_group *group, const char *name, struct volume_lv **lv,
		struct error *error)
{
	int rc = change_check_but_missing(group, error);

	if (rc)
		return rc;
	*lv = volume_group_get_lv(group, name);
	if (!*lv)
		return error_set(error, -ENOENT, "%s/%.128s: no such volume", group->name, name);
	if (!(*lv)->visible)
		return error_set(error, -EOPNOTSUPP, "%s/%s: is a part of another volume",
				 group->name, name);
	return 0;
}

/* WRITE comes behind READ, as lvm2 writes them. */
static int set_writable(struct volume_group *group, struct lvm_strings *status, bool writable)
{
	struct lvm_strings new = { 0 };

	new.at = lvm_config_alloc(&group->private->memory, (status->count + 1) * sizeof(*new.at));
	if (!new.at)
		return -ENOMEM;
	for (unsigned i = 0; i < status->count; i++) {
		if (strcmp(status->at[i], "WRITE"))
			new.at[new.count++] = status->at[i];
		if (writable && !strcmp(status->at[i], "READ"))
			new.at[new.count++] = "WRITE";
	}
	*status = new;
	return 0;
}

static int plan_lv(struct volume_group *group, struct volume_lv *lv,
		   const struct volume_settings *settings)
{
	struct volume_lv_private *private = lv->private;
	int rc = set_tags(group, &lv->tags, &lv->tag_count, settings);

	if (!rc)
		rc = set_policy(group, &private->extra, settings);
	if (!rc && settings->writable)
		rc = set_writable(group, &private->status, *settings->writable);
	if (!rc && settings->activation_skip)
		rc = change_set_flag(group, &private->flags, "ACTIVATION_SKIP",
				     *settings->activation_skip);
	if (!rc && settings->autoactivate)
		rc = change_set_flag(group, &private->flags, "NOAUTOACTIVATE",
				     !*settings->autoactivate);
	return rc ? rc : lvm_raid_plan_speed(group, lv, settings);
}

/* An image that is split off is as it was: the others know only what they themselves wrote. */
static int check_permission(const struct volume_group *group, const struct volume_lv *lv,
			    bool writable, struct error *error)
{
	const struct volume_lv *dependent = writable ? lvm_lv_dependent(group, lv) : NULL;

	return dependent && lvm_lv_raid(dependent)
		       ? error_set(error, -EOPNOTSUPP,
				   "%s/%s: an image of %s, which is split off for a while, is not "
				   "written to",
				   group->name, lv->name, dependent->name)
		       : 0;
}

/* A permission that it has already, and nothing else. */
static bool nothing_new(const struct volume_lv *lv, const struct volume_settings *settings)
{
	return !settings->add_count && !settings->delete_count && !settings->activation_skip &&
	       !settings->autoactivate && !settings->allocation && !settings->recovery_least &&
	       !settings->recovery_most && settings->writable &&
	       *settings->writable == lv->writable;
}

int volume_lv_set(struct volume_group *group, const char *name,
		  const struct volume_settings *settings, struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	struct volume_lv *lv;
	int rc;

	change_begin(&change, group);
	rc = find(group, name, &lv, error);
	if (!rc)
		rc = lvm_tags_check(settings->add_tags, settings->add_count, error);
	if (!rc && settings->writable)
		rc = check_permission(group, lv, *settings->writable, error);
	if (!rc)
		rc = lvm_raid_check_speed(group, lv, settings, error);
	if (!rc && settings->writable && *settings->writable != lv->writable)
		rc = change_check_closed(group, lv, error);
	if (rc)
		return rc;
	if (nothing_new(lv, settings))
		return lvm_vg_unchanged(group, error);
	if (change_keep_lv(&change, lv) || plan_lv(group, lv, settings))
		return change_no_memory(group, error);
	rc = change_commit(&change, error);
	if (!rc)
		lvm_raid_apply_speed(lv, settings);
	return rc;
}

int volume_lv_set_writable(struct volume_group *group, const char *name, bool writable,
			   struct error *error)
{
	const struct volume_settings settings = { .writable = &writable };

	return volume_lv_set(group, name, &settings, error);
}

/* ---- Groups and PVs ---- */

/* Limits as vgchange has them: none below what is there, and none of a group of fixed size. */
static int check_limits(const struct volume_group *group, const struct volume_settings *settings,
			struct error *error)
{
	unsigned lvs = change_visible_lvs(group);
	int rc = 0;

	if ((settings->max_lv || settings->max_pv || settings->extent_size) &&
	    !(settings->resizeable && *settings->resizeable))
		rc = change_check_resizeable(group, error);
	if (rc)
		return rc;
	if (settings->max_lv && *settings->max_lv && *settings->max_lv < lvs)
		return error_set(error, -EINVAL,
				 "volume group %s: has %u volumes, more than the limit %u",
				 group->name, lvs, *settings->max_lv);
	if (settings->max_pv && *settings->max_pv && *settings->max_pv < group->pv_count)
		return error_set(error, -EINVAL,
				 "volume group %s: has %u PVs, more than the limit %u", group->name,
				 group->pv_count, *settings->max_pv);
	return 0;
}

static int set_limits(struct volume_group *group, const struct volume_settings *settings)
{
	struct volume_group_private *private = group->private;

	if (settings->max_lv)
		group->max_lv = *settings->max_lv;
	if (settings->max_pv)
		group->max_pv = *settings->max_pv;
	if (!settings->resizeable)
		return 0;
	group->resizeable = *settings->resizeable;
	return change_set_flag(group, &private->status, "RESIZEABLE", group->resizeable);
}

int volume_group_set(struct volume_group *group, const struct volume_settings *settings,
		     struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	struct volume_group_private *private = group->private;
	int rc;

	rc = change_open(&change, group, error);
	if (!rc)
		rc = lvm_tags_check(settings->add_tags, settings->add_count, error);
	if (!rc)
		rc = check_limits(group, settings, error);
	if (!rc && settings->extent_size && *settings->extent_size != group->extent_size)
		rc = change_set_extent_size(&change, *settings->extent_size, error);
	if (rc)
		return rc;
	rc = set_tags(group, &group->tags, &group->tag_count, settings);
	if (!rc)
		rc = set_policy(group, &private->extra, settings);
	if (!rc)
		rc = set_limits(group, settings);
	if (!rc && settings->autoactivate)
		rc = change_set_flag(group, &private->flags, "NOAUTOACTIVATE",
				     !*settings->autoactivate);
	return rc ? change_no_memory(group, error) : change_commit(&change, error);
}

int volume_pv_set(struct volume_group *group, struct volume_pv *pv,
		  const struct volume_settings *settings, struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	int rc;

	rc = change_open(&change, group, error);
	if (!rc)
		rc = lvm_tags_check(settings->add_tags, settings->add_count, error);
	if (rc)
		return rc;
	rc = change_keep_pv(&change, pv);
	if (!rc)
		rc = set_tags(group, &pv->tags, &pv->tag_count, settings);
	if (!rc && settings->allocatable)
		rc = change_set_flag(group, &pv->private->status, "ALLOCATABLE",
				     *settings->allocatable);
	return rc ? change_no_memory(group, error) : change_commit(&change, error);
}
