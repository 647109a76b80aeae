/* SPDX-License-Identifier: BSD-2-Clause */
/* What a running switch does when it is asked for captures and rules; see switch.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/describe.h"
#include "tools/switch.h"
#include "util/bytes.h"
#include "vswitch/switch.h"

#define LOOK_NS 500000000 /* whether a reader has left */

/* ---- Parameters ---- */

int switch_answer(int rc, struct error *error)
{
	if (rc != -ENOENT && rc != -ECONNREFUSED)
		return rc;
	error->code = -ENXIO;
	return -ENXIO;
}

int switch_param_ways(json_t *params, unsigned *ways, struct error *error)
{
	const char *direction;
	int rc = rpc_param_string(params, "direction", &direction, error);

	if (rc)
		return rc;
	*ways = !strcmp(direction, "in")     ? PORT_WAY(PORT_IN)
		: !strcmp(direction, "out")  ? PORT_WAY(PORT_OUT)
		: !strcmp(direction, "both") ? PORT_BOTH_WAYS
					     : 0;
	return *ways ? 0
		     : error_set(error, -EINVAL, "direction \"%.20s\": expected in, out or both",
				 direction);
}

int switch_param_number(json_t *params, const char *key, uint64_t least, uint64_t most,
			uint64_t *number, struct error *error)
{
	json_t *value = json_object_get(params, key);
	json_int_t found = json_integer_value(value);

	if (!value)
		return 0;
	if (found < 0 || (uint64_t)found < least || (uint64_t)found > most)
		return error_set(error, -EINVAL, "%s: %lld: expected a number from %llu to %llu",
				 key, (long long)found, (unsigned long long)least,
				 (unsigned long long)most);
	*number = (uint64_t)found;
	return 0;
}

static bool take_instruction(json_t *from, struct filter_instruction *to)
{
	json_int_t code, jump_true, jump_false, operand;

	if (json_unpack(from, "[I, I, I, I!]", &code, &jump_true, &jump_false, &operand) ||
	    code < 0 || code > UINT16_MAX || jump_true < 0 || jump_true > UINT8_MAX ||
	    jump_false < 0 || jump_false > UINT8_MAX || operand < 0 || operand > UINT32_MAX)
		return false;
	*to = (struct filter_instruction){ (uint16_t)code, (uint8_t)jump_true, (uint8_t)jump_false,
					   (uint32_t)operand };
	return true;
}

int switch_param_filter(json_t *params, struct filter_program **out, struct error *error)
{
	struct filter_instruction instructions[FILTER_PROGRAM_MOST];
	json_t *filter = json_object_get(params, "filter"), *program, *each;
	const char *expression;
	size_t index;
	int rc;

	*out = NULL;
	if (!filter || json_is_null(filter))
		return 0;
	rc = rpc_param_string(filter, "expression", &expression, error);
	if (rc)
		return rc;
	program = json_object_get(filter, "program");
	if (json_array_size(program) > FILTER_PROGRAM_MOST)
		return error_set(error, -EINVAL, "filter: %zu instructions, at most %u fit",
				 json_array_size(program), FILTER_PROGRAM_MOST);
	json_array_foreach(program, index, each)
		if (!take_instruction(each, &instructions[index]))
			return error_set(error, -EINVAL,
					 "filter: instruction %zu: expected four numbers, as in "
					 "struct bpf_insn",
					 index);
	return filter_program_take(out, expression, instructions,
				   (unsigned)json_array_size(program), error);
}

/* ---- Captures ---- */

/* The command that reads a capture may be killed: then nobody asks for its end. */
static int watch_readers(void *arg)
{
	struct switch_control *control = arg;

	while (!fiber_sleep(LOOK_NS))
		if (control->live_captures)
			control->live_captures -= MIN(control->live_captures,
						      vswitch_reap_captures(control->vswitch));
	return 0;
}

void switch_end_watching(struct switch_control *control)
{
	if (!control->watcher)
		return;
	fiber_cancel(control->watcher);
	fiber_join(control->watcher);
	control->watcher = NULL;
}

