/* SPDX-License-Identifier: BSD-2-Clause */
/* See image_ext.h. */
#include "tools/image_ext.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "block/block.h"
#include "block/signature.h"
#include "block/signature_size.h"
#include "tools/ext2fs_library.h"
#include "util/bytes.h"
#include "util/error.h"

#define READ_MOST                                                                                  \
	(512ull << 20) /* bytes, of one file system, besides the files that are asked for */
#define READS_MOST 50000u
#define PER_BLOCK  6u /* reads for one of a file: the tree of its extents has up to five levels */
#define NAMES_MOST 8192u
#define WINDOWS    8u
#define WINDOW     (64u << 10)

/* A piece of the device that was read. */
struct ext_window {
	uint64_t at;
	size_t length; /* 0: none */
	uint64_t used; /* the number of the read that used it last */
	char *bytes;
};

struct image_ext {
	struct block *block;
	ext2_filsys fs;
	uint64_t read, read_most; /* bytes, so far and at most */
	uint64_t reads, reads_most;
	struct ext_window windows[WINDOWS];
};

/* ---- libext2fs's I/O ---- */

/* The library reads block by block, and the tree of a file's extents again for each. */
static struct ext_window *window_at(struct image_ext *ext, uint64_t at, int *rc)
{
	struct ext_window *window = &ext->windows[0];
	uint64_t from = round_down(at, (uint64_t)WINDOW);

	for (unsigned i = 0; i < WINDOWS; i++) {
		struct ext_window *one = &ext->windows[i];

		if (one->length && one->at == from)
			return one;
		if (one->used < window->used)
			window = one;
	}
	window->length = 0;
	if (!window->bytes)
		window->bytes = malloc(WINDOW);
	*rc = window->bytes ? 0 : -ENOMEM;
	window->at = from;
	if (!*rc)
		*rc = block_read(ext->block, from, window->bytes,
				 MIN((uint64_t)WINDOW, ext->block->size - from));
	if (!*rc)
		window->length = (size_t)MIN((uint64_t)WINDOW, ext->block->size - from);
	return *rc ? NULL : window;
}

static int read_range(struct image_ext *ext, uint64_t at, char *to, size_t length)
{
	int rc = 0;

	ext->read += length;
	if (ext->read > ext->read_most || ext->reads++ > ext->reads_most ||
	    !range_within(at, length, ext->block->size))
		return -EIO;
	while (length) {
		struct ext_window *window = window_at(ext, at, &rc);
		size_t piece;

		if (!window)
			return rc;
		window->used = ext->reads;
		piece = MIN(length, window->length - (size_t)(at - window->at));
		memcpy(to, window->bytes + (at - window->at), piece);
		to += piece;
		at += piece;
		length -= piece;
	}
	return 0;
}

static errcode_t read_blk64(io_channel channel, unsigned long long number, int count, void *data)
{
	uint64_t at;
	size_t length =
		count < 0 ? (size_t) - (int64_t)count : (size_t)count * (size_t)channel->block_size;

	if (__builtin_mul_overflow(number, (uint64_t)channel->block_size, &at) ||
	    read_range(channel->private_data, at, data, length))
		return EXT2_ET_SHORT_READ;
	return 0;
}

static errcode_t read_blk(io_channel channel, unsigned long number, int count, void *data)
{
	return read_blk64(channel, number, count, data);
}

static errcode_t set_block_size(io_channel channel, int size)
{
	channel->block_size = size;
	return 0;
}

static errcode_t close_channel(io_channel channel)
{
	if (--channel->refcount > 0)
		return 0;
	free(channel->name);
	free(channel);
	return 0;
}

static errcode_t flush_channel(io_channel channel)
{
	(void)channel;
	return 0;
}

static errcode_t refuse(io_channel channel, unsigned long number, int count, const void *data)
{
	(void)channel, (void)number, (void)count, (void)data;
	return EXT2_ET_RO_FILSYS;
}

static errcode_t refuse64(io_channel channel, unsigned long long number, int count,
			  const void *data)
{
	return refuse(channel, (unsigned long)number, count, data);
}

static errcode_t open_channel(const char *name, int flags, io_channel *out);

static const struct struct_io_manager manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "tenon",
	.open = open_channel,
	.close = close_channel,
	.set_blksize = set_block_size,
	.read_blk = read_blk,
	.write_blk = refuse,
	.flush = flush_channel,
	.read_blk64 = read_blk64,
	.write_blk64 = refuse64,
};

/* All that the library hands on is a name: it is where the structure lies. */
static errcode_t open_channel(const char *name, int flags, io_channel *out)
{
	io_channel channel = calloc(1, sizeof(*channel));
	void *ext = NULL;

	(void)flags;
	if (!channel || sscanf(name, "%p", &ext) != 1 || !(channel->name = strdup(name))) {
		free(channel);
		return EXT2_ET_NO_MEMORY;
	}
	channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	channel->manager = (io_manager)&manager;
	channel->block_size = 1024;
	channel->refcount = 1;
	channel->private_data = ext;
	*out = channel;
	return 0;
}

/* ---- Opening ---- */

