/* See devices.h. */
#include "tools/devices.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void device_list_free(struct device_list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		free(list->paths[i]);
	free(list->paths);
	*list = (struct device_list){ 0 };
}

int device_list_add(struct device_list *list, const char *path)
{
	char *resolved = realpath(path, NULL);
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

/* A path that exists is itself, whatever characters it has. One without wildcards that does not exist is
 * added too, unless it is `needed`: whoever looks at the devices tells that it is not there. */
static int device_list_add_pattern(struct device_list *list, const char *pattern, bool needed,
				   struct error *error)
{
	struct stat status;
	glob_t found;
	int rc;

	if (!lstat(pattern, &status) || (!needed && !strpbrk(pattern, "*?[")))
		return device_list_add(list, pattern);
	rc = glob(pattern, 0, NULL, &found);
	if (rc == GLOB_NOMATCH && !needed)
		return 0;
	if (rc == GLOB_NOMATCH) {
		error_set(error, -ENOENT, "%s: there is no such device or image", pattern);
		return error_advise(error, "check the path given with --device");
	}
	if (rc)
		return error_set(error, -EIO, "%s: the pattern cannot be searched", pattern);
	for (size_t i = 0; !rc && i < found.gl_pathc; i++)
		rc = device_list_add(list, found.gl_pathv[i]);
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
	for (char *part; copy && !rc && (part = strsep(&at, ":"));)
		if (*part)
			rc = device_list_add_pattern(list, part, false, error);
	return copy ? rc : -ENOMEM;
}
