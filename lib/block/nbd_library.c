/* SPDX-License-Identifier: BSD-2-Clause */
/* See nbd_library.h. */
#include "block/nbd_library.h"

#include <dlfcn.h>
#include <errno.h>

#include "util/error.h"

#define LIBRARY "libnbd.so.0"

static int find_function(void *loaded, const char *name, void **at, struct error *error)
{
	*at = dlsym(loaded, name);
	if (*at)
		return 0;
	error_set(error, -ENOENT, "NBD: %s: has no %s()", LIBRARY, name);
	return error_advise(error, "install a newer libnbd0");
}

int nbd_library_load(struct nbd_library *library, struct error *error)
{
	/* What it starts, and registers for the end of the process, must find its code then. */
	void *loaded = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	int rc = 0;

	if (!loaded) {
		error_set(error, -ENOENT, "NBD: %s", dlerror());
		error_advise(error, "install the package libnbd0");
		return -ENOENT;
	}
#define FIND(name)                                                                                 \
	if (!rc)                                                                                   \
		rc = find_function(loaded, "nbd_" #name, (void **)&library->name, error);
	NBD_LIBRARY(FIND)
#undef FIND
	dlclose(loaded);
	return rc;
}
