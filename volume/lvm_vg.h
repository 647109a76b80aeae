/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside a volume group: what volume.h keeps private, and the two ways between `struct volume_group`
 * and the metadata text.
 *
 *	lvm_vg_read()	 text -> group, everything validated
 *	lvm_vg_export()  group -> text as lvm2 writes it on disk
 *
 * What the metadata say lives in one pool, the tree that it was read from included: keys that this code does not know
 * stay in the tree, and lvm_vg_export() writes them back. Each commit reads its text back to check it; the group then
 * takes that reading's pool over and its own is freed (lvm_vg_adopt()), so that a group does not grow with the changes
 * that were made of it. The structures of PVs and volumes stay where they are as long as the PV or volume is there.
 */
#ifndef TENON_VOLUME_LVM_VG_H
#define TENON_VOLUME_LVM_VG_H

#include "fiber/fiber.h"
#include "volume/lvm_config.h"
#include "volume/lvm_index.h"
#include "volume/lock.h"
#include "volume/lvm_metadata_area.h"
#include "volume/volume.h"

/* An array of strings, as `status = ["READ", "WRITE"]`. */
struct lvm_strings {
	const char **at;
	unsigned count;
};

/* A metadata area of a PV that is here. */
struct volume_metadata_area {
	struct lvm_metadata_area area;
	bool readable;        /* the header is good */
	bool current;         /* holds the text that the group was read from, or is ignored */
	bool unwritten;       /* the last change that wrote could not write it, */
	bool unwritten_told;  /* and it is still that change that tells so */
	uint32_t stale_seqno; /* where it is not current, of the group's text that it has; or 0 */
	bool settled;         /* the header is durable as `area` says it (commit.h) */
};

struct volume_pv_private {
	unsigned index; /* in group->pvs */
	struct lvm_strings status, flags;
	struct lvm_config_node *extra;
	uint64_t pe_start_sectors;
	uint64_t dev_size_sectors; /* 0: not recorded */
	bool is_short;             /* the device became shorter, and has `short_extents` of them */
	uint32_t short_extents;
	struct lvm_label label; /* while `block` is set */
	unsigned area_count;
	struct volume_metadata_area areas[LVM_LABEL_AREAS];
};

struct volume_segment_private {
	const struct lvm_segment_type *type;
	const struct lvm_config_node *node; /* of types that are not read: all of it, else NULL */
	const struct lvm_raid *raid;        /* of RAID segments, else NULL */
	const struct lvm_mirror *mirror;    /* of mirror segments, else NULL */
	struct lvm_config_node *extra;
	const char *flags;       /* what its type has behind its name, from '+' on, or NULL */
	uint32_t moved;          /* of a pvmove: extents_moved (move.h) */
	uint32_t region_sectors; /* of a pvmove: for LVM2's mirror of it */
};

/* Bytes of a text. */
struct lvm_span {
	size_t at, length; /* 0: none */
};

/* What became of the PVs that a volume lies on; the worst counts. */
enum lvm_loss {
	LVM_LOSS_NONE,
	LVM_LOSS_BESIDE,  /* a device became shorter, and has all of it still */
	LVM_LOSS_CUT,     /* a device became shorter, and has not all of it */
	LVM_LOSS_MISSING, /* or its data may be old */
};

struct volume_lv_private {
	const char *shown_type; /* where it is not that of the segments, else NULL */
	struct lvm_span
		span; /* of the group's `text`: what would be written of it, behind the end of a line */
	bool plain;   /* as it was read: linear, with nothing special (lvm_import_plain.c) */
	bool origin;  /* of snapshots */
	bool zeroing; /* a thin pool that zeroes new blocks, or a volume of one */
	bool judged, judging; /* while `supported` is found out */
	bool looped;          /* it lies on itself, or on one that does */
	bool looked;          /* while it is found out which are `partial` */
	enum lvm_loss loss;   /* ... and why */
	bool has_cut;  /* LVM_LOSS_CUT is true of some of it, also where another part is missing */
	bool of_array; /* a part of one that has its data elsewhere, too */
	uint64_t
		grown_in_sync; /* when it is opened next, what its images have beyond so many bytes counts as in sync (resize.c); or 0 */
	bool may_begin; /* a reshape: a commit that says that it has follows (raid_repair.c) */
	struct lvm_active *active; /* or NULL */
	struct lvm_moving *moving; /* of a pvmove: the step that runs (move.h), or NULL */
	struct lvm_strings status, flags;
	struct lvm_config_node *extra;
};

