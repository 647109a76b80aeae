/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon lv limit`, `tenon raid limit`: how much may be done with a volume or an array in a time, in the server that serves it. */
#include <errno.h>
#include <string.h>

#include "tools/describe.h"
#include "tools/lab/decode.h"
#include "tools/limits.h"
#include "tools/lv_name.h"
#include "tools/lv_verbs.h"
#include "tools/output.h"
#include "tools/owner.h"
#include "tools/raid.h"
#include "util/cleanup.h"
#include "util/size.h"

struct lv_limit {
	struct cli_words given;
	const char *name;
	json_t *params;
	bool json;
};

static void limit_say(const struct lv_limit *limit, json_t *answer)
{
	const json_t *iops = json_object_get(answer, "iops");
	const json_t *bandwidth = json_object_get(answer, "bandwidth_bytes");
	uint64_t delayed = (uint64_t)json_integer_value(json_object_get(answer, "delayed"));
	char rate[SIZE_TEXT], burst[LAB_DURATION_TEXT], requests[64] = "", bytes[64] = "";

	if (json_is_integer(iops))
		snprintf(requests, sizeof(requests), "%lld requests",
			 (long long)json_integer_value(iops));
	if (json_is_integer(bandwidth))
		snprintf(bytes, sizeof(bytes), "%s",
			 size_format((uint64_t)json_integer_value(bandwidth), rate));
	lab_duration_format((uint64_t)json_integer_value(json_object_get(answer, "burst_ns")),
			    burst);
	if (!*requests && !*bytes)
		cli_say("%s: no limit", limit->name);
	else
		cli_say("%s: at most %s%s%s a second, of which what flows in %s may be saved up",
			limit->name, requests, *requests && *bytes ? " and " : "", bytes, burst);
	if (delayed)
		cli_say("%s: %llu requests have waited since it is open, %lld wait now",
			limit->name, (unsigned long long)delayed,
			(long long)json_integer_value(json_object_get(answer, "waiting")));
}

static int limit_run(void *arg, struct error *error)
{
	struct lv_limit *limit = arg;
	json_t *answer = NULL, *object;
	int rc = owner_call(&limit->given, limit->name, "lv.limit", json_incref(limit->params),
			    &answer, error);

	if (rc < 0)
		return rc;
	if (!rc) {
		error_set(error, -ENOENT, "%s: no server serves it", limit->name);
		return error_advise(error,
				    "limits hold for as long as its server runs: `tenon serve`");
	}
	if (limit->json) {
		object = json_pack("{s:o}", "name", describe_text(limit->name));
		json_object_update(object, answer);
		cli_print_json(object);
		json_decref(object);
	} else {
		limit_say(limit, answer);
	}
	json_decref(answer);
	return 0;
}

/* What the options say, as parameters. */
static int limit_params(json_t *params, const char *iops, const char *bandwidth, const char *burst)
{
	struct block_limits limits = { 0 };
	struct error error = { 0 };

	if (iops && limits_parse_iops(iops, &limits, &error))
		return cli_wrong_value("iops", &error);
	if (bandwidth && limits_parse_bandwidth(bandwidth, &limits, &error))
		return cli_wrong_value("bandwidth", &error);
	if (burst && limits_parse_burst(burst, &limits, &error))
		return cli_wrong_value("burst", &error);
	if (iops)
		json_object_set_new(params, "iops", json_integer((json_int_t)limits.iops));
	if (bandwidth)
		json_object_set_new(params, "bandwidth_bytes",
				    json_integer((json_int_t)limits.bandwidth));
	if (burst)
		json_object_set_new(params, "burst_ns", json_integer((json_int_t)limits.burst_ns));
	return EXIT_DONE;
}

typedef char *name_fn(const char *word, struct error *error);

/* `name_of` makes the object's name of the word, and refuses what cannot be one: NULL with `error` set. */
static int limit_verb(const char *usage, name_fn *name_of, int argc, char **argv)
{
	CLEANUP_FREE char *name = NULL;
	struct lv_limit limit = { .json = false };
	const char *iops = NULL, *bandwidth = NULL, *burst = NULL;
	bool none = false;
	const struct cli_option options[] = {
		{ "iops", CLI_TEXT, &iops, "N", "requests a second, or none" },
		{ "bandwidth", CLI_TEXT, &bandwidth, "SIZE", "bytes a second, or none" },
		{ "burst", CLI_TEXT, &burst, "TIME", "how much of it may be saved up (100ms)" },
		{ "none", CLI_FLAG, &none, NULL, "no limit any more" },
		{ "json", CLI_FLAG, &limit.json, NULL, "print JSON" },
		CLI_OPTION_DEVICE(&limit.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	struct error error = { 0 };
	int status;

	if (!cli_parse(usage, options, argc, argv, 1, 1, &operands, &status))
		return status;
	limit.name = name = name_of(operands.words[0], &error);
	if (!name)
		return cli_wrong_value(NULL, &error);
	if (none && (iops || bandwidth || burst))
		return cli_usage_error("give either --none or a limit");
	limit.params = json_pack("{s:o}", "name", describe_text(limit.name));
	status = none ? limit_params(limit.params, "none", "none", NULL)
		      : limit_params(limit.params, iops, bandwidth, burst);
	if (status == EXIT_DONE)
		status = cli_on_fiber(limit_run, &limit);
	json_decref(limit.params);
	return status;
}

static char *name_of_volume(const char *word, struct error *error)
{
	return lv_check_name(word, error) ? strdup(word) : NULL;
}

int lv_limit_verb(int argc, char **argv)
{
	return limit_verb("lv limit VG/LV [--iops N] [--bandwidth SIZE] [--burst TIME] [--none]",
			  name_of_volume, argc, argv);
}

static char *name_of_array(const char *word, struct error *error)
{
	(void)error;
	return raid_target(word);
}

int raid_limit_verb(int argc, char **argv)
{
	return limit_verb("raid limit NAME [--iops N] [--bandwidth SIZE] [--burst TIME] [--none]",
			  name_of_array, argc, argv);
}
