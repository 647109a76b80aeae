/* SPDX-License-Identifier: BSD-2-Clause */
/* Scattered memory; see iov.h. */
#include "block/iov.h"

#include <errno.h>
#include <string.h>

#include "util/bytes.h"

int iov_length(const struct iovec *iov, unsigned count, uint64_t *length)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < count; i++)
		if (__builtin_add_overflow(sum, iov[i].iov_len, &sum) || sum > INT64_MAX)
			return -EINVAL;
	*length = sum;
	return 0;
}

/* The bytes at hand in the first iovec that has any, at most `length`; steps over empty ones. */
static size_t iov_at_hand(struct iov_range *at, uint64_t length)
{
	while (at->count && at->skip >= at->iov->iov_len) {
		at->iov++;
		at->count--;
		at->skip = 0;
	}
	return at->count ? MIN(length, at->iov->iov_len - at->skip) : 0;
}

static char *iov_address(const struct iov_range *at)
{
	return (char *)at->iov->iov_base + at->skip;
}

void iov_advance(struct iov_range *at, uint64_t length)
{
	size_t step;

	while ((step = iov_at_hand(at, length))) {
		at->skip += step;
		length -= step;
	}
}

unsigned iov_count(struct iov_range at, uint64_t length)
{
	unsigned count = 0;
	size_t step;

	while ((step = iov_at_hand(&at, length))) {
		at.skip += step;
		length -= step;
		count++;
	}
	return count;
}

uint64_t iov_take(struct iov_range *at, uint64_t length, struct iovec *to, unsigned capacity,
		  unsigned *used)
{
	uint64_t taken = 0;
	size_t step;

	*used = 0;
	while (*used < capacity && (step = iov_at_hand(at, length - taken))) {
		to[(*used)++] = (struct iovec){ .iov_base = iov_address(at), .iov_len = step };
		at->skip += step;
		taken += step;
	}
	return taken;
}

void iov_copy_in(struct iov_range *at, const void *from, size_t length)
{
	const char *next = from;
	size_t step;

	while ((step = iov_at_hand(at, length))) {
		memcpy(iov_address(at), next, step);
		at->skip += step;
		next += step;
		length -= step;
	}
}

void iov_copy_out(struct iov_range *at, void *to, size_t length)
{
	char *next = to;
	size_t step;

	while ((step = iov_at_hand(at, length))) {
		memcpy(next, iov_address(at), step);
		at->skip += step;
		next += step;
		length -= step;
	}
}

void iov_fill(struct iov_range *at, int value, size_t length)
{
	size_t step;

	while ((step = iov_at_hand(at, length))) {
		memset(iov_address(at), value, step);
		at->skip += step;
		length -= step;
	}
}

bool iov_all_zero(struct iov_range at, uint64_t length)
{
	size_t step;

	while ((step = iov_at_hand(&at, length))) {
		if (!bytes_all_zero(iov_address(&at), step))
			return false;
		at.skip += step;
		length -= step;
	}
	return true;
}
