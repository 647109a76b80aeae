/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text of unknown origin on its way to a person: names from a disk, a guest, a peer or a file, and messages
 * that contain them.
 *
 * What a terminal could take for a command, or a reader for something else, is written as \xNN, byte by byte:
 * control characters (C0, DEL, C1 as UTF-8), bytes that are no UTF-8, and the characters that turn the direction
 * of text or end its line. All other UTF-8 stays as it is.
 */
#ifndef TENON_UTIL_TEXT_H
#define TENON_UTIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For a line to be read: a backslash stays, so that cleaning twice does nothing. Writes at most `size` bytes
 * with the final zero, and never half a \xNN. */
void text_clean(char *to, size_t size, const char *from);
/* The same of any length; `keep` (may be NULL) lists control characters that stay. malloc, or NULL. */
char *text_cleaned(const char *from, const char *keep);

/*
 * For a name that is to be one word, one path component and one field of a line: '/', ' ' and '\' are written
 * as \xNN too, "." and ".." as \x2e and \x2e\x2e, and a '-' at the begin, which would make it an option, as \x2d; no two
 * names become the same. Ordinary names stay as they are. (udev and device-mapper write names so.) malloc, or NULL without memory.
 */
char *text_name(const char *from);

/* Decodes one character (RFC 3629: shortest form, no surrogates, at most U+10FFFF). Returns its bytes, 0 where
 * there is no UTF-8; and whether it may go to a terminal. */
size_t text_decode(const char *from, uint32_t *character);
bool text_is_harmless(uint32_t character);

#endif
