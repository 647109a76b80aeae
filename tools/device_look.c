/* SPDX-License-Identifier: BSD-2-Clause */
/* See device_look.h. */
#include "tools/device_look.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/partition.h"
#include "fiber/aside.h"
#include "tools/cli.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/number.h"
#include "util/plain_path.h"

#define LIMIT_SECONDS 5u
#define LIMIT_MOST    3600u
#define PIECE         4096u

/* Seconds. */
static int limit(uint64_t *seconds, struct error *error)
{
	const char *given = getenv("TENON_DEVICE_TIMEOUT");
	int rc = 0;

	*seconds = LIMIT_SECONDS;
	if (given && *given)
		rc = number_parse(given, 1, LIMIT_MOST, seconds, error);
	if (rc)
		error_prefix(error, "TENON_DEVICE_TIMEOUT");
	return rc;
}

int device_limit_check(struct error *error)
{
	uint64_t seconds;

	return limit(&seconds, error);
}

uint64_t device_limit_ns(void)
{
	uint64_t seconds;

	limit(&seconds, NULL);
	return seconds * 1000000000ull;
}

int device_say_failed(const char *path, int rc, struct error *error)
{
	return error_set(error, rc, "%s: finding out what it lies on: %s", path, error_name(rc));
}

int device_say_silent(const char *path, struct error *error)
{
	error_set(error, -ETIMEDOUT, "%s: does not answer (it was waited for %llu s)", path,
		  (unsigned long long)(device_limit_ns() / 1000000000ull));
	error_advise(error, "see whether what it lies on hangs; TENON_DEVICE_TIMEOUT waits longer");
	return -ETIMEDOUT;
}

/* ---- In the process aside ---- */

/* A device may open and identify itself, and not read. The page cache must not answer for it. */
static void read_ends(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	void *piece;

	if (size < (off_t)PIECE || posix_memalign(&piece, PIECE, PIECE))
		return;
	fcntl(fd, F_SETFL, O_DIRECT);
	if (pread(fd, piece, PIECE, 0) < 0 && errno == EINVAL) {
		fcntl(fd, F_SETFL, 0);
		if (pread(fd, piece, PIECE, 0) < 0)
			errno = 0;
	}
	if (pread(fd, piece, PIECE, (off_t)round_down((uint64_t)size - PIECE, PIECE)) < 0)
		errno = 0;
	free(piece);
}

/* The errors of opening are for whoever opens it in earnest; but what could not be looked at is not taken for another. */
static int look_at(void *arg, unsigned index, void **data, size_t *size)
{
	const char *path = ((char *const *)arg)[index];
	CLEANUP_FREE char *whole = NULL;
	struct block_identity identity = { 0 };
	CLEANUP_CLOSE int fd = -1;
	uint64_t start, length;
	struct stat status;
	unsigned number;
	int rc;
	bool is_partition = partition_split(path, &whole, &number);

	if (is_partition)
		path = whole;
	/* A FIFO would take it for its reader. */
	if (!stat(path, &status) && (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode)))
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	rc = fd < 0 ? block_identify_path(&identity, path) : block_identify(&identity, fd, path);
	if (rc && (fd >= 0 || error_is_shortage(rc)))
		return rc;
	if (fd >= 0 && identity.count)
		read_ends(fd);
	if (is_partition && !partition_locate(path, number, &start, &length, NULL))
		block_identity_narrow(&identity, start, length);
	*data = block_identity_pack(&identity, size);
	block_identity_free(&identity);
	return *data ? 0 : -ENOMEM;
}

/* ---- Here ---- */

static int take_answer(struct device_look *look, const char *path,
		       const struct aside_answer *answer)
{
	look->silent = answer->silent;
	if (look->silent)
		cli_remember_silent(path);
	if (answer->silent)
		return 0;
	look->failed = error_is_shortage(answer->rc) ? 0 : answer->rc;
	if (answer->rc)
		return look->failed ? 0 : answer->rc;
	return block_identity_unpack(&look->identity, answer->data, answer->size);
}

int devices_look(char *const *paths, unsigned count, struct device_look *looks)
{
	CLEANUP_FREE struct aside_answer *answers = calloc(count + 1, sizeof(*answers));
	CLEANUP_FREE char **asked = calloc(count + 1, sizeof(char *));
	unsigned asking = 0;
	int rc = 0;

	if (!answers || !asked)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++) {
		looks[i] = (struct device_look){ .silent = cli_is_silent(paths[i]) };
		if (!looks[i].silent)
			asked[asking++] = paths[i];
	}
	rc = aside_run(look_at, asked, asking, device_limit_ns(), answers);
	for (unsigned i = 0, k = 0; !rc && i < count; i++)
		if (!looks[i].silent) {
			rc = take_answer(&looks[i], paths[i], &answers[k]);
			k++;
		}
	aside_free(answers, asking);
	if (rc)
		devices_look_free(looks, count);
	return rc;
}

void devices_look_free(struct device_look *looks, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		block_identity_free(&looks[i].identity);
}

