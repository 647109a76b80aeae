/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A change of one volume from the command line: asked of the server that has its group, or made here; said only, for --dry-run; and for what may
 * lose something, planned and agreed to first (lv_plan.h).
 */
#ifndef TENON_TOOLS_LV_COMMAND_H
#define TENON_TOOLS_LV_COMMAND_H

#include "tools/consent.h"
#include "tools/lv_plan.h"

struct lv_command {
	struct cli_words given;
	char *name; /* VG/LV */
	const char *method;
	json_t *params;  /* owned; NULL: none but the name */
	bool no_sync;    /* lv extend: what is new counts as in sync */
	bool not_served; /* it was made, and the server cannot serve it */

	/* Of one that may lose something: */
	bool planned;
	json_t *request; /* of lv.plan, owned */
	struct lv_plan_rules rules;
	struct consent consent;
};

/* The words as a list of texts, which the caller owns. */
json_t *lv_command_words(const struct cli_words *words);

/* Carries it out for the volume `name`, VG/LV; `params` and `request` are the change's from here on. The status to exit with. */
int lv_command_do(struct lv_command *change, char *name);

#endif
