/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the nouns of `tenon` share: options, messages, progress, and running on a fiber; listings are in output.h.
 *
 *	cli.c		messages, running
 *	cli_parse.c	verbs and options: all that a verb takes stands in its table of options and its usage line, from
 *			which --help, suggestions and completion come, and with which a test compares the man pages
 *	cli_complete.c	completion for shells
 *	consent.h	asking before something is lost
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
	const struct cli_words *backups; /* the same: files of --backup-file, or NULL */
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

/* The verb that argv[1] names, also by another name that people know it by (ls, rm, ...), is run with the rest;
 * without one, or with --help, usage is printed. `help VERB` is the verb with --help. */
int cli_run_verb(const char *noun, const struct cli_verb *verbs, int argc, char **argv);

/*
 * Parses `options` (ended by a NULL name; --help is added) and operands, of which there must be between
 * `least` and `most`. True: go on. False: *status is the exit status to return (usage was printed).
 * `usage` is what stands after "tenon ".
 */
bool cli_parse(const char *usage, const struct cli_option *options, int argc, char **argv,
	       unsigned least, unsigned most, struct cli_words *operands, int *status);

/* A size that a person wrote, for options that are more than a size: as CLI_SIZE, a number alone is refused, whose
 * unit can only be guessed. -EINVAL or -ERANGE with `error` set. */
int cli_parse_size(const char *text, uint64_t least, uint64_t most, uint64_t *bytes,
		   struct error *error);

#define CLI_ANY 10000u

/* The verb that a usage error names, from what stands after "tenon " in its usage. */
void cli_set_verb(const char *usage);
const char *cli_verb_name(void);

/* From now on options and verbs are not carried out: what could stand in place of the last word is printed, for a
 * shell (cli_complete.c). */
void cli_begin_completion(void);
bool cli_completing(void);
/* Of these verbs; of this verb's options and operands. argv[argc - 1] is the word. */
void cli_complete_verb(const struct cli_verb *verbs, const char *word);
void cli_complete(const char *usage, const struct cli_option *options, int argc, char **argv,
		  unsigned most);

#define CLI_MOST_OPTIONS 32

/* Says "tenon: VERB: ..." about one thing that is wrong with the arguments of the verb that cli_parse() was called for;
 * returns EXIT_USAGE. */
int cli_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, with what a check of a value said of it, and its advice. `option` it was given with, or NULL: an operand. */
int cli_wrong_value(const char *option, const struct error *error);

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

/*
 * A peer that hangs up is an error of a write, not a reason to die: the first has it so. Where it was the reader of
 * standard output, the second ends the process as SIGPIPE would have; it returns where the parent had that ignored.
 */
void cli_catch_pipe(void);
void cli_end_by_pipe(void);

/* Prints an error with its advice to standard error; returns EXIT_FAILED. */
int cli_fail(int rc, const struct error *error);
/* From now on a path that only this process knows is said as the name that the user gave. */
int cli_call(const char *path, const char *name);

/* To standard error, for a person: "tenon: note: ..." is news, "tenon: warning: ..." something that is not as it
 * should be. What is neither is an error, by cli_fail(). */
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

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
