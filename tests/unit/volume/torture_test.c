/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * volume/: changes of a group on disks whose writes and flushes fail, with cuts of power at any of them, by
 * processes that go on, or end and are followed by others.
 *
 * The model knows in which states the group may be. A change that is acknowledged leaves one; a change that
 * was not made leaves them as they were; an unknown one adds a state. After a cut the group must be there, in one
 * of them, unlocked, with the data that was flushed to each volume. On mirrors, one half of which may fail at a
 * time, the same. TORTURE=1 runs more seeds, TORTURE_SEED=N one, with what came of each change.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/raid.h"
#include "util/bytes.h"
#include "volume/lvm_io.h"
#include "volume/lvm_metadata_area.h"
#include "volume_fixture.h"
#include "worn_disk.h"

#define EXTENT     (64u << 10)
#define DISK_SIZE  (2u << 20)
#define HALF_SIZE  (4u << 20) /* of a mirror */
#define VOLUMES    24u
#define STATES     8u
#define CHANGES    160u /* of one seed */
#define PATTERN_AT 8192u
#define BLOCK_SIZE 4096u /* of the disks of every fourth seed; and what is written of data */

struct model_lv {
	char name[16];
	uint32_t extents;
	uint64_t pattern; /* at PATTERN_AT; 0: not known to be there */
};

struct state {
	unsigned count;
	struct model_lv lvs[VOLUMES];
};

struct torture {
	struct fixture *f;
	struct worn_power power;
	struct random random;
	uint64_t seed;
	unsigned change; /* number of the present one */
	bool mirrored;
	struct block *halves[FIXTURE_DISKS][2];
	struct raid_array *arrays[FIXTURE_DISKS];
	unsigned names;
	struct state now, next;        /* what memory says; after the present change */
	struct state possible[STATES]; /* what the disks may say */
	unsigned possible_count;
	unsigned cuts, unknown, made, refused, wraps, adopted; /* how much was tried */
	bool failed;
};

static uint64_t below(struct torture *t, uint64_t limit)
{
	return random_below(&t->random, limit);
}

static void fail(struct torture *t, const char *what, const char *more)
{
	if (!t->failed)
		printf("seed %llu, change %u: %s: %s\n", (unsigned long long)t->seed, t->change,
		       what, more ? more : "");
	t->failed = true;
	CU_FAIL("see the seed");
}

/* ---- The model ---- */

static struct model_lv *find(struct state *state, const char *name)
{
	for (unsigned i = 0; i < state->count; i++)
		if (!strcmp(state->lvs[i].name, name))
			return &state->lvs[i];
	return NULL;
}

static bool matches(struct state *state, const struct volume_group *group)
{
	if (state->count != group->lv_count)
		return false;
	for (unsigned i = 0; i < group->lv_count; i++) {
		const struct model_lv *lv = find(state, group->lvs[i]->name);

		if (!lv || lv->extents != group->lvs[i]->extent_count)
			return false;
	}
	return true;
}

static void only(struct torture *t, const struct state *state)
{
	t->possible[0] = *state;
	t->possible_count = 1;
}

static void also(struct torture *t, const struct state *state)
{
	if (t->possible_count < STATES)
		t->possible[t->possible_count++] = *state;
}

/* ---- Looking ---- */

static void check_data(struct torture *t)
{
	for (unsigned i = 0; i < t->now.count; i++) {
		const struct model_lv *lv = &t->now.lvs[i];
		CLEANUP_BLOCK struct block *block = NULL;
		uint8_t buffer[BLOCK_SIZE];

		if (!lv->pattern)
			continue;
		if (volume_open_lv(t->f->group, lv->name, false, &block, &t->f->error) ||
		    block_read(block, PATTERN_AT, buffer, sizeof(buffer)))
			fail(t, lv->name, t->f->error.text);
		else if (get_le64(buffer) != lv->pattern)
			fail(t, lv->name, "its data is not what was flushed");
	}
}

/* ---- Mirrors below ---- */

static void stop_arrays(struct torture *t)
{
	if (t->f->scan)
		volume_scan_free(steal_pointer(&t->f->scan));
	t->f->group = NULL;
	for (unsigned i = 0; i < t->f->count; i++) {
		block_unref(steal_pointer(&t->f->disks[i]));
		raid_stop(steal_pointer(&t->arrays[i]), NULL);
	}
}

