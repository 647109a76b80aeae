/* SPDX-License-Identifier: BSD-2-Clause */
/* One value of a listing as text; see output.h. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/output.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/size.h"
#include "util/text.h"

static enum terminal_color color_word(const char *word)
{
	return word && !strcmp(word, "always")  ? TERMINAL_COLOR_ALWAYS
	       : word && !strcmp(word, "never") ? TERMINAL_COLOR_NEVER
						: TERMINAL_COLOR_AUTO;
}

void cli_style_begin(struct cli_style *style, const struct cli_listing *listing)
{
	*style = (struct cli_style){
		.unit = listing->units ? listing->units[0] : 'h',
		.color = terminal_has_color(STDOUT_FILENO, color_word(listing->color)),
		.header = !listing->no_header,
		.tabs = listing->no_header,
		.width = terminal_width(STDOUT_FILENO),
	};
	if (style->width && !style->tabs) {
		CLEANUP_FREE char *folder = getcwd(NULL, 0);

		if (folder && strcmp(folder, "/") && asprintf(&style->folder, "%s/", folder) < 0)
			style->folder = NULL;
	}
}

void cli_style_end(struct cli_style *style)
{
	free(style->folder);
	style->folder = NULL;
}

/* The units of `lvs --units`: small letters are powers of 1024, capitals of 1000. */
static void size_text(uint64_t bytes, char unit, char text[SIZE_TEXT])
{
	static const char units[] = "kmgtpe";
	const char *at = strchr(units, tolower((unsigned char)unit));
	double value = (double)bytes;

	if (unit == 'b') {
		snprintf(text, SIZE_TEXT, "%llu", (unsigned long long)bytes);
		return;
	}
	if (unit == 'h' || !at) {
		size_format(bytes, text);
		return;
	}
	for (const char *step = units; step <= at; step++)
		value /= isupper((unsigned char)unit) ? 1000 : 1024;
	snprintf(text, SIZE_TEXT, "%.2f %c%s", value,
		 isupper((unsigned char)unit) && *at == 'k' ? 'k' : toupper((unsigned char)*at),
		 isupper((unsigned char)unit) ? "B" : "iB");
}

char *cli_number_cell(int64_t number, enum cli_format format, const struct cli_style *style)
{
	char size[SIZE_TEXT], *text = NULL;
	int rc;

	if (format == CLI_AS_SIZE || format == CLI_AS_RATE) {
		size_text((uint64_t)number, style->unit, size);
		rc = asprintf(&text, "%s%s", size,
			      format == CLI_AS_RATE && style->unit != 'b' ? "/s" : "");
	} else {
		rc = asprintf(&text, "%lld", (long long)number);
	}
	if (rc < 0)
		abort();
	return text;
}

static char *real_text(double number, enum cli_format format)
{
	char *text = NULL;

	return asprintf(&text, format == CLI_AS_PERCENT ? "%.1f%%" : "%g", number) < 0 ? NULL
										       : text;
}

static char *string_text(const char *string, enum cli_format format, const struct cli_style *style)
{
	size_t length = style->folder ? strlen(style->folder) : 0;

	if (format == CLI_AS_PATH && length && !strncmp(string, style->folder, length) &&
	    string[length])
		string += length;
	return text_cleaned(*string ? string : "-", NULL);
}

static char *list_text(json_t *list, enum cli_format format, const struct cli_style *style)
{
	char *text = NULL;
	size_t length, index;
	json_t *value;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return NULL;
	json_array_foreach(list, index, value) {
		CLEANUP_FREE char *one = cli_cell(value, format, style);

		fprintf(out, "%s%s", index ? ", " : "", one);
	}
	if (!json_array_size(list))
		fputc('-', out);
	fclose(out);
	return text;
}

char *cli_cell(json_t *value, enum cli_format format, const struct cli_style *style)
{
	char *text = NULL;

	if (json_is_string(value))
		text = string_text(json_string_value(value), format, style);
	else if (json_is_array(value))
		text = list_text(value, format, style);
	else if (json_is_real(value))
		text = real_text(json_real_value(value), format);
	else if (json_is_integer(value))
		text = cli_number_cell(json_integer_value(value), format, style);
	else
		text = strdup(json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "-");
	if (!text)
		abort();
	return text;
}

static bool ends_in(const char *key, const char *end)
{
	size_t length = strlen(key), size = strlen(end);

	return length >= size && !strcmp(key + length - size, end);
}

enum cli_format cli_format_of(const char *key)
{
	static const char *const paths[] = { "device", "path",  "socket",
					     "served", "where", "capture" };

	if (!strcmp(key, "rate_bytes") || !strcmp(key, "speed_min_bytes") ||
	    !strcmp(key, "speed_max_bytes"))
		return CLI_AS_RATE;
	if (ends_in(key, "_bytes"))
		return CLI_AS_SIZE;
	if (ends_in(key, "_percent"))
		return CLI_AS_PERCENT;
	if (ends_in(key, "state"))
		return CLI_AS_STATE;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (!strcmp(key, paths[i]))
			return CLI_AS_PATH;
	return CLI_AS_TEXT;
}

/* Keys that are called otherwise. */
static const struct {
	const char *key, *title;
} titles[] = {
	{ "lv_count", "LVs" },
	{ "pv_count", "PVs" },
	{ "seqno", "Sequence number" },
	{ "pe_start_bytes", "First extent at" },
};

/* Words that are not written as others are. */
static const char *const words[] = { "CPUs", "DHCP", "DNS", "ID",  "IGMP", "LACP", "LLDP", "LV",
				     "LVs",  "MAC",  "MLD", "MTU", "OS",   "PID",  "PV",   "PVs",
				     "TTL",  "UUID", "VG",  "VGs", "VLAN", "VLANs" };

static void set_word(char *at, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i]) == length && !strncasecmp(at, words[i], length))
			memcpy(at, words[i], length);
}

void cli_title(const char *key, char title[64])
{
	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		if (!strcmp(key, titles[i].key)) {
			snprintf(title, 64, "%s", titles[i].title);
			return;
		}
	snprintf(title, 64, "%s", key);
	if (ends_in(title, "_bytes"))
		title[strlen(title) - 6] = '\0';
	else if (ends_in(title, "_percent"))
		title[strlen(title) - 8] = '\0';
	title[0] = (char)toupper((unsigned char)title[0]);
	for (char *at = title; *at;) {
		size_t length = strcspn(at, "_");

		set_word(at, length);
		at += length;
		if (*at)
			*at++ = ' ';
	}
}
