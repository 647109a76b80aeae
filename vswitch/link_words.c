/* SPDX-License-Identifier: BSD-2-Clause */
/* The words that describe a bad link; see link_model.h. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "vswitch/link_model.h"

#define DELAY_MOST 3600e9 /* ns */
#define RATE_MOST  1e13   /* bits a second */
#define BURST_MOST 1e12   /* bits */

struct unit_of {
	const char *name;
	double factor;
};

static int wrong(struct error *error, const char *key, const char *value, const char *expected)
{
	return error_set(error, -EINVAL, "%s=%.40s: expected %s", key, value, expected);
}

/* A number with one of the units behind it, in [0, most]. */
static bool read_number(const char *text, const struct unit_of *units, size_t count, double most,
			double *value)
{
	char *end;
	double number;

	if ((*text < '0' || *text > '9') && *text != '.')
		return false;
	if (text[0] == '0' && (text[1] | 0x20) == 'x')
		return false;
	number = strtod(text, &end);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(end, units[i].name)) {
			*value = number * units[i].factor;
			return isfinite(number) && *value <= most;
		}
	return false;
}

bool link_read_span(const char *text, double most, uint64_t *ns)
{
	static const struct unit_of units[] = { { "ns", 1 },  { "us", 1e3 }, { "ms", 1e6 },
						{ "s", 1e9 }, { "m", 60e9 }, { "h", 3600e9 } };
	double value;

	if (!strcmp(text, "0")) {
		*ns = 0;
		return true;
	}
	if (!read_number(text, units, ARRAY_SIZE(units), most, &value))
		return false;
	*ns = (uint64_t)(value + 0.5);
	return *ns || !value; /* what is less than it can be would be none at all */
}

bool link_read_time(const char *text, uint64_t *ns)
{
	return link_read_span(text, DELAY_MOST, ns);
}

/* "0.5%" or "0.005" */
static bool read_share(const char *text, link_share *share)
{
	static const struct unit_of units[] = { { "%", 0.01 }, { "", 1 } };
	double value;

	if (!read_number(text, units, ARRAY_SIZE(units), 1, &value))
		return false;
	*share = (link_share)(value * 0x1p63 + 0.5);
	return *share || !value;
}

/* ---- One function a word; a value "none" does not get here ---- */

static int set_delay(struct link_model *model, char *value, struct error *error)
{
	return link_read_time(value, &model->delay_ns)
		       ? 0
		       : wrong(error, "delay", value,
			       "a time from 1ns to an hour, as 20ms or 1.5s");
}

static int set_jitter(struct link_model *model, char *value, struct error *error)
{
	static const char *const names[] = {
		[LINK_UNIFORM] = "uniform", [LINK_NORMAL] = "normal", [LINK_PARETO] = "pareto"
	};
	char *shape = strchr(value, ',');
	unsigned kind = LINK_UNIFORM;

	if (link_jitter_table(value)) {
		*shape = '\0';
		kind = LINK_TABLE;
	} else if (shape) {
		*shape++ = '\0';
		while (kind < ARRAY_SIZE(names) && strcmp(names[kind], shape))
			kind++;
		if (kind == ARRAY_SIZE(names))
			return wrong(error, "jitter", shape,
				     "uniform, normal, pareto or table=FILE");
	}
	model->jitter = (uint8_t)kind;
	return link_read_time(value, &model->jitter_ns)
		       ? 0
		       : wrong(error, "jitter", value, "a time from 1ns to an hour, as 2ms");
}

static int set_flag(bool *flag, const char *key, const char *value, struct error *error)
{
	if (strcmp(value, "yes") && strcmp(value, "no"))
		return wrong(error, key, value, "yes or no");
	*flag = !strcmp(value, "yes");
	return 0;
}

static int set_keep_order(struct link_model *model, char *value, struct error *error)
{
	return set_flag(&model->keep_order, "keep-order", value, error);
}

static int set_ecn(struct link_model *model, char *value, struct error *error)
{
	return set_flag(&model->ecn, "ecn", value, error);
}

