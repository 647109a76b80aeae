/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside volume/: what forbids changes of a group, each kind with its reason. The gravest is group->locked_reason. A change that mends one
 * of them says which it bears, and is refused for the gravest of the others, with what ends that.
 */
#ifndef TENON_VOLUME_LOCK_H
#define TENON_VOLUME_LOCK_H

#include "volume/volume.h"

/* The gravest first: what is told first can be ended while the others are there. */
enum lvm_lock {
	LVM_LOCK_KIND,    /* shared, or of a kind that is not known here */
	LVM_LOCK_OTHER,   /* what no change ends */
	LVM_LOCK_HOST,    /* its system ID is another host's */
	LVM_LOCK_MISSING, /* PVs are missing or there twice */
	LVM_LOCK_SHORT,   /* a device became shorter */
	LVM_LOCK_EXPORTED,
	LVM_LOCKS
};
#define LVM_LOCK_BIT(kind) (1u << (kind))
/* A device is gone, or is not all there any more. */
#define LVM_LOCK_LOSS (LVM_LOCK_BIT(LVM_LOCK_MISSING) | LVM_LOCK_BIT(LVM_LOCK_SHORT))
/* It is others who use it. */
#define LVM_LOCK_FOREIGN                                                                           \
	(LVM_LOCK_BIT(LVM_LOCK_KIND) | LVM_LOCK_BIT(LVM_LOCK_HOST) |                               \
	 LVM_LOCK_BIT(LVM_LOCK_EXPORTED))

/* Forbids changes from now on; of each kind the first reason counts. */
void lvm_vg_lock(struct volume_group *group, enum lvm_lock kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void lvm_vg_unlock(struct volume_group *group, enum lvm_lock kind);
/* For what its metadata say. */
void lvm_vg_lock_exported(struct volume_group *group);
void lvm_vg_lock_host(struct volume_group *group);
/* The bits of all kinds that do. */
unsigned lvm_vg_locks(const struct volume_group *group);
/* Of these kinds (bits) the gravest one's reason, or NULL. */
char *lvm_vg_reason(const struct volume_group *group, unsigned kinds);

/* 0, or -EROFS with the reason in `error`: a lock that is not one of the bits `borne`; for all but the first a device that is open for reading only, too. */
int lvm_vg_check_locks(const struct volume_group *group, unsigned borne, struct error *error);
int lvm_vg_check_but(const struct volume_group *group, unsigned borne, struct error *error);
int lvm_vg_check_changeable(const struct volume_group *group, struct error *error);

/* Finds out of each PV whether its device became shorter. */
void lvm_vg_judge_lengths(struct volume_group *group);
/* Forbids changes where one did, and allows them where none did. */
void lvm_vg_lock_short(struct volume_group *group);

/* Frees the reasons. */
void lvm_vg_locks_free(struct volume_group *group);

#endif
