/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the servers' vhost-user sockets are made, and who may connect to them: the options that `tenon serve`
 * and `tenon switch run` have in common.
 */
#ifndef TENON_TOOLS_SOCKETS_H
#define TENON_TOOLS_SOCKETS_H

#include "tools/cli.h"
#include "util/unix_socket.h"

struct socket_options {
	const char *directory;
	const char *mode, *group; /* as given, or NULL */
	struct unix_socket_access access;
};

#define CLI_OPTION_SOCKETS(options)                                                                \
	{ "socket-dir", CLI_TEXT, &(options)->directory, "DIR",                                    \
	  "where the sockets go; made if missing" },                                               \
		{ "socket-mode", CLI_TEXT, &(options)->mode, "MODE",                               \
		  "of the sockets, in octal (0600; with --socket-group 0660)" },                   \
	{                                                                                          \
		"socket-group", CLI_TEXT, &(options)->group, "GROUP",                              \
			"whose members may connect too: the one that QEMU runs as"                 \
	}

/* Takes mode and group for what they mean. False: what is wrong was printed; EXIT_USAGE then. */
bool socket_options_parse(struct socket_options *options);

/* Makes the directory if there is none: with mode 0700, or 0750 and the group if one is given. */
int socket_options_make_directory(const struct socket_options *options, struct error *error);

#endif
