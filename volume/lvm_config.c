/* SPDX-License-Identifier: BSD-2-Clause */
/* Trees of LVM2's text grammar, and their memory; see lvm_config.h. */
#include "volume/lvm_config.h"

#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/large.h"
#include "volume/lvm_parser.h"

#define CHUNK_SIZE     16384
#define CHUNK_SIZE_MAX (128 * CHUNK_SIZE)

/* Memory comes in chunks that live as long as the tree. */
struct lvm_config_chunk {
	struct lvm_config_chunk *next;
	size_t used, size;
	_Alignas(16) char at[];
};

char *lvm_config_bytes(struct lvm_config *config, size_t size, size_t align)
{
	struct lvm_config_chunk *chunk = config->chunks;
	size_t used = chunk ? round_up(chunk->used, align) : 0;

	if (!chunk || used > chunk->size || chunk->size - used < size) {
		size_t whole =
			chunk ? MIN(4 * (chunk->size + sizeof(*chunk)), (size_t)CHUNK_SIZE_MAX)
			      : CHUNK_SIZE;

		whole = MAX(sizeof(*chunk) + size, whole);
		chunk = large_alloc(whole);
		if (!chunk)
			return NULL;
		*chunk = (struct lvm_config_chunk){ .next = config->chunks,
						    .size = whole - sizeof(*chunk) };
		config->chunks = chunk;
		used = 0;
	}
	chunk->used = used + size;
	return chunk->at + used;
}

void *lvm_config_alloc(struct lvm_config *config, size_t size)
{
	void *at = lvm_config_bytes(config, size, 8);

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
