/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Faults by composition: a layer that passes requests on to the one below, except where a rule says
 * otherwise. Repeatable: what is random comes from the seed and the order of the requests.
 *
 *	block_create_fault(&faulty, "faulty", disk, seed, error);
 *	block_fault_add(faulty, &(struct block_fault_rule){
 *		.requests = BLOCK_FAULT_READ, .offset = 4096, .length = 512,
 *		.action = BLOCK_FAULT_ERROR, .error = -EIO });
 */
#ifndef TENON_BLOCK_FAULT_H
#define TENON_BLOCK_FAULT_H

#include <stdint.h>

struct block;
struct error;

/* Kinds of requests. */
#define BLOCK_FAULT_READ         (1u << 0)
#define BLOCK_FAULT_WRITE        (1u << 1)
#define BLOCK_FAULT_FLUSH        (1u << 2)
#define BLOCK_FAULT_DISCARD      (1u << 3)
#define BLOCK_FAULT_WRITE_ZEROES (1u << 4)
#define BLOCK_FAULT_CHANGES      (BLOCK_FAULT_WRITE | BLOCK_FAULT_DISCARD | BLOCK_FAULT_WRITE_ZEROES)
#define BLOCK_FAULT_ALL          (BLOCK_FAULT_READ | BLOCK_FAULT_FLUSH | BLOCK_FAULT_CHANGES)

enum block_fault_action {
	BLOCK_FAULT_ERROR,   /* fails with `error`; nothing is done below */
	BLOCK_FAULT_LATENCY, /* first waits for `latency_ns` of the worker's clock */
	BLOCK_FAULT_TORN, /* changes: only the first `torn_sectors` (of 512 bytes, rounded down to
				* logical blocks) are done; then `error`, 0 acknowledges */
	BLOCK_FAULT_LOST, /* changes and flushes: acknowledged, never done */
	BLOCK_FAULT_ROT_READ,  /* reads: one bit of the answer is wrong */
	BLOCK_FAULT_ROT_WRITE, /* writes: one bit is stored wrongly */
};

struct block_fault_rule {
	unsigned requests; /* BLOCK_FAULT_READ | ... */
	uint64_t offset,
		length;  /* requests that touch this range (flushes always do); length 0: any */
	uint64_t after;  /* the first so many that match are left alone, ... */
	uint64_t count;  /* then it acts on so many; 0: for ever */
	uint32_t chance; /* of acting on one of those, in millionths; 0: always */
	enum block_fault_action action;
	int error;             /* negative errno */
	uint64_t latency_ns;   /* LATENCY */
	uint32_t torn_sectors; /* TORN */
};

/* A layer over `lower`, on which it takes a reference. Without rules it passes everything on; without rules about reads it
 * lends what `lower` lends. */
int block_create_fault(struct block **out, const char *name, struct block *lower, uint64_t seed,
		       struct error *error);

/*
 * Adds a copy of the rule behind the others and returns its number (>= 0). Every rule is asked about
 * every request, in order, until one fails, tears or loses it; a request of more than one kind of fault
 * has all that came before. Removing an unknown number does nothing.
 */
int block_fault_add(struct block *fault, const struct block_fault_rule *rule);
void block_fault_remove(struct block *fault, int rule);
void block_fault_clear(struct block *fault);

/* How often the rule has acted. */
uint64_t block_fault_hits(struct block *fault, int rule);

/* Requests that came, whatever became of them. */
struct block_fault_counts {
	uint64_t reads, writes, flushes, discards, write_zeroes;
};
void block_fault_counts(struct block *fault, struct block_fault_counts *counts);

/* Flips `bits` bits, drawn from the layer's seed, of what is stored in the range: rot at rest. */
int block_fault_rot(struct block *fault, uint64_t offset, uint64_t length, unsigned bits);

#endif
