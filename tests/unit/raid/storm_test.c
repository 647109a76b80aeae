/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A storm: at each level, with each way to be consistent, several write, zero, discard, read and flush at once and over
 * one another, from memory in pieces that changes under way or not, while a member's reads and writes fail, it is
 * failed, removed, added again with or without what it had, replaced, and the array is scrubbed, reshaped and held still. What each
 * sector may hold is known all the while; in the end whoever may be missing is left out in turn. Virtual time.
 * TORTURE=1 plays many more; SEED=n begins elsewhere; TRACE=1 prints what happens.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/array.h"
#include "raid/rebuild.h"
#include "raid/sync.h"
#include "raid_rig.h"
#include "util/bytes.h"
#include "util/random.h"

#define ACTORS   5u
#define VERSIONS 16u /* of a sector that are known */
#define SECTOR   512u
#define MEMBER   (1u << 20)
#define SECOND   1000000000ull

struct kind {
	int level;
	const char *layout;
	unsigned members;
	uint64_t chunk;
	enum raid_bitmap_choice bitmap;
	bool changing; /* mirrors differ where memory changed; else only parity is tried with that */
	bool big;      /* sectors of 4 KiB */
};

static const struct kind kinds[] = {
	{ .level = 5, .members = 4, .chunk = 65536 },
	{ .level = 5, .members = 4, .chunk = 65536, .bitmap = RAID_BITMAP_PPL },
	{ .level = 5, .members = 3, .chunk = 16384, .bitmap = RAID_BITMAP_JOURNAL },
	{ .level = 1, .members = 3, .changing = true },
	{ .level = 6, .members = 5, .chunk = 32768, .big = true },
	{ .level = 10, .members = 4, .chunk = 65536, .changing = true },
	{ .level = 6, .members = 4, .chunk = 65536, .bitmap = RAID_BITMAP_JOURNAL },
	{ .level = 10, .layout = "f2", .members = 4, .chunk = 32768 },
	{ .level = 4, .members = 3, .chunk = 32768, .bitmap = RAID_BITMAP_INTERNAL },
	{ .level = 10,
	  .layout = "o2",
	  .members = 3,
	  .chunk = 65536,
	  .bitmap = RAID_BITMAP_INTERNAL },
	{ .level = 1, .members = 2, .bitmap = RAID_BITMAP_INTERNAL },
	{ .level = 5, .members = 3, .chunk = 4096, .bitmap = RAID_BITMAP_PPL, .big = true },
};

enum what { DATA, ZEROES, ANYTHING };

struct version {
	uint32_t number;
	enum what what;
	uint64_t began, ended; /* ended 0: under way, or failed */
	uint64_t dead;         /* since then another is there instead; 0: it may be there */
};

struct sector {
	unsigned count;
	struct version versions[VERSIONS];
};

struct storm {
	struct raid_rig *rig;
	const struct kind *kind;
	uint64_t seed;
	struct random random;
	unsigned disks; /* without the journal */
	unsigned members, victim, reshapes;
	uint64_t chunk;
	bool ended, held, trace;
	unsigned active, actors;
	uint64_t now;           /* counts what begins and ends */
	uint64_t began[ACTORS]; /* what each has under way; 0: nothing */
	uint32_t number;
	struct sector *sectors;
};

static uint64_t below(struct storm *storm, uint64_t limit)
{
	return random_below(&storm->random, limit);
}

static struct block *array_block(const struct storm *storm)
{
	return raid_array_block(storm->rig->array);
}

static bool is_mirror(const struct storm *storm)
{
	return storm->kind->level == 1 || storm->kind->level == 10;
}

static void failed(const struct storm *storm, const char *what, uint64_t at, int rc)
{
	struct raid_status status;

	printf("seed %llu, level %d: %s at byte %llu: %d\n", (unsigned long long)storm->seed,
	       storm->kind->level, what, (unsigned long long)at, rc);
	if (storm->rig->array) {
		raid_status(storm->rig->array, &status);
		for (unsigned i = 0; i < status.member_count; i++)
			printf("  %s: %d, %u bad blocks, %s\n", status.members[i].device,
			       status.members[i].state, status.members[i].bad_blocks,
			       status.members[i].reason);
		raid_status_free(&status);
	}
	CU_FAIL(what);
}

