/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Completion for shells: `tenon --complete WORD...` prints what could stand in place of the last word, one a line,
 * with a tab and an explanation behind some. ":files", ":directories" and ":nospace" are for the shell: paths fit
 * too; the word goes on after what was put in. tools/completion has the shells' side.
 *
 * What a word may be is told by the placeholders in options and usage lines (VG, VG/LV, md/NAME, DEVICE, ...), so
 * that a verb completes what its help says. Names of volumes, groups, arrays and members are looked up as any command
 * would, with the --device options before the word.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli.h"
#include "tools/describe.h"
#include "tools/devices.h"
#include "tools/lab/library.h"
#include "tools/runtime.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "util/text.h"

#define PLACES 8 /* operands of a usage line */

struct completion {
	const char *word;
	const char *noun;       /* "raid" */
	bool creates;           /* the verb makes something: its name is new */
	char *first;            /* the first operand, or NULL */
	struct cli_words given; /* --device */
};

/* ---- Printing ---- */

static void offer(const struct completion *completion, const char *candidate, const char *why)
{
	/* What would break a line, or a terminal, cannot be typed either. */
	for (const char *at = candidate; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return;
	if (strncmp(candidate, completion->word, strlen(completion->word)))
		return;
	printf("%s%s%s\n", candidate, why ? "\t" : "", why ? why : "");
}

void cli_complete_verb(const struct cli_verb *verbs, const char *word)
{
	const struct completion completion = { .word = word };

	for (; verbs->name; verbs++)
		offer(&completion, verbs->name, verbs->summary);
}

/* ---- Names ---- */

static void offer_arrays(const struct completion *completion, const struct stack *stack,
			 bool with_prefix)
{
	for (unsigned i = 0; i < stack->array_count; i++) {
		char name[160];

		snprintf(name, sizeof(name), "%s%s", with_prefix ? "md/" : "",
			 stack->arrays[i].md.name);
		offer(completion, name, "array");
	}
}

static void offer_groups(const struct completion *completion, const struct stack *stack)
{
	for (unsigned i = 0; i < stack->scan->group_count; i++)
		offer(completion, stack->scan->groups[i]->name, "volume group");
}

static void offer_volumes(const struct completion *completion, const struct stack *stack)
{
	if (completion->creates)
		puts(":nospace");
	for (unsigned i = 0; i < stack->scan->group_count; i++) {
		const struct volume_group *group = stack->scan->groups[i];
		char name[2 * VOLUME_NAME_LENGTH + 3];

		snprintf(name, sizeof(name), "%s/", group->name);
		if (completion->creates)
			offer(completion, name, "volume group");
		for (unsigned k = 0; !completion->creates && k < group->lv_count; k++) {
			if (!group->lvs[k]->visible)
				continue;
			snprintf(name, sizeof(name), "%s/%s", group->name, group->lvs[k]->name);
			offer(completion, name, "volume");
		}
	}
}

/* The devices that the array has, of which one is to fail or to go. */
static void offer_members(const struct completion *completion, struct stack *stack)
{
	struct stack_array *array;

	if (!completion->first || stack_find_array(stack, completion->first, &array, NULL))
		return;
	for (unsigned i = 0; i < stack->node_count; i++)
		if (stack->nodes[i].is_member && stack->nodes[i].array >= 0 &&
		    &stack->arrays[stack->nodes[i].array] == array)
			offer(completion, stack->nodes[i].name, "member");
}

static int offer_switch(const char *path, void *arg)
{
	const char *name = strrchr(path, '/');
	char text[128];
	size_t length;

	snprintf(text, sizeof(text), "%s", name ? name + strlen("/switch-") : "");
	length = strlen(text);
	if (length > 5)
		text[length - 5] = '\0'; /* .sock */
	offer(arg, text, "running switch");
	return 0;
}

/* ---- Placeholders ---- */

enum place {
	PLACE_NOTHING,
	PLACE_LITERAL,
	PLACE_FILE,
	PLACE_FOLDER,
	PLACE_GROUP,
	PLACE_VOLUME,
	PLACE_ARRAY,  /* md/NAME */
	PLACE_NAME,   /* of what the noun is about, without md/ */
	PLACE_DEVICE, /* a path or md/NAME */
	PLACE_END,    /* of a copy: anything */
	PLACE_SCENARIO,
};

static enum place place_of(const char *text)
{
	static const struct {
		const char *text;
		enum place place;
	} places[] = {
		{ "FILE", PLACE_FILE },         { "PATH", PLACE_FILE },
		{ "DIR", PLACE_FOLDER },        { "VG", PLACE_GROUP },
		{ "VG/LV", PLACE_VOLUME },      { "md/NAME", PLACE_ARRAY },
		{ "NAME", PLACE_NAME },         { "DEVICE", PLACE_DEVICE },
		{ "SOURCE", PLACE_END },        { "DESTINATION", PLACE_END },
		{ "SCENARIO", PLACE_SCENARIO }, { "SCENARIO...", PLACE_SCENARIO },
	};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (!strcmp(text, places[i].text))
			return places[i].place;
	for (const char *at = text; *at; at++)
		if (isupper((unsigned char)*at))
			return PLACE_NOTHING;
	return PLACE_LITERAL;
}

struct offering {
	struct completion *completion;
	enum place place;
	const char *text;
};

/* What has to be looked up. Errors are nobody's business here: there is nothing to offer then. */
static int offer_found(void *arg, struct error *error)
{
	struct offering *offering = arg;
	const struct completion *completion = offering->completion;
	CLEANUP_STACK struct stack *stack = NULL;
	bool raid = !strcmp(completion->noun, "raid");
	int rc = stack_look(&stack, &offering->completion->given, error);

	if (rc)
		return 0;
	switch (offering->place) {
	case PLACE_GROUP:
		offer_groups(completion, stack);
		break;
	case PLACE_VOLUME:
		offer_volumes(completion, stack);
		break;
	case PLACE_ARRAY:
		offer_arrays(completion, stack, true);
		break;
	case PLACE_NAME:
		offer_arrays(completion, stack, false);
		break;
	case PLACE_DEVICE:
		if (raid && completion->first)
			offer_members(completion, stack);
		offer_arrays(completion, stack, true);
		break;
	default:
		offer_volumes(completion, stack);
		offer_arrays(completion, stack, true);
		break;
	}
	return 0;
}

static void offer_place(struct completion *completion, const char *text)
{
	struct offering offering = { completion, place_of(text), text };
	bool is_new = completion->creates &&
		      (offering.place == PLACE_NAME || offering.place == PLACE_GROUP);

	switch (offering.place) {
	case PLACE_NOTHING:
		return;
	case PLACE_LITERAL:
		offer(completion, text, NULL);
		return;
	case PLACE_FILE:
		puts(":files");
		return;
	case PLACE_FOLDER:
		puts(":directories");
		return;
	case PLACE_SCENARIO:
		puts(":files");
		for (unsigned i = 0; i < lab_library_count(); i++)
			offer(completion, lab_library_name(i), "ready scenario");
		return;
	case PLACE_DEVICE:
	case PLACE_END:
		puts(":files");
		break;
	case PLACE_NAME:
		if (!strcmp(completion->noun, "switch") || !strcmp(completion->noun, "link")) {
			if (!is_new)
				runtime_each_own_socket("switch-", offer_switch, completion, NULL);
			return;
		}
		break;
	default:
		break;
	}
	if (!is_new)
		cli_on_fiber(offer_found, &offering);
}

/* What the help of an option lists, too many for its placeholder. */
static const char *values_of(const char *text)
{
	static const struct {
		const char *text, *values;
	} known[] = {
		{ "POLICY", "contiguous|cling|normal|anywhere" },
		{ "FORMAT", "raw|qcow2|vmdk|vdi|vhdx|vhd" },
		{ "SUITE", "bookworm|trixie" },
		{ "LEVEL", "linear|0|1|4|5|6|10" },
		{ "L", "0|1|4|5|6" },
		{ "TYPE", "linear|striped|raid0|raid0_meta|raid1|raid4|raid5|raid6|raid10" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(text, known[i].text))
			return known[i].values;
	return text;
}

/* "PORT[:in|out|both]" without what may follow; the last bracket may be open. */
static void cut_brackets(char *text)
{
	char *open;

	while ((open = strchr(text, '['))) {
		size_t inside = strcspn(open, "]");

		inside += open[inside] == ']';
		memmove(open, open + inside, strlen(open + inside) + 1);
	}
}

/* "restart|exit", "FILE|vhost-user:SOCKET", "VG | VG/LV | md/NAME": each of them. */
static void offer_places(struct completion *completion, const char *texts)
{
	char copy[256], *rest = copy, *one;

	snprintf(copy, sizeof(copy), "%s", values_of(texts));
	cut_brackets(copy);
	while ((one = strsep(&rest, "| ")))
		if (*one)
			offer_place(completion, one);
}

/* ---- The words before ---- */

static const struct cli_option *option_named(const struct cli_option *options, const char *word)
{
	for (; options->name; options++) {
		if (!strncmp(word, "--", 2) && !strcmp(word + 2, options->name))
			return options;
		if (word[0] == '-' && options->letter && word[1] == options->letter && !word[2])
			return options;
	}
	return NULL;
}

/* What a usage line has for operand number `wanted`, without options and their values: of "[VG]" VG, and the last
 * one again where it ends in "...". Empty where it has none. Whether it may be left out. */
static bool operand_place(const char *usage, const struct cli_option *options, unsigned wanted,
			  char place[128])
{
	const char *at = usage + strlen(cli_verb_name());
	char last[128] = "";
	bool repeats = false;
	unsigned count = 0;

	place[0] = '\0';
	while (*at) {
		const struct cli_option *option;
		const char *start = at += strspn(at, " \t\n");
		bool bracket = *at == '[';
		char word[128];

		at += bracket ? strcspn(at, "]") : strcspn(at, " \t\n");
		snprintf(word, sizeof(word), "%.*s", (int)(at - start) - bracket, start + bracket);
		at += bracket && *at;
		repeats = !strncmp(at, "...", 3);
		at += repeats ? 3 : 0;
		if (strlen(word) > 3 && !strcmp(word + strlen(word) - 3, "...")) {
			word[strlen(word) - 3] = '\0';
			repeats = true;
		}
		if (!*word)
			break;
		option = option_named(options, word);
		if (option && option->kind != CLI_FLAG) {
			at += strspn(at, " \t\n");
			at += strcspn(at, " \t\n");
		}
		if (word[0] == '-')
			continue;
		strcpy(last, word);
		if (count++ == wanted) {
			strcpy(place, word);
			return bracket;
		}
	}
	if (repeats)
		strcpy(place, last);
	return true;
}

static void offer_options(const struct completion *completion, const struct cli_option *options,
			  int argc, char **argv)
{
	for (; options->name; options++) {
		bool given = false;
		char text[64];

		snprintf(text, sizeof(text), "--%s", options->name);
		for (int i = 1; i < argc - 1; i++)
			given |= !strcmp(argv[i], text);
		if (!given || options->kind == CLI_LIST)
			offer(completion, text, options->help);
	}
	offer(completion, "--help", "what the verb does and takes");
}

void cli_complete(const char *usage, const struct cli_option *options, int argc, char **argv,
		  unsigned most)
{
	struct completion completion = { .word = argc > 1 ? argv[argc - 1] : "" };
	CLEANUP_FREE char *noun = strndup(usage, strcspn(usage, " "));
	const struct cli_option *before = NULL;
	bool only_operands = false;
	unsigned operands = 0;
	char place[128];
	bool optional;

	if (!noun)
		return;
	completion.noun = noun;
	completion.creates = strstr(cli_verb_name(), " create") != NULL ||
			     !strcmp(cli_verb_name(), "switch run");
	for (int i = 1; i < argc - 1; i++) {
		if (before) {
			if (!strcmp(before->name, "device"))
				cli_words_add(&completion.given, argv[i]);
			before = NULL;
		} else if (!only_operands && !strcmp(argv[i], "--")) {
			only_operands = true;
		} else if (!only_operands && argv[i][0] == '-' && argv[i][1]) {
			before = option_named(options, argv[i]);
			before = before && before->kind != CLI_FLAG ? before : NULL;
		} else if (!operands++) {
			completion.first = argv[i];
		}
	}
	if (before) {
		offer_places(&completion, before->placeholder);
	} else if (!only_operands && completion.word[0] == '-') {
		offer_options(&completion, options, argc, argv);
	} else if (operands < most) {
		optional = operand_place(usage, options, operands, place);
		if (!strncmp(place, "NEW", 3))
			return;
		offer_places(&completion, place);
		/* What must be there may come at once: "[list|add] NAME". */
		if (optional && !operand_place(usage, options, operands + 1, place))
			offer_places(&completion, place);
	}
}
