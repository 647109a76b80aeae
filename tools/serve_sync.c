/* SPDX-License-Identifier: BSD-2-Clause */
/* What commands ask the owner of an array about its resyncs, rebuilds and checks: ending them, how fast they go, what a crash costs. */
#include <errno.h>

#include "block/block.h"
#include "tools/backup_file.h"
#include "tools/raid_consistency.h"
#include "tools/serve_array_call.h"

static int stop_sync(struct array_call *call)
{
	enum raid_operation stopped;
	struct raid_status status;
	int rc = raid_sync_stop(call->array, &stopped, call->error);

	if (rc)
		return rc;
	raid_status(call->array, &status);
	*call->result = json_pack("{s:s?, s:b}", "stopped",
				  stopped == RAID_IDLE ? NULL : raid_operation_name(stopped),
				  "held", status.progress.held);
	raid_status_free(&status);
	return 0;
}

static int resume_sync(struct array_call *call)
{
	raid_sync_resume(call->array);
	return 0;
}

/* What is given is set. */
static int set_speed(struct array_call *call)
{
	const json_t *least = json_object_get(call->params, "least");
	const json_t *most = json_object_get(call->params, "most");
	struct raid_status status;
	struct raid_speed speed;

	raid_status(call->array, &status);
	speed = status.speed;
	raid_status_free(&status);
	if (json_is_integer(least))
		speed.least = (uint64_t)json_integer_value(least);
	if (json_is_integer(most))
		speed.most = (uint64_t)json_integer_value(most);
	if (speed.most && speed.most < speed.least)
		return error_set(
			call->error, -EINVAL,
			"%s: at least %llu and at most %llu bytes a second, expected the most to "
			"be more",
			raid_array_block(call->array)->name, (unsigned long long)speed.least,
			(unsigned long long)speed.most);
	raid_sync_set_speed(call->array, speed);
	*call->result = json_pack("{s:I, s:I}", "least", (json_int_t)speed.least, "most",
				  (json_int_t)speed.most);
	return 0;
}

static int change_bitmap(struct array_call *call)
{
	uint64_t chunk = (uint64_t)json_integer_value(json_object_get(call->params, "chunk"));

	return json_is_true(json_object_get(call->params, "remove"))
		       ? raid_bitmap_remove(call->array, call->error)
		       : raid_bitmap_add(call->array, chunk, call->error);
}

static int change_consistency(struct array_call *call)
{
	const char *wanted = json_string_value(json_object_get(call->params, "wanted"));
	enum raid_bitmap_choice choice;
	int rc = raid_consistency_parse(wanted ? wanted : "", &choice, call->error);

	return rc ? rc : raid_set_consistency(call->array, choice, call->error);
}

int serve_raid_stop_sync(void *context, json_t *params, json_t **result, struct error *error)
{
	struct array_call call = {
		.serve = context, .params = params, .result = result, .error = error
	};
	int rc = array_call_find(&call, false);

	return rc ? rc : array_call_do(&call, stop_sync);
}

int serve_raid_resume(void *context, json_t *params, json_t **result, struct error *error)
{
	struct array_call call = { .serve = context, .params = params, .error = error };
	int rc = array_call_find(&call, false);

	(void)result;
	return rc ? rc : array_call_do(&call, resume_sync);
}

int serve_raid_speed(void *context, json_t *params, json_t **result, struct error *error)
{
	struct array_call call = {
		.serve = context, .params = params, .result = result, .error = error
	};
	int rc = array_call_find(&call, false);

	return rc ? rc : array_call_do(&call, set_speed);
}

static uint64_t number_of(const struct array_call *call, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(call->params, key));
}

static unsigned raid_disks(struct raid_array *array)
{
	struct raid_status status;
	unsigned disks;

	raid_status(array, &status);
	disks = status.raid_disks;
	raid_status_free(&status);
	return disks;
}

static int grow_array(struct array_call *call)
{
	const char *path = json_string_value(json_object_get(call->params, "backup_file"));
	CLEANUP_BLOCK struct block *backup = NULL;
	struct raid_grow grow = {
		.size = json_is_true(json_object_get(call->params, "all"))
				? RAID_GROW_MAX
				: number_of(call, "size"),
		.devices = (unsigned)number_of(call, "devices"),
		.chunk = number_of(call, "chunk"),
		.array_size = number_of(call, "array_size"),
		.layout = json_string_value(json_object_get(call->params, "layout")),
		.level = json_string_value(json_object_get(call->params, "level")),
		.adding = (unsigned)number_of(call, "adding"),
		.only_check = json_is_true(json_object_get(call->params, "only_check")),
	};
	int rc;

	if (grow.devices && grow.devices < raid_disks(call->array) && grow.array_size) {
		error_set(call->error, -EBUSY,
			  "%s is served, and would become smaller with %u members",
			  raid_array_block(call->array)->name, grow.devices);
		return error_advise(call->error, "stop its server first");
	}
	call->adds_later = raid_grow_adds_later(call->array);
	rc = backup_file_for(call->array, &grow, path, &backup, call->error);
	if (!rc)
		rc = raid_grow(call->array, &grow, call->error);
	/* Nor where it is only begun, and comes again. */
	backup_file_discard(backup, path);
	call->goes_on = raid_grow_goes_on(call->array);
	return rc;
}

int serve_raid_grow(void *context, json_t *params, json_t **result, struct error *error)
{
	struct array_call call = { .serve = context, .params = params, .error = error };
	int rc = array_call_find(&call, false);

	if (!rc)
		rc = array_call_do(&call, grow_array);
	if (!rc)
		*result = json_pack("{s:b, s:b}", "adds_later", call.adds_later, "goes_on",
				    call.goes_on);
	return rc;
}

int serve_raid_bitmap(void *context, json_t *params, json_t **result, struct error *error)
{
	struct array_call call = { .serve = context, .params = params, .error = error };
	int rc = array_call_find(&call, false);

	(void)result;
	return rc ? rc : array_call_do(&call, change_bitmap);
}

int serve_raid_consistency(void *context, json_t *params, json_t **result, struct error *error)
{
	struct array_call call = { .serve = context, .params = params, .error = error };
	int rc = array_call_find(&call, false);

	(void)result;
	return rc ? rc : array_call_do(&call, change_consistency);
}
