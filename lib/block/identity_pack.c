/* SPDX-License-Identifier: BSD-2-Clause */
/* An identity as bytes, from one process of ours to another; see identity.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/identity.h"

/* The parts, then what was unknown and each path, a NUL after each; "" for NULL. */
void *block_identity_pack(const struct block_identity *identity, size_t *size)
{
	const unsigned count = identity->count;
	char *data = NULL;
	FILE *to = open_memstream(&data, size);

	if (!to)
		return NULL;
	fwrite(&count, sizeof(count), 1, to);
	fwrite(&identity->assembled, sizeof(identity->assembled), 1, to);
	if (count)
		fwrite(identity->parts, sizeof(*identity->parts), count, to);
	fprintf(to, "%s%c", identity->unknown ? identity->unknown : "", 0);
	for (unsigned i = 0; i < count; i++)
		fprintf(to, "%s%c", identity->parts[i].path ? identity->parts[i].path : "", 0);
	if (!fclose(to))
		return data;
	free(data);
	return NULL;
}

static bool take_bytes(const char **at, const char *end, void *to, size_t size)
{
	if ((size_t)(end - *at) < size)
		return false;
	memcpy(to, *at, size);
	*at += size;
	return true;
}

static int take_text(const char **at, const char *end, char **text)
{
	size_t length = strnlen(*at, (size_t)(end - *at));

	if (*at + length == end)
		return -EINVAL;
	*text = length ? strdup(*at) : NULL;
	*at += length + 1;
	return length && !*text ? -ENOMEM : 0;
}

int block_identity_unpack(struct block_identity *identity, const void *data, size_t size)
{
	const char *at = data, *end = at + size;
	unsigned count;
	int rc = 0;

	*identity = (struct block_identity){ 0 };
	if (!take_bytes(&at, end, &count, sizeof(count)) || count > BLOCK_IDENTITY_PARTS_MAX ||
	    !take_bytes(&at, end, &identity->assembled, sizeof(identity->assembled)))
		return -EINVAL;
	identity->parts = calloc(count + 1, sizeof(*identity->parts));
	if (!identity->parts)
		return -ENOMEM;
	if (!take_bytes(&at, end, identity->parts, count * sizeof(*identity->parts)))
		rc = -EINVAL;
	for (unsigned i = 0; !rc && i < count; i++)
		identity->parts[i].path = NULL;
	identity->count = rc ? 0 : count;
	if (!rc)
		rc = take_text(&at, end, &identity->unknown);
	for (unsigned i = 0; !rc && i < count; i++)
		rc = take_text(&at, end, &identity->parts[i].path);
	if (rc)
		block_identity_free(identity);
	return rc;
}
