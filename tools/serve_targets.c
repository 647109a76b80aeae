/* SPDX-License-Identifier: BSD-2-Clause */
/* What a storage server is to serve, and taking hold of it; see serve.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/serve.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/text.h"

/* ---- Everything ---- */

/* Whether a group lies on the array: one that is here, or of which it cannot be told. A label alone, as pv create or vg remove leaves it, is none. */
static bool carries_group(const struct stack *stack, struct raid_array *array)
{
	for (unsigned i = 0; i < stack->scan->device_count; i++) {
		const struct volume_scanned *scanned = &stack->scan->devices[i];

		if (scanned->block == raid_array_block(array))
			return scanned->is_pv &&
			       (scanned->group || scanned->problem || scanned->info.used ||
				!scanned->info.metadata_areas);
	}
	return false;
}

/* The array that has it as a member, or NULL. */
static const struct stack_array *array_above(const struct stack *stack,
					     const struct raid_array *array)
{
	for (unsigned i = 0; array && i < stack->node_count; i++)
		if (stack->nodes[i].raid == array && stack->nodes[i].is_member)
			return &stack->arrays[stack->nodes[i].array];
	return NULL;
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

/* Every group, and every array that no group and no other array lies on. */
static int add_all_targets(struct cli_words *targets, const struct stack *look, struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; i < look->scan->group_count; i++)
		add_group(targets, look, i);
	for (unsigned i = 0; !rc && i < look->array_count; i++)
		if (!look->arrays[i].raid || (!carries_group(look, look->arrays[i].raid) &&
					      !array_above(look, look->arrays[i].raid)))
			rc = add_array(targets, look, i);
	if (!rc)
		rc = stack_report(look, targets->count > 0, error);
	if (rc || targets->count)
		return rc;
	if (look->array_count) {
		CLEANUP_FREE char *name = text_name(look->arrays->md.name);

		error_set(error, -ENOENT,
			  "md/%s: carries a physical volume of a group that is not here",
			  name ? name : "?");
		return error_advise(error, "name the group's other devices, too, or give the "
					   "array's name to serve it as it is");
	}
	if (look->node_count)
		error_set(error, -ENOENT,
			  "no volume group and no array on the devices that were looked at, %u",
			  look->node_count);
	else
		error_set(error, -ENOENT, "there is nothing to serve");
	return error_advise(error,
			    "name the devices with --device, TENON_DEVICES or `tenon device add`");
}

/* ---- Homes ---- */

/* Targets that lie on common devices, directly or through others, are one piece. */
struct stack_piece {
	struct device_list devices;
	uint64_t weight; /* disks; 0 of one that is a part of another by now, or dealt */
	unsigned part_of;
};

static uint64_t weight_of(struct stack *look, const char *target)
{
	struct volume_group *group;
	uint64_t visible = 0;

	if (strchr(target, '/') || stack_find_group(look, target, &group, NULL))
		return 1;
	for (unsigned i = 0; i < group->lv_count; i++)
		visible += group->lvs[i]->visible;
	return MAX(visible, (uint64_t)1);
}

static bool have_common(const struct device_list *a, const struct device_list *b)
{
	for (unsigned i = 0; i < a->count; i++)
		for (unsigned k = 0; k < b->count; k++)
			if (!strcmp(a->paths[i], b->paths[k]))
				return true;
	return false;
}

static int join(struct stack_piece *whole, struct stack_piece *part, unsigned index)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < part->devices.count; i++)
		rc = device_list_add_resolved(&whole->devices, part->devices.paths[i]);
	device_list_free(&part->devices);
	whole->weight += part->weight;
	part->weight = 0;
	part->part_of = index;
	return rc;
}

/* What cannot be found is a piece of its own; why, its claim will tell. */
static int cut(struct serve_target *targets, unsigned count, struct stack *look,
	       struct stack_piece *pieces)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < count; i++) {
		struct stack_piece *piece = &pieces[i];

		piece->part_of = i;
		piece->weight = weight_of(look, targets[i].word);
		if (stack_devices_of(look, targets[i].word, &piece->devices, NULL))
			device_list_free(&piece->devices);
		for (unsigned k = 0; !rc && k < i; k++)
			if (pieces[k].part_of == k &&
			    have_common(&pieces[k].devices, &piece->devices))
				rc = join(piece, &pieces[k], i);
	}
	return rc;
}

static struct stack_piece *heaviest(struct stack_piece *pieces, unsigned count)
{
	struct stack_piece *most = NULL;

