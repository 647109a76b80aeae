/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Volume groups: LVM2 physical volumes, volume groups and logical volumes on any `struct block`.
 *
 * The on-disk metadata is the only record of what exists. volume_groups_scan() looks at a set of block
 * devices (files, host devices, md arrays), reads the label and the metadata areas of each, and gives
 * back the groups that it found whole or in part. The structures below are what the newest consistent
 * metadata says; callers read them and change them only through the functions of this header. What a
 * newer LVM2 wrote and this code does not know is kept and written back unchanged.
 *
 * A change is committed in two phases: the new text goes into free space of every metadata area, then
 * the precommitted slots, then the committed slots, with a flush after each; power may be cut at any
 * write, and either the old or the new metadata is valid (commit.h). When a function returns an error, the
 * group in memory is what it was before the call, and the error says of the disks: that the change was not
 * made, or that this is unknown, since a device took a header and failed to say that it is durable. After
 * that the group is changed again only when its headers could be made certain. When it returns 0, the
 * change is durable on one device at least; others that failed are told of in `problems`.
 *
 * All functions that take a block, and those that change a group, are called on fibers of the blocks'
 * home worker and may suspend; one change at a time per group (a second one waits). While one is on its way only
 * functions that wait for it may be called for the group. A group holds a
 * reference on each of its blocks, and an open logical volume holds one on its group.
 *
 * Sizes are in bytes unless the name says sectors (512 bytes) or extents.
 *
 * Sources: lvm2 lib/label/label.h, lib/format_text/{layout.h,format-text.c,import_vsn1.c,export.c}.
 */
#ifndef TENON_VOLUME_VOLUME_H
#define TENON_VOLUME_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

struct block;
struct error;
struct fiber;
struct log;
struct random;

#define VOLUME_UUID_TEXT   39  /* "teYCEr-c97o-YeQw-FRfT-ySpZ-OQlO-t0tRG3" and a NUL */
#define VOLUME_NAME_LENGTH 127 /* of a group or a volume, at most */

/* ---- What is on disk ---- */

/* A physical volume of a group. */
struct volume_pv {
	char *name; /* in the metadata: "pv0" */
	char uuid[VOLUME_UUID_TEXT];
	char *device_hint;    /* the path that the last writer of the metadata saw, or NULL */
	struct block *block;  /* NULL while missing */
	uint64_t device_size; /* as recorded in the metadata */
	uint64_t pe_start;    /* where extent 0 begins */
	uint32_t extent_count;
	uint32_t allocated_extents;
	char **tags;
	unsigned tag_count;
	bool allocatable;
	bool marked_missing;          /* the metadata says so, whether or not it is here */
	bool duplicate;               /* two devices carry its uuid: not used */
	unsigned metadata_areas;      /* on the device; 0 while missing */
	unsigned metadata_areas_used; /* of them, those not ignored */

	struct volume_pv_private *private;
};

/* Where a part of a segment lies: on a PV or on another volume. */
struct volume_area {
	struct volume_pv *pv; /* or NULL */
	char *lv_name;        /* or NULL */
	struct volume_lv *lv; /* of that name, if there is one */
	uint32_t extent;      /* the first one there */
};

struct volume_segment {
	uint32_t start_extent; /* in the logical volume */
	uint32_t extent_count;
	char *type; /* "striped" (linear too), "raid1", "thin-pool", ... as in the metadata */
	uint32_t stripe_size; /* with two areas or more */
	unsigned area_count;  /* 1: linear. 0 for types whose parts this code does not read */
	struct volume_area *areas;
	struct volume_area *metas; /* of RAID: as many, with the array's metadata; or NULL */

	struct volume_segment_private *private;
};

/* A logical volume. */
struct volume_lv {
	char *name;
	char uuid
		[VOLUME_UUID_TEXT]; /* its own part; device-mapper's id has the group's before it */
	uint64_t size;
	uint32_t extent_count;
	unsigned segment_count;
	struct volume_segment *segments; /* in order, without gaps */
	char **tags;
	unsigned tag_count;
	char *creation_host;   /* or NULL */
	int64_t creation_time; /* seconds since 1970, or 0 */
	bool visible;          /* else part of another volume */
	bool writable;         /* has WRITE, not locked read-only */
	bool activation_skip;  /* "lvchange --setactivationskip y" */
	bool no_autoactivate;
	bool partial;        /* a PV that it lies on is missing, or ends before it does */
	bool supported;      /* volume_open_lv() knows all its segment types */
	unsigned open_count; /* blocks of it in this process: one for reading, one for writing */

