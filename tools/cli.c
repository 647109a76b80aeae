/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages and running on a fiber; see cli.h. */
#include "tools/cli.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fiber/fiber.h"
#include "fiber/signal.h"
#include "util/cleanup.h"
#include "util/standard.h"
#include "util/text.h"

/* What the command line was taken apart into lives as long as the command, and what did not answer is known as
 * long. The tool's only state outside of a command; main() lets go of it. */
static struct cli_kept {
	struct cli_kept *next;
	char *words[];
} * cli_kept;
static struct cli_words cli_silent;
static bool cli_is_completing;
static char cli_verb_text[64]; /* "lv create": what a usage error is about */

static char **cli_keep(size_t words)
{
	struct cli_kept *kept = malloc(sizeof(*kept) + words * sizeof(char *));

	if (!kept)
		abort();
	kept->next = cli_kept;
	cli_kept = kept;
	return kept->words;
}

void cli_release(void)
{
	cli_silent = (struct cli_words){ 0 };
	cli_verb_text[0] = '\0';
	while (cli_kept) {
		struct cli_kept *kept = cli_kept;

		cli_kept = kept->next;
		free(kept);
	}
}

char *cli_keep_text(const char *text)
{
	return strcpy((char *)cli_keep(strlen(text) / sizeof(char *) + 1), text);
}

void cli_words_add(struct cli_words *words, char *word)
{
	/* Full at each power of two. */
	if (!(words->count & (words->count - 1))) {
		char **grown = cli_keep(words->count ? 2 * (size_t)words->count : 1);

		if (words->count)
			memcpy(grown, words->words, words->count * sizeof(char *));
		words->words = grown;
	}
	words->words[words->count++] = word;
}

static void print_message(FILE *to, const char *before, const char *format, va_list args)
{
	char raw[1024], text[1024];

	vsnprintf(raw, sizeof(raw), format, args);
	text_clean(text, sizeof(text), raw);
	fprintf(to, "%s%s\n", before, text);
}

bool cli_is_silent(const char *path)
{
	for (unsigned i = 0; i < cli_silent.count; i++)
		if (!strcmp(cli_silent.words[i], path))
			return true;
	return false;
}

void cli_remember_silent(const char *path)
{
	if (!cli_is_silent(path))
		cli_words_add(&cli_silent, cli_keep_text(path));
}

void cli_begin_completion(void)
{
	cli_is_completing = true;
}

bool cli_completing(void)
{
	return cli_is_completing;
}

void cli_set_verb(const char *usage)
{
	size_t length = 0;

	/* "lv create VG/LV --size SIZE": the words before what the user puts in. */
	while (islower((unsigned char)usage[length]) || usage[length] == ' ')
		length++;
	while (length && usage[length] && usage[length - 1] != ' ')
		length--;
	while (length && usage[length - 1] == ' ')
		length--;
	snprintf(cli_verb_text, sizeof(cli_verb_text), "%.*s", (int)length, usage);
}

const char *cli_verb_name(void)
{
	return cli_verb_text;
}

int cli_usage_error(const char *format, ...)
{
	char before[80] = "tenon: ";
	va_list args;

	if (cli_verb_text[0])
		snprintf(before, sizeof(before), "tenon: %s: ", cli_verb_text);
	va_start(args, format);
	print_message(stderr, before, format, args);
	va_end(args);
	return EXIT_USAGE;
}

int cli_wrong_value(const char *option, const struct error *error)
{
	cli_usage_error("%s%s%s%s", option ? "--" : "", option ? option : "", option ? ": " : "",
			error->text);
	if (error->advice[0])
		fprintf(stderr, "       %s\n", error->advice);
	return EXIT_USAGE;
}

void cli_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_message(stderr, "tenon: note: ", format, args);
	va_end(args);
}

void cli_warn(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_message(stderr, "tenon: warning: ", format, args);
	va_end(args);
}

void cli_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_message(stdout, "", format, args);
	va_end(args);
}

static struct {
	char *path, *name;
} called;

int cli_call(const char *path, const char *name)
{
	free(called.path);
	free(called.name);
	called.path = strdup(path);
	called.name = text_cleaned(name, NULL);
	return called.path && called.name ? 0 : -ENOMEM;
}

