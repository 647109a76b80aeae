/* SPDX-License-Identifier: BSD-2-Clause */
/* The mover: takes a move to its end, step by step (move.h). */
#include "volume/move.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"
#include "volume/active.h"
#include "volume/volume_move.h"

/* ---- A step ---- */

/* The first that is not moved, or NULL. */
static const struct volume_segment *next_step(const struct volume_lv *move)
{
	for (unsigned i = 0; i < move->segment_count; i++)
		if (lvm_segment_is_move(&move->segments[i]) &&
		    !lvm_segment_is_moved(&move->segments[i]))
			return &move->segments[i];
	return NULL;
}

static bool is_last_step(const struct volume_lv *move)
{
	unsigned left = 0;

	for (unsigned i = 0; i < move->segment_count; i++)
		left += !lvm_segment_is_moved(&move->segments[i]);
	return left == 1;
}

/* LVM2's `pvmove --atomic` has all or nothing on the new PVs, and undoes it so whatever we have moved. */
static bool is_atomic(const struct volume_lv *move)
{
	return !move->segments->areas[0].pv;
}

void lvm_moving_free(struct lvm_moving *moving)
{
	if (moving)
		block_unref(moving->block);
	free(moving);
}

/* What of the step lies below, for reading and for writing, as a table that is freed by the caller. */
static int open_areas(struct volume_group *group, const struct volume_lv *move,
		      const struct volume_segment *step, struct lv_table *table,
		      struct error *error)
{
	uint64_t length = step->extent_count * group->extent_size;
	struct lvm_activation activation = { group, move, table };
	int rc = lv_table_allocate(table, 1, 2);

	if (rc)
		return change_no_memory(group, error);
	rc = lvm_active_check_writable(group, move, error);
	for (unsigned i = 0; !rc && i < 2; i++)
		rc = lv_table_add_area(&activation, &step->areas[i], length, error);
	return rc;
}

static int make_block(struct volume_group *group, const struct volume_lv *move,
		      const struct volume_segment *step, struct block **out, struct error *error)
{
	char name[2 * VOLUME_NAME_LENGTH + 2];
	struct lv_table table = { 0 };
	int rc = open_areas(group, move, step, &table, error);

	snprintf(name, sizeof(name), "%s/%s", group->name, move->name);
	if (!rc)
		rc = lvm_move_block_create(out, name, table.areas[0].lower, table.areas[0].offset,
					   table.areas[1].lower, table.areas[1].offset,
					   step->extent_count * group->extent_size, error);
	lv_table_free(&table);
	return rc;
}

/* Has the layer's table follow what `moving` says now. */
static int follow(struct volume_group *group, struct volume_lv *move, struct error *error)
{
	int rc = lvm_active_prepare(group, move, error);

	lvm_active_swap(move, !rc);
	return rc;
}

/* From now on writes go to both places. */
static int begin_step(struct volume_group *group, struct volume_lv *move, struct error *error)
{
	CHANGING(group);
	const struct volume_segment *step = next_step(move);
	struct lvm_moving *moving = move->private->moving;
	int rc;

	if (moving)
		return 0; /* a commit of it failed, of which nobody knows whether it was made */
	moving = calloc(1, sizeof(*moving));
	if (!moving)
		return change_no_memory(group, error);
	rc = make_block(group, move, step, &moving->block, error);
	if (!rc) {
		moving->start_extent = step->start_extent;
		move->private->moving = moving;
		rc = follow(group, move, error);
	}
	if (rc) {
		move->private->moving = NULL;
		block_unref(moving->block);
		free(moving);
	}
	return rc;
}

/* Back to the first place, where all is. Where a commit is unknown both are right, and stay in step. */
static void give_up_step(struct volume_group *group, struct volume_lv *move)
{
	CHANGING(group);
	struct lvm_moving *moving = move->private->moving;

	if (!moving || group->private->unsure)
		return;
	lvm_move_block_relax(moving->block);
	move->private->moving = NULL;
	if (follow(group, move, NULL)) {
		move->private->moving = moving;
		return;
	}
	lvm_moving_free(moving);
}

/* ---- Checkpoints ---- */

/* A new array of steps in which the present one is moved. */
static int mark_moved(struct change *change, struct volume_lv *move)
{
	struct volume_group *group = change->group;
	struct lvm_config *memory = &group->private->memory;
	struct volume_segment *steps =
		lvm_config_alloc(memory, move->segment_count * sizeof(*steps));
	struct volume_segment_private *private = lvm_config_alloc(memory, sizeof(*private));
	unsigned at = (unsigned)(next_step(move) - move->segments);

	if (!steps || !private || change_keep_lv(change, move))
		return -ENOMEM;
	memcpy(steps, move->segments, move->segment_count * sizeof(*steps));
	*private = *steps[at].private;
	private->moved = steps[at].extent_count;
	steps[at].private = private;
	move->segments = steps;
	return 0;
}

