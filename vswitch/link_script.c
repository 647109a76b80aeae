/* SPDX-License-Identifier: BSD-2-Clause */
/* See link_script.h. */
#include "vswitch/link_script.h"

#include <errno.h>
#include <stdlib.h>

#include "util/error.h"

/* ---- Errors ---- */

int script_wrong_at(struct script_reader *reader, unsigned line, unsigned column, int rc)
{
	error_prefix(reader->error, "%s: line %u, column %u", reader->schedule->name, line, column);
	return rc;
}

int script_wrong_word(struct script_reader *reader, unsigned at, const char *expected)
{
	const struct script_word *word = &reader->words[at];

	if (at < reader->count)
		error_set(reader->error, -EINVAL, "\"%.40s\": expected %s", word->text, expected);
	else
		error_set(reader->error, -EINVAL, "the line ends here: expected %s", expected);
	return script_wrong_at(reader, reader->line, word->column, -EINVAL);
}

int script_no_memory(struct script_reader *reader)
{
	return error_set(reader->error, -ENOMEM, "%s: out of memory", reader->schedule->name);
}

/* ---- Steps ---- */

int script_add_step(struct script_reader *reader, const struct link_step *step)
{
	struct link_schedule *schedule = reader->schedule;

	if (reader->blocks[reader->depth].endless) {
		error_set(reader->error, -EINVAL,
			  "this is never reached: the repeat before it has no end");
		return script_wrong_at(reader, reader->line, reader->words[0].column, -EINVAL);
	}
	if (schedule->step_count + 1 >= LINK_SCHEDULE_STEPS) {
		error_set(reader->error, -EINVAL, "at most %u statements", LINK_SCHEDULE_STEPS - 2);
		return script_wrong_at(reader, reader->line, reader->words[0].column, -EINVAL);
	}
	if (schedule->step_count + 1 >= reader->room) {
		unsigned room = reader->room ? 2 * reader->room : 16;
		struct link_step *steps = realloc(schedule->steps, room * sizeof(*steps));

		if (!steps)
			return script_no_memory(reader);
		schedule->steps = steps;
		reader->room = room;
	}
	schedule->steps[schedule->step_count] = *step;
	schedule->steps[schedule->step_count++].line = reader->line;
	return 0;
}
