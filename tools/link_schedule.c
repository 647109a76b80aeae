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

#define SCHEDULE_USAGE "link schedule NAME PORT FILE|show|clear [--json]"

char *link_read_text(const char *what, const char *path, size_t most, struct error *error)
{
	bool is_input = !strcmp(path, "-");
	CLEANUP_CLOSE int fd = is_input ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	char *text = malloc(most + 2);
	size_t length = 0;
	ssize_t got = 1;

	if (!text || (!is_input && fd < 0)) {
		error_set(error, text ? -errno : -ENOMEM, "%s %s: %s", what, path,
			  strerror(text ? errno : ENOMEM));
		free(text);
		return NULL;
	}
	while (got && length <= most) {
		got = read(is_input ? STDIN_FILENO : fd, text + length, most + 1 - length);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got < 0)
			break;
		else
			length += (size_t)got;
	}
	text[length] = '\0';
	if (got < 0)
		error_set(error, -errno, "%s %s: %s", what, path, strerror(errno));
	else if (length > most)
		error_set(error, -EFBIG, "%s %s: it is longer than the %zu bytes that fit", what,
			  path, most);
	else if (strlen(text) != length)
		error_set(error, -EINVAL, "%s %s: byte %zu is zero: expected text", what, path,
			  strlen(text));
	else
		return text;
	free(text);
	return NULL;
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