static void print_called(const char *before, const char *text)
{
	const char *at;

	fputs(before, stderr);
	while (called.path && called.name && (at = strstr(text, called.path))) {
		fwrite(text, 1, (size_t)(at - text), stderr);
		fputs(called.name, stderr);
		text = at + strlen(called.path);
	}
	fputs(text, stderr);
	fputc('\n', stderr);
}

int cli_fail(int rc, const struct error *error)
{
	print_called("tenon: ", error->text[0] ? error->text : error_name(rc));
	if (error->advice[0])
		print_called("       ", error->advice);
	return EXIT_FAILED;
}

void cli_ready(void)
{
	int rc = standard_output_flush();

	/* Who closes standard output does not want to know. */
	if (rc && rc != -EBADF)
		cli_warn("standard output: %s; it is ready all the same", error_name(rc));
}

/* ---- A reader that has left ---- */

static void on_pipe(int signal)
{
	(void)signal;
}

/* A handler rather than SIG_IGN: what is run from here does not inherit it, and it says that the parent did not
 * have SIGPIPE ignored. */
void cli_catch_pipe(void)
{
	struct sigaction action;

	if (!sigaction(SIGPIPE, NULL, &action) && action.sa_handler != SIG_IGN) {
		action = (struct sigaction){ .sa_handler = on_pipe, .sa_flags = SA_RESTART };
		sigaction(SIGPIPE, &action, NULL);
	}
}

void cli_end_by_pipe(void)
{
	struct sigaction action;
	sigset_t set;

	if (sigaction(SIGPIPE, NULL, &action) || action.sa_handler != on_pipe)
		return;
	fflush(stderr);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	raise(SIGPIPE);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- Running ---- */

struct cli_run {
	int (*fn)(void *arg, struct error *error);
	void *arg;
	struct error error;
};

static int cli_first_fiber(void *arg)
{
	struct cli_run *run = arg;

	return run->fn(run->arg, &run->error);
}

/* What ends a command: not what its parent had it ignore (nohup, a shell's background jobs). */
static void cli_signals(sigset_t *set)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct sigaction action;

		if (!sigaction(ends[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(set, ends[i]);
	}
}

int cli_on_fiber(int (*fn)(void *arg, struct error *error), void *arg)
{
	struct cli_run run = { .fn = fn, .arg = arg };
	struct worker *worker;
	sigset_t ends;
	int rc = worker_create(&worker, NULL, &run.error);

	if (!rc) {
		rc = worker_run(worker, cli_first_fiber, &run);
		worker_destroy(worker);
	}
	rc = rc < 0 ? cli_fail(rc, &run.error) : EXIT_DONE;
	/* Whoever left a signal pending was interrupted by it. */
	if (run.error.code == -ECANCELED) {
		fflush(NULL);
		cli_signals(&ends);
		sigprocmask(SIG_UNBLOCK, &ends, NULL);
	}
	return rc;
}

struct interruptible {
	struct fiber *work; /* NULL once it has ended */
	sigset_t signals;
	bool caught;
};

static int cli_watch_signals(void *arg)
{
	struct interruptible *run = arg;

	int signal = fiber_wait_signal(&run->signals);

	if (signal <= 0)
		return 0;
	/* Blocked, it stays pending for cli_on_fiber(). */
	run->caught = !raise(signal);
	if (run->work)
		fiber_cancel(run->work);
	return 0;
}

int cli_interruptible(fiber_fn *fn, void *arg, struct error *error)
{
	struct interruptible run = { .caught = false };
	struct fiber *watcher;
	sigset_t before;
	int rc;

	cli_signals(&run.signals);
	sigprocmask(SIG_BLOCK, &run.signals, &before);
	run.work = fiber_spawn(fn, arg);
	watcher = fiber_spawn(cli_watch_signals, &run);
	rc = fiber_join(run.work);
	run.work = NULL;
	fiber_cancel(watcher);
	fiber_join(watcher);
	/* Whatever it says: the caller puts away what is half done before the signal ends the command. */
	if (run.caught)
		return error_set(error, -ECANCELED, "interrupted");
	sigprocmask(SIG_SETMASK, &before, NULL);
	return rc;
}
