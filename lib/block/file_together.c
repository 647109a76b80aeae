/* SPDX-License-Identifier: BSD-2-Clause */
/* Files and devices that are opened for writing together (BLOCK_OPEN_TOGETHER; block.h). */
#include "block/file.h"
#include "block/identity.h"
#include "util/cleanup.h"
#include "util/error.h"

static int check_file(struct file_loops *loops, struct block *block, struct error *error)
{
	struct block_identity identity;
	int rc = block_identify(&identity, file_of(block)->fd, block->name);

	if (rc < 0)
		return error_set(error, rc, "%s: finding out what it lies on: %s", block->name,
				 error_name(rc));
	rc = file_loops_check(loops, &identity, block->name, error);
	block_identity_free(&identity);
	return rc;
}

int block_check_together(struct block *const *blocks, unsigned count, struct error *error)
{
	CLEANUP(file_loops_free) struct file_loops loops = { 0 };
	int rc = count ? file_loops_find(&loops, blocks[0]->name, error) : 0;

	for (unsigned i = 0; !rc && loops.count && i < count; i++)
		if (blocks[i]->ops == &file_ops && file_of(blocks[i])->below.loops_later)
			rc = check_file(&loops, blocks[i], error);
	return rc;
}
