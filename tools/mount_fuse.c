/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel asks of a mount; see mount.h. By the low-level interface of libfuse, whose calls are made on the fiber
 * that has taken the request, and may suspend: each has a buffer of its own, which the disks' servers have as well.
 *
 * The kernel takes a file for a regular one, but it is a disk: O_TRUNC leaves it as it is, a write ends where it ends
 * (ENOSPC), and its length cannot be set.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "tools/fuse_library.h"
#include "tools/host_disk.h"
#include "tools/mount.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"

#define BLOCK 4096u

static struct mount *mount_of(fuse_req_t req)
{
	return libfuse.fuse_req_userdata(req);
}

/* What an error of a disk is to who reads a file. */
static void reply_failed(fuse_req_t req, const struct mount_volume *volume, const char *what,
			 uint64_t length, uint64_t offset, int rc)
{
	struct mount *mount = mount_of(req);

	if (rc != -EROFS)
		log_warning(&mount->log, "%s/%s: %s %llu bytes at byte %llu: %s", mount->group,
			    volume->name, what, (unsigned long long)length,
			    (unsigned long long)offset, error_name(rc));
	libfuse.fuse_reply_err(req, rc == -EROFS || rc == -ENOMEM || rc == -EINVAL ? -rc : EIO);
}

/* ---- Files ---- */

static void fill_status(const struct mount *mount, const struct mount_volume *volume,
			struct stat *status)
{
	bool fixed = volume && (volume->read_only || mount->read_only);

	*status = (struct stat){
		.st_ino = volume ? volume->number : MOUNT_ROOT,
		.st_mode = volume ? S_IFREG | (fixed ? 0400 : 0600) : S_IFDIR | 0500,
		.st_nlink = volume ? 1 : 2,
		.st_uid = geteuid(),
		.st_gid = getegid(),
		.st_size = volume ? (off_t)mount_size(volume) : 0,
		.st_mtime = mount->began,
		.st_ctime = mount->began,
		.st_blksize = BLOCK,
		.st_blocks = volume ? (blkcnt_t)(mount_size(volume) / 512) : 0,
	};
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	/* They keep pipes for each thread, in which one fiber would find another's data. */
	conn->want &= ~(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	conn->max_write = MIN(conn->max_write, MOUNT_DATA);
	conn->max_background = 2 * MOUNT_TAKERS;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *mount = mount_of(req);
	struct fuse_entry_param entry = { 0 };
	struct mount_volume *volume;

	mount_refresh(mount);
	volume = parent == MOUNT_ROOT ? mount_find_name(mount, name) : NULL;
	if (!volume) {
		libfuse.fuse_reply_err(req, ENOENT);
		return;
	}
	fill_status(mount, volume, &entry.attr);
	entry.ino = volume->number;
	volume->lookups++;
	if (libfuse.fuse_reply_entry(req, &entry))
		volume->lookups--;
}

static void forget_one(struct mount *mount, uint64_t number, uint64_t lookups)
{
	struct mount_volume *volume = mount_find(mount, number);

	if (!volume)
		return;
	volume->lookups -= MIN(lookups, volume->lookups);
	mount_settle(volume);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	forget_one(mount_of(req), ino, lookups);
	libfuse.fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *all)
{
	for (size_t i = 0; i < count; i++)
		forget_one(mount_of(req), all[i].ino, all[i].nlookup);
	libfuse.fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	struct mount *mount = mount_of(req);
	struct mount_volume *volume;
	struct stat status;

	(void)file;
	mount_refresh(mount);
	volume = mount_find(mount, ino);
	if (!volume && ino != MOUNT_ROOT) {
		libfuse.fuse_reply_err(req, ENOENT);
		return;
	}
	fill_status(mount, volume, &status);
	libfuse.fuse_reply_attr(req, &status, 0);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *status, int what,
		       struct fuse_file_info *file)
{
	struct mount_volume *volume = mount_find(mount_of(req), ino);

	if (what & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		libfuse.fuse_reply_err(req, EPERM);
	else if (what & FUSE_SET_ATTR_SIZE && volume &&
		 (uint64_t)status->st_size != mount_size(volume))
		libfuse.fuse_reply_err(req, EINVAL);
	else
		op_getattr(req, ino, file);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t after,
		       struct fuse_file_info *file)
{
	struct mount *mount = mount_of(req);
	CLEANUP_FREE char *entries = malloc(size);
	size_t used = 0;

