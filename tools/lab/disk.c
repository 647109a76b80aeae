/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Simulated disks; see disk.h.
 *
 * `pending` is the volatile cache: writes in the order in which they were issued. A read takes the store and lays those over it
 * that are complete. A flush writes down what was complete when it began; where the cache is full, the oldest go down
 * first. Only the store is there after a power loss, and what lab_disk_settle() keeps of the list.
 */
#include "tools/lab/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/iov.h"
#include "block/layer.h"
#include "fiber/fiber.h"
#include "tools/lab/store.h"
#include "tools/lab/trace.h"
#include "util/bytes.h"

#define SECTOR     512u
#define REFUSAL_NS 1000000ull /* how soon a disk that is not there says so */

struct lab_pending {
	struct list node;
	uint64_t number, offset, length;
	bool complete, durable;
	char *data; /* NULL: zeroes */
};

struct lab_disk *lab_disk_of(struct block *block)
{
	return container_of(block, struct lab_disk, block);
}

/* ---- The cache ---- */

static void change_store(struct lab_disk *disk, uint64_t offset, const char *data, uint64_t length)
{
	if (data)
		lab_store_write(disk->store, offset, data, length);
	else
		lab_store_zero(disk->store, offset, length);
}

static void pending_free(struct lab_disk *disk, struct lab_pending *pending)
{
	disk->pending_bytes -= pending->length;
	list_remove(&pending->node);
	free(pending->data);
	free(pending);
}

static void trace_durable(struct lab_disk *disk, uint64_t number)
{
	if (disk->rack->trace)
		lab_trace_add(disk->rack->trace,
			      &(struct lab_trace_event){ .kind = LAB_TRACE_DURABLE,
							 .disk = disk->index,
							 .number = number });
}

/* Writes down what is complete, from the oldest on: what was issued up to `number`, or until the cache has room. One that is
 * on its way holds up those behind it that it overlaps with: none does. */
static void write_down(struct lab_disk *disk, uint64_t number, uint64_t room)
{
	list_for_each_safe(at, &disk->pending) {
		struct lab_pending *pending = list_entry(at, struct lab_pending, node);

		if (pending->number > number || (room && disk->pending_bytes <= room))
			break;
		if (!pending->complete)
			continue;
		change_store(disk, pending->offset, pending->data, pending->length);
		if (!pending->durable)
			trace_durable(disk, pending->number);
		pending_free(disk, pending);
	}
}

static struct lab_pending *issue(struct lab_disk *disk, uint64_t offset, uint64_t length,
				 char *data)
{
	struct lab_pending *pending = calloc(1, sizeof(*pending));

	if (!pending)
		abort();
	*pending = (struct lab_pending){
		.number = disk->rack->writes, .offset = offset, .length = length, .data = data
	};
	list_add_tail(&disk->pending, &pending->node);
	disk->pending_bytes += length;
	if (disk->rack->trace)
		lab_trace_add(disk->rack->trace,
			      &(struct lab_trace_event){ .kind = LAB_TRACE_WRITE,
							 .disk = disk->index,
							 .number = pending->number,
							 .offset = offset,
							 .length = length,
							 .data = data });
	return pending;
}

bool lab_disk_has_hole(const struct lab_disk *disk, uint64_t offset, uint64_t length)
{
	for (uint64_t end = offset + length, step; offset < end; offset += step) {
		bool cached = false;

		step = MIN(end - offset, LAB_PAGE - offset % LAB_PAGE);
		list_for_each(at, (struct list *)&disk->pending) {
			const struct lab_pending *one = list_entry(at, struct lab_pending, node);

			cached = cached || (one->offset < offset + step &&
					    offset < one->offset + one->length);
		}
		if (!cached && lab_store_is_hole(disk->store, offset, step))
			return true;
	}
	return false;
}

static void lay_over(const struct lab_pending *pending, uint64_t offset, uint64_t length,
		     struct iov_range at)
{
	uint64_t start = MAX(offset, pending->offset);
	uint64_t end = MIN(offset + length, pending->offset + pending->length);

	if (start >= end || !pending->complete)
		return;
	iov_advance(&at, start - offset);
	if (pending->data)
		iov_copy_in(&at, pending->data + (start - pending->offset), end - start);
	else
		iov_fill(&at, 0, end - start);
}