/* Halves that were left out come back. */
static void add_halves(struct torture *t, unsigned number)
{
	struct raid_array *array = t->arrays[number];
	struct raid_status status;

	raid_status(array, &status);
	for (unsigned i = 0; i < status.member_count; i++)
		for (unsigned k = 0; k < 2; k++) {
			struct block *half = t->halves[number][k];

			if (status.members[i].state != RAID_MEMBER_STALE ||
			    strcmp(status.members[i].device, half->name))
				continue;
			if (raid_add(array, half, &t->f->error))
				fail(t, "a half does not come back", t->f->error.text);
		}
	raid_status_free(&status);
}

/* Without faults. Whether each half has all of the data then: else a read may come from the other one next time. */
static bool start_arrays(struct torture *t)
{
	bool waits = below(t, 3);

	for (unsigned i = 0; i < t->f->count; i++) {
		if (raid_assemble(&t->arrays[i], t->halves[i], 2, NULL, &t->f->error)) {
			fail(t, "an array is lost", t->f->error.text);
			return false;
		}
		t->f->disks[i] = block_ref(raid_array_block(t->arrays[i]));
		if (waits)
			add_halves(t, i);
		if (waits && raid_rebuild_wait(t->arrays[i], NULL, NULL, 1000000000, &t->f->error))
			fail(t, "an array does not recover", t->f->error.text);
	}
	return waits;
}

static void make_arrays(struct torture *t)
{
	for (unsigned i = 0; i < t->f->count; i++) {
		struct raid_new_member members[2] = { 0 };
		char names[2][16], name[16];
		struct raid_create_options options = { .name = name, .level = 1 };

		snprintf(name, sizeof(name), "r%u", i);
		options.bitmap = t->seed & 1 ? RAID_BITMAP_INTERNAL : RAID_BITMAP_NONE;
		for (unsigned k = 0; k < 2; k++) {
			snprintf(names[k], sizeof(names[k]), "d%u%c", i, (char)('a' + k));
			t->halves[i][k] = worn_disk_create(&t->power, names[k], HALF_SIZE);
			members[k].block = t->halves[i][k];
		}
		CU_ASSERT_EQUAL_FATAL(
			raid_create(&t->arrays[i], members, 2, &options, &t->f->error), 0);
		raid_rebuild_wait(t->arrays[i], NULL, NULL, 1000000000, NULL);
		t->f->disks[i] = block_ref(raid_array_block(t->arrays[i]));
	}
}

static void look(struct torture *t, bool certain);

/* The process ends, with the power where `cut`, and another one looks. */
static void restart(struct torture *t, bool cut)
{
	bool certain = cut;

	if (!cut)
		t->power.cut_at = 0;
	if (t->mirrored)
		stop_arrays(t);
	if (cut)
		worn_power_cycle(&t->power);
	if (cut || t->mirrored)
		worn_power_mend(&t->power);
	if (t->mirrored)
		certain = start_arrays(t) && cut;
	if (!t->failed)
		look(t, certain);
}

/* A new process looks. `certain` after a cut: what it sees is on the media. */
static void look(struct torture *t, bool certain)
{
	if (fixture_scan(t->f)) {
		fail(t, "the group is lost", t->f->error.text);
		return;
	}
	if (t->f->group->locked_reason || t->f->group->partial)
		fail(t, "the group is locked", t->f->group->locked_reason);
	for (unsigned i = 0; i < t->possible_count; i++) {
		if (!matches(&t->possible[i], t->f->group))
			continue;
		t->now = t->possible[i];
		if (certain)
			only(t, &t->now);
		check_data(t);
		return;
	}
	fail(t, "the group is in none of its possible states", t->f->group->description);
}

static void count_wrap(struct torture *t)
{
	struct lvm_location where = { .offset = 4096 };
	struct lvm_metadata_area area;

	if (!lvm_metadata_area_read(t->f->disks[0], &where, &area, NULL))
		t->wraps += area.committed.offset + area.committed.size > area.size;
}

/* ---- Changing ---- */

