/* SPDX-License-Identifier: BSD-2-Clause */
/* The parser of LVM2's text grammar; see lvm_config.h. */
#include "volume/lvm_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"

#define CHUNK_SIZE     16384
#define CHUNK_SIZE_MAX (16 * CHUNK_SIZE)
#define DEPTH_MAX      32

/* Memory comes in chunks that live as long as the tree. */
struct lvm_config_chunk {
	struct lvm_config_chunk *next;
	size_t used, size;
	_Alignas(16) char at[];
};

/* `size` bytes at any address, not cleared. */
static char *take_bytes(struct lvm_config *config, size_t size, size_t align)
{
	struct lvm_config_chunk *chunk = config->chunks;
	size_t used = chunk ? round_up(chunk->used, align) : 0;

	if (!chunk || used > chunk->size || chunk->size - used < size) {
		size_t room = chunk ? MIN(2 * chunk->size, (size_t)CHUNK_SIZE_MAX) : CHUNK_SIZE;

		room = MAX(size, room);
		chunk = malloc(sizeof(*chunk) + room);
		if (!chunk)
			return NULL;
		*chunk = (struct lvm_config_chunk){ .next = config->chunks, .size = room };
		config->chunks = chunk;
		used = 0;
	}
	chunk->used = used + size;
	return chunk->at + used;
}

void *lvm_config_alloc(struct lvm_config *config, size_t size)
{
	void *at = take_bytes(config, size, 8);

	return at ? memset(at, 0, size) : NULL;
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
	while (node && (*node->key != *key || strcmp(node->key, key)))
		node = node->next;
	return node;
}

static struct lvm_config_node *copy_siblings(struct lvm_config *config,
					     const struct lvm_config_node *node, bool *failed)
{
	struct lvm_config_node *first = NULL, **link = &first;

	for (; node && !*failed; node = node->next) {
		*link = lvm_config_copy(config, node);
		*failed = !*link;
		if (*link)
			link = &(*link)->next;
	}
	return first;
}

struct lvm_config_node *lvm_config_copy(struct lvm_config *config,
					const struct lvm_config_node *node)
{
	struct lvm_config_node *copy = lvm_config_alloc(config, sizeof(*copy));
	size_t size = node->value_count * sizeof(*node->values);
	bool failed = false;

	if (!copy)
		return NULL;
	*copy = *node;
	copy->next = NULL;
	copy->child = copy_siblings(config, node->child, &failed);
	if (size) {
		copy->values = lvm_config_alloc(config, size);
		if (!copy->values)
			return NULL;
		memcpy(copy->values, node->values, size);
	}
	return failed ? NULL : copy;
}

/* ---- Characters ---- */

/* Words that come again and again: keys, flags, hosts. Each is kept once, as long as no other takes its place here. */
#define WORDS      256u
#define WORD_SHORT 40u

struct config_word {
	const char *at;
	size_t length;
};

