/* SPDX-License-Identifier: BSD-2-Clause */
/* See look.h. */
#include "tools/look.h"

static int look_run(void *arg, struct error *error)
{
	struct look *look = arg;

	return look->run(look, error);
}

int look_verb(struct look *look, int argc, char **argv)
{
	bool json = false;
	const struct cli_option options[] = {
		CLI_OPTION_DEVICE(&look->given),
		CLI_OPTION_JSON(&json),
		look->option ? *look->option : (struct cli_option)CLI_OPTION_END,
		CLI_OPTION_END,
	};
	int status;

	if (!cli_parse(look->usage, options, argc, argv, look->least, look->most, &look->operands,
		       &status))
		return status;
	look->name = look->operands.count ? look->operands.words[0] : NULL;
	status = cli_on_fiber(look_run, look);
	if (look->result)
		cli_print_listing(look->result, look->columns, json);
	json_decref(look->result);
	look->result = NULL;
	return status;
}
