/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `--watch` of `tenon switch show`, `table` and `counters` (of `igmp`: switch_igmp_watch.c): what happens from one look to the next, until a signal, or until the switch or the
 * reader has gone.
 *
 * Rates are shown anew on a terminal, and one below the other elsewhere; addresses that come, move and go are lines, since
 * what matters of them is the order. With --json each look, or each change of an address, is one line.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/devices.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/standard.h"

#define SECOND 1000000000.0

/* ---- Rates ---- */

static json_t *find_named(json_t *list, const char *name)
{
	json_t *each;
	size_t index;

	json_array_foreach(list, index, each)
		if (!strcmp(json_string_value(json_object_get(each, "name")), name))
			return each;
	return NULL;
}

/* In a second; of a counter that went back, it is another port of the name. */
static json_int_t rate_of(json_t *now, json_t *before, const char *key, double seconds)
{
	json_int_t value = json_integer_value(json_object_get(now, key));
	json_int_t old = json_integer_value(json_object_get(before, key));

	return (json_int_t)((double)(value - (old <= value ? old : 0)) / seconds + 0.5);
}

static void add_drop_rates(json_t *rate, json_t *port, json_t *before, double seconds)
{
	json_t *drops = json_object(), *old = json_object_get(before, "drops"), *value;
	const char *reason;
	char text[1024] = "";
	size_t used = 0;

	json_object_foreach(json_object_get(port, "drops"), reason, value) {
		json_int_t each = rate_of(json_object_get(port, "drops"), old, reason, seconds);

		if (!each)
			continue;
		json_object_set_new(drops, reason, json_integer(each));
		if (used < sizeof(text))
			used += (size_t)snprintf(text + used, sizeof(text) - used,
						 "%s%s %" JSON_INTEGER_FORMAT, used ? ", " : "",
						 reason, each);
	}
	json_object_set_new(rate, "drops_per_second", drops);
	json_object_set_new(rate, "drop_text", used ? json_string(text) : json_null());
}

static json_t *port_rate(json_t *port, json_t *before, double seconds)
{
	static const struct {
		const char *key, *from;
	} rates[] = {
		{ "rx_frames_per_second", "rx_frames" }, { "rx_bytes_per_second", "rx_bytes" },
		{ "tx_frames_per_second", "tx_frames" }, { "tx_bytes_per_second", "tx_bytes" },
		{ "flooded_per_second", "flooded" },
	};
	json_t *rate = json_object();

	json_object_set(rate, "name", json_object_get(port, "name"));
	json_object_set(rate, "state", json_object_get(port, "state"));
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		json_object_set_new(rate, rates[i].key,
				    json_integer(rate_of(port, before, rates[i].from, seconds)));
	add_drop_rates(rate, port, before, seconds);
	return rate;
}

static const struct cli_column rate_columns[] = {
	{ "PORT", "name", CLI_AS_TEXT },
	{ "STATE", "state", CLI_AS_STATE, 3 },
	{ "RX FRAMES/S", "rx_frames_per_second", CLI_AS_TEXT },
	{ "RX", "rx_bytes_per_second", CLI_AS_RATE, 1 },
	{ "TX FRAMES/S", "tx_frames_per_second", CLI_AS_TEXT },
	{ "TX", "tx_bytes_per_second", CLI_AS_RATE, 1 },
	{ "FLOODED/S", "flooded_per_second", CLI_AS_TEXT, 2 },
	{ "DROPPED/S", "drop_text", CLI_AS_NOTE },
	{ NULL },
};

static void print_rates(json_t *now, json_t *before, double seconds,
			const struct cli_listing *listing)
{
	json_t *rates, *port;
	size_t index;

	if (!before)
		return;
	rates = json_array();
	json_array_foreach(json_object_get(now, "ports"), index, port) {
		json_t *old = find_named(json_object_get(before, "ports"),
					 json_string_value(json_object_get(port, "name")));

		/* One that came meanwhile began with nothing. */
		json_array_append_new(rates, port_rate(port, old, seconds));
	}
	if (listing->json) {
		json_array_foreach(rates, index, port)
			json_object_del(port, "drop_text");
		json_dumpf(rates, stdout, JSON_COMPACT);
		printf("\n");
	} else {
		if (isatty(STDOUT_FILENO))
			fputs("\033[H\033[J", stdout);
		cli_print_rows(rates, rate_columns, listing);
		if (!isatty(STDOUT_FILENO))
			printf("\n");
	}
	json_decref(rates);
}

