/* SPDX-License-Identifier: BSD-2-Clause */
/* See seccomp_library.h. */
#include "util/seccomp_library.h"

LIBRARY_DEFINE(libseccomp, SECCOMP_LIBRARY, SONAME_seccomp,
	       "threads and processes that are confined")
