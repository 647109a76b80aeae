/* SPDX-License-Identifier: BSD-2-Clause */
/* See lv_command.h. */
#include "tools/lv_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/rpc.h"
#include "tools/describe.h"
#include "tools/lv_change.h"
#include "tools/lv_name.h"
#include "tools/owner.h"
#include "tools/rehearse.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "volume/volume.h"

/* "tenon lv create VG/LV", for the description that lvm2 shows of who changed the group last. */
static char *change_command(const struct lv_command *change)
{
	char *text;

	return asprintf(&text, "tenon lv %s %s", change->method + strlen("lv."), change->name) < 0
		       ? NULL
		       : text;
}

/* `below`: a look at what it lies on. */
static int change_here(struct lv_command *change, struct stack **below, struct error *error)
{
	CLEANUP_FREE char *command = change_command(change);
	CLEANUP_FREE char *vg = strndup(change->name, strcspn(change->name, "/"));
	const struct stack_options options = { .write = true, .command = command, .below = below };
	struct cli_words targets = { &vg, 1 };
	struct stack *stack = NULL;
	struct volume_group *group;
	json_t *notes = NULL, *news = json_array();
	int rc = vg && command ? stack_claim(&stack, &change->given, &targets, &options, error)
			       : -ENOMEM;

	if (!rc)
		rc = stack_find_group(stack, vg, &group, error);
	if (!rc) {
		rc = lv_change(group, change->method, change->params, news, error);
		notes = rc ? NULL : lv_change_notes(group);
	}
	lv_change_tell(notes, news);
	json_decref(notes);
	json_decref(news);
	return stack_finish(stack, rc, error);
}

/* What the server that made the change has to say about it. */
static void change_tell(struct lv_command *change, json_t *answer)
{
	const char *problem = json_string_value(json_object_get(answer, "problem"));
	json_int_t clients = json_integer_value(json_object_get(answer, "clients"));
	bool created = !strcmp(change->method, "lv.create");

	lv_change_tell(json_object_get(answer, "notes"), json_object_get(answer, "news"));
	if (problem && (created || !strcmp(change->method, "lv.rename"))) {
		cli_warn("%s: %s, not served, because: %s", change->name,
			 created ? "created" : "renamed", problem);
		change->not_served = true;
	}
	if (clients && !strcmp(change->method, "lv.resize"))
		cli_note("%s: the client that has it is told of its new size", change->name);
}

/* What the change would do; by a look, which writes nothing, where no server has the group. */
static int change_plan(struct lv_command *change, const char *socket, struct stack *look,
		       json_t **plan, struct error *error)
{
	CLEANUP_FREE char *vg = strndup(change->name, strcspn(change->name, "/"));
	struct volume_group *group;
	struct volume_lv *lv;
	int rc = vg ? 0 : -ENOMEM;

	json_object_set_new(change->request, "name", describe_text(change->name));
	if (socket)
		return rpc_call(socket, "lv.plan", json_incref(change->request), plan, error);
	if (!rc)
		rc = !strcmp(change->method, "lv.create")
			     ? stack_find_group(look, vg, &group, error)
			     : stack_find_volume(look, change->name, &group, &lv, error);
	return rc ? rc : lv_plan(group, change->request, plan, error);
}

/* 0: it may be made; 1: it is not to be. */
static int change_agree(struct lv_command *change, const char *socket, struct stack *look,
			struct error *error)
{
	json_t *plan = NULL, *size, *line;
	int rc = change_plan(change, socket, look, &plan, error);
	size_t index;

	json_array_foreach(json_object_get(plan, "lines"), index, line) {
		if (json_is_string(line))
			cli_say("%s", json_string_value(line));
	}
	if (!rc && json_object_get(plan, "lines"))
		rc = 1;
	else if (!rc)
		rc = lv_plan_agree(plan, change->name, &change->rules, &change->consent, error);
	size = json_object_get(plan, "new_size_bytes");
	json_object_set(change->params, "uuid", json_object_get(plan, "uuid"));
	json_object_set(change->params, "old_size_bytes", json_object_get(plan, "size_bytes"));
	if (json_is_integer(size)) {
		json_object_set(change->params, "size", size);
		json_object_set(change->params, "wanted_bytes",
				json_object_get(plan, "wanted_bytes"));
		json_object_set_new(
			change->params, "smaller",
			json_boolean(json_integer_value(size) <
				     json_integer_value(json_object_get(plan, "size_bytes"))));
	}
	json_decref(plan);
	return rc;
}

/* Whether a machine has it: what a server would refuse then. */
static int check_clients(const struct lv_command *change, const char *socket, struct error *error)
{
	json_t *answer = NULL;
	json_int_t clients;
	int rc = rpc_call(socket, "export.find",
			  json_pack("{s:o}", "name", describe_text(change->name)), &answer, NULL);

	clients = rc ? 0 : json_integer_value(json_object_get(answer, "clients"));
	json_decref(answer);
	if (!clients)
		return 0;
	error_set(error, -EBUSY, "%s: a client is connected to it", change->name);
	return error_advise(error, "end what uses it: `tenon status` names it");
}

