/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A group as a file says it was (archive.h, or any that LVM2 wrote), put back onto its PVs.
 *
 * Only metadata is written, in the way of every change (commit.h): with a sequence number above all that the PVs
 * have, so that a cut of power leaves the group as it was or as it is restored. Data stays where it is; whether the old
 * places still hold what they held then is the user's to know.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/change.h"
#include "volume/commit.h"
#include "volume/lvm_io.h"
#include "volume/restore_check.h"

struct restoration {
	struct volume_group *group;
	struct volume_scan *scan;
	const char *file;
	bool force;
	struct error *error;
};

int volume_text_read(const char *text, size_t size, const char *name, struct volume_group **out,
		     struct error *error)
{
	return lvm_vg_read(text, size, name, out, error);
}

/* What the file must not bring back. */
static int check_text(const struct restoration *restoration)
{
	const struct volume_group *group = restoration->group;
	const char *reason =
		lvm_vg_reason(group, LVM_LOCK_FOREIGN & ~LVM_LOCK_BIT(LVM_LOCK_EXPORTED));

	if (reason)
		return error_set(restoration->error, -EROFS, "%s: is not restored: %s",
				 restoration->file, reason);
	for (unsigned i = 0; i < group->lv_count && !restoration->force; i++) {
		const char *type = volume_lv_type(group->lvs[i]);

		if (strncmp(type, "thin-pool", 9) && strncmp(type, "cache", 5))
			continue;
		error_set(restoration->error, -EOPNOTSUPP,
			  "%s: is not restored: volume %s is a %s, which has metadata of its own "
			  "that must be of the same time",
			  restoration->file, group->lvs[i]->name, type);
		error_advise(restoration->error, "give --force where it is");
		return -EOPNOTSUPP;
	}
	return lvm_vg_validate(group, restoration->error);
}

/* ---- What it is put over ---- */

/* One that has the name of the file's was that once, before it got another UUID, or was made where that had been. */
static int fail_of_another(const struct volume_group *wanted, const struct volume_scanned *scanned,
			   const char *file, struct error *error)
{
	const struct volume_group *now = scanned->group;

	if (strcmp(now->name, wanted->name)) {
		error_set(error, -EBUSY, "%s: is a physical volume of volume group %s now",
			  scanned->block->name, now->name);
		return error_advise(error, "`tenon vg reduce` or `vg remove` of %s frees it",
				    now->name);
	}
	error_set(error, -EBUSY, "%s: is of volume group %s with UUID %s; %s on %s has UUID %s now",
		  file, wanted->name, wanted->uuid, now->name, scanned->block->name, now->uuid);
	return error_advise(
		error, "if that is the same one, whose UUID was changed since (`tenon vg change "
		       "--uuid`), or is to be given up for it, --force restores the file over "
		       "it; the UUID stays as it is now");
}

static int check_name(const struct volume_group *wanted, const struct volume_scan *scan,
		      const char *file, struct error *error)
{
	for (unsigned i = 0; i < scan->group_count; i++) {
		const struct volume_group *other = scan->groups[i];

		if (strcmp(other->name, wanted->name))
			continue;
		error_set(error, -EEXIST,
			  "%s: is of volume group %s with UUID %s, which is not on the devices; "
			  "another one of that name is, with UUID %s",
			  file, wanted->name, wanted->uuid, other->uuid);
		return error_advise(error,
				    "`tenon vg archive %s` lists what is kept of it; --force "
				    "restores the file's group beside it",
				    other->uuid);
	}
	return 0;
}

/* PVs that joined since the file was written would bring the present metadata back, for want of other. */
static int check_left_out(const struct volume_group *wanted, const struct volume_group *now,
			  const char *file, struct error *error)
{
	for (unsigned i = 0; i < now->pv_count; i++)
		if (!volume_group_get_pv(wanted, now->pvs[i]->uuid))
			return error_set(
				error, -EBUSY,
				"%s: knows nothing of PV %s (%s), which is in the group now", file,
				now->pvs[i]->uuid,
				now->pvs[i]->block ? now->pvs[i]->block->name : "missing");
	return 0;
}

/* Others may be using it, whatever the file says of that time. */
static int check_ours(const struct volume_group *now, const char *file, struct error *error)
{
	const unsigned foreign = LVM_LOCK_BIT(LVM_LOCK_KIND) | LVM_LOCK_BIT(LVM_LOCK_HOST);
	int rc = lvm_vg_check_locks(now, ~foreign, error);

	if (!rc)
		return 0;
	error_prefix(error, "%s: is not restored", file);
	return lvm_vg_locks(now) & LVM_LOCK_BIT(LVM_LOCK_KIND)
		       ? error_advise(error, "--force restores it over that, which nobody may be "
					     "using then")
		       : rc;
}

int volume_restore_find(struct volume_group *wanted, const struct volume_scan *scan,
			const char *file, bool force, struct volume_group **now,
			struct error *error)
{
	bool found = false;
	int rc = 0;

