/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon raid`: creating arrays and looking at them. Changing them is in raid_change.c. */
#include "tools/raid.h"
#include "tools/raid_consistency.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/partition.h"
#include "block/signature.h"
#include "raid/geometry.h"
#include "tools/consent.h"
#include "tools/device_look.h"
#include "tools/device_new.h"
#include "tools/stack.h"
#include "util/bytes.h"

/* ---- create ---- */

struct raid_create {
	const char *name, *level, *layout, *metadata, *bitmap, *consistency, *journal, *homehost;
	struct cli_words devices, spares, given; /* the journal is the last spare */
	uint64_t chunk, bitmap_chunk, size;
	bool assume_clean;
	struct consent consent;
	bool overwrite; /* what is on the devices */
	unsigned sides; /* members that hold data */
	bool unequal;   /* one of them may differ from the others */
	struct raid_create_options options;
	struct raid_new_member *members;
};

/* What brings an array up to date after a crash; mdadm's --consistency-policy. */
static int parse_consistency(struct raid_create *create, struct error *error)
{
	const char *text = create->consistency;
	enum raid_bitmap_choice choice;
	int rc;

	if (create->journal && !text)
		text = "journal";
	if (text && !create->journal != !!strcmp(text, "journal"))
		return error_set(error, -EINVAL,
				 "--consistency journal and --journal DEVICE: expected both");
	if (!text)
		return 0;
	rc = raid_consistency_parse(text, &choice, error);
	if (rc)
		return rc;
	if (create->bitmap && create->options.bitmap != choice)
		return error_set(error, -EINVAL, "--consistency %s and --bitmap %s: expected one",
				 text, create->bitmap);
	create->options.bitmap = choice;
	return 0;
}

static int create_parse(struct raid_create *create, struct error *error)
{
	static const struct {
		const char *text;
		enum raid_metadata value;
	} metadata[] = { { "1.0", RAID_METADATA_1_0 },
			 { "1.1", RAID_METADATA_1_1 },
			 { "1.2", RAID_METADATA_1_2 } };
	struct raid_create_options *options = &create->options;
	int rc;

	options->name = create->name;
	options->homehost = create->homehost;
	options->layout = create->layout;
	options->chunk = create->chunk;
	options->bitmap_chunk = create->bitmap_chunk;
	options->size = create->size;
	options->no_resync = true;
	for (size_t i = 0; create->metadata && i < 3; i++)
		if (!strcmp(create->metadata, metadata[i].text))
			options->metadata = metadata[i].value;
	if (create->metadata && options->metadata == RAID_METADATA_DEFAULT)
		return error_set(error, -EINVAL, "--metadata %s: expected 1.0, 1.1 or 1.2",
				 create->metadata);
	if (create->bitmap && strcmp(create->bitmap, "none") && strcmp(create->bitmap, "internal"))
		return error_set(error, -EINVAL, "--bitmap %s: expected none or internal",
				 create->bitmap);
	if (create->bitmap)
		options->bitmap =
			strcmp(create->bitmap, "none") ? RAID_BITMAP_INTERNAL : RAID_BITMAP_NONE;
	rc = parse_consistency(create, error);
	return rc ? rc : raid_level_parse(create->level, &options->level, error);
}

/* Whether the whole device is known to read as zeroes, as a new sparse image does. */
static bool reads_as_zero(struct block *block)
{
	enum block_status status = BLOCK_STATUS_ZERO;
	uint64_t at = 0, length;

	for (; at < block->size && status == BLOCK_STATUS_ZERO; at += length) {
		length = block->size - at;
		if (block_status(block, at, &length, &status))
			return false;
	}
	return status == BLOCK_STATUS_ZERO;
}

/* Opens the devices of the members and sees that nothing is on them. */
static int open_members(struct raid_create *create, struct stack *below, unsigned count,
			struct error *error)
{
	CLEANUP_FREE struct block **blocks = calloc(count + 1, sizeof(*blocks));
	CLEANUP_FREE char **words = calloc(count + 1, sizeof(char *));
	int rc = blocks && words ? 0 : -ENOMEM;

	for (unsigned i = 0; !rc && i < count; i++) {
		unsigned spare = i - create->devices.count;

		words[i] = i < create->devices.count ? create->devices.words[i]
						     : create->spares.words[spare];
		if (!strcmp(words[i], "missing"))
			words[i] = NULL;
	}
	if (!rc)
		rc = devices_open_new(below, words, count, create->overwrite, blocks, error);
	for (unsigned i = 0; blocks && i < count; i++)
		create->members[i].block = blocks[i];
	return rc;
}

static void take_members(struct raid_create *create, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct raid_new_member *member = &create->members[i];

		member->journal = create->journal && i + 1 == count;
		member->spare = !member->journal && i >= create->devices.count;
		if (member->journal || member->spare || !member->block)
			continue;
		create->sides++;
		create->unequal |= !reads_as_zero(member->block);
	}
}

static int create_array(struct raid_create *create, struct stack *below, struct error *error)
{
	unsigned count = create->devices.count + create->spares.count;
	struct raid_array *array;
	int rc = open_members(create, below, count, error);

	if (!rc)
		take_members(create, count);
	if (!rc)
		rc = raid_create_check(create->members, count, &create->options, error);
	for (unsigned i = 0; !rc && create->overwrite && i < count; i++)
		if (create->members[i].block)
			rc = block_signature_wipe(create->members[i].block, error);
	/* Members that all read as zeroes are equal, and one alone is: no first resync is needed. */
	create->options.assume_clean =
		create->assume_clean || !create->unequal || create->sides < 2;
	if (!rc)
		rc = raid_create(&array, create->members, count, &create->options, error);
	return rc ? rc : raid_stop(array, error);
}

/* One device under two names would be a mirror of itself. */
static int check_distinct(const struct raid_create *create, struct error *error)
{
	unsigned count = create->devices.count + create->spares.count;
	CLEANUP_FREE char **paths = calloc(count, sizeof(char *));

	if (!paths)
		return -ENOMEM;
	memcpy(paths, create->devices.words, create->devices.count * sizeof(char *));
	if (create->spares.count)
		memcpy(paths + create->devices.count, create->spares.words,
		       create->spares.count * sizeof(char *));
	return devices_check_distinct(paths, count, error);
}

/* What is likely a mistake, and all right for whoever insists. */
static int check_likely(struct raid_create *create, struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	CLEANUP_FREE char *target = raid_target(create->name);
	struct stack_array *found;
	int rc;

	if (create->consent.force)
		return 0;
	if (create->devices.count == 1 && create->options.level == 1) {
		error_set(error, -EINVAL, "md/%s: a mirror of one device keeps nothing twice",
			  create->name);
		return error_advise(error, "name two or more, or \"missing\" for one that comes "
					   "later; --force makes it all the same");
	}
	rc = stack_look(&look, &create->given, error);
	if (rc)
		return rc;
	rc = target ? stack_find_array(look, target, &found, NULL) : -ENOMEM;
	if (rc == -ENOENT)
		return 0;
	if (rc && rc != -EEXIST)
		return rc;
	error_set(error, -EEXIST, "md/%s: there is an array of this name", create->name);
	return error_advise(error,
			    "choose another name; with --force there are two, which only their "
			    "UUIDs tell apart");
}

/* 0: go on; 1: no. */
static int create_ask(struct raid_create *create, struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	unsigned count = create->devices.count;
	char becomes[128];
	int rc;

	if (!consent_asks(&create->consent))
		return 0;
	rc = stack_look(&look, &create->given, error);
	for (unsigned i = 0; !rc && i < count + create->spares.count; i++) {
		const char *device =
			i < count ? create->devices.words[i] : create->spares.words[i - count];

		snprintf(becomes, sizeof(becomes), "would become a %s of md/%.64s",
			 i < count                                                  ? "member"
			 : create->journal && i + 1 == count + create->spares.count ? "journal"
										    : "spare",
			 create->name);
		if (strcmp(device, "missing"))
			rc = consent_plan_device(&create->consent, look, device, becomes, error);
	}
	if (!rc)
		rc = consent_ask(&create->consent, error);
	/* What was named in the question. */
	create->overwrite |= !rc && create->consent.loss;
	return rc;
}

static int add_journal(struct raid_create *create, char ***words)
{
	unsigned count = create->spares.count;

	if (!create->journal)
		return 0;
	*words = calloc(count + 1, sizeof(char *));
	if (!*words)
		return -ENOMEM;
	if (count)
		memcpy(*words, create->spares.words, count * sizeof(char *));
	(*words)[count] = (char *)create->journal;
	create->spares = (struct cli_words){ *words, count + 1 };
	return 0;
}

static int create_run(void *arg, struct error *error)
{
	struct raid_create *create = arg;
	CLEANUP_FREE char **words = NULL;
	unsigned count;
	CLEANUP_STACK struct stack *below = NULL;
	int rc = add_journal(create, &words);

	count = create->devices.count + create->spares.count;
	if (!rc)
		rc = check_distinct(create, error);
	create->overwrite = create->consent.force || create->consent.yes;
	if (!rc)
		rc = check_likely(create, error);
	if (!rc)
		rc = create_ask(create, error);
	if (rc)
		return MIN(rc, 0);
	if (!rc)
		rc = device_claim_below(&below, &create->given, &create->devices, error);
	create->members = calloc(count, sizeof(*create->members));
	if (!rc && !create->members)
		rc = -ENOMEM;
	if (!rc)
		rc = create_array(create, below, error);
	for (unsigned i = 0; create->members && i < count; i++)
		block_unref(create->members[i].block);
	free(create->members);
	if (!rc && create->options.bitmap != RAID_BITMAP_PPL &&
	    create->options.bitmap != RAID_BITMAP_JOURNAL &&
	    create->options.level >= RAID_LEVEL_4 && create->options.level <= RAID_LEVEL_6)
		cli_note("md/%s: after a crash with a member missing, other data of the stripes "
			 "that were "
			 "being written may be damaged (the write hole, see docs/raid.md)",
			 create->name);
	if (!rc && !create->options.assume_clean && raid_geometry_redundant(create->options.level))
		cli_note("md/%s: its members are not known to be equal; `tenon raid rebuild %s` or "
			 "`tenon serve` makes them so",
			 create->name, create->name);
	return rc;
}

static int raid_create_verb(int argc, char **argv)
{
	struct raid_create create = { 0 };
	struct error error = { 0 };
	const struct cli_option options[] = {
		{ "level", CLI_TEXT, &create.level, "LEVEL", "linear, 0, 1, 4, 5, 6 or 10" },
		{ "layout", CLI_TEXT, &create.layout, "NAME",
		  "of level 10: n2 (default), f2, o2 or other numbers; of 5 and 6: left-symmetric "
		  "(default), ...; of 0: original, alternate" },
		{ "chunk", CLI_SIZE, &create.chunk, "SIZE", "of levels that have chunks (512K)",
		  4096, 1u << 31 },
		{ "consistency", CLI_TEXT, &create.consistency, "resync|bitmap|ppl|journal",
		  "what is relied on after a crash" },
		{ "journal", CLI_TEXT, &create.journal, "DEVICE",
		  "has the write journal, with --consistency journal" },
		{ "metadata", CLI_TEXT, &create.metadata, "1.0|1.1|1.2",
		  "superblock at the end, at the start, 4 KiB from it (1.2)" },
		{ "bitmap", CLI_TEXT, &create.bitmap, "internal|none", "a write-intent bitmap" },
		{ "bitmap-chunk", CLI_SIZE, &create.bitmap_chunk, "SIZE",
		  "bytes that one bit stands for", 512, 1u << 31 },
		{ "size", CLI_SIZE, &create.size, "SIZE", "use only so much of each device",
		  64 << 10, 0 },
		{ "spare", CLI_LIST, &create.spares, "DEVICE", "a spare (repeatable)" },
		{ "homehost", CLI_TEXT, &create.homehost, "HOST", "put HOST: before the name" },
		{ "assume-clean", CLI_FLAG, &create.assume_clean, NULL,
		  "the devices are known to be equal" },
		{ "force", CLI_FLAG, &create.consent.force, NULL,
		  "overwrite what is on the devices; also a mirror of one, or of a name that is "
		  "taken" },
		CLI_OPTIONS_CONSENT(&create.consent),
		CLI_OPTION_DEVICE(&create.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("raid create NAME --level LEVEL DEVICE...", options, argc, argv, 2, CLI_ANY,
		       &operands, &status))
		return status;
	if (!create.level)
		return cli_usage_error("--level is needed");
	create.name = operands.words[0];
	if (create_parse(&create, &error))
		return cli_usage_error("%s", error.text);
	if (create.bitmap_chunk && create.options.bitmap != RAID_BITMAP_INTERNAL)
		return cli_usage_error(
			"--bitmap-chunk: without a bitmap there is nothing that it is of; "
			"give --bitmap internal too");
	create.devices = (struct cli_words){ operands.words + 1, operands.count - 1 };
	if (raid_create_check_options(&create.options, create.devices.count, &error))
		return cli_wrong_value(NULL, &error);
	return cli_on_fiber(create_run, &create);
}

int command_raid(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "create", raid_create_verb, "NAME --level LEVEL DEVICE...",
		  "make an array; a DEVICE may be \"missing\"" },
		{ "list", raid_list_verb, "[--json] [--test]", "list the arrays on the devices" },
		{ "show", raid_show_verb, "NAME [--json] [--test]",
		  "show an array and its members" },
		{ "examine", raid_examine_verb, "DEVICE... [--kernels] [--json]",
		  "show what is on members" },
		{ "assemble", raid_assemble_verb,
		  "NAME [--degraded | --force] [--backup-file FILE [--invalid-backup]]",
		  "start without what is missing, and write that down" },
		{ "add", raid_add_verb, "NAME DEVICE [--journal]",
		  "add a device: it fills an empty place, is a spare or the write journal" },
		{ "re-add", raid_re_add_verb, "NAME DEVICE",
		  "add a former member, which gets only what the bitmap says that it missed" },
		{ "replace", raid_replace_verb, "NAME DEVICE [--with DEVICE]",
		  "give a member's place to a spare, with redundancy all the time" },
		{ "grow", raid_grow_verb,
		  "NAME [--size max|SIZE] [--devices N] [--chunk SIZE] [--layout NAME] "
		  "[--level L] [--array-size SIZE] [--add DEVICE] [--backup-file FILE] "
		  "[--add-journal DEVICE] [--consistency resync|bitmap|ppl] [--dry-run]",
		  "use more of each member, have more members, or another shape" },
		{ "fail", raid_fail_verb, "NAME DEVICE", "mark a member faulty" },
		{ "remove", raid_remove_verb, "NAME DEVICE",
		  "let go of a faulty member or a spare" },
		{ "rebuild", raid_rebuild_verb, "NAME [--backup-file FILE]",
		  "resync or rebuild, and wait for the end" },
		{ "check", raid_check_verb, "NAME [--repair] [--force]", "compare all members" },
		{ "repair", raid_repair_verb, "NAME [--force]",
		  "compare all members, and make them agree where it is known who is wrong" },
		{ "stop-sync", raid_stop_sync_verb, "NAME",
		  "end the resync, rebuild, check or repair that runs" },
		{ "watch", raid_watch_verb, "[NAME] [--exec COMMAND] [--json]",
		  "tell what happens to arrays that servers run" },
		{ "bitmap", raid_bitmap_verb, "NAME add|remove [--chunk SIZE]",
		  "give an array a write-intent bitmap, or take it away" },
		{ "limit", raid_limit_verb,
		  "NAME [--iops N] [--bandwidth SIZE] [--burst TIME] [--none] [--json]",
		  "how much its clients may do with it in a second" },
		{ "speed", raid_speed_verb, "NAME [--min SIZE] [--max SIZE] [--json]",
		  "how fast a server's resyncs and rebuilds of it go" },
		{ "test", raid_test_verb,
		  "SCENARIO...|list|show SCENARIO [--seed N] [--runs N] [--compare] [--explore] "
		  "[--report DIR] [--json]",
		  "break a simulated array on purpose, repeatably, and see what is lost" },
		{ "zero", raid_zero_verb, "DEVICE...", "take md's superblock off devices" },
		{ NULL, NULL, NULL, NULL },
	};

	return cli_run_verb("raid", verbs, argc, argv);
}
