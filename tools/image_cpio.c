/* SPDX-License-Identifier: BSD-2-Clause */
/* cpio archives in the "newc" form; Linux, Documentation/driver-api/early-userspace/buffer-format.rst. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/image.h"

static int put_padded(FILE *to, const void *data, size_t length, size_t before)
{
	static const char zeroes[4];
	size_t padding = (4 - (before + length) % 4) % 4;

	if ((length && fwrite(data, length, 1, to) != 1) ||
	    (padding && fwrite(zeroes, padding, 1, to) != 1))
		return errno ? -errno : -EIO;
	return 0;
}

int image_cpio_add(FILE *to, const char *name, mode_t mode, const void *data, size_t length)
{
	/* Inode numbers only tell hard links apart; with one link there are none. */
	static const unsigned inode = 0, links = 1;
	int head, rc;

	if (length > UINT32_MAX)
		return -EFBIG;
	/* magic, inode, mode, uid, gid, links, mtime, size, device, device of the node, name's size, check */
	head = fprintf(to, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", inode,
		       (unsigned)mode, 0, 0, links, 0, (unsigned)length, 0, 0, 0, 0,
		       (unsigned)strlen(name) + 1, 0);
	if (head < 0)
		return errno ? -errno : -EIO;
	rc = put_padded(to, name, strlen(name) + 1, (size_t)head);
	return rc ? rc : put_padded(to, data, length, 0);
}

int image_cpio_end(FILE *to)
{
	return image_cpio_add(to, "TRAILER!!!", 0, NULL, 0);
}
