/* SPDX-License-Identifier: BSD-2-Clause */
/* Options, messages and running on a fiber; see cli.h. */
#include "tools/cli.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fiber/fiber.h"
#include "fiber/signal.h"
#include "util/cleanup.h"
#include "util/number.h"
#include "util/standard.h"
#include "util/text.h"

#define CLI_MOST_OPTIONS 24

/* What the command line was taken apart into lives as long as the command, and what did not answer is known as
 * long. The tool's only state outside of a command; main() lets go of it. */
static struct cli_kept {
	struct cli_kept *next;
	char *words[];
} * cli_kept;
static struct cli_words cli_silent;

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

int cli_usage_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_message(stderr, "tenon: ", format, args);
	va_end(args);
	return EXIT_USAGE;
}

void cli_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_message(stderr, "tenon: ", format, args);
	va_end(args);
}

void cli_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_message(stdout, "", format, args);
	va_end(args);
}

int cli_fail(int rc, const struct error *error)
{
	fprintf(stderr, "tenon: %s\n", error->text[0] ? error->text : error_name(rc));
	if (error->advice[0])
		fprintf(stderr, "       %s\n", error->advice);
	return EXIT_FAILED;
}

void cli_ready(void)
{
	int rc = standard_output_flush();

	/* Who closes standard output does not want to know. */
	if (rc && rc != -EBADF)
		cli_note("standard output: %s; it is ready all the same", error_name(rc));
}

static void cli_print_verbs(FILE *to, const char *noun, const struct cli_verb *verbs)
{
	fprintf(to, "usage:\n");
	for (; verbs->name; verbs++)
		fprintf(to, "  tenon %s %s %s\n      %s\n", noun, verbs->name, verbs->synopsis,
			verbs->summary);
	fprintf(to, "`tenon %s VERB --help` lists the options of a verb.\n", noun);
}

int cli_run_verb(const char *noun, const struct cli_verb *verbs, int argc, char **argv)
{
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		cli_print_verbs(stdout, noun, verbs);
		return EXIT_DONE;
	}
	for (const struct cli_verb *verb = verbs; argc > 1 && verb->name; verb++)
		if (!strcmp(argv[1], verb->name))
			return verb->run(argc - 1, argv + 1);
	if (argc > 1)
		cli_usage_error("%s: there is no verb '%s'", noun, argv[1]);
	cli_print_verbs(stderr, noun, verbs);
	return EXIT_USAGE;
}

static void cli_print_usage(FILE *to, const char *usage, const struct cli_option *options)
{
	fprintf(to, "usage: tenon %s\n", usage);
	for (; options->name; options++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%.1s%s--%s%s%s", options->letter ? "-" : "",
			 &options->letter, options->letter ? ", " : "", options->name,
			 options->kind == CLI_FLAG ? "" : " ",
			 options->kind == CLI_FLAG ? "" : options->placeholder);
		fprintf(to, "  %-26s %s\n", left, options->help);
	}
}

/* Stores what one option said; 0, or a negative errno with the message printed. */
static int cli_store(const struct cli_option *option, char *argument)
{
	struct error error = { 0 };
	uint64_t most = option->most ? option->most : (uint64_t)INT64_MAX;
	int rc = 0;

	switch (option->kind) {
	case CLI_FLAG:
		*(bool *)option->value = true;
		return 0;
	case CLI_TEXT:
		*(const char **)option->value = argument;
		return 0;
	case CLI_LIST:
		cli_words_add(option->value, argument);
		return 0;
	case CLI_SIZE:
		rc = number_parse_size(argument, option->least, most, option->value, &error);
		break;
	case CLI_NUMBER:
		rc = number_parse(argument, option->least, most, option->value, &error);
		break;
	}
	if (rc)
		cli_usage_error("--%s: %s", option->name, error.text);
	return rc;
}

static unsigned cli_long_options(const struct cli_option *options, struct option *into)
{
	unsigned count = 0;

	for (; options[count].name && count < CLI_MOST_OPTIONS; count++)
		into[count] = (struct option){ options[count].name,
					       options[count].kind == CLI_FLAG ? no_argument
									       : required_argument,
					       NULL, 256 + (int)count };
	into[count] = (struct option){ "help", no_argument, NULL, 'h' };
	into[count + 1] = (struct option){ 0 };
	return count;
}

/* What getopt() takes for letters: "ho:H". */
static void cli_letters(const struct cli_option *options, char *letters)
{
	*letters++ = 'h';
	for (unsigned i = 0; options[i].name && i < CLI_MOST_OPTIONS; i++) {
		if (!options[i].letter)
			continue;
		*letters++ = options[i].letter;
		if (options[i].kind != CLI_FLAG)
			*letters++ = ':';
	}
	*letters = '\0';
}

/* The number of the option that has this letter; what is none of them stays. */
static int cli_by_letter(const struct cli_option *options, int found)
{
	for (unsigned i = 0; options[i].name && i < CLI_MOST_OPTIONS; i++)
		if (options[i].letter && options[i].letter == found)
			return 256 + (int)i;
	return found;
}

bool cli_parse(const char *usage, const struct cli_option *options, int argc, char **argv,
	       unsigned least, unsigned most, struct cli_words *operands, int *status)
{
	struct option longs[CLI_MOST_OPTIONS + 2];
	char letters[2 * CLI_MOST_OPTIONS + 2];
	int found;

	cli_long_options(options, longs);
	cli_letters(options, letters);
	*status = EXIT_USAGE;
	*operands = (struct cli_words){ 0 };
	optind = 0;
	while ((found = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (found == 'h') {
			cli_print_usage(stdout, usage, options);
			*status = EXIT_DONE;
			return false;
		}
		found = cli_by_letter(options, found);
		if (found < 256) {
			cli_print_usage(stderr, usage, options);
			return false;
		}
		if (cli_store(&options[found - 256], optarg))
			return false;
	}
	for (; optind < argc; optind++)
		cli_words_add(operands, argv[optind]);
	if (operands->count >= least && operands->count <= most)
		return true;
	cli_usage_error("%s: %s operands", argv[0],
			operands->count < least ? "too few" : "too many");
	cli_print_usage(stderr, usage, options);
	return false;
}

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
