/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block/identity: one file under several names, parts of it, and who holds it. Loops are in tests/interop. */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/block.h"
#include "block/file.h"
#include "block/identity.h"
#include "block/signature.h"
#include "fiber_run.h"
#include "util/cleanup.h"
#include "util/error.h"

#define MIB (1ULL << 20)

static const char *path_of(const char *name)
{
	static char paths[4][160];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", unit_directory(), name);
	return path;
}

static const char *make(const char *name)
{
	const char *path = path_of(name);
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(ftruncate(fd, 8 * MIB), 0);
	close(fd);
	return path;
}

static struct block_identity identify(const char *path)
{
	struct block_identity identity;

	CU_ASSERT_EQUAL_FATAL(block_identify_path(&identity, path), 0);
	return identity;
}

static void test_names_of_one_file_are_the_same(void)
{
	const char *path = make("a"), *hard = path_of("hard"), *soft = path_of("soft");
	struct block_identity one, other;

	CU_ASSERT_EQUAL_FATAL(link(path, hard), 0);
	CU_ASSERT_EQUAL_FATAL(symlink(path, soft), 0);
	one = identify(path);
	other = identify(hard);
	CU_ASSERT_TRUE(block_identity_same(&one, &other));
	CU_ASSERT_TRUE(block_identity_overlaps(&one, &other));
	block_identity_free(&other);
	other = identify(soft);
	CU_ASSERT_TRUE(block_identity_same(&one, &other));
	block_identity_free(&other);
	other = identify(make("b"));
	CU_ASSERT_FALSE(block_identity_same(&one, &other));
	CU_ASSERT_FALSE(block_identity_overlaps(&one, &other));
	block_identity_free(&one);
	block_identity_free(&other);
}

static void test_parts_overlap_where_they_do(void)
{
	const char *path = make("parts");
	struct block_identity all = identify(path), one = identify(path), other = identify(path);

	block_identity_narrow(&one, MIB, MIB);
	block_identity_narrow(&other, 2 * MIB, MIB);
	CU_ASSERT_TRUE(block_identity_overlaps(&all, &one));
	CU_ASSERT_FALSE(block_identity_overlaps(&one, &other));
	CU_ASSERT_FALSE(block_identity_same(&one, &other));
	CU_ASSERT_FALSE(block_identity_same(&one, &all));
	/* A part of a part ends where the first does. */
	block_identity_narrow(&one, 512, 4 * MIB);
	CU_ASSERT_EQUAL(one.parts[0].start, MIB + 512);
	CU_ASSERT_EQUAL(one.parts[0].end, 2 * MIB);
	block_identity_free(&all);
	block_identity_free(&one);
	block_identity_free(&other);
}