static int set_states(struct link_model *model, char *values, struct error *error)
{
	link_share shares[4] = { 0, 0, 0, LINK_ALWAYS };
	unsigned count = 0;
	char *each;

	while ((each = strsep(&values, ",")))
		if (count == 4 || !read_share(each, &shares[count++]))
			return wrong(error, "loss", each,
				     "gemodel,P,R[,H[,K]], each a probability as 0.5% or 0.005");
	if (count < 2)
		return wrong(error, "loss", "gemodel", "gemodel,P,R[,H[,K]]");
	model->loss_kind = LINK_LOSS_STATES;
	model->states.p = shares[0];
	model->states.r = shares[1];
	model->states.h = shares[2];
	model->states.k = shares[3];
	return 0;
}

static bool read_packets(const char *text, uint64_t *from, uint64_t *to)
{
	char *end;

	if (*text < '1' || *text > '9')
		return false;
	errno = 0;
	*from = *to = strtoull(text, &end, 10);
	if (*end == '-' && end[1] >= '1' && end[1] <= '9')
		*to = strtoull(end + 1, &end, 10);
	return !errno && !*end && *to >= *from;
}

static int set_list(struct link_model *model, char *values, struct error *error)
{
	char *each;

	model->loss_kind = LINK_LOSS_LIST;
	while ((each = strsep(&values, ","))) {
		if (model->list_count == LINK_LIST_MAX)
			return wrong(error, "loss", each, "at most 32 packets or ranges");
		if (!read_packets(each, &model->list[model->list_count].from,
				  &model->list[model->list_count].to))
			return wrong(error, "loss", each, "list,3,7-9: packets, from 1");
		model->list_count++;
	}
	return 0;
}

/* Forgets the last one's kind, too. */
static int set_loss(struct link_model *model, char *value, struct error *error)
{
	if (!strncmp(value, "gemodel,", 8) || !strncmp(value, "gemodel=", 8))
		return set_states(model, value + 8, error);
	if (!strncmp(value, "list,", 5) || !strncmp(value, "list=", 5))
		return set_list(model, value + 5, error);
	return read_share(value, &model->loss)
		       ? 0
		       : wrong(error, "loss", value,
			       "a probability as 0.5% or 0.005, gemodel,P,R[,H[,K]] or list,3,7-9");
}

static int set_share(const char *key, const char *value, link_share *share, struct error *error)
{
	return read_share(value, share)
		       ? 0
		       : wrong(error, key, value, "a probability as 0.5% or 0.005");
}

static int set_duplicate(struct link_model *model, char *value, struct error *error)
{
	return set_share("duplicate", value, &model->duplicate, error);
}

static int set_corrupt(struct link_model *model, char *value, struct error *error)
{
	return set_share("corrupt", value, &model->corrupt, error);
}

static int set_reorder(struct link_model *model, char *value, struct error *error)
{
	return set_share("reorder", value, &model->reorder, error);
}

static const struct unit_of bit_units[] = { { "", 1 },       { "bit", 1 },    { "k", 1e3 },
					    { "K", 1e3 },    { "kbit", 1e3 }, { "M", 1e6 },
					    { "Mbit", 1e6 }, { "G", 1e9 },    { "Gbit", 1e9 },
					    { "mbit", 1e6 }, { "gbit", 1e9 } }; /* as tc has them */

static int set_rate(struct link_model *model, char *value, struct error *error)
{
	double rate;

	if (!read_number(value, bit_units, ARRAY_SIZE(bit_units), RATE_MOST, &rate) || rate < 1)
		return wrong(error, "rate", value,
			     "bits a second, from 1 to 10000G, as 50M or 1.5Gbit");
	model->rate = (uint64_t)rate;
	return 0;
}

static int set_burst(struct link_model *model, char *value, struct error *error)
{
	double burst;

	if (!read_number(value, bit_units, ARRAY_SIZE(bit_units), BURST_MOST, &burst) || burst < 1)
		return wrong(error, "burst", value, "bits, from 1 to 1000G, as 1M or 64k");
	model->burst = (uint64_t)burst;
	return 0;
}

static int set_queue(struct link_model *model, char *value, struct error *error)
{
	static const struct unit_of packets[] = { { "p", 1 } };
	double count;

	if (read_number(value, packets, 1, 1e6, &count) && count >= 1 && count == floor(count))
		model->queue_packets = (uint64_t)count;
	else if (!link_read_time(value, &model->queue_ns) || !model->queue_ns)
		return wrong(
			error, "queue", value,
			"a time above 0, up to an hour, as 100ms, or 1p to 1000000p (packets)");
	return 0;
}