/* ---- What each sector may hold ---- */

static void fill(uint8_t *bytes, uint64_t sector, uint32_t number)
{
	struct random random = { random_mix(sector << 32 | number) };

	random_fill(&random, bytes, SECTOR);
	put_le32(bytes, number);
}

static void forget(struct storm *storm, struct sector *sector)
{
	uint64_t oldest = UINT64_MAX;
	unsigned kept = 0;

	for (unsigned i = 0; i < ACTORS; i++)
		oldest = storm->began[i] ? MIN(oldest, storm->began[i]) : oldest;
	for (unsigned i = 0; i < sector->count; i++) {
		if (!sector->versions[i].dead || sector->versions[i].dead >= oldest)
			sector->versions[kept++] = sector->versions[i];
	}
	sector->count = kept;
}

static void expect(struct storm *storm, uint64_t offset, uint64_t length, uint32_t number,
		   enum what what)
{
	for (uint64_t i = offset / SECTOR; i < (offset + length) / SECTOR; i++) {
		struct sector *sector = &storm->sectors[i];

		if (sector->count == VERSIONS)
			forget(storm, sector);
		if (sector->count == VERSIONS) /* too many to tell */
			sector->versions[0] = (struct version){ .what = ANYTHING };
		else
			sector->versions[sector->count++] =
				(struct version){ number, what, storm->now };
	}
}

/* What had ended before it began is not there any more. */
static void expect_no_older(struct storm *storm, uint64_t offset, uint64_t length, uint32_t number,
			    uint64_t began)
{
	storm->now++;
	for (uint64_t i = offset / SECTOR; i < (offset + length) / SECTOR; i++) {
		for (unsigned k = 0; k < storm->sectors[i].count; k++) {
			struct version *version = &storm->sectors[i].versions[k];

			if (version->number == number)
				version->ended = storm->now;
			else if (version->ended && version->ended < began && !version->dead)
				version->dead = storm->now;
		}
	}
}

static bool may_hold(const struct storm *storm, uint64_t at, const uint8_t *bytes, uint64_t began)
{
	const struct sector *sector = &storm->sectors[at];
	uint8_t wanted[SECTOR];

	for (unsigned i = 0; i < sector->count; i++) {
		const struct version *version = &sector->versions[i];

		if (version->dead && version->dead < began)
			continue;
		if (version->what == ANYTHING ||
		    (version->what == ZEROES && bytes_all_zero(bytes, SECTOR)))
			return true;
		if (version->what != DATA || version->number != get_le32(bytes))
			continue;
		fill(wanted, at, version->number);
		if (!memcmp(wanted, bytes, SECTOR))
			return true;
	}
	return false;
}

/* Nothing is under way: what is there now is what has to be there. */
static void settle(struct storm *storm, uint64_t at, const uint8_t *bytes)
{
	struct sector *sector = &storm->sectors[at];
	struct version is = { get_le32(bytes), DATA, 1, 1, 0 };

	if (bytes_all_zero(bytes, SECTOR))
		is.what = ZEROES;
	for (unsigned i = 0; i < sector->count; i++) {
		if (sector->versions[i].what == ANYTHING && !sector->versions[i].dead)
			is.what = ANYTHING;
	}
	sector->versions[0] = is;
	sector->count = 1;
}

/* ---- Requests ---- */

static uint64_t pick_length(struct storm *storm)
{
	uint64_t unit = array_block(storm)->logical_block_size, size = array_block(storm)->size;
	uint64_t row = MAX(storm->chunk, 65536) * storm->members, length;

	switch (below(storm, 5)) {
	case 0:
		length = unit;
		break;
	case 1:
		length = unit * (1 + below(storm, 16));
		break;
	case 2:
		length = unit * (1 + below(storm, 256));
		break;
	case 3:
		length = row * (1 + below(storm, 3));
		break;
	default:
		length = unit * (1 + below(storm, (1u << 20) / unit));
	}
	return round_down(MIN(length, size), unit);
}

