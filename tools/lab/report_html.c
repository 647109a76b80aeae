/* SPDX-License-Identifier: BSD-2-Clause */
/* A run as one page with timelines in SVG, which needs nothing else; see report.h. */
#include <stdlib.h>
#include <string.h>

#include "tools/lab/report.h"
#include "tools/lab/run.h"
#include "util/bytes.h"

#define WIDTH  960.0
#define HEIGHT 110.0
#define LEFT   90.0

static void escape(FILE *file, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", file);
			break;
		case '>':
			fputs("&gt;", file);
			break;
		case '&':
			fputs("&amp;", file);
			break;
		case '"':
			fputs("&quot;", file);
			break;
		default:
			fputc((unsigned char)*text < 32 ? ' ' : *text, file);
		}
	}
}

static double x_of(const struct lab_result *result, uint64_t ns)
{
	return LEFT + (WIDTH - LEFT) * (double)ns / (double)MAX(result->end_ns, 1);
}

/* One curve: what `value` says of each sample, with its greatest as the top. */
static void curve(FILE *file, const struct lab_result *result, const char *title, const char *unit,
		  double scale, double (*value)(const struct lab_sample *sample))
{
	double most = 0;

	for (unsigned i = 0; i < result->sample_count; i++)
		most = MAX(most, value(&result->samples[i]));
	fprintf(file,
		"<h3>%s</h3><svg viewBox=\"0 0 %g %g\" role=\"img\"><title>%s</title>"
		"<text x=\"0\" y=\"14\">%.3g %s</text><text x=\"0\" y=\"%g\">0</text>"
		"<polyline class=\"c\" points=\"",
		title, WIDTH, HEIGHT + 8, title, most * scale, unit, HEIGHT);
	for (unsigned i = 0; i < result->sample_count; i++)
		fprintf(file, "%.1f,%.1f ", x_of(result, result->samples[i].ns),
			HEIGHT - (HEIGHT - 8) * value(&result->samples[i]) / MAX(most, 1e-9));
	fputs("\"/>", file);
	for (unsigned i = 0; i < result->note_count; i++)
		if (result->notes[i].fault)
			fprintf(file,
				"<line class=\"f\" x1=\"%.1f\" x2=\"%.1f\" y1=\"0\" y2=\"%g\"/>",
				x_of(result, result->notes[i].ns),
				x_of(result, result->notes[i].ns), HEIGHT);
	fputs("</svg>\n", file);
}

/* Periods in which something is so, as bars. */
static void bars(FILE *file, const struct lab_result *result, double y, const char *class,
		 const char *title, bool (*is)(const struct lab_sample *sample))
{
	uint64_t from = 0;

	fprintf(file, "<text x=\"0\" y=\"%g\">%s</text>", y + 12, title);
	for (unsigned i = 0; i < result->sample_count; i++) {
		const struct lab_sample *sample = &result->samples[i];

		if (is(sample))
			fprintf(file,
				"<rect class=\"%s\" x=\"%.1f\" y=\"%g\" width=\"%.2f\" "
				"height=\"14\"/>",
				class, x_of(result, from), y,
				MAX(x_of(result, sample->ns) - x_of(result, from), 0.3));
		from = sample->ns;
	}
}

static double rate_of(const struct lab_sample *sample)
{
	return (double)sample->rate;
}

static double depth_of(const struct lab_sample *sample)
{
	return sample->depth;
}

static double latency_of(const struct lab_sample *sample)
{
	return (double)sample->latency;
}

static double ops_of(const struct lab_sample *sample)
{
	return (double)sample->ops;
}

static bool is_degraded(const struct lab_sample *sample)
{
	return sample->degraded;
}

static bool is_exposed(const struct lab_sample *sample)
{
	return sample->exposed;
}

static bool is_rebuilding(const struct lab_sample *sample)
{
	return sample->operation == RAID_RECOVER || sample->operation == RAID_RESYNC;
}