	struct volume_lv_private *private;
};

/* Whether it is `partial`, and nothing is lost of it but what devices have no more that became shorter. */
bool volume_lv_cut(const struct volume_lv *lv);
/* Whether such a device has all of it still, so that it opens for reading only until that is as long as it was. */
bool volume_lv_beside_cut(const struct volume_lv *lv);

/* "linear", "striped", or the type of its first segment: what `lvs -o segtype` says. */
const char *volume_lv_type(const struct volume_lv *lv);

/* The ten attribute characters of `lvs -o attr` as far as they depend on metadata, with a NUL. */
#define VOLUME_ATTRIBUTES 11
void volume_lv_attributes(const struct volume_lv *lv, char out[VOLUME_ATTRIBUTES]);

struct volume_group {
	char *name;
	char uuid[VOLUME_UUID_TEXT];
	uint32_t seqno;
	uint64_t extent_size;
	uint32_t extent_count; /* of all its PVs */
	uint32_t free_extents;
	struct volume_pv **pvs;
	unsigned pv_count;
	struct volume_lv **lvs; /* hidden ones too */
	unsigned lv_count;
	char **tags;
	unsigned tag_count;
	unsigned max_lv, max_pv;  /* 0: no limit */
	unsigned metadata_copies; /* 0: all metadata areas */
	char *description;        /* of the last change, or NULL */
	char *creation_host;      /* host that wrote the metadata, or NULL */
	int64_t creation_time;
	const char *system_id; /* of the one host that may use it, or NULL */
	bool exported;         /* by vgexport */
	bool resizeable;
	bool no_autoactivate;
	bool partial;        /* PVs are missing or duplicate */
	char *locked_reason; /* why it cannot be changed here, or NULL: exported, partial, ... */
	char **problems;     /* what the user should know, one line each */
	unsigned problem_count;
	unsigned
		lasting_problems; /* the first ones, found by the scan; the others are of the last change */

	struct volume_group_private *private;
};

/* Where copies of the metadata are kept before and after each change, as LVM2 does (archive.h). */
struct volume_archive {
	const char *directory;
	unsigned least, days; /* so many are kept, and all that are not so old; LVM2: 10 and 30 */
};

/* Who writes, injectable for tests. Strings are copied. */
struct volume_context {
	const char *host;      /* creation_host; NULL: this host's name */
	const char *system;    /* what uname says, in a comment; NULL: uname() */
	const char *command;   /* "tenon lv create vg0/a": description is "Write from COMMAND." */
	int64_t time;          /* seconds since 1970; 0: the system's clock at each commit */
	struct random *random; /* for UUIDs, outlives the group; NULL: the kernel's */
	/* Where the processor's part of changes (planning, text, checks) is done, so that a group of thousands of
	 * volumes does not hold up the requests of its home; it outlives the group. NULL: at home. */
	struct worker *compute;
	const struct volume_archive *archive; /* where metadata is kept; NULL: nowhere */
	/* The folder of lvm.conf, whose allocation/cling_tag_list says which PVs cling together by their tags; NULL: none do. */
	const char *lvm_conf;
	struct log *log; /* for arrays of volumes; outlives the group; NULL: nowhere */
	bool no_resync;  /* arrays of volumes do not resync or recover by themselves */
	bool pvs_only; /* groups come without their volumes: for who asks what they lie on; not to be changed */
	bool quick; /* a change checks what it touches, and only now and then all else of the group, which was read */
	/* Of each device its ends as they were read already (block/ends.h), some of them NULL; or NULL. */
	struct block *const *ends;
};

/*
 * Who changes a group, where it is not its context's `command`: what a server is asked for is said to be by the command that asks. Between begin and
 * end changes by this fiber are by `text`, which must outlive that.
 */
#define VOLUME_COMMAND 300 /* bytes of it that are kept, with a NUL */
struct volume_command {
	struct volume_group *group;
	const struct fiber *fiber;
	const char *text;
	struct volume_command *next;
};
void volume_command_begin(struct volume_command *command, struct volume_group *group,
			  const char *text);
void volume_command_end(struct volume_command *command); /* zeroed: does nothing */
#define CLEANUP_VOLUME_COMMAND CLEANUP(volume_command_end)

/* ---- Finding ---- */

