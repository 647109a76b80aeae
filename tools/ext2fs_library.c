/* SPDX-License-Identifier: BSD-2-Clause */
/* See ext2fs_library.h. */
#include "tools/ext2fs_library.h"

LIBRARY_DEFINE(libext2fs, EXT2FS_LIBRARY, SONAME_ext2fs, "file systems in images")
