/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside volume/: what the files that change logical volumes share. */
#ifndef TENON_VOLUME_CHANGE_H
#define TENON_VOLUME_CHANGE_H

#include "util/cleanup.h"
#include "volume/commit.h"

/* More stripes than anybody has disks for. */
#define CHANGE_STRIPES_MAX 128u

/* One change of a group at a time: held to the end of the function. */
static inline void change_unlock(struct fiber_mutex **mutex)
{
	fiber_mutex_unlock(*mutex);
}

#define CHANGING(group)                                                                            \
	CLEANUP(change_unlock) struct fiber_mutex *changing_ = &(group)->private->change;          \
	fiber_mutex_lock(changing_)

/*
 * A change of a group: plan, build the new tables, commit, swap the tables.
 *
 *	change_begin()		keeps what the group is
 *	change_keep_lv(), ...	before each object that the plan changes in memory
 *	change_build()	tables of volumes in use, text, checks: all that can be refused
 *	change_write()		the commit; then tables are swapped, nothing of which can fail
 *	change_end()		takes everything back in memory, the pool too, unless it was made
 *
 * What the plan replaces (strings, arrays, segments) it puts into new memory of the group's pool, and leaves the old
 * as it is.
 */
struct change {
	struct volume_group *group;
	struct volume_group before;
	struct lvm_strings status, flags; /* before */
	struct lvm_config_node *extra;
	struct lvm_config_mark mark;
	struct change_kept *kept; /* the last one first */
	struct lvm_commit commit;
	bool prepared, made;
};

void change_begin(struct change *change, struct volume_group *group);
/* The same, and whether the group can be changed: 0, or -EROFS with the reason in `error`. */
int change_open(struct change *change, struct volume_group *group, struct error *error);
/* 0 or -ENOMEM. */
int change_keep_lv(struct change *change, struct volume_lv *lv);
int change_keep_pv(struct change *change, struct volume_pv *pv);
/* A new one at the end of the list; one that goes, which must not be in use, and may have gone already: metadata may have it twice as a part.
 * 0 or -ENOMEM, with nothing done and a new one freed. */
int change_add_lv(struct change *change, struct volume_lv *lv);
int change_drop_lv(struct change *change, struct volume_lv *lv);
/* Several at once; of new ones that are not taken the caller keeps all. `gone` has one for each of the group. */
int change_add_lvs(struct change *change, struct volume_lv *const *lvs, unsigned count);
int change_drop_lvs(struct change *change, const bool *gone);
/* The list of PVs as a copy with room for `more`; -ENOMEM. */
int change_copy_pvs(struct change *change, unsigned more);
/* One that was appended to the list: its block and structure go when the change is taken back (or here, for -ENOMEM). */
int change_keep_new_pv(struct change *change, struct volume_pv *pv);
/* Takes one out of the list. Its structure stays until the group goes: others may know it. */
int change_drop_pv(struct change *change, struct volume_pv *pv);
int change_build(struct change *change, struct error *error);
int change_write(struct change *change, struct error *error);
/* Both, for a change that writes nothing else. */
int change_commit(struct change *change, struct error *error);
/*
 * The few changes that a group with missing PVs takes: whether nothing else stands in the way, as change_open() says it (or only the locks
 * `borne`, bits of lock.h), nor a PV that is there twice. change_build() marks these PVs as missing, so that lvm2 does not take them for current
 * when they come back.
 */
int change_check_but(const struct volume_group *group, unsigned borne, struct error *error);
int change_check_but_missing(const struct volume_group *group, struct error *error);
/* The few that end it that a device became shorter: as above; lvm_vg_lock_short() behind them. */
int change_check_but_short(const struct volume_group *group, struct error *error);
void change_end(struct change *change);
#define CLEANUP_CHANGE CLEANUP(change_end)

/* Volumes that users see: these count against max_lv. */
unsigned change_visible_lvs(const struct volume_group *group);

/* 0, or -EROFS for a group whose PVs must stay the same ("vgchange --resizeable n"). */
int change_check_resizeable(const struct volume_group *group, struct error *error);

