/* SPDX-License-Identifier: BSD-2-Clause */
/* The statements of a schedule that change links; see link_schedule.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "vswitch/link_script.h"
#include "vswitch/switch.h"

/* ---- Ports ---- */

/* The number of a port, which is one of the schedule's from now on. */
static int port_number(struct script_reader *reader, unsigned at, const char *name,
		       unsigned *number)
{
	struct link_schedule *schedule = reader->schedule;
	int rc = vswitch_check_port_name(name, reader->error);

	if (rc)
		return script_wrong_at(reader, reader->line, reader->words[at].column, rc);
	for (*number = 0; *number < schedule->port_count; (*number)++)
		if (!strcmp(schedule->ports[*number], name))
			return 0;
	if (schedule->port_count == LINK_SCHEDULE_PORTS)
		return script_wrong_word(reader, at, "no more than 64 ports in one schedule");
	strcpy(schedule->ports[schedule->port_count++], name);
	return 0;
}

/* Ports apart by commas, each once. */
static int read_ports(struct script_reader *reader, unsigned at, uint64_t *ports)
{
	char *rest = reader->words[at].text, *name;

	*ports = 0;
	while ((name = strsep(&rest, ","))) {
		unsigned number = 0;
		int rc = port_number(reader, at, name, &number);

		if (rc)
			return rc;
		if (*ports >> number & 1) {
			error_set(reader->error, -EINVAL, "port %s: it is here twice", name);
			return script_wrong_at(reader, reader->line, reader->words[at].column,
					       -EINVAL);
		}
		*ports |= 1ULL << number;
	}
	return 0;
}

static int add_side(struct script_reader *reader, uint64_t ports, unsigned side)
{
	return script_add_step(reader, &(struct link_step){ .kind = LINK_STEP_SIDE,
							    .ports = ports,
							    .side = side });
}

int script_read_partition(struct script_reader *reader)
{
	uint64_t named = 0, ports[SCRIPT_WORDS] = { 0 };
	int rc = 0;

	if (reader->count < 3)
		return script_wrong_word(reader, reader->count,
					 "two groups of ports or more, as a,b c,d");
	for (unsigned i = 1; i < reader->count; i++) {
		rc = read_ports(reader, i, &ports[i]);
		if (rc)
			return rc;
		if (named & ports[i])
			return script_wrong_word(reader, i, "ports that are in no group before");
		named |= ports[i];
	}
	rc = add_side(reader, ~named, 0);
	for (unsigned i = 1; i < reader->count && !rc; i++)
		rc = add_side(reader, ports[i], i);
	return rc;
}

int script_read_heal(struct script_reader *reader)
{
	if (reader->count > 1)
		return script_wrong_word(reader, 1, "nothing after \"heal\"");
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

/* The number of a file that was given with the schedule; -EINVAL: it was not. */
static int file_number(struct script_reader *reader, const char *what, const char *name)
{
	const struct link_schedule_files *files = reader->files;

	for (unsigned i = 0; files && i < files->count; i++)
		if (!strcmp(files->list[i].name, name))
			return (int)i;
	return error_set(reader->error, -EINVAL,
			 "%s=%.40s: this file was not given with the schedule", what, name);
}

/* The steps that have it share it. */
static int take_trace(struct script_reader *reader, struct link_model *model, const char *name)
{
	int at, rc = 0;

	model->trace = NULL;
	if (!strcmp(name, "none"))
		return 0;
	at = file_number(reader, "trace", name);
	if (at < 0)
		return at;
	if (!reader->traces[at])
		rc = link_trace_read(&reader->traces[at], name, reader->files->list[at].text,
				     reader->error);
	model->trace = reader->traces[at];
	return rc;
}

static int take_table(struct script_reader *reader, struct link_model *model, const char *name)
{
	int at = file_number(reader, "table", name), rc = 0;

	if (at < 0)
		return at;
	if (!reader->tables[at])
		rc = link_table_read(&reader->tables[at], name, reader->files->list[at].text,
				     reader->error);
	model->table = reader->tables[at];
	return rc;
}

static int take_word(struct script_reader *reader, struct link_model *model, const char *word)
{
	const char *table = strncmp(word, "jitter=", 7) != 0 ? NULL : link_jitter_table(word + 7);
	int rc;

	if (!strncmp(word, "trace=", 6))
		return take_trace(reader, model, word + 6);
	rc = link_model_set(model, word, reader->error);
	return rc || !table ? rc : take_table(reader, model, table);
}

static int add_model(struct script_reader *reader, struct link_step *step, unsigned at)
{
	struct link_model model = { 0 };
	unsigned first = at;
	int rc = 0;

	for (; at < reader->count; at++) {
		rc = take_word(reader, &model, reader->words[at].text);
		if (rc)
			return script_wrong_at(reader, reader->line, reader->words[at].column, rc);
	}
	rc = link_model_check(&model, reader->error);
	if (rc)
		return script_wrong_at(reader, reader->line, reader->words[first].column, rc);
	step->kind = LINK_STEP_MODEL;
	step->model = malloc(sizeof(model));
	if (!step->model)
		return script_no_memory(reader);
	*step->model = model;
	rc = script_add_step(reader, step);
	if (rc) {
		free(step->model);
		return rc;
	}
	link_trace_take(model.trace);
	link_table_take(model.table);
	return 0;
}

int script_read_change(struct script_reader *reader, unsigned at, uint64_t ports)
{
	struct link_step step = { .ports = ports };
	const char *what = at < reader->count ? reader->words[at].text : "";
	unsigned next = at + 1;

	step.ways = (uint8_t)read_ways(reader, &next);
	if (!strcmp(what, "set") && next == reader->count)
		return script_wrong_word(reader, next, "what the link is to be, as delay=20ms");
	if (!strcmp(what, "set"))
		return add_model(reader, &step, next);
	if (strcmp(what, "down") && strcmp(what, "up") && strcmp(what, "clear"))
		return script_wrong_word(
			reader, at,
			at ? "down, up, set or clear"
			   : "at, wait, repeat, end, port, down, up, set, clear, partition, "
			     "heal or seed");
	if (next < reader->count)
		return script_wrong_word(reader, next,
					 next == at + 1 ? "in, out or nothing" : "nothing more");
	if (!strcmp(what, "clear"))
		return add_model(reader, &step, next);
	step.kind = strcmp(what, "down") ? LINK_STEP_UP : LINK_STEP_DOWN;
	return script_add_step(reader, &step);
}

int script_read_port(struct script_reader *reader)
{
	uint64_t ports;
	int rc;

	if (reader->count < 2)
		return script_wrong_word(reader, 1, "a port, or several as a,b");
	rc = read_ports(reader, 1, &ports);
	return rc ? rc : script_read_change(reader, 2, ports);
}