	(void)file, (void)ino;
	if (!entries) {
		libfuse.fuse_reply_err(req, ENOMEM);
		return;
	}
	if (!after)
		mount_refresh(mount);
	list_for_each(at, &mount->volumes) {
		const struct mount_volume *volume = list_entry(at, struct mount_volume, node);
		const struct stat status = { .st_ino = volume->number, .st_mode = S_IFREG };
		size_t step;

		if (!volume->listed || volume->number <= (uint64_t)after)
			continue;
		step = libfuse.fuse_add_direntry(req, entries + used, size - used, volume->name,
						 &status, (off_t)volume->number);
		if (step > size - used)
			break;
		used += step;
	}
	libfuse.fuse_reply_buf(req, entries, used);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct mount *mount = mount_of(req);
	struct statvfs status = { .f_bsize = BLOCK, .f_frsize = BLOCK, .f_namemax = 255 };

	(void)ino;
	list_for_each(at, &mount->volumes) {
		const struct mount_volume *volume = list_entry(at, struct mount_volume, node);

		if (!volume->listed)
			continue;
		status.f_blocks += mount_size(volume) / BLOCK;
		status.f_files++;
	}
	libfuse.fuse_reply_statfs(req, &status);
}

/* ---- Open files ---- */

/* As fuse_reply_open(), which knows of writes side by side only in newer versions of libfuse. */
static int reply_open(fuse_req_t req, uint64_t handle)
{
	const struct fuse_open_out out = {
		.fh = handle,
		.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES,
	};

	return libfuse.fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	struct mount *mount = mount_of(req);
	struct mount_volume *volume = mount_find(mount, ino);
	bool writes = (file->flags & O_ACCMODE) != O_RDONLY;
	int way = volume ? mount_open(mount, volume, writes) : -ENOENT;

	if (way < 0) {
		libfuse.fuse_reply_err(req, -way);
		return;
	}
	if (reply_open(req, (uintptr_t)&volume->ways[way]))
		mount_close(mount, volume, (enum mount_way)way, writes);
}

static enum mount_way way_of(const struct mount_volume *volume, const struct fuse_file_info *file)
{
	return file->fh == (uintptr_t)&volume->ways[MOUNT_ALONE] ? MOUNT_ALONE : MOUNT_BESIDE;
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	struct mount *mount = mount_of(req);
	struct mount_volume *volume = mount_find(mount, ino);

	if (volume)
		mount_close(mount, volume, way_of(volume, file),
			    (file->flags & O_ACCMODE) != O_RDONLY);
	libfuse.fuse_reply_err(req, 0);
}

/* The disk of an open file; it stays until that is released. */
static struct host_disk *disk_of(fuse_req_t req, fuse_ino_t ino, const struct fuse_file_info *file,
				 struct mount_volume **volume)
{
	*volume = mount_find(mount_of(req), ino);
	return *volume ? (*volume)->ways[way_of(*volume, file)].disk : NULL;
}

/* Whether the server was given up with the request: its disk, or itself once it goes on, may do that yet. */
static bool is_lost(int rc)
{
	return rc == -ENOTCONN || rc == -ETIMEDOUT || rc == -ECANCELED;
}

static void note_done(struct mount *mount, const struct host_disk *disk,
		      struct mount_buffer *buffer, int rc)
{
	buffer->lost = is_lost(rc);
	if (!rc && host_disk_is_leased(disk))
		mount_direct_want(mount->direct);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *file)
{
	struct mount_buffer *buffer = mount_of(req)->buffer;
	struct mount_volume *volume;
	struct host_disk *disk = disk_of(req, ino, file, &volume);
	uint64_t end = disk ? mount_size(volume) : 0;
	int rc;

	if (!disk) {
		libfuse.fuse_reply_err(req, EBADF);
		return;
	}
	if ((uint64_t)offset >= end) {
		libfuse.fuse_reply_buf(req, NULL, 0);
		return;
	}
	size = MIN(MIN(size, end - (uint64_t)offset), MOUNT_DATA);
	rc = host_disk_read(disk, (uint64_t)offset, buffer->data, size);
	note_done(mount_of(req), disk, buffer, rc);
	if (rc)
		reply_failed(req, volume, "reading", size, (uint64_t)offset, rc);
	else
		libfuse.fuse_reply_buf(req, buffer->data, size);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
		     struct fuse_file_info *file)
{
	struct mount_buffer *buffer = mount_of(req)->buffer;
	struct mount_volume *volume;
	struct host_disk *disk = disk_of(req, ino, file, &volume);
	uint64_t end = disk ? mount_size(volume) : 0;
	int rc;