int switch_capture_start(void *context, json_t *params, json_t **result, struct error *error)
{
	struct switch_control *control = context;
	const char *port = json_string_value(json_object_get(params, "port"));
	const char *format = json_string_value(json_object_get(params, "format"));
	json_int_t snaplen = json_integer_value(json_object_get(params, "snaplen"));
	struct vswitch_capture_options options = {
		.port = port,
		.label = json_string_value(json_object_get(params, "label")),
		.once = true,
		.segments = json_is_true(json_object_get(params, "segments")),
		.format = format && !strcmp(format, "pcap") ? CAPTURE_AS_PCAP : CAPTURE_AS_PCAPNG,
	};
	unsigned id;
	int rc = rpc_param_string(params, "path", &options.path, error);

	if (!rc && (snaplen < 0 || snaplen > CAPTURE_SNAPLEN))
		rc = error_set(error, -EINVAL, "snaplen %lld: expected 0 to %u", (long long)snaplen,
			       CAPTURE_SNAPLEN);
	options.snaplen = (uint32_t)snaplen;
	if (!rc)
		rc = switch_param_ways(params, &options.ways, error);
	if (!rc)
		rc = switch_param_filter(params, &options.filter, error);
	if (rc)
		return rc;
	rc = vswitch_start_capture(control->vswitch, &options, &id, error);
	if (rc)
		return switch_answer(rc, error);
	*result = json_integer(id);
	control->live_captures++;
	if (!control->watcher)
		control->watcher = fiber_spawn(watch_readers, control);
	return 0;
}

int switch_capture_stop(void *context, json_t *params, json_t **result, struct error *error)
{
	struct switch_control *control = context;
	json_int_t id = json_integer_value(json_object_get(params, "id"));
	struct capture_status last;
	int rc;

	if (id <= 0 || id > UINT32_MAX)
		return error_set(error, -EINVAL, "capture %lld: expected its number",
				 (long long)id);
	rc = vswitch_stop_capture(control->vswitch, (unsigned)id, &last, error);
	if (rc == -ENOENT)
		return switch_answer(rc, error);
	/* Nobody else knows what became of one of the switch's own. */
	if (switch_said_forget_capture(control, (unsigned)id) && rc)
		return rc;
	control->live_captures -= last.once && control->live_captures;
	*result = json_pack("{s:I, s:I}", "written", (json_int_t)last.written, "lost",
			    (json_int_t)last.lost);
	return 0;
}

/* ---- Rules ---- */

static int rule_place(json_t *params, const char **port, enum port_way *way, unsigned *position,
		      struct error *error)
{
	json_int_t number = json_integer_value(json_object_get(params, "position"));
	unsigned ways;
	int rc = rpc_param_string(params, "port", port, error);

	if (!rc)
		rc = switch_param_ways(params, &ways, error);
	if (rc)
		return rc;
	if (ways == PORT_BOTH_WAYS)
		return error_set(error, -EINVAL, "direction \"both\": expected in or out");
	if (number < 0 || number > FILTER_RULES_MAX)
		return error_set(error, -EINVAL, "position %lld: expected 1 to %d",
				 (long long)number, FILTER_RULES_MAX);
	*way = ways == PORT_WAY(PORT_IN) ? PORT_IN : PORT_OUT;
	*position = (unsigned)number;
	return 0;
}

int switch_filter_add(void *context, json_t *params, json_t **result, struct error *error)
{
	struct switch_control *control = context;
	struct filter_program *program;
	const char *port, *action;
	enum port_way way;
	unsigned position;
	int rc = rule_place(params, &port, &way, &position, error);

	(void)result;
	if (!rc)
		rc = rpc_param_string(params, "action", &action, error);
	if (!rc)
		rc = switch_param_filter(params, &program, error);
	if (!rc && !program)
		rc = error_set(error, -EINVAL, "a rule without an expression");
	if (rc)
		return rc;
	rc = (json_is_true(json_object_get(params, "absent")) ? vswitch_add_rule_of_absent
							      : vswitch_add_rule)(
		control->vswitch, port, way, position, program, action, error);
	return switch_answer(rc, error);
}

int switch_filter_remove(void *context, json_t *params, json_t **result, struct error *error)
{
	struct switch_control *control = context;
	enum port_way way;
	unsigned position;
	const char *port;
	int rc = rule_place(params, &port, &way, &position, error);

	(void)result;
	return rc ? rc
		  : switch_answer(vswitch_remove_rule(control->vswitch, port, way, position, error),
				  error);
}

static json_t *rule_json(const struct vswitch_rule_status *rule)
{
	return json_pack("{s:s, s:s, s:i, s:o, s:s, s:I, s:I, s:I}", "port", rule->port,
			 "direction", rule->way == PORT_IN ? "in" : "out", "position",
			 (int)rule->position, "expression", describe_text(rule->expression),
			 "action", rule->action, "frames", (json_int_t)rule->frames, "bytes",
			 (json_int_t)rule->bytes, "dropped", (json_int_t)rule->dropped);
}

int switch_filter_list(void *context, json_t *params, json_t **result, struct error *error)
{
	struct switch_control *control = context;
	struct vswitch_rule_status *rules;
	unsigned count;

	(void)params;
	if (vswitch_list_rules(control->vswitch, &rules, &count))
		return error_set(error, -ENOMEM, "switch %s: out of memory", control->name);
	*result = json_array();
	for (unsigned i = 0; i < count; i++)
		json_array_append_new(*result, rule_json(&rules[i]));
	free(rules);
	return 0;
}
