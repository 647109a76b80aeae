/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading a schedule; see link_schedule.h. */
#include "vswitch/link_script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"

#define TIME_MOST (1000 * 3600e9)

/* ---- Times ---- */

static int read_at(struct script_reader *reader)
{
	struct script_block *block = &reader->blocks[reader->depth];
	struct link_step step = { .kind = LINK_STEP_AT };

	if (reader->count != 2 || !link_read_span(reader->words[1].text, TIME_MOST, &step.least))
		return script_wrong_word(reader, reader->count > 2 ? 2 : 1,
					 reader->count > 2 ? "nothing after the time"
							   : "a time up to 1000h, as 10s or 5m");
	if (step.least < block->elapsed)
		return script_wrong_word(reader, 1,
					 "a time that has not passed already, by the lines before");
	block->elapsed = step.least;
	return script_add_step(reader, &step);
}

static int read_wait(struct script_reader *reader)
{
	struct script_block *block = &reader->blocks[reader->depth];
	struct link_step step = { .kind = LINK_STEP_WAIT };
	char *most = NULL;
	bool good = reader->count == 2;

	if (good && (most = strstr(reader->words[1].text, ".."))) {
		*most = '\0';
		good = link_read_span(most + 2, TIME_MOST, &step.most);
	}
	good = good && link_read_span(reader->words[1].text, TIME_MOST, &step.least);
	if (!most)
		step.most = step.least;
	else
		*most = '.';
	if (!good || step.most < step.least)
		return script_wrong_word(
			reader, reader->count > 2 ? 2 : 1,
			reader->count > 2 ? "nothing after the time"
					  : "a time up to 1000h, as 10s, or two, as 1s..20s");
	block->elapsed += step.least;
	return script_add_step(reader, &step);
}

static int read_seed(struct script_reader *reader)
{
	char *end = NULL;

	if (reader->said || reader->seeded)
		return script_wrong_word(reader, 0, "at most one seed, before all else");
	errno = 0;
	if (reader->count == 2 && *reader->words[1].text >= '0' && *reader->words[1].text <= '9')
		reader->schedule->seed = strtoull(reader->words[1].text, &end, 10);
	if (!end || *end || errno)
		return script_wrong_word(reader, MIN(reader->count, 1u), "a number");
	reader->seeded = true;
	return 0;
}

/* ---- Blocks ---- */

static int read_repeat(struct script_reader *reader)
{
	struct link_step step = { .kind = LINK_STEP_REPEAT };
	char *end;
	int rc;

	if (reader->count > 2)
		return script_wrong_word(reader, 2, "nothing after the count");
	if (reader->count == 2) {
		const char *text = reader->words[1].text;

		errno = 0;
		step.count = strtoull(text, &end, 10);
		if (*text < '1' || *text > '9' || *end || errno || step.count > 1000000000)
			return script_wrong_word(reader, 1, "how often, from 1 to 1000000000");
	}
	if (reader->depth == LINK_SCHEDULE_DEPTH)
		return script_wrong_word(reader, 0, "no more than 8 repeats in each other");
	rc = script_add_step(reader, &step);
	if (rc)
		return rc;
	reader->blocks[++reader->depth] = (struct script_block){
		.start = reader->schedule->step_count,
		.line = reader->line,
		.column = reader->words[0].column,
		.count = step.count,
	};
	return 0;
}

static int read_end(struct script_reader *reader)
{
	struct script_block *block = &reader->blocks[reader->depth], *outer = block - 1;
	struct link_step step = { .kind = LINK_STEP_END };
	unsigned __int128 all;

	if (reader->count > 1)
		return script_wrong_word(reader, 1, "nothing after \"end\"");
	if (!reader->depth)
		return script_wrong_word(reader, 0, "a repeat that it ends");
	if (block->elapsed < LINK_SCHEDULE_PASS_NS && !block->endless) {
		error_set(reader->error, -EINVAL,
			  "a pass of this repeat takes no time: expected a wait of at least 1ms "
			  "in it");
		return script_wrong_at(reader, block->line, block->column, -EINVAL);
	}
	step.start = block->start;
	step.count = block->count;
	/* Of a repeat whose body never ends there is no end to come to. */
	if (!block->endless) {
		int rc = script_add_step(reader, &step);

		if (rc)
			return rc;
	}
	all = (unsigned __int128)block->elapsed * block->count + outer->elapsed;
	outer->elapsed = (uint64_t)MIN(all, (unsigned __int128)UINT64_MAX / 16);
	outer->endless = !block->count || block->endless;
	reader->depth--;
	return 0;
}

