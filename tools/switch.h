/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tenon switch`: virtual switches of this user.
 *
 *	switch.c		the verbs
 *	switch_print.c		tables
 *	switch_ask.c		asking a running one
 *	switch_run.c		one switch in the foreground, until a signal
 *	switch_list.c		those that run
 *	switch_control.c	what it does when it is asked
 *	switch_make_port.c	and of ports that come and go
 *	switch_status.c		how it says what it does
 *	switch_metrics.c	the same for Prometheus
 *	switch_port.c		what --port says
 *	switch_capture.c	captures, live: the command
 *	switch_capture_kept.c	and those that the switch writes by itself
 *	switch_filter.c		rules of ports: the command
 *	switch_igmp.c		groups: the command, and the switch's answers
 *	switch_igmp_watch.c	its --watch
 *	switch_lldp.c		its neighbours: the command
 *	switch_lldp_status.c	and the switch's answers
 *	switch_lacp.c		bonds: the command
 *	switch_lacp_status.c	and the switch's answers
 *	switch_mirror.c		mirrors, both sides
 *	switch_tables.c		its ports, addresses and counters: the commands
 *	switch_rates.c		--watch
 *	switch_said.c		what it was told, for --config
 *	switch_shape.c		shapers of ports: settings that are links
 *	switch_dhcp.c		DHCP and DNS of segments, both sides
 *	switch_dhcp_change.c	and what is changed of them
 *	switch_forward.c	forwards of a port `user`, both sides
 *	switch_config.c		the whole of a switch as a file, which is read
 *	switch_config_show.c	and written
 *	switch_vlan.c		VLANs of ports
 *	switch_reserved.c	frames to reserved addresses, both sides
 *	switch_watch.c		and what the switch does for these two
 *	switch_stp.c		its spanning tree: the command
 *	switch_tree.c		and what the switch does for it
 *	switch_schedule.c	and for schedules of links
 */
#ifndef TENON_TOOLS_SWITCH_H
#define TENON_TOOLS_SWITCH_H

#include <jansson.h>
#include <stdio.h>

#include "fiber/fiber.h"
#include "rpc/rpc.h"
#include "tools/cli.h"
#include "tools/output.h"
#include "tools/sockets.h"

struct cli_listing;

struct fiber;
struct filter_program;
struct rstp_config;
struct vswitch;
struct vswitch_status;

command_fn switch_run, switch_list, switch_port_verb, switch_table, switch_counters, switch_stop,
	switch_capture, switch_filter, switch_stp, switch_igmp, switch_lldp, switch_lacp,
	switch_mirror, switch_dhcp, switch_forward, switch_reserved, switch_vlan;

/* ---- Asking ---- */

/* What is done: the second operand, or `usual` behind the switch's name alone. */
const char *switch_action(const struct cli_words *operands, const char *usual);

/*
 * The same of verbs whose action comes before the name; *name is the switch's. `actions` as "list|add": the one word that is none of them is a name, and
 * the action "list". NULL, and `status` set: one of them alone, which then wants `expected`.
 */
const char *switch_action_before(const struct cli_words *operands, const char *actions,
				 const char *expected, const char **name, int *status);

/* `port set`: the third operand is a port, and what is behind it are settings. Returns the exit status. */
int switch_set_port_words(const char *name, const struct cli_words *operands);

/* `dhcp add`, `dhcp remove`: the third operand is a port. Returns the exit status. */
int switch_dhcp_change(const struct cli_words *operands);

/* Asks the running switch `name`; `params` is stolen. Returns the exit status; the result is a new reference, if wanted. */
int switch_ask(const char *name, const char *method, json_t *params, json_t **result);

/* All that `switch show` knows, and in it the port `port`, borrowed, unless that is NULL; a port that is not there is an
 * error, which has been said. Returns the exit status; the result is a new reference. */
int switch_ask_ports(const char *name, const char *port, json_t **result, json_t **found);

/* Says in `error` that no switch of that name runs. */
void switch_none_running(const char *name, const char *control, int rc, struct error *error);

/* An expression and its program, as a switch takes them; NULL with `error` set. */
json_t *switch_filter_json(const char *expression, struct error *error);

/* Tables of the lists that a switch gives; rows are added to. */
extern const struct cli_column switch_port_columns[], switch_counter_columns[],
	switch_address_columns[];
void switch_print_ports(json_t *ports, const struct cli_listing *listing);
void switch_print_counters(json_t *ports, const struct cli_listing *listing);
void switch_print_addresses(json_t *addresses, const struct cli_listing *listing);

/* ---- Answering ---- */

/* The context of the methods. */
struct switch_control {
	const char *name;
	struct vswitch *vswitch;
	const struct socket_options *sockets;
	json_t *specs; /* of its ports, by name, as they were said; NULL: none yet */
	json_t *recorders; /* those of them that were made for the mirror of their name, and end with it; NULL: none yet */
	json_t *options; /* that it was started with */
	json_t *said;    /* of protocols and schedules (switch_said.c); NULL: nothing yet */
	json_t *kept; /* captures of its own, as a configuration has them, and their "id"; NULL: none yet */
	unsigned live_captures; /* whose readers may leave */
	struct fiber *watcher;  /* of these; or NULL */
	/* Held while a port is removed or set, which may wait for its bond, or its process is told what to forward: the port of that name is the
	 * same one all the time. */
	struct fiber_mutex changing;
};

extern const struct rpc_method switch_methods[];
extern const struct rpc_page switch_pages[];

rpc_method_fn switch_capture_start, switch_capture_keep, switch_capture_stop, switch_filter_add,
	switch_filter_remove, switch_filter_list, switch_tree_show, switch_tree_set,
	switch_tree_off, switch_igmp_show, switch_igmp_set, switch_lldp_show, switch_lldp_set,
	switch_lacp_show, switch_reserved_set;

/* Looks at settings as `switch igmp` takes them, with ',' between; each goes to `list` unless that is NULL. -EINVAL. */
int switch_igmp_check(const char *words, bool of_port, json_t *list, struct error *error);
void switch_igmp_metrics(FILE *out, const char *name, struct vswitch *vswitch);
/* The same of `switch lldp`, of the switch. */
int switch_lldp_check(const char *words, json_t *list, struct error *error);
/* One word, of a port or the switch. */
int switch_lldp_check_word(const char *word, bool of_port, json_t *list, struct error *error);
void switch_lldp_metrics(FILE *out, const char *name, struct vswitch *vswitch);
void switch_lacp_metrics(FILE *out, const char *name, struct vswitch *vswitch);
/* The MAC address that stands for a switch of this user and name: the same each time it starts. */
uint64_t switch_usual_address(const char *name);
rpc_method_fn switch_dhcp_show, switch_dhcp_change_method, switch_forward_method;
rpc_method_fn switch_schedule_start, switch_schedule_show, switch_schedule_clear;
rpc_method_fn switch_mirror_add, switch_mirror_remove, switch_mirror_list;

/* ---- --watch ---- */

struct link_model;
struct vswitch_port_status;
struct cli_listing;

struct switch_watch {
	bool on;
	uint64_t interval_s; /* 0: not said */
};

#define CLI_OPTIONS_WATCH(watch)                                                                   \
	{ "watch", CLI_FLAG, &(watch)->on, NULL, "what changes, until a signal" },                 \
	{                                                                                          \
		"interval", CLI_NUMBER, &(watch)->interval_s, "SECONDS",                           \
			"between two looks of --watch (1)", 1, 86400                               \
	}

struct switch_watched {
	const char *method; /* that is asked */
	/* What it answers and answered before (NULL: the first time), so many seconds apart. */
	void (*print)(json_t *now, json_t *before, double seconds,
		      const struct cli_listing *listing);
};

extern const struct switch_watched switch_watched_rates, switch_watched_table,
	switch_watched_groups;

/* False, with wrong usage told. */
bool switch_watch_check(const struct switch_watch *watch, int *status);
/* Until it cannot be asked any more; an exit status. */
int switch_watch_run(const char *name, const struct switch_watched *what,
		     const struct switch_watch *watch, const struct cli_listing *listing);

/* Of a row of `memberships`: "all", "10.0.0.1, 10.0.0.2", "all but 10.0.0.1". The caller's. */
json_t *switch_igmp_sources_text(json_t *member);

/* ---- Configurations ---- */

rpc_method_fn switch_config_show;

/* Reads a file ("-": standard input) and checks what can be without a switch; the caller lets go of *out. -EINVAL, ... */
int switch_config_load(const char *path, json_t **out, struct error *error);
/* Carries out all but options and ports, by `switch_methods`. */
int switch_config_apply(struct switch_control *control, const struct rpc_method *methods,
			json_t *config, struct error *error);
/* Keeps what it was told: words of "stp", "igmp" or "lldp", of a port or (NULL) the switch; a schedule by its first port. */
void switch_said_words(struct switch_control *control, const char *what, const char *port,
		       json_t *words);
/* Looks at what a capture is begun with. -EINVAL, -ENOMEM. */
int switch_capture_check(json_t *params, struct error *error);
/* For whoever has another working directory; the caller frees it. NULL without memory. */
char *switch_path_from_root(const char *path);
/* Looks at what a schedule is begun with. -EINVAL, -ENOMEM. */
int switch_schedule_check(json_t *params, struct error *error);
/* By what it was begun with. */
void switch_said_schedule(struct switch_control *control, json_t *params);
/* It does not hold any more. */
void switch_said_forget(struct switch_control *control, const char *what, const char *port);
void switch_said_forget_port(struct switch_control *control, const char *port);
/* A capture ended: whether it was one of the switch's own. */
bool switch_said_forget_capture(struct switch_control *control, unsigned id);
/* Puts all of it into a configuration. */
void switch_said_show(struct switch_control *control, const struct vswitch_status *status,
		      json_t *config);
/* switch_add_port(), and keeps how it was said. */
int switch_control_add_port(struct switch_control *control, const char *spec, struct error *error);

/* NULL: there is none of that name. */
const struct vswitch_port_status *switch_find_port(const struct vswitch_status *status,
						   const char *name);
/* A link's partner stops sending by it before it is taken out; not long, for it may have stopped altogether. */
void switch_leave_bond(const struct switch_control *control, const char *port);
/* switch_control_add_port() of one that is asked for now: what it cannot be is refused before a file or socket of it is touched. */
int switch_control_make_port(struct switch_control *control, const char *spec, struct error *error);
int switch_control_remove_port(struct switch_control *control, const char *port,
			       struct error *error);

void switch_end_watching(struct switch_control *control);

/* Who asks takes -ENOENT for "nobody listens there". */
int switch_answer(int rc, struct error *error);

/* The trace of a link by the keys "trace" and "trace_file"; NULL: there is none. The caller drops it. -EINVAL, -ENOMEM. */
struct link_trace;
int switch_link_trace(struct link_trace **trace, json_t *params, struct error *error);
/* The table of its jitter by "table" and "table_file", in the same way. */
struct link_table;
int switch_link_table(struct link_table **table, json_t *params, struct error *error);

/* A setting "shape-in=RATE[/BURST]" or "shape-out=": of which enum link_direction; 0: it is none. */
unsigned switch_shape_direction(const char *word);
/* Changes a model by it; "none" takes its rate back. -EINVAL, also where the model cannot be as a whole. */
int switch_shape_change(struct link_model *model, const char *word, struct error *error);
/* Puts them behind the port's other settings, with ',' between. */
void switch_shape_describe(const struct vswitch_port_status *port, char *text, size_t size);

/* Whether words can be names, which go as JSON: another is nobody's, and must not be taken for none. False with wrong usage told. */
bool switch_names_check(const struct cli_words *operands, int *status);
/* No verb has such a word with so many behind it; `expected` says what there is. The status of wrong usage. */
int switch_wrong_action(const char *action, unsigned behind, const char *expected);

/* "direction", as PORT_WAY()s; "filter", which may be missing (NULL). */
int switch_param_ways(json_t *params, unsigned *ways, struct error *error);
/* A number, if it is there. -EINVAL. */
int switch_param_number(json_t *params, const char *key, uint64_t least, uint64_t most,
			uint64_t *number, struct error *error);
int switch_param_filter(json_t *params, struct filter_program **out, struct error *error);

/* Text in Prometheus's format; the caller frees it. NULL when out of memory. */
char *switch_metrics(const char *name, struct vswitch *vswitch,
		     const struct vswitch_status *status);
void switch_tree_metrics(FILE *out, const char *name, struct vswitch *vswitch);

/* The settings of --stp: "rstp", "stp" and what rstp.h has, with ',' between. -EINVAL. */
int switch_tree_words(const char *name, struct rstp_config *config, const char *words,
		      struct error *error);

/* DIRECTORY/switch-NAME.sock, on which a switch answers; the caller frees it. */
int switch_control_path(const char *name, char **path, struct error *error);

/*
 * Appends all switches of this user, as `tenon status --json` has them; on a fiber. The control sockets that killed ones left are removed, and
 * their paths appended to `killed` (or NULL). Errors of ask_all().
 */
int switch_rows(json_t *rows, json_t *killed, struct error *error);

/* All of it, as `switch show --json` prints it. NULL when out of memory. */
json_t *switch_status_json(const char *name, const struct vswitch_status *status);

/* Refuses specifications that cannot be, or that are of one name, before anything is opened. -EINVAL or
 * -EEXIST with `error` set. */
int switch_check_ports(const struct cli_words *specs, struct error *error);

/* `spec` with its paths from the root: whoever types it has another working directory than the switch, which opens them.
 * The caller frees it. NULL with `error` set. */
char *switch_port_from_root(const char *spec, struct error *error);
/* Whether any of them listens on a socket. */
bool switch_needs_sockets(const struct cli_words *specs);
/* Adds the port that `spec` describes. */
int switch_add_port(struct vswitch *vswitch, const char *spec, const struct socket_options *sockets,
		    struct error *error);

#endif
