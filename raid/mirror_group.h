/* SPDX-License-Identifier: BSD-2-Clause */
/* A request to mirrors cut into spans, several of which are done at the same time. */
#ifndef TENON_RAID_MIRROR_GROUP_H
#define TENON_RAID_MIRROR_GROUP_H

#include "block/iov.h"
#include "raid/mirror.h"

#define MIRROR_GROUP 16u

struct mirror_group {
	unsigned count;
	struct mirror_span spans[MIRROR_GROUP];
	struct {
		const struct iovec *iov;
		unsigned count;
	} data[MIRROR_GROUP]; /* of each span; none for a request without data */
};

struct mirror_groups {
	struct raid_array *array;
	uint64_t offset, length; /* what is left */
	const struct iovec *iov;
	unsigned count;
	struct iov_range left;
	struct iovec *cut; /* of the group */
	struct mirror_group group;
};

/* `iov` may be NULL, and is borrowed. */
void mirror_groups_begin(struct mirror_groups *groups, struct raid_array *array, uint64_t offset,
			 uint64_t length, const struct iovec *iov, unsigned count);
/* The next group; false at the end, and when there is no memory (*rc). */
bool mirror_groups_next(struct mirror_groups *groups, int *rc);
void mirror_groups_end(struct mirror_groups *groups);

#endif
