/* SPDX-License-Identifier: BSD-2-Clause */
/* See aio_library.h. */
#include "fiber/aio_library.h"

LIBRARY_DEFINE(libaio, AIO_LIBRARY, SONAME_aio, "hosts without io_uring")
