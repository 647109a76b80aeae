/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon link`: links to ports of running switches, bad on purpose. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/devices.h"
#include "tools/link.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "vswitch/link_model.h"

#define SET_USAGE                                                                                  \
	"link set NAME PORT [--direction in|out|both] [--delay TIME] [--jitter TIME[,SHAPE]] "     \
	"[--loss LOSS] [--rate RATE] ..."
#define CLEAR_USAGE "link clear NAME PORT [--direction in|out|both]"
#define SHOW_USAGE  "link show NAME [PORT] [--json]"

/* The options that are words of a model, by their keys. */
enum {
	WORD_DELAY,
	WORD_JITTER,
	WORD_LOSS,
	WORD_DUPLICATE,
	WORD_CORRUPT,
	WORD_REORDER,
	WORD_RATE,
	WORD_BURST,
	WORD_QUEUE,
	WORD_SEED,
	WORD_COUNT
};

static const char *const word_keys[WORD_COUNT] = { "delay",   "jitter",  "loss", "duplicate",
						   "corrupt", "reorder", "rate", "burst",
						   "queue",   "seed" };

static bool check_direction(const char *direction)
{
	if (!strcmp(direction, "in") || !strcmp(direction, "out") || !strcmp(direction, "both"))
		return true;
	cli_usage_error("--direction %s: expected in (from the port), out (to it) or both",
			direction);
	return false;
}

/* ---- tenon link set ---- */

/* Options without a value, and those that take them back. */
enum { FLAG_KEEP_ORDER, FLAG_NO_KEEP_ORDER, FLAG_ECN, FLAG_NO_ECN, FLAG_COUNT };

static const char *const flag_words[FLAG_COUNT] = { "keep-order=yes", "keep-order=no", "ecn=yes",
						    "ecn=no" };

/* NULL, with wrong usage told, where a word cannot be. */
static json_t *make_words(const char *const values[WORD_COUNT], const bool flags[FLAG_COUNT])
{
	json_t *words = json_array();
	struct link_model model = { 0 };
	struct error error = { 0 };

	for (unsigned i = 0; i < WORD_COUNT; i++) {
		CLEANUP_FREE char *word = NULL;

		if (!values[i])
			continue;
		if (asprintf(&word, "%s=%s", word_keys[i], values[i]) < 0)
			word = NULL;
		if (!word || link_model_set(&model, word, &error)) {
			cli_usage_error("--%s", word ? error.text : word_keys[i]);
			json_decref(words);
			return NULL;
		}
		json_array_append_new(words, json_string(word));
	}
	for (unsigned i = 0; i < FLAG_COUNT; i++)
		if (flags[i])
			json_array_append_new(words, json_string(flag_words[i]));
	return words;
}

/* The numbers of a trace, beside the words. False, with what is wrong told. */
static bool add_trace(json_t *params, const char *path, int *status)
{
	struct link_trace *trace = NULL;
	struct error error = { 0 };
	CLEANUP_FREE char *text = link_read_text("trace", path, LINK_TRACE_BYTES, &error);

	if (!text || link_trace_read(&trace, path, text, &error)) {
		*status = cli_fail(error.code, &error);
		return false;
	}
	json_object_set_new(params, "trace", json_string(text));
	json_object_set_new(params, "trace_file", json_string(trace->name));
	link_trace_drop(trace);
	return true;
}

/* The same of a table of jitter. */
static bool add_table(json_t *params, const char *name, int *status)
{
	struct link_table *table = NULL;
	struct error error = { 0 };
	CLEANUP_FREE char *text = link_read_table(name, &error);

	if (!text || link_table_read(&table, name, text, &error)) {
		*status = cli_fail(error.code, &error);
		return false;
	}
	json_object_set_new(params, "table", json_string(text));
	json_object_set_new(params, "table_file", json_string(table->name));
	link_table_drop(table);
	return true;
}

static int ask_link(const char *method, const struct cli_words *operands, const char *direction,
		    json_t *words, const char *trace, const char *table)
{
	json_t *params =
		json_pack("{s:s, s:s}", "port", operands->words[1], "direction", direction);

	int status;

	if (words)
		json_object_set_new(params, "words", words);
	if ((trace && !add_trace(params, trace, &status)) ||
	    (table && !add_table(params, table, &status))) {
		json_decref(params);
		return status;
	}
	return switch_ask(operands->words[0], method, params, NULL);
}

static int link_set(int argc, char **argv)
{
	const char *values[WORD_COUNT] = { NULL }, *direction = "both";
	const char *trace = NULL;
	bool flags[FLAG_COUNT] = { false };
	const struct cli_option options[] = {
		{ "direction", CLI_TEXT, &direction, "in|out|both",
		  "in: what comes from the port; out: what goes to it (both)" },
		{ "delay", CLI_TEXT, &values[WORD_DELAY], "TIME", "20ms, 1.5s, ..." },
		{ "jitter", CLI_TEXT, &values[WORD_JITTER], "TIME[,SHAPE]",
		  "more or less delay: uniform, normal, pareto or table=FILE" },
		{ "keep-order", CLI_FLAG, &flags[FLAG_KEEP_ORDER], NULL, "in spite of jitter" },
		{ "no-keep-order", CLI_FLAG, &flags[FLAG_NO_KEEP_ORDER], NULL, "takes that back" },
		{ "loss", CLI_TEXT, &values[WORD_LOSS], "LOSS",
		  "0.5%, gemodel,P,R[,H[,K]] or list,3,7-9" },
		{ "duplicate", CLI_TEXT, &values[WORD_DUPLICATE], "P", "packets that come twice" },
		{ "corrupt", CLI_TEXT, &values[WORD_CORRUPT], "P", "packets with one wrong bit" },
		{ "reorder", CLI_TEXT, &values[WORD_REORDER], "P",
		  "packets that pass by those which are delayed" },
		{ "rate", CLI_TEXT, &values[WORD_RATE], "RATE", "bits a second: 50M, 1.5Gbit" },
		{ "burst", CLI_TEXT, &values[WORD_BURST], "BITS",
		  "of the rate: so many go at once after a pause: 64k" },
		{ "trace", CLI_TEXT, &trace, "FILE",
		  "a recorded rate: each line the milliseconds at which 1500 bytes can go; none" },
		{ "queue", CLI_TEXT, &values[WORD_QUEUE], "LENGTH",
		  "how long packets wait for their turn: 100ms, 1000p" },
		{ "ecn", CLI_FLAG, &flags[FLAG_ECN], NULL,
		  "mark packets that would be dropped, if their ends understand that" },
		{ "no-ecn", CLI_FLAG, &flags[FLAG_NO_ECN], NULL, "takes that back" },
		{ "seed", CLI_TEXT, &values[WORD_SEED], "N", "of all that is random (0)" },
		CLI_OPTION_END,
	};
	struct cli_words operands;
	json_t *words;
	int status;

	if (!cli_parse(SET_USAGE, options, argc, argv, 2, 2, &operands, &status) ||
	    !switch_names_check(&operands, &status))
		return status;
	if (!check_direction(direction))
		return EXIT_USAGE;
	for (unsigned i = 0; i < FLAG_COUNT; i += 2)
		if (flags[i] && flags[i + 1]) {
			cli_usage_error("--%.*s and its opposite exclude each other",
					(int)strcspn(flag_words[i], "="), flag_words[i]);
			return EXIT_USAGE;
		}
	words = make_words(values, flags);
	if (!words)
		return EXIT_USAGE;
	if (trace && !strcmp(trace, "none")) {
		json_array_append_new(words, json_string("trace=none"));
		trace = NULL;
	}
	if (!json_array_size(words) && !trace) {
		json_decref(words);
		return cli_usage_error("nothing to set: give --delay, --loss, --rate, ...");
	}
	return ask_link("switch.link.set", &operands, direction, words, trace,
			values[WORD_JITTER] ? link_jitter_table(values[WORD_JITTER]) : NULL);
}

static int link_clear(int argc, char **argv)
{
	const char *direction = "both";
	const struct cli_option options[] = {
		{ "direction", CLI_TEXT, &direction, "in|out|both",
		  "in: what comes from the port; out: what goes to it (both)" },
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse(CLEAR_USAGE, options, argc, argv, 2, 2, &operands, &status) ||
	    !switch_names_check(&operands, &status))
		return status;
	return check_direction(direction)
		       ? ask_link("switch.link.clear", &operands, direction, NULL, NULL, NULL)
		       : EXIT_USAGE;
}

/* ---- tenon link show ---- */

static void add_ways(json_t *rows, json_t *port)
{
	static const char *const ways[] = { "in", "out" };
	json_t *link = json_object_get(port, "link");

	for (size_t i = 0; json_is_object(link) && i < ARRAY_SIZE(ways); i++) {
		json_t *row = json_copy(json_object_get(link, ways[i]));

		json_object_set(row, "port", json_object_get(port, "name"));
		json_object_set_new(row, "direction", json_string(ways[i]));
		json_array_append_new(rows, row);
	}
}

static const struct cli_column way_columns[] = {
	{ "PORT", "port", CLI_AS_TEXT },
	{ "WAY", "direction", CLI_AS_TEXT },
	{ "OFFERED", "offered", CLI_AS_TEXT },
	{ "LOST", "lost", CLI_AS_TEXT },
	{ "DOWN", "down", CLI_AS_TEXT, 1 },
	{ "QUEUE FULL", "queue_full", CLI_AS_TEXT, 1 },
	{ "MARKED", "marked", CLI_AS_TEXT, 2 },
	{ "TWICE", "duplicated", CLI_AS_TEXT, 2 },
	{ "CORRUPT", "corrupted", CLI_AS_TEXT, 2 },
	{ "REORDERED", "reordered", CLI_AS_TEXT, 2 },
	{ "DELIVERED", "delivered", CLI_AS_TEXT },
	{ "LATE, NS (99 %)", "late_p99_ns", CLI_AS_TEXT, 1 },
	{ "MODEL", "model", CLI_AS_NOTE },
	{ NULL },
};

static int link_show(int argc, char **argv)
{
	struct cli_listing listing = { 0 };
	const struct cli_option options[] = { CLI_OPTIONS_LISTING(&listing), CLI_OPTION_END };
	json_t *result = NULL, *rows, *port, *found;
	struct cli_words operands;
	size_t index;
	int status;

	if (!cli_parse(SHOW_USAGE, options, argc, argv, 1, 2, &operands, &status) ||
	    !cli_listing_check(&listing, way_columns, &status) ||
	    !switch_names_check(&operands, &status))
		return status;
	status = switch_ask_ports(operands.words[0], operands.count > 1 ? operands.words[1] : NULL,
				  &result, &found);
	if (status != EXIT_DONE)
		return status;
	rows = json_array();
	json_array_foreach(json_object_get(result, "ports"), index, port)
		if (!found || port == found)
			add_ways(rows, port);
	cli_print_result(rows, way_columns, NULL, &listing);
	json_decref(rows);
	json_decref(result);
	return EXIT_DONE;
}

int command_link(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "set", link_set,
		  "NAME PORT [--direction in|out|both] [--delay TIME] [--jitter TIME[,SHAPE]] "
		  "[--loss LOSS] [--rate RATE] ...",
		  "make the link to a port of a running switch bad" },
		{ "clear", link_clear, "NAME PORT [--direction in|out|both]",
		  "make it good again; what is on its way still arrives" },
		{ "schedule", link_schedule, "NAME PORT FILE|show|clear [--json]",
		  "change links by a script with times: flaps, partitions, other models" },
		{ "show", link_show, "NAME [PORT] [--json]",
		  "what was asked for, and what happened" },
		{ NULL, NULL, NULL, NULL },
	};

	return cli_run_verb("link", verbs, argc, argv);
}
