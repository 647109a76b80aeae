/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block: views, by which several workers use one device. */
#include "unit.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "block/fault.h"
#include "block/file.h"
#include "block/view.h"
#include "block/volatile.h"
#include "crew.h"
#include "fiber/fiber.h"
#include "fiber_run.h"
#include "util/bytes.h"
#include "util/random.h"

#define MIB (1ULL << 20)

/* What a fiber of another worker does with a view of a device. */
struct job {
	struct block *block;
	int (*fn)(struct job *job, struct block *view);
	unsigned number;
	void *arg;
	atomic_bool begun, over;
};

static int job_run(void *arg)
{
	struct job *job = arg;
	struct block *view;
	int rc = block_view(&view, job->block);

	if (rc)
		return rc;
	rc = job->fn(job, view);
	block_view_put(view);
	return rc;
}

static int run_at(struct worker *worker, struct job *job)
{
	return worker_call(worker, job_run, job);
}

/* ---- Files ---- */

static int fill(struct job *job, struct block *view)
{
	uint8_t *buffer;
	int rc = 0;

	if (posix_memalign((void **)&buffer, 4096, 65536))
		return -ENOMEM;
	for (uint64_t at = 0; !rc && at < view->size; at += 65536) {
		/* Every other time from memory that direct I/O does not take. */
		uint64_t length = at % 131072 ? 65536 : 65536 - 512;

		memset(buffer, (int)(at / 65536 + job->number), 65536);
		rc = block_write(view, at, buffer + (65536 - length), length,
				 at % 3 ? 0 : BLOCK_FUA);
		if (!rc && length < 65536)
			rc = block_write(view, at + length, buffer, 512, 0);
		memset(buffer, 0, 65536);
		if (!rc)
			rc = block_read(view, at, buffer, 65536);
		for (unsigned i = 0; !rc && i < 65536; i++)
			rc = buffer[i] == (uint8_t)(at / 65536 + job->number) ? 0 : -EBADMSG;
	}
	free(buffer);
	return rc ? rc : block_flush(view);
}

static int erase(struct job *job, struct block *view)
{
	enum block_status status;
	uint64_t length = 65536;
	uint8_t buffer[4096];
	int rc = block_write_zeroes(view, 65536, 65536, BLOCK_MAY_UNMAP);

	(void)job;
	if (!rc)
		rc = block_discard(view, 131072, 65536);
	if (!rc)
		rc = block_status(view, 65536, &length, &status);
	if (!rc)
		rc = block_read(view, 65536, buffer, sizeof(buffer));
	return rc ? rc : bytes_all_zero(buffer, sizeof(buffer)) ? 0 : -EBADMSG;
}

static int read_odd(struct job *job, struct block *view)
{
	uint8_t buffer[1024] = { 0 };

	(void)job;
	return block_write(view, 0, buffer, 512, 0) != -EROFS
		       ? -EBADMSG
		       : block_read(view, view->size - 1024, buffer, sizeof(buffer));
}

static void use_file(struct crew *crew, const char *path, unsigned flags)
{
	struct job job = { .fn = fill, .number = 7 };
	CLEANUP_BLOCK struct block *file = NULL;
	uint8_t buffer[4096];

	CU_ASSERT_EQUAL_FATAL(
		block_open_file(&file, path, BLOCK_OPEN_CREATE | flags, 2 * MIB + 512, NULL), 0);
	block_unref(file);
	file = NULL;
	/* An end that direct I/O does not reach. */
	CU_ASSERT_EQUAL(truncate(path, 2 * MIB), 0);
	CU_ASSERT_EQUAL_FATAL(block_open_file(&file, path, BLOCK_OPEN_WRITE | flags, 0, NULL), 0);
	CU_ASSERT_TRUE(block_has_views(file));
	job.block = file;
	CU_ASSERT_EQUAL(run_at(crew->workers[0], &job), 0);
	for (uint64_t at = 0; at < file->size; at += sizeof(buffer)) {
		CU_ASSERT_EQUAL(block_read(file, at, buffer, sizeof(buffer)), 0);
		CU_ASSERT_EQUAL_FATAL(buffer[4095], (uint8_t)(at / 65536 + 7));
	}
	job.fn = erase;
	CU_ASSERT_EQUAL(run_at(crew->workers[1], &job), 0);
	CU_ASSERT_TRUE(list_empty(&file->views.all));
	CU_ASSERT_EQUAL(file->references, 1);
	block_unref(file);
	file = NULL;
	CU_ASSERT_EQUAL(truncate(path, 4096 + 100), 0);
	CU_ASSERT_EQUAL_FATAL(block_open_file(&file, path, BLOCK_OPEN_ODD, 0, NULL), 0);
	job.block = file;
	job.fn = read_odd;
	CU_ASSERT_EQUAL(run_at(crew->workers[0], &job), 0);
	unlink(path);
}

