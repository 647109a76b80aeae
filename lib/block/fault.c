/* SPDX-License-Identifier: BSD-2-Clause */
/* The fault layer; see fault.h. */
#include "block/fault.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "block/iov.h"
#include "block/layer.h"
#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/list.h"
#include "util/random.h"

struct rule {
	struct list node;
	struct block_fault_rule rule;
	int number;
	uint64_t matched, hits;
};

struct fault {
	struct block block;
	struct block *lower;
	struct list rules;
	int next_number;
	struct random random;
	struct block_fault_counts counts;
};

/* What the rules make of one request. */
struct verdict {
	bool final; /* do `length` bytes of it, then answer `rc` */
	uint64_t length;
	int rc;
	uint64_t latency_ns;
	bool rot;
	uint64_t rot_bit; /* counted from the request's start */
};

static struct fault *fault_of(struct block *block)
{
	return container_of(block, struct fault, block);
}

/* ---- Rules ---- */

static bool rule_matches(const struct block_fault_rule *rule, unsigned request, uint64_t offset,
			 uint64_t length)
{
	if (!(rule->requests & request))
		return false;
	if (!rule->length || request == BLOCK_FAULT_FLUSH)
		return true;
	return offset < rule->offset + rule->length && rule->offset < offset + length;
}

/* Whether the rule acts on this request, which matches it. */
static bool rule_acts(struct fault *fault, struct rule *rule)
{
	uint64_t number = rule->matched++;

	if (number < rule->rule.after ||
	    (rule->rule.count && number - rule->rule.after >= rule->rule.count))
		return false;
	if (rule->rule.chance && random_below(&fault->random, 1000000) >= rule->rule.chance)
		return false;
	rule->hits++;
	return true;
}

/* A bit in the part of the request that the rule is about. */
static uint64_t choose_bit(struct fault *fault, const struct block_fault_rule *rule,
			   uint64_t offset, uint64_t length)
{
	uint64_t start = offset, end = offset + length;

	if (rule->length) {
		start = MAX(start, rule->offset);
		end = MIN(end, rule->offset + rule->length);
	}
	return (start - offset) * 8 + random_below(&fault->random, (end - start) * 8);
}

static void act(struct fault *fault, const struct block_fault_rule *rule, unsigned request,
		uint64_t offset, uint64_t length, struct verdict *verdict)
{
	switch (rule->action) {
	case BLOCK_FAULT_LATENCY:
		verdict->latency_ns += rule->latency_ns;
		break;
	case BLOCK_FAULT_ERROR:
		*verdict = (struct verdict){ .final = true,
					     .rc = rule->error,
					     .latency_ns = verdict->latency_ns };
		break;
	case BLOCK_FAULT_TORN:
		if (!(request & BLOCK_FAULT_CHANGES))
			break;
		verdict->final = true;
		verdict->length = MIN(length, round_down(rule->torn_sectors * 512ULL,
							 fault->block.logical_block_size));
		verdict->rc = rule->error;
		break;
	case BLOCK_FAULT_LOST:
		if (request == BLOCK_FAULT_READ)
			break;
		verdict->final = true;
		verdict->length = 0;
		break;
	case BLOCK_FAULT_ROT_READ:
	case BLOCK_FAULT_ROT_WRITE:
		if (request !=
		    (rule->action == BLOCK_FAULT_ROT_READ ? BLOCK_FAULT_READ : BLOCK_FAULT_WRITE))
			break;
		verdict->rot = true;
		verdict->rot_bit = choose_bit(fault, rule, offset, length);
		break;
	}
}

/* Asks all rules, and waits as long as they say. */
static struct verdict judge(struct fault *fault, unsigned request, uint64_t offset, uint64_t length)
{
	struct verdict verdict = { .length = length };

	list_for_each(at, &fault->rules) {
		struct rule *rule = list_entry(at, struct rule, node);

		if (!rule_matches(&rule->rule, request, offset, length) || !rule_acts(fault, rule))
			continue;
		act(fault, &rule->rule, request, offset, length, &verdict);
		if (verdict.final)
			break;
	}
	if (verdict.latency_ns)
		fiber_sleep(verdict.latency_ns);
	return verdict;
}

/* ---- Requests ---- */

static int fault_readv(struct block *block, uint64_t offset, uint64_t length,
		       const struct iovec *iov, unsigned count)
{
	struct fault *fault = fault_of(block);
	struct verdict verdict;
	int rc;

	fault->counts.reads++;
	verdict = judge(fault, BLOCK_FAULT_READ, offset, length);
	if (verdict.final)
		return verdict.rc;
	rc = block_readv(fault->lower, offset, iov, count);
	if (!rc && verdict.rot) {
		struct iov_range at = iov_range_of(iov, count), again;
		unsigned char byte;

		iov_advance(&at, verdict.rot_bit / 8);
		again = at;
		iov_copy_out(&at, &byte, 1);
		byte ^= (unsigned char)(1u << verdict.rot_bit % 8);
		iov_copy_in(&again, &byte, 1);
	}
	return rc;
}

/* A write of a copy: of its first part, or with a bit turned. */
static int write_changed(struct fault *fault, uint64_t offset, const struct verdict *verdict,
			 const struct iovec *iov, unsigned count, unsigned flags)
{
	CLEANUP_FREE char *copy = malloc(verdict->length);
	struct iov_range from = iov_range_of(iov, count);

	if (!copy)
		return -ENOMEM;
	iov_copy_out(&from, copy, verdict->length);
	if (verdict->rot && verdict->rot_bit / 8 < verdict->length)
		copy[verdict->rot_bit / 8] ^= (char)(1u << verdict->rot_bit % 8);
	return block_write(fault->lower, offset, copy, verdict->length, flags);
}

