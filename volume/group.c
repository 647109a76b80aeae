/* SPDX-License-Identifier: BSD-2-Clause */
/* Volume groups in memory: references, look-ups, and the pool that all of it lives in. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "block/block.h"
#include "util/error.h"
#include "volume/lvm_vg.h"

struct volume_group *volume_group_ref(struct volume_group *group)
{
	group->private->references++;
	return group;
}

void volume_group_unref(struct volume_group *group)
{
	if (!group || --group->private->references)
		return;
	for (unsigned i = 0; i < group->pv_count; i++)
		block_unref(group->pvs[i]->block);
	lvm_index_forget(group);
	lvm_config_free(&group->private->memory);
	free(group->private);
	free(group);
}

struct volume_lv *volume_group_get_lv(const struct volume_group *group, const char *name)
{
	const struct lvm_index *index = &group->private->index;

	if (lvm_index_build((struct volume_group *)group))
		return lvm_index_find(&index->names, name);
	for (unsigned i = 0; i < group->lv_count; i++)
		if (!strcmp(group->lvs[i]->name, name))
			return group->lvs[i];
	return NULL;
}

struct volume_pv *volume_group_get_pv(const struct volume_group *group, const char *uuid)
{
	for (unsigned i = 0; i < group->pv_count; i++)
		if (!strcmp(group->pvs[i]->uuid, uuid))
			return group->pvs[i];
	return NULL;
}

int lvm_vg_compute(const struct volume_group *group, fiber_fn *fn, void *arg)
{
	struct worker *compute = group->private->compute;

	return compute && compute != worker_current() ? worker_call(compute, fn, arg) : fn(arg);
}

void lvm_vg_problem(struct volume_group *group, const char *format, ...)
{
	unsigned count = group->problem_count;
	va_list arguments;
	char text[1024], *kept;
	char **grown;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	grown = lvm_config_alloc(&group->private->memory, (count + 1) * sizeof(*grown));
	kept = lvm_vg_string(group, text);
	if (!grown || !kept)
		return;
	if (count)
		memcpy(grown, group->problems, count * sizeof(*grown));
	grown[count] = kept;
	group->problems = grown;
	group->problem_count++;
}

void lvm_vg_lock(struct volume_group *group, const char *format, ...)
{
	va_list arguments;
	char text[512];

	if (group->locked_reason)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	group->locked_reason = lvm_vg_string(group, text);
	/* Without memory for the reason it must stay locked all the same. */
	if (!group->locked_reason)
		group->locked_reason = (char *)"out of memory";
}

int lvm_vg_check_changeable(const struct volume_group *group, struct error *error)
{
	if (group->locked_reason)
		return error_set(error, -EROFS, "volume group %s cannot be changed: %s",
				 group->name, group->locked_reason);
	for (unsigned i = 0; i < group->pv_count; i++)
		if (group->pvs[i]->block->read_only)
			return error_set(
				error, -EROFS,
				"volume group %s cannot be changed: %s is open for reading "
				"only",
				group->name, group->pvs[i]->block->name);
	return 0;
}

/* What the host says of itself, as lvm2 puts it into a comment. */
static char *system_string(struct volume_group *group, const struct utsname *uts)
{
	struct lvm_text text = { 0 };
	char *kept = NULL;

	lvm_text_print(&text, "%s %s %s %s %s", uts->sysname, uts->nodename, uts->release,
		       uts->version, uts->machine);
	if (!text.failed)
		kept = lvm_vg_string(group, text.at);
	free(text.at);
	return kept;
}

int lvm_vg_set_context(struct volume_group *group, const struct volume_context *context)
{
	static const struct volume_context defaults;
	struct volume_group_private *private = group->private;
	struct utsname uts;

	if (!context)
		context = &defaults;
	if (uname(&uts))
		return -errno;
	private->time = context->time;
	private->random = context->random;
	private->compute = context->compute;
	if (context->archive) {
		private->archive = *context->archive;
		private->archive.directory = lvm_vg_string(group, context->archive->directory);
		if (!private->archive.directory)
			return -ENOMEM;
	}
	private->host = lvm_vg_string(group, context->host ? context->host : uts.nodename);
	private->system = context->system ? lvm_vg_string(group, context->system)
					  : system_string(group, &uts);
	private->command = lvm_vg_string(group, context->command ? context->command : "tenon");
	return private->host && private->system && private->command ? 0 : -ENOMEM;
}

/* ---- What `lvs` says ---- */

const char *volume_lv_type(const struct volume_lv *lv)
{
	const struct volume_segment *first = lv->segments;

	if (!lv->segment_count)
		return "none";
	if (lv->private->shown_type)
		return lv->private->shown_type;
	if (!lvm_segment_type_known(first->type))
		return first->type;
	for (unsigned i = 0; i < lv->segment_count; i++)
		if (lv->segments[i].area_count > 1)
			return "striped";
	return "linear";
}

/* The first character of `lvs -o attr`, from the type. */
static char type_attribute(const struct volume_lv *lv)
{
	static const struct {
		const char *type;
		char attribute;
	} types[] = {
		{ "raid", 'r' },  { "mirror", 'm' },   { "thin-pool", 't' }, { "thin", 'V' },
		{ "cache", 'C' }, { "snapshot", 's' }, { "vdo-pool", 'd' },  { "vdo", 'v' },
	};
	const char *type = volume_lv_type(lv);

	if (!lv->visible && strstr(lv->name, "_rimage"))
		return 'i';
	if (!lv->visible && (strstr(lv->name, "_rmeta") || strstr(lv->name, "_tmeta") ||
			     strstr(lv->name, "_cmeta") || strstr(lv->name, "_pmspare")))
		return 'e';
	if (!lv->visible && strstr(lv->name, "_tdata"))
		return 'T';
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strncmp(type, types[i].type, strlen(types[i].type)))
			return types[i].attribute;
	if (lv->private->origin)
		return 'o';
	return '-';
}

/* The second to last ones stand for device-mapper's state, which does not exist here. */
void volume_lv_attributes(const struct volume_lv *lv, char out[VOLUME_ATTRIBUTES])
{
	memcpy(out, "----------", VOLUME_ATTRIBUTES);
	out[0] = type_attribute(lv);
	out[1] = lv->writable ? 'w' : 'r';
	out[2] = 'i'; /* allocation is inherited from the group */
	if (lvm_strings_contain(&lv->private->status, "FIXED_MINOR"))
		out[3] = 'm';
	if (lv->open_count) {
		out[4] = 'a';
		out[5] = 'o';
	}
	if (lv->partial)
		out[8] = 'p';
	if (lv->activation_skip)
		out[9] = 'k';
}
