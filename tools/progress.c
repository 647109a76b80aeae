/* SPDX-License-Identifier: BSD-2-Clause */
/* The line that says how far something is; see cli.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli.h"
#include "tools/terminal.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/size.h"

#define SECOND  1000000000ull
#define TICK_NS (SECOND / 4)
#define RATE_NS (SECOND / 2) /* a rate is measured over so long at least */

#define BAR_MOST  30
#define BAR_LEAST 6
#define LINE      512

static uint64_t rate_of(const struct cli_progress *progress)
{
	return progress->given ? progress->given : (uint64_t)progress->rate;
}

static void measure(struct cli_progress *progress, uint64_t now)
{
	uint64_t elapsed = now - progress->last_ns;
	double rate;

	if (elapsed < RATE_NS)
		return;
	rate = (double)(progress->done - MIN(progress->last, progress->done)) * SECOND /
	       (double)elapsed;
	/* The first is taken as it is, later ones smoothly. */
	progress->rate = progress->rate > 0 ? 0.7 * progress->rate + 0.3 * rate : rate;
	progress->last = progress->done;
	progress->last_ns = now;
}

static void put_time(char *to, size_t size, uint64_t seconds, const char *after)
{
	if (seconds >= 3600)
		snprintf(to, size, ", %llu:%02llu:%02llu%s", (unsigned long long)(seconds / 3600),
			 (unsigned long long)(seconds / 60 % 60),
			 (unsigned long long)(seconds % 60), after);
	else
		snprintf(to, size, ", %llu:%02llu%s", (unsigned long long)(seconds / 60),
			 (unsigned long long)(seconds % 60), after);
}

/* The parts of a line; those behind are left out where it has no room. */
struct progress_line {
	char head[64], percent[16], amount[64], rate[40], time[40];
};

static void compose(const struct cli_progress *progress, uint64_t now, struct progress_line *line)
{
	uint64_t rate = rate_of(progress), elapsed = (now - progress->started_ns) / SECOND;
	char sizes[3][SIZE_TEXT];

	*line = (struct progress_line){ 0 };
	snprintf(line->head, sizeof(line->head), "%s", progress->what);
	if (progress->total) {
		snprintf(line->percent, sizeof(line->percent), " %3d%%",
			 (int)((double)progress->done * 100 / (double)progress->total));
		snprintf(line->amount, sizeof(line->amount), "  %s of %s",
			 size_format(progress->done, sizes[0]),
			 size_format(progress->total, sizes[1]));
	} else {
		snprintf(line->amount, sizeof(line->amount), "  %s",
			 size_format(progress->done, sizes[0]));
	}
	if (rate)
		snprintf(line->rate, sizeof(line->rate), ", %s/s", size_format(rate, sizes[2]));
	if (progress->total && rate && progress->done < progress->total)
		put_time(line->time, sizeof(line->time),
			 (progress->total - progress->done + rate - 1) / rate, " left");
	else
		put_time(line->time, sizeof(line->time), elapsed, "");
}

static void draw(const struct cli_progress *progress, const struct progress_line *line)
{
	/* The last column stays free: a terminal would go on to the next line there. */
	int room = (int)terminal_width(STDERR_FILENO) - 1, bar, filled;
	const char *parts[] = { line->percent, line->amount, line->rate, line->time };
	char text[LINE] = "";

	room -= (int)strlen(line->head);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		int length = (int)strlen(parts[i]);

		if (length > room)
			break;
		strcat(text, parts[i]);
		room -= length;
	}
	bar = progress->total ? MIN(room - 3, BAR_MOST) : 0;
	fprintf(stderr, "\r%.*s", (int)terminal_width(STDERR_FILENO) - 1, line->head);
	if (bar >= BAR_LEAST) {
		filled = (int)((double)progress->done / (double)progress->total * bar);
		fputs(" [", stderr);
		for (int i = 0; i < bar; i++)
			fputc(i < filled ? '#' : '.', stderr);
		fputc(']', stderr);
	}
	fprintf(stderr, "%s\033[K", text);
	fflush(stderr);
}

static void redraw(struct cli_progress *progress)
{
	uint64_t now = monotonic_ns();
	struct progress_line line;

	measure(progress, now);
	compose(progress, now, &line);
	draw(progress, &line);
}

/* The time goes on, and the terminal may get another width, also while nothing is reported. */
static int tick(void *arg)
{
	struct cli_progress *progress = arg;

	while (!fiber_sleep(TICK_NS))
		redraw(progress);
	return 0;
}

void cli_progress_report(struct cli_progress *progress, uint64_t done, uint64_t total,
			 uint64_t bytes_per_second)
{
	if (!terminal_width(STDERR_FILENO))
		return;
	if (!progress->started_ns) {
		progress->started_ns = progress->last_ns = monotonic_ns();
		/* What was done before this began is not its rate. */
		progress->last = done < total ? done : 0;
	}
	progress->done = done;
	progress->total = total;
	progress->given = bytes_per_second;
	if (progress->shown)
		return;
	progress->shown = true;
	redraw(progress);
	if (fiber_current())
		progress->ticker = fiber_spawn(tick, progress);
}

void cli_progress_end(struct cli_progress *progress)
{
	uint64_t elapsed;

	if (progress->ticker) {
		fiber_cancel(progress->ticker);
		fiber_join(progress->ticker);
		progress->ticker = NULL;
	}
	if (progress->shown) {
		/* Of the whole, in the end. */
		elapsed = monotonic_ns() - progress->started_ns;
		progress->last_ns = monotonic_ns();
		if (!progress->given && elapsed > TICK_NS)
			progress->rate = (double)progress->done * SECOND / (double)elapsed;
		redraw(progress);
		fputc('\n', stderr);
	}
	progress->shown = false;
	progress->started_ns = 0;
}
