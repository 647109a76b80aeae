/* SPDX-License-Identifier: BSD-2-Clause */
/* See fuse_library.h. */
#include "tools/fuse_library.h"

LIBRARY_DEFINE(libfuse, FUSE_LIBRARY, SONAME_fuse3, "mounts")
