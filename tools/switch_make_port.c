/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports that a running switch is asked to make and remove; see switch.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fiber/fiber.h"
#include "tools/switch.h"
#include "util/cleanup.h"
#include "vswitch/bond.h"
#include "vswitch/switch.h"

const struct vswitch_port_status *switch_find_port(const struct vswitch_status *status,
						   const char *name)
{
	for (unsigned i = 0; i < status->port_count; i++)
		if (!strcmp(status->ports[i].name, name))
			return &status->ports[i];
	return NULL;
}

/* Before a socket is made in the place of another's. */
static int check_is_new(const struct switch_control *control, const char *spec, struct error *error)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	CLEANUP_FREE char *name = strndup(spec, strcspn(spec, "="));
	int rc = vswitch_status(control->vswitch, &status);

	if (rc)
		return error_set(error, -ENOMEM, "switch %s: out of memory", control->name);
	if (name && switch_find_port(status, name)) {
		rc = error_set(error, -EEXIST,
			       "switch %s: port %s: there is one of that name already",
			       control->name, name);
		error_advise(error,
			     "choose another name, or end that one: `tenon switch port "
			     "remove %s %s`",
			     control->name, name);
	}
	return rc;
}

int switch_control_add_port(struct switch_control *control, const char *spec, struct error *error)
{
	CLEANUP_FREE char *kept = NULL, *name = strndup(spec, strcspn(spec, "="));
	int rc = switch_add_port(control->vswitch, spec, control->sockets, error);

	if (rc)
		return rc;
	if (!control->specs)
		control->specs = json_object();
	kept = switch_port_from_root(spec, NULL);
	if (name)
		json_object_set_new(control->specs, name, json_string(kept ? kept : spec));
	return 0;
}

int switch_control_make_port(struct switch_control *control, const char *spec, struct error *error)
{
	char *word = (char *)spec;
	int rc = switch_check_ports(&(struct cli_words){ .words = &word, .count = 1 }, error);

	if (!rc)
		rc = check_is_new(control, spec, error);
	return rc ? rc : switch_answer(switch_control_add_port(control, spec, error), error);
}

void switch_leave_bond(const struct switch_control *control, const char *port)
{
	for (uint64_t waited = 0; waited < VSWITCH_LEAVE_MOST; waited += VSWITCH_LEAVE_PAUSE)
		if (!vswitch_link_leaves(control->vswitch, port, true) ||
		    fiber_sleep(VSWITCH_LEAVE_PAUSE))
			return;
}

int switch_control_remove_port(struct switch_control *control, const char *port,
			       struct error *error)
{
	int rc;

	fiber_mutex_lock(&control->changing);
	switch_leave_bond(control, port);
	rc = vswitch_remove_port(control->vswitch, port, error);
	fiber_mutex_unlock(&control->changing);
	if (!rc) {
		json_object_del(control->specs, port);
		json_object_del(control->recorders, port);
		switch_said_forget_port(control, port);
	}
	return switch_answer(rc, error);
}
