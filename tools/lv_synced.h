/* SPDX-License-Identifier: BSD-2-Clause */
/* How far the images of a RAID volume are alike, as Cpy%Sync of lvs: who has it open knows best, and its disks say the rest. */
#ifndef TENON_TOOLS_LV_SYNCED_H
#define TENON_TOOLS_LV_SYNCED_H

#include <jansson.h>
#include <stdbool.h>

struct cli_words;
struct volume_group;
struct volume_lv;

/* Sets "synced_percent" in a row of a listing: by a look, which suspends; null where it keeps its data once, or cannot be opened. `serves`: it is a
 * server who looks, and has a log. */
void lv_synced_look(json_t *row, struct volume_group *group, const struct volume_lv *lv,
		    bool serves);

/* Of rows with that and "served" (served.h), a list or one of them: asks the servers for what is served. */
void lv_synced_ask(json_t *rows, const struct cli_words *given);

#endif
