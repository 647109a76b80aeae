/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block/output: what a path for an output file may name, and what is never emptied. No fiber anywhere. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/output.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"

static bool is_capture(const void *head, size_t length)
{
	return length >= 4 && !memcmp(head, "CAPT", 4);
}

static const struct output_kind capture = { "a capture", is_capture };
static const struct output_kind text = { "text", output_is_text };

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", unit_directory(), name);
	return path;
}

/* A file of `size` bytes with some at a place. */
static const char *make(const char *name, off_t size, off_t offset, const void *bytes,
			size_t length)
{
	const char *path = path_of(name);
	CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(ftruncate(fd, size), 0);
	CU_ASSERT_EQUAL(pwrite(fd, bytes, length, offset), (ssize_t)length);
	return path;
}

static off_t size_of(const char *path)
{
	struct stat status;

	return stat(path, &status) ? -1 : status.st_size;
}

static int try_open(const char *path, unsigned flags, const struct output_kind *kind,
		    struct error *error)
{
	struct output out;
	int rc;

	*error = (struct error){ 0 };
	rc = output_open(&out, path, flags, kind, error);
	if (!rc)
		close(out.fd);
	else
		CU_ASSERT(out.fd == -1 && error->code == rc && strstr(error->text, path));
	return rc;
}

static void test_a_new_file_is_made(void)
{
	const char *path = path_of("new");
	struct output out;

	CU_ASSERT_EQUAL_FATAL(output_open(&out, path, 0, &capture, NULL), 0);
	CU_ASSERT(out.is_file && out.created);
	CU_ASSERT_EQUAL(write(out.fd, "CAPT", 4), 4);
	CU_ASSERT_EQUAL(size_of(path), 4);
	output_discard(&out, path);
	CU_ASSERT_EQUAL(size_of(path), -1);
}

static void test_one_of_its_kind_is_emptied(void)
{
	const char *path = make("old", 100000, 0, "CAPT", 4);
	struct error error;

	CU_ASSERT_EQUAL(try_open(path, 0, &capture, &error), 0);
	CU_ASSERT_EQUAL(size_of(path), 0);
}

static void test_another_kind_is_refused(void)
{
	const char *path = make("letter", 9, 0, "Dear Sir,", 9);
	struct error error;

	CU_ASSERT_EQUAL(try_open(path, 0, &capture, &error), -EEXIST);
	CU_ASSERT(strstr(error.text, "a capture") && strstr(error.advice, "--force"));
	CU_ASSERT_EQUAL(size_of(path), 9);
	CU_ASSERT_EQUAL(try_open(path, OUTPUT_FORCE, &capture, &error), 0);
	CU_ASSERT_EQUAL(size_of(path), 0);
}

/* Of every kind, whatever the caller expects, and text may be what a label stands in. */
static void test_a_signature_is_refused_and_named(void)
{
	static const struct {
		const char *bytes, *name;
		off_t offset;
		size_t length;
	} kinds[] = {
		{ "LABELONE\1\0\0\0\0\0\0\0\x80\x9b\x05\x7c\x20\0\0\0LVM2 001", "LVM2", 512, 32 },
		{ "QFI\xfb\0\0\0\3", "qcow2", 0, 8 },
		{ "\x1f\x8b\x08", "gzip", 0, 3 },
		{ "SWAPSPACE2", "swap", 4086, 10 },
	};
	struct error error;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *path =
			make("disk", 8 << 20, kinds[i].offset, kinds[i].bytes, kinds[i].length);

		if (i == 3)
			make("disk", 8 << 20, 1024, "\1\0\0\0\377\0\0\0", 8);
		if (i == 3) {
			CLEANUP_CLOSE int fd = open(path, O_WRONLY);

			CU_ASSERT_EQUAL(pwrite(fd, "SWAPSPACE2", 10, 4086), 10);
		}
		CU_ASSERT_EQUAL(try_open(path, OUTPUT_APPEND, &text, &error), -EEXIST);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, kinds[i].name));
		CU_ASSERT_EQUAL(try_open(path, 0, NULL, &error), -EEXIST);
		CU_ASSERT_EQUAL(size_of(path), 8 << 20);
	}
}