static void test_an_identity_survives_as_bytes(void)
{
	struct block_identity one = identify(make("packed")), other;
	CLEANUP_FREE char *data = NULL;
	size_t size;

	one.unknown = strdup("something");
	data = block_identity_pack(&one, &size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(data);
	CU_ASSERT_EQUAL_FATAL(block_identity_unpack(&other, data, size), 0);
	CU_ASSERT_TRUE(block_identity_same(&one, &other));
	CU_ASSERT_STRING_EQUAL(other.parts[0].path, one.parts[0].path);
	CU_ASSERT_STRING_EQUAL(other.unknown, "something");
	block_identity_free(&other);
	for (size_t i = 0; i < size; i++) {
		CLEANUP_FREE char *less = malloc(i + 1); /* for AddressSanitizer */

		memcpy(less, data, i);
		CU_ASSERT_EQUAL(block_identity_unpack(&other, less, i), -EINVAL);
	}
	block_identity_free(&one);
}

static void test_what_is_no_storage_has_no_parts(void)
{
	struct block_identity identity = identify("/dev/null");

	CU_ASSERT_EQUAL(identity.count, 0);
	CU_ASSERT_EQUAL(block_identify_path(&identity, path_of("missing")), -ENOENT);
}

/* ---- Who cannot look ---- */

/* No more than are open now. Returns the limit as it was. */
static struct rlimit no_descriptors(void)
{
	struct rlimit old, few;
	int next = dup(0);

	close(next);
	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = (rlim_t)next;
	setrlimit(RLIMIT_NOFILE, &few);
	return old;
}

/* A disk of this host, whichever. */
static bool find_disk(dev_t *device)
{
	DIR *all = opendir("/sys/dev/block");
	const struct dirent *entry;
	unsigned major, minor;
	bool found = false;

	while (all && !found && (entry = readdir(all)))
		found = sscanf(entry->d_name, "%u:%u", &major, &minor) == 2;
	if (all)
		closedir(all);
	if (found)
		*device = makedev(major, minor);
	return found;
}

/* What a disk lies on is not nothing because there is no descriptor to look with. */
static void test_no_descriptors_are_not_nothing_below(void)
{
	struct block_identity identity;
	struct rlimit old;
	dev_t device;

	if (!find_disk(&device))
		return unit_skip("there are no block devices");
	CU_ASSERT_EQUAL(block_identify_number(&identity, device), 0);
	block_identity_free(&identity);
	old = no_descriptors();
	CU_ASSERT_EQUAL(block_identify_number(&identity, device), -EMFILE);
	setrlimit(RLIMIT_NOFILE, &old);
	CU_ASSERT_EQUAL(identity.count, 0);
}

/* Nor is the disk of a partition then one without an array, over whose member one may write. */
static void test_no_descriptors_are_no_leave_to_write(void)
{
	struct block_signature found;
	CLEANUP_FREE char *whole = NULL;
	const char *disk = make("disk");
	char name[200];
	struct rlimit old;

	snprintf(name, sizeof(name), "%s:1", disk);
	CU_ASSERT_EQUAL(block_signature_below(name, &found, &whole), 0);
	old = no_descriptors();
	CU_ASSERT_EQUAL(block_signature_below(name, &found, &whole), -EMFILE);
	setrlimit(RLIMIT_NOFILE, &old);
}

/* ---- Locks ---- */

static int open_part(struct block **out, const char *path, unsigned flags, uint64_t at,
		     uint64_t length)
{
	struct error error = { 0 };
	int rc = block_open_part(out, "part", path, flags | BLOCK_OPEN_LOCK, at, length, &error);

	CU_ASSERT_EQUAL(rc, error.code);
	return rc;
}

static int open_all(struct block **out, const char *path, unsigned flags)
{
	return block_open_file(out, path, flags | BLOCK_OPEN_LOCK, 0, NULL);
}

static int parts_are_locked_apart(void *arg)
{
	const char *path = make("locked");
	struct block *one = NULL, *other = NULL, *third = NULL;

	(void)arg;
	CU_ASSERT_EQUAL(open_part(&one, path, BLOCK_OPEN_WRITE, 0, MIB), 0);
	CU_ASSERT_EQUAL(open_part(&other, path, BLOCK_OPEN_WRITE, MIB, MIB), 0);
	CU_ASSERT_EQUAL(open_part(&third, path, 0, 2 * MIB, MIB), 0);
	block_unref(third);
	CU_ASSERT_EQUAL(open_part(&third, path, BLOCK_OPEN_WRITE, MIB - 512, 1024), -EBUSY);
	CU_ASSERT_EQUAL(open_part(&third, path, 0, 0, 512), -EBUSY);
	CU_ASSERT_EQUAL(open_part(&third, path, 0, MIB + 512, 512), -EBUSY);
	CU_ASSERT_EQUAL(open_all(&third, path, BLOCK_OPEN_WRITE), -EBUSY);
	CU_ASSERT_EQUAL(open_all(&third, path, 0), -EBUSY);
	block_unref(one);
	block_unref(other);
	/* And the other way round. */
	CU_ASSERT_EQUAL_FATAL(open_all(&one, path, 0), 0);
	CU_ASSERT_EQUAL(open_part(&other, path, BLOCK_OPEN_WRITE, 4 * MIB, MIB), -EBUSY);
	CU_ASSERT_EQUAL_FATAL(open_part(&other, path, 0, 4 * MIB, MIB), 0);
	block_unref(one);
	CU_ASSERT_EQUAL(open_all(&one, path, BLOCK_OPEN_WRITE), -EBUSY);
	CU_ASSERT_EQUAL(open_part(&one, path, BLOCK_OPEN_WRITE, 4 * MIB, 512), -EBUSY);
	CU_ASSERT_EQUAL_FATAL(open_part(&one, path, BLOCK_OPEN_WRITE, 0, MIB), 0);
	block_unref(one);
	block_unref(other);
	return 0;
}

static void test_parts_are_locked_apart(void)
{
	fiber_run_each(parts_are_locked_apart, NULL);
}

static void lock_byte(int fd, off_t byte)
{
	struct flock lock = { .l_type = F_RDLCK, .l_start = byte, .l_len = 1 };

	CU_ASSERT_EQUAL(fcntl(fd, F_OFD_SETLK, &lock), 0);
}

static bool would_collide(int fd, off_t byte)
{
	struct flock lock = { .l_type = F_WRLCK, .l_start = byte, .l_len = 1 };

	CU_ASSERT_EQUAL(fcntl(fd, F_OFD_GETLK, &lock), 0);
	return lock.l_type != F_UNLCK;
}

/* QEMU locks byte 100 + n for what it does (0 reads, 1 writes), 200 + n for what others may not do. */
static int parts_and_qemu(void *arg)
{
	const char *path = make("qemu");
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct block *part = NULL;

	(void)arg;
	lock_byte(fd, 100);
	lock_byte(fd, 201);
	CU_ASSERT_EQUAL(open_part(&part, path, BLOCK_OPEN_WRITE, MIB, MIB), -EBUSY);
	CU_ASSERT_EQUAL_FATAL(open_part(&part, path, 0, MIB, MIB), 0);
	CU_ASSERT_FALSE(would_collide(fd, 101));
	CU_ASSERT_TRUE(would_collide(fd, 201));
	block_unref(part);
	lock_byte(fd, 101);
	CU_ASSERT_EQUAL(open_part(&part, path, 0, MIB, MIB), -EBUSY);
	close(fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	CU_ASSERT_EQUAL_FATAL(open_part(&part, path, BLOCK_OPEN_WRITE, MIB, MIB), 0);
	/* A QEMU that reads looks at 101, one that writes at 201. */
	CU_ASSERT_TRUE(would_collide(fd, 101));
	CU_ASSERT_TRUE(would_collide(fd, 201));
	block_unref(part);
	close(fd);
	return 0;
}

static void test_parts_and_qemu(void)
{
	fiber_run_each(parts_and_qemu, NULL);
}

static void test_the_holder_is_named(void)
{
	const char *path = make("held");
	int fd = open(path, O_RDWR | O_CLOEXEC), ready[2];
	struct file_locks locks = { 0 };
	struct error error = { 0 };
	char expected[64], byte;
	pid_t child;

	CU_ASSERT_EQUAL_FATAL(pipe(ready), 0);
	child = fork();
	if (!child) {
		int own = open(path, O_RDWR | O_CLOEXEC);

		if (!file_lock_range(own, path, true, 0, BLOCK_TO_THE_END, &locks, NULL) &&
		    write(ready[1], "+", 1) == 1)
			pause();
		_exit(1);
	}
	CU_ASSERT_EQUAL(read(ready[0], &byte, 1), 1);
	CU_ASSERT_EQUAL(file_lock_range(fd, path, true, 0, BLOCK_TO_THE_END, &locks, &error),
			-EBUSY);
	file_unlock(&locks);
	snprintf(expected, sizeof(expected), "process %d (", (int)child);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, expected));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	close(fd);
}

UNIT_MAIN("block identity", UNIT(test_names_of_one_file_are_the_same),
	  UNIT(test_parts_overlap_where_they_do), UNIT(test_what_is_no_storage_has_no_parts),
	  UNIT(test_an_identity_survives_as_bytes), UNIT(test_no_descriptors_are_not_nothing_below),
	  UNIT(test_no_descriptors_are_no_leave_to_write), UNIT(test_parts_are_locked_apart),
	  UNIT(test_parts_and_qemu), UNIT(test_the_holder_is_named))
