/* SPDX-License-Identifier: BSD-2-Clause */
/* The ready scenarios, which are in the program. */
#ifndef TENON_LAB_LIBRARY_H
#define TENON_LAB_LIBRARY_H

struct lab_scenario;
struct error;

unsigned lab_library_count(void);
const char *lab_library_name(unsigned index);
const char *lab_library_text(unsigned index);
const char *lab_library_find(const char *name); /* the text, or NULL */

/* Reads a file, or a ready scenario where `name` has no slash and there is no file of that name. As lab_scenario_parse(). */
int lab_library_load(struct lab_scenario *scenario, const char *name, struct error *error);

#endif
