/* SPDX-License-Identifier: BSD-2-Clause */
/* See copy_digest.h. */
#include "tools/copy_digest.h"

#include <stdio.h>

#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/library.h"

LIBRARY_NOTE(libnettle, SONAME_nettle, "checksums of copies", "suggested");

#define STEP (256u << 10) /* between looks at the other fibers: some hundred microseconds */

int copy_digest_init(struct copy_digest *digest, uint64_t size, struct error *error)
{
	const struct library_function functions[] = {
		{ "nettle_sha256_init", &digest->nettle.init },
		{ "nettle_sha256_update", &digest->nettle.update },
		{ "nettle_sha256_digest", &digest->nettle.digest },
	};
	int rc = library_load(SONAME_nettle, functions, ARRAY_SIZE(functions), error);

	if (!rc)
		digest->nettle.init(&digest->context);
	digest->left = size;
	return rc;
}

void copy_digest_add(struct copy_digest *digest, const void *at, uint64_t length)
{
	static const uint8_t zeroes[STEP];
	const uint8_t *next = at;

	length = MIN(length, digest->left);
	digest->left -= length;
	while (length) {
		size_t some = MIN(length, STEP);

		digest->nettle.update(&digest->context, some, next ? next : zeroes);
		next = next ? next + some : NULL;
		length -= some;
		if (length)
			fiber_yield();
	}
}

const char *copy_digest_end(struct copy_digest *digest, char text[COPY_DIGEST_TEXT])
{
	uint8_t bytes[SHA256_DIGEST_SIZE];

	digest->nettle.digest(&digest->context, sizeof(bytes), bytes);
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return text;
}
