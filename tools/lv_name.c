/* SPDX-License-Identifier: BSD-2-Clause */
/* See lv_name.h. */
#include "tools/lv_name.h"

#include <errno.h>
#include <string.h>

#include "util/error.h"

bool lv_check_name(const char *name, struct error *error)
{
	const char *slash = strchr(name, '/');

	return (slash && slash != name && slash[1] && !strchr(slash + 1, '/')) ||
	       (error_set(error, -EINVAL, "%s: expected VG/LV", name), false);
}
