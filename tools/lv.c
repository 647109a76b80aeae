/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon lv`: logical volumes; changed in a running server where one owns the group, or else here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/describe.h"
#include "tools/look.h"
#include "rpc/rpc.h"
#include "tools/consent.h"
#include "tools/lv_change.h"
#include "tools/lv_name.h"
#include "tools/lv_plan.h"
#include "tools/lv_raid.h"
#include "tools/lv_size.h"
#include "tools/lv_verbs.h"
#include "tools/move.h"
#include "tools/owner.h"
#include "tools/rehearse.h"
#include "tools/served.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "volume/volume.h"

/* ---- list, show ---- */

struct lv_list {
	struct look look;
	bool all;
};

static void list_group(json_t *rows, const struct volume_group *group, bool all)
{
	for (unsigned i = 0; i < group->lv_count; i++)
		if (all || group->lvs[i]->visible)
			json_array_append_new(rows, describe_lv_row(group, group->lvs[i]));
}

static int list_run(struct look *look, struct error *error)
{
	const struct lv_list *list = container_of(look, struct lv_list, look);
	CLEANUP_STACK struct stack *stack = NULL;
	struct volume_group *only = NULL;
	int rc = stack_look(&stack, &look->given, error);

	if (!rc && look->name)
		rc = stack_find_group(stack, look->name, &only, error);
	if (rc)
		return rc;
	look->result = json_array();
	for (unsigned i = 0; i < stack->scan->group_count; i++)
		if (!only || only == stack->scan->groups[i])
			list_group(look->result, stack->scan->groups[i], list->all);
	rc = served_add(look->result);
	return rc ? rc : stack_report(stack, only || stack->scan->group_count, error);
}

static int lv_list_verb(int argc, char **argv)
{
	static const struct cli_column columns[] = {
		{ "LV", "name", CLI_AS_TEXT },
		{ "VG", "vg", CLI_AS_TEXT },
		{ "STATE", "state", CLI_AS_STATE, 1 },
		{ "SIZE", "size_bytes", CLI_AS_SIZE },
		{ "TYPE", "type", CLI_AS_TEXT, 4 },
		{ "ATTR", "attributes", CLI_AS_TEXT, 3 },
		{ "MOVED", "moved_percent", CLI_AS_PERCENT, 2 },
		{ "SEGMENTS", "segment_count", CLI_AS_TEXT, 5 },
		{ "TAGS", "tags", CLI_AS_TEXT, 6 },
		{ "UUID", "uuid", CLI_AS_TEXT, CLI_LONG },
		{ "SERVED", "served", CLI_AS_PATH, 2 },
		{ "NOT SERVED", "not_served", CLI_AS_NOTE, 3 },
		{ NULL },
	};
	struct lv_list list = { .look = { .usage = "lv list [VG] [--json]",
					  .most = 1,
					  .columns = columns,
					  .run = list_run } };
	const struct cli_option all = { "all", CLI_FLAG, &list.all, NULL, "internal volumes too" };

	list.look.option = &all;
	return look_verb(&list.look, argc, argv);
}

static int show_run(struct look *look, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	struct volume_group *group;
	struct volume_lv *lv;
	int rc = stack_look(&stack, &look->given, error);

	if (!rc)
		rc = stack_find_volume(stack, look->name, &group, &lv, error);
	if (!rc) {
		look->result = describe_lv(group, lv);
		rc = served_add(look->result);
	}
	return rc;
}

static int lv_show_verb(int argc, char **argv)
{
	struct look look = { .usage = "lv show VG/LV [--json]",
			     .least = 1,
			     .most = 1,
			     .check = lv_check_name,
			     .run = show_run };

	return look_verb(&look, argc, argv);
}

/* ---- create, remove, rename, resize ---- */

struct lv_change {
	struct cli_words given;
	char *name; /* VG/LV */
	const char *method;
	json_t *params;  /* owned; NULL: none but the name */
	bool not_served; /* it was made, and the server cannot serve it */

	/* Of one that may lose something: */
	bool planned;
	json_t *request; /* of lv.plan, owned */
	struct lv_plan_rules rules;
	struct consent consent;
};

/* "tenon lv create VG/LV", for the description that lvm2 shows of who changed the group last. */
static char *change_command(const struct lv_change *change)
{
	char *text;

	return asprintf(&text, "tenon lv %s %s", change->method + strlen("lv."), change->name) < 0
		       ? NULL
		       : text;
}

static int change_here(struct lv_change *change, struct error *error)
{
	CLEANUP_FREE char *command = change_command(change);
	CLEANUP_FREE char *vg = strndup(change->name, strcspn(change->name, "/"));
	const struct stack_options options = { .write = true, .command = command };
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
static void change_tell(struct lv_change *change, json_t *answer)
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
		cli_note("%s: the machine that has it is told of its new size", change->name);
}

/* What the change would do; by a look, which writes nothing, where no server has the group. */
static int change_plan(struct lv_change *change, const char *socket, json_t **plan,
		       struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	CLEANUP_FREE char *vg = strndup(change->name, strcspn(change->name, "/"));
	struct volume_group *group;
	struct volume_lv *lv;
	int rc = vg ? 0 : -ENOMEM;

	json_object_set_new(change->request, "name", describe_text(change->name));
	if (socket)
		return rpc_call(socket, "lv.plan", json_incref(change->request), plan, error);
	if (!rc)
		rc = stack_look(&stack, &change->given, error);
	if (!rc)
		rc = !strcmp(change->method, "lv.create")
			     ? stack_find_group(stack, vg, &group, error)
			     : stack_find_volume(stack, change->name, &group, &lv, error);
	return rc ? rc : lv_plan(group, change->request, plan, error);
}

/* 0: it may be made; 1: it is not to be. */
static int change_agree(struct lv_change *change, const char *socket, struct error *error)
{
	json_t *plan = NULL, *size, *line;
	int rc = change_plan(change, socket, &plan, error);
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
static int check_clients(const struct lv_change *change, const char *socket, struct error *error)
{
	json_t *answer = NULL;
	json_int_t clients;
	int rc = rpc_call(socket, "export.find",
			  json_pack("{s:o}", "name", describe_text(change->name)), &answer, NULL);

	clients = rc ? 0 : json_integer_value(json_object_get(answer, "clients"));
	json_decref(answer);
	if (!clients)
		return 0;
	error_set(error, -EBUSY, "%s: a machine has it", change->name);
	return error_advise(error, "shut the machine down that uses it: `tenon status` names it");
}

/* What has no plan of its own is made on overlays. */
static int change_rehearse(struct lv_change *change, const char *socket, struct error *error)
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
static int change_by_owner(struct lv_change *change, bool *ended, struct error *error)
{
	CLEANUP_FREE char *socket = NULL;
	json_t *answer = NULL;
	int rc = owner_find(&change->given, change->name, &socket, error);

	*ended = false;
	if (!rc && change->planned)
		rc = change_agree(change, socket, error);
	else if (!rc && change->consent.dry_run)
		return change_rehearse(change, socket, error);
	if (!rc && !socket)
		return change_here(change, error);
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
	struct lv_change *change = arg;
	bool ended;
	int rc;

	json_object_set_new(change->params, "name", describe_text(change->name));
	do
		rc = change_by_owner(change, &ended, error);
	while (ended);
	return rc;
}

/* What can be seen to be wrong by itself, before any device is looked at. */
static bool check_new_words(const struct lv_change *change, struct error *error)
{
	const char *new_name = json_string_value(json_object_get(change->params, "new_name"));
	const char *of =
		!strcmp(change->method, "lv.create") ? strchr(change->name, '/') + 1 : new_name;
	static const char *const lists[] = { "tags", "add_tags" };

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

static int change_do(struct lv_change *change, char *name)
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

static json_t *words_list(const struct cli_words *words)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < words->count; i++)
		json_array_append_new(list, describe_text(words->words[i]));
	return list;
}

/* False: it is none, which was printed. */
static bool set_policy(json_t *params, const char *policy)
{
	enum volume_allocation allocation;
	struct error error = { 0 };

	if (policy && volume_allocation_parse(policy, &allocation, &error))
		return cli_usage_error("--alloc: %s", error.text), false;
	if (policy)
		json_object_set_new(params, "allocation", json_string(policy));
	return true;
}

#define ALLOC_OPTION(policy)                                                                       \
	{                                                                                          \
		"alloc", CLI_TEXT, (policy), "POLICY",                                             \
			"contiguous, cling, normal or anywhere; inherit: the group's"              \
	}

static int lv_create_verb(int argc, char **argv)
{
	struct lv_change change = { .method = "lv.create" };
	uint64_t stripes = 0, stripe_size = 0;
	struct lv_size size = { NULL, NULL };
	struct cli_words tags = { 0 }, operands;
	bool contiguous = false, read_only = false, no_sync = false;
	uint64_t mirrors = 0, region = 0;
	const char *policy = NULL, *type = NULL;
	const struct cli_option options[] = {
		LV_SIZE_OPTIONS(&size),
		{ "type", CLI_TEXT, &type, "TYPE",
		  "linear, striped, raid0, raid0_meta, raid1, raid4, raid5, raid6, raid10" },
		{ "mirrors", CLI_NUMBER, &mirrors, "N", "copies beside the first; alone: raid1", 1,
		  252, 'm' },
		{ "stripes", CLI_NUMBER, &stripes, "N",
		  "stripe over N physical volumes, parity not counted", 1, 128 },
		{ "stripe-size", CLI_SIZE, &stripe_size, "SIZE", "default 64K", 4096, 1u << 31 },
		{ "region-size", CLI_SIZE, &region, "SIZE",
		  "of RAID's bitmap of writes, default 2M", 4096, 1ull << 40 },
		{ "nosync", CLI_FLAG, &no_sync, NULL, "copies or parity count as made already" },
		ALLOC_OPTION(&policy),
		{ "contiguous", CLI_FLAG, &contiguous, NULL, "as --alloc contiguous" },
		{ "read-only", CLI_FLAG, &read_only, NULL, "make it read-only" },
		{ "tag", CLI_LIST, &tags, "TAG", "a tag (repeatable)" },
		CLI_OPTION_DRY_RUN(&change.consent),
		CLI_OPTION_DEVICE(&change.given),
		CLI_OPTION_END,
	};
	int status;

	if (!cli_parse("lv create VG/LV --size SIZE [DEVICE...]", options, argc, argv, 1, CLI_ANY,
		       &operands, &status))
		return status;
	if (mirrors && !type)
		type = stripes > 1 ? "raid10" : "raid1";
	if (type && (!strcmp(type, "linear") || !strcmp(type, "striped"))) {
		if (!strcmp(type, "linear") ? stripes > 1 : stripes < 2)
			return cli_usage_error("--type %s: does not go with %llu stripes", type,
					       (unsigned long long)stripes);
		type = NULL;
	}
	if (!type && (mirrors || region || no_sync))
		return cli_usage_error("--mirrors, --region-size and --nosync are about RAID; give "
				       "--type raid1 or the like");
	if (stripe_size && stripes < 2 && !type)
		return cli_usage_error(
			"--stripe-size: a linear volume has no stripes; give --stripes "
			"2 or more too");
	change.params = json_pack("{s:I, s:I, s:b, s:o}", "stripes", (json_int_t)stripes,
				  "stripe_size", (json_int_t)stripe_size, "read_only", read_only,
				  "tags", words_list(&tags));
	if (type)
		json_object_update_new(change.params,
				       json_pack("{s:o, s:I, s:I, s:b}", "type",
						 describe_text(type), "mirrors",
						 (json_int_t)mirrors, "region_size",
						 (json_int_t)region, "no_sync", no_sync));
	lv_size_add_pvs(&operands, 1, change.params);
	if (!lv_size_parse(&size, "", change.params) ||
	    !set_policy(change.params, contiguous && !policy ? "contiguous" : policy)) {
		json_decref(change.params);
		return EXIT_USAGE;
	}
	change.planned = change.consent.dry_run;
	if (change.planned) {
		json_object_set_new(change.params, "create", json_true());
		change.request = json_incref(change.params);
	}
	status = change_do(&change, operands.words[0]);
	if (!status && !change.planned && type && strncmp(type, "raid0", 5) && !no_sync)
		cli_note("%s: its images become alike while it is served, or now by `tenon lv "
			 "repair %s`; until then a lost one may take all with it",
			 operands.words[0], operands.words[0]);
	return status;
}

