/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding groups on a set of devices.
 *
 * Every metadata area in use gives a text; equal texts are parsed once. The texts of one group (by its
 * uuid) compete: the highest sequence number that is whole and valid is the group. Then each of its PVs
 * is looked for among the labels. What does not fit is told of, and never decides.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/ends.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/scan.h"
#include "volume/yield.h"

static int scan_fail(struct error *error)
{
	return error_set(error, -ENOMEM, "no memory to look for volume groups");
}

/* ---- Choosing the text of each group ---- */

static int add_group(struct scanner *scanner, struct volume_group *group)
{
	struct volume_scan *scan = scanner->scan;
	struct volume_group **grown;

	for (unsigned i = 0; i < scan->group_count; i++) {
		if (strcmp(scan->groups[i]->uuid, group->uuid))
			continue;
		if (group->seqno == scan->groups[i]->seqno) {
			lvm_vg_problem(scan->groups[i],
				       "two different metadata texts have sequence number %u",
				       group->seqno);
			lvm_vg_lock(scan->groups[i], LVM_LOCK_OTHER,
				    "its metadata areas disagree about sequence number %u",
				    group->seqno);
		} else if (group->seqno > scan->groups[i]->seqno) {
			volume_group_unref(scan->groups[i]);
			scan->groups[i] = volume_group_ref(group);
		}
		return 0;
	}
	grown = realloc(scan->groups, (scan->group_count + 1) * sizeof(struct volume_group *));
	if (!grown)
		return -ENOMEM;
	scan->groups = grown;
	grown[scan->group_count++] = volume_group_ref(group);
	return 0;
}

static int compare_groups(const void *a, const void *b)
{
	const struct volume_group *x = *(struct volume_group *const *)a;
	const struct volume_group *y = *(struct volume_group *const *)b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->uuid, y->uuid);
}

static int choose_groups(struct scanner *scanner)
{
	struct volume_scan *scan = scanner->scan;

	for (unsigned i = 0; i < scanner->text_count; i++) {
		int rc = scanner->texts[i].group ? add_group(scanner, scanner->texts[i].group) : 0;

		if (rc)
			return rc;
	}
	if (scan->group_count)
		qsort(scan->groups, scan->group_count, sizeof(struct volume_group *),
		      compare_groups);
	return 0;
}

static void judge_names(const struct volume_scan *scan)
{
	for (unsigned i = 1; i < scan->group_count; i++) {
		struct volume_group *one = scan->groups[i - 1], *other = scan->groups[i];

		if (strcmp(one->name, other->name))
			continue;
		lvm_vg_problem(one, "another volume group has this name: %s", other->uuid);
		lvm_vg_problem(other, "another volume group has this name: %s", one->uuid);
	}
}

/* ---- Finding the PVs of each group ---- */

static struct volume_group *chosen(const struct scanner *scanner, const char *uuid)
{
	for (unsigned i = 0; uuid && i < scanner->scan->group_count; i++)
		if (!strcmp(scanner->scan->groups[i]->uuid, uuid))
			return scanner->scan->groups[i];
	return NULL;
}

/* Whether the group, as it is chosen, has the PV. */
static bool has_pv(const struct scanner *scanner, const char *group_uuid, const char *uuid)
{
	const struct volume_group *group = chosen(scanner, group_uuid);

	return group && volume_group_get_pv(group, uuid);
}

/* The group that the device's own metadata names, or the one that that yields to (yield.h), or NULL. Of several that which
 * has it. */
static const struct volume_group *own_group(const struct scanner *scanner,
					    const struct scan_device *device)
{
	const struct volume_group *own = NULL;
	const char *uuid = device->label.uuid;
	bool had = false;

	for (unsigned i = 0; i < device->label.metadata_count; i++) {
		const struct volume_group *group =
			device->texts[i] < 0 ? NULL : scanner->texts[device->texts[i]].group;
		bool has = group && has_pv(scanner, group->uuid, uuid);

		if (!group || (own && (had > has || (had == has && group->seqno <= own->seqno))))
			continue;
		own = group;
		had = has;
	}
	if (own && has_pv(scanner, lvm_yield_to(own), uuid))
		own = chosen(scanner, lvm_yield_to(own));
	return own;
}

/* Whether an area holds what the group was made from. */
static void judge_area(struct scanner *scanner, const struct volume_group *group,
		       struct volume_pv *pv, const struct scan_device *device, unsigned number)
{
	struct volume_metadata_area *area = &pv->private->areas[number];
	const struct volume_group *found =
		device->texts[number] < 0 ? NULL : scanner->texts[device->texts[number]].group;

	area->current = found == group || (area->readable && area->area.ignored);
	area->stale_seqno =
		!area->current && found && !strcmp(found->uuid, group->uuid) ? found->seqno : 0;
}

/* A device that became shorter. */
static void judge_size(const struct volume_group *group, const struct volume_pv *pv,
		       struct volume_scanned *scanned)
{
	uint64_t end = lvm_pv_end(group, pv);

