/* SPDX-License-Identifier: BSD-2-Clause */
/* Verbs of `tenon lv` that have files of their own. */
#ifndef TENON_TOOLS_LV_VERBS_H
#define TENON_TOOLS_LV_VERBS_H

int lv_convert_verb(int argc, char **argv);
int lv_limit_verb(int argc, char **argv);

#endif