	if (!disk || (uint64_t)offset >= end) {
		libfuse.fuse_reply_err(req, disk ? ENOSPC : EBADF);
		return;
	}
	size = MIN(MIN(size, end - (uint64_t)offset), MOUNT_DATA);
	rc = host_disk_write(disk, (uint64_t)offset, bytes, size,
			     file->flags & (O_SYNC | O_DSYNC) ? BLOCK_FUA : 0);
	note_done(mount_of(req), disk, buffer, rc);
	if (rc)
		reply_failed(req, volume, "writing", size, (uint64_t)offset, rc);
	else
		libfuse.fuse_reply_write(req, size);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *file)
{
	struct mount_volume *volume;
	struct host_disk *disk = disk_of(req, ino, file, &volume);
	int rc = disk ? host_disk_flush(disk) : -EBADF;

	(void)data_only;
	if (rc && disk)
		reply_failed(req, volume, "flushing", 0, 0, rc);
	else
		libfuse.fuse_reply_err(req, -rc);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
			 struct fuse_file_info *file)
{
	struct mount_volume *volume;
	struct host_disk *disk = disk_of(req, ino, file, &volume);
	uint64_t end = disk ? mount_size(volume) : 0;
	int rc;

	if (!disk || mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
		libfuse.fuse_reply_err(req, disk ? EOPNOTSUPP : EBADF);
		return;
	}
	if ((uint64_t)offset >= end || (uint64_t)length > end - (uint64_t)offset) {
		if (!(mode & FALLOC_FL_PUNCH_HOLE)) {
			libfuse.fuse_reply_err(req, ENOSPC);
			return;
		}
		length = (uint64_t)offset < end ? (off_t)(end - (uint64_t)offset) : 0;
	}
	/* All of its space is there already. */
	rc = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)
		     ? host_disk_write_zeroes(disk, (uint64_t)offset, (uint64_t)length,
					      mode & FALLOC_FL_PUNCH_HOLE ? BLOCK_MAY_UNMAP : 0)
		     : 0;
	if (rc)
		reply_failed(req, volume, "zeroing", (uint64_t)length, (uint64_t)offset, rc);
	else
		libfuse.fuse_reply_err(req, 0);
}

/* ---- Holes ---- */

struct seek {
	bool hole; /* what is looked for */
	bool found;
	uint64_t at;
};

static bool seek_note(void *arg, uint64_t length, bool zero)
{
	struct seek *seek = arg;

	seek->found = zero == seek->hole;
	if (!seek->found)
		seek->at += length;
	return !seek->found;
}

static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
		     struct fuse_file_info *file)
{
	struct mount_volume *volume;
	struct host_disk *disk = disk_of(req, ino, file, &volume);
	uint64_t end = disk ? mount_size(volume) : 0;
	struct seek seek = { .hole = whence == SEEK_HOLE, .at = (uint64_t)offset };
	int rc = 0;

	if (!disk || (uint64_t)offset >= end) {
		libfuse.fuse_reply_err(req, disk ? ENXIO : EBADF);
		return;
	}
	/* A server tells some at a time. */
	while (!rc && !seek.found && seek.at < end) {
		uint64_t before = seek.at;

		rc = host_disk_extents(disk, seek.at, end - seek.at, seek_note, &seek);
		if (!rc && !seek.found && seek.at == before)
			rc = -EPROTO;
	}
	if (rc) /* all of it may be data */
		seek.at = seek.hole ? end : (uint64_t)offset;
	if (!rc && !seek.found && !seek.hole)
		libfuse.fuse_reply_err(req, ENXIO);
	else
		libfuse.fuse_reply_lseek(req, (off_t)MIN(seek.at, end));
}

const struct fuse_lowlevel_ops mount_operations = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readdir = op_readdir,
	.statfs = op_statfs,
	.open = op_open,
	.release = op_release,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
};
