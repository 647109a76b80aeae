/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tenon switch capture`: what passes at a running switch, live; see switch.h.
 *
 *	switch (another process)		here
 *	ring -> writer thread -> FIFO  -->  capture_files.c -> files, or standard output
 *
 * The capture lives as long as this command reads the FIFO, whose name is gone as soon as both have it open. However slow or
 * stopped what is behind it may be, the switch loses packets of the capture, and counts them, and nobody waits. With --keep the
 * switch writes files itself (switch_capture_kept.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fiber/signal.h"
#include "tools/capture_fifo.h"
#include "tools/capture_files.h"
#include "tools/describe.h"
#include "tools/devices.h"
#include "tools/switch.h"
#include "util/cleanup.h"
#include "vswitch/filter_program.h"

#define CAPTURE_USAGE                                                                              \
	"switch capture NAME [PORT] -w FILE|- [--filter EXPR] [--direction in|out|both] "          \
	"[--snaplen N] [--format pcap|pcapng] [--segments] [--count N] [--rotate-size SIZE] "      \
	"[--rotate-time SECONDS] [--files N] [--force] [--keep] [--stop N]"

#define END_NS  2000000000ULL /* for a reader of standard output, once it is to end */
#define LOOK_NS 100000000ULL  /* how often it is looked whether the switch answers */

struct live_capture {
	const char *name, *port;
	struct capture_files_options files_options;
	struct capture_files files;
	json_t *params; /* what the switch is asked for */
	char *control;
	int fifo;
	unsigned id;
	bool ended;  /* the switch has nothing more */
	bool silent; /* it does not answer: nothing more is waited for */
	sigset_t signals;
	json_t *summary;
	struct error why; /* there is none */
};

/* ---- The stream ---- */

static bool has_enough(const struct live_capture *live)
{
	return live->files_options.most && live->files.packets >= live->files_options.most;
}

/* One look at the FIFO. */
static int pump_once(struct live_capture *live, uint64_t timeout_ns, struct error *error)
{
	size_t room;
	uint8_t *at = capture_files_room(&live->files, &room);
	ssize_t got = fiber_read(live->fifo, at, room);

	if (got < 0)
		return (int)got;
	live->ended = got == 0;
	return capture_files_take(&live->files, (size_t)got, timeout_ns, error);
}

struct pump_call {
	struct live_capture *live;
	struct error *error;
};

static int pump(void *arg)
{
	struct pump_call *call = arg;
	struct live_capture *live = call->live;
	int rc = 0;

	while (!rc && !live->ended && !has_enough(live))
		rc = pump_once(live, FIBER_FOREVER, call->error);
	return rc;
}

/* What is left, after the switch was told to end. */
static int pump_rest(void *arg)
{
	struct pump_call *call = arg;
	struct live_capture *live = call->live;
	int rc = capture_files_take(&live->files, 0, END_NS, call->error);

	while (!rc && !live->ended && !live->silent) {
		rc = fiber_poll(live->fifo, POLLIN, LOOK_NS);
		if (rc >= 0)
			rc = pump_once(live, END_NS, call->error);
		else if (rc == -ETIMEDOUT)
			rc = 0;
	}
	return rc;
}

struct capture_signals {
	const sigset_t *signals;
	struct fiber *pump;
};

static int wait_for_signal(void *arg)
{
	const struct capture_signals *wait = arg;

	if (fiber_wait_signal(wait->signals) > 0)
		fiber_cancel(wait->pump);
	return 0;
}

/* Until the switch, a signal, the count or what is behind it ends it. */
static int pump_until_signal(struct live_capture *live, struct error *error)
{
	struct pump_call call = { live, error };
	struct capture_signals wait = { &live->signals, fiber_spawn(pump, &call) };
	struct fiber *waiter = fiber_spawn(wait_for_signal, &wait);
	int rc = fiber_join(wait.pump);

	/* The waiter may look at the pump only while it is there. */
	fiber_cancel(waiter);
	fiber_join(waiter);
	return rc == -ECANCELED ? 0 : rc;
}

/* ---- Its beginning and end ---- */

static int begin(struct live_capture *live, struct error *error)
{
	CLEANUP_FREE char *path = NULL;
	json_t *result = NULL;
	int rc = capture_fifo_make(&path, &live->fifo, error);

	if (!rc) {
		json_object_set_new(live->params, "path", json_string(path));
		rc = rpc_call(live->control, "switch.capture.start", json_incref(live->params),
			      &result, error);
	}
	if (path)
		unlink(path);
	live->id = (unsigned)json_integer_value(result);
	json_decref(result);
	return rc;
}

/* The switch, or there the capture. */
static bool has_ended(int rc)
{
	return rc == -ENXIO || rc == -ENOENT || rc == -ECONNREFUSED || rc == -EPIPE;
}

static int end(struct live_capture *live, struct error *error)
{
	struct error why = { 0 };
	struct pump_call call = { live, error };
	struct fiber *rest = fiber_spawn(pump_rest, &call);
	int stopped = rpc_call(live->control, "switch.capture.stop",
			       json_pack("{s:i}", "id", (int)live->id), &live->summary, &why);
	int rc;

	/* What the switch has ended, by itself or with its process, has an end in the FIFO, too. If it does not answer,
	 * nothing more comes; one that is stopped does not even close its end. */
	if (stopped && !live->ended && !has_ended(stopped))
		live->silent = true;
	if (has_ended(stopped))
		error_set(&why, stopped, "the switch, or there the capture, has ended");
	live->why = stopped ? why : (struct error){ 0 };
	rc = fiber_join(rest);
	return rc == -ETIMEDOUT || rc == -ECANCELED ? 0 : rc;
}

static void say_summary(const struct live_capture *live)
{
	json_int_t lost = json_integer_value(json_object_get(live->summary, "lost"));

	if (live->why.text[0]) {
		cli_warn("%" PRIu64 " packets captured; how many were lost is not known: %s",
			 live->files.packets, live->why.text);
		return;
	}
	/* Nobody asked for its end: who reads has enough. */
	if (!live->summary) {
		cli_note("%" PRIu64 " packets captured", live->files.packets);
		return;
	}
	cli_note("%" PRIu64 " packets captured, %" JSON_INTEGER_FORMAT " lost%s",
		 live->files.packets, lost,
		 lost ? " (of the capture only, not of the network)" : "");
}

/* What the file's checks refuse is not begun in the switch, and what the switch refuses leaves an older capture as it was. */
static int begin_both(struct live_capture *live, struct error *error)
{
	int rc = capture_files_open(&live->files, &live->files_options, error);

	if (rc)
		return rc;
	rc = begin(live, error);
	if (rc == -ENOENT || rc == -ECONNREFUSED)
		switch_none_running(live->name, live->control, rc, error);
	return rc ? rc : capture_files_begin(&live->files, error);
}

/* Nobody here ended it: what is there is less than was asked for. */
static int say_broken_off(const struct live_capture *live, struct error *error)
{
	if (live->files_options.most)
		return error_set(error, -EIO,
				 "switch %s: it ended, or ended the capture, before there were "
				 "%" PRIu64 " packets",
				 live->name, live->files_options.most);
	return error_set(error, -EIO, "switch %s: it ended, or ended the capture", live->name);
}

static int run(struct live_capture *live, struct error *error)
{
	int rc = pump_until_signal(live, error), ended = 0;
	bool broken_off = !rc && live->ended && !has_enough(live);
	struct error late = { 0 };

	if (rc != -EPIPE)
		ended = end(live, &late);
	if (!rc && ended) {
		*error = late;
		rc = ended;
	}
	say_summary(live);
	return !rc && broken_off ? say_broken_off(live, error) : rc;
}

static int live_on_fiber(void *arg, struct error *error)
{
	struct live_capture *live = arg;
	struct error late = { 0 };
	int rc = switch_control_path(live->name, &live->control, error), closed;

	if (!rc)
		rc = begin_both(live, error);
	if (!rc)
		rc = run(live, error);
	closed = capture_files_close(&live->files, &late);
	if (!rc && closed) {
		*error = late;
		rc = closed;
	}
	cleanup_close(&live->fifo);
	/* Who reads has seen enough. */
	return rc == -EPIPE ? 0 : rc;
}

/* ---- The verb ---- */

static json_t *program_json(const struct filter_program *program)
{
	const struct filter_instruction *at;
	unsigned count = filter_program_instructions(program, &at);
	json_t *list = json_array();

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(list, json_pack("[i, i, i, I]", (int)at[i].code,
						      (int)at[i].jump_true, (int)at[i].jump_false,
						      (json_int_t)at[i].operand));
	return list;
}

json_t *switch_filter_json(const char *expression, struct error *error)
{
	struct filter_program *program;
	json_t *filter;

	if (filter_program_compile(&program, expression, error))
		return NULL;
	filter =
		json_pack("{s:s, s:o}", "expression", expression, "program", program_json(program));
	filter_program_free(program);
	return filter;
}

struct capture_words {
	const char *filter, *direction, *format;
	bool segments, keep;
	uint64_t snaplen;
};

/* False: it is wrong, and that was said. */
static bool make_params(struct live_capture *live, const struct capture_words *words)
{
	struct error error = { 0 };
	const char *direction = words->direction ? words->direction : "both";
	const char *format = words->format                                        ? words->format
			     : capture_files_names_pcap(live->files_options.path) ? "pcap"
										  : "pcapng";

	if (strcmp(direction, "in") && strcmp(direction, "out") && strcmp(direction, "both")) {
		cli_usage_error("--direction %s: expected in (from the port), out (to it) or both",
				direction);
		return false;
	}
	if (strcmp(format, "pcap") && strcmp(format, "pcapng")) {
		cli_usage_error("--format %s: expected pcap or pcapng", format);
		return false;
	}
	live->files_options.format = strcmp(format, "pcap") ? CAPTURE_PCAPNG : CAPTURE_PCAP;
	live->params = json_pack("{s:s, s:s, s:b, s:I, s:i, s:o}", "direction", direction, "format",
				 format, "segments", words->segments, "snaplen",
				 (json_int_t)words->snaplen, "pid", (int)getpid(), "label",
				 describe_text(live->files_options.path));
	if (live->port)
		json_object_set_new(live->params, "port", json_string(live->port));
	if (words->filter) {
		json_t *filter = switch_filter_json(words->filter, &error);

		if (!filter) {
			cli_wrong_value("filter", &error);
			return false;
		}
		json_object_set_new(live->params, "filter", filter);
	}
	return true;
}

static bool check_files(const struct capture_files_options *files, bool keep)
{
	bool rotates = capture_row_is(&files->row);

	if (!files->path)
		return cli_usage_error("-w FILE is missing: where the capture goes (-: standard "
				       "output)"),
		       false;
	if (rotates && output_is_descriptor(files->path))
		return cli_usage_error("--rotate-size, --rotate-time: they need files, and -w %s "
				       "is a stream",
				       files->path),
		       false;
	if (keep && (files->most || output_is_descriptor(files->path)))
		return cli_usage_error("--keep: the switch writes a file, without --count"), false;
	if (files->row.keep && !rotates)
		return cli_usage_error("--files: it needs --rotate-size or --rotate-time"), false;
	return true;
}

/* The switch writes it, of itself. */
static int keep_capture(const struct live_capture *live)
{
	const struct capture_files_options *files = &live->files_options;
	CLEANUP_FREE char *path = switch_path_from_root(files->path);
	json_t *file = path ? json_string(path) : NULL, *params, *result = NULL;
	int status;

	if (!file)
		return cli_usage_error("-w %s: %s: expected a path in UTF-8, which is what the "
				       "switch can be told",
				       files->path, path ? path : error_name(ENOMEM));
	params = json_copy(live->params);
	json_object_del(params, "pid");
	json_object_del(params, "label");
	if (!json_integer_value(json_object_get(params, "snaplen")))
		json_object_del(params, "snaplen");
	json_object_set_new(params, "file", file);
	if (files->row.bytes)
		json_object_set_new(params, "rotate_size",
				    json_integer((json_int_t)files->row.bytes));
	if (files->row.ns)
		json_object_set_new(params, "rotate_time",
				    json_integer((json_int_t)(files->row.ns / 1000000000)));
	if (files->row.keep)
		json_object_set_new(params, "files", json_integer(files->row.keep));
	if (files->force)
		json_object_set_new(params, "force", json_true());
	status = switch_ask(live->name, "switch.capture.keep", params, &result);
	if (status == EXIT_DONE)
		cli_note("capture %" JSON_INTEGER_FORMAT
			 ": the switch goes on with it, until `tenon "
			 "switch capture %s --stop %" JSON_INTEGER_FORMAT "`",
			 json_integer_value(result), live->name, json_integer_value(result));
	json_decref(result);
	return status;
}

