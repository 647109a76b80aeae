/* SPDX-License-Identifier: BSD-2-Clause */
/* See image.h. The header of a bzImage: Linux, Documentation/arch/x86/boot.rst. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/image.h"
#include "util/cleanup.h"
#include "util/error.h"

#define PACKAGE "linux-image-cloud-amd64 (Debian), linux-image-virtual (Ubuntu)"

void image_kernel_free(struct image_kernel *kernel)
{
	free(kernel->path);
	free(kernel->version);
	free(kernel->modules);
	*kernel = (struct image_kernel){ 0 };
}

void image_list_free(char **list)
{
	for (char **at = list; at && *at; at++)
		free(*at);
	free(list);
}

/* The version that the kernel's header says. */
static int read_version(struct image_kernel *kernel, struct error *error)
{
	CLEANUP_CLOSE int fd = open(kernel->path, O_RDONLY | O_CLOEXEC);
	unsigned char head[0x212];
	char text[128] = "";
	ssize_t got;

	if (fd < 0) {
		error_set(error, -errno, "%s: %s", kernel->path, error_name(errno));
		if (error->code == -EACCES)
			error_advise(error,
				     "have root make a copy that you may read, and name it by "
				     "--kernel");
		return error->code;
	}
	got = pread(fd, head, sizeof(head), 0);
	if (got == (ssize_t)sizeof(head) && !memcmp(head + 0x202, "HdrS", 4) &&
	    head[0x20e] | head[0x20f])
		(void)pread(fd, text, sizeof(text) - 1, (head[0x20e] | head[0x20f] << 8) + 0x200);
	text[strcspn(text, " \n/")] = '\0';
	if (!*text)
		return error_set(
			error, -EINVAL,
			"%s: is no bzImage that says its version, as distributions have them",
			kernel->path);
	kernel->version = strdup(text);
	return kernel->version ? 0 : -ENOMEM;
}

/* Where the modules of a kernel are: below the root that its own folder, boot, is in, too. */
static int find_modules(struct image_kernel *kernel, struct error *error)
{
	static const char *const places[] = { "../lib/modules", "../usr/lib/modules" };
	CLEANUP_FREE char *folder = strdup(kernel->path);
	char *slash = folder ? strrchr(folder, '/') : NULL, *path;

	if (slash)
		slash[1] = '\0';
	if (asprintf(&path, "/lib/modules/%s", kernel->version) < 0)
		return -ENOMEM;
	for (unsigned i = 0; i < 3; i++) {
		CLEANUP_FREE char *list = image_path(path, "modules.builtin");

		if (list && !access(list, R_OK)) {
			kernel->modules = path;
			return 0;
		}
		free(path);
		if (i == 2 || asprintf(&path, "%s%s/%s", slash ? folder : "./", places[i],
				       kernel->version) < 0)
			break;
	}
	error_set(error, -ENOENT, "%s: the modules of Linux %s are not in /lib/modules",
		  kernel->path, kernel->version);
	error_advise(error,
		     "install its package, or name the folder with its modules.dep by --modules");
	return -ENOENT;
}

static int compare_versions(const void *a, const void *b)
{
	return -strverscmp(*(char *const *)a, *(char *const *)b);
}

/* The newest in /boot that can be read and has its modules. */
static int find_newest(struct image_kernel *kernel, struct error *error)
{
	struct error last = { 0 };
	glob_t found = { 0 };
	int rc = -ENOENT;

	if (glob("/boot/vmlinuz-*", 0, NULL, &found) == 0)
		qsort(found.gl_pathv, found.gl_pathc, sizeof(char *), compare_versions);
	for (size_t i = 0; rc && i < found.gl_pathc; i++) {
		image_kernel_free(kernel);
		kernel->path = strdup(found.gl_pathv[i]);
		rc = kernel->path ? read_version(kernel, &last) : -ENOMEM;
		if (!rc)
			rc = find_modules(kernel, &last);
	}
	globfree(&found);
	if (!rc || rc == -ENOMEM)
		return rc;
	if (last.code) {
		*error = last;
		return rc;
	}
	error_set(error, rc, "/boot: there is no kernel (vmlinuz-*)");
	error_advise(error, "install " PACKAGE
			    ", or name one by --kernel: without root, `apt-get download` a "
			    "linux-image package and name the .deb");
	return rc;
}

/* Out of a Debian package, which an ordinary user can download. */
static int unpack(struct image_kernel *kernel, const char *given, const char *temporary,
		  struct error *error)
{
	CLEANUP_FREE char *into = image_path(temporary, "package"), *pattern = NULL;
	const char *const argv[] = { "dpkg-deb", "-x", given, into, NULL };
	glob_t found = { 0 };
	int rc;

	if (!into)
		return -ENOMEM;
	rc = image_run(temporary, "dpkg", argv, error);
	if (rc) {
		error_prefix(error, "%s", given);
		return rc;
	}
	if (asprintf(&pattern, "%s/boot/vmlinuz-*", into) < 0)
		return -ENOMEM;
	if (glob(pattern, 0, NULL, &found) == 0 && (kernel->path = strdup(found.gl_pathv[0])))
		kernel->unpacked = true;
	globfree(&found);
	if (kernel->path)
		return 0;
	error_set(error, -ENOENT, "%s: there is no kernel in this package", given);
	error_advise(error,
		     "one that only depends on the kernel's own has none: `apt-cache depends` "
		     "names that");
	return -ENOENT;
}

