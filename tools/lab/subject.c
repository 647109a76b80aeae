/* SPDX-License-Identifier: BSD-2-Clause */
/* What scenarios are about; see subject.h. */
#include "tools/lab/subject.h"

#include <string.h>

#include "tools/lab/explore.h"
#include "tools/lab/scenario.h"
#include "tools/lab/volume.h"
#include "util/bytes.h"

static const struct lab_subject subjects[] = {
	{ "array", true, lab_explore_run },
	{ "volume", false, lab_volume_explore },
};

const struct lab_subject *lab_subject_of(const struct lab_scenario *scenario)
{
	return &subjects[lab_scenario_is_volume(scenario)];
}

const struct lab_subject *lab_subject_find(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(subjects); i++)
		if (!strcmp(subjects[i].name, name))
			return &subjects[i];
	return NULL;
}
