/* What a storage server is to serve, and taking hold of it; see serve.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/serve.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/text.h"

/* ---- Everything ---- */

/* Whether a group lies on the array. */
static bool carries_group(const struct stack *stack, struct raid_array *array)
{
	for (unsigned i = 0; i < stack->scan->device_count; i++)
		if (stack->scan->devices[i].block == raid_array_block(array))
			return stack->scan->devices[i].is_pv;
	return false;
}

/* Its UUID where its name is not its own. */
static void add_group(struct cli_words *targets, const struct stack *look, unsigned which)
{
	const struct volume_group *group = look->scan->groups[which];
	const char *name = group->name;

	for (unsigned i = 0; i < look->scan->group_count; i++)
		if (i != which && !strcmp(look->scan->groups[i]->name, name))
			name = group->uuid;
	cli_words_add(targets, cli_keep_text(name));
}

static int add_array(struct cli_words *targets, const struct stack *look, unsigned which)
{
	const struct stack_array *array = &look->arrays[which];
	CLEANUP_FREE char *name = text_name(array->md.name);
	CLEANUP_FREE char *target = NULL;
	char uuid[RAID_UUID_TEXT];
	bool same = false;

	for (unsigned i = 0; i < look->array_count; i++)
		same |= i != which && !strcmp(look->arrays[i].md.name, array->md.name);
	if (!name ||
	    asprintf(&target, "md/%s",
		     same || !*name ? raid_uuid_format(array->md.set_uuid, uuid) : name) < 0)
		return -ENOMEM;
	cli_words_add(targets, cli_keep_text(target));
	return 0;
}

/* Every group, and every array that no group lies on. */
static int add_all_targets(struct cli_words *targets, const struct cli_words *given,
			   struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	int rc = stack_look(&look, given, error);

	for (unsigned i = 0; !rc && i < look->scan->group_count; i++)
		add_group(targets, look, i);
	for (unsigned i = 0; !rc && i < look->array_count; i++)
		if (!look->arrays[i].raid || !carries_group(look, look->arrays[i].raid))
			rc = add_array(targets, look, i);
	if (!rc)
		rc = stack_report(look, targets->count > 0, error);
	if (rc || targets->count)
		return rc;
	error_set(error, -ENOENT,
		  "no volume group and no array on the %u devices that were looked at",
		  look->node_count);
	return error_advise(error,
			    "name the devices with --device, TENON_DEVICES or `tenon device add`");
}

/* ---- Taking hold ---- */

/* An array and the group on it cannot both be written to. */
static int check_overlap(struct serve *serve, const struct cli_words *targets, struct error *error)
{
	struct raid_array *array;
	bool volumes = false;

	for (unsigned i = 0; i < targets->count; i++)
		volumes |= !stack_names_array(targets->words[i]);
	for (unsigned i = 0; volumes && i < targets->count; i++) {
		if (!stack_names_array(targets->words[i]) ||
		    stack_find_running(serve->stack, targets->words[i], &array, NULL))
			continue;
		if (!carries_group(serve->stack, array))
			continue;
		error_set(error, -EINVAL, "%s: carries a physical volume", targets->words[i]);
		error_advise(error, "serve either the array or its volumes");
		return -EINVAL;
	}
	return 0;
}

/* Tries each target by itself; those that cannot be had go from the list, with an export that says why. `error` is
 * set to the first reason. */
static int leave_out(struct serve *serve, const struct cli_words *given, struct cli_words *targets,
		     const struct stack_options *options, struct error *error)
{
	struct stack_options trial = *options;
	struct cli_words kept = { 0 };
	int rc = 0;

	trial.resync = false;
	for (unsigned i = 0; !rc && i < targets->count; i++) {
		struct cli_words one = { &targets->words[i], 1 };
		CLEANUP_STACK struct stack *stack = NULL;
		struct error why = { 0 };

		if (!stack_claim(&stack, given, &one, &trial, &why)) {
			cli_words_add(&kept, targets->words[i]);
			continue;
		}
		if (kept.count + 1 == i + 1)
			*error = why;
		rc = export_plan_missing(serve, targets->words[i], &why);
	}
	*targets = kept;
	return rc;
}

static int claim(struct serve *serve, const struct cli_words *given, struct cli_words *targets,
		 struct error *error)
{
	struct stack_options options = {
		.write = !serve->read_only,
		.lock = true,
		.resync = !serve->read_only,
		.command = "tenon serve",
		.log = &serve->log,
	};
	int rc = stack_claim(&serve->stack, given, targets, &options, error);

	if (rc && targets->count > 1 && !leave_out(serve, given, targets, &options, error) &&
	    targets->count)
		rc = stack_claim(&serve->stack, given, targets, &options, error);
	for (unsigned i = 0; !rc && i < serve->stack->node_count; i++)
		if (serve->stack->nodes[i].self < 0)
			rc = device_list_add(&serve->owned, serve->stack->nodes[i].name);
	return rc;
}

/* ---- Planning ---- */

static int plan_array(struct serve *serve, const char *target, struct error *why)
{
	struct stack_array *array;
	struct export *export;
	int rc = stack_find_array(serve->stack, target, &array, why);

	return rc ? rc : export_plan_array(serve, target, array, &export);
}

static int plan_target(struct serve *serve, char *target, struct error *why)
{
	struct volume_group *group;
	struct export *export;
	struct volume_lv *lv;
	int rc;

	if (stack_names_array(target))
		return plan_array(serve, target, why);
	if (strchr(target, '/')) {
		rc = stack_find_volume(serve->stack, target, &group, &lv, why);
		return rc ? rc : export_plan_volume(serve, group, lv, &export);
	}
	rc = stack_find_group(serve->stack, target, &group, why);
	if (rc)
		return rc;
	cli_words_add(&serve->groups, group->name);
	return export_plan_group(serve, group);
}

int serve_claim(struct serve *serve, const struct cli_words *given, struct cli_words *targets,
		struct error *error)
{
	int rc = 0;

	if (!targets->count)
		rc = add_all_targets(targets, given, error);
	if (!rc)
		rc = claim(serve, given, targets, error);
	if (!rc)
		rc = check_overlap(serve, targets, error);
	for (unsigned i = 0; !rc && i < targets->count; i++) {
		struct error why = { 0 };

		if (plan_target(serve, targets->words[i], &why))
			rc = export_plan_missing(serve, targets->words[i], &why);
	}
	return rc;
}