/* Data of a volume, flushed: then it must stay, and the volume with it. */
static void fill(struct torture *t, const char *name)
{
	struct model_lv *lv = find(&t->now, name);
	uint64_t pattern = random_next(&t->random) | 1;
	CLEANUP_BLOCK struct block *block = NULL;
	uint8_t buffer[BLOCK_SIZE] = { 0 };
	int rc = volume_open_lv(t->f->group, name, true, &block, &t->f->error);

	put_le64(buffer, pattern);
	if (rc == -EROFS && strstr(t->f->error.text, "after all"))
		return;
	if (rc) {
		if (!t->power.off)
			fail(t, name, t->f->error.text);
		return;
	}
	lv->pattern = 0;
	if (!block_write(block, PATTERN_AT, buffer, sizeof(buffer), 0) && !block_flush(block)) {
		lv->pattern = pattern;
		only(t, &t->now);
		return;
	}
	for (unsigned i = 0; i < t->possible_count; i++)
		if ((lv = find(&t->possible[i], name)))
			lv->pattern = 0;
}

static int create(struct torture *t, char *name)
{
	uint32_t extents = 1 + (uint32_t)below(t, 3);
	struct model_lv *lv = &t->next.lvs[t->next.count++];

	snprintf(name, 16, "n%u", t->names++);
	*lv = (struct model_lv){ .extents = extents };
	memcpy(lv->name, name, sizeof(lv->name));
	return fixture_lv(t->f, name, extents);
}

static int rename_or_resize(struct torture *t, struct model_lv *lv, bool renames)
{
	char old[16];

	if (!renames) {
		lv->extents = 1 + (uint32_t)below(t, 4);
		return volume_lv_resize(t->f->group, lv->name, lv->extents * EXTENT, NULL,
					&t->f->error);
	}
	memcpy(old, lv->name, sizeof(old));
	snprintf(lv->name, sizeof(lv->name), "r%u", t->names++);
	return volume_lv_rename(t->f->group, old, lv->name, &t->f->error);
}

/* A change, whose outcome is `next`; `created` is the name of a new volume, or empty. */
static int change(struct torture *t, char *created)
{
	unsigned kind = (unsigned)below(t, 5);
	unsigned at = t->now.count ? (unsigned)below(t, t->now.count) : 0;
	char name[16];

	t->next = t->now;
	if (!t->now.count || (kind < 2 && t->now.count < VOLUMES))
		return create(t, created);
	if (kind > 2)
		return rename_or_resize(t, &t->next.lvs[at], kind == 3);
	memcpy(name, t->now.lvs[at].name, sizeof(name));
	t->next.lvs[at] = t->next.lvs[--t->next.count];
	return volume_lv_remove(t->f->group, name, &t->f->error);
}

static void judge(struct torture *t, int rc, const char *created)
{
	const char *text = t->f->error.text;

	if (!rc) {
		t->now = t->next;
		only(t, &t->now);
		t->made++;
		if (*created && !t->power.off)
			fill(t, created);
	} else if (strstr(text, "unknown whether")) {
		t->unknown++;
		/* it got as far as a header, so what memory says was certain before */
		only(t, &t->now);
		also(t, &t->next);
	} else if (strstr(text, "after all")) {
		t->adopted++;
		restart(t, false);
	} else {
		t->refused++;
	}
	if (!matches(&t->now, t->f->group))
		fail(t, "memory is not what the answer says", rc ? text : "made");
}

/* Both halves have all of the data, and nothing is to fail any more. */
static void make_whole(struct torture *t)
{
	restart(t, false);
	for (unsigned i = 0; !t->failed && i < t->f->count; i++) {
		struct raid_array *array = t->arrays[i];

		add_halves(t, i);
		if (raid_rebuild_wait(array, NULL, NULL, 1000000000, &t->f->error) ||
		    raid_scrub_start(array, true, &t->f->error) ||
		    raid_rebuild_wait(array, NULL, NULL, 1000000000, &t->f->error))
			fail(t, "an array does not become whole", t->f->error.text);
	}
}

/* Of a mirror one half at a time: what comes to both is the end of it. */
static void set_faults_mirrored(struct torture *t)
{
	unsigned number = (unsigned)below(t, t->f->count);

	if (t->change % 16 == 0)
		make_whole(t);
	if (!below(t, 4))
		worn_disk_fail(t->halves[number][t->change / 16 % 2], below(t, 40),
			       1 + below(t, 3));
}

