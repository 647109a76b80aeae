/* See devices.h. */
#include "tools/devices.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/partition.h"

void device_list_free(struct device_list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		free(list->paths[i]);
	free(list->paths);
	*list = (struct device_list){ 0 };
}

int device_list_add(struct device_list *list, const char *path)
{
	char *resolved = device_realpath(path);
	char **grown;

	if (!resolved)
		resolved = strdup(path);
	for (unsigned i = 0; resolved && i < list->count; i++)
		if (!strcmp(list->paths[i], resolved)) {
			free(resolved);
			return 0;
		}
	grown = realloc(list->paths, (list->count + 1) * sizeof(*grown));
	if (!grown || !resolved) {
		free(resolved);
		return -ENOMEM;
	}
	list->paths = grown;
	list->paths[list->count++] = resolved;
	return 0;
}

void device_list_remove(struct device_list *list, const char *path)
{
	for (unsigned i = 0; i < list->count; i++)
		if (!strcmp(list->paths[i], path)) {
			free(list->paths[i]);
			list->paths[i--] = list->paths[--list->count];
		}
}

/* Whether `text` begins with a number that is all there is up to its end, or up to the next colon. */
static bool begins_with_number(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits && (!text[digits] || text[digits] == ':');
}

static bool ends_in_number(const char *pattern)
{
	const char *colon = strrchr(pattern, ':');

	return colon && colon != pattern && begins_with_number(colon + 1);
}

/* The next of a list with colons between. A number is no device of its own but the partition of what is before
 * it. */
static char *next_of_list(char **at)
{
	char *part = strsep(at, ":");

	if (part && *part && *at && begins_with_number(*at)) {
		(*at)[-1] = ':';
		strsep(at, ":");
	}
	return part;
}

/* A path that exists is itself, whatever characters it has. One without wildcards that does not exist is
 * added too, unless it is `needed`: whoever looks at the devices tells that it is not there. */
static int device_list_add_pattern(struct device_list *list, const char *pattern, bool needed,
				   struct error *error)
{
	const char *number = "";
	CLEANUP_FREE char *whole = NULL;
	struct stat status;
	glob_t found;
	int rc;

	if (!lstat(pattern, &status) || device_exists(pattern) ||
	    (!needed && !strpbrk(pattern, "*?[")))
		return device_list_add(list, pattern);
	rc = glob(pattern, 0, NULL, &found);
	/* "*.img:2" */
	if (rc == GLOB_NOMATCH && ends_in_number(pattern)) {
		number = strrchr(pattern, ':');
		whole = strndup(pattern, (size_t)(number - pattern));
		rc = whole ? glob(whole, 0, NULL, &found) : GLOB_NOSPACE;
	}
	if (rc == GLOB_NOMATCH && !needed)
		return 0;
	if (rc == GLOB_NOMATCH) {
		error_set(error, -ENOENT, "%s: there is no such device or image", pattern);
		return error_advise(error, "check the path given with --device");
	}
	if (rc)
		return error_set(error, -EIO, "%s: the pattern cannot be searched", pattern);
	for (size_t i = 0; !rc && i < found.gl_pathc; i++) {
		CLEANUP_FREE char *name = NULL;

		rc = asprintf(&name, "%s%s", found.gl_pathv[i], number) < 0
			     ? -ENOMEM
			     : device_list_add(list, name);
	}
	globfree(&found);
	return rc;
}

char *devices_file_path(void)
{
	const char *given = getenv("TENON_DEVICES_FILE"), *config = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	char *path = NULL;
	int rc;

	if (given && *given)
		rc = asprintf(&path, "%s", given);
	else if (geteuid() == 0)
		rc = asprintf(&path, "/etc/tenon/devices");
	else if (config && *config)
		rc = asprintf(&path, "%s/tenon/devices", config);
	else
		rc = asprintf(&path, "%s/.config/tenon/devices", home ? home : "");
	return rc < 0 ? NULL : path;
}

static int device_list_add_file(struct device_list *list)
{
	CLEANUP_FREE char *path = devices_file_path();
	CLEANUP_FREE char *line = NULL;
	size_t size = 0;
	FILE *file = path ? fopen(path, "re") : NULL;
	int rc = 0;

	while (!rc && file && getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (*line && *line != '#')
			rc = device_list_add_pattern(list, line, false, NULL);
	}
	if (file)
		fclose(file);
	return rc;
}

int device_list_collect(struct device_list *list, const struct cli_words *given,
			struct error *error)
{
	const char *environment = getenv("TENON_DEVICES");
	CLEANUP_FREE char *copy = NULL;
	char *at;
	int rc = 0;

	*list = (struct device_list){ 0 };
	for (unsigned i = 0; !rc && i < given->count; i++)
		rc = device_list_add_pattern(list, given->words[i], true, error);
	if (rc || given->count)
		return rc;
	if (!environment || !*environment)
		return device_list_add_file(list);
	at = copy = strdup(environment);
	for (char *part; copy && !rc && (part = next_of_list(&at));)
		if (*part)
			rc = device_list_add_pattern(list, part, false, error);
	return copy ? rc : -ENOMEM;
}
