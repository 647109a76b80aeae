/* SPDX-License-Identifier: BSD-2-Clause */
/* Verbs and options; see cli.h. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "tools/cli.h"
#include "tools/terminal.h"
#include "util/bytes.h"
#include "util/number.h"
#include "util/size.h"
#include "util/spelling.h"

/* ---- Verbs ---- */

/* What people call verbs elsewhere; the first of the second that the noun has is meant. */
static const struct {
	const char *word, *verb;
} cli_synonyms[] = {
	{ "ls", "list" },        { "rm", "remove" },      { "delete", "remove" },
	{ "del", "remove" },     { "mk", "create" },      { "new", "create" },
	{ "make", "create" },    { "info", "show" },      { "display", "show" },
	{ "detail", "show" },    { "status", "show" },    { "mv", "rename" },
	{ "grow", "extend" },    { "shrink", "reduce" },  { "scrub", "check" },
	{ "start", "run" },      { "start", "assemble" }, { "recover", "rebuild" },
	{ "resync", "rebuild" }, { "rm", "delete" },      { "del", "delete" },
	{ "remove", "delete" },  { "change", "set" },
};

static const struct cli_verb *cli_find_verb(const struct cli_verb *verbs, const char *word)
{
	for (; verbs->name; verbs++)
		if (!strcmp(verbs->name, word))
			return verbs;
	return NULL;
}

static const struct cli_verb *cli_understand_verb(const struct cli_verb *verbs, const char *word)
{
	const struct cli_verb *found = cli_find_verb(verbs, word);

	for (size_t i = 0; !found && i < ARRAY_SIZE(cli_synonyms); i++)
		if (!strcmp(cli_synonyms[i].word, word))
			found = cli_find_verb(verbs, cli_synonyms[i].verb);
	return found;
}

#define HELP_COLUMN 29

static unsigned cli_help_width(FILE *to)
{
	unsigned width = terminal_width(fileno(to));

	return width ? width : 80;
}

static void cli_print_verbs(FILE *to, const char *noun, const struct cli_verb *verbs)
{
	unsigned width = cli_help_width(to);

	fprintf(to, "usage:\n");
	for (; verbs->name; verbs++) {
		int column = fprintf(to, "  tenon %s %s ", noun, verbs->name);

		terminal_print_wrapped(to, verbs->synopsis, (size_t)column, width);
		fputs("      ", to);
		terminal_print_wrapped(to, verbs->summary, 6, width);
	}
	fprintf(to, "`tenon %s VERB --help` lists the options of a verb.\n", noun);
}

static int cli_no_verb(const char *noun, const struct cli_verb *verbs, const char *word)
{
	struct spelling spelling = { .word = word };

	for (const struct cli_verb *verb = verbs; verb->name; verb++)
		spelling_consider(&spelling, verb->name);
	if (!spelling.closest) {
		cli_usage_error("%s: there is no verb '%s'", noun, word);
		cli_print_verbs(stderr, noun, verbs);
		return EXIT_USAGE;
	}
	cli_usage_error("%s: there is no verb '%s'; did you mean '%s'?", noun, word,
			spelling.closest);
	fprintf(stderr, "usage: tenon %s VERB ...\n`tenon %s --help` lists the verbs.\n", noun,
		noun);
	return EXIT_USAGE;
}

static bool cli_is_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help");
}

int cli_run_verb(const char *noun, const struct cli_verb *verbs, int argc, char **argv)
{
	const struct cli_verb *verb;

	if (cli_completing() && argc <= 2) {
		cli_complete_verb(verbs, argc > 1 ? argv[1] : "");
		return EXIT_DONE;
	}
	if (argc > 1 && cli_is_help(argv[1])) {
		char help[] = "--help", *words[] = { argc > 2 ? argv[2] : NULL, help, NULL };

		verb = argc > 2 ? cli_understand_verb(verbs, argv[2]) : NULL;
		if (verb)
			return verb->run(2, words);
		if (argc > 2)
			return cli_no_verb(noun, verbs, argv[2]);
		cli_print_verbs(stdout, noun, verbs);
		return EXIT_DONE;
	}
	verb = argc > 1 ? cli_understand_verb(verbs, argv[1]) : NULL;
	if (verb)
		return verb->run(argc - 1, argv + 1);
	if (argc > 1)
		return cli_no_verb(noun, verbs, argv[1]);
	cli_print_verbs(stderr, noun, verbs);
	return EXIT_USAGE;
}

/* ---- Options ---- */

static void cli_print_usage(FILE *to, const char *usage, const struct cli_option *options)
{
	unsigned width = cli_help_width(to);

	fputs("usage: tenon ", to);
	terminal_print_wrapped(to, usage, 13, width);
	for (; options->name; options++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%.1s%s--%s%s%s", options->letter ? "-" : "",
			 &options->letter, options->letter ? ", " : "", options->name,
			 options->kind == CLI_FLAG ? "" : " ",
			 options->kind == CLI_FLAG ? "" : options->placeholder);
		if (fprintf(to, "  %-26s ", left) > HELP_COLUMN)
			fprintf(to, "\n%*s", HELP_COLUMN, "");
		terminal_print_wrapped(to, options->help, HELP_COLUMN, width);
	}
}