static int fault_writev(struct block *block, uint64_t offset, uint64_t length,
			const struct iovec *iov, unsigned count, unsigned flags)
{
	struct fault *fault = fault_of(block);
	struct verdict verdict;
	int rc = 0;

	fault->counts.writes++;
	verdict = judge(fault, BLOCK_FAULT_WRITE, offset, length);
	if (verdict.length == length && !verdict.rot && !verdict.final)
		return block_writev(fault->lower, offset, iov, count, flags);
	if (verdict.length)
		rc = write_changed(fault, offset, &verdict, iov, count, flags);
	return rc < 0 ? rc : verdict.rc;
}

static int fault_discard(struct block *block, uint64_t offset, uint64_t length)
{
	struct fault *fault = fault_of(block);
	struct verdict verdict;
	int rc;

	fault->counts.discards++;
	verdict = judge(fault, BLOCK_FAULT_DISCARD, offset, length);
	rc = block_discard(fault->lower, offset, verdict.length);
	return rc < 0 ? rc : verdict.rc;
}

static int fault_write_zeroes(struct block *block, uint64_t offset, uint64_t length, unsigned flags)
{
	struct fault *fault = fault_of(block);
	struct verdict verdict;
	int rc;

	fault->counts.write_zeroes++;
	verdict = judge(fault, BLOCK_FAULT_WRITE_ZEROES, offset, length);
	rc = block_write_zeroes(fault->lower, offset, verdict.length, flags);
	return rc < 0 ? rc : verdict.rc;
}

static int fault_flush(struct block *block)
{
	struct fault *fault = fault_of(block);
	struct verdict verdict;

	fault->counts.flushes++;
	verdict = judge(fault, BLOCK_FAULT_FLUSH, 0, 0);
	return verdict.final ? verdict.rc : block_flush(fault->lower);
}

static int fault_status(struct block *block, uint64_t offset, uint64_t *length,
			enum block_status *status)
{
	return block_status(fault_of(block)->lower, offset, length, status);
}

/* As long as a read would answer what is below, and at once. */
static const void *fault_lend(struct block *block, uint64_t offset)
{
	struct fault *fault = fault_of(block);

	list_for_each(at, &fault->rules) {
		if (list_entry(at, struct rule, node)->rule.requests & BLOCK_FAULT_READ)
			return NULL;
	}
	return block_lend(fault->lower, offset, block->logical_block_size);
}

static void fault_close(struct block *block)
{
	struct fault *fault = fault_of(block);

	block_fault_clear(block);
	block_unref(fault->lower);
	free(fault);
}

static const struct block_ops fault_ops = {
	.type = "fault",
	.start = block_start_on_fiber,
	.readv = fault_readv,
	.writev = fault_writev,
	.discard = fault_discard,
	.write_zeroes = fault_write_zeroes,
	.status = fault_status,
	.lend = fault_lend,
	.flush = fault_flush,
	.close = fault_close,
};

/* ---- Control ---- */

int block_create_fault(struct block **out, const char *name, struct block *lower, uint64_t seed,
		       struct error *error)
{
	struct fault *fault = calloc(1, sizeof(*fault));

	if (!fault)
		return error_set(error, -ENOMEM, "%s: out of memory", name);
	block_init(&fault->block, &fault_ops, name);
	block_copy_limits(&fault->block, lower);
	fault->lower = block_ref(lower);
	list_init(&fault->rules);
	fault->random.state = seed;
	*out = &fault->block;
	return 0;
}

int block_fault_add(struct block *block, const struct block_fault_rule *rule)
{
	struct fault *fault = fault_of(block);
	struct rule *added = calloc(1, sizeof(*added));

	if (!added)
		return -ENOMEM;
	added->rule = *rule;
	added->number = fault->next_number++;
	list_add_tail(&fault->rules, &added->node);
	return added->number;
}

static struct rule *find_rule(struct fault *fault, int number)
{
	list_for_each(at, &fault->rules) {
		struct rule *rule = list_entry(at, struct rule, node);

		if (rule->number == number)
			return rule;
	}
	return NULL;
}

void block_fault_remove(struct block *block, int number)
{
	struct rule *rule = find_rule(fault_of(block), number);

	if (rule)
		list_remove(&rule->node);
	free(rule);
}

void block_fault_clear(struct block *block)
{
	struct list *at;

	while ((at = list_pop(&fault_of(block)->rules)))
		free(list_entry(at, struct rule, node));
}

uint64_t block_fault_hits(struct block *block, int number)
{
	struct rule *rule = find_rule(fault_of(block), number);

	return rule ? rule->hits : 0;
}

void block_fault_counts(struct block *block, struct block_fault_counts *counts)
{
	*counts = fault_of(block)->counts;
}

int block_fault_rot(struct block *block, uint64_t offset, uint64_t length, unsigned bits)
{
	struct fault *fault = fault_of(block);
	uint32_t unit = block->logical_block_size;
	unsigned char sector[4096];
	int rc = 0;

	if (!length || !range_within(offset, length, block->size))
		return -EINVAL;
	while (bits-- && !rc) {
		uint64_t bit = random_below(&fault->random, length * 8);
		uint64_t byte = offset + bit / 8, start = round_down(byte, unit);

		rc = block_read(fault->lower, start, sector, unit);
		sector[byte - start] ^= (unsigned char)(1u << bit % 8);
		if (!rc)
			rc = block_write(fault->lower, start, sector, unit, 0);
	}
	return rc;
}