/* What a package's own script would do. */
static int make_dependencies(const struct image_kernel *kernel, const char *temporary,
			     struct error *error)
{
	CLEANUP_FREE char *list = image_path(kernel->modules, "modules.dep"), *base = NULL;
	char *end;

	if (list && !access(list, R_OK))
		return 0;
	if (!kernel->unpacked) {
		error_set(error, -ENOENT, "%s: there is no modules.dep", kernel->modules);
		error_advise(error, "`depmod %s`, as root, makes it", kernel->version);
		return -ENOENT;
	}
	base = realpath(kernel->modules, NULL);
	end = base ? strstr(base, "/lib/modules/") : NULL;
	if (!end)
		return -ENOMEM;
	*end = '\0';
	return image_run(temporary, "kmod",
			 (const char *const[]){ "depmod", "-b", base, kernel->version, NULL },
			 error);
}

int image_kernel_find(struct image_kernel *kernel, const char *given, const char *modules,
		      const char *temporary, struct error *error)
{
	size_t length = given ? strlen(given) : 0;
	int rc = 0;

	if (!given)
		rc = find_newest(kernel, error);
	else if (length > 4 && !strcmp(given + length - 4, ".deb"))
		rc = unpack(kernel, given, temporary, error);
	else
		kernel->path = strdup(given);
	if (!rc && !kernel->path)
		rc = -ENOMEM;
	if (!rc && !kernel->version)
		rc = read_version(kernel, error);
	if (!rc && modules) {
		free(kernel->modules);
		kernel->modules = strdup(modules);
		rc = kernel->modules ? 0 : -ENOMEM;
	}
	if (!rc && !kernel->modules)
		rc = find_modules(kernel, error);
	return rc ? rc : make_dependencies(kernel, temporary, error);
}

/* ---- Modules ---- */

/* "kernel/drivers/virtio/virtio-ring.ko.xz" is the module virtio_ring, of `length` letters in the path. */
static bool is_module(const char *path, size_t path_length, const char *name)
{
	const char *last = memrchr(path, '/', path_length);
	size_t length = strlen(name);

	last = last ? last + 1 : path;
	if ((size_t)(path + path_length - last) < length + 3 || memcmp(last + length, ".ko", 3))
		return false;
	for (size_t i = 0; i < length; i++)
		if (name[i] != last[i] && !(strchr("-_", name[i]) && strchr("-_", last[i])))
			return false;
	return true;
}

/* The line of `text` whose first word, up to a colon or its end, is the module. */
static const char *find_line(const char *text, const char *name)
{
	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (is_module(line, strcspn(line, ":\n"), name))
			return line;
	return NULL;
}

struct load_order {
	char **files;
	size_t count;
};

static int add_file(struct load_order *order, const char *file, size_t length)
{
	char **more;

	for (size_t i = 0; i < order->count; i++)
		if (strlen(order->files[i]) == length && !memcmp(order->files[i], file, length))
			return 0;
	more = realloc(order->files, (order->count + 2) * sizeof(char *));
	if (!more)
		return -ENOMEM;
	order->files = more;
	more[order->count] = strndup(file, length);
	more[order->count + 1] = NULL;
	return more[order->count] ? (order->count++, 0) : -ENOMEM;
}

/* "FILE: NEEDED NEEDED ...": what is last there is to be loaded first. */
static int add_line(struct load_order *order, const char *line)
{
	size_t file = strcspn(line, ":\n"), end = strcspn(line, "\n");
	int rc = 0;

	while (!rc && end > file + 1) {
		size_t start = end;

		while (start > file + 1 && line[start - 1] != ' ')
			start--;
		if (end > start)
			rc = add_file(order, line + start, end - start);
		end = start > file + 1 ? start - 1 : file;
	}
	return rc ? rc : add_file(order, line, file);
}

int image_kernel_modules(const struct image_kernel *kernel, const char *const *wanted,
			 char ***files, struct error *error)
{
	CLEANUP_FREE char *list = image_path(kernel->modules, "modules.dep"), *text = NULL;
	CLEANUP_FREE char *builtin_list = image_path(kernel->modules, "modules.builtin");
	CLEANUP_FREE char *builtin = NULL;
	struct load_order order = { .files = calloc(1, sizeof(char *)) };
	size_t length;
	int rc = list && builtin_list && order.files ? 0 : -ENOMEM;

	if (!rc)
		rc = image_file_read(list, &text, &length, error);
	if (!rc)
		rc = image_file_read(builtin_list, &builtin, &length, error);
	for (; !rc && *wanted; wanted++) {
		CLEANUP_FREE char *name = strndup(*wanted, strcspn(*wanted, "?"));
		const char *line = name ? find_line(text, name) : NULL;

		if (!name)
			rc = -ENOMEM;
		else if (find_line(builtin, name))
			continue;
		else if (line)
			rc = add_line(&order, line);
		else if (!strchr(*wanted, '?'))
			rc = error_set(error, -ENOENT,
				       "%s: Linux %s has no module %s, which the guest needs", list,
				       kernel->version, name);
	}
	if (rc)
		image_list_free(order.files);
	else
		*files = order.files;
	return rc;
}
