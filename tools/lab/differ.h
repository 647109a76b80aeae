/* SPDX-License-Identifier: BSD-2-Clause */
/* One scenario at two targets: in what they differ. Times do, and are left out. */
#ifndef TENON_LAB_DIFFER_H
#define TENON_LAB_DIFFER_H

#include <jansson.h>

struct lab_result;

/* A list of texts, for people; empty where both came to the same. The caller drops it. */
json_t *lab_differ(const struct lab_result *a, const struct lab_result *b);

#endif
