/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading a schedule; see link_schedule.h. */
#include "vswitch/link_schedule.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "vswitch/switch.h"

#define WORDS_MOST 64
#define TIME_MOST  (1000 * 3600e9)

struct script_word {
	char *text;
	unsigned column; /* from 1 */
};

/* A block: the script, or a repeat. */
struct script_block {
	unsigned start; /* the step after its REPEAT */
	unsigned line, column;
	uint64_t count;
	uint64_t elapsed; /* since the pass began, at least */
	bool endless;     /* what follows is never reached */
};

struct script_reader {
	struct link_schedule *schedule;
	const struct link_schedule_files *files;
	struct link_trace *traces[LINK_SCHEDULE_FILES]; /* of these, as they are needed */
	struct error *error;
	unsigned line, room;
	bool seeded, said; /* there was a seed; anything but a seed */
	struct script_word words[WORDS_MOST + 1];
	unsigned count;
	struct script_block blocks[LINK_SCHEDULE_DEPTH + 1];
	unsigned depth;
};

/* ---- Errors ---- */

static int wrong_at(struct script_reader *reader, unsigned line, unsigned column, int rc)
{
	error_prefix(reader->error, "%s: line %u, column %u", reader->schedule->name, line, column);
	return rc;
}

/* At a word; `at` may be the one after the last, where something is missing. */
static int wrong_word(struct script_reader *reader, unsigned at, const char *expected)
{
	const struct script_word *word = &reader->words[at];

	if (at < reader->count)
		error_set(reader->error, -EINVAL, "\"%.40s\": expected %s", word->text, expected);
	else
		error_set(reader->error, -EINVAL, "the line ends here: expected %s", expected);
	return wrong_at(reader, reader->line, word->column, -EINVAL);
}

static int no_memory(struct script_reader *reader)
{
	return error_set(reader->error, -ENOMEM, "%s: out of memory", reader->schedule->name);
}

/* ---- Steps ---- */

static int add_step(struct script_reader *reader, const struct link_step *step)
{
	struct link_schedule *schedule = reader->schedule;

	if (reader->blocks[reader->depth].endless) {
		error_set(reader->error, -EINVAL,
			  "this is never reached: the repeat before it has no end");
		return wrong_at(reader, reader->line, reader->words[0].column, -EINVAL);
	}
	if (schedule->step_count + 1 >= LINK_SCHEDULE_STEPS) {
		error_set(reader->error, -EINVAL, "at most %u statements", LINK_SCHEDULE_STEPS - 2);
		return wrong_at(reader, reader->line, reader->words[0].column, -EINVAL);
	}
	if (schedule->step_count + 1 >= reader->room) {
		unsigned room = reader->room ? 2 * reader->room : 16;
		struct link_step *steps = realloc(schedule->steps, room * sizeof(*steps));

		if (!steps)
			return no_memory(reader);
		schedule->steps = steps;
		reader->room = room;
	}
	schedule->steps[schedule->step_count] = *step;
	schedule->steps[schedule->step_count++].line = reader->line;
	return 0;
}

/* ---- Times ---- */

static int read_at(struct script_reader *reader)
{
	struct script_block *block = &reader->blocks[reader->depth];
	struct link_step step = { .kind = LINK_STEP_AT };

	if (reader->count != 2 || !link_read_span(reader->words[1].text, TIME_MOST, &step.least))
		return wrong_word(reader, reader->count > 2 ? 2 : 1,
				  reader->count > 2 ? "nothing after the time"
						    : "a time, as 10s or 5m");
	if (step.least < block->elapsed)
		return wrong_word(reader, 1,
				  "a time that has not passed already, by the lines before");
	block->elapsed = step.least;
	return add_step(reader, &step);
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
		return wrong_word(reader, reader->count > 2 ? 2 : 1,
				  reader->count > 2 ? "nothing after the time"
						    : "a time, as 10s, or two, as 1s..20s");
	block->elapsed += step.least;
	return add_step(reader, &step);
}

