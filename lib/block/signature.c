/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signatures on block devices, by libblkid; see signature.h.
 *
 * libblkid wants a file descriptor, and a struct block need not have one. What its probes look at lies
 * near both ends of a device: those parts are copied into a sparse memory file of the device's size,
 * and that is probed. Wiping works on the copy too, so that libblkid says which bytes it would clear.
 */
#include "block/signature.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "block/blkid_library.h"
#include "block/block.h"
#include "block/image_format.h"
#include "block/raid_magic.h"
#include "util/bytes.h"
#include "util/error.h"

/* The farthest that a probe of libblkid 2.38 looks from an end is 1 MiB and a superblock. */
#define WINDOW (2u << 20)
#define PIECE  (256u << 10)

/* A pool of ZFS has the most, 512 of its uberblocks; what goes on longer is no progress. */
#define WIPES_MAX 4096

struct probe {
	blkid_probe blkid;
	int fd;
};

static void probe_close(struct probe *probe)
{
	if (probe->blkid)
		libblkid.blkid_free_probe(probe->blkid);
	cleanup_close(&probe->fd);
}

static int copy_range(struct block *block, int fd, uint64_t start, uint64_t end,
		      struct error *error)
{
	CLEANUP_FREE char *piece = malloc(PIECE);

	if (!piece)
		return error_set(error, -ENOMEM, "%s: no memory to look for signatures",
				 block->name);
	while (start < end) {
		uint64_t length = MIN((uint64_t)PIECE, end - start);
		int rc = block_read(block, start, piece, length);

		if (rc)
			return error_set(error, rc, "%s: reading %llu bytes at %llu: %s",
					 block->name, (unsigned long long)length,
					 (unsigned long long)start, error_name(rc));
		/* Zeroes stay a hole. */
		if (!bytes_all_zero(piece, length) &&
		    pwrite(fd, piece, length, (off_t)start) != (ssize_t)length)
			return error_set(error, -ENOMEM, "%s: no memory to look for signatures",
					 block->name);
		start += length;
	}
	return 0;
}

/* Over a descriptor, which stays the caller's. */
static int probe_start(struct probe *probe, int fd, unsigned sector)
{
	probe->blkid = libblkid.blkid_new_probe();
	if (!probe->blkid || libblkid.blkid_probe_set_device(probe->blkid, fd, 0, 0))
		return -ENOMEM;
	libblkid.blkid_probe_set_sectorsize(probe->blkid, sector);
	libblkid.blkid_probe_enable_superblocks(probe->blkid, 1);
	libblkid.blkid_probe_set_superblocks_flags(
		probe->blkid, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID |
				      BLKID_SUBLKS_USAGE | BLKID_SUBLKS_MAGIC |
				      BLKID_SUBLKS_BADCSUM);
	libblkid.blkid_probe_enable_partitions(probe->blkid, 1);
	/* The second copy of a GPT counts where the first is lost. */
	libblkid.blkid_probe_set_partitions_flags(probe->blkid,
						  BLKID_PARTS_MAGIC | BLKID_PARTS_FORCE_GPT);
	return 0;
}

static int probe_open(struct probe *probe, struct block *block, struct error *error)
{
	uint64_t head = MIN(block->size, (uint64_t)WINDOW);
	uint64_t tail = block->size > WINDOW ? block->size - WINDOW : 0;
	int rc;

	tail = MAX(round_down(tail, block->logical_block_size), head);
	probe->blkid = NULL;
	probe->fd = memfd_create("signatures", MFD_CLOEXEC);
	if (probe->fd < 0 || ftruncate(probe->fd, (off_t)block->size))
		return error_set(error, -errno, "%s: a memory file to look for signatures: %s",
				 block->name, error_name(errno));
	rc = copy_range(block, probe->fd, 0, head, error);
	if (!rc)
		rc = copy_range(block, probe->fd, tail, block->size, error);
	if (rc)
		return rc;
	rc = libblkid_load(error);
	if (rc)
		return rc;
	if (probe_start(probe, probe->fd, block->logical_block_size))
		return error_set(error, -ENOMEM, "%s: libblkid cannot probe it", block->name);
	return 0;
}

static const char *value_of(struct probe *probe, const char *name)
{
	const char *value;

	return libblkid.blkid_probe_lookup_value(probe->blkid, name, &value, NULL) ? NULL : value;
}

