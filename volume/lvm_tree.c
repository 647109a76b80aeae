/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading typed keys out of a metadata tree; see lvm_vg.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "volume/lvm_io.h"
#include "volume/lvm_vg.h"

int lvm_read_fail(const struct lvm_reader *reader, const struct lvm_config_node *node,
		  const char *format, ...)
{
	va_list arguments;
	char text[512];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return error_set(reader->error, -EBADMSG, "%s: metadata, line %u: %s", reader->name,
			 node->line, text);
}

/* A key of a section with one value or an array; NULL where it is missing, which is an error of its
 * own unless `optional`. */
static const struct lvm_config_node *find_key(const struct lvm_reader *reader,
					      const struct lvm_config_node *section,
					      const char *key, bool optional, int *rc)
{
	const struct lvm_config_node *node = lvm_config_find(section->child, key);

	*rc = 0;
	if (!node && !optional)
		*rc = lvm_read_fail(reader, section, "%.128s has no %s", section->key, key);
	if (node && node->section) {
		*rc = lvm_read_fail(reader, node, "%s of %.128s is a section, expected a value",
				    key, section->key);
		return NULL;
	}
	return node;
}

int lvm_read_integer(const struct lvm_reader *reader, const struct lvm_config_node *section,
		     const char *key, bool optional, uint64_t max, uint64_t *out)
{
	const struct lvm_config_node *node;
	const struct lvm_config_value *value;
	int rc;

	node = find_key(reader, section, key, optional, &rc);
	if (!node)
		return rc;
	value = node->values;
	if (node->value_count != 1 || value->type != LVM_CONFIG_INTEGER)
		return lvm_read_fail(reader, node, "%s of %.128s is no integer", key, section->key);
	if (value->integer < 0 || (uint64_t)value->integer > max)
		return lvm_read_fail(reader, node, "%s of %.128s is %lld, expected 0 to %llu", key,
				     section->key, (long long)value->integer,
				     (unsigned long long)max);
	*out = (uint64_t)value->integer;
	return 0;
}

int lvm_read_string(const struct lvm_reader *reader, const struct lvm_config_node *section,
		    const char *key, bool optional, const char **out)
{
	const struct lvm_config_node *node;
	int rc;

	node = find_key(reader, section, key, optional, &rc);
	if (!node)
		return rc;
	if (node->value_count != 1 || node->values->type != LVM_CONFIG_STRING)
		return lvm_read_fail(reader, node, "%s of %.128s is no string", key, section->key);
	*out = node->values->string;
	return 0;
}

int lvm_read_strings(const struct lvm_reader *reader, const struct lvm_config_node *section,
		     const char *key, bool optional, struct lvm_strings *out)
{
	const struct lvm_config_node *node;
	int rc;

	memset(out, 0, sizeof(*out));
	node = find_key(reader, section, key, optional, &rc);
	if (!node)
		return rc;
	out->at = lvm_config_alloc(reader->memory, (node->value_count + 1) * sizeof(*out->at));
	if (!out->at)
		return -ENOMEM;
	for (unsigned i = 0; i < node->value_count; i++) {
		if (node->values[i].type != LVM_CONFIG_STRING)
			return lvm_read_fail(reader, node,
					     "%s of %.128s has a value that is no string", key,
					     section->key);
		out->at[out->count++] = node->values[i].string;
	}
	return 0;
}

int lvm_read_flags(const struct lvm_reader *reader, const struct lvm_config_node *section,
		   struct lvm_strings *status, struct lvm_strings *flags, struct lvm_strings *tags)
{
	int rc = lvm_read_strings(reader, section, "status", false, status);

	if (!rc)
		rc = lvm_read_strings(reader, section, "flags", true, flags);
	if (!rc)
		rc = lvm_read_strings(reader, section, "tags", true, tags);
	return rc;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int lvm_read_unique(const struct lvm_reader *reader, const struct lvm_config_node *section,
		    const char *what, const char **texts, unsigned count)
{
	qsort(texts, count, sizeof(*texts), compare_texts);
	for (unsigned i = 1; i < count; i++)
		if (!strcmp(texts[i], texts[i - 1]))
			return lvm_read_fail(reader, section, "two %s %.128s", what, texts[i]);
	return 0;
}

int lvm_read_uuid(const struct lvm_reader *reader, const struct lvm_config_node *section,
		  char out[VOLUME_UUID_TEXT])
{
	const char *text;
	int rc = lvm_read_string(reader, section, "id", false, &text);

	if (rc)
		return rc;
	if (!lvm_uuid_valid(text))
		return lvm_read_fail(reader, section, "id of %.128s is \"%.60s\", expected a UUID",
				     section->key, text);
	memcpy(out, text, VOLUME_UUID_TEXT);
	return 0;
}

int lvm_read_extra(const struct lvm_reader *reader, const struct lvm_config_node *section,
		   const char *const *known, bool sections, struct lvm_config_node **out)
{
	struct lvm_config_node **link = out;

	*out = NULL;
	for (const struct lvm_config_node *node = section->child; node; node = node->next) {
		const char *const *key = known;
		struct lvm_config_node *kept;

		if (node->section && !sections)
			continue;
		while (*key && (**key != *node->key || strcmp(*key, node->key)))
			key++;
		if (*key)
			continue;
		kept = lvm_config_copy(reader->memory, node);
		if (!kept)
			return -ENOMEM;
		*link = kept;
		link = &kept->next;
	}
	return 0;
}

bool lvm_strings_contain(const struct lvm_strings *strings, const char *string)
{
	for (unsigned i = 0; i < strings->count; i++)
		if (!strcmp(strings->at[i], string))
			return true;
	return false;
}
