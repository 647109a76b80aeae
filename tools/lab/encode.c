/* SPDX-License-Identifier: BSD-2-Clause */
/* Structures into YAML; see encode.h. */
#include "tools/lab/encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lab/decode.h"

static void encode_map(FILE *to, const struct lab_key *keys, const char *at, const char *usual,
		       unsigned indent, const char *first);

/* A character beyond ASCII by its number: not all may stand in a file as they are. Returns how many bytes it has. */
static unsigned put_wide(FILE *to, const unsigned char *at)
{
	unsigned length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
	uint32_t point = at[0] & (0xffu >> (length + 1));

	for (unsigned i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 1; /* no UTF-8: it does not come from a file */
		point = point << 6 | (at[i] & 0x3f);
	}
	fprintf(to, "\\U%08x", point);
	return length;
}

static void put_text(FILE *to, const char *text)
{
	const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/%- ";
	size_t length = strlen(text);

	if (length && strspn(text, plain) == length && !strchr(" %-", text[0]) &&
	    text[length - 1] != ' ') {
		fputs(text, to);
		return;
	}
	fputc('"', to);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x80)
			text += put_wide(to, (const unsigned char *)text) - 1;
		else if (c == '"' || c == '\\')
			fprintf(to, "\\%c", c);
		else if (c < ' ' || c == 0x7f)
			fprintf(to, "\\x%02x", c);
		else
			fputc(c, to);
	}
	fputc('"', to);
}

static void put_size(FILE *to, uint64_t size)
{
	static const char units[] = "KMGT";
	unsigned unit = 0;

	for (; unit < 4 && size && size % 1024 == 0; unit++)
		size /= 1024;
	fprintf(to, "%llu", (unsigned long long)size);
	if (unit)
		fputc(units[unit - 1], to);
}

static void put_scalar(FILE *to, const struct lab_key *key, const void *at)
{
	char text[LAB_FORMAT_TEXT];

	switch (key->type) {
	case LAB_TEXT:
		put_text(to, *(const char *const *)at);
		break;
	case LAB_NUMBER:
		fprintf(to, "%llu", *(const unsigned long long *)at);
		break;
	case LAB_SIZE:
		put_size(to, *(const uint64_t *)at);
		break;
	case LAB_DURATION:
		fputs(lab_duration_format(*(const uint64_t *)at, text), to);
		break;
	case LAB_BOOL:
		fputs(*(const bool *)at ? "yes" : "no", to);
		break;
	case LAB_CHOICE:
		fputs(key->choices[*(const unsigned *)at], to);
		break;
	default:
		fputs(key->format(at, text), to);
		break;
	}
}

static void put_numbers(FILE *to, const struct lab_numbers *numbers)
{
	if (numbers->count == 1) {
		fprintf(to, "%llu", (unsigned long long)numbers->values[0]);
		return;
	}
	fputc('[', to);
	for (unsigned i = 0; i < numbers->count; i++)
		fprintf(to, "%s%llu", i ? ", " : "", (unsigned long long)numbers->values[i]);
	fputc(']', to);
}

static void put_texts(FILE *to, const struct lab_texts *texts, unsigned indent)
{
	for (unsigned i = 0; i < texts->count; i++) {
		fprintf(to, "\n%*s- ", indent, "");
		put_text(to, texts->texts[i]);
	}
}

static void put_maps(FILE *to, const struct lab_key *key, const struct lab_maps *maps,
		     unsigned indent)
{
	char *nothing = calloc(1, key->size);

	if (!nothing)
		abort();
	fputc('\n', to);
	for (unsigned i = 0; i < maps->count; i++)
		encode_map(to, key->keys, (const char *)maps->items + i * key->size, nothing,
			   indent + 4, "- ");
	free(nothing);
}

/* Another name of the same thing. */
static bool is_alias(const struct lab_key *keys, const struct lab_key *key)
{
	for (const struct lab_key *one = keys; one < key; one++)
		if (one->offset == key->offset)
			return true;
	return false;
}

static size_t size_of(enum lab_type type)
{
	switch (type) {
	case LAB_BOOL:
		return sizeof(bool);
	case LAB_CHOICE:
		return sizeof(unsigned);
	case LAB_TEXT:
		return sizeof(const char *);
	default:
		return sizeof(uint64_t);
	}
}

static bool is_said(const struct lab_key *key, const char *at, const char *usual)
{
	if (key->needed)
		return true;
	switch (key->type) {
	case LAB_NUMBERS:
		return ((const struct lab_numbers *)at)->values != NULL;
	case LAB_TEXTS:
		return ((const struct lab_texts *)at)->count;
	case LAB_MAPS:
		return ((const struct lab_maps *)at)->count;
	case LAB_OTHER:
		return true;
	default:
		return memcmp(at, usual, size_of(key->type)) != 0;
	}
}

/* What it cannot be without is not there: nothing was said of it. */
static bool is_absent(const struct lab_key *keys, const char *at)
{
	for (const struct lab_key *key = keys; key->name; key++)
		if (key->needed && key->type == LAB_TEXT &&
		    !*(const char *const *)(at + key->offset))
			return true;
	return false;
}

/* "key:" and what there is inside, if there is anything. */
static void put_map(FILE *to, const struct lab_key *key, const char *at, const char *usual,
		    unsigned indent)
{
	char *inside;
	size_t length;
	FILE *into;

	if (is_absent(key->keys, at))
		return;
	into = open_memstream(&inside, &length);
	if (!into)
		abort();
	encode_map(into, key->keys, at, usual, indent + 2, "");
	fclose(into);
	if (length)
		fprintf(to, "%*s%s:\n%s", indent, "", key->name, inside);
	free(inside);
}

static void encode_map(FILE *to, const struct lab_key *keys, const char *at, const char *usual,
		       unsigned indent, const char *first)
{
	for (const struct lab_key *key = keys; key->name; key++) {
		const char *value = at + key->offset;

		if (key->type == LAB_MAP) {
			put_map(to, key, value, usual + key->offset, indent);
			continue;
		}
		if (is_alias(keys, key) || !is_said(key, value, usual + key->offset))
			continue;
		fprintf(to, "%*s%s%s:", indent - (unsigned)strlen(first), "", first, key->name);
		first = "";
		if (key->type == LAB_TEXTS) {
			put_texts(to, (const struct lab_texts *)value, indent + 2);
		} else if (key->type == LAB_MAPS) {
			put_maps(to, key, (const struct lab_maps *)value, indent);
			continue;
		} else if (key->type == LAB_NUMBERS) {
			fputc(' ', to);
			put_numbers(to, (const struct lab_numbers *)value);
		} else {
			fputc(' ', to);
			put_scalar(to, key, value);
		}
		fputc('\n', to);
	}
}

char *lab_encode(const struct lab_key *keys, const void *at, const void *usual)
{
	char *text;
	size_t length;
	FILE *to = open_memstream(&text, &length);

	if (!to)
		abort();
	encode_map(to, keys, at, usual, 0, "");
	fclose(to);
	return text;
}
