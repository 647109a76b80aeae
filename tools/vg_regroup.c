/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon vg split`, `tenon vg merge`: PVs and their volumes go from one group to another. Not while a server has one of them. See
 * vg_change.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/consent.h"
#include "tools/lv_size.h"
#include "tools/raid.h"
#include "tools/stack.h"
#include "tools/vg_change.h"
#include "util/bytes.h"
#include "volume/volume.h"

struct regroup {
	struct cli_words given;
	char *names[2];     /* of groups */
	const char *volume; /* of a split, or NULL */
	json_t *params;     /* of a split: "pvs" */
	bool merge, dry_run;
	bool into; /* what is split off joins a group that is there */
};

/* ---- Split ---- */

static void add_pvs_of(const struct volume_lv *lv, struct volume_pv **pvs, unsigned *count)
{
	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++) {
			const struct volume_segment *segment = &lv->segments[i];
			struct volume_pv *pv = segment->areas[k].pv;
			bool known = !pv;

			for (unsigned n = 0; n < *count; n++)
				known |= pvs[n] == pv;
			if (!known)
				pvs[(*count)++] = pv;
			if (segment->areas[k].lv)
				add_pvs_of(segment->areas[k].lv, pvs, count);
			if (segment->metas && segment->metas[k].lv)
				add_pvs_of(segment->metas[k].lv, pvs, count);
		}
}

/* Those that the volume lies on. */
static int find_pvs_of(const struct volume_group *group, const char *name, struct volume_pv ***out,
		       unsigned *count, struct error *error)
{
	const struct volume_lv *lv;
	const char *slash = strchr(name, '/');

	lv = volume_group_get_lv(group, slash ? slash + 1 : name);
	if (!lv || (slash && ((size_t)(slash - name) != strlen(group->name) ||
			      strncmp(name, group->name, strlen(group->name)) != 0)))
		return error_set(error, -ENOENT, "%s/%s: no such volume", group->name, name);
	*out = calloc(group->pv_count + 1, sizeof(struct volume_pv *));
	if (!*out)
		return -ENOMEM;
	add_pvs_of(lv, *out, count);
	return *count ? 0
		      : error_set(error, -EOPNOTSUPP,
				  "%s/%s: is of type %s; name the devices that are to go",
				  group->name, lv->name, volume_lv_type(lv));
}

static int split(struct regroup *regroup, struct stack *stack, struct error *error)
{
	CLEANUP_FREE struct volume_pv **pvs = NULL;
	struct volume_group *group, *into = NULL;
	unsigned count = 0;
	int rc = stack_find_group(stack, regroup->names[0], &group, error);

	if (!rc && regroup->into)
		rc = stack_find_group(stack, regroup->names[1], &into, error);
	if (!rc)
		rc = regroup->volume
			     ? find_pvs_of(group, regroup->volume, &pvs, &count, error)
			     : lv_place_find_pvs(group, regroup->params, &pvs, &count, error);
	if (!rc)
		rc = into ? volume_group_split_into(group, into, pvs, count, error)
			  : volume_group_split(group, regroup->names[1], pvs, count, error);
	if (!rc && into)
		cli_say("%s: %s %u physical volume%s more, of %s", regroup->names[1],
			regroup->dry_run ? "would have" : "has", count, count == 1 ? "" : "s",
			regroup->names[0]);
	else if (!rc)
		cli_say("%s: %s a group of its own%s, with %u physical volume%s", regroup->names[1],
			regroup->dry_run ? "would be" : "is", regroup->dry_run ? "" : " now", count,
			count == 1 ? "" : "s");
	return rc;
}

/* ---- Merge ---- */

static int merge(struct regroup *regroup, struct stack *stack, struct error *error)
{
	struct volume_group *group, *from;
	unsigned pvs;
	int rc = stack_find_group(stack, regroup->names[0], &group, error);

	if (!rc)
		rc = stack_find_group(stack, regroup->names[1], &from, error);
	if (rc)
		return rc;
	pvs = from->pv_count;
	rc = volume_group_merge(group, from, error);
	if (!rc)
		cli_say("%s: %s all of %s, %u physical volume%s more", group->name,
			regroup->dry_run ? "would have" : "has", regroup->names[1], pvs,
			pvs == 1 ? "" : "s");
	return rc;
}

/* ---- Both ---- */

/* Whether what is split off is to join a group, by a look. */
static int find_other(struct regroup *regroup, struct error *error)
{
	CLEANUP_STACK struct stack *look = NULL;
	struct volume_group *group;
	int rc = stack_look(&look, &regroup->given, error);

	if (!rc)
		rc = volume_scan_find(look->scan, regroup->names[1], &group, error);
	regroup->into = !rc;
	if (rc != -ENOENT)
		return rc;
	*error = (struct error){ 0 };
	return 0;
}

/* One of that name may have come until the group was claimed. */
static int check_still_new(struct regroup *regroup, struct error *error)
{
	int rc = find_other(regroup, error);

	if (!rc && regroup->into)
		rc = error_set(error, -EEXIST, "%s: there is a volume group of this name by now",
			       regroup->names[1]);
	return rc;
}

static int regroup_run(void *arg, struct error *error)
{
	struct regroup *regroup = arg;
	struct stack_options options = { .write = !regroup->dry_run,
					 .rehearse = regroup->dry_run,
					 .command = regroup->merge ? "tenon vg merge"
								   : "tenon vg split" };
	struct cli_words targets = { regroup->names, 2 };
	struct stack *stack = NULL;
	int rc = regroup->merge ? 0 : find_other(regroup, error);

	if (!regroup->merge && !regroup->into)
		targets.count = 1;
	if (!rc)
		rc = stack_claim(&stack, &regroup->given, &targets, &options, error);
	if (!rc && !regroup->merge && !regroup->into)
		rc = check_still_new(regroup, error);
	if (!rc)
		rc = regroup->merge ? merge(regroup, stack, error) : split(regroup, stack, error);
	return stack_finish(stack, rc, error);
}

int vg_split_verb(int argc, char **argv)
{
	struct regroup regroup = { 0 };
	struct error error = { 0 };
	const struct cli_option options[] = {
		{ "volume", CLI_TEXT, &regroup.volume, "LV", "the devices that it lies on" },
		CLI_OPTION_DRY_RUN(&regroup),
		CLI_OPTION_DEVICE(&regroup.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("vg split VG NEW|VG2 DEVICE... | --volume LV", options, argc, argv, 2,
		       CLI_ANY, &operands, &status))
		return status;
	if (!regroup.volume == (operands.count == 2))
		return cli_usage_error("give either devices or --volume");
	if (volume_group_name_check(operands.words[1], &error))
		return cli_wrong_value(NULL, &error);
	regroup.names[0] = operands.words[0];
	regroup.names[1] = operands.words[1];
	regroup.params = json_object();
	if (!regroup.volume)
		lv_place_add(&operands, 2, regroup.params);
	status = cli_on_fiber(regroup_run, &regroup);
	json_decref(regroup.params);
	return status;
}

int vg_merge_verb(int argc, char **argv)
{
	struct regroup regroup = { .merge = true };
	const struct cli_option options[] = { CLI_OPTION_DRY_RUN(&regroup),
					      CLI_OPTION_DEVICE(&regroup.given), CLI_OPTION_END };
	struct cli_words operands;
	int status;

	if (!cli_parse("vg merge VG FROM", options, argc, argv, 2, 2, &operands, &status))
		return status;
	regroup.names[0] = operands.words[0];
	regroup.names[1] = operands.words[1];
	return cli_on_fiber(regroup_run, &regroup);
}
