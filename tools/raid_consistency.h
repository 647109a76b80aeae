/* SPDX-License-Identifier: BSD-2-Clause */
/* What an array goes by after a crash, by mdadm's words. */
#ifndef TENON_TOOLS_RAID_CONSISTENCY_H
#define TENON_TOOLS_RAID_CONSISTENCY_H

#include "raid/raid.h"
#include "tools/cli.h"

/* resync, bitmap, ppl or journal; -EINVAL with `error` set for any other word. */
int raid_consistency_parse(const char *text, enum raid_bitmap_choice *choice, struct error *error);

/* `raid grow NAME --consistency resync|bitmap|ppl`. The exit status. */
int raid_consistency_verb(const struct cli_words *given, const char *name, const char *wanted,
			  bool dry_run);

#endif
