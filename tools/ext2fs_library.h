/* SPDX-License-Identifier: BSD-2-Clause */
/* libext2fs, with libcom_err, loaded by what looks into a file system; it has a variable, too (util/library.h). */
#ifndef TENON_TOOLS_EXT2FS_LIBRARY_H
#define TENON_TOOLS_EXT2FS_LIBRARY_H

#include <ext2fs/ext2fs.h>

#include "util/library.h"

#define EXT2FS_LIBRARY(F)                                                                          \
	F(error_message)                                                                           \
	F(ext2fs_blocks_count)                                                                     \
	F(ext2fs_close_free)                                                                       \
	F(ext2fs_dir_iterate2)                                                                     \
	F(ext2fs_file_close)                                                                       \
	F(ext2fs_file_open)                                                                        \
	F(ext2fs_file_read)                                                                        \
	F(ext2fs_free)                                                                             \
	F(ext2fs_free_blocks_count)                                                                \
	F(ext2fs_namei)                                                                            \
	F(ext2fs_namei_follow)                                                                     \
	F(ext2fs_open)                                                                             \
	F(ext2fs_open2)                                                                            \
	F(ext2fs_read_bitmaps)                                                                     \
	F(ext2fs_read_inode)                                                                       \
	F(ext2fs_xattr_set)                                                                        \
	F(ext2fs_xattrs_close)                                                                     \
	F(ext2fs_xattrs_open)                                                                      \
	F(ext2fs_xattrs_read)                                                                      \
	F(unix_io_manager)

LIBRARY_DECLARE(libext2fs, EXT2FS_LIBRARY)

#endif
