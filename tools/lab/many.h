/* SPDX-License-Identifier: BSD-2-Clause */
/* One scenario from many seeds: how long rebuilds take, how long it is exposed, how often data are lost, and how sure that is. */
#ifndef TENON_LAB_MANY_H
#define TENON_LAB_MANY_H

#include <jansson.h>
#include <stdint.h>

struct lab_scenario;
struct error;

/* Of one quantity over all runs. */
struct lab_spread {
	double least, p5, median, p95, most, mean;
	double low, high; /* where the mean is, with 95 % confidence */
};

struct lab_many {
	uint64_t runs, met, lost, silent;
	double lost_low,
		lost_high; /* where the part of runs that lose data is, with 95 % confidence (Wilson's) */
	struct lab_spread rebuild_s, exposed_s, degraded_s, latency_ms; /* of the slowest request */
	uint64_t first_unmet; /* a seed, where not all are met */
	char unmet[300];
};

/* Seeds from `seed` on, by as many threads as there are processors; the same however many. 0, or a negative errno with `error` set. */
int lab_many_run(const struct lab_scenario *scenario, uint64_t seed, uint64_t runs,
		 struct lab_many *many, struct error *error);
json_t *lab_many_json(const struct lab_scenario *scenario, const struct lab_many *many);
void lab_many_text(const struct lab_scenario *scenario, const struct lab_many *many,
		   void (*say)(const char *format, ...));
/* Two of them side by side. */
void lab_many_compare(const struct lab_scenario *const scenarios[2], const struct lab_many many[2],
		      void (*say)(const char *format, ...));

#endif
