/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenarios of the rebuild laboratory: whatever YAML it is, it is refused, or is written as one that is read again. */
#include <stdlib.h>
#include <string.h>

#include "tools/lab/scenario.h"
#include "util/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_scenario scenario, again;
	struct error error = { 0 };
	int rc = lab_scenario_parse(&scenario, "fuzz", (const char *)data, size, &error);

	if (!rc) {
		char *text = lab_scenario_text(&scenario);

		if (lab_scenario_parse(&again, "again", text, strlen(text), &error) ||
		    again.events.count != scenario.events.count ||
		    again.disk_count != scenario.disk_count ||
		    again.workload.kind != scenario.workload.kind ||
		    again.workload.ops.count != scenario.workload.ops.count)
			abort();
		lab_scenario_free(&again);
		free(text);
	} else if (!error.text[0]) {
		abort();
	}
	lab_scenario_free(&scenario);
	return 0;
}