static void describe(struct probe *probe, struct block_signature *found)
{
	const char *type = value_of(probe, "TYPE"), *usage = value_of(probe, "USAGE");
	const char *label = value_of(probe, "LABEL");
	const char *offset = value_of(probe, type ? "SBMAGIC_OFFSET" : "PTMAGIC_OFFSET");
	const char *kind = "signature", *uuid = value_of(probe, "UUID");

	*found = (struct block_signature){ 0 };
	snprintf(found->label, sizeof(found->label), "%s", label ? label : "");
	snprintf(found->uuid, sizeof(found->uuid), "%s", uuid ? uuid : "");
	if (!type) {
		type = value_of(probe, "PTTYPE");
		kind = "partition table";
	} else if (!strcmp(type, "LVM2_member")) {
		kind = "physical volume";
	} else if (!strcmp(type, "linux_raid_member")) {
		kind = "array member";
	} else if (usage && !strcmp(usage, "filesystem")) {
		kind = "file system";
	} else if (usage && !strcmp(usage, "crypto")) {
		kind = "encrypted volume";
	}
	snprintf(found->type, sizeof(found->type), "%.31s", type ? type : "unknown");
	if (label && *label)
		snprintf(found->name, sizeof(found->name), "%s %s \"%.32s\"", found->type, kind,
			 label);
	else
		snprintf(found->name, sizeof(found->name), "%s %s", found->type, kind);
	found->offset = offset ? strtoull(offset, NULL, 10) : 0;
}

/* What libblkid does not know. */
static int describe_format(const struct image_format *format, struct block_signature *found)
{
	if (!format)
		return 0;
	*found = (struct block_signature){ 0 };
	snprintf(found->type, sizeof(found->type), "%s", format->name);
	snprintf(found->name, sizeof(found->name), "%s %s", format->name, format->kind);
	return 1;
}

/* Superblocks that libblkid does not take for valid; an array is there all the same. */
static int describe_magic(const struct block_raid_magic *magic, struct block_signature *found)
{
	*found = (struct block_signature){ .offset = magic->offset };
	snprintf(found->type, sizeof(found->type), "linux_raid_member");
	snprintf(found->name, sizeof(found->name), "%s", magic->name);
	return 1;
}

int block_signature_find(struct block *block, struct block_signature *found, struct error *error)
{
	struct block_raid_magic magic;
	CLEANUP(probe_close) struct probe probe = { .fd = -1 };
	int rc = probe_open(&probe, block, error);

	if (rc)
		return rc;
	rc = libblkid.blkid_do_probe(probe.blkid);
	if (rc < 0)
		return error_set(error, -EIO, "%s: libblkid cannot probe it", block->name);
	if (!rc) {
		describe(&probe, found);
		return 1;
	}
	rc = block_raid_magic_find(block, 0, &magic, error);
	if (rc)
		return rc < 0 ? rc : describe_magic(&magic, found);
	return describe_format(image_format_of_block(block), found);
}

int block_signature_find_file(int fd, struct block_signature *found)
{
	static const unsigned sectors[] = { 512, 4096 };
	struct block_raid_magic magic;
	off_t size;
	int rc = libblkid_load(NULL);

	if (rc)
		return rc;
	for (size_t i = 0; i < ARRAY_SIZE(sectors); i++) {
		CLEANUP(probe_close) struct probe probe = { .fd = -1 };

		rc = probe_start(&probe, fd, sectors[i]);
		if (!rc)
			rc = libblkid.blkid_do_probe(probe.blkid);
		if (rc < 0)
			return -EIO;
		if (!rc) {
			describe(&probe, found);
			return 1;
		}
	}
	size = lseek(fd, 0, SEEK_END);
	rc = size < 0 ? -errno : block_raid_magic_find_file(fd, (uint64_t)size, &magic);
	if (rc)
		return rc < 0 ? -EIO : describe_magic(&magic, found);
	return describe_format(image_format_of_file(fd), found);
}

