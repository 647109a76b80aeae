/* SPDX-License-Identifier: BSD-2-Clause */
/* See look.h. */
#include "tools/look.h"

static int look_run(void *arg, struct error *error)
{
	struct look *look = arg;

	return look->run(look, error);
}

static bool look_parse(struct look *look, int argc, char **argv, int *status)
{
	struct cli_listing *listing = &look->listing;
	const struct cli_option own =
		look->option ? *look->option : (struct cli_option)CLI_OPTION_END;
	const struct cli_option of_list[] = { CLI_OPTION_LOOK_AT(&look->given),
					      CLI_OPTIONS_LISTING(listing), own, CLI_OPTION_END };
	const struct cli_option of_show[] = { CLI_OPTION_LOOK_AT(&look->given),
					      CLI_OPTIONS_SHOW(listing), own, CLI_OPTION_END };

	return cli_parse(look->usage, look->columns ? of_list : of_show, argc, argv, look->least,
			 look->most, &look->operands, status) &&
	       cli_listing_check(listing, look->columns, status);
}

int look_verb(struct look *look, int argc, char **argv)
{
	struct error error = { 0 };
	int status;

	if (!look_parse(look, argc, argv, &status))
		return status;
	look->name = look->operands.count ? look->operands.words[0] : NULL;
	if (look->name && look->check && !look->check(look->name, &error))
		return cli_wrong_value(NULL, &error);
	status = cli_on_fiber(look_run, look);
	if (look->result)
		cli_print_result(look->result, look->columns, look->parts, &look->listing);
	json_decref(look->result);
	look->result = NULL;
	return status;
}
