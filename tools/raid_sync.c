/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon raid stop-sync`, `speed` and `bitmap`: resyncs, rebuilds and checks, and what a crash costs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/consent.h"
#include "tools/describe.h"
#include "tools/output.h"
#include "tools/owner.h"
#include "tools/raid.h"
#include "tools/stack.h"
#include "util/size.h"

/* ---- stop-sync ---- */

struct stop_sync {
	struct cli_words given;
	char *target;
};

static int stop_sync_run(void *arg, struct error *error)
{
	struct stop_sync *stop = arg;
	const struct stack_options options = { .lock = true };
	struct cli_words targets = { &stop->target, 1 };
	struct stack_array *found;
	struct stack *stack = NULL;
	json_t *answer = NULL;
	const char *stopped;
	int rc =
		owner_call(&stop->given, stop->target, "raid.stop_sync",
			   json_pack("{s:o}", "name", describe_text(stop->target)), &answer, error);

	if (rc < 0)
		return rc;
	if (!rc) {
		/* Another command may be at it, which is named. */
		rc = stack_claim(&stack, &stop->given, &targets, &options, error);
		if (!rc)
			rc = stack_find_array(stack, stop->target, &found, error);
		if (!rc)
			cli_say("%s: nothing runs: no server has it", stop->target);
		return stack_finish(stack, rc, error);
	}
	stopped = json_string_value(json_object_get(answer, "stopped"));
	if (!stopped)
		cli_say("%s: nothing runs", stop->target);
	else
		cli_say("%s: %s ended", stop->target, stopped);
	if (json_is_true(json_object_get(answer, "held")))
		cli_warn("%s: its members do not all have its data: `tenon raid rebuild %s` goes "
			 "on; so "
			 "does a member that fails or is added, and the next start",
			 stop->target, stop->target);
	json_decref(answer);
	return 0;
}

int raid_stop_sync_verb(int argc, char **argv)
{
	struct stop_sync stop = { .target = NULL };
	const struct cli_option options[] = { CLI_OPTION_DEVICE(&stop.given), CLI_OPTION_END };
	struct cli_words operands;
	int status;

	if (!cli_parse("raid stop-sync NAME", options, argc, argv, 1, 1, &operands, &status))
		return status;
	stop.target = raid_target(operands.words[0]);
	status = cli_on_fiber(stop_sync_run, &stop);
	free(stop.target);
	return status;
}

/* ---- speed ---- */

struct speed {
	struct cli_words given;
	char *target;
	const char *least, *most;
	uint64_t least_bytes, most_bytes;
	bool json;
};

/* "100M", or "none" for 0. */
static int speed_parse(const char *text, uint64_t *bytes, struct error *error)
{
	*bytes = 0;
	return !strcmp(text, "none") ? 0 : cli_parse_size(text, 1, INT64_MAX, bytes, error);
}

static void speed_params(const struct speed *speed, json_t *params)
{
	json_object_set_new(params, "name", describe_text(speed->target));
	if (speed->least)
		json_object_set_new(params, "least", json_integer((json_int_t)speed->least_bytes));
	if (speed->most)
		json_object_set_new(params, "most", json_integer((json_int_t)speed->most_bytes));
}

static void speed_say(const struct speed *speed, const json_t *answer)
{
	uint64_t least = (uint64_t)json_integer_value(json_object_get(answer, "least"));
	uint64_t most = (uint64_t)json_integer_value(json_object_get(answer, "most"));
	char texts[2][SIZE_TEXT];
	json_t *object;

	if (!speed->json) {
		cli_say("%s: at least %s a second while it is used, at most %s", speed->target,
			least ? size_format(least, texts[0]) : "nothing",
			most ? size_format(most, texts[1]) : "all there is");
		return;
	}
	object = json_pack("{s:o, s:I, s:o}", "name", describe_text(speed->target),
			   "speed_min_bytes", (json_int_t)least, "speed_max_bytes",
			   most ? json_integer((json_int_t)most) : json_null());
	cli_print_json(object);
	json_decref(object);
}

static int speed_run(void *arg, struct error *error)
{
	struct speed *speed = arg;
	json_t *params = json_object(), *answer = NULL;
	int rc;

	speed_params(speed, params);
	rc = owner_call(&speed->given, speed->target, "raid.speed", params, &answer, error);
	if (rc < 0)
		return rc;
	if (!rc) {
		error_set(error, -ENOENT, "%s: no server runs it", speed->target);
		return error_advise(error, "limits hold for as long as its server runs");
	}
	speed_say(speed, answer);
	json_decref(answer);
	return 0;
}

int raid_speed_verb(int argc, char **argv)
{
	struct speed speed = { .json = false };
	struct error error = { 0 };
	const struct cli_option options[] = {
		{ "min", CLI_TEXT, &speed.least, "SIZE",
		  "each second, also while the array is used (1000K); none: it waits" },
		{ "max", CLI_TEXT, &speed.most, "SIZE", "each second; none: as fast as it can" },
		CLI_OPTION_JSON(&speed.json),
		CLI_OPTION_DEVICE(&speed.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("raid speed NAME [--min SIZE] [--max SIZE] [--json]", options, argc, argv, 1,
		       1, &operands, &status))
		return status;
	if (speed.least && speed_parse(speed.least, &speed.least_bytes, &error))
		return cli_wrong_value("min", &error);
	if (speed.most && speed_parse(speed.most, &speed.most_bytes, &error))
		return cli_wrong_value("max", &error);
	speed.target = raid_target(operands.words[0]);
	status = cli_on_fiber(speed_run, &speed);
	free(speed.target);
	return status;
}

/* ---- bitmap ---- */

struct bitmap_change {
	struct cli_words given;
	char *target;
	bool remove;
	uint64_t chunk;
	struct consent consent;
};

static int bitmap_run(void *arg, struct error *error)
{
	struct bitmap_change *change = arg;
	const struct stack_options options = { .write = true };
	struct cli_words targets = { &change->target, 1 };
	struct stack *stack = NULL;
	struct raid_array *array;
	int rc;

	if (change->consent.dry_run)
		return raid_rehearse_bitmap(&change->given, change->target, change->remove,
					    change->chunk, error);
	rc = owner_call(&change->given, change->target, "raid.bitmap",
			json_pack("{s:o, s:b, s:I}", "name", describe_text(change->target),
				  "remove", change->remove, "chunk", (json_int_t)change->chunk),
			NULL, error);

	if (rc)
		return rc > 0 ? 0 : rc;
	rc = stack_claim(&stack, &change->given, &targets, &options, error);
	if (!rc)
		rc = stack_find_running(stack, change->target, &array, error);
	if (!rc)
		rc = change->remove ? raid_bitmap_remove(array, error)
				    : raid_bitmap_add(array, change->chunk, error);
	return stack_finish(stack, rc, error);
}

int raid_bitmap_verb(int argc, char **argv)
{
	struct bitmap_change change = { .remove = false };
	const struct cli_option options[] = {
		{ "chunk", CLI_SIZE, &change.chunk, "SIZE",
		  "bytes that one bit stands for (64M, or as the room allows)", 4096, 1u << 31 },
		CLI_OPTION_DRY_RUN(&change.consent),
		CLI_OPTION_DEVICE(&change.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("raid bitmap NAME add|remove [--chunk SIZE]", options, argc, argv, 2, 2,
		       &operands, &status))
		return status;
	change.remove = !strcmp(operands.words[1], "remove");
	if (!change.remove && strcmp(operands.words[1], "add"))
		return cli_usage_error("%s: expected add or remove", operands.words[1]);
	if (change.remove && change.chunk)
		return cli_usage_error("--chunk is for add");
	change.target = raid_target(operands.words[0]);
	status = cli_on_fiber(bitmap_run, &change);
	free(change.target);
	return status;
}
