/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Histories: starts with some of the members, with or without insisting, failures, removals, additions,
 * ends of all kinds, in any order. Each start writes a sector of its own behind those that it finds, so that
 * what a member holds says which starts it was part of. From that, not from superblocks, follows what is right:
 *
 *	what is given is one history (each member's is the beginning of another's): all of it is there, and it is not
 *	called one that ran apart
 *	else it is refused; and no member is overwritten that holds what the array does not, unless told to
 *	whoever is in sync holds what the array does
 *
 * Superblocks cannot tell all of that: the numbers of members are given anew, on each side of a split for itself,
 * and who connects two generations may be gone. So the first two hold but for a few, which are counted.
 *
 * TORTURE=1 plays many more; SEED=n one, and says what it does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/freshest.h"
#include "raid_rig.h"
#include "util/bytes.h"
#include "util/random.h"

#define SECTOR 512u
#define LENGTH 64u    /* of a history, at most */
#define STRIDE 40960u /* between sectors: each has a chunk of the bitmap of its own */
#define STEPS  14u
#define DISKS  4u

struct history {
	bool known; /* has all the data, by its own superblock */
	unsigned length;
	uint64_t starts[LENGTH];
};

struct tale {
	struct raid_rig *rig;
	struct random random;
	uint64_t seed, value, now;
	unsigned members;
	bool loud, failed;
	unsigned starts, refused, kept, taken, needless, hidden,
		overwritten; /* how much was tried */
};

static uint64_t below(struct tale *tale, uint64_t limit)
{
	return random_below(&tale->random, limit);
}

/* ---- Who holds what ---- */

static void read_history(struct block *block, uint64_t offset, struct history *history)
{
	uint8_t bytes[SECTOR];

	history->length = 0;
	while (history->length < LENGTH &&
	       !block_read(block, offset + history->length * STRIDE, bytes, SECTOR) &&
	       get_le64(bytes))
		history->starts[history->length++] = get_le64(bytes);
}

static void look(struct tale *tale, unsigned disk, struct history *history)
{
	struct raid_candidate candidate = { .block = tale->rig->memory[disk] };
	bool found;

	history->known = !md_superblock_find(candidate.block, &candidate.sb, &found, NULL) &&
			 raid_candidate_has_data(&candidate);
	if (history->known)
		read_history(candidate.block, candidate.sb.data_offset * SECTOR, history);
}

static bool begins(const struct history *whole, const struct history *part)
{
	return part->length <= whole->length &&
	       !memcmp(whole->starts, part->starts, part->length * sizeof(*part->starts));
}

static void show(struct tale *tale)
{
	for (unsigned i = 0; i < DISKS; i++) {
		struct md_superblock sb;
		struct history history;
		bool found;

		if (md_superblock_find(tale->rig->memory[i], &sb, &found, NULL))
			continue;
		look(tale, i, &history);
		printf("    disk%u: number %u, events %llu, utime %llu, features %x, roles", i,
		       sb.dev_number, (unsigned long long)sb.events, (unsigned long long)sb.utime,
		       sb.features);
		for (unsigned k = 0; k < 8 && k < sb.max_dev; k++)
			printf(" %x", sb.roles[k]);
		printf("; holds");
		for (unsigned k = 0; history.known && k < history.length; k++)
			printf(" %llu", (unsigned long long)history.starts[k]);
		printf("\n");
	}
}

static void wrong(struct tale *tale, const char *what, unsigned disk)
{
	if (!tale->failed)
		printf("seed %llu: %s (disk%u): %s\n", (unsigned long long)tale->seed, what, disk,
		       tale->rig->error.text);
	show(tale);
	tale->failed = true;
	CU_FAIL("see the seed");
}

/* What superblocks may not tell. */
static void note(struct tale *tale, const char *what, unsigned disk)
{
	if (!tale->loud)
		return;
	printf("  %s (disk%u)\n", what, disk);
	show(tale);
}

#define SAY(tale, ...) ((tale)->loud ? (void)printf(__VA_ARGS__) : (void)0)

/* ---- While it runs ---- */

static void write_one(struct tale *tale)
{
	struct block *block = raid_array_block(tale->rig->array);
	uint8_t bytes[SECTOR] = { 0 };
	struct history history;

	read_history(block, 0, &history);
	if (history.length == LENGTH)
		return;
	put_le64(bytes, ++tale->value);
	SAY(tale, "  write %llu at %u\n", (unsigned long long)tale->value, history.length);
	if (block_write(block, history.length * STRIDE, bytes, SECTOR, BLOCK_FUA))
		wrong(tale, "writing fails", 0);
}