/* Anything that a capture is begun with. */
static bool is_begun(const struct live_capture *live, const struct capture_words *words)
{
	const struct capture_files_options *files = &live->files_options;

	return live->port || files->path || files->most || files->force || files->row.bytes ||
	       files->row.ns || files->row.keep || words->filter || words->direction ||
	       words->format || words->segments || words->snaplen || words->keep;
}

static int stop_capture(const struct live_capture *live, uint64_t number)
{
	json_t *result = NULL;
	int status = switch_ask(live->name, "switch.capture.stop",
				json_pack("{s:I}", "id", (json_int_t)number), &result);

	if (status == EXIT_DONE)
		cli_note("%" JSON_INTEGER_FORMAT " packets captured, %" JSON_INTEGER_FORMAT " lost",
			 json_integer_value(json_object_get(result, "written")),
			 json_integer_value(json_object_get(result, "lost")));
	json_decref(result);
	return status;
}

static void block_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, signals, NULL);
}

int switch_capture(int argc, char **argv)
{
	struct capture_words words = { 0 };
	struct live_capture live = { .fifo = -1, .files.output.fd = -1 };
	struct capture_files_options *files = &live.files_options;
	uint64_t most_files = 0, seconds = 0, stop = 0;
	const struct cli_option options[] = {
		{ "write", CLI_TEXT, &files->path, "FILE", "where to; - is standard output", 0, 0,
		  'w' },
		{ "filter", CLI_TEXT, &words.filter, "EXPR", "only such packets: pcap-filter(7)" },
		{ "direction", CLI_TEXT, &words.direction, "in|out|both",
		  "in: what comes from the port; out: what goes to it (both)" },
		{ "snaplen", CLI_NUMBER, &words.snaplen, "BYTES", "of a packet, at most (all)", 14,
		  CAPTURE_SNAPLEN },
		{ "format", CLI_TEXT, &words.format, "pcap|pcapng",
		  "pcapng, unless FILE ends in .pcap" },
		{ "segments", CLI_FLAG, &words.segments, NULL,
		  "large frames as the segments that a wire would have" },
		{ "count", CLI_NUMBER, &live.files_options.most, "N", "end after so many packets",
		  1, UINT64_MAX, 'c' },
		{ "rotate-size", CLI_SIZE, &files->row.bytes, "SIZE",
		  "go on in another file when one has so much", CAPTURE_ROW_BYTES_LEAST,
		  INT64_MAX },
		{ "rotate-time", CLI_NUMBER, &seconds, "SECONDS",
		  "go on in another file after so long", 1, CAPTURE_ROW_SECONDS_MOST },
		{ "files", CLI_NUMBER, &most_files, "N", "keep only so many of these", 1,
		  CAPTURE_ROW_KEEP_MOST },
		{ "force", CLI_FLAG, &files->force, NULL, "over a file that holds something" },
		{ "keep", CLI_FLAG, &words.keep, NULL,
		  "the switch writes it and goes on by itself; it is in its configuration" },
		{ "stop", CLI_NUMBER, &stop, "N", "end the capture of that number", 1, UINT32_MAX },
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse(CAPTURE_USAGE, options, argc, argv, 1, 2, &operands, &status))
		return status;
	live.name = operands.words[0];
	live.port = operands.count > 1 ? operands.words[1] : NULL;
	files->row.keep = (unsigned)most_files;
	files->row.ns = seconds * 1000000000;
	if (stop && is_begun(&live, &words))
		return cli_usage_error(
			"--stop: it needs the number of a capture, and nothing else");
	if (stop)
		return stop_capture(&live, stop);
	if (!check_files(files, words.keep) || !make_params(&live, &words)) {
		json_decref(live.params);
		return EXIT_USAGE;
	}
	if (words.keep) {
		status = keep_capture(&live);
		json_decref(live.params);
		return status;
	}
	cli_catch_pipe();
	block_signals(&live.signals);
	status = cli_on_fiber(live_on_fiber, &live);
	json_decref(live.params);
	json_decref(live.summary);
	free(live.control);
	return status;
}