	for (unsigned i = 0; i < count; i++)
		if (pieces[i].weight && (!most || pieces[i].weight > most->weight))
			most = &pieces[i];
	return most;
}

/* Each piece goes to the home that has least so far, the heaviest first. */
static void deal(struct serve *serve, struct serve_target *targets, unsigned count,
		 struct stack_piece *pieces)
{
	uint64_t load[SERVE_WORKERS_MAX] = { 0 };
	struct stack_piece *piece;

	while ((piece = heaviest(pieces, count))) {
		unsigned index = (unsigned)(piece - pieces), least = 0;

		for (unsigned i = 1; i < serve->home_count; i++)
			if (load[i] < load[least])
				least = i;
		load[least] += piece->weight;
		piece->weight = 0;
		targets[index].home = &serve->homes[least];
	}
	for (unsigned i = count; i-- > 0;) {
		unsigned index = i;

		while (pieces[index].part_of != index)
			index = pieces[index].part_of;
		targets[i].home = targets[index].home;
	}
}

/* Starts the data workers: as many as may be, or as there are pieces for where no disk has several queues. Gives each
 * target its home. */
static int settle(struct serve *serve, struct serve_target *targets, unsigned count,
		  struct stack *look, struct error *error)
{
	CLEANUP_FREE struct stack_piece *pieces = calloc(count, sizeof(*pieces));
	unsigned wholes = 0;
	int rc = pieces ? 0 : -ENOMEM;

	if (!rc && look)
		rc = cut(targets, count, look, pieces);
	for (unsigned i = 0; !rc && i < count; i++) {
		if (!look) {
			pieces[i].part_of = 0;
			pieces[i].weight = !i;
		}
		wholes += pieces[i].part_of == i;
	}
	if (!rc)
		rc = serve_homes_start(serve,
				       (unsigned)(serve->queues == 1
							  ? MIN((uint64_t)wholes, serve->workers)
							  : serve->workers),
				       error);
	if (!rc)
		deal(serve, targets, count, pieces);
	for (unsigned i = 0; pieces && i < count; i++)
		device_list_free(&pieces[i].devices);
	return rc;
}

/* ---- Taking hold, at home ---- */

/* An array and what lies on it, a group or another array, cannot both be written to. */
static int check_overlap(struct stack *stack, const struct cli_words *targets, struct error *error)
{
	const struct stack_array *above;
	struct raid_array *array;
	bool volumes = false;

	for (unsigned i = 0; i < targets->count; i++)
		volumes |= !stack_names_array(targets->words[i]);
	for (unsigned i = 0; i < targets->count; i++) {
		if (!stack_names_array(targets->words[i]) ||
		    stack_find_running(stack, targets->words[i], &array, NULL))
			continue;
		above = array_above(stack, array);
		if (above && above->raid) {
			error_set(error, -EINVAL, "%s: is a member of %s", targets->words[i],
				  raid_array_block(above->raid)->name);
			return error_advise(error, "serve either that array or this one");
		}
		if (!volumes || !carries_group(stack, array))
			continue;
		error_set(error, -EINVAL, "%s: carries a physical volume", targets->words[i]);
		error_advise(error, "serve either the array or its volumes");
		return -EINVAL;
	}
	return 0;
}

/* The targets of one home. */
struct claim {
	struct serve *serve;
	struct serve_home *home;
	const struct cli_words *given;
	struct serve_target *targets;
	unsigned count;
	struct stack_options options;
	struct error error;
};

static struct cli_words words_of(const struct claim *claim)
{
	struct cli_words words = { 0 };

	for (unsigned i = 0; i < claim->count; i++)
		if (claim->targets[i].home == claim->home && !claim->targets[i].left_out)
			cli_words_add(&words, claim->targets[i].word);
	return words;
}

static bool has_targets(const struct claim *claim)
{
	for (unsigned i = 0; i < claim->count; i++)
		if (claim->targets[i].home == claim->home)
			return true;
	return false;
}

static int claim_all(struct claim *claim)
{
	struct cli_words words = words_of(claim);
	struct stack *stack = NULL;
	int rc = stack_claim(&stack, claim->given, &words, &claim->options, &claim->error);

	if (!rc)
		claim->home->stack = steal_pointer(&stack);
	stack_close(stack, NULL);
	return rc;
}

/* Tries each target by itself, and leaves out those that cannot be had. How many are left. */
static unsigned leave_out(struct claim *claim)
{
	struct stack_options trial = claim->options;
	unsigned left = 0;

	trial.resync = false;
	for (unsigned i = 0; i < claim->count; i++) {
		struct serve_target *target = &claim->targets[i];
		struct cli_words one = { &target->word, 1 };
		struct stack *stack = NULL;

		if (target->home != claim->home)
			continue;
		target->left_out =
			stack_claim(&stack, claim->given, &one, &trial, &target->why) != 0;
		stack_close(stack, NULL);
		left += !target->left_out;
	}
	return left;
}

