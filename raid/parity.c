/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parity; see parity.h. What is missing is always a sum of what is there with factors, so everything but the plain
 * generation is one pass of ISA-L's general encoder with one row of factors for each block that is sought:
 *
 *	data x, from Q		D_x = 2^-x Q + sum 2^(i-x) D_i
 *	data x and y		D_x = a P + b Q + sum (a + b 2^i) D_i	a = 2^(y-x) / (2^(y-x) + 1), b = 2^-x / (2^(y-x) + 1)
 *				D_y = D_x + P + sum D_i
 */
#include "raid/parity.h"

#include <assert.h>
#include <isa-l/erasure_code.h>
#include <isa-l/raid.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"

const uint8_t raid_parity_zeroes[RAID_PARITY_LENGTH_MAX] __attribute__((aligned(64))) = { 0 };

#define SOURCES_MAX (RAID_PARITY_SLOTS_Q + 2)
#define TABLE       32u /* bytes that ISA-L wants for a factor, at most */

static uint8_t twice(uint8_t value)
{
	return (uint8_t)(value << 1 ^ (value & 0x80 ? 0x1d : 0));
}

/* 2^n; the field's order is 255. */
static uint8_t power(int n)
{
	uint8_t value = 1, square = 2;

	for (n = (n % 255 + 255) % 255; n; n >>= 1) {
		if (n & 1)
			value = gf_mul(value, square);
		square = gf_mul(square, square);
	}
	return value;
}

/* ---- Sums ---- */

/* blocks[count] becomes the sum of blocks[0 ... count - 1]. */
static void sum(void **blocks, unsigned count, size_t length)
{
	if (count == 1)
		memcpy(blocks[1], blocks[0], length);
	else
		xor_gen((int)count + 1, (int)length, blocks);
}

/* Sums with factors: up to two rows of `count` factors each. */
struct combination {
	unsigned count, rows;
	uint8_t *sources[2 * RAID_PARITY_CHANGES_MAX + 2];
	uint8_t factors[2][2 * RAID_PARITY_CHANGES_MAX + 2];
	uint8_t *outputs[2];
	const uint8_t *tables; /* that are there already; NULL: they are to be made */
};

static_assert(SOURCES_MAX <= 2 * RAID_PARITY_CHANGES_MAX + 2, "a whole column fits");

/* Not all of it is cleared: it is large. */
static void begin(struct combination *c, unsigned rows)
{
	c->count = 0;
	c->rows = rows;
	c->tables = NULL;
}

static void add_source(struct combination *c, const void *block, uint8_t first, uint8_t second)
{
	c->sources[c->count] = (uint8_t *)block;
	c->factors[0][c->count] = first;
	c->factors[1][c->count] = second;
	c->count++;
}

static void make_tables(const struct combination *c, uint8_t *tables)
{
	uint8_t matrix[sizeof(c->factors)];

	/* In one call: how long a factor's table is depends on ISA-L's version and the processor. */
	for (unsigned i = 0; i < c->rows; i++)
		memcpy(matrix + i * c->count, c->factors[i], c->count);
	ec_init_tables((int)c->count, (int)c->rows, matrix, tables);
}

static void carry_out(struct combination *c, size_t length)
{
	uint8_t made[2 * TABLE * (2 * RAID_PARITY_CHANGES_MAX + 2)];
	const uint8_t *tables = c->tables;

	if (!tables) {
		make_tables(c, made);
		tables = made;
	}
	ec_encode_data((int)length, (int)c->count, (int)c->rows, (uint8_t *)tables, c->sources,
		       c->outputs);
}

/* ---- Recipes ---- */

struct raid_parity_recipe {
	unsigned slots;
	int x, y; /* what is recovered */
	uint8_t tables[];
};

static struct raid_parity_recipe **recipe_of(const struct raid_column *column, int x, int y)
{
	return &column->recipes->recipes[(unsigned)(x + 2 + 11 * (y + 2)) % RAID_PARITY_RECIPES];
}

/* Gaps are others in each row: nothing is kept of those. */
static bool has_recipes(const struct raid_column *column)
{
	for (unsigned i = 0; column->recipes && i < column->slots; i++)
		if (column->blocks[i] == RAID_PARITY_GAP)
			return false;
	return column->recipes;
}

/* The same as the last time: the tables, with all sources; false: there are none yet. */
static bool begin_again(struct combination *c, const struct raid_column *column, int x, int y)
{
	const struct raid_parity_recipe *recipe;

	begin(c, 2);
	if (!has_recipes(column))
		return false;
	recipe = *recipe_of(column, x, y);
	if (!recipe || recipe->slots != column->slots || recipe->x != x || recipe->y != y)
		return false;
	c->tables = recipe->tables;
	return true;
}

