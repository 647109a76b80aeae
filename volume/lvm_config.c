/* SPDX-License-Identifier: BSD-2-Clause */
/* The parser of LVM2's text grammar; see lvm_config.h. */
#include "volume/lvm_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"

#define CHUNK_SIZE 16384
#define DEPTH_MAX  32

/* Memory comes in chunks that live as long as the tree. */
struct lvm_config_chunk {
	struct lvm_config_chunk *next;
	size_t used, size;
	_Alignas(16) char at[];
};

void *lvm_config_alloc(struct lvm_config *config, size_t size)
{
	struct lvm_config_chunk *chunk = config->chunks;

	size = round_up(size, 16);
	if (!chunk || chunk->size - chunk->used < size) {
		size_t room = MAX(size, (size_t)CHUNK_SIZE);

		chunk = malloc(sizeof(*chunk) + room);
		if (!chunk)
			return NULL;
		*chunk = (struct lvm_config_chunk){ .next = config->chunks, .size = room };
		config->chunks = chunk;
	}
	chunk->used += size;
	return memset(chunk->at + chunk->used - size, 0, size);
}

struct lvm_config_mark lvm_config_mark(const struct lvm_config *config)
{
	return (struct lvm_config_mark){ config->chunks,
					 config->chunks ? config->chunks->used : 0 };
}

void lvm_config_rewind(struct lvm_config *config, const struct lvm_config_mark *mark)
{
	while (config->chunks != mark->chunk) {
		struct lvm_config_chunk *chunk = config->chunks;

		config->chunks = chunk->next;
		free(chunk);
	}
	if (mark->chunk)
		mark->chunk->used = mark->used;
}

void lvm_config_free(struct lvm_config *config)
{
	lvm_config_rewind(config, &(struct lvm_config_mark){ 0 });
	config->root = NULL;
}

struct lvm_config_node *lvm_config_find(struct lvm_config_node *node, const char *key)
{
	while (node && strcmp(node->key, key))
		node = node->next;
	return node;
}

/* ---- Characters ---- */

struct parser {
	struct lvm_config *config;
	const char *at, *end;
	const char *line_start;
	unsigned line;
	unsigned depth;
	const char *name;
	struct error *error;
};

static int fail(struct parser *parser, const char *expected)
{
	unsigned column = (unsigned)(parser->at - parser->line_start) + 1;

	if (parser->at == parser->end)
		return error_set(parser->error, -EBADMSG,
				 "%s: metadata, line %u column %u: the text ends, expected %s",
				 parser->name, parser->line, column, expected);
	if (*parser->at < ' ' || *parser->at > '~')
		return error_set(parser->error, -EBADMSG,
				 "%s: metadata, line %u column %u: found byte 0x%02x, expected %s",
				 parser->name, parser->line, column, (unsigned char)*parser->at,
				 expected);
	return error_set(parser->error, -EBADMSG,
			 "%s: metadata, line %u column %u: found '%c', expected %s", parser->name,
			 parser->line, column, *parser->at, expected);
}

static int no_memory(struct parser *parser)
{
	return error_set(parser->error, -ENOMEM, "%s: no memory for metadata", parser->name);
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_space(struct parser *parser)
{
	while (parser->at < parser->end) {
		if (*parser->at == '#') {
			while (parser->at < parser->end && *parser->at != '\n')
				parser->at++;
		} else if (*parser->at == '\n') {
			parser->line++;
			parser->line_start = ++parser->at;
		} else if (is_space(*parser->at)) {
			parser->at++;
		} else {
			break;
		}
	}
}

/* Whether `c` is next; steps over it and the space after it. */
static bool accept(struct parser *parser, char c)
{
	if (parser->at == parser->end || *parser->at != c)
		return false;
	parser->at++;
	skip_space(parser);
	return true;
}

static const char *copy(struct parser *parser, const char *from, size_t length)
{
	char *to = lvm_config_alloc(parser->config, length + 1);

	return to ? memcpy(to, from, length) : NULL;
}

/* A bare word: the key of a node, or a value that is neither quoted nor a number. */
static int parse_word(struct parser *parser, bool value, const char *what, const char **out)
{
	const char *start = parser->at;

	while (parser->at < parser->end && !is_space(*parser->at) &&
	       !strchr(value ? "#={}[],\"'" : "#={}\"'", *parser->at))
		parser->at++;
	if (parser->at == start)
		return fail(parser, what);
	*out = copy(parser, start, (size_t)(parser->at - start));
	skip_space(parser);
	return *out ? 0 : no_memory(parser);
}

/* "..." in which a backslash takes the next character as it is, or '...' without that. */
static int parse_quoted(struct parser *parser, const char **out)
{
	char quote = *parser->at++;
	const char *start = parser->at;
	size_t length = 0;
	char *to;

	while (parser->at < parser->end && *parser->at != quote) {
		if (quote == '"' && *parser->at == '\\' && parser->end - parser->at > 1)
			parser->at++;
		if (*parser->at == '\n') {
			parser->line++;
			parser->line_start = parser->at + 1;
		}
		parser->at++;
	}
	if (parser->at == parser->end)
		return fail(parser, quote == '"' ? "a closing '\"'" : "a closing \"'\"");
	to = lvm_config_alloc(parser->config, (size_t)(parser->at - start) + 1);
	if (!to)
		return no_memory(parser);
	for (const char *from = start; from < parser->at; from++) {
		if (quote == '"' && *from == '\\')
			from++;
		to[length++] = *from;
	}
	parser->at++;
	skip_space(parser);
	*out = to;
	return 0;
}

/* ---- Values ---- */

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return 16;
}

