/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moving the extents of volumes to other PVs while they are used: pvmove, in LVM2's own format (move.h). It is begun by a change of
 * the metadata, from which on it is half done, here or in LVM2, until it is taken to its end or undone. Whoever has
 * the group starts a mover, which goes on with whatever move is there.
 *
 * On the home worker of the group, as all of volume.h. A group with a mover must be told to stop it before the last reference
 * of it goes away.
 */
#ifndef TENON_VOLUME_VOLUME_MOVE_H
#define TENON_VOLUME_VOLUME_MOVE_H

#include "volume/volume.h"

struct volume_move_options {
	/* Extents on this PV; NULL: on all PVs but those of `to`. */
	struct volume_pv *from;
	const struct volume_range *from_ranges; /* of it: only these extents; none: all */
	unsigned from_range_count;
	/* Of these volumes, with all that they are made of; none: of all. */
	const char *const *volumes;
	unsigned volume_count;
	/* To these; none: all others. */
	struct volume_pv *const *to;
	unsigned to_count;
	const struct volume_range *to_ranges; /* on those that are in here only to these extents */
	unsigned to_range_count;
	enum volume_allocation allocation; /* INHERIT: the group's */
	uint64_t rate; /* bytes a second at most, also of who goes on with it after a crash; or 0 */
	uint32_t step_extents; /* at most so many are done again after a crash; 0: chosen */
};

/*
 * Begins a move: allocates, and commits; *extents is how many are to be moved. -ENOENT for a volume that is not there, or nothing that
 * could be moved, -EBUSY while another move of the group is half done, -ENOSPC, -EOPNOTSUPP where what would move is of a type that is not
 * known to be movable. Redundancy stays: what is on the PVs of a volume's other stripes, copies or parity is not put there, unless the policy is
 * `anywhere`.
 */
int volume_move_begin(struct volume_group *group, const struct volume_move_options *options,
		      uint32_t *extents, struct error *error);

/* How far it is. */
struct volume_move_status {
	bool half_done;       /* there is one */
	bool running;         /* and it goes on now */
	char from[256];       /* the device that it moves from */
	uint64_t done, total; /* bytes; what is done of the present step counts */
	uint64_t rate;        /* bytes a second since the start */
	int rc;               /* what it ended with when it last ran, and why */
	char why[512];
};

/* Whether a volume is on its way to other PVs, or is the way itself: how many extents are, and of these how many are moved. */
bool volume_lv_moving(const struct volume_lv *lv, uint32_t *moved, uint32_t *all);

/* The hidden volume that is a move: in each of its segments what is in the first area moves to the second. NULL: there is none. */
const struct volume_lv *volume_move_layer(const struct volume_group *group);

void volume_move_status(const struct volume_group *group, struct volume_move_status *status);

struct volume_move_run {
	uint64_t rate; /* bytes a second at most; 0: as it was begun with */
	/* Runs fn(fn_arg) at home when nobody else reads what a change alters, and returns what it returned; NULL: at once. */
	int (*in_turn)(void *arg, int (*fn)(void *fn_arg), void *fn_arg);
	void *arg;
};

/* Starts a mover on a fiber of its own, if there is something to move and none runs. `options` may be NULL. -EROFS for a group
 * that cannot be changed, -ENOMEM. */
int volume_move_start(struct volume_group *group, const struct volume_move_run *options,
		      struct error *error);
/* Stops it; what is moved stays moved. Suspends until it has ended. */
void volume_move_stop(struct volume_group *group);

/* Called until the mover has ended. */
typedef void volume_move_report_fn(const struct volume_move_status *status, void *arg);
/* Waits for that. What it ended with; -ECANCELED where the caller was cancelled, while it goes on. */
int volume_move_wait(struct volume_group *group, volume_move_report_fn *report, void *arg,
		     uint64_t interval_ns, struct error *error);

/* Waits until the mover has ended, at most so long. */
void volume_move_pause(struct volume_group *group, uint64_t timeout_ns);

/* Undoes it: what is moved stays where it is, the rest is where it was. -ENOENT where there is none, -EBUSY while a mover
 * runs. */
int volume_move_abort(struct volume_group *group, struct error *error);

#endif