/* ---- Time ---- */

/* Waits for `ns` of which the request is served, and while the disk hangs. -EIO: the power went. */
static int take_time(struct lab_disk *disk, uint64_t until)
{
	uint64_t generation = disk->rack->generation, now;

	disk->rack->in_flight++;
	while (lab_disk_hangs(disk) && disk->rack->generation == generation)
		fiber_queue_wait(&disk->hung, 100000000);
	now = worker_now();
	if (until > now && disk->rack->generation == generation)
		fiber_sleep(until - now);
	disk->rack->in_flight--;
	return disk->rack->generation == generation ? 0 : -EIO;
}

static bool takes_time(const struct lab_disk *disk)
{
	return !disk->instant || lab_disk_is_late(disk);
}

static int serve_flush(struct lab_disk *disk, const struct lab_judgement *judgement)
{
	uint64_t now = worker_now(), until = lab_disk_serve_flush(&disk->time, now);

	return take_time(disk, now + (until - now) * judgement->slow / 100 + judgement->latency_ns);
}

/* When it is done, by what the disk is and what is wrong with it; it may fail by chance. */
static int serve(struct lab_disk *disk, bool write, uint64_t offset, uint64_t length,
		 struct lab_judgement *judgement)
{
	struct lab_disk_time *disk_time = &disk->time;
	const struct lab_disk_model *model = &disk_time->model;
	uint64_t now = worker_now();
	uint64_t until = lab_disk_serve(disk_time, now, write, offset, length, judgement->slow);

	if (!judgement->slow)
		until = now;
	if (model->link_errors && random_below(&disk_time->random, 1000000) < model->link_errors) {
		until += model->retry_ns;
		if (random_below(&disk_time->random, 10) == 0 && !judgement->rc)
			*judgement = (struct lab_judgement){ .rc = -EIO };
	}
	if (!write && model->read_errors &&
	    (double)random_below(&disk_time->random, 1ull << 53) / (double)(1ull << 53) <
		    (double)length * 8 * (double)model->read_errors / 1e15) {
		uint64_t sector =
			offset / SECTOR + random_below(&disk_time->random, length / SECTOR);

		lab_disk_arm(disk, &(struct lab_rule){ .fault = LAB_FAULT_LATENT,
						       .offset = sector * SECTOR,
						       .length = SECTOR });
		judgement->rc = -EIO;
	}
	return take_time(disk, until + judgement->latency_ns);
}

/* What is done before each request. */
static int begin(struct lab_disk *disk, enum lab_touch touch, uint64_t offset, uint64_t length)
{
	struct lab_rack *rack = disk->rack;
	uint64_t generation = rack->generation;

	if (rack->look)
		rack->look(rack->look_arg, disk, touch, offset, length);
	return rack->off || disk->gone || rack->generation != generation ? -EIO : 0;
}

/* ---- Requests ---- */

static void read_store(struct lab_disk *disk, uint64_t offset, uint64_t length, struct iov_range at)
{
	uint64_t left = length, from = offset;

	while (left) {
		uint64_t step = MIN(left, at.iov->iov_len - at.skip);

		lab_store_read(disk->store, from, (char *)at.iov->iov_base + at.skip, step);
		iov_advance(&at, step);
		from += step;
		left -= step;
	}
}

static int disk_readv(struct block *block, uint64_t offset, uint64_t length,
		      const struct iovec *iov, unsigned count)
{
	struct lab_disk *disk = lab_disk_of(block);
	struct lab_judgement judgement;
	int rc = begin(disk, LAB_TOUCH_READ, offset, length);

	if (rc)
		return rc;
	disk->reads++;
	disk->read_bytes += length;
	judgement = lab_disk_judge(disk, LAB_TOUCH_READ, offset, length);
	if (takes_time(disk))
		rc = serve(disk, false, offset, length, &judgement);
	if (rc || judgement.rc) {
		disk->errors++;
		return rc ? rc : judgement.rc;
	}
	read_store(disk, offset, length, iov_range_of(iov, count));
	list_for_each(at, &disk->pending)
		lay_over(list_entry(at, struct lab_pending, node), offset, length,
			 iov_range_of(iov, count));
	if (judgement.rot)
		lab_disk_rot_bit(disk, iov[0].iov_base, iov[0].iov_len);
	return 0;
}

