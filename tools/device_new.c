/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening devices that are taken for something new; see device_new.h. */
#include "tools/device_new.h"

#include <errno.h>
#include <stdlib.h>

#include "block/block.h"
#include "block/signature.h"
#include "tools/device_look.h"
#include "tools/stack.h"
#include "util/cleanup.h"
#include "util/error.h"

int device_claim_below(struct stack **out, const struct cli_words *given,
		       const struct cli_words *devices, struct error *error)
{
	const struct stack_options options = { .write = true };
	struct cli_words arrays = { 0 };
	int rc = 0;

	*out = NULL;
	for (unsigned i = 0; i < devices->count; i++)
		if (stack_names_array(devices->words[i]))
			cli_words_add(&arrays, devices->words[i]);
	if (arrays.count)
		rc = stack_claim(out, given, &arrays, &options, error);
	return rc;
}

static int open_one(struct stack *below, const char *word, const char *path, struct block **block,
		    struct error *error)
{
	if (!path)
		return stack_open_block(below, word, true, block, error);
	return block_open_file(block, path,
			       BLOCK_OPEN_WRITE | BLOCK_OPEN_LOCK | BLOCK_OPEN_TOGETHER, 0, error);
}

/* Nobody uses them through loop devices. */
static int check_together(struct block *const *blocks, unsigned count, struct error *error)
{
	CLEANUP_FREE struct block **there = calloc(count + 1, sizeof(*there));
	unsigned used = 0;

	if (!there)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++)
		if (blocks[i])
			there[used++] = blocks[i];
	return block_check_together(there, used, error);
}

int devices_open_new(struct stack *below, char *const *words, unsigned count, bool force,
		     struct block **blocks, struct error *error)
{
	CLEANUP_FREE char **asked = calloc(count + 1, sizeof(char *));
	CLEANUP_FREE char **paths = calloc(count + 1, sizeof(char *));
	int rc = asked && paths ? 0 : -ENOMEM;

	for (unsigned i = 0; !rc && i < count; i++)
		asked[i] = words[i] && below && stack_names_array(words[i]) ? NULL : words[i];
	if (!rc)
		rc = devices_check_answer(asked, count, paths, error);
	for (unsigned i = 0; !rc && i < count; i++)
		if (words[i])
			rc = open_one(below, words[i], paths[i], &blocks[i], error);
	if (!rc)
		rc = check_together(blocks, count, error);
	for (unsigned i = 0; !rc && !force && i < count; i++)
		if (blocks[i])
			rc = block_signature_check(blocks[i], error);
	for (unsigned i = 0; paths && i < count; i++)
		free(paths[i]);
	return rc;
}

int device_open_new(struct stack *below, const char *device, bool force, struct block **out,
		    struct error *error)
{
	char *words[] = { (char *)device };
	CLEANUP_BLOCK struct block *block = NULL;
	int rc = devices_open_new(below, words, 1, force, &block, error);

	if (!rc)
		*out = steal_pointer(&block);
	return rc;
}
