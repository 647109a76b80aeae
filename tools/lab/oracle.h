/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an array must hold. Each write has a version, and each sector of it bytes that only this version of this sector has; so a
 * sector that was read says which version it is, or that it is damaged.
 *
 *	durable <= acknowledged <= issued	versions of a sector; no two writes to one are on their way at a time
 *	without a crash				a read gives a version from acknowledged to issued
 *	after a crash				one from durable to issued, and that is what counts from there on
 */
#ifndef TENON_LAB_ORACLE_H
#define TENON_LAB_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#define LAB_SECTOR 512u

struct lab_oracle {
	uint64_t seed;
	uint64_t sectors; /* of the region that is written to */
	uint32_t *durable, *acknowledged, *issued;
	uint32_t version;        /* the last */
	uint64_t acks;           /* so far */
	struct lab_acked *acked; /* writes that no flush has covered */
	uint64_t acked_count, acked_room;
};

void lab_oracle_begin(struct lab_oracle *oracle, uint64_t sectors, uint64_t seed);
void lab_oracle_end(struct lab_oracle *oracle);
/* A second one that goes its own way from here. */
void lab_oracle_copy(struct lab_oracle *to, const struct lab_oracle *from);

/* A write of these sectors begins; its version. lab_oracle_fill() gives its bytes. */
uint32_t lab_oracle_issue(struct lab_oracle *oracle, uint64_t sector, uint64_t count);
void lab_oracle_fill(const struct lab_oracle *oracle, uint64_t sector, uint64_t count,
		     uint32_t version, void *at);
/* It was acknowledged; `durable`: with FUA. */
void lab_oracle_ack(struct lab_oracle *oracle, uint64_t sector, uint64_t count, uint32_t version,
		    bool durable);
/* A flush begins: what to give to its end, when it was acknowledged. */
uint64_t lab_oracle_flush(const struct lab_oracle *oracle);
void lab_oracle_flushed(struct lab_oracle *oracle, uint64_t token);

/* What may be in a sector. */
struct lab_legal {
	uint32_t least, most;
};
struct lab_legal lab_oracle_legal(const struct lab_oracle *oracle, uint64_t sector, bool crashed);

/* The version of what was read; UINT32_MAX: of none that there was. */
uint32_t lab_oracle_version(const struct lab_oracle *oracle, uint64_t sector, const void *at);

/* The power went: what no flush covered is on the disks or not, and no later flush covers it either. */
void lab_oracle_crash(struct lab_oracle *oracle);
/* After a crash: it is this version that counts from now on. */
void lab_oracle_take(struct lab_oracle *oracle, uint64_t sector, uint32_t version);
/* Nobody asks what is in it until it is written again (it was lost, and that was told). */
#define LAB_ANYTHING UINT32_MAX
void lab_oracle_forget(struct lab_oracle *oracle, uint64_t sector);

#endif