struct parser {
	struct lvm_config *config; /* strings */
	struct lvm_config *nodes;  /* nodes and values: the same, but for those of a stream */
	struct lvm_config passing; /* those, of one child at a time */
	struct lvm_config_stream *stream;
	unsigned sections; /* at the top, so far */
	const char *at, *end;
	const char *line_start;
	unsigned line;
	unsigned depth;
	const char *name;
	struct error *error;
	struct config_word words[WORDS];
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

enum { SPACE = 1, ENDS_KEY = 2, ENDS_VALUE = 4, NESTS = 8 };

static const uint8_t characters[256] = {
	['\t'] = SPACE | ENDS_KEY | ENDS_VALUE,
	['\n'] = SPACE | ENDS_KEY | ENDS_VALUE,
	['\v'] = SPACE | ENDS_KEY | ENDS_VALUE,
	['\f'] = SPACE | ENDS_KEY | ENDS_VALUE,
	['\r'] = SPACE | ENDS_KEY | ENDS_VALUE,
	[' '] = SPACE | ENDS_KEY | ENDS_VALUE,
	['#'] = ENDS_KEY | ENDS_VALUE | NESTS,
	['='] = ENDS_KEY | ENDS_VALUE,
	['{'] = ENDS_KEY | ENDS_VALUE | NESTS,
	['}'] = ENDS_KEY | ENDS_VALUE | NESTS,
	['"'] = ENDS_KEY | ENDS_VALUE | NESTS,
	['\''] = ENDS_KEY | ENDS_VALUE | NESTS,
	['['] = ENDS_VALUE,
	[']'] = ENDS_VALUE,
	[','] = ENDS_VALUE,
};

static bool is_a(char c, unsigned kind)
{
	return characters[(uint8_t)c] & kind;
}

static void skip_space(struct parser *parser)
{
	const char *at = parser->at, *end = parser->end;

	for (; at < end; at++) {
		if (*at == '\n') {
			parser->line++;
			parser->line_start = at + 1;
		} else if (*at == '#') {
			at = memchr(at, '\n', (size_t)(end - at));
			if (!at) {
				at = end;
				break;
			}
			at--;
		} else if (!is_a(*at, SPACE)) {
			break;
		}
	}
	parser->at = at;
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
	char *to = take_bytes(parser->config, length + 1, 1);

	if (!to)
		return NULL;
	memcpy(to, from, length);
	to[length] = '\0';
	return to;
}

/* A copy that others may have as well. */
static const char *keep(struct parser *parser, const char *from, size_t length)
{
	struct config_word *word;
	unsigned hash;

	if (!length || length > WORD_SHORT)
		return copy(parser, from, length);
	hash = (uint8_t)from[0] * 31u + (uint8_t)from[length - 1] * 7u +
	       (uint8_t)from[length / 2] * 3u + (unsigned)length;
	word = &parser->words[hash % WORDS];
	if (word->length == length && !memcmp(word->at, from, length))
		return word->at;
	from = copy(parser, from, length);
	if (from)
		*word = (struct config_word){ from, length };
	return from;
}

/* A bare word: the key of a node, or a value that is neither quoted nor a number. */
static int take_word(struct parser *parser, unsigned kind, const char *what,
		     struct config_word *word)
{
	const char *at = parser->at;

