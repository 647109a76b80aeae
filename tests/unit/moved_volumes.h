/* SPDX-License-Identifier: BSD-2-Clause */
/* Volumes that a test moves, and a user who writes to one meanwhile. */
#ifndef TENON_TESTS_MOVED_VOLUMES_H
#define TENON_TESTS_MOVED_VOLUMES_H

#include "util/random.h"
#include "volume_fixture.h"

#define MOVED_EXTENT (64u << 10)
#define MOVED_DISK   (3u << 20) /* of each disk of the fixture */
#define MOVED_UNIT   4096u      /* what a user writes */

/* A group of all disks. "a" and "b" take turns on d0, so that a has three segments there; "s" is striped over d0 and d1. */
void moved_create(struct fixture *f);

/* The PV on a disk, or NULL. */
struct volume_pv *moved_pv_on(const struct volume_group *group, const char *disk);

/* Each unit holds a number that grows with each write of it. */
struct moved_user {
	struct block *block;
	struct random random;
	uint64_t written[64], flushed[64]; /* numbers of its units */
	uint64_t number;
	bool stop, wrong;
	int rc;
};

/* A fiber: writes, reads and flushes until it is to stop or something fails. */
int moved_user_run(void *user);

/* Whether each unit is what was flushed, or newer; it is what was written from then on. */
bool moved_user_is_kept(struct moved_user *user, struct block *block);

#endif
