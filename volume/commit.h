/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changing what the disks say of a group: plan, build, commit, swap.
 *
 *	the caller changes the group in memory				plan
 *	lvm_commit_prepare()	text, and whether lvm2 would take it	build: all that can be refused
 *	lvm_commit_write()	texts, precommitted, committed		commit
 *	the caller lets others see the change, or takes it back		swap: cannot fail
 *	lvm_commit_end()
 *
 * Writing takes three steps, with a flush of all devices after each:
 *
 *	1. the text into free space of the ring of each area
 *	2. slot 1 (precommitted) of each header
 *	3. slot 0 (committed) of each header, one after the other, slot 1 cleared
 *
 * Readers look only at slot 0. Between the first and the last header of step 3 the areas differ, and the
 * higher number wins. So a change that fails in steps 1 and 2 was not made, and one for which a header of
 * step 3 is written and flushed on any device was made: a device that fails then becomes stale.
 *
 * In between it is unknown: a header was written whose flush failed, or whose write did. What is read back
 * proves nothing, since it may come out of a cache that a cut of power empties. What does prove something
 * is a header that is written *and* flushed without an error. So, after each header of step 3 failed twice,
 * the former headers are written and flushed again: if all can be, the change was not made. Else it stays
 * unknown, and is told as that.
 *
 * The state of an area (struct volume_metadata_area) for that: `settled` is set once this process has
 * written and flushed its header as `area` says it. Nothing else of an area may be written before: its
 * durable header might name an older text than the one that is read, and the new text would be put over
 * it; then a cut of power loses the group. lvm_vg_settle() settles the areas that are not, so the first
 * change of each process begins by writing the headers that it found. `unsure` is set on a group from a
 * change that stayed unknown until all its areas are settled. The number of a change that got as far as a
 * header is not used for another one (`seqno_tried`).
 *
 * The same is done before a volume is opened for writing after a change of this process that is unknown: what is
 * flushed to a volume must not go with a header that a cache hid. After one of another process
 * volume_group_settle() does it.
 *
 * Extents that a change frees or takes may be written by others only when the change is settled: so
 * whoever writes to free extents calls lvm_commit_prepare() first, which settles.
 */
#ifndef TENON_VOLUME_COMMIT_H
#define TENON_VOLUME_COMMIT_H

#include "volume/lvm_vg.h"

/* One metadata area on the way through a commit. */
struct lvm_commit_target {
	struct volume_pv *pv;
	struct volume_metadata_area *to;
	struct lvm_metadata_area area; /* as on disk, or new where the header is damaged */
	struct lvm_slot slot;          /* of the new text */
	bool committed;
};

#define LVM_TOUCHED_MAX 16u

/* Zeroed before it is prepared, but for what was touched. */
struct lvm_commit {
	/* What the change touches, where that is all: volumes on PVs alone, each once. None: it may be anything. */
	struct lvm_touched touched[LVM_TOUCHED_MAX];
	unsigned touched_count;

	struct volume_group *group;
	struct volume_group *part; /* what was touched, as it reads back; or NULL */
	struct volume_group *
		checked; /* what the text reads back as; NULL: a part was checked (commit_text.c) */
	struct lvm_text text;
	uint64_t size; /* with the NUL */
	uint32_t crc;
	struct lvm_commit_target *targets;
	unsigned count;
	int64_t time;
	uint32_t old_seqno;
	char *old_description;
	bool exported; /* spans of volumes are of `text` */
	bool made;
};

/*
 * Builds the text of what `group` is now in memory, with the next sequence number, refuses what cannot be
 * written or what lvm2 would not take, and settles the areas. Nothing that readers see is written. 0 or a
 * negative errno with `error` set; lvm_commit_end() is called in both cases.
 */
int lvm_commit_prepare(struct lvm_commit *commit, struct volume_group *group, struct error *error);

/*
 * Writes it to all metadata areas in use. 0: made and durable on at least one of them; the others are told
 * of in group->problems. A negative errno: `error` says that the change was not made, or that it is
 * unknown; the caller takes it back in memory. After 0 no memory is needed to go on, and the group is what
 * its text was read back as, or would be: what was in its pool before may be gone with lvm_commit_end() (lvm_vg_adopt()).
 */
int lvm_commit_write(struct lvm_commit *commit, struct error *error);

/* Frees; takes number and description back if the change was not made. */
void lvm_commit_end(struct lvm_commit *commit);
#define CLEANUP_COMMIT CLEANUP(lvm_commit_end)

/* Inside of that: number, description and text, checked (commit_text.c). */
int lvm_commit_build(struct lvm_commit *commit, struct volume_group *group, struct error *error);
/* The group is what was committed. */
void lvm_commit_take(struct lvm_commit *commit);

/* Both, for a change that writes nothing else. */
int lvm_vg_commit(struct volume_group *group, struct error *error);

/* Whether what `group` is now in memory could be committed, as far as text and lvm2's check go. Writes
 * nothing and changes nothing. */
int lvm_vg_check_text(struct volume_group *group, struct error *error);
/* The same, and whether metadata areas have room for it and devices are as long as they were. */
int lvm_vg_check_commit(struct volume_group *group, struct error *error);

/* Has each area's header durable as it is known here, the precommitted slot empty. Needs no change of the
 * group, and makes none. -EROFS after a change that failed is found on the disks after all. */
int lvm_vg_settle(struct volume_group *group, struct error *error);

/* A change that asks for what is there already is acknowledged only when that is durable: settles. */
int lvm_vg_unchanged(struct volume_group *group, struct error *error);

#endif