static void set_faults(struct torture *t)
{
	struct fixture *f = t->f;

	if (below(t, 2))
		worn_power_mend(&t->power);
	switch (below(t, 8)) {
	case 0:
	case 1:
		worn_disk_fail(f->disks[below(t, f->count)], below(t, 24), 1);
		break;
	case 2:
		worn_disk_fail(f->disks[below(t, f->count)], below(t, 24), 2 + below(t, 8));
		break;
	case 3: {
		uint64_t after = below(t, 12), count = below(t, 2) ? 1 + below(t, 9) : UINT64_MAX;

		for (unsigned i = 0; i < f->count; i++)
			worn_disk_fail(f->disks[i], after + below(t, 2), count);
		break;
	}
	}
}

/* What is flushed to a volume stays, whatever failed before. */
static void use(struct torture *t)
{
	char name[16];

	if (!t->now.count || t->power.off)
		return;
	memcpy(name, t->now.lvs[below(t, t->now.count)].name, sizeof(name));
	worn_power_mend(&t->power);
	if (!volume_group_settle(t->f->group, &t->f->error)) /* as a server does */
		fill(t, name);
}

static void step(struct torture *t)
{
	char created[16] = "";
	int rc;

	if (!below(t, 3))
		use(t);
	if (t->failed)
		return;
	if (t->power.off)
		restart(t, true);

	if (t->mirrored)
		set_faults_mirrored(t);
	else
		set_faults(t);
	if (!below(t, 3))
		worn_power_cut_after(&t->power, below(t, (t->mirrored ? 36 : 12) * t->f->count));
	rc = change(t, created);
	if (getenv("TORTURE_SEED"))
		printf("%u: %d %s%s\n", t->change, rc, rc ? t->f->error.text : "",
		       t->power.off ? " (off)" : "");
	judge(t, rc, created);
	if (t->failed)
		return;
	if (t->power.off || !below(t, 6)) {
		t->cuts++;
		restart(t, true);
	} else if (!below(t, 3)) {
		restart(t, false);
	}
	if (!t->failed)
		count_wrap(t);
}

static void make_disks(struct torture *t)
{
	struct fixture *f = t->f;

	for (unsigned i = 0; i < 3; i++)
		block_unref(steal_pointer(&f->disks[i]));
	if (t->mirrored)
		make_arrays(t);
	for (unsigned i = 0; !t->mirrored && i < f->count; i++) {
		char name[] = { 'd', (char)('0' + i), '\0' };

		f->disks[i] = worn_disk_create(&t->power, name, DISK_SIZE);
		if (t->seed % 4 == 3)
			f->disks[i]->logical_block_size = BLOCK_SIZE;
	}
}

/* The fixture gets back what it gave. */
static void drop_disks(struct torture *t)
{
	struct fixture *f = t->f;

	worn_power_mend(&t->power);
	t->power.off = false;
	if (t->mirrored)
		stop_arrays(t);
	if (f->scan)
		volume_scan_free(steal_pointer(&f->scan));
	f->group = NULL;
	for (unsigned i = 0; i < 3; i++) {
		block_unref(f->disks[i]);
		block_unref(t->halves[i][0]);
		block_unref(t->halves[i][1]);
		CU_ASSERT_EQUAL_FATAL(block_create_memory(&f->disks[i], "d", MIB, NULL), 0);
	}
	f->count = 3;
}

static void torture(struct fixture *f, uint64_t seed, bool mirrored, struct torture *sum)
{
	struct volume_group_options options = { .extent_size = EXTENT,
						.data_alignment = 4096,
						.metadata_size = 20480,
						.metadata_copies = 1 + (unsigned)(seed / 3 % 2) };
	struct torture t = { .f = f,
			     .seed = seed,
			     .mirrored = mirrored,
			     .random = { .state = seed },
			     .power = { .random = { .state = seed + 1 } } };

	f->count = 1 + (unsigned)(seed % (mirrored ? 2 : 3));
	make_disks(&t);
	f->context.quick = seed % 2;
	fixture_create(f, &options);
	only(&t, &t.now);
	for (t.change = 0; t.change < CHANGES && !t.failed; t.change++)
		step(&t);
	drop_disks(&t);
	sum->cuts += t.cuts, sum->unknown += t.unknown, sum->made += t.made;
	sum->refused += t.refused, sum->wraps += t.wraps, sum->adopted += t.adopted;
	sum->failed |= t.failed;
}

/* `seeds` in a short run. */
static void run(struct fixture *f, bool mirrored, uint64_t seeds, uint64_t seeds_long,
		struct torture *sum)
{
	const char *one = getenv("TORTURE_SEED");
	uint64_t first = one ? strtoull(one, NULL, 10) : 1;
	uint64_t last = one ? first : getenv("TORTURE") ? seeds_long : seeds;

