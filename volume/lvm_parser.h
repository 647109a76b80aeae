/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside of the parser of LVM2's text grammar: between lvm_parser.c, which reads nodes, and lvm_parser_value.c, which reads what they are made of. */
#ifndef TENON_VOLUME_LVM_PARSER_H
#define TENON_VOLUME_LVM_PARSER_H

#include "volume/lvm_config.h"

/* Words that come again and again: keys, flags, hosts. Each is kept once, as long as no other takes its place here. */
#define LVM_WORDS      256u
#define LVM_WORD_SHORT 40u

struct lvm_config_word {
	const char *at;
	size_t length;
};

struct lvm_parser {
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
	struct lvm_config_word words[LVM_WORDS];
};

/* `size` bytes at any address, not cleared. NULL without memory. */
char *lvm_config_bytes(struct lvm_config *config, size_t size, size_t align);

enum { LVM_SPACE = 1, LVM_ENDS_KEY = 2, LVM_ENDS_VALUE = 4, LVM_NESTS = 8 };

extern const uint8_t lvm_parser_characters[256];

static inline bool lvm_parser_is(char c, unsigned kind)
{
	return lvm_parser_characters[(uint8_t)c] & kind;
}

/* -EBADMSG: what is found, and what was expected, with line and column; -ENOMEM. */
int lvm_parser_fail(struct lvm_parser *parser, const char *expected);
int lvm_parser_no_memory(struct lvm_parser *parser);

/* Space and comments. */
void lvm_parser_skip_space(struct lvm_parser *parser);
/* Whether `c` is next; steps over it and the space after it. */
bool lvm_parser_accept(struct lvm_parser *parser, char c);

/* A bare name; what is between quotes; what is behind '=': 0, -EBADMSG or -ENOMEM. */
int lvm_parser_key(struct lvm_parser *parser, const char **out);
int lvm_parser_quoted(struct lvm_parser *parser, const char **out);
int lvm_parser_values(struct lvm_parser *parser, struct lvm_config_node *node);

#endif
