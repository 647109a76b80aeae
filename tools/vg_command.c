/* SPDX-License-Identifier: BSD-2-Clause */
/* See vg_command.h. */
#include "tools/vg_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "rpc/rpc.h"
#include "tools/describe.h"
#include "tools/device_look.h"
#include "tools/device_new.h"
#include "tools/lv_change.h"
#include "tools/lv_size.h"
#include "tools/owner.h"
#include "tools/pv_find.h"
#include "tools/raid.h"
#include "tools/rehearse.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "volume/volume.h"

/* ---- Before it ---- */

static int find_group_of(struct vg_command *command, struct error *error)
{
	char uuid[VOLUME_UUID_TEXT];
	int rc = pv_find(&command->given, command->device, &command->name, uuid, error);

	if (!rc)
		json_object_set_new(command->params, "pvs", json_pack("[s]", uuid));
	return rc;
}

static int check_outside(const struct stack *look, const char *word, struct error *error)
{
	CLEANUP_FREE char *path = device_resolve(word);

	for (unsigned i = 0; i < look->scan->device_count; i++) {
		const struct volume_scanned *scanned = &look->scan->devices[i];

		if (!scanned->group || (strcmp(scanned->block->name, word) &&
					strcmp(scanned->block->name, path ? path : word)))
			continue;
		error_set(error, -EBUSY, "%s: is a physical volume of volume group %s", word,
			  scanned->group->name);
		return error_advise(error, "take it out there first: tenon vg reduce");
	}
	return 0;
}

/* That none of them is in a group, by a look: of what a server has, too. */
static int check_all_outside(const struct vg_command *command, struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	int rc = stack_look(&look, &command->given, error);

	for (unsigned i = 0; !rc && i < command->devices.count; i++)
		rc = check_outside(look, command->devices.words[i], error);
	return rc;
}

static int plan_join(struct vg_command *command, struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	char becomes[VOLUME_NAME_LENGTH + 64];
	int rc;

	if (!consent_asks(&command->consent))
		return 0;
	snprintf(becomes, sizeof(becomes), "would become a physical volume of %s", command->name);
	rc = stack_look(&look, &command->given, error);
	for (unsigned i = 0; !rc && i < command->devices.count; i++)
		rc = consent_plan_device(&command->consent, look, command->devices.words[i],
					 becomes, error);
	if (!rc)
		rc = consent_ask(&command->consent, error);
	command->overwrite |= !rc && command->consent.loss;
	return rc;
}

/* A group that another host has may be in use there. */
static int plan_host(struct vg_command *command, struct error *error)
{
	const char *id = json_string_value(json_object_get(command->params, "system_id"));
	CLEANUP_STACK struct stack *look = NULL;
	struct volume_group *group = NULL;
	int rc;

	if (command->consent.yes)
		return 0;
	rc = stack_look(&look, &command->given, error);
	if (!rc)
		rc = stack_find_group(look, command->name, &group, error);
	if (rc)
		return rc;
	/* It may be yet another host's when it is claimed. */
	json_object_set_new(command->params, "was",
			    describe_text(group->system_id ? group->system_id : ""));
	if (!group->system_id)
		return 0;
	consent_plan(&command->consent, "%s: would belong to %s%s", group->name,
		     *id ? "the host with system ID " : "no host alone", id);
	consent_loss(
		&command->consent,
		"the host with system ID %s may be using it, and what both write would be lost",
		group->system_id);
	return consent_ask(&command->consent, error);
}

static int check_new_name(const struct vg_command *command, struct error *error)
{
	const char *name = json_string_value(json_object_get(command->params, "new_name"));
	CLEANUP_STACK struct stack *look = NULL;
	struct volume_group *group;
	int rc = stack_look(&look, &command->given, error);

	if (rc || volume_scan_find(look->scan, name, &group, NULL) == -ENOENT)
		return rc;
	error_set(error, -EEXIST, "%s: there is a volume group of this name", name);
	return error_advise(error, "choose another name");
}

/* 0: go on; 1: no. */
static int prepare(struct vg_command *command, struct error *error)
{
	int rc = command->device ? find_group_of(command, error) : 0;

	command->overwrite = command->consent.force || command->consent.yes;
	if (!rc && command->devices.count)
		rc = devices_check_distinct(command->devices.words, command->devices.count, error);
	if (!rc && command->devices.count)
		rc = check_all_outside(command, error);
	if (!rc && command->devices.count)
		rc = plan_join(command, error);
	if (!rc && !strcmp(command->method, "vg.change_systemid") && !command->consent.dry_run)
		rc = plan_host(command, error);
	if (!rc)
		json_object_set_new(command->params, "name", describe_text(command->name));
	/* Of devices that come; what is missing takes volumes with it by its own --force alone. */
	if (!rc && command->overwrite && command->devices.count)
		json_object_set_new(command->params, "force", json_true());
	return rc;
}

/* ---- Doing it ---- */

static int carry_out(struct vg_command *command, struct volume_group *group, struct stack **below,
		     struct error *error)
{
	CLEANUP_FREE struct block **blocks =
		calloc(command->devices.count + 1, sizeof(struct block *));
	struct vg_change change = { .method = command->method,
				    .params = command->params,
				    .blocks = blocks,
				    .block_count = command->devices.count,
				    .news = json_array() };
	json_t *notes = NULL;
	int rc = blocks ? device_claim_below(below, &command->given, &command->devices, error)
			: -ENOMEM;

