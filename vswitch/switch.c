/* SPDX-License-Identifier: BSD-2-Clause */
/* Making and ending switches, their ports, captures, and looking at them; see switch.h. */
#include "vswitch/switch.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "util/bytes.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/log.h"
#include "util/random.h"
#include "vswitch/internal.h"

static uint64_t system_clock(void *arg)
{
	(void)arg;
	return monotonic_ns();
}

static uint64_t system_epoch(uint64_t now)
{
	struct timespec day;

	clock_gettime(CLOCK_REALTIME, &day);
	return (uint64_t)day.tv_sec * 1000000000 + (uint64_t)day.tv_nsec - now;
}

static int init(struct vswitch *vswitch, const struct vswitch_options *options, struct error *error)
{
	struct mac_table_options table = {
		.size = options->table_size,
		.per_port = options->table_per_port,
		.ageing_ns = options->ageing_ns,
		.seed = options->seed ? options->seed : random_seed_from_system(),
	};
	int rc = vswitch_loop_init(vswitch, error);

	if (rc)
		return rc;
	vswitch->scratch = forward_scratch_create();
	if (!vswitch->scratch || mac_table_create(&vswitch->table, &table))
		return error_set(error, -ENOMEM, "switch %s: out of memory", vswitch->name);
	return 0;
}

int vswitch_create(struct vswitch **out, const struct vswitch_options *options, struct error *error)
{
	static const struct vswitch_options defaults;
	struct vswitch *vswitch = calloc(1, sizeof(*vswitch));
	int rc;

	if (!vswitch)
		return error_set(error, -ENOMEM, "switch: out of memory");
	if (!options)
		options = &defaults;
	snprintf(vswitch->name, sizeof(vswitch->name), "%s",
		 options->name ? options->name : "switch");
	vswitch->log = options->log;
	vswitch->clock = options->clock ? options->clock : system_clock;
	vswitch->clock_arg = options->clock_arg;
	vswitch->now = vswitch->clock(vswitch->clock_arg);
	vswitch->epoch = options->epoch_ns ? options->epoch_ns : system_epoch(vswitch->now);
	vswitch->polling.most = options->poll_ns;
	vswitch->ageing = options->ageing_ns ? options->ageing_ns : MAC_TABLE_AGEING;
	if (options->hub)
		vswitch->ageing = 0;
	vswitch->table_size = options->table_size ? options->table_size : MAC_TABLE_SIZE;
	vswitch->wake_fd = vswitch->epoll_fd = -1;
	rc = init(vswitch, options, error);
	if (rc) {
		vswitch_destroy(vswitch);
		return rc;
	}
	*out = vswitch;
	return 0;
}

void vswitch_destroy(struct vswitch *vswitch)
{
	if (!vswitch)
		return;
	vswitch_stop(vswitch);
	for (unsigned i = 0; i < vswitch->port_count; i++)
		vswitch->ports[i]->ops->destroy(vswitch->ports[i]);
	vswitch_stop_capture(vswitch, NULL);
	mac_table_destroy(vswitch->table);
	forward_scratch_destroy(vswitch->scratch);
	vswitch_loop_destroy(vswitch);
	free(vswitch);
}

/* ---- Ports ---- */

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

struct add_call {
	struct vswitch *vswitch;
	struct port *port;
	const char *name;
	struct error *error;
};

static int add_port(void *arg)
{
	const struct add_call *call = arg;
	struct vswitch *vswitch = call->vswitch;
	struct port *port = call->port;

	if (vswitch->port_count == VSWITCH_PORTS_MAX)
		return error_set(call->error, -ENOSPC,
				 "switch %s: port %s: it has %d ports, no more fit", vswitch->name,
				 call->name, VSWITCH_PORTS_MAX);
	for (unsigned i = 0; i < vswitch->port_count; i++)
		if (!strcmp(vswitch->ports[i]->name, call->name))
			return error_set(call->error, -EEXIST,
					 "switch %s: port %s: there is one of that "
					 "name already",
					 vswitch->name, call->name);
	port->vswitch = vswitch;
	port->log = vswitch->log;
	port->index = (uint16_t)vswitch->port_count;
	snprintf(port->name, sizeof(port->name), "%s", call->name);
	if (port->ops->attach) {
		int rc = port->ops->attach(port, call->error);

		if (rc)
			return rc;
	}
	vswitch->ports[vswitch->port_count++] = port;
	vswitch->polled_count += port->ops->polled;
	if (vswitch->capture)
		capture_add_port(vswitch->capture, port->name);
	return 0;
}

