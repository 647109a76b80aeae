/* SPDX-License-Identifier: BSD-2-Clause */
/* Schedules of links begin and end; see switch.h. What they do is in port_link.c, on the threads of their ports. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "util/log.h"
#include "vswitch/bond.h"
#include "vswitch/internal.h"
#include "vswitch/links.h"
#include "vswitch/port_link.h"

struct schedule_call {
	struct vswitch *vswitch;
	const char *name;
	struct link_schedule *schedule;
	struct port *links[LINK_SCHEDULE_PORTS]; /* new ones, for ports that have none; taken */
	struct vswitch_schedule_status *status;
	bool absent; /* some of its ports may be missing */
	struct error *error;
};

static const struct link_run *run_of(const struct port *port)
{
	return port_link_lower(port) ? port_link_run(port) : NULL;
}

/* ---- Beginning ---- */

/* All its ports are there, or some if that was said, and none does what another schedule says. */
static int check_ports(const struct schedule_call *call)
{
	const struct link_schedule *schedule = call->schedule;
	unsigned here = 0;

	for (unsigned i = 0; i < schedule->port_count; i++) {
		const struct port *port = vswitch_find_port(call->vswitch, schedule->ports[i]);
		const struct link_run *run;

		if (!port && call->absent)
			continue;
		if (!port)
			return vswitch_no_such_port(call->vswitch, schedule->ports[i], call->error);
		here++;
		if (bond_refuse_bond(port, "schedules of links", call->error))
			return -EINVAL;
		run = run_of(port);
		if (!run || !strcmp(run->schedule->owner, schedule->owner))
			continue;
		error_set(call->error, -EBUSY,
			  "port %s: it is in the schedule %s of port %s already", port->name,
			  run->schedule->name, run->schedule->owner);
		error_advise(call->error, "`tenon link schedule %s %s clear` ends that one",
			     call->vswitch->name, port->name);
		return -EBUSY;
	}
	return here ? 0 : vswitch_no_such_port(call->vswitch, schedule->ports[0], call->error);
}

static void end_of_owner(struct vswitch *vswitch, const char *owner)
{
	for (unsigned i = 0; i < vswitch->port_count; i++) {
		const struct link_run *run = run_of(vswitch->list[i]);

		if (run && !strcmp(run->schedule->owner, owner))
			port_link_end_schedule(vswitch->list[i]);
	}
}

static int begin_schedule(void *arg)
{
	struct schedule_call *call = arg;
	struct link_schedule *schedule = call->schedule;
	struct vswitch *vswitch = call->vswitch;
	int rc = check_ports(call);

	if (rc)
		return rc;
	end_of_owner(vswitch, schedule->owner);
	schedule->began = vswitch->clock(vswitch->clock_arg);
	schedule->id = ++vswitch->last_schedule & 0xffffff;
	log_info(vswitch->log, "port %s: schedule %s begins", schedule->owner, schedule->name);
	for (unsigned i = 0; i < schedule->port_count; i++) {
		struct port *port = vswitch_find_port(vswitch, schedule->ports[i]);

		if (port)
			port_link_follow(vswitch_link_over(vswitch, port, &call->links[i]),
					 link_schedule_take(schedule), i);
	}
	return 0;
}

int vswitch_start_schedule(struct vswitch *vswitch, const char *port, const char *name,
			   const char *text, const struct link_schedule_files *files, bool absent,
			   struct error *error)
{
	struct schedule_call call = { .vswitch = vswitch, .absent = absent, .error = error };
	int rc = vswitch_check_port_name(port, error);

	if (!rc)
		rc = link_schedule_read(&call.schedule, name, text, port, files, error);
	for (unsigned i = 0; !rc && i < call.schedule->port_count; i++) {
		call.links[i] = port_link_create();
		if (!call.links[i])
			rc = error_set(error, -ENOMEM, "port %s: out of memory", port);
	}
	if (!rc)
		rc = vswitch_call(vswitch, begin_schedule, &call);
	for (unsigned i = 0; i < LINK_SCHEDULE_PORTS; i++)
		if (call.links[i])
			call.links[i]->ops->destroy(call.links[i]);
	link_schedule_drop(call.schedule);
	return rc;
}

/* ---- Ending, looking ---- */

static int find_run(const struct schedule_call *call, const struct link_run **run)
{
	const struct port *port = vswitch_find_port(call->vswitch, call->name);

	if (!port)
		return vswitch_no_such_port(call->vswitch, call->name, call->error);
	*run = run_of(port);
	return *run ? 0
		    : error_set(call->error, -ENOENT,
				"switch %s: port %s: its link has no schedule", call->vswitch->name,
				call->name);
}

static int end_schedule(void *arg)
{
	struct schedule_call *call = arg;
	const struct link_run *run;
	char owner[PORT_NAME_MAX];
	int rc = find_run(call, &run);

	if (rc)
		return rc;
	memcpy(owner, run->schedule->owner, sizeof(owner));
	log_info(call->vswitch->log, "port %s: schedule %s is ended", owner, run->schedule->name);
	end_of_owner(call->vswitch, owner);
	return 0;
}

int vswitch_end_schedule(struct vswitch *vswitch, const char *port, struct error *error)
{
	struct schedule_call call = { .vswitch = vswitch, .name = port, .error = error };

	return vswitch_call(vswitch, end_schedule, &call);
}

static void look_at_port(struct vswitch_schedule_port *out, const struct port *port,
			 const struct link_run *run)
{
	const struct link_schedule *schedule = run->schedule;

	memcpy(out->name, port->name, sizeof(out->name));
	out->down = (port_link_way(port, LINK_IN)->down ? LINK_IN : 0) |
		    (port_link_way(port, LINK_OUT)->down ? LINK_OUT : 0);
	out->group = port->side & 0xff;
	out->changes = run->changes;
	out->last_line = run->last_line;
	out->last_ns = run->changes ? run->last_due - schedule->began : 0;
}

static int look_at_schedule(void *arg)
{
	struct schedule_call *call = arg;
	struct vswitch_schedule_status *status = call->status;
	struct vswitch *vswitch = call->vswitch;
	const struct link_schedule *schedule;
	const struct link_run *run;
	int rc = find_run(call, &run);

	if (rc)
		return rc;
	schedule = run->schedule;
	snprintf(status->name, sizeof(status->name), "%s", schedule->name);
	memcpy(status->owner, schedule->owner, sizeof(status->owner));
	status->elapsed_ns = vswitch->clock(vswitch->clock_arg) - schedule->began;
	status->ended = link_run_due(run) == UINT64_MAX;
	status->next_line = schedule->steps[run->step].line;
	status->next_ns = run->due - schedule->began;
	for (unsigned i = 0; i < vswitch->port_count; i++) {
		run = run_of(vswitch->list[i]);
		if (run && run->schedule == schedule)
			look_at_port(&status->ports[status->port_count++], vswitch->list[i], run);
	}
	status->absent = status->port_count < schedule->port_count;
	return 0;
}

int vswitch_schedule_status(struct vswitch *vswitch, const char *port,
			    struct vswitch_schedule_status *status, struct error *error)
{
	struct schedule_call call = {
		.vswitch = vswitch, .name = port, .status = status, .error = error
	};

	memset(status, 0, sizeof(*status));
	return vswitch_call(vswitch, look_at_schedule, &call);
}
