/* SPDX-License-Identifier: BSD-2-Clause */
/* The limits that a storage server keeps for its volumes; see limits.h. On the control worker. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "tools/describe.h"
#include "tools/limits.h"
#include "tools/serve.h"
#include "util/cleanup.h"
#include "util/error.h"

/* Of a volume that has, or had, a limit; by what stays the same of it (`export->id`). */
struct serve_limit {
	struct list node;
	char id[SERIAL_TEXT];
	struct block_limits limits;
};

static struct serve_limit *find_limit(const struct serve *serve, const char *id)
{
	list_for_each(at, &serve->limits) {
		struct serve_limit *limit = list_entry(at, struct serve_limit, node);

		if (!strcmp(limit->id, id))
			return limit;
	}
	return NULL;
}

/* NULL without memory. */
static struct serve_limit *get_limit(struct serve *serve, const char *id)
{
	struct serve_limit *limit = find_limit(serve, id);

	if (limit || !(limit = calloc(1, sizeof(*limit))))
		return limit;
	memcpy(limit->id, id, sizeof(limit->id));
	limit->limits.burst_ns = BLOCK_LIMIT_BURST_NS;
	list_add_tail(&serve->limits, &limit->node);
	return limit;
}

/* What was given at the start, for the name that it has then. */
static bool given_for(const struct serve *serve, const char *name, struct block_limits *limits)
{
	size_t length = strlen(name);

	for (unsigned i = 0; i < serve->limits_given.count; i++) {
		const char *word = serve->limits_given.words[i];

		if (!strncmp(word, name, length) && word[length] == '=')
			return !limits_parse_word(word, limits, NULL);
	}
	return false;
}

struct block_limits serve_limits_of(struct serve *serve, const struct export *export)
{
	struct serve_limit *limit = find_limit(serve, export->id);
	struct block_limits limits = { .burst_ns = BLOCK_LIMIT_BURST_NS };

	if (limit)
		return limit->limits;
	if (given_for(serve, export->name, &limits) && (limit = get_limit(serve, export->id)))
		limit->limits = limits;
	return limits;
}

void serve_limits_forget(struct serve *serve, const char *id)
{
	struct serve_limit *limit = find_limit(serve, id);

	if (limit)
		list_remove(&limit->node);
	free(limit);
}

void serve_limits_free(struct serve *serve)
{
	struct list *at;

	while ((at = list_pop(&serve->limits)))
		free(list_entry(at, struct serve_limit, node));
}

void serve_limits_tell(struct serve *serve)
{
	for (unsigned i = 0; i < serve->limits_given.count; i++) {
		const char *word = serve->limits_given.words[i];
		CLEANUP_FREE char *name = strndup(word, strcspn(word, "="));

		if (name && !export_find(serve, name))
			cli_warn("--limit %s: it is not served", name);
	}
}

/* ---- lv.limit ---- */

struct limit_call {
	struct block *block;
	bool change;
	struct block_limits limits;
	struct block_limit_status status;
	struct error *error;
};

/* At home. The export may be closed while requests are waited for. */
static int limit_at_home(void *arg)
{
	struct limit_call *call = arg;
	CLEANUP_BLOCK struct block *block = block_ref(call->block);
	int rc = call->change ? block_limit_set(block, &call->limits, call->error) : 0;

	block_limit_status(block, &call->status);
	return rc;
}

/* 1 where it is given, 0 where not. */
static int take_number(json_t *params, const char *key, uint64_t most, uint64_t *value,
		       struct error *error)
{
	const json_t *given = json_object_get(params, key);
	json_int_t number = json_integer_value(given);

	if (!given)
		return 0;
	if (!json_is_integer(given) || number < 0 || (uint64_t)number > most)
		return error_set(error, -EINVAL, "%s: expected a number from 0 to %llu", key,
				 (unsigned long long)most);
	*value = (uint64_t)number;
	return 1;
}

static int take_limits(json_t *params, struct limit_call *call, struct error *error)
{
	int iops = take_number(params, "iops", BLOCK_LIMIT_MOST, &call->limits.iops, error);
	int bytes = iops < 0 ? iops
			     : take_number(params, "bandwidth_bytes", BLOCK_LIMIT_MOST,
					   &call->limits.bandwidth, error);
	int burst = bytes < 0 ? bytes
			      : take_number(params, "burst_ns", BLOCK_LIMIT_BURST_MOST_NS,
					    &call->limits.burst_ns, error);

	call->change = iops || bytes || burst;
	return MIN(burst, 0);
}

static json_t *number_or_null(uint64_t number)
{
	return number ? json_integer((json_int_t)number) : json_null();
}

int serve_lv_limit(void *context, json_t *params, json_t **result, struct error *error)
{
	struct serve *serve = context;
	struct limit_call call = { .error = error };
	struct serve_limit *limit;
	char id[SERIAL_TEXT];
	struct export *export;
	const char *name;
	int rc = rpc_param_string(params, "name", &name, error);

	if (rc)
		return rc;
	export = export_find(serve, name);
	if (!export || !export->block) {
		error_set(error, -ENOENT, "%s: the server does not serve it%s%s", name,
			  export && export->problem ? ": " : "",
			  export && export->problem ? export->problem : "");
		return error_advise(error, "limits are of what is served");
	}
	call.limits = serve_limits_of(serve, export);
	rc = take_limits(params, &call, error);
	if (rc)
		return rc;
	if (call.change && !get_limit(serve, export->id))
		return -ENOMEM;
	call.block = export->block;
	memcpy(id, export->id, sizeof(id));
	rc = serve_call(export->home, limit_at_home, &call);
	if (rc)
		return rc;
	/* Neither need be there any more. */
	limit = find_limit(serve, id);
	if (call.change && limit)
		limit->limits = call.limits;
	*result = json_pack("{s:o, s:o, s:I, s:i, s:I, s:I}", "iops",
			    number_or_null(call.status.limits.iops), "bandwidth_bytes",
			    number_or_null(call.status.limits.bandwidth), "burst_ns",
			    (json_int_t)call.status.limits.burst_ns, "waiting",
			    (int)call.status.waiting, "delayed", (json_int_t)call.status.delayed,
			    "delayed_ns", (json_int_t)call.status.delayed_ns);
	return 0;
}
