/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon lv repair` and `lv scrub`: arrays of volumes; what goes on with md arrays, too, is in raid_rebuild.h. */
#ifndef TENON_TOOLS_LV_RAID_H
#define TENON_TOOLS_LV_RAID_H

int lv_repair_verb(int argc, char **argv);
int lv_scrub_verb(int argc, char **argv);

#endif