static void add(struct tale *tale, unsigned disk, bool over)
{
	struct raid_rig *rig = tale->rig;
	struct history before, array;
	int rc;

	look(tale, disk, &before);
	read_history(raid_array_block(rig->array), 0, &array);
	rig->error = (struct error){ 0 };
	rc = over ? raid_add_over(rig->array, rig->disk[disk], &rig->error)
		  : raid_add(rig->array, rig->disk[disk], &rig->error);
	SAY(tale, "  add%s disk%u: %d %s\n", over ? " over" : "", disk, rc, rig->error.text);
	if (over || !before.known)
		return;
	if (!rc && !begins(&array, &before)) {
		tale->overwritten++;
		note(tale, "overwritten unasked", disk);
	}
	tale->needless += rc == -ESTALE && begins(&array, &before);
	tale->kept += rc == -ESTALE;
	tale->taken += !rc;
}

/* Once rebuilt, whoever is in sync holds what the array does. */
static void wait(struct tale *tale)
{
	struct history array, member;

	SAY(tale, "  wait\n");
	rig_wait(tale->rig);
	read_history(raid_array_block(tale->rig->array), 0, &array);
	for (unsigned i = 0; i < DISKS; i++) {
		struct raid_info info;

		if (rig_state(tale->rig, i) != RAID_MEMBER_IN_SYNC)
			continue;
		CU_ASSERT_EQUAL(raid_probe(tale->rig->memory[i], &info, NULL), 1);
		read_history(tale->rig->memory[i], info.data_offset, &member);
		if (member.length != array.length || !begins(&array, &member))
			wrong(tale, "in sync, and differs", i);
	}
}

static void meddle(struct tale *tale)
{
	struct raid_rig *rig = tale->rig;
	unsigned disk = (unsigned)below(tale, DISKS);
	const char *name = rig->disk[disk]->name;
	int rc;

	switch (below(tale, 7)) {
	case 0:
		rc = raid_fail(rig->array, name, &rig->error);
		SAY(tale, "  fail disk%u: %d\n", disk, rc);
		if (!rc)
			write_one(tale);
		break;
	case 1:
		rc = raid_remove(rig->array, name, &rig->error);
		SAY(tale, "  remove disk%u: %d\n", disk, rc);
		break;
	case 2:
	case 3:
		add(tale, disk, false);
		break;
	case 4:
		add(tale, disk, !below(tale, 4));
		break;
	case 5:
		wait(tale);
		break;
	case 6:
		write_one(tale);
		break;
	}
}

/* By the user, or killed at once. */
static void end(struct tale *tale)
{
	struct raid_rig *rig = tale->rig;
	bool killed = below(tale, 3) == 0;

	SAY(tale, "  %s\n", killed ? "killed" : "stopped");
	for (unsigned i = 0; killed && i < DISKS; i++)
		rig_break(rig, i, BLOCK_FAULT_CHANGES, 0, 0);
	raid_stop(steal_pointer(&rig->array), &rig->error);
	for (unsigned i = 0; i < DISKS; i++)
		block_fault_clear(rig->disk[i]);
}

/* ---- Starts ---- */

static unsigned choose(struct tale *tale, unsigned chosen[DISKS])
{
	unsigned count = 0, mask = 1 + (unsigned)below(tale, (1u << DISKS) - 1);

	if (below(tale, 3) == 0)
		mask = (1u << DISKS) - 1;
	for (unsigned i = 0; i < DISKS; i++) {
		struct raid_info info;

		if ((mask & 1u << i) && raid_probe(tale->rig->memory[i], &info, NULL) == 1)
			chosen[count++] = i;
	}
	for (unsigned i = count; i > 1; i--) {
		unsigned other = (unsigned)below(tale, i), disk = chosen[i - 1];

		chosen[i - 1] = chosen[other];
		chosen[other] = disk;
	}
	return count;
}

static bool one_history(const struct history *histories, const unsigned *chosen, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		for (unsigned k = 0; k < i; k++) {
			const struct history *a = &histories[chosen[i]], *b = &histories[chosen[k]];

			if (a->known && b->known && !begins(a, b) && !begins(b, a))
				return false;
		}
	return true;
}

