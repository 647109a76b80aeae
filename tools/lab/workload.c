/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests to the array: so many at a time, no two of them to the same place, each with a version that the oracle knows. While the
 * array has no power they wait; what fails is counted, and tried no more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/record.h"
#include "tools/lab/run.h"
#include "util/bytes.h"

#define SECOND_NS   1000000000ull
#define MOST_BYTES  (4u << 20)
#define FAILED_NS   1000000ull /* a user waits a little after an error */
#define LOG_SECTORS 8u         /* of a database's log entry, at most */

/* A place that somebody reads or writes. */
struct lab_busy {
	struct list node;
	uint64_t sector, count;
};

/* ---- What comes next ---- */

static void random_op(struct lab_run *run, struct lab_op *op)
{
	const struct lab_workload_plan *plan = &run->scenario->workload;
	uint64_t blocks = run->oracle.sectors / (plan->block / LAB_SECTOR);

	op->count = plan->block / LAB_SECTOR;
	op->sector = random_below(&run->random, blocks) * op->count;
	op->kind = random_below(&run->random, 100) < plan->reads ? LAB_OP_READ : LAB_OP_WRITE;
}

static void sequential_op(struct lab_run *run, struct lab_op *op, uint64_t number)
{
	const struct lab_workload_plan *plan = &run->scenario->workload;
	uint64_t count = plan->block / LAB_SECTOR, blocks = run->oracle.sectors / count;

	*op = (struct lab_op){ plan->reads >= 100 ? LAB_OP_READ : LAB_OP_WRITE,
			       number % blocks * count, count };
}

/* A transaction: its entry is appended to a log, and flushed; then pages are written where they belong. The log is an eighth. */
static void database_op(struct lab_run *run, struct lab_op *op, uint64_t number)
{
	uint64_t log = MAX(run->oracle.sectors / 8, 1), rest = run->oracle.sectors - log;

	random_op(run, op);
	if (number % 5 == 0) {
		op->kind = LAB_OP_WRITE;
		op->count = MIN(1 + random_below(&run->random, LOG_SECTORS), log);
		if (run->log_next + op->count > log)
			run->log_next = 0;
		op->sector = run->log_next;
		run->log_next += op->count;
	} else if (number % 5 == 1) {
		*op = (struct lab_op){ LAB_OP_FLUSH, 0, 0 };
	} else if (rest >= op->count) {
		op->sector = log + random_below(&run->random, rest / op->count) * op->count;
	}
}

/* False: there is no more. */
static bool next_op(struct lab_run *run, struct lab_op *op)
{
	const struct lab_workload_plan *plan = &run->scenario->workload;
	uint64_t number = run->op_next;

	if (run->ending || (run->op_count && number >= run->op_count) ||
	    (run->workload_end_ns && worker_now() >= run->workload_end_ns))
		return false;
	run->op_next++;
	if (run->ops) {
		*op = run->ops[number];
		return true;
	}
	if (plan->flush_every && number % plan->flush_every == plan->flush_every - 1)
		*op = (struct lab_op){ LAB_OP_FLUSH, 0, 0 };
	else if (plan->kind == LAB_WORKLOAD_SEQUENTIAL)
		sequential_op(run, op, number);
	else if (plan->kind == LAB_WORKLOAD_DATABASE)
		database_op(run, op, number);
	else
		random_op(run, op);
	return true;
}

/* ---- One of them ---- */

static bool overlaps_busy(const struct lab_run *run, const struct lab_op *op)
{
	list_for_each(at, (struct list *)&run->busy) {
		const struct lab_busy *busy = list_entry(at, struct lab_busy, node);

		if (op->sector < busy->sector + busy->count &&
		    busy->sector < op->sector + op->count)
			return true;
	}
	return false;
}

static void tell(struct lab_run *run, enum lab_trace_kind kind, const struct lab_op *op,
		 uint64_t number)
{
	if (run->trace)
		lab_trace_add(run->trace, &(struct lab_trace_event){ .kind = kind,
								     .flag = op->kind == LAB_OP_FUA,
								     .number = number,
								     .offset = op->sector,
								     .length = op->count });
}

static int do_write(struct lab_run *run, const struct lab_op *op, char *bytes)
{
	uint64_t offset = run->scenario->workload.offset + op->sector * LAB_SECTOR;
	uint64_t generation = run->rack.generation;
	uint32_t version = lab_oracle_issue(&run->oracle, op->sector, op->count);
	int rc;

	tell(run, LAB_TRACE_ISSUE, op, version);
	lab_oracle_fill(&run->oracle, op->sector, op->count, version, bytes);
	rc = block_write(run->block, offset, bytes, op->count * LAB_SECTOR,
			 op->kind == LAB_OP_FUA ? BLOCK_FUA : 0);
	if (rc || run->rack.generation != generation)
		return rc;
	lab_oracle_ack(&run->oracle, op->sector, op->count, version, op->kind == LAB_OP_FUA);
	tell(run, LAB_TRACE_ACK, op, version);
	run->result->work.writes++;
	return 0;
}

