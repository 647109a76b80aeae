/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening image files and host block devices, and finding out what they want; see file.h. */
#include "block/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "block/identity.h"
#include "block/image_format.h"
#include "block/output.h"
#include "util/bytes.h"
#include "util/error.h"

#define UNIT_MAXIMUM   65536u /* of direct I/O; more is taken as "none" */
#define PART_ALIGNMENT UNIT_MAXIMUM

static const char *kind_of_file(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFSOCK:
		return "a socket";
	case S_IFIFO:
		return "a FIFO";
	case S_IFCHR:
		return "a character device";
	}
	return "something else";
}

static int wrong_kind(const char *path, mode_t mode, struct error *error)
{
	return error_set(error, -EINVAL, "%s: it is %s, expected an image file or a block device",
			 path, kind_of_file(mode));
}

static int open_failed(const char *path, unsigned flags, int code, struct error *error)
{
	bool create = flags & BLOCK_OPEN_CREATE;
	struct stat there;

	if ((code == -EISDIR || code == -ENXIO) && !stat(path, &there) && !S_ISBLK(there.st_mode))
		return wrong_kind(path, there.st_mode, error);
	error_set(error, code, "%s: %s: %s", path,
		  create                     ? "creating it"
		  : flags & BLOCK_OPEN_WRITE ? "opening it for writing"
					     : "opening it",
		  error_name(code));
	if (code == -ENOENT)
		error_advise(error, create ? "create the folder first" : "check the path");
	else if (code == -EROFS)
		error_advise(error,
			     "the device, or the file system that it is on, is for reading "
			     "only: see `findmnt -T %s`",
			     path);
	else if (code == -EACCES || code == -EPERM)
		error_advise(error, "the user needs permission to %s it",
			     flags & BLOCK_OPEN_WRITE ? "read and write" : "read");
	else if (code == -EBUSY)
		error_advise(error,
			     "it is mounted or part of something the kernel has assembled: "
			     "see `lsblk %s`",
			     path);
	return code;
}

/* O_NONBLOCK only for the open itself, where a FIFO or a tape would wait; later it would make the ring
 * answer -EAGAIN. O_EXCL without O_CREAT has the kernel refuse a block device that something has
 * claimed, and means nothing for a file. *created says that the file was not there. */
static int open_descriptor(const char *path, unsigned flags, bool *created)
{
	int mode = (flags & BLOCK_OPEN_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK;
	int fd;

	*created = false;
	if (flags & BLOCK_OPEN_CREATE) {
		fd = open(path, mode | O_CREAT | O_EXCL, 0666);
		if (fd >= 0 || errno != EEXIST) {
			*created = fd >= 0;
			return fd;
		}
	}
	fd = open(path, flags & BLOCK_OPEN_WRITE ? mode | O_EXCL : mode);
	if (fd >= 0 && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK)) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/* ---- Sizes ---- */

static uint32_t device_discard_granularity(dev_t device)
{
	static const char *const forms[] = { "/sys/dev/block/%u:%u/queue/discard_granularity",
					     "/sys/dev/block/%u:%u/../queue/discard_granularity" };
	unsigned granularity = 0;

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		char path[96];
		FILE *file;

		snprintf(path, sizeof(path), forms[i], major(device), minor(device));
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fscanf(file, "%u", &granularity) != 1)
			granularity = 0;
		fclose(file);
		break;
	}
	return granularity;
}

static int measure_device(struct file *file, const char *path, const struct stat *stat,
			  struct error *error)
{
	struct block *block = &file->block;
	unsigned physical = 0, preferred = 0;
	int logical = 0, protected = 0;
	uint64_t size = 0;

	/* root may open it for writing all the same, and then every write fails. */
	if (!block->read_only && !ioctl(file->fd, BLKROGET, &protected) && protected) {
		error_set(error, -EROFS, "%s: the device is read-only", path);
		return error_advise(
			error, "see `blockdev --getro %s`, or `losetup` for a loop device", path);
	}
	if (ioctl(file->fd, BLKGETSIZE64, &size) || ioctl(file->fd, BLKSSZGET, &logical))
		return error_set(error, -errno, "%s: asking for the device's size: %s", path,
				 error_name(errno));
	if (logical != 512 && logical != 4096)
		return error_set(error, -EINVAL,
				 "%s: logical blocks of %d bytes, expected 512 or 4096", path,
				 logical);
	ioctl(file->fd, BLKPBSZGET, &physical);
	ioctl(file->fd, BLKIOOPT, &preferred);
	block->size = round_down(size, (uint32_t)logical);
	block->logical_block_size = (uint32_t)logical;
	block->physical_block_size =
		is_power_of_two(physical) ? MAX(physical, (unsigned)logical) : (uint32_t)logical;
	block->preferred_io_size = preferred;
	block->discard_granularity = device_discard_granularity(stat->st_rdev);
	file->is_device = true;
	return 0;
}