static char *copy_of(const struct iovec *iov, unsigned count, uint64_t length)
{
	struct iov_range from = iov_range_of(iov, count);
	char *copy = malloc(length);

	if (!copy)
		abort();
	iov_copy_out(&from, copy, length);
	return copy;
}

/* Without a cache, time or faults: straight to the store. */
static int write_at_once(struct lab_disk *disk, uint64_t offset, uint64_t length,
			 const struct iovec *iov, unsigned count)
{
	for (unsigned i = 0; i < count; offset += iov[i].iov_len, i++)
		lab_store_write(disk->store, offset, iov[i].iov_base, iov[i].iov_len);
	if (!iov)
		lab_store_zero(disk->store, offset, length);
	return 0;
}

static void complete(struct lab_disk *disk, struct lab_pending *pending, unsigned flags)
{
	pending->complete = true;
	if (flags & BLOCK_FUA) {
		pending->durable = true;
		trace_durable(disk, pending->number);
	}
	write_down(disk, disk->cached ? UINT64_MAX : pending->number,
		   disk->cached ? disk->time.model.cache : 0);
}

/* `data` is its own from here on. */
static int write_copy(struct lab_disk *disk, uint64_t offset, uint64_t length, char *data,
		      unsigned flags)
{
	uint64_t generation = disk->rack->generation, to;
	struct lab_pending *pending = NULL;
	struct lab_judgement judgement;
	int rc;

	/* The power may go with this write: it is issued then, and not done. */
	rc = begin(disk, LAB_TOUCH_WRITE, offset, length);
	judgement = lab_disk_judge(disk, LAB_TOUCH_WRITE, offset, length);
	to = offset + (uint64_t)judgement.shift;
	if (judgement.rot && data)
		lab_disk_rot_bit(disk, data, length);
	if (judgement.length && range_within(to, judgement.length, disk->block.size))
		pending = issue(disk, to, judgement.length, data);
	else
		free(data);
	if (rc)
		return rc;
	rc = takes_time(disk) ? serve(disk, true, offset, length, &judgement) : 0;
	if (disk->rack->generation != generation)
		return -EIO;
	if (judgement.rc || rc)
		disk->errors++;
	if (pending && judgement.rc == -EIO && !judgement.length)
		pending_free(disk, pending);
	else if (pending)
		complete(disk, pending, flags);
	return rc ? rc : judgement.rc;
}

static int disk_writev(struct block *block, uint64_t offset, uint64_t length,
		       const struct iovec *iov, unsigned count, unsigned flags)
{
	struct lab_disk *disk = lab_disk_of(block);

	if (disk->rack->off || disk->gone)
		return -EIO;
	disk->rack->writes++;
	disk->writes++;
	disk->written_bytes += length;
	if (disk->instant && !disk->cached && !disk->rack->look && list_empty(&disk->rules))
		return write_at_once(disk, offset, length, iov, count);
	return write_copy(disk, offset, length, iov ? copy_of(iov, count, length) : NULL, flags);
}

static int disk_write_zeroes(struct block *block, uint64_t offset, uint64_t length, unsigned flags)
{
	return disk_writev(block, offset, length, NULL, 0, flags);
}

static int disk_flush(struct block *block)
{
	struct lab_disk *disk = lab_disk_of(block);
	uint64_t number = disk->rack->writes;
	struct lab_judgement judgement;
	int rc;

	if (disk->rack->off || disk->gone)
		return -EIO;
	disk->rack->flushes++;
	disk->flushes++;
	rc = begin(disk, LAB_TOUCH_FLUSH, 0, 0);
	if (rc)
		return rc;
	judgement = lab_disk_judge(disk, LAB_TOUCH_FLUSH, 0, 0);
	if (takes_time(disk))
		rc = serve_flush(disk, &judgement);
	if (!rc && !judgement.rc && !judgement.no_flush)
		write_down(disk, number, 0);
	return rc ? rc : judgement.rc;
}

