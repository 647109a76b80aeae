/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon vg clone`: copies of the disks of a group become a group of their own. */
#include <errno.h>
#include <stdlib.h>

#include "block/block.h"
#include "block/overlay.h"
#include "tools/consent.h"
#include "tools/device_look.h"
#include "tools/device_new.h"
#include "tools/raid.h"
#include "tools/raid_plan.h"
#include "tools/stack.h"
#include "tools/state.h"
#include "tools/vg_change.h"
#include "util/bytes.h"
#include "volume/volume.h"

struct vg_clone {
	char *name;
	struct cli_words given, devices;
	struct consent consent;
};

static int clone_check_name(const struct vg_clone *clone, struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	struct volume_group *group;
	int rc = stack_look(&look, &clone->given, error);

	if (rc || volume_scan_find(look->scan, clone->name, &group, NULL) == -ENOENT)
		return rc;
	/* that was cut off, and goes on */
	if (volume_group_is_half_clone(group))
		return 0;
	error_set(error, -EEXIST, "%s: there is a volume group of this name", clone->name);
	return error_advise(error, "choose another name");
}

/* A copy that is changed in memory only. */
static int open_rehearsed(struct stack *look, const char *device, struct block **out,
			  struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;
	int rc = stack_names_array(device) ? stack_open_block(look, device, false, &block, error)
					   : raid_plan_open(device, &block, error);

	return rc ? rc : block_create_overlay(out, block, error);
}

static int clone_run(void *arg, struct error *error)
{
	struct vg_clone *clone = arg;
	CLEANUP_FREE struct block **blocks = calloc(clone->devices.count, sizeof(struct block *));
	CLEANUP_STATE_ARCHIVE struct state_archive state;
	struct volume_context context = { .command = "tenon vg clone",
					  .archive = state_archive(&state) };
	struct stack *below = NULL;
	bool dry = clone->consent.dry_run;
	int rc = blocks ? clone_check_name(clone, error) : -ENOMEM;

	if (dry)
		context.archive = NULL;
	if (!rc)
		rc = devices_check_distinct(clone->devices.words, clone->devices.count, error);
	if (!rc)
		rc = dry ? stack_look(&below, &clone->given, error)
			 : device_claim_below(&below, &clone->given, &clone->devices, error);
	for (unsigned i = 0; !rc && dry && i < clone->devices.count; i++)
		rc = open_rehearsed(below, clone->devices.words[i], &blocks[i], error);
	if (!rc && !dry)
		rc = devices_open_new(below, clone->devices.words, clone->devices.count, true,
				      blocks, error);
	if (!rc)
		rc = volume_group_clone(clone->name, blocks, clone->devices.count, &context, error);
	if (!rc)
		cli_say("%s: %s a group of its own%s, on %u device%s", clone->name,
			dry ? "would be" : "is", dry ? "" : " now", clone->devices.count,
			clone->devices.count == 1 ? "" : "s");
	for (unsigned i = 0; blocks && i < clone->devices.count; i++)
		block_unref(blocks[i]);
	return stack_finish(below, rc, error);
}

int vg_clone_verb(int argc, char **argv)
{
	struct vg_clone clone = { 0 };
	struct error error = { 0 };
	const struct cli_option options[] = { CLI_OPTION_DRY_RUN(&clone.consent),
					      CLI_OPTION_DEVICE(&clone.given), CLI_OPTION_END };
	struct cli_words operands;
	int status;

	if (!cli_parse("vg clone VG DEVICE...", options, argc, argv, 2, CLI_ANY, &operands,
		       &status))
		return status;
	if (volume_group_name_check(operands.words[0], &error))
		return cli_wrong_value(NULL, &error);
	clone.name = operands.words[0];
	clone.devices = (struct cli_words){ operands.words + 1, operands.count - 1 };
	return cli_on_fiber(clone_run, &clone);
}
