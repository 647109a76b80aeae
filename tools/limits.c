/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits as people write them; see limits.h. */
#include "tools/limits.h"

#include <errno.h>
#include <string.h>

#include "tools/cli.h"
#include "tools/lab/decode.h"
#include "util/number.h"

/* "none" for 0. */
int limits_parse_iops(const char *text, struct block_limits *limits, struct error *error)
{
	limits->iops = 0;
	return !strcmp(text, "none")
		       ? 0
		       : number_parse(text, 1, BLOCK_LIMIT_MOST, &limits->iops, error);
}

int limits_parse_bandwidth(const char *text, struct block_limits *limits, struct error *error)
{
	limits->bandwidth = 0;
	return !strcmp(text, "none")
		       ? 0
		       : cli_parse_size(text, 1, BLOCK_LIMIT_MOST, &limits->bandwidth, error);
}

int limits_parse_burst(const char *text, struct block_limits *limits, struct error *error)
{
	int rc = lab_duration_parse(text, &limits->burst_ns, error);

	if (!rc && limits->burst_ns > BLOCK_LIMIT_BURST_MOST_NS)
		rc = error_set(error, -ERANGE, "%s: expected at most 1h", text);
	return rc;
}

/* One of "iops=2000". */
static int parse_one(const char *word, struct block_limits *limits, struct error *error)
{
	static const struct {
		const char *key;
		int (*parse)(const char *text, struct block_limits *limits, struct error *error);
	} keys[] = {
		{ "iops=", limits_parse_iops },
		{ "bandwidth=", limits_parse_bandwidth },
		{ "burst=", limits_parse_burst },
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strncmp(word, keys[i].key, strlen(keys[i].key)))
			return keys[i].parse(word + strlen(keys[i].key), limits, error);
	return error_set(error, -EINVAL, "'%.60s': expected iops=N, bandwidth=SIZE or burst=TIME",
			 word);
}

int limits_parse_word(const char *word, struct block_limits *limits, struct error *error)
{
	const char *equals = strchr(word, '=');
	const char *slash = strchr(word, '/');
	char *parts, *at, *part;
	int rc = 0;

	*limits = (struct block_limits){ .burst_ns = BLOCK_LIMIT_BURST_NS };
	if (!equals || !slash || slash == word || slash + 1 >= equals || !equals[1])
		return error_set(
			error, -EINVAL,
			"%.200s: expected VG/LV=iops=N,bandwidth=SIZE,burst=TIME, or md/NAME=...",
			word);
	parts = at = strdup(equals + 1);
	if (!parts)
		return -ENOMEM;
	while (!rc && (part = strsep(&at, ",")))
		rc = parse_one(part, limits, error);
	free(parts);
	if (!rc && !limits->iops && !limits->bandwidth)
		rc = error_set(error, -EINVAL, "%.200s: expected iops=N or bandwidth=SIZE", word);
	return rc;
}

bool limits_check(const struct cli_words *words)
{
	for (unsigned i = 0; i < words->count; i++) {
		size_t name = strcspn(words->words[i], "=") + 1;
		struct block_limits limits;
		struct error error = { 0 };

		if (limits_parse_word(words->words[i], &limits, &error))
			return cli_wrong_value("limit", &error), false;
		for (unsigned k = 0; k < i; k++)
			if (!strncmp(words->words[k], words->words[i], name))
				return cli_usage_error("--limit %.*s is given twice", (int)name - 1,
						       words->words[i]),
				       false;
	}
	return true;
}
