/* SPDX-License-Identifier: BSD-2-Clause */
/* libfuse3, loaded by a mount (util/library.h). */
#ifndef TENON_TOOLS_FUSE_LIBRARY_H
#define TENON_TOOLS_FUSE_LIBRARY_H

#define FUSE_USE_VERSION 35

#include <fuse3/fuse_lowlevel.h>

#include "util/library.h"

/* From 3.17 on it is told what its caller was compiled for, by an inline function, which would have to be linked. */
#ifdef fuse_session_new
#define FUSE_SESSION_NEW(F) F(fuse_session_new_versioned)
#else
#define FUSE_SESSION_NEW(F) F(fuse_session_new)
#endif

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
	FUSE_SESSION_NEW(F)                                                                        \
	F(fuse_session_process_buf)                                                                \
	F(fuse_session_receive_buf)                                                                \
	F(fuse_session_unmount)                                                                    \
	F(fuse_set_log_func)

LIBRARY_DECLARE(libfuse, FUSE_LIBRARY)

static inline struct fuse_session *libfuse_session_new(struct fuse_args *args,
						       const struct fuse_lowlevel_ops *operations,
						       void *context)
{
#ifdef fuse_session_new
	struct libfuse_version version = { .major = FUSE_MAJOR_VERSION,
					   .minor = FUSE_MINOR_VERSION,
					   .hotfix = FUSE_HOTFIX_VERSION };

	return libfuse.fuse_session_new_versioned(args, operations, sizeof(*operations), &version,
						  context);
#else
	return libfuse.fuse_session_new(args, operations, sizeof(*operations), context);
#endif
}

#endif
