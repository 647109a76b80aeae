/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the user should know of a group, in this order: what only a scan of all devices finds, once and for all; what the group itself shows,
 * looked at again after each change; what became of the last change.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "volume/lvm_vg.h"
#include "volume/yield.h"

void lvm_vg_problem(struct volume_group *group, const char *format, ...)
{
	va_list arguments;
	char text[1024], *kept;
	char **grown;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	grown = realloc(group->problems, (group->problem_count + 1) * sizeof(*grown));
	if (!grown)
		return;
	group->problems = grown;
	kept = strdup(text);
	if (kept)
		grown[group->problem_count++] = kept;
}

static void forget(struct volume_group *group, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		free(group->problems[i]);
	if (from < to)
		memmove(&group->problems[from], &group->problems[to],
			(group->problem_count - to) * sizeof(char *));
	group->problem_count -= to - from;
}

void lvm_vg_problem_unwritten(struct volume_group *group, const struct volume_pv *pv,
			      unsigned long long at)
{
	lvm_vg_problem(group,
		       "%s: metadata area at byte %llu could not be written, it may hold older "
		       "metadata; the next change repairs it",
		       pv->block->name, at);
}

/* ---- What the group itself shows ---- */

/* An area that has not what the group was made from. */
static void judge_area(struct volume_group *group, const struct volume_pv *pv, unsigned number)
{
	const struct lvm_location *where = &pv->private->label.metadata[number];
	const struct volume_metadata_area *area = &pv->private->areas[number];
	const char *device = pv->block->name;
	unsigned long long at = where->offset;

	if (area->current || (area->readable && area->area.ignored))
		return;
	if (area->unwritten_told)
		return;
	if (area->unwritten)
		lvm_vg_problem_unwritten(group, pv, at);
	else if (!range_within(where->offset, where->size, pv->block->size))
		lvm_vg_problem(group,
			       "%s: the metadata area at byte %llu has %llu bytes, the device ends "
			       "at %llu: it is not used; `tenon pv resize` takes it out",
			       device, at, (unsigned long long)where->size,
			       (unsigned long long)pv->block->size);
	else if (!area->readable && where->size < LVM_METADATA_SIZE_MIN)
		lvm_vg_problem(group,
			       "%s: the header of the metadata area at byte %llu is damaged, and "
			       "the area has %llu bytes, expected at least %u: it is not used",
			       device, at, (unsigned long long)where->size, LVM_METADATA_SIZE_MIN);
	else if (!area->readable)
		lvm_vg_problem(group,
			       "%s: the header of the metadata area at byte %llu is damaged; the "
			       "next change repairs it",
			       device, at);
	else if (area->stale_seqno)
		lvm_vg_problem(group,
			       "%s: the metadata area at byte %llu has sequence number %u, the "
			       "group is at %u; the next change repairs it",
			       device, at, area->stale_seqno, group->seqno);
	else
		lvm_vg_problem(group,
			       "%s: the metadata area at byte %llu has no valid metadata of this "
			       "group; the next change repairs it",
			       device, at);
}

/* Of a PV that is here. */
static void judge_pv(struct volume_group *group, const struct volume_pv *pv)
{
	unsigned long long end = lvm_pv_end(group, pv);

	for (unsigned i = 0; i < pv->private->area_count; i++)
		judge_area(group, pv, i);
	/* Nothing makes it longer again but its owner. */
	if (pv->block->size < MAX(end, pv->device_size))
		lvm_vg_problem(
			group,
			"%s: has %llu bytes, its extents end at %llu; PV %s must have %llu bytes "
			"again",
			pv->block->name, (unsigned long long)pv->block->size, end, pv->uuid,
			(unsigned long long)MAX(end, pv->device_size));
}

static void judge_loss(struct volume_group *group, const struct volume_pv *pv)
{
	if (!pv->block)
		lvm_vg_problem(group, "PV %s is missing (last seen as %s)", pv->uuid,
			       pv->device_hint ? pv->device_hint : "unknown");
	else if (pv->marked_missing)
		lvm_vg_problem(group, "PV %s (%s) was missing when the group was last changed",
			       pv->uuid, pv->block->name);
}

static void judge(struct volume_group *group)
{
	for (unsigned i = 0; i < group->pv_count; i++)
		if (group->pvs[i]->block)
			judge_pv(group, group->pvs[i]);
	for (unsigned i = 0; i < group->pv_count; i++)
		judge_loss(group, group->pvs[i]);
	if (lvm_yield_to(group))
		lvm_vg_problem(
			group,
			"a split or a merge of it, or a change of its UUID, was cut short; `tenon "
			"vg import` makes it usable as it is; where it was a merge, the same "
			"`tenon "
			"vg merge` goes on");
	if (volume_group_is_half_clone(group))
		lvm_vg_problem(group,
			       "is half a clone; `tenon vg clone` of the same devices ends it");
}

static void reverse(char **from, char **to)
{
	while (from < to && from < --to) {
		char *one = *from;

		*from++ = *to;
		*to = one;
	}
}

/* Those of the change are told behind what is found now. */
void lvm_vg_problems_judge(struct volume_group *group)
{
	unsigned scanned = group->private->scanned_problems, of_change;

	forget(group, scanned, group->lasting_problems);
	of_change = group->problem_count - scanned;
	judge(group);
	group->lasting_problems = group->problem_count - of_change;
	if (!of_change)
		return;
	/* What is in front goes behind. */
	reverse(&group->problems[scanned], &group->problems[scanned + of_change]);
	reverse(&group->problems[scanned + of_change], &group->problems[group->problem_count]);
	reverse(&group->problems[scanned], &group->problems[group->problem_count]);
}

void lvm_vg_problems_forget(struct volume_group *group)
{
	bool shown = false;

	forget(group, group->lasting_problems, group->problem_count);
	/* What that change could not write the group itself shows from now on. */
	for (unsigned i = 0; i < group->pv_count; i++)
		for (unsigned k = 0; k < group->pvs[i]->private->area_count; k++) {
			bool *told = &group->pvs[i]->private->areas[k].unwritten_told;

			shown |= *told;
			*told = false;
		}
	if (shown)
		lvm_vg_problems_judge(group);
}

void lvm_vg_problems_scanned(struct volume_group *group)
{
	group->private->scanned_problems = group->lasting_problems = group->problem_count;
	lvm_vg_problems_judge(group);
}