/* Without memory they are made again the next time. */
static void keep_recipe(struct combination *c, const struct raid_column *column, int x, int y)
{
	struct raid_parity_recipe **at, *recipe;

	if (c->tables || !has_recipes(column))
		return;
	recipe = malloc(sizeof(*recipe) + (size_t)c->rows * c->count * TABLE);
	if (!recipe)
		return;
	recipe->slots = column->slots;
	recipe->x = x;
	recipe->y = y;
	make_tables(c, recipe->tables);
	c->tables = recipe->tables;
	at = recipe_of(column, x, y);
	free(*at);
	*at = recipe;
}

void raid_parity_recipes_free(struct raid_parity_recipes *recipes)
{
	for (unsigned i = 0; i < RAID_PARITY_RECIPES; i++) {
		free(recipes->recipes[i]);
		recipes->recipes[i] = NULL;
	}
}

/* ---- Generating ---- */

static void generate_q(const struct raid_column *column)
{
	struct combination c;
	uint8_t factor = 1;

	begin(&c, 1);
	for (unsigned i = 0; i < column->slots; i++) {
		if (column->blocks[i] != RAID_PARITY_GAP)
			add_source(&c, column->blocks[i], factor, 0);
		factor = twice(factor);
	}
	c.outputs[0] = column->blocks[column->slots + 1];
	carry_out(&c, column->length);
}

/* pq_gen() wants at least two blocks of data. */
static bool fits_pq_gen(const struct raid_column *column)
{
	return column->slots >= 2 && column->length % 32 == 0;
}

void raid_parity_generate(const struct raid_column *column)
{
	if (column->has_q && fits_pq_gen(column)) {
		pq_gen((int)column->slots + 2, (int)column->length, column->blocks);
		return;
	}
	sum(column->blocks, column->slots, column->length);
	if (column->has_q)
		generate_q(column);
}

/* ---- Recovering ---- */

/* From P; the sum wants what is sought behind what is there, so the two change places for a while. */
static void recover_data_by_p(const struct raid_column *column, unsigned slot)
{
	void **blocks = column->blocks, *missing = blocks[slot];

	blocks[slot] = blocks[column->slots];
	blocks[column->slots] = missing;
	sum(blocks, column->slots, column->length);
	blocks[column->slots] = blocks[slot];
	blocks[slot] = missing;
}

/* Slot `x` and P, from Q. */
static void recover_data_and_p(const struct raid_column *column, int x)
{
	struct combination c;
	uint8_t factor = power(-x);

	begin(&c, 2);
	add_source(&c, column->blocks[column->slots + 1], factor, factor);
	for (int i = 0; i < (int)column->slots; i++, factor = twice(factor)) {
		if (i != x && column->blocks[i] != RAID_PARITY_GAP)
			add_source(&c, column->blocks[i], factor, factor ^ 1);
	}
	c.outputs[0] = column->blocks[x];
	c.outputs[1] = column->blocks[column->slots];
	carry_out(&c, column->length);
}

/* Slot `x` and Q, from P. */
static void recover_data_and_q(const struct raid_column *column, int x)
{
	struct combination c;
	uint8_t at_x = power(x), factor = 1;

	begin(&c, 2);
	add_source(&c, column->blocks[column->slots], 1, at_x);
	for (int i = 0; i < (int)column->slots; i++, factor = twice(factor)) {
		if (i != x && column->blocks[i] != RAID_PARITY_GAP)
			add_source(&c, column->blocks[i], 1, factor ^ at_x);
	}
	c.outputs[0] = column->blocks[x];
	c.outputs[1] = column->blocks[column->slots + 1];
	carry_out(&c, column->length);
}

/* Factors of P and Q for slot `x`. */
static void factors_of_two(int x, int y, uint8_t *a, uint8_t *b)
{
	uint8_t apart = power(y - x), inverse = gf_inv(apart ^ 1);

	*a = gf_mul(apart, inverse);
	*b = gf_mul(power(-x), inverse);
}

static void recover_two(const struct raid_column *column, int x, int y)
{
	struct combination c;
	uint8_t a = 0, b = 0, b_at;

	if (!begin_again(&c, column, x, y))
		factors_of_two(x, y, &a, &b);
	b_at = b;
	add_source(&c, column->blocks[column->slots], a, a ^ 1);
	add_source(&c, column->blocks[column->slots + 1], b, b);
	for (int i = 0; i < (int)column->slots; i++, b_at = twice(b_at)) {
		uint8_t factor = a ^ b_at;

		if (i != x && i != y && column->blocks[i] != RAID_PARITY_GAP)
			add_source(&c, column->blocks[i], factor, factor ^ 1);
	}
	c.outputs[0] = column->blocks[x];
	c.outputs[1] = column->blocks[y];
	keep_recipe(&c, column, x, y);
	carry_out(&c, column->length);
}