static int do_read(struct lab_run *run, const struct lab_op *op, char *bytes)
{
	uint64_t offset = run->scenario->workload.offset + op->sector * LAB_SECTOR;
	uint64_t generation = run->rack.generation;
	int rc = block_read(run->block, offset, bytes, op->count * LAB_SECTOR);

	if (rc || run->rack.generation != generation)
		return rc;
	run->result->work.reads++;
	for (uint64_t i = 0; i < op->count; i++) {
		struct lab_legal legal = lab_oracle_legal(&run->oracle, op->sector + i, false);
		uint32_t version =
			lab_oracle_version(&run->oracle, op->sector + i, bytes + i * LAB_SECTOR);

		if (legal.most == LAB_ANYTHING || (version >= legal.least && version <= legal.most))
			continue;
		if (!run->result->silent++)
			lab_run_note(run, false, "sector %llu was read wrongly, without an error",
				     (unsigned long long)(op->sector + i));
	}
	return 0;
}

static int do_flush(struct lab_run *run, const struct lab_op *op)
{
	uint64_t token = lab_oracle_flush(&run->oracle), generation = run->rack.generation;
	int rc;

	tell(run, LAB_TRACE_FLUSH, op, token);
	rc = block_flush(run->block);
	if (rc || run->rack.generation != generation)
		return rc;
	lab_oracle_flushed(&run->oracle, token);
	tell(run, LAB_TRACE_FLUSHED, op, token);
	run->result->work.flushes++;
	return 0;
}

static unsigned latency_step(uint64_t ns)
{
	unsigned power = 63 - (unsigned)__builtin_clzll(ns | 8);

	return MIN(power * 8 + (unsigned)(ns >> (power - 3)) % 8, LAB_LATENCIES - 1);
}

uint64_t lab_latency_at(const struct lab_work_counts *counts, double part)
{
	uint64_t sum = 0, all = 0;

	for (unsigned i = 0; i < LAB_LATENCIES; i++)
		all += counts->latencies[i];
	for (unsigned i = 0; i < LAB_LATENCIES; i++) {
		sum += counts->latencies[i];
		if (all && (double)sum >= part * (double)all)
			return (8ull + i % 8) << (i / 8 - 3);
	}
	return 0;
}

static void count_latency(struct lab_run *run, uint64_t ns)
{
	struct lab_work_counts *work = &run->result->work;

	work->latency_sum += ns;
	work->latency_most = MAX(work->latency_most, ns);
	work->latency_most_now = MAX(work->latency_most_now, ns);
	work->latencies[latency_step(ns)]++;
}

/* A guest's own measure, where there is a guest. */
static uint64_t latency_of(struct lab_run *run, const struct lab_op *op, uint64_t seen)
{
	uint64_t at = op->kind == LAB_OP_FLUSH
			      ? UINT64_MAX
			      : run->scenario->workload.offset + op->sector * LAB_SECTOR;
	uint64_t ns = run->target->latency ? run->target->latency(run, at) : 0;

	return ns ? ns : seen;
}

static void do_op(struct lab_run *run, const struct lab_op *op, char *bytes)
{
	struct lab_busy busy = { .sector = op->sector, .count = op->count };
	uint64_t began, generation = run->rack.generation;
	int rc;

	if (op->kind == LAB_OP_WAIT) {
		fiber_sleep(op->count);
		return;
	}
	while (op->kind != LAB_OP_FLUSH && overlaps_busy(run, op))
		fiber_queue_wait_always(&run->workload_queue);
	while ((!run->block || run->rack.off) && !run->ending)
		fiber_queue_wait_always(&run->workload_queue);
	if (!run->block)
		return;
	list_add_tail(&run->busy, &busy.node);
	began = worker_now();
	if (op->kind == LAB_OP_FLUSH)
		rc = do_flush(run, op);
	else if (op->kind == LAB_OP_READ)
		rc = do_read(run, op, bytes);
	else
		rc = do_write(run, op, bytes);
	list_remove(&busy.node);
	fiber_queue_wake_all(&run->workload_queue);
	if (generation != run->rack.generation)
		return;
	run->result->work.bytes += rc ? 0 : op->count * LAB_SECTOR;
	count_latency(run, latency_of(run, op, worker_now() - began));
	if (!rc)
		return;
	run->result->work.errors++;
	fiber_sleep(FAILED_NS);
}

static int worker_fiber(void *arg)
{
	struct lab_run *run = arg;
	uint64_t rate = run->scenario->workload.rate, now;
	CLEANUP_FREE char *bytes = malloc(MOST_BYTES);
	struct lab_op op;

	if (!bytes)
		abort();
	for (;;) {
		now = worker_now();
		if (rate && run->rate_next_ns > now && !run->ending) {
			uint64_t due = run->rate_next_ns;

			run->rate_next_ns += SECOND_NS / rate;
			fiber_sleep(due - now);
		} else if (rate) {
			run->rate_next_ns = now + SECOND_NS / rate;
		}
		if (!next_op(run, &op))
			break;
		do_op(run, &op, bytes);
	}
	run->workers--;
	fiber_queue_wake_all(&run->workload_queue);
	return 0;
}