static uint64_t pick_offset(struct storm *storm, uint64_t length)
{
	uint64_t unit = array_block(storm)->logical_block_size, size = array_block(storm)->size;
	uint64_t offset = below(storm, (size - length) / unit + 1) * unit;

	return storm->chunk && below(storm, 3) == 0 ? offset - offset % storm->chunk : offset;
}

static unsigned split(struct storm *storm, uint8_t *bytes, uint64_t length, struct iovec iov[12])
{
	unsigned count = 0;

	if (below(storm, 2)) {
		iov[0] = (struct iovec){ bytes, length };
		return 1;
	}
	while (length) {
		uint64_t piece =
			below(storm, 2) ? 4096 * (1 + below(storm, 32)) : 1 + below(storm, 9000);

		piece = count == 11 ? length : MIN(piece, length);
		iov[count++] = (struct iovec){ bytes, piece };
		bytes += piece;
		length -= piece;
	}
	return count;
}

struct guest {
	struct storm *storm;
	uint8_t *bytes;
	uint64_t length;
	bool stop;
};

/* Changes its memory while that is written. */
static int change(void *arg)
{
	struct guest *guest = arg;

	while (!guest->stop) {
		for (uint64_t i = 100; i < guest->length; i += SECTOR)
			guest->bytes[i]++;
		fiber_sleep(3000 + below(guest->storm, 200000));
	}
	return 0;
}

static void write_some(struct storm *storm, uint64_t offset, uint64_t length, uint8_t *bytes)
{
	bool may_change = !is_mirror(storm) || storm->kind->changing;
	bool changing = may_change && below(storm, 4) == 0;
	unsigned flags = (below(storm, 3) ? 0 : BLOCK_FUA) |
			 (changing || below(storm, 2) ? 0 : BLOCK_STABLE);
	struct guest guest = { storm, bytes, length, false };
	uint64_t began = storm->now;
	uint32_t number = ++storm->number;
	struct fiber *fiber = NULL;
	struct iovec iov[12];
	int rc;

	for (uint64_t i = 0; i < length; i += SECTOR)
		fill(bytes + i, (offset + i) / SECTOR, number);
	expect(storm, offset, length, number, changing ? ANYTHING : DATA);
	if (changing)
		fiber = fiber_spawn(change, &guest);
	rc = block_writev(array_block(storm), offset, iov, split(storm, bytes, length, iov), flags);
	memset(bytes, 0xee, length); /* as a guest may, now */
	guest.stop = true;
	if (fiber)
		fiber_join(fiber);
	if (rc)
		failed(storm, "write", offset, rc);
	else
		expect_no_older(storm, offset, length, number, began);
}

static void zero_some(struct storm *storm, uint64_t offset, uint64_t length)
{
	uint64_t began = storm->now;
	uint32_t number = ++storm->number;
	bool discard = below(storm, 2);
	int rc;

	expect(storm, offset, length, number, ZEROES);
	rc = discard ? block_discard(array_block(storm), offset, length)
		     : block_write_zeroes(array_block(storm), offset, length,
					  below(storm, 2) ? BLOCK_MAY_UNMAP : 0);
	if (rc)
		failed(storm, "zeroes", offset, rc);
	else if (!discard) /* which may do nothing */
		expect_no_older(storm, offset, length, number, began);
}

static void read_some(struct storm *storm, uint64_t offset, uint64_t length, uint8_t *bytes)
{
	uint64_t began = storm->now;
	struct iovec iov[12];
	int rc;

	memset(bytes, 0xdd, length);
	rc = block_readv(array_block(storm), offset, iov, split(storm, bytes, length, iov));
	for (uint64_t i = 0; !rc && i < length; i += SECTOR) {
		if (!may_hold(storm, (offset + i) / SECTOR, bytes + i, began)) {
			failed(storm, "what was read", offset + i, 0);
			return;
		}
	}
	if (rc)
		failed(storm, "read", offset, rc);
}

