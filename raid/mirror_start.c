/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes of mirrors without a fiber, as long as nothing has to wait and nothing fails.
 *
 *	idle --mirror_start()--> legs on their way --the last one ends--> all went well: ended
 *							      `--> a fiber of its own, then ended
 *
 * What has to wait before it begins is refused: a range that is locked, bits that are not on the disks yet, superblocks
 * that are wanted, an array that is not dirty, a span that is not whole. What comes up later, a leg that failed or has to be
 * done by a call, or superblocks that are wanted meanwhile, is seen to by a fiber, with the bracket still open: nobody
 * can come between.
 *
 * Why no crash loses data: a write begins and ends by the same bracket as in mirror_write(), which tells what that holds.
 */
#include <errno.h>
#include <stdlib.h>

#include "block/start.h"
#include "raid/legs.h"
#include "raid/mirror.h"
#include "util/bytes.h"

/* Kept for later: as many as are mostly on their way. */
#define IDLE_MOST 256u

struct mirror_transfer {
	struct list node; /* in array->idle_transfers */
	struct raid_array *array;
	struct block_work *work;
	struct mirror_span span;
	struct raid_bracket bracket; /* of a write */
	struct raid_legs legs;
	unsigned pending;
	struct mirror_copy copy; /* of a read, which has the first of the requests */
	int rc;
	struct mirror_leg {
		struct mirror_transfer *transfer;
		struct block_request request;
	} requests[RAID_LEGS_FEW];
};

/* ---- Memory ---- */

static struct mirror_transfer *transfer_get(const struct mirror_span *span, struct block_work *work)
{
	struct raid_array *array = span->array;
	struct list *idle = list_pop(&array->idle_transfers);
	struct mirror_transfer *transfer =
		idle ? list_entry(idle, struct mirror_transfer, node) : malloc(sizeof(*transfer));

	if (!transfer)
		return NULL;
	array->idle_count -= idle != NULL;
	transfer->array = array;
	transfer->work = work;
	transfer->span = *span;
	return transfer;
}

static void transfer_put(struct mirror_transfer *transfer)
{
	struct raid_array *array = transfer->array;

	if (array->idle_count == IDLE_MOST) {
		free(transfer);
		return;
	}
	array->idle_count++;
	list_add_head(&array->idle_transfers, &transfer->node);
}

void mirror_free_transfers(struct raid_array *array)
{
	struct list *idle;

	while ((idle = list_pop(&array->idle_transfers)))
		free(list_entry(idle, struct mirror_transfer, node));
}

/* ---- Ends ---- */

static void transfer_end(struct mirror_transfer *transfer, int rc)
{
	struct raid_array *array = transfer->array;
	struct block_work *work = transfer->work;

	transfer_put(transfer);
	if (work->kind == BLOCK_WRITE)
		raid_write_end(array, rc);
	else
		raid_request_end(array);
	work->done(work, rc);
}

static void write_end(struct mirror_transfer *transfer)
{
	int rc = mirror_judge(&transfer->span, &transfer->legs, 0, transfer->legs.count);

	raid_legs_end(&transfer->legs);
	transfer_end(transfer, raid_bracket_end(&transfer->bracket, rc));
}

static int write_end_slowly(void *arg)
{
	struct mirror_transfer *transfer = arg;

	for (unsigned i = 0; i < transfer->legs.count; i++)
		if (transfer->legs.ios[i].result == -EAGAIN)
			block_run_all(&transfer->legs.ios[i], 1);
	write_end(transfer);
	return 0;
}

/* All have the data, one of them is in sync, and nothing is to be told to anybody: then write_end() does not suspend. */
static bool all_is_well(const struct mirror_transfer *transfer)
{
	const struct raid_legs *legs = &transfer->legs;
	bool in_sync = false;

	for (unsigned i = 0; i < legs->count; i++) {
		if (legs->ios[i].result || legs->members[i]->bad.count)
			return false;
		in_sync = in_sync || legs->members[i]->state == RAID_MEMBER_IN_SYNC;
	}
	return in_sync && raid_bracket_can_end(&transfer->bracket);
}

static void write_ended(struct mirror_transfer *transfer)
{
	if (all_is_well(transfer))
		write_end(transfer);
	else
		fiber_start(write_end_slowly, transfer);
}

static void read_is_over(struct mirror_transfer *transfer)
{
	transfer->copy.member->reads--;
	raid_member_release(transfer->copy.member);
}

static int read_end_slowly(void *arg)
{
	struct mirror_transfer *transfer = arg;
	const struct block_request *request = &transfer->requests[0].request;

	if (transfer->rc == -EAGAIN)
		transfer->rc =
			block_readv(request->block, request->offset, request->iov, request->count);
	read_is_over(transfer);
	if (transfer->rc)
		transfer->rc = mirror_read_again(&transfer->span, (int)transfer->copy.index,
						 request->iov, request->count);
	transfer_end(transfer, transfer->rc);
	return 0;
}

static void read_done(struct block_request *request, int rc)
{
	struct mirror_transfer *transfer =
		container_of(request, struct mirror_leg, request)->transfer;

	if (rc) {
		transfer->rc = rc;
		fiber_start(read_end_slowly, transfer);
		return;
	}
	read_is_over(transfer);
	transfer_end(transfer, 0);
}

static void leg_passed(struct mirror_transfer *transfer)
{
	if (!--transfer->pending)
		write_ended(transfer);
}

static void leg_done(struct block_request *request, int rc)
{
	struct mirror_leg *leg = container_of(request, struct mirror_leg, request);
	struct mirror_transfer *transfer = leg->transfer;

	transfer->legs.ios[leg - transfer->requests].result = rc;
	leg_passed(transfer);
}

/* ---- Beginnings ---- */

static void add_leg(struct mirror_transfer *transfer, struct raid_member *member, uint64_t offset)
{
	const struct block_work *work = transfer->work;

	raid_legs_add(&transfer->legs, member,
		      &(struct block_io){ .kind = work->kind,
					  .flags = work->flags,
					  .offset = offset,
					  .length = work->length,
					  .iov = work->iov,
					  .count = work->count });
}

static bool leg_start(struct mirror_transfer *transfer, unsigned index)
{
	const struct block_io *io = &transfer->legs.ios[index];
	struct mirror_leg *leg = &transfer->requests[index];

	leg->transfer = transfer;
	leg->request.block = io->block;
	leg->request.kind = io->kind;
	leg->request.flags = io->flags;
	leg->request.offset = io->offset;
	leg->request.length = io->length;
	leg->request.iov = io->iov;
	leg->request.count = io->count;
	leg->request.done = leg_done;
	return block_start(&leg->request);
}

/* False if the first could not be started: then none was. Others that cannot be are done by the fiber. */
static bool legs_start(struct mirror_transfer *transfer)
{
	unsigned count = transfer->legs.count;

	/* One more, so that it does not end before all are on their way. */
	transfer->pending = count + 1;
	if (!leg_start(transfer, 0))
		return false;
	for (unsigned i = 1; i < count; i++) {
		if (leg_start(transfer, i))
			continue;
		transfer->legs.ios[i].result = -EAGAIN;
		transfer->pending--;
	}
	leg_passed(transfer);
	return true;
}

static bool read_start(struct mirror_transfer *transfer)
{
	const struct block_work *work = transfer->work;
	struct mirror_copy *copy = &transfer->copy;
	struct block_request *request = &transfer->requests[0].request;

	transfer->requests[0].transfer = transfer;
	request->block = copy->member->block;
	request->kind = BLOCK_READ;
	request->flags = 0;
	request->offset = mirror_data_start(copy->member) + copy->offset;
	request->length = work->length;
	request->iov = work->iov;
	request->count = work->count;
	request->done = read_done;
	raid_member_hold(copy->member);
	copy->member->reads++;
	copy->member->next_read = copy->offset + work->length;
	if (block_start(request))
		return true;
	read_is_over(transfer);
	return false;
}

static bool start_read(const struct mirror_span *span, struct block_work *work)
{
	uint64_t part = span->length;
	struct mirror_copy copy = mirror_choose(span, &part, NULL);
	struct mirror_transfer *transfer;

	if (!copy.member || part < span->length)
		return false;
	transfer = transfer_get(span, work);
	if (!transfer)
		return false;
	transfer->copy = copy;
	raid_request_begin(span->array);
	if (read_start(transfer)) {
		span->array->counters.degraded_reads += raid_array_degraded(span->array);
		return true;
	}
	transfer_put(transfer);
	raid_request_end(span->array);
	return false;
}

static bool add_write_legs(struct mirror_transfer *transfer)
{
	const struct mirror_span *span = &transfer->span;

	for (unsigned i = 0; i < span->copies; i++) {
		struct mirror_copy copy = mirror_copy(span, i);

		if (copy.member)
			add_leg(transfer, copy.member, copy.offset);
		if (copy.replacement)
			add_leg(transfer, copy.replacement, copy.offset);
	}
	return transfer->legs.count;
}

static bool start_write(const struct mirror_span *span, struct block_work *work)
{
	const struct raid_span sectors = { span->offset >> MD_SECTOR_SHIFT,
					   span->length >> MD_SECTOR_SHIFT };
	struct raid_array *array = span->array;
	struct mirror_transfer *transfer;

	if (!array->dirty || span->copies * (array->replacements ? 2 : 1) > RAID_LEGS_FEW)
		return false;
	transfer = transfer_get(span, work);
	if (!transfer)
		return false;
	if (!raid_bracket_try_begin(array, &transfer->bracket, sectors, sectors)) {
		transfer_put(transfer);
		return false;
	}
	raid_write_begin(array);
	raid_legs_begin(&transfer->legs, RAID_LEGS_FEW);
	if (add_write_legs(transfer) && legs_start(transfer)) {
		array->counters.degraded_writes += raid_array_degraded(array);
		return true;
	}
	raid_legs_end(&transfer->legs);
	raid_bracket_drop(&transfer->bracket);
	transfer_put(transfer);
	raid_write_end(array, 0);
	return false;
}

bool mirror_start(struct raid_array *array, struct block_work *work)
{
	struct mirror_span span = mirror_span(array, work->offset, work->length);

	if (span.length < work->length)
		return false;
	return work->kind == BLOCK_WRITE ? start_write(&span, work) : start_read(&span, work);
}