/* What the label and metadata area headers of one device say. */
struct volume_pv_info {
	char uuid[VOLUME_UUID_TEXT];
	unsigned label_sector;      /* 0 to 3 */
	uint64_t device_size;       /* as recorded in the label */
	uint64_t data_offset;       /* of the first data area */
	uint64_t bootloader_offset; /* 0 with length 0: none */
	uint64_t bootloader_length;
	bool used; /* the label says that a group uses it */
	unsigned metadata_areas;
	unsigned metadata_areas_used;
	char vg_name[VOLUME_NAME_LENGTH + 1]; /* from its metadata area; empty: not known from it */
};

/* Whether `block` carries an LVM2 label. 1 and `info` filled in, 0 if there is none, or a negative
 * errno with `error` set: -EBADMSG for a damaged label, or what reading said. Reads 2 KiB and, for
 * vg_name, the head of the metadata. */
int volume_pv_probe(struct block *block, struct volume_pv_info *info, struct error *error);

/* Of one block that was scanned. */
struct volume_scanned {
	struct block *block;
	bool is_pv;
	struct volume_pv_info info;
	struct volume_group *group; /* or NULL: no PV, or an orphan */
	struct volume_pv *pv;       /* in that group */
	char *problem;              /* damaged label, duplicate, outdated: one line, or NULL */
};

struct volume_scan {
	struct volume_group **groups; /* by name, then uuid */
	unsigned group_count;
	struct volume_scanned *devices; /* in the order given */
	unsigned device_count;
};

/*
 * Finds the groups on `blocks`. A device that cannot be read or is damaged does not fail the scan; it
 * is told of in `devices[].problem` and the group's `problems`. Groups with missing PVs are there, with
 * `partial` and `locked_reason` set. Metadata areas that disagree: the highest sequence number whose
 * text is whole and valid wins, and the others are rewritten by the next change. `context` may be NULL.
 * -ENOMEM only.
 */
int volume_groups_scan(struct block *const *blocks, unsigned count,
		       const struct volume_context *context, struct volume_scan **out,
		       struct error *error);
void volume_scan_free(struct volume_scan *scan); /* drops its references on the groups */
DEFINE_CLEANUP(cleanup_volume_scan, struct volume_scan, volume_scan_free)
#define CLEANUP_VOLUME_SCAN CLEANUP(cleanup_volume_scan)

/* The group of that name or uuid, without a new reference. -ENOENT, or -EEXIST when two groups have
 * that name (then only the uuid tells them apart). */
int volume_scan_find(struct volume_scan *scan, const char *name, struct volume_group **out,
		     struct error *error);

struct volume_group *volume_group_ref(struct volume_group *group);
void volume_group_unref(struct volume_group *group);
DEFINE_CLEANUP(cleanup_volume_group, struct volume_group, volume_group_unref)
#define CLEANUP_VOLUME_GROUP CLEANUP(cleanup_volume_group)

/* Whether all that forbids changes of it is that a device became shorter. volume_lv_remove(), volume_lv_repair(), volume_group_extend(),
 * volume_group_reduce() and volume_pv_resize() work all the same. */
bool volume_group_is_short(const struct volume_group *group);
/* Whether a volume could be changed, or removed, as that would say it, though devices may be open for reading only: -EROFS, and -ENOTUNIQ of a
 * removal, which that PVs are missing or a device became shorter is no reason against. */
int volume_group_check_planned(const struct volume_group *group, bool removal, struct error *error);

/* NULL where there is none. */
struct volume_lv *volume_group_get_lv(const struct volume_group *group, const char *name);
struct volume_pv *volume_group_get_pv(const struct volume_group *group, const char *uuid);

/* ---- Changing ---- */

struct volume_group_options {
	uint64_t extent_size;    /* 0: 4 MiB; a power of two >= 512, or a multiple of 128 KiB */
	uint64_t data_alignment; /* 0: 1 MiB */
	uint64_t
		metadata_size; /* of the metadata area; 0: up to the first aligned data, 1020 KiB */
	unsigned metadata_copies;     /* areas on each PV, 1 or 2 (the second at its end); 0: 1 */
	const unsigned *label_sector; /* 0 to 3; NULL: 1 */
	const char *const *tags;
	unsigned tag_count;
	bool force; /* wipe signatures of something else, and take PVs of other groups */
};

