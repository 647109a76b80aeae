/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with a simulated disk: rules, each about a range, for a while or so many requests. A request is judged by all of them
 * before it is served (disk.c).
 */
#ifndef TENON_LAB_DISK_FAULT_H
#define TENON_LAB_DISK_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/list.h"

struct lab_disk;

enum lab_touch { LAB_TOUCH_READ, LAB_TOUCH_WRITE, LAB_TOUCH_FLUSH };

enum lab_fault {
	LAB_FAULT_GONE,   /* fails all requests at once */
	LAB_FAULT_HANG,   /* none is answered until it is over */
	LAB_FAULT_SLOW,   /* takes `factor` hundredths of the time and `latency_ns` more */
	LAB_FAULT_LATENT, /* reads of the range fail until it is written again */
	LAB_FAULT_ERROR,  /* requests to the range fail with -EIO */
	LAB_FAULT_TORN, /* of a write the first `sectors` are done; it is acknowledged, or fails (`fails`) */
	LAB_FAULT_LOST,        /* a write is acknowledged and never done */
	LAB_FAULT_MISDIRECTED, /* a write goes `shift` bytes further */
	LAB_FAULT_ROT,         /* a bit of the write or read is wrong */
	LAB_FAULT_NO_FLUSH, /* flushes are acknowledged and do nothing: writes are durable in any order */
	LAB_FAULT_FULL, /* writes to what has no room on the host yet fail with -ENOSPC */
};

struct lab_rule {
	struct list node;
	enum lab_fault fault;
	uint64_t offset, length; /* length 0: everywhere */
	uint64_t until_ns;       /* 0: for ever */
	uint64_t count;          /* so many requests; 0: all */
	uint64_t factor, latency_ns, sectors;
	int64_t shift;
	bool fails, reads;
};

/* Adds a copy of the rule. */
void lab_disk_arm(struct lab_disk *disk, const struct lab_rule *rule);
/* No more faults of this kind, and nobody hangs any more. */
void lab_disk_disarm(struct lab_disk *disk, enum lab_fault fault);
void lab_disk_disarm_all(struct lab_disk *disk);
/* Flips bits of what is stored. */
void lab_disk_rot(struct lab_disk *disk, uint64_t offset, uint64_t length, uint64_t bits);

/* What the rules make of one request. */
struct lab_judgement {
	int rc;          /* not 0: it fails, and nothing is done but `length` bytes */
	uint64_t length; /* of a write: so much of it is done */
	int64_t shift;   /* ... so much further */
	bool rot, no_flush;
	uint64_t slow, latency_ns; /* hundredths of the usual time; more than that */
};
struct lab_judgement lab_disk_judge(struct lab_disk *disk, enum lab_touch touch, uint64_t offset,
				    uint64_t length);
/* Whether it answers nobody now. */
bool lab_disk_hangs(const struct lab_disk *disk);
/* Whether it has a rule by which requests take time, also where it takes none otherwise. */
bool lab_disk_is_late(const struct lab_disk *disk);
/* A bit of these bytes turns. */
void lab_disk_rot_bit(struct lab_disk *disk, char *at, uint64_t length);

#endif
