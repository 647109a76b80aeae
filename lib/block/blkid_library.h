/* SPDX-License-Identifier: BSD-2-Clause */
/* libblkid, loaded by what looks for signatures or partitions (util/library.h). */
#ifndef TENON_BLOCK_BLKID_LIBRARY_H
#define TENON_BLOCK_BLKID_LIBRARY_H

#include <blkid/blkid.h>

#include "util/library.h"

#define BLKID_LIBRARY(F)                                                                           \
	F(blkid_do_probe)                                                                          \
	F(blkid_do_wipe)                                                                           \
	F(blkid_free_probe)                                                                        \
	F(blkid_new_probe)                                                                         \
	F(blkid_partition_get_partno)                                                              \
	F(blkid_partition_get_size)                                                                \
	F(blkid_partition_get_start)                                                               \
	F(blkid_partition_get_table)                                                               \
	F(blkid_partition_is_extended)                                                             \
	F(blkid_partlist_get_partition)                                                            \
	F(blkid_partlist_get_table)                                                                \
	F(blkid_partlist_numof_partitions)                                                         \
	F(blkid_parttable_get_offset)                                                              \
	F(blkid_parttable_get_parent)                                                              \
	F(blkid_parttable_get_type)                                                                \
	F(blkid_probe_enable_partitions)                                                           \
	F(blkid_probe_enable_superblocks)                                                          \
	F(blkid_probe_get_partitions)                                                              \
	F(blkid_probe_lookup_value)                                                                \
	F(blkid_probe_set_device)                                                                  \
	F(blkid_probe_set_partitions_flags)                                                        \
	F(blkid_probe_set_sectorsize)                                                              \
	F(blkid_probe_set_superblocks_flags)

LIBRARY_DECLARE(libblkid, BLKID_LIBRARY)

#endif
