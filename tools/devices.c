/* SPDX-License-Identifier: BSD-2-Clause */
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
#include "fiber/aside.h"
#include "tools/device_look.h"
#include "tools/state.h"
#include "util/plain_path.h"

void device_list_free(struct device_list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		free(list->paths[i]);
	free(list->paths);
	*list = (struct device_list){ 0 };
}

/* `path` is taken over. */
static int add_resolved(struct device_list *list, char *path)
{
	char **grown;

	for (unsigned i = 0; path && i < list->count; i++)
		if (!strcmp(list->paths[i], path)) {
			free(path);
			return 0;
		}
	grown = realloc(list->paths, (list->count + 1) * sizeof(*grown));
	if (grown)
		list->paths = grown;
	if (!grown || !path) {
		free(path);
		return -ENOMEM;
	}
	list->paths[list->count++] = path;
	return 0;
}

int device_list_add(struct device_list *list, const char *path)
{
	char *resolved = device_realpath(path);

	return add_resolved(list, resolved ? resolved : strdup(path));
}

int device_list_add_resolved(struct device_list *list, const char *path)
{
	return add_resolved(list, strdup(path));
}

void device_list_remove(struct device_list *list, const char *path)
{
	unsigned before = list->count;

	for (unsigned i = 0; i < list->count;) {
		char *at = list->paths[i];

		if (strcmp(at, path)) {
			i++;
			continue;
		}
		list->paths[i] = list->paths[--list->count];
		list->paths[list->count] = at;
	}
	/* `path` may be one of them. */
	while (before > list->count)
		free(list->paths[--before]);
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

	/* nbd://HOST:PORT/EXPORT */
	if (part && *at && !strncmp(*at, "//", 2) && !strncmp(part, "nbd", 3)) {
		(*at)[-1] = ':';
		strsep(at, ":");
		if (*at && (*at)[strspn(*at, "0123456789")] == '/') {
			(*at)[-1] = ':';
			strsep(at, ":");
		}
	}
	if (part && *part && *at && begins_with_number(*at)) {
		(*at)[-1] = ':';
		strsep(at, ":");
	}
	return part;
}
/* ---- Patterns ---- */

#define WILD "*?["

struct patterns {
	struct cli_words words;
	bool needed; /* what matches nothing is an error */
};

/* A path that exists is itself, whatever characters it has. One without wildcards that does not exist is
 * added too, unless it is needed: whoever looks at the devices tells that it is not there. */
static int put_matches(FILE *to, const char *pattern, bool needed)
{
	const char *number = "";
	CLEANUP_FREE char *whole = NULL;
	struct stat status;
	glob_t found;
	int rc;

	if (cli_is_silent(pattern) || !lstat(pattern, &status) || device_exists(pattern) ||
	    (!needed && !strpbrk(pattern, WILD))) {
		fprintf(to, "%s%c", pattern, 0);
		return 0;
	}
	rc = glob(pattern, 0, NULL, &found);
	/* "*.img:2" */
	if (rc == GLOB_NOMATCH && ends_in_number(pattern)) {
		number = strrchr(pattern, ':');
		whole = strndup(pattern, (size_t)(number - pattern));
		rc = whole ? glob(whole, 0, NULL, &found) : GLOB_NOSPACE;
	}
	if (rc)
		return rc != GLOB_NOMATCH ? -EIO : needed ? -ENOENT : 0;
	for (size_t i = 0; i < found.gl_pathc; i++)
		fprintf(to, "%s%s%c", found.gl_pathv[i], number, 0);
	globfree(&found);
	return 0;
}

/* The paths of one pattern, with a NUL after each. On a file system that hangs this never returns. */
static int expand(void *arg, unsigned index, void **data, size_t *size)
{
	const struct patterns *patterns = arg;
	FILE *to = open_memstream((char **)data, size);
	int rc;

	if (!to)
		return -ENOMEM;
	rc = put_matches(to, patterns->words.words[index], patterns->needed);
	return fclose(to) ? -ENOMEM : rc;
}

