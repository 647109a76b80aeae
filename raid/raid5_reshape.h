/* SPDX-License-Identifier: BSD-2-Clause */
/* Levels 4, 5 and 6 on their way from one shape to another; how, see raid5_reshape.c. */
#ifndef TENON_RAID_RAID5_RESHAPE_H
#define TENON_RAID_RAID5_RESHAPE_H

#include "raid/raid5.h"
#include "raid/reshape_gate.h"

/* r->reshape of the new shape. It lives as long as that, also when the reshape is over. */
struct raid5_reshape {
	struct raid5 old; /* the same array in its old shape, from the position on */
	bool over;
	struct raid_reshape_gate gate;
};

/* Makes r->reshape, where array->reshaping. 0, or with `error` set -EINVAL where it cannot go on from its position, or -ENOMEM. */
int raid5_reshape_begin(struct raid5 *r, struct error *error);
void raid5_reshape_free(struct raid5 *r);

/* The same for an array that runs. */
int raid5_reshape_enter(struct raid_array *array, struct error *error);

/* The next part. Suspends. 1: there is more; 0: it is over; or a negative errno. */
int raid5_reshape_part(struct raid_array *array);

/* As of the level's table. */
bool raid5_needs_backup(const struct raid_array *array);
int raid5_restore(struct raid_array *array, struct error *error);
int raid5_keep_ahead(struct raid_array *array);
int raid5_readv(struct raid_array *array, uint64_t offset, uint64_t length, const struct iovec *iov,
		unsigned count);
int raid5_write(struct raid_array *array, const struct raid_write *write);

#endif
