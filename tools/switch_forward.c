/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tenon switch forward`: what a port `user` forwards to guests, while it runs; both sides. See switch.h.
 *
 * Its process is told (vswitch_tell_port_user()), so that connections stay.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netdev/user_network.h"
#include "tools/devices.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "tools/switch_port.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "vswitch/switch.h"

#define FORWARD_USAGE "switch forward NAME add|remove PORT tcp|udp:[HOST]:PORT[-[GUEST]:PORT]"

/* ---- The command ---- */

int switch_forward(int argc, char **argv)
{
	const struct cli_option options[] = { CLI_OPTION_END };
	struct cli_words operands;
	const char *action;
	int status;

	if (!cli_parse(FORWARD_USAGE, options, argc, argv, 2, CLI_ANY, &operands, &status) ||
	    !switch_names_check(&operands, &status))
		return status;
	action = operands.words[1];
	if (operands.count != 4 || (strcmp(action, "add") && strcmp(action, "remove")))
		return switch_wrong_action(action, operands.count - 2,
					   "add PORT tcp:[HOST]:PORT-[GUEST]:PORT, or "
					   "remove PORT tcp:[HOST]:PORT");
	return switch_ask(operands.words[0], "switch.forward",
			  json_pack("{s:s, s:b, s:s}", "port", operands.words[2], "remove",
				    !strcmp(action, "remove"), "forward", operands.words[3]),
			  NULL);
}

/* ---- What the switch does ---- */

struct forward_change {
	const char *port, *text;
	bool remove;
	struct user_network_options wanted;
	bool same;   /* it is forwarded so already, by the description */
	char *whole; /* as its process reads it */
	char *spec;  /* the port's description after it */
	char *told;  /* what its process is told */
};

static void forward_change_free(struct forward_change *change)
{
	free(change->whole);
	free(change->spec);
	free(change->told);
}

/* Whom it leads to does not matter where one ends. */
static int read_wanted(struct forward_change *change, struct error *error)
{
	if (asprintf(&change->whole, "%s%s", change->text,
		     change->remove && !strchr(change->text, '-') ? "-:1" : "") < 0)
		return error_set(error, -ENOMEM, "out of memory");
	return user_network_parse_forward(&change->wanted, change->whole, error);
}

/* Whether a part of the description is a forward from the same place. */
static bool is_from_there(struct forward_change *change, const char *piece)
{
	const struct user_network_forward *wanted = &change->wanted.forwards[0], *other;
	struct user_network_options one = { 0 };

	if (strncmp(piece, "hostfwd=", 8) || user_network_parse_forward(&one, piece + 8, NULL))
		return false;
	other = &one.forwards[0];
	if (other->udp != wanted->udp || other->host_port != wanted->host_port ||
	    other->host.s_addr != wanted->host.s_addr)
		return false;
	change->same = !change->remove && other->guest.s_addr == wanted->guest.s_addr &&
		       other->guest_port == wanted->guest_port;
	return true;
}

/*
 * The description as it is then; "out=user:hostfwd=..." is "out=user,hostfwd=...". A process that did not answer may be otherwise than it says:
 * so what is to be is told in any case, and what is so already is done.
 */
static int describe_change(struct forward_change *change, const char *spec, struct error *error)
{
	CLEANUP_FREE char *copy = strdup(spec), *found = NULL;
	char *rest = copy, *piece, *first = copy ? strstr(copy, ":hostfwd=") : NULL;
	size_t length;
	FILE *stream = copy ? open_memstream(&change->spec, &length) : NULL;

	if (first && !memchr(copy, ',', (size_t)(first - copy)))
		*first = ',';
	for (bool begins = true; stream && (piece = strsep(&rest, ",")); begins = false)
		if (!begins && is_from_there(change, piece))
			found = found ? found : strdup(piece + 8);
		else
			fprintf(stream, "%s%s", begins ? "" : ",", piece);
	if (stream && !change->remove)
		fprintf(stream, ",hostfwd=%s", change->text);
	if (!stream || fclose(stream) ||
	    asprintf(&change->told, "%s%s",
		     !change->remove ? "+"
		     : found         ? "--"
				     : "-",
		     change->whole) < 0)
		return error_set(error, -ENOMEM, "out of memory");
	if (found && !change->remove && !change->same)
		return error_set(error, -EEXIST, "port %s: hostfwd=%s: it is forwarded already: %s",
				 change->port, change->text, found);
	return 0;
}

static int change_forward(struct switch_control *control, struct forward_change *change,
			  struct error *error)
{
	const char *spec = json_string_value(json_object_get(control->specs, change->port));
	CLEANUP(port_spec_free) struct port_spec before = { 0 }, after = { 0 };
	int rc;

	if (!spec)
		return error_set(error, -ENOENT, "port %.40s: there is none of that name",
				 change->port);
	rc = port_spec_parse(&before, spec, error);
	if (!rc && strcmp(before.type->name, "user") != 0)
		return error_set(error, -EINVAL, "port %s: it is no way to the outside, but %s",
				 change->port, before.type->name);
	if (!rc)
		rc = read_wanted(change, error);
	if (!rc)
		rc = describe_change(change, spec, error);
	if (!rc)
		rc = port_spec_parse(&after, change->spec, error);
	if (!rc)
		rc = port_user_tell(control->vswitch, &after, change->told, error);
	if (!rc)
		json_object_set_new(control->specs, change->port, json_string(change->spec));
	return rc;
}

int switch_forward_method(void *context, json_t *params, json_t **result, struct error *error)
{
	struct switch_control *control = context;
	CLEANUP(forward_change_free)
	struct forward_change change = { .remove =
						 json_is_true(json_object_get(params, "remove")) };
	int rc = rpc_param_string(params, "port", &change.port, error);

	(void)result;
	if (!rc)
		rc = rpc_param_string(params, "forward", &change.text, error);
	if (!rc && strchr(change.text, ','))
		rc = error_set(error, -EINVAL, "forward: expected no comma in it");
	if (!rc) {
		/* The process is waited for: the port stays, and who changes its forwards next knows of these. */
		fiber_mutex_lock(&control->changing);
		rc = change_forward(control, &change, error);
		fiber_mutex_unlock(&control->changing);
	}
	return switch_answer(rc, error);
}
