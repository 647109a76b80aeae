/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may use an image file: open-file-description locks, such that QEMU and tenon respect each other.
 *
 * A writer locks the whole file exclusively; that collides with every lock of QEMU, Cloud Hypervisor or
 * another tenon. Readers share. QEMU (block/file-posix.c, 8.x) keeps one byte per permission, read
 * locked: 100 + n says "I use permission n", 200 + n says "nobody else may have it" (n = 0 consistent
 * read, 1 write, 2 write unchanged, 3 resize), and tests them by asking for conflicts with a write
 * lock. So a reader of ours, who shares everything but writing and resizing, leaves out the bytes that
 * would refuse QEMU's readers, and looks whether byte 101 belongs to a QEMU that writes.
 *
 * A device is locked together with all that is below it (identity.h): the same bytes have other names. A loop
 * device or a partition is a part of what is below: the lock there covers just its range, so that two
 * parts of one file do not meet. Bytes 100 to 299, which are QEMU's, are left out of a range; who writes to one
 * read-locks 101 and 201 instead, who reads from one 201, as a QEMU that writes or reads would. Nobody of
 * ours but a reader of the whole file, and no writer, has byte 100: that is how a QEMU is told from them.
 *
 * A file below is opened and write-locked. A device below is only read-locked, and looked at for other locks
 * once that is done: it would have to be opened for writing, and udev takes the end of that for a change.
 * Between writers the kernel keeps such devices apart itself (O_EXCL); for loops over devices the marks do.
 */
#include "block/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "block/identity.h"
#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/process.h"

enum {
	QEMU_USES = 100,
	QEMU_REFUSES = 200,
	QEMU_END = 300,
	QEMU_READ = 0,
	QEMU_WRITE = 1,
	QEMU_RESIZE = 3,
};

#define LOCK_STEP_NS     10000000ull
#define LOCK_FIRST_NS    (10 * LOCK_STEP_NS) /* until it is looked who has it, */
#define LOCK_LOOK_NS     (30 * LOCK_STEP_NS) /* and between two looks */
#define LOCK_PATIENCE_NS 400000000ull        /* with one holder */
#define LOCK_UNSEEN_NS   2000000000ull       /* with one that is not seen */
#define LOCK_BUSY_NS     3000000000ull       /* that are at work */
#define LOCK_LIMIT_NS    10000000000ull      /* with all of them */

/* `length` 0 means to the end, whatever that will be. */
static int lock_range(int fd, short type, off_t start, off_t length)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length
	};

	return fcntl(fd, F_OFD_SETLK, &lock) ? -errno : 0;
}

/* Whether a QEMU uses the file with this permission. A lock that covers more than QEMU's bytes is a
 * reader's of the whole file. */
static bool qemu_uses(int fd, int permission)
{
	struct flock lock = { .l_type = F_WRLCK,
			      .l_whence = SEEK_SET,
			      .l_start = QEMU_USES + permission,
			      .l_len = 1 };

	return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK &&
	       lock.l_start >= QEMU_USES && lock.l_len && lock.l_start + lock.l_len <= QEMU_END;
}

