/* SPDX-License-Identifier: BSD-2-Clause */
/* Reports as JSON and as text; see report.h. */
#include "tools/lab/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "block/output.h"
#include "raid/raid.h"
#include "tools/lab/run.h"
#include "util/bytes.h"
#include "util/size.h"

static json_t *notes_json(const struct lab_result *result)
{
	json_t *notes = json_array();

	for (unsigned i = 0; i < result->note_count; i++)
		json_array_append_new(
			notes, json_pack("{sIsbss%}", "at_ns", (json_int_t)result->notes[i].ns,
					 "fault", result->notes[i].fault, "text",
					 result->notes[i].text, strlen(result->notes[i].text)));
	return notes;
}

static json_t *phases_json(const struct lab_result *result)
{
	json_t *phases = json_array();

	for (unsigned i = 0; i < result->phase_count; i++)
		json_array_append_new(
			phases,
			json_pack("{sIssss}", "at_ns", (json_int_t)result->phases[i].ns, "health",
				  lab_health_names[result->phases[i].health], "operation",
				  raid_operation_name(result->phases[i].operation)));
	return phases;
}

static json_t *samples_json(const struct lab_result *result)
{
	json_t *samples = json_array();

	for (unsigned i = 0; i < result->sample_count; i++) {
		const struct lab_sample *sample = &result->samples[i];

		json_array_append_new(
			samples,
			json_pack("{sIsssIsIsIsisbsbsb}", "at_ns", (json_int_t)sample->ns,
				  "operation", raid_operation_name(sample->operation),
				  "rebuild_rate_bytes", (json_int_t)sample->rate, "latency_ns",
				  (json_int_t)sample->latency, "requests", (json_int_t)sample->ops,
				  "queue", (int)sample->depth, "degraded", sample->degraded,
				  "exposed", sample->exposed, "off", sample->off));
	}
	return samples;
}

static json_t *damages_json(const struct lab_result *result)
{
	json_t *damages = json_array();

	for (unsigned i = 0; i < result->damage_count; i++)
		json_array_append_new(damages,
				      json_pack("{sIsIsb}", "sector",
						(json_int_t)result->damages[i].sector, "sectors",
						(json_int_t)result->damages[i].count, "silent",
						result->damages[i].silent));
	return damages;
}

static json_t *work_json(const struct lab_result *result)
{
	const struct lab_work_counts *work = &result->work;
	uint64_t all = work->reads + work->writes + work->flushes;

	return json_pack("{sIsIsIsIsIsIsIsIsI}", "reads", (json_int_t)work->reads, "writes",
			 (json_int_t)work->writes, "flushes", (json_int_t)work->flushes, "errors",
			 (json_int_t)work->errors, "transferred_bytes", (json_int_t)work->bytes,
			 "latency_mean_ns", (json_int_t)(all ? work->latency_sum / all : 0),
			 "latency_median_ns", (json_int_t)lab_latency_at(work, 0.5),
			 "latency_p99_ns", (json_int_t)lab_latency_at(work, 0.99),
			 "latency_most_ns", (json_int_t)work->latency_most);
}

json_t *lab_report_json(const struct lab_scenario *scenario, const struct lab_result *result,
			bool timeline)
{
	json_t *failures = json_array(), *report;

	for (unsigned i = 0; i < result->failure_count; i++)
		json_array_append_new(failures, json_string(result->failures[i]));
	report = json_pack("{sssssIsbsosssIsIsIsIsIsIsIsIsI}", "scenario", scenario->name, "target",
			   result->target, "seed", (json_int_t)result->seed, "met", result->met,
			   "unmet", failures, "state", lab_end_of(result), "end_ns",
			   (json_int_t)result->end_ns, "rebuild_ns", (json_int_t)result->rebuild_ns,
			   "rebuilt_at_ns", (json_int_t)result->rebuilt_at_ns, "degraded_ns",
			   (json_int_t)result->degraded_ns, "exposed_ns",
			   (json_int_t)result->exposed_ns, "off_ns", (json_int_t)result->off_ns,
			   "silent_sectors", (json_int_t)result->silent, "lost_sectors",
			   (json_int_t)result->lost, "mismatch_bytes",
			   (json_int_t)result->mismatches);
	json_object_set_new(report, "damages", damages_json(result));
	json_object_set_new(report, "work", work_json(result));
	json_object_set_new(report, "repairs",
			    json_pack("{sIsIsIsI}", "members_failed",
				      (json_int_t)result->members_failed, "corrected",
				      (json_int_t)result->corrected, "made_good",
				      (json_int_t)result->made_good, "lost_reads",
				      (json_int_t)result->lost_reads));
	json_object_set_new(report, "disk_traffic",
			    json_pack("{sIsIsIsIsI}", "reads", (json_int_t)result->disk_reads,
				      "writes", (json_int_t)result->disk_writes, "flushes",
				      (json_int_t)result->disk_flushes, "read_bytes",
				      (json_int_t)result->disk_read_bytes, "written_bytes",
				      (json_int_t)result->disk_written_bytes));
	json_object_set_new(report, "phases", phases_json(result));
	if (timeline) {
		json_object_set_new(report, "notes", notes_json(result));
		json_object_set_new(report, "samples", samples_json(result));
	}
	return report;
}

/* ---- Text ---- */

/* Rounded, since nobody reads nanoseconds of hours. */
static const char *time_text(uint64_t ns, char text[LAB_DURATION_TEXT])
{
	if (ns >= 10000000000ull)
		ns = ns / 1000000000 * 1000000000;
	else if (ns >= 10000000)
		ns = ns / 1000000 * 1000000;
	else if (ns >= 10000)
		ns = ns / 1000 * 1000;
	return lab_duration_format(ns, text);
}