static int actor(void *arg)
{
	struct storm *storm = arg;
	unsigned me = storm->actors++;

	while (!storm->ended) {
		uint64_t length, offset;
		unsigned what = (unsigned)below(storm, 20);
		uint8_t *memory, *bytes;

		if (storm->held) {
			fiber_sleep(1000000);
			continue;
		}
		length = pick_length(storm);
		offset = pick_offset(storm, length);
		memory = aligned_alloc(4096, round_up(length + 4096, 4096));
		bytes = memory + (below(storm, 3) ? 0 : 4 * below(storm, 1024));
		storm->active++;
		storm->began[me] = ++storm->now;
		if (what < 11)
			write_some(storm, offset, length, bytes);
		else if (what < 13)
			zero_some(storm, offset, length);
		else if (what < 19)
			read_some(storm, offset, length, bytes);
		else
			CU_ASSERT_EQUAL(block_flush(array_block(storm)), 0);
		storm->began[me] = 0;
		storm->active--;
		free(memory);
		fiber_sleep(below(storm, 1500000));
	}
	return 0;
}

/* Until nothing is under way. */
static void hold(struct storm *storm)
{
	uint64_t since = worker_now();

	storm->held = true;
	while (storm->active && worker_now() - since < 300 * SECOND)
		fiber_sleep(1000000);
	if (storm->active)
		failed(storm, "requests hang", 0, 0);
	CU_ASSERT_FATAL(!storm->active);
}

/* ---- What happens to members ---- */

static enum raid_member_state state_of(struct storm *storm, unsigned disk, bool *known)
{
	enum raid_member_state state = RAID_MEMBER_STALE;
	struct raid_status status;

	*known = false;
	raid_status(storm->rig->array, &status);
	for (unsigned i = 0; i < status.member_count; i++) {
		if (strcmp(status.members[i].device, storm->rig->disk[disk]->name))
			continue;
		state = status.members[i].state;
		*known = true;
	}
	raid_status_free(&status);
	return state;
}

/* Disks answer in any order; those whose reads wait, too, do not lend what they have. */
static void mend_disks(struct storm *storm)
{
	for (unsigned i = 0; i < RIG_MEMBERS; i++) {
		struct block_fault_rule late = {
			.requests = storm->seed % 3 ? BLOCK_FAULT_CHANGES : BLOCK_FAULT_ALL,
			.chance = 500000,
			.action = BLOCK_FAULT_LATENCY,
			.latency_ns = 1000 + below(storm, 1000000),
		};

		block_fault_clear(storm->rig->disk[i]);
		if (storm->seed % 5)
			block_fault_add(storm->rig->disk[i], &late);
	}
}

static void break_victim(struct storm *storm, bool writes)
{
	struct block_fault_rule rule = {
		.requests =
			writes ? BLOCK_FAULT_WRITE | BLOCK_FAULT_WRITE_ZEROES : BLOCK_FAULT_READ,
		.offset = (1u << 20) + SECTOR * below(storm, MEMBER / SECTOR),
		.length = SECTOR * (1 + below(storm, writes ? 4096 : 64)),
		.action = writes && below(storm, 2) ? BLOCK_FAULT_TORN : BLOCK_FAULT_ERROR,
		.error = -EIO,
		.count = 1 + below(storm, 3),
		.torn_sectors = (uint32_t)below(storm, 64),
	};

	block_fault_add(storm->rig->disk[storm->victim], &rule);
}

