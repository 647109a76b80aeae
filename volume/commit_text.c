/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of a commit, and whether it is right; see commit.h.
 *
 * A text must read back as a valid group before it goes anywhere near a disk. Of the whole of it that is found out by reading it,
 * and the group then is what was read (lvm_vg_adopt()). A change of a few simple volumes among thousands is a part:
 *
 *	- what it did not touch is taken from the text that the group has, to the byte: that was read and found right, or was
 *	  committed, and is what would be written (struct lvm_span);
 *	- what it touched is written, and read back in a group that has no other volumes: that must be valid, and be written
 *	  as the same bytes;
 *	- and what concerns both: no name, UUID or extent of theirs is another volume's.
 *
 * After WHOLE_EACH such commits all is written and read anew, compared with what a part would have been, and memory that the parts left
 * behind is freed. Where the group is not `quick`, as in tests, that is done each time beside the part.
 *
 * A text that is not committed leaves the group without one: spans are of a text that nobody has any more, and the next commit
 * is a whole one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/bytes.h"
#include "util/error.h"
#include "volume/commit.h"
#include "volume/lvm_io.h"
#include "volume/segment.h"

#define WHOLE_EACH 64u
#define RANGES_MAX 256u   /* of extents that a part touches */
#define MORE       65536u /* that a text may have grown */

int64_t lvm_vg_now(const struct volume_group *group)
{
	return group->private->time ? group->private->time : (int64_t)time(NULL);
}

static int set_description(struct volume_group *group)
{
	struct lvm_text text = { 0 };

	lvm_text_print(&text, "Write from %s.", lvm_vg_command(group));
	group->description = text.failed ? NULL : lvm_vg_string(group, text.at);
	free(text.at);
	return group->description ? 0 : -ENOMEM;
}

static int set_number(struct volume_group *group, struct error *error)
{
	uint32_t last = MAX(group->seqno, group->private->seqno_tried);

	if (last == UINT32_MAX)
		return error_set(error, -EOVERFLOW,
				 "volume group %s: its sequence number cannot grow further",
				 group->name);
	group->seqno = last + 1;
	return 0;
}

static int no_memory(const struct volume_group *group, struct error *error)
{
	return error_set(error, -ENOMEM, "volume group %s: no memory for metadata", group->name);
}

static int fail_inside(const struct volume_group *group, const char *what, struct error *error)
{
	error_set(error, -EUCLEAN,
		  "volume group %s: its metadata would have been written wrongly: %s", group->name,
		  what);
	return error_advise(error, "nothing was changed; this is a defect of tenon");
}

/* ---- Whole ---- */

static int check_whole(struct lvm_commit *commit, struct error *error)
{
	int rc = lvm_vg_read(commit->text.at, commit->text.size, commit->group->name,
			     &commit->checked, error);

	return rc ? rc : lvm_vg_validate(commit->checked, error);
}

/* ---- Parts ---- */

static bool has_history(const struct volume_group *group)
{
	return lvm_config_find(group->private->extra, "historical_logical_volumes");
}

static bool is_part(const struct lvm_commit *commit)
{
	const struct volume_group *group = commit->group;
	size_t ranges = 0;

	if (!commit->touched_count || !group->private->text || has_history(group))
		return false;
	for (unsigned i = 0; i < commit->touched_count; i++) {
		const struct volume_lv *lv = commit->touched[i].lv;

		for (unsigned k = 0; k < lv->segment_count; k++)
			ranges += lv->segments[k].area_count;
		if (lvm_lv_dependent(group, lv))
			return false;
	}
	return ranges <= RANGES_MAX;
}

/* What the small group has of the volume is written as the text has it. */
static int check_fragment(const struct lvm_commit *commit, const struct volume_group *read,
			  const struct volume_lv *lv, struct error *error)
{
	const struct lvm_span *span = &lv->private->span;
	const struct volume_lv *found = volume_group_get_lv(read, lv->name);
	struct lvm_text again = { 0 };
	bool same;

	if (!found)
		return fail_inside(commit->group, "a volume is not in it", error);
	lvm_lv_export(found, &again);
	same = !again.failed && again.size == span->length + 1 &&
	       !memcmp(again.at + 1, commit->text.at + span->at, span->length);
	free(again.at);
	return same ? 0 : fail_inside(commit->group, "a volume is another when it is read", error);
}

static int check_touched(struct lvm_commit *commit, struct error *error)
{
	struct lvm_text text = { 0 };
	int rc;

	lvm_vg_export_touched(commit->group, commit->time, commit->touched, commit->touched_count,
			      &text);
	rc = text.failed
		     ? no_memory(commit->group, error)
		     : lvm_vg_read(text.at, text.size, commit->group->name, &commit->part, error);
	free(text.at);
	if (!rc)
		rc = lvm_vg_validate(commit->part, error);
	for (unsigned i = 0; !rc && i < commit->touched_count; i++)
		if (!commit->touched[i].gone)
			rc = check_fragment(commit, commit->part, commit->touched[i].lv, error);
	return rc;
}