	*now = NULL;
	for (unsigned i = 0; i < scan->group_count; i++)
		if (!strcmp(scan->groups[i]->uuid, wanted->uuid))
			*now = scan->groups[i];
	for (unsigned i = 0; i < scan->device_count; i++) {
		const struct volume_scanned *scanned = &scan->devices[i];

		if (!scanned->is_pv || !scanned->group || scanned->group == *now ||
		    !volume_group_get_pv(wanted, scanned->info.uuid))
			continue;
		if (!force || *now || strcmp(scanned->group->name, wanted->name))
			return fail_of_another(wanted, scanned, file, error);
		*now = scanned->group;
		found = true;
	}
	if (found)
		memcpy(wanted->uuid, (*now)->uuid, sizeof(wanted->uuid));
	if (!force)
		rc = *now ? check_ours(*now, file, error) : check_name(wanted, scan, file, error);
	return rc || !*now ? rc : check_left_out(wanted, *now, file, error);
}

/* ---- Its devices ---- */

/* Takes a device as a PV of the group. */
static int attach(struct restoration *restoration, struct volume_pv *pv,
		  const struct volume_scanned *scanned)
{
	struct volume_pv_private *private = pv->private;
	uint64_t end = lvm_pv_end(restoration->group, pv);
	int rc;

	if (pv->block)
		return error_set(restoration->error, -ENOTUNIQ, "PV %s is on %s and on %s",
				 pv->uuid, pv->block->name, scanned->block->name);
	if (scanned->block->size < end)
		return error_set(restoration->error, -ENOSPC,
				 "%s: has %llu bytes, the extents of %s end at %llu in %s",
				 scanned->block->name, (unsigned long long)scanned->block->size,
				 pv->uuid, (unsigned long long)end, restoration->file);
	rc = lvm_label_read(scanned->block, &private->label, restoration->error);
	if (rc <= 0)
		return rc ? rc : -EIO;
	for (unsigned i = 0; i < private->label.metadata_count; i++) {
		const struct lvm_location *area = &private->label.metadata[i];

		if (pv->pe_start < area->offset + area->size && area->offset < end)
			return error_set(restoration->error, -EINVAL,
					 "%s: its metadata area at byte %llu lies within the "
					 "extents that %s gives it",
					 scanned->block->name, (unsigned long long)area->offset,
					 restoration->file);
		private->areas[i].readable = !lvm_metadata_area_read(scanned->block, area,
								     &private->areas[i].area, NULL);
		private->areas[i].current = private->areas[i].readable;
	}
	private->area_count = private->label.metadata_count;
	pv->block = block_ref(scanned->block);
	return 0;
}

static int attach_all(struct restoration *restoration)
{
	struct volume_group *group = restoration->group;
	const struct volume_scan *scan = restoration->scan;
	int rc = 0;

	for (unsigned i = 0; !rc && i < scan->device_count; i++) {
		struct volume_pv *pv = volume_group_get_pv(group, scan->devices[i].info.uuid);

		if (scan->devices[i].is_pv && pv)
			rc = attach(restoration, pv, &scan->devices[i]);
	}
	for (unsigned i = 0; !rc && i < group->pv_count; i++)
		if (!group->pvs[i]->block)
			rc = error_set(restoration->error, -ENXIO,
				       "%s: PV %s of it is missing (last seen as %s)",
				       restoration->file, group->pvs[i]->uuid,
				       group->pvs[i]->device_hint ? group->pvs[i]->device_hint
								  : "unknown");
	return rc;
}

static int check_alone(const struct restoration *restoration, const struct volume_group *now)
{
	for (unsigned i = 0; i < restoration->scan->group_count; i++) {
		const struct volume_group *other = restoration->scan->groups[i];

		if (other != now && !strcmp(other->name, restoration->group->name))
			return error_set(restoration->error, -EEXIST,
					 "%s: another volume group has the name %s: %s",
					 restoration->file, other->name, other->uuid);
	}
	return 0;
}

int volume_group_restore(struct volume_group **out, const char *text, size_t size, const char *file,
			 struct block *const *blocks, unsigned count, bool force,
			 const struct volume_context *context, struct error *error)
{
	CLEANUP_VOLUME_GROUP struct volume_group *group = NULL;
	CLEANUP_VOLUME_SCAN struct volume_scan *scan = NULL;
	struct restoration restoration = { .file = file, .force = force, .error = error };
	struct volume_group *now = NULL; /* its number is passed over */
	int rc = volume_text_read(text, size, file, &group, error);

	if (!rc)
		rc = volume_groups_scan(blocks, count, context, &scan, error);
	if (!rc && (rc = lvm_vg_set_context(group, context)))
		error_set(error, rc, "%s: no memory to restore it", file);
	if (rc)
		return rc;
	restoration.group = group;
	restoration.scan = scan;
	rc = check_text(&restoration);
	if (!rc)
		rc = volume_restore_find(group, scan, file, force, &now, error);
	if (!rc)
		rc = attach_all(&restoration);
	if (rc)
		return rc;
	if (now) {
		rc = check_alone(&restoration, now);
		group->seqno = MAX(group->seqno, now->seqno);
	}
	if (!rc && !force && now)
		rc = volume_restore_check(group, now, file, error);
	if (!rc && !force)
		rc = lvm_restore_check_superblocks(group, now, file, error);
	if (!rc)
		rc = lvm_vg_commit(group, error);
	if (rc)
		return rc;
	lvm_vg_mark_used(group);
	*out = steal_pointer(&group);
	return 0;
}