/* Out, or in again; what is not a member may have lost all that it had. */
static int move_disk(struct storm *storm, unsigned disk)
{
	struct raid_rig *rig = storm->rig;
	bool known;
	enum raid_member_state state = state_of(storm, disk, &known);

	if (known && state != RAID_MEMBER_FAULTY)
		return 0;
	if (known)
		raid_remove(rig->array, rig->disk[disk]->name, &rig->error);
	if (known && below(storm, 2))
		return 0;
	if (below(storm, 2))
		block_write_zeroes(rig->memory[disk], 0, RIG_SIZE, 0);
	return raid_add(rig->array, rig->disk[disk], &rig->error);
}

static void reshape(struct storm *storm)
{
	struct raid_grow grow = { 0 };
	int rc;

	if (storm->kind->level == 1)
		return;
	hold(storm);
	switch (below(storm, 3)) {
	case 0:
		grow.devices = storm->members + 1;
		break;
	case 1:
		if (storm->kind->level == 5 || storm->kind->level == 6) {
			grow.layout = below(storm, 2) ? "left-asymmetric" : "right-symmetric";
			break;
		} /* fall through */
	default:
		grow.chunk = storm->chunk == 65536 ? 32768 : 65536;
	}
	rc = raid_grow(storm->rig->array, &grow, &storm->rig->error);
	if (!rc) {
		storm->reshapes++;
		storm->members = MAX(storm->members, grow.devices);
		storm->chunk = grow.chunk ? grow.chunk : storm->chunk;
	}
	if (storm->trace)
		printf("reshape: %d %s\n", rc, rc ? storm->rig->error.text : "");
	storm->held = false;
}

static void meddle(struct storm *storm)
{
	struct raid_rig *rig = storm->rig;
	unsigned what = (unsigned)below(storm, 10);
	const char *name = rig->disk[storm->victim]->name;
	int rc = 0;

	switch (what) {
	case 0:
		rc = raid_fail(rig->array, name, &rig->error);
		break;
	case 1:
	case 2:
		rc = move_disk(storm, (unsigned)below(storm, storm->disks));
		break;
	case 3:
		rc = raid_replace(rig->array, name, NULL, &rig->error);
		break;
	case 4:
		rc = raid_scrub_start(rig->array, false, &rig->error);
		break;
	case 5:
	case 6:
		break_victim(storm, what == 6);
		break;
	case 7:
		reshape(storm);
		break;
	case 8:
		raid_rebuild_freeze(rig->array, true);
		fiber_sleep(below(storm, 5000000));
		raid_rebuild_freeze(rig->array, false);
		break;
	default:
		raid_sync_resume(rig->array);
	}
	if (storm->trace)
		printf("%.3f ms: %u, %s: %d %s\n", (double)worker_now() / 1e6, what, name, rc,
		       rc ? rig->error.text : "");
}

/* ---- Afterwards ---- */

/* As large as it is now: a reshape that ends meanwhile makes it larger. */
static uint8_t *read_all(struct storm *storm, struct block *block, uint64_t *size)
{
	uint8_t *bytes = malloc(block->size);

	*size = block->size;
	for (uint64_t at = 0; at < *size; at += 1u << 20) {
		int rc = block_read(block, at, bytes + at, MIN(1u << 20, *size - at));

		if (!rc)
			continue;
		failed(storm, "read of all", at, rc);
		memset(bytes, 0, *size);
		break;
	}
	return bytes;
}

static void check_contents(struct storm *storm)
{
	uint64_t size, began = ++storm->now, wrong = 0;
	CLEANUP_FREE uint8_t *bytes = read_all(storm, array_block(storm), &size);

	for (uint64_t i = 0; i < size / SECTOR; i++) {
		if (!may_hold(storm, i, bytes + i * SECTOR, began) && !wrong++)
			failed(storm, "what it holds", i * SECTOR, 0);
		settle(storm, i, bytes + i * SECTOR);
	}
}

static void wait_for_rebuild(struct storm *storm)
{
	int rc = raid_rebuild_wait(storm->rig->array, NULL, NULL, SECOND, &storm->rig->error);

	if (rc)
		failed(storm, storm->rig->error.text, 0, rc);
}

enum scrub { CHECK, REPAIR, REPAIR_ANYWAY };

