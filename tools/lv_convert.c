/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon lv convert`: a volume gets another type or number of images; then what is new is waited for, as `lv repair` does. */
#include <stdlib.h>
#include <string.h>

#include "tools/cli.h"
#include "tools/consent.h"
#include "tools/describe.h"
#include "tools/lv_command.h"
#include "tools/lv_raid.h"
#include "tools/lv_place.h"
#include "tools/lv_verbs.h"
#include "tools/devices.h"

struct convert {
	struct lv_command change;
	const char *type, *split;
	uint64_t mirrors, stripes, stripe_size, region;
	bool track, merge, force;
	struct cli_words operands, replace;
};

#define NOT_GIVEN UINT64_MAX

/* Whether something may have to be filled then. */
static bool fills(const struct convert *convert)
{
	static const char *const never[] = { "linear", "striped", "raid0", "raid0_meta" };

	if (convert->split || convert->track)
		return false;
	if (convert->replace.count || convert->merge)
		return true;
	for (unsigned i = 0; convert->type && i < sizeof(never) / sizeof(*never); i++)
		if (!strcmp(convert->type, never[i]))
			return false;
	return convert->type || convert->stripes || convert->stripe_size || convert->mirrors;
}

/* Of images, not of the whole volume. */
static bool has_other(const struct convert *convert)
{
	return convert->type || convert->mirrors != NOT_GIVEN || convert->region ||
	       convert->stripe_size || convert->stripes || convert->force;
}

static const char *check(const struct convert *convert)
{
	bool mirrors = convert->mirrors != NOT_GIVEN;

	if (convert->merge && convert->operands.count > 1)
		return "--merge: takes no devices; the image goes back to where it was";
	if (convert->track || convert->merge)
		return convert->replace.count || convert->split || has_other(convert) ||
				       convert->track == convert->merge
			       ? "--track-changes, --merge: go with no other option"
			       : NULL;
	if (convert->replace.count && (convert->split || has_other(convert)))
		return "--replace: goes with no other option";
	if (convert->replace.count)
		return NULL;
	if (convert->split && has_other(convert))
		return "--split-mirror: goes with no other option";
	if (!convert->split && !convert->type && !mirrors && !convert->stripes &&
	    !convert->stripe_size)
		return "give --type, --mirrors, --stripes, --stripe-size, --split-mirror, "
		       "--track-changes, --merge or --replace";
	if (mirrors && !convert->type && (convert->stripes || convert->stripe_size))
		return "--mirrors: goes with neither --stripes nor --stripe-size";
	if (convert->force && !convert->stripes)
		return "--force: goes with --stripes, where there are to be fewer";
	if (convert->type && convert->mirrors == 0)
		return "--mirrors 0 is --type linear; give one of them";
	return NULL;
}

static void set_params(struct convert *convert)
{
	json_t *params = json_pack("{s:I, s:I, s:I, s:I, s:b}", "mirrors",
				   convert->mirrors == NOT_GIVEN ? (json_int_t)0
								 : (json_int_t)convert->mirrors,
				   "stripe_size", (json_int_t)convert->stripe_size, "region_size",
				   (json_int_t)convert->region, "stripes",
				   (json_int_t)convert->stripes, "force", convert->force);

	if (convert->type)
		json_object_set_new(params, "type", describe_text(convert->type));
	if (convert->split)
		json_object_set_new(params, "split", describe_text(convert->split));
	if (convert->track || convert->merge)
		json_object_set_new(params, convert->track ? "track" : "merge", json_true());
	if (convert->replace.count)
		json_object_set_new(params, "replace", lv_place_words(&convert->replace, 0));
	lv_place_add(&convert->operands, 1, params);
	convert->change.params = params;
}

/* An image is filled as a part of its volume: VG/LV_rimage_N becomes VG/LV. */
static char *filled_of(const struct convert *convert)
{
	char *name = convert->operands.words[0];
	char *part = strstr(name + strcspn(name, "/"), "_rimage_");

	if (convert->merge && part)
		*part = '\0';
	return name;
}

int lv_convert_verb(int argc, char **argv)
{
	struct convert convert = { .change.method = "lv.convert", .mirrors = NOT_GIVEN };
	const struct cli_option options[] = {
		{ "type", CLI_TEXT, &convert.type, "TYPE",
		  "linear, striped, raid0, raid0_meta, raid1, raid4, raid5, raid6, raid10" },
		{ "mirrors", CLI_NUMBER, &convert.mirrors, "N",
		  "copies beside the first: more or fewer, 0 for none", 0, 252, 'm' },
		{ "stripes", CLI_NUMBER, &convert.stripes, "N",
		  "of raid4, 5, 6 and 10: all data move", 1, 253 },
		{ "split-mirror", CLI_TEXT, &convert.split, "NAME",
		  "an image of raid1 becomes a volume of that name" },
		{ "track-changes", CLI_FLAG, &convert.track, NULL,
		  "an image of raid1 is split off for a while, and read by itself" },
		{ "merge", CLI_FLAG, &convert.merge, NULL,
		  "puts that image (VG/LV_rimage_N) back, with what it missed" },
		{ "replace", CLI_LIST, &convert.replace, "DEVICE",
		  "the image on it is made anew on another (repeatable)" },
		{ "stripe-size", CLI_SIZE, &convert.stripe_size, "SIZE",
		  "of what has stripes: all data move; else default 64K", 4096, 1u << 31 },
		{ "region-size", CLI_SIZE, &convert.region, "SIZE",
		  "of the bitmap of writes, default 2M", 4096, 1ull << 30 },
		{ "force", CLI_FLAG, &convert.force, NULL,
		  "fewer stripes: what is beyond the new end is lost" },
		CLI_OPTION_DRY_RUN(&convert.change.consent),
		CLI_OPTION_DEVICE(&convert.change.given),
		CLI_OPTION_END,
	};
	const char *problem;
	int status;

	if (!cli_parse("lv convert VG/LV [--type TYPE] [--mirrors N] [--stripes N] "
		       "[--stripe-size SIZE] [--split-mirror NAME] [--track-changes | --merge] "
		       "[--replace DEVICE] [DEVICE...]",
		       options, argc, argv, 1, CLI_ANY, &convert.operands, &status))
		return status;
	problem = check(&convert);
	if (problem)
		return cli_usage_error("%s", problem);
	set_params(&convert);
	status = lv_command_do(&convert.change, convert.operands.words[0]);
	if (status || convert.change.consent.dry_run || !fills(&convert))
		return status;
	return lv_repair_wait(&convert.change.given, filled_of(&convert));
}
