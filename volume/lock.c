/* SPDX-License-Identifier: BSD-2-Clause */
/* What forbids changes of a group; see lock.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/lvm_vg.h"

/* Without memory for the reason it must stay locked all the same. */
static char no_memory[] = "out of memory";

char *lvm_vg_reason(const struct volume_group *group, unsigned kinds)
{
	for (unsigned i = 0; i < LVM_LOCKS; i++)
		if (group->private->locks[i] && kinds & LVM_LOCK_BIT(i))
			return group->private->locks[i];
	return NULL;
}

static void choose_reason(struct volume_group *group)
{
	group->locked_reason = lvm_vg_reason(group, ~0u);
}

void lvm_vg_lock(struct volume_group *group, enum lvm_lock kind, const char *format, ...)
{
	char **reason = &group->private->locks[kind];
	va_list arguments;

	if (*reason)
		return;
	va_start(arguments, format);
	if (vasprintf(reason, format, arguments) < 0)
		*reason = no_memory;
	va_end(arguments);
	choose_reason(group);
}

void lvm_vg_unlock(struct volume_group *group, enum lvm_lock kind)
{
	char *reason = steal_pointer(&group->private->locks[kind]);

	if (reason != no_memory)
		free(reason);
	choose_reason(group);
}

void lvm_vg_lock_exported(struct volume_group *group)
{
	lvm_vg_lock(group, LVM_LOCK_EXPORTED, "it is exported");
}

void lvm_vg_lock_host(struct volume_group *group)
{
	lvm_vg_lock(group, LVM_LOCK_HOST, "it belongs to the host with system ID %.128s",
		    group->system_id);
}

void lvm_vg_locks_free(struct volume_group *group)
{
	for (unsigned i = 0; i < LVM_LOCKS; i++)
		lvm_vg_unlock(group, i);
}

unsigned lvm_vg_locks(const struct volume_group *group)
{
	unsigned locks = 0;

	for (unsigned i = 0; i < LVM_LOCKS; i++)
		if (group->private->locks[i])
			locks |= LVM_LOCK_BIT(i);
	return locks;
}

/* ---- Who is refused, and what ends it ---- */

static void advise(const struct volume_group *group, enum lvm_lock kind, struct error *error)
{
	switch (kind) {
	case LVM_LOCK_HOST:
		error_advise(error,
			     "`tenon vg change %s --systemid \"\"` takes it from that host, "
			     "which must not be using it",
			     group->name);
		return;
	case LVM_LOCK_EXPORTED:
		error_advise(error, "`tenon vg import %s` takes it in", group->name);
		return;
	case LVM_LOCK_MISSING:
		error_advise(error,
			     "`tenon vg show %s` names them; `tenon lv remove`, `lv repair` and "
			     "`vg extend` work without them; `tenon vg reduce %s --remove-missing` "
			     "takes them out, `tenon vg repair %s --restore-missing` takes back "
			     "what is here again",
			     group->name, group->name, group->name);
		return;
	case LVM_LOCK_SHORT:
		error_advise(
			error,
			"where that cannot be: `tenon lv repair` makes anew what RAID volumes had "
			"there, `tenon lv remove` removes what is lost, then `tenon pv resize` "
			"takes the device as it is");
		return;
	case LVM_LOCK_KIND:
	case LVM_LOCK_OTHER:
	case LVM_LOCKS:
		return;
	}
}

static int fail(const struct volume_group *group, enum lvm_lock kind, struct error *error)
{
	error_set(error, -EROFS, "volume group %s cannot be changed: %s", group->name,
		  group->private->locks[kind]);
	advise(group, kind, error);
	return -EROFS;
}

static int check_writable(const struct volume_group *group, struct error *error)
{
	for (unsigned i = 0; i < group->pv_count; i++)
		if (group->pvs[i]->block && group->pvs[i]->block->read_only) {
			error_set(error, -EROFS,
				  "volume group %s cannot be changed: %s is open for reading only",
				  group->name, group->pvs[i]->block->name);
			error_advise(error, "a server with --read-only changes nothing: `tenon "
					    "status` shows those that run");
			return -EROFS;
		}
	return 0;
}

int lvm_vg_check_locks(const struct volume_group *group, unsigned borne, struct error *error)
{
	for (unsigned i = 0; i < LVM_LOCKS; i++)
		if (group->private->locks[i] && !(borne & LVM_LOCK_BIT(i)))
			return fail(group, i, error);
	return 0;
}

int lvm_vg_check_but(const struct volume_group *group, unsigned borne, struct error *error)
{
	int rc = lvm_vg_check_locks(group, borne, error);

	return rc ? rc : check_writable(group, error);
}

int lvm_vg_check_changeable(const struct volume_group *group, struct error *error)
{
	return lvm_vg_check_but(group, 0, error);
}

/* ---- Devices that became shorter ---- */

void lvm_vg_judge_lengths(struct volume_group *group)
{
	for (unsigned i = 0; i < group->pv_count; i++) {
		struct volume_pv *pv = group->pvs[i];
		uint64_t size = pv->block ? pv->block->size : UINT64_MAX;

		pv->private->is_short = size < lvm_pv_end(group, pv);
		pv->private->short_extents =
			(uint32_t)MIN((size - MIN(size, pv->pe_start)) / group->extent_size,
				      (uint64_t)pv->extent_count);
	}
}

bool volume_group_is_short(const struct volume_group *group)
{
	return lvm_vg_locks(group) == LVM_LOCK_BIT(LVM_LOCK_SHORT);
}

void lvm_vg_lock_short(struct volume_group *group)
{
	lvm_vg_unlock(group, LVM_LOCK_SHORT);
	for (unsigned i = 0; i < group->pv_count; i++) {
		const struct volume_pv *pv = group->pvs[i];
		uint64_t end = MAX(lvm_pv_end(group, pv), pv->device_size);

		if (pv->block && pv->block->size < end)
			lvm_vg_lock(group, LVM_LOCK_SHORT,
				    "%s has %llu bytes, PV %s on it must have %llu again",
				    pv->block->name, (unsigned long long)pv->block->size, pv->uuid,
				    (unsigned long long)end);
	}
}
