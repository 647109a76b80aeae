/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nodes and sections of LVM2's text grammar (lvm_config.h): as a tree, or of one section each child by itself, or passed over.
 */
#include <string.h>

#include "volume/lvm_parser.h"

#define DEPTH_MAX 32

static int parse_nodes(struct lvm_parser *parser, const struct lvm_config_node *parent,
		       struct lvm_config_node **first);

static int parse_node(struct lvm_parser *parser, const struct lvm_config_node *parent,
		      struct lvm_config_node *node);

/* Each child in memory that the next one has again. */
static int stream_nodes(struct lvm_parser *parser, const struct lvm_config_node *parent)
{
	struct lvm_config *kept = parser->nodes, *passing = &parser->passing;
	struct lvm_config_mark empty;
	int rc = 0;

	if (!lvm_config_alloc(passing, 1))
		return lvm_parser_no_memory(parser);
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
			lvm_parser_skip_space(parser);
			continue;
		}
		node = lvm_config_alloc(passing, sizeof(*node));
		rc = node ? parse_node(parser, parent, node) : lvm_parser_no_memory(parser);
		if (!rc)
			rc = parser->stream->take(parser->stream, node);
		lvm_config_rewind(passing, &empty);
	}
	parser->nodes = kept;
	lvm_config_free(passing);
	return rc;
}

/* Up to the '}' that ends the section. */
static void pass_over(struct lvm_parser *parser)
{
	unsigned depth = 0;

	while (parser->at < parser->end && (depth || *parser->at != '}')) {
		const char *at = parser->at;
		char c;

		while (at < parser->end && !lvm_parser_is(*at, LVM_NESTS))
			at++;
		parser->at = at;
		if (at == parser->end)
			return;
		c = *at;
		if (c == '#') {
			lvm_parser_skip_space(parser);
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
static void pass_known(struct lvm_parser *parser)
{
	size_t taken = 1;

	while (parser->stream->take_text && taken && parser->at < parser->end) {
		taken = parser->stream->take_text(parser->stream, parser->at, parser->end);
		parser->at += taken;
		lvm_parser_skip_space(parser);
	}
}

/* Whether the section that begins at `node` is the one that is asked for; once. */
static bool is_streamed(struct lvm_parser *parser, const struct lvm_config_node *parent,
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

static int parse_section(struct lvm_parser *parser, const struct lvm_config_node *parent,
			 struct lvm_config_node *node)
{
	int rc = 0;

	node->section = true;
	if (++parser->depth > DEPTH_MAX)
		return lvm_parser_fail(parser, "sections nested less deeply");
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
	if (!rc && !lvm_parser_accept(parser, '}'))
		rc = lvm_parser_fail(parser, "'}'");
	return rc;
}

static int parse_node(struct lvm_parser *parser, const struct lvm_config_node *parent,
		      struct lvm_config_node *node)
{
	int rc;

	node->line = parser->line;
	node->column = (unsigned)(parser->at - parser->line_start) + 1;
	if (*parser->at == '"' || *parser->at == '\'')
		rc = lvm_parser_quoted(parser, &node->key);
	else
		rc = lvm_parser_key(parser, &node->key);
	if (rc)
		return rc;
	if (!*node->key)
		return lvm_parser_fail(parser, "a name that is not empty before this");
	if (lvm_parser_accept(parser, '='))
		return lvm_parser_values(parser, node);
	if (lvm_parser_accept(parser, '{'))
		return parse_section(parser, parent, node);
	return lvm_parser_fail(parser, "'=' or '{'");
}

/* Siblings up to a '}' or the end of the text. */
static int parse_nodes(struct lvm_parser *parser, const struct lvm_config_node *parent,
		       struct lvm_config_node **first)
{
	struct lvm_config_node **link = first;

	while (parser->at < parser->end && *parser->at != '}') {
		struct lvm_config_node *node = lvm_config_alloc(parser->nodes, sizeof(*node));
		int rc;

		if (!node)
			return lvm_parser_no_memory(parser);
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
	struct lvm_parser parser = { .config = config,
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
	lvm_parser_skip_space(&parser);
	rc = parse_nodes(&parser, NULL, &config->root);
	if (!rc && parser.at < parser.end)
		rc = lvm_parser_fail(&parser, "the end of the text");
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
