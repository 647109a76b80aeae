/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon raid grow --consistency`: what an array goes by after a crash is another; in a running server or here. */
#include "tools/raid_consistency.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/describe.h"
#include "tools/owner.h"
#include "tools/raid.h"
#include "tools/rehearse.h"
#include "tools/stack.h"
#include "util/error.h"

int raid_consistency_parse(const char *text, enum raid_bitmap_choice *choice, struct error *error)
{
	static const struct {
		const char *name;
		enum raid_bitmap_choice choice;
	} names[] = { { "resync", RAID_BITMAP_NONE },
		      { "bitmap", RAID_BITMAP_INTERNAL },
		      { "ppl", RAID_BITMAP_PPL },
		      { "journal", RAID_BITMAP_JOURNAL } };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i].name) != 0)
			continue;
		*choice = names[i].choice;
		return 0;
	}
	return error_set(error, -EINVAL,
			 "--consistency %s: expected resync, bitmap, ppl or journal", text);
}

struct consistency_change {
	struct cli_words given;
	char *target;
	const char *wanted;
	enum raid_bitmap_choice choice;
	bool dry_run;
};

static int change_here(struct consistency_change *change, struct error *error)
{
	const struct stack_options options = { .write = true };
	struct cli_words targets = { &change->target, 1 };
	struct stack *stack = NULL;
	struct raid_array *array;
	int rc = stack_claim(&stack, &change->given, &targets, &options, error);

	if (!rc)
		rc = stack_find_running(stack, change->target, &array, error);
	if (!rc)
		rc = raid_set_consistency(array, change->choice, error);
	return stack_finish(stack, rc, error);
}

static int rehearse(struct consistency_change *change, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	struct raid_array *array;
	int rc = rehearse_claim(&stack, &change->given, change->target, error);

	if (!rc)
		rc = stack_find_running(stack, change->target, &array, error);
	if (!rc)
		rc = raid_set_consistency(array, change->choice, error);
	if (!rc)
		cli_say("%s: would go by %s after a crash", change->target, change->wanted);
	return rc;
}

static int change_run(void *arg, struct error *error)
{
	struct consistency_change *change = arg;
	int rc;

	if (change->dry_run)
		return rehearse(change, error);
	rc = owner_call(&change->given, change->target, "raid.consistency",
			json_pack("{s:o, s:s}", "name", describe_text(change->target), "wanted",
				  change->wanted),
			NULL, error);
	if (rc)
		return rc > 0 ? 0 : rc;
	return change_here(change, error);
}

int raid_consistency_verb(const struct cli_words *given, const char *name, const char *wanted,
			  bool dry_run)
{
	struct consistency_change change = { .given = *given,
					     .wanted = wanted,
					     .dry_run = dry_run };
	struct error error = { 0 };
	int status;

	if (raid_consistency_parse(wanted, &change.choice, &error))
		return cli_usage_error("%s", error.text);
	if (change.choice == RAID_BITMAP_JOURNAL)
		return cli_usage_error("--consistency journal: --add-journal DEVICE does that");
	change.target = raid_target(name);
	status = cli_on_fiber(change_run, &change);
	free(change.target);
	return status;
}