static uint64_t scrub(struct storm *storm, enum scrub how)
{
	struct raid_array *array = storm->rig->array;
	struct raid_status status;
	uint64_t mismatches;

	if (how == REPAIR_ANYWAY ? raid_repair_anyway(array, &storm->rig->error)
				 : raid_scrub_start(array, how == REPAIR, &storm->rig->error))
		return 0;
	wait_for_rebuild(storm);
	raid_status(array, &status);
	mismatches = status.progress.mismatches;
	raid_status_free(&status);
	return mismatches;
}

/* Ranges that logs of members name: what these lack only the others have. */
static unsigned bad_blocks(struct storm *storm)
{
	struct raid_status status;
	unsigned count = 0;

	raid_status(storm->rig->array, &status);
	for (unsigned i = 0; i < status.member_count; i++)
		count += status.members[i].state == RAID_MEMBER_IN_SYNC
				 ? status.members[i].bad_blocks
				 : 0;
	raid_status_free(&status);
	return count;
}

/*
 * Copies, or data and parity, fit each other. Copies of memory that was changed need not, until they are repaired; nor has
 * a member that did not take a write, and for which there is no spare, what its log names until then.
 */
static void check_members(struct storm *storm)
{
	uint64_t mismatches = 0;

	raid_sync_resume(storm->rig->array);
	wait_for_rebuild(storm);
	if (is_mirror(storm) && storm->kind->changing)
		scrub(storm, REPAIR_ANYWAY);
	else if (bad_blocks(storm))
		mismatches = scrub(storm, REPAIR);
	if (bad_blocks(storm))
		failed(storm, "a repair leaves bad blocks", 0, 0);
	mismatches += scrub(storm, CHECK);
	if (mismatches)
		failed(storm, "members differ", mismatches, 0);
}

/* Without `first` and `second` it is what it was. */
static void check_without(struct storm *storm, const uint8_t *whole, unsigned first,
			  unsigned second)
{
	const struct raid_assemble_options options = { .read_only = true };
	struct block *blocks[RIG_MEMBERS];
	struct raid_rig *rig = storm->rig;
	uint64_t size;
	uint8_t *bytes;
	unsigned count = 0;
	int rc;

	for (unsigned i = 0; i < RIG_MEMBERS; i++) {
		if (i != first && i != second)
			blocks[count++] = rig->disk[i];
	}
	rc = raid_assemble(&rig->array, blocks, count, &options, &rig->error);
	if (rc) {
		failed(storm, rig->error.text, 0, rc);
		return;
	}
	bytes = read_all(storm, array_block(storm), &size);
	for (uint64_t i = 0; i < size; i += SECTOR) {
		if (memcmp(bytes + i, whole + i, SECTOR)) {
			failed(storm, "without a member", i, (int)(first * 10 + second));
			break;
		}
	}
	free(bytes);
	rig_stop(rig);
}

static void check_losses(struct storm *storm)
{
	uint64_t size;
	CLEANUP_FREE uint8_t *whole = read_all(storm, array_block(storm), &size);

	CU_ASSERT(!raid_array_degraded(storm->rig->array));
	rig_stop(storm->rig);
	for (unsigned i = 0; i < storm->disks; i++) {
		check_without(storm, whole, i, i);
		for (unsigned k = i + 1; k < storm->disks && storm->kind->level == 6; k++)
			check_without(storm, whole, i, k);
	}
}

/* ---- The storm ---- */

