/* SPDX-License-Identifier: BSD-2-Clause */
/* See blkid_library.h. */
#include "block/blkid_library.h"

LIBRARY_DEFINE(libblkid, BLKID_LIBRARY, SONAME_blkid, "signatures and partitions")