static void test_what_is_in_use_is_refused_even_by_force(void)
{
	const char *path = make("locked", 5, 0, "CAPT.", 5);
	struct output out, second;
	struct error error;

	CU_ASSERT_EQUAL_FATAL(output_open(&out, path, OUTPUT_APPEND, &capture, NULL), 0);
	CU_ASSERT_EQUAL(output_open(&second, path, OUTPUT_FORCE, &capture, &error), -EBUSY);
	CU_ASSERT_EQUAL(size_of(path), 5);
	/* And what was there before is never removed. */
	output_discard(&out, path);
	CU_ASSERT_EQUAL(size_of(path), 5);
}

static void test_appending_goes_on_at_the_end_after_a_truncation(void)
{
	const char *path = make("log", 4, 0, "one\n", 4);
	struct output out;

	CU_ASSERT_EQUAL_FATAL(output_open(&out, path, OUTPUT_APPEND, &text, NULL), 0);
	CU_ASSERT_EQUAL(write(out.fd, "two\n", 4), 4);
	CU_ASSERT_EQUAL(size_of(path), 8);
	CU_ASSERT_EQUAL(truncate(path, 0), 0);
	CU_ASSERT_EQUAL(write(out.fd, "three\n", 6), 6);
	CU_ASSERT_EQUAL(size_of(path), 6);
	close(out.fd);
}

static void test_a_fifo_without_a_reader_does_not_hang(void)
{
	const char *path = path_of("fifo");
	struct output out;
	struct error error;
	int reader;

	CU_ASSERT_EQUAL_FATAL(mkfifo(path, 0600), 0);
	CU_ASSERT_EQUAL(try_open(path, 0, &capture, &error), -ENXIO);
	reader = open(path, O_RDONLY | O_NONBLOCK);
	CU_ASSERT_EQUAL_FATAL(output_open(&out, path, OUTPUT_NONBLOCK, &capture, &error), 0);
	CU_ASSERT_FALSE(out.is_file);
	CU_ASSERT(fcntl(out.fd, F_GETFL) & O_NONBLOCK);
	close(out.fd);
	CU_ASSERT_EQUAL_FATAL(output_open(&out, path, 0, &capture, &error), 0);
	CU_ASSERT_FALSE(fcntl(out.fd, F_GETFL) & O_NONBLOCK);
	close(out.fd);
	close(reader);
}

/* What was made for one reader may be gone, or be another's by now. */
static void test_only_a_fifo(void)
{
	char fifo[256], link[256];
	struct output out;
	struct error error;
	const char *path;
	int reader;

	snprintf(fifo, sizeof(fifo), "%s", path_of("only"));
	snprintf(link, sizeof(link), "%s", path_of("only_link"));
	CU_ASSERT_EQUAL(try_open(fifo, OUTPUT_FIFO | OUTPUT_NONBLOCK, &capture, &error), -ENOENT);
	CU_ASSERT_EQUAL(size_of(fifo), -1);
	CU_ASSERT_EQUAL_FATAL(mkfifo(fifo, 0600), 0);
	CU_ASSERT_EQUAL(try_open(fifo, OUTPUT_FIFO | OUTPUT_NONBLOCK, &capture, &error), -ENXIO);
	reader = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	CU_ASSERT_EQUAL_FATAL(
		output_open(&out, fifo, OUTPUT_FIFO | OUTPUT_NONBLOCK, &capture, &error), 0);
	output_close(&out);
	CU_ASSERT_EQUAL(symlink(fifo, link), 0);
	CU_ASSERT_EQUAL(try_open(link, OUTPUT_FIFO | OUTPUT_NONBLOCK, &capture, &error), -EINVAL);
	close(reader);
	path = make("no_fifo", 4, 0, "CAPT", 4);
	CU_ASSERT_EQUAL(try_open(path, OUTPUT_FIFO | OUTPUT_FORCE, &capture, &error), -EINVAL);
	CU_ASSERT_EQUAL(size_of(path), 4);
	CU_ASSERT_EQUAL(try_open(unit_directory(), OUTPUT_FIFO, &capture, &error), -EINVAL);
	CU_ASSERT_EQUAL(try_open("/dev/null", OUTPUT_FIFO, &capture, &error), -EINVAL);
}

