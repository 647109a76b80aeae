/* SPDX-License-Identifier: BSD-2-Clause */
/* See consent.h. */
#include "tools/consent.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/text.h"

static const char *keep_line(struct consent *consent, const char *before, const char *format,
			     va_list args)
{
	char raw[768], text[1024];
	char *kept;

	vsnprintf(raw, sizeof(raw), format, args);
	snprintf(text, sizeof(text), "%s", before);
	text_clean(text + strlen(before), sizeof(text) - strlen(before), raw);
	kept = cli_keep_text(text);
	cli_words_add(&consent->plan, kept);
	return kept + strlen(before);
}

void consent_plan(struct consent *consent, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	keep_line(consent, "", format, args);
	va_end(args);
}

void consent_loss(struct consent *consent, const char *format, ...)
{
	const char *line;
	va_list args;

	va_start(args, format);
	line = keep_line(consent, "  ", format, args);
	va_end(args);
	if (!consent->loss)
		consent->loss = line;
}

static void print_plan(const struct consent *consent, FILE *to)
{
	for (unsigned i = 0; i < consent->plan.count; i++)
		fprintf(to, "%s\n", consent->plan.words[i]);
}

/* No is what is not yes, the end of input too. */
static bool answer_is_yes(void)
{
	CLEANUP_FREE char *line = NULL;
	size_t size = 0;
	bool yes;

	fprintf(stderr, "Go on? [y/N] ");
	fflush(stderr);
	if (getline(&line, &size, stdin) < 0) {
		fprintf(stderr, "\n");
		return false;
	}
	line[strcspn(line, "\n")] = '\0';
	yes = !strcasecmp(line, "y") || !strcasecmp(line, "yes");
	return yes;
}

int consent_ask(struct consent *consent, struct error *error)
{
	if (consent->dry_run) {
		print_plan(consent, stdout);
		return 1;
	}
	if (consent->yes || consent->force || (!consent->loss && !consent->always))
		return 0;
	if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO)) {
		print_plan(consent, stderr);
		return answer_is_yes() ? 0 : error_set(error, -EPERM, "nothing was changed");
	}
	if (!consent->loss)
		return 0;
	error_set(error, -EPERM, "%s; %s", consent->plan.words[0], consent->loss);
	return error_advise(error, "nothing was changed; --yes says that this is meant");
}
