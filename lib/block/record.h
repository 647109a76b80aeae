/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recording what is written, in the order in which it becomes durable, as a dm-log-writes log; and
 * replaying such a log, ours, the kernel's or QEMU's (blklogwrites), to any point.
 *
 * With it a test can look at every state in which a crash could have left a disk: replay to each flush,
 * open what is there, and compare. As in the kernel, a write is logged when a flush after it completes,
 * behind all other writes that this flush made durable, and before the flush; one with FUA when it
 * completes; a mark when it is made.
 */
#ifndef TENON_BLOCK_RECORD_H
#define TENON_BLOCK_RECORD_H

#include <stdint.h>

struct block;
struct error;

/* ---- Recording ---- */

/* A layer over `lower` that writes its log to `log` from the start; takes references on both. -EINVAL
 * where `log` has larger blocks than `lower`. */
int block_create_record(struct block **out, const char *name, struct block *lower,
			struct block *log, struct error *error);

/* Logs a mark. Suspends. 0, -EINVAL for a text that does not fit into a sector after 32 bytes, or the
 * error that ended the log. */
int block_record_mark(struct block *record, const char *text);

/*
 * Logs what has not been flushed (at the end, as the kernel does when it takes the target down), and
 * flushes the log. A log that is full or fails ends there, complete to that point, while requests go
 * on: this says so, -ENOSPC or -EIO. Suspends. Closing does the same and cannot say it.
 */
int block_record_finish(struct block *record, struct error *error);

/* ---- Replaying ---- */

#define BLOCK_LOG_FLUSH    (1u << 0)
#define BLOCK_LOG_FUA      (1u << 1)
#define BLOCK_LOG_DISCARD  (1u << 2)
#define BLOCK_LOG_MARK     (1u << 3)
#define BLOCK_LOG_METADATA (1u << 4)

#define BLOCK_LOG_MARK_SIZE 4065 /* of the longest text, with its NUL */

/* A place in a log; nothing to free. The log is borrowed. */
struct block_log {
	struct block *log;
	uint32_t sector_size;
	uint64_t entries; /* in all */
	uint64_t index;   /* of the next */
	uint64_t next;    /* its byte in the log */
};

struct block_log_entry {
	uint64_t index;
	uint64_t offset, length; /* bytes of the recorded device; length 0: a flush or a mark */
	unsigned flags;          /* BLOCK_LOG_* */
	uint64_t data;           /* where it stands in the log, in bytes; not for a discard */
	char mark[BLOCK_LOG_MARK_SIZE];
};

/* Checks the superblock. -EINVAL for what is no log, of another version or damaged. Suspends. */
int block_log_open(struct block_log *at, struct block *log, struct error *error);

/* Steps to the next entry: 1, 0 at the end, or a negative errno. Suspends. */
int block_log_next(struct block_log *at, struct block_log_entry *entry, struct error *error);

/* Does to `target` what the entry says; a discard zeroes. Suspends. */
int block_log_apply(const struct block_log *at, const struct block_log_entry *entry,
		    struct block *target, struct error *error);

/* Steps and applies until an entry (applied, too) that has one of `flags`, or is the mark `mark` (may be
 * NULL): 1 with it in *entry (may be NULL). 0 at the end, or a negative errno. Suspends. */
int block_log_replay(struct block_log *at, struct block *target, unsigned flags, const char *mark,
		     struct block_log_entry *entry, struct error *error);

#endif
