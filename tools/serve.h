/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The storage server: owns arrays and volume groups, and serves them over vhost-user-blk.
 *
 *	serve.c		the command: starts what is served, runs until a signal
 *	serve_home.c	data workers, and what is at home on each; serve_find.c finds it
 *	serve_targets.c	what is to be served, and taking hold of it
 *	serve_export.c	which volumes and arrays are served, under which names
 *	serve_socket.c	one vhost-user-blk socket for each of them
 *	serve_control.c	the control socket, on which commands ask the owner
 *	serve_groups.c	what they ask of groups and physical volumes
 *	serve_missing.c	and which of these they had marked as missing
 *	serve_moves.c	extents that move to other devices
 *	serve_arrays.c	what they ask of arrays; serve_sync.c: of their resyncs and checks; serve_events.c: what happened
 *	serve_show.c	what is said of a volume
 *	serve_limits.c	limits of volumes
 *	serve_beside.c	disks that this host uses beside machines
 *	serve_lease.c	and reads and writes itself, as long as they may
 *	serve_spares.c	spares that go to where they are needed
 *
 * What cannot be served is left out and keeps an export that says why; the rest is served.
 *
 * The main thread is the control worker: the control socket, JSON, names, signals, and what is computed for changes.
 * Arrays, groups, and what guests read and write live on data workers. A connected piece of the stack (a group, and
 * the arrays and devices below it) has one of them as its home: its devices are opened there, and nothing else
 * touches them; but queues of a guest's disk that lies on files are dealt out to all workers (block/view.h). The control
 * worker asks a home with serve_call(), and waits. Of what is at home it reads
 * itself:
 *
 *	names of arrays and groups	which stay as they are from the claim on
 *	the volumes of a group		under `changing`: nothing but a change that it has asked for, and waits for, alters them
 *
 * `struct serve` and the exports are the control worker's alone; a home is handed copies and pointers that it fills in.
 */
#ifndef TENON_TOOLS_SERVE_H
#define TENON_TOOLS_SERVE_H

#include <jansson.h>

#include "fiber/fiber.h"
#include "rpc/rpc.h"
#include "tools/serial.h"
#include "tools/sockets.h"
#include "tools/stack.h"
#include "util/list.h"
#include "util/log.h"

struct block;
struct vhost_user_blk_acceptor;
struct vhost_user_blk_server;

#define SERVE_WORKERS_MAX 64

/* A data worker and what is at home on it. */
struct serve_home {
	struct worker *worker;
	struct stack *stack;                      /* NULL: nothing could be had */
	struct vhost_user_blk_acceptor *acceptor; /* of its exports' sockets */
	const struct volume_group
		*unsettled; /* the last whose metadata could not be written anew */
	bool ending;
	struct fiber_queue end; /* of its first fiber, at home */

	/* Of its closing: here, as that must be done without memory too. */
	struct serve *serve;
	struct fiber *closer;
	int close_rc;
	struct error close_error;
};

/* What was named, or found, to be served. */
struct serve_target {
	char *word;
	struct serve_home *home;
	uint64_t weight; /* disks */
	bool left_out;   /* it could not be had: `why` */
	struct error why;
};

struct serve {
	struct worker *control_worker;
	uint64_t workers; /* data workers, at most */
	struct serve_home homes[SERVE_WORKERS_MAX];
	struct worker *queue_workers[SERVE_WORKERS_MAX]; /* of the homes, for queues */
	unsigned home_count;
	struct log log;
	struct socket_options sockets;
	bool read_only, pin_memory;
	uint64_t queues;
	struct cli_words groups; /* those that are served whole: new volumes are exported too */
	struct cli_words spare_groups; /* NAME=ARRAY,ARRAY..., checked */
	struct fiber *spares;          /* serve_spares_fiber(), or NULL */
	struct cli_words serials;      /* VG/LV=SERIAL or md/NAME=SERIAL, checked */
	struct cli_words limits_given; /* VG/LV=..., checked (limits.h) */
	struct list limits;            /* of volumes, also of some that are not open now */
	const struct cli_words *given; /* of --device */
	struct device_list owned;      /* paths that this process has locked */
	struct list exports;           /* in the order in which they were named */
	struct export_index {
		void *by_name, *by_path, *by_serial; /* of tsearch(3) */
	} index;
	unsigned served;             /* exports that clients can connect to */
	bool refused;                /* one could not be served, ever */
	bool tells_refused;          /* at once: it is known that there is something to run for */
	struct list stopping;        /* exports that are being closed */
	const char *waits_for;       /* at the end, else NULL */
	struct fiber_mutex changing; /* one change by a control method at a time */
	struct rpc_server *control;
	struct serve_leases *leases; /* serve_lease.c, or NULL */
};

