/* `tenon device`: the devices file; see devices.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/describe.h"
#include "tools/devices.h"

/* Makes the directories above `path`. */
static int make_parents(const char *path, struct error *error)
{
	CLEANUP_FREE char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	for (char *at = strchr(copy + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return error_set(error, -errno, "%s: cannot make the directory: %s", copy,
					 error_name(errno));
		*at = '/';
	}
	return 0;
}

static int load(const char *path, struct device_list *list)
{
	CLEANUP_FREE char *line = NULL;
	size_t size = 0;
	FILE *file = fopen(path, "re");
	int rc = 0;

	while (!rc && file && getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (*line && *line != '#')
			rc = device_list_add(list, line);
	}
	if (file)
		fclose(file);
	return rc;
}

/* Writes a new file beside the old one and renames it over that, so that a reader sees one of both. */
static int save(const char *path, const struct device_list *list, struct error *error)
{
	CLEANUP_FREE char *temporary = NULL;
	FILE *file;
	int rc = make_parents(path, error);

	if (rc)
		return rc;
	if (asprintf(&temporary, "%s.new", path) < 0)
		return -ENOMEM;
	file = fopen(temporary, "we");
	if (!file)
		return error_set(error, -errno, "%s: cannot write: %s", temporary,
				 error_name(errno));
	fprintf(file, "# Devices that tenon looks at, one a line; kept by `tenon device`.\n");
	for (unsigned i = 0; i < list->count; i++)
		fprintf(file, "%s\n", list->paths[i]);
	rc = fflush(file) || fsync(fileno(file)) ? -errno : 0;
	if (fclose(file) && !rc)
		rc = -errno;
	if (!rc && rename(temporary, path) < 0)
		rc = -errno;
	if (rc) {
		unlink(temporary);
		return error_set(error, rc, "%s: cannot write: %s", path, error_name(rc));
	}
	return 0;
}

static int change(struct cli_words *paths,
		  int (*apply)(struct device_list *, const char *, struct error *))
{
	CLEANUP_DEVICES struct device_list list = { 0 };
	CLEANUP_FREE char *file = devices_file_path();
	struct error error = { 0 };
	int rc = file ? load(file, &list) : -ENOMEM;

	for (unsigned i = 0; !rc && i < paths->count; i++)
		rc = apply(&list, paths->words[i], &error);
	if (!rc)
		rc = save(file, &list, &error);
	return rc ? cli_fail(rc, &error) : EXIT_DONE;
}

static int add_one(struct device_list *list, const char *path, struct error *error)
{
	struct stat status;

	if (strchr(path, '\n'))
		return error_set(error, -EINVAL,
				 "a path with a line feed in it cannot be in the list");
	if (stat(path, &status) < 0)
		return error_set(error, -errno, "%s: %s", path, error_name(errno));
	if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
		return error_set(error, -EINVAL,
				 "%s: expected an image file or a block device, found neither",
				 path);
	return device_list_add(list, path);
}

static int remove_one(struct device_list *list, const char *path, struct error *error)
{
	CLEANUP_FREE char *resolved = realpath(path, NULL);

	for (unsigned i = 0; i < list->count; i++)
		if (!strcmp(list->paths[i], path) ||
		    (resolved && !strcmp(list->paths[i], resolved))) {
			free(list->paths[i]);
			list->paths[i] = list->paths[--list->count];
			return 0;
		}
	error_set(error, -ENOENT, "%s: not in the list of devices", path);
	return error_advise(error, "`tenon device list` shows what is");
}

static int device_add(int argc, char **argv)
{
	const struct cli_option options[] = { CLI_OPTION_END };
	struct cli_words paths;
	int status;

	if (!cli_parse("device add PATH...", options, argc, argv, 1, CLI_ANY, &paths, &status))
		return status;
	return change(&paths, add_one);
}

static int device_remove(int argc, char **argv)
{
	const struct cli_option options[] = { CLI_OPTION_END };
	struct cli_words paths;
	int status;

	if (!cli_parse("device remove PATH...", options, argc, argv, 1, CLI_ANY, &paths, &status))
		return status;
	return change(&paths, remove_one);
}

static int device_list_verb(int argc, char **argv)
{
	bool json = false;
	struct cli_words given = { 0 }, operands;
	const struct cli_option options[] = { CLI_OPTION_DEVICE(&given), CLI_OPTION_JSON(&json),
					      CLI_OPTION_END };
	static const struct cli_column columns[] = { { "DEVICE", "path", CLI_AS_TEXT },
						     { "PRESENT", "present", CLI_AS_TEXT },
						     { NULL, NULL, CLI_AS_TEXT } };
	CLEANUP_DEVICES struct device_list list = { 0 };
	struct error error = { 0 };
	json_t *rows;
	int status, rc;

	if (!cli_parse("device list [--json]", options, argc, argv, 0, 0, &operands, &status))
		return status;
	rc = device_list_collect(&list, &given, &error);
	if (rc)
		return cli_fail(rc, &error);
	rows = json_array();
	for (unsigned i = 0; i < list.count; i++)
		json_array_append_new(rows,
				      json_pack("{s:o, s:b}", "path", describe_text(list.paths[i]),
						"present", !access(list.paths[i], F_OK)));
	cli_print_listing(rows, columns, json);
	json_decref(rows);
	return EXIT_DONE;
}

int command_device(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "add", device_add, "PATH...", "look at these devices and images from now on" },
		{ "remove", device_remove, "PATH...", "look at them no more" },
		{ "list", device_list_verb, "[--json]", "show what is looked at" },
		{ NULL, NULL, NULL, NULL },
	};

	return cli_run_verb("device", verbs, argc, argv);
}