static void create(struct storm *storm)
{
	const struct kind *kind = storm->kind;
	struct raid_create_options options = {
		.name = "storm",
		.level = kind->level,
		.layout = kind->layout,
		.chunk = kind->chunk,
		.bitmap = kind->bitmap ? kind->bitmap : RAID_BITMAP_NONE,
		.bitmap_chunk = kind->bitmap == RAID_BITMAP_INTERNAL ? 65536 : 0,
		.size = MEMBER,
		.assume_clean = below(storm, 2), /* all are zeroes */
		.rebuild_rate = below(storm, 2) ? 8u << 20 : 0,
	};
	struct raid_new_member members[RIG_MEMBERS] = { 0 };
	struct raid_rig *rig = storm->rig;
	/* With parity a reshape writes zeroes to the room that is new; at level 10 what members had there is made to agree, as with md. */
	enum what room = kind->level == 10 ? ANYTHING : ZEROES;
	uint64_t size;

	for (unsigned i = 0; i < RIG_MEMBERS; i++) {
		rig->memory[i]->logical_block_size = kind->big ? 4096 : SECTOR;
		rig->disk[i]->logical_block_size = kind->big ? 4096 : SECTOR;
		members[i].block = rig->disk[i];
		members[i].spare = i >= kind->members && i < storm->disks;
		members[i].journal = i >= storm->disks;
	}
	if (raid_create(&rig->array, members, RIG_MEMBERS, &options, &rig->error))
		failed(storm, rig->error.text, 0, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig->array);
	size = array_block(storm)->size / SECTOR;
	storm->sectors = calloc(RIG_MEMBERS * RIG_SIZE / SECTOR, sizeof(*storm->sectors));
	for (uint64_t i = 0; i < RIG_MEMBERS * RIG_SIZE / SECTOR; i++)
		storm->sectors[i] = (struct sector){ 1, { { .what = i < size ? ZEROES : room } } };
}

static void blow(struct storm *storm)
{
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 6; i++) {
			fiber_sleep(below(storm, 30000000));
			meddle(storm);
		}
		hold(storm);
		mend_disks(storm);
		check_contents(storm);
		if (below(storm, 2)) {
			check_members(storm);
			check_contents(storm);
			reshape(storm);
		}
		/* What only the others have, where that is away or its log names it, has to stay. */
		if (!raid_array_degraded(storm->rig->array) && !bad_blocks(storm))
			storm->victim = (unsigned)below(storm, storm->disks);
		storm->held = false;
	}
}

static uint64_t seed;
static unsigned reshapes;

static void storm_of(struct raid_rig *rig)
{
	struct storm storm = { .rig = rig,
			       .kind = &kinds[seed % ARRAY_SIZE(kinds)],
			       .seed = seed,
			       .random = { random_mix(seed) },
			       .trace = getenv("TRACE") != NULL };
	struct fiber *fibers[ACTORS];

	storm.disks = RIG_MEMBERS - (storm.kind->bitmap == RAID_BITMAP_JOURNAL);
	storm.members = storm.kind->members;
	storm.chunk = storm.kind->chunk;
	mend_disks(&storm);
	create(&storm);
	for (unsigned i = 0; i < ACTORS; i++)
		fibers[i] = fiber_spawn(actor, &storm);
	blow(&storm);
	storm.ended = true;
	for (unsigned i = 0; i < ACTORS; i++)
		fiber_join(fibers[i]);
	for (unsigned i = 0; i < storm.disks; i++) {
		bool known;

		while (state_of(&storm, i, &known) == RAID_MEMBER_FAULTY || !known)
			if (move_disk(&storm, i))
				break;
	}
	check_members(&storm);
	check_contents(&storm);
	check_losses(&storm);
	reshapes += storm.reshapes;
	free(storm.sectors);
}

static void test_storm(void)
{
	const char *torture = getenv("TORTURE"), *first = getenv("SEED");
	uint64_t count = torture && !strcmp(torture, "1") ? 1200 : first ? 1 : ARRAY_SIZE(kinds);
	uint64_t begin = first ? strtoull(first, NULL, 10) : 1;

	for (seed = begin; seed < begin + count && !CU_get_number_of_failures(); seed++) {
		rig_run(storm_of);
		if ((seed + 1 - begin) % 100)
			continue;
		printf("%llu of %llu\n", (unsigned long long)(seed + 1 - begin),
		       (unsigned long long)count);
		fflush(stdout);
	}
	CU_ASSERT(first || reshapes); /* they are not all refused */
}

UNIT_MAIN("raid storm", UNIT(test_storm))
