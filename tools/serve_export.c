/* SPDX-License-Identifier: BSD-2-Clause */
/* What a storage server serves, and under which names; see serve.h. On the control worker. */
#include <errno.h>
#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/describe.h"
#include "tools/serve.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/text.h"
#include "volume/volume_raid.h"

/* ---- Indexes ---- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct export *)a)->name, ((const struct export *)b)->name);
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(((const struct export *)a)->path, ((const struct export *)b)->path);
}

static int compare_serials(const void *a, const void *b)
{
	return strcmp(((const struct export *)a)->serial, ((const struct export *)b)->serial);
}

typedef int compare_fn(const void *a, const void *b);

static struct export *look_up(void *const *index, const struct export *key, compare_fn *compare)
{
	struct export *const *found = tfind(key, index, compare);

	return found ? *found : NULL;
}

/* Takes it out, unless another is there under its key. */
static void take_out(void **index, const struct export *export, compare_fn *compare)
{
	if (look_up(index, export, compare) == export)
		tdelete(export, index, compare);
}

static bool put_in(void **index, struct export *export, compare_fn *compare)
{
	return tsearch(export, index, compare) != NULL;
}

static struct export *find_name(struct serve *serve, const char *name)
{
	const struct export key = { .name = (char *)name };

	return look_up(&serve->index.by_name, &key, compare_names);
}

struct export *export_find(struct serve *serve, const char *name)
{
	struct export *found = find_name(serve, name);
	struct serve_home *home;
	struct stack_array *array;
	char id[SERIAL_TEXT];

	if (found || !stack_names_array(name) || serve_find_array(serve, name, &home, &array, NULL))
		return found;
	serial_of_array(array->md.set_uuid, id);
	list_for_each(at, &serve->exports) {
		struct export *export = list_entry(at, struct export, node);

		if (!strcmp(export->id, id))
			return export;
	}
	return NULL;
}

/* ---- Names ---- */

/* DIR/VG-LV.sock or DIR/md-NAME.sock: the slash of the name becomes a hyphen, and nothing else of it a slash. */
static char *path_of(const struct serve *serve, const char *name)
{
	const char *slash = strchr(name, '/');
	CLEANUP_FREE char *first = slash ? strndup(name, (size_t)(slash - name)) : NULL;
	CLEANUP_FREE char *head = first ? text_name(first) : NULL;
	CLEANUP_FREE char *tail = slash && strcmp(first, "md") ? text_name(slash + 1)
				  : slash                      ? strdup(slash + 1)
							       : NULL;
	char *path;

	return !head || !tail ||
			       asprintf(&path, "%s/%s-%s.sock", serve->sockets.directory, head,
					tail) < 0
		       ? NULL
		       : path;
}

struct export *export_find_rival(struct serve *serve, const char *name)
{
	CLEANUP_FREE char *path = path_of(serve, name);
	const struct export key = { .path = path };

	return path ? look_up(&serve->index.by_path, &key, compare_paths) : NULL;
}

/* The serial number that a person chose for it, or its own. */
static void choose_serial(const struct serve *serve, struct export *export)
{
	size_t length = strlen(export->name);
	const char *chosen = export->id;

	for (unsigned i = 0; i < serve->serials.count; i++) {
		const char *word = serve->serials.words[i];

		if (!strncmp(word, export->name, length) && word[length] == '=')
			chosen = word + length + 1;
	}
	snprintf(export->serial, sizeof(export->serial), "%s", chosen);
}

/* ---- What is not served ---- */

void export_tell_refused(struct serve *serve, const struct export *export)
{
	if (export->problem)
		log_warning(&serve->log, "%s: not served: %s", export->name, export->problem);
}

