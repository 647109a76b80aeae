/* SPDX-License-Identifier: BSD-2-Clause */
/* See nbd_library.h. */
#include "block/nbd_library.h"

#include "util/bytes.h"
#include "util/library.h"

LIBRARY_NOTE(libnbd, SONAME_nbd, "NBD disks", "suggested");

int nbd_library_load(struct nbd_library *library, struct error *error)
{
#define FUNCTION(name) { "nbd_" #name, &library->name },
	const struct library_function functions[] = { NBD_LIBRARY(FUNCTION) };
#undef FUNCTION

	return library_load(SONAME_nbd, functions, ARRAY_SIZE(functions), error);
}
