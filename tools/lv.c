/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon lv`: logical volumes; changed in a running server where one owns the group, or else here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/rpc.h"
#include "tools/ask.h"
#include "tools/describe.h"
#include "tools/look.h"
#include "tools/lv_command.h"
#include "tools/lv_name.h"
#include "tools/lv_raid.h"
#include "tools/lv_rows.h"
#include "tools/lv_size.h"
#include "tools/lv_synced.h"
#include "tools/lv_verbs.h"
#include "tools/move.h"
#include "tools/owner.h"
#include "tools/served.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "volume/volume.h"

/* ---- list, show ---- */

struct lv_list {
	struct look look;
	bool all;
};

static void list_group(json_t *rows, struct volume_group *group, const struct lv_wanted *wanted)
{
	for (unsigned i = 0; i < group->lv_count; i++) {
		json_t *row;

		if (!lv_wants(wanted, group, group->lvs[i]))
			continue;
		row = describe_lv_row(group, group->lvs[i]);
		lv_synced_look(row, group, group->lvs[i], false);
		json_array_append_new(rows, row);
	}
}

static int list_run(struct look *look, struct error *error)
{
	const struct lv_list *list = container_of(look, struct lv_list, look);
	CLEANUP_STACK struct stack *stack = NULL;
	struct lv_wanted wanted = { .all = list->all };
	struct volume_group *group = NULL;
	struct volume_lv *lv = NULL;
	int rc = stack_look(&stack, &look->given, error);

	if (!rc && look->name)
		rc = strchr(look->name, '/')
			     ? stack_find_volume(stack, look->name, &group, &lv, error)
			     : stack_find_group(stack, look->name, &group, error);
	wanted.group = group;
	wanted.lv = lv;
	if (rc)
		return rc;
	rc = lv_rows_print(stack, &wanted, &look->listing);
	if (!rc) {
		look->result = json_array();
		for (unsigned i = 0; i < stack->scan->group_count; i++)
			list_group(look->result, stack->scan->groups[i], &wanted);
		rc = served_add(look->result);
		lv_synced_ask(look->result, &look->given);
	}
	return rc < 0 ? rc : stack_report(stack, group || stack->scan->group_count, error);
}

static int lv_list_verb(int argc, char **argv)
{
	struct lv_list list = { .look = { .usage = "lv list [VG | VG/LV] [--json]",
					  .most = 1,
					  .columns = lv_columns,
					  .run = list_run } };
	const struct cli_option all = { .name = "all",
					.letter = 'a',
					.kind = CLI_FLAG,
					.value = &list.all,
					.help = "internal volumes too" };

	list.look.option = &all;
	return look_verb(&list.look, argc, argv);
}

/* By a look at the devices; *stack is one that was made already, or NULL. */
static int show_look(struct look *look, struct stack **stack, struct error *error)
{
	struct volume_group *group;
	struct volume_lv *lv;
	int rc = *stack ? 0 : stack_look(stack, &look->given, error);

	if (!rc)
		rc = stack_find_volume(*stack, look->name, &group, &lv, error);
	if (!rc) {
		look->result = describe_lv(group, lv);
		lv_synced_look(look->result, group, lv, false);
		rc = served_add(look->result);
		lv_synced_ask(look->result, &look->given);
	}
	return rc;
}

/* 1: the server has said it, or why not, which is then in `error` and *rc; 0: a look is to find it. */
static int show_ask(struct look *look, const char *socket, int *rc, struct error *error)
{
	struct error said = { 0 };

	*rc = rpc_call_within(socket, "lv.show",
			      json_pack("{s:o}", "name", describe_text(look->name)), ASK_LIST_NS,
			      &look->result, &said);
	if (!*rc)
		*rc = served_add(look->result);
	else if (*rc != -ENOENT || owner_has_ended(*rc, socket))
		return 0;
	else
		*error = said;
	return 1;
}

/* Who has the group says it from memory. One that does not answer is passed over, as in lists. */
static int show_run(struct look *look, struct error *error)
{
	CLEANUP_FREE char *socket = NULL;
	CLEANUP_STACK struct stack *stack = NULL;
	int rc = owner_find_look(&look->given, look->name, true, &socket, &stack, error);

	if (!stack && (rc || (socket && show_ask(look, socket, &rc, error))))
		return rc;
	return show_look(look, &stack, error);
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
	struct lv_command change = { .method = "lv.create" };
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
				  "tags", lv_command_words(&tags));
	if (type)
		json_object_update_new(change.params,
				       json_pack("{s:o, s:I, s:I, s:b}", "type",
						 describe_text(type), "mirrors",
						 (json_int_t)mirrors, "region_size",
						 (json_int_t)region, "no_sync", no_sync));
	lv_place_add(&operands, 1, change.params);
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
	status = lv_command_do(&change, operands.words[0]);
	if (!status && !change.planned && type && strncmp(type, "raid0", 5) && !no_sync)
		cli_note("%s: its images become alike while it is served, or now by `tenon lv "
			 "repair %s`; until then a lost one may take all with it",
			 operands.words[0], operands.words[0]);
	return status;
}

