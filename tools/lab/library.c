/* SPDX-License-Identifier: BSD-2-Clause */
/* The ready scenarios; the Makefile makes a table of tools/lab/scenarios. */
#include "tools/lab/library.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/lab/scenario.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/spelling.h"

#define FILE_MOST (4u << 20)

extern const char *const lab_scenarios[];

unsigned lab_library_count(void)
{
	unsigned count = 0;

	while (lab_scenarios[2 * count])
		count++;
	return count;
}

const char *lab_library_name(unsigned index)
{
	return lab_scenarios[2 * index];
}

const char *lab_library_text(unsigned index)
{
	return lab_scenarios[2 * index + 1];
}

const char *lab_library_find(const char *name)
{
	for (unsigned i = 0; lab_scenarios[2 * i]; i++)
		if (!strcmp(lab_scenarios[2 * i], name))
			return lab_scenarios[2 * i + 1];
	return NULL;
}

static int read_file(int fd, const char *name, char **text, size_t *length, struct error *error)
{
	struct stat status;
	ssize_t got = 0;

	if (fstat(fd, &status) || !S_ISREG(status.st_mode))
		return error_set(error, -EINVAL, "%s: expected a file", name);
	if (status.st_size > FILE_MOST)
		return error_set(error, -EFBIG, "%s: it has %lld bytes, expected at most %u", name,
				 (long long)status.st_size, FILE_MOST);
	*length = (size_t)status.st_size;
	*text = malloc(*length + 1);
	if (!*text)
		return error_set(error, -ENOMEM, "out of memory");
	for (size_t at = 0; at < *length; at += (size_t)got) {
		got = read(fd, *text + at, *length - at);
		if (got <= 0)
			return error_set(error, got ? -errno : -EIO, "%s: %s", name,
					 error_name(got ? errno : EIO));
	}
	return 0;
}

int lab_library_load(struct lab_scenario *scenario, const char *name, struct error *error)
{
	const char *ready = strchr(name, '/') ? NULL : lab_library_find(name);
	CLEANUP_CLOSE int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP_FREE char *text = NULL;
	struct spelling spelling = { .word = name };
	size_t length = 0;
	int rc;

	*scenario = (struct lab_scenario){ 0 };
	if (fd < 0 && ready)
		return lab_scenario_parse(scenario, name, ready, strlen(ready), error);
	if (fd < 0) {
		rc = error_set(error, -errno, "%s: %s, and no ready scenario is called so", name,
			       error_name(errno));
		for (unsigned i = 0; lab_scenarios[2 * i]; i++)
			spelling_consider(&spelling, lab_scenarios[2 * i]);
		if (spelling.closest)
			error_advise(error, "did you mean '%s'?", spelling.closest);
		else
			error_advise(error, "'tenon raid test list' shows those");
		return rc;
	}
	rc = read_file(fd, name, &text, &length, error);
	return rc ? rc : lab_scenario_parse(scenario, name, text, length, error);
}
