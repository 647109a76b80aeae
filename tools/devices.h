/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices to look at: --device PATH (repeatable, globs), or else $TENON_DEVICES (colon-separated,
 * globs), or else the devices file, one path a line, that `tenon device add|remove|list` keeps:
 * $TENON_DEVICES_FILE, or $XDG_CONFIG_HOME/tenon/devices, or ~/.config/tenon/devices, or for root
 * /etc/tenon/devices. "PATH:N" is partition N inside of PATH (block/partition.h), also between the colons of
 * $TENON_DEVICES: a number alone there belongs to the path before it, and a file whose name is a number is
 * written ./N.
 */
#ifndef TENON_TOOLS_DEVICES_H
#define TENON_TOOLS_DEVICES_H

#include "tools/cli.h"
#include "util/cleanup.h"

struct device_list {
	char **paths; /* each once, absolute and resolved where the file exists */
	unsigned count;
};

void device_list_free(struct device_list *list);
#define CLEANUP_DEVICES CLEANUP(device_list_free)

/* Adds a path unless it is there; a symbolic link and its target are one device. 0 or -ENOMEM. */
int device_list_add(struct device_list *list, const char *path);
/* One that such a list had: it is not resolved again. */
int device_list_add_resolved(struct device_list *list, const char *path);

/* Takes a path out; one that is not there is no error. */
void device_list_remove(struct device_list *list, const char *path);

/* Collects the devices; `given` are the --device options. A pattern that matches nothing and a path that
 * does not exist are -ENOENT when given by --device; from the other two sources they are left out. */
int device_list_collect(struct device_list *list, const struct cli_words *given,
			struct error *error);

/* Whether `path` is among those. */
bool device_list_is_among(const struct cli_words *given, const char *path);

/* That no device was found to look at, and where the list came from: a sentence. The caller frees it. */
char *devices_say_nothing(void);

/* The path of the devices file. The caller frees it. */
char *devices_file_path(void);

/* Calls fn() with each path in the file at `path`, until that returns other than 0. A file that does not exist is
 * empty; one that cannot be read is an error, as what it lists would seem not to be there. */
int devices_file_read(const char *path, int (*fn)(const char *line, void *arg), void *arg,
		      struct error *error);

/* Of a verb that only looks. */
#define CLI_OPTION_LOOK_AT(words)                                                                  \
	{                                                                                          \
		"device", CLI_LIST, words, "PATH",                                                 \
			"look at this device or image (repeatable, glob)"                          \
	}
/* Of one that writes: what may be done without goes with what there is, --device and --degraded. */
#define CLI_OPTION_DEVICE(words)                                                                   \
	{ "device", CLI_LIST, words, "PATH", "look at this device or image (repeatable, glob)" },  \
	{                                                                                          \
		"degraded", CLI_FLAG, &(words)->degraded, NULL,                                    \
			"start arrays without members that are not there: those miss what is "     \
			"written"                                                                  \
	}
#define CLI_OPTION_JSON(flag)                                                                      \
	{                                                                                          \
		"json", CLI_FLAG, flag, NULL, "print JSON"                                         \
	}
#define CLI_OPTION_END                                                                             \
	{                                                                                          \
		NULL, CLI_FLAG, NULL, NULL, NULL                                                   \
	}

#endif
