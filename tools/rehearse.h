/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --dry-run of changes that are the same whether they are made or not: they are made on overlays of their devices
 * (block/overlay.h), by the same functions, so that what would be refused is refused. Nothing is locked; who has the devices
 * is not asked, but its rules hold.
 */
#ifndef TENON_TOOLS_REHEARSE_H
#define TENON_TOOLS_REHEARSE_H

#include <jansson.h>

#include "tools/stack.h"

/* What `target` lies on, as it would be opened for writing, with all that is written to it kept in memory. */
int rehearse_claim(struct stack **out, const struct cli_words *given, char *target,
		   struct error *error);

/* Lines of the settings that `params` (vg_change.h, lv_change.h) changes of `what`, which has `tags` then. */
void rehearse_say_settings(const char *what, json_t *params, char *const *tags, unsigned tag_count);

#endif
