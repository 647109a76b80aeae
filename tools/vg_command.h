/* SPDX-License-Identifier: BSD-2-Clause */
/* A change of a group or of its physical volumes (vg_change.h) as a command has it: carried out by a running server where one
 * owns the group, or else here, or rehearsed. */
#ifndef TENON_TOOLS_VG_COMMAND_H
#define TENON_TOOLS_VG_COMMAND_H

#include "tools/consent.h"
#include "tools/vg_change.h"

struct vg_command {
	struct cli_words given;
	const char *method;
	char *name;               /* the group's, or NULL where `device` says it */
	char *device;             /* of PVs */
	struct cli_words devices; /* that join */
	json_t *params;           /* owned */
	struct consent consent;
	bool overwrite;
	bool told; /* the consent was asked for */
};

/* Ends it, too. The exit status; what went wrong was printed. */
int vg_command_do(struct vg_command *command);

#endif
