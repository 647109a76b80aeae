/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Before something is lost: what is about to be done is said, and asked for.
 *
 *	struct consent consent = { 0 };		its options: CLI_OPTIONS_CONSENT(&consent)
 *	consent_plan(&consent, "%s: would be removed, %s", ...);
 *	consent_loss(&consent, "the %s on it would be lost", ...);
 *	rc = consent_ask(&consent, error);	0: do it
 *
 * Where somebody is at a terminal, all that was planned is printed and a question asked, whose answer is no unless
 * it is yes. Elsewhere a plan by which nothing is lost that can be recognised is carried out, and another is refused.
 * --yes stands for the answer; so does --force of verbs that have it, which is given by those who were refused before.
 * With --dry-run the plan is printed, and nothing done.
 *
 * What is asked about is found out without writing to anything, so that a no leaves every byte as it was.
 */
#ifndef TENON_TOOLS_CONSENT_H
#define TENON_TOOLS_CONSENT_H

#include "tools/cli.h"

struct block;

struct consent {
	bool yes, force, dry_run;
	bool always; /* to be asked for on a terminal though nothing recognisable is lost */

	struct cli_words plan; /* lines */
	const char *loss;      /* the first, or NULL */
};

#define CLI_OPTION_DRY_RUN(consent)                                                                \
	{                                                                                          \
		.name = "dry-run", .letter = 'n', .kind = CLI_FLAG, .value = &(consent)->dry_run,  \
		.help = "say what would be done, and change nothing"                               \
	}
#define CLI_OPTIONS_CONSENT(consent)                                                               \
	{ .name = "yes",                                                                           \
	  .letter = 'y',                                                                           \
	  .kind = CLI_FLAG,                                                                        \
	  .value = &(consent)->yes,                                                                \
	  .help = "do not ask" },                                                                  \
		CLI_OPTION_DRY_RUN(consent)

/* A line of what will be done; below it, of what is lost by that. */
void consent_plan(struct consent *consent, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void consent_loss(struct consent *consent, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Of a partition of a disk that is a member of an array: that it would be damaged. */
void consent_loss_below(struct consent *consent, const struct block *block);

/* Whether anybody will be asked or told, so that what is planned has to be found out. */
bool consent_asks(const struct consent *consent);

/* Plans for a device, or md/NAME in `look` (NULL: it has none), that it is taken for something new: what it becomes, as
 * "would become a member of md/r0", and what is lost by that. Writes to nothing. 0, or a negative errno with `error` set. */
struct stack;
int consent_plan_device(struct consent *consent, struct stack *look, const char *device,
			const char *becomes, struct error *error);

/* The answer: 0 to go on, 1 when there is nothing more to do (a dry run, whose plan is printed), or -EPERM with `error`
 * set. */
int consent_ask(struct consent *consent, struct error *error);

#endif
