/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tenon pv move`, `tenon lv move`: extents of volumes go to other devices. By whoever has the group open: a server, as methods
 * of its control socket, or the command.
 *
 *	pv.move		{name, from, volumes, pvs, allocation, rate}: begins one, and goes on with it -> {news, notes}
 *	pv.move_resume	{name, rate}: goes on with what is half done
 *	pv.move_abort	{name}: undoes what is not moved yet
 *	pv.move_wait	{name} -> as move_describe() has it, and "done", after at most a quarter of a second
 *	pv.moves	{} -> [as move_describe()]
 *
 * "from" is a device or a UUID, or none: all that the volumes lie on but what is named in "pvs".
 */
#ifndef TENON_TOOLS_MOVE_H
#define TENON_TOOLS_MOVE_H

#include <jansson.h>

#include "tools/cli.h"
#include "volume/volume_move.h"

struct error;

/* Begins one, as the parameters say; what will be done is appended to `news`. */
int move_begin(struct volume_group *group, json_t *params, json_t *news, struct error *error);
/* Appends a line for each piece of a move that has just begun: from where, and where to. */
void move_describe_plan(const struct volume_group *group, json_t *lines);
/* How the parameters want it to be run. */
struct volume_move_run move_run_options(json_t *params);

/* The command that asks for it by these parameters. */
const char *move_command_text(json_t *params);

/* {name, from, position_bytes, total_bytes, done_percent, rate_bytes, running, problem} */
json_t *move_describe(const struct volume_group *group, const struct volume_move_status *status);

command_fn pv_move_verb, lv_move_verb;

#endif