static bool is_off(const struct lab_sample *sample)
{
	return sample->off;
}

static void periods(FILE *file, const struct lab_result *result)
{
	fprintf(file, "<h3>Periods</h3><svg viewBox=\"0 0 %g 84\" role=\"img\">", WIDTH);
	bars(file, result, 2, "d", "degraded", is_degraded);
	bars(file, result, 22, "e", "exposed", is_exposed);
	bars(file, result, 42, "r", "rebuilding", is_rebuilding);
	bars(file, result, 62, "o", "no power", is_off);
	fputs("</svg>\n", file);
}

static void summary(FILE *file, const struct lab_scenario *scenario,
		    const struct lab_result *result)
{
	char a[LAB_DURATION_TEXT];

	fputs("<h1>", file);
	escape(file, scenario->name);
	fprintf(file, "</h1><p class=\"%s\">%s, seed %llu: %s</p><p>", result->met ? "y" : "n",
		result->target, (unsigned long long)result->seed,
		result->met ? "as expected" : "not as expected");
	escape(file, scenario->about ? scenario->about : "");
	fputs("</p><ul>", file);
	for (unsigned i = 0; i < result->failure_count; i++) {
		fputs("<li class=\"n\">", file);
		escape(file, result->failures[i]);
		fputs("</li>", file);
	}
	fprintf(file, "<li>ended at %s</li>", lab_duration_format(result->end_ns, a));
	fprintf(file, "<li>degraded %s</li>", lab_duration_format(result->degraded_ns, a));
	fprintf(file, "<li>exposed %s</li>", lab_duration_format(result->exposed_ns, a));
	fprintf(file, "<li>rebuilding %s</li>", lab_duration_format(result->rebuild_ns, a));
	fprintf(file, "<li>%llu sectors lost, %llu wrong without an error</li></ul>\n",
		(unsigned long long)result->lost, (unsigned long long)result->silent);
}

static void notes(FILE *file, const struct lab_result *result)
{
	char a[LAB_DURATION_TEXT];

	fputs("<h3>What happened</h3><table>", file);
	for (unsigned i = 0; i < result->note_count; i++) {
		fprintf(file, "<tr class=\"%s\"><td>%s</td><td>", result->notes[i].fault ? "f" : "",
			lab_duration_format(result->notes[i].ns, a));
		escape(file, result->notes[i].text);
		fputs("</td></tr>\n", file);
	}
	fputs("</table>", file);
}

void lab_report_html(FILE *file, const struct lab_scenario *scenario,
		     const struct lab_result *result)
{
	fputs("<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>", file);
	escape(file, scenario->name);
	fputs("</title><style>body{font:15px sans-serif;max-width:1000px;margin:2em auto;padding:0 "
	      "1em;color:#222;background:#fff}svg{width:100%;font-size:12px}.c{fill:none;stroke:"
	      "#2563eb;stroke-width:1.5}line.f{stroke:#dc2626;stroke-dasharray:3 3}.d{fill:#f59e0b}"
	      ".e{fill:#dc2626}.r{fill:#2563eb}.o{fill:#6b7280}.y{color:#15803d}.n{color:#b91c1c}"
	      "tr.f td{color:#b91c1c}td{padding:1px 10px;vertical-align:top;font-size:13px}"
	      "@media(prefers-color-scheme:dark){body{background:#18181b;color:#e4e4e7}text{fill:"
	      "#e4e4e7}}</style></head><body>\n",
	      file);
	summary(file, scenario, result);
	periods(file, result);
	curve(file, result, "Rebuild rate", "MB/s", 1e-6, rate_of);
	curve(file, result, "Latency of the slowest request", "ms", 1e-6, latency_of);
	curve(file, result, "Requests answered", "", 1, ops_of);
	curve(file, result, "Queue at the disks", "", 1, depth_of);
	notes(file, result);
	fputs("</body></html>\n", file);
}
