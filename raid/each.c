/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The same thing on several members at once: superblocks, bitmaps, flushes.
 *
 * A member that is failed by hand, since its device does not answer, must not hold the others: who waits
 * goes on without it, and its request ends by itself, if ever. What it uses lives as long, and so does the
 * member, which it holds.
 */
#include <errno.h>
#include <stdlib.h>

#include "raid/array.h"
#include "util/bytes.h"

struct each {
	struct raid_array *array;
	int (*fn)(struct raid_member *member, void *arg);
	void *arg;
	void (*put)(void *arg);
	unsigned users; /* jobs that run, and who waits */
};

struct each_job {
	struct each *each;
	struct raid_member *member;
	int rc;
	bool done, abandoned;
};

static void each_put(struct each *each)
{
	if (--each->users)
		return;
	if (each->put)
		each->put(each->arg);
	free(each);
}

static int each_fiber(void *arg)
{
	struct each_job *job = arg;
	struct each *each = job->each;
	struct raid_array *array = each->array;

	job->rc = each->fn(job->member, each->arg);
	job->done = true;
	each_put(each);
	if (job->abandoned) {
		raid_member_release(job->member);
		free(job);
	} else {
		fiber_queue_wake_all(&array->each_queue);
	}
	return 0;
}

/* Waits for it, but not for a member that was failed meanwhile. Returns what it came to. */
static int each_end(struct each_job *job, bool *abandoned)
{
	struct raid_member *member = job->member;
	int rc;

	while (!job->done && member->state != RAID_MEMBER_FAULTY)
		fiber_queue_wait_always(&member->array->each_queue);
	*abandoned = job->abandoned = !job->done;
	if (*abandoned)
		return 0;
	rc = job->rc;
	free(job);
	return rc;
}

int raid_members_each_with(struct raid_array *array, unsigned states,
			   int (*fn)(struct raid_member *member, void *arg), void *arg,
			   void (*put)(void *arg), const char *what)
{
	CLEANUP_FREE struct each_job **jobs = NULL;
	struct each *each = calloc(1, sizeof(*each));
	unsigned count = 0, capacity = 0;
	int result = 0;

	list_for_each(at, &array->members)
		capacity++;
	jobs = calloc(capacity + 1, sizeof(*jobs));
	if (!jobs || !each) {
		free(each);
		if (put)
			put(arg);
		return -ENOMEM;
	}
	*each = (struct each){ array, fn, arg, put, 1 };
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);
		struct each_job *job;

		if (!(states & (1u << member->state)))
			continue;
		job = calloc(1, sizeof(*job));
		if (!job) {
			result = -ENOMEM;
			break;
		}
		raid_member_hold(member);
		*job = (struct each_job){ .each = each, .member = member };
		each->users++;
		jobs[count++] = job;
		fiber_start(each_fiber, job);
	}
	for (unsigned i = 0; i < count; i++) {
		struct raid_member *member = jobs[i]->member;
		bool abandoned; /* lets go of its member by itself */
		int rc = each_end(jobs[i], &abandoned);

		if (rc &&
		    !raid_member_fail(member, "%s: %s", what, raid_member_trouble(member, rc)) &&
		    !result)
			result = rc == -ENXIO ? -EIO : rc;
		if (!abandoned)
			raid_member_release(member);
	}
	each_put(each);
	return result;
}

int raid_members_each(struct raid_array *array, unsigned states,
		      int (*fn)(struct raid_member *member, void *arg), void *arg, const char *what)
{
	return raid_members_each_with(array, states, fn, arg, NULL, what);
}

int raid_members_write_each(struct raid_array *array, int (*fn)(struct raid_member *member),
			    const char *what, struct error *error)
{
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);
		int rc;

		if (!raid_member_writable(member))
			continue;
		raid_member_hold(member);
		rc = fn(member);
		if (rc && raid_member_fail(member, "%s not written: %s", what,
					   raid_member_trouble(member, rc)))
			rc = 0;
		raid_member_release(member);
		if (rc)
			return error_set(error, rc, "%s: its %s cannot be written: %s",
					 member->block->name, what, error_name(rc));
	}
	return 0;
}

static int flush_member(struct raid_member *member, void *arg)
{
	(void)arg;
	return block_flush(member->block);
}

int raid_members_flush(struct raid_array *array)
{
	return raid_members_each(array, RAID_ACTIVE_STATES, flush_member, NULL, "flush");
}
