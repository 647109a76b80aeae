/* SPDX-License-Identifier: BSD-2-Clause */
/* Meta blocks of a journal, with the checksum made right, and their payloads. */
#include <stdlib.h>
#include <string.h>

#include "raid/md_journal.h"
#include "util/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t uuid[16] = { 1 };
	uint8_t block[MD_JOURNAL_BLOCK] = { 0 };
	struct md_journal_payload payload;
	uint32_t at = MD_JOURNAL_HEADER;
	struct md_journal_meta meta;
	uint64_t sum = 0;
	struct error error;

	if (size > sizeof(block))
		return 0;
	memcpy(block, data, size);
	md_journal_seal(block, uuid);
	if (md_journal_decode(block, uuid, &meta, &error))
		return 0;
	while (md_journal_next(block, &meta, &at, &payload, &error) == 1) {
		if (at > meta.bytes || payload.blocks > 2)
			abort();
		for (uint32_t i = 0; i < 8 * payload.stripe_count; i++)
			sum += payload.stripes[i];
	}
	return sum == UINT64_MAX;
}