static int lv_remove_verb(int argc, char **argv)
{
	struct lv_change change = { .method = "lv.remove", .planned = true, .rules.remove = true };
	const struct cli_option options[] = { CLI_OPTIONS_CONSENT(&change.consent),
					      CLI_OPTION_DEVICE(&change.given), CLI_OPTION_END };
	struct cli_words operands;
	int status;

	if (!cli_parse("lv remove VG/LV [--yes]", options, argc, argv, 1, 1, &operands, &status))
		return status;
	change.request = json_object();
	return change_do(&change, operands.words[0]);
}

static int lv_rename_verb(int argc, char **argv)
{
	struct lv_change change = { .method = "lv.rename" };
	const struct cli_option options[] = { CLI_OPTION_DRY_RUN(&change.consent),
					      CLI_OPTION_DEVICE(&change.given), CLI_OPTION_END };
	struct cli_words operands;
	int status;

	if (!cli_parse("lv rename VG/LV NEW", options, argc, argv, 2, 2, &operands, &status))
		return status;
	change.params = json_pack("{s:o}", "new_name", describe_text(operands.words[1]));
	return change_do(&change, operands.words[0]);
}

/* ---- Another size ---- */

/* Of resize, extend and reduce: `own` are the options that not all of them have. */
static int change_size(struct lv_change *change, const char *usage, const char *signs,
		       const struct cli_option *own, int argc, char **argv)
{
	struct lv_size size = { NULL, NULL };
	struct cli_option options[16] = {
		LV_SIZE_OPTIONS(&size),
		CLI_OPTIONS_CONSENT(&change->consent),
		CLI_OPTION_DEVICE(&change->given),
	};
	struct cli_words operands;
	const char *policy = NULL;
	int status;

	for (unsigned i = 6; own->name; own++)
		options[i++] = *own;
	for (unsigned i = 6; change->rules.grow; i++)
		if (!options[i].name) {
			options[i] = (struct cli_option)ALLOC_OPTION(&policy);
			break;
		}
	if (!cli_parse(usage, options, argc, argv, 1, change->rules.grow ? CLI_ANY : 1, &operands,
		       &status))
		return status;
	change->request = json_object();
	lv_size_add_pvs(&operands, 1, change->request);
	change->params = json_copy(change->request);
	if (!lv_size_parse(&size, signs, change->request) || !set_policy(change->params, policy)) {
		json_decref(change->request);
		json_decref(change->params);
		return EXIT_USAGE;
	}
	json_object_set(change->params, "percent", json_object_get(change->request, "percent"));
	change->method = "lv.resize";
	change->planned = true;
	return change_do(change, operands.words[0]);
}

