/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a disk takes: a queue of one or several servers in virtual time. What a model leaves out (read-ahead, the order in which a
 * drive serves its queue, how it places blocks) is said in docs/rebuild-lab.md.
 */
#ifndef TENON_LAB_DISK_TIME_H
#define TENON_LAB_DISK_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "util/random.h"

#define LAB_CHANNELS 32u

enum lab_model_kind {
	LAB_MODEL_INSTANT,
	LAB_MODEL_HDD,
	LAB_MODEL_SMR,
	LAB_MODEL_SSD,
	LAB_MODEL_NVME,
	LAB_MODEL_CABLE
};
extern const char *const lab_model_names[];

struct lab_disk_model {
	unsigned kind; /* enum lab_model_kind */
	uint64_t size;
	uint64_t seek_least_ns, seek_most_ns; /* to the next track, over the whole disk */
	uint64_t rotation_ns;                 /* one turn */
	uint64_t rate, rate_inner;            /* bytes per second, outside and at the end */
	uint64_t latency_ns;                  /* of each request */
	uint64_t channels;                    /* requests at a time */
	uint64_t flush_ns;
	uint64_t cache;       /* bytes: of the volatile write cache */
	uint64_t media_cache; /* SMR: bytes of random writes until it has to clean */
	uint64_t clean_rate;  /* SMR: bytes per second */
	uint64_t read_errors; /* unreadable sectors per 10^15 bits read, by chance */
	uint64_t link_errors; /* per million requests: retried; one in ten of them fails */
	uint64_t retry_ns;
};

/* The kind's usual figures where they are zero. */
void lab_disk_model_complete(struct lab_disk_model *model);

struct lab_disk_time {
	struct lab_disk_model model;
	struct random random;
	uint64_t free_ns[LAB_CHANNELS]; /* when each has nothing to do */
	uint64_t bus_free_ns;
	uint64_t head;      /* where the last request ended */
	uint64_t write_end; /* where the last write ended */
	uint64_t dirty_ns;  /* SMR: when `dirty` was right */
	uint64_t dirty;     /* SMR: bytes in the media cache */
	uint64_t busy_ns;   /* in all */
};

/* When a request that comes at `now` is done. `slow`: in hundredths of the usual time. */
uint64_t lab_disk_serve(struct lab_disk_time *time, uint64_t now, bool write, uint64_t offset,
			uint64_t length, uint64_t slow);
/* The same for requests that are not simulated one by one: it is busy for reading or writing [offset, offset + length), at
 * most so many bytes a second (0: any). */
void lab_disk_pass(struct lab_disk_time *time, uint64_t now, uint64_t offset, uint64_t length,
		   uint64_t most);
uint64_t lab_disk_serve_flush(struct lab_disk_time *time, uint64_t now);

#endif
