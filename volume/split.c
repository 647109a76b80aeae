/* SPDX-License-Identifier: BSD-2-Clause */
/* PVs, and the volumes that lie on them alone, leave a group for a new one, or for one that is there. Why no cut of power loses any: yield.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/change.h"
#include "volume/lvm_io.h"
#include "volume/move.h"
#include "volume/yield.h"

enum { STAYS = 1, GOES = 2 };

struct splitting {
	struct volume_group *group, *new; /* `new` is owned */
	struct volume_group *into;        /* that `new` joins at once, or NULL */
	const char *name;                 /* of where they go */
	struct volume_pv *const *pvs;     /* that go */
	unsigned pv_count;
	bool *chosen;    /* PVs that go, by index */
	unsigned *sides; /* of volumes: what their parts do */
	bool *gone;      /* volumes that go */
	struct error *error;
};

static void splitting_free(struct splitting *splitting)
{
	volume_group_unref(splitting->new);
	free(splitting->chosen);
	free(splitting->sides);
	free(splitting->gone);
}

/* ---- Who goes ---- */

static unsigned side_of_area(const struct splitting *splitting, const struct volume_area *area)
{
	if (!area->pv)
		return 0;
	return splitting->chosen[area->pv->private->index] ? GOES : STAYS;
}

/* By the PVs that it lies on itself; of types that are not read, that it names. */
static unsigned own_side(const struct splitting *splitting, const struct volume_lv *lv)
{
	const struct volume_group *group = splitting->group;
	unsigned side = 0;

	for (unsigned i = 0; i < lv->segment_count; i++) {
		const struct volume_segment *segment = &lv->segments[i];
		const struct lvm_config_node *node = segment->private->node;

		for (unsigned k = 0; k < segment->area_count; k++)
			side |= side_of_area(splitting, &segment->areas[k]);
		for (unsigned k = 0; node && k < group->pv_count; k++)
			if (lvm_config_names(node->child, group->pvs[k]->name))
				side |= splitting->chosen[k] ? GOES : STAYS;
	}
	return side;
}

/* A volume and those that it names are on one side. True: something was learnt. */
static bool join_sides(struct splitting *splitting, unsigned one, unsigned other)
{
	unsigned *sides = splitting->sides, both = sides[one] | sides[other];
	bool news = sides[one] != both || sides[other] != both;

	sides[one] = sides[other] = both;
	return news;
}

static unsigned index_of(const struct volume_group *group, const struct volume_lv *lv)
{
	unsigned at = 0;

	while (group->lvs[at] != lv)
		at++;
	return at;
}

static bool join_named(struct splitting *splitting, unsigned number)
{
	const struct volume_group *group = splitting->group;
	const struct volume_lv *lv = group->lvs[number];
	bool news = false;

	for (unsigned i = 0; i < lv->segment_count; i++) {
		const struct volume_segment *segment = &lv->segments[i];
		const struct lvm_config_node *node = segment->private->node;

		for (unsigned k = 0; k < segment->area_count; k++) {
			if (segment->areas[k].lv)
				news |= join_sides(splitting, number,
						   index_of(group, segment->areas[k].lv));
			if (segment->metas && segment->metas[k].lv)
				news |= join_sides(splitting, number,
						   index_of(group, segment->metas[k].lv));
		}
		for (unsigned k = 0; node && k < group->lv_count; k++)
			if (k != number && lvm_config_names(node->child, group->lvs[k]->name))
				news |= join_sides(splitting, number, k);
	}
	return news;
}

static int choose_volumes(struct splitting *splitting)
{
	struct volume_group *group = splitting->group;
	bool news = true;
	int rc = 0;

	for (unsigned i = 0; i < group->lv_count; i++)
		splitting->sides[i] = own_side(splitting, group->lvs[i]);
	while (news) {
		news = false;
		for (unsigned i = 0; i < group->lv_count; i++)
			news |= join_named(splitting, i);
	}
	for (unsigned i = 0; !rc && i < group->lv_count; i++) {
		const struct volume_lv *lv = group->lvs[i];

		splitting->gone[i] = splitting->sides[i] == GOES;
		if (splitting->sides[i] == (GOES | STAYS)) {
			error_set(splitting->error, -EBUSY,
				  "%s/%s: lies on devices that would go to %s and on others",
				  group->name, lv->name, splitting->name);
			return error_advise(splitting->error,
					    "move it to one side first: tenon lv move");
		}
		if (splitting->gone[i])
			rc = change_check_closed(group, lv, splitting->error);
	}
	return rc;
}

static unsigned areas_in_use(const struct volume_group *group, const bool *chosen, bool which)
{
	unsigned count = 0;

	for (unsigned i = 0; i < group->pv_count; i++)
		for (unsigned k = 0; chosen[i] == which && k < group->pvs[i]->private->area_count;
		     k++)
			count += !group->pvs[i]->private->areas[k].area.ignored;
	return count;
}