/*
 * Makes each block a PV and a new group of them. Blocks that are PVs of no group keep their uuid and
 * layout. Nothing is written before all blocks are found fit: -EINVAL for a bad name or option, or for
 * different logical block sizes, -EEXIST
 * for something else on a block (without `force`), -EBUSY for a PV of another group (likewise), -ENOSPC
 * for a block too small, -EROFS. `options` and `context` may be NULL. Whether the name is taken by
 * another group is the caller's to look up with a scan.
 */
int volume_group_create(struct volume_group **out, const char *name, struct block *const *blocks,
			unsigned count, const struct volume_group_options *options,
			const struct volume_context *context, struct error *error);

/*
 * Puts the group back as the metadata text of a file says it was, onto those of `blocks` that are its PVs, all of
 * which must be there. `file` is its name, for errors. Its number becomes higher than that of the
 * present group. -EBADMSG for a text that is none, -ENXIO, -ENOTUNIQ and -EBUSY for PVs that are missing, there twice,
 * or in another group or not in the file, -EOPNOTSUPP (without `force`) for pools and caches, whose own
 * metadata may be newer, for RAID volumes whose superblocks are, and for linear and striped ones that lie elsewhere by now; the error
 * of reading superblocks of RAID volumes that are gone, where they cannot be read.
 */
int volume_group_restore(struct volume_group **out, const char *text, size_t size, const char *file,
			 struct block *const *blocks, unsigned count, bool force,
			 const struct volume_context *context, struct error *error);

/*
 * Whether the volumes of `then`, the text of `file`, that `now`, the present group, has too lie where they do now: RAID volumes, so that superblocks fit
 * them, linear and striped ones, so that their data are there. Those that were made larger or smaller at their ends do, and a linear one that is a
 * mirror now, the image of which that lies there has all data. 0 or -EOPNOTSUPP. Reads superblocks of mirrors; suspends.
 */
int volume_restore_check(const struct volume_group *then, struct volume_group *now,
			 const char *file, struct error *error);
/* Whether all that both have of a volume, one of them perhaps more at its end, lies at the same places. A type whose parts are not read here is not
 * taken to. Pure. */
bool volume_lv_lies_as(const struct volume_lv *one, const struct volume_lv *other);
/* The image of the mirror `now` that lies where `then`, which is linear, has all of the volume; or NULL. */
const char *volume_restore_image(const struct volume_lv *then, const struct volume_lv *now);

/*
 * The group on the devices that `wanted`, the text of `file`, is put over: *now, or NULL. That is the one with its UUID; with `force` also the one of its
 * name that has its PVs by now, whose UUID it gets then: it was made in its place, or its UUID was changed. -EBUSY where another group has PVs
 * of it, or it has PVs by now that the text has not, -EEXIST (not with `force`) where it is not there, and another one of its name is, -EROFS (the
 * same) where it is another host's by now, or shared.
 */
int volume_restore_find(struct volume_group *wanted, const struct volume_scan *scan,
			const char *file, bool force, struct volume_group **now,
			struct error *error);

/* The group that a text describes, without devices: to be looked at. -EBADMSG. */
int volume_text_read(const char *text, size_t size, const char *name, struct volume_group **out,
		     struct error *error);

/* Writes what the archive's backup of the group would say into `file` (or NULL: into the archive of the context);
 * *path, which the caller frees, is where. */
int volume_group_backup(struct volume_group *group, const char *file, char **path,
			struct error *error);

/* A copy of a group's metadata that is kept. Of a damaged file only the path is known, and what is wrong with it. */
struct volume_kept {
	char *path, *vg, *description, *host, *problem; /* or NULL */
	char uuid[VOLUME_UUID_TEXT];
	int64_t time;
	uint32_t seqno;
	bool backup; /* else of the archive */
};

struct volume_kept_list {
	struct volume_kept *at;
	unsigned count;
};

/* All that is kept in `directory`, oldest first; of groups of that name or uuid only, unless `vg` is NULL. A
 * directory that is not there is empty. */
int volume_archive_list(const char *directory, const char *vg, struct volume_kept_list *out,
			struct error *error);
void volume_archive_list_free(struct volume_kept_list *list);
#define CLEANUP_VOLUME_KEPT CLEANUP(volume_archive_list_free)

/* Makes the blocks PVs and adds them, as volume_group_create() does; of `options`, which may be NULL, the alignment, the
 * metadata and `force` count. -ENOSPC for more PVs than the group allows. */
