/* SPDX-License-Identifier: BSD-2-Clause */
/* See copy_resume.h. */
#include "tools/copy_resume.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "block/block.h"
#include "block/compare.h"
#include "block/nbd.h"
#include "tools/copy.h"
#include "tools/describe.h"
#include "tools/serial.h"
#include "tools/stack.h"
#include "tools/state.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/directory.h"
#include "util/replace_file.h"
#include "util/text.h"

#define VERSION    1
#define MOST       65536u /* bytes of a checkpoint */
#define NAMED      "named "
#define FILE_KNOWN "file "
#define SAMPLES    16u
#define SAMPLE     (64u << 10)

/* ---- What an end is known by ---- */

/* Device numbers change from one start of the host to the next. */
static int know_file(const char *path, const struct stat *status, bool is_source, char **out)
{
	struct statx more = { 0 };
	struct statfs fs = { 0 };
	char changed[64] = "";

	if (statfs(path, &fs) || statx(AT_FDCWD, path, 0, STATX_BTIME, &more))
		return -errno;
	if (is_source)
		snprintf(changed, sizeof(changed), ", changed %lld.%09ld",
			 (long long)status->st_mtim.tv_sec, status->st_mtim.tv_nsec);
	return asprintf(out, FILE_KNOWN "%x%08x:%llu, born %lld.%09u%s",
			(unsigned)fs.f_fsid.__val[0], (unsigned)fs.f_fsid.__val[1],
			(unsigned long long)status->st_ino, (long long)more.stx_btime.tv_sec,
			more.stx_btime.tv_nsec, changed) < 0
		       ? -ENOMEM
		       : 0;
}

static int know_object(struct copy_command *copy, const char *word, char **out, struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	struct volume_group *group;
	struct stack_array *array;
	struct volume_lv *lv;
	char serial[SERIAL_TEXT];
	int rc = stack_look(&look, &copy->given, error);

	if (rc)
		return rc;
	if (stack_names_array(word)) {
		rc = stack_find_array(look, word, &array, error);
		if (!rc)
			serial_of_array(array->md.set_uuid, serial);
	} else {
		rc = stack_find_volume(look, word, &group, &lv, error);
		if (!rc)
			serial_of_volume(group, lv, serial);
	}
	if (rc)
		return rc;
	return asprintf(out, "object %s", serial) < 0 ? -ENOMEM : 0;
}

/* *out: NULL where there is nothing. */
static int know(struct copy_command *copy, const struct copy_end *end, char **out,
		struct error *error)
{
	bool is_source = end == &copy->source;
	struct stat status;
	int rc = 0;

	*out = NULL;
	if (end->is_object)
		return know_object(copy, end->word, out, error);
	if (stat(end->word, &status))
		rc = strchr(end->word, ':') ? 1 : 0;
	else if (S_ISREG(status.st_mode))
		rc = know_file(end->word, &status, is_source, out);
	else
		rc = 1;
	if (rc > 0)
		rc = asprintf(out, NAMED "%s", end->word) < 0 ? -ENOMEM : 0;
	return rc ? error_set(error, rc, "%s: %s", end->word, error_name(rc)) : 0;
}

/* ---- The file ---- */

static int find_path(const struct copy_end *end, char **out, struct error *error)
{
	CLEANUP_FREE char *folder = NULL, *name = NULL;
	struct stat status;
	bool exists = !stat(end->word, &status);
	int rc;

	if (!end->is_object && (exists ? S_ISREG(status.st_mode) : !strchr(end->word, ':')))
		return asprintf(out, "%s.resume", end->word) < 0 ? (*out = NULL, -ENOMEM) : 0;
	folder = state_directory();
	name = text_name(end->word);
	if (!folder || !name)
		return error_set(error, -ENOENT,
				 "%s: there is no place for a checkpoint: neither TENON_STATE_DIR, "
				 "XDG_STATE_HOME nor HOME is set",
				 end->word);
	rc = directory_make(folder);
	if (rc)
		return error_set(error, rc, "%s: %s", folder, error_name(rc));
	return asprintf(out, "%s/copy-to-%s.resume", folder, name) < 0 ? (*out = NULL, -ENOMEM) : 0;
}

static int stale(const struct copy_resume *resume, const char *word, const char *what,
		 struct error *error)
{
	error_set(error, -ESTALE, "%s: is of another copy: %s: %s", resume->path, word, what);
	return error_advise(error, "remove %s to copy from the beginning", resume->path);
}