/* What is written to it is written to the array, behind the back of its other members. */
int block_signature_check_below(const struct block *block, struct error *error)
{
	CLEANUP_FREE char *whole = NULL;
	struct block_signature found;
	int rc = block_signature_below(block->name, &found, &whole);

	if (rc < 0)
		return error_set(error, rc,
				 "%s: it cannot be seen whether the disk that it lies on holds an "
				 "array: %s",
				 block->name, error_name(rc));
	if (!rc)
		return 0;
	error_set(error, -EEXIST, "%s: lies on %s, which holds an %s (magic at byte %llu)",
		  block->name, whole ? whole : "a disk", found.name,
		  (unsigned long long)found.offset);
	error_advise(error, "give --force to write there all the same, if the array is not needed");
	return -EEXIST;
}

int block_signature_check(struct block *block, struct error *error)
{
	struct block_signature found = { 0 };
	int rc = block_signature_find(block, &found, error);

	if (rc <= 0)
		return rc ? rc : block_signature_check_below(block, error);
	error_set(error, -EEXIST, "%s: holds %s %s (magic at byte %llu)", block->name,
		  strchr("aeioxLF", found.name[0]) ? "an" : "a", found.name,
		  (unsigned long long)found.offset);
	error_advise(error, "give --force to overwrite it, if nothing on it is needed");
	return -EEXIST;
}

/* Clears `length` bytes at `offset`; the rest of their blocks stays. */
static int clear(struct block *block, uint64_t offset, uint64_t length)
{
	uint64_t start = round_down(offset, block->logical_block_size);
	uint64_t end = round_up(offset + length, block->logical_block_size);
	CLEANUP_FREE char *at = NULL;
	int rc;

	if (!range_within(offset, length, block->size))
		return -EINVAL;
	at = malloc(end - start);
	if (!at)
		return -ENOMEM;
	rc = block_read(block, start, at, end - start);
	if (rc)
		return rc;
	memset(at + (offset - start), 0, length);
	return block_write(block, start, at, end - start, 0);
}

static int wipe_magics(struct block *block, struct error *error)
{
	struct block_raid_magic magic;
	int rc = 0;

	for (unsigned i = 0;
	     i < WIPES_MAX && (rc = block_raid_magic_find(block, 0, &magic, error)) > 0; i++) {
		rc = clear(block, magic.offset, magic.length);
		if (rc)
			return error_set(error, rc, "%s: wiping the %s at byte %llu: %s",
					 block->name, magic.name, (unsigned long long)magic.offset,
					 error_name(rc));
	}
	return rc;
}

int block_signature_wipe(struct block *block, struct error *error)
{
	CLEANUP(probe_close) struct probe probe = { .fd = -1 };
	int rc = probe_open(&probe, block, error);

	for (unsigned i = 0; !rc && !libblkid.blkid_do_probe(probe.blkid); i++) {
		struct block_signature found;
		const char *magic;
		size_t length;

		describe(&probe, &found);
		if (i == WIPES_MAX)
			return error_set(error, -EIO, "%s: libblkid finds a %s again and again",
					 block->name, found.name);
		if (libblkid.blkid_probe_lookup_value(probe.blkid, "SBMAGIC", &magic, &length) &&
		    libblkid.blkid_probe_lookup_value(probe.blkid, "PTMAGIC", &magic, &length))
			continue; /* has no magic of its own */
		/* First the copy, which also steps back so that the same probe looks again. */
		if (libblkid.blkid_do_wipe(probe.blkid, 0))
			return error_set(error, -EIO, "%s: libblkid cannot wipe the %s",
					 block->name, found.name);
		rc = clear(block, found.offset, length);
		if (rc)
			return error_set(error, rc, "%s: wiping the %s at byte %llu: %s",
					 block->name, found.name, (unsigned long long)found.offset,
					 error_name(rc));
	}
	if (!rc)
		rc = wipe_magics(block, error);
	if (!rc && image_format_of_block(block)) {
		rc = clear(block, 0, IMAGE_FORMAT_HEAD);
		if (!rc)
			rc = clear(block, block->size - IMAGE_FORMAT_TAIL, IMAGE_FORMAT_TAIL);
		if (rc)
			return error_set(error, rc, "%s: wiping its header: %s", block->name,
					 error_name(rc));
	}
	if (rc)
		return rc;
	rc = block_flush(block);
	if (rc)
		return error_set(error, rc, "%s: flush: %s", block->name, error_name(rc));
	return 0;
}