void lab_report_text(const struct lab_scenario *scenario, const struct lab_result *result,
		     void (*say)(const char *format, ...))
{
	const struct lab_work_counts *work = &result->work;
	char a[LAB_DURATION_TEXT], b[LAB_DURATION_TEXT], c[LAB_DURATION_TEXT];

	say("%s, %s, seed %llu: %s", scenario->name, result->target,
	    (unsigned long long)result->seed, result->met ? "as expected" : "NOT as expected");
	for (unsigned i = 0; i < result->failure_count; i++)
		say("  unmet       %s", result->failures[i]);
	say("  array       %s after %s", lab_end_of(result), time_text(result->end_ns, a));
	say("  degraded    %s, of that exposed %s; rebuilding %s",
	    time_text(result->degraded_ns, a), time_text(result->exposed_ns, b),
	    time_text(result->rebuild_ns, c));
	if (result->rebuilt_at_ns)
		say("  rebuilt     at %s", time_text(result->rebuilt_at_ns, a));
	say("  data        %llu sectors lost, %llu wrong without an error; members differ in %llu "
	    "bytes",
	    (unsigned long long)result->lost, (unsigned long long)result->silent,
	    (unsigned long long)result->mismatches);
	say("  workload    %llu reads, %llu writes, %llu flushes, %llu errors",
	    (unsigned long long)work->reads, (unsigned long long)work->writes,
	    (unsigned long long)work->flushes, (unsigned long long)work->errors);
	say("  latency     median %s, 99%% %s, most %s", time_text(lab_latency_at(work, 0.5), a),
	    time_text(lab_latency_at(work, 0.99), b), time_text(work->latency_most, c));
	say("  disks       %llu reads, %llu writes, %llu flushes",
	    (unsigned long long)result->disk_reads, (unsigned long long)result->disk_writes,
	    (unsigned long long)result->disk_flushes);
	for (unsigned i = 0; i < result->note_count; i++)
		say("  %-11s %s%s", time_text(result->notes[i].ns, a),
		    result->notes[i].fault ? "* " : "  ", result->notes[i].text);
}

/* ---- Files ---- */

static bool is_html(const void *head, size_t length)
{
	static const char begin[] = "<!DOCTYPE html><html lang=\"en\"><head><meta";

	return length > strlen(begin) && !memcmp(head, begin, strlen(begin));
}

static bool is_json(const void *head, size_t length)
{
	static const char begin[] = "{\n  \"scenario\": ";

	return length > strlen(begin) && !memcmp(head, begin, strlen(begin));
}

static bool is_scenario(const void *head, size_t length)
{
	return output_is_text(head, length) && memmem(head, length, "name:", 5);
}

static const struct output_kind html = { "a report", is_html }, json = { "a report", is_json },
				yaml = { "a scenario", is_scenario };

/* `result` NULL: it is of no run. */
static FILE *create(const char *directory, const struct lab_scenario *scenario,
		    const struct lab_result *result, const char *suffix,
		    const struct output_kind *kind, char path[LAB_REPORT_PATH], struct error *error)
{
	bool other = result && strcmp(result->target, lab_target_tenon.name) != 0;
	struct output out;
	FILE *file;

	snprintf(path, LAB_REPORT_PATH, "%s/%.200s%s%s%s", directory, scenario->name,
		 other ? "-" : "", other ? result->target : "", suffix);
	if (output_open(&out, path, 0, kind, error)) {
		if (error->code == -EEXIST)
			error_advise(error, "name another folder, or remove that file if nothing "
					    "in it is needed");
		return NULL;
	}
	file = fdopen(out.fd, "w");
	if (file)
		out.fd = -1;
	else
		error_set(error, -errno, "%s: %s", path, error_name(errno));
	output_close(&out);
	return file;
}

static int done(FILE *file, const char *path, struct error *error)
{
	bool failed = ferror(file);

	if (fclose(file) || failed)
		return error_set(error, -EIO, "%s: cannot be written", path);
	return 0;
}

static int make_directory(const char *directory, struct error *error)
{
	if (mkdir(directory, 0777) && errno != EEXIST)
		return error_set(error, -errno, "%s: %s", directory, error_name(errno));
	return 0;
}

int lab_report_write_scenario(const char *directory, const struct lab_scenario *scenario,
			      const char *text, char path[LAB_REPORT_PATH], struct error *error)
{
	FILE *file;
	int rc = make_directory(directory, error);

	if (rc)
		return rc;
	file = create(directory, scenario, NULL, "-shrunk.yaml", &yaml, path, error);
	if (!file)
		return error->code;
	fputs(text, file);
	return done(file, path, error);
}

int lab_report_write(const char *directory, const struct lab_scenario *scenario,
		     const struct lab_result *result, struct error *error)
{
	char path[LAB_REPORT_PATH];
	FILE *file;
	json_t *report;
	int rc;

	rc = make_directory(directory, error);
	if (rc)
		return rc;
	file = create(directory, scenario, result, ".html", &html, path, error);
	if (!file)
		return error->code;
	lab_report_html(file, scenario, result);
	rc = done(file, path, error);
	if (rc)
		return rc;
	file = create(directory, scenario, result, ".json", &json, path, error);
	if (!file)
		return error->code;
	report = lab_report_json(scenario, result, true);
	json_dumpf(report, file, JSON_INDENT(2));
	fputc('\n', file);
	json_decref(report);
	return done(file, path, error);
}
