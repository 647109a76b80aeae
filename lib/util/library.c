/* SPDX-License-Identifier: BSD-2-Clause */
/* See library.h. */
#include "util/library.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>

#include "util/error.h"

/*
 * Debian's rule for a library's package, Policy 8.1: libblkid.so.1 is in libblkid1, libnl-3.so.200 in libnl-3-200. What was built anew for a time of
 * 64 bits (libaio1t64) has that name, too.
 */
static int advise_package(struct error *error, const char *name)
{
	const char *version = strstr(name, ".so.");
	int length = version ? (int)(version - name) : (int)strlen(name);
	bool apart = version && length && isdigit((unsigned char)name[length - 1]);

	return error_advise(error, "install it: apt-get install %.*s%s%s", length, name,
			    apart ? "-" : "", version ? version + strlen(".so.") : "");
}

static void *open_library(const char *name, struct error *error)
{
	void *loaded = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!loaded) {
		error_set(error, -ENOPKG, "cannot use %s: %s", name, dlerror());
		advise_package(error, name);
	}
	return loaded;
}

static int find_function(void *loaded, const char *name, const char *function, void *to,
			 struct error *error)
{
	void *found = dlsym(loaded, function);

	if (!found) {
		error_set(error, -ENOPKG, "%s: has no %s()", name, function);
		return advise_package(error, name), -ENOPKG;
	}
	memcpy(to, &found, sizeof(found));
	return 0;
}

int library_load(const char *name, const struct library_function *functions, size_t count,
		 struct error *error)
{
	void *loaded = open_library(name, error);
	int rc = loaded ? 0 : -ENOPKG;

	for (size_t i = 0; !rc && i < count; i++)
		rc = find_function(loaded, name, functions[i].name, functions[i].to, error);
	if (loaded)
		dlclose(loaded);
	return rc;
}

int library_path(const char *name, char **path, struct error *error)
{
	void *loaded = open_library(name, error);
	struct link_map *map = NULL;

	if (!loaded)
		return -ENOPKG;
	*path = dlinfo(loaded, RTLD_DI_LINKMAP, &map) ? NULL : strdup(map->l_name);
	dlclose(loaded);
	return *path ? 0 : error_set(error, -ENOMEM, "%s: no memory for its path", name);
}

static int fill(const struct library_table *table, struct error *error)
{
	void *loaded = open_library(table->name, error);
	int rc = loaded ? 0 : -ENOPKG;

	for (size_t i = 0; !rc && i < table->count; i++)
		rc = find_function(loaded, table->name, table->functions[i], &table->to[i], error);
	if (loaded)
		dlclose(loaded);
	return rc;
}

int library_load_table(struct library_table *table, struct error *error)
{
	int rc = 0;

	if (__atomic_load_n(&table->loaded, __ATOMIC_ACQUIRE))
		return 0;
	pthread_mutex_lock(&table->lock);
	if (!table->loaded) {
		rc = fill(table, error);
		if (!rc)
			__atomic_store_n(&table->loaded, true, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&table->lock);
	return rc;
}