static void start(struct tale *tale)
{
	struct raid_rig *rig = tale->rig;
	struct raid_assemble_options options = { .now = tale->now, .no_resync = below(tale, 2) };
	struct history histories[DISKS], array;
	struct block *blocks[DISKS];
	unsigned chosen[DISKS], count = choose(tale, chosen);
	int rc;

	if (!count)
		return;
	tale->now += below(tale, 2) ? below(tale, 100) : 0;
	options.refuse_degraded = below(tale, 2);
	options.force = below(tale, 12) == 0;
	for (unsigned i = 0; i < DISKS; i++)
		look(tale, i, &histories[i]);
	SAY(tale, "start%s%s:", options.refuse_degraded ? "" : " degraded",
	    options.force ? " forced" : "");
	for (unsigned i = 0; i < count; i++) {
		blocks[i] = rig->disk[chosen[i]];
		SAY(tale, " disk%u", chosen[i]);
	}
	rig->error = (struct error){ 0 };
	rc = raid_assemble(&rig->array, blocks, count, &options, &rig->error);
	SAY(tale, ": %d %s\n", rc, rig->error.text);
	tale->starts += !rc;
	tale->refused += rc == -ESTALE;
	if (rc == -ESTALE && one_history(histories, chosen, count)) {
		tale->needless++;
		note(tale, "refused, and is one history", chosen[0]);
	}
	if (rc && rc != -ESTALE && rc != -ENODEV)
		wrong(tale, "does not start", chosen[0]);
	if (rc)
		return;
	read_history(raid_array_block(rig->array), 0, &array);
	for (unsigned i = 0; i < count && !options.force; i++) {
		if (histories[chosen[i]].known && !begins(&array, &histories[chosen[i]])) {
			tale->hidden = 1;
			note(tale, "started without what it holds", chosen[i]);
		}
	}
	/* What follows from it is nothing new. */
	if (!tale->failed && !tale->hidden)
		write_one(tale);
	for (uint64_t i = below(tale, 5); i && !tale->failed && !tale->hidden; i--)
		meddle(tale);
	end(tale);
	if (tale->loud)
		show(tale);
}

static void tell(struct raid_rig *rig, struct tale *tale)
{
	struct raid_create_options options = { .name = "m", .level = 1, .now = 1000000 };

	options.bitmap_chunk = tale->seed % 2 ? 4096 : 0;
	options.bitmap = tale->seed % 2 ? RAID_BITMAP_INTERNAL : RAID_BITMAP_NONE;
	tale->members = 2 + (unsigned)(tale->seed / 2 % 3);
	for (unsigned i = 0; i < DISKS; i++)
		CU_ASSERT_EQUAL(block_write_zeroes(rig->memory[i], 0, RIG_SIZE, 0), 0);
	rig_create(rig, tale->members, &options);
	rig_wait(rig);
	write_one(tale);
	end(tale);
	for (unsigned i = 0; i < STEPS && !tale->failed && !tale->hidden; i++)
		start(tale);
}

static void histories(struct raid_rig *rig)
{
	const char *one = getenv("SEED");
	uint64_t first = one ? strtoull(one, NULL, 10) : 1;
	uint64_t last = one ? first : getenv("TORTURE") ? 10000 : 400;
	struct tale sum = { 0 };

	for (uint64_t seed = first; seed <= last && !sum.failed; seed++) {
		struct tale tale = {
			.rig = rig, .seed = seed, .random = { seed }, .loud = one, .now = 1000000
		};

		tell(rig, &tale);
		sum.starts += tale.starts, sum.refused += tale.refused;
		sum.kept += tale.kept, sum.taken += tale.taken;
		sum.failed |= tale.failed, sum.needless += tale.needless, sum.hidden += tale.hidden,
			sum.overwritten += tale.overwritten;
	}
	printf("%u starts, %u refused as apart; %u added, %u refused; %u needlessly; %u hidden, %u "
	       "overwritten\n",
	       sum.starts, sum.refused, sum.taken, sum.kept, sum.needless, sum.hidden,
	       sum.overwritten);
	CU_ASSERT(sum.hidden <= sum.starts / 600);
	CU_ASSERT(sum.overwritten <= 1 + sum.taken / 600); /* of few, one may be by chance */
	CU_ASSERT(one || sum.needless <= sum.refused / 12);
	CU_ASSERT(one || (sum.starts > last && sum.refused > last / 4 && sum.taken > last / 4 &&
			  sum.kept > last / 16));
}

static void test_histories(void)
{
	rig_run(histories);
}

UNIT_MAIN("raid histories", UNIT(test_histories))