static void test_one_that_is_emptied_later(void)
{
	const char *path = make("later", 8, 0, "CAPT", 4);
	struct output out;
	char descriptor[32];
	int fd;

	CU_ASSERT_EQUAL_FATAL(output_open(&out, path, OUTPUT_LATER, &capture, NULL), 0);
	CU_ASSERT_EQUAL(size_of(path), 8);
	CU_ASSERT_EQUAL(output_empty(&out, path, NULL), 0);
	CU_ASSERT_EQUAL(size_of(path), 0);
	CU_ASSERT_EQUAL(write(out.fd, "CAPT", 4), 4);
	/* Once. */
	CU_ASSERT_EQUAL(output_empty(&out, path, NULL), 0);
	CU_ASSERT_EQUAL(size_of(path), 4);
	output_discard(&out, path);
	CU_ASSERT_EQUAL(size_of(path), 4);
	/* A descriptor that a shell has handed over is where that left it. */
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	snprintf(descriptor, sizeof(descriptor), "/dev/fd/%d", fd);
	CU_ASSERT_EQUAL_FATAL(output_open(&out, descriptor, OUTPUT_LATER, &capture, NULL), 0);
	CU_ASSERT_EQUAL(output_empty(&out, descriptor, NULL), 0);
	CU_ASSERT_EQUAL(size_of(path), 4);
	output_close(&out);
	close(fd);
}

/* The shell's own description stays as it is. */
static void test_descriptors_that_we_were_given(void)
{
	struct output out;
	int ends[2];
	char path[32];

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[1]);
	CU_ASSERT_EQUAL_FATAL(output_open(&out, path, OUTPUT_NONBLOCK, &capture, NULL), 0);
	CU_ASSERT(fcntl(out.fd, F_GETFL) & O_NONBLOCK);
	CU_ASSERT_FALSE(fcntl(ends[1], F_GETFL) & O_NONBLOCK);
	close(out.fd);
	close(ends[1]);
	/* One that is open for reading is none, whatever /dev/fd would open anew. */
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	CU_ASSERT_EQUAL(output_open(&out, path, OUTPUT_NONBLOCK, &capture, NULL), -EBADF);
	close(ends[0]);
	CU_ASSERT_EQUAL(output_open(&out, "/dev/null", 0, &capture, NULL), 0);
	CU_ASSERT_FALSE(out.is_file);
	close(out.fd);
}

static void test_what_is_no_file(void)
{
	struct error error;

	CU_ASSERT_EQUAL(try_open(unit_directory(), OUTPUT_FORCE, &capture, &error), -EINVAL);
	CU_ASSERT_EQUAL(try_open(path_of("no/folder"), 0, &capture, &error), -ENOENT);
}

static void test_a_link_to_nothing_makes_what_it_names(void)
{
	char target[256];
	struct error error;

	snprintf(target, sizeof(target), "%s", path_of("target"));
	CU_ASSERT_EQUAL(symlink(target, path_of("link")), 0);
	CU_ASSERT_EQUAL(try_open(path_of("link"), 0, &capture, &error), 0);
	CU_ASSERT_EQUAL(size_of(target), 0);
}

UNIT_MAIN("output files", UNIT(test_a_new_file_is_made), UNIT(test_one_of_its_kind_is_emptied),
	  UNIT(test_another_kind_is_refused), UNIT(test_a_signature_is_refused_and_named),
	  UNIT(test_what_is_in_use_is_refused_even_by_force),
	  UNIT(test_appending_goes_on_at_the_end_after_a_truncation),
	  UNIT(test_a_fifo_without_a_reader_does_not_hang), UNIT(test_only_a_fifo),
	  UNIT(test_one_that_is_emptied_later), UNIT(test_descriptors_that_we_were_given),
	  UNIT(test_what_is_no_file), UNIT(test_a_link_to_nothing_makes_what_it_names))
