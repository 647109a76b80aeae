/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon raid rebuild` and `check`: running one and waiting for it, in a running server or here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "rpc/rpc.h"
#include "tools/backup_file.h"
#include "tools/lv_change.h"
#include "tools/describe.h"
#include "tools/owner.h"
#include "tools/raid.h"
#include "tools/raid_plan.h"
#include "tools/raid_rebuild.h"
#include "tools/rehearse.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "util/size.h"

#define PROGRESS_INTERVAL_NS (200 * 1000 * 1000ull)

/* Nothing is known of what was not compared: neither that it is well, nor that it is not. */
#define EXIT_IN_PART 3

/* What goes on with it, and what looks for differences. */
static const char *rebuild_command(const struct rebuild *rebuild)
{
	return rebuild->open ? "lv repair" : "raid rebuild";
}

static const char *check_command(const struct rebuild *rebuild)
{
	return rebuild->open ? "lv scrub" : "raid check";
}

/* Only `raid rebuild` takes a backup file, and without it the reshape does not go on. */
static void advise_going_on(const struct rebuild *rebuild, struct error *error)
{
	const struct cli_words *backups = &rebuild->backups;

	error_advise(error, "`tenon %s %s%s%s` goes on from there", rebuild_command(rebuild),
		     rebuild->target, backups->count ? " --backup-file " : "",
		     backups->count ? backups->words[0] : "");
}

static void rebuild_show(struct rebuild *rebuild, const char *operation, uint64_t position,
			 uint64_t total, uint64_t rate)
{
	static const char *const names[] = { "resync", "recover", "check", "repair", "reshape" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(operation, names[i]))
			rebuild->progress.what = names[i];
	if (!strcmp(operation, "idle"))
		return;
	cli_progress_report(&rebuild->progress, position, total, rate);
	rebuild->total = total;
	rebuild->rate = rate ? rate : rebuild->rate;
}

static bool rebuild_report(const struct raid_progress *progress, void *arg)
{
	rebuild_show(arg, raid_operation_name(progress->operation), progress->position,
		     progress->total, progress->rate);
	return true;
}

static uint64_t number_of(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

/* In the middle of it. */
static int say_server_ended(const struct rebuild *rebuild, struct error *error)
{
	error_set(error, -EPIPE, "%s: the server that had it has ended before the %s was done",
		  rebuild->target, rebuild->progress.what);
	if (rebuild->check)
		error_advise(error, "nothing is lost; `tenon %s %s` begins anew",
			     check_command(rebuild), rebuild->target);
	else
		advise_going_on(rebuild, error);
	return -EPIPE;
}

/* Lost images are replaced by who has the volume. */
static int mend_ask(struct rebuild *rebuild, const char *socket, struct error *error)
{
	json_t *answer = NULL;
	int rc = rpc_call(socket, "lv.repair", json_incref(rebuild->mend), &answer, error);

	lv_change_tell(json_object_get(answer, "notes"), json_object_get(answer, "news"));
	json_decref(answer);
	return rc;
}

/* What only another device helps. */
static void say_degraded(const struct rebuild *rebuild, int level, unsigned working,
			 unsigned places)
{
	if (rebuild->open)
		cli_warn("%s: still degraded, %u of %u images have all data; `tenon lv repair %s` "
			 "replaces those that are lost",
			 rebuild->target, working, places, rebuild->target);
	else if (level == 4)
		cli_warn("%s: still degraded, %u of %u places are filled; add a device with "
			 "`tenon raid add`, or, where it was level 0 and got another shape, have "
			 "that again by `tenon raid grow %s --level 0`",
			 rebuild->target, working, places, rebuild->target);
	else
		cli_warn("%s: still degraded, %u of %u places are filled; add a device with "
			 "`tenon raid add`, or name the one that was added (--device, "
			 "TENON_DEVICES, `tenon device add`)",
			 rebuild->target, working, places);
}

/* The server does the work; asks it how far it is until it is done. */
static int rebuild_ask(struct rebuild *rebuild, const char *socket, struct error *error)
{
	bool done = false;
	int rc = rebuild->mend ? mend_ask(rebuild, socket, error) : 0;

	if (rc)
		return rc;
	if (rebuild->check)
		rc = rpc_call(socket, "raid.check",
			      json_pack("{s:o, s:b, s:b}", "name", describe_text(rebuild->target),
					"repair", rebuild->repair, "force", rebuild->force),
			      NULL, error);
	else
		rc = rpc_call(socket, "raid.resume",
			      json_pack("{s:o}", "name", describe_text(rebuild->target)), NULL,
			      error);
	rebuild->ended = rc && owner_has_ended(rc, socket);
	while (!rc && !done) {
		json_t *answer = NULL, *progress;

		rc = rpc_call(socket, "raid.wait",
			      json_pack("{s:o}", "name", describe_text(rebuild->target)), &answer,
			      error);
		progress = json_object_get(answer, "progress");
		done = json_is_true(json_object_get(answer, "done"));
		if (json_is_object(progress)) {
			const char *operation =
				json_string_value(json_object_get(progress, "operation"));

			rebuild_show(rebuild, operation ? operation : "idle",
				     (uint64_t)json_integer_value(
					     json_object_get(progress, "position_bytes")),
				     (uint64_t)json_integer_value(
					     json_object_get(progress, "total_bytes")),
				     (uint64_t)json_integer_value(
					     json_object_get(progress, "rate_bytes")));
			json_decref(rebuild->result);
			rebuild->result = json_incref(progress);
		}
		if (!rc && done && json_is_true(json_object_get(answer, "degraded")))
			say_degraded(rebuild, (int)number_of(answer, "level"),
				     (unsigned)number_of(answer, "working"),
				     (unsigned)number_of(answer, "places"));
		rebuild->left = number_of(answer, "left");
		json_decref(answer);
		if (rc == -EPIPE || (rc && owner_has_ended(rc, socket)))
			rc = say_server_ended(rebuild, error);
	}
	return rc;
}

struct remote_job {
	struct rebuild *rebuild;
	const char *socket;
	struct error *error;
};

static int remote_fiber(void *arg)
{
	struct remote_job *job = arg;

	return rebuild_ask(job->rebuild, job->socket, job->error);
}

/* A signal ends the waiting, and not the work. */
static int rebuild_remote(struct rebuild *rebuild, const char *socket, struct error *error)
{
	struct remote_job job = { rebuild, socket, error };
	int rc = cli_interruptible(remote_fiber, &job, error);

	if (rc == -ECANCELED)
		error_advise(
			error,
			"the server that has %s goes on with it; `tenon %s %s` says how far it is",
			rebuild->target, rebuild->open ? "lv repair" : "raid show",
			rebuild->target);
	return rc;
}

struct wait_job {
	struct rebuild *rebuild;
	struct raid_array *array;
	struct error *error;
};

static int wait_fiber(void *arg)
{
	struct wait_job *job = arg;

	return raid_rebuild_wait(job->array, rebuild_report, job->rebuild, PROGRESS_INTERVAL_NS,
				 job->error);
}

/* A signal ends the waiting; stopping the array then keeps how far it came. */
static int rebuild_wait(struct rebuild *rebuild, struct raid_array *array, struct error *error)
{
	struct wait_job job = { rebuild, array, error };
	struct raid_status status;
	bool unfinished;
	int rc = cli_interruptible(wait_fiber, &job, error);

	if (rc != -ECANCELED)
		return rc;
	/* What is left of a resync or recovery comes before a check. */
	raid_status(array, &status);
	unfinished = status.progress.operation == RAID_RESYNC ||
		     status.progress.operation == RAID_RECOVER || !rebuild->check;
	raid_status_free(&status);
	if (unfinished)
		advise_going_on(rebuild, error);
	else
		error_advise(error, "nothing is lost; `tenon %s %s` begins anew",
			     check_command(rebuild), rebuild->target);
	return rc;
}

static int rebuild_here(struct rebuild *rebuild, struct stack *stack, struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;
	struct raid_status status;
	struct raid_array *array;
	int rc = rebuild->open ? rebuild->open(rebuild, stack, &block, &array, error)
			       : stack_find_running(stack, rebuild->target, &array, error);

	/* What is left of an earlier resync or recovery comes first. */
	if (!rc)
		rc = rebuild_wait(rebuild, array, error);
	if (!rc && rebuild->check)
		rc = rebuild->repair && rebuild->force
			     ? raid_repair_anyway(array, error)
			     : raid_scrub_start(array, rebuild->repair, error);
	if (!rc && rebuild->check)
		rc = rebuild_wait(rebuild, array, error);
	if (rc)
		return rc;
	raid_status(array, &status);
	rebuild->result = describe_progress(&status);
	/* It was over before anybody looked. */
	if (!rebuild->total && status.progress.last != RAID_IDLE)
		rebuild_show(rebuild, raid_operation_name(status.progress.last),
			     status.progress.position, status.progress.total, status.progress.rate);
	rebuild->left = raid_progress_left(&status.progress);
	if (status.degraded)
		say_degraded(rebuild, status.level, status.working, status.raid_disks);
	raid_status_free(&status);
	return 0;
}

/* Somebody held it, or who was to get the data failed. */
static int say_ended_early(const struct rebuild *rebuild, const char *what, bool held,
			   struct error *error)
{
	char size[SIZE_TEXT];

	error_set(error, -EIO, "%s: the %s was ended with %s to go", rebuild->target, what,
		  size_format(rebuild->left, size));
	if (held)
		advise_going_on(rebuild, error);
	else
		error_advise(error, "`tenon %s %s` says who failed",
			     rebuild->open ? "lv show" : "raid show", rebuild->target);
	return -EIO;
}

/* For those who saw no bar, because they have no terminal or it was over at once. */
static int rebuild_summary(const struct rebuild *rebuild, struct error *error)
{
	const char *what =
		strcmp(rebuild->progress.what, "recover") ? rebuild->progress.what : "recovery";
	bool held = json_is_true(json_object_get(rebuild->result, "held"));
	char sizes[2][SIZE_TEXT];

	if (rebuild->left && (held || rebuild->total))
		return say_ended_early(rebuild, what, held, error);
	if (!rebuild->total)
		cli_say("%s: nothing left to rebuild", rebuild->target);
	else
		/* What was over at once has no rate. */
		cli_say("%s: %s of %s is done%s%s%s", rebuild->target, what,
			size_format(rebuild->total, sizes[0]), rebuild->rate ? ", " : "",
			rebuild->rate ? size_format(rebuild->rate, sizes[1]) : "",
			rebuild->rate ? "/s" : "");
	return 0;
}

/* 1: it is done; 0: no server has it. */
static int rebuild_by_owner(struct rebuild *rebuild, struct error *error)
{
	int rc;

	do {
		CLEANUP_FREE char *socket = NULL;

		rebuild->ended = false;
		rc = owner_find(&rebuild->given, rebuild->target, &socket, error);
		if (rc || !socket)
			return rc;
		rc = rebuild_remote(rebuild, socket, error);
	} while (rebuild->ended);
	cli_progress_end(&rebuild->progress);
	return rc ? rc : 1;
}

int rebuild_compare(struct rebuild *rebuild, struct raid_array *array, struct error *error)
{
	struct raid_status status;
	bool differ;
	int rc;

	raid_status(array, &status);
	differ = !status.agree;
	for (unsigned i = 0; i < status.member_count; i++)
		differ |= status.members[i].state == RAID_MEMBER_REBUILDING;
	raid_status_free(&status);
	if (differ) {
		cli_say("  before that its members differ, and are not compared");
		return 0;
	}
	rc = raid_scrub_start(array, false, error);
	if (!rc)
		rc = rebuild_wait(rebuild, array, error);
	cli_progress_end(&rebuild->progress);
	if (rc)
		return rc;
	raid_status(array, &status);
	rebuild->result = describe_progress(&status);
	raid_status_free(&status);
	scrub_say(rebuild, number_of(rebuild->result, "mismatch_bytes"), false);
	return 0;
}

/* A check of the array on overlays, which tells where a repair would write. */
static int compare_rehearsed(struct rebuild *rebuild, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	struct raid_array *array;
	int rc = rehearse_claim(&stack, &rebuild->given, rebuild->target, error);

	if (!rc)
		rc = stack_find_running(stack, rebuild->target, &array, error);
	return rc ? rc : rebuild_compare(rebuild, array, error);
}

static int recovery_rehearse(struct rebuild *rebuild, struct error *error)
{
	return raid_rehearse_rebuild(&rebuild->given, rebuild->target, error);
}

static int repair_rehearse(struct rebuild *rebuild, struct error *error)
{
	struct raid_plan plan = { .method = "raid.check", .force = rebuild->force };
	CLEANUP_FREE char *socket = NULL;
	int rc = owner_find(&rebuild->given, rebuild->target, &socket, error);

	if (!rc)
		rc = raid_plan_show(&plan, &rebuild->given, rebuild->target, error);
	if (!rc && !socket)
		return compare_rehearsed(rebuild, error);
	/* What a machine writes in the meantime would look like a difference. */
	if (!rc)
		cli_say("  a server has it: `tenon raid check %s` has that tell where members "
			"differ",
			rebuild->target);
	return rc;
}

static int rebuild_run(void *arg, struct error *error)
{
	struct rebuild *rebuild = arg;
	struct stack_options options = { .write = true,
					 .resync = true,
					 .command = rebuild->mend ? "tenon lv repair" : NULL };
	struct cli_words targets = { &rebuild->target, 1 };
	struct stack *stack = NULL;
	int rc;

	if (rebuild->consent.dry_run)
		return rebuild->rehearse(rebuild, error);
	rc = rebuild_by_owner(rebuild, error);
	if (rc < 0)
		return rc;
	if (rc > 0) {
		rc = 0;
	} else {
		rc = stack_claim(&stack, &rebuild->given, &targets, &options, error);
		if (!rc)
			rc = rebuild_here(rebuild, stack, error);
		if (rc)
			stack_close(stack, NULL);
		else
			rc = stack_close(stack, error);
	}
	cli_progress_end(&rebuild->progress);
	if (!rc && !rebuild->check)
		rc = rebuild_summary(rebuild, error);
	return !rc && rebuild->check ? scrub_result(rebuild, error) : rc;
}

int rebuild_do(struct rebuild *rebuild)
{
	int status;

	if (!rebuild->repair && rebuild->force)
		status = cli_usage_error("--force: it is about a repair; give --repair too");
	else if (rebuild->check && !rebuild->repair && rebuild->consent.dry_run)
		status =
			cli_usage_error("--dry-run: a check changes nothing; it is about --repair");
	else
		status = cli_on_fiber(rebuild_run, rebuild);
	json_decref(rebuild->result);
	json_decref(rebuild->mend);
	return status == EXIT_DONE && rebuild->in_part ? EXIT_IN_PART : status;
}

static int rebuild_verb(struct rebuild *rebuild, const char *usage,
			const struct cli_option *options, int argc, char **argv)
{
	struct cli_words operands;
	int status;

	if (!cli_parse(usage, options, argc, argv, 1, 1, &operands, &status))
		return status;
	rebuild->target = raid_target(operands.words[0]);
	rebuild->rehearse = rebuild->check ? repair_rehearse : recovery_rehearse;
	status = rebuild_do(rebuild);
	free(rebuild->target);
	return status;
}

int raid_rebuild_verb(int argc, char **argv)
{
	struct rebuild rebuild = { .progress.what = "rebuild" };
	const struct cli_option options[] = { CLI_OPTION_DRY_RUN(&rebuild.consent),
					      CLI_OPTION_BACKUP_FILE(&rebuild.backups),
					      CLI_OPTION_DEVICE(&rebuild.given), CLI_OPTION_END };

	rebuild.given.backups = &rebuild.backups;
	return rebuild_verb(&rebuild, "raid rebuild NAME [--backup-file FILE]", options, argc,
			    argv);
}

int raid_repair_verb(int argc, char **argv)
{
	struct rebuild rebuild = { .progress.what = "repair", .check = true, .repair = true };
	const struct cli_option options[] = {
		CLI_OPTION_DEVICE(&rebuild.given),
		{ "force", CLI_FLAG, &rebuild.force, NULL, REBUILD_FORCE_HELP },
		CLI_OPTION_DRY_RUN(&rebuild.consent),
		CLI_OPTION_END,
	};

	return rebuild_verb(&rebuild, "raid repair NAME [--force]", options, argc, argv);
}

int raid_check_verb(int argc, char **argv)
{
	struct rebuild rebuild = { .progress.what = "check", .check = true };
	const struct cli_option options[] = {
		CLI_OPTION_DEVICE(&rebuild.given),
		{ "repair", CLI_FLAG, &rebuild.repair, NULL, "make the members agree" },
		{ "force", CLI_FLAG, &rebuild.force, NULL, REBUILD_FORCE_HELP },
		CLI_OPTION_DRY_RUN(&rebuild.consent),
		CLI_OPTION_END,
	};

	return rebuild_verb(&rebuild, "raid check NAME [--repair] [--force]", options, argc, argv);
}
