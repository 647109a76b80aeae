/* SPDX-License-Identifier: BSD-2-Clause */
/* What ports and switches may be called; see switch.h. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "util/error.h"
#include "vswitch/switch.h"

static int check_name(const char *what, const char *name, struct error *error)
{
	bool good = name[0] != '\0';

	for (const char *at = name; *at; at++)
		good &= isalnum((unsigned char)*at) || strchr("._-", *at) != NULL;
	if (!good)
		return error_set(error, -EINVAL,
				 "%s name \"%.40s\": expected letters, digits, '.', '_' "
				 "and '-'",
				 what, name);
	if (strlen(name) >= PORT_NAME_MAX)
		return error_set(error, -EINVAL,
				 "%s name \"%.40s\": %zu bytes long, at most %d fit", what, name,
				 strlen(name), PORT_NAME_MAX - 1);
	return 0;
}

int vswitch_check_port_name(const char *name, struct error *error)
{
	return check_name("port", name, error);
}

int vswitch_check_switch_name(const char *name, struct error *error)
{
	return check_name("switch", name, error);
}