/* The commit after which the second place is all there is; with the last step the layer goes. */
static int commit_step(struct volume_group *group, struct volume_lv *move, struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	struct lvm_moving *moving = move->private->moving;
	bool last = is_last_step(move);
	int rc;

	rc = change_open(&change, group, error);
	if (!rc)
		rc = lvm_move_block_settle(moving->block, error);
	if (!rc && last)
		rc = lvm_move_plan_end(&change, move, true, error);
	else if (!rc && mark_moved(&change, move))
		rc = change_no_memory(group, error);
	if (!rc)
		rc = change_build(&change, error);
	if (!rc && !last)
		move->private->moving = NULL; /* kept by the change, which else takes it back */
	if (!rc)
		rc = change_write(&change, error);
	if (!rc)
		lvm_moving_free(moving);
	else if (!group->private->unsure)
		lvm_move_block_relax(moving->block);
	return rc;
}

/* Of what LVM2 left when all was moved, or when it had taken all out of the layer. */
static int end_moved(struct volume_group *group, struct volume_lv *move, struct error *error)
{
	CHANGING(group);
	CLEANUP_CHANGE struct change change;
	int rc;

	rc = change_open(&change, group, error);
	if (!rc)
		rc = lvm_move_plan_end(&change, move, false, error);
	return rc ? rc : change_commit(&change, error);
}

struct turn {
	struct volume_group *group;
	struct volume_lv *move;
	int (*commit)(struct volume_group *group, struct volume_lv *move, struct error *error);
	struct error *error;
};

/* The fiber is of whoever takes turns. */
static int take_turn(void *arg)
{
	const struct turn *turn = arg;
	const char *by = turn->group->private->mover->by;
	CLEANUP_VOLUME_COMMAND struct volume_command command = { 0 };

	if (by[0])
		volume_command_begin(&command, turn->group, by);
	return turn->commit(turn->group, turn->move, turn->error);
}

/* Others may read the group where they ask for its changes. */
static int in_turn(struct volume_group *group, struct volume_lv *move,
		   int (*commit)(struct volume_group *, struct volume_lv *, struct error *),
		   struct error *error)
{
	const struct volume_move_run *options = &group->private->mover->options;
	struct turn turn = { group, move, commit, error };

	return options->in_turn ? options->in_turn(options->arg, take_turn, &turn)
				: take_turn(&turn);
}

static int do_step(struct volume_group *group, struct volume_lv *move, struct error *error)
{
	int rc = begin_step(group, move, error);

	if (!rc)
		rc = lvm_move_copy_step(group, move, error);
	if (!rc)
		rc = in_turn(group, move, commit_step, error);
	if (rc)
		give_up_step(group, move);
	return rc;
}

static int run(struct volume_group *group, struct error *error)
{
	struct volume_lv *move;
	int rc = 0;

	while (!rc && (move = lvm_move_find(group))) {
		if (!move->supported && lvm_lv_is_move(move))
			return error_set(error, -EOPNOTSUPP,
					 "%s/%s: is a move of a form that is not known here; LVM2 "
					 "can end it: pvmove, or pvmove --abort",
					 group->name, move->name);
		if (!next_step(move))
			rc = in_turn(group, move, end_moved, error);
		else if (is_atomic(move) && move->segment_count > 1)
			return error_set(error, -EOPNOTSUPP,
					 "%s/%s: is an atomic move in several parts; LVM2 can end "
					 "it: pvmove, or pvmove --abort",
					 group->name, move->name);
		else
			rc = do_step(group, move, error);
	}
	return rc;
}

/* ---- The mover ---- */

static int mover_fiber(void *arg)
{
	struct volume_group *group = arg;
	struct lvm_mover *mover = group->private->mover;

	mover->rc = run(group, &mover->error);
	if (mover->rc && mover->rc != -ECANCELED)
		log_error(group->private->log, "%s", mover->error.text);
	mover->running = false;
	fiber_queue_wake_all(&mover->ended);
	return 0;
}

int volume_move_start(struct volume_group *group, const struct volume_move_run *options,
		      struct error *error)
{
	struct lvm_mover *mover = group->private->mover;
	const char *by = lvm_vg_asked_by(group);
	int rc = lvm_vg_check_changeable(group, error);

	if (rc || !lvm_move_find(group) || (mover && mover->running))
		return rc;
	if (!mover)
		mover = calloc(1, sizeof(*mover));
	else if (mover->fiber)
		fiber_join(mover->fiber);
	if (!mover)
		return change_no_memory(group, error);
	*mover = (struct lvm_mover){ .running = true, .since_ns = worker_now() };
	if (options)
		mover->options = *options;
	if (!mover->options.rate)
		mover->options.rate = lvm_move_rate(lvm_move_find(group));
	snprintf(mover->by, sizeof(mover->by), "%s", by ? by : "");
	fiber_queue_init(&mover->ended);
	group->private->mover = mover;
	mover->fiber = fiber_spawn(mover_fiber, group);
	return 0;
}