#define CUT_HELP "also where what is on it is cut"

static int lv_resize_verb(int argc, char **argv)
{
	struct lv_change change = { .rules.grow = true };
	const struct cli_option own[] = {
		{ "shrink", CLI_FLAG, &change.rules.shrink, NULL, "it may become smaller" },
		{ "force", CLI_FLAG, &change.rules.force, NULL, CUT_HELP },
		CLI_OPTION_END,
	};

	return change_size(&change, "lv resize VG/LV --size [+|-]SIZE [--shrink] [DEVICE...]", "+-",
			   own, argc, argv);
}

static int lv_extend_verb(int argc, char **argv)
{
	struct lv_change change = { .rules.grow = true };
	const struct cli_option own[] = { CLI_OPTION_END };

	return change_size(&change, "lv extend VG/LV --size [+]SIZE [DEVICE...]", "+", own, argc,
			   argv);
}

static int lv_reduce_verb(int argc, char **argv)
{
	struct lv_change change = { .rules.shrink = true };
	const struct cli_option own[] = {
		{ "force", CLI_FLAG, &change.rules.force, NULL, CUT_HELP },
		CLI_OPTION_END,
	};

	return change_size(&change, "lv reduce VG/LV --size [-]SIZE [--force]", "-", own, argc,
			   argv);
}

