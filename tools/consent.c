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

#include "block/block.h"
#include "block/signature.h"
#include "tools/device_look.h"
#include "tools/stack.h"
#include "util/cleanup.h"
#include "util/error.h"
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

static bool at_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

bool consent_asks(const struct consent *consent)
{
	return consent->dry_run || (!consent->yes && !consent->force && at_terminal());
}

/* An orphan physical volume is nothing that is lost where it becomes one of a group. */
static bool is_kept(struct block *block, const struct block_signature *found, const char *becomes)
{
	struct volume_pv_info info;

	return !strcmp(found->type, "LVM2_member") && strstr(becomes, "physical volume") &&
	       volume_pv_probe(block, &info, NULL) == 1 && !info.vg_name[0];
}

void consent_loss_below(struct consent *consent, const struct block *block)
{
	CLEANUP_FREE char *whole = NULL;
	struct block_signature found;
	int rc = block_signature_below(block->name, &found, &whole);

	if (rc < 0)
		consent_loss(consent,
			     "it cannot be seen whether the disk that it lies on holds an array: "
			     "%s",
			     error_name(rc));
	else if (rc)
		consent_loss(consent, "it lies on %s, whose %s would be that of a damaged array",
			     whole ? whole : "a disk", found.name);
}

int consent_plan_device(struct consent *consent, struct stack *look, const char *device,
			const char *becomes, struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;
	struct block_signature found;
	int rc = 0;

	if (look && stack_names_array(device))
		rc = stack_open_block(look, device, false, &block, error);
	else
		rc = device_check_answers(device, error);
	if (!rc && !block)
		rc = block_open_file(&block, device, 0, 0, error);
	if (!rc)
		rc = block_signature_find(block, &found, error);
	if (rc < 0)
		return rc;
	consent_plan(consent, "%s: %s", device, becomes);
	if (rc && !is_kept(block, &found, becomes))
		consent_loss(consent, "the %s on it would be lost", found.name);
	consent_loss_below(consent, block);
	return 0;
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
	if (at_terminal()) {
		print_plan(consent, stderr);
		return answer_is_yes() ? 0 : error_set(error, -EPERM, "nothing was changed");
	}
	if (!consent->loss)
		return 0;
	error_set(error, -EPERM, "%s; %s", consent->plan.words[0], consent->loss);
	return error_advise(error, "nothing was changed; --yes says that this is meant");
}
