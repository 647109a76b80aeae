/* SPDX-License-Identifier: BSD-2-Clause */
/* The `tenon` command: finds the noun and hands over. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/device_look.h"
#include "tools/state.h"
#include "tools/dhcp_process.h"
#include "tools/uplink.h"
#include "util/error.h"
#include "util/spelling.h"
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
	fprintf(to, "\n`tenon help NOUN [VERB]` says more; `tenon --version` (-V) prints the "
		    "version.\n");
}

/* What was to be printed and has not arrived was not done. */
static int finish(int status)
{
	int rc = standard_output_flush();

	cli_release();
	if (!rc)
		return status;
	if (rc == -EPIPE)
		cli_end_by_pipe();
	fprintf(stderr, "tenon: standard output: %s\n", error_name(rc));
	return status == EXIT_DONE ? EXIT_FAILED : status;
}

/* ---- Words that are no noun ---- */

/* What people look for under other names. */
static const struct {
	const char *word, *command;
} elsewhere[] = {
	{ "lvs", "lv list" },       { "vgs", "vg list" },       { "pvs", "pv list" },
	{ "lvdisplay", "lv show" }, { "vgdisplay", "vg show" }, { "pvdisplay", "pv show" },
	{ "mdadm", "raid" },        { "md", "raid" },           { "array", "raid" },
	{ "volume", "lv" },         { "group", "vg" },          { "cp", "copy" },
	{ "convert", "copy" },      { "dd", "copy" },           { "qemu-img", "copy" },
	{ "machine", "vm" },        { "devices", "device" },    { "server", "serve" },
};

static int no_noun(const char *word)
{
	struct spelling spelling = { .word = word };
	char command[64] = "";

	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
		if (!strcmp(word, elsewhere[i].word))
			snprintf(command, sizeof(command), "%s", elsewhere[i].command);
	/* lvcreate, vgremove. */
	if (!*command && strlen(word) > 4 &&
	    (!strncmp(word, "lv", 2) || !strncmp(word, "vg", 2) || !strncmp(word, "pv", 2)))
		snprintf(command, sizeof(command), "%.2s %.40s", word, word + 2);
	for (size_t i = 0; !*command && i < COMMAND_COUNT; i++)
		spelling_consider(&spelling, commands[i].noun);
	if (spelling.closest)
		snprintf(command, sizeof(command), "%s", spelling.closest);
	if (*command) {
		cli_usage_error("there is no noun '%s'; did you mean `tenon %s`?", word, command);
		fprintf(stderr, "usage: tenon NOUN [VERB] ...\n`tenon --help` lists the nouns.\n");
	} else {
		cli_usage_error("there is no noun '%s'", word);
		print_usage(stderr);
	}
	return EXIT_USAGE;
}

/* `help lv create` is `lv create --help`. */
static int help(int argc, char **argv)
{
	char option[] = "--help", *words[] = { argc > 0 ? argv[0] : NULL, option, NULL, NULL };

	if (argc > 1) {
		words[1] = argv[1];
		words[2] = option;
	}
	for (size_t i = 0; argc > 0 && i < COMMAND_COUNT; i++)
		if (!strcmp(argv[0], commands[i].noun))
			return commands[i].run(argc > 1 ? 3 : 2, words);
	if (argc > 0)
		return no_noun(argv[0]);
	print_usage(stdout);
	return EXIT_DONE;
}

static int complete(int argc, char **argv)
{
	cli_begin_completion();
	if (argc > 1 && !strcmp(argv[0], "help")) {
		argc--;
		argv++;
		/* Its verbs, and no more. */
		argc = argc > 2 ? 0 : argc;
	}
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (argc > 1 && !strcmp(argv[0], commands[i].noun))
			return commands[i].run(argc, argv);
		if (argc == 1 && !strncmp(commands[i].noun, argv[0], strlen(argv[0])))
			printf("%s\t%s\n", commands[i].noun, commands[i].summary);
	}
	return EXIT_DONE;
}

/* What is set to something that it cannot be would be ignored otherwise. */
static int check_environment(void)
{
	struct error error = { 0 };
	int rc = state_check(&error);

	if (!rc)
		rc = device_limit_check(&error);
	if (rc)
		cli_wrong_value(NULL, &error);
	return rc;
}

static int run(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help"))
		return help(argc - 2, argv + 2);
	if (!strcmp(word, "--version") || !strcmp(word, "-V") || !strcmp(word, "version")) {
		printf("tenon %s\n", TENON_VERSION);
		return EXIT_DONE;
	}
	if (!strcmp(word, "--complete"))
		return complete(argc - 2, argv + 2);
	if (!strcmp(word, UPLINK_PROCESS))
		return uplink_process(argc - 2, argv + 2);
	if (!strcmp(word, DHCP_PROCESS))
		return dhcp_process(argc - 2, argv + 2);
	for (size_t i = 0; argc > 1 && i < COMMAND_COUNT; i++)
		if (!strcmp(word, commands[i].noun))
			return check_environment() ? EXIT_USAGE
						   : commands[i].run(argc - 1, argv + 1);
	if (argc > 1)
		return no_noun(word);
	print_usage(stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	if (standard_open())
		return EXIT_FAILED;
	cli_catch_pipe();
	/* Neither is a file that may not grow (RLIMIT_FSIZE). */
	signal(SIGXFSZ, SIG_IGN);
	return finish(run(argc, argv));
}