struct volume_group_private {
	unsigned references;
	struct lvm_config memory; /* what the metadata say */
	char *text; /* that the group was read from, or that was committed last; NULL: not known */
	size_t text_size, text_capacity;
	char *spare; /* memory of the text before, for the next one; or NULL */
	size_t spare_capacity;
	struct lvm_text
		archived; /* how files have it (archive.c); its memory stays for the next one */
	const char *archived_text; /* ... of this text, or NULL: of none that is */
	bool quick; /* a commit checks what it changes, and all else only now and then (commit.h) */
	bool validated;         /* lvm2 would take all of it, as it is */
	unsigned parts;         /* commits since all of it was checked */
	struct lvm_config kept; /* what stays until the group goes: who writes, its name */
	struct lvm_strings status, flags;
	struct lvm_config_node *extra;
	uint64_t extent_sectors;
	unsigned
		scanned_problems; /* the first of group->problems: only another scan finds them again */
	char *locks[LVM_LOCKS];    /* what forbids changes, or NULL (lock.h) */
	struct fiber_mutex change; /* one at a time */
	uint32_t seqno_tried;      /* the highest that a header was given, or 0 (commit.h) */
	bool unsure;               /* a change failed of which nobody knows whether it was made */
	struct lvm_index index;    /* of volumes by name */
	struct lvm_mover *mover;   /* or NULL (move.h) */
	struct volume_pv **left;   /* PVs that left the group: others may still know them */
	unsigned left_count;
	/* who writes */
	char *host, *system, *command;
	struct volume_command *commands; /* of fibers; the last one first */
	char by[VOLUME_COMMAND];         /* of them, who makes the change that runs; or empty */
	int64_t time;
	struct random *random;
	struct worker *compute;        /* or NULL; see lvm_vg_compute() */
	struct log *log;               /* or NULL: nowhere */
	bool no_resync;                /* of arrays */
	struct fiber_queue closing;    /* a volume in use came to its end */
	struct volume_archive archive; /* directory NULL: none */
	char *lvm_conf;                /* the folder of lvm.conf; NULL: none */
	struct lvm_strings cling;      /* tags (cling.h), once they were read */
	bool cling_read;
};

struct lvm_active;
struct lvm_mirror;
struct lvm_mover;
struct lvm_moving;
struct lvm_raid;
struct lvm_segment_type;

/* Builds a group from a text. `name` is that of the device, for errors. -EBADMSG with `error` set, or -ENOMEM. PVs have
 * no blocks yet. */
int lvm_vg_read(const char *text, size_t size, const char *name, struct volume_group **out,
		struct error *error);

/* The same without its volumes, the text of which is not even checked where it can be passed over. */
int lvm_vg_read_pvs(const char *text, size_t size, const char *name, struct volume_group **out,
		    struct error *error);

/* The same from a parsed text; takes `config` over, also when it fails. */
int lvm_vg_import(struct lvm_config *config, const char *name, struct volume_group **out,
		  struct error *error);

/* Finds the volumes that areas name. */
void lvm_vg_link_areas(struct volume_group *group);

/* What snapshots make of the volumes that they consist of, and which thin ones are zeroed (dependents.c). */
void lvm_vg_mark_kept(struct volume_group *group);

/* Another volume whose segments name this one: a snapshot, a raid, a pool, ... NULL if there is none. */
const struct volume_lv *lvm_lv_dependent(const struct volume_group *group,
					 const struct volume_lv *lv);

/* Whether a value of the siblings from `node` on, or below them, is the string `name`. */
bool lvm_config_names(const struct lvm_config_node *node, const char *name);

/* ---- What lvm2 accepts (validate.c) ---- */

/* Whether lvm2 would take this group as its own: 0, or -EINVAL with `error` set. */
int lvm_vg_validate(const struct volume_group *group, struct error *error);
/* The same of a volume and its parts (validate_lv.c). */
int lvm_lv_validate(const struct volume_group *group, const struct volume_lv *lv,
		    struct error *error);
/* Whether a volume may be given this name now: -EINVAL, or -EEXIST where another has or had it. */
int lvm_lv_new_name_check(const struct volume_group *group, const char *name, struct error *error);
/* Whether the names of group and volume are not too long together. */
int lvm_lv_dm_name_check(const struct volume_group *group, const char *name, struct error *error);
int lvm_tags_check(const char *const *tags, unsigned count, struct error *error);
/* A removed volume in the group's history that names this one, or NULL. */
const char *lvm_history_of(const struct volume_group *group, const char *name);
/* Locks a group with a status or type that no lvm2 is known to have. */
void lvm_vg_lock_unknown(struct volume_group *group);

/* A new group without anything but its pool. */
struct volume_group *lvm_vg_new(void);

/* Structures of a volume, of a PV: zeroed, with their private part; a PV's are freed by free(). NULL without memory. */
struct volume_lv *lvm_lv_new(void);
void lvm_lv_free(struct volume_lv *lv); /* NULL is fine */
struct volume_pv *lvm_pv_new(void);