static int lv_remove_verb(int argc, char **argv)
{
	struct lv_command change = { .method = "lv.remove", .planned = true, .rules.remove = true };
	const struct cli_option options[] = { CLI_OPTIONS_CONSENT(&change.consent),
					      CLI_OPTION_DEVICE(&change.given), CLI_OPTION_END };
	struct cli_words operands;
	int status;

	if (!cli_parse("lv remove VG/LV [--yes]", options, argc, argv, 1, 1, &operands, &status))
		return status;
	change.request = json_object();
	return lv_command_do(&change, operands.words[0]);
}

/* NEW may be written as VG/NEW, as for lvrename. NULL with `error` set for another group. */
static const char *new_name_in(const char *name, const char *new_name, struct error *error)
{
	size_t vg = strcspn(name, "/") + 1;

	if (!strchr(new_name, '/'))
		return new_name;
	if (!strncmp(name, new_name, vg))
		return new_name + vg;
	error_set(error, -EINVAL, "%s: is in another group than %s; expected a name in the same",
		  new_name, name);
	return NULL;
}

static int lv_rename_verb(int argc, char **argv)
{
	struct lv_command change = { .method = "lv.rename" };
	const struct cli_option options[] = { CLI_OPTION_DRY_RUN(&change.consent),
					      CLI_OPTION_DEVICE(&change.given), CLI_OPTION_END };
	struct cli_words operands;
	struct error error = { 0 };
	const char *new_name;
	int status;

	if (!cli_parse("lv rename VG/LV NEW", options, argc, argv, 2, 2, &operands, &status))
		return status;
	new_name = new_name_in(operands.words[0], operands.words[1], &error);
	if (!new_name)
		return cli_wrong_value(NULL, &error);
	change.params = json_pack("{s:o}", "new_name", describe_text(new_name));
	return lv_command_do(&change, operands.words[0]);
}

/* ---- Another size ---- */

/* Of resize, extend and reduce: `own` are the options that not all of them have. */
static int change_size(struct lv_command *change, const char *usage, const char *signs,
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
	lv_place_add(&operands, 1, change->request);
	change->params = json_copy(change->request);
	if (!lv_size_parse(&size, signs, change->request) || !set_policy(change->params, policy)) {
		json_decref(change->request);
		json_decref(change->params);
		return EXIT_USAGE;
	}
	json_object_set(change->params, "percent", json_object_get(change->request, "percent"));
	json_object_set_new(change->params, "no_sync", json_boolean(change->no_sync));
	change->method = "lv.resize";
	change->planned = true;
	return lv_command_do(change, operands.words[0]);
}

#define CUT_HELP "also where what is on it is cut"

static int lv_resize_verb(int argc, char **argv)
{
	struct lv_command change = { .rules.grow = true };
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
	struct lv_command change = { .rules.grow = true };
	const struct cli_option own[] = {
		{ "nosync", CLI_FLAG, &change.no_sync, NULL,
		  "copies or parity of what is new count as made already" },
		CLI_OPTION_END,
	};

	return change_size(&change, "lv extend VG/LV --size [+]SIZE [--nosync] [DEVICE...]", "+",
			   own, argc, argv);
}

