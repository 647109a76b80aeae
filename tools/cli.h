/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the nouns of `tenon` share: options, messages, progress, and running on a fiber; listings are in output.h.
 */
#ifndef TENON_TOOLS_CLI_H
#define TENON_TOOLS_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "fiber/fiber.h"
#include "tools/commands.h"
#include "util/error.h"

/* ---- Options ---- */

/* A list of words from a repeatable option or from operands; borrowed from argv. */
struct cli_words {
	char **words;
	unsigned count;
	bool degraded; /* of devices: arrays may start without members that they had (--degraded) */
};

/* Adds `word`, which must live as long. The list lives until cli_release(). */
void cli_words_add(struct cli_words *words, char *word);
/* A copy of `text` that lives until cli_release(). */
char *cli_keep_text(const char *text);
/* Devices that did not answer: they are waited for once in a command. Until cli_release(). */
void cli_remember_silent(const char *path);
bool cli_is_silent(const char *path);
/* Frees all lists of words and kept texts: the command is done. */
void cli_release(void);

enum cli_kind { CLI_FLAG, CLI_TEXT, CLI_SIZE, CLI_NUMBER, CLI_LIST };

struct cli_option {
	const char *name; /* "json" for --json */
	enum cli_kind kind;
	void *value;             /* bool, const char *, uint64_t (bytes), uint64_t, cli_words */
	const char *placeholder; /* "SIZE"; unused for flags */
	const char *help;
	uint64_t least, most; /* the range of a size or number; most 0: as much as fits */
	char letter;          /* 'o' for -o too, or 0 */
};

struct cli_verb {
	const char *name;
	command_fn *run; /* argv[0] is the verb's name */
	const char *synopsis;
	const char *summary;
};

/* The verb that argv[1] names is run with the rest; without one, or with --help, usage is printed. */
int cli_run_verb(const char *noun, const struct cli_verb *verbs, int argc, char **argv);

/*
 * Parses `options` (ended by a NULL name; --help is added) and operands, of which there must be between
 * `least` and `most`. True: go on. False: *status is the exit status to return (usage was printed).
 * `usage` is what stands after "tenon ".
 */
bool cli_parse(const char *usage, const struct cli_option *options, int argc, char **argv,
	       unsigned least, unsigned most, struct cli_words *operands, int *status);

#define CLI_ANY 10000u

/* Says "tenon: usage: ..." about one thing that is wrong with the arguments; returns EXIT_USAGE. */
int cli_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- Running ---- */

/* Runs `fn(arg, error)` as the first fiber of a worker on this thread; prints the error, if any, and
 * returns the exit status. */
int cli_on_fiber(int (*fn)(void *arg, struct error *error), void *arg);

/*
 * On a fiber: runs `fn(arg)` on another one that SIGINT, SIGTERM and SIGHUP cancel (fiber_cancel()), so that
 * what comes after it still puts everything in order. Returns what `fn` returned, or -ECANCELED, with `error`
 * saying so, where a signal came: the caller passes that on, and cli_on_fiber() then has the process die of
 * the signal, which is how a shell learns that its loop is to end.
 */
int cli_interruptible(fiber_fn *fn, void *arg, struct error *error);

/* Prints an error with its advice to standard error; returns EXIT_FAILED. */
int cli_fail(int rc, const struct error *error);

/* Prints a note for a person to standard error. */
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints a line for a person to standard output. As all that is printed here, it is made fit for a terminal
 * (text.h): names in it may be anything. */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For servers: what was said so far is flushed. That nobody could be told is noted, and no reason to end. */
void cli_ready(void);

/* ---- Progress ---- */

/* A line on a terminal (standard error) that is as wide as that is, moves by itself, and has rate and time left;
 * nothing elsewhere. Zeroed to begin; used on fibers of one worker. */
struct cli_progress {
	const char *what;
	bool shown;
	uint64_t started_ns; /* by the first report */
	uint64_t done, total;
	uint64_t given;         /* bytes per second that the work itself says, or 0 */
	uint64_t last_ns, last; /* when the rate was last measured, and at how many bytes */
	double rate;            /* bytes per second, of the last seconds */
	struct fiber *ticker;
};

/* `total` 0: not known. `bytes_per_second` 0: measured here. */
void cli_progress_report(struct cli_progress *progress, uint64_t done, uint64_t total,
			 uint64_t bytes_per_second);
/* Ends the line. */
void cli_progress_end(struct cli_progress *progress);

#endif