/*
 * A volume or array that is, or is to be, on its socket.
 *
 *	planned		in all three indexes, nothing is open: export_plan_*()
 *	served		`server` is set: export_open()
 *	not served	`problem` is set, and it is in no index but that of names: export_refuse()
 */
struct export
{
	struct list node;
	char *name;               /* VG/LV, md/NAME as one word (text_name()) or md/UUID */
	char *path;               /* of its socket; NULL where not even its name could be found */
	char id[SERIAL_TEXT];     /* which object it is, whatever its name: its own serial number */
	char serial[SERIAL_TEXT]; /* what guests are told */
	/* GROUP/VOLUME, for a clone of a group has volumes of the same UUIDs; "": it is no volume. */
	char uuids[2 * VOLUME_UUID_TEXT];
	int64_t created;
	struct serve_home *home;    /* NULL of what was not even found */
	struct volume_group *group; /* of a volume */
	struct volume_lv *lv;       /* while it is planned or served */
	char *problem;
	struct block *block; /* at home, as are the next two */
	struct vhost_user_blk_server *server;
	struct vhost_user_blk_server
		*beside;   /* for what this host does with it; NULL: nothing yet */
	char *beside_path; /* of its socket */
};

/* ---- Homes (serve_home.c) ---- */

/* The processors that this process may use, at most 4; TENON_WORKERS overrides. 0 where that is no such number. */
uint64_t serve_default_workers(void);

int serve_homes_start(struct serve *serve, unsigned count, struct error *error);
/* Closes exports, and all that is at home, of all homes at once, and ends the workers: a disk that does not answer does
 * not keep the arrays of other homes from being marked clean. Returns `rc`, or if that is 0 the first error. */
int serve_homes_end(struct serve *serve, int rc, struct error *error);

/* Runs `fn(arg)` on a fiber of the home's worker. Calls begin in the order in which they are made: one that does not
 * suspend is done before the next begins. Suspends. */
static inline int serve_call(const struct serve_home *home, fiber_fn *fn, void *arg)
{
	return worker_call(home->worker, fn, arg);
}

/*
 * The UUIDs of PVs that are not here and not marked so, to be asked for before a change; behind it, those that are marked now are told among
 * its notes (serve_missing.c).
 */
json_t *serve_unmarked(const struct volume_group *group);
void serve_tell_marked(const json_t *unmarked, const struct volume_group *group, json_t *notes);

/* As stack_find_array() and stack_find_group(), over all homes (serve_find.c). */
int serve_find_array(struct serve *serve, const char *name, struct serve_home **home,
		     struct stack_array **out, struct error *error);
int serve_find_group(struct serve *serve, const char *name, struct serve_home **home,
		     struct volume_group **out, struct error *error);

/* ---- Exports ---- */

/* Plan an export: DIR/VG-LV.sock or DIR/md-NAME.sock. One that is there already stays as it is; one that was not
 * served is planned again. Where two want one socket or serial number, the older volume has it (a machine that has
 * its disk there must not find another), unless the other is served already. 0 or -ENOMEM. */
int export_plan_volume(struct serve *serve, struct serve_home *home, struct volume_group *group,
		       struct volume_lv *lv, struct export **out);
int export_plan_array(struct serve *serve, struct serve_home *home, const char *target,
		      const struct stack_array *array, struct export **out);
/* All visible volumes of a group; exports of volumes that are gone and were not served go too. */
int export_plan_group(struct serve *serve, struct serve_home *home, struct volume_group *group);
/* Something of that name that is not even found. */
int export_plan_missing(struct serve *serve, const char *name, const struct error *why);

/* With what can be done about it. It is in no index but that of names from then on. */
void export_refuse_for(struct serve *serve, struct export *export, const struct error *why, int rc);
/* In the log, if it was refused. */
void export_tell_refused(struct serve *serve, const struct export *export);
/* Forgets one that is not served. */
void export_forget(struct serve *serve, struct export *export);

unsigned export_count_planned(const struct serve *serve);

