/* SPDX-License-Identifier: BSD-2-Clause */
/* YAML into structures; see decode.h. libyaml reads it and says where each thing stands. */
#include "tools/lab/decode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lab/yaml_library.h"
#include "util/error.h"
#include "util/number.h"
#include "util/size.h"
#include "util/spelling.h"

#define DEPTH_MOST 8u
#define MAPS_MOST  10000u
#define VALUES_MOST                                                                                \
	1000000u /* of a whole file; an alias counts as often as it stands for something */

struct lab_pool_item {
	struct lab_pool_item *next;
	char bytes[];
};

struct lab_decoder {
	const char *name;
	yaml_document_t document;
	struct lab_pool *pool;
	struct error *error;
	unsigned depth, values;
};

/* ---- Memory ---- */

void *lab_pool_alloc(struct lab_pool *pool, size_t size)
{
	struct lab_pool_item *item = calloc(1, sizeof(*item) + size);

	if (!item)
		abort();
	item->next = pool->items;
	pool->items = item;
	return item->bytes;
}

char *lab_pool_text(struct lab_pool *pool, const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(lab_pool_alloc(pool, size), text, size);
}

void lab_pool_free(struct lab_pool *pool)
{
	while (pool->items) {
		struct lab_pool_item *next = pool->items->next;

		free(pool->items);
		pool->items = next;
	}
}

/* ---- Durations ---- */

static const struct {
	const char *unit;
	uint64_t ns;
} units[] = { { "h", 3600000000000ull }, { "min", 60000000000ull }, { "s", 1000000000ull },
	      { "ms", 1000000ull },      { "us", 1000ull },         { "ns", 1 },
	      { "d", 86400000000000ull } };

int lab_duration_parse(const char *text, uint64_t *ns, struct error *error)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || !(value >= 0) || strspn(text, "0123456789.") != (size_t)(end - text))
		return error_set(error, -EINVAL, "'%s' is no duration: expected 10s, 1.5ms, 2h",
				 text);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(*end ? end : "s", units[i].unit) != 0)
			continue;
		if (value * (double)units[i].ns > 9e18)
			return error_set(error, -EINVAL, "'%s' is more than 292 years", text);
		*ns = (uint64_t)(value * (double)units[i].ns + 0.5);
		return 0;
	}
	return error_set(error, -EINVAL, "'%s': '%s' is no unit: expected ns, us, ms, s, min, h, d",
			 text, end);
}

char *lab_duration_format(uint64_t ns, char text[LAB_DURATION_TEXT])
{
	unsigned best = 5;

	for (unsigned i = 0; i < 6 && ns; i++)
		if (ns % units[i].ns == 0) {
			best = i;
			break;
		}
	snprintf(text, LAB_DURATION_TEXT, "%llu%s", (unsigned long long)(ns / units[best].ns),
		 ns ? units[best].unit : "s");
	return text;
}

/* ---- Errors ---- */

static int fail_at(struct lab_decoder *decoder, const yaml_node_t *node, const char *text)
{
	return error_set(decoder->error, -EINVAL, "%s:%zu:%zu: %s", decoder->name,
			 node->start_mark.line + 1, node->start_mark.column + 1, text);
}

static int unknown_word(struct lab_decoder *decoder, const yaml_node_t *node, const char *what,
			const struct spelling *spelling, const char *all)
{
	char text[600];

	snprintf(text, sizeof(text), "there is no %s '%.60s'", what, spelling->word);
	fail_at(decoder, node, text);
	if (spelling->closest)
		error_advise(decoder->error, "did you mean '%s'?", spelling->closest);
	else
		error_advise(decoder->error, "there are %s", all);
	return -EINVAL;
}

static void add_word(char *all, size_t size, const char *word)
{
	size_t length = strlen(all);

	snprintf(all + length, size - length, "%s%s", length ? ", " : "", word);
}

/* Aliases let a small file stand for a large one: what it comes to is bounded before it is made. */
static int count_values(struct lab_decoder *decoder, const yaml_node_t *node, unsigned count)
{
	if (count > VALUES_MOST - decoder->values)
		return fail_at(decoder, node, "too many values, with those that aliases stand for");
	decoder->values += count;
	return 0;
}

/* ---- Values ---- */

static int decode_map(struct lab_decoder *decoder, yaml_node_t *node, const struct lab_key *keys,
		      void *at);

static int decode_choice(struct lab_decoder *decoder, const struct lab_key *key,
			 const yaml_node_t *node, const char *text, unsigned *at)
{
	struct spelling spelling = { .word = text };
	char all[240] = "";

	for (unsigned i = 0; key->choices[i]; i++) {
		if (!strcmp(key->choices[i], text)) {
			*at = i;
			return 0;
		}
		spelling_consider(&spelling, key->choices[i]);
		add_word(all, sizeof(all), key->choices[i]);
	}
	return unknown_word(decoder, node, key->name, &spelling, all);
}

