/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a simulated disk holds: pages of 4 KiB, of which only those that were written cost memory, so that a disk may have 18 TB. A
 * store may lie over another one, which it leaves as it is: that is how thousands of crash images are made of one recorded
 * disk without copying it. Reads of what was never written give zeroes.
 */
#ifndef TENON_LAB_STORE_H
#define TENON_LAB_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAB_PAGE_SHIFT 12
#define LAB_PAGE       (1u << LAB_PAGE_SHIFT)

struct lab_store;

/* `base` may be NULL; it must stay as it is while there is one over it. They end the process without memory. */
struct lab_store *lab_store_create(uint64_t size, const struct lab_store *base);
void lab_store_free(struct lab_store *store); /* NULL is fine */

void lab_store_read(const struct lab_store *store, uint64_t offset, void *at, size_t length);
/* Zeroes where nothing is make no page. */
void lab_store_write(struct lab_store *store, uint64_t offset, const void *at, size_t length);
/* Whole pages are given back where nothing lies below. */
void lab_store_zero(struct lab_store *store, uint64_t offset, uint64_t length);

/* Forgets what was written to this one: it is as its base. */
void lab_store_reset(struct lab_store *store);

/* Whether [offset, offset + length) was never written. */
bool lab_store_is_hole(const struct lab_store *store, uint64_t offset, uint64_t length);
/* Whether this store (not its base) has something in the page. */
bool lab_store_has_page(const struct lab_store *store, uint64_t page);
/* How far from `page` on, in pages and at most `most`, nothing was ever written, in it and its base. */
uint64_t lab_store_hole_length(const struct lab_store *store, uint64_t page, uint64_t most);
uint64_t lab_store_size(const struct lab_store *store);
uint64_t lab_store_pages(const struct lab_store *store);

#endif
