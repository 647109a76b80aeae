/* SPDX-License-Identifier: BSD-2-Clause */
/* What a running switch does when it is asked about schedules of links; see switch.h. */
#include <errno.h>
#include <stdlib.h>

#include "tools/describe.h"
#include "tools/switch.h"
#include "vswitch/switch.h"

/* The traces that it names. */
static int take_files(json_t *params, struct link_schedule_files *files, struct error *error)
{
	json_t *traces = json_object_get(params, "traces"), *text;
	const char *name;

	if (!traces)
		return 0;
	if (!json_is_object(traces) || json_object_size(traces) > LINK_SCHEDULE_FILES)
		return error_set(error, -EINVAL, "traces: expected an object of at most %u files",
				 LINK_SCHEDULE_FILES);
	json_object_foreach(traces, name, text) {
		if (!json_is_string(text))
			return error_set(error, -EINVAL, "traces: %.40s: expected its text", name);
		files->list[files->count].name = name;
		files->list[files->count++].text = json_string_value(text);
	}
	return 0;
}

struct schedule_request {
	const char *port, *name, *text;
	struct link_schedule_files files;
	bool absent;
};

static int take_request(json_t *params, struct schedule_request *request, struct error *error)
{
	int rc;

	*request = (struct schedule_request){ 0 };
	rc = rpc_param_string(params, "port", &request->port, error);
	if (!rc)
		rc = rpc_param_string(params, "file", &request->name, error);
	if (!rc)
		rc = rpc_param_string(params, "text", &request->text, error);
	request->absent = json_is_true(json_object_get(params, "absent"));
	return rc ? rc : take_files(params, &request->files, error);
}

int switch_schedule_check(json_t *params, struct error *error)
{
	struct link_schedule *schedule = NULL;
	struct schedule_request request;
	int rc = take_request(params, &request, error);

	if (!rc)
		rc = link_schedule_read(&schedule, request.name, request.text, request.port,
					&request.files, error);
	link_schedule_drop(schedule);
	return rc;
}

int switch_schedule_start(void *context, json_t *params, json_t **result, struct error *error)
{
	struct switch_control *control = context;
	struct schedule_request request;
	int rc = take_request(params, &request, error);

	(void)result;
	if (!rc)
		rc = vswitch_start_schedule(control->vswitch, request.port, request.name,
					    request.text, &request.files, request.absent, error);
	if (!rc)
		switch_said_schedule(control, params);
	return switch_answer(rc, error);
}

int switch_schedule_clear(void *context, json_t *params, json_t **result, struct error *error)
{
	struct switch_control *control = context;
	const char *port;
	int rc = rpc_param_string(params, "port", &port, error);

	(void)result;
	if (!rc)
		rc = vswitch_end_schedule(control->vswitch, port, error);
	return switch_answer(rc, error);
}

static json_t *port_json(const struct vswitch_schedule_port *port)
{
	static const char *const down[] = { "", "in", "out", "both" };

	return json_pack("{s:s, s:s, s:i, s:I, s:i, s:I}", "port", port->name, "cut",
			 down[port->down & (LINK_IN | LINK_OUT)], "side", (int)port->group,
			 "changes", (json_int_t)port->changes, "last_line", (int)port->last_line,
			 "last_ns", (json_int_t)port->last_ns);
}

static json_t *schedule_json(const struct vswitch_schedule_status *status)
{
	json_t *ports = json_array();

	for (unsigned i = 0; i < status->port_count; i++)
		json_array_append_new(ports, port_json(&status->ports[i]));
	return json_pack("{s:o, s:s, s:b, s:I, s:o, s:o, s:o}", "file", describe_text(status->name),
			 "port", status->owner, "ended", status->ended, "elapsed_ns",
			 (json_int_t)status->elapsed_ns, "next_line",
			 status->ended ? json_null() : json_integer(status->next_line), "next_ns",
			 status->ended ? json_null() : json_integer((json_int_t)status->next_ns),
			 "links", ports);
}

int switch_schedule_show(void *context, json_t *params, json_t **result, struct error *error)
{
	struct vswitch_schedule_status *status = malloc(sizeof(*status));
	struct switch_control *control = context;
	const char *port;
	int rc = rpc_param_string(params, "port", &port, error);

	if (!status)
		return error_set(error, -ENOMEM, "switch %s: out of memory", control->name);
	if (!rc)
		rc = vswitch_schedule_status(control->vswitch, port, status, error);
	if (!rc) {
		*result = schedule_json(status);
		if (!*result)
			rc = error_set(error, -ENOMEM, "switch %s: out of memory", control->name);
	}
	free(status);
	return switch_answer(rc, error);
}
