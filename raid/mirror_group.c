/* SPDX-License-Identifier: BSD-2-Clause */
/* A request to mirrors cut into spans; see mirror_group.h. */
#include "raid/mirror_group.h"

#include <errno.h>
#include <stdlib.h>

void mirror_groups_begin(struct mirror_groups *groups, struct raid_array *array, uint64_t offset,
			 uint64_t length, const struct iovec *iov, unsigned count)
{
	groups->array = array;
	groups->offset = offset;
	groups->length = length;
	groups->iov = iov;
	groups->count = count;
	groups->left = iov_range_of(iov, count);
	groups->cut = NULL;
	groups->group.count = 0;
}

/* Each span with an iovec array of its own: one more than the whole has, for each that is cut. */
static int cut_data(struct mirror_groups *groups, uint64_t bytes)
{
	struct mirror_group *group = &groups->group;
	unsigned capacity = iov_count(groups->left, bytes) + group->count, used = 0;

	groups->cut = calloc(capacity, sizeof(*groups->cut));
	if (!groups->cut)
		return -ENOMEM;
	for (unsigned i = 0; i < group->count; i++) {
		group->data[i].iov = groups->cut + used;
		iov_take(&groups->left, group->spans[i].length, groups->cut + used, capacity - used,
			 &group->data[i].count);
		used += group->data[i].count;
	}
	return 0;
}

bool mirror_groups_next(struct mirror_groups *groups, int *rc)
{
	struct mirror_group *group = &groups->group;
	bool whole = group->count == 0;
	uint64_t bytes = 0;

	free(groups->cut);
	groups->cut = NULL;
	for (group->count = 0; groups->length && group->count < MIRROR_GROUP; group->count++) {
		struct mirror_span span =
			mirror_span(groups->array, groups->offset, groups->length);

		group->spans[group->count] = span;
		group->data[group->count].iov = NULL;
		group->data[group->count].count = 0;
		groups->offset += span.length;
		groups->length -= span.length;
		bytes += span.length;
	}
	if (!group->count || !groups->iov)
		return group->count != 0;
	whole = whole && group->count == 1;
	if (whole) {
		group->data[0].iov = groups->iov;
		group->data[0].count = groups->count;
	} else {
		*rc = cut_data(groups, bytes);
	}
	return !*rc;
}

void mirror_groups_end(struct mirror_groups *groups)
{
	free(groups->cut);
}
