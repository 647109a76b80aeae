/* SPDX-License-Identifier: BSD-2-Clause */
/* See image_attributes.h. */
#include "tools/image_attributes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ext2fs_library.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"

#define BLOCK     512u
#define TYPE      156u /* where a header says what it is */
#define NAME_MOST 100u
#define PREFIX    345u
#define SIZE      124u
#define HEAD_MOST (1u << 20) /* of an extended header */
#define KEY       "SCHILY.xattr."

static bool is_wanted(const char *name)
{
	return !strcmp(name, "security.capability") || !strncmp(name, "user.", 5);
}

static int add(struct image_attributes *attributes, const char *name, const char *value,
	       size_t length)
{
	struct image_attribute *grown =
		realloc(attributes->all, (attributes->count + 1) * sizeof(*grown));
	struct image_attribute one = { .length = length };

	if (!grown)
		return -ENOMEM;
	attributes->all = grown;
	one.name = strdup(name);
	one.value = malloc(length + 1);
	if (!one.name || !one.value) {
		free(one.name);
		free(one.value);
		return -ENOMEM;
	}
	memcpy(one.value, value, length);
	grown[attributes->count++] = one;
	return 0;
}

/* ---- The archive ---- */

/* What is being read. Attributes from `pending` on are of the member that comes next. */
struct reading {
	FILE *file;
	struct image_attributes *attributes;
	size_t pending;
	char *path; /* that the extended header says for it, or NULL */
};

static int take_record(struct reading *reading, char *record, size_t length)
{
	char *equals = memchr(record, '=', length);
	size_t value;

	if (!equals)
		return 0;
	*equals = '\0';
	value = length - (size_t)(equals + 1 - record);
	if (!strcmp(record, "path")) {
		free(reading->path);
		reading->path = strndup(equals + 1, value);
		return reading->path ? 0 : -ENOMEM;
	}
	if (strncmp(record, KEY, strlen(KEY)) != 0 || !is_wanted(record + strlen(KEY)))
		return 0;
	return add(reading->attributes, record + strlen(KEY), equals + 1, value);
}

/* "LENGTH KEY=VALUE\n", one after another; a value is any bytes. */
static int take_records(struct reading *reading, char *text, size_t length)
{
	int rc = 0;

	for (char *at = text, *end = text + length; !rc && at < end && *at;) {
		char *key;
		unsigned long long whole = strtoull(at, &key, 10);

		if (*key != ' ' || whole > (size_t)(end - at) || whole < (size_t)(key - at) + 3 ||
		    at[whole - 1] != '\n')
			return -EINVAL;
		rc = take_record(reading, key + 1, (size_t)(at + whole - 1 - (key + 1)));
		at += whole;
	}
	return rc;
}

static int take_extended(struct reading *reading, uint64_t size, char type)
{
	CLEANUP_FREE char *text = NULL;

	if (size > HEAD_MOST)
		return -E2BIG;
	text = calloc(1, round_up(size, (uint64_t)BLOCK) + 1);
	if (!text)
		return -ENOMEM;
	if (size && fread(text, round_up(size, (uint64_t)BLOCK), 1, reading->file) != 1)
		return -EIO;
	if (type == 'x')
		return take_records(reading, text, size);
	/* 'L': GNU's long name. */
	free(reading->path);
	reading->path = strdup(text);
	return reading->path ? 0 : -ENOMEM;
}

/* The member itself: what came before is its. */
static int take_member(struct reading *reading, const char *header)
{
	struct image_attributes *attributes = reading->attributes;
	bool ustar = !memcmp(header + 257, "ustar", 6);
	char name[PREFIX + NAME_MOST + 2];

	snprintf(name, sizeof(name), "%.155s%s%.100s", ustar ? header + PREFIX : "",
		 ustar && header[PREFIX] ? "/" : "", header);
	for (; reading->pending < attributes->count; reading->pending++) {
		struct image_attribute *one = &attributes->all[reading->pending];

		one->path = strdup(reading->path ? reading->path : name);
		if (!one->path)
			return -ENOMEM;
	}
	free(reading->path);
	reading->path = NULL;
	return 0;
}