static int measure_regular(struct file *file, const char *path, unsigned flags,
			   const struct stat *stat, struct error *error)
{
	struct block *block = &file->block;

	if (stat->st_size % 512 && flags & BLOCK_OPEN_ODD && block->read_only) {
		file->odd_end = (uint64_t)stat->st_size;
		block->size = round_up(file->odd_end, 512);
		return 0;
	}
	if (stat->st_size % 512) {
		const struct image_format *format = image_format_of_file(file->fd);

		if (format)
			return image_format_refuse(format, path, error);
		error_set(error, -EINVAL, "%s: size of %lld bytes, expected a multiple of 512",
			  path, (long long)stat->st_size);
		error_advise(error, "make it longer: truncate -s %%512 %s", path);
		return -EINVAL;
	}
	block->size = (uint64_t)stat->st_size;
	if (stat->st_blksize > 0 && is_power_of_two((uint64_t)stat->st_blksize))
		block->discard_granularity =
			(uint32_t)MAX(512, MIN(stat->st_blksize, (blksize_t)(1 << 20)));
	return 0;
}

/* Sets the size of a new file, or of an old one whose content does not matter, so that all of it is a
 * hole. */
static int make_empty(int fd, const char *path, uint64_t size, struct error *error)
{
	if (ftruncate(fd, 0) || ftruncate(fd, (off_t)size))
		return error_set(error, -errno, "%s: making it %llu bytes long: %s", path,
				 (unsigned long long)size, error_name(errno));
	return 0;
}

/* ---- Direct I/O ---- */

/* Reads one piece to see whether `unit` will do. */
static bool probe_unit(int fd, uint32_t unit)
{
	void *at = mmap(NULL, UNIT_MAXIMUM * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	bool works;

	if (at == MAP_FAILED)
		return false;
	works = pread(fd, (char *)at + unit, unit, 0) >= 0;
	munmap(at, UNIT_MAXIMUM * 2);
	return works;
}

/* What the file wants, for `fd` with O_DIRECT. False: better without. */
static bool find_alignment(struct file *file)
{
	struct statx statx_data = { 0 };

	if (file->is_device) {
		file->direct_unit = file->block.logical_block_size;
		file->direct_memory = file->direct_unit;
	}
#ifdef STATX_DIOALIGN
	if (!statx(file->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &statx_data) &&
	    statx_data.stx_mask & STATX_DIOALIGN) {
		uint32_t unit = statx_data.stx_dio_offset_align;
		uint32_t memory = statx_data.stx_dio_mem_align;

		if (!is_power_of_two(unit) || !is_power_of_two(memory) || unit > UNIT_MAXIMUM ||
		    memory > UNIT_MAXIMUM)
			return false;
		file->direct_unit = MAX(unit, 512u);
		file->direct_memory = memory;
		return true;
	}
#endif
	if (file->is_device)
		return true;
	for (uint32_t unit = 512; unit <= UNIT_MAXIMUM; unit *= 2)
		if (probe_unit(file->fd, unit)) {
			file->direct_unit = unit;
			file->direct_memory = unit;
			return true;
		}
	return false;
}

static bool set_direct(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && !fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT);
}

static void choose_direct(struct file *file, unsigned flags)
{
	uint64_t size = file->odd_end ? file->odd_end : file->block.size;

	file->tail_fd = -1;
	file->direct_unit = file->direct_memory = 512;
	/* A device's node is on a tmpfs, too. */
	file->in_memory = !file->is_device && file_is_in_memory(file->fd);
	if (flags & BLOCK_OPEN_BUFFERED || file->in_memory || !size || !set_direct(file->fd, true))
		return;
	if (find_alignment(file)) {
		file->direct_end = round_down(size, file->direct_unit);
		file->direct = true;
		if (file->direct_end < size) {
			char path[32];

			snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
			file->tail_fd =
				open(path, O_CLOEXEC | (file->block.read_only ? O_RDONLY : O_RDWR));
			file->direct = file->tail_fd >= 0;
		}
	}
	if (!file->direct) {
		set_direct(file->fd, false);
		file->direct_end = 0;
		file->direct_unit = file->direct_memory = 512;
	}
	if (!file->is_device)
		file->block.physical_block_size = file->direct ? file->direct_unit : 4096;
}

/* ---- A file as a device ---- */

static void file_close(struct block *block)
{
	struct file *file = file_of(block);

	file_free_bounce(file);
	if (file->tail_fd >= 0)
		close(file->tail_fd);
	close(file->fd);
	file_unlock(&file->below);
	free(file);
}

