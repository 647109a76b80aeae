/* SPDX-License-Identifier: BSD-2-Clause */
/* What a run came to, for programs, people and browsers. */
#ifndef TENON_LAB_REPORT_H
#define TENON_LAB_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct lab_result;
struct lab_scenario;
struct error;

/* All of it; the caller drops it. `timeline`: with samples and notes. */
json_t *lab_report_json(const struct lab_scenario *scenario, const struct lab_result *result,
			bool timeline);
/* The same for people; lines go to `say`. */
void lab_report_text(const struct lab_scenario *scenario, const struct lab_result *result,
		     void (*say)(const char *format, ...));
/* Writes DIR/NAME.html (NAME-TARGET.html of others than tenon), which needs nothing else, and DIR/NAME.json. DIR is made where it is not there. */
int lab_report_write(const char *directory, const struct lab_scenario *scenario,
		     const struct lab_result *result, struct error *error);

/* Writes DIR/NAME-shrunk.yaml, of which `scenario` is what it was made of; says where. */
#define LAB_REPORT_PATH 600
int lab_report_write_scenario(const char *directory, const struct lab_scenario *scenario,
			      const char *text, char path[LAB_REPORT_PATH], struct error *error);

/* report_html.c */
void lab_report_html(FILE *file, const struct lab_scenario *scenario,
		     const struct lab_result *result);

#endif
