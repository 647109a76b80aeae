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

/* The end of the line at `at`: past its newline, or the text's end. */
static const char *line_end(const char *at)
{
	const char *end = strchr(at, '\n');

	return end ? end + 1 : at + strlen(at);
}

/* What says something of depth or quotes. */
static const bool signs[256] = { ['"'] = true, ['\\'] = true, ['#'] = true, ['{'] = true,
				 ['}'] = true, ['['] = true,  [']'] = true };

/* What one line does to depth and quotes, as far as its comment. */
static void follow(struct form *form, const char *at, const char *end)
{
	for (;; at++) {
		while (at < end && !signs[(uint8_t)*at])
			at++;
		if (at >= end)
			return;
		if (form->quoted && *at == '\\' && at + 1 < end)
			at++;
		else if (*at == '"')
			form->quoted = !form->quoted;
		else if (form->quoted)
			continue;
		else if (*at == '#')
			return;
		else if (*at == '{' || *at == '[')
			form->depth++;
		else if ((*at == '}' || *at == ']') && form->depth)
			form->depth--;
	}
}

static void put_line(struct form *form, const char *at, const char *end)
{
	unsigned depth = form->depth;
	bool quoted = form->quoted;
	char *to;

	if (!quoted)
		while (at < end && (*at == ' ' || *at == '\t'))
			at++;
	if ((*at == '}' || *at == ']') && depth)
		depth--;
	follow(form, at, end);
	if (quoted || *at == '\n')
		depth = 0;
	to = lvm_text_extend(form->out, depth + (size_t)(end - at));
	if (!to)
		return;
	while (depth--)
		*to++ = '\t';
	memcpy(to, at, (size_t)(end - at));
}

/* Whether a line outside of all sections begins one: "name {". */
static bool begins_section(const char *at, const char *end)
{
	struct form form = { 0 };

	follow(&form, at, end);
	return form.depth && memchr(at, '{', (size_t)(end - at));
}

static void put_head(const struct archive_head *head, struct lvm_text *out)
{
	lvm_text_origin(out, head->description, head->host, head->system, head->time);
}

int lvm_archive_text(const char *metadata, const struct archive_head *head, struct lvm_text *out)
{
	struct form form = { .out = out };
	struct form skipped = { 0 };

	lvm_text_reserve(out, strlen(metadata) / 4 * 5);
	put_head(head, out);
	while (*metadata) {
		const char *end = line_end(metadata);

		if (form.depth || form.quoted) {
			put_line(&form, metadata, end);
		} else if (!skipped.quoted && !skipped.depth && begins_section(metadata, end)) {
			put_line(&form, metadata, end);
			form.sections = true;
		} else {
			follow(&skipped, metadata, end);
		}
		metadata = end;
	}
	if (out->failed)
		return -ENOMEM;
	return form.sections && !form.depth ? 0 : -EBADMSG;
}