static int choose_pvs(struct splitting *splitting)
{
	const struct volume_group *group = splitting->group;
	unsigned going = 0;

	for (unsigned i = 0; i < splitting->pv_count; i++)
		splitting->chosen[splitting->pvs[i]->private->index] = true;
	for (unsigned i = 0; i < group->pv_count; i++)
		going += splitting->chosen[i];
	if (going == group->pv_count) {
		error_set(splitting->error, -EINVAL,
			  "volume group %s: all its devices would go to %s", group->name,
			  splitting->name);
		return error_advise(splitting->error,
				    splitting->into ? "tenon vg merge does that"
						    : "tenon vg rename gives it another name");
	}
	for (unsigned which = 0; which < 2; which++)
		if (!areas_in_use(group, splitting->chosen, which))
			return error_set(
				splitting->error, -EINVAL,
				"volume group %s: no device of it would have a metadata area "
				"in use",
				which ? splitting->name : group->name);
	return 0;
}

static int choose(struct splitting *splitting)
{
	struct volume_group *group = splitting->group;
	const struct volume_lv *move = lvm_move_find(group);
	int rc = splitting->into ? 0 : volume_group_name_check(splitting->name, splitting->error);

	splitting->chosen = calloc(group->pv_count + 1, sizeof(bool));
	splitting->sides = calloc(group->lv_count + 1, sizeof(unsigned));
	splitting->gone = calloc(group->lv_count + 1, sizeof(bool));
	if (!splitting->chosen || !splitting->sides || !splitting->gone)
		return change_no_memory(group, splitting->error);
	if (!rc)
		rc = lvm_vg_check_changeable(group, splitting->error);
	if (!rc && move)
		rc = error_set(splitting->error, -EBUSY,
			       "volume group %s: a move is half done (%s)", group->name,
			       move->name);
	if (!rc)
		rc = change_check_resizeable(group, splitting->error);
	if (!rc)
		rc = choose_pvs(splitting);
	return rc ? rc : choose_volumes(splitting);
}

/* ---- The new group ---- */

/* Of a copy of the old one what goes. */
static void keep_chosen(struct splitting *splitting)
{
	struct volume_group *new = splitting->new;
	unsigned pvs = 0, lvs = 0;

	for (unsigned i = 0; i < new->pv_count; i++) {
		struct volume_pv *pv = new->pvs[i];

		if (!splitting->chosen[i]) {
			free(pv);
			continue;
		}
		lvm_pv_copy_device(pv, splitting->group->pvs[i]);
		pv->private->index = pvs;
		new->pvs[pvs++] = pv;
	}
	for (unsigned i = 0; i < new->lv_count; i++) {
		const struct volume_lv *was =
			volume_group_get_lv(splitting->group, new->lvs[i]->name);

		if (splitting->gone[index_of(splitting->group, was)])
			new->lvs[lvs++] = new->lvs[i];
		else
			lvm_lv_free(new->lvs[i]);
	}
	new->pv_count = pvs;
	new->lv_count = lvs;
	lvm_index_forget(new);
}

static int set_context(struct volume_group *to, const struct volume_group *from)
{
	const struct volume_group_private *private = from->private;
	struct volume_context context = {
		.host = private->host,
		.system = private->system,
		.command = lvm_vg_command(from),
		.time = private->time,
		.random = private->random,
		.compute = private->compute,
		.archive = private->archive.directory ? &private->archive : NULL,
		.lvm_conf = private->lvm_conf,
		.log = private->log,
	};

	return lvm_vg_set_context(to, &context);
}

/* What its volumes were called once stays with the old one. */
static void drop_history(struct volume_group *group)
{
	struct lvm_config_node **at = &group->private->extra;

	while (*at)
		if ((*at)->key && !strcmp((*at)->key, "historical_logical_volumes"))
			*at = (*at)->next;
		else
			at = &(*at)->next;
}

static int mark_exported(struct volume_group *group, bool exported, const char *yields_to)
{
	int rc = change_set_flag(group, &group->private->status, "EXPORTED", exported);

	for (unsigned i = 0; !rc && i < group->pv_count; i++)
		rc = change_set_flag(group, &group->pvs[i]->private->status, "EXPORTED", exported);
	return rc ? rc : lvm_yield_set(group, yields_to);
}

/* What is to join another group needs a name for the moment. */
static char *name_new(const struct splitting *splitting)
{
	char name[VOLUME_NAME_LENGTH + 1];

	snprintf(name, sizeof(name), "split_%.6s", splitting->new->uuid);
	return lvm_vg_keep_string(splitting->new, splitting->into ? name : splitting->name);
}