static int disk_status(struct block *block, uint64_t offset, uint64_t *length,
		       enum block_status *status)
{
	struct lab_disk *disk = lab_disk_of(block);
	uint64_t page = offset >> LAB_PAGE_SHIFT;
	uint64_t pages = ((offset + *length - 1) >> LAB_PAGE_SHIFT) + 1 - page;
	uint64_t hole = lab_store_hole_length(disk->store, page, pages);

	*status = hole && list_empty(&disk->pending) ? BLOCK_STATUS_ZERO : BLOCK_STATUS_DATA;
	if (*status == BLOCK_STATUS_ZERO)
		*length = MIN(*length, ((page + hole) << LAB_PAGE_SHIFT) - offset);
	else
		*length = MIN(*length, LAB_PAGE - offset % LAB_PAGE);
	return 0;
}

static void disk_close(struct block *block)
{
	struct lab_disk *disk = lab_disk_of(block);

	list_for_each_safe(at, &disk->pending)
		pending_free(disk, list_entry(at, struct lab_pending, node));
	lab_disk_disarm_all(disk);
	lab_store_free(disk->store);
	free(disk);
}

static bool disk_start(struct block *block, struct block_work *work)
{
	return takes_time(lab_disk_of(block)) ? block_start_on_fiber(block, work)
					      : block_start_at_once(block, work);
}

static const struct block_ops ops = {
	.type = "simulated",
	.start = disk_start,
	.readv = disk_readv,
	.writev = disk_writev,
	.write_zeroes = disk_write_zeroes,
	.status = disk_status,
	.flush = disk_flush,
	.close = disk_close,
};

struct lab_disk *lab_disk_create(struct lab_rack *rack, unsigned index, const char *name,
				 struct lab_store *store, const struct lab_disk_model *model,
				 uint64_t seed)
{
	struct lab_disk *disk = calloc(1, sizeof(*disk));

	if (!disk)
		abort();
	block_init(&disk->block, &ops, name);
	disk->block.size = model->size;
	disk->rack = rack;
	disk->store = store;
	disk->index = index;
	disk->time.model = *model;
	disk->time.random.state = seed;
	disk->instant =
		model->kind == LAB_MODEL_INSTANT && !model->read_errors && !model->link_errors;
	list_init(&disk->rules);
	list_init(&disk->pending);
	fiber_queue_init(&disk->hung);
	return disk;
}

void lab_disk_rot(struct lab_disk *disk, uint64_t offset, uint64_t length, uint64_t bits)
{
	char sector[SECTOR];

	while (bits--) {
		uint64_t at = offset + random_below(&disk->time.random, length) / SECTOR * SECTOR;

		lab_store_read(disk->store, at, sector, SECTOR);
		lab_disk_rot_bit(disk, sector, SECTOR);
		lab_store_write(disk->store, at, sector, SECTOR);
		/* What is in the cache is read from there. */
		list_for_each(node, &disk->pending) {
			struct lab_pending *pending = list_entry(node, struct lab_pending, node);

			if (pending->data &&
			    range_within(at - pending->offset, SECTOR, pending->length))
				lab_disk_rot_bit(disk, pending->data + (at - pending->offset),
						 SECTOR);
		}
	}
}

/* ---- Power ---- */

void lab_rack_cut(struct lab_rack *rack)
{
	rack->off = true;
	rack->generation++;
}

void lab_rack_power_on(struct lab_rack *rack)
{
	rack->off = false;
}

static void settle_by_chance(struct lab_disk *disk, const struct lab_pending *pending)
{
	uint64_t kind = random_below(&disk->rack->random, 3);

	if (kind == 0)
		change_store(disk, pending->offset, pending->data, pending->length);
	for (uint64_t at = 0; kind == 1 && at < pending->length; at += SECTOR)
		if (random_below(&disk->rack->random, 2))
			change_store(disk, pending->offset + at,
				     pending->data ? pending->data + at : NULL, SECTOR);
}

void lab_disk_settle(struct lab_disk *disk, bool (*keep)(void *arg, uint64_t number), void *arg)
{
	list_for_each_safe(at, &disk->pending) {
		struct lab_pending *pending = list_entry(at, struct lab_pending, node);

		if (pending->durable || (keep && keep(arg, pending->number)))
			change_store(disk, pending->offset, pending->data, pending->length);
		else if (!keep)
			settle_by_chance(disk, pending);
		pending_free(disk, pending);
	}
}
