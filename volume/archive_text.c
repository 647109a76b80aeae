/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The form of metadata in files. On disks a group comes first and nothing is indented; in files LVM2 puts first who
 * wrote it, and indents. Nothing of the group is read for that but where its lines and strings end, so that whatever is
 * in it is kept.
 */
#include <errno.h>
#include <string.h>

#include "volume/archive.h"

/* Where in the text the reader is. */
struct form {
	struct lvm_text *out;
	unsigned depth;
	bool quoted;   /* within "..." */
	bool sections; /* at least one was copied */
};

/* What says something of depth, quotes or lines. */
static const bool signs[256] = {
	['"'] = true, ['\\'] = true, ['#'] = true,  ['{'] = true, ['}'] = true,
	['['] = true, [']'] = true,  ['\n'] = true, ['\0'] = true
};

static const char *line_end(const char *at)
{
	const char *end = strchr(at, '\n');

	return end ? end + 1 : at + strlen(at);
}

/* What the line at `at` does to depth and quotes, as far as its comment. Its end: past its newline, or the text's end. */
static const char *follow(struct form *form, const char *at)
{
	for (;; at++) {
		while (!signs[(uint8_t)*at])
			at++;
		if (*at == '\n')
			return at + 1;
		if (!*at)
			return at;
		if (form->quoted && *at == '\\' && at[1] && at[1] != '\n')
			at++;
		else if (*at == '"')
			form->quoted = !form->quoted;
		else if (form->quoted)
			continue;
		else if (*at == '#')
			return line_end(at);
		else if (*at == '{' || *at == '[')
			form->depth++;
		else if ((*at == '}' || *at == ']') && form->depth)
			form->depth--;
	}
}

/* Its end, as above. */
static const char *put_line(struct form *form, const char *at)
{
	unsigned depth = form->depth;
	bool quoted = form->quoted;
	const char *end;
	char *to;

	if (!quoted)
		while (*at == ' ' || *at == '\t')
			at++;
	if ((*at == '}' || *at == ']') && depth)
		depth--;
	end = follow(form, at);
	if (quoted || *at == '\n')
		depth = 0;
	to = lvm_text_extend(form->out, depth + (size_t)(end - at));
	if (!to)
		return end;
	while (depth--)
		*to++ = '\t';
	memcpy(to, at, (size_t)(end - at));
	return end;
}

/* Whether the line at `at`, outside of all sections, begins one: "name {". */
static bool begins_section(const char *at)
{
	struct form form = { 0 };
	const char *end = follow(&form, at);

	return form.depth && memchr(at, '{', (size_t)(end - at));
}

int lvm_archive_body(const char *metadata, struct lvm_text *out)
{
	struct form form = { .out = out };
	struct form skipped = { 0 };

	while (*metadata) {
		bool within = form.depth || form.quoted;
		bool begins =
			!within && !skipped.quoted && !skipped.depth && begins_section(metadata);

		form.sections |= begins;
		metadata =
			within || begins ? put_line(&form, metadata) : follow(&skipped, metadata);
	}
	if (out->failed)
		return -ENOMEM;
	return form.sections && !form.depth ? 0 : -EBADMSG;
}