void raid_parity_recover(const struct raid_column *column, const int *missing, unsigned count)
{
	int x = missing[0], y = count > 1 ? missing[1] : x;

	/* Data first, and P before Q. */
	if (x < y) {
		x = missing[1];
		y = missing[0];
	}
	if (x >= 0 && y >= 0 && x != y)
		recover_two(column, x, y);
	else if (x >= 0 && y == RAID_SLOT_P)
		recover_data_and_p(column, x);
	else if (x >= 0 && y == RAID_SLOT_Q)
		recover_data_and_q(column, x);
	else if (x >= 0)
		recover_data_by_p(column, (unsigned)x);
	else if (x == RAID_SLOT_P && y == RAID_SLOT_Q)
		raid_parity_generate(column);
	else if (x == RAID_SLOT_P)
		sum(column->blocks, column->slots, column->length);
	else
		generate_q(column);
}

/* ---- Changing ---- */

static void update_p(const struct raid_change_block *changes, unsigned count, size_t length,
		     const void *before, void *after)
{
	void *blocks[2 * RAID_PARITY_CHANGES_MAX + 2];
	unsigned n = 0;

	blocks[n++] = (void *)before;
	for (unsigned i = 0; i < count; i++) {
		blocks[n++] = (void *)changes[i].before;
		blocks[n++] = (void *)changes[i].after;
	}
	blocks[n] = after;
	sum(blocks, n, length);
}

void raid_parity_update(const struct raid_change_block *changes, unsigned count, size_t length,
			const void *p_before, void *p_after, const void *q_before, void *q_after)
{
	struct combination c;

	update_p(changes, count, length, p_before, p_after);
	if (!q_before)
		return;
	begin(&c, 1);
	add_source(&c, q_before, 1, 0);
	for (unsigned i = 0; i < count; i++) {
		uint8_t factor = power((int)changes[i].slot);

		add_source(&c, changes[i].before, factor, 0);
		add_source(&c, changes[i].after, factor, 0);
	}
	c.outputs[0] = q_after;
	carry_out(&c, length);
}

/* ---- Locating ---- */

/* The slot whose error `dp` in P gives `dq` in Q, or -1: 2^z dp = dq. */
static int slot_of(uint8_t dp, uint8_t dq, unsigned slots)
{
	for (unsigned z = 0; z < slots; z++) {
		if (dp == dq)
			return (int)z;
		dp = twice(dp);
	}
	return -1;
}

/* Whether 2^slot times each byte of `dp` is that of `dq`. */
static bool explains(const uint8_t *dp, const uint8_t *dq, size_t length, uint8_t factor)
{
	uint8_t products[256];

	for (unsigned i = 0; i < 256; i++)
		products[i] = gf_mul((uint8_t)i, factor);
	for (size_t at = 0; at < length; at++) {
		if (products[dp[at]] != dq[at])
			return false;
	}
	return true;
}

enum raid_liar raid_parity_locate(const struct raid_column *column, void *work, unsigned *slot)
{
	void *p = column->blocks[column->slots], *q = column->blocks[column->slots + 1];
	uint8_t *dp = work, *dq = dp + column->length;
	bool p_good, q_good;
	size_t at = 0;
	int z;

	column->blocks[column->slots] = dp;
	column->blocks[column->slots + 1] = dq;
	raid_parity_generate(column);
	column->blocks[column->slots] = p;
	column->blocks[column->slots + 1] = q;
	p_good = memcmp(dp, p, column->length) == 0;
	q_good = memcmp(dq, q, column->length) == 0;
	if (p_good || q_good)
		return p_good && q_good ? RAID_LIAR_NOBODY : p_good ? RAID_LIAR_Q : RAID_LIAR_P;
	for (size_t i = 0; i < column->length; i++) {
		dp[i] ^= ((const uint8_t *)p)[i];
		dq[i] ^= ((const uint8_t *)q)[i];
	}
	while (!dp[at] && !dq[at])
		at++;
	z = dp[at] && dq[at] ? slot_of(dp[at], dq[at], column->slots) : -1;
	if (z < 0 || column->blocks[z] == RAID_PARITY_GAP ||
	    !explains(dp, dq, column->length, power(z)))
		return RAID_LIAR_UNKNOWN;
	*slot = (unsigned)z;
	return RAID_LIAR_DATA;
}