static int files(void *arg)
{
	char path[128], folder[] = "/dev/shm/tenon-test-XXXXXX";
	struct crew crew;

	(void)arg;
	crew_begin(&crew);
	snprintf(path, sizeof(path), "%s/image", unit_directory());
	use_file(&crew, path, 0);
	use_file(&crew, path, BLOCK_OPEN_BUFFERED);
	if (mkdtemp(folder)) {
		snprintf(path, sizeof(path), "%s/image", folder);
		use_file(&crew, path, 0);
		rmdir(folder);
	}
	crew_end(&crew);
	return 0;
}

static void test_files_are_used_by_several_workers(void)
{
	fiber_run_real(fiber_run_first_engine(), files, NULL);
	fiber_run_real(WORKER_ENGINE_AIO, files, NULL);
}

/* A flush that failed on a file that goes through the page cache fails for every worker from then on. */
static int flush_only(struct job *job, struct block *view)
{
	(void)job;
	return block_flush(view);
}

static int lost_write(void *arg)
{
	CLEANUP_BLOCK struct block *file = NULL;
	struct job job = { .fn = flush_only };
	static const uint8_t zeroes[512];
	struct crew crew;
	char path[128];

	(void)arg;
	crew_begin(&crew);
	snprintf(path, sizeof(path), "%s/image", unit_directory());
	CU_ASSERT_EQUAL_FATAL(block_open_file(&file, path, BLOCK_OPEN_CREATE | BLOCK_OPEN_BUFFERED,
					      MIB, NULL),
			      0);
	job.block = file;
	CU_ASSERT_EQUAL(run_at(crew.workers[0], &job), 0);
	if (!file_of(file)->in_memory) {
		file_of(file)->flushes.lost = true; /* as flush_ended() does */
		CU_ASSERT_EQUAL(run_at(crew.workers[0], &job), -EIO);
		CU_ASSERT_EQUAL(run_at(crew.workers[1], &job), -EIO);
		CU_ASSERT_EQUAL(block_flush(file), -EIO);
		/* A write that is to be durable is a write and a flush. */

		CU_ASSERT_EQUAL(block_write(file, 0, zeroes, sizeof(zeroes), BLOCK_FUA), -EIO);
		CU_ASSERT_EQUAL(block_write_zeroes(file, 0, 4096, BLOCK_FUA), -EIO);
	}
	crew_end(&crew);
	unlink(path);
	return 0;
}

static void test_a_lost_write_is_every_workers(void)
{
	fiber_run_real(fiber_run_first_engine(), lost_write, NULL);
}

/* ---- Coming and going ---- */

static int nest(struct job *job, struct block *view)
{
	struct block *again;

	(void)job;
	if (block_view(&again, view->view.of) || again != view)
		return -EBADMSG;
	block_view_put(again);
	return view->view.of->views.all.next == &view->view.node ? 0 : -EBADMSG;
}

