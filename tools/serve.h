/*
 * The storage server: owns arrays and volume groups, and serves them over vhost-user-blk.
 *
 *	serve.c		the command: claims what it serves, runs until a signal
 *	serve_export.c	one vhost-user-blk socket for each volume or array
 *	serve_control.c	the control socket, on which commands ask the owner
 */
#ifndef TENON_TOOLS_SERVE_H
#define TENON_TOOLS_SERVE_H

#include <jansson.h>

#include "fiber/fiber.h"
#include "rpc/rpc.h"
#include "tools/sockets.h"
#include "tools/stack.h"
#include "util/list.h"
#include "util/log.h"

struct block;
struct vhost_user_blk_server;

struct serve {
	struct stack *stack;
	struct log log;
	struct socket_options sockets;
	bool read_only;
	uint64_t queues;
	struct cli_words groups;  /* those that are served whole: new volumes are exported too */
	struct device_list owned; /* paths that this process has locked */
	struct list exports;
	struct fiber_mutex changing; /* one change by a control method at a time */
	struct rpc_server *control;
};

/* A volume or array on its socket. */
struct export
{
	struct list node;
	char *name; /* VG/LV or md/NAME */
	char *path;
	struct block *block;
	struct vhost_user_blk_server *server;
};

/* Opens `name` and serves it at DIR/VG-LV.sock or DIR/md-NAME.sock. */
int export_start(struct serve *serve, const char *name, struct error *error);
/* All visible volumes of a group. */
int export_start_group(struct serve *serve, struct volume_group *group, struct error *error);
/* NULL where `name` is not exported. */
struct export *export_find(struct serve *serve, const char *name);
unsigned export_clients(const struct export *export);
void export_stop(struct export *export);
void export_stop_all(struct serve *serve);
json_t *export_describe(const struct export *export);

extern const struct rpc_method serve_methods[];

#endif