static int make_new(struct splitting *splitting)
{
	struct volume_group *group = splitting->group, *new;
	int rc = lvm_vg_copy(group, &splitting->new, splitting->error);

	if (rc)
		return rc;
	new = splitting->new;
	keep_chosen(splitting);
	new->seqno = 0;
	lvm_uuid_generate(new->uuid, group->private->random);
	drop_history(new);
	new->name = name_new(splitting);
	if (!new->name || set_context(new, group) || mark_exported(new, true, group->uuid))
		return change_no_memory(group, splitting->error);
	for (unsigned i = 0; !rc && i < new->lv_count; i++)
		rc = lvm_lv_dm_name_check(new, new->lvs[i]->name, splitting->error);
	if (!rc)
		rc = lvm_vg_check_text(new, splitting->error);
	return rc || !splitting->into ? rc
				      : lvm_merge_check(splitting->into, new, splitting->error);
}

/* ---- All of it ---- */

static int plan_rest(struct splitting *splitting, struct change *change)
{
	struct volume_group *group = splitting->group;
	unsigned pvs = group->pv_count;
	int rc = change_drop_lvs(change, splitting->gone);

	for (unsigned i = pvs; !rc && i-- > 0;)
		if (splitting->chosen[i])
			rc = change_drop_pv(change, group->pvs[i]);
	return rc ? change_no_memory(group, splitting->error)
		  : change_build(change, splitting->error);
}

/* The old group has the PVs still, should the rest fail: what is on them now it overwrites. */
static void learn_areas(const struct splitting *splitting)
{
	for (unsigned i = 0; i < splitting->pv_count; i++) {
		struct volume_pv_private *private = splitting->pvs[i]->private;
		const struct volume_pv *now =
			volume_group_get_pv(splitting->new, splitting->pvs[i]->uuid);

		memcpy(private->areas, now->private->areas, sizeof(private->areas));
		for (unsigned k = 0; k < private->area_count; k++)
		private->areas[k].current = false;
	}
}

/* The new group may be on them or not: the next change of the old one begins by making its own headers certain. */
static void forget_areas(const struct splitting *splitting)
{
	for (unsigned i = 0; i < splitting->pv_count; i++)
		for (unsigned k = 0; k < splitting->pvs[i]->private->area_count; k++)
			splitting->pvs[i]->private->areas[k].settled = false;
}

/* Of the devices of PVs that left the new group has references. */
static void let_go(const struct splitting *splitting)
{
	for (unsigned i = 0; i < splitting->pv_count; i++)
		block_unref(steal_pointer(&splitting->pvs[i]->block));
}

/* What is split off becomes a group that may be used, or joins one. */
static int finish(struct splitting *splitting)
{
	struct volume_group *new = splitting->new, *into = splitting->into;
	int rc;

	if (into) {
		rc = volume_group_merge(into, new, splitting->error);
		if (!rc)
			return 0;
		error_prefix(splitting->error, "volume group %s: is split off %s, but exported",
			     new->name, splitting->group->name);
		return error_advise(splitting->error,
				    "tenon vg import %s, then tenon vg merge %s %s ends it",
				    new->name, into->name, new->name);
	}
	rc = mark_exported(new, false, NULL) ? change_no_memory(new, splitting->error)
					     : lvm_vg_commit(new, splitting->error);
	if (!rc)
		return 0;
	error_prefix(splitting->error, "volume group %s: is split off, but exported", new->name);
	return error_advise(splitting->error, "tenon vg import %s ends it", new->name);
}

static int split(struct splitting *splitting, struct change *change)
{
	struct volume_group *new = splitting->new;
	int rc = plan_rest(splitting, change);

	if (rc)
		return rc;
	rc = lvm_vg_commit(new, splitting->error);
	if (rc) {
		forget_areas(splitting);
		return rc;
	}
	learn_areas(splitting);
	rc = change_write(change, splitting->error);
	if (rc)
		return rc;
	let_go(splitting);
	return finish(splitting);
}

static int split_group(struct splitting *splitting)
{
	struct volume_group *group = splitting->group;
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	int rc;

	change_begin(&change, group);
	rc = choose(splitting);
	if (!rc)
		rc = make_new(splitting);
	return rc ? rc : split(splitting, &change);
}

int volume_group_split(struct volume_group *group, const char *name, struct volume_pv *const *pvs,
		       unsigned count, struct error *error)
{
	CLEANUP(splitting_free)
	struct splitting splitting = {
		.group = group, .name = name, .pvs = pvs, .pv_count = count, .error = error
	};

	return split_group(&splitting);
}

int volume_group_split_into(struct volume_group *group, struct volume_group *into,
			    struct volume_pv *const *pvs, unsigned count, struct error *error)
{
	CLEANUP(splitting_free)
	struct splitting splitting = { .group = group,
				       .into = into,
				       .name = into->name,
				       .pvs = pvs,
				       .pv_count = count,
				       .error = error };

	if (group == into)
		return error_set(error, -EINVAL, "volume group %s: it cannot be split into itself",
				 group->name);
	return split_group(&splitting);
}
