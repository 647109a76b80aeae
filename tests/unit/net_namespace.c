/* SPDX-License-Identifier: BSD-2-Clause */
/* See net_namespace.h. */
#include "net_namespace.h"

#include <errno.h>
#include <sched.h>

#include "netdev/tap.h"
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

bool net_namespace_with_taps(void)
{
	struct error error = { 0 };
	struct tap tap;

	if (!net_namespace_enter())
		return false;
	if (tap_open(&tap, "probe", NULL, &error)) {
		unit_skip("%s", error.text);
		return false;
	}
	tap_close(&tap);
	return true;
}
