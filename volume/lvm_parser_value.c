/* SPDX-License-Identifier: BSD-2-Clause */
/* Characters, words, strings and values of LVM2's text grammar; see lvm_parser.h. */
#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "volume/lvm_parser.h"

int lvm_parser_fail(struct lvm_parser *parser, const char *expected)
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

int lvm_parser_no_memory(struct lvm_parser *parser)
{
	return error_set(parser->error, -ENOMEM, "%s: no memory for metadata", parser->name);
}

const uint8_t lvm_parser_characters[256] = {
	['\t'] = LVM_SPACE | LVM_ENDS_KEY | LVM_ENDS_VALUE,
	['\n'] = LVM_SPACE | LVM_ENDS_KEY | LVM_ENDS_VALUE,
	['\v'] = LVM_SPACE | LVM_ENDS_KEY | LVM_ENDS_VALUE,
	['\f'] = LVM_SPACE | LVM_ENDS_KEY | LVM_ENDS_VALUE,
	['\r'] = LVM_SPACE | LVM_ENDS_KEY | LVM_ENDS_VALUE,
	[' '] = LVM_SPACE | LVM_ENDS_KEY | LVM_ENDS_VALUE,
	['#'] = LVM_ENDS_KEY | LVM_ENDS_VALUE | LVM_NESTS,
	['='] = LVM_ENDS_KEY | LVM_ENDS_VALUE,
	['{'] = LVM_ENDS_KEY | LVM_ENDS_VALUE | LVM_NESTS,
	['}'] = LVM_ENDS_KEY | LVM_ENDS_VALUE | LVM_NESTS,
	['"'] = LVM_ENDS_KEY | LVM_ENDS_VALUE | LVM_NESTS,
	['\''] = LVM_ENDS_KEY | LVM_ENDS_VALUE | LVM_NESTS,
	['['] = LVM_ENDS_VALUE,
	[']'] = LVM_ENDS_VALUE,
	[','] = LVM_ENDS_VALUE,
};

void lvm_parser_skip_space(struct lvm_parser *parser)
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
		} else if (!lvm_parser_is(*at, LVM_SPACE)) {
			break;
		}
	}
	parser->at = at;
}

/* Whether `c` is next; steps over it and the space after it. */
bool lvm_parser_accept(struct lvm_parser *parser, char c)
{
	if (parser->at == parser->end || *parser->at != c)
		return false;
	parser->at++;
	lvm_parser_skip_space(parser);
	return true;
}

static const char *copy(struct lvm_parser *parser, const char *from, size_t length)
{
	char *to = lvm_config_bytes(parser->config, length + 1, 1);

	if (!to)
		return NULL;
	memcpy(to, from, length);
	to[length] = '\0';
	return to;
}

/* A copy that others may have as well. */
static const char *keep(struct lvm_parser *parser, const char *from, size_t length)
{
	struct lvm_config_word *word;
	unsigned hash;

	if (!length || length > LVM_WORD_SHORT)
		return copy(parser, from, length);
	hash = (uint8_t)from[0] * 31u + (uint8_t)from[length - 1] * 7u +
	       (uint8_t)from[length / 2] * 3u + (unsigned)length;
	word = &parser->words[hash % LVM_WORDS];
	if (word->length == length && !memcmp(word->at, from, length))
		return word->at;
	from = copy(parser, from, length);
	if (from)
		*word = (struct lvm_config_word){ from, length };
	return from;
}

/* A bare word: the key of a node, or a value that is neither quoted nor a number. */
static int take_word(struct lvm_parser *parser, unsigned kind, const char *what,
		     struct lvm_config_word *word)
{
	const char *at = parser->at;

	while (at < parser->end && !lvm_parser_is(*at, kind))
		at++;
	*word = (struct lvm_config_word){ parser->at, (size_t)(at - parser->at) };
	if (!word->length)
		return lvm_parser_fail(parser, what);
	parser->at = at;
	return 0;
}

int lvm_parser_key(struct lvm_parser *parser, const char **out)
{
	struct lvm_config_word word;
	int rc = take_word(parser, LVM_ENDS_KEY, "a name", &word);

	if (rc)
		return rc;
	*out = keep(parser, word.at, word.length);
	lvm_parser_skip_space(parser);
	return *out ? 0 : lvm_parser_no_memory(parser);
}

/* What is between quotes, with a backslash before some characters. */
static int parse_escaped(struct lvm_parser *parser, const char *from, const char **out)
{
	char *to = lvm_config_bytes(parser->config, (size_t)(parser->at - from) + 1, 1);
	size_t length = 0;

	if (!to)
		return lvm_parser_no_memory(parser);
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
int lvm_parser_quoted(struct lvm_parser *parser, const char **out)
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
		return lvm_parser_fail(parser, quote == '"' ? "a closing '\"'" : "a closing \"'\"");
	if (escaped)
		rc = parse_escaped(parser, start, out);
	else if (!(*out = keep(parser, start, (size_t)(parser->at - start))))
		rc = lvm_parser_no_memory(parser);
	parser->at++;
	lvm_parser_skip_space(parser);
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
static bool parse_integer(const struct lvm_config_word *word, int64_t *out, bool *fits)
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

static bool is_float(const struct lvm_config_word *word)
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

static int parse_scalar(struct lvm_parser *parser, struct lvm_config_value *out)
{
	unsigned column = (unsigned)(parser->at - parser->line_start) + 1;
	unsigned line = parser->line;
	struct lvm_config_word word;
	bool fits;
	int rc;

	out->type = LVM_CONFIG_STRING;
	if (parser->at < parser->end && (*parser->at == '"' || *parser->at == '\''))
		return lvm_parser_quoted(parser, &out->string);
	rc = take_word(parser, LVM_ENDS_VALUE, "a value", &word);
	if (rc)
		return rc;
	lvm_parser_skip_space(parser);
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
	return out->string ? 0 : lvm_parser_no_memory(parser);
}

/* Appends to the values of a node, doubling their room. */
static int add_value(struct lvm_parser *parser, struct lvm_config_node *node, unsigned *capacity)
{
	struct lvm_config_value *grown;

	if (node->value_count < *capacity)
		return 0;
	*capacity = *capacity ? *capacity * 2 : node->array ? 4 : 1;
	grown = lvm_config_alloc(parser->nodes, *capacity * sizeof(*grown));
	if (!grown)
		return lvm_parser_no_memory(parser);
	if (node->value_count)
		memcpy(grown, node->values, node->value_count * sizeof(*grown));
	node->values = grown;
	return 0;
}

int lvm_parser_values(struct lvm_parser *parser, struct lvm_config_node *node)
{
	unsigned capacity = 0;
	bool comma;
	int rc;

	node->array = lvm_parser_accept(parser, '[');
	if (node->array && lvm_parser_accept(parser, ']'))
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
		comma = lvm_parser_accept(parser, ',');
		if (lvm_parser_accept(parser, ']')) /* a comma before it is let pass */
			return 0;
		if (!comma)
			return lvm_parser_fail(parser, "',' or ']'");
	}
}