int volume_group_extend(struct volume_group *group, struct block *const *blocks, unsigned count,
			const struct volume_group_options *options, struct error *error);
/* Takes a PV out of which nothing is used; it is an orphan then. -EBUSY, -EINVAL for the last one, or the last with
 * metadata. `pv` stays, without a block, as long as the group. */
int volume_group_reduce(struct volume_group *group, struct volume_pv *pv, struct error *error);
/* Takes out all PVs that are missing, and with `volumes_too` linear and striped volumes that lie on them; else -EBUSY where
 * there are any. The group can be changed again then. */
int volume_group_remove_missing(struct volume_group *group, bool volumes_too, struct error *error);
/* -EBUSY while a volume is open. Whether another group has the name is the caller's to look up. */
int volume_group_rename(struct volume_group *group, const char *name, struct error *error);
/* As vgexport and vgimport do; -EBUSY while a volume is open. */
int volume_group_set_exported(struct volume_group *group, bool exported, struct error *error);
/* Takes it in though PVs of it are missing, which are marked as that, as "vgimport --force" does. */
int volume_group_import_partial(struct volume_group *group, struct error *error);
/* Writes all metadata areas and labels anew, and so makes current what slept through a change. PVs that are marked as missing
 * and are here are taken back with `restore_missing`; else, and where one is not here, -EBUSY, -ENXIO. */
int volume_group_repair(struct volume_group *group, bool restore_missing, struct error *error);
/* Gives it another UUID. A cut of power leaves the one or the other, or the one exported. -EBUSY while a volume is open. */
int volume_group_renew_uuid(struct volume_group *group, struct error *error);
/* Whose host it is to be, by its system ID; empty: nobody's. From then on it cannot be changed here, nor written to, but by this. -EINVAL for
 * one that it has already, or that LVM2 would not take; -EBUSY while a volume is open. */
int volume_group_set_system_id(struct volume_group *group, const char *id, struct error *error);
int volume_system_id_check(const char *id, struct error *error);
/* Gives the group on `blocks`, which are copies of all its PVs, another name and it and its PVs new UUIDs, so that it can be
 * beside the original. One that was cut off goes on when it is asked for again. -EINVAL, -ENXIO, -ENOTUNIQ where they are not one whole
 * group. */
int volume_group_clone(const char *name, struct block *const *blocks, unsigned count,
		       const struct volume_context *context, struct error *error);
/* Whether it is one that was cut off: some of its devices have the UUID of the original's still. */
bool volume_group_is_half_clone(const struct volume_group *group);
/* PVs of the group, and the volumes that lie on them alone, become a new group. -EBUSY for a volume that lies on both sides or
 * is open, -EINVAL where all would go, or one side would have no metadata area. */
int volume_group_split(struct volume_group *group, const char *name, struct volume_pv *const *pvs,
		       unsigned count, struct error *error);
/* The same, but they join `into`; whatever a merge of the two would refuse is refused before anything is written. */
int volume_group_split_into(struct volume_group *group, struct volume_group *into,
			    struct volume_pv *const *pvs, unsigned count, struct error *error);
/* `from` becomes a part of `group`, and cannot be used any more. -EBUSY while a volume of `from` is open, -EEXIST for a name that
 * both have, -EINVAL for other extents or logical blocks. */
int volume_group_merge(struct volume_group *group, struct volume_group *from, struct error *error);
/* Has a PV take `size` bytes of its device; 0: all that it has now. -EBUSY where extents that would go are used. */
int volume_pv_resize(struct volume_group *group, struct volume_pv *pv, uint64_t size,
		     struct error *error);

/* A PV of no group, as pvcreate makes one; -EEXIST where it is one already. And no PV any more: -ENODEV where it is none,
 * -EBUSY while it is in a group. */
int volume_pv_create(struct block *block, const struct volume_group_options *options,
		     struct error *error);
int volume_pv_remove(struct block *block, struct error *error);

/* Makes the PVs orphans. -EBUSY while it has volumes. */
int volume_group_remove(struct volume_group *group, struct error *error);