/* Octal, or, of what is larger than eight digits hold, binary with the first bit set. */
static uint64_t size_of(const char *header)
{
	const uint8_t *field = (const uint8_t *)header + SIZE;
	char digits[13] = "";
	uint64_t size = 0;

	if (field[0] & 0x80) {
		for (unsigned i = 4; i < 12; i++)
			size = size << 8 | field[i];
		return size;
	}
	memcpy(digits, field, 12);
	return strtoull(digits, NULL, 8);
}

static int read_all(struct reading *reading)
{
	char header[BLOCK];
	int rc = 0;

	while (!rc && fread(header, BLOCK, 1, reading->file) == 1 && header[0]) {
		uint64_t size = size_of(header);
		char type = header[TYPE];

		if (size > INT64_MAX - BLOCK)
			return -EINVAL;
		if (type == 'x' || type == 'L') {
			rc = take_extended(reading, size, type);
			continue;
		}
		/* Links have a size at times, and no data. */
		if (type != 'g' && type != 'K')
			rc = take_member(reading, header);
		if (type != '1' && type != '2' && size &&
		    fseeko(reading->file, (off_t)round_up(size, (uint64_t)BLOCK), SEEK_CUR))
			rc = -errno;
	}
	return rc ? rc : ferror(reading->file) ? -EIO : 0;
}

int image_attributes_read(struct image_attributes *attributes, const char *archive,
			  struct error *error)
{
	struct reading reading = { .file = fopen(archive, "re"), .attributes = attributes };
	int rc = reading.file ? read_all(&reading) : -errno;

	/* Of a member that did not come. */
	while (attributes->count > reading.pending) {
		struct image_attribute *one = &attributes->all[--attributes->count];

		free(one->name);
		free(one->value);
	}
	if (reading.file)
		fclose(reading.file);
	free(reading.path);
	return rc ? error_set(error, rc, "%s: reading its extended attributes: %s", archive,
			      error_name(rc))
		  : 0;
}

void image_attributes_free(struct image_attributes *attributes)
{
	for (size_t i = 0; i < attributes->count; i++) {
		free(attributes->all[i].path);
		free(attributes->all[i].name);
		free(attributes->all[i].value);
	}
	free(attributes->all);
	*attributes = (struct image_attributes){ 0 };
}

/* ---- The file system ---- */

static errcode_t set_one(ext2_filsys fs, const struct image_attribute *one)
{
	struct ext2_xattr_handle *handle = NULL;
	ext2_ino_t number;
	errcode_t rc = libext2fs.ext2fs_namei(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, one->path, &number);

	if (rc == EXT2_ET_FILE_NOT_FOUND)
		return 0;
	if (!rc)
		rc = libext2fs.ext2fs_xattrs_open(fs, number, &handle);
	if (!rc)
		rc = libext2fs.ext2fs_xattrs_read(handle);
	if (!rc)
		rc = libext2fs.ext2fs_xattr_set(handle, one->name, one->value, one->length);
	if (handle)
		libext2fs.ext2fs_xattrs_close(&handle);
	return rc;
}

int image_attributes_set(const struct image_attributes *attributes, const char *disk,
			 uint64_t offset, struct error *error)
{
	const char *path = disk;
	ext2_filsys fs = NULL;
	char options[40];
	errcode_t rc, closed;

	if (!attributes->count)
		return 0;
	rc = libext2fs_load(error);
	if (rc)
		return (int)rc;
	snprintf(options, sizeof(options), "offset=%" PRIu64, offset);
	rc = libext2fs.ext2fs_open2(disk, options, EXT2_FLAG_RW | EXT2_FLAG_64BITS, 0, 0,
				    *libext2fs.unix_io_manager, &fs);
	if (!rc)
		rc = libext2fs.ext2fs_read_bitmaps(fs);
	for (size_t i = 0; !rc && i < attributes->count; i++) {
		path = attributes->all[i].path;
		rc = set_one(fs, &attributes->all[i]);
	}
	closed = fs ? libext2fs.ext2fs_close_free(&fs) : 0;
	rc = rc ? rc : closed;
	return rc ? error_set(error, -EIO, "%s: setting extended attributes: %s", path,
			      libext2fs.error_message(rc))
		  : 0;
}
