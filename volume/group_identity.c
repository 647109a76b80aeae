/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which group it is, and whose: its UUID, and the system ID of the one host that may use it.
 *
 * No write of several disks is one, so in the middle of a change of its UUID there are two groups of one name, with one set of PVs. It
 * is done as a merge is (yield.h): the group, exported, yields to the one with the new UUID; then that is written, which has the PVs from
 * its first header on. A cut of power before that leaves the group exported: `vg import` undoes that.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "util/error.h"
#include "volume/change.h"
#include "volume/lvm_io.h"
#include "volume/yield.h"

#define SYSTEM_ID_KEY "system_id"

/* ---- Its UUID ---- */

static int yield_to_new(struct volume_group *group, const char *uuid, struct error *error)
{
	CLEANUP_CHANGE struct change change;
	int rc = change_open(&change, group, error);

	if (!rc)
		rc = change_check_unused(group, error);
	if (rc)
		return rc;
	if (change_set_exported(&change, true) || lvm_yield_set(group, uuid))
		return change_no_memory(group, error);
	return change_commit(&change, error);
}

static int become_new(struct volume_group *group, const char *uuid, struct error *error)
{
	CLEANUP_CHANGE struct change change;

	change_begin(&change, group);
	memcpy(group->uuid, uuid, sizeof(group->uuid));
	if (change_set_exported(&change, false) || lvm_yield_set(group, NULL))
		return change_no_memory(group, error);
	return change_commit(&change, error);
}

int volume_group_renew_uuid(struct volume_group *group, struct error *error)
{
	CHANGING(group);
	char uuid[VOLUME_UUID_TEXT];
	int rc;

	lvm_uuid_generate(uuid, group->private->random);
	rc = yield_to_new(group, uuid, error);
	if (rc)
		return rc;
	lvm_vg_lock_exported(group);
	rc = become_new(group, uuid, error);
	if (!rc) {
		lvm_vg_unlock(group, LVM_LOCK_EXPORTED);
		return 0;
	}
	/* Which of the two the disks have may be unknown. */
	lvm_vg_lock(group, LVM_LOCK_OTHER, "its UUID was being changed, which failed");
	return error_advise(
		error,
		"it may be exported now: `tenon vg import %s` undoes that, then the same "
		"command does it",
		group->name);
}

/* ---- Whose it is ---- */

int volume_system_id_check(const char *id, struct error *error)
{
	static const char others[] = "._-+";
	size_t length = strlen(id);

	if (!length)
		return 0;
	if (length > VOLUME_NAME_LENGTH)
		return error_set(error, -EINVAL, "system ID: has %zu characters, expected 1 to %d",
				 length, VOLUME_NAME_LENGTH);
	if (!strncmp(id, "localhost", strlen("localhost")))
		return error_set(error, -EINVAL, "system ID %.60s: is every host's", id);
	for (const char *c = id; *c; c++)
		if ((!isalnum((unsigned char)*c) && (c == id || !strchr(others, *c))) || *c & 0x80)
			return error_set(
				error, -EINVAL,
				"system ID: found byte 0x%02x, expected letters and digits, and "
				"behind the first one . _ - +",
				(unsigned char)*c);
	return 0;
}

/* Taking it from its host is the first of all that may be in the way, since what is done about the others only its host may do. Nobody is given a
 * group that is not whole. */
static unsigned borne_by(const char *id)
{
	return LVM_LOCK_BIT(LVM_LOCK_HOST) |
	       (*id ? 0 : LVM_LOCK_BIT(LVM_LOCK_EXPORTED) | LVM_LOCK_LOSS);
}

int volume_group_set_system_id(struct volume_group *group, const char *id, struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	const char *now = group->system_id ? group->system_id : "";
	int rc;

	change_begin(&change, group);
	rc = volume_system_id_check(id, error);
	if (!rc && !strcmp(id, now))
		rc = *id ? error_set(error, -EINVAL, "volume group %s: has system ID %s already",
				     group->name, id)
			 : error_set(error, -EINVAL, "volume group %s: has no system ID",
				     group->name);
	if (!rc)
		rc = change_check_but(group, borne_by(id), error);
	if (!rc)
		rc = change_check_unused(group, error);
	if (!rc && change_set_key(group, &group->private->extra, SYSTEM_ID_KEY, *id ? id : NULL))
		rc = change_no_memory(group, error);
	if (!rc)
		rc = change_commit(&change, error);
	if (rc)
		return rc;
	lvm_vg_unlock(group, LVM_LOCK_HOST);
	if (*id)
		lvm_vg_lock_host(group);
	return 0;
}
