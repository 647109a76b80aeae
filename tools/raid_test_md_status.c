/* SPDX-License-Identifier: BSD-2-Clause */
/* How an array of the kernel's md stands: what /sys says, as what one of ours says of itself. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/raid.h"
#include "tools/lab/run.h"
#include "tools/raid_test_md.h"
#include "tools/uml.h"
#include "util/bytes.h"
#include "util/cleanup.h"

#define LEFT_NS (20 * MD_SECOND_NS) /* md takes a spare within milliseconds, or never */

/* What the files say, one behind the other. */
static const char *next(const char **at)
{
	const char *text = *at;

	*at += strlen(text) + 1;
	return text;
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static enum raid_operation operation_of(const char *action)
{
	static const struct {
		const char *word;
		enum raid_operation operation;
	} words[] = {
		{ "resync", RAID_RESYNC },
		{ "recover", RAID_RECOVER },
		{ "check", RAID_CHECK },
		{ "repair", RAID_REPAIR },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		if (begins(action, words[i].word))
			return words[i].operation;
	return RAID_IDLE;
}

static bool copies_are_gone(const struct lab_run *run, const bool *in_sync)
{
	const struct md *md = run->machine;
	unsigned disks = (unsigned)run->scenario->array.members;
	unsigned near = md->layout & 0xff, copies = near * (md->layout >> 8 & 0xff), first = 0;

	/* As md's own enough(). */
	do {
		bool there = false;

		for (unsigned i = 0; i < copies; i++)
			there = there || in_sync[(first + i) % disks];
		if (!there)
			return true;
		first = (first + near) % disks;
	} while (first);
	return false;
}

static bool has_failed(const struct lab_run *run, const struct raid_status *status,
		       const bool *in_sync)
{
	unsigned away = status->raid_disks - status->working;

	switch (status->level) {
	case RAID_LEVEL_1:
		return !status->working;
	case RAID_LEVEL_10:
		return copies_are_gone(run, in_sync);
	case RAID_LEVEL_6:
		return away > 2;
	case RAID_LEVEL_4:
	case RAID_LEVEL_5:
		return away > 1;
	default:
		return away > 0;
	}
}

/* "faulty", "in_sync", "spare", "replacement" and others, with commas between; a slot is a number or "none". */
static void take_member(struct raid_member_status *member, const char *state, const char *slot,
			const char *errors)
{
	member->role = *slot >= '0' && *slot <= '9' ? atoi(slot) : -1;
	member->corrected = strtoull(errors, NULL, 10);
	member->replaces = strstr(state, "replacement") != NULL;
	member->state = strstr(state, "faulty")    ? RAID_MEMBER_FAULTY
			: strstr(state, "journal") ? RAID_MEMBER_JOURNAL
			: strstr(state, "in_sync") ? RAID_MEMBER_IN_SYNC
			: member->role >= 0        ? RAID_MEMBER_REBUILDING
						   : RAID_MEMBER_SPARE;
}

static char *ask_state(struct lab_run *run)
{
	const struct uml_call call = { .kind = UML_LOOK };
	struct md *md = run->machine;
	CLEANUP_FREE char *text = calloc(1, UML_TEXT + 64), *paths = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&paths, &length);
	char name[16];

	if (!text || !to)
		abort();
	fputs(MD "array_state\n" MD "sync_action\n" MD "sync_completed\n" MD "sync_speed\n" MD
		 "mismatch_cnt",
	      to);
	for (unsigned i = 0; i < run->scenario->disk_count; i++) {
		uml_disk_name(i, name);
		fprintf(to, "\n" MD "dev-%s/state\n" MD "dev-%s/slot\n" MD "dev-%s/errors", name,
			name, name);
	}
	fclose(to);
	return uml_ask(md->uml, &call, paths, text, NULL) ? NULL : steal_pointer(&text);
}

static void take_progress(struct md *md, const char *completed, const char *speed,
			  struct raid_progress *progress)
{
	uint64_t position = 0, total = 0;

	if (sscanf(completed, "%" SCNu64 " / %" SCNu64, &position, &total) == 2) {
		progress->position = position * LAB_SECTOR;
		progress->total = total * LAB_SECTOR;
	}
	md->sync_total = total;
	progress->rate = strtoull(speed, NULL, 10) << 10;
}

static void tell_line(void *arg, const char *text)
{
	if (!strstr(text, " operational as ") && !strstr(text, "detected capacity"))
		lab_run_note(arg, false, "%s", text);
}

void raid_test_md_listen(struct lab_run *run)
{
	uml_console(((struct md *)run->machine)->uml, "md", tell_line, run);
}

void raid_test_md_status(struct lab_run *run, struct raid_status *status)
{
	struct md *md = run->machine;
	CLEANUP_FREE char *text = ask_state(run);
	const char *at = text, *state, *completed;
	bool in_sync[LAB_DISKS] = { false }, left;
	unsigned spares = 0;

	*status = (struct raid_status){ .level = run->scenario->array.level,
					.raid_disks = (unsigned)run->scenario->array.members,
					.member_count = run->scenario->disk_count };
	status->members = calloc(status->member_count, sizeof(*status->members));
	if (!status->members)
		abort();
	/* Without an answer nothing is known but that nobody can use it. */
	status->failed = status->degraded = !text;
	if (!text && run->block && !md->uml->up && !md->gone) {
		md->gone = md->idle = true;
		lab_run_note(run, false, "the guest is no more");
	}
	if (!text)
		return;
	raid_test_md_listen(run);
	state = next(&at);
	status->clean = !begins(state, "active\n") && !begins(state, "write-pending");
	status->progress.operation = operation_of(next(&at));
	completed = next(&at);
	take_progress(md, completed, next(&at), &status->progress);
	status->progress.mismatches = strtoull(next(&at), NULL, 10) * LAB_SECTOR;
	for (unsigned i = 0; i < status->member_count; i++) {
		struct raid_member_status *member = &status->members[i];
		const char *of = next(&at), *slot = next(&at);

		take_member(member, of, slot, next(&at));
		spares += *of && member->state == RAID_MEMBER_SPARE;
		status->counters.members_failed += member->state == RAID_MEMBER_FAULTY;
		if (member->state != RAID_MEMBER_IN_SYNC || member->role < 0 ||
		    in_sync[member->role % LAB_DISKS])
			continue;
		in_sync[member->role % LAB_DISKS] = true;
		status->working++;
	}
	status->degraded = status->working < status->raid_disks;
	status->failed = has_failed(run, status, in_sync);
	/* With the end of an operation md forgets how far it was to come. */
	if (status->progress.operation == RAID_IDLE && !md->idle)
		md->sync_max = MD_NOT_KNOWN;
	/* Once a member was to fail that is the last with data, md fills no other until it is assembled again. */
	left = status->progress.operation == RAID_IDLE && status->degraded && !status->failed &&
	       spares;
	md->left_ns = !left ? 0 : md->left_ns ? md->left_ns : lab_run_now(run);
	md->idle = status->progress.operation == RAID_IDLE &&
		   (!left || lab_run_now(run) - md->left_ns > LEFT_NS);
}
