/* SPDX-License-Identifier: BSD-2-Clause */
/* See lv_raid.h. */
#include "tools/lv_raid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/describe.h"
#include "tools/lv_change.h"
#include "tools/lv_name.h"
#include "tools/lv_size.h"
#include "tools/owner.h"
#include "tools/raid_rebuild.h"
#include "tools/rehearse.h"
#include "tools/stack.h"
#include "volume/volume_raid.h"

static int check_is_array(const struct rebuild *rebuild, const struct volume_lv *lv,
			  struct error *error)
{
	return volume_lv_is_raid(lv) ? 0
				     : error_set(error, -EOPNOTSUPP, "%s: its type is %s, no array",
						 rebuild->target, volume_lv_type(lv));
}

/* The array of a volume, which runs while it is open. */
static int open_volume(struct rebuild *rebuild, struct stack *stack, struct block **block,
		       struct raid_array **array, struct error *error)
{
	json_t *news = json_array(), *notes = NULL;
	struct volume_group *group;
	struct volume_lv *lv;
	bool begins;
	int rc = stack_find_volume(stack, rebuild->target, &group, &lv, error);

	if (!rc)
		rc = check_is_array(rebuild, lv, error);
	/* It stays open, so that its array goes on with what is begun here. */
	begins = !rc && rebuild->mend && volume_lv_is_to_begin(lv);
	if (!rc && !begins)
		rc = volume_open_for_upkeep(group, lv->name, block, error);
	if (!rc && rebuild->mend) {
		rc = lv_change(group, "lv.repair", rebuild->mend, news, error);
		notes = lv_change_notes(group);
	}
	if (!rc && begins)
		rc = volume_open_for_upkeep(group, lv->name, block, error);
	lv_change_tell(notes, news);
	json_decref(notes);
	json_decref(news);
	*array = rc ? NULL : volume_lv_array(lv);
	return rc;
}

/* ---- --dry-run ---- */

/* Names of the devices that an image and its metadata would be on, beginning with `at`. */
static void say_new_image(const struct rebuild *rebuild, const struct volume_lv *image)
{
	const struct volume_segment *segment = image->segments;
	const struct volume_pv *pv = segment->areas->pv;

	cli_say("%s: %s would be made anew on %s, from extent %u on", rebuild->target, image->name,
		pv->block->name, segment->areas->extent);
}

/* The parts by uuid, as one that is replaced has the name of the one before. */
struct images {
	unsigned count;
	char (*uuids)[VOLUME_UUID_TEXT];
};

static int images_note(const struct volume_lv *lv, struct images *images, struct error *error)
{
	const struct volume_segment *segment = lv->segments;

	images->count = segment->area_count;
	images->uuids = calloc(images->count, sizeof(*images->uuids));
	if (!images->uuids)
		return error_set(error, -ENOMEM, "%s: no memory to look at it", lv->name);
	for (unsigned i = 0; i < images->count; i++)
		memcpy(images->uuids[i], segment->areas[i].lv->uuid, VOLUME_UUID_TEXT);
	return 0;
}

static bool say_replaced(const struct rebuild *rebuild, const struct volume_lv *lv,
			 const struct images *images)
{
	const struct volume_segment *segment = lv->segments;
	bool said = false;

	for (unsigned i = 0; i < images->count; i++) {
		const struct volume_lv *image = segment->areas[i].lv;

		if (!strcmp(image->uuid, images->uuids[i]))
			continue;
		say_new_image(rebuild, image);
		said = true;
	}
	return said;
}