static int decode_bool(const char *text, bool *at, struct error *error)
{
	static const char *const words[] = { "no", "false", "off", "yes", "true", "on" };

	for (unsigned i = 0; i < 6; i++)
		if (!strcmp(words[i], text)) {
			*at = i >= 3;
			return 0;
		}
	return error_set(error, -EINVAL, "'%s': expected yes or no", text);
}

static int check_range(const struct lab_key *key, const char *text, uint64_t value,
		       struct error *error)
{
	char least[LAB_DURATION_TEXT], most[LAB_DURATION_TEXT];

	if (!key->most || (value >= key->least && value <= key->most))
		return 0;
	return error_set(error, -EINVAL, "'%s': expected %s to %s", text,
			 lab_duration_format(key->least, least),
			 lab_duration_format(key->most, most));
}

static int decode_scalar(struct lab_decoder *decoder, const struct lab_key *key,
			 const yaml_node_t *node, void *at)
{
	const char *text = (const char *)node->data.scalar.value;
	uint64_t most = key->most ? key->most : INT64_MAX;
	struct error error = { 0 };
	char whole[900];
	int rc = 0;

	if (strlen(text) != node->data.scalar.length)
		return fail_at(decoder, node, "a text with a NUL in it");
	switch (key->type) {
	case LAB_TEXT:
		*(const char **)at = lab_pool_text(decoder->pool, text);
		break;
	case LAB_NUMBER:
	case LAB_NUMBERS:
		rc = number_parse(text, key->least, most, at, &error);
		break;
	case LAB_SIZE:
		rc = number_parse_size(text, key->least, most, at, &error);
		break;
	case LAB_DURATION:
		rc = lab_duration_parse(text, at, &error);
		if (!rc)
			rc = check_range(key, text, *(uint64_t *)at, &error);
		break;
	case LAB_BOOL:
		rc = decode_bool(text, at, &error);
		break;
	case LAB_CHOICE:
		return decode_choice(decoder, key, node, text, at);
	default:
		rc = key->parse(text, at, &error);
		break;
	}
	if (!rc)
		return 0;
	snprintf(whole, sizeof(whole), "%s: %s", key->name, error.text);
	fail_at(decoder, node, whole);
	if (error.advice[0])
		error_advise(decoder->error, "%s", error.advice);
	return -EINVAL;
}

/* A list's nodes, or the one that stands for a list of one. */
static unsigned list_of(yaml_node_t *node, yaml_node_item_t *one, yaml_node_item_t **items)
{
	if (node->type != YAML_SEQUENCE_NODE) {
		*items = one;
		return 1;
	}
	*items = node->data.sequence.items.start;
	return (unsigned)(node->data.sequence.items.top - node->data.sequence.items.start);
}

static int decode_list(struct lab_decoder *decoder, const struct lab_key *key, yaml_node_item_t id,
		       yaml_node_t *node, void *at)
{
	yaml_node_item_t *items;
	unsigned count = list_of(node, &id, &items);
	struct lab_numbers *numbers = at;
	struct lab_texts *texts = at;
	int rc = count_values(decoder, node, count);

	if (rc)
		return rc;
	if (key->type == LAB_NUMBERS)
		*numbers = (struct lab_numbers){
			lab_pool_alloc(decoder->pool, count * sizeof(uint64_t)), count
		};
	else
		*texts =
			(struct lab_texts){ lab_pool_alloc(decoder->pool, count * sizeof(char *)),
					    lab_pool_alloc(decoder->pool, count * sizeof(unsigned)),
					    count };
	for (unsigned i = 0; i < count && !rc; i++) {
		yaml_node_t *item = libyaml.yaml_document_get_node(&decoder->document, items[i]);

		if (item->type != YAML_SCALAR_NODE)
			return fail_at(decoder, item, "expected one value");
		if (key->type == LAB_NUMBERS) {
			rc = decode_scalar(decoder, key, item, &numbers->values[i]);
			continue;
		}
		texts->texts[i] =
			lab_pool_text(decoder->pool, (const char *)item->data.scalar.value);
		texts->lines[i] = (unsigned)item->start_mark.line + 1;
	}
	return rc;
}

static int decode_maps(struct lab_decoder *decoder, const struct lab_key *key, yaml_node_item_t id,
		       yaml_node_t *node, struct lab_maps *maps)
{
	yaml_node_item_t *items;
	unsigned count = list_of(node, &id, &items);
	int rc = count_values(decoder, node, count);
	char *at;

	if (rc)
		return rc;
	if (count > MAPS_MOST)
		return fail_at(decoder, node, "too many of these");
	at = lab_pool_alloc(decoder->pool, count * key->size);
	for (unsigned i = 0; i < count && !rc; i++)
		rc = decode_map(decoder,
				libyaml.yaml_document_get_node(&decoder->document, items[i]),
				key->keys, at + i * key->size);
	*maps = (struct lab_maps){ at, count };
	return rc;
}

