/* SPDX-License-Identifier: BSD-2-Clause */
/* A network namespace of a test's own. */
#ifndef TENON_TESTS_UNIT_NET_NAMESPACE_H
#define TENON_TESTS_UNIT_NET_NAMESPACE_H

#include <stdbool.h>

/* Moves the whole test into one, once; as another user than root with a user namespace round it. False: that cannot be here, and the
 * test is skipped. */
bool net_namespace_enter(void);

/* And there are TAPs. */
bool net_namespace_with_taps(void);

#endif
