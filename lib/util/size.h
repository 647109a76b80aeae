/* SPDX-License-Identifier: BSD-2-Clause */
/* Sizes as people write and read them. */
#ifndef TENON_UTIL_SIZE_H
#define TENON_UTIL_SIZE_H

#include <stdint.h>

struct error;

/*
 * Parses "4096", "64K", "1.5GiB": a number with an optional fraction, then K, M, G, T,
 * P or E, each optionally followed by "iB" or "B", in either case; powers of 1024; no suffix or
 * "B" is bytes. The value in bytes goes to *bytes. -EINVAL with `error` set for anything else,
 * -ERANGE when it does not fit into 63 bits.
 */
int size_parse(const char *text, uint64_t *bytes, struct error *error);

#define SIZE_TEXT 24

/* Writes a size for people: "1.5 GiB", "512 B". Returns `buffer`. */
char *size_format(uint64_t bytes, char buffer[SIZE_TEXT]);

#endif
