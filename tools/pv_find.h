/* SPDX-License-Identifier: BSD-2-Clause */
/* The group that a physical volume is in, by a look. */
#ifndef TENON_TOOLS_PV_FIND_H
#define TENON_TOOLS_PV_FIND_H

#include "tools/cli.h"
#include "volume/volume.h"

struct error;

/* `device` is a path or a UUID. *vg is kept until the command ends. -ENOENT for no physical volume, -EINVAL for one of no
 * group. */
int pv_find(struct cli_words *given, const char *device, char **vg, char uuid[VOLUME_UUID_TEXT],
	    struct error *error);

#endif