static int come_and_go(void *arg)
{
	CLEANUP_BLOCK struct block *memory = NULL, *shared = NULL, *slice = NULL, *plain = NULL;
	struct job job = { .fn = nest };
	struct crew crew;

	(void)arg;
	crew_begin(&crew);
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&memory, "m", MIB, NULL), 0);
	shared = crew_share(memory);
	CU_ASSERT_EQUAL_FATAL(block_create_slice(&slice, "s", shared, 0, MIB / 2, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(block_create_slice(&plain, "p", memory, 0, MIB / 2, NULL), 0);
	job.block = slice;
	CU_ASSERT_EQUAL(run_at(crew.workers[0], &job), 0);
	CU_ASSERT_EQUAL(run_at(crew.workers[0], &job), 0);
	CU_ASSERT_EQUAL(run_at(crew.workers[1], &job), 0);
	CU_ASSERT_TRUE(list_empty(&slice->views.all));
	CU_ASSERT_EQUAL(slice->references, 1);
	job.block = plain;
	CU_ASSERT_EQUAL(run_at(crew.workers[0], &job), -EOPNOTSUPP);
	crew_end(&crew);
	return 0;
}

static void test_a_worker_has_one_view(void)
{
	fiber_run_real(fiber_run_first_engine(), come_and_go, NULL);
}

/* ---- Gates ---- */

static int write_some(struct job *job, struct block *view)
{
	uint8_t buffer[512] = { 0 };
	int rc = 0;

	for (unsigned i = 0; !rc && i < 3; i++) {
		rc = block_write(view, 0, buffer, sizeof(buffer), 0);
		job->begun = true;
		fiber_yield();
	}
	return rc;
}

struct caller {
	struct worker *worker;
	struct job *job;
};

static int call(void *arg)
{
	struct caller *caller = arg;

	return run_at(caller->worker, caller->job);
}

/* Its view comes and goes, also while the gate is being closed and opened. */
static int call_often(void *arg)
{
	struct caller *caller = arg;
	int rc = 0;

	while (!rc && !caller->job->over)
		rc = run_at(caller->worker, caller->job);
	return rc;
}

static int stop_and_go(void *arg)
{
	CLEANUP_BLOCK struct block *memory = NULL, *fault = NULL, *shared = NULL, *slice = NULL;
	struct block_fault_counts before, after;
	struct job jobs[CREW_WORKERS];
	struct caller callers[CREW_WORKERS];
	struct fiber *fibers[CREW_WORKERS];
	struct crew crew;

	(void)arg;
	crew_begin(&crew);
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&memory, "m", MIB, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(block_create_fault(&fault, "f", memory, 1, NULL), 0);
	shared = crew_share(fault);
	CU_ASSERT_EQUAL_FATAL(block_create_slice(&slice, "s", shared, 0, MIB / 2, NULL), 0);
	for (unsigned i = 0; i < CREW_WORKERS; i++) {
		jobs[i] = (struct job){ .block = slice, .fn = write_some };
		callers[i] = (struct caller){ crew.workers[i], &jobs[i] };
		fibers[i] = fiber_spawn(call_often, &callers[i]);
	}
	for (unsigned i = 0; i < 200; i++) {
		for (unsigned k = 0; k < CREW_WORKERS; k++)
			for (jobs[k].begun = false; !jobs[k].begun;)
				fiber_yield();
		block_quiesce(slice);
		if (i % 2)
			block_quiesce(slice); /* counted */
		block_fault_counts(fault, &before);
		fiber_sleep(100000);
		block_fault_counts(fault, &after);
		CU_ASSERT_EQUAL(before.writes, after.writes);
		CU_ASSERT_EQUAL(slice->gate.inside, 0);
		if (i % 2)
			block_resume(slice);
		block_set_size(slice, (i % 2 + 1) * MIB / 4);
		block_resume(slice);
	}
	for (unsigned i = 0; i < CREW_WORKERS; i++)
		jobs[i].over = true;
	for (unsigned i = 0; i < CREW_WORKERS; i++)
		CU_ASSERT_EQUAL(fiber_join(fibers[i]), 0);
	crew_end(&crew);
	return 0;
}

static void test_a_closed_gate_keeps_all_workers_out(void)
{
	fiber_run_real(fiber_run_first_engine(), stop_and_go, NULL);
}

/* ---- A power cut ---- */

#define RECORDS 64u

/*
 * Each worker writes numbers, ever larger ones, into sectors of its own. What was acknowledged to any of them before a flush
 * of any of them began must be there after it.
 */
struct ledger {
	_Atomic uint64_t acknowledged[CREW_WORKERS + 1][RECORDS],
		durable[CREW_WORKERS + 1][RECORDS];
};

static int write_records(struct job *job, struct block *view)
{
	struct random random = { .state = 5 + job->number };
	struct ledger *ledger = job->arg;
	uint64_t number = 0;
	int rc = 0;

	while (!rc) {
		unsigned record = (unsigned)random_below(&random, RECORDS);
		uint64_t seen[CREW_WORKERS + 1][RECORDS];
		uint8_t sector[512] = { 0 };

		put_le64(sector, ++number);
		rc = block_write(view, (job->number * RECORDS + record) * 512, sector,
				 sizeof(sector), 0);
		if (!rc)
			ledger->acknowledged[job->number][record] = number;
		fiber_yield();
		if (rc || random_below(&random, 8))
			continue;
		for (unsigned i = 0; i <= CREW_WORKERS; i++)
			for (unsigned k = 0; k < RECORDS; k++)
				seen[i][k] = ledger->acknowledged[i][k];
		rc = block_flush(view);
		for (unsigned i = 0; !rc && i <= CREW_WORKERS; i++)
			for (unsigned k = 0; k < RECORDS; k++) {
				uint64_t old = ledger->durable[i][k];

				while (old < seen[i][k] &&
				       !atomic_compare_exchange_weak(&ledger->durable[i][k], &old,
								     seen[i][k]))
					;
			}
	}
	return rc == -EIO ? 0 : rc; /* the power went */
}

static int write_at_home(void *arg)
{
	struct job *job = arg;

	return job->fn(job, job->block);
}

static void cut_power(struct crew *crew, struct block *memory, uint64_t after)
{
	CLEANUP_BLOCK struct block *disk = NULL, *shared = NULL, *slice = NULL;
	struct ledger *ledger = calloc(1, sizeof(*ledger));
	struct job jobs[CREW_WORKERS + 1];
	struct caller callers[CREW_WORKERS];
	struct fiber *fibers[CREW_WORKERS + 1];
	uint8_t zeroes[(CREW_WORKERS + 1) * RECORDS * 512] = { 0 }, sector[512];

	CU_ASSERT_EQUAL_FATAL(block_create_volatile(&disk, "d", memory, NULL), 0);
	shared = crew_share(disk);
	CU_ASSERT_EQUAL_FATAL(block_create_slice(&slice, "s", shared, 4096, MIB / 2, NULL), 0);
	CU_ASSERT_EQUAL(block_write(slice, 0, zeroes, sizeof(zeroes), BLOCK_FUA), 0);
	block_volatile_cut_after(disk, after, after);
	for (unsigned i = 0; i <= CREW_WORKERS; i++) {
		jobs[i] = (struct job){
			.block = slice, .fn = write_records, .number = i, .arg = ledger
		};
		if (i < CREW_WORKERS)
			callers[i] = (struct caller){ crew->workers[i], &jobs[i] };
		fibers[i] = i < CREW_WORKERS ? fiber_spawn(call, &callers[i])
					     : fiber_spawn(write_at_home, &jobs[i]);
	}
	for (unsigned i = 0; i <= CREW_WORKERS; i++)
		CU_ASSERT_EQUAL(fiber_join(fibers[i]), 0);
	CU_ASSERT_TRUE(block_volatile_is_off(disk));
	block_volatile_power_on(disk);
	for (unsigned i = 0; i <= CREW_WORKERS; i++)
		for (unsigned k = 0; k < RECORDS; k++) {
			CU_ASSERT_EQUAL(block_read(slice, (i * RECORDS + k) * 512, sector,
						   sizeof(sector)),
					0);
			CU_ASSERT_TRUE(get_le64(sector) >= ledger->durable[i][k]);
		}
	free(ledger);
}

static int cut_often(void *arg)
{
	CLEANUP_BLOCK struct block *memory = NULL;
	struct crew crew;

	(void)arg;
	crew_begin(&crew);
	CU_ASSERT_EQUAL_FATAL(block_create_memory(&memory, "m", MIB, NULL), 0);
	for (uint64_t i = 0; i < 60; i++)
		cut_power(&crew, memory, 1 + i * 11);
	crew_end(&crew);
	return 0;
}

static void test_a_flush_of_one_covers_what_others_wrote(void)
{
	fiber_run_real(fiber_run_first_engine(), cut_often, NULL);
}

UNIT_MAIN("block views", UNIT(test_files_are_used_by_several_workers),
	  UNIT(test_a_lost_write_is_every_workers), UNIT(test_a_worker_has_one_view),
	  UNIT(test_a_closed_gate_keeps_all_workers_out),
	  UNIT(test_a_flush_of_one_covers_what_others_wrote))