static int take_matches(struct device_list *found, const char *pattern,
			const struct aside_answer *answer, struct error *error)
{
	const char *at = answer->data, *end = at + answer->size;
	int rc = 0;

	/* It stays in the list, so that it is told of. */
	if (answer->silent) {
		cli_remember_silent(pattern);
		return add_resolved(found, strdup(pattern));
	}
	if (answer->rc == -ENOENT) {
		error_set(error, -ENOENT, "%s: there is no such device or image", pattern);
		return error_advise(error, "check the path given with --device");
	}
	if (answer->rc)
		return error_set(error, -EIO, "%s: the pattern cannot be searched", pattern);
	for (; !rc && at < end; at += strlen(at) + 1)
		rc = add_resolved(found, strdup(at));
	return rc;
}

/* The same of the only one; it may be left alone. */
struct expansion {
	char *pattern;
	struct patterns patterns;
	struct aside_answer answer;
};

static int expand_shared(void *arg, const atomic_bool *left)
{
	struct expansion *expansion = arg;
	struct aside_answer *answer = &expansion->answer;

	(void)left;
	answer->rc = expand(&expansion->patterns, 0, &answer->data, &answer->size);
	return 0;
}

static void expansion_free(void *arg)
{
	struct expansion *expansion = arg;

	free(expansion->pattern);
	aside_free(&expansion->answer, 1);
	free(expansion);
}

static int expand_one(const struct patterns *patterns, struct aside_answer *answer)
{
	struct expansion *expansion = calloc(1, sizeof(*expansion));
	bool left = false;
	int rc = -ENOMEM;

	if (expansion && (expansion->pattern = strdup(patterns->words.words[0]))) {
		expansion->patterns = (struct patterns){
			.words = { .words = &expansion->pattern, .count = 1 },
			.needed = patterns->needed,
		};
		expansion->answer.rc = -EIO;
		rc = aside_run_shared(expand_shared, expansion, expansion_free, device_limit_ns(),
				      &left);
	}
	if (left)
		*answer = (struct aside_answer){ .silent = true, .rc = rc };
	if (!left && rc != -ENOMEM) {
		*answer = expansion->answer;
		expansion->answer.data = NULL;
	}
	if (!left && expansion)
		expansion_free(expansion);
	return rc == -ENOMEM || rc == -ECANCELED ? rc : 0;
}

static int expand_all(struct patterns *patterns, struct aside_answer *answers)
{
	unsigned count = patterns->words.count;

	return count == 1 ? expand_one(patterns, answers)
			  : aside_run(expand, patterns, count, device_limit_ns(), answers);
}

/* Where all are themselves nobody needs to be asked. */
static bool is_itself(const struct patterns *patterns, const char *pattern)
{
	return (!patterns->needed && !strpbrk(pattern, WILD)) || path_is_plain(pattern);
}

static int find_matches(struct device_list *found, struct patterns *patterns, struct error *error)
{
	unsigned count = patterns->words.count, plain = 0;
	CLEANUP_FREE struct aside_answer *answers = NULL;
	int rc = 0;

	while (plain < count && is_itself(patterns, patterns->words.words[plain]))
		plain++;
	if (plain == count) {
		for (unsigned i = 0; !rc && i < count; i++)
			rc = add_resolved(found, strdup(patterns->words.words[i]));
		return rc;
	}
	answers = calloc(count + 1, sizeof(*answers));
	rc = answers ? expand_all(patterns, answers) : -ENOMEM;
	for (unsigned i = 0; !rc && i < count; i++)
		rc = take_matches(found, patterns->words.words[i], &answers[i], error);
	if (answers)
		aside_free(answers, count);
	return rc;
}

static int resolve(void *arg, unsigned index, void **data, size_t *size)
{
	const struct device_list *found = arg;

	*data = cli_is_silent(found->paths[index]) ? NULL : device_realpath(found->paths[index]);
	*size = *data ? strlen(*data) + 1 : 0;
	return 0;
}

/* Whether all are resolved. */
static bool are_plain(const struct device_list *found)
{
	for (unsigned i = 0; i < found->count; i++)
		if (!path_is_plain(found->paths[i]))
			return false;
	return true;
}