/* A change of the group swaps what it keeps: the volume is looked for anew after it. */
static int repair_on_overlays(struct rebuild *rebuild, struct stack *stack, struct images *images,
			      struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;
	struct volume_group *group;
	struct raid_array *array;
	struct volume_lv *lv;
	bool said = false;
	int rc = stack_find_volume(stack, rebuild->target, &group, &lv, error);

	if (!rc)
		rc = check_is_array(rebuild, lv, error);
	if (!rc)
		rc = images_note(lv, images, error);
	if (!rc)
		rc = open_volume(rebuild, stack, &block, &array, error);
	if (!rc)
		rc = stack_find_volume(stack, rebuild->target, &group, &lv, error);
	if (rc)
		return rc;
	said = say_replaced(rebuild, lv, images);
	said |= rebuild_say_planned(rebuild->target, array);
	if (!said)
		cli_say("%s: nothing is left to rebuild", rebuild->target);
	return 0;
}

static int repair_rehearse(struct rebuild *rebuild, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	struct images images = { 0 };
	int rc = rehearse_claim(&stack, &rebuild->given, rebuild->target, error);

	if (!rc)
		rc = repair_on_overlays(rebuild, stack, &images, error);
	free(images.uuids);
	return rc;
}

static int scrub_on_overlays(struct rebuild *rebuild, bool served, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	CLEANUP_BLOCK struct block *block = NULL;
	struct raid_array *array;
	int rc = rehearse_claim(&stack, &rebuild->given, rebuild->target, error);

	if (!rc)
		rc = open_volume(rebuild, stack, &block, &array, error);
	if (rc)
		return rc;
	rebuild_say_planned(rebuild->target, array);
	/* What a machine writes in the meantime would look like a difference. */
	if (!served)
		return rebuild_compare(rebuild, array, error);
	cli_say("%s: a server has it: `tenon lv scrub %s` has that tell where images differ",
		rebuild->target, rebuild->target);
	return 0;
}

static int scrub_rehearse(struct rebuild *rebuild, struct error *error)
{
	CLEANUP_FREE char *socket = NULL;
	int rc = owner_find(&rebuild->given, rebuild->target, &socket, error);

	return rc ? rc : scrub_on_overlays(rebuild, socket != NULL, error);
}

/* ---- Verbs ---- */

static int volume_rebuild(struct rebuild *rebuild, char *name)
{
	struct error error = { 0 };

	rebuild->open = open_volume;
	rebuild->target = name;
	if (lv_check_name(name, &error))
		return rebuild_do(rebuild);
	json_decref(rebuild->mend);
	return cli_wrong_value(NULL, &error);
}

int lv_scrub_verb(int argc, char **argv)
{
	struct rebuild rebuild = { .progress.what = "check",
				   .check = true,
				   .rehearse = scrub_rehearse };
	const struct cli_option options[] = {
		CLI_OPTION_DEVICE(&rebuild.given),
		{ "repair", CLI_FLAG, &rebuild.repair, NULL, "make the images agree" },
		{ "force", CLI_FLAG, &rebuild.force, NULL, REBUILD_FORCE_HELP },
		CLI_OPTION_DRY_RUN(&rebuild.consent),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("lv scrub VG/LV [--repair] [--force]", options, argc, argv, 1, 1, &operands,
		       &status))
		return status;
	return volume_rebuild(&rebuild, operands.words[0]);
}

int lv_repair_wait(const struct cli_words *given, char *name)
{
	struct rebuild rebuild = { .progress.what = "rebuild", .given = *given };

	rebuild.mend = json_pack("{s:o}", "name", describe_text(name));
	return volume_rebuild(&rebuild, name);
}

int lv_repair_verb(int argc, char **argv)
{
	struct rebuild rebuild = { .progress.what = "rebuild", .rehearse = repair_rehearse };
	const struct cli_option options[] = { CLI_OPTION_DRY_RUN(&rebuild.consent),
					      CLI_OPTION_DEVICE(&rebuild.given), CLI_OPTION_END };
	struct cli_words operands;
	int status;

	if (!cli_parse("lv repair VG/LV [DEVICE...]", options, argc, argv, 1, CLI_ANY, &operands,
		       &status))
		return status;
	rebuild.mend = json_pack("{s:o}", "name", describe_text(operands.words[0]));
	lv_place_add(&operands, 1, rebuild.mend);
	return volume_rebuild(&rebuild, operands.words[0]);
}