int image_ext_open(struct image_ext **out, struct block *block, struct error *error)
{
	CLEANUP_IMAGE_EXT struct image_ext *ext = calloc(1, sizeof(*ext));
	const struct block_signature is = { .type = "ext4" };
	uint64_t size = 0;
	char name[32];
	errcode_t code;
	int rc = block_signature_size(block, &is, &size, error);

	if (!rc)
		rc = libext2fs_load(error);
	if (rc || !ext)
		return rc ? rc : -ENOMEM;
	/* Tables are as large as the file system says that it is. */
	if (size > block->size)
		return error_set(error, -EINVAL,
				 "%s: its file system has %llu bytes, and there are %llu",
				 block->name, (unsigned long long)size,
				 (unsigned long long)block->size);
	ext->block = block;
	ext->read_most = READ_MOST;
	ext->reads_most = READS_MOST;
	snprintf(name, sizeof(name), "%p", (void *)ext);
	code = libext2fs.ext2fs_open(name, EXT2_FLAG_64BITS | EXT2_FLAG_IGNORE_CSUM_ERRORS, 0, 0,
				     (io_manager)&manager, &ext->fs);
	if (code) {
		ext->fs = NULL;
		return error_set(error, -EINVAL, "%s: its file system cannot be read: %s",
				 block->name,
				 code < 1000 ? error_name((int)code) : "it is damaged");
	}
	*out = steal_pointer(&ext);
	return 0;
}

void image_ext_close(struct image_ext *ext)
{
	if (ext->fs)
		libext2fs.ext2fs_free(ext->fs);
	for (unsigned i = 0; i < WINDOWS; i++)
		free(ext->windows[i].bytes);
	free(ext);
}

uint64_t image_ext_used(const struct image_ext *ext)
{
	uint64_t blocks = libext2fs.ext2fs_blocks_count(ext->fs->super);
	uint64_t free_blocks = libext2fs.ext2fs_free_blocks_count(ext->fs->super);

	return free_blocks < blocks ? (blocks - free_blocks) * ext->fs->blocksize : 0;
}

/* ---- Files ---- */

static int find(struct image_ext *ext, const char *path, ext2_ino_t *number,
		struct ext2_inode *inode)
{
	errcode_t code =
		libext2fs.ext2fs_namei_follow(ext->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, number);

	if (!code)
		code = libext2fs.ext2fs_read_inode(ext->fs, *number, inode);
	if (!code)
		return 0;
	return code == EXT2_ET_FILE_NOT_FOUND || code == EXT2_ET_NO_DIRECTORY ? -ENOENT : -EIO;
}

static int read_file(ext2_file_t file, char *to, size_t length)
{
	while (length) {
		unsigned got = 0, piece = (unsigned)MIN(length, (size_t)1 << 20);

		if (libext2fs.ext2fs_file_read(file, to, piece, &got) || !got)
			return -EIO;
		to += got;
		length -= got;
	}
	return 0;
}

int image_ext_read(struct image_ext *ext, const char *path, size_t most, char **data,
		   size_t *length, struct error *error)
{
	CLEANUP_FREE char *all = NULL;
	struct ext2_inode inode;
	ext2_ino_t number;
	ext2_file_t file;
	uint64_t size;
	int rc = find(ext, path, &number, &inode);

	if (!rc && !LINUX_S_ISREG(inode.i_mode))
		rc = -ENOENT;
	if (rc)
		return error_set(error, rc, "%s: %s: %s", ext->block->name, path, error_name(rc));
	size = EXT2_I_SIZE(&inode);
	if (size > most)
		return error_set(error, -EFBIG, "%s: %s: has %llu bytes, expected %zu at most",
				 ext->block->name, path, (unsigned long long)size, most);
	ext->read_most += PER_BLOCK * size;
	ext->reads_most += PER_BLOCK * (size / ext->fs->blocksize + 1);
	all = malloc(size + 1);
	if (!all)
		return -ENOMEM;
	rc = libext2fs.ext2fs_file_open(ext->fs, number, 0, &file) ? -EIO : 0;
	if (!rc) {
		rc = read_file(file, all, size);
		libext2fs.ext2fs_file_close(file);
	}
	if (rc)
		return error_set(error, rc, "%s: %s: reading it: %s", ext->block->name, path,
				 error_name(rc));
	all[size] = '\0';
	*length = size;
	*data = steal_pointer(&all);
	return 0;
}

struct listing {
	int (*fn)(void *arg, const char *name);
	void *arg;
	unsigned count;
	int rc;
};

static int take_entry(ext2_ino_t folder, int what, struct ext2_dir_entry *entry, int offset,
		      int block_size, char *buffer, void *arg)
{
	struct listing *listing = arg;
	int length = ext2fs_dirent_name_len(entry);
	char name[NAME_MAX + 1];

	(void)folder, (void)what, (void)offset, (void)block_size, (void)buffer;
	if (listing->count++ == NAMES_MOST)
		return DIRENT_ABORT;
	if (length <= 0 || length > NAME_MAX)
		return 0;
	memcpy(name, entry->name, (size_t)length);
	name[length] = '\0';
	listing->rc = listing->fn(listing->arg, name);
	return listing->rc ? DIRENT_ABORT : 0;
}

int image_ext_list(struct image_ext *ext, const char *path, int (*fn)(void *arg, const char *name),
		   void *arg)
{
	struct listing listing = { .fn = fn, .arg = arg };
	struct ext2_inode inode;
	ext2_ino_t number;
	int rc = find(ext, path, &number, &inode);

	if (rc)
		return rc;
	if (!LINUX_S_ISDIR(inode.i_mode))
		return -ENOENT;
	if (libext2fs.ext2fs_dir_iterate2(ext->fs, number, 0, NULL, take_entry, &listing))
		return -EIO;
	return listing.rc;
}