/* ---- Begin and end ---- */

static void add_op(struct lab_run *run, const struct lab_op *op)
{
	if ((run->op_count & (run->op_count - 1)) == 0) {
		run->ops = realloc(run->ops, (2 * run->op_count + 16) * sizeof(*run->ops));
		if (!run->ops)
			abort();
	}
	run->ops[run->op_count++] = *op;
}

/* What a log says was written, where the region has it; the data are the oracle's. */
static void add_entry(struct lab_run *run, const struct block_log_entry *entry)
{
	uint64_t sector = entry->offset / LAB_SECTOR, left = entry->length / LAB_SECTOR, step;

	if (entry->flags & BLOCK_LOG_FLUSH)
		add_op(run, &(struct lab_op){ LAB_OP_FLUSH, 0, 0 });
	if (entry->flags & (BLOCK_LOG_DISCARD | BLOCK_LOG_MARK))
		return;
	for (; left && sector < run->oracle.sectors; sector += step, left -= step) {
		step = MIN(MIN(left, MOST_BYTES / LAB_SECTOR), run->oracle.sectors - sector);
		add_op(run,
		       &(struct lab_op){ entry->flags & BLOCK_LOG_FUA ? LAB_OP_FUA : LAB_OP_WRITE,
					 sector, step });
	}
}

static int read_log(struct lab_run *run, struct error *error)
{
	CLEANUP_BLOCK struct block *file = NULL;
	struct block_log_entry entry;
	struct block_log log;
	int rc = block_open_file(&file, run->scenario->workload.log, BLOCK_OPEN_ODD, 0, error);

	if (!rc)
		rc = block_log_open(&log, file, error);
	if (rc)
		return rc;
	while ((rc = block_log_next(&log, &entry, error)) > 0)
		add_entry(run, &entry);
	if (!rc && !run->op_count)
		return error_set(error, -EINVAL, "%s: it has no writes in the region",
				 run->scenario->workload.log);
	return rc;
}

int lab_workload_fill(struct lab_run *run, struct error *error)
{
	struct block *block = run->block;
	uint64_t piece = 128;
	CLEANUP_FREE char *bytes = malloc(piece * LAB_SECTOR);
	int rc = 0;

	for (uint64_t at = 0, count; at < run->oracle.sectors && !rc; at += count) {
		uint32_t version;

		count = MIN(piece, run->oracle.sectors - at);
		version = lab_oracle_issue(&run->oracle, at, count);
		lab_oracle_fill(&run->oracle, at, count, version, bytes);
		rc = block_write(block, run->scenario->workload.offset + at * LAB_SECTOR, bytes,
				 count * LAB_SECTOR, 0);
		lab_oracle_ack(&run->oracle, at, count, version, false);
	}
	if (!rc)
		rc = block_flush(block);
	if (rc)
		return error_set(error, rc, "filling the region: %s", error_name(rc));
	lab_oracle_flushed(&run->oracle, lab_oracle_flush(&run->oracle));
	return 0;
}

int lab_workload_begin(struct lab_run *run, struct error *error)
{
	const struct lab_workload_plan *plan = &run->scenario->workload;
	int rc = 0;

	run->op_count = plan->count;
	if (plan->kind == LAB_WORKLOAD_NONE)
		return 0;
	if (plan->kind == LAB_WORKLOAD_REPLAY) {
		run->op_count = 0;
		rc = read_log(run, error);
	}
	for (unsigned i = 0; plan->kind == LAB_WORKLOAD_SCRIPT && i < plan->ops.count; i++) {
		const struct lab_op *op = &plan->script[i];

		if (i == 0)
			run->op_count = 0;
		if (op->kind != LAB_OP_WAIT &&
		    !range_within(op->sector, op->count, run->oracle.sectors))
			return error_set(error, -EINVAL,
					 "workload: ops: the %u. reaches beyond the region of %llu "
					 "sectors",
					 i + 1, (unsigned long long)run->oracle.sectors);
		add_op(run, op);
	}
	if (rc)
		return rc;
	run->workload_end_ns = plan->time_ns ? worker_now() + plan->time_ns : 0;
	run->workers = (unsigned)plan->depth;
	for (unsigned i = 0; i < plan->depth; i++)
		fiber_start(worker_fiber, run);
	return 0;
}

void lab_workload_end(struct lab_run *run)
{
	run->ending = true;
	fiber_queue_wake_all(&run->workload_queue);
	while (run->workers)
		fiber_queue_wait_always(&run->workload_queue);
	free(run->ops);
	run->ops = NULL;
}

bool lab_workload_done(const struct lab_run *run)
{
	return !run->workers;
}
