/* SPDX-License-Identifier: BSD-2-Clause */
/* Verbs that only look: they take --device and what a listing has for options, find something out on a fiber, and
 * print it. */
#ifndef TENON_TOOLS_LOOK_H
#define TENON_TOOLS_LOOK_H

#include "tools/cli.h"
#include "tools/devices.h"
#include "tools/output.h"

struct look {
	/* the verb's */
	const char *usage;
	unsigned least, most;             /* operands */
	const struct cli_column *columns; /* of a listing; NULL: one object is shown */
	const struct cli_part *parts;     /* of the object, or NULL */
	const struct cli_option *option;  /* one of its own, or NULL */
	/* Whether `name` is one at all, or NULL; else `error` says what is expected. */
	bool (*check)(const char *name, struct error *error);
	/* Sets `result` to what is to be printed, also when it then fails. */
	int (*run)(struct look *look, struct error *error);

	/* the user's */
	struct cli_words given; /* --device */
	struct cli_words operands;
	char *name; /* the first operand, or NULL */
	struct cli_listing listing;

	json_t *result;
	int status; /* what run() found out for the verb's own exit status */
};

/* Parses, runs and prints; returns the exit status. */
int look_verb(struct look *look, int argc, char **argv);

#endif
