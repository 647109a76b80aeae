/* SPDX-License-Identifier: BSD-2-Clause */
/* What is recognised on the destination of a copy: asked about, and wiped where the copy does not reach; see copy.h. */
#include <errno.h>

#include "block/block.h"
#include "block/signature.h"
#include "tools/copy.h"
#include "util/error.h"

int copy_check_overwrite(struct copy_command *copy, struct block *block, struct error *error)
{
	struct consent *consent = &copy->consent;
	struct block_signature found;
	int rc;

	/* Of one that was begun, that was asked before; it may have ended before it wiped. */
	if (copy->resume.going_on) {
		copy->wipe = !copy->resume.done;
		return 0;
	}
	if (!consent->force && !consent->yes) {
		bool holds, below;

		rc = block_signature_find(block, &found, error);
		if (rc < 0)
			return rc;
		holds = rc == 1;
		below = block_signature_check_below(block, NULL) != 0;
		if (!holds && !below)
			return 0;
		if (!consent_asks(consent) && !holds)
			return block_signature_check_below(block, error);
		if (!consent_asks(consent)) {
			error_set(error, -EEXIST, "%s: holds %s (magic at byte %llu)",
				  copy->destination.word, found.name,
				  (unsigned long long)found.offset);
			return error_advise(error, "give --force or --yes to overwrite it, if "
						   "nothing on it is needed");
		}
		consent_plan(consent, "%s: would be overwritten", copy->destination.word);
		if (holds)
			consent_loss(consent, "the %s on it would be lost", found.name);
		consent_loss_below(consent, block);
		rc = consent_ask(consent, error);
		if (rc)
			return rc;
	}
	copy->wipe = true;
	return 0;
}

int copy_wipe_old(const struct copy_command *copy, struct error *error)
{
	struct block *block = copy->destination.block;

	if (!copy->wipe || copy->source.size >= block->size)
		return 0;
	return block_signature_wipe(block, error);
}