struct part_range {
	const struct volume_lv *of;
	const struct volume_pv *pv;
	uint64_t start, end;
};

struct part_ranges {
	struct part_range at[RANGES_MAX];
	unsigned count;
	const struct volume_lv *other; /* whose extents are compared with them */
	bool shared;
};

static void compare_extents(void *arg, const struct volume_pv *pv, uint32_t start, uint32_t count,
			    bool guessed)
{
	struct part_ranges *ranges = arg;

	for (unsigned i = 0; i < ranges->count && !guessed; i++) {
		const struct part_range *range = &ranges->at[i];

		ranges->shared |= range->of != ranges->other && range->pv == pv &&
				  start < range->end && range->start < (uint64_t)start + count;
	}
}

static void collect_ranges(const struct lvm_commit *commit, struct part_ranges *ranges)
{
	ranges->count = 0;
	ranges->shared = false;
	for (unsigned i = 0; i < commit->touched_count; i++) {
		const struct volume_lv *lv = commit->touched[i].lv;

		for (unsigned k = 0; !commit->touched[i].gone && k < lv->segment_count; k++) {
			const struct volume_segment *segment = &lv->segments[k];

			for (unsigned m = 0; m < segment->area_count; m++)
				ranges->at[ranges->count++] = (struct part_range){
					.of = lv,
					.pv = segment->areas[m].pv,
					.start = segment->areas[m].extent,
					.end = (uint64_t)segment->areas[m].extent +
					       lvm_segment_area_extents(segment),
				};
		}
	}
}

static int check_extents(const struct lvm_commit *commit, struct error *error)
{
	const struct volume_group *group = commit->group;
	struct lvm_pv_names names;
	struct part_ranges ranges;

	if (lvm_pv_names_init(&names, group))
		return no_memory(group, error);
	collect_ranges(commit, &ranges);
	for (unsigned i = 0; ranges.count && i < group->lv_count; i++) {
		ranges.other = group->lvs[i];
		for (unsigned k = 0; k < group->lvs[i]->segment_count; k++) {
			const struct volume_segment *segment = &group->lvs[i]->segments[k];

			segment->private->type->used(segment, &names, compare_extents, &ranges);
		}
	}
	lvm_pv_names_free(&names);
	return ranges.shared ? fail_inside(group, "two volumes would have the same extents", error)
			     : 0;
}

static int check_distinct(const struct lvm_commit *commit, struct error *error)
{
	const struct volume_group *group = commit->group;

	for (unsigned i = 0; i < commit->touched_count; i++) {
		const struct volume_lv *lv = commit->touched[i].lv;

		if (commit->touched[i].gone)
			continue;
		if (volume_group_get_lv(group, lv->name) != lv)
			return fail_inside(group, "two volumes would have the same name", error);
		for (unsigned k = 0; !commit->touched[i].was && k < group->lv_count; k++)
			if (group->lvs[k] != lv &&
			    !memcmp(group->lvs[k]->uuid, lv->uuid, sizeof(lv->uuid)))
				return fail_inside(group, "two volumes would have the same UUID",
						   error);
	}
	return 0;
}

static int check_part(struct lvm_commit *commit, struct error *error)
{
	struct volume_group *group = commit->group;
	int rc = check_touched(commit, error);

	if (!rc)
		rc = check_distinct(commit, error);
	if (!rc)
		rc = check_extents(commit, error);
	/* What was read may be what lvm2 would not take. */
	if (!rc && !group->private->validated)
		rc = lvm_vg_validate(group, error);
	return rc;
}

/* Beside the part: all of it. */
static int cross_check(struct lvm_commit *commit, struct error *error)
{
	struct lvm_text whole = { 0 };
	bool same;

	lvm_vg_export(commit->group, commit->time, &whole);
	same = !whole.failed && whole.size == commit->text.size &&
	       !memcmp(whole.at, commit->text.at, whole.size);
	free(whole.at);
	return same ? check_whole(commit, error)
		    : fail_inside(commit->group, "a volume has changed that was not told of",
				  error);
}

/* ---- The text ---- */

struct preparation {
	struct lvm_commit *commit;
	struct error *error;
};