	if (pv->block->size >= MAX(end, pv->device_size))
		return;
	lvm_scan_problem(scanned, "%s: has %llu bytes, PV %s on it must have %llu again",
			 pv->block->name, (unsigned long long)pv->block->size, pv->uuid,
			 (unsigned long long)MAX(end, pv->device_size));
}

static void attach(struct scanner *scanner, struct volume_group *group, struct volume_pv *pv,
		   unsigned number)
{
	struct volume_scanned *scanned = &scanner->scan->devices[number];
	const struct scan_device *device = &scanner->devices[number];

	scanned->group = group;
	scanned->pv = pv;
	pv->block = block_ref(scanned->block);
	pv->private->label = device->label;
	pv->private->area_count = device->label.metadata_count;
	memcpy(pv->private->areas, device->areas, sizeof(device->areas));
	pv->metadata_areas = scanned->info.metadata_areas;
	pv->metadata_areas_used = scanned->info.metadata_areas_used;
	for (unsigned i = 0; i < device->label.metadata_count; i++)
		judge_area(scanner, group, pv, device, i);
	if (device->unread)
		lvm_vg_lock(
			group, LVM_LOCK_OTHER,
			"the metadata on %s could not be read (%s), and may be newer than that of "
			"the other devices",
			pv->block->name, error_name(device->unread));
	judge_size(group, pv, scanned);
}

static void attach_duplicate(struct scanner *scanner, struct volume_group *group,
			     struct volume_pv *pv, unsigned number)
{
	struct volume_scanned *scanned = &scanner->scan->devices[number];

	if (!pv->duplicate)
		for (unsigned i = 0; i < number; i++)
			if (scanner->scan->devices[i].pv == pv)
				lvm_scan_problem(&scanner->scan->devices[i],
						 "%s: PV %s is on %s too", pv->block->name,
						 pv->uuid, scanned->block->name);
	pv->duplicate = true;
	scanned->group = group;
	scanned->pv = pv;
	lvm_scan_problem(scanned, "%s: PV %s is on %s too", scanned->block->name, pv->uuid,
			 pv->block->name);
	lvm_vg_problem(group, "PV %s is on %s and on %s", pv->uuid, pv->block->name,
		       scanned->block->name);
}

/* A device without metadata is a PV of whatever group has it, but of none that yields to another which has it. */
static void find_pvs(struct scanner *scanner, struct volume_group *group)
{
	for (unsigned i = 0; i < scanner->scan->device_count; i++) {
		struct volume_scanned *scanned = &scanner->scan->devices[i];
		const struct volume_group *own;
		struct volume_pv *pv;

		if (!scanned->is_pv || scanned->group)
			continue;
		own = own_group(scanner, &scanner->devices[i]);
		if (own ? strcmp(own->uuid, group->uuid) != 0
			: has_pv(scanner, lvm_yield_to(group), scanned->info.uuid))
			continue;
		pv = volume_group_get_pv(group, scanned->info.uuid);
		if (!pv && own)
			lvm_scan_problem(scanned,
					 "%s: has metadata of volume group %s with sequence number "
					 "%u, but is no PV of it any more (it is at %u)",
					 scanned->block->name, group->name, own->seqno,
					 group->seqno);
		else if (pv && pv->block)
			attach_duplicate(scanner, group, pv, i);
		else if (pv)
			attach(scanner, group, pv, i);
	}
}

/* PVs of no group that have one UUID: copies, of which neither is better. */
static void judge_orphans(struct volume_scan *scan)
{
	for (unsigned i = 0; i < scan->device_count; i++)
		for (unsigned k = 0; k < scan->device_count; k++) {
			struct volume_scanned *one = &scan->devices[i], *other = &scan->devices[k];

			if (i != k && one->is_pv && other->is_pv && !one->group && !other->group &&
			    !strcmp(one->info.uuid, other->info.uuid))
				lvm_scan_problem(one, "%s: PV %s is on %s too", one->block->name,
						 one->info.uuid, other->block->name);
		}
}

/* What is missing, once all devices had their turn. */
static void judge_group(struct volume_group *group)
{
	for (unsigned i = 0; i < group->pv_count; i++)
		group->partial |= !lvm_pv_usable(group->pvs[i]);
	if (group->partial)
		lvm_vg_lock(group, LVM_LOCK_MISSING, "PVs are missing or are there twice");
	lvm_vg_judge_lengths(group);
	lvm_vg_lock_short(group);
	lvm_vg_judge_partial(group);
	lvm_vg_problems_scanned(group);
}

/* A group all of whose PVs another one has, since a split or merge was cut short, is none. */
static void drop_yielding(struct volume_scan *scan)
{
	unsigned left = 0;

	for (unsigned i = 0; i < scan->group_count; i++) {
		struct volume_group *group = scan->groups[i];
		unsigned here = 0;

		for (unsigned k = 0; k < group->pv_count; k++)
			here += group->pvs[k]->block != NULL;
		if (here || !lvm_yield_to(group)) {
			scan->groups[left++] = group;
			continue;
		}
		volume_group_unref(group);
	}
	scan->group_count = left;
}

