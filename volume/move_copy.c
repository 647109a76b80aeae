/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The copying of a step (move.h), by several fibers. Who gave no rate wants it done soon, but no guest to wait behind a queue of ours for each
 * of its requests: while requests come to what moves, the first copier goes on alone, in small pieces, each after the requests that are there
 * but no later than after GUESTS_NS; that is 40 MiB a second at least where the disks do.
 */
#include <errno.h>
#include <stdlib.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/active.h"
#include "volume/move.h"

#define PIECE        (1u << 20)
#define PIECE_BESIDE (1u << 18)
#define COPIERS      4u

#define LOOK_NS   1000000ull     /* how often it is looked for requests of guests */
#define QUIET_NS  (20 * LOOK_NS) /* without one: nobody is waiting */
#define GUESTS_NS 6250000ull     /* a piece each: 40 MiB a second */

struct copying {
	struct lvm_mover *mover;
	const struct volume_lv *move;
	struct block *block;
	struct copier {
		struct copying *copying;
		struct fiber *fiber;
	} copiers[COPIERS];
	uint64_t next;    /* of the step, to be copied */
	uint64_t seen_ns; /* when there was a request of a guest; 0: not yet */
	int rc;
	bool stop;
};

static bool has_guests(struct copying *copying)
{
	if (lvm_active_has_requests(copying->move))
		copying->seen_ns = worker_now();
	return copying->seen_ns && worker_now() - copying->seen_ns < QUIET_NS;
}

static bool is_over(const struct copying *copying)
{
	return copying->rc || copying->stop || copying->next >= copying->block->size;
}

static void hold_back(const struct lvm_mover *mover)
{
	uint64_t due, spent = worker_now() - mover->since_ns;

	due = (uint64_t)((__uint128_t)mover->copied * 1000000000 / mover->options.rate);
	if (due > spent)
		fiber_sleep(due - spent);
}

/* How much the copier may copy now. */
static uint64_t let_guests_go_first(struct copying *copying, bool first)
{
	uint64_t since = worker_now();

	while (!is_over(copying) && has_guests(copying)) {
		if (first &&
		    (!lvm_active_has_requests(copying->move) || worker_now() - since >= GUESTS_NS))
			return PIECE_BESIDE;
		if (fiber_sleep(LOOK_NS))
			break;
	}
	return PIECE;
}

static int copier(void *arg)
{
	const struct copier *self = arg;
	struct copying *copying = self->copying;
	struct lvm_mover *mover = copying->mover;
	CLEANUP_FREE void *buffer = NULL;

	if (posix_memalign(&buffer, 4096, PIECE))
		copying->rc = copying->rc ? copying->rc : -ENOMEM;
	while (!is_over(copying)) {
		uint64_t length = PIECE, offset;
		int rc;

		if (mover->options.rate)
			hold_back(mover);
		else
			length = let_guests_go_first(copying, self == copying->copiers);
		if (is_over(copying))
			break;
		offset = copying->next;
		length = MIN(length, copying->block->size - offset);
		copying->next += length;
		rc = lvm_move_block_copy(copying->block, offset, buffer, length);
		if (rc && !copying->rc)
			copying->rc = rc;
		mover->step_done += rc ? 0 : length;
		mover->copied += rc ? 0 : length;
	}
	return 0;
}

int lvm_move_copy_step(struct volume_group *group, const struct volume_lv *move,
		       struct error *error)
{
	struct lvm_mover *mover = group->private->mover;
	struct block *block = move->private->moving->block;
	struct copying copying = { .mover = mover, .move = move, .block = block };

	mover->step_done = 0;
	for (unsigned i = 0; i < COPIERS; i++) {
		copying.copiers[i].copying = &copying;
		copying.copiers[i].fiber = fiber_spawn(copier, &copying.copiers[i]);
	}
	while (!is_over(&copying)) {
		copying.stop = fiber_sleep(LOOK_NS) != 0;
		has_guests(&copying);
	}
	for (unsigned i = 0; i < COPIERS; i++) {
		/* Who waits for his time under a rate need not any more. */
		if (copying.stop || copying.rc)
			fiber_cancel(copying.copiers[i].fiber);
		fiber_join(copying.copiers[i].fiber);
	}
	if (copying.stop)
		return error_set(error, -ECANCELED, "volume group %s: the move was stopped",
				 group->name);
	return copying.rc ? error_set(error, copying.rc, "%s: copying: %s", block->name,
				      error_name(copying.rc))
			  : 0;
}
