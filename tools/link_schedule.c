/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon link schedule`: links that change by a script; the script's words are in vswitch/link_schedule.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/devices.h"
#include "tools/link.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "util/cleanup.h"
#include "vswitch/link_schedule.h"

/* Of a request, in bytes of JSON; the server takes 4 MiB. */
#define FILES_MOST 4000000u

#define SCHEDULE_USAGE "link schedule NAME PORT FILE|show|clear [--json]"

/* The numbers of a trace, or of a table of jitter. NULL, with `error` set. */
static char *read_file(const char *path, bool is_table, struct error *error)
{
	CLEANUP_FREE char *text = is_table ? link_read_table(path, error)
					   : link_read_text("trace", path, LINK_TRACE_BYTES, error);
	struct link_table *table = NULL;
	struct link_trace *trace = NULL;

	if (!text || (is_table ? link_table_read(&table, path, text, error)
			       : link_trace_read(&trace, path, text, error)))
		return NULL;
	link_table_drop(table);
	link_trace_drop(trace);
	return steal_pointer(&text);
}

/* A file that the schedule names, once. False, with `error` set. */
static bool add_file(json_t *files, const char *path, bool is_table, struct error *error)
{
	const char *what = is_table ? "table" : "trace";
	CLEANUP_FREE char *text = NULL;

	if (json_object_get(files, path))
		return true;
	if (json_object_size(files) == LINK_SCHEDULE_FILES) {
		error_set(error, -EINVAL, "%s %s: at most %u files fit into a schedule", what, path,
			  LINK_SCHEDULE_FILES);
		return false;
	}
	text = read_file(path, is_table, error);
	if (!text)
		return false;
	if (!json_object_set_new(files, path, json_string(text)))
		return true;
	error_set(error, -EINVAL, "%s %s: expected a name in UTF-8", what, path);
	return false;
}

static bool add_file_of(json_t *files, const char *word, struct error *error)
{
	const char *table = strncmp(word, "jitter=", 7) != 0 ? NULL : link_jitter_table(word + 7);

	if (table)
		return add_file(files, table, true, error);
	if (strncmp(word, "trace=", 6) != 0 || !strcmp(word, "trace=none"))
		return true;
	return add_file(files, word + 6, false, error);
}

/* Those of all its words "trace=FILE" and "jitter=TIME,table=FILE". */
static bool add_schedule_files(json_t *params, const char *schedule, struct error *error)
{
	CLEANUP_FREE char *copy = strdup(schedule);
	json_t *files = json_object();
	char *rest = copy, *line, *word;
	bool good = true;

	while (good && (line = strsep(&rest, "\n")))
		while (good && (word = strsep(&line, " \t\r")) && *word != '#')
			good = add_file_of(files, word, error);
	if (json_object_size(files))
		json_object_set(params, "traces", files);
	json_decref(files);
	if (good && json_dumpb(params, NULL, 0, 0) > FILES_MOST) {
		error_set(error, -EFBIG, "with its files it is longer than the %u bytes that fit",
			  FILES_MOST);
		good = false;
	}
	return good;
}

static int start(const struct cli_words *operands)
{
	struct error error = { 0 };
	const char *path = operands->words[2];
	CLEANUP_FREE char *text = link_read_text("schedule", path, LINK_SCHEDULE_BYTES, &error);
	json_t *params;

	if (!text)
		return cli_fail(error.code, &error);
	params = json_pack("{s:s, s:s, s:s}", "port", operands->words[1], "file", path, "text",
			   text);
	if (!params) {
		error_set(&error, -EINVAL, "schedule %s: expected text in UTF-8", path);
		return cli_fail(-EINVAL, &error);
	}
	if (!add_schedule_files(params, text, &error)) {
		json_decref(params);
		error_prefix(&error, "schedule %s", path);
		return cli_fail(error.code, &error);
	}
	return switch_ask(operands->words[0], "switch.link.schedule.start", params, NULL);
}

/* ---- Looking ---- */

static double seconds(const json_t *object, const char *key)
{
	return (double)json_integer_value(json_object_get(object, key)) / 1e9;
}

static void print_schedule(json_t *schedule, const struct cli_listing *listing)
{
	static const struct cli_column columns[] = {
		{ "PORT", "port", CLI_AS_TEXT },
		{ "DOWN", "cut", CLI_AS_TEXT },
		{ "GROUP", "side", CLI_AS_TEXT },
		{ "CHANGES", "changes", CLI_AS_TEXT },
		{ "LAST, LINE", "last_line", CLI_AS_TEXT },
		{ NULL },
	};

	cli_print_rows(json_object_get(schedule, "links"), columns, listing);
	printf("%s, %.3f s after its beginning: ",
	       json_string_value(json_object_get(schedule, "file")),
	       seconds(schedule, "elapsed_ns"));
	if (json_is_true(json_object_get(schedule, "ended")))
		printf("it has come to its end\n");
	else
		printf("line %" JSON_INTEGER_FORMAT " is next, at %.3f s\n",
		       json_integer_value(json_object_get(schedule, "next_line")),
		       seconds(schedule, "next_ns"));
}

static int ask_about(const struct cli_words *operands, const char *method, json_t **result)
{
	return switch_ask(operands->words[0], method,
			  json_pack("{s:s}", "port", operands->words[1]), result);
}

int link_schedule(int argc, char **argv)
{
	struct cli_listing listing = { 0 };
	const struct cli_option options[] = { CLI_OPTIONS_SHOW(&listing), CLI_OPTION_END };
	struct cli_words operands;
	json_t *result = NULL;
	int status;

	if (!cli_parse(SCHEDULE_USAGE, options, argc, argv, 3, 3, &operands, &status) ||
	    !cli_listing_check(&listing, NULL, &status) || !switch_names_check(&operands, &status))
		return status;
	if (!strcmp(operands.words[2], "clear"))
		return ask_about(&operands, "switch.link.schedule.clear", NULL);
	if (strcmp(operands.words[2], "show"))
		return start(&operands);
	status = ask_about(&operands, "switch.link.schedule.show", &result);
	if (status != EXIT_DONE)
		return status;
	if (listing.json)
		cli_print_json(result);
	else
		print_schedule(result, &listing);
	json_decref(result);
	return EXIT_DONE;
}
