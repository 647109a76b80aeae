/* SPDX-License-Identifier: BSD-2-Clause */
/* Volume groups in memory: references, look-ups, and the pool that all of it lives in. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/large.h"
#include "volume/mirror.h"
#include "volume/move.h"
#include "volume/segment.h"

struct lv_shell {
	struct volume_lv lv;
	struct volume_lv_private private;
	struct lvm_lv_row *row; /* that it stands in, or NULL */
};

/* There as long as one of its shells, or whoever fills it. */
struct lvm_lv_row {
	size_t users, used, room;
	struct lv_shell shells[];
};

#define ROW_SIZE     16384u
#define ROW_SIZE_MAX (2u << 20)

static struct volume_lv *start_shell(struct lv_shell *shell, struct lvm_lv_row *row)
{
	memset(shell, 0, sizeof(*shell));
	shell->lv.private = &shell->private;
	shell->row = row;
	return &shell->lv;
}

struct volume_lv *lvm_lv_new(void)
{
	struct lv_shell *shell = malloc(sizeof(*shell));

	return shell ? start_shell(shell, NULL) : NULL;
}

void lvm_lv_row_end(struct lvm_lv_row *row)
{
	if (row && !--row->users)
		free(row);
}

void lvm_lv_free(struct volume_lv *lv)
{
	struct lv_shell *shell = lv ? container_of(lv, struct lv_shell, lv) : NULL;

	if (shell && shell->row)
		lvm_lv_row_end(shell->row);
	else
		free(shell);
}

/* The next one is larger, up to what is worth it. */
static struct lvm_lv_row *new_row(const struct lvm_lv_row *last)
{
	size_t taken = last ? sizeof(*last) + last->room * sizeof(last->shells[0]) : 0;
	size_t size = last ? MIN(16 * round_up(taken, ROW_SIZE), (size_t)ROW_SIZE_MAX) : ROW_SIZE;
	struct lvm_lv_row *row = large_alloc(size);

	if (row)
		*row = (struct lvm_lv_row){
			.users = 1, .room = (size - sizeof(*row)) / sizeof(row->shells[0])
		};
	return row;
}

struct volume_lv *lvm_lv_new_in(struct lvm_lv_row **at)
{
	struct lvm_lv_row *row = *at;

	if (!row || row->used == row->room) {
		row = new_row(*at);
		if (!row)
			return NULL;
		lvm_lv_row_end(*at);
		*at = row;
	}
	row->users++;
	return start_shell(&row->shells[row->used++], row);
}

struct pv_shell {
	struct volume_pv pv;
	struct volume_pv_private private;
};

struct volume_pv *lvm_pv_new(void)
{
	struct pv_shell *shell = calloc(1, sizeof(*shell));

	if (!shell)
		return NULL;
	shell->pv.private = &shell->private;
	return &shell->pv;
}

struct volume_group *volume_group_ref(struct volume_group *group)
{
	group->private->references++;
	return group;
}

void volume_group_unref(struct volume_group *group)
{
	if (!group || --group->private->references)
		return;
	for (unsigned i = 0; i < group->lv_count; i++) {
		lvm_moving_free(group->lvs[i]->private->moving);
		lvm_lv_free(group->lvs[i]);
	}
	for (unsigned i = 0; i < group->pv_count; i++) {
		block_unref(group->pvs[i]->block);
		free(group->pvs[i]);
	}
	for (unsigned i = 0; i < group->private->left_count; i++)
		free(group->private->left[i]);
	free(group->private->left);
	for (unsigned i = 0; i < group->problem_count; i++)
		free(group->problems[i]);
	free(group->problems);
	lvm_vg_locks_free(group);
	lvm_index_forget(group);
	free(group->private->mover);
	free(group->private->text);
	free(group->private->spare);
	free(group->private->archived.at);
	lvm_config_free(&group->private->memory);
	lvm_config_free(&group->private->kept);
	free(group->private);
	free(group);
}

struct volume_lv *volume_group_get_lv(const struct volume_group *group, const char *name)
{
	const struct lvm_index *index = &group->private->index;

	if (lvm_index_build_names((struct volume_group *)group))
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

/* ---- Who changes it ---- */

void volume_command_begin(struct volume_command *command, struct volume_group *group,
			  const char *text)
{
	*command =
		(struct volume_command){ group, fiber_current(), text, group->private->commands };
	group->private->commands = command;
}

void volume_command_end(struct volume_command *command)
{
	struct volume_command **at;

	if (!command->group)
		return;
	at = &command->group->private->commands;
	while (*at != command)
		at = &(*at)->next;
	*at = command->next;
}

const char *lvm_vg_asked_by(const struct volume_group *group)
{
	const struct volume_command *command = group->private->commands;

	while (command && command->fiber != fiber_current())
		command = command->next;
	return command ? command->text : NULL;
}

void lvm_vg_command_note(struct volume_group *group)
{
	struct volume_group_private *private = group->private;
	const char *by = lvm_vg_asked_by(group);

	snprintf(private->by, sizeof(private->by), "%s", by ? by : "");
}

const char *lvm_vg_command(const struct volume_group *group)
{
	return group->private->by[0] ? group->private->by : group->private->command;
}

/* What the host says of itself, as lvm2 puts it into a comment. */
static char *system_string(struct volume_group *group, const struct utsname *uts)
{
	struct lvm_text text = { 0 };
	char *kept = NULL;

	lvm_text_print(&text, "%s %s %s %s %s", uts->sysname, uts->nodename, uts->release,
		       uts->version, uts->machine);
	if (!text.failed)
		kept = lvm_vg_keep_string(group, text.at);
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
	private->log = context->log;
	private->no_resync = context->no_resync;
	private->quick = context->quick;
	if (context->archive) {
		private->archive = *context->archive;
		private->archive.directory = lvm_vg_keep_string(group, context->archive->directory);
		if (!private->archive.directory)
			return -ENOMEM;
	}
	private->lvm_conf = context->lvm_conf ? lvm_vg_keep_string(group, context->lvm_conf) : NULL;
	if (context->lvm_conf && !private->lvm_conf)
		return -ENOMEM;
	private->host = lvm_vg_keep_string(group, context->host ? context->host : uts.nodename);
	private->system = context->system ? lvm_vg_keep_string(group, context->system)
					  : system_string(group, &uts);
	private->command = lvm_vg_keep_string(group, context->command ? context->command : "tenon");
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
	if (first->private->type != &lvm_segment_striped)
		return lvm_segment_type_shown(first->private->type, first->type);
	for (unsigned i = 0; i < lv->segment_count; i++)
		if (lv->segments[i].area_count > 1)
			return "striped";
	return "linear";
}
