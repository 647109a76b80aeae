/*
 * Who may use an image file: open-file-description locks, such that QEMU and tenon respect each other.
 *
 * A writer locks the whole file exclusively; that collides with every lock of QEMU, Cloud Hypervisor or
 * another tenon. Readers share. QEMU (block/file-posix.c, 8.x) keeps one byte per permission, read
 * locked: 100 + n says "I use permission n", 200 + n says "nobody else may have it" (n = 0 consistent
 * read, 1 write, 2 write unchanged, 3 resize), and tests them by asking for conflicts with a write
 * lock. So a reader of ours, who shares everything but writing and resizing, leaves out the bytes that
 * would refuse QEMU's readers, and looks whether byte 101 belongs to a QEMU that writes.
 */
#include "block/file.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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
#define LOCK_PATIENCE_NS 400000000ull

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
		int status = lock_range(fd, F_RDLCK, ranges[i].start, ranges[i].length);

		if (status < 0)
			return status;
	}
	/* As QEMU does: first take what says that others may not write, then look whether one does. */
	return qemu_uses(fd, QEMU_WRITE) || qemu_uses(fd, QEMU_RESIZE) ? -EBUSY : 0;
}

/* ---- Loop devices ---- */

/* Whether the loop device that `attribute` (/sys/block/loopN/loop/backing_file) belongs to shows `file` and is
 * mounted or claimed by something else in the kernel, which takes no locks. Its name goes to `device`. */
static bool loop_holds(const char *attribute, const struct stat *file, char device[32])
{
	char path[4096];
	struct stat backing;
	FILE *text = fopen(attribute, "re");
	bool same = text && fgets(path, sizeof(path), text);
	unsigned number;
	int fd;

	if (text)
		fclose(text);
	if (!same)
		return false;
	path[strcspn(path, "\n")] = '\0';
	if (stat(path, &backing) || backing.st_dev != file->st_dev ||
	    backing.st_ino != file->st_ino || sscanf(attribute, "/sys/block/loop%u/", &number) != 1)
		return false;
	snprintf(device, 32, "/dev/loop%u", number);
	fd = open(device, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EBUSY;
}

static int check_loops(int fd, const char *path, struct error *error)
{
	struct stat file;
	glob_t loops;
	int status = 0;

	if (fstat(fd, &file) || !S_ISREG(file.st_mode) ||
	    glob("/sys/block/loop*/loop/backing_file", 0, NULL, &loops))
		return 0;
	for (size_t i = 0; !status && i < loops.gl_pathc; i++) {
		char device[32];

		if (!loop_holds(loops.gl_pathv[i], &file, device))
			continue;
		status = error_set(error, -EBUSY, "%s: in use by the kernel through %s", path,
				   device);
		error_advise(error, "unmount or stop what `lsblk %s` shows first", device);
	}
	globfree(&loops);
	return status;
}

/* ---- Locking ---- */

static bool is_busy(int status)
{
	return status == -EAGAIN || status == -EACCES || status == -EBUSY;
}

static void pause_for(uint64_t ns)
{
	struct timespec time = { .tv_nsec = (long)ns };

	if (fiber_current())
		fiber_sleep(ns);
	else
		nanosleep(&time, NULL);
}

/* A process that was killed holds its locks for a moment after its end, until the kernel has finished
 * the requests of its ring: so a lock is tried for a while. */
static int lock_patiently(int fd, bool exclusive)
{
	int status;

	for (uint64_t waited = 0;; waited += LOCK_STEP_NS) {
		status = exclusive ? lock_range(fd, F_WRLCK, 0, 0) : lock_shared(fd);
		if (!is_busy(status) || waited >= LOCK_PATIENCE_NS)
			return status;
		pause_for(LOCK_STEP_NS);
	}
}

static int say_busy(int fd, const char *path, bool exclusive, struct error *error)
{
	char text[PROCESS_TEXT];
	struct stat file;
	pid_t pid = fstat(fd, &file) ? 0 : process_with_lock(&file, getpid());

	if (pid) {
		error_set(error, -EBUSY, "%s: in use by %s", path, process_describe(pid, text));
		if (process_is_stopped(pid))
			error_advise(error,
				     "`kill -CONT %d` lets it go on; or end it, or work on a copy",
				     (int)pid);
		else
			error_advise(error, "end it, or work on a copy");
		return -EBUSY;
	}
	error_set(error, -EBUSY, "%s: in use by another process%s, or given twice", path,
		  exclusive ? "" : " that writes to it");
	error_advise(error, "find it with `fuser -v %s` and end it, or work on a copy", path);
	return -EBUSY;
}

int file_lock(int fd, const char *path, bool exclusive, struct error *error)
{
	int status = lock_patiently(fd, exclusive);

	if (is_busy(status))
		return say_busy(fd, path, exclusive, error);
	if (status < 0)
		return error_set(error, status, "%s: locking it: %s", path, error_name(status));
	return exclusive ? check_loops(fd, path, error) : 0;
}