const struct block_ops file_ops = {
	.type = "file",
	.has_views = file_has_views,
	.lease = file_lease,
	.view = file_view,
	.start = file_start,
	.readv = file_readv,
	.writev = file_writev,
	.discard = file_discard,
	.write_zeroes = file_write_zeroes,
	.status = file_status,
	.flush = file_flush,
	.close = file_close,
};

int block_file_cut(struct block *block, uint64_t size)
{
	struct file *file = file_of(block);

	if (block->ops != &file_ops || block->read_only || file->is_device || size > block->size ||
	    block->size - size >= 512)
		return -EINVAL;
	return ftruncate(file->fd, (off_t)size) ? -errno : 0;
}

void block_file_discard(struct block *block, const char *path)
{
	if (block->ops == &file_ops && file_of(block)->created)
		output_remove(file_of(block)->fd, path);
}

/* ---- Opening ---- */

/* What of the file is wanted. */
struct range {
	uint64_t offset, length;
};

static int prepare(struct file *file, const char *path, unsigned flags, uint64_t size,
		   struct range range, struct error *error)
{
	struct stat stat;
	int rc = 0;

	if (fstat(file->fd, &stat))
		return error_set(error, -errno, "%s: %s", path, error_name(errno));
	if (!S_ISREG(stat.st_mode) && !S_ISBLK(stat.st_mode))
		return wrong_kind(path, stat.st_mode, error);
	if (flags & BLOCK_OPEN_CREATE && !S_ISREG(stat.st_mode))
		return error_set(error, -EINVAL,
				 "%s: it is a block device, expected a path for a new image file",
				 path);
	file->below.loops_later = flags & BLOCK_OPEN_TOGETHER;
	if (flags & BLOCK_OPEN_LOCK)
		rc = file_lock_range(file->fd, path, flags & BLOCK_OPEN_WRITE, range.offset,
				     range.length, &file->below, error);
	if (!rc && flags & BLOCK_OPEN_CREATE && !(flags & BLOCK_OPEN_FORCE))
		rc = output_check_content(file->fd, path, NULL, error);
	if (!rc && flags & BLOCK_OPEN_CREATE) {
		rc = make_empty(file->fd, path, size, error);
		stat.st_size = (off_t)size;
	}
	if (rc < 0)
		return rc;
	file->block.read_only = !(flags & BLOCK_OPEN_WRITE);
	rc = S_ISBLK(stat.st_mode) ? measure_device(file, path, &stat, error)
				   : measure_regular(file, path, flags, &stat, error);
	if (rc < 0)
		return rc;
	choose_direct(file, flags);
	return 0;
}

static int open_range(struct block **out, const char *path, unsigned flags, uint64_t size,
		      struct range range, struct error *error)
{
	struct file *file;
	int rc;

	if (flags & BLOCK_OPEN_CREATE) {
		flags |= BLOCK_OPEN_WRITE;
		if (!size || size % 512 || size > INT64_MAX)
			return error_set(error, -EINVAL,
					 "%s: a new image of %llu bytes: expected a multiple of "
					 "512",
					 path, (unsigned long long)size);
	}
	file = calloc(1, sizeof(*file));
	if (!file)
		return error_set(error, -ENOMEM, "%s: out of memory", path);
	file->tail_fd = -1;
	file->fd = open_descriptor(path, flags, &file->created);
	if (file->fd < 0) {
		rc = open_failed(path, flags, -errno, error);
		free(file);
		return rc;
	}
	block_init(&file->block, &file_ops, path);
	range_lock_init(&file->writes, 20);
	file_flushes_init(&file->flushes);
	rc = prepare(file, path, flags, size, range, error);
	if (rc < 0) {
		block_file_discard(&file->block, path);
		block_unref(&file->block);
		return rc;
	}
	*out = &file->block;
	return 0;
}

int file_open(struct block **out, const char *path, unsigned flags, uint64_t size,
	      struct error *error)
{
	const struct range all = { 0, BLOCK_TO_THE_END };

	return open_range(out, path, flags, size, all, error);
}

int block_open_part(struct block **out, const char *name, const char *path, unsigned flags,
		    uint64_t offset, uint64_t length, struct error *error)
{
	const struct range range = { offset, length };
	CLEANUP_BLOCK struct block *file = NULL;
	int rc;

	/* A unit of direct I/O that two parts share would be read and written back by both. */
	flags &= ~(BLOCK_OPEN_CREATE | BLOCK_OPEN_TOGETHER);
	if ((offset | length) % PART_ALIGNMENT)
		flags |= BLOCK_OPEN_BUFFERED;
	rc = open_range(&file, path, flags, 0, range, error);
	return rc ? rc : block_create_slice(out, name, file, offset, length, error);
}