static int read_seed(struct script_reader *reader)
{
	char *end = NULL;

	if (reader->said || reader->seeded)
		return wrong_word(reader, 0, "at most one seed, before all else");
	errno = 0;
	if (reader->count == 2 && *reader->words[1].text >= '0' && *reader->words[1].text <= '9')
		reader->schedule->seed = strtoull(reader->words[1].text, &end, 10);
	if (!end || *end || errno)
		return wrong_word(reader, MIN(reader->count, 1u), "a number");
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
		return wrong_word(reader, 2, "nothing after the count");
	if (reader->count == 2) {
		const char *text = reader->words[1].text;

		errno = 0;
		step.count = strtoull(text, &end, 10);
		if (*text < '1' || *text > '9' || *end || errno || step.count > 1000000000)
			return wrong_word(reader, 1, "how often, from 1 to 1000000000");
	}
	if (reader->depth == LINK_SCHEDULE_DEPTH)
		return wrong_word(reader, 0, "no more than 8 repeats in each other");
	rc = add_step(reader, &step);
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
		return wrong_word(reader, 1, "nothing after \"end\"");
	if (!reader->depth)
		return wrong_word(reader, 0, "a repeat that it ends");
	if (block->elapsed < LINK_SCHEDULE_PASS_NS && !block->endless) {
		error_set(reader->error, -EINVAL,
			  "a pass of this repeat takes no time: expected a wait of at least 1ms "
			  "in it");
		return wrong_at(reader, block->line, block->column, -EINVAL);
	}
	step.start = block->start;
	step.count = block->count;
	/* Of a repeat whose body never ends there is no end to come to. */
	if (!block->endless) {
		int rc = add_step(reader, &step);

		if (rc)
			return rc;
	}
	all = (unsigned __int128)block->elapsed * block->count + outer->elapsed;
	outer->elapsed = (uint64_t)MIN(all, (unsigned __int128)UINT64_MAX / 16);
	outer->endless = !block->count || block->endless;
	reader->depth--;
	return 0;
}

/* ---- Ports ---- */

/* The number of a port, which is one of the schedule's from now on. */
static int port_number(struct script_reader *reader, unsigned at, const char *name,
		       unsigned *number)
{
	struct link_schedule *schedule = reader->schedule;
	int rc = vswitch_check_port_name(name, reader->error);

	if (rc)
		return wrong_at(reader, reader->line, reader->words[at].column, rc);
	for (*number = 0; *number < schedule->port_count; (*number)++)
		if (!strcmp(schedule->ports[*number], name))
			return 0;
	if (schedule->port_count == LINK_SCHEDULE_PORTS)
		return wrong_word(reader, at, "no more than 64 ports in one schedule");
	strcpy(schedule->ports[schedule->port_count++], name);
	return 0;
}

/* Ports apart by commas, each once. */
static int read_ports(struct script_reader *reader, unsigned at, uint64_t *ports)
{
	char *rest = reader->words[at].text, *name;

	*ports = 0;
	while ((name = strsep(&rest, ","))) {
		unsigned number;
		int rc = port_number(reader, at, name, &number);

		if (rc)
			return rc;
		if (*ports >> number & 1) {
			error_set(reader->error, -EINVAL, "port %s: it is here twice", name);
			return wrong_at(reader, reader->line, reader->words[at].column, -EINVAL);
		}
		*ports |= 1ULL << number;
	}
	return 0;
}

static int add_side(struct script_reader *reader, uint64_t ports, unsigned side)
{
	return add_step(reader, &(struct link_step){
					.kind = LINK_STEP_SIDE, .ports = ports, .side = side });
}

static int read_partition(struct script_reader *reader)
{
	uint64_t named = 0, ports[WORDS_MOST] = { 0 };
	int rc = 0;

	if (reader->count < 3)
		return wrong_word(reader, reader->count, "two groups of ports or more, as a,b c,d");
	for (unsigned i = 1; i < reader->count; i++) {
		rc = read_ports(reader, i, &ports[i]);
		if (rc)
			return rc;
		if (named & ports[i])
			return wrong_word(reader, i, "ports that are in no group before");
		named |= ports[i];
	}
	rc = add_side(reader, ~named, 0);
	for (unsigned i = 1; i < reader->count && !rc; i++)
		rc = add_side(reader, ports[i], i);
	return rc;
}

static int read_heal(struct script_reader *reader)
{
	if (reader->count > 1)
		return wrong_word(reader, 1, "nothing after \"heal\"");
	return add_side(reader, UINT64_MAX, 0);
}

/* ---- What happens to links ---- */