/* Each path on its own, so that a link to what hangs leaves the others of its pattern as they are. */
static int add_patterns(struct device_list *list, struct patterns *patterns, struct error *error)
{
	CLEANUP_DEVICES struct device_list found = { 0 };
	CLEANUP_FREE struct aside_answer *answers = NULL;
	int rc = find_matches(&found, patterns, error);

	if (rc)
		return rc;
	if (are_plain(&found)) {
		*list = found;
		found = (struct device_list){ 0 };
		return 0;
	}
	answers = calloc(found.count + 1, sizeof(*answers));
	rc = answers ? aside_run(resolve, &found, found.count, device_limit_ns(), answers)
		     : -ENOMEM;
	for (unsigned i = 0; !rc && i < found.count; i++) {
		char *resolved = steal_pointer(&answers[i].data);

		if (answers[i].silent)
			cli_remember_silent(found.paths[i]);
		rc = add_resolved(list, resolved ? resolved : strdup(found.paths[i]));
	}
	if (answers)
		aside_free(answers, found.count);
	return rc;
}

/* ---- Where they come from ---- */

char *devices_file_path(void)
{
	const char *given = getenv("TENON_DEVICES_FILE"), *config = getenv("XDG_CONFIG_HOME");
	const char *home = NULL;
	char *path = NULL;
	int rc;

	if (given && *given)
		rc = asprintf(&path, "%s", given);
	else if (geteuid() == 0)
		rc = asprintf(&path, "/etc/tenon/devices");
	else if (config && *config)
		rc = asprintf(&path, "%s/tenon/devices", config);
	else if ((home = state_home()))
		rc = asprintf(&path, "%s/.config/tenon/devices", home);
	else
		rc = asprintf(&path, "/.config/tenon/devices");
	return rc < 0 ? NULL : path;
}

int devices_file_read(const char *path, int (*fn)(const char *line, void *arg), void *arg,
		      struct error *error)
{
	CLEANUP_FREE char *line = NULL;
	FILE *file = fopen(path, "re");
	size_t size = 0;
	int rc = 0;

	if (!file && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (file) {
		while (!rc && getline(&line, &size, file) > 0) {
			line[strcspn(line, "\n")] = '\0';
			if (*line && *line != '#')
				rc = fn(line, arg);
		}
		if (!rc && ferror(file))
			rc = -errno;
		fclose(file);
	} else {
		rc = -errno;
	}
	return rc ? error_set(error, rc, "%s: reading the list of devices: %s", path,
			      error_name(rc))
		  : 0;
}

static int keep_line(const char *line, void *arg)
{
	cli_words_add(arg, cli_keep_text(line));
	return 0;
}

static int read_file(struct cli_words *words, struct error *error)
{
	CLEANUP_FREE char *path = devices_file_path();

	return path ? devices_file_read(path, keep_line, words, error) : -ENOMEM;
}

static void read_environment(struct cli_words *words, const char *text)
{
	char *at = cli_keep_text(text);

	for (char *part; (part = next_of_list(&at));)
		if (*part)
			cli_words_add(words, part);
}

int device_list_collect(struct device_list *list, const struct cli_words *given,
			struct error *error)
{
	const char *environment = getenv("TENON_DEVICES");
	struct patterns patterns = { .words = *given, .needed = given->count > 0 };
	int rc = 0;

	*list = (struct device_list){ 0 };
	if (!given->count && environment && *environment)
		read_environment(&patterns.words, environment);
	else if (!given->count)
		rc = read_file(&patterns.words, error);
	return rc ? rc : add_patterns(list, &patterns, error);
}

bool device_list_is_among(const struct cli_words *given, const char *path)
{
	CLEANUP_DEVICES struct device_list devices = { 0 };
	bool found = false;

	if (device_list_collect(&devices, given, NULL))
		return false;
	for (unsigned i = 0; i < devices.count; i++)
		found |= !strcmp(devices.paths[i], path);
	return found;
}

char *devices_say_nothing(void)
{
	const char *environment = getenv("TENON_DEVICES");
	CLEANUP_FREE char *path = devices_file_path();
	char *text = NULL;
	int rc;

	if (environment && *environment)
		rc = asprintf(
			&text,
			"nothing was looked at: TENON_DEVICES is '%s', and nothing matches that",
			environment);
	else if (path && !access(path, F_OK))
		rc = asprintf(
			&text,
			"nothing was looked at: the list of devices, %s, names none, or none "
			"that is there; --device, TENON_DEVICES or `tenon device add` name some",
			path);
	else
		rc = asprintf(&text,
			      "nothing was looked at: there is no list of devices (%s); --device, "
			      "TENON_DEVICES or `tenon device add` make one",
			      path ? path : "?");
	return rc < 0 ? NULL : text;
}
