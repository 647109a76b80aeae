/* SPDX-License-Identifier: BSD-2-Clause */
/* RAID10's state: its shape, and on its way to another one both; how it goes there, see raid10_reshape.c. */
#ifndef TENON_RAID_RAID10_H
#define TENON_RAID_RAID10_H

#include "raid/array.h"
#include "raid/raid10_geometry.h"
#include "raid/reshape_gate.h"

struct raid10 {
	struct raid10_shape shape; /* the new one */
	bool moves;                /* the array is reshaped, from: */
	struct raid10_shape old;
	/* Bytes of the array before the border are in the new shape, and the others in the old one; the other way round where the reshape
	 * goes backwards. It is the position, but that the part which is being moved is in the new shape once it is written. */
	uint64_t border;
	bool backwards;
	struct raid_reshape_gate gate;
};

static inline struct raid10 *raid10_of(const struct raid_array *array)
{
	return array->level_state;
}

/* Whether it can go to this shape. 0, or a negative errno with `error` set. Pure. */
int raid10_reshape_check(const struct raid_array *array, const struct raid_geometry *to,
			 struct error *error);

/* Both shapes, where array->reshaping. 0, or with `error` set -EINVAL or -EOPNOTSUPP where it cannot go on from its position. */
int raid10_reshape_begin(struct raid_array *array, struct error *error);

/* The next part. Suspends. 1: there is more; 0: it is over; or a negative errno. */
int raid10_reshape_part(struct raid_array *array);

/* As of the level's table. */
int raid10_readv(struct raid_array *array, uint64_t offset, uint64_t length,
		 const struct iovec *iov, unsigned count);
int raid10_write(struct raid_array *array, const struct raid_write *write);
bool raid10_start_transfer(struct raid_array *array, struct block_work *work);
int raid10_status(struct raid_array *array, uint64_t offset, uint64_t *length,
		  enum block_status *status);

#endif