/* An integer in C's notation but for octal, which LVM2 never writes there: false if `word` is none. An
 * integer that does not fit into 64 bits is one too, and *fits becomes false. */
static bool parse_integer(const char *word, int64_t *out, bool *fits)
{
	bool negative = *word == '-';
	uint64_t value = 0;
	unsigned base = 10;

	*fits = true;
	if (*word == '-' || *word == '+')
		word++;
	if (word[0] == '0' && (word[1] | 0x20) == 'x') {
		base = 16;
		word += 2;
	}
	if (!*word)
		return false;
	for (; *word; word++) {
		unsigned digit = (unsigned)digit_value(*word);

		if (digit >= base)
			return false;
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			*fits = false;
	}
	if (!*fits || value > (uint64_t)INT64_MAX) {
		*fits = false;
		return true;
	}
	*out = negative ? -(int64_t)value : (int64_t)value;
	return true;
}

static bool is_float(const char *word)
{
	bool digits = false, point = false;

	if (*word == '-' || *word == '+')
		word++;
	for (; *word; word++) {
		if (*word == '.' && !point)
			point = true;
		else if (*word >= '0' && *word <= '9')
			digits = true;
		else
			return false;
	}
	return digits && point;
}

static int parse_scalar(struct parser *parser, struct lvm_config_value *out)
{
	const char *start = parser->at;
	unsigned column = (unsigned)(start - parser->line_start) + 1;
	unsigned line = parser->line;
	bool fits;
	int rc;

	if (start < parser->end && (*start == '"' || *start == '\'')) {
		out->type = LVM_CONFIG_STRING;
		return parse_quoted(parser, &out->string);
	}
	rc = parse_word(parser, true, "a value", &out->string);
	if (rc)
		return rc;
	if (parse_integer(out->string, &out->integer, &fits)) {
		out->type = LVM_CONFIG_INTEGER;
		if (!fits)
			return error_set(parser->error, -EBADMSG,
					 "%s: metadata, line %u column %u: %.40s does not fit into "
					 "64 bits",
					 parser->name, line, column, out->string);
	} else {
		out->type = is_float(out->string) ? LVM_CONFIG_FLOAT : LVM_CONFIG_STRING;
	}
	return 0;
}

/* Appends to the values of a node, doubling their room. */
static int add_value(struct parser *parser, struct lvm_config_node *node, unsigned *capacity)
{
	struct lvm_config_value *grown;

	if (node->value_count < *capacity)
		return 0;
	*capacity = *capacity ? *capacity * 2 : node->array ? 4 : 1;
	grown = lvm_config_alloc(parser->config, *capacity * sizeof(*grown));
	if (!grown)
		return no_memory(parser);
	if (node->value_count)
		memcpy(grown, node->values, node->value_count * sizeof(*grown));
	node->values = grown;
	return 0;
}

static int parse_values(struct parser *parser, struct lvm_config_node *node)
{
	unsigned capacity = 0;
	bool comma;
	int rc;

	node->array = accept(parser, '[');
	if (node->array && accept(parser, ']'))
		return 0;
	for (;;) {
		rc = add_value(parser, node, &capacity);
		if (!rc)
			rc = parse_scalar(parser, &node->values[node->value_count]);
		if (rc)
			return rc;
		node->value_count++;
		if (!node->array)
			return 0;
		comma = accept(parser, ',');
		if (accept(parser, ']')) /* a comma before it is let pass */
			return 0;
		if (!comma)
			return fail(parser, "',' or ']'");
	}
}

/* ---- Nodes ---- */

static int parse_nodes(struct parser *parser, struct lvm_config_node **first);

static int parse_node(struct parser *parser, struct lvm_config_node *node)
{
	int rc;

	node->line = parser->line;
	node->column = (unsigned)(parser->at - parser->line_start) + 1;
	if (*parser->at == '"' || *parser->at == '\'')
		rc = parse_quoted(parser, &node->key);
	else
		rc = parse_word(parser, false, "a name", &node->key);
	if (rc)
		return rc;
	if (!*node->key)
		return fail(parser, "a name that is not empty before this");
	if (accept(parser, '=')) {
		rc = parse_values(parser, node);
	} else if (accept(parser, '{')) {
		node->section = true;
		if (++parser->depth > DEPTH_MAX)
			return fail(parser, "sections nested less deeply");
		rc = parse_nodes(parser, &node->child);
		parser->depth--;
		if (!rc && !accept(parser, '}'))
			rc = fail(parser, "'}'");
	} else {
		rc = fail(parser, "'=' or '{'");
	}
	return rc;
}

/* Siblings up to a '}' or the end of the text. */
static int parse_nodes(struct parser *parser, struct lvm_config_node **first)
{
	struct lvm_config_node **link = first;

	while (parser->at < parser->end && *parser->at != '}') {
		struct lvm_config_node *node = lvm_config_alloc(parser->config, sizeof(*node));
		int rc;

		if (!node)
			return no_memory(parser);
		rc = parse_node(parser, node);
		if (rc)
			return rc;
		*link = node;
		link = &node->next;
	}
	return 0;
}

int lvm_config_parse(struct lvm_config *config, const char *text, size_t size, const char *name,
		     struct error *error)
{
	struct parser parser = { .config = config,
				 .at = text,
				 .line_start = text,
				 .line = 1,
				 .name = name,
				 .error = error };
	int rc;

	config->root = NULL;
	config->chunks = NULL;
	parser.end = text + strnlen(text, size);
	skip_space(&parser);
	rc = parse_nodes(&parser, &config->root);
	if (!rc && parser.at < parser.end)
		rc = fail(&parser, "the end of the text");
	if (rc)
		lvm_config_free(config);
	return rc;
}
