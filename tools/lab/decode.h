/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * YAML into structures, by tables: what is said in a file stands in a table of keys, from which come the values, and the errors
 * with file, line and column, and the nearest key that there is. A file is read as a whole before anything is done with it.
 */
#ifndef TENON_LAB_DECODE_H
#define TENON_LAB_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum lab_type {
	LAB_TEXT,     /* const char * */
	LAB_NUMBER,   /* uint64_t */
	LAB_SIZE,     /* uint64_t, bytes: 64K */
	LAB_DURATION, /* uint64_t, nanoseconds: 1.5ms, 10s, 2h */
	LAB_BOOL,     /* bool */
	LAB_CHOICE,   /* unsigned: which of `choices` */
	LAB_NUMBERS,  /* struct lab_numbers: one, or a list */
	LAB_TEXTS,    /* struct lab_texts: one, or a list */
	LAB_OTHER,    /* as `parse` has it */
	LAB_MAP,      /* a structure inside of this one, by `keys` */
	LAB_MAPS,     /* struct lab_maps: a list of structures by `keys` */
};

struct lab_numbers {
	uint64_t *values;
	unsigned count;
};

/* With the line of each, for errors that are found later. */
struct lab_texts {
	const char **texts;
	unsigned *lines;
	unsigned count;
};

struct lab_maps {
	void *items;
	unsigned count;
};

struct lab_key {
	const char *name; /* NULL: the end of the table */
	enum lab_type type;
	size_t offset;
	bool needed;
	uint64_t least, most;       /* of numbers, sizes and durations; most 0: any */
	const char *const *choices; /* ended by NULL */
	const struct lab_key *keys;
	size_t size; /* of each of a list's structures */
	/* Of a text: 0, or -EINVAL with what is wrong in `error`. */
	int (*parse)(const char *text, void *at, struct error *error);
	/* And back, into LAB_FORMAT_TEXT bytes; returns `text`. */
	char *(*format)(const void *at, char *text);
};
#define LAB_FORMAT_TEXT 80

/* Memory of all that was decoded. */
struct lab_pool {
	struct lab_pool_item *items;
};
void *lab_pool_alloc(struct lab_pool *pool,
		     size_t size); /* zeroed; the process ends without memory */
char *lab_pool_text(struct lab_pool *pool, const char *text);
void lab_pool_free(struct lab_pool *pool);

/*
 * Decodes `length` bytes of YAML called `name` into `at`, whose defaults are there already. -EINVAL with `error` set: "NAME:LINE:COLUMN: ...".
 */
int lab_decode(const char *name, const char *text, size_t length, const struct lab_key *keys,
	       void *at, struct lab_pool *pool, struct error *error);

/* A duration as people write it: "10", seconds; "1.5ms", "2h". 0, or -EINVAL with `error` set. */
int lab_duration_parse(const char *text, uint64_t *ns, struct error *error);
/* The shortest exact text of one: "1500ms". Returns `text`. */
#define LAB_DURATION_TEXT 32
char *lab_duration_format(uint64_t ns, char text[LAB_DURATION_TEXT]);

#endif