static void say_converted(const struct lv_command *change, const struct volume_group *group,
			  json_t *news)
{
	const char *split = json_string_value(json_object_get(change->params, "split"));
	const struct volume_lv *lv = volume_group_get_lv(group, strchr(change->name, '/') + 1);

	if (json_object_get(change->params, "replace")) {
		cli_say("%s: what is there of it would be made anew on other devices",
			change->name);
		return;
	}
	if (json_object_get(change->params, "track") || json_object_get(change->params, "merge")) {
		cli_say("%s: an image would be %s", change->name,
			json_object_get(change->params, "merge") ? "put back" : "split off");
		return;
	}
	/* What it takes, in the words in which it is told when it is done. */
	if (json_object_get(change->params, "reshaped")) {
		cli_say("would be done: %s", json_string_value(json_array_get(news, 0)));
		return;
	}
	cli_say("%s: would be %s, in %u part%s", change->name, volume_lv_type(lv),
		lv->segments->area_count, lv->segments->area_count > 1 ? "s" : "");
	if (split)
		cli_say("%s/%s: would be a volume of its own", group->name, split);
}

/* What has no plan of its own is made on overlays. */
static int change_rehearse(struct lv_command *change, const char *socket, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	CLEANUP_FREE char *vg = strndup(change->name, strcspn(change->name, "/"));
	const char *new_name = json_string_value(json_object_get(change->params, "new_name"));
	bool closed = new_name || json_object_get(change->params, "writable");
	struct volume_group *group;
	json_t *news = json_array();
	int rc = vg ? 0 : -ENOMEM;

	if (!rc && socket && closed)
		rc = check_clients(change, socket, error);
	if (!rc)
		rc = rehearse_claim(&stack, &change->given, vg, error);
	if (!rc)
		rc = stack_find_group(stack, vg, &group, error);
	if (!rc)
		rc = lv_change(group, change->method, change->params, news, error);
	if (!rc && new_name) {
		cli_say("%s: would be renamed to %s/%s", change->name, vg, new_name);
	} else if (!rc && !strcmp(change->method, "lv.convert")) {
		say_converted(change, group, news);
	} else if (!rc) {
		const struct volume_lv *lv =
			volume_group_get_lv(group, strchr(change->name, '/') + 1);

		rehearse_say_settings(change->name, change->params, lv ? lv->tags : NULL,
				      lv ? lv->tag_count : 0);
	}
	json_decref(news);
	return rc;
}

/* By whoever has the group. `*ended`: nothing was done, as that one has ended meanwhile. */
static int change_by_owner(struct lv_command *change, bool *ended, struct error *error)
{
	CLEANUP_FREE char *socket = NULL;
	CLEANUP_STACK struct stack *below = NULL;
	json_t *answer = NULL;
	int rc = owner_find_look(&change->given, change->name, change->planned, &socket, &below,
				 error);

	*ended = false;
	if (!rc && change->planned)
		rc = change_agree(change, socket, below, error);
	else if (!rc && change->consent.dry_run)
		return change_rehearse(change, socket, error);
	if (!rc && !socket)
		return change_here(change, &below, error);
	if (!rc) {
		/* Who was asked once is not asked again. */
		change->planned = false;
		rc = rpc_call(socket, change->method, json_incref(change->params), &answer, error);
		if (!rc)
			change_tell(change, answer);
		json_decref(answer);
	}
	*ended = rc < 0 && socket && owner_has_ended(rc, socket);
	return MIN(rc, 0);
}

static int change_run(void *arg, struct error *error)
{
	struct lv_command *change = arg;
	bool ended;
	int rc;

	json_object_set_new(change->params, "name", describe_text(change->name));
	do
		rc = change_by_owner(change, &ended, error);
	while (ended);
	return rc;
}

/* What can be seen to be wrong by itself, before any device is looked at. */
static bool check_new_words(const struct lv_command *change, struct error *error)
{
	const char *new_name = json_string_value(json_object_get(change->params, "new_name"));
	const char *of =
		!strcmp(change->method, "lv.create") ? strchr(change->name, '/') + 1 : new_name;
	static const char *const lists[] = { "tags", "add_tags" };

	if (!of)
		of = json_string_value(json_object_get(change->params, "split"));
	if (of && volume_lv_name_check(of, error))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++) {
		json_t *list = json_object_get(change->params, lists[i]), *tag;
		size_t index;

		json_array_foreach(list, index, tag) {
			if (volume_tag_check(json_string_value(tag), error))
				return false;
		}
	}
	return true;
}

int lv_command_do(struct lv_command *change, char *name)
{
	struct error error = { 0 };
	int status;

	change->name = name;
	if (!change->params)
		change->params = json_object();
	if (lv_check_name(name, &error) && check_new_words(change, &error))
		status = cli_on_fiber(change_run, change);
	else
		status = cli_wrong_value(NULL, &error);
	json_decref(change->params);
	json_decref(change->request);
	return status == EXIT_DONE && change->not_served ? EXIT_NOT_SERVED : status;
}

json_t *lv_command_words(const struct cli_words *words)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < words->count; i++)
		json_array_append_new(list, describe_text(words->words[i]));
	return list;
}