static void export_refuse(struct serve *serve, struct export *export, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void export_refuse(struct serve *serve, struct export *export, const char *format, ...)
{
	char raw[1024], text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	text_clean(text, sizeof(text), raw);
	if (export->path)
		take_out(&serve->index.by_path, export, compare_paths);
	take_out(&serve->index.by_serial, export, compare_serials);
	serve->refused = true;
	free(export->problem);
	export->problem = strdup(text);
	if (serve->tells_refused)
		export_tell_refused(serve, export);
}

void export_refuse_for(struct serve *serve, struct export *export, const struct error *why, int rc)
{
	const char *text = why->text[0] ? why->text : error_name(rc);
	size_t length = strlen(export->name);

	/* The name stands before it already. */
	if (!strncmp(text, export->name, length) && !strncmp(text + length, ": ", 2))
		text += length + 2;
	export_refuse(serve, export, "%s%s%s", text, why->advice[0] ? "; " : "", why->advice);
}

/* ---- Planning ---- */

static void export_free(struct export *export)
{
	free(export->name);
	free(export->path);
	free(export->beside_path);
	free(export->problem);
	free(export);
}

void export_forget(struct serve *serve, struct export *export)
{
	if (export->path)
		take_out(&serve->index.by_path, export, compare_paths);
	take_out(&serve->index.by_serial, export, compare_serials);
	take_out(&serve->index.by_name, export, compare_names);
	list_remove(&export->node);
	export_free(export);
}

/* Puts it into an index in which another may have its place. True where it is in. */
static bool contend(struct serve *serve, void **index, struct export *export, compare_fn *compare,
		    const char *what, const char *key)
{
	struct export *other = look_up(index, export, compare);

	if (other && !other->server && export->created && export->created < other->created) {
		export_refuse(serve, other, "%s %s is that of %s, which is older", what, key,
			      export->name);
		other = NULL;
	}
	if (other) {
		export_refuse(serve, export, "%s %s is that of %s", what, key, other->name);
		return false;
	}
	if (put_in(index, export, compare))
		return true;
	export_refuse(serve, export, "out of memory");
	return false;
}

/* `name` is stolen. */
static int plan(struct serve *serve, struct serve_home *home, char *name, const char *id,
		int64_t created, struct export **out)
{
	struct export *export = name ? calloc(1, sizeof(*export)) : NULL;

	*out = export;
	if (!export) {
		free(name);
		return -ENOMEM;
	}
	export->name = name;
	export->home = home;
	export->created = created;
	snprintf(export->id, sizeof(export->id), "%s", id);
	choose_serial(serve, export);
	export->path = path_of(serve, name);
	if (!export->path || !put_in(&serve->index.by_name, export, compare_names)) {
		export_free(export);
		return -ENOMEM;
	}
	list_add_tail(&serve->exports, &export->node);
	if (contend(serve, &serve->index.by_path, export, compare_paths, "its socket",
		    export->path))
		contend(serve, &serve->index.by_serial, export, compare_serials,
			"its serial number", export->serial);
	return 0;
}

/* Whether there is an export of that name that stays as it is; one that was not served is tried again. */
static bool stays(struct serve *serve, const char *name, struct export **out)
{
	struct export *export = find_name(serve, name);

	if (!export)
		return false;
	*out = export;
	if (export->server || !export->problem)
		return true;
	export_forget(serve, export);
	return false;
}

/* VG/LV, or UUID/LV where another group of that name has such a volume. */
static char *name_of_volume(struct serve *serve, const struct volume_group *group,
			    const struct volume_lv *lv, const char *id)
{
	char *name = NULL;
	struct export *other;

	if (asprintf(&name, "%s/%s", group->name, lv->name) < 0)
		return NULL;
	other = find_name(serve, name);
	if (!other || !other->id[0] || !strcmp(other->id, id) || other->group == group)
		return name;
	free(name);
	return asprintf(&name, "%s/%s", group->uuid, lv->name) < 0 ? NULL : name;
}

int export_plan_volume(struct serve *serve, struct serve_home *home, struct volume_group *group,
		       struct volume_lv *lv, struct export **out)
{
	char id[SERIAL_TEXT];
	char *name;
	int rc;

	serial_of_volume(group, lv, id);
	name = name_of_volume(serve, group, lv, id);
	if (name && stays(serve, name, out)) {
		free(name);
		return 0;
	}
	rc = plan(serve, home, name, id, lv->creation_time, out);
	if (rc)
		return rc;
	(*out)->group = group;
	(*out)->lv = lv;
	snprintf((*out)->uuids, sizeof((*out)->uuids), "%s/%s", group->uuid, lv->uuid);
	if ((*out)->problem)
		return 0;
	if (lv->partial && !volume_lv_degraded(lv))
		export_refuse(serve, *out, "a physical volume %s",
			      volume_lv_cut(lv) ? "became shorter, and has not all of it"
						: "is missing");
	else if (!lv->supported)
		export_refuse(serve, *out, "its type, %s, is not supported", volume_lv_type(lv));
	return 0;
}

int export_plan_array(struct serve *serve, struct serve_home *home, const char *target,
		      const struct stack_array *array, struct export **out)
{
	CLEANUP_FREE char *word = text_name(array->md.name);
	char id[SERIAL_TEXT], *name = NULL;
	uint8_t uuid[16];
	int rc;

	/* Named by its UUID, perhaps because its name is not its own. */
	if (!word ||
	    asprintf(&name, "md/%s", raid_uuid_parse(target + 3, uuid) ? word : target + 3) < 0)
		return -ENOMEM;
	serial_of_array(array->md.set_uuid, id);
	if (stays(serve, name, out)) {
		free(name);
		return 0;
	}
	rc = plan(serve, home, name, id, 0, out);
	if (!rc && !(*out)->problem && !array->raid)
		export_refuse(serve, *out, "%s",
			      array->problem ? array->problem : "cannot be assembled");
	return rc;
}

int export_plan_missing(struct serve *serve, const char *name, const struct error *why)
{
	struct export *export = find_name(serve, name);

	if (export)
		return 0;
	export = calloc(1, sizeof(*export));
	if (!export || !(export->name = strdup(name)) ||
	    !put_in(&serve->index.by_name, export, compare_names)) {
		if (export)
			export_free(export);
		return -ENOMEM;
	}
	list_add_tail(&serve->exports, &export->node);
	export_refuse_for(serve, export, why, why->code);
	return 0;
}

/* Volumes by where they are in memory; the size is a power of two, and more than twice what is in it. */
struct volume_set {
	const struct volume_lv **slots;
	size_t size;
};

static const struct volume_lv **slot_of(const struct volume_set *set, const struct volume_lv *lv)
{
	size_t at = (uint64_t)(uintptr_t)lv * 0x9e3779b97f4a7c15u >> 32;

	while (set->slots[at & (set->size - 1)] && set->slots[at & (set->size - 1)] != lv)
		at++;
	return &set->slots[at & (set->size - 1)];
}

/* The volumes of a group that are served, or about to be: after a change these are all but one of thousands. */
static int find_served(const struct serve *serve, const struct volume_group *group,
		       struct volume_set *set)
{
	size_t left = group->lv_count;

	for (set->size = 16; set->size <= 2 * left; set->size *= 2)
		;
	set->slots = calloc(set->size, sizeof(*set->slots));
	if (!set->slots)
		return -ENOMEM;
	list_for_each(at, &serve->exports) {
		const struct export *export = list_entry(at, struct export, node);

		if (!left || export->group != group || !export->lv ||
		    (!export->server && export->problem))
			continue;
		*slot_of(set, export->lv) = export->lv;
		left--;
	}
	return 0;
}

int export_plan_group(struct serve *serve, struct serve_home *home, struct volume_group *group)
{
	struct volume_set served;
	struct export *export;
	int rc = find_served(serve, group, &served);

	for (unsigned i = 0; !rc && i < group->lv_count; i++)
		if (group->lvs[i]->visible && !*slot_of(&served, group->lvs[i]))
			rc = export_plan_volume(serve, home, group, group->lvs[i], &export);
	free(served.slots);
	list_for_each_safe(at, &serve->exports) {
		export = list_entry(at, struct export, node);
		if (export->problem && export->group == group &&
		    !volume_group_get_lv(group, strchr(export->name, '/') + 1))
			export_forget(serve, export);
	}
	return rc;
}

unsigned export_count_planned(const struct serve *serve)
{
	unsigned count = 0;

	list_for_each(at, &serve->exports) {
		const struct export *export = list_entry(at, struct export, node);

		count += !export->server && !export->problem;
	}
	return count;
}
