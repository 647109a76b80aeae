/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Metadata tree -> volume group: the group and its physical volumes. lvm_import_lv.c does the logical
 * volumes. What is required is what lvm2 requires (lib/format_text/import_vsn1.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "volume/lvm_io.h"
#include "volume/lvm_vg.h"

#define CONTENTS "Text Format Volume Group"
#define SECTOR   512

/* No device of a group is larger: offsets stay within 63 bits. */
#define SECTORS_MAX ((uint64_t)INT64_MAX / SECTOR)

struct volume_group *lvm_vg_new(void)
{
	struct volume_group *group = calloc(1, sizeof(*group));

	if (!group)
		return NULL;
	group->private = calloc(1, sizeof(*group->private));
	if (!group->private) {
		free(group);
		return NULL;
	}
	group->private->references = 1;
	fiber_mutex_init(&group->private->change);
	fiber_queue_init(&group->private->closing);
	return group;
}

static char *copy_string(struct lvm_config *memory, const char *string)
{
	size_t length = strlen(string) + 1;
	char *copy = lvm_config_alloc(memory, length);

	return copy ? memcpy(copy, string, length) : NULL;
}

char *lvm_vg_string(struct volume_group *group, const char *string)
{
	return copy_string(&group->private->memory, string);
}

char *lvm_vg_keep_string(struct volume_group *group, const char *string)
{
	return copy_string(&group->private->kept, string);
}

static int check_contents(const struct lvm_reader *reader, struct lvm_config_node *root)
{
	struct lvm_config_node top = { .key = "the metadata", .line = 1, .child = root };
	const char *contents;
	uint64_t version;
	int rc;

	rc = lvm_read_string(reader, &top, "contents", false, &contents);
	if (!rc && strcmp(contents, CONTENTS))
		rc = lvm_read_fail(reader, lvm_config_find(root, "contents"),
				   "contents is \"%.60s\", expected \"%s\"", contents, CONTENTS);
	if (!rc)
		rc = lvm_read_integer(reader, &top, "version", false, INT64_MAX, &version);
	if (!rc && version != 1)
		rc = lvm_read_fail(reader, lvm_config_find(root, "version"),
				   "version is %llu, expected 1", (unsigned long long)version);
	return rc;
}

static int import_header(const struct lvm_reader *reader, struct volume_group *group,
			 struct lvm_config_node *root)
{
	struct lvm_config_node top = { .key = "the metadata", .line = 1, .child = root };
	uint64_t time = 0;
	int rc;

	rc = lvm_read_string(reader, &top, "description", true, (const char **)&group->description);
	if (!rc)
		rc = lvm_read_string(reader, &top, "creation_host", true,
				     (const char **)&group->creation_host);
	if (!rc)
		rc = lvm_read_integer(reader, &top, "creation_time", true, INT64_MAX, &time);
	group->creation_time = (int64_t)time;
	return rc;
}

/* ---- Physical volumes ---- */

static const char *const pv_keys[] = { "id",       "device",   "status",   "flags", "tags",
				       "dev_size", "pe_start", "pe_count", NULL };

static int import_pv_layout(const struct lvm_reader *reader, const struct lvm_config_node *section,
			    const struct volume_group *group, struct volume_pv *pv)
{
	uint64_t count = 0, end;
	int rc;

	rc = lvm_read_integer(reader, section, "dev_size", true, SECTORS_MAX,
			      &pv->private->dev_size_sectors);
	if (!rc)
		rc = lvm_read_integer(reader, section, "pe_start", false, SECTORS_MAX,
				      &pv->private->pe_start_sectors);
	if (!rc)
		rc = lvm_read_integer(reader, section, "pe_count", false, UINT32_MAX, &count);
	if (rc)
		return rc;
	if (__builtin_mul_overflow(count, group->private->extent_sectors, &end) ||
	    __builtin_add_overflow(end, pv->private->pe_start_sectors, &end) || end > SECTORS_MAX)
		return lvm_read_fail(reader, section, "extents of %.128s go beyond 2^63 bytes",
				     section->key);
	/* pvresize of lvm2 records the size without what is before the first extent. */
	if (pv->private->dev_size_sectors &&
	    end - pv->private->pe_start_sectors > pv->private->dev_size_sectors)
		return lvm_read_fail(reader, section,
				     "extents of %.128s end at sector %llu, its dev_size is %llu",
				     section->key, (unsigned long long)end,
				     (unsigned long long)pv->private->dev_size_sectors);
	pv->extent_count = (uint32_t)count;
	pv->pe_start = pv->private->pe_start_sectors * SECTOR;
	pv->device_size = MAX(pv->private->dev_size_sectors, end) * SECTOR;
	return 0;
}

static int import_pv(const struct lvm_reader *reader, const struct lvm_config_node *section,
		     struct volume_group *group, struct volume_pv *pv)
{
	struct volume_pv_private *private = pv->private;
	struct lvm_strings tags;
	int rc;

	pv->name = (char *)section->key;
	rc = lvm_read_uuid(reader, section, pv->uuid);
	if (!rc)
		rc = lvm_read_string(reader, section, "device", true,
				     (const char **)&pv->device_hint);
	if (!rc)
		rc = lvm_read_flags(reader, section, &private->status, &private->flags, &tags);
	if (!rc)
		rc = import_pv_layout(reader, section, group, pv);
	if (!rc)
		rc = lvm_read_extra(reader, section, pv_keys, true, &private->extra);
	if (rc)
		return rc;
	pv->tags = (char **)tags.at;
	pv->tag_count = tags.count;
	pv->allocatable = lvm_strings_contain(&private->status, "ALLOCATABLE");
	pv->marked_missing = lvm_strings_contain(&private->flags, "MISSING") ||
			     lvm_strings_contain(&private->status, "MISSING");
	return 0;
}

static int check_pvs_unique(const struct lvm_reader *reader, const struct lvm_config_node *section,
			    const struct volume_group *group)
{
	CLEANUP_FREE const char **texts = calloc(group->pv_count + 1, sizeof(const char *));
	int rc;

	if (!texts)
		return -ENOMEM;
	for (unsigned i = 0; i < group->pv_count; i++)
		texts[i] = group->pvs[i]->uuid;
	rc = lvm_read_unique(reader, section, "PVs have the id", texts, group->pv_count);
	for (unsigned i = 0; i < group->pv_count; i++)
		texts[i] = group->pvs[i]->name;
	return rc ? rc : lvm_read_unique(reader, section, "PVs are named", texts, group->pv_count);
}

static int import_pvs(const struct lvm_reader *reader, const struct lvm_config_node *section,
		      struct volume_group *group)
{
	unsigned count = 0;

	for (const struct lvm_config_node *node = section->child; node; node = node->next)
		count++;
	group->pvs = lvm_config_alloc(reader->memory, (count + 1) * sizeof(*group->pvs));
	if (!group->pvs)
		return -ENOMEM;
	for (const struct lvm_config_node *node = section->child; node; node = node->next) {
		struct volume_pv *pv = lvm_pv_new();
		int rc;

		if (!pv)
			return -ENOMEM;
		pv->private->index = group->pv_count;
		group->pvs[group->pv_count++] = pv;
		if (!node->section)
			return lvm_read_fail(reader, node,
					     "%.128s of physical_volumes is no section", node->key);
		rc = import_pv(reader, node, group, pv);
		if (rc)
			return rc;
		if (__builtin_add_overflow(group->extent_count, pv->extent_count,
					   &group->extent_count))
			return lvm_read_fail(reader, node, "the group has more than 2^32 extents");
	}
	return check_pvs_unique(reader, section, group);
}

/* ---- The group ---- */

static const char *const vg_keys[] = { "id",
				       "seqno",
				       "format",
				       "status",
				       "flags",
				       "tags",
				       "extent_size",
				       "max_lv",
				       "max_pv",
				       "metadata_copies",
				       "physical_volumes",
				       "logical_volumes",
				       NULL };

/* Status flags that lvm2 2.03 knows and that do not stand in the way of changes here. */
static const char *const vg_status_known[] = { "RESIZEABLE", "READ", "WRITE", "EXPORTED" };

static const char *plain_string(const struct lvm_config_node *section, const char *key)
{
	const struct lvm_config_node *node = lvm_config_find(section->child, key);

	if (!node || node->value_count != 1 || node->values->type != LVM_CONFIG_STRING)
		return NULL;
	return node->values->string;
}

/* What forbids changes by this code, from the metadata alone. */
static void import_locks(struct volume_group *group, struct lvm_config_node *section)
{
	const struct lvm_strings *status = &group->private->status;
	const char *text;

	if (group->exported)
		lvm_vg_lock_exported(group);
	for (unsigned i = 0; i < status->count; i++) {
		bool known = false;

		for (unsigned k = 0; k < ARRAY_SIZE(vg_status_known); k++)
			known |= !strcmp(vg_status_known[k], status->at[i]);
		if (!known)
			lvm_vg_lock(group, LVM_LOCK_KIND, "its status %.60s is not supported",
				    status->at[i]);
	}
	text = plain_string(section, "system_id");
	if (text && *text) {
		group->system_id = text;
		lvm_vg_lock_host(group);
	}
	text = plain_string(section, "lock_type");
	if (text && strcmp(text, "none"))
		lvm_vg_lock(group, LVM_LOCK_KIND, "it is shared with lock type %.60s", text);
	if (!lvm_strings_contain(status, "WRITE") &&
	    !lvm_strings_contain(&group->private->flags, "WRITE_LOCKED"))
		lvm_vg_lock(group, LVM_LOCK_OTHER, "it is read-only");
}

static int import_numbers(const struct lvm_reader *reader, const struct lvm_config_node *section,
			  struct volume_group *group)
{
	uint64_t seqno = 0, extent = 0, max_lv = 0, max_pv = 0, copies = 0;
	const char *format = plain_string(section, "format");
	int rc;

	if (format && strcmp(format, "lvm2") != 0)
		return lvm_read_fail(reader, lvm_config_find(section->child, "format"),
				     "format of %.128s is \"%.60s\", expected \"lvm2\"",
				     section->key, format);
	rc = lvm_read_integer(reader, section, "seqno", false, UINT32_MAX, &seqno);
	if (!rc)
		rc = lvm_read_integer(reader, section, "extent_size", false, UINT32_MAX, &extent);
	if (!rc)
		rc = lvm_read_integer(reader, section, "max_lv", false, UINT32_MAX, &max_lv);
	if (!rc)
		rc = lvm_read_integer(reader, section, "max_pv", false, UINT32_MAX, &max_pv);
	if (!rc)
		rc = lvm_read_integer(reader, section, "metadata_copies", true, UINT32_MAX,
				      &copies);
	if (!rc && !extent)
		rc = lvm_read_fail(reader, section, "extent_size of %.128s is 0", section->key);
	group->seqno = (uint32_t)seqno;
	group->private->extent_sectors = extent;
	group->extent_size = extent * SECTOR;
	group->max_lv = (unsigned)max_lv;
	group->max_pv = (unsigned)max_pv;
	group->metadata_copies = (unsigned)copies;
	return rc;
}

/* What volumes need to know of their group. */
static int import_below(const struct lvm_reader *reader, const struct lvm_config_node *section,
			struct volume_group *group)
{
	const struct lvm_config_node *pvs = lvm_config_find(section->child, "physical_volumes");
	int rc;

	if (!pvs || !pvs->section)
		return lvm_read_fail(reader, section, "%s has no physical_volumes", section->key);
	rc = import_numbers(reader, section, group);
	return rc ? rc : import_pvs(reader, pvs, group);
}

/* `lvs` has them already; or NULL. */
static int import_lvs(const struct lvm_reader *reader, const struct lvm_config_node *section,
		      struct volume_group *group, struct lvm_lvs *lvs)
{
	CLEANUP_LVM_LVS struct lvm_lvs own = { 0 };
	int rc;

	if (!section)
		return 0;
	if (!section->section)
		return lvm_read_fail(reader, section, "logical_volumes is no section");
	if (lvs)
		return lvm_lvs_end(lvs, section);
	rc = lvm_lvs_begin(&own, group, reader->name, reader->error);
	for (const struct lvm_config_node *node = section->child; !rc && node; node = node->next)
		rc = lvm_lvs_add(&own, node);
	return rc ? rc : lvm_lvs_end(&own, section);
}

static int import_group(const struct lvm_reader *reader, struct lvm_config_node *section,
			struct volume_group *group, struct lvm_lvs *lvs)
{
	struct volume_group_private *private = group->private;
	struct lvm_strings tags;
	struct error bad_name;
	int rc;

	group->name = lvm_vg_keep_string(group, section->key);
	if (!group->name)
		return -ENOMEM;
	if (volume_group_name_check(group->name, &bad_name))
		return lvm_read_fail(reader, section, "%s", bad_name.text);
	rc = lvm_read_uuid(reader, section, group->uuid);
	if (!rc)
		rc = import_numbers(reader, section, group);
	if (!rc)
		rc = lvm_read_flags(reader, section, &private->status, &private->flags, &tags);
	if (!rc)
		rc = lvm_read_extra(reader, section, vg_keys, true, &private->extra);
	if (rc)
		return rc;
	group->tags = (char **)tags.at;
	group->tag_count = tags.count;
	group->exported = lvm_strings_contain(&private->status, "EXPORTED");
	group->resizeable = lvm_strings_contain(&private->status, "RESIZEABLE");
	group->no_autoactivate = lvm_strings_contain(&private->flags, "NOAUTOACTIVATE");
	import_locks(group, section);
	if (!lvs)
		rc = import_below(reader, section, group);
	if (!rc)
		rc = import_lvs(reader, lvm_config_find(section->child, "logical_volumes"), group,
				lvs);
	if (!rc)
		lvm_vg_lock_unknown(group);
	return rc;
}

/* The tree is in the group's memory. */
static int import_tree(struct volume_group *group, const char *name, struct lvm_lvs *lvs,
		       struct error *error)
{
	struct lvm_reader reader = { .memory = &group->private->memory,
				     .name = name,
				     .error = error };
	struct lvm_config_node *section = reader.memory->root;
	int rc = check_contents(&reader, section);

	if (!rc)
		rc = import_header(&reader, group, section);
	while (section && !section->section)
		section = section->next;
	if (!rc && !section)
		rc = error_set(error, -EBADMSG, "%s: metadata holds no volume group", name);
	if (!rc)
		rc = import_group(&reader, section, group, lvs);
	return rc ? rc : lvm_vg_count(group, error);
}

int lvm_vg_import(struct lvm_config *config, const char *name, struct volume_group **out,
		  struct error *error)
{
	CLEANUP_VOLUME_GROUP struct volume_group *group = lvm_vg_new();
	int rc;

	if (!group) {
		lvm_config_free(config);
		return error_set(error, -ENOMEM, "%s: no memory for metadata", name);
	}
	group->private->memory = *config;
	*config = (struct lvm_config){ 0 };
	rc = import_tree(group, name, NULL, error);
	if (rc == -ENOMEM)
		error_set(error, rc, "%s: no memory for metadata", name);
	if (rc)
		return rc;
	*out = steal_pointer(&group);
	return 0;
}

/* ---- In one pass ---- */

/* Volumes become what they are as they are read, and no tree of them is made. */
struct passing {
	struct lvm_config_stream stream;
	struct volume_group *group;
	struct lvm_lvs lvs;
	const char *name, *text;
	bool begun, failed;
};

/* What volumes need stands before them in all that LVM2 writes. */
static bool passing_begin(struct lvm_config_stream *stream, const struct lvm_config_node *parent)
{
	struct passing *passing = container_of(stream, struct passing, stream);
	struct lvm_reader reader = { .memory = &passing->group->private->memory,
				     .name = passing->name };

	passing->begun = true;
	passing->failed = import_below(&reader, parent, passing->group) ||
			  lvm_lvs_begin(&passing->lvs, passing->group, passing->name, NULL);
	passing->lvs.text = passing->text;
	return !passing->failed;
}

static int passing_take(struct lvm_config_stream *stream, const struct lvm_config_node *child)
{
	return lvm_lvs_add(&container_of(stream, struct passing, stream)->lvs, child);
}

static size_t passing_take_text(struct lvm_config_stream *stream, const char *at, const char *end)
{
	return lvm_lvs_add_plain(&container_of(stream, struct passing, stream)->lvs, at, end);
}

static size_t passing_over_text(struct lvm_config_stream *stream, const char *at, const char *end)
{
	(void)stream;
	return lvm_plain_length(at, end);
}

static int read_passing(const char *text, size_t size, const char *name, bool pvs_only,
			struct volume_group **out)
{
	CLEANUP_VOLUME_GROUP struct volume_group *group = lvm_vg_new();
	struct passing passing = { .stream = { .section = "logical_volumes",
					       .begin = passing_begin,
					       .take_text = pvs_only ? passing_over_text
								     : passing_take_text,
					       .take = pvs_only ? NULL : passing_take },
				   .group = group,
				   .name = name,
				   .text = text };
	int rc = group ? lvm_config_parse_stream(&group->private->memory, text, size, name,
						 &passing.stream, NULL)
		       : -ENOMEM;

	if (!rc && passing.failed)
		rc = -EBADMSG;
	if (!rc)
		rc = import_tree(group, name, passing.begun ? &passing.lvs : NULL, NULL);
	lvm_lvs_free(&passing.lvs);
	if (!rc)
		*out = steal_pointer(&group);
	return rc;
}

/* What is wrong is found out from the tree, all of it: of several faults it is the same one then wherever they are. */
static int read_tree(const char *text, size_t size, const char *name, struct volume_group **out,
		     struct error *error)
{
	struct lvm_config config;
	int rc = lvm_config_parse(&config, text, size, name, error);

	return rc ? rc : lvm_vg_import(&config, name, out, error);
}

int lvm_vg_read(const char *text, size_t size, const char *name, struct volume_group **out,
		struct error *error)
{
	return read_passing(text, size, name, false, out) ? read_tree(text, size, name, out, error)
							  : 0;
}

int lvm_vg_read_pvs(const char *text, size_t size, const char *name, struct volume_group **out,
		    struct error *error)
{
	return read_passing(text, size, name, true, out) ? read_tree(text, size, name, out, error)
							 : 0;
}