	while (at < parser->end && !is_a(*at, kind))
		at++;
	*word = (struct config_word){ parser->at, (size_t)(at - parser->at) };
	if (!word->length)
		return fail(parser, what);
	parser->at = at;
	return 0;
}

static int parse_key(struct parser *parser, const char **out)
{
	struct config_word word;
	int rc = take_word(parser, ENDS_KEY, "a name", &word);

	if (rc)
		return rc;
	*out = keep(parser, word.at, word.length);
	skip_space(parser);
	return *out ? 0 : no_memory(parser);
}

/* What is between quotes, with a backslash before some characters. */
static int parse_escaped(struct parser *parser, const char *from, const char **out)
{
	char *to = take_bytes(parser->config, (size_t)(parser->at - from) + 1, 1);
	size_t length = 0;

	if (!to)
		return no_memory(parser);
	for (; from < parser->at; from++) {
		if (*from == '\\')
			from++;
		to[length++] = *from;
	}
	to[length] = '\0';
	*out = to;
	return 0;
}

/* "..." in which a backslash takes the next character as it is, or '...' without that. */
static int parse_quoted(struct parser *parser, const char **out)
{
	char quote = *parser->at++;
	const char *start = parser->at;
	bool escaped = false;
	int rc = 0;

	while (parser->at < parser->end && *parser->at != quote) {
		if (quote == '"' && *parser->at == '\\' && parser->end - parser->at > 1) {
			parser->at++;
			escaped = true;
		}
		if (*parser->at == '\n') {
			parser->line++;
			parser->line_start = parser->at + 1;
		}
		parser->at++;
	}
	if (parser->at == parser->end)
		return fail(parser, quote == '"' ? "a closing '\"'" : "a closing \"'\"");
	if (escaped)
		rc = parse_escaped(parser, start, out);
	else if (!(*out = keep(parser, start, (size_t)(parser->at - start))))
		rc = no_memory(parser);
	parser->at++;
	skip_space(parser);
	return rc;
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
static bool parse_integer(const struct config_word *word, int64_t *out, bool *fits)
{
	const char *at = word->at, *end = at + word->length;
	bool negative = *at == '-';
	uint64_t value = 0;
	unsigned base = 10;

	*fits = true;
	if (*at == '-' || *at == '+')
		at++;
	if (end - at > 1 && at[0] == '0' && (at[1] | 0x20) == 'x') {
		base = 16;
		at += 2;
	}
	if (at == end)
		return false;
	for (; at < end; at++) {
		unsigned digit = (unsigned)digit_value(*at);

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

static bool is_float(const struct config_word *word)
{
	const char *at = word->at, *end = at + word->length;
	bool digits = false, point = false;

	if (*at == '-' || *at == '+')
		at++;
	for (; at < end; at++) {
		if (*at == '.' && !point)
			point = true;
		else if (*at >= '0' && *at <= '9')
			digits = true;
		else
			return false;
	}
	return digits && point;
}

static int parse_scalar(struct parser *parser, struct lvm_config_value *out)
{
	unsigned column = (unsigned)(parser->at - parser->line_start) + 1;
	unsigned line = parser->line;
	struct config_word word;
	bool fits;
	int rc;

	out->type = LVM_CONFIG_STRING;
	if (parser->at < parser->end && (*parser->at == '"' || *parser->at == '\''))
		return parse_quoted(parser, &out->string);
	rc = take_word(parser, ENDS_VALUE, "a value", &word);
	if (rc)
		return rc;
	skip_space(parser);
	if (parse_integer(&word, &out->integer, &fits)) {
		out->type = LVM_CONFIG_INTEGER;
		return fits ? 0
			    : error_set(parser->error, -EBADMSG,
					"%s: metadata, line %u column %u: %.*s does not fit into "
					"64 bits",
					parser->name, line, column,
					(int)MIN(word.length, (size_t)40), word.at);
	}
	if (is_float(&word))
		out->type = LVM_CONFIG_FLOAT;
	out->string = keep(parser, word.at, word.length);
	return out->string ? 0 : no_memory(parser);
}

/* Appends to the values of a node, doubling their room. */
static int add_value(struct parser *parser, struct lvm_config_node *node, unsigned *capacity)
{
	struct lvm_config_value *grown;

	if (node->value_count < *capacity)
		return 0;
	*capacity = *capacity ? *capacity * 2 : node->array ? 4 : 1;
	grown = lvm_config_alloc(parser->nodes, *capacity * sizeof(*grown));
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

static int parse_nodes(struct parser *parser, const struct lvm_config_node *parent,
		       struct lvm_config_node **first);

static int parse_node(struct parser *parser, const struct lvm_config_node *parent,
		      struct lvm_config_node *node);

/* Each child in memory that the next one has again. */
static int stream_nodes(struct parser *parser, const struct lvm_config_node *parent)
{
	struct lvm_config *kept = parser->nodes, *passing = &parser->passing;
	struct lvm_config_mark empty;
	int rc = 0;

	if (!lvm_config_alloc(passing, 1))
		return no_memory(parser);
	empty = lvm_config_mark(passing);
	parser->nodes = passing;
	while (!rc && parser->at < parser->end && *parser->at != '}') {
		size_t taken =
			parser->stream->take_text
				? parser->stream->take_text(parser->stream, parser->at, parser->end)
				: 0;
		struct lvm_config_node *node;

		if (taken) {
			parser->at += taken;
			skip_space(parser);
			continue;
		}
		node = lvm_config_alloc(passing, sizeof(*node));
		rc = node ? parse_node(parser, parent, node) : no_memory(parser);
		if (!rc)
			rc = parser->stream->take(parser->stream, node);
		lvm_config_rewind(passing, &empty);
	}
	parser->nodes = kept;
	lvm_config_free(passing);
	return rc;
}

/* Up to the '}' that ends the section. */
static void pass_over(struct parser *parser)
{
	unsigned depth = 0;

	while (parser->at < parser->end && (depth || *parser->at != '}')) {
		const char *at = parser->at;
		char c;

		while (at < parser->end && !is_a(*at, NESTS))
			at++;
		parser->at = at;
		if (at == parser->end)
			return;
		c = *at;
		if (c == '#') {
			skip_space(parser);
			continue;
		}
		if (c == '}' && !depth)
			return;
		depth += (c == '{') - (c == '}');
		parser->at++;
		while ((c == '"' || c == '\'') && parser->at < parser->end && *parser->at != c)
			parser->at +=
				c == '"' && *parser->at == '\\' && parser->end - parser->at > 1 ? 2
												: 1;
		parser->at += (c == '"' || c == '\'') && parser->at < parser->end;
	}
}

/* What is known by its text, as far as that goes. */
static void pass_known(struct parser *parser)
{
	size_t taken = 1;

	while (parser->stream->take_text && taken && parser->at < parser->end) {
		taken = parser->stream->take_text(parser->stream, parser->at, parser->end);
		parser->at += taken;
		skip_space(parser);
	}
}

/* Whether the section that begins at `node` is the one that is asked for; once. */
static bool is_streamed(struct parser *parser, const struct lvm_config_node *parent,
			const struct lvm_config_node *node)
{
	struct lvm_config_stream *stream = parser->stream;

	if (!stream || parser->depth != 2 || parser->sections != 1 ||
	    strcmp(node->key, stream->section))
		return false;
	if (stream->begin(stream, parent))
		return true;
	parser->stream = NULL;
	return false;
}

static int parse_section(struct parser *parser, const struct lvm_config_node *parent,
			 struct lvm_config_node *node)
{
	int rc = 0;

	node->section = true;
	if (++parser->depth > DEPTH_MAX)
		return fail(parser, "sections nested less deeply");
	parser->sections += parser->depth == 1;
	if (is_streamed(parser, parent, node)) {
		if (parser->stream->take) {
			rc = stream_nodes(parser, node);
		} else {
			pass_known(parser);
			pass_over(parser);
		}
		parser->stream = NULL;
	} else {
		rc = parse_nodes(parser, node, &node->child);
	}
	parser->depth--;
	if (!rc && !accept(parser, '}'))
		rc = fail(parser, "'}'");
	return rc;
}

static int parse_node(struct parser *parser, const struct lvm_config_node *parent,
		      struct lvm_config_node *node)
{
	int rc;

	node->line = parser->line;
	node->column = (unsigned)(parser->at - parser->line_start) + 1;
	if (*parser->at == '"' || *parser->at == '\'')
		rc = parse_quoted(parser, &node->key);
	else
		rc = parse_key(parser, &node->key);
	if (rc)
		return rc;
	if (!*node->key)
		return fail(parser, "a name that is not empty before this");
	if (accept(parser, '='))
		return parse_values(parser, node);
	if (accept(parser, '{'))
		return parse_section(parser, parent, node);
	return fail(parser, "'=' or '{'");
}

/* Siblings up to a '}' or the end of the text. */
static int parse_nodes(struct parser *parser, const struct lvm_config_node *parent,
		       struct lvm_config_node **first)
{
	struct lvm_config_node **link = first;

	while (parser->at < parser->end && *parser->at != '}') {
		struct lvm_config_node *node = lvm_config_alloc(parser->nodes, sizeof(*node));
		int rc;

		if (!node)
			return no_memory(parser);
		rc = parse_node(parser, parent, node);
		if (rc)
			return rc;
		*link = node;
		link = &node->next;
	}
	return 0;
}

int lvm_config_parse_stream(struct lvm_config *config, const char *text, size_t size,
			    const char *name, struct lvm_config_stream *stream, struct error *error)
{
	struct parser parser = { .config = config,
				 .nodes = config,
				 .stream = stream,
				 .at = text,
				 .line_start = text,
				 .line = 1,
				 .name = name,
				 .error = error };
	int rc;

	*config = (struct lvm_config){ 0 };
	parser.end = text + strnlen(text, size);
	skip_space(&parser);
	rc = parse_nodes(&parser, NULL, &config->root);
	if (!rc && parser.at < parser.end)
		rc = fail(&parser, "the end of the text");
	return rc;
}

int lvm_config_parse(struct lvm_config *config, const char *text, size_t size, const char *name,
		     struct error *error)
{
	int rc = lvm_config_parse_stream(config, text, size, name, NULL, error);

	if (rc)
		lvm_config_free(config);
	return rc;
}