void volume_move_stop(struct volume_group *group)
{
	struct lvm_mover *mover = group->private->mover;

	if (!mover || !mover->fiber)
		return;
	fiber_cancel(mover->fiber);
	fiber_join(steal_pointer(&mover->fiber));
}

void volume_move_pause(struct volume_group *group, uint64_t timeout_ns)
{
	struct lvm_mover *mover = group->private->mover;

	if (mover && mover->running)
		fiber_queue_wait(&mover->ended, timeout_ns);
}

int volume_move_wait(struct volume_group *group, volume_move_report_fn *report, void *arg,
		     uint64_t interval_ns, struct error *error)
{
	const struct lvm_mover *mover = group->private->mover;
	struct volume_move_status status;
	int rc = 0;

	while (mover && mover->running && rc != -ECANCELED) {
		rc = fiber_queue_wait(&group->private->mover->ended, interval_ns);
		volume_move_status(group, &status);
		if (report)
			report(&status, arg);
	}
	if (rc == -ECANCELED)
		return error_set(error, rc, "volume group %s: the waiting was ended", group->name);
	if (mover && mover->rc && error)
		*error = mover->error;
	return mover ? mover->rc : 0;
}

/* ---- Undoing, and telling ---- */

int volume_move_abort(struct volume_group *group, struct error *error)
{
	struct volume_lv *move = lvm_move_find(group);
	int rc = 0;

	if (!move)
		return error_set(error, -ENOENT, "volume group %s: no move is half done",
				 group->name);
	if (group->private->mover && group->private->mover->running)
		return error_set(error, -EBUSY, "volume group %s: its extents are being moved",
				 group->name);
	while (!rc && (move = lvm_move_find(group))) {
		CHANGING(group);
		CLEANUP_CHANGE struct change change;
		struct lvm_moving *moving = move->private->moving;

		rc = change_open(&change, group, error);
		if (!rc)
			rc = lvm_move_plan_end(&change, move, false, error);
		if (!rc)
			rc = change_commit(&change, error);
		if (!rc)
			lvm_moving_free(moving);
	}
	return rc;
}

static const char *device_of(const struct volume_pv *pv)
{
	return pv->block ? pv->block->name : pv->device_hint ? pv->device_hint : pv->uuid;
}

/* Of [start, start + count) of the layer. */
static void count_moved(const struct volume_lv *move, uint32_t start, uint32_t count,
			uint32_t *moved, uint32_t *all)
{
	*all += count;
	for (unsigned i = 0; i < move->segment_count; i++) {
		const struct volume_segment *step = &move->segments[i];
		uint32_t from = MAX(start, step->start_extent);
		uint32_t to = MIN(start + count, step->start_extent + step->extent_count);

		if (lvm_segment_is_move(step) && lvm_segment_is_moved(step) && to > from)
			*moved += to - from;
	}
}

bool volume_lv_moving(const struct volume_lv *lv, uint32_t *moved, uint32_t *all)
{
	*moved = *all = 0;
	if (lvm_lv_is_move(lv))
		count_moved(lv, 0, lv->extent_count, moved, all);
	for (unsigned i = 0; i < lv->segment_count; i++)
		for (unsigned k = 0; k < lv->segments[i].area_count; k++) {
			const struct volume_area *area = &lv->segments[i].areas[k];

			if (area->lv && lvm_lv_is_move(area->lv))
				count_moved(area->lv, area->extent,
					    lvm_segment_area_extents(&lv->segments[i]), moved, all);
		}
	return *all;
}

const struct volume_lv *volume_move_layer(const struct volume_group *group)
{
	return lvm_move_find(group);
}

void volume_move_status(const struct volume_group *group, struct volume_move_status *status)
{
	const struct lvm_mover *mover = group->private->mover;

	*status = (struct volume_move_status){ 0 };
	for (unsigned i = 0; i < group->lv_count; i++) {
		const struct volume_lv *lv = group->lvs[i];

		if (!lvm_lv_is_move(lv))
			continue;
		status->half_done = true;
		status->total += lv->size;
		for (unsigned k = 0; k < lv->segment_count; k++) {
			const struct volume_segment *step = &lv->segments[k];

			if (!lvm_segment_is_move(step))
				continue;
			if (lvm_segment_is_moved(step))
				status->done += step->extent_count * group->extent_size;
			if (!*status->from && step->areas[0].pv)
				snprintf(status->from, sizeof(status->from), "%s",
					 device_of(step->areas[0].pv));
		}
	}
	if (!mover)
		return;
	status->running = mover->running;
	if (mover->running) {
		uint64_t ns = MAX(worker_now() - mover->since_ns, 1u);

		status->done = MIN(status->done + mover->step_done, status->total);
		status->rate = (uint64_t)((__uint128_t)mover->copied * 1000000000 / ns);
	}
	status->rc = mover->rc;
	if (mover->rc)
		snprintf(status->why, sizeof(status->why), "%.500s", mover->error.text);
}
