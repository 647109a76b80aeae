/* SPDX-License-Identifier: BSD-2-Clause */
/* libaio, loaded by a worker that has no io_uring (util/library.h). */
#ifndef TENON_FIBER_AIO_LIBRARY_H
#define TENON_FIBER_AIO_LIBRARY_H

#include <libaio.h>

#include "util/library.h"

#define AIO_LIBRARY(F)                                                                             \
	F(io_cancel)                                                                               \
	F(io_destroy)                                                                              \
	F(io_getevents)                                                                            \
	F(io_setup)                                                                                \
	F(io_submit)

LIBRARY_DECLARE(libaio, AIO_LIBRARY)

#endif
