/* SPDX-License-Identifier: BSD-2-Clause */
/* See state.h. */
#include "tools/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAST 10
#define DAYS  30

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static unsigned number(const char *name, unsigned otherwise)
{
	const char *text = variable(name);
	char *end;
	unsigned long value;

	if (!text)
		return otherwise;
	value = strtoul(text, &end, 10);
	return *end || value > 1000000 ? otherwise : (unsigned)value;
}

static char *state_directory(void)
{
	const char *given = variable("TENON_STATE_DIR"), *home = variable("HOME");
	const char *xdg = variable("XDG_STATE_HOME");
	char *path = NULL;
	int rc = -1;

	if (given)
		rc = asprintf(&path, "%s", given);
	else if (geteuid() == 0)
		rc = asprintf(&path, "/var/lib/tenon");
	else if (xdg)
		rc = asprintf(&path, "%s/tenon", xdg);
	else if (home)
		rc = asprintf(&path, "%s/.local/state/tenon", home);
	return rc < 0 ? NULL : path;
}

const struct volume_archive *state_archive(struct state_archive *state)
{
	const char *wanted = variable("TENON_ARCHIVE");

	*state = (struct state_archive){ 0 };
	if (wanted && (!strcmp(wanted, "off") || !strcmp(wanted, "0") || !strcmp(wanted, "no")))
		return NULL;
	state->directory = state_directory();
	if (!state->directory)
		return NULL;
	state->archive = (struct volume_archive){ .directory = state->directory,
						  .least = number("TENON_ARCHIVE_MIN", LEAST),
						  .days = number("TENON_ARCHIVE_DAYS", DAYS) };
	return &state->archive;
}

void state_archive_free(struct state_archive *state)
{
	free(state->directory);
}
