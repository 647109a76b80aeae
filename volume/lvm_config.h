/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text grammar of LVM2 metadata: a tree of sections, and of keys with values.
 *
 *	file	: node*
 *	node	: KEY '{' node* '}'  |  KEY '=' value
 *	value	: scalar  |  '[' [scalar (',' scalar)* [',']] ']'
 *	scalar	: integer (decimal, 0x hexadecimal)  |  float  |  "string" with \" and \\  |  'string'
 *		| bare word
 *	comments run from '#' to the end of the line
 *
 * Source: lvm2 libdm/libdm-config.c. The parser is strict where that one is lenient without need
 * (it wants the closing quote, and commas between scalars), and bounds depth, so that any text is
 * either understood or refused with line and column.
 */
#ifndef TENON_VOLUME_LVM_CONFIG_H
#define TENON_VOLUME_LVM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

struct error;

enum lvm_config_type { LVM_CONFIG_INTEGER, LVM_CONFIG_FLOAT, LVM_CONFIG_STRING };

struct lvm_config_value {
	enum lvm_config_type type;
	int64_t integer;
	const char *string; /* of a float: as it was written; of an integer: NULL */
};

struct lvm_config_node {
	const char *key;
	unsigned line, column; /* of the key, from 1 */
	bool section;
	bool array;                      /* [...], even of one or none */
	struct lvm_config_node *child;   /* of a section: the first */
	struct lvm_config_node *next;    /* its sibling */
	struct lvm_config_value *values; /* of a key */
	unsigned value_count;
};

/* A parsed text; all nodes live as long as it. */
struct lvm_config {
	struct lvm_config_node *root; /* the first one, or NULL */
	struct lvm_config_chunk *chunks;
};

/* Parses `size` bytes; a NUL ends the text before. `name` says in errors whose text it is. -EBADMSG with
 * `error` set, or -ENOMEM. lvm_config_free() is fine after a failure. */
int lvm_config_parse(struct lvm_config *config, const char *text, size_t size, const char *name,
		     struct error *error);
void lvm_config_free(struct lvm_config *config);
#define CLEANUP_LVM_CONFIG CLEANUP(lvm_config_free)

/*
 * A section with more in it than is to be kept: its children are given away one by one as they are read, and a tree of
 * them is never made. All strings live as long as the config; the nodes and values of a child only until take() returns.
 */
struct lvm_config_stream {
	const char *section; /* its name: the first one of it in the first section of the text */
	/* It begins; `parent` has what is before it. Whether its children are wanted so. */
	bool (*begin)(struct lvm_config_stream *stream, const struct lvm_config_node *parent);
	/* Or the text that begins with one, in a form that needs no parser: how many bytes of it are taken (or passed over); 0: parse it. Or NULL. */
	size_t (*take_text)(struct lvm_config_stream *stream, const char *at, const char *end);
	/* One child. Not 0: the parse ends with that. NULL: all of them are passed over, and are not even checked. */
	int (*take)(struct lvm_config_stream *stream, const struct lvm_config_node *child);
};

/* As lvm_config_parse(), with a stream; after a failure, too, what was read is there until lvm_config_free(). */
int lvm_config_parse_stream(struct lvm_config *config, const char *text, size_t size,
			    const char *name, struct lvm_config_stream *stream,
			    struct error *error);

/* Memory that is freed with `config`; NULL when there is none. */
void *lvm_config_alloc(struct lvm_config *config, size_t size);
/* The node and what is under it, in memory of `config`; the strings are not copied. NULL without memory. */
struct lvm_config_node *lvm_config_copy(struct lvm_config *config,
					const struct lvm_config_node *node);

/* Takes back what was allocated since: a change that failed leaves nothing behind. */
struct lvm_config_mark {
	struct lvm_config_chunk *chunk;
	size_t used;
};
struct lvm_config_mark lvm_config_mark(const struct lvm_config *config);
void lvm_config_rewind(struct lvm_config *config, const struct lvm_config_mark *mark);

/* The first of the siblings from `node` on with that key, or NULL. */
struct lvm_config_node *lvm_config_find(struct lvm_config_node *node, const char *key);

/* A growing text. `failed` is set when memory ran out, and stays. */
struct lvm_text {
	char *at; /* ends with a NUL; freed by the owner */
	size_t size, capacity;
	bool failed;
};

void lvm_text_print(struct lvm_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void lvm_text_add(struct lvm_text *text, const char *string);
/* So many bytes longer, and where these are to be put; NULL without memory. */
char *lvm_text_extend_slowly(struct lvm_text *text, size_t length);
static inline char *lvm_text_extend(struct lvm_text *text, size_t length)
{
	char *end;

	if (length >= text->capacity - text->size || text->failed)
		return lvm_text_extend_slowly(text, length);
	text->size += length;
	end = text->at + text->size;
	*end = '\0';
	return end - length;
}
void lvm_text_add_bytes(struct lvm_text *text, const char *bytes, size_t length);
/* Makes room for so many at once; in an empty text where devices take it as it is. */
void lvm_text_reserve(struct lvm_text *text, size_t size);
/* An empty text in memory of one that was, which it takes over and leaves NULL. */
void lvm_text_reuse(struct lvm_text *text, char **memory, size_t capacity);
void lvm_text_number(struct lvm_text *text, uint64_t number);
/* "string" with its quotes and backslashes escaped. */
void lvm_text_quote(struct lvm_text *text, const char *string);
/* One node and what is under it, without its siblings, in the layout that lvm2 uses on disk. */
void lvm_text_node(struct lvm_text *text, const struct lvm_config_node *node);

#endif
