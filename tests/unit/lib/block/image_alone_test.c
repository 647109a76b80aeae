/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block/image_alone: images that take bytes from other files, whose names whoever made them chose. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "block/image_alone.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"

static char head[IMAGE_ALONE_HEAD];

static void begin(const char *magic, size_t length)
{
	memset(head, 0, sizeof(head));
	memcpy(head, magic, length);
}

static void begin_qcow2(void)
{
	begin("QFI\xfb\0\0\0\3", 8);
}

static void begin_vmdk(const char *descriptor)
{
	begin("KDMV\1\0\0\0", 8);
	put_le64(head + 12, 2048);
	snprintf(head + 512, sizeof(head) - 512, "%s", descriptor);
}

static int check(const char *format, size_t length, struct error *error)
{
	*error = (struct error){ 0 };
	return image_check_head(head, length, "image", format, error);
}

static void test_a_qcow2_image_by_itself(void)
{
	struct error error;

	begin_qcow2();
	CU_ASSERT_EQUAL(check("qcow2", sizeof(head), &error), 0);
	/* Dirty, or corrupt: that is qemu's to say. */
	put_be64(head + 72, 3);
	CU_ASSERT_EQUAL(check("qcow2", sizeof(head), &error), 0);
}

static void test_a_backing_file_is_named(void)
{
	struct error error;

	begin_qcow2();
	put_be64(head + 8, 1024);
	put_be32(head + 16, 11);
	memcpy(head + 1024, "/etc/shadowX", 12);
	CU_ASSERT_EQUAL(check("qcow2", sizeof(head), &error), -EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "backing file /etc/shadow;"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error.advice, "--backing"));
}

static void test_a_backing_name_that_is_not_there(void)
{
	static const uint64_t offsets[] = { 1, sizeof(head) - 1, sizeof(head), UINT64_MAX - 4 };
	struct error error;

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		begin_qcow2();
		put_be64(head + 8, offsets[i]);
		put_be32(head + 16, UINT32_MAX);
		CU_ASSERT_EQUAL(check("qcow2", sizeof(head), &error), -EPERM);
	}
}

static void test_an_external_data_file(void)
{
	struct error error;

	begin_qcow2();
	put_be64(head + 72, 4);
	CU_ASSERT_EQUAL(check("qcow2", sizeof(head), &error), -EPERM);
	/* Version 2 has no such field. */
	put_be32(head + 4, 2);
	CU_ASSERT_EQUAL(check("qcow2", sizeof(head), &error), 0);
}

static void test_a_vmdk_image_by_itself(void)
{
	struct error error;

	begin_vmdk("parentCID=ffffffff\nRW 4 SPARSE \"image\"\n");
	CU_ASSERT_EQUAL(check("vmdk", sizeof(head), &error), 0);
}

static void test_a_vmdk_image_with_a_parent(void)
{
	struct error error;

	begin_vmdk("parentCID=1\nparentFileNameHint=\"/etc/shadow\"\nRW 4 SPARSE \"image\"\n");
	CU_ASSERT_EQUAL(check("vmdk", sizeof(head), &error), -EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "/etc/shadow"));
	CU_ASSERT_PTR_NULL(strstr(error.text, "SPARSE"));
}

static void test_a_vmdk_image_of_extents(void)
{
	struct error error;

	begin("# Disk DescriptorFile\n", 22);
	CU_ASSERT_EQUAL(check("vmdk", sizeof(head), &error), -EPERM);
	/* Without a size the extents are what the descriptor says, which qemu follows. */
	begin_vmdk("RW 4 FLAT \"/etc/shadow\" 0\n");
	put_le64(head + 12, 0);
	CU_ASSERT_EQUAL(check("vmdk", sizeof(head), &error), -EPERM);
}

static void test_any_length(void)
{
	struct error error;

	for (size_t length = 0; length < sizeof(head); length++) {
		begin_qcow2();
		(void)check("qcow2", length, &error);
		begin_vmdk("parentFileNameHint=");
		CU_ASSERT_EQUAL(check("vmdk", length, &error) == 0,
				length >= 20 && length < 512 + 18);
	}
}

static void test_the_file_must_be_of_the_format(void)
{
	CLEANUP_CLOSE int fd = memfd_create("image", MFD_CLOEXEC);
	struct error error = { 0 };

	begin_qcow2();
	put_be64(head + 8, 1024);
	CU_ASSERT_EQUAL_FATAL(write(fd, head, sizeof(head)), (ssize_t)sizeof(head));
	CU_ASSERT_EQUAL(image_check_alone(fd, "image", "vmdk", true, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "holds qcow2, expected vmdk"));
	CU_ASSERT_EQUAL(image_check_alone(fd, "image", "qcow2", false, &error), -EPERM);
	CU_ASSERT_EQUAL(image_check_alone(fd, "image", "qcow2", true, &error), 0);
	CU_ASSERT_EQUAL(ftruncate(fd, 3), 0);
	CU_ASSERT_EQUAL(image_check_alone(fd, "image", "qcow2", true, &error), -EINVAL);
}

UNIT_MAIN("image_alone", UNIT(test_a_qcow2_image_by_itself), UNIT(test_a_backing_file_is_named),
	  UNIT(test_a_backing_name_that_is_not_there), UNIT(test_an_external_data_file),
	  UNIT(test_a_vmdk_image_by_itself), UNIT(test_a_vmdk_image_with_a_parent),
	  UNIT(test_a_vmdk_image_of_extents), UNIT(test_any_length),
	  UNIT(test_the_file_must_be_of_the_format))