static int decode_value(struct lab_decoder *decoder, const struct lab_key *key, yaml_node_item_t id,
			char *at)
{
	yaml_node_t *node = libyaml.yaml_document_get_node(&decoder->document, id);
	char text[200];

	switch (key->type) {
	case LAB_MAP:
		return decode_map(decoder, node, key->keys, at + key->offset);
	case LAB_MAPS:
		return decode_maps(decoder, key, id, node, (struct lab_maps *)(at + key->offset));
	case LAB_NUMBERS:
	case LAB_TEXTS:
		return decode_list(decoder, key, id, node, at + key->offset);
	default:
		break;
	}
	if (node->type != YAML_SCALAR_NODE) {
		snprintf(text, sizeof(text), "%s: expected one value", key->name);
		return fail_at(decoder, node, text);
	}
	return decode_scalar(decoder, key, node, at + key->offset);
}

static const struct lab_key *find_key(struct lab_decoder *decoder, const struct lab_key *keys,
				      const yaml_node_t *node)
{
	struct spelling spelling = { .word = (const char *)node->data.scalar.value };
	char all[240] = "";

	for (const struct lab_key *key = keys; key->name; key++) {
		if (!strcmp(key->name, spelling.word))
			return key;
		spelling_consider(&spelling, key->name);
		add_word(all, sizeof(all), key->name);
	}
	unknown_word(decoder, node, "key", &spelling, all);
	return NULL;
}

static int decode_pairs(struct lab_decoder *decoder, yaml_node_t *node, const struct lab_key *keys,
			char *at)
{
	uint64_t said = 0;
	char text[200];
	int rc = 0;

	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top && !rc; pair++) {
		yaml_node_t *name = libyaml.yaml_document_get_node(&decoder->document, pair->key);
		const struct lab_key *key;

		if (name->type != YAML_SCALAR_NODE)
			return fail_at(decoder, name, "expected a key");
		key = find_key(decoder, keys, name);
		if (!key)
			return -EINVAL;
		if (said & 1ull << (key - keys)) {
			snprintf(text, sizeof(text), "%s is said twice", key->name);
			return fail_at(decoder, name, text);
		}
		said |= 1ull << (key - keys);
		rc = decode_value(decoder, key, pair->value, at);
	}
	for (const struct lab_key *key = keys; key->name && !rc; key++) {
		if (!key->needed || said & 1ull << (key - keys))
			continue;
		snprintf(text, sizeof(text), "%s is missing here", key->name);
		rc = fail_at(decoder, node, text);
	}
	return rc;
}

static int decode_map(struct lab_decoder *decoder, yaml_node_t *node, const struct lab_key *keys,
		      void *at)
{
	int rc;

	if (node->type != YAML_MAPPING_NODE)
		return fail_at(decoder, node, "expected \"key: value\" lines");
	if (++decoder->depth > DEPTH_MOST)
		return fail_at(decoder, node, "nested too deeply");
	rc = decode_pairs(decoder, node, keys, at);
	decoder->depth--;
	return rc;
}

int lab_decode(const char *name, const char *text, size_t length, const struct lab_key *keys,
	       void *at, struct lab_pool *pool, struct error *error)
{
	struct lab_decoder decoder = { .name = name, .pool = pool, .error = error };
	yaml_parser_t parser;
	yaml_node_t *root;
	int rc = libyaml_load(error);

	if (rc)
		return rc;
	if (!libyaml.yaml_parser_initialize(&parser))
		return error_set(error, -ENOMEM, "%s: out of memory", name);
	libyaml.yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
	if (!libyaml.yaml_parser_load(&parser, &decoder.document)) {
		rc = error_set(error, -EINVAL, "%s:%zu:%zu: %s%s%s", name,
			       parser.problem_mark.line + 1, parser.problem_mark.column + 1,
			       parser.problem ? parser.problem : "no YAML",
			       parser.context ? ", " : "", parser.context ? parser.context : "");
		libyaml.yaml_parser_delete(&parser);
		return rc;
	}
	root = libyaml.yaml_document_get_root_node(&decoder.document);
	rc = root ? decode_map(&decoder, root, keys, at)
		  : error_set(error, -EINVAL, "%s:1:1: there is nothing in it", name);
	libyaml.yaml_document_delete(&decoder.document);
	libyaml.yaml_parser_delete(&parser);
	return rc;
}