/* LVM2's allocation policies, of a volume, else of its group. */
enum volume_allocation {
	VOLUME_ALLOCATE_INHERIT, /* the volume's own or the group's, which is normal unless it says otherwise */
	VOLUME_ALLOCATE_NORMAL,     /* the largest free areas first, as few segments as it can */
	VOLUME_ALLOCATE_CONTIGUOUS, /* one segment, directly after the present end when extending */
	VOLUME_ALLOCATE_CLING, /* extending: on the PVs where it ends; a new one: on one PV for each stripe */
	VOLUME_ALLOCATE_ANYWHERE, /* stripes may share a PV */
};
/* By LVM2's names; -EINVAL with `error` set. "inherit" and NULL are the other way for the first. */
int volume_allocation_parse(const char *name, enum volume_allocation *out, struct error *error);
const char *volume_allocation_name(enum volume_allocation allocation);
/* What the metadata say of the volume (`lv`), or of the group (NULL). */
enum volume_allocation volume_allocation_of(const struct volume_group *group,
					    const struct volume_lv *lv);

/* Extents of a PV, `last` too. */
struct volume_range {
	struct volume_pv *pv;
	uint32_t first, last;
};

struct volume_lv_options {
	uint64_t size;                     /* in bytes, rounded up to extents; or else */
	uint32_t extents;                  /* a number of extents */
	unsigned stripes;                  /* 0 or 1: linear */
	uint32_t stripe_size;              /* 0: 64 KiB; a power of two >= 4 KiB */
	enum volume_allocation allocation; /* kept with a new volume, unless inherited */
	bool less; /* where so much is not free, as much as there is (as for 100%FREE in stripes) */
	struct volume_pv *const *pvs; /* allocate only on these; NULL: all */
	unsigned pv_count;
	const struct volume_range *ranges; /* on PVs that are in here only these extents */
	unsigned range_count;
	const char *const *tags;
	unsigned tag_count;
	/* A RAID volume, by lvm2's names: raid1, raid6_zr, ... `stripes` are those with data; NULL: linear or striped. */
	const char *type;
	unsigned mirrors;     /* copies beside the first, of raid1 and raid10; 0: 1 */
	uint64_t region_size; /* bytes of a bitmap's chunk; 0: 2 MiB */
	bool no_sync; /* its images, or what they are given, count as alike from the start */
	bool read_only;
	bool keep_contents; /* do not zero the first 4 KiB and old signatures */
	/* Not NULL: nothing is made, in a group that was only looked at too; it is told of the volume as it would be. */
	void (*planned)(const struct volume_lv *lv, void *arg);
	void *planned_arg;
};

/* Whether `name` may name a volume (or group) by LVM2's rules. -EINVAL with `error` set: characters
 * A-Z a-z 0-9 + _ . -, not first a hyphen, not "." or "..", at most 127, and for volumes none of the
 * reserved prefixes and parts ("snapshot", "pvmove", "_mlog", "_rimage", ...). */
int volume_lv_name_check(const char *name, struct error *error);
int volume_group_name_check(const char *name, struct error *error);

/* Whether `tag` may be a tag by lvm2's rules: A-Z a-z 0-9 . _ - + / = ! : & #, not empty. -EINVAL with `error`
 * set. */
int volume_tag_check(const char *tag, struct error *error);

/* Free extents that may be allocated, of these ranges. -ENOMEM. */
int volume_free_in(const struct volume_group *group, const struct volume_range *ranges,
		   unsigned count, uint64_t *extents);

/* -EEXIST (of a removed volume in the group's history, too), -EINVAL (the names of group and volume have at
 * most 124 characters together), -ENOSPC (with how much is free), -EROFS for a group that cannot be
 * changed. */
int volume_lv_create(struct volume_group *group, const char *name,
		     const struct volume_lv_options *options, struct volume_lv **out,
		     struct error *error);

/* -ENOENT, -EBUSY while it is open, -EOPNOTSUPP for internal volumes and those of other types. What is removed may lie on PVs that are
 * missing, or others of the group may be, as with lvm2: these are marked so then. */
int volume_lv_remove(struct volume_group *group, const char *name, struct error *error);
int volume_lv_rename(struct volume_group *group, const char *name, const char *new_name,
		     struct error *error);

/* Grows or shrinks to `size`, rounded up to extents. An open volume may grow (its block's size follows
 * at once) and not shrink: -EBUSY. Only `allocation`, `pvs`, `ranges`, `less` and `no_sync` of `options` are looked at; NULL is fine.
 * `no_sync`: -EBUSY while it is open, -EINVAL where nothing is synchronized, and at raid6. */
int volume_lv_resize(struct volume_group *group, const char *name, uint64_t size,
		     const struct volume_lv_options *options, struct error *error);