/* The same of thousands of volumes: side by side, in rows. *row is NULL for the first, and ended by whoever has begun it. */
struct lvm_lv_row;
struct volume_lv *lvm_lv_new_in(struct lvm_lv_row **row);
void lvm_lv_row_end(struct lvm_lv_row *row); /* NULL is fine */

/* Has `group` be what `read` is, which was read from the text that it was written as: PVs and volumes keep their
 * structures, devices and users. Leaves `read` to be freed. Cannot fail. */
void lvm_vg_adopt(struct volume_group *group, struct volume_group *read);

/* Whether what is on a PV may be taken for what the metadata say of it. */
bool lvm_pv_usable(const struct volume_pv *pv);
/* What of an area of the segment is lost, which lies on a PV. */
enum lvm_loss lvm_area_loss(const struct volume_segment *segment, const struct volume_area *area);
/* Finds out which volumes are `partial`. */
void lvm_vg_judge_partial(struct volume_group *group);

/* The text that says what `group` is now, written at `time`. */
void lvm_vg_export(const struct volume_group *group, int64_t time, struct lvm_text *text);
/* The same, of which the volumes' spans are from then on: `text` is to become the group's own, or that is to be forgotten. Unless it
 * is to be `whole`, volumes are taken from the group's own text where they have a span in it. */
void lvm_vg_export_keep(struct volume_group *group, int64_t time, bool whole,
			struct lvm_text *text);

/* A volume that a change has made, changed or removed. */
struct lvm_touched {
	struct volume_lv *lv;
	const struct volume_lv *was; /* before; NULL: it is new */
	bool gone;
};

/* The same of a group that has no others, but those that are gone. */
void lvm_vg_export_touched(const struct volume_group *group, int64_t time,
			   const struct lvm_touched *touched, unsigned count,
			   struct lvm_text *text);
/* One volume alone, with the empty line before it. */
void lvm_lv_export(const struct volume_lv *lv, struct lvm_text *text);

/* Who wrote a text, why and when: what stands beside the group. */
void lvm_text_origin(struct lvm_text *text, const char *description, const char *host,
		     const char *system, int64_t time);

/* Counts extents and free ones anew, after a change. */
int lvm_vg_count(struct volume_group *group, struct error *error);

/* PVs by their names in the metadata ("pv0"). */
struct lvm_pv_names {
	struct volume_pv **sorted;
	unsigned count;
	struct volume_pv *last; /* found: who comes next is often on it, too */
};

int lvm_pv_names_init(struct lvm_pv_names *names, const struct volume_group *group);
void lvm_pv_names_free(struct lvm_pv_names *names);
struct volume_pv *lvm_pv_names_find(struct lvm_pv_names *names, const char *name);

/* Extents of a PV that segments lie on, those of types that are not read included. */
struct lvm_used {
	unsigned pv; /* its index */
	uint32_t start, count;
	bool guessed; /* of a type that is not read: may be too long */
};

/* All of them by PV and start. The caller frees *out. -ENOMEM. */
int lvm_vg_used(const struct volume_group *group, struct lvm_used **out, size_t *count);

/*
 * group->problems, see problems.c. What the scan found is all there with lvm_vg_problems_scanned(); lvm_vg_problems_judge() looks at the group itself
 * again, as each commit does; what lvm_vg_problem() adds later is of one change, and goes with the next one's lvm_vg_problems_forget(). It formats;
 * all keep silent about missing memory.
 */