/* LVM2 takes a number alone for MiB, others for bytes: whoever writes one may mean either. */
static int cli_refuse_bare_number(const char *text, struct error *error)
{
	const char *at = text;

	while (isdigit((unsigned char)*at))
		at++;
	/* Nothing is nothing in every unit. */
	if (*at || at == text || strspn(text, "0") == strlen(text))
		return 0;
	return error_set(error, -EINVAL, "%.40s: %.40s MiB, or %.40s bytes? write %.40sM or %.40sB",
			 text, text, text, text, text);
}

int cli_parse_size(const char *text, uint64_t least, uint64_t most, uint64_t *bytes,
		   struct error *error)
{
	int rc = cli_refuse_bare_number(text, error);

	return rc ? rc : number_parse_size(text, least, most, bytes, error);
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
		rc = cli_parse_size(argument, option->least, most, option->value, &error);
		break;
	case CLI_NUMBER:
		rc = number_parse(argument, option->least, most, option->value, &error);
		break;
	}
	if (rc)
		cli_wrong_value(option->name, &error);
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

/* What getopt() takes for letters, and to be told of a missing value: ":ho:H". */
static void cli_letters(const struct cli_option *options, char *letters)
{
	*letters++ = ':';
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

/* The option that has this number or letter, or NULL. */
static const struct cli_option *cli_option_of(const struct cli_option *options, int found)
{
	for (unsigned i = 0; options[i].name && i < CLI_MOST_OPTIONS; i++)
		if (found == 256 + (int)i || (options[i].letter && options[i].letter == found))
			return &options[i];
	return NULL;
}

/* A word that begins more than one option, or none. */
static void cli_no_option(const struct cli_option *options, const char *word)
{
	size_t length = strcspn(word, "=");
	struct spelling spelling = { .word = word + 2 };
	const struct cli_option *first = NULL;
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)length - 2, word + 2);
	spelling.word = name;
	for (; options->name; options++) {
		if (first && !strncmp(options->name, name, strlen(name))) {
			cli_usage_error("%.*s: --%s or --%s?", (int)length, word, first->name,
					options->name);
			return;
		}
		if (!first && !strncmp(options->name, name, strlen(name)))
			first = options;
		spelling_consider(&spelling, options->name);
	}
	if (spelling.closest)
		cli_usage_error("there is no option %.*s; did you mean --%s?", (int)length, word,
				spelling.closest);
	else
		cli_usage_error("there is no option %.*s", (int)length, word);
}

/* What getopt() could not make sense of. */
static int cli_bad_option(const char *usage, const struct cli_option *options, int found,
			  char **argv)
{
	const struct cli_option *option = cli_option_of(options, optopt);

	if (found == ':' && option)
		cli_usage_error("--%s: %s is missing", option->name, option->placeholder);
	else if (option)
		cli_usage_error("--%s takes no value", option->name);
	else if (optopt == 'h')
		cli_usage_error("--help takes no value");
	else if (optopt)
		cli_usage_error("there is no option -%c", isprint(optopt) ? optopt : '?');
	else
		cli_no_option(options, argv[optind - 1]);
	fprintf(stderr, "usage: tenon %s\n`tenon %s --help` lists the options.\n", usage,
		cli_verb_name());
	return EXIT_USAGE;
}

bool cli_parse(const char *usage, const struct cli_option *options, int argc, char **argv,
	       unsigned least, unsigned most, struct cli_words *operands, int *status)
{
	struct option longs[CLI_MOST_OPTIONS + 2];
	char letters[2 * CLI_MOST_OPTIONS + 3];
	int found;

	cli_set_verb(usage);
	*status = EXIT_DONE;
	if (cli_completing()) {
		cli_complete(usage, options, argc, argv, most);
		return false;
	}
	cli_long_options(options, longs);
	cli_letters(options, letters);
	*operands = (struct cli_words){ 0 };
	opterr = optind = 0;
	while ((found = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		const struct cli_option *option = cli_option_of(options, found);

		if (found == 'h') {
			cli_print_usage(stdout, usage, options);
			return false;
		}
		*status = EXIT_USAGE;
		if (!option) {
			cli_bad_option(usage, options, found, argv);
			return false;
		}
		if (cli_store(option, optarg))
			return false;
	}
	for (; optind < argc; optind++)
		cli_words_add(operands, argv[optind]);
	if (operands->count >= least && operands->count <= most)
		return true;
	*status = EXIT_USAGE;
	cli_usage_error("%s operands", operands->count < least ? "too few" : "too many");
	cli_print_usage(stderr, usage, options);
	return false;
}