int change_no_memory(const struct volume_group *group, struct error *error);

/* The volume of that name, if the group may be changed and the volume by itself. */
int change_find_lv(struct volume_group *group, const char *name, struct volume_lv **out,
		   struct error *error);

/* 0, or -EBUSY while the volume is open. */
int change_check_closed(const struct volume_group *group, const struct volume_lv *lv,
			struct error *error);

/* The same of all volumes of the group. */
int change_check_unused(const struct volume_group *group, struct error *error);

/* Lists of strings and of keys as they would be, in new memory of the group's pool; the old ones stay. -ENOMEM. */
int change_set_flag(struct volume_group *group, struct lvm_strings *strings, const char *flag,
		    bool set);
int change_set_key(struct volume_group *group, struct lvm_config_node **list, const char *key,
		   const char *value);

/* 0: there is no such key any more. */
int change_set_number(struct volume_group *group, struct lvm_config_node **list, const char *key,
		      uint64_t value);

/* Counts all of the group in extents of `size` bytes, in memory; what it replaces is kept. -EINVAL: something is no whole number of these; -EBUSY:
 * a volume is open; -EOPNOTSUPP: one is neither linear, striped nor RAID. */
int change_set_extent_size(struct change *change, uint64_t size, struct error *error);
/* 0, or -EINVAL for a size that LVM2 does not have extents of. */
int lvm_extent_size_check(uint64_t size, struct error *error);

/* Marks the group and its PVs as exported, or not; kept by the change. -ENOMEM. */
int change_set_exported(struct change *change, bool exported);

/* Extents for `size` bytes in so many stripes, rounded up. */
int change_wanted_extents(const struct volume_group *group, const char *name, uint64_t size,
			  unsigned stripes, uint32_t *out, struct error *error);

/* A volume without segments, not yet in the group; freed by free(). NULL without memory. */
struct volume_lv *change_new_lv(struct volume_group *group, const char *name,
				const struct volume_lv_options *options);
/* A list of strings in new memory of the group's pool. -ENOMEM. */
int change_set_strings(struct volume_group *group, struct lvm_strings *strings,
		       const char *const *from, unsigned count);

struct allocate_free;
struct allocate_result;

/* The next larger logical block size among the group's PVs, or 0. */
uint32_t change_next_block_size(const struct volume_group *group, uint32_t after);
/* Free areas on PVs of that block size which `options` (or NULL) allow; the caller frees *out. -ENOMEM. */
int change_find_free(const struct volume_group *group, const struct volume_lv_options *options,
		     uint32_t block_size, struct allocate_free **out, size_t *count);
/* Adds pieces behind the volume's end, in a new array of segments. -ENOMEM. */
int change_append(struct volume_group *group, struct volume_lv *lv,
		  const struct allocate_result *pieces, unsigned stripes, uint32_t stripe_size);
/* Cuts the volume to `extents`, likewise. -ENOMEM. */
int change_shrink(struct volume_group *group, struct volume_lv *lv, uint32_t extents);

/* change_find_lv(), but RAID volumes, too. */
int change_find_lv_or_raid(struct volume_group *group, const char *name, struct volume_lv **out,
			   struct error *error);

/* Gives the volume `extents` more behind its end, in memory: a new array of segments, the old one stays
 * as it was (change_keep_lv() is the caller's). -ENOSPC with what is free in `error`. */
int change_grow(struct volume_group *group, struct volume_lv *lv, uint32_t extents,
		unsigned stripes, uint32_t stripe_size, const struct volume_lv_options *options,
		struct error *error);

/* Of gaps by PV and start, in *gaps, what lies in the ranges: on PVs of which there is one, or (`only`) on no others. -ENOMEM. */
int change_cut_free(const struct volume_range *ranges, unsigned range_count, bool only,
		    struct allocate_free **gaps, size_t *count);

/* All free extents of PVs that may be allocated from, by PV and start; the caller frees *out. -ENOMEM. */
int change_free_extents(const struct volume_group *group, struct allocate_free **out,
			size_t *count);

#endif