/* Whether what it says of an end holds. */
static int check_end(const struct copy_resume *resume, json_t *said, const struct copy_end *end,
		     const char *known, uint64_t size, struct error *error)
{
	const char *id = json_string_value(json_object_get(said, "id"));
	const char *format = json_string_value(json_object_get(said, "format"));
	json_int_t bytes = json_integer_value(json_object_get(said, "size"));

	if (!known)
		return stale(resume, end->word, "is not there any more", error);
	if (!id || strcmp(id, known) != 0) {
		bool same = id && !strncmp(id, known, strcspn(known, ","));

		return stale(resume, end->word,
			     same ? "was changed since" : "is not the one that it was begun with",
			     error);
	}
	if (!format || strcmp(format, end->format ? end->format : "raw") != 0)
		return stale(resume, end->word, "it was begun with another format", error);
	if (bytes != (json_int_t)size)
		return stale(resume, end->word, "it was begun with another size", error);
	return 0;
}

static int take(struct copy_command *copy, json_t *said, struct error *error)
{
	struct copy_resume *resume = &copy->resume;
	json_t *source = json_object_get(said, "source");
	json_t *destination = json_object_get(said, "destination");
	json_t *done = json_object_get(said, "done");
	int rc;

	if (json_integer_value(json_object_get(said, "tenon-copy")) != VERSION ||
	    !json_is_object(source) || !json_is_object(destination) || !json_is_integer(done) ||
	    json_integer_value(done) < 0 ||
	    (json_integer_value(done) % COPY_RESUME_UNIT &&
	     (uint64_t)json_integer_value(done) != copy->source.block->size) ||
	    (uint64_t)json_integer_value(done) > copy->source.block->size) {
		error_set(error, -EINVAL, "%s: is no checkpoint of a copy that fits", resume->path);
		return error_advise(error, "remove it to copy from the beginning");
	}
	rc = check_end(resume, source, &copy->source, resume->source, copy->source.size, error);
	if (!rc)
		rc = check_end(resume, destination, &copy->destination, resume->destination,
			       copy->source.size, error);
	if (rc)
		return rc;
	/* Of what has but a name, nothing says that it is the same: it is asked of as at the first time. */
	if (!json_integer_value(done) && !strncmp(resume->destination, NAMED, strlen(NAMED)))
		return 0;
	resume->begun = resume->done = (uint64_t)json_integer_value(done);
	resume->going_on = resume->written = true;
	return 0;
}