/* ---- Lines ---- */

/* Cuts a line into its words. */
static int split(struct script_reader *reader, char *line)
{
	char *at = line;

	reader->count = 0;
	for (;;) {
		at += strspn(at, " \t\r");
		reader->words[reader->count] =
			(struct script_word){ at, (unsigned)(at - line) + 1 };
		if (!*at || *at == '#')
			return 0;
		if (reader->count == SCRIPT_WORDS)
			return script_wrong_word(reader, reader->count,
						 "at most 64 words in a line");
		reader->count++;
		at += strcspn(at, " \t\r");
		if (*at)
			*at++ = '\0';
	}
}

static int read_line(struct script_reader *reader)
{
	static const struct {
		const char *word;
		int (*read)(struct script_reader *reader);
	} statements[] = {
		{ "at", read_at },
		{ "wait", read_wait },
		{ "seed", read_seed },
		{ "repeat", read_repeat },
		{ "end", read_end },
		{ "port", script_read_port },
		{ "partition", script_read_partition },
		{ "heal", script_read_heal },
	};
	const char *first = reader->words[0].text;

	if (!reader->count)
		return 0;
	if (!strcmp(first, "seed"))
		return read_seed(reader);
	reader->said = true;
	for (size_t i = 0; i < ARRAY_SIZE(statements); i++)
		if (!strcmp(statements[i].word, first))
			return statements[i].read(reader);
	return script_read_change(reader, 0, 1);
}

static int read_all(struct script_reader *reader, char *text)
{
	char *line;
	int rc = 0;

	while (!rc && (line = strsep(&text, "\n"))) {
		reader->line++;
		rc = split(reader, line);
		if (!rc)
			rc = read_line(reader);
	}
	if (!rc && reader->depth) {
		const struct script_block *block = &reader->blocks[reader->depth];

		error_set(reader->error, -EINVAL, "this repeat has no end");
		rc = script_wrong_at(reader, block->line, block->column, -EINVAL);
	}
	if (!rc && !reader->schedule->step_count)
		rc = error_set(reader->error, -EINVAL, "%s: there is nothing in it to do",
			       reader->schedule->name);
	return rc;
}

int link_schedule_read(struct link_schedule **out, const char *name, const char *text,
		       const char *owner, const struct link_schedule_files *files,
		       struct error *error)
{
	struct link_schedule *schedule = calloc(1, sizeof(*schedule));
	CLEANUP_FREE char *copy = strdup(text);
	struct script_reader reader = { .schedule = schedule, .files = files, .error = error };
	int rc;

	if (!schedule || !copy || !(schedule->name = strdup(name))) {
		free(schedule);
		return error_set(error, -ENOMEM, "%.200s: out of memory", name);
	}
	schedule->references = 1;
	schedule->port_count = 1;
	snprintf(schedule->owner, sizeof(schedule->owner), "%s", owner);
	memcpy(schedule->ports[0], schedule->owner, sizeof(schedule->owner));
	if (strlen(text) > LINK_SCHEDULE_BYTES)
		rc = error_set(error, -EINVAL, "%s: it is %zu bytes long, at most %u are read",
			       name, strlen(text), LINK_SCHEDULE_BYTES);
	else
		rc = read_all(&reader, copy);
	for (unsigned i = 0; i < LINK_SCHEDULE_FILES; i++) {
		link_trace_drop(reader.traces[i]);
		link_table_drop(reader.tables[i]);
	}
	if (rc) {
		link_schedule_drop(schedule);
		return rc;
	}
	/* There is room: script_add_step() leaves one. */
	schedule->steps[schedule->step_count] =
		(struct link_step){ .kind = LINK_STEP_FINISH, .line = reader.line };
	*out = schedule;
	return 0;
}

struct link_schedule *link_schedule_take(struct link_schedule *schedule)
{
	__atomic_add_fetch(&schedule->references, 1, __ATOMIC_RELAXED);
	return schedule;
}

void link_schedule_drop(struct link_schedule *schedule)
{
	if (!schedule || __atomic_sub_fetch(&schedule->references, 1, __ATOMIC_ACQ_REL))
		return;
	for (unsigned i = 0; i < schedule->step_count; i++) {
		struct link_model *model = schedule->steps[i].model;

		if (model) {
			link_trace_drop(model->trace);
			link_table_drop(model->table);
		}
		free(model);
	}
	free(schedule->steps);
	free(schedule->name);
	free(schedule);
}