static int lock_shared(int fd)
{
	static const struct {
		off_t start, length;
	} ranges[] = {
		{ 0, QEMU_USES + QEMU_READ + 1 },
		{ QEMU_REFUSES + QEMU_WRITE, 1 },
		{ QEMU_REFUSES + QEMU_RESIZE, 1 },
		{ QEMU_END, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		int rc = lock_range(fd, F_RDLCK, ranges[i].start, ranges[i].length);

		if (rc < 0)
			return rc;
	}
	/* As QEMU does: first take what says that others may not write, then look whether one does. */
	return qemu_uses(fd, QEMU_WRITE) || qemu_uses(fd, QEMU_RESIZE) ? -EBUSY : 0;
}

/* ---- Ranges ---- */

/* Locks [start, end) but for QEMU's bytes. */
static int lock_around(int fd, short type, uint64_t start, uint64_t end)
{
	uint64_t before = MIN(end, (uint64_t)QEMU_USES), after = MAX(start, (uint64_t)QEMU_END);
	int rc = 0;

	if (start < before)
		rc = lock_range(fd, type, (off_t)start, (off_t)(before - start));
	if (!rc && after < end)
		rc = lock_range(fd, type, (off_t)after, end > INT64_MAX ? 0 : (off_t)(end - after));
	return rc;
}

/* Whether anybody else has a lock in there, of whatever kind. */
static bool is_locked(int fd, uint64_t start, uint64_t end)
{
	struct flock lock = { .l_type = F_WRLCK,
			      .l_whence = SEEK_SET,
			      .l_start = (off_t)start,
			      .l_len = end > INT64_MAX ? 0 : (off_t)(end - start) };

	return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
}

static bool is_locked_around(int fd, uint64_t start, uint64_t end)
{
	uint64_t before = MIN(end, (uint64_t)QEMU_USES), after = MAX(start, (uint64_t)QEMU_END);

	return (start < before && is_locked(fd, start, before)) ||
	       (after < end && is_locked(fd, after, end)) ||
	       is_locked(fd, QEMU_USES + QEMU_READ, QEMU_USES + QEMU_READ + 1);
}

static int lock_byte(int fd, int byte)
{
	return lock_range(fd, F_RDLCK, byte, 1);
}

static int lock_part_shared(int fd, const struct block_part *part)
{
	int rc = lock_around(fd, F_RDLCK, part->start, part->end);

	if (!rc)
		rc = lock_byte(fd, QEMU_REFUSES + QEMU_WRITE);
	/* One whose place is not known may be written to through it, here too. */
	if (!rc && (!part->exact || qemu_uses(fd, QEMU_READ)) && qemu_uses(fd, QEMU_WRITE))
		rc = -EBUSY;
	return rc;
}

static int lock_part_exclusive(int fd, const struct block_part *part)
{
	bool lock = part->exact && part->is_file;
	int rc = lock_around(fd, lock ? F_WRLCK : F_RDLCK, part->start, part->end);

	if (!rc)
		rc = lock_byte(fd, QEMU_USES + QEMU_WRITE);
	if (!rc)
		rc = lock_byte(fd, QEMU_REFUSES + QEMU_WRITE);
	if (rc)
		return rc;
	if (!part->exact || lock)
		return is_locked(fd, QEMU_USES + QEMU_READ, QEMU_USES + QEMU_READ + 1) ? -EBUSY : 0;
	return is_locked_around(fd, part->start, part->end) ? -EBUSY : 0;
}

/* ---- All that a device lies on ---- */

static bool is_busy(int rc)
{
	return rc == -EAGAIN || rc == -EACCES || rc == -EBUSY;
}

static void pause_for(uint64_t ns)
{
	struct timespec time = { .tv_nsec = (long)ns };

	if (fiber_current())
		fiber_sleep(ns);
	else
		nanosleep(&time, NULL);
}

static int lock_once(int fd, const struct block_part *part, bool own, bool exclusive)
{
	bool whole = !part->start && part->end == BLOCK_TO_THE_END && part->exact;

	if (whole && !exclusive)
		return lock_shared(fd);
	/* A device below is open for reading only. */
	if (whole && (own || part->is_file))
		return lock_range(fd, F_WRLCK, 0, 0);
	return exclusive ? lock_part_exclusive(fd, part) : lock_part_shared(fd, part);
}

static void unlock(int fd)
{
	lock_range(fd, F_UNLCK, 0, 0);
}

/* Who has the lock, as far as that can be seen. */
struct holder {
	pid_t pid; /* 0: nobody can be seen, or one that ends */
	uint64_t since_ns, look_ns;
};

static pid_t find_holder(int fd)
{
	struct stat file;
	pid_t pid;

	if (fstat(fd, &file))
		return 0;
	pid = process_with_lock(&file, getpid());
	if (!pid)
		return process_with_lock(&file, 0);
	return process_is_ending(pid) ? 0 : pid;
}

/*
 * Commands hold their locks for a moment each. A process that was killed has them until the kernel has finished the requests of its ring, when it has long ended.
 * So a lock is tried for a while, anew where it has another holder by now. A holder that is at work, or would be if it had a processor, has not had its moment yet;
 * but there are also those that are always at work.
 */
static bool is_in_vain(int fd, struct holder *holder, uint64_t waited)
{
	bool first = holder->look_ns == LOCK_FIRST_NS;
	pid_t pid;

	if (fiber_current() && fiber_cancelled())
		return true;
	if (waited < holder->look_ns)
		return false;
	holder->look_ns += LOCK_LOOK_NS;
	pid = find_holder(fd);
	if ((pid != holder->pid && !first) ||
	    (pid && waited < LOCK_BUSY_NS && process_is_runnable(pid)))
		holder->since_ns = waited;
	holder->pid = pid;
	return waited - holder->since_ns >= (pid ? LOCK_PATIENCE_NS : LOCK_UNSEEN_NS) ||
	       waited >= LOCK_LIMIT_NS;
}

static int lock_patiently(int fd, const struct block_part *part, bool own, bool exclusive)
{
	struct holder holder = { .look_ns = LOCK_FIRST_NS };
	int rc;

	for (uint64_t waited = 0;; waited += LOCK_STEP_NS) {
		rc = lock_once(fd, part, own, exclusive);
		if (!is_busy(rc))
			return rc;
		/* Part of the locks may be there; two who wait for each other would both fail. */
		unlock(fd);
		if (is_in_vain(fd, &holder, waited))
			return rc;
		pause_for(LOCK_STEP_NS);
	}
}

/* "a.img: in use by process 77 (qemu-img ...)", or of what is below: "/dev/loop0: lies on a.img, which is ...". */
static int held(int fd, const char *path, const struct block_part *part, bool own,
		struct error *error)
{
	char by[PROCESS_TEXT] = "another user's process, or given twice", below[256] = "";
	struct stat file;
	pid_t pid = fstat(fd, &file) ? 0 : process_with_lock(&file, getpid());
	bool here = !pid && !fstat(fd, &file) && process_with_lock(&file, 0) == getpid();

	if (pid || here)
		process_describe(pid ? pid : getpid(), by);
	if (!own)
		snprintf(below, sizeof(below), "lies on %.200s, which is ", part->path);
	/* Who reads it may have asked another process: a server, a switch. */
	error_set(error, -EBUSY, "%s: %sin use by %s%s", path, below, by,
		  here ? ", to which it is given twice" : "");
	if (here)
		error_advise(error, "give each file or device once, by one name");
	else if (pid && process_is_stopped(pid))
		error_advise(error, "`kill -CONT %d` lets it go on; or end it, or work on a copy",
			     (int)pid);
	else if (pid && process_is_ours(pid))
		error_advise(error, "try again when that command is done; of a server `tenon "
				    "status` says what it serves, and to whom: end it, or work on "
				    "a copy");
	else if (pid)
		error_advise(error, "end it, or work on a copy");
	else
		error_advise(error, "find it with `fuser -v %s` and end it, or work on a copy",
			     part->path ? part->path : path);
	return -EBUSY;
}

static int cannot_lock(const char *path, const struct block_part *part, int code,
		       struct error *error)
{
	error_set(error, code,
		  "%s: lies on %s, which cannot be locked, so that others may use it: %s", path,
		  part->path ? part->path : "a file", error_name(code));
	if (error_is_shortage(code))
		return code;
	return error_advise(error, "use %s itself, as a user who may write to it",
			    part->path ? part->path : "the file");
}

static int keep(struct file_locks *locks, int fd)
{
	int *grown = realloc(locks->fds, (locks->count + 1) * sizeof(*grown));

	if (!grown) {
		close(fd);
		return -ENOMEM;
	}
	locks->fds = grown;
	grown[locks->count++] = fd;
	return 0;
}

/* Opens what is below under its own name, unless by now that leads to something else. */
static int open_below(const struct block_part *part, bool exclusive)
{
	int mode = exclusive && part->is_file ? O_RDWR : O_RDONLY;
	int fd = part->path ? open(part->path, mode | O_NONBLOCK | O_CLOEXEC) : -1;
	struct stat status;

	if (fd < 0)
		return part->path ? -errno : -ENOENT;
	if (fstat(fd, &status) ||
	    (part->is_file ? status.st_dev != part->device || status.st_ino != part->inode
			   : status.st_rdev != part->device)) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}

/* Of what the kernel has claimed it is the kernel that keeps others away; where this user may not open it, or it has no node here, nothing else can be had. */
static bool is_passed_over(const struct block_part *part, int rc)
{
	return part->claimed && (rc == -EACCES || rc == -EPERM || rc == -ENOENT || rc == -ENXIO);
}

static int lock_below(const struct block_part *part, const char *path, bool exclusive,
		      struct file_locks *locks, struct error *error)
{
	int fd = open_below(part, exclusive), rc;

	if (fd < 0)
		return exclusive && !is_passed_over(part, fd) ? cannot_lock(path, part, fd, error)
							      : 0;
	rc = keep(locks, fd);
	if (!rc)
		rc = lock_patiently(fd, part, false, exclusive);
	if (is_busy(rc))
		return held(fd, path, part, false, error);
	if (rc < 0 && exclusive && !is_passed_over(part, rc))
		return cannot_lock(path, part, rc, error);
	return 0;
}

/* The device's own node in /dev, where `fd` is another node of it: locks go by the node. */
static int lock_node(int fd, const char *path, const struct block_part *part, bool exclusive,
		     struct file_locks *locks, struct error *error)
{
	struct stat own, node;

	if (part->is_file || !part->path || fstat(fd, &own) || stat(part->path, &node) ||
	    (own.st_dev == node.st_dev && own.st_ino == node.st_ino))
		return 0;
	return lock_below(part, path, exclusive, locks, error);
}

static int lock_identity(int fd, const char *path, bool exclusive,
			 const struct block_identity *identity, struct file_locks *locks,
			 struct error *error)
{
	int rc;

	if (!identity->count)
		return 0;
	if (exclusive && identity->unknown) {
		error_set(error, -EBUSY, "%s: %s: it cannot be locked, so that others may use it",
			  path, identity->unknown);
		error_advise(error, "use the file itself; for reading it can be used as it is");
		return -EBUSY;
	}
	rc = lock_patiently(fd, &identity->parts[0], true, exclusive);
	if (is_busy(rc))
		return held(fd, path, &identity->parts[0], true, error);
	if (rc < 0)
		return error_set(error, rc, "%s: locking it: %s", path, error_name(rc));
	rc = lock_node(fd, path, &identity->parts[0], exclusive, locks, error);
	for (unsigned i = 1; !rc && i < identity->count; i++)
		rc = lock_below(&identity->parts[i], path, exclusive, locks, error);
	if (!rc && exclusive && !locks->loops_later)
		rc = file_check_loops(identity, path, error);
	return rc;
}

int file_lock_range(int fd, const char *path, bool exclusive, uint64_t offset, uint64_t length,
		    struct file_locks *locks, struct error *error)
{
	struct block_identity identity;
	int rc = block_identify(&identity, fd, path);

	if (rc < 0)
		return error_set(error, rc, "%s: finding out what it lies on: %s", path,
				 error_name(rc));
	if (offset || length != BLOCK_TO_THE_END)
		block_identity_narrow(&identity, offset, length);
	rc = lock_identity(fd, path, exclusive, &identity, locks, error);
	block_identity_free(&identity);
	return rc;
}

void file_unlock(struct file_locks *locks)
{
	for (unsigned i = 0; i < locks->count; i++)
		close(locks->fds[i]);
	free(locks->fds);
	*locks = (struct file_locks){ 0 };
}
