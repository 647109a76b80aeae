/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon lv repair` and `lv scrub`: arrays of volumes; what goes on with md arrays, too, is in raid_rebuild.h. */
#ifndef TENON_TOOLS_LV_RAID_H
#define TENON_TOOLS_LV_RAID_H

struct cli_words;

int lv_repair_verb(int argc, char **argv);
/* Waits until the images of a volume have all data; the status to exit with. */
int lv_repair_wait(const struct cli_words *given, char *name);
int lv_scrub_verb(int argc, char **argv);

#endif
