/* SPDX-License-Identifier: BSD-2-Clause */
/* Moments and single operations as people write them; see scenario.h. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lab/scenario.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/number.h"
#include "util/spelling.h"

static const char *const states[] = { "clean",     "dirty",   "degraded", "rebuilding",
				      "resyncing", "rebuilt", "idle",     "done" };
static const char *const counted[] = {
	[LAB_AT_WRITE] = "write", [LAB_AT_FLUSH] = "flush", [LAB_AT_SECTOR] = "sector"
};

static int parse_percent(const char *text, uint64_t *thousandths, struct error *error)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || strcmp(end, "%") != 0 || !(value >= 0 && value <= 100))
		return error_set(error, -EINVAL, "'%s': expected 0%% to 100%% of the rebuild",
				 text);
	*thousandths = (uint64_t)lround(value * 1000);
	return 0;
}

static int parse_one(enum lab_moment_kind kind, const char *text, uint64_t *value,
		     struct error *error)
{
	if (kind == LAB_AT_TIME)
		return lab_duration_parse(text, value, error);
	if (kind == LAB_AT_PERCENT)
		return parse_percent(text, value, error);
	return number_parse(text, 0, INT64_MAX, value, error);
}

/* VALUE, or VALUE..VALUE. */
static int parse_values(struct lab_moment *moment, const char *text, struct error *error)
{
	const char *dots = strstr(text, "..");
	char first[64];
	int rc;

	if (!dots) {
		rc = parse_one(moment->kind, text, &moment->least, error);
		moment->most = moment->least;
		return rc;
	}
	snprintf(first, sizeof(first), "%.*s", (int)(dots - text), text);
	rc = parse_one(moment->kind, first, &moment->least, error);
	if (!rc)
		rc = parse_one(moment->kind, dots + 2, &moment->most, error);
	if (!rc && moment->most < moment->least)
		rc = error_set(error, -EINVAL, "'%s': the second is less than the first", text);
	return rc;
}

int lab_moment_parse(const char *text, void *at, struct error *error)
{
	struct lab_moment *moment = at;
	struct spelling spelling = { .word = text };
	const char *space = strchr(text, ' ');

	*moment = (struct lab_moment){ .said = true };
	for (unsigned i = 0; i < ARRAY_SIZE(states); i++) {
		spelling_consider(&spelling, states[i]);
		if (strcmp(states[i], text) != 0)
			continue;
		moment->kind = LAB_AT_STATE;
		moment->state = (enum lab_state)i;
		return 0;
	}
	for (unsigned i = LAB_AT_WRITE; space && i <= LAB_AT_SECTOR; i++) {
		if (strncmp(text, counted[i], (size_t)(space - text)) != 0 ||
		    strlen(counted[i]) != (size_t)(space - text))
			continue;
		moment->kind = (enum lab_moment_kind)i;
		return parse_values(moment, space + 1, error);
	}
	if (*text >= '0' && *text <= '9') {
		moment->kind = strchr(text, '%') ? LAB_AT_PERCENT : LAB_AT_TIME;
		return parse_values(moment, text, error);
	}
	error_set(error, -EINVAL,
		  "'%s' is no moment: expected 10s, 1s..5s, 50%%, write 120, flush 3, sector 2048, "
		  "or a state",
		  text);
	if (spelling.closest)
		return error_advise(error, "did you mean '%s'?", spelling.closest);
	return error_advise(error, "states are clean, dirty, degraded, rebuilding, resyncing, "
				   "rebuilt, idle, done");
}

static void format_one(const struct lab_moment *moment, uint64_t value, char *text, size_t size)
{
	char duration[LAB_DURATION_TEXT];

	if (moment->kind == LAB_AT_TIME)
		snprintf(text, size, "%s", lab_duration_format(value, duration));
	else if (moment->kind == LAB_AT_PERCENT)
		snprintf(text, size, "%g%%", (double)value / 1000);
	else
		snprintf(text, size, "%llu", (unsigned long long)value);
}

char *lab_moment_format(const struct lab_moment *moment, char text[LAB_MOMENT_TEXT])
{
	bool numbered = moment->kind == LAB_AT_WRITE || moment->kind == LAB_AT_FLUSH ||
			moment->kind == LAB_AT_SECTOR;
	char first[LAB_DURATION_TEXT], second[LAB_DURATION_TEXT];

	if (moment->kind == LAB_AT_STATE) {
		snprintf(text, LAB_MOMENT_TEXT, "%s", states[moment->state]);
		return text;
	}
	format_one(moment, moment->least, first, sizeof(first));
	format_one(moment, moment->most, second, sizeof(second));
	snprintf(text, LAB_MOMENT_TEXT, "%s%s%s%s%s", numbered ? counted[moment->kind] : "",
		 numbered ? " " : "", first, moment->most != moment->least ? ".." : "",
		 moment->most != moment->least ? second : "");
	return text;
}

static const char *const ops[] = { "write", "read", "flush", "fua", "wait" };

char *lab_op_format(const struct lab_op *op, char text[LAB_OP_TEXT])
{
	char duration[LAB_DURATION_TEXT];

	if (op->kind == LAB_OP_FLUSH)
		snprintf(text, LAB_OP_TEXT, "flush");
	else if (op->kind == LAB_OP_WAIT)
		snprintf(text, LAB_OP_TEXT, "wait %s", lab_duration_format(op->count, duration));
	else
		snprintf(text, LAB_OP_TEXT, "%s %llu %llu", ops[op->kind],
			 (unsigned long long)op->sector, (unsigned long long)op->count);
	return text;
}

/* "write SECTOR COUNT", "fua SECTOR COUNT", "read SECTOR COUNT", "flush", "wait 10ms". */
int lab_op_parse(const char *text, struct lab_op *op, struct error *error)
{
	char word[16], first[32], second[32];
	int count = sscanf(text, "%15s %31s %31s", word, first, second);
	unsigned kind = 0;
	int rc = 0;

	while (count > 0 && kind < ARRAY_SIZE(ops) && strcmp(ops[kind], word) != 0)
		kind++;
	if (count < 1 || kind == ARRAY_SIZE(ops))
		return error_set(error, -EINVAL,
				 "'%s': expected write SECTOR COUNT, fua SECTOR COUNT, read SECTOR "
				 "COUNT, flush or wait DURATION",
				 text);
	*op = (struct lab_op){ .kind = (enum lab_op_kind)kind };
	if (op->kind == LAB_OP_FLUSH)
		return 0;
	if (op->kind == LAB_OP_WAIT)
		return count < 2 ? error_set(error, -EINVAL, "'%s': how long?", text)
				 : lab_duration_parse(first, &op->count, error);
	if (count < 3)
		return error_set(error, -EINVAL, "'%s': expected %s SECTOR COUNT", text, word);
	rc = number_parse(first, 0, INT64_MAX, &op->sector, error);
	return rc ? rc : number_parse(second, 1, 8192, &op->count, error);
}