/* ---- Addresses ---- */

static void print_change(const char *change, json_t *address, const char *from,
			 const struct cli_listing *listing)
{
	const char *mac = json_string_value(json_object_get(address, "address"));
	const char *port = json_string_value(json_object_get(address, "port"));
	json_int_t vlan = json_integer_value(json_object_get(address, "vlan"));

	if (listing->json) {
		json_t *line = json_pack("{s:s, s:s, s:I, s:s, s:O, s:s?}", "change", change,
					 "address", mac, "vlan", vlan, "port", port, "kind",
					 json_object_get(address, "kind"), "from", from);

		json_dumpf(line, stdout, JSON_COMPACT);
		printf("\n");
		json_decref(line);
		return;
	}
	cli_say("%-9s  %s  vlan %" JSON_INTEGER_FORMAT "  %s%s%s", change, mac, vlan, port,
		from ? " from " : "", from ? from : "");
}

/* What became of an address that is there, or was, at one look alone; `first`: there was no other. */
static const char *came_or_went(json_t *address, bool is_there, bool first)
{
	const char *kind = json_string_value(json_object_get(address, "kind"));
	bool is_static = kind && !strcmp(kind, "static");

	if (first)
		return "known";
	if (is_there)
		return is_static ? "added" : "learned";
	return is_static ? "removed" : "forgotten";
}

/* By address and VLAN. */
static json_t *index_addresses(json_t *addresses)
{
	json_t *index = json_object(), *each;
	size_t at;
	char key[64];

	json_array_foreach(addresses, at, each) {
		snprintf(key, sizeof(key), "%s/%" JSON_INTEGER_FORMAT,
			 json_string_value(json_object_get(each, "address")),
			 json_integer_value(json_object_get(each, "vlan")));
		json_object_set(index, key, each);
	}
	return index;
}

static void print_changes(json_t *now, json_t *before, double seconds,
			  const struct cli_listing *listing)
{
	(void)seconds;
	json_t *there = index_addresses(json_object_get(now, "addresses"));
	json_t *then = index_addresses(json_object_get(before, "addresses")), *each, *old;
	const char *key;

	json_object_foreach(then, key, each)
		if (!json_object_get(there, key))
			print_change(came_or_went(each, false, false), each, NULL, listing);
	json_object_foreach(there, key, each) {
		old = json_object_get(then, key);
		if (!old)
			print_change(came_or_went(each, true, !before), each, NULL, listing);
		else if (!json_equal(json_object_get(old, "port"), json_object_get(each, "port")))
			print_change("moved", each, json_string_value(json_object_get(old, "port")),
				     listing);
	}
	json_decref(there);
	json_decref(then);
}

/* ---- Looking ---- */

/* EXIT_DONE; or it is said why not. Who has left was not interested: then it ends as others do. */
static int arrived(void)
{
	int rc = standard_output_flush();

	if (!rc && standard_output_is_left())
		rc = -EPIPE;
	if (!rc)
		return EXIT_DONE;
	if (rc == -EPIPE)
		cli_end_by_pipe();
	fprintf(stderr, "tenon: standard output: %s\n", error_name(rc));
	return EXIT_FAILED;
}

const struct switch_watched switch_watched_rates = { "switch.show", print_rates };
const struct switch_watched switch_watched_table = { "switch.show", print_changes };

int switch_watch_run(const char *name, const struct switch_watched *what,
		     const struct switch_watch *watch, const struct cli_listing *listing)
{
	json_t *before = NULL, *now = NULL;
	uint64_t then = 0, time;
	int status;

	while ((status = switch_ask(name, what->method, NULL, &now)) == EXIT_DONE) {
		time = monotonic_ns();
		what->print(now, before, (double)(time - then) / SECOND, listing);
		/* Whoever reads it sees each look when it was. */
		status = arrived();
		if (status != EXIT_DONE)
			break;
		json_decref(before);
		before = now;
		now = NULL;
		then = time;
		sleep(watch->interval_s ? (unsigned)watch->interval_s : 1);
	}
	json_decref(before);
	json_decref(now);
	return status;
}

bool switch_watch_check(const struct switch_watch *watch, int *status)
{
	if (watch->on || !watch->interval_s)
		return true;
	*status = cli_usage_error("--interval: it is of --watch, which is not given");
	return false;
}
