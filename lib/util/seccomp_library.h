/* SPDX-License-Identifier: BSD-2-Clause */
/* libseccomp, loaded by what confines a thread or a process (util/library.h). */
#ifndef TENON_UTIL_SECCOMP_LIBRARY_H
#define TENON_UTIL_SECCOMP_LIBRARY_H

#include <seccomp.h>

#include "util/library.h"

#define SECCOMP_LIBRARY(F)                                                                         \
	F(seccomp_init)                                                                            \
	F(seccomp_load)                                                                            \
	F(seccomp_release)                                                                         \
	F(seccomp_rule_add)

LIBRARY_DECLARE(libseccomp, SECCOMP_LIBRARY)

#endif