int vswitch_add_port(struct vswitch *vswitch, struct port *port, const char *name,
		     struct error *error)
{
	struct add_call call = { vswitch, port, name, error };
	int rc = vswitch_check_port_name(name, error);

	if (!rc)
		rc = vswitch_call(vswitch, add_port, &call);
	if (rc)
		port->ops->destroy(port);
	return rc;
}

/* ---- Capture ---- */

struct capture_call {
	struct vswitch *vswitch;
	struct capture *capture;
};

static int swap_capture(void *arg)
{
	struct capture_call *call = arg;
	struct capture *old = call->vswitch->capture;

	if (call->capture)
		for (unsigned i = 0; i < call->vswitch->port_count; i++)
			capture_add_port(call->capture, call->vswitch->ports[i]->name);
	call->vswitch->capture = call->capture;
	call->capture = old;
	return 0;
}

int vswitch_start_capture(struct vswitch *vswitch, const char *path, bool force,
			  struct error *error)
{
	struct capture_call call = { vswitch, NULL };
	struct capture_options options = { .path = path, .log = vswitch->log, .force = force };
	int rc = capture_open(&call.capture, &options, error);

	if (rc)
		return rc;
	vswitch_call(vswitch, swap_capture, &call);
	return capture_close(call.capture, error);
}

int vswitch_stop_capture(struct vswitch *vswitch, struct error *error)
{
	struct capture_call call = { vswitch, NULL };

	vswitch_call(vswitch, swap_capture, &call);
	return capture_close(call.capture, error);
}

/* ---- Looking ---- */

struct status_call {
	struct vswitch *vswitch;
	struct vswitch_status *status;
};

static int fill_status(void *arg)
{
	const struct status_call *call = arg;
	struct vswitch *vswitch = call->vswitch;
	struct vswitch_status *status = call->status;

	status->ports = calloc(vswitch->port_count + 1, sizeof(*status->ports));
	status->addresses = calloc(mac_table_count(vswitch->table) + 1, sizeof(*status->addresses));
	if (!status->ports || !status->addresses)
		return -ENOMEM;
	status->port_count = vswitch->port_count;
	for (unsigned i = 0; i < vswitch->port_count; i++) {
		struct vswitch_port_status *out = &status->ports[i];
		struct port *port = vswitch->ports[i];

		memcpy(out->name, port->name, sizeof(out->name));
		out->type = port->ops->type;
		out->up = port->up;
		out->peer = port->peer;
		out->counters = port->counters;
		if (!port->ops->describe)
			continue;
		port->ops->describe(port, out->where, out->state, out->features);
		/* "Connected" is not yet up: nothing but what takes frames is. */
		out->up = port->up && !strcmp(out->state, "up");
	}
	status->now = vswitch->clock(vswitch->clock_arg);
	status->address_count = mac_table_list(vswitch->table, status->now, status->addresses,
					       mac_table_count(vswitch->table));
	mac_table_counters(vswitch->table, &status->table);
	status->table_size = vswitch->table_size;
	status->ageing_ns = vswitch->ageing;
	status->sleeps = vswitch->sleeps;
	status->rounds = vswitch->rounds;
	status->capturing = vswitch->capture != NULL;
	if (vswitch->capture) {
		capture_status(vswitch->capture, &status->capture);
		snprintf(status->capture_path, sizeof(status->capture_path), "%s",
			 status->capture.path);
		status->capture.path = status->capture_path;
	}
	return 0;
}

int vswitch_status(struct vswitch *vswitch, struct vswitch_status **out)
{
	struct status_call call = { vswitch, calloc(1, sizeof(*call.status)) };
	int rc;

	if (!call.status)
		return -ENOMEM;
	rc = vswitch_call(vswitch, fill_status, &call);
	if (rc)
		vswitch_status_free(call.status);
	else
		*out = call.status;
	return rc;
}

void vswitch_status_free(struct vswitch_status *status)
{
	if (!status)
		return;
	free(status->ports);
	free(status->addresses);
	free(status);
}
