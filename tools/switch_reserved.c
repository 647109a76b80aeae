/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon switch reserved`: what becomes of frames to reserved addresses, of the whole switch and live; both sides. See vswitch/reserved.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/devices.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "vswitch/switch.h"

#define RESERVED_USAGE "switch reserved NAME [PROTOCOL=drop|flood|handle|none[,...]] [--json]"

int switch_reserved(int argc, char **argv)
{
	struct cli_listing listing = { 0 };
	const struct cli_option options[] = { CLI_OPTIONS_SHOW(&listing), CLI_OPTION_END };
	struct reserved_choices choices = { 0 };
	struct error error = { 0 };
	struct cli_words operands;
	json_t *result = NULL;
	const char *text;
	int status;

	if (!cli_parse(RESERVED_USAGE, options, argc, argv, 1, 2, &operands, &status) ||
	    !cli_listing_check(&listing, NULL, &status))
		return status;
	text = operands.count > 1 ? operands.words[1] : "";
	if (operands.count > 1 && reserved_parse(&choices, text, &error))
		return cli_usage_error("%s", error.text);
	status = switch_ask(operands.words[0], "switch.reserved",
			    json_pack("{s:s}", "reserved", text), &result);
	if (status != EXIT_DONE)
		return status;
	if (listing.json)
		cli_print_json(result);
	else {
		text = json_string_value(json_object_get(result, "reserved"));
		printf("%s\n", text && *text ? text : "none");
	}
	json_decref(result);
	return status;
}

/* Changes what is said, and tells what holds then; of the rest what reserved.h says for each. */
int switch_reserved_set(void *context, json_t *params, json_t **result, struct error *error)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	struct switch_control *control = context;
	char text[RESERVED_TEXT];
	const char *words;
	int rc = rpc_param_string(params, "reserved", &words, error);

	if (!rc && vswitch_status(control->vswitch, &status))
		rc = error_set(error, -ENOMEM, "switch %s: out of memory", control->name);
	if (!rc && *words)
		rc = reserved_parse(&status->reserved, words, error);
	if (!rc && *words)
		rc = vswitch_set_reserved(control->vswitch, &status->reserved, error);
	if (rc)
		return switch_answer(rc, error);
	reserved_describe(&status->reserved, '=', ',', text, sizeof(text));
	/* For `show --config`. */
	if (text[0] && control->options)
		json_object_set_new(control->options, "reserved", json_string(text));
	else
		json_object_del(control->options, "reserved");
	*result = json_pack("{s:s, s:s}", "name", control->name, "reserved", text);
	return *result ? 0 : error_set(error, -ENOMEM, "switch %s: out of memory", control->name);
}