void lvm_vg_problems_scanned(struct volume_group *group);
void lvm_vg_problems_judge(struct volume_group *group);
void lvm_vg_problems_forget(struct volume_group *group);
void lvm_vg_problem(struct volume_group *group, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Of the metadata area at byte `at`: a word of the change that could not write it, and later what the group shows until it is written. */
void lvm_vg_problem_unwritten(struct volume_group *group, const struct volume_pv *pv,
			      unsigned long long at);

/* Copies who writes. `context` may be NULL. -ENOMEM. */
int lvm_vg_set_context(struct volume_group *group, const struct volume_context *context);

/*
 * Runs `fn(arg)`, which computes and does not touch a block, where the group's context wants that done; the calling
 * fiber waits, and holds the group's lock. Meanwhile requests to open volumes go on at home. They see their own tables,
 * and when they are closed they touch the counts of their volume and their group, and whether it is active:
 * `fn` must not. All else of the group is its own.
 */
int lvm_vg_compute(const struct volume_group *group, fiber_fn *fn, void *arg);

/* The command that this fiber makes changes for, or NULL. */
const char *lvm_vg_asked_by(const struct volume_group *group);
/* Who changes the group, from the beginning of a change on: the fiber's command, or else the context's. */
void lvm_vg_command_note(struct volume_group *group);
const char *lvm_vg_command(const struct volume_group *group);

/* The time of a change: that of the context, or the system's. */
int64_t lvm_vg_now(const struct volume_group *group);

/* Has the labels of all PVs say that a group uses them (remove.c). What fails becomes one of its problems. */
void lvm_vg_mark_used(struct volume_group *group);

/* What a label alone says. */
void lvm_pv_info(const struct lvm_label *label, struct volume_pv_info *info);

/* A copy of `string` in the group's pool, or NULL; what is not in the metadata is kept until the group goes. */
char *lvm_vg_string(struct volume_group *group, const char *string);
char *lvm_vg_keep_string(struct volume_group *group, const char *string);

bool lvm_strings_contain(const struct lvm_strings *strings, const char *string);

/* The rules that all names follow; `kind` says of what, for the error. */
int lvm_name_check(const char *kind, const char *name, struct error *error);

/* The byte of its device at which a PV's last extent ends. */
uint64_t lvm_pv_end(const struct volume_group *group, const struct volume_pv *pv);

/* Extents that each area of a segment takes. */
uint32_t lvm_segment_area_extents(const struct volume_segment *segment);

/* ---- Reading keys (lvm_tree.c) ---- */

/* Where errors about a tree are told. */
struct lvm_reader {
	struct lvm_config *memory;
	const char *name; /* of the device */
	struct error *error;
};

/* The integer at `key` of a section's `children`; `what` names the section's object. A missing key is
 * an error unless `optional`, then *out is left alone. 0 or -EBADMSG. */
int lvm_read_integer(const struct lvm_reader *reader, const struct lvm_config_node *section,
		     const char *key, bool optional, uint64_t max, uint64_t *out);
int lvm_read_string(const struct lvm_reader *reader, const struct lvm_config_node *section,
		    const char *key, bool optional, const char **out);
/* A single string is taken for an array of one, as lvm2 does. */
int lvm_read_strings(const struct lvm_reader *reader, const struct lvm_config_node *section,
		     const char *key, bool optional, struct lvm_strings *out);
/* The three lists of strings that groups, PVs and LVs have; only `status` is required. */
int lvm_read_flags(const struct lvm_reader *reader, const struct lvm_config_node *section,
		   struct lvm_strings *status, struct lvm_strings *flags, struct lvm_strings *tags);
/* Sorts `texts`; the error is "two WHAT TEXT" where neighbours are the same. */
int lvm_read_unique(const struct lvm_reader *reader, const struct lvm_config_node *section,
		    const char *what, const char **texts, unsigned count);
int lvm_read_uuid(const struct lvm_reader *reader, const struct lvm_config_node *section,
		  char out[VOLUME_UUID_TEXT]);
/* What a section has beside the keys in `known` (ended by NULL), as a list of its own; with what is a section, too, or
 * without. */
int lvm_read_extra(const struct lvm_reader *reader, const struct lvm_config_node *section,
		   const char *const *known, bool sections, struct lvm_config_node **out);
/*
 * Logical volumes, one after the other: begin (PVs and the size of extents are known by then), add each, end, free. They
 * become the group's at the end. `section` is that of all of them.
 */
struct lvm_lvs {
	struct volume_group *group;
	struct lvm_reader reader;
	struct lvm_pv_names names;
	struct volume_lv **at;
	unsigned count, capacity;
	struct lvm_lv_row *row; /* or NULL */
	char *host;             /* of the last plain one, or NULL */
	const char *text;       /* that the spans of plain ones are of */
};

int lvm_lvs_begin(struct lvm_lvs *lvs, struct volume_group *group, const char *name,
		  struct error *error);
int lvm_lvs_add(struct lvm_lvs *lvs, const struct lvm_config_node *section);
/* From the text that begins with it: how many bytes of that are taken, 0 where it is no plain linear volume
 * (lvm_import_plain.c). */
size_t lvm_lvs_add_plain(struct lvm_lvs *lvs, const char *at, const char *end);
/* Only how many bytes it would be; 0 where it is not so to the byte. */
size_t lvm_plain_length(const char *at, const char *end);
/* A new volume with room for it in `at`, where the caller puts it; NULL without memory. */
struct volume_lv *lvm_lvs_room(struct lvm_lvs *lvs);
int lvm_lvs_end(struct lvm_lvs *lvs, const struct lvm_config_node *section);
void lvm_lvs_free(struct lvm_lvs *lvs); /* fine for a zeroed one */
#define CLEANUP_LVM_LVS CLEANUP(lvm_lvs_free)

/* -EBADMSG about `node`. */
int lvm_read_fail(const struct lvm_reader *reader, const struct lvm_config_node *node,
		  const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