int copy_resume_find(struct copy_command *copy, struct error *error)
{
	struct copy_resume *resume = &copy->resume;
	CLEANUP_CLOSE int fd = -1;
	char text[MOST];
	json_t *said;
	ssize_t got;
	int rc = find_path(&copy->destination, &resume->path, error);

	if (!rc)
		rc = know(copy, &copy->source, &resume->source, error);
	if (!rc)
		rc = know(copy, &copy->destination, &resume->destination, error);
	if (rc)
		return rc;
	fd = open(resume->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return 0;
	got = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (got < 0)
		return error_set(error, -errno, "%s: %s", resume->path, error_name(errno));
	said = json_loadb(text, (size_t)got, 0, NULL);
	rc = take(copy, said, error);
	json_decref(said);
	return rc;
}

static json_t *describe_end(const struct copy_end *end, const char *known, uint64_t size)
{
	return json_pack("{s:o, s:s, s:s, s:I}", "name", describe_text(end->word), "id", known,
			 "format", end->format ? end->format : "raw", "size", (json_int_t)size);
}

/* 1: they are the same there. */
static int same_at(struct block *one, struct block *other, uint64_t at, uint64_t length,
		   struct error *error)
{
	CLEANUP_FREE char *buffer = malloc(2 * (size_t)length);
	struct block *failed = one;
	int rc;

	if (!buffer)
		return -ENOMEM;
	if (!range_within(at, length, one->size) || !range_within(at, length, other->size))
		return 0;
	rc = block_read(one, at, buffer, length);
	if (!rc) {
		failed = other;
		rc = block_read(other, at, buffer + length, length);
	}
	if (rc)
		return error_set(error, rc, "%s: reading it: %s", failed->name, error_name(rc));
	return !memcmp(buffer, buffer + length, length);
}

/* Nobody knows when anything but a file was written to last. */
static bool may_have_changed(const struct copy_resume *resume)
{
	return strncmp(resume->source, FILE_KNOWN, strlen(FILE_KNOWN)) != 0;
}

static void report_compared(void *arg, uint64_t done, uint64_t total)
{
	cli_progress_report(arg, done, total, 0);
}

static int check_all(struct copy_command *copy, struct error *error)
{
	struct copy_resume *resume = &copy->resume;
	struct cli_progress progress = { .what = "compare" };
	const struct block_compare_options options = { .progress = report_compared,
						       .arg = &progress };
	uint64_t differs;
	int rc = block_compare(copy->source.block, copy->destination.block, resume->begun, &options,
			       &differs, error);

	cli_progress_end(&progress);
	if (rc <= 0)
		return rc;
	resume->written = false;
	error_set(error, -ESTALE,
		  "%s: %s and %s differ at byte %llu, which was copied: one of them was changed "
		  "since",
		  resume->path, copy->source.word, copy->destination.word,
		  (unsigned long long)differs);
	return error_advise(error, "remove %s to copy from the beginning", resume->path);
}

static int check_samples(struct copy_command *copy, struct error *error)
{
	struct copy_resume *resume = &copy->resume;
	uint64_t most = round_down(resume->begun, COPY_RESUME_UNIT),
		 length = MIN(most, (uint64_t)SAMPLE);
	uint64_t step = (most - length) / (SAMPLES - 1);
	int rc = 1;

	/* The first and the last bytes are among them. */
	for (unsigned i = 0; length && rc == 1 && i < SAMPLES; i++)
		rc = same_at(copy->source.block, copy->destination.block,
			     i == SAMPLES - 1 ? most - length
					      : round_down(i * step, COPY_RESUME_UNIT),
			     length, error);
	if (rc)
		return MIN(rc, 0);
	/* It is not to be gone on with. */
	resume->written = false;
	return stale(resume, copy->destination.word, "does not hold what was copied", error);
}

int copy_resume_check(struct copy_command *copy, struct error *error)
{
	const char *source = copy->source.word;

	if (!may_have_changed(&copy->resume))
		return check_samples(copy, error);
	/* What is far away would come over the net a second time. */
	if (!block_is_nbd(source))
		return check_all(copy, error);
	if (!copy->verify)
		cli_note("%s: nobody knows whether it was written to since; samples of what was "
			 "copied are compared, --verify would compare all",
			 source);
	return check_samples(copy, error);
}

int copy_resume_note(struct copy_command *copy, uint64_t done, struct error *error)
{
	struct copy_resume *resume = &copy->resume;
	const struct copy_end *source = &copy->source, *destination = &copy->destination;
	json_t *all = json_pack("{s:i, s:o, s:o, s:I}", "tenon-copy", VERSION, "source",
				describe_end(source, resume->source, source->size), "destination",
				describe_end(destination, resume->destination, source->size),
				"done", (json_int_t)done);
	char *text = all ? json_dumps(all, JSON_INDENT(2)) : NULL;
	int rc = text ? replace_file(resume->path, text, strlen(text)) : -ENOMEM;

	json_decref(all);
	free(text);
	if (rc)
		return error_set(error, rc, "%s: writing it: %s", resume->path, error_name(rc));
	resume->done = done;
	resume->written = true;
	return 0;
}

int copy_resume_begin(struct copy_command *copy, struct error *error)
{
	struct copy_resume *resume = &copy->resume;
	int rc = 0;

	if (resume->written)
		return 0;
	if (!resume->destination || !copy->destination.is_object) {
		free(resume->destination);
		rc = know(copy, &copy->destination, &resume->destination, error);
	}
	return rc ? rc : copy_resume_note(copy, 0, error);
}

/* One that came back with the power would say later that what is there then is this copy, half done. */
void copy_resume_end(struct copy_command *copy)
{
	const char *path = copy->resume.path;
	int rc = 0;

	if (copy->resume.written)
		rc = unlink(path) ? -errno : replace_file_flush_folder(path);
	if (rc && rc != -ENOENT)
		cli_warn("%s: removing it: %s; it is of no use any more", path, error_name(rc));
	copy->resume.written = false;
}

void copy_resume_free(struct copy_resume *resume)
{
	free(resume->path);
	free(resume->source);
	free(resume->destination);
	*resume = (struct copy_resume){ 0 };
}
