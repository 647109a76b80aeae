/* SPDX-License-Identifier: BSD-2-Clause */
/* Small helpers of the LVM2 format code: checksums, UUIDs, transfers at any byte. */
#include "volume/lvm_io.h"

#include <errno.h>
#include <isa-l/crc.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/random.h"
#include "volume/lvm_format.h"

uint32_t lvm_crc(uint32_t crc, const void *at, size_t length)
{
	const uint8_t *from = at;

	return ~crc32_gzip_refl(~crc, from, length);
}

static int fail_range(const struct block *block, uint64_t offset, uint64_t length,
		      struct error *error)
{
	return error_set(error, -EINVAL, "%s: %llu bytes at %llu lie beyond the end at %llu",
			 block->name, (unsigned long long)length, (unsigned long long)offset,
			 (unsigned long long)block->size);
}

int lvm_read(struct block *block, uint64_t offset, void *at, uint64_t length, struct error *error)
{
	uint64_t align = block->logical_block_size;
	uint64_t start = round_down(offset, align);
	int rc;

	if (!range_within(offset, length, block->size))
		return fail_range(block, offset, length, error);
	if (start == offset && length % align == 0) {
		rc = block_read(block, offset, at, length);
	} else {
		uint64_t end = round_up(offset + length, align);
		CLEANUP_FREE char *bounce = malloc(end - start);

		rc = bounce ? block_read(block, start, bounce, end - start) : -ENOMEM;
		if (!rc)
			memcpy(at, bounce + (offset - start), length);
	}
	if (rc)
		return error_set(error, rc, "%s: reading %llu bytes at %llu: %s", block->name,
				 (unsigned long long)length, (unsigned long long)offset,
				 error_name(rc));
	return 0;
}

int lvm_write(struct block *block, uint64_t offset, const void *at, uint64_t length,
	      struct error *error)
{
	uint64_t align = block->logical_block_size;
	uint64_t start = round_down(offset, align);
	int rc;

	if (!range_within(offset, length, block->size))
		return fail_range(block, offset, length, error);
	if (start == offset && length % align == 0) {
		rc = block_write(block, offset, at, length, 0);
	} else {
		uint64_t end = round_up(offset + length, align);
		CLEANUP_FREE char *bounce = malloc(end - start);

		rc = bounce ? block_read(block, start, bounce, end - start) : -ENOMEM;
		if (!rc) {
			memcpy(bounce + (offset - start), at, length);
			rc = block_write(block, start, bounce, end - start, 0);
		}
	}
	if (rc)
		return error_set(error, rc, "%s: writing %llu bytes at %llu: %s", block->name,
				 (unsigned long long)length, (unsigned long long)offset,
				 error_name(rc));
	return 0;
}

int lvm_flush(struct block *block, struct error *error)
{
	int rc = block_flush(block);

	if (rc)
		return error_set(error, rc, "%s: flush: %s", block->name, error_name(rc));
	return 0;
}

/* What lvm2 draws from; "!#" may also be found in old ones (lib/uuid/uuid.c). */
static const char uuid_characters[] =
	"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!#";
#define UUID_DRAWN 62

/* The text has a hyphen before these bytes: groups of 6, 4, 4, 4, 4, 4, 6. */
static bool hyphen_before(unsigned at)
{
	return at >= 6 && at <= 26 && (at - 6) % 4 == 0;
}

static bool uuid_character(char c)
{
	static const bool characters[256] = { ['0' ... '9'] = true,
					      ['A' ... 'Z'] = true,
					      ['a' ... 'z'] = true,
					      ['!'] = true,
					      ['#'] = true };

	return characters[(uint8_t)c];
}

bool lvm_uuid_from_disk(char text[39], const uint8_t disk[32])
{
	for (unsigned i = 0; i < LVM_UUID_LENGTH; i++) {
		if (!uuid_character((char)disk[i]))
			return false;
		if (hyphen_before(i))
			*text++ = '-';
		*text++ = (char)disk[i];
	}
	*text = '\0';
	return true;
}

void lvm_uuid_to_disk(uint8_t disk[32], const char *text)
{
	for (unsigned i = 0; i < LVM_UUID_LENGTH; text++)
		if (*text != '-')
			disk[i++] = (uint8_t)*text;
}

bool lvm_uuid_valid(const char *text)
{
	for (unsigned i = 0; i < LVM_UUID_LENGTH; i++, text++) {
		if (hyphen_before(i) && *text++ != '-')
			return false;
		if (!uuid_character(*text))
			return false;
	}
	return !*text;
}

void lvm_uuid_generate(char text[39], struct random *random)
{
	struct random system;
	uint8_t disk[LVM_UUID_LENGTH];

	for (unsigned i = 0; i < LVM_UUID_LENGTH; i++) {
		/* A fresh seed every few characters, so that all 190 bits are the kernel's. */
		if (!random && i % 8 == 0)
			system.state = random_seed_from_system();
		disk[i] = (uint8_t)
			uuid_characters[random_below(random ? random : &system, UUID_DRAWN)];
	}
	lvm_uuid_from_disk(text, disk);
}
