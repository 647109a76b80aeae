/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon raid grow`: more of each member, more members, another shape; in a running server or here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "tools/backup_file.h"
#include "tools/describe.h"
#include "tools/device_look.h"
#include "tools/output.h"
#include "tools/owner.h"
#include "tools/raid.h"
#include "tools/raid_consistency.h"
#include "tools/rehearse.h"
#include "tools/stack.h"
#include "util/size.h"

struct grow_command {
	struct cli_words given, added;
	char *target;
	const char *size, *layout, *journal, *consistency, *backup;
	bool force, dry_run;
	struct raid_grow grow;
};

static json_t *grow_params(const struct grow_command *command, bool only_check)
{
	return json_pack("{s:o, s:I, s:b, s:I, s:I, s:I, s:s*, s:s*, s:I, s:b, s:o*}", "name",
			 describe_text(command->target), "size", (json_int_t)command->grow.size,
			 "all", command->grow.size == RAID_GROW_MAX, "devices",
			 (json_int_t)command->grow.devices, "chunk",
			 (json_int_t)command->grow.chunk, "array_size",
			 (json_int_t)command->grow.array_size, "layout", command->layout, "level",
			 command->grow.level, "adding", (json_int_t)command->grow.adding,
			 "only_check", only_check, "backup_file",
			 command->backup ? describe_text(command->backup) : NULL);
}

/* Nothing is added to an array that does not grow then. 1: a server did it. */
static int add_by_owner(struct grow_command *command, struct error *error)
{
	int rc = 1;

	for (unsigned i = 0; rc > 0 && i < command->added.count; i++) {
		char *path = device_resolve(command->added.words[i]);
		json_t *answer = NULL;

		rc = owner_call(&command->given, command->target, "raid.add",
				json_pack("{s:o, s:o, s:b}", "name", describe_text(command->target),
					  "device", describe_text(path), "force", command->force),
				&answer, error);
		if (rc > 0)
			raid_warn_unlisted_there(answer, path);
		json_decref(answer);
		free(path);
	}
	return rc;
}

/* Its level is 0 again, since the rest could not be done. */
static void level_0_by_owner(const struct grow_command *command)
{
	const struct grow_command back = { .given = command->given,
					   .target = command->target,
					   .grow = { .level = "0" } };

	owner_call(&command->given, command->target, "raid.grow", grow_params(&back, false), NULL,
		   NULL);
}

static int grow_by_owner(struct grow_command *command, struct error *error)
{
	json_t *found = NULL, *begun = NULL;
	bool later, goes_on;
	int rc;

	command->grow.adding = command->added.count;
	rc = owner_call(&command->given, command->target, "raid.grow", grow_params(command, true),
			&found, error);
	later = json_is_true(json_object_get(found, "adds_later"));
	json_decref(found);
	if (rc > 0 && !later)
		rc = add_by_owner(command, error);
	if (rc > 0)
		rc = owner_call(&command->given, command->target, "raid.grow",
				grow_params(command, false), &begun, error);
	goes_on = json_is_true(json_object_get(begun, "goes_on"));
	json_decref(begun);
	if (rc > 0 && later)
		rc = add_by_owner(command, error);
	if (!goes_on)
		return rc;
	if (rc > 0) {
		command->grow.adding = 0;
		rc = owner_call(&command->given, command->target, "raid.grow",
				grow_params(command, false), NULL, error);
	}
	if (rc < 0)
		level_0_by_owner(command);
	return rc;
}

static int add_one(struct grow_command *command, struct stack *stack, struct raid_array *array,
		   const char *device, struct error *error)
{
	CLEANUP_FREE char *path = device_resolve(device);
	CLEANUP_BLOCK struct block *block = NULL;
	int rc;

	if (!path)
		return -ENOMEM;
	rc = raid_open_member(stack, array, path, command->force, &block, error);
	if (rc)
		return rc;
	return command->force ? raid_add_over(array, block, error) : raid_add(array, block, error);
}

static int add_here(struct grow_command *command, struct stack *stack, struct raid_array *array,
		    struct error *error)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < command->added.count; i++)
		rc = add_one(command, stack, array, command->added.words[i], error);
	return rc;
}

/* Arrays that are to be in it are started before it. */
static struct cli_words grow_targets(const struct grow_command *command)
{
	struct cli_words targets = { 0 };

	for (unsigned i = 0; i < command->added.count; i++)
		if (stack_names_array(command->added.words[i]))
			cli_words_add(&targets, command->added.words[i]);
	cli_words_add(&targets, command->target);
	return targets;
}

static int grow_here(struct grow_command *command, struct error *error)
{
	const struct stack_options options = { .write = true };
	struct cli_words targets = grow_targets(command);
	struct raid_grow check = command->grow;
	CLEANUP_BLOCK struct block *backup = NULL;
	struct stack *stack = NULL;
	struct raid_array *array = NULL;
	bool later = false;
	int rc = stack_claim(&stack, &command->given, &targets, &options, error);

	check.only_check = true;
	check.adding = command->added.count;
	if (!rc)
		rc = stack_find_running(stack, command->target, &array, error);
	if (!rc)
		rc = backup_file_for(array, &check, command->backup, &backup, error);
	if (!rc)
		rc = raid_grow(array, &check, error);
	if (!rc)
		later = raid_grow_adds_later(array);
	if (!rc && !later)
		rc = add_here(command, stack, array, error);
	command->grow.adding = later ? command->added.count : 0;
	if (!rc)
		rc = backup_file_for(array, &command->grow, command->backup, &backup, error);
	if (!rc)
		rc = raid_grow(array, &command->grow, error);
	if (rc)
		backup_file_discard(backup, command->backup);
	if (!rc && later)
		rc = add_here(command, stack, array, error);
	command->grow.adding = 0;
	if (!rc && raid_grow_goes_on(array))
		rc = raid_grow(array, &command->grow, error);
	if (rc && array && raid_grow_goes_on(array))
		raid_grow(array, &(struct raid_grow){ .level = "0" }, NULL);
	/* Only who moves the data can have the level that is wanted behind it. */
	if (!rc)
		rc = raid_grow_wait(array, error);
	return stack_finish(stack, rc, error);
}

/* Whether it could be; what is added is not looked at. */
static int grow_rehearse(struct grow_command *command, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	struct raid_grow check = command->grow;
	struct block *backup;
	struct raid_array *array;
	int rc = rehearse_claim(&stack, &command->given, command->target, error);

	check.only_check = true;
	check.adding = command->added.count;
	if (!rc)
		rc = stack_find_running(stack, command->target, &array, error);
	if (!rc)
		rc = backup_file_for(array, &check, command->backup, &backup, error);
	if (!rc)
		rc = raid_grow(array, &check, error);
	if (!rc && command->added.count)
		cli_say("%s: would be changed so, with %u device%s more", command->target,
			command->added.count, command->added.count == 1 ? "" : "s");
	else if (!rc)
		cli_say("%s: would be changed so", command->target);
	return rc;
}

static int grow_run(void *arg, struct error *error)
{
	struct grow_command *command = arg;
	bool there = command->backup && !access(command->backup, F_OK), made;
	int rc;

	if (command->dry_run)
		return grow_rehearse(command, error);
	rc = grow_by_owner(command, error);
	if (rc)
		return rc > 0 ? 0 : rc;
	rc = grow_here(command, error);
	/* Where there is room to move nothing needs one; a file that was there is another's. */
	made = command->backup && !there && !access(command->backup, F_OK);
	if (!rc)
		cli_note("%s: where that is not over, `tenon raid rebuild` or `tenon serve` moves "
			 "data and brings what is new in sync%s%s",
			 command->target, made ? ", with --backup-file " : "",
			 made ? command->backup : "");
	if (!rc && command->backup && !made)
		cli_note("%s: needs no backup, and %s was not made", command->target,
			 command->backup);
	return rc;
}

/* Besides a log, which is given by itself. */
static bool has_others(const struct grow_command *command, uint64_t devices)
{
	return command->size || devices || command->grow.chunk || command->layout ||
	       command->grow.level || command->grow.array_size || command->added.count ||
	       command->backup || (command->journal && command->consistency);
}

int raid_grow_verb(int argc, char **argv)
{
	struct grow_command command = { .force = false };
	struct error error = { 0 };
	uint64_t devices = 0;
	const struct cli_option options[] = {
		{ "size", CLI_TEXT, &command.size, "max|SIZE",
		  "use so much of each device (max: what the smallest has)" },
		{ "devices", CLI_NUMBER, &devices, "N", "so many members", 1, 1920 },
		{ "chunk", CLI_SIZE, &command.grow.chunk, "SIZE", "of all levels but 1", 4096,
		  1u << 31 },
		{ "layout", CLI_TEXT, &command.layout, "NAME", "of levels 5, 6 and 10" },
		{ "array-size", CLI_SIZE, &command.grow.array_size, "SIZE",
		  "with fewer members: what is beyond may be lost", 1, INT64_MAX },
		{ "level", CLI_TEXT, &command.grow.level, "L",
		  "0 and 4 or 5, 4 and 5, 1 and 5 with two members, 5 and 6: data stay where they "
		  "are" },
		{ "add", CLI_LIST, &command.added, "DEVICE", "add a device first (repeatable)" },
		{ "backup-file", CLI_TEXT, &command.backup, "FILE",
		  "a new file on another disk, where data have no room to move: keeps what is "
		  "written over" },
		{ "add-journal", CLI_TEXT, &command.journal, "DEVICE",
		  "a write journal, as `raid add --journal`" },
		{ "consistency", CLI_TEXT, &command.consistency, "resync|bitmap|ppl",
		  "what it goes by after a crash" },
		{ "force", CLI_FLAG, &command.force, NULL,
		  "overwrite what is on a device that is added" },
		{ "dry-run", CLI_FLAG, &command.dry_run, NULL,
		  "only say whether that can be done; devices to add are not looked at" },
		CLI_OPTION_DEVICE(&command.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status, level;

	if (!cli_parse("raid grow NAME [--size max|SIZE] [--devices N] [--chunk SIZE] "
		       "[--layout NAME] [--level L] [--array-size SIZE] [--add DEVICE] "
		       "[--backup-file FILE] [--add-journal DEVICE] "
		       "[--consistency resync|bitmap|ppl] [--dry-run]",
		       options, argc, argv, 1, 1, &operands, &status))
		return status;
	if ((command.journal || command.consistency) && has_others(&command, devices))
		return cli_usage_error("%s: it is done by itself",
				       command.journal ? "--add-journal" : "--consistency");
	if (command.journal && command.dry_run)
		return cli_usage_error("--dry-run: `raid add --journal` has it");
	if (command.journal)
		return raid_journal_verb(&command.given, operands.words[0], command.journal,
					 command.force);
	if (command.consistency)
		return raid_consistency_verb(&command.given, operands.words[0], command.consistency,
					     command.dry_run);
	if (!command.size && !devices && !command.grow.chunk && !command.layout &&
	    !command.grow.level)
		return cli_usage_error(
			"--size, --devices, --chunk, --layout, --level, --add-journal or "
			"--consistency is needed");
	if (command.grow.level && raid_level_parse(command.grow.level, &level, &error))
		return cli_wrong_value("level", &error);
	if (command.size && !strcmp(command.size, "max"))
		command.grow.size = RAID_GROW_MAX;
	else if (command.size &&
		 cli_parse_size(command.size, 65536, INT64_MAX, &command.grow.size, &error))
		return cli_wrong_value("size", &error);
	command.grow.layout = command.layout;
	command.grow.devices = (unsigned)devices;
	command.target = raid_target(operands.words[0]);
	if (command.backup)
		command.backup = device_resolve(command.backup);
	status = cli_on_fiber(grow_run, &command);
	free(command.target);
	return status;
}
