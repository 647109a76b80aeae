/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon lv`: logical volumes; changed in a running server where one owns the group, or else here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/describe.h"
#include "tools/look.h"
#include "tools/lv_change.h"
#include "tools/owner.h"
#include "tools/served.h"
#include "tools/stack.h"
#include "util/bytes.h"

/* ---- list, show ---- */

struct lv_list {
	struct look look;
	bool all;
};

static void list_group(json_t *rows, const struct volume_group *group, bool all)
{
	for (unsigned i = 0; i < group->lv_count; i++)
		if (all || group->lvs[i]->visible)
			json_array_append_new(rows, describe_lv_row(group, group->lvs[i]));
}

static int list_run(struct look *look, struct error *error)
{
	const struct lv_list *list = container_of(look, struct lv_list, look);
	CLEANUP_STACK struct stack *stack = NULL;
	struct volume_group *only = NULL;
	int rc = stack_look(&stack, &look->given, error);

	if (!rc && look->name)
		rc = stack_find_group(stack, look->name, &only, error);
	if (rc)
		return rc;
	look->result = json_array();
	for (unsigned i = 0; i < stack->scan->group_count; i++)
		if (!only || only == stack->scan->groups[i])
			list_group(look->result, stack->scan->groups[i], list->all);
	rc = served_add(look->result);
	return rc ? rc : stack_report(stack, only || stack->scan->group_count, error);
}

static int lv_list_verb(int argc, char **argv)
{
	static const struct cli_column columns[] = {
		{ "LV", "name", CLI_AS_TEXT },
		{ "VG", "vg", CLI_AS_TEXT },
		{ "STATE", "state", CLI_AS_STATE, 1 },
		{ "SIZE", "size_bytes", CLI_AS_SIZE },
		{ "TYPE", "type", CLI_AS_TEXT, 4 },
		{ "ATTR", "attributes", CLI_AS_TEXT, 3 },
		{ "SEGMENTS", "segment_count", CLI_AS_TEXT, 5 },
		{ "TAGS", "tags", CLI_AS_TEXT, 6 },
		{ "UUID", "uuid", CLI_AS_TEXT, CLI_LONG },
		{ "SERVED", "served", CLI_AS_PATH, 2 },
		{ "NOT SERVED", "not_served", CLI_AS_NOTE, 1 },
		{ NULL },
	};
	struct lv_list list = { .look = { .usage = "lv list [VG] [--json]",
					  .most = 1,
					  .columns = columns,
					  .run = list_run } };
	const struct cli_option all = { "all", CLI_FLAG, &list.all, NULL, "internal volumes too" };

	list.look.option = &all;
	return look_verb(&list.look, argc, argv);
}

static int show_run(struct look *look, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	struct volume_group *group;
	struct volume_lv *lv;
	int rc = stack_look(&stack, &look->given, error);

	if (!rc)
		rc = stack_find_volume(stack, look->name, &group, &lv, error);
	if (!rc) {
		look->result = describe_lv(group, lv);
		rc = served_add(look->result);
	}
	return rc;
}

static int lv_show_verb(int argc, char **argv)
{
	struct look look = {
		.usage = "lv show VG/LV [--json]", .least = 1, .most = 1, .run = show_run
	};

	return look_verb(&look, argc, argv);
}

/* ---- create, remove, rename, resize ---- */

struct lv_change {
	struct cli_words given;
	char *name; /* VG/LV */
	const char *method;
	json_t *params;  /* owned; NULL: none but the name */
	bool not_served; /* it was made, and the server cannot serve it */
};

/* "tenon lv create VG/LV", for the description that lvm2 shows of who changed the group last. */
static char *change_command(const struct lv_change *change)
{
	char *text;

	return asprintf(&text, "tenon lv %s %s", change->method + strlen("lv."), change->name) < 0
		       ? NULL
		       : text;
}

static int change_here(struct lv_change *change, struct error *error)
{
	CLEANUP_FREE char *command = change_command(change);
	CLEANUP_FREE char *vg = strndup(change->name, strcspn(change->name, "/"));
	const struct stack_options options = { .write = true, .command = command };
	struct cli_words targets = { &vg, 1 };
	struct stack *stack = NULL;
	struct volume_group *group;
	json_t *notes = NULL;
	int rc = vg && command ? stack_claim(&stack, &change->given, &targets, &options, error)
			       : -ENOMEM;

	if (!rc)
		rc = stack_find_group(stack, vg, &group, error);
	if (!rc) {
		unsigned told = group->problem_count;

		rc = lv_change(group, change->method, change->params, error);
		notes = rc ? NULL : lv_change_notes(group, told);
	}
	lv_change_tell(notes);
	json_decref(notes);
	return stack_finish(stack, rc, error);
}

/* What the server that made the change has to say about it. */
static void change_tell(struct lv_change *change, json_t *answer)
{
	const char *problem = json_string_value(json_object_get(answer, "problem"));
	json_int_t clients = json_integer_value(json_object_get(answer, "clients"));
	bool created = !strcmp(change->method, "lv.create");

	lv_change_tell(json_object_get(answer, "notes"));
	if (problem && (created || !strcmp(change->method, "lv.rename"))) {
		cli_warn("%s: %s, not served, because: %s", change->name,
			 created ? "created" : "renamed", problem);
		change->not_served = true;
	}
	if (clients && !strcmp(change->method, "lv.resize"))
		cli_note("%s: the machine that has it is told of its new size", change->name);
}

static int change_run(void *arg, struct error *error)
{
	struct lv_change *change = arg;
	const char *slash = strchr(change->name, '/');
	json_t *answer = NULL;
	int rc;

	if (!slash || slash == change->name || !slash[1] || strchr(slash + 1, '/'))
		return error_set(error, -EINVAL, "%s: expected VG/LV", change->name);
	json_object_set_new(change->params, "name", describe_text(change->name));
	rc = owner_call(&change->given, change->name, change->method, json_incref(change->params),
			&answer, error);
	if (rc > 0)
		change_tell(change, answer);
	json_decref(answer);
	if (rc)
		return rc > 0 ? 0 : rc;
	return change_here(change, error);
}

static int change_do(struct lv_change *change, char *name)
{
	int status;

	change->name = name;
	if (!change->params)
		change->params = json_object();
	status = cli_on_fiber(change_run, change);
	json_decref(change->params);
	return status == EXIT_DONE && change->not_served ? EXIT_NOT_SERVED : status;
}

static int lv_create_verb(int argc, char **argv)
{
	struct lv_change change = { .method = "lv.create" };
	uint64_t size = 0, extents = 0, stripes = 0, stripe_size = 0;
	struct cli_words tags = { 0 }, operands;
	bool contiguous = false, read_only = false;
	const struct cli_option options[] = {
		{ "size", CLI_SIZE, &size, "SIZE", "rounded up to whole extents", 1, 0 },
		{ "extents", CLI_NUMBER, &extents, "N", "size in extents", 1, UINT32_MAX },
		{ "stripes", CLI_NUMBER, &stripes, "N", "stripe over N physical volumes", 1, 128 },
		{ "stripe-size", CLI_SIZE, &stripe_size, "SIZE", "default 64K", 4096, 1u << 31 },
		{ "contiguous", CLI_FLAG, &contiguous, NULL, "one segment only" },
		{ "read-only", CLI_FLAG, &read_only, NULL, "make it read-only" },
		{ "tag", CLI_LIST, &tags, "TAG", "a tag (repeatable)" },
		CLI_OPTION_DEVICE(&change.given),
		CLI_OPTION_END,
	};
	json_t *list;
	int status;

	if (!cli_parse("lv create VG/LV --size SIZE", options, argc, argv, 1, 1, &operands,
		       &status))
		return status;
	if (!size == !extents)
		return cli_usage_error("give either --size or --extents, not zero");
	list = json_array();
	for (unsigned i = 0; i < tags.count; i++)
		json_array_append_new(list, describe_text(tags.words[i]));
	change.params = json_pack("{s:I, s:I, s:I, s:I, s:b, s:b, s:o}", "size", (json_int_t)size,
				  "extents", (json_int_t)extents, "stripes", (json_int_t)stripes,
				  "stripe_size", (json_int_t)stripe_size, "contiguous", contiguous,
				  "read_only", read_only, "tags", list);
	return change_do(&change, operands.words[0]);
}

static int lv_remove_verb(int argc, char **argv)
{
	struct lv_change change = { .method = "lv.remove" };
	const struct cli_option options[] = { CLI_OPTION_DEVICE(&change.given), CLI_OPTION_END };
	struct cli_words operands;
	int status;

	if (!cli_parse("lv remove VG/LV", options, argc, argv, 1, 1, &operands, &status))
		return status;
	return change_do(&change, operands.words[0]);
}

static int lv_rename_verb(int argc, char **argv)
{
	struct lv_change change = { .method = "lv.rename" };
	const struct cli_option options[] = { CLI_OPTION_DEVICE(&change.given), CLI_OPTION_END };
	struct cli_words operands;
	int status;

	if (!cli_parse("lv rename VG/LV NEW", options, argc, argv, 2, 2, &operands, &status))
		return status;
	change.params = json_pack("{s:o}", "new_name", describe_text(operands.words[1]));
	return change_do(&change, operands.words[0]);
}

static int lv_resize_verb(int argc, char **argv)
{
	struct lv_change change = { .method = "lv.resize" };
	uint64_t size = 0;
	const struct cli_option options[] = {
		{ "size", CLI_SIZE, &size, "SIZE", "the new size, rounded up to whole extents", 1,
		  0 },
		CLI_OPTION_DEVICE(&change.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("lv resize VG/LV --size SIZE", options, argc, argv, 1, 1, &operands,
		       &status))
		return status;
	if (!size)
		return cli_usage_error("--size is needed, and not zero");
	change.params = json_pack("{s:I}", "size", (json_int_t)size);
	return change_do(&change, operands.words[0]);
}

int command_lv(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "create", lv_create_verb, "VG/LV --size SIZE", "make a volume" },
		{ "list", lv_list_verb, "[VG] [--json]", "list volumes" },
		{ "show", lv_show_verb, "VG/LV [--json]", "show a volume and its segments" },
		{ "remove", lv_remove_verb, "VG/LV", "remove a volume and what is on it" },
		{ "rename", lv_rename_verb, "VG/LV NEW", "give a volume another name" },
		{ "resize", lv_resize_verb, "VG/LV --size SIZE", "grow or shrink a volume" },
		{ NULL, NULL, NULL, NULL },
	};

	return cli_run_verb("lv", verbs, argc, argv);
}
