/* SPDX-License-Identifier: BSD-2-Clause */
/* See cling.h. */
#include "volume/cling.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"
#include "volume/archive.h"

/* ---- What is listed ---- */

/* lvm2 passes over what is no tag, too. */
static int keep_list(struct volume_group *group, const struct lvm_config_node *node)
{
	const char **at =
		lvm_config_alloc(&group->private->kept, (node->value_count + 1) * sizeof(*at));
	unsigned count = 0;

	if (!at)
		return -ENOMEM;
	for (unsigned i = 0; i < node->value_count; i++) {
		const char *text = node->values[i].string;

		if (!text || text[0] != '@' || !text[1])
			continue;
		at[count] = lvm_vg_keep_string(group, text + 1);
		if (!at[count++])
			return -ENOMEM;
	}
	group->private->cling = (struct lvm_strings){ at, count };
	return 0;
}

/* In any of the sections of that name, or by its key with the section before it; of several the last counts, as for lvm2. */
static const struct lvm_config_node *find_list(const struct lvm_config_node *node)
{
	const struct lvm_config_node *found = NULL;

	for (; node; node = node->next) {
		if (!node->section && !strcmp(node->key, "allocation/cling_tag_list"))
			found = node;
		if (!node->section || strcmp(node->key, "allocation") != 0)
			continue;
		for (const struct lvm_config_node *at = node->child; at; at = at->next)
			if (!at->section && !strcmp(at->key, "cling_tag_list"))
				found = at;
	}
	return found;
}

/* 1: it says so; 0: it says nothing of it, or is not there. */
static int read_file(struct volume_group *group, const char *name, struct error *error)
{
	CLEANUP_LVM_CONFIG struct lvm_config config = { 0 };
	CLEANUP_FREE char *path = NULL, *text = NULL;
	const struct lvm_config_node *node;
	size_t size;
	int rc;

	if (asprintf(&path, "%s/%s", group->private->lvm_conf, name) < 0)
		return path = NULL, -ENOMEM;
	rc = archive_text_read(AT_FDCWD, path, 0, &text, &size);
	if (rc)
		return rc == -ENOENT || rc == -ENOTDIR
			       ? 0
			       : error_set(error, rc, "%s: cannot be read: %s", path,
					   error_name(rc));
	rc = lvm_config_parse(&config, text, size, path, error);
	if (rc)
		return rc;
	node = find_list(config.root);
	if (!node)
		return 0;
	rc = keep_list(group, node);
	return rc ? rc : 1;
}

/* What the host says of itself counts before what is said of all. */
static void read_list(struct volume_group *group)
{
	struct error error = { 0 };
	int rc;

	if (!group->private->lvm_conf || group->private->cling_read)
		return;
	group->private->cling_read = true;
	rc = read_file(group, "lvmlocal.conf", &error);
	if (!rc)
		rc = read_file(group, "lvm.conf", &error);
	if (rc < 0)
		log_warning(group->private->log, "%s; allocation/cling_tag_list is not known",
			    error.text[0] ? error.text : error_name(rc));
}

/* ---- What is alike ---- */

static bool has_tag(const struct volume_pv *pv, const char *tag)
{
	for (unsigned i = 0; i < pv->tag_count; i++)
		if (!strcmp(pv->tags[i], tag))
			return true;
	return false;
}

static bool share_any(const struct volume_pv *one, const struct volume_pv *other)
{
	for (unsigned i = 0; i < one->tag_count; i++)
		if (has_tag(other, one->tags[i]))
			return true;
	return false;
}

static bool share_tag(const struct volume_group *group, const struct volume_pv *one,
		      const struct volume_pv *other)
{
	const struct lvm_strings *list = &group->private->cling;

	for (unsigned i = 0; i < list->count; i++)
		if (strcmp(list->at[i], "*")
			    ? has_tag(one, list->at[i]) && has_tag(other, list->at[i])
			    : share_any(one, other))
			return true;
	return false;
}

static bool alike(const struct allocate_tags *tags, unsigned pv, unsigned other)
{
	const struct lvm_cling *cling = container_of(tags, const struct lvm_cling, tags);

	return share_tag(cling->group, cling->group->pvs[pv], cling->group->pvs[other]);
}

/* Of all of the volume, as lvm2 has it with allocation/maximise_cling, which is its default. */
static bool near(const struct allocate_tags *tags, unsigned stripe, unsigned pv)
{
	const struct lvm_cling *cling = container_of(tags, const struct lvm_cling, tags);
	const struct volume_pv *to = cling->group->pvs[pv];

	for (unsigned i = 0; i < cling->lv->segment_count; i++) {
		const struct volume_segment *segment = &cling->lv->segments[i];
		const struct volume_pv *on =
			stripe < segment->area_count ? segment->areas[stripe].pv : NULL;

		if (on && (on == to || share_tag(cling->group, on, to)))
			return true;
	}
	return false;
}

const struct allocate_tags *lvm_cling_tags(struct lvm_cling *cling,
					   const struct volume_group *group,
					   const struct volume_lv *lv)
{
	bool grows = lv && lv->segment_count;

	read_list((struct volume_group *)group);
	*cling = (struct lvm_cling){ { alike, grows ? near : NULL }, group, lv };
	return group->private->cling.count ? &cling->tags : NULL;
}
