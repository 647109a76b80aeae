/* SPDX-License-Identifier: BSD-2-Clause */
/* What ports may be called; see switch.h. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "util/error.h"
#include "vswitch/switch.h"

int vswitch_check_port_name(const char *name, struct error *error)
{
	bool good = name[0] != '\0';

	for (const char *at = name; *at; at++)
		good &= isalnum((unsigned char)*at) || strchr("._-", *at) != NULL;
	if (!good)
		return error_set(error, -EINVAL,
				 "port name \"%.40s\": expected letters, digits, '.', '_' "
				 "and '-'",
				 name);
	if (strlen(name) >= PORT_NAME_MAX)
		return error_set(error, -EINVAL,
				 "port name \"%.40s\": %zu bytes long, at most %d fit", name,
				 strlen(name), PORT_NAME_MAX - 1);
	return 0;
}