	for (uint64_t seed = first; seed <= last && !sum->failed; seed++)
		torture(f, seed, mirrored, sum);
	printf("%u changes made, %u refused or not made, %u unknown, %u found after all, %u cuts, "
	       "%u "
	       "texts that wrap\n",
	       sum->made, sum->refused, sum->unknown, sum->adopted, sum->cuts, sum->wraps);
	/* what a campaign did not meet it did not try */
	CU_ASSERT(one || (sum->made > 10 * seeds && sum->cuts > 10 * seeds && sum->wraps > seeds));
	CU_ASSERT(one || mirrored || sum->unknown > seeds);
}

static void errors_and_cuts(struct fixture *f)
{
	struct torture sum = { 0 };

	run(f, false, 60, 3000, &sum);
}

static void test_errors_and_cuts(void)
{
	fixture_run(errors_and_cuts, 3, MIB);
}

static void errors_and_cuts_on_mirrors(struct fixture *f)
{
	struct torture sum = { 0 };

	run(f, true, 8, 600, &sum);
}

static void test_errors_and_cuts_on_mirrors(void)
{
	fixture_run(errors_and_cuts_on_mirrors, 3, MIB);
}

/* ---- The group itself comes and goes ---- */

/* Whether a new process finds it. */
static bool there(struct torture *t)
{
	int rc = fixture_scan(t->f);

	if (rc && rc != -ENOENT)
		fail(t, "scan", t->f->error.text);
	if (!rc && (t->f->group->locked_reason || t->f->group->partial))
		fail(t, "the group is locked", t->f->group->locked_reason);
	return !rc;
}

static int come_or_go(struct torture *t, bool present)
{
	struct volume_group_options options = { .extent_size = EXTENT,
						.data_alignment = 4096,
						.metadata_size = 20480,
						.metadata_copies = 1 + t->seed / 2 % 2 };
	struct volume_group *group = NULL;
	int rc;

	if (present)
		return volume_group_remove(t->f->group, &t->f->error);
	rc = volume_group_create(&group, "vg0", t->f->disks, t->f->count, &options, &t->f->context,
				 &t->f->error);
	volume_group_unref(group);
	return rc;
}

static void groups_come_and_go(struct fixture *f)
{
	uint64_t seeds = getenv("TORTURE") ? 1000 : 30;
	unsigned made = 0, unknown = 0, not_made = 0;

	for (uint64_t seed = 1; seed <= seeds; seed++) {
		struct torture t = { .f = f,
				     .seed = seed,
				     .random = { .state = seed },
				     .power = { .random = { .state = seed + 1 } } };
		bool present = false;

		f->count = 1 + (unsigned)(seed % 3);
		make_disks(&t);
		for (t.change = 0; t.change < CHANGES / 4 && !t.failed; t.change++) {
			bool sure = true, cut, now;
			int rc;

			set_faults(&t);
			if (!below(&t, 2))
				worn_power_cut_after(&t.power, below(&t, 12 * f->count));
			rc = come_or_go(&t, present);
			if (rc)
				sure = !strstr(f->error.text, "unknown whether");
			made += !rc, unknown += !sure, not_made += rc && sure;
			cut = t.power.off || below(&t, 2);
			t.power.cut_at = 0;
			if (cut)
				worn_power_cycle(&t.power);
			worn_power_mend(&t.power);
			now = there(&t);
			if (sure && now != (rc ? present : !present))
				fail(&t, rc ? f->error.text : "acknowledged",
				     now ? "the group is there" : "the group is not there");
			/* What is only read, not proven, may still go: the next change makes it sure. */
			if (!sure && !cut && !t.failed) {
				worn_power_cycle(&t.power);
				now = there(&t);
			}
			present = now;
		}
		drop_disks(&t);
	}
	printf("%u made, %u not made, %u unknown\n", made, not_made, unknown);
	CU_ASSERT(made > 5 * seeds && not_made > 5 * seeds && unknown > seeds / 4);
}

static void test_groups_come_and_go(void)
{
	fixture_run(groups_come_and_go, 3, MIB);
}

UNIT_MAIN("volume groups on disks that fail", UNIT(test_groups_come_and_go),
	  UNIT(test_errors_and_cuts), UNIT(test_errors_and_cuts_on_mirrors))