static void leave_out_rest(struct claim *claim)
{
	for (unsigned i = 0; i < claim->count; i++) {
		struct serve_target *target = &claim->targets[i];

		if (target->home != claim->home || target->left_out)
			continue;
		target->left_out = true;
		target->why = claim->error;
	}
}

static int claim_home(void *arg)
{
	struct claim *claim = arg;
	int rc = claim_all(claim);

	if (rc && claim->count > 1 && leave_out(claim))
		rc = claim_all(claim);
	if (rc)
		leave_out_rest(claim);
	return rc;
}

/* One home after another: a look leaves notes that are the process's (cli_remember_silent()). */
static int claim(struct serve *serve, const struct cli_words *given, struct serve_target *targets,
		 unsigned count, struct error *error)
{
	struct claim claim = {
		.serve = serve,
		.given = given,
		.targets = targets,
		.count = count,
		.options = {
			.write = !serve->read_only,
			.lock = true,
			.resync = !serve->read_only,
			.command = "tenon serve",
			.log = &serve->log,
			.compute = worker_current(),
		},
	};
	int rc = 0;

	for (unsigned i = 0; !rc && i < serve->home_count; i++) {
		struct serve_home *home = &serve->homes[i];

		claim.home = home;
		if (!has_targets(&claim))
			continue;
		serve_call(home, claim_home, &claim);
		if (home->stack) {
			struct cli_words words = words_of(&claim);

			rc = check_overlap(home->stack, &words, error);
		}
		for (unsigned k = 0; !rc && home->stack && k < home->stack->node_count; k++)
			if (home->stack->nodes[k].self < 0)
				rc = device_list_add_resolved(&serve->owned,
							      home->stack->nodes[k].name);
	}
	return rc;
}

/* ---- Planning ---- */

static int plan_target(struct serve *serve, struct serve_target *target, struct error *why)
{
	struct serve_home *home = target->home;
	struct stack_array *array;
	struct volume_group *group;
	struct export *export;
	struct volume_lv *lv;
	int rc;

	if (stack_names_array(target->word)) {
		rc = stack_find_array(home->stack, target->word, &array, why);
		return rc ? rc : export_plan_array(serve, home, target->word, array, &export);
	}
	if (strchr(target->word, '/')) {
		rc = stack_find_volume(home->stack, target->word, &group, &lv, why);
		return rc ? rc : export_plan_volume(serve, home, group, lv, &export);
	}
	rc = stack_find_group(home->stack, target->word, &group, why);
	if (rc)
		return rc;
	cli_words_add(&serve->groups, group->name);
	return export_plan_group(serve, home, group);
}

/* Those that could not be had come with the reason; where that is all of them, it is the error. */
static int plan(struct serve *serve, struct serve_target *targets, unsigned count,
		struct error *error)
{
	unsigned left_out = 0;
	int rc = 0;

	for (unsigned i = 0; i < count; i++)
		left_out += targets[i].left_out;
	if (left_out == count) {
		*error = targets[0].why;
		return targets[0].why.code ? targets[0].why.code : -EIO;
	}
	for (unsigned i = 0; !rc && i < count; i++) {
		struct error why = targets[i].why;

		if (targets[i].left_out || plan_target(serve, &targets[i], &why))
			rc = export_plan_missing(serve, targets[i].word, &why);
	}
	return rc;
}

int serve_claim(struct serve *serve, const struct cli_words *given, struct cli_words *words,
		struct error *error)
{
	CLEANUP_FREE struct serve_target *targets = NULL;
	bool several = serve->workers > 1 && words->count != 1;
	struct stack *look = NULL;
	int rc = several || !words->count ? stack_look(&look, given, error) : 0;

	if (!rc && !words->count)
		rc = add_all_targets(words, look, error);
	if (!rc && !(targets = calloc(words->count, sizeof(*targets))))
		rc = -ENOMEM;
	for (unsigned i = 0; !rc && i < words->count; i++)
		targets[i].word = words->words[i];
	if (!rc)
		rc = settle(serve, targets, words->count, several ? look : NULL, error);
	stack_close(look, NULL);
	if (!rc)
		rc = claim(serve, given, targets, words->count, error);
	return rc ? rc : plan(serve, targets, words->count, error);
}
