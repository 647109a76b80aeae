/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs of this host for a guest, with the libraries that they load; see image.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/image.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/library.h"

/* What has been put already, one a line. */
struct put {
	FILE *to, *names;
	char *text;
	size_t length;
};

static bool is_put(struct put *put, const char *name)
{
	CLEANUP_FREE char *line = NULL;

	if (asprintf(&line, "\n%s\n", name) < 0)
		return false;
	fflush(put->names);
	if (put->text && strstr(put->text, line))
		return true;
	fprintf(put->names, "\n%s\n", name);
	return false;
}

static int put_folders(struct put *put, const char *name)
{
	CLEANUP_FREE char *folder = strdup(name);
	int rc = folder ? 0 : -ENOMEM;

	for (char *at = folder; !rc && (at = strchr(at, '/')); at++) {
		*at = '\0';
		if (!is_put(put, folder))
			rc = image_cpio_add(put->to, folder, S_IFDIR | 0755, NULL, 0);
		*at = '/';
	}
	return rc;
}

/* `path` is absolute, and its place in the guest `name`. */
static int put_file(struct put *put, const char *path, const char *name, struct error *error)
{
	CLEANUP_FREE char *data = NULL;
	size_t length;
	int rc;

	if (is_put(put, name))
		return 0;
	rc = image_file_read(path, &data, &length, error);
	if (!rc)
		rc = put_folders(put, name);
	return rc ? rc : image_cpio_add(put->to, name, S_IFREG | 0755, data, length);
}

/* "	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)", "	/lib64/ld-linux-x86-64.so.2 (0x...)". */
static int put_libraries(struct put *put, const char *temporary, const char *path,
			 struct error *error)
{
	CLEANUP_FREE char *said = image_path(temporary, "said"), *text = NULL;
	struct error unlinked = { 0 };
	size_t length;
	char *rest, *line;
	int rc;

	/* ldd fails for what loads none. */
	if (image_run(temporary, "libc-bin", (const char *const[]){ "ldd", path, NULL }, &unlinked))
		return unlinked.code == -ENOENT ? (*error = unlinked, -ENOENT) : 0;
	rc = image_file_read(said, &text, &length, error);
	for (rest = text; !rc && rest && (line = strsep(&rest, "\n"));) {
		char *from = strchr(line, '/');

		if (!from)
			continue;
		from[strcspn(from, " ")] = '\0';
		rc = put_file(put, from, from + 1, error);
	}
	return rc;
}

static int put_loaded(struct put *put, const char *temporary, const char *library,
		      struct error *error)
{
	CLEANUP_FREE char *path = NULL;
	int rc = library_path(library, &path, error);

	if (!rc)
		rc = put_file(put, path, path + 1, error);
	return rc ? rc : put_libraries(put, temporary, path, error);
}

static int put_program(struct put *put, const char *temporary, const struct image_program *program,
		       struct error *error)
{
	CLEANUP_FREE char *path = NULL, *name = NULL;
	int rc = 0;

	if (program->path)
		path = strdup(program->path);
	else
		rc = image_find_program(program->name, program->package, &path, error);
	if (!rc && (!path || asprintf(&name, "bin/%s", program->name) < 0))
		rc = -ENOMEM;
	if (!rc)
		rc = put_file(put, path, name, error);
	if (!rc)
		rc = put_libraries(put, temporary, path, error);
	return rc || !program->loads ? rc : put_loaded(put, temporary, program->loads, error);
}

int image_put_programs(FILE *to, const char *temporary, const struct image_program *programs,
		       unsigned count, struct error *error)
{
	struct put put = { .to = to };
	int rc = 0;

	put.names = open_memstream(&put.text, &put.length);
	if (!put.names)
		return -ENOMEM;
	for (unsigned i = 0; i < count && !rc; i++)
		rc = put_program(&put, temporary, &programs[i], error);
	fclose(put.names);
	free(put.text);
	return rc;
}