	if (!rc)
		rc = devices_open_new(*below, command->devices.words, command->devices.count, true,
				      blocks, error);
	if (!rc)
		rc = vg_change(group, &change, error);
	if (!rc)
		notes = lv_change_notes(group);
	lv_change_tell(notes, change.news);
	json_decref(notes);
	json_decref(change.news);
	for (unsigned i = 0; blocks && i < command->devices.count; i++)
		block_unref(blocks[i]);
	return rc;
}

static int change_here(struct vg_command *command, struct error *error)
{
	CLEANUP_FREE char *text = NULL;
	struct stack_options options = { .write = true };
	struct cli_words targets = { &command->name, 1 };
	struct stack *stack = NULL, *below = NULL;
	struct volume_group *group;
	int rc;

	if (asprintf(&text, "tenon %.2s %s", command->method, command->method + 3) < 0)
		return -ENOMEM;
	text[strcspn(text, "_")] = '\0';
	options.command = text;
	rc = stack_claim(&stack, &command->given, &targets, &options, error);
	if (!rc)
		rc = stack_find_group(stack, command->name, &group, error);
	if (!rc && !strcmp(command->method, "vg.rename"))
		rc = check_new_name(command, error);
	if (!rc)
		rc = carry_out(command, group, &below, error);
	rc = stack_finish(stack, rc, error);
	return stack_finish(below, rc, error);
}

static int check_while_served(const struct vg_command *command, struct error *error)
{
	if (vg_change_while_served(command->method))
		return 0;
	error_set(error, -EBUSY, "%s: a running server has it", command->name);
	return error_advise(error, "stop the server for this: tenon status names it");
}

static int ask_server(struct vg_command *command, const char *socket, struct error *error)
{
	json_t *answer = NULL;
	int rc = check_while_served(command, error);

	if (rc)
		return rc;
	if (command->devices.count)
		lv_place_add(&command->devices, 0, command->params);
	rc = rpc_call(socket, command->method, json_incref(command->params), &answer, error);
	if (!rc)
		lv_change_tell(json_object_get(answer, "notes"), json_object_get(answer, "news"));
	json_decref(answer);
	return rc;
}

/* Lines for what has no news. */
static void say_rehearsed(const struct vg_command *command, const struct volume_group *group,
			  const char *before)
{
	const char *uuid =
		json_string_value(json_array_get(json_object_get(command->params, "pvs"), 0));

	if (!strcmp(command->method, "vg.rename"))
		cli_say("%s: would be renamed to %s", before, group->name);
	else if (!strcmp(command->method, "vg.export"))
		cli_say("%s: would be exported: no host would use it before it is imported",
			before);
	else if (!strcmp(command->method, "vg.import"))
		cli_say("%s: would be imported: this host could use it", before);
	else if (!strcmp(command->method, "vg.change_uuid"))
		cli_say("%s: would have another UUID", before);
	else if (!strcmp(command->method, "vg.change_systemid") && group->system_id)
		cli_say("%s: would belong to the host with system ID %s: no other would use it",
			before, group->system_id);
	else if (!strcmp(command->method, "vg.change_systemid"))
		cli_say("%s: would belong to no host alone", before);
	else if (!command->device)
		rehearse_say_settings(before, command->params, group->tags, group->tag_count);
	for (unsigned i = 0; command->device && uuid && i < group->pv_count; i++)
		if (!strcmp(group->pvs[i]->uuid, uuid))
			rehearse_say_settings(command->device, command->params, group->pvs[i]->tags,
					      group->pvs[i]->tag_count);
}

static int rehearse(struct vg_command *command, bool served, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	struct vg_change change = { .method = command->method,
				    .params = command->params,
				    .rehearsal = true };
	struct volume_group *group;
	json_t *line;
	size_t index;
	int rc = served ? check_while_served(command, error) : 0;

	if (!rc)
		rc = rehearse_claim(&stack, &command->given, command->name, error);
	if (!rc)
		rc = stack_find_group(stack, command->name, &group, error);
	if (!rc && !strcmp(command->method, "vg.rename"))
		rc = check_new_name(command, error);
	if (rc)
		return rc;
	change.news = json_array();
	rc = vg_change(group, &change, error);
	json_array_foreach(change.news, index, line) {
		if (!rc && json_is_string(line))
			cli_say("%s", json_string_value(line));
	}
	if (!rc)
		say_rehearsed(command, group, command->name);
	json_decref(change.news);
	return rc;
}

static int command_run(void *arg, struct error *error)
{
	struct vg_command *command = arg;
	int rc = prepare(command, error);

	if (rc)
		return MIN(rc, 0);
	for (;;) {
		CLEANUP_FREE char *socket = NULL;

		rc = owner_find(&command->given, command->name, &socket, error);
		if (rc)
			return rc;
		if (command->consent.dry_run)
			return rehearse(command, socket, error);
		if (!socket)
			return change_here(command, error);
		rc = ask_server(command, socket, error);
		if (!rc || !owner_has_ended(rc, socket))
			return rc;
	}
}

int vg_command_do(struct vg_command *command)
{
	int status;

	if (!command->params)
		command->params = json_object();
	status = cli_on_fiber(command_run, command);
	json_decref(command->params);
	return status;
}