/* ---- All together ---- */

/* A group keeps the text that it was read from. */
static void hand_over(struct scanner *scanner)
{
	for (unsigned i = 0; i < scanner->text_count; i++) {
		struct scan_text *text = &scanner->texts[i];

		if (!text->group || scanner->pvs_only)
			continue;
		text->group->private->text_size = text->size;
		text->group->private->text_capacity = text->size + 1;
		text->group->private->text = steal_pointer(&text->text);
	}
}

static void scanner_free(struct scanner *scanner)
{
	for (unsigned i = 0; i < scanner->text_count; i++) {
		volume_group_unref(scanner->texts[i].group);
		free(scanner->texts[i].text);
	}
	for (unsigned i = 0; scanner->ends && i < scanner->count; i++)
		block_unref(scanner->ends[i]);
	free(scanner->ends);
	free(scanner->texts);
	free(scanner->devices);
}

void volume_scan_free(struct volume_scan *scan)
{
	for (unsigned i = 0; i < scan->device_count; i++) {
		block_unref(scan->devices[i].block);
		free(scan->devices[i].problem);
	}
	for (unsigned i = 0; i < scan->group_count; i++)
		volume_group_unref(scan->groups[i]);
	free(scan->devices);
	free(scan->groups);
	free(scan);
}

/* Those that nobody has read yet. */
static int read_ends(struct scanner *scanner, const struct volume_context *context)
{
	unsigned count = scanner->scan->device_count;
	CLEANUP_FREE struct block **left = calloc(count + 1, sizeof(*left));
	struct block *given;
	int rc;

	if (!left)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++)
		if (!context || !context->ends || !context->ends[i])
			left[i] = scanner->scan->devices[i].block;
	rc = block_create_ends(scanner->ends, left, count);
	for (unsigned i = 0; !rc && i < count; i++) {
		given = left[i] ? NULL : context->ends[i];
		if (given)
			scanner->ends[i] = block_ref(given);
	}
	return rc;
}

static int scan_all(struct scanner *scanner, const struct volume_context *context)
{
	struct volume_scan *scan = scanner->scan;
	int rc = 0;

	scanner->pvs_only = context && context->pvs_only;
	rc = read_ends(scanner, context);
	for (unsigned i = 0; !rc && i < scan->device_count; i++)
		rc = lvm_scan_read(scanner, i);
	if (!rc)
		rc = choose_groups(scanner);
	for (unsigned i = 0; !rc && i < scan->group_count; i++) {
		rc = lvm_vg_set_context(scan->groups[i], context);
		find_pvs(scanner, scan->groups[i]);
	}
	drop_yielding(scan);
	judge_names(scan);
	for (unsigned i = 0; !rc && i < scan->group_count; i++)
		judge_group(scan->groups[i]);
	judge_orphans(scan);
	hand_over(scanner);
	return rc;
}

int volume_groups_scan(struct block *const *blocks, unsigned count,
		       const struct volume_context *context, struct volume_scan **out,
		       struct error *error)
{
	CLEANUP_VOLUME_SCAN struct volume_scan *scan = calloc(1, sizeof(*scan));
	CLEANUP(scanner_free) struct scanner scanner = { .count = count, .scan = scan };

	scanner.devices = calloc(count + 1, sizeof(*scanner.devices));
	scanner.ends = calloc(count + 1, sizeof(*scanner.ends));
	if (!scan || !scanner.devices || !scanner.ends)
		return scan_fail(error);
	scan->devices = calloc(count + 1, sizeof(*scan->devices));
	if (!scan->devices)
		return scan_fail(error);
	for (; scan->device_count < count; scan->device_count++)
		scan->devices[scan->device_count].block = block_ref(blocks[scan->device_count]);
	if (scan_all(&scanner, context))
		return scan_fail(error);
	*out = steal_pointer(&scan);
	return 0;
}

int volume_scan_find(struct volume_scan *scan, const char *name, struct volume_group **out,
		     struct error *error)
{
	struct volume_group *found = NULL;

	for (unsigned i = 0; i < scan->group_count; i++) {
		if (!strcmp(scan->groups[i]->uuid, name)) {
			*out = scan->groups[i];
			return 0;
		}
		if (strcmp(scan->groups[i]->name, name))
			continue;
		if (found) {
			error_set(error, -EEXIST, "volume group %s: there are two, %s and %s", name,
				  found->uuid, scan->groups[i]->uuid);
			error_advise(error, "name it by its uuid, or leave out some devices");
			return -EEXIST;
		}
		found = scan->groups[i];
	}
	if (!found)
		return error_set(error, -ENOENT,
				 "volume group %.128s: not found on the %u devices that were "
				 "looked at",
				 name, scan->device_count);
	*out = found;
	return 0;
}
