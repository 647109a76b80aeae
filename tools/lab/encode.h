/* SPDX-License-Identifier: BSD-2-Clause */
/* Structures into the YAML that lab_decode() makes them of, by the same tables. */
#ifndef TENON_LAB_ENCODE_H
#define TENON_LAB_ENCODE_H

struct lab_key;

/* What is as in `usual` is left out, unless it is needed. The caller frees the text; the process ends without memory. */
char *lab_encode(const struct lab_key *keys, const void *at, const void *usual);

#endif
