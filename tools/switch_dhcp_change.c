/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tenon switch dhcp NAME add|remove`: machines and names of a segment's DHCP and DNS, while it runs; both sides. See switch.h.
 *
 * dnsmasq has no way to be told more: it is started again, with the same leases (vswitch_restart_port_user()), and the answer waits until it
 * listens. What is asked for is checked as a whole before, as of a new port; what dnsmasq refuses is undone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fiber/fiber.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "tools/switch_port.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/error.h"
#include "vswitch/switch.h"

/* From the question on, with the wait for changes before it: less than RPC_CALL_NS, so that the command tells why. */
#define CHANGE_MOST_NS 50000000000ull

/* ---- The command ---- */

int switch_dhcp_change(const struct cli_words *operands)
{
	json_t *words = json_array();

	for (unsigned i = 3; i < operands->count; i++)
		json_array_append_new(words, json_string(operands->words[i]));
	return switch_ask(operands->words[0], "switch.dhcp.change",
			  json_pack("{s:s, s:b, s:o}", "port", operands->words[2], "remove",
				    !strcmp(operands->words[1], "remove"), "words", words),
			  NULL);
}

/* ---- What the switch does ---- */

static bool is_list(const char *word)
{
	return !strncmp(word, "host=", 5) || !strncmp(word, "name=", 5);
}

/* Whether a part of a port's description is what is to go: the same, or more of it: "host=MAC" is "host=MAC/ADDRESS/NAME", too. */
static bool is_meant(const char *piece, const char *word)
{
	size_t length = strlen(word);

	return !strncasecmp(piece, word, length) && (!piece[length] || piece[length] == '/');
}

static int check_word(json_t *word, const char **text, struct error *error)
{
	*text = json_string_value(word);
	if (!*text || strchr(*text, ','))
		return error_set(error, -EINVAL, "words: expected a list of texts without commas");
	if (is_list(*text))
		return 0;
	error_set(error, -EINVAL, "\"%.60s\": expected host=MAC/ADDRESS/NAME or name=NAME/ADDRESS",
		  *text);
	return error_advise(error, "for other settings remove the port and add it: leases stay");
}

/* The port's description without a word, *left of it. */
static int drop_word(char **spec, const char *word, struct error *error)
{
	CLEANUP_FREE char *copy = strdup(*spec), *left = NULL;
	char *rest = copy, *piece;
	bool found = false, first = true;
	size_t length;
	FILE *stream = copy ? open_memstream(&left, &length) : NULL;

	while (stream && (piece = strsep(&rest, ","))) {
		bool meant = !first && is_meant(piece, word);

		found |= meant;
		if (!meant)
			fprintf(stream, "%s%s", first ? "" : ",", piece);
		first = false;
	}
	if (!stream || fclose(stream))
		return error_set(error, -ENOMEM, "out of memory");
	if (!found)
		return error_set(error, -ENOENT, "%.80s: there is none such", word);
	free(*spec);
	*spec = steal_pointer(&left);
	return 0;
}

static int add_word(char **spec, const char *word, struct error *error)
{
	char *more;

	if (asprintf(&more, "%s,%s", *spec, word) < 0)
		return error_set(error, -ENOMEM, "out of memory");
	free(*spec);
	*spec = more;
	return 0;
}

static int change_words(char **spec, json_t *params, struct error *error)
{
	bool remove = json_is_true(json_object_get(params, "remove"));
	json_t *words = json_object_get(params, "words"), *word;
	const char *text;
	size_t index;
	int rc = 0;

	if (!json_array_size(words))
		return error_set(error, -EINVAL, "words: expected a list of texts");
	json_array_foreach(words, index, word) {
		rc = check_word(word, &text, error);
		if (!rc)
			rc = remove ? drop_word(spec, text, error) : add_word(spec, text, error);
		if (rc)
			return rc;
	}
	return 0;
}

static int change(struct switch_control *control, const char *port, json_t *params, uint64_t until,
		  struct error *error)
{
	const char *text = json_string_value(json_object_get(control->specs, port));
	CLEANUP_FREE char *changed = text ? strdup(text) : NULL;
	CLEANUP(port_spec_free) struct port_spec before = { 0 }, after = { 0 };
	int rc;

	if (!changed)
		return error_set(error, -ENOENT, "port %.40s: there is none of that name", port);
	rc = port_spec_parse(&before, text, error);
	if (!rc && strcmp(before.type->name, "dhcp") != 0)
		return error_set(error, -EINVAL, "port %s: it is no DHCP, but %s", port,
				 before.type->name);
	if (!rc)
		rc = change_words(&changed, params, error);
	if (!rc)
		rc = port_spec_parse(&after, changed, error);
	if (!rc)
		rc = port_dhcp_restart(control->vswitch, &before, &after, until, error);
	if (!rc)
		json_object_set_new(control->specs, port, json_string(changed));
	return rc;
}

int switch_dhcp_change_method(void *context, json_t *params, json_t **result, struct error *error)
{
	uint64_t until = monotonic_ns() + CHANGE_MOST_NS;
	struct switch_control *control = context;
	const char *port;
	int rc = rpc_param_string(params, "port", &port, error);

	(void)result;
	if (rc)
		return rc;
	fiber_mutex_lock(&control->changing);
	rc = change(control, port, params, until, error);
	fiber_mutex_unlock(&control->changing);
	return switch_answer(rc, error);
}
