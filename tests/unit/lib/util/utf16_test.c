/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/util/utf16: each length of UTF-8, and surrogates that are pairs, alone, or cut off. */
#include "unit.h"

#include <string.h>

#include "util/bytes.h"
#include "util/utf16.h"

static const char *decode(const uint16_t *units, unsigned count)
{
	static char text[UTF16_TEXT(8)];
	uint8_t bytes[16];

	for (unsigned i = 0; i < count; i++)
		put_le16(bytes + 2 * i, units[i]);
	memset(text, 'x', sizeof(text));
	utf16_decode(bytes, count, text);
	return text;
}

static void test_characters(void)
{
	CU_ASSERT_STRING_EQUAL(decode((const uint16_t[]){ 'a', 0xe4, 0x20ac, 0xd83d, 0xde00 }, 5),
			       "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	CU_ASSERT_STRING_EQUAL(decode((const uint16_t[]){ 'a', 0, 'b' }, 3), "a");
	CU_ASSERT_STRING_EQUAL(decode((const uint16_t[]){ 'a', 'b' }, 0), "");
	CU_ASSERT_STRING_EQUAL(decode((const uint16_t[]){ 0xffff, 0xffff, 0xffff, 0xffff, 0xffff,
							  0xffff, 0xffff, 0xffff },
				      8),
			       "\xef\xbf\xbf\xef\xbf\xbf\xef\xbf\xbf\xef\xbf\xbf"
			       "\xef\xbf\xbf\xef\xbf\xbf\xef\xbf\xbf\xef\xbf\xbf");
}

static void test_surrogates_that_are_alone(void)
{
	CU_ASSERT_STRING_EQUAL(decode((const uint16_t[]){ 0xd83d, 'a' }, 2), "\xef\xbf\xbd"
									     "a");
	CU_ASSERT_STRING_EQUAL(decode((const uint16_t[]){ 0xde00, 'a' }, 2), "\xef\xbf\xbd"
									     "a");
	CU_ASSERT_STRING_EQUAL(decode((const uint16_t[]){ 'a', 0xd83d }, 2), "a\xef\xbf\xbd");
}

UNIT_MAIN("UTF-16", UNIT(test_characters), UNIT(test_surrogates_that_are_alone))
