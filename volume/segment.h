/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Types of segments. A segment is a run of extents of a volume; its type says what the metadata hold for it, which
 * extents of PVs it takes, and how it is read and written. All that is particular to a type stands in its own file, as a
 * struct lvm_segment_type in the table of segment.c.
 *
 * A type that is not operated here is listed by name, what it names is taken as used, and it survives rewrites
 * (segment_kept.c).
 */
#ifndef TENON_VOLUME_SEGMENT_H
#define TENON_VOLUME_SEGMENT_H

#include "volume/lvm_vg.h"

struct lv_table;
struct lvm_array;

/* What import needs beside the section. */
struct lvm_segment_reader {
	const struct lvm_reader *reader;
	struct lvm_pv_names *pvs;
};

/* Takes one range of extents of a PV. `guessed`: it may be too long. */
typedef void lvm_used_fn(void *arg, const struct volume_pv *pv, uint32_t start, uint32_t count,
			 bool guessed);

/* A volume's table while it is built (active.h). */
struct lvm_activation {
	struct volume_group *group;
	const struct volume_lv *lv;
	struct lv_table *table;
	bool writable;           /* what works below may write: an array that is assembled */
	struct lvm_array *array; /* that the volume has by now and keeps, or NULL */
};

struct lvm_segment_type {
	const char *
		name; /* in the metadata, without "+FLAG"; a type is the first that its name begins with */
	char attribute; /* the first one of `lvs -o attr`; '-': decided by what else the volume is */
	char target;    /* the seventh; 0: none */

	/* Its areas have all data though some of them are lost. */
	bool redundant;

	/* Fills the segment in from its section, start and count of which are read. All strings live as long as the
	 * reader's memory. 0, -EBADMSG with the reader's error set, -ENOMEM. */
	int (*import)(const struct lvm_segment_reader *from, const struct lvm_config_node *section,
		      struct volume_segment *segment);

	/* Prints the section's inside, from the type on. */
	void (*export)(const struct volume_segment *segment, struct lvm_text *text);

	/* Calls `use` for each range of a PV that the segment lies on. */
	void (*used)(const struct volume_segment *segment, struct lvm_pv_names *pvs,
		     lvm_used_fn *use, void *arg);

	/* Extents that each of its areas takes; NULL: the segment's extents are dealt out to them. */
	uint32_t (*area_extents)(const struct volume_segment *segment);

	/* Adds the segment to the table of a volume that is opened; `error` says what stands in the way. NULL: volumes
	 * with such segments are not opened, and not changed. */
	int (*activate)(struct lvm_activation *activation, const struct volume_segment *segment,
			struct error *error);
};

extern const struct lvm_segment_type lvm_segment_striped, lvm_segment_move;

/* Whether what follows a type's name is made of these flags ("+FLAG"); nothing is. */
bool lvm_segment_flags_within(const char *flags, const char *const *known, unsigned count);

/* Parts a type as the metadata have it: segment->type is its name, segment->private->flags what follows. 0 or -ENOMEM. */
int lvm_segment_take_flags(const struct lvm_segment_reader *from, struct volume_segment *segment);

/* The type of that name in the metadata; never NULL. */
const struct lvm_segment_type *lvm_segment_type_find(const char *name);
/* The name of the type, as lvm2 shows it: of one that is kept, `name` without its flags ("+METADATA_FORMAT"). */
const char *lvm_segment_type_shown(const struct lvm_segment_type *type, const char *name);

/* For types that are not read (segment_kept.c). */
int lvm_kept_import(const struct lvm_segment_reader *from, const struct lvm_config_node *section,
		    struct volume_segment *segment);
void lvm_kept_export(const struct volume_segment *segment, struct lvm_text *text);
void lvm_kept_used(const struct volume_segment *segment, struct lvm_pv_names *pvs, lvm_used_fn *use,
		   void *arg);

/* What a segment has beside the keys of its type. */
void lvm_segment_export_extra(const struct volume_segment *segment, struct lvm_text *text);

#endif
