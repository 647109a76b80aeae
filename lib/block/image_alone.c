/* SPDX-License-Identifier: BSD-2-Clause */
/* See image_alone.h. */
#include "block/image_alone.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "block/image_format.h"
#include "util/bytes.h"
#include "util/error.h"

#define QCOW2_BACKING_OFFSET 8u
#define QCOW2_BACKING_SIZE   16u
#define QCOW2_INCOMPATIBLE   72u
#define QCOW2_DATA_FILE      (1ull << 2)
#define QCOW2_NAME_MOST      1023u

#define VMDK_CAPACITY   12u
#define VMDK_DESCRIPTOR 512u

static int names_others(const char *path, const char *what, const char *named, size_t length,
			struct error *error)
{
	error_set(error, -EPERM, "%s: %s%s%.*s; expected an image that needs no other file", path,
		  what, length ? " " : "", (int)length, named);
	return error_advise(error, "where you know who made it: --backing has the files read that "
				   "it names");
}

static int check_qcow2(const char *at, size_t length, const char *path, struct error *error)
{
	uint64_t name, size;

	if (length < QCOW2_BACKING_SIZE + 4)
		return 0;
	name = get_be64(at + QCOW2_BACKING_OFFSET);
	size = MIN((uint64_t)get_be32(at + QCOW2_BACKING_SIZE), QCOW2_NAME_MOST);
	if (name)
		return names_others(path, "it has a backing file",
				    range_within(name, size, length) ? at + name : "",
				    range_within(name, size, length) ? (size_t)size : 0, error);
	if (length >= QCOW2_INCOMPATIBLE + 8 && get_be32(at + 4) >= 3 &&
	    get_be64(at + QCOW2_INCOMPATIBLE) & QCOW2_DATA_FILE)
		return names_others(path, "its data are in another file", "", 0, error);
	return 0;
}

static int check_vmdk(const char *at, size_t length, const char *path, struct error *error)
{
	static const char parent[] = "parentFileNameHint";
	const char *hint, *end;

	if (length >= 4 && !memcmp(at, "COWD", 4))
		return 0;
	if (length < VMDK_CAPACITY + 8 || memcmp(at, "KDMV", 4) != 0 ||
	    !get_le64(at + VMDK_CAPACITY))
		return names_others(path, "its data are in other files", "", 0, error);
	if (length <= VMDK_DESCRIPTOR)
		return 0;
	hint = memmem(at + VMDK_DESCRIPTOR, length - VMDK_DESCRIPTOR, parent, sizeof(parent) - 1);
	if (!hint)
		return 0;
	length = MIN((size_t)(at + length - hint), (size_t)200);
	end = memchr(hint, '\n', length);
	return names_others(path, "it has a parent:", hint, end ? (size_t)(end - hint) : length,
			    error);
}

int image_check_head(const void *head, size_t length, const char *path, const char *format,
		     struct error *error)
{
	if (!strcmp(format, "qcow2"))
		return check_qcow2(head, length, path, error);
	if (!strcmp(format, "vmdk"))
		return check_vmdk(head, length, path, error);
	return 0;
}

int image_check_alone(int fd, const char *path, const char *format, bool others,
		      struct error *error)
{
	const struct image_format *found = image_format_of_file(fd);
	char head[IMAGE_ALONE_HEAD];
	ssize_t got = pread(fd, head, sizeof(head), 0);

	if (got < 0)
		return error_set(error, -errno, "%s: reading it: %s", path, error_name(errno));
	if (!found) {
		error_set(error, -EINVAL, "%s: it does not begin as a %s image does", path, format);
		return error_advise(error, "--format raw takes its bytes as they are");
	}
	if (strcmp(found->name, format) != 0) {
		error_set(error, -EINVAL, "%s: holds %s, expected %s", path, found->name, format);
		return error_advise(error, "--format %s if that is what it is", found->name);
	}
	return others ? 0 : image_check_head(head, (size_t)got, path, format, error);
}
