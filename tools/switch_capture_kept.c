/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Captures that a switch writes by itself: `switch capture --keep`, and "captures" of its configuration; see switch.h.
 *
 * They go on until they are stopped or the switch ends, and are in what `switch show --config` writes, also where writing failed meanwhile.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/output.h"
#include "tools/capture_files.h"
#include "tools/switch.h"
#include "util/cleanup.h"
#include "vswitch/switch.h"

/* Where it goes, and what of. */
static int take_place(struct vswitch_capture_options *options, json_t *params, struct error *error)
{
	const char *format = NULL;
	int rc = rpc_param_string(params, "file", &options->path, error);

	if (!rc && (!*options->path || output_is_descriptor(options->path)))
		rc = error_set(error, -EINVAL, "file \"%.40s\": expected that of a file",
			       options->path);
	if (!rc && json_object_get(params, "port"))
		rc = rpc_param_string(params, "port", &options->port, error);
	if (!rc && options->port)
		rc = vswitch_check_port_name(options->port, error);
	if (!rc && json_object_get(params, "direction"))
		rc = switch_param_ways(params, &options->ways, error);
	if (!rc && json_object_get(params, "format"))
		rc = rpc_param_string(params, "format", &format, error);
	if (!rc && format && strcmp(format, "pcap") && strcmp(format, "pcapng"))
		rc = error_set(error, -EINVAL, "format \"%.20s\": expected pcap or pcapng", format);
	if (!rc)
		options->format =
			(format ? !strcmp(format, "pcap") : capture_files_names_pcap(options->path))
				? CAPTURE_AS_PCAP
				: CAPTURE_AS_PCAPNG;
	return rc;
}

static int take_numbers(struct vswitch_capture_options *options, json_t *params,
			struct error *error)
{
	uint64_t snaplen = 0, seconds = 0, keep = 0;
	int rc = switch_param_number(params, "snaplen", 14, CAPTURE_SNAPLEN, &snaplen, error);

	if (!rc)
		rc = switch_param_number(params, "rotate_size", CAPTURE_ROW_BYTES_LEAST, INT64_MAX,
					 &options->row.bytes, error);
	if (!rc)
		rc = switch_param_number(params, "rotate_time", 1, CAPTURE_ROW_SECONDS_MOST,
					 &seconds, error);
	if (!rc)
		rc = switch_param_number(params, "files", 1, CAPTURE_ROW_KEEP_MOST, &keep, error);
	options->snaplen = (uint32_t)snaplen;
	options->row.ns = seconds * 1000000000;
	options->row.keep = (unsigned)keep;
	if (!rc && keep && !capture_row_is(&options->row))
		rc = error_set(error, -EINVAL, "files: it needs rotate_size or rotate_time");
	return rc;
}

static int take_capture(struct vswitch_capture_options *options, json_t *params,
			struct error *error)
{
	int rc = take_place(options, params, error);

	if (!rc)
		rc = take_numbers(options, params, error);
	options->segments = json_is_true(json_object_get(params, "segments"));
	options->force = json_is_true(json_object_get(params, "force"));
	options->absent = json_is_true(json_object_get(params, "absent"));
	return rc;
}

int switch_capture_check(json_t *params, struct error *error)
{
	struct vswitch_capture_options unused = { 0 };
	struct filter_program *program = NULL;
	const char *expression;
	int rc = take_capture(&unused, params, error);

	if (rc || !json_object_get(params, "expression"))
		return rc;
	rc = rpc_param_string(params, "expression", &expression, error);
	if (!rc)
		rc = filter_program_compile(&program, expression, error);
	filter_program_free(program);
	return rc;
}

/* The file, from the root on, as far as JSON can say that: a folder's name may be no UTF-8. */
static json_t *said_file(json_t *params)
{
	json_t *file = json_object_get(params, "file");
	CLEANUP_FREE char *path = switch_path_from_root(json_string_value(file));
	json_t *said = path ? json_string(path) : NULL;

	return said ? said : json_incref(file);
}

/* As a configuration has it, without its number yet. NULL without memory. */
static json_t *said_json(json_t *params)
{
	static const char *const keys[] = { "port",     "direction",   "snaplen",     "format",
					    "segments", "rotate_size", "rotate_time", "files" };
	json_t *filter = json_object_get(params, "filter");
	json_t *said = json_pack("{s:i, s:o}", "id", 0, "file", said_file(params));
	int failed = said ? 0 : -1;

	for (size_t i = 0; !failed && i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_object_get(params, keys[i]))
			failed = json_object_set(said, keys[i], json_object_get(params, keys[i]));
	if (!failed && json_is_object(filter))
		failed = json_object_set(said, "expression", json_object_get(filter, "expression"));
	if (!failed)
		return said;
	json_decref(said);
	return NULL;
}

/* Begins it, or nothing. `said` goes into the list. */
static int begin_kept(struct switch_control *control, const struct vswitch_capture_options *options,
		      json_t *said, unsigned *id, struct error *error)
{
	int rc = vswitch_start_capture(control->vswitch, options, id, error);

	if (rc) {
		json_decref(said);
		return rc;
	}
	json_integer_set(json_object_get(said, "id"), *id);
	if (!control->kept)
		control->kept = json_array();
	if (!json_array_append_new(control->kept, said))
		return 0;
	vswitch_stop_capture(control->vswitch, *id, NULL, NULL);
	return error_set(error, -ENOMEM, "capture %s: out of memory", options->path);
}

int switch_capture_keep(void *context, json_t *params, json_t **result, struct error *error)
{
	struct switch_control *control = context;
	struct vswitch_capture_options options = { 0 };
	json_t *said = NULL;
	unsigned id;
	int rc = take_capture(&options, params, error);

	if (!rc)
		rc = switch_param_filter(params, &options.filter, error);
	if (!rc) {
		said = said_json(params);
		if (!said) {
			filter_program_free(options.filter);
			rc = error_set(error, -ENOMEM, "capture %s: out of memory", options.path);
		}
	}
	if (!rc)
		rc = begin_kept(control, &options, said, &id, error);
	if (rc)
		return switch_answer(rc, error);
	*result = json_integer(id);
	return 0;
}
