/* SPDX-License-Identifier: BSD-2-Clause */
/* The partial parity log's format. That it is md's is shown by tests/guest/raid_parity_test.sh. */
#include <errno.h>
#include <string.h>

#include "raid/md_ppl.h"
#include "raid/raid5_geometry.h"
#include "unit.h"
#include "util/bytes.h"
#include "util/error.h"

/* 4 disks, chunks of 16 KiB: the example in the kernel's description of the log. */
static const struct raid_geometry geometry = { 5, RAID5_LEFT_SYMMETRIC, 32, 4, 3200 };

static struct md_ppl_header sample(void)
{
	return (struct md_ppl_header){ .signature = 0x12345678,
				       .generation = 77,
				       .count = 2,
				       .entries = { { 8, 3 * 4096, 6 * 4096, 3, 0xabcd },
						    { 96, 0, 3 * 16384, 2, 0 } } };
}

static void test_checksum(void)
{
	/* The check value of CRC-32C, whole and in two parts. */
	CU_ASSERT_EQUAL(md_crc32c(0, "123456789", 9), 0xe3069283);
	CU_ASSERT_EQUAL(md_crc32c(md_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
	CU_ASSERT_EQUAL(md_crc32c(0, "", 0), 0);
}

static void test_round_trip(void)
{
	struct md_ppl_header header = sample(), back;
	uint8_t page[MD_PPL_HEADER_BYTES];
	struct error error;

	md_ppl_encode(&header, page);
	CU_ASSERT_EQUAL(page[0], 0xff);
	CU_ASSERT_EQUAL(page[511], 0xff);
	CU_ASSERT_EQUAL(get_le64(page + 520), 77);
	CU_ASSERT_EQUAL(get_le32(page + 528), 2);
	CU_ASSERT_EQUAL(get_le64(page + 536 + 24), 96);
	CU_ASSERT_EQUAL(md_ppl_decode(page, &back, &error), 0);
	CU_ASSERT_EQUAL(memcmp(&header, &back, sizeof(back)), 0);
	CU_ASSERT_EQUAL(md_ppl_bytes(&back), 3 * 4096);
}

static void test_damage_is_refused(void)
{
	struct md_ppl_header header = sample(), back;
	uint8_t page[MD_PPL_HEADER_BYTES];
	struct error error;

	md_ppl_encode(&header, page);
	for (unsigned at = 0; at < sizeof(page); at += 41) {
		page[at] ^= 0x10;
		CU_ASSERT_EQUAL(md_ppl_decode(page, &back, &error), -EINVAL);
		page[at] ^= 0x10;
	}
	/* More entries than fit, under a right checksum. */
	put_le32(page + 528, MD_PPL_ENTRIES_MAX + 1);
	put_le32(page + 532, 0);
	put_le32(page + 532, md_crc32c(0, page, sizeof(page)));
	CU_ASSERT_EQUAL(md_ppl_decode(page, &back, &error), -EINVAL);
	CU_ASSERT_STRING_EQUAL(error.text, "the PPL header has 149 entries, expected at most 148");
}

static void test_entries_fit_the_array(void)
{
	struct md_ppl_header header = sample();
	struct md_ppl_span span;
	struct error error;

	CU_ASSERT_EQUAL(md_ppl_check(&header.entries[0], &geometry, &span, &error), 0);
	CU_ASSERT_TRUE(span.row == 0 && span.index == 0 && span.chunks == 2);
	CU_ASSERT_TRUE(span.column == 8 && span.count == 24);
	CU_ASSERT_EQUAL(md_ppl_check(&header.entries[1], &geometry, &span, &error), 0);
	CU_ASSERT_TRUE(span.row == 1 && span.index == 0 && span.chunks == 3);
	CU_ASSERT_TRUE(span.column == 0 && span.count == 32);
}

static void test_entries_that_do_not_fit(void)
{
	static const struct md_ppl_entry entries[] = {
		{ 8, 4096, 4096, 2, 0 },          /* P is on another disk */
		{ 8, 4096, 4 * 4096, 3, 0 },      /* more chunks than there are */
		{ 40, 4096, 3 * 4096, 3, 0 },     /* beyond the last chunk of the row */
		{ 24, 8192, 8192, 3, 0 },         /* beyond the chunk */
		{ 8, 4096, 0, 3, 0 },             /* nothing */
		{ 8, 4096, 4097, 3, 0 },          /* no sectors */
		{ 8, 0, 4096, 3, 0 },             /* not divisible */
		{ 9600, 4096, 4096, 3, 0 },       /* behind the end */
		{ UINT64_MAX, 4096, 4096, 3, 0 }, /* far behind */
		{ 8, UINT32_MAX & ~511u, UINT32_MAX & ~511u, 3, 0 },
	};
	struct md_ppl_span span;
	struct error error;

	for (unsigned i = 0; i < ARRAY_SIZE(entries); i++)
		CU_ASSERT_EQUAL(md_ppl_check(&entries[i], &geometry, &span, &error), -EINVAL);
}

UNIT_MAIN("ppl", UNIT(test_checksum), UNIT(test_round_trip), UNIT(test_damage_is_refused),
	  UNIT(test_entries_fit_the_array), UNIT(test_entries_that_do_not_fit))
