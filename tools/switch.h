/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tenon switch`: virtual switches of this user.
 *
 *	switch.c	the verbs; what a running switch does, shown
 *	switch_run.c	one switch in the foreground, until a signal
 *	switch_port.c	what --port says
 */
#ifndef TENON_TOOLS_SWITCH_H
#define TENON_TOOLS_SWITCH_H

#include <jansson.h>

#include "tools/cli.h"
#include "tools/sockets.h"

struct vswitch;
struct vswitch_status;

int switch_run(int argc, char **argv);

/* DIRECTORY/switch-NAME.sock, on which a switch answers; the caller frees it. */
int switch_control_path(const char *name, char **path, struct error *error);

/* All of it, as `switch show --json` prints it. NULL when out of memory. */
json_t *switch_status_json(const char *name, const struct vswitch_status *status);

/* Refuses specifications that cannot be, or that are of one name, before anything is opened. -EINVAL or
 * -EEXIST with `error` set. */
int switch_check_ports(const struct cli_words *specs, struct error *error);
/* Whether any of them listens on a socket. */
bool switch_needs_sockets(const struct cli_words *specs);
/* Adds the port that `spec` describes. */
int switch_add_port(struct vswitch *vswitch, const char *spec, const struct socket_options *sockets,
		    struct error *error);

#endif