/* What of a volume, or of a group, is changed. */
struct volume_settings {
	const char *const *add_tags, *const *delete_tags;
	unsigned add_count, delete_count;
	const bool *writable;        /* of a volume */
	const bool *activation_skip; /* of a volume */
	const bool *autoactivate;
	/* Of a RAID volume: bytes of each image a second that it is synchronized with at least and at most, rounded up to KiB; 0: nothing
	 * is said of it. One that is open goes by them at once. */
	const uint64_t *recovery_least, *recovery_most;
	const enum volume_allocation *allocation;
	const bool *allocatable;         /* of a PV */
	const bool *resizeable;          /* of a group: PVs may come and go */
	const unsigned *max_lv, *max_pv; /* of a group; 0: no limit */
	const uint64_t *extent_size;     /* of a group; nothing moves */
};

/* Volumes of all types, but not parts of others; PVs may be missing, as with lvm2. Tags that are there or are not are no error, as with lvm2.
 * -EBUSY for `writable` while it is open. */
int volume_lv_set(struct volume_group *group, const char *name,
		  const struct volume_settings *settings, struct error *error);
/* -EINVAL for a limit below what is there, and an extent size that what is there is no whole number of; -EROFS for either of a group
 * that stays not resizeable; -EBUSY and -EOPNOTSUPP for an extent size while a volume is open, or is neither linear, striped nor RAID. */
int volume_group_set(struct volume_group *group, const struct volume_settings *settings,
		     struct error *error);
int volume_pv_set(struct volume_group *group, struct volume_pv *pv,
		  const struct volume_settings *settings, struct error *error);
/* Sets or clears WRITE; -EBUSY while it is open. */
int volume_lv_set_writable(struct volume_group *group, const char *name, bool writable,
			   struct error *error);

/* ---- Using ---- */

/*
 * Opens a volume as a block named "VG/LV", which only translates. All who open it for the same share one block.
 * -ENOENT; -EROFS for writing to a
 * read-only volume or device; -EOPNOTSUPP for segment types other than linear and striped, naming
 * type, and for writing to a snapshot's origin; -ENXIO when a PV is missing, naming its uuid; -ENOTUNIQ when a PV is there twice. Activation
 * skip and exported groups are the caller's business: exported groups open for reading only.
 */
int volume_open_lv(struct volume_group *group, const char *name, bool writable, struct block **out,
		   struct error *error);

/* Makes the metadata headers durable as they were found (commit.h): for whoever lets others write to volumes for
 * long. A process before may have failed to. Does nothing with a group that cannot be changed. 0, or the
 * error of a device, which leaves it as it was: not certain. */
int volume_group_settle(struct volume_group *group, struct error *error);

/* ---- Looking closer ---- */

enum volume_severity { VOLUME_FINE, VOLUME_NOTE, VOLUME_WARNING, VOLUME_DAMAGED };

/* One thing that was verified, or found wrong. */
struct volume_finding {
	enum volume_severity severity;
	char *device;    /* the block's name */
	uint64_t offset; /* on the device */
	char *what;      /* "label CRC", "metadata area 1 text CRC", ... */
	char *found;     /* or NULL */
	char *expected;  /* or NULL */
};

struct volume_check {
	struct volume_finding *findings;
	unsigned count;
	enum volume_severity worst;
};

/* Verifies labels, metadata areas, texts, and that all agree with each other. 0 also when damage was
 * found (see `worst`); -ENOMEM, or -ENODEV when none of the blocks is a PV. */
int volume_pv_check(struct block *const *blocks, unsigned count, struct volume_check **out,
		    struct error *error);
void volume_check_free(struct volume_check *check);
DEFINE_CLEANUP(cleanup_volume_check, struct volume_check, volume_check_free)
#define CLEANUP_VOLUME_CHECK CLEANUP(cleanup_volume_check)

/* Whether LVM2 would take the group for its own: 0, or -EINVAL with `error` set. */
int volume_group_validate(const struct volume_group *group, struct error *error);

/* The label, headers and slots of a PV as lines of text, damaged ones too. The caller frees *text. */
int volume_pv_dump(struct block *block, char **text, struct error *error);
/* The committed metadata text of a PV, as it is on disk. The caller frees *text. */
int volume_pv_dump_metadata(struct block *block, char **text, struct error *error);
/* The metadata text that the next change would write, but for sequence number and time. */
int volume_group_text(const struct volume_group *group, char **text, struct error *error);

#endif