/* ---- Settings ---- */

/* True where `text`, if given, is yes or no; sets `key`. */
static bool set_yes_or_no(json_t *params, const char *key, const char *option, const char *text)
{
	if (!text)
		return true;
	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		return cli_usage_error("--%s %s: expected yes or no", option, text), false;
	json_object_set_new(params, key, json_boolean(!strcmp(text, "yes")));
	return true;
}

static int lv_change_verb(int argc, char **argv)
{
	struct lv_change change = { .method = "lv.change" };
	const char *skip = NULL, *autoactivate = NULL, *policy = NULL;
	bool read_only = false, read_write = false;
	const struct cli_option options[] = {
		{ "read-only", CLI_FLAG, &read_only, NULL, "it can only be read" },
		{ "read-write", CLI_FLAG, &read_write, NULL, "it can be written to" },
		{ "activation-skip", CLI_TEXT, &skip, "yes|no",
		  "LVM2 leaves it alone unless told" },
		{ "autoactivate", CLI_TEXT, &autoactivate, "yes|no",
		  "LVM2 may start it by itself" },
		ALLOC_OPTION(&policy),
		CLI_OPTION_DRY_RUN(&change.consent),
		CLI_OPTION_DEVICE(&change.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("lv change VG/LV [--read-only | --read-write]", options, argc, argv, 1, 1,
		       &operands, &status))
		return status;
	if (read_only && read_write)
		return cli_usage_error("give either --read-only or --read-write");
	change.params = json_object();
	if (read_only || read_write)
		json_object_set_new(change.params, "writable", json_boolean(read_write));
	if (!set_yes_or_no(change.params, "activation_skip", "activation-skip", skip) ||
	    !set_yes_or_no(change.params, "autoactivate", "autoactivate", autoactivate) ||
	    !set_policy(change.params, policy)) {
		json_decref(change.params);
		return EXIT_USAGE;
	}
	if (!json_object_size(change.params)) {
		json_decref(change.params);
		return cli_usage_error("nothing to change is given");
	}
	return change_do(&change, operands.words[0]);
}

static int lv_tag_verb(int argc, char **argv)
{
	struct lv_change change = { .method = "lv.tag" };
	struct cli_words add = { 0 }, delete = { 0 }, operands;
	const struct cli_option options[] = {
		{ "add", CLI_LIST, &add, "TAG", "a new tag (repeatable)" },
		{ "delete", CLI_LIST, &delete, "TAG", "one that goes (repeatable)" },
		CLI_OPTION_DRY_RUN(&change.consent),
		CLI_OPTION_DEVICE(&change.given),
		CLI_OPTION_END,
	};
	int status;

	if (!cli_parse("lv tag VG/LV [--add TAG] [--delete TAG]", options, argc, argv, 1, 1,
		       &operands, &status))
		return status;
	if (!add.count && !delete.count)
		return cli_usage_error("give --add or --delete");
	change.params = json_pack("{s:o, s:o}", "add_tags", words_list(&add), "delete_tags",
				  words_list(&delete));
	return change_do(&change, operands.words[0]);
}

int command_lv(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "create", lv_create_verb, "VG/LV --size SIZE [DEVICE...]", "make a volume" },
		{ "list", lv_list_verb, "[VG] [--json]", "list volumes" },
		{ "show", lv_show_verb, "VG/LV [--json]", "show a volume and its segments" },
		{ "remove", lv_remove_verb, "VG/LV", "remove a volume and what is on it" },
		{ "rename", lv_rename_verb, "VG/LV NEW", "give a volume another name" },
		{ "resize", lv_resize_verb, "VG/LV --size [+|-]SIZE [--shrink] [DEVICE...]",
		  "give a volume another size" },
		{ "extend", lv_extend_verb, "VG/LV --size [+]SIZE [DEVICE...]",
		  "make a volume larger" },
		{ "reduce", lv_reduce_verb, "VG/LV --size [-]SIZE [--force]",
		  "make a volume smaller: what is at its end is lost" },
		{ "repair", lv_repair_verb, "VG/LV [DEVICE...]",
		  "replace lost images of RAID, and bring it in sync" },
		{ "scrub", lv_scrub_verb, "VG/LV [--repair] [--force]",
		  "compare the images of RAID" },
		{ "move", lv_move_verb, "VG/LV [DEVICE]... [--from DEVICE]",
		  "move it to other devices, while it is used" },
		{ "change", lv_change_verb, "VG/LV [--read-only | --read-write]",
		  "change permission, activation, allocation" },
		{ "limit", lv_limit_verb, "VG/LV [--iops N] [--bandwidth SIZE] [--none]",
		  "how much may be done with it in a second" },
		{ "tag", lv_tag_verb, "VG/LV [--add TAG] [--delete TAG]",
		  "add tags to a volume, or take some away" },
		{ NULL, NULL, NULL, NULL },
	};

	return cli_run_verb("lv", verbs, argc, argv);
}
