/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon pv move` and `tenon lv move`: asks the server that has the group, or moves here. See move.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "rpc/rpc.h"
#include "tools/describe.h"
#include "tools/lv_change.h"
#include "tools/lv_size.h"
#include "tools/move.h"
#include "tools/owner.h"
#include "tools/pv_find.h"
#include "tools/rehearse.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "util/size.h"

#define INTERVAL_NS (200 * 1000 * 1000ull)

struct move_command {
	struct cli_words given;
	const char *verb;
	char *source; /* a device, or VG/LV */
	char *vg;     /* once it is known */
	json_t *params;
	bool of_volume, undo, go_on, no_wait, dry_run;
	bool begun; /* by a server; should that end, nothing is begun anew */
	uint64_t rate;
	struct cli_progress progress;
	uint64_t total, last_rate;
};

/* ---- Which group ---- */

static int find_group_of(struct move_command *command, struct error *error)
{
	CLEANUP_FREE char *device = lv_place_device(command->source), *from = NULL;
	const char *ranges = command->source + (device ? strlen(device) : 0);
	struct error first = { 0 };
	char uuid[VOLUME_UUID_TEXT];
	int rc = device ? pv_find(&command->given, device, &command->vg, uuid, &first) : -ENOMEM;

	/* Not extents of a disk, but the partition on it? */
	if (rc == -ENOENT && *ranges) {
		ranges = "";
		rc = pv_find(&command->given, command->source, &command->vg, uuid, error);
	} else if (rc) {
		*error = first;
	}
	if (!rc && asprintf(&from, "%s%s", uuid, ranges) < 0)
		rc = -ENOMEM;
	if (!rc)
		json_object_set_new(command->params, "from", describe_text(from));
	return rc;
}

static int prepare(struct move_command *command, struct error *error)
{
	int rc = 0;

	if (command->of_volume) {
		command->vg = cli_keep_text(command->source);
		if (command->vg)
			command->vg[strcspn(command->vg, "/")] = '\0';
		json_object_set_new(command->params, "volumes",
				    json_pack("[o]", describe_text(command->source)));
		json_object_set_new(command->params, "of_volume", json_true());
		rc = command->vg ? 0 : -ENOMEM;
	} else {
		rc = find_group_of(command, error);
	}
	if (!rc)
		json_object_set_new(command->params, "name", describe_text(command->vg));
	if (!rc && command->rate)
		json_object_set_new(command->params, "rate",
				    json_integer((json_int_t)command->rate));
	return rc;
}

/* ---- Telling ---- */

static void show(struct move_command *command, uint64_t done, uint64_t total, uint64_t rate)
{
	if (!total)
		return;
	cli_progress_report(&command->progress, done, total, rate);
	command->total = total;
	command->last_rate = rate ? rate : command->last_rate;
}

static void summary(const struct move_command *command)
{
	char sizes[2][SIZE_TEXT];

	if (!command->total)
		cli_say("%s: all is moved", command->vg);
	else
		cli_say("%s: %s are moved%s%s%s", command->vg,
			size_format(command->total, sizes[0]), command->last_rate ? ", " : "",
			command->last_rate ? size_format(command->last_rate, sizes[1]) : "",
			command->last_rate ? "/s" : "");
}

static int advise_half_done(const struct move_command *command, struct error *error)
{
	return error_advise(error,
			    "it is half done: `tenon %s %s --continue` goes on, --abort undoes it",
			    command->verb, command->source);
}

/* ---- By a server ---- */

struct remote_move {
	struct move_command *command;
	const char *socket;
	struct error *error;
};

static uint64_t number_of(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static int wait_for_server(void *arg)
{
	const struct remote_move *remote = arg;
	bool done = false;
	int rc = 0;

	while (!rc && !done) {
		json_t *answer = NULL;

		rc = rpc_call(remote->socket, "pv.move_wait",
			      json_pack("{s:o}", "name", describe_text(remote->command->vg)),
			      &answer, remote->error);
		done = json_is_true(json_object_get(answer, "done"));
		if (!rc)
			show(remote->command, number_of(answer, "position_bytes"),
			     number_of(answer, "total_bytes"), number_of(answer, "rate_bytes"));
		json_decref(answer);
	}
	return rc;
}

static int move_by_server(struct move_command *command, const char *socket, struct error *error)
{
	const char *method = command->undo    ? "pv.move_abort"
			     : command->go_on ? "pv.move_resume"
					      : "pv.move";
	struct remote_move remote = { command, socket, error };
	json_t *answer = NULL;
	int rc = rpc_call(socket, method, json_incref(command->params), &answer, error);

	if (!rc)
		lv_change_tell(json_object_get(answer, "notes"), json_object_get(answer, "news"));
	json_decref(answer);
	if (rc || command->undo || command->no_wait)
		return rc;
	command->begun = true;
	rc = cli_interruptible(wait_for_server, &remote, error);
	if (rc == -ECANCELED)
		return error_advise(error,
				    "the server goes on with it; `tenon status` says how far it "
				    "is, --abort undoes it");
	return rc ? advise_half_done(command, error) : 0;
}

/* ---- Here ---- */

struct local_move {
	struct move_command *command;
	struct volume_group *group;
	struct error *error;
};

static void report(const struct volume_move_status *status, void *arg)
{
	/* Of the last one nothing is left to be told. */
	if (status->half_done)
		show(arg, status->done, status->total, status->rate);
}

static int wait_here(void *arg)
{
	const struct local_move *local = arg;

	return volume_move_wait(local->group, report, local->command, INTERVAL_NS, local->error);
}

static int begin_here(struct move_command *command, struct volume_group *group, struct error *error)
{
	json_t *news = json_array(), *notes = NULL;
	struct volume_move_status status;
	int rc = move_begin(group, command->params, news, error);

	if (!rc)
		notes = lv_change_notes(group);
	lv_change_tell(notes, news);
	json_decref(notes);
	json_decref(news);
	volume_move_status(group, &status);
	command->total = status.total;
	return rc;
}

static int move_with(struct move_command *command, struct volume_group *group, struct error *error)
{
	struct local_move local = { command, group, error };
	struct volume_move_run run = { .rate = command->rate };
	struct volume_move_status status;
	int rc;

	if (command->undo)
		return volume_move_abort(group, error);
	rc = command->go_on ? 0 : begin_here(command, group, error);
	volume_move_status(group, &status);
	if (!rc && !status.half_done)
		return error_set(error, -ENOENT, "volume group %s: no move is half done",
				 group->name);
	if (rc || command->no_wait)
		return rc;
	rc = volume_move_start(group, &run, error);
	if (!rc)
		rc = cli_interruptible(wait_here, &local, error);
	volume_move_stop(group);
	return rc ? advise_half_done(command, error) : 0;
}

static int move_here(struct move_command *command, struct error *error)
{
	CLEANUP_FREE char *text = NULL;
	struct stack_options options = { .write = true };
	struct cli_words targets = { &command->vg, 1 };
	struct stack *stack = NULL;
	struct volume_group *group;
	int rc;

	if (asprintf(&text, "tenon %s", command->verb) < 0)
		return -ENOMEM;
	options.command = text;
	rc = stack_claim(&stack, &command->given, &targets, &options, error);
	if (!rc)
		rc = stack_find_group(stack, command->vg, &group, error);
	if (!rc)
		rc = move_with(command, group, error);
	return stack_finish(stack, rc, error);
}

/* ---- Only said ---- */

static int rehearse_with(struct move_command *command, struct volume_group *group,
			 struct error *error)
{
	struct volume_move_status status;
	char sizes[2][SIZE_TEXT];
	json_t *lines = json_array(), *line;
	size_t index;
	int rc = 0;

	volume_move_status(group, &status);
	size_format(status.done, sizes[0]);
	size_format(status.total - status.done, sizes[1]);
	if (command->undo)
		rc = volume_move_abort(group, error);
	else if (command->go_on && !status.half_done)
		rc = error_set(error, -ENOENT, "volume group %s: no move is half done",
			       group->name);
	else if (!command->go_on)
		rc = move_begin(group, command->params, lines, error);
	if (!rc && command->undo)
		cli_say("%s: %s would stay where it was moved to, %s where it was", group->name,
			sizes[0], sizes[1]);
	else if (!rc && command->go_on)
		cli_say("%s: %s would be moved, %s is already", group->name, sizes[1], sizes[0]);
	else if (!rc)
		move_describe_plan(group, lines);
	json_array_foreach(lines, index, line) {
		if (!rc && json_is_string(line))
			cli_say("%s", json_string_value(line));
	}
	json_decref(lines);
	return rc;
}

static int move_rehearse(struct move_command *command, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	struct volume_group *group;
	int rc = rehearse_claim(&stack, &command->given, command->vg, error);

	if (!rc)
		rc = stack_find_group(stack, command->vg, &group, error);
	return rc ? rc : rehearse_with(command, group, error);
}

static int command_run(void *arg, struct error *error)
{
	struct move_command *command = arg;
	int rc = prepare(command, error);

	if (!rc && command->dry_run)
		return move_rehearse(command, error);
	while (!rc) {
		CLEANUP_FREE char *socket = NULL;

		rc = owner_find(&command->given, command->vg, &socket, error);
		if (!rc && socket)
			rc = move_by_server(command, socket, error);
		else if (!rc)
			rc = move_here(command, error);
		if (rc && socket && !command->begun && owner_has_ended(rc, socket)) {
			rc = 0;
			continue;
		}
		break;
	}
	cli_progress_end(&command->progress);
	if (!rc && !command->undo && !command->no_wait)
		summary(command);
	return rc;
}

/* ---- Verbs ---- */

#define MOVE_OPTIONS(command)                                                                      \
	{ "continue", CLI_FLAG, &(command)->go_on, NULL, "go on with one that is half done" },     \
		{ "abort", CLI_FLAG, &(command)->undo, NULL,                                       \
		  "undo it: what is moved stays there" },                                          \
		{ "no-wait", CLI_FLAG, &(command)->no_wait, NULL,                                  \
		  "only begin; a server goes on by itself" },                                      \
		{ "dry-run", CLI_FLAG, &(command)->dry_run, NULL,                                  \
		  "only say what would be moved, and where to" },                                  \
		{ "rate", CLI_SIZE,  &(command)->rate, "SIZE", "at most so much a second",         \
		  1,      1ull << 50 },                                                            \
	{                                                                                          \
		"alloc", CLI_TEXT, &policy, "POLICY",                                              \
			"contiguous, cling, normal or anywhere: stripes and copies may share one"  \
	}

static int move_verb(struct move_command *command, const struct cli_words *operands,
		     const char *policy)
{
	enum volume_allocation allocation;
	struct error error = { 0 };
	int status;

	if (command->undo + command->go_on && operands->count > 1)
		return cli_usage_error("--%s: takes no devices to move to",
				       command->undo ? "abort" : "continue");
	if (command->undo && command->go_on)
		return cli_usage_error("--abort and --continue: expected one of them");
	if (policy && volume_allocation_parse(policy, &allocation, &error))
		return cli_usage_error("--alloc: %s", error.text);
	if (policy)
		json_object_set_new(command->params, "allocation", json_string(policy));
	command->source = operands->words[0];
	command->progress.what = "move";
	if (operands->count > 1)
		lv_place_add(operands, 1, command->params);
	status = cli_on_fiber(command_run, command);
	return status;
}

int pv_move_verb(int argc, char **argv)
{
	struct move_command command = { .verb = "pv move" };
	struct cli_words volumes = { 0 }, operands;
	const char *policy = NULL;
	const struct cli_option options[] = {
		{ "volume", CLI_LIST, &volumes, "VG/LV",
		  "only this volume, with all that it is made of (repeatable)" },
		MOVE_OPTIONS(&command),
		CLI_OPTION_DEVICE(&command.given),
		CLI_OPTION_END,
	};
	int status;

	if (!cli_parse("pv move DEVICE [DEVICE]... [--volume VG/LV]", options, argc, argv, 1,
		       CLI_ANY, &operands, &status))
		return status;
	command.params = json_object();
	if (volumes.count) {
		json_t *list = json_array();

		for (unsigned i = 0; i < volumes.count; i++)
			json_array_append_new(list, describe_text(volumes.words[i]));
		json_object_set_new(command.params, "volumes", list);
	}
	status = move_verb(&command, &operands, policy);
	json_decref(command.params);
	return status;
}

int lv_move_verb(int argc, char **argv)
{
	struct move_command command = { .verb = "lv move", .of_volume = true };
	const char *policy = NULL, *from = NULL;
	struct cli_words operands;
	const struct cli_option options[] = {
		{ "from", CLI_TEXT, &from, "DEVICE",
		  "what lies there; without it all that is not on those named" },
		MOVE_OPTIONS(&command),
		CLI_OPTION_DEVICE(&command.given),
		CLI_OPTION_END,
	};
	const char *slash;
	int status;

	if (!cli_parse("lv move VG/LV [DEVICE]... [--from DEVICE]", options, argc, argv, 1, CLI_ANY,
		       &operands, &status))
		return status;
	slash = strchr(operands.words[0], '/');
	if (!slash || slash == operands.words[0] || !slash[1])
		return cli_usage_error("%s: expected VG/LV", operands.words[0]);
	if (!from && operands.count == 1 && !command.undo && !command.go_on)
		return cli_usage_error("expected devices to move to, or --from");
	command.params = json_object();
	if (from) {
		struct cli_words one = { (char **)&from, 1 };
		json_t *resolved = lv_place_words(&one, 0);

		json_object_set(command.params, "from", json_array_get(resolved, 0));
		json_decref(resolved);
	}
	status = move_verb(&command, &operands, policy);
	json_decref(command.params);
	return status;
}
