/* SPDX-License-Identifier: BSD-2-Clause */
/* Sparse pages, perhaps over others; see store.h. Two levels: leaves of 512 pages. */
#include "tools/lab/store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/bytes.h"

#define LEAF_SHIFT 9
#define LEAF_PAGES (1u << LEAF_SHIFT)

struct lab_leaf {
	char *pages[LEAF_PAGES];
};

/* A page that nobody needs, as a list. */
struct lab_spare {
	struct lab_spare *next;
};

struct lab_store {
	uint64_t size;
	const struct lab_store *base;
	struct lab_leaf **leaves;
	uint64_t leaf_count;
	uint64_t *own; /* numbers of the pages that it has, in order of their making */
	uint64_t own_count, own_room;
	uint64_t *made; /* numbers of the leaves */
	uint64_t made_count, made_room;
	struct lab_spare *spare;
};

static void *need(void *at)
{
	if (!at)
		abort();
	return at;
}

struct lab_store *lab_store_create(uint64_t size, const struct lab_store *base)
{
	struct lab_store *store = need(calloc(1, sizeof(*store)));

	store->size = size;
	store->base = base;
	store->leaf_count = (size >> (LAB_PAGE_SHIFT + LEAF_SHIFT)) + 1;
	/* Of a large disk a sparse mapping, of which only what is touched is there. */
	store->leaves =
		mmap(NULL, store->leaf_count * sizeof(*store->leaves), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (store->leaves == MAP_FAILED)
		abort();
	return store;
}

static char **page_place(const struct lab_store *store, uint64_t page)
{
	struct lab_leaf *leaf = store->leaves[page >> LEAF_SHIFT];

	return leaf ? &leaf->pages[page % LEAF_PAGES] : NULL;
}

static const char *find_page(const struct lab_store *store, uint64_t page)
{
	for (; store; store = store->base) {
		char **place = page_place(store, page);

		const char *page_at = place ? *place : NULL;

		if (page_at)
			return page_at;
	}
	return NULL;
}

static char *take_page(struct lab_store *store)
{
	struct lab_spare *spare = store->spare;

	if (!spare)
		return need(malloc(LAB_PAGE));
	store->spare = spare->next;
	return (char *)spare;
}

static void give_page(struct lab_store *store, void *page)
{
	struct lab_spare *spare = page;

	spare->next = store->spare;
	store->spare = spare;
}

static void add_number(uint64_t **numbers, uint64_t *count, uint64_t *room, uint64_t number)
{
	if (*count == *room) {
		*room = *room ? 2 * *room : 64;
		*numbers = need(realloc(*numbers, *room * sizeof(uint64_t)));
	}
	(*numbers)[(*count)++] = number;
}

/* The page to write to; `whole`: all of it will be. */
static char *own_page(struct lab_store *store, uint64_t page, bool whole)
{
	struct lab_leaf **leaf = &store->leaves[page >> LEAF_SHIFT];
	char **place;

	if (!*leaf) {
		*leaf = need(calloc(1, sizeof(**leaf)));
		add_number(&store->made, &store->made_count, &store->made_room, page >> LEAF_SHIFT);
	}
	place = &(*leaf)->pages[page % LEAF_PAGES];
	if (!*place) {
		const char *below = find_page(store->base, page);

		*place = take_page(store);
		if (!whole && below)
			memcpy(*place, below, LAB_PAGE);
		else if (!whole)
			memset(*place, 0, LAB_PAGE);
		add_number(&store->own, &store->own_count, &store->own_room, page);
	}
	return *place;
}

void lab_store_read(const struct lab_store *store, uint64_t offset, void *at, size_t length)
{
	char *to = at;

	while (length) {
		size_t skip = offset % LAB_PAGE, step = MIN(length, LAB_PAGE - skip);
		const char *page = find_page(store, offset >> LAB_PAGE_SHIFT);

		if (page)
			memcpy(to, page + skip, step);
		else
			memset(to, 0, step);
		to += step;
		offset += step;
		length -= step;
	}
}

static bool is_zero(const char *at, size_t length)
{
	return !at[0] && memcmp(at, at + 1, length - 1) == 0;
}

void lab_store_write(struct lab_store *store, uint64_t offset, const void *at, size_t length)
{
	const char *from = at;

	while (length) {
		size_t skip = offset % LAB_PAGE, step = MIN(length, LAB_PAGE - skip);
		uint64_t page = offset >> LAB_PAGE_SHIFT;

		/* A rebuild of what nobody wrote to writes zeroes. */
		if (!is_zero(from, step) || find_page(store, page))
			memcpy(own_page(store, page, step == LAB_PAGE) + skip, from, step);
		from += step;
		offset += step;
		length -= step;
	}
}

void lab_store_zero(struct lab_store *store, uint64_t offset, uint64_t length)
{
	while (length) {
		size_t skip = offset % LAB_PAGE;
		uint64_t step = MIN(length, LAB_PAGE - skip), page = offset >> LAB_PAGE_SHIFT;

		if (find_page(store, page))
			memset(own_page(store, page, step == LAB_PAGE) + skip, 0, step);
		offset += step;
		length -= step;
	}
}

void lab_store_reset(struct lab_store *store)
{
	for (uint64_t i = 0; i < store->own_count; i++) {
		char **place = page_place(store, store->own[i]);

		give_page(store, *place);
		*place = NULL;
	}
	store->own_count = 0;
}

void lab_store_free(struct lab_store *store)
{
	if (!store)
		return;
	lab_store_reset(store);
	while (store->spare)
		free(take_page(store));
	for (uint64_t i = 0; i < store->made_count; i++)
		free(store->leaves[store->made[i]]);
	free(store->made);
	munmap(store->leaves, store->leaf_count * sizeof(*store->leaves));
	free(store->own);
	free(store);
}

bool lab_store_has_page(const struct lab_store *store, uint64_t page)
{
	char **place = page_place(store, page);

	return place && *place;
}

uint64_t lab_store_hole_length(const struct lab_store *store, uint64_t page, uint64_t most)
{
	uint64_t end = page + most, at = page;

	while (at < end) {
		bool leaf = false;

		if (find_page(store, at))
			break;
		for (const struct lab_store *one = store; one; one = one->base)
			leaf = leaf || one->leaves[at >> LEAF_SHIFT];
		at = leaf ? at + 1 : (at / LEAF_PAGES + 1) * LEAF_PAGES;
	}
	return MIN(at, end) - page;
}

bool lab_store_is_hole(const struct lab_store *store, uint64_t offset, uint64_t length)
{
	uint64_t first = offset >> LAB_PAGE_SHIFT, end = (offset + length - 1) >> LAB_PAGE_SHIFT;

	return lab_store_hole_length(store, first, end - first + 1) == end - first + 1;
}

uint64_t lab_store_pages(const struct lab_store *store)
{
	return store->own_count;
}

uint64_t lab_store_size(const struct lab_store *store)
{
	return store->size;
}