static int set_seed(struct link_model *model, char *value, struct error *error)
{
	char *end;

	errno = 0;
	model->anew = true;
	model->seed = strtoull(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || errno)
		return wrong(error, "seed", value, "a whole number below 2^64");
	return 0;
}

static int set_trace(struct link_model *model, char *value, struct error *error)
{
	(void)model;
	return error_set(
		error, -EINVAL,
		"trace=%.40s: expected none; a trace is read from a file by tenon link set "
		"--trace FILE",
		value);
}

static const struct {
	const char *key;
	int (*set)(struct link_model *model, char *value, struct error *error);
} link_words[] = {
	{ "delay", set_delay },
	{ "jitter", set_jitter },
	{ "keep-order", set_keep_order },
	{ "loss", set_loss },
	{ "duplicate", set_duplicate },
	{ "corrupt", set_corrupt },
	{ "reorder", set_reorder },
	{ "rate", set_rate },
	{ "burst", set_burst },
	{ "queue", set_queue },
	{ "seed", set_seed },
	{ "ecn", set_ecn },
	{ "trace", set_trace },
};

/* What a word is about is as in a perfect link. */
static void take_back(struct link_model *model, const char *key)
{
	static const struct link_model perfect;

	if (!strcmp(key, "delay"))
		model->delay_ns = 0;
	if (!strcmp(key, "jitter")) {
		model->jitter_ns = 0;
		model->jitter = LINK_UNIFORM;
		model->table = NULL;
	}
	if (!strcmp(key, "loss")) {
		model->loss_kind = LINK_LOSS_RANDOM;
		model->loss = 0;
		model->list_count = 0;
		memset(&model->list, 0, sizeof(model->list));
		model->states = perfect.states;
	}
	if (!strcmp(key, "duplicate"))
		model->duplicate = 0;
	if (!strcmp(key, "corrupt"))
		model->corrupt = 0;
	if (!strcmp(key, "reorder"))
		model->reorder = 0;
	if (!strcmp(key, "rate"))
		model->rate = 0;
	if (!strcmp(key, "burst"))
		model->burst = 0;
	if (!strcmp(key, "queue"))
		model->queue_ns = model->queue_packets = 0;
	if (!strcmp(key, "trace"))
		model->trace = NULL;
	if (!strcmp(key, "ecn"))
		model->ecn = false;
	if (!strcmp(key, "keep-order"))
		model->keep_order = false;
	if (!strcmp(key, "seed"))
		model->seed = 0;
}

int link_model_set(struct link_model *model, const char *word, struct error *error)
{
	const char *equals = strchr(word, '=');
	size_t length = equals ? (size_t)(equals - word) : 0;

	for (size_t i = 0; equals && i < ARRAY_SIZE(link_words); i++) {
		struct link_model changed = *model;
		CLEANUP_FREE char *value = NULL;
		int rc;

		if (strlen(link_words[i].key) != length || strncmp(link_words[i].key, word, length))
			continue;
		value = strdup(equals + 1);
		if (!value)
			return error_set(error, -ENOMEM, "%s: out of memory", link_words[i].key);
		take_back(&changed, link_words[i].key);
		rc = strcmp(value, "none") ? link_words[i].set(&changed, value, error) : 0;
		if (!rc)
			*model = changed;
		return rc;
	}
	return error_set(error, -EINVAL,
			 "\"%.60s\": expected delay=, jitter=, keep-order=, loss=, duplicate=, "
			 "corrupt=, reorder=, rate=, burst=, queue=, ecn=, trace= or seed=",
			 word);
}

int link_model_check(const struct link_model *model, struct error *error)
{
	if (model->reorder && !model->delay_ns)
		return error_set(error, -EINVAL,
				 "reorder: without delay= there is nothing to pass by");
	if (model->reorder && model->keep_order)
		return error_set(error, -EINVAL, "reorder and keep-order exclude each other");
	if (model->rate && model->trace)
		return error_set(error, -EINVAL,
				 "rate and trace exclude each other: rate=none or trace=none takes "
				 "one back");
	if (model->burst && !model->rate)
		return error_set(error, -EINVAL, "burst: it is of rate=, which is not given");
	if (model->jitter == LINK_TABLE && !model->table)
		return error_set(error, -EINVAL,
				 "jitter: its table is read from a file by tenon link set --jitter "
				 "TIME,table=FILE");
	if (model->ecn && !model->loss && !model->loss_kind && !model->rate && !model->trace &&
	    !model->queue_packets)
		return error_set(
			error, -EINVAL,
			"ecn: without loss=, rate=, a trace or queue=1000p nothing is dropped that "
			"could be marked instead");
	if (model->queue_ns && !model->rate && !model->trace)
		return error_set(error, -EINVAL,
				 "queue: without rate= or a trace no packet waits its turn; "
				 "a number of packets (queue=1000p) can be limited");
	return 0;
}

