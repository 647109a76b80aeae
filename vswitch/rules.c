/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules of ports come and go while frames pass; see switch.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "vswitch/bond.h"
#include "vswitch/internal.h"

struct rule_call {
	struct vswitch *vswitch;
	const char *name;
	enum port_way way;
	unsigned position;
	struct filter_rule rule;
	struct filter *fresh; /* for a port that has none; taken */
	struct vswitch_rule_status *list;
	unsigned count;
	struct error *error;
};

static struct port *port_of(const struct rule_call *call)
{
	return vswitch_find_port(call->vswitch, call->name);
}

static int add_rule(void *arg)
{
	struct rule_call *call = arg;
	struct port *port = port_of(call);
	struct filter *filter;
	int rc;

	if (!port)
		return vswitch_no_such_port(call->vswitch, call->name, call->error);
	if (bond_refuse_bond(port, "rules", call->error))
		return -EINVAL;
	if (call->rule.action.mirror[0]) {
		struct port *to = vswitch_find_port(call->vswitch, call->rule.action.mirror);

		if (!to && !call->rule.action.absent)
			return vswitch_no_such_port(call->vswitch, call->rule.action.mirror,
						    call->error);
		if (to == port)
			return error_set(call->error, -EINVAL,
					 "switch %s: port %s: its copies cannot go to itself",
					 call->vswitch->name, call->name);
	}
	filter = port->filter[call->way] ? port->filter[call->way] : call->fresh;
	rc = filter_add(filter, call->position, &call->rule, call->way == PORT_IN, call->error);
	if (rc) {
		error_prefix(call->error, "switch %s: port %s", call->vswitch->name, call->name);
		return rc;
	}
	if (filter == call->fresh)
		call->fresh = NULL;
	port->filter[call->way] = filter;
	checkpoint_refresh(call->vswitch);
	return 0;
}

static int check_way(const struct filter_action *action, enum port_way way, struct error *error)
{
	bool mirrors = action->mirror[0];

	if (way != PORT_OUT || (!mirrors && !filter_marks(&action->mark)))
		return 0;
	error_set(error, -EINVAL, "action \"%s\": %s= is for what comes in", action->text,
		  mirrors ? "mirror" : "mark");
	return error_advise(error,
			    mirrors ? "for copies of what goes out: `tenon switch mirror NAME add "
				      "MIRROR PORT:out --to PORT`"
				    : "mark it where it comes in, at the ports that send it");
}

static int put_rule(struct vswitch *vswitch, const char *name, enum port_way way, unsigned position,
		    struct filter_program *program, const char *action, bool absent,
		    struct error *error)
{
	struct rule_call call = { .vswitch = vswitch,
				  .name = name,
				  .way = way,
				  .position = position,
				  .rule.program = program,
				  .error = error };
	int rc = filter_action_parse(&call.rule.action, action, error);

	call.rule.action.absent = absent;
	if (!rc)
		rc = check_way(&call.rule.action, way, error);
	if (rc)
		error_prefix(error, "switch %s: port %s", vswitch->name, name);
	if (!rc) {
		call.fresh = calloc(1, sizeof(*call.fresh));
		rc = call.fresh ? vswitch_call(vswitch, add_rule, &call)
				: error_set(error, -ENOMEM, "port %s: out of memory", name);
	}
	filter_free(call.fresh);
	if (rc)
		filter_program_free(program);
	return rc;
}

int vswitch_add_rule(struct vswitch *vswitch, const char *name, enum port_way way,
		     unsigned position, struct filter_program *program, const char *action,
		     struct error *error)
{
	return put_rule(vswitch, name, way, position, program, action, false, error);
}

int vswitch_add_rule_of_absent(struct vswitch *vswitch, const char *name, enum port_way way,
			       unsigned position, struct filter_program *program,
			       const char *action, struct error *error)
{
	return put_rule(vswitch, name, way, position, program, action, true, error);
}

static int remove_rule(void *arg)
{
	struct rule_call *call = arg;
	struct port *port = port_of(call);
	int rc;

	if (!port)
		return vswitch_no_such_port(call->vswitch, call->name, call->error);
	rc = filter_remove(port->filter[call->way], call->position, call->error);
	if (rc)
		error_prefix(call->error, "switch %s: port %s", call->vswitch->name, call->name);
	checkpoint_refresh(call->vswitch);
	return rc;
}

int vswitch_remove_rule(struct vswitch *vswitch, const char *name, enum port_way way,
			unsigned position, struct error *error)
{
	struct rule_call call = {
		.vswitch = vswitch, .name = name, .way = way, .position = position, .error = error
	};

	return vswitch_call(vswitch, remove_rule, &call);
}

static void list_rule(struct rule_call *call, const struct port *port, enum port_way way,
		      unsigned at)
{
	const struct filter_rule *rule = &port->filter[way]->rules[at];
	struct vswitch_rule_status *out = &call->list[call->count++];

	memcpy(out->port, port->name, sizeof(out->port));
	out->way = way;
	out->position = at + 1;
	strcpy(out->expression, filter_program_expression(rule->program));
	strcpy(out->action, rule->action.text);
	out->frames = rule->frames;
	out->bytes = rule->bytes;
	out->dropped = rule->dropped;
}

static int list_rules(void *arg)
{
	struct rule_call *call = arg;
	struct vswitch *vswitch = call->vswitch;
	unsigned count = 0;

	for (unsigned i = 0; i < vswitch->port_count; i++)
		for (unsigned way = 0; way < PORT_WAYS; way++)
			if (vswitch->list[i]->filter[way])
				count += vswitch->list[i]->filter[way]->count;
	call->list = calloc(count + 1, sizeof(*call->list));
	if (!call->list)
		return -ENOMEM;
	for (unsigned i = 0; i < vswitch->port_count; i++)
		for (unsigned way = 0; way < PORT_WAYS; way++)
			for (unsigned k = 0; vswitch->list[i]->filter[way] &&
					     k < vswitch->list[i]->filter[way]->count;
			     k++)
				list_rule(call, vswitch->list[i], way, k);
	return 0;
}

int vswitch_list_rules(struct vswitch *vswitch, struct vswitch_rule_status **out, unsigned *count)
{
	struct rule_call call = { .vswitch = vswitch };
	int rc = vswitch_call(vswitch, list_rules, &call);

	*out = call.list;
	*count = call.count;
	return rc;
}