static unsigned read_ways(struct script_reader *reader, unsigned *at)
{
	const char *word = *at < reader->count ? reader->words[*at].text : "";

	if (strcmp(word, "in") && strcmp(word, "out"))
		return LINK_IN | LINK_OUT;
	(*at)++;
	return strcmp(word, "in") ? LINK_OUT : LINK_IN;
}

/* The steps that have it share it. */
static int take_trace(struct script_reader *reader, struct link_model *model, const char *name)
{
	const struct link_schedule_files *files = reader->files;

	model->trace = NULL;
	if (!strcmp(name, "none"))
		return 0;
	for (unsigned i = 0; files && i < files->count; i++) {
		int rc = 0;

		if (strcmp(files->list[i].name, name) != 0)
			continue;
		if (!reader->traces[i])
			rc = link_trace_read(&reader->traces[i], name, files->list[i].text,
					     reader->error);
		model->trace = reader->traces[i];
		return rc;
	}
	return error_set(reader->error, -EINVAL,
			 "trace=%.40s: this file was not given with the schedule", name);
}

static int add_model(struct script_reader *reader, struct link_step *step, unsigned at)
{
	struct link_model model = { 0 };
	unsigned first = at;
	int rc = 0;

	for (; at < reader->count; at++) {
		const char *word = reader->words[at].text;

		rc = strncmp(word, "trace=", 6) != 0 ? link_model_set(&model, word, reader->error)
						     : take_trace(reader, &model, word + 6);
		if (rc)
			return wrong_at(reader, reader->line, reader->words[at].column, rc);
	}
	rc = link_model_check(&model, reader->error);
	if (rc)
		return wrong_at(reader, reader->line, reader->words[first].column, rc);
	step->kind = LINK_STEP_MODEL;
	step->model = malloc(sizeof(model));
	if (!step->model)
		return no_memory(reader);
	*step->model = model;
	rc = add_step(reader, step);
	if (rc)
		free(step->model);
	else
		link_trace_take(model.trace);
	return rc;
}

static int read_change(struct script_reader *reader, unsigned at, uint64_t ports)
{
	struct link_step step = { .ports = ports };
	const char *what = at < reader->count ? reader->words[at].text : "";
	unsigned next = at + 1;

	step.ways = (uint8_t)read_ways(reader, &next);
	if (!strcmp(what, "set") && next == reader->count)
		return wrong_word(reader, next, "what the link is to be, as delay=20ms");
	if (!strcmp(what, "set"))
		return add_model(reader, &step, next);
	if (strcmp(what, "down") && strcmp(what, "up") && strcmp(what, "clear"))
		return wrong_word(
			reader, at,
			at ? "down, up, set or clear"
			   : "at, wait, repeat, end, port, down, up, set, clear, partition, "
			     "heal or seed");
	if (next < reader->count)
		return wrong_word(reader, next,
				  next == at + 1 ? "in, out or nothing" : "nothing more");
	if (!strcmp(what, "clear"))
		return add_model(reader, &step, next);
	step.kind = strcmp(what, "down") ? LINK_STEP_UP : LINK_STEP_DOWN;
	return add_step(reader, &step);
}

static int read_port(struct script_reader *reader)
{
	uint64_t ports;
	int rc;

	if (reader->count < 2)
		return wrong_word(reader, 1, "a port, or several as a,b");
	rc = read_ports(reader, 1, &ports);
	return rc ? rc : read_change(reader, 2, ports);
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
		if (reader->count == WORDS_MOST)
			return wrong_word(reader, reader->count, "at most 64 words in a line");
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
		{ "port", read_port },
		{ "partition", read_partition },
		{ "heal", read_heal },
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
	return read_change(reader, 0, 1);
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
		rc = wrong_at(reader, block->line, block->column, -EINVAL);
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
	for (unsigned i = 0; i < LINK_SCHEDULE_FILES; i++)
		link_trace_drop(reader.traces[i]);
	if (rc) {
		link_schedule_drop(schedule);
		return rc;
	}
	/* There is room: add_step() leaves one. */
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
		if (schedule->steps[i].model)
			link_trace_drop(schedule->steps[i].model->trace);
		free(schedule->steps[i].model);
	}
	free(schedule->steps);
	free(schedule->name);
	free(schedule);
}
