/* SPDX-License-Identifier: BSD-2-Clause */
/* See state.h. */
#include "tools/state.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/number.h"

#define LEAST 10
#define DAYS  30

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* 0, or -EINVAL: it is set to something else than a number. */
static int number(const char *name, unsigned otherwise, unsigned *out, struct error *error)
{
	const char *text = variable(name);
	uint64_t value = otherwise;
	int rc = text ? number_parse(text, 0, 1000000, &value, error) : 0;

	if (rc)
		error_prefix(error, "%s", name);
	*out = (unsigned)value;
	return rc;
}

/* 1: on; 0: off; -EINVAL. */
static int wanted(struct error *error)
{
	static const char *const words[] = { "off", "0", "no", "on", "1", "yes" };
	const char *text = variable("TENON_ARCHIVE");

	for (size_t i = 0; text && i < ARRAY_SIZE(words); i++)
		if (!strcmp(text, words[i]))
			return i > 2;
	return text ? error_set(error, -EINVAL, "TENON_ARCHIVE: %s: expected on or off", text) : 1;
}

int state_check(struct error *error)
{
	unsigned value;
	int rc = wanted(error);

	if (rc >= 0)
		rc = number("TENON_ARCHIVE_MIN", LEAST, &value, error);
	return rc ? rc : number("TENON_ARCHIVE_DAYS", DAYS, &value, error);
}

const char *state_lvm_conf(void)
{
	const char *given = variable("LVM_SYSTEM_DIR");

	return given ? given : "/etc/lvm";
}

const char *state_home(void)
{
	const char *home = variable("HOME");
	const struct passwd *user = home ? NULL : getpwuid(geteuid());

	return user ? user->pw_dir : home;
}

char *state_directory(void)
{
	const char *given = variable("TENON_STATE_DIR"), *xdg = variable("XDG_STATE_HOME"), *home;
	char *path = NULL;
	int rc = -1;

	if (given)
		rc = asprintf(&path, "%s", given);
	else if (geteuid() == 0)
		rc = asprintf(&path, "/var/lib/tenon");
	else if (xdg)
		rc = asprintf(&path, "%s/tenon", xdg);
	else if ((home = state_home()))
		rc = asprintf(&path, "%s/.local/state/tenon", home);
	return rc < 0 ? NULL : path;
}

const struct volume_archive *state_archive(struct state_archive *state)
{
	*state = (struct state_archive){ 0 };
	if (wanted(NULL) <= 0)
		return NULL;
	state->directory = state_directory();
	if (!state->directory)
		return NULL;
	state->archive.directory = state->directory;
	number("TENON_ARCHIVE_MIN", LEAST, &state->archive.least, NULL);
	number("TENON_ARCHIVE_DAYS", DAYS, &state->archive.days, NULL);
	return &state->archive;
}

void state_archive_free(struct state_archive *state)
{
	free(state->directory);
}
