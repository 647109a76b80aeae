/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon raid`: failing, removing, adding, starting; in a running server or here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/partition.h"
#include "block/signature.h"
#include "rpc/rpc.h"
#include "tools/backup_file.h"
#include "tools/consent.h"
#include "tools/describe.h"
#include "tools/device_look.h"
#include "tools/owner.h"
#include "tools/device_new.h"
#include "tools/raid.h"
#include "tools/raid_plan.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "util/size.h"

char *raid_target(const char *name)
{
	char *target = NULL;

	if (!strncmp(name, "md/", 3))
		return strdup(name);
	return asprintf(&target, "md/%s", name) < 0 ? NULL : target;
}

/* An array is found by its own members. */
bool raid_is_listed(const struct cli_words *given, const char *device)
{
	return stack_names_array(device) || device_list_is_among(given, device);
}

void raid_warn_unlisted(const char *device)
{
	cli_warn("%s: not among the devices that are looked at: name it with --device, "
		 "TENON_DEVICES or `tenon device add` from now on",
		 device);
}

void raid_warn_unlisted_there(const json_t *answer, const char *device)
{
	if (json_is_false(json_object_get(answer, "listed")))
		cli_warn("%s: not among the devices that the server looks at: name it with "
			 "--device, TENON_DEVICES or `tenon device add` when that starts next",
			 device);
}

/* ---- One change to an array ---- */

struct raid_change_command {
	struct cli_words given;
	const char *method; /* what a running server is asked to do, with the same meaning */
	int (*apply)(struct raid_change_command *change, struct stack *stack,
		     struct raid_array *array, struct error *error);
	char *target; /* md/NAME */
	char *device; /* absolute */
	const char *given_with;
	char *with; /* what is to take its place; absolute, or NULL */
	bool force;
	bool back;                    /* by the bitmap or not at all */
	bool may_be_journal, journal; /* as the array's write journal */
	struct consent consent;
};

/* The device by the name that it has in the stack, if it goes by another one, too: the loop device over an image. */
static int change_name_device(struct raid_change_command *change, const struct stack *stack)
{
	CLEANUP_FREE char **paths = calloc(stack->node_count + 1, sizeof(char *));
	unsigned count = 0;
	char *same;

	if (!paths)
		return -ENOMEM;
	for (unsigned i = 0; i < stack->node_count; i++) {
		if (!strcmp(stack->nodes[i].name, change->device))
			return 0;
		if (stack->nodes[i].self < 0)
			paths[count++] = stack->nodes[i].name;
	}
	same = devices_find_same(paths, count, change->device);
	if (!same)
		return 0;
	free(change->device);
	change->device = same;
	return 0;
}

static int change_plan(struct raid_change_command *change, struct error *error)
{
	struct raid_plan plan = { .method = change->method,
				  .device = change->device,
				  .with = change->with,
				  .force = change->force,
				  .back = change->back,
				  .journal = change->journal };

	return raid_plan_show(&plan, &change->given, change->target, error);
}

/* What is to become a member, or NULL. */
static char *change_adds(const struct raid_change_command *change)
{
	return change->with                          ? change->with
	       : !strcmp(change->method, "raid.add") ? change->device
						     : NULL;
}

static int change_run(void *arg, struct error *error)
{
	struct raid_change_command *change = arg;
	const struct stack_options options = { .write = true, .journal_comes = change->journal };
	char *words[2] = { change->target };
	struct cli_words targets = { words, 1 };
	json_t *answer = NULL;
	struct stack *stack = NULL;
	struct raid_array *array;
	int rc;

	if (change->consent.dry_run)
		return change_plan(change, error);
	rc = owner_call(&change->given, change->target, change->method,
			json_pack("{s:o, s:o, s:b, s:b, s:b, s:o*}", "name",
				  describe_text(change->target), "device",
				  describe_text(change->device), "force", change->force, "back",
				  change->back, "journal", change->journal, "with",
				  change->with ? describe_text(change->with) : NULL),
			&answer, error);

	if (rc > 0)
		raid_warn_unlisted_there(answer, change->with ? change->with : change->device);
	json_decref(answer);
	if (rc)
		return rc > 0 ? 0 : rc;
	/* An array that is to be in it is started before it. */
	if (change_adds(change) && stack_names_array(change_adds(change))) {
		words[0] = change_adds(change);
		words[targets.count++] = change->target;
	}
	rc = stack_claim(&stack, &change->given, &targets, &options, error);
	if (!rc)
		rc = stack_find_running(stack, change->target, &array, error);
	if (!rc)
		rc = change_name_device(change, stack);
	if (!rc)
		rc = change->apply(change, stack, array, error);
	return stack_finish(stack, rc, error);
}

/* `force`: what --force does, or NULL; `with`: what --with does, the same. */
static int change_verb(struct raid_change_command *change, const char *usage, const char *force,
		       const char *with, int argc, char **argv)
{
	const struct cli_option more[] = {
		{ force ? "force" : NULL, CLI_FLAG, &change->force, NULL, force },
		{ with ? "with" : NULL, CLI_TEXT, &change->given_with, "DEVICE", with },
		{ change->may_be_journal ? "journal" : NULL, CLI_FLAG, &change->journal, NULL,
		  "as the write journal of an array of level 4, 5 or 6 that has none, or has lost "
		  "it" },
	};
	struct cli_option options[ARRAY_SIZE(more) + 4] = { CLI_OPTION_DRY_RUN(&change->consent),
							    CLI_OPTION_DEVICE(&change->given) };
	unsigned count = 0;
	struct cli_words operands;
	int status;

	while (options[count].name)
		count++;
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		if (more[i].name)
			options[count++] = more[i];
	options[count] = (struct cli_option)CLI_OPTION_END;
	if (!cli_parse(usage, options, argc, argv, 2, 2, &operands, &status))
		return status;
	change->target = raid_target(operands.words[0]);
	change->device = device_resolve(operands.words[1]);
	change->with = change->given_with ? device_resolve(change->given_with) : NULL;
	status = cli_on_fiber(change_run, change);
	free(change->target);
	free(change->device);
	free(change->with);
	return status;
}

static int apply_fail(struct raid_change_command *change, struct stack *stack,
		      struct raid_array *array, struct error *error)
{
	(void)stack;
	return change->force ? raid_fail_anyway(array, change->device, error)
			     : raid_fail(array, change->device, error);
}

static int apply_remove(struct raid_change_command *change, struct stack *stack,
			struct raid_array *array, struct error *error)
{
	(void)stack;
	return raid_remove(array, change->device, error);
}

static int apply_add(struct raid_change_command *change, struct stack *stack,
		     struct raid_array *array, struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;
	bool listed = raid_is_listed(&change->given, change->device);
	int rc = raid_open_member(stack, array, change->device, change->force, &block, error);

	if (!rc && change->journal)
		rc = raid_add_journal(array, block, change->force, error);
	else if (!rc)
		rc = change->back    ? raid_add_back(array, block, error)
		     : change->force ? raid_add_over(array, block, error)
				     : raid_add(array, block, error);
	if (!rc && !change->journal)
		cli_note("%s: added; `tenon raid rebuild` or `tenon serve` brings it up to date",
			 change->device);
	if (!rc && !listed)
		raid_warn_unlisted(change->device);
	return rc;
}

static int apply_replace(struct raid_change_command *change, struct stack *stack,
			 struct raid_array *array, struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;
	bool listed = !change->with || raid_is_listed(&change->given, change->with);
	int rc = 0;

	if (change->with)
		rc = raid_open_member(stack, array, change->with, change->force, &block, error);
	if (!rc)
		rc = block ? raid_replace_with(array, change->device, block, change->force, error)
			   : raid_replace(array, change->device, NULL, error);
	if (!rc)
		cli_note("%s: is being replaced; `tenon raid rebuild` or `tenon serve` copies it, "
			 "and "
			 "then it is faulty and can be removed",
			 change->device);
	if (!rc && !listed)
		raid_warn_unlisted(change->with);
	return rc;
}

int raid_fail_verb(int argc, char **argv)
{
	struct raid_change_command change = { .method = "raid.fail", .apply = apply_fail };

	return change_verb(&change, "raid fail NAME DEVICE", "give up what it alone has", NULL,
			   argc, argv);
}

int raid_remove_verb(int argc, char **argv)
{
	struct raid_change_command change = { .method = "raid.remove", .apply = apply_remove };

	return change_verb(&change, "raid remove NAME DEVICE", NULL, NULL, argc, argv);
}

int raid_add_verb(int argc, char **argv)
{
	struct raid_change_command change = { .method = "raid.add",
					      .apply = apply_add,
					      .may_be_journal = true };

	return change_verb(&change, "raid add NAME DEVICE [--journal]",
			   "overwrite what is on a new device, or what a half holds that ran apart",
			   NULL, argc, argv);
}

int raid_journal_verb(const struct cli_words *given, const char *name, const char *device,
		      bool force)
{
	struct raid_change_command change = { .given = *given,
					      .method = "raid.add",
					      .apply = apply_add,
					      .journal = true,
					      .force = force };
	int status;

	change.target = raid_target(name);
	change.device = device_resolve(device);
	status = cli_on_fiber(change_run, &change);
	free(change.target);
	free(change.device);
	return status;
}

int raid_re_add_verb(int argc, char **argv)
{
	struct raid_change_command change = { .method = "raid.add",
					      .apply = apply_add,
					      .back = true };

	return change_verb(&change, "raid re-add NAME DEVICE", NULL, NULL, argc, argv);
}

int raid_replace_verb(int argc, char **argv)
{
	struct raid_change_command change = { .method = "raid.replace", .apply = apply_replace };

	return change_verb(
		&change, "raid replace NAME DEVICE [--with DEVICE]",
		"overwrite what is on the new device, or what a half holds that ran apart",
		"what takes its place (a spare)", argc, argv);
}

/* ---- Superblocks taken off ---- */

struct zero {
	struct cli_words given, devices;
	struct consent consent;
};

/* By a look, which writes nothing. */
static int zero_plan(struct zero *zero, struct stack *look, const char *device, struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;
	struct raid_info info = { .name = "" };
	struct error why = { 0 };
	int rc = stack_names_array(device) ? stack_open_block(look, device, false, &block, error)
					   : raid_plan_open(device, &block, error);

	if (rc)
		return rc;
	rc = raid_probe(block, &info, &why);
	if (!rc && !why.text[0])
		return raid_say_no_superblock(block, error);
	if (rc == 1)
		consent_plan(&zero->consent, "%s: would be no member of md/%s any more", device,
			     info.name);
	else
		consent_plan(&zero->consent, "%s: its md superblock would be taken off: %s", device,
			     why.text);
	return 0;
}

/* 0: go on; 1: no. */
static int zero_ask(struct zero *zero, struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	int rc;

	zero->consent.always = true;
	if (!consent_asks(&zero->consent))
		return 0;
	rc = stack_look(&look, &zero->given, error);
	for (unsigned i = 0; !rc && i < zero->devices.count; i++)
		rc = zero_plan(zero, look, zero->devices.words[i], error);
	return rc ? rc : consent_ask(&zero->consent, error);
}

/* One that is a member of an array that runs is locked. */
static int zero_device(struct stack *below, const char *device, struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;
	struct raid_info info;
	struct error why = { 0 };
	int rc = device_open_new(below, device, true, &block, error);

	if (rc)
		return rc;
	if (!raid_probe(block, &info, &why) && !why.text[0])
		return raid_say_no_superblock(block, error);
	return raid_erase(block, error);
}

static int zero_run(void *arg, struct error *error)
{
	struct zero *zero = arg;
	CLEANUP_STACK struct stack *below = NULL;
	int rc = zero_ask(zero, error);

	if (!rc)
		rc = device_claim_below(&below, &zero->given, &zero->devices, error);
	for (unsigned i = 0; !rc && i < zero->devices.count; i++)
		rc = zero_device(below, zero->devices.words[i], error);
	return MIN(rc, 0);
}

int raid_zero_verb(int argc, char **argv)
{
	struct zero zero = { 0 };
	const struct cli_option options[] = { CLI_OPTIONS_CONSENT(&zero.consent),
					      CLI_OPTION_DEVICE(&zero.given), CLI_OPTION_END };
	int status;

	if (!cli_parse("raid zero DEVICE...", options, argc, argv, 1, CLI_ANY, &zero.devices,
		       &status))
		return status;
	return cli_on_fiber(zero_run, &zero);
}

/* ---- Starting ---- */

struct assemble {
	struct cli_words given, backups; /* the latter of --backup-file */
	char *target;
	bool force, invalid_backup;
	struct consent consent;
};

/* Without --force the error says what that would cost; with it the same is said before it is done. */
static int assemble_forced(struct assemble *assemble, const struct stack_options *options,
			   struct stack **stack, struct error *error)
{
	struct stack_options forced = *options;
	struct cli_words targets = { &assemble->target, 1 };

	cli_warn("%s", error->text);
	cli_warn("--force: what was written to %s after that is lost", assemble->target);
	stack_close(steal_pointer(stack), NULL);
	*error = (struct error){ 0 };
	forced.force = forced.degraded = true;
	return stack_claim(stack, &assemble->given, &targets, &forced, error);
}

static int assemble_run(void *arg, struct error *error)
{
	struct assemble *assemble = arg;
	const struct stack_options options = { .write = true,
					       .invalid_backup = assemble->invalid_backup };
	struct cli_words targets = { &assemble->target, 1 };
	CLEANUP_FREE char *socket = NULL;
	struct raid_status status;
	struct stack *stack = NULL;
	struct raid_array *array;
	int rc = owner_find(&assemble->given, assemble->target, &socket, error);

	if (rc)
		return rc;
	if (socket) {
		cli_say("%s: a running server has it", assemble->target);
		return 0;
	}
	if (assemble->consent.dry_run)
		return raid_plan_assemble(&assemble->given, assemble->target, assemble->force,
					  assemble->invalid_backup, error);
	rc = stack_claim(&stack, &assemble->given, &targets, &options, error);
	if (rc == -ENODEV && assemble->force)
		rc = assemble_forced(assemble, &options, &stack, error);
	if (!rc)
		rc = stack_find_running(stack, assemble->target, &array, error);
	/* Whoever is missing is written down as such, so that nobody has to insist again. */
	if (!rc)
		rc = raid_note_missing(array, error);
	if (!rc) {
		raid_status(array, &status);
		cli_say("%s: %s, %u of %u members are in sync", assemble->target, status.state,
			status.working, status.raid_disks);
		raid_status_free(&status);
	}
	return stack_finish(stack, rc, error);
}

int raid_assemble_verb(int argc, char **argv)
{
	struct assemble assemble = { .force = false };
	const struct cli_option options[] = {
		CLI_OPTION_DEVICE(&assemble.given),
		CLI_OPTION_BACKUP_FILE(&assemble.backups),
		{ "invalid-backup", CLI_FLAG, &assemble.invalid_backup, NULL,
		  "what that has is of no use: the reshape was stopped, and not cut off" },
		{ "force", CLI_FLAG, &assemble.force, NULL,
		  "with the newest data there are; what was written later is lost" },
		CLI_OPTION_DRY_RUN(&assemble.consent),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	assemble.given.backups = &assemble.backups;
	if (!cli_parse("raid assemble NAME [--degraded | --force] [--backup-file FILE "
		       "[--invalid-backup]]",
		       options, argc, argv, 1, 1, &operands, &status))
		return status;
	if (assemble.invalid_backup && !assemble.backups.count)
		return cli_usage_error("--invalid-backup: no --backup-file FILE, expected the one "
				       "that is to have what is moved from now on");
	assemble.target = raid_target(operands.words[0]);
	status = cli_on_fiber(assemble_run, &assemble);
	free(assemble.target);
	return status;
}