/* Computes; see lvm_vg_compute(). */
static int prepare_text(void *arg)
{
	struct preparation *preparation = arg;
	struct lvm_commit *commit = preparation->commit;
	struct volume_group *group = commit->group;
	struct error *error = preparation->error;
	bool part = is_part(commit);
	int rc = 0;

	if (group->private->spare)
		lvm_text_reuse(&commit->text, &group->private->spare,
			       group->private->spare_capacity);
	else if (group->private->text)
		lvm_text_reserve(&commit->text, group->private->text_size + MORE);
	commit->exported = true;
	lvm_vg_export_keep(group, commit->time, !part, &commit->text);
	if (commit->text.failed)
		return no_memory(group, error);
	commit->size = commit->text.size + 1;
	commit->crc = lvm_crc(LVM_CRC_INITIAL, commit->text.at, commit->size);
	if (!part)
		return check_whole(commit, error);
	rc = check_part(commit, error);
	if (!rc && (!group->private->quick || group->private->parts >= WHOLE_EACH))
		rc = cross_check(commit, error);
	return rc;
}

static void forget_text(struct volume_group *group)
{
	group->private->archived_text = NULL;
	free(steal_pointer(&group->private->text));
}

int lvm_commit_build(struct lvm_commit *commit, struct volume_group *group, struct error *error)
{
	int rc;

	commit->group = group;
	commit->old_seqno = group->seqno;
	commit->old_description = group->description;
	commit->time = lvm_vg_now(group);
	rc = set_number(group, error);
	if (!rc && (rc = set_description(group)))
		error_set(error, rc, "volume group %s: %s", group->name, error_name(rc));
	return rc ? rc
		  : lvm_vg_compute(group, prepare_text, &(struct preparation){ commit, error });
}

int lvm_vg_check_text(struct volume_group *group, struct error *error)
{
	CLEANUP_COMMIT struct lvm_commit commit = { 0 };

	return lvm_commit_build(&commit, group, error);
}

/* ---- Made ---- */

static void count(struct volume_group *group, const struct volume_lv *lv, bool taken)
{
	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++) {
			uint32_t extents = lvm_segment_area_extents(&lv->segments[i]);
			struct volume_pv *pv = lv->segments[i].areas[k].pv;

			pv->allocated_extents += taken ? extents : -extents;
			group->free_extents -= taken ? extents : -extents;
		}
}

/* What follows from its flags and segments. */
static void take_read(struct volume_lv *lv, const struct volume_lv *read)
{
	lv->size = read->size;
	lv->extent_count = read->extent_count;
	lv->creation_time = read->creation_time;
	lv->visible = read->visible;
	lv->writable = read->writable;
	lv->activation_skip = read->activation_skip;
	lv->no_autoactivate = read->no_autoactivate;
	lv->supported = read->supported;
	lv->private->judged = true;
	lv->private->plain = read->private->plain;
}

static void judge_partial(struct volume_lv *lv)
{
	enum lvm_loss loss = LVM_LOSS_NONE;

	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++)
			loss = MAX(loss,
				   lvm_area_loss(&lv->segments[i], &lv->segments[i].areas[k]));
	lv->partial = loss >= LVM_LOSS_CUT;
	lv->private->loss = loss;
}

/* What reading all of it would find. */
static void take_part(struct lvm_commit *commit)
{
	struct volume_group *group = commit->group;

	for (unsigned i = 0; i < commit->touched_count; i++) {
		const struct lvm_touched *touched = &commit->touched[i];

		if (touched->was)
			count(group, touched->was, false);
		if (touched->gone)
			continue;
		take_read(touched->lv, volume_group_get_lv(commit->part, touched->lv->name));
		count(group, touched->lv, true);
		judge_partial(touched->lv);
	}
	group->creation_host = group->private->host;
	group->creation_time = commit->time;
	group->private->parts++;
}

void lvm_commit_take(struct lvm_commit *commit)
{
	struct volume_group *group = commit->group;
	struct volume_group_private *private = group->private;

	if (commit->checked) {
		lvm_vg_adopt(group, commit->checked);
		private->parts = 0;
	} else {
		take_part(commit);
	}
	private->validated = true;
	private->archived_text = NULL;
	free(private->spare);
	private->spare = private->text;
	private->spare_capacity = private->text_capacity;
	private->text_size = commit->text.size;
	private->text_capacity = commit->text.capacity;
	private->text = steal_pointer(&commit->text.at);
}

/* Of thousands of volumes, that takes its time as well. */
static int free_text(void *arg)
{
	struct lvm_commit *commit = arg;

	volume_group_unref(commit->checked);
	volume_group_unref(commit->part);
	if (!commit->made && commit->exported)
		forget_text(commit->group);
	free(commit->text.at);
	return 0;
}

void lvm_commit_end(struct lvm_commit *commit)
{
	if (!commit->made) {
		commit->group->seqno = commit->old_seqno;
		commit->group->description = commit->old_description;
	}
	lvm_vg_compute(commit->group, free_text, commit);
	free(commit->targets);
}
