/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See image_format.h. Sources: qemu docs/interop/qcow2.txt and qed_spec.txt; VMware Virtual Disk Format 1.1;
 * VirtualBox VDICore.h (pre-header); Microsoft's VHD (footer) and MS-VHDX; Parallels' prl-xml.txt; RFC 1952
 * (gzip), RFC 8878 (zstd), the xz, bzip2, lz4 frame and lzip formats; Apple's UDIF trailer.
 */
#include "block/image_format.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/error.h"

struct magic {
	struct image_format format;
	size_t offset;
	const char *bytes;
	size_t length;
};

#define MAGIC(name, kind, decompressor, qemu, offset, bytes)                                       \
	{                                                                                          \
		{ name, kind, decompressor, qemu }, offset, bytes, sizeof(bytes) - 1               \
	}
#define IMAGE(name, qemu, offset, bytes) MAGIC(name, "image", NULL, qemu, offset, bytes)
#define PACKED(name, command, bytes)     MAGIC(name, "compressed stream", command, NULL, 0, bytes)

static const struct magic heads[] = {
	IMAGE("qcow2", "qcow2", 0, "QFI\xfb\0\0\0\2"),
	IMAGE("qcow2", "qcow2", 0, "QFI\xfb\0\0\0\3"),
	IMAGE("qcow", "qcow", 0, "QFI\xfb\0\0\0\1"),
	IMAGE("qed", "qed", 0, "QED\0"),
	IMAGE("vmdk", "vmdk", 0, "KDMV"),
	IMAGE("vmdk", "vmdk", 0, "COWD"),
	IMAGE("vmdk", "vmdk", 0, "# Disk DescriptorFile"),
	IMAGE("vdi", "vdi", 64, "\x7f\x10\xda\xbe"),
	IMAGE("vhd", "vpc", 0, "conectix"),
	IMAGE("vhdx", "vhdx", 0, "vhdxfile"),
	IMAGE("parallels", "parallels", 0, "WithoutFreeSpace"),
	IMAGE("parallels", "parallels", 0, "WithouFreSpacExt"),
	PACKED("gzip", "gzip -dc", "\x1f\x8b\x08"),
	PACKED("xz", "xz -dc", "\xfd\x37zXZ\0"),
	PACKED("zstd", "zstd -dc", "\x28\xb5\x2f\xfd"),
	PACKED("lz4", "lz4 -dc", "\x04\x22\x4d\x18"),
	PACKED("lz4", "lz4 -dc", "\x02\x21\x4c\x18"),
	PACKED("lzip", "lzip -dc", "LZIP\1"),
	PACKED("lzop", "lzop -dc", "\x89LZO\0\r\n\x1a\n"),
	MAGIC("zip", "archive", "unzip -p", NULL, 0, "PK\3\4"),
	MAGIC("7z", "archive", "7z x -so", NULL, 0, "7z\xbc\xaf\x27\x1c"),
};

/* bzip2's level lies between two parts of its magic. */
static const struct image_format bzip2 = { "bzip2", "compressed stream", "bzip2 -dc", NULL };

static const struct magic tails[] = {
	IMAGE("vhd", "vpc", 0, "conectix"),
	IMAGE("dmg", "dmg", 0, "koly\0\0\0\4\0\0\2\0"),
};

static const struct image_format *match(const struct magic *magics, size_t count, const char *at,
					size_t length)
{
	for (size_t i = 0; i < count; i++)
		if (range_within(magics[i].offset, magics[i].length, length) &&
		    !memcmp(at + magics[i].offset, magics[i].bytes, magics[i].length))
			return &magics[i].format;
	return NULL;
}

const struct image_format *image_format_of_head(const void *head, size_t length)
{
	const char *at = head;

	if (length >= 10 && !memcmp(at, "BZh", 3) && at[3] >= '1' && at[3] <= '9' &&
	    (!memcmp(at + 4, "\x31\x41\x59\x26\x53\x59", 6) ||
	     !memcmp(at + 4, "\x17\x72\x45\x38\x50\x90", 6)))
		return &bzip2;
	return match(heads, ARRAY_SIZE(heads), at, length);
}

const struct image_format *image_format_of_tail(const void *tail, size_t length)
{
	const char *at = tail;

	if (length < IMAGE_FORMAT_TAIL)
		return NULL;
	return match(tails, ARRAY_SIZE(tails), at + length - IMAGE_FORMAT_TAIL, IMAGE_FORMAT_TAIL);
}

const struct image_format *image_format_of_file(int fd)
{
	const struct image_format *found = NULL;
	char at[IMAGE_FORMAT_HEAD];
	struct stat status;
	ssize_t got = pread(fd, at, sizeof(at), 0);

	if (got > 0)
		found = image_format_of_head(at, (size_t)got);
	if (found || fstat(fd, &status) || status.st_size < (off_t)sizeof(at))
		return found;
	got = pread(fd, at, sizeof(at), status.st_size - (off_t)sizeof(at));
	return got > 0 ? image_format_of_tail(at, (size_t)got) : NULL;
}

const struct image_format *image_format_of_block(struct block *block)
{
	const struct image_format *found = NULL;
	uint32_t unit = block->logical_block_size;
	char at[4096];

	if (block->size < unit || unit > sizeof(at))
		return NULL;
	if (!block_read(block, 0, at, unit))
		found = image_format_of_head(at, unit);
	if (!found && !block_read(block, block->size - unit, at, unit))
		found = image_format_of_tail(at, unit);
	return found;
}

int image_format_refuse(const struct image_format *format, const char *path, struct error *error)
{
	bool stream = !strcmp(path, "-");

	error_set(error, -EINVAL, "%s: holds a %s %s, not the bytes of a disk",
		  stream ? "standard input" : path, format->name, format->kind);
	if (format->qemu)
		error_advise(error, "first `qemu-img convert -f %s -O raw %s disk.raw`",
			     format->qemu, stream ? "FILE" : path);
	else
		error_advise(error, "`%s %s | tenon copy - DESTINATION`", format->decompressor,
			     stream ? "FILE" : path);
	return -EINVAL;
}
