/* SPDX-License-Identifier: BSD-2-Clause */
/* See net_namespace.h. */
#include "net_namespace.h"

#include <errno.h>
#include <sched.h>

#include "unit.h"
#include "util/error.h"

bool net_namespace_enter(void)
{
	static int entered;

	if (!entered)
		entered =
			(!unshare(CLONE_NEWNET) || !unshare(CLONE_NEWUSER | CLONE_NEWNET)) ? 1 : -1;
	if (entered < 0)
		unit_skip("cannot make a network namespace: %s", error_name(errno));
	return entered > 0;
}
