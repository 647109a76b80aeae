/* SPDX-License-Identifier: BSD-2-Clause */
/* Names in UTF-16, as firmware and FAT have them. */
#ifndef TENON_UTIL_UTF16_H
#define TENON_UTIL_UTF16_H

#include <stdint.h>

/* Bytes of UTF-8 that so many units may become, with the final zero. */
#define UTF16_TEXT(units) (3 * (units) + 1)

/* Of little-endian units, up to `units` or a zero. A surrogate that is alone becomes U+FFFD. What comes is hostile, and is to be
 * cleaned (text.h) before a person sees it. */
void utf16_decode(const uint8_t *from, unsigned units, char *to);

#endif
