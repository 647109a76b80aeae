/* SPDX-License-Identifier: BSD-2-Clause */
/* The `tenon` command: finds the noun and hands over. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tools/cli.h"
#include "tools/commands.h"
#include "util/error.h"
#include "util/standard.h"

#define TENON_VERSION "0.1.0"

static const struct {
	const char *noun;
	command_fn *run;
	const char *summary;
} commands[] = {
#define COMMAND_ROW(noun, function, summary) { noun, function, summary },
	COMMANDS(COMMAND_ROW)
#undef COMMAND_ROW
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_usage(FILE *to)
{
	fprintf(to, "usage: tenon NOUN [VERB] ...\n\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(to, "  %-8s %s\n", commands[i].noun, commands[i].summary);
	fprintf(to, "\n`tenon NOUN --help` says more; `tenon --version` prints the version.\n");
}

/* What was to be printed and has not arrived was not done. */
static int finish(int status)
{
	int rc = standard_output_flush();

	cli_release();
	if (!rc)
		return status;
	cli_note("standard output: %s", error_name(rc));
	return status == EXIT_DONE ? EXIT_FAILED : status;
}

int main(int argc, char **argv)
{
	if (standard_open())
		return EXIT_FAILED;
	/* A peer that hangs up is an error of a write, not a reason to die. */
	signal(SIGPIPE, SIG_IGN);
	/* Neither is a file that may not grow (RLIMIT_FSIZE). */
	signal(SIGXFSZ, SIG_IGN);
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))) {
		print_usage(stdout);
		return finish(EXIT_DONE);
	}
	if (argc > 1 && !strcmp(argv[1], "--version")) {
		printf("tenon %s\n", TENON_VERSION);
		return finish(EXIT_DONE);
	}
	for (size_t i = 0; argc > 1 && i < COMMAND_COUNT; i++)
		if (!strcmp(argv[1], commands[i].noun))
			return finish(commands[i].run(argc - 1, argv + 1));
	if (argc > 1)
		cli_usage_error("there is no noun '%s'", argv[1]);
	print_usage(stderr);
	return EXIT_USAGE;
}
