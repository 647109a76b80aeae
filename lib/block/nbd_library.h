/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libnbd, loaded when the first NBD disk is opened (util/library.h): it brings some twenty libraries with it (TLS, XML, character sets; 45 MB of
 * files), which every other command would load, too.
 */
#ifndef TENON_BLOCK_NBD_LIBRARY_H
#define TENON_BLOCK_NBD_LIBRARY_H

#include <libnbd.h>

struct error;

/* What is used of it: nbd_create() is library->create(). */
#define NBD_LIBRARY(F)                                                                             \
	F(create)                                                                                  \
	F(close)                                                                                   \
	F(get_error)                                                                               \
	F(get_errno)                                                                               \
	F(add_meta_context)                                                                        \
	F(aio_connect_uri)                                                                         \
	F(aio_connect_socket)                                                                      \
	F(aio_disconnect)                                                                          \
	F(aio_get_fd)                                                                              \
	F(aio_get_direction)                                                                       \
	F(aio_notify_read)                                                                         \
	F(aio_notify_write)                                                                        \
	F(aio_is_connecting)                                                                       \
	F(aio_is_ready)                                                                            \
	F(aio_is_dead)                                                                             \
	F(aio_is_closed)                                                                           \
	F(aio_pread)                                                                               \
	F(aio_pwrite)                                                                              \
	F(aio_flush)                                                                               \
	F(aio_trim)                                                                                \
	F(aio_zero)                                                                                \
	F(aio_block_status)                                                                        \
	F(get_size)                                                                                \
	F(get_block_size)                                                                          \
	F(is_read_only)                                                                            \
	F(can_flush)                                                                               \
	F(can_fua)                                                                                 \
	F(can_trim)                                                                                \
	F(can_zero)                                                                                \
	F(can_meta_context)

struct nbd_library {
#define NBD_LIBRARY_MEMBER(name) __typeof__(nbd_##name) *name;
	NBD_LIBRARY(NBD_LIBRARY_MEMBER)
#undef NBD_LIBRARY_MEMBER
};

/* Loads it (util/library.h). 0, or -ENOPKG with `error` set where this host lacks it. */
int nbd_library_load(struct nbd_library *library, struct error *error);

#endif
