/* SPDX-License-Identifier: BSD-2-Clause */
/* Captures of a switch begin and end; see switch.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "vswitch/internal.h"
#include "vswitch/port_link.h"

/* ---- Beginning ---- */

static struct capture_session *make_session(struct vswitch *vswitch,
					    const struct vswitch_capture_options *options,
					    struct error *error)
{
	struct capture_session *session = calloc(1, sizeof(*session));
	struct capture_options capture = {
		.path = options->path,
		.label = options->label,
		.log = vswitch->log,
		.force = options->force,
		.once = options->once,
		.shared = vswitch->thread_count > 1,
		.segments = options->segments,
		.snaplen = options->snaplen,
		.format = options->format,
		.row = options->row,
		.ring_bytes = options->ring_bytes,
		.filter = options->filter ? filter_program_expression(options->filter) : NULL,
	};

	if (!session) {
		error_set(error, -ENOMEM, "capture %s: out of memory", options->path);
		return NULL;
	}
	snprintf(session->port, sizeof(session->port), "%s", options->port ? options->port : "");
	if (capture_open(&session->capture, &capture, error)) {
		free(session);
		return NULL;
	}
	session->once = options->once;
	session->filter = options->filter;
	/* Classic pcap does not tell frames that come in from those that go out: of all ports, one of both will do. */
	session->ways = options->ways                              ? options->ways
			: options->port                            ? PORT_BOTH_WAYS
			: capture_has_directions(session->capture) ? PORT_BOTH_WAYS
								   : PORT_WAY(PORT_IN);
	return session;
}

struct session_call {
	struct vswitch *vswitch;
	const struct vswitch_capture_options *options;
	struct capture_session *session;
	struct capture_place place; /* before it is opened */
	unsigned id;
	struct error *error;
};

int captures_check_alone(struct vswitch *vswitch, const char *path,
			 const struct capture_place *place, struct error *error)
{
	for (unsigned i = 0; i < vswitch->captures.count; i++) {
		const struct capture_session *other = vswitch->captures.list[i];

		if (!capture_writes(other->capture, place))
			continue;
		error_set(error, -EBUSY, "capture %s: capture %u of this switch writes that %s",
			  path, other->id, place->is_row ? "row" : "file");
		return error_advise(error, "end that one first, or give another name");
	}
	for (unsigned i = 0; i < vswitch->port_count; i++) {
		struct port *lower = port_link_lower(vswitch->list[i]);
		struct port *port = lower ? lower : vswitch->list[i];

		if (!port->recording || !capture_writes(port->recording, place))
			continue;
		error_set(error, -EBUSY, "capture %s: port %s of this switch writes that file",
			  path, port->name);
		return error_advise(error, "remove that one first, or give another name");
	}
	return 0;
}

/* Whether there can be one more. */
static int may_begin(void *arg)
{
	const struct session_call *call = arg;
	struct vswitch *vswitch = call->vswitch;
	const char *port = call->options->port;

	if (port && port[0] && !call->options->absent && !vswitch_find_port(vswitch, port))
		return vswitch_no_such_port(vswitch, port, call->error);
	if (vswitch->captures.count == CHECKPOINT_CAPTURES)
		return error_set(call->error, -ENOSPC, "switch %s: it has %d captures, no more fit",
				 vswitch->name, CHECKPOINT_CAPTURES);
	return captures_check_alone(vswitch, call->options->path, &call->place, call->error);
}

static int begin(void *arg)
{
	struct session_call *call = arg;
	struct vswitch *vswitch = call->vswitch;
	struct capture_session *session = call->session;
	int rc = may_begin(call);

	if (rc)
		return rc;
	session->id = ++vswitch->captures.last_id;
	call->id = session->id;
	for (unsigned i = 0; i < vswitch->port_count; i++)
		capture_session_add_interface(session, vswitch->list[i]);
	vswitch->captures.list[vswitch->captures.count++] = session;
	checkpoint_refresh(vswitch);
	return 0;
}

static int end_session(struct capture_session *session, struct capture_status *last,
		       struct error *error)
{
	struct capture_status unused;
	int rc = capture_close_saying(session->capture, last ? last : &unused, error);

	if (last)
		last->once = session->once;
	filter_program_free(session->filter);
	free(session);
	return rc;
}

int vswitch_start_capture(struct vswitch *vswitch, const struct vswitch_capture_options *options,
			  unsigned *id, struct error *error)
{
	struct session_call call = { .vswitch = vswitch, .options = options, .error = error };
	int rc;

	/* Before a file that holds an older one is emptied. */
	capture_place_find(&call.place, options->path, &options->row);
	rc = vswitch_call(vswitch, may_begin, &call);
	if (!rc) {
		call.session = make_session(vswitch, options, error);
		rc = call.session ? 0 : error ? error->code : -EIO;
	}
	if (rc) {
		filter_program_free(options->filter);
		return rc;
	}
	rc = vswitch_call(vswitch, begin, &call);
	if (rc)
		end_session(call.session, NULL, NULL);
	else if (id)
		*id = call.id;
	return rc;
}

/* ---- Ending ---- */

/* Takes out the one of `id`; 0: the last. */
static int take_session(void *arg)
{
	struct session_call *call = arg;
	struct capture_sessions *captures = &call->vswitch->captures;
	unsigned at = captures->count;

	while (at > 0 && call->id && captures->list[at - 1]->id != call->id)
		at--;
	if (!at)
		return -ENOENT;
	call->session = captures->list[at - 1];
	captures->count--;
	memmove(&captures->list[at - 1], &captures->list[at],
		(captures->count - (at - 1)) * sizeof(captures->list[0]));
	checkpoint_refresh(call->vswitch);
	return 0;
}

int vswitch_stop_capture(struct vswitch *vswitch, unsigned id, struct capture_status *last,
			 struct error *error)
{
	struct session_call call = { .vswitch = vswitch, .id = id };

	if (vswitch_call(vswitch, take_session, &call))
		return error_set(error, -ENOENT,
				 "switch %s: capture %u: there is none of that number",
				 vswitch->name, id);
	return end_session(call.session, last, error);
}

int vswitch_stop_captures(struct vswitch *vswitch, struct error *error)
{
	struct session_call call = { .vswitch = vswitch };
	int rc = 0;

	while (!vswitch_call(vswitch, take_session, &call)) {
		int ended = end_session(call.session, NULL, rc ? NULL : error);

		rc = rc ? rc : ended;
	}
	return rc;
}

/* Takes out one that nobody reads any more. */
static int take_ended(void *arg)
{
	struct session_call *call = arg;
	const struct capture_sessions *captures = &call->vswitch->captures;

	for (unsigned i = 0; i < captures->count; i++)
		if (captures->list[i]->once && capture_has_ended(captures->list[i]->capture)) {
			call->id = captures->list[i]->id;
			return take_session(call);
		}
	return -ENOENT;
}

unsigned vswitch_reap_captures(struct vswitch *vswitch)
{
	struct session_call call = { .vswitch = vswitch };
	unsigned count = 0;

	while (!vswitch_call(vswitch, take_ended, &call)) {
		end_session(call.session, NULL, NULL);
		count++;
	}
	return count;
}
