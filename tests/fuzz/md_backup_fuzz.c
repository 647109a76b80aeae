/* SPDX-License-Identifier: BSD-2-Clause */
/* Headers of mdadm's backups of reshapes, with magic and checksums made right (these tell nothing of the rest) or as they come. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "raid/md_backup.h"
#include "util/error.h"

#define MAGIC_BYTES 15u
#define SUM         64u
#define SUM_2       96u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void make_right(uint8_t *sector, bool two)
{
	const struct md_backup empty = { .two = two };
	uint8_t right[MD_BACKUP_BYTES];

	md_backup_encode(&empty, right);
	memcpy(sector, right, MAGIC_BYTES + 1);
	memcpy(sector + SUM, right + SUM, 4);
	if (two)
		memcpy(sector + SUM_2, right + SUM_2, 4);
}

/* What is accepted can be counted in bytes, three of them together too, and is the same when it is written again. */
static void check(const struct md_backup *backup)
{
	uint8_t again[MD_BACKUP_BYTES];
	struct md_backup back;
	struct error error;
	int64_t bytes;

	for (unsigned i = 0; i < 2; i++) {
		const struct md_backup_piece *piece = &backup->piece[i];

		if (__builtin_add_overflow((int64_t)piece->start, (int64_t)piece->count, &bytes) ||
		    __builtin_add_overflow(bytes, (int64_t)(backup->data + backup->second),
					   &bytes) ||
		    __builtin_mul_overflow(bytes, 512, &bytes) || bytes < 0)
			abort();
		if (i && !backup->two && (piece->start || piece->count))
			abort();
	}
	md_backup_encode(backup, again);
	if (md_backup_decode(again, &back, &error) || back.time != backup->time ||
	    back.data != backup->data || back.second != backup->second || back.two != backup->two ||
	    memcmp(back.uuid, backup->uuid, sizeof(back.uuid)) != 0 ||
	    memcmp(back.piece, backup->piece, sizeof(back.piece)) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t sector[MD_BACKUP_BYTES] = { 0 };
	struct md_backup backup;
	struct error error = { 0 };
	int rc;

	if (size < 2 || size > sizeof(sector))
		return 0;
	memcpy(sector, data + 1, size - 1);
	if (data[0] & 1)
		make_right(sector, data[0] & 2);
	rc = md_backup_decode(sector, &backup, &error);
	if (!rc)
		check(&backup);
	else if ((error.text[0] != '\0') != (rc == -EINVAL))
		abort();
	return 0;
}