int device_check_answers(const char *path, struct error *error)
{
	char *paths[] = { (char *)path };
	struct aside_answer answer = { 0 };
	int rc = aside_run(look_at, paths, 1, device_limit_ns(), &answer);

	if (!rc && answer.silent)
		rc = device_say_silent(path, error);
	aside_free(&answer, 1);
	return rc;
}

/* Looked at, and its real path. */
static int look_and_resolve(void *arg, unsigned index, void **data, size_t *size)
{
	char *path = ((char **)arg)[index];
	void *identity = NULL;
	int rc = path ? look_at(arg, index, &identity, size) : 0;

	free(identity);
	*data = path && !rc ? device_realpath(path) : NULL;
	*size = *data ? strlen(*data) + 1 : 0;
	return rc;
}

int devices_check_answer(char *const *words, unsigned count, char **paths, struct error *error)
{
	CLEANUP_FREE struct aside_answer *answers = calloc(count + 1, sizeof(*answers));
	CLEANUP_FREE char **asked = calloc(count + 1, sizeof(char *));
	int rc = answers && asked ? 0 : -ENOMEM;

	memset(paths, 0, count * sizeof(char *));
	for (unsigned i = 0; !rc && i < count; i++)
		asked[i] = words[i];
	if (!rc)
		rc = aside_run(look_and_resolve, asked, count, device_limit_ns(), answers);
	if (rc)
		return rc;
	for (unsigned i = 0; !rc && i < count; i++) {
		if (!asked[i])
			continue;
		if (answers[i].silent)
			rc = device_say_silent(words[i], error);
		paths[i] = answers[i].data ? steal_pointer(&answers[i].data) : strdup(words[i]);
		if (!rc && !paths[i])
			rc = -ENOMEM;
	}
	aside_free(answers, count);
	return rc;
}

static int say_same(const char *one, const char *other, const struct block_identity *a,
		    const struct block_identity *b, struct error *error)
{
	const struct block_part *bottom = block_identity_bottom(b);
	const char *below = bottom ? bottom->path : NULL;
	char where[256] = "";

	if (below && strcmp(below, one) && strcmp(below, other))
		snprintf(where, sizeof(where), " (both lie on %.200s)", below);
	if (!strcmp(one, other))
		error_set(error, -EINVAL, "%s: is given twice", one);
	else
		error_set(error, -EINVAL, "%s and %s: %s%s", one, other,
			  block_identity_same(a, b) ? "are one device, given twice"
						    : "have bytes in common",
			  where);
	error_advise(error, "give each device once");
	return -EINVAL;
}

int devices_check_distinct(char *const *paths, unsigned count, struct error *error)
{
	CLEANUP_FREE struct device_look *looks = calloc(count + 1, sizeof(*looks));
	int rc = looks ? devices_look(paths, count, looks) : -ENOMEM;

	if (rc)
		return rc;
	for (unsigned i = 0; !rc && i < count; i++)
		if (looks[i].silent)
			rc = device_say_silent(paths[i], error);
		else if (looks[i].failed)
			rc = device_say_failed(paths[i], looks[i].failed, error);
	for (unsigned i = 0; !rc && i < count; i++)
		for (unsigned k = i + 1; !rc && k < count; k++)
			if (block_identity_overlaps(&looks[i].identity, &looks[k].identity))
				rc = say_same(paths[i], paths[k], &looks[i].identity,
					      &looks[k].identity, error);
	devices_look_free(looks, count);
	return rc;
}

static int resolve(void *arg, unsigned index, void **data, size_t *size)
{
	(void)index;
	*data = device_realpath(arg);
	*size = *data ? strlen(*data) + 1 : 0;
	return 0;
}

static char *make_absolute(const char *path)
{
	CLEANUP_FREE char *folder = *path == '/' ? NULL : getcwd(NULL, 0);
	char *absolute = NULL;

	if (!folder)
		return strdup(path);
	return asprintf(&absolute, "%s/%s", folder, path) < 0 ? NULL : absolute;
}

char *device_resolve(const char *path)
{
	struct aside_answer answer = { 0 };
	char *resolved;
	int rc;

	if (path_is_plain(path))
		return strdup(path);
	rc = aside_run(resolve, (void *)path, 1, device_limit_ns(), &answer);
	resolved = rc ? NULL : steal_pointer(&answer.data);
	if (!resolved)
		resolved = answer.silent ? make_absolute(path) : strdup(path);
	aside_free(&answer, 1);
	return resolved;
}

char *devices_find_same(char *const *paths, unsigned count, const char *path)
{
	CLEANUP_FREE struct device_look *looks = calloc(count + 1, sizeof(*looks));
	CLEANUP_FREE char **all = calloc(count + 1, sizeof(char *));
	bool whole = looks && all;
	char *found = NULL;

	for (unsigned i = 0; whole && i < count; i++)
		whole = (all[i] = strdup(paths[i]));
	if (whole)
		all[count] = (char *)path;
	if (whole && !devices_look(all, count + 1, looks)) {
		for (unsigned i = 0; i < count && !found; i++)
			if (block_identity_same(&looks[i].identity, &looks[count].identity))
				found = strdup(all[i]);
		devices_look_free(looks, count + 1);
	}
	for (unsigned i = 0; all && i < count; i++)
		free(all[i]);
	return found;
}
