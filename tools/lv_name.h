/* SPDX-License-Identifier: BSD-2-Clause */
/* How volumes are named. */
#ifndef TENON_TOOLS_LV_NAME_H
#define TENON_TOOLS_LV_NAME_H

#include <stdbool.h>

struct error;

/* Whether it is VG/LV; else `error` says what is expected. */
bool lv_check_name(const char *name, struct error *error);

#endif
