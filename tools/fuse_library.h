/* SPDX-License-Identifier: BSD-2-Clause */
/* libfuse3, loaded by a mount (util/library.h). */
#ifndef TENON_TOOLS_FUSE_LIBRARY_H
#define TENON_TOOLS_FUSE_LIBRARY_H

#define FUSE_USE_VERSION 35

#include <fuse3/fuse_lowlevel.h>

#include "util/library.h"

#define FUSE_LIBRARY(F)                                                                            \
	F(fuse_add_direntry)                                                                       \
	F(fuse_opt_free_args)                                                                      \
	F(fuse_reply_attr)                                                                         \
	F(fuse_reply_buf)                                                                          \
	F(fuse_reply_entry)                                                                        \
	F(fuse_reply_err)                                                                          \
	F(fuse_reply_lseek)                                                                        \
	F(fuse_reply_none)                                                                         \
	F(fuse_reply_statfs)                                                                       \
	F(fuse_reply_write)                                                                        \
	F(fuse_req_userdata)                                                                       \
	F(fuse_session_destroy)                                                                    \
	F(fuse_session_exit)                                                                       \
	F(fuse_session_exited)                                                                     \
	F(fuse_session_fd)                                                                         \
	F(fuse_session_mount)                                                                      \
	F(fuse_session_new)                                                                        \
	F(fuse_session_process_buf)                                                                \
	F(fuse_session_receive_buf)                                                                \
	F(fuse_session_unmount)                                                                    \
	F(fuse_set_log_func)

LIBRARY_DECLARE(libfuse, FUSE_LIBRARY)

#endif
