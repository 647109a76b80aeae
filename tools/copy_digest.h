/* SPDX-License-Identifier: BSD-2-Clause */
/* The digest of what a copy has copied, as sha256sum(1) says it of the raw bytes: of it all, in order. Of nettle, which is loaded for it (util/library.h). */
#ifndef TENON_TOOLS_COPY_DIGEST_H
#define TENON_TOOLS_COPY_DIGEST_H

#include <nettle/sha2.h>
#include <stdint.h>

#define COPY_DIGEST_TEXT (2 * SHA256_DIGEST_SIZE + 1)

struct error;

struct copy_digest {
	struct sha256_ctx context;
	struct {
		__typeof__(nettle_sha256_init) *init;
		__typeof__(nettle_sha256_update) *update;
		__typeof__(nettle_sha256_digest) *digest;
	} nettle;
	uint64_t
		left; /* bytes that are still counted; of a source whose size is not known UINT64_MAX */
};

/* 0, or -ENOPKG with `error` set where this host lacks nettle. */
int copy_digest_init(struct copy_digest *digest, uint64_t size, struct error *error);
/* The next `length` bytes; `at` NULL: zeroes. On a fiber, where it lets others run now and then. */
void copy_digest_add(struct copy_digest *digest, const void *at, uint64_t length);
/* In hexadecimal digits; returns `text`. */
const char *copy_digest_end(struct copy_digest *digest, char text[COPY_DIGEST_TEXT]);

#endif
