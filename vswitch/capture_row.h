/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A capture as a row of files, of some size or time each: "dir/x.pcapng" is "dir/x.00001.pcapng", "dir/x.00002.pcapng", ... For who
 * writes them: the switch (capture_writer.c), or the command that reads a live one (tools/capture_files.h).
 */
#ifndef TENON_VSWITCH_CAPTURE_ROW_H
#define TENON_VSWITCH_CAPTURE_ROW_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CAPTURE_ROW_BYTES_LEAST  65536u
#define CAPTURE_ROW_SECONDS_MOST 1000000000u
#define CAPTURE_ROW_KEEP_MOST    99999u

struct capture_row {
	uint64_t bytes; /* a file has at most so many, if a record is no larger; 0: no limit */
	uint64_t ns;    /* a file has what came in so long; 0: no limit */
	unsigned keep;  /* only so many files are left; 0: all */
};

/* Else there is one file, of the name that was given. */
bool capture_row_is(const struct capture_row *row);

/* The name of a file, from 1. -ENAMETOOLONG. */
int capture_row_name(const struct capture_row *row, const char *path, unsigned number,
		     char name[PATH_MAX]);

/* The file, or row, that a capture is of, however its path goes there. */
struct capture_place {
	bool known, is_row;
	dev_t device;
	ino_t inode;             /* of the file, or of the row's folder */
	char name[NAME_MAX + 1]; /* of the row, in there */
};

/* Of `path`; not known: no such folder, or nothing that is a file. It asks the disk, which may let it wait: not in a call of the switch. */
void capture_place_find(struct capture_place *place, const char *path,
			const struct capture_row *row);
/* Not where one is not known. A row's single files are the row's. */
bool capture_place_same(const struct capture_place *a, const struct capture_place *b);

/* File `number` is there: takes away the one that is too many. */
void capture_row_shorten(const struct capture_row *row, const char *path, unsigned number);

/* Whether a record of `size` bytes opens the next file, where the one that is there has `bytes`, of which `prefix` are what each file
 * begins with, and was opened so long ago. A file that has no record yet gets it. */
bool capture_row_turns(const struct capture_row *row, uint64_t bytes, uint64_t prefix,
		       uint64_t size, uint64_t age_ns);

#endif
