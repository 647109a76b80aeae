/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon raid list` and `show`: arrays as their server or their superblocks have them. */
#include <errno.h>

#include "block/block.h"
#include "tools/describe.h"
#include "tools/look.h"
#include "tools/output.h"
#include "tools/owner.h"
#include "tools/raid.h"
#include "tools/served.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "util/error.h"

/* For scripts, as `mdadm --detail --test` has it. */
#define EXIT_DEGRADED    3
#define EXIT_NOT_WORKING 4

static int health(json_t *array)
{
	return !json_integer_value(json_object_get(array, "working")) ? EXIT_NOT_WORKING
	       : json_is_true(json_object_get(array, "degraded"))     ? EXIT_DEGRADED
								      : 0;
}

/* The same for a look, which prints what it found, with --test. */
static int look_and_test(struct look *look, int argc, char **argv)
{
	bool test = false;
	const struct cli_option option = {
		"test", CLI_FLAG, &test, NULL,
		"exit 3 where an array is degraded, 4 where it does not work"
	};
	int status;

	look->option = &option;
	status = look_verb(look, argc, argv);
	look->option = NULL;
	return !status && test ? look->status : status;
}

static int list_run(struct look *look, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	int rc = stack_look(&stack, &look->given, error);

	if (rc)
		return rc;
	look->result = json_array();
	for (unsigned i = 0; i < stack->array_count; i++)
		json_array_append_new(look->result,
				      stack->arrays[i].raid
					      ? describe_array_row(stack->arrays[i].raid, true)
					      : describe_broken_array(&stack->arrays[i].md,
								      stack->arrays[i].problem));
	rc = served_arrays(look->result, stack, &look->given);
	for (size_t i = 0; i < json_array_size(look->result); i++)
		look->status = MAX(look->status, health(json_array_get(look->result, i)));
	rc = rc ? rc : served_add(look->result);
	return rc ? rc : stack_report(stack, stack->array_count > 0, error);
}

int raid_list_verb(int argc, char **argv)
{
	static const struct cli_column columns[] = {
		{ "NAME", "name", CLI_AS_TEXT },
		{ "STATE", "state", CLI_AS_STATE },
		{ "LEVEL", "level", CLI_AS_TEXT, 3 },
		{ "SIZE", "size_bytes", CLI_AS_SIZE, 2 },
		{ "DEVICES", "devices", CLI_AS_TEXT, 1 },
		{ "WORKING", "working", CLI_AS_TEXT, 1 },
		{ "SPARES", "spares", CLI_AS_TEXT, 1 },
		{ "DONE", "progress.done_percent", CLI_AS_PERCENT, 1 },
		{ "RATE", "progress.rate_bytes", CLI_AS_RATE, 5 },
		{ "UUID", "uuid", CLI_AS_TEXT, CLI_LONG },
		{ "SERVED", "served", CLI_AS_PATH, 6 },
		{ "PROBLEM", "problem", CLI_AS_NOTE, 1 },
		{ NULL },
	};
	struct look look = { .usage = "raid list [--json] [--test]",
			     .least = 0,
			     .most = 0,
			     .columns = columns,
			     .run = list_run };

	return look_and_test(&look, argc, argv);
}

/* What the superblocks of its members say of one that cannot be assembled. */
static json_t *describe_not_assembled(const struct stack *stack, const struct stack_array *found)
{
	json_t *object = describe_broken_array(&found->md, found->problem);
	json_t *members = json_array();

	for (unsigned i = 0; i < stack->node_count; i++) {
		const struct stack_node *node = &stack->nodes[i];

		if (node->is_member && node->array == found - stack->arrays)
			json_array_append_new(
				members, describe_unused_member(node->name,
								node->block ? node->block->size : 0,
								&node->md));
	}
	json_object_set_new(object, "members", members);
	return object;
}

/* Asks the server that has it. One that has only what it lies on, or some of that, does not run it: then it is as its superblocks say. */
static int show_owned(struct look *look, const char *target, struct error *error)
{
	int rc =
		owner_call(&look->given, target, "raid.show",
			   json_pack("{s:o}", "name", describe_text(target)), &look->result, error);

	if (rc == -EBUSY) {
		cli_warn("%s", error->text);
		*error = (struct error){ 0 };
		rc = 0;
	}
	return rc;
}

static int show_run(struct look *look, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	CLEANUP_FREE char *target = raid_target(look->name);
	struct stack_array *found = NULL;
	struct raid_array *array;
	int rc = show_owned(look, target, error);

	if (!rc)
		rc = stack_look(&stack, &look->given, error);
	if (!rc && !look->result)
		rc = stack_find_array(stack, target, &found, error);
	if (!rc && !look->result)
		rc = stack_find_running(stack, target, &array, error);
	if (rc && found && !found->raid)
		look->result = describe_not_assembled(stack, found);
	if (rc < 0)
		return rc;
	if (!look->result) {
		look->result = describe_array(array, true);
		if (found->note)
			cli_warn("%s", found->note);
	}
	look->status = health(look->result);
	return served_add(look->result);
}

int raid_show_verb(int argc, char **argv)
{
	static const struct cli_column members[] = {
		{ "DEVICE", "device", CLI_AS_PATH },
		{ "STATE", "state", CLI_AS_STATE },
		{ "ROLE", "role", CLI_AS_TEXT },
		{ "RECOVERED", "recovered_bytes", CLI_AS_SIZE, 1 },
		{ "EVENTS", "events", CLI_AS_TEXT, 4 },
		{ "SIZE", "device_size_bytes", CLI_AS_SIZE, 5 },
		{ "OFFSET", "data_offset_bytes", CLI_AS_SIZE, 8 },
		{ "CORRECTED", "corrected", CLI_AS_TEXT, 6 },
		{ "BAD", "bad_blocks", CLI_AS_TEXT, 3 },
		{ "WRITE-MOSTLY", "write_mostly", CLI_AS_TEXT, 7 },
		{ "FAILFAST", "failfast", CLI_AS_TEXT, 10 },
		{ "UUID", "uuid", CLI_AS_TEXT, 9 },
		{ "REASON", "reason", CLI_AS_NOTE, 2 },
		{ NULL },
	};
	static const struct cli_part parts[] = { { "members", NULL, members }, { NULL } };
	struct look look = { .usage = "raid show NAME [--json] [--test]",
			     .least = 1,
			     .most = 1,
			     .parts = parts,
			     .run = show_run };

	return look_and_test(&look, argc, argv);
}
