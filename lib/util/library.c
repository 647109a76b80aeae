/* SPDX-License-Identifier: BSD-2-Clause */
/* See library.h. */
#include "util/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "util/error.h"

int library_load(const char *name, const char *package, const struct library_function *functions,
		 size_t count, struct error *error)
{
	void *loaded = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	int rc = 0;

	if (!loaded) {
		rc = error_set(error, -ENOPKG, "cannot use %s: %s", name, dlerror());
		error_advise(error, "install it: apt-get install %s", package);
		return rc;
	}
	for (size_t i = 0; !rc && i < count; i++) {
		void *found = dlsym(loaded, functions[i].name);

		if (found) {
			memcpy(functions[i].to, &found, sizeof(found));
			continue;
		}
		rc = error_set(error, -ENOPKG, "%s: has no %s()", name, functions[i].name);
		error_advise(error, "install a newer %s", package);
	}
	dlclose(loaded);
	return rc;
}
