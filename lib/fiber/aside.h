/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls that may never come back: open(2), stat(2) or read(2) of a device, or of a file on a file system, that
 * does not answer any more. The kernel may hold a thread in such a call for ever, deaf to signals; and a
 * process ends only when all of its threads do. So they are made in a process of their own, side by side, one
 * thread each, with a limit of time. What has not answered by then is left behind together with the process,
 * which holds nothing of ours: no lock, no descriptor, no terminal.
 *
 * The limit is of the time in which none of its threads would run: on a crowded machine a process may have no processor for seconds, which
 * says nothing of a device. In all it is waited for ten times as long at most.
 */
#ifndef TENON_FIBER_ASIDE_H
#define TENON_FIBER_ASIDE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Answers for `index` with bytes that it allocates (or NULL), and a result. It runs in a copy of the process: what it
 * changes is seen by nobody, and it must not use the worker. */
typedef int aside_fn(void *arg, unsigned index, void **data, size_t *size);

struct aside_answer {
	bool silent; /* it did not answer within the limit */
	int rc;      /* what the function returned; -ETIMEDOUT of a silent one */
	void *data;
	size_t size;
};

/*
 * Runs fn(arg, 0 ... count - 1, ...) and fills in `answers`, to be freed by aside_free(). Where no process can be had (too
 * many, no descriptors left), they run here, one after another and without limit. On a fiber it suspends,
 * elsewhere it blocks. 0, -ENOMEM, or -ECANCELED where the fiber is told to end: then nothing is known, and nothing to be freed.
 */
int aside_run(aside_fn *fn, void *arg, unsigned count, uint64_t limit_ns,
	      struct aside_answer *answers);
void aside_free(struct aside_answer *answers, unsigned count);

/* `left` becomes true when nobody waits any more: then it changes nothing, as far as it can. */
typedef int aside_shared_fn(void *arg, const atomic_bool *left);

/*
 * One call, in a process that has none of our descriptors, but our memory: nothing is copied and nothing closed for it, which in a large
 * server costs milliseconds. It must not use the worker, and is not ended where it hangs, as it may hold a lock of
 * malloc(): it is left alone, and ends with us. Where no process can be had it runs on a thread.
 *
 * What it returned, or -ENOMEM. With *left -ETIMEDOUT, or -ECANCELED where the fiber is told to end: then `arg` is not the caller's any more, and
 * end(arg) is called when it comes back, if it ever does.
 */
int aside_run_shared(aside_shared_fn *fn, void *arg, void (*end)(void *arg), uint64_t limit_ns,
		     bool *left);

#endif
