/* SPDX-License-Identifier: BSD-2-Clause */
/* See copy_digest.h. */
#include "tools/copy_digest.h"

#include <stdio.h>

#include "fiber/fiber.h"
#include "util/bytes.h"

#define STEP (256u << 10) /* between looks at the other fibers: some hundred microseconds */

void copy_digest_init(struct copy_digest *digest, uint64_t size)
{
	sha256_init(&digest->context);
	digest->left = size;
}

void copy_digest_add(struct copy_digest *digest, const void *at, uint64_t length)
{
	static const uint8_t zeroes[STEP];
	const uint8_t *next = at;

	length = MIN(length, digest->left);
	digest->left -= length;
	while (length) {
		size_t some = MIN(length, STEP);

		sha256_update(&digest->context, some, next ? next : zeroes);
		next = next ? next + some : NULL;
		length -= some;
		if (length)
			fiber_yield();
	}
}

const char *copy_digest_end(struct copy_digest *digest, char text[COPY_DIGEST_TEXT])
{
	uint8_t bytes[SHA256_DIGEST_SIZE];

	sha256_digest(&digest->context, sizeof(bytes), bytes);
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return text;
}