/* ---- Describing ---- */

const char *link_ways_text(unsigned ways)
{
	return ways == LINK_IN ? "in" : ways == LINK_OUT ? "out" : "in and out";
}

struct words {
	char *text;
	size_t size, used;
};

static void put_word(struct words *words, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void put_word(struct words *words, const char *format, ...)
{
	va_list arguments;

	if (words->used && words->used + 1 < words->size)
		words->text[words->used++] = ' ';
	va_start(arguments, format);
	words->used += (size_t)vsnprintf(words->text + words->used, words->size - words->used,
					 format, arguments);
	va_end(arguments);
	words->used = MIN(words->used, words->size - 1);
}

static void put_time(struct words *words, const char *key, uint64_t ns, const char *more)
{
	if (!ns)
		return;
	if (ns % 1000000000 == 0)
		put_word(words, "%s=%" PRIu64 "s%s", key, ns / 1000000000, more);
	else if (ns % 1000000 == 0)
		put_word(words, "%s=%" PRIu64 "ms%s", key, ns / 1000000, more);
	else if (ns % 1000 == 0)
		put_word(words, "%s=%" PRIu64 "us%s", key, ns / 1000, more);
	else
		put_word(words, "%s=%" PRIu64 "ns%s", key, ns, more);
}

static double percent(link_share share)
{
	return (double)share * 0x1p-63 * 100;
}

static void put_share(struct words *words, const char *key, link_share share)
{
	if (share)
		put_word(words, "%s=%.9g%%", key, percent(share));
}

static void put_loss(struct words *words, const struct link_model *model)
{
	put_share(words, "loss", model->loss);
	if (model->loss_kind == LINK_LOSS_STATES)
		put_word(words, "loss=gemodel,%.9g%%,%.9g%%,%.9g%%,%.9g%%",
			 percent(model->states.p), percent(model->states.r),
			 percent(model->states.h), percent(model->states.k));
	if (model->loss_kind != LINK_LOSS_LIST)
		return;
	put_word(words, "loss=list");
	for (unsigned i = 0; i < model->list_count && words->used + 48 < words->size; i++) {
		uint64_t from = model->list[i].from, to = model->list[i].to;
		char *at = words->text + words->used;

		words->used += (size_t)(to > from ? sprintf(at, ",%" PRIu64 "-%" PRIu64, from, to)
						  : sprintf(at, ",%" PRIu64, from));
	}
}

void link_model_describe(const struct link_model *model, char *text, size_t size)
{
	static const char *const shapes[] = { "", ",normal", ",pareto" };
	struct words words = { text, size, 0 };
	char table[LINK_TABLE_NAME_MAX + 8];

	text[0] = '\0';
	put_time(&words, "delay", model->delay_ns, "");
	snprintf(table, sizeof(table), ",table=%s", model->table ? model->table->name : "");
	put_time(&words, "jitter", model->jitter_ns,
		 model->jitter == LINK_TABLE ? table : shapes[model->jitter]);
	if (model->keep_order)
		put_word(&words, "keep-order=yes");
	put_loss(&words, model);
	put_share(&words, "duplicate", model->duplicate);
	put_share(&words, "corrupt", model->corrupt);
	put_share(&words, "reorder", model->reorder);
	if (model->rate)
		put_word(&words, "rate=%" PRIu64, model->rate);
	if (model->burst)
		put_word(&words, "burst=%" PRIu64, model->burst);
	if (model->trace)
		put_word(&words, "trace=%s", model->trace->name);
	put_time(&words, "queue", model->queue_ns, "");
	if (model->queue_packets)
		put_word(&words, "queue=%" PRIu64 "p", model->queue_packets);
	if (model->ecn)
		put_word(&words, "ecn=yes");
	if (model->seed)
		put_word(&words, "seed=%" PRIu64, model->seed);
}