static int lv_reduce_verb(int argc, char **argv)
{
	struct lv_command change = { .rules.shrink = true };
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

/* True where `text`, if given, is a size, or none; sets `key`. */
static bool set_rate(json_t *params, const char *key, const char *option, const char *text)
{
	struct error error = { 0 };
	uint64_t bytes = 0;

	if (!text)
		return true;
	if (strcmp(text, "none") != 0 && cli_parse_size(text, 0, INT64_MAX, &bytes, &error))
		return cli_wrong_value(option, &error), false;
	json_object_set_new(params, key, json_integer((json_int_t)bytes));
	return true;
}

static int lv_change_verb(int argc, char **argv)
{
	struct lv_command change = { .method = "lv.change" };
	const char *skip = NULL, *autoactivate = NULL, *policy = NULL, *least = NULL, *most = NULL;
	bool read_only = false, read_write = false;
	const struct cli_option options[] = {
		{ "read-only", CLI_FLAG, &read_only, NULL, "it can only be read" },
		{ "read-write", CLI_FLAG, &read_write, NULL, "it can be written to" },
		{ "activation-skip", CLI_TEXT, &skip, "yes|no",
		  "LVM2 leaves it alone unless told" },
		{ "autoactivate", CLI_TEXT, &autoactivate, "yes|no",
		  "LVM2 may start it by itself" },
		{ "minrecoveryrate", CLI_TEXT, &least, "SIZE",
		  "of a RAID volume, for each image a second, also while it is used; none" },
		{ "maxrecoveryrate", CLI_TEXT, &most, "SIZE",
		  "of a RAID volume, for each image a second; none: as fast as it can" },
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
	    !set_rate(change.params, "recovery_least", "minrecoveryrate", least) ||
	    !set_rate(change.params, "recovery_most", "maxrecoveryrate", most) ||
	    !set_policy(change.params, policy)) {
		json_decref(change.params);
		return EXIT_USAGE;
	}
	if (!json_object_size(change.params)) {
		json_decref(change.params);
		return cli_usage_error("nothing to change is given");
	}
	return lv_command_do(&change, operands.words[0]);
}

static int lv_tag_verb(int argc, char **argv)
{
	struct lv_command change = { .method = "lv.tag" };
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
	change.params = json_pack("{s:o, s:o}", "add_tags", lv_command_words(&add), "delete_tags",
				  lv_command_words(&delete));
	return lv_command_do(&change, operands.words[0]);
}

int command_lv(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "create", lv_create_verb, "VG/LV --size SIZE [DEVICE...]", "make a volume" },
		{ "list", lv_list_verb, "[VG | VG/LV] [--json]", "list volumes" },
		{ "show", lv_show_verb, "VG/LV [--json]", "show a volume and its segments" },
		{ "remove", lv_remove_verb, "VG/LV", "remove a volume and what is on it" },
		{ "rename", lv_rename_verb, "VG/LV NEW", "give a volume another name" },
		{ "resize", lv_resize_verb, "VG/LV --size [+|-]SIZE [--shrink] [DEVICE...]",
		  "give a volume another size" },
		{ "extend", lv_extend_verb, "VG/LV --size [+]SIZE [--nosync] [DEVICE...]",
		  "make a volume larger" },
		{ "reduce", lv_reduce_verb, "VG/LV --size [-]SIZE [--force]",
		  "make a volume smaller: what is at its end is lost" },
		{ "repair", lv_repair_verb, "VG/LV [DEVICE...]",
		  "replace lost images of RAID, and bring it in sync" },
		{ "scrub", lv_scrub_verb, "VG/LV [--repair] [--force]",
		  "compare the images of RAID" },
		{ "convert", lv_convert_verb,
		  "VG/LV [--type TYPE] [--mirrors N] [--split-mirror NAME] "
		  "[--track-changes | --merge] [--replace DEVICE] [DEVICE...]",
		  "give it another type or number of images, while it is used" },
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
