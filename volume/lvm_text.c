/* SPDX-License-Identifier: BSD-2-Clause */
/* The writer of LVM2's text grammar; see lvm_config.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/large.h"
#include "volume/lvm_config.h"

/* Makes room for `more` bytes and a NUL. */
static bool reserve(struct lvm_text *text, size_t more)
{
	size_t need = text->size + more + 1;
	size_t capacity = MAX(text->capacity, (size_t)4096);
	char *grown;

	if (need <= text->capacity)
		return !text->failed;
	if (text->failed)
		return false;
	while (capacity < need)
		capacity *= 2;
	grown = realloc(text->at, capacity);
	if (!grown) {
		text->failed = true;
		return false;
	}
	text->at = grown;
	text->capacity = capacity;
	return true;
}

char *lvm_text_extend_slowly(struct lvm_text *text, size_t length)
{
	char *at;

	if (!reserve(text, length))
		return NULL;
	at = text->at + text->size;
	text->size += length;
	text->at[text->size] = '\0';
	return at;
}

static void put(struct lvm_text *text, const char *bytes, size_t length)
{
	char *at = lvm_text_extend(text, length);

	if (at)
		memcpy(at, bytes, length);
}

void lvm_text_print(struct lvm_text *text, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0 || !reserve(text, (size_t)length))
		return;
	va_start(arguments, format);
	vsnprintf(text->at + text->size, (size_t)length + 1, format, arguments);
	va_end(arguments);
	text->size += (size_t)length;
}

void lvm_text_add_bytes(struct lvm_text *text, const char *bytes, size_t length)
{
	put(text, bytes, length);
}

void lvm_text_reserve(struct lvm_text *text, size_t size)
{
	char *at = text->at ? NULL : large_alloc(size + 1);

	if (!at) {
		reserve(text, size);
		return;
	}
	text->at = at;
	text->at[0] = '\0';
	text->capacity = size + 1;
}

void lvm_text_reuse(struct lvm_text *text, char **memory, size_t capacity)
{
	text->at = *memory;
	text->at[0] = '\0';
	text->capacity = capacity;
	*memory = NULL;
}

void lvm_text_add(struct lvm_text *text, const char *string)
{
	put(text, string, strlen(string));
}

void lvm_text_number(struct lvm_text *text, uint64_t number)
{
	char digits[20];
	unsigned at = sizeof(digits);

	do
		digits[--at] = (char)('0' + number % 10);
	while ((number /= 10));
	put(text, digits + at, sizeof(digits) - at);
}

void lvm_text_quote(struct lvm_text *text, const char *string)
{
	size_t plain;

	put(text, "\"", 1);
	while (string[plain = strcspn(string, "\"\\")]) {
		put(text, string, plain);
		put(text, "\\", 1);
		put(text, string + plain, 1);
		string += plain + 1;
	}
	put(text, string, plain);
	put(text, "\"", 1);
}

static void put_value(struct lvm_text *text, const struct lvm_config_value *value)
{
	switch (value->type) {
	case LVM_CONFIG_INTEGER:
		lvm_text_print(text, "%lld", (long long)value->integer);
		break;
	case LVM_CONFIG_FLOAT:
		put(text, value->string, strlen(value->string));
		break;
	case LVM_CONFIG_STRING:
		lvm_text_quote(text, value->string);
		break;
	}
}

void lvm_text_node(struct lvm_text *text, const struct lvm_config_node *node)
{
	/* What the parser would not take for a bare key was quoted. */
	if (strpbrk(node->key, " \t\r\n\v\f#={}\"'!"))
		lvm_text_quote(text, node->key);
	else
		put(text, node->key, strlen(node->key));
	if (node->section) {
		lvm_text_print(text, " {\n");
		for (const struct lvm_config_node *child = node->child; child; child = child->next)
			lvm_text_node(text, child);
		lvm_text_print(text, "}\n");
		return;
	}
	lvm_text_print(text, node->array ? " = [" : " = ");
	for (unsigned i = 0; i < node->value_count; i++) {
		if (i)
			put(text, ", ", 2);
		put_value(text, &node->values[i]);
	}
	lvm_text_print(text, node->array ? "]\n" : "\n");
}
