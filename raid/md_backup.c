/* SPDX-License-Identifier: BSD-2-Clause */
/* mdadm's backup of what a reshape writes over; see md_backup.h. */
#include "raid/md_backup.h"

#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"

#define MAGIC       "md_backup_data-"
#define MAGIC_BYTES 15u

/* Where fields are. */
#define VERSION 15u
#define UUID    16u
#define TIME    32u
#define DATA    40u
#define START   48u
#define COUNT   56u
#define SUM     64u
#define SECOND  72u
#define START_2 80u
#define COUNT_2 88u
#define SUM_2   96u

/* So that bytes of three of them together fit. */
#define SECTORS_MOST (INT64_MAX >> 11)

static uint32_t checksum(const uint8_t *sector, unsigned length)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < length; i++)
		sum = (sum << 3) + sector[0];
	return sum;
}

static int check_sum(const uint8_t *sector, unsigned place, struct error *error)
{
	uint32_t found = get_le32(sector + place), sum = checksum(sector, place);

	return found == sum
		       ? 0
		       : error_set(error, -EINVAL, "its checksum at byte %u is %08x, expected %08x",
				   place, found, sum);
}

static int check_piece(const struct md_backup *backup, unsigned i, struct error *error)
{
	const struct md_backup_piece *piece = &backup->piece[i];

	if (piece->start <= SECTORS_MOST && piece->count <= SECTORS_MOST &&
	    backup->data <= SECTORS_MOST && backup->second <= SECTORS_MOST)
		return 0;
	return error_set(error, -EINVAL,
			 "it has sectors %llu, %llu of them, at sector %llu, expected numbers "
			 "that a device can have",
			 (unsigned long long)piece->start, (unsigned long long)piece->count,
			 (unsigned long long)backup->data);
}

int md_backup_decode(const void *sector, struct md_backup *backup, struct error *error)
{
	const uint8_t *at = sector;
	int rc;

	if (memcmp(at, MAGIC, MAGIC_BYTES) || (at[VERSION] != '1' && at[VERSION] != '2'))
		return -ENOENT;
	*backup = (struct md_backup){
		.time = get_le64(at + TIME),
		.data = get_le64(at + DATA),
		.second = get_le64(at + SECOND),
		.piece = { { get_le64(at + START), get_le64(at + COUNT) } },
		.two = at[VERSION] == '2',
	};
	memcpy(backup->uuid, at + UUID, sizeof(backup->uuid));
	if (backup->two)
		backup->piece[1] =
			(struct md_backup_piece){ get_le64(at + START_2), get_le64(at + COUNT_2) };
	rc = check_sum(at, SUM, error);
	if (!rc && backup->two)
		rc = check_sum(at, SUM_2, error);
	for (unsigned i = 0; !rc && i < 2; i++)
		rc = check_piece(backup, i, error);
	return rc;
}

void md_backup_encode(const struct md_backup *backup, void *sector)
{
	uint8_t *at = sector;

	memset(at, 0, MD_BACKUP_BYTES);
	memcpy(at, MAGIC, MAGIC_BYTES);
	at[VERSION] = backup->two ? '2' : '1';
	memcpy(at + UUID, backup->uuid, sizeof(backup->uuid));
	put_le64(at + TIME, backup->time);
	put_le64(at + DATA, backup->data);
	put_le64(at + START, backup->piece[0].start);
	put_le64(at + COUNT, backup->piece[0].count);
	put_le32(at + SUM, checksum(at, SUM));
	put_le64(at + SECOND, backup->second);
	if (!backup->two)
		return;
	put_le64(at + START_2, backup->piece[1].start);
	put_le64(at + COUNT_2, backup->piece[1].count);
	put_le32(at + SUM_2, checksum(at, SUM_2));
}