/* NULL where there is no export of `name`, which may be an array's in any of its forms. */
struct export *export_find(struct serve *serve, const char *name);
/* Whose socket a volume of that name would need; NULL: nobody's. */
struct export *export_find_rival(struct serve *serve, const char *name);

/* ---- Their sockets (serve_socket.c) ---- */

/* Serves all that is planned. What cannot be is left out, and said so. 0 or -ENOMEM. */
int export_open_all(struct serve *serve);
/* This one alone, if it is planned. */
int export_open(struct serve *serve, struct export *export);
unsigned export_clients(const struct export *export);
/* Those of them that a machine may be, not counting who is beside; adds the processes that are known of. */
unsigned export_machines(const struct export *export, json_t *peers);
/* Closes the socket and the volume, and forgets it. */
void export_stop(struct serve *serve, struct export *export);
/* All of a home (NULL: that have none), some at a time; those that are not done yet are in `stopping`. */
void export_stop_all(struct serve *serve, const struct serve_home *home);

/* Which exports, and what of them. */
struct export_choice {
	size_t from, most; /* their numbers */
	size_t bytes;      /* of the answer, about: once it has so many, the rest is left */
	const char *id;    /* the one with that alone, or NULL */
};

/* Appends those to `list`; *more: there are others behind them. 0 or -ENOMEM. */
int export_describe(const struct serve *serve, const struct export_choice *choice, json_t *list,
		    bool *more);
/* A line for each from that number on, up to some size, of which there are *count: "UUID ID + SOCKET" of a volume (UUID "-" of others), or "- WHY"
 * of one that is not served; for lists of thousands. NULL without memory. */
json_t *export_lines(const struct serve *serve, size_t from, size_t *count);

/* ---- What is served (serve_targets.c) ---- */

/* Takes hold of what the targets lie on, or of everything where there are none, and plans exports of it. What
 * cannot be had is left out, unless it is all. */
int serve_claim(struct serve *serve, const struct cli_words *given, struct cli_words *targets,
		struct error *error);

/* ---- Spare groups (serve_spares.c) ---- */

/* Whether each is NAME=ARRAY,ARRAY...; if not, that was said. */
bool serve_spares_check(const struct cli_words *groups);
/* On the control worker, until it is cancelled; `arg` is the struct serve. */
fiber_fn serve_spares_fiber;

/* ---- The control socket (serve_control.c, serve_arrays.c) ---- */

extern const struct rpc_method serve_methods[];

/* `context` is the struct serve. */
rpc_method_fn serve_raid_list;
rpc_method_fn serve_raid_show;
rpc_method_fn serve_raid_plan;
rpc_method_fn serve_raid_fail;
rpc_method_fn serve_raid_remove;
rpc_method_fn serve_raid_add;
rpc_method_fn serve_raid_replace;
rpc_method_fn serve_raid_grow;
rpc_method_fn serve_raid_check;
rpc_method_fn serve_raid_stop_sync;
rpc_method_fn serve_raid_resume;
rpc_method_fn serve_raid_speed;
rpc_method_fn serve_raid_bitmap;
rpc_method_fn serve_raid_consistency;
rpc_method_fn serve_raid_events;
rpc_method_fn serve_raid_wait;

/* serve_show.c */
rpc_method_fn serve_lv_show;

/* serve_moves.c */
rpc_method_fn serve_pv_move, serve_pv_move_resume, serve_pv_move_abort, serve_pv_move_wait,
	serve_pv_moves;
/* Goes on with what was half done when the groups were found. */
void serve_moves_start(struct serve *serve);

/* serve_beside.c */
rpc_method_fn serve_export_attach, serve_export_extents;

/* serve_lease.c: its socket is in the runtime directory; NULL: there is none. */
void serve_leases_start(struct serve *serve);
const char *serve_leases_path(const struct serve *serve);
/* With `changing`: ends those of a disk, before it is closed: 0, or -EBUSY with who does not let go. Suspends. */
int serve_leases_stop(const struct export *export, struct error *error);
/* Waits for who is inside of a disk, within limits, before the disks are closed. */
void serve_leases_end(struct serve *serve);

/* serve_groups.c */
rpc_method_fn serve_vg_tag, serve_vg_change, serve_vg_extend, serve_vg_repair, serve_vg_reduce,
	serve_pv_tag, serve_pv_change, serve_pv_resize;

#endif
