/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon device`: the devices file; see devices.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/output.h"
#include "block/partition.h"
#include "tools/describe.h"
#include "tools/device_look.h"
#include "tools/devices.h"
#include "tools/output.h"

/* Makes the directories above `path`. */
static int make_parents(const char *path, struct error *error)
{
	CLEANUP_FREE char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	for (char *at = strchr(copy + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST) {
			error_set(error, -errno, "%s: cannot make the directory: %s", copy,
				  error_name(errno));
			return error_advise(error, "TENON_DEVICES_FILE may name a file elsewhere "
						   "for the list of devices");
		}
		*at = '/';
	}
	return 0;
}

static int load_one(const char *line, void *arg)
{
	return device_list_add(arg, line);
}

static int write_list(struct output *to, const char *path, const struct device_list *list,
		      struct error *error)
{
	FILE *file = fdopen(to->fd, "w");
	int rc;

	if (!file)
		return error_set(error, -errno, "%s: cannot write: %s", path, error_name(errno));
	to->fd = -1;
	fprintf(file, "# Devices that tenon looks at, one a line; kept by `tenon device`.\n");
	for (unsigned i = 0; i < list->count; i++)
		fprintf(file, "%s\n", list->paths[i]);
	rc = fflush(file) || fsync(fileno(file)) ? -errno : 0;
	if (fclose(file) && !rc)
		rc = -errno;
	return rc ? error_set(error, rc, "%s: cannot write: %s", path, error_name(rc)) : 0;
}

static const struct output_kind list_kind = { "a list of devices", output_is_text };

/* Writes a new file beside the old one and renames it over that, so that a reader sees one of both. */
static int save(const char *path, const struct device_list *list, struct error *error)
{
	CLEANUP_FREE char *temporary = NULL;
	struct output to;
	int rc;

	if (asprintf(&temporary, "%s.new", path) < 0)
		return -ENOMEM;
	rc = output_open(&to, temporary, 0, &list_kind, error);
	if (rc)
		return rc;
	rc = write_list(&to, temporary, list, error);
	output_close(&to);
	if (!rc && rename(temporary, path) < 0)
		rc = error_set(error, -errno, "%s: cannot write: %s", path, error_name(errno));
	if (rc)
		unlink(temporary);
	return rc;
}

/* Takes the lock of the list, for as long as it changes: nothing else is taken for a list and replaced. One who
 * waited for it may have it of a file that is the list no more. */
static int lock_list(struct output *lock, const char *path, struct error *error)
{
	struct stat ours, there;

	for (;;) {
		int rc = output_open(lock, path, OUTPUT_APPEND, &list_kind, error);

		if (rc == -EEXIST)
			error_advise(error, "name another file by TENON_DEVICES_FILE, or remove "
					    "this one if nothing in it is needed");
		if (rc)
			return rc;
		/* A new list would take the place of /dev/null. */
		if (!lock->is_file || output_is_descriptor(path))
			return error_set(error, -EINVAL,
					 "%s: is no file, expected one for the list of devices",
					 path);
		if (!fstat(lock->fd, &ours) && !stat(path, &there) && ours.st_dev == there.st_dev &&
		    ours.st_ino == there.st_ino)
			return 0;
		output_discard(lock, path);
	}
}

static int change(struct cli_words *paths,
		  int (*apply)(struct device_list *, const char *, struct error *))
{
	CLEANUP_DEVICES struct device_list list = { 0 };
	CLEANUP_FREE char *file = devices_file_path();
	struct output old = { .fd = -1 };
	struct error error = { 0 };
	int rc = file ? make_parents(file, &error) : -ENOMEM;

	if (!rc)
		rc = lock_list(&old, file, &error);
	if (!rc)
		rc = devices_file_read(file, load_one, &list, &error);
	for (unsigned i = 0; !rc && i < paths->count; i++)
		rc = apply(&list, paths->words[i], &error);
	if (!rc)
		rc = save(file, &list, &error);
	if (rc)
		output_discard(&old, file);
	output_close(&old);
	return rc ? cli_fail(rc, &error) : EXIT_DONE;
}

static int add_one(struct device_list *list, const char *path, struct error *error)
{
	CLEANUP_FREE char *whole = NULL;
	uint64_t start, length;
	struct stat status;
	unsigned number;
	int rc;

	if (strchr(path, '\n'))
		return error_set(error, -EINVAL,
				 "a path with a line feed in it cannot be in the list");
	rc = device_check_answers(path, error);
	if (rc)
		return rc;
	if (partition_split(path, &whole, &number)) {
		rc = partition_locate(whole, number, &start, &length, error);
		return rc ? rc : device_list_add(list, path);
	}
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
	CLEANUP_FREE char *resolved = device_resolve(path);
	/* What is not there any more cannot be resolved. */
	CLEANUP_FREE char *folder = *path == '/' ? NULL : getcwd(NULL, 0);
	CLEANUP_FREE char *absolute = NULL;

	if (folder && asprintf(&absolute, "%s/%s", folder, path) < 0)
		absolute = NULL;
	for (unsigned i = 0; i < list->count; i++)
		if (!strcmp(list->paths[i], path) ||
		    (resolved && !strcmp(list->paths[i], resolved)) ||
		    (absolute && !strcmp(list->paths[i], absolute))) {
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

/* With the partitions of a table, whose names are the path and ":NUMBER". */
static void describe_partitions(json_t *row, const char *path)
{
	CLEANUP_PARTITION_TABLE struct partition_table table = { 0 };
	bool found = partition_table_read_path(&table, path, NULL) == 1;
	json_t *partitions = json_array(), *numbers = json_array();

	for (unsigned i = 0; found && i < table.count; i++) {
		const struct partition *at = &table.partitions[i];

		if (!at->is_extended)
			json_array_append_new(numbers, json_integer((json_int_t)at->number));
		json_array_append_new(
			partitions, json_pack("{s:i, s:I, s:I, s:b}", "number", (int)at->number,
					      "start_bytes", (json_int_t)at->start, "size_bytes",
					      (json_int_t)at->length, "extended", at->is_extended));
	}
	json_object_set_new(row, "partition_table", found ? json_string(table.type) : json_null());
	json_object_set_new(row, "numbers", numbers);
	json_object_set_new(row, "partitions", partitions);
}

static json_t *describe_device(const char *path)
{
	struct error why = { 0 };
	json_t *row = json_pack("{s:o, s:n, s:n, s:n, s:[], s:[]}", "device", describe_path(path),
				"present", "problem", "partition_table", "numbers", "partitions");
	bool there;

	if (cli_is_silent(path) ? device_say_silent(path, &why)
				: device_check_answers(path, &why)) {
		json_object_set_new(row, "problem", describe_text(why.text));
		return row;
	}
	there = device_exists(path);
	json_object_set_new(row, "present", json_boolean(there));
	if (there)
		describe_partitions(row, path);
	else
		json_object_set_new(row, "problem", json_string("there is no such file or device"));
	return row;
}

static int device_list_verb(int argc, char **argv)
{
	struct cli_listing listing = { 0 };
	struct cli_words given = { 0 }, operands;
	const struct cli_option options[] = { CLI_OPTION_LOOK_AT(&given),
					      CLI_OPTIONS_LISTING(&listing), CLI_OPTION_END };
	static const struct cli_column columns[] = {
		{ "DEVICE", "device", CLI_AS_PATH },
		{ "PRESENT", "present", CLI_AS_TEXT },
		{ "TABLE", "partition_table", CLI_AS_TEXT, 2 },
		{ "PARTITIONS", "numbers", CLI_AS_TEXT, 3 },
		{ "PROBLEM", "problem", CLI_AS_NOTE, 1 },
		{ NULL },
	};
	CLEANUP_DEVICES struct device_list list = { 0 };
	CLEANUP_FREE char *nothing = NULL;
	struct error error = { 0 };
	json_t *rows;
	int status, rc;

	if (!cli_parse("device list [--json]", options, argc, argv, 0, 0, &operands, &status) ||
	    !cli_listing_check(&listing, columns, &status))
		return status;
	rc = device_list_collect(&list, &given, &error);
	if (rc)
		return cli_fail(rc, &error);
	rows = json_array();
	nothing = list.count ? NULL : devices_say_nothing();
	if (nothing)
		cli_note("%s", nothing);
	for (unsigned i = 0; i < list.count; i++)
		json_array_append_new(rows, describe_device(list.paths[i]));
	cli_print_result(rows, columns, NULL, &listing);
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
