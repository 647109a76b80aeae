/* SPDX-License-Identifier: BSD-2-Clause */
/* What the array holds, compared with the oracle; see run.h. */
#include <stdlib.h>
#include <string.h>

#include "tools/lab/run.h"
#include "util/bytes.h"

#define PIECE_SECTORS 128u

static bool is_legal(const struct lab_legal *legal, uint32_t version)
{
	return legal->most == LAB_ANYTHING || (version >= legal->least && version <= legal->most);
}

static void found_damage(struct lab_check *check, uint64_t sector, uint32_t version,
			 const struct lab_legal *legal, bool silent)
{
	const struct lab_damage damage = { sector, 1, version, *legal, silent };

	check->silent += silent;
	check->lost += !silent;
	check->damage(check->arg, &damage);
}

static void check_sector(struct lab_check *check, uint64_t sector, const void *at, int rc)
{
	struct lab_legal legal = lab_oracle_legal(check->oracle, sector, check->crashed);
	uint32_t version = rc ? LAB_ANYTHING : lab_oracle_version(check->oracle, sector, at);

	if (check->only_still && legal.least != legal.most)
		return;
	if (legal.most == LAB_ANYTHING) /* it was told to be lost */
		return;
	if (rc)
		found_damage(check, sector, version, &legal, false);
	else if (!is_legal(&legal, version))
		found_damage(check, sector, version, &legal, true);
	else if (check->take) {
		lab_oracle_take(check->oracle, sector, version);
		return;
	} else
		return;
	if (check->take)
		lab_oracle_forget(check->oracle, sector);
}

/* One by one where they cannot be had together. */
static void check_piece(struct lab_check *check, uint64_t sector, uint64_t count, char *bytes)
{
	uint64_t unit = check->block->logical_block_size / LAB_SECTOR;
	int rc = block_read(check->block, check->offset + sector * LAB_SECTOR, bytes,
			    count * LAB_SECTOR);

	for (uint64_t i = 0; i < count; i++) {
		if (rc && i % unit == 0 && count > unit) {
			check_piece(check, sector + i, MIN(unit, count - i), bytes);
			i += MIN(unit, count - i) - 1;
			continue;
		}
		check_sector(check, sector + i, bytes + i * LAB_SECTOR, rc);
	}
}

void lab_check_region(struct lab_check *check)
{
	CLEANUP_FREE char *bytes = malloc(PIECE_SECTORS * LAB_SECTOR);

	if (!bytes)
		abort();
	for (uint64_t at = 0, count; at < check->oracle->sectors; at += count) {
		count = MIN(PIECE_SECTORS, check->oracle->sectors - at);
		check_piece(check, at, count, bytes);
	}
}

static void note_damage(void *arg, const struct lab_damage *damage)
{
	struct lab_run *run = arg;
	struct lab_result *result = run->result;
	struct lab_damage *last =
		result->damage_count ? &result->damages[result->damage_count - 1] : NULL;

	if (last && last->silent == damage->silent &&
	    last->sector + last->count == damage->sector) {
		last->count++;
		return;
	}
	result->damages =
		realloc(result->damages, (result->damage_count + 1) * sizeof(*result->damages));
	if (!result->damages)
		abort();
	result->damages[result->damage_count++] = *damage;
}

void lab_run_check(struct lab_run *run, bool crashed)
{
	struct lab_check check = { .block = run->block,
				   .oracle = &run->oracle,
				   .offset = run->scenario->workload.offset,
				   .crashed = crashed,
				   .take = true,
				   .damage = note_damage,
				   .arg = run };

	lab_check_region(&check);
	run->result->silent += check.silent;
	run->result->lost += check.lost;
	if (check.silent + check.lost)
		lab_run_note(run, false, "%llu sectors are lost, %llu are wrong without a word",
			     (unsigned long long)check.lost, (unsigned long long)check.silent);
}

int lab_scrub(struct raid_array *array, uint64_t *mismatches, struct error *error)
{
	struct raid_status status;
	int rc = raid_rebuild_wait(array, NULL, NULL, 1000000000, error);

	if (!rc)
		rc = raid_scrub_start(array, false, error);
	if (!rc)
		rc = raid_rebuild_wait(array, NULL, NULL, 1000000000, error);
	raid_status(array, &status);
	*mismatches = status.progress.mismatches;
	raid_status_free(&status);
	return rc;
}
