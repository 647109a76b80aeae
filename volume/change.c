/*
 * Changing the logical volumes of a group. Each change is made in memory, committed, and taken back
 * in memory when the commit failed; one at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/signature.h"
#include "util/bytes.h"
#include "util/error.h"
#include "volume/allocate.h"
#include "volume/lvm_io.h"
#include "volume/lvm_vg.h"

#define STRIPE_SIZE_DEFAULT (64u << 10)
#define STRIPE_SIZE_MIN     4096u
#define ZEROED              4096u /* of a new volume, as lvcreate -Zy does */
#define STRIPES_MAX         128u

static int no_memory(const struct volume_group *group, struct error *error)
{
	return error_set(error, -ENOMEM, "volume group %s: no memory to change it", group->name);
}

static void *allocate(struct volume_group *group, size_t size)
{
	return lvm_config_alloc(&group->private->memory, size);
}

static void unlock(struct fiber_mutex **mutex)
{
	fiber_mutex_unlock(*mutex);
}

#define CHANGING(group)                                                                            \
	CLEANUP(unlock) struct fiber_mutex *changing_ = &(group)->private->change;                 \
	fiber_mutex_lock(changing_)

/* ---- Free extents ---- */

static bool allowed(const struct volume_pv *pv, const struct volume_lv_options *options)
{
	if (!pv->allocatable || !pv->block)
		return false;
	if (!options || !options->pvs)
		return true;
	for (unsigned i = 0; i < options->pv_count; i++)
		if (options->pvs[i] == pv)
			return true;
	return false;
}

/* The gaps between what is used, on PVs that may be allocated from. */
static int find_free(const struct volume_group *group, const struct volume_lv_options *options,
		     struct allocate_free **out, size_t *count)
{
	CLEANUP_FREE struct lvm_used *used = NULL;
	size_t used_count, at = 0;
	struct allocate_free *gaps;

	if (lvm_vg_used(group, &used, &used_count))
		return -ENOMEM;
	gaps = calloc(used_count + group->pv_count + 1, sizeof(*gaps));
	if (!gaps)
		return -ENOMEM;
	*count = 0;
	for (unsigned pv = 0; pv < group->pv_count; pv++) {
		bool take = allowed(group->pvs[pv], options);
		uint64_t end = 0;

		for (; at < used_count && used[at].pv == pv; at++) {
			if (take && used[at].start > end)
				gaps[(*count)++] = (struct allocate_free){
					.pv = pv,
					.start = (uint32_t)end,
					.count = (uint32_t)(used[at].start - end)
				};
			end = MAX(end, (uint64_t)used[at].start + used[at].count);
		}
		if (take && group->pvs[pv]->extent_count > end)
			gaps[(*count)++] = (struct allocate_free){
				.pv = pv,
				.start = (uint32_t)end,
				.count = (uint32_t)(group->pvs[pv]->extent_count - end)
			};
	}
	*out = gaps;
	return 0;
}

static int fail_space(const struct volume_group *group, const struct allocate_wish *wish,
		      const struct volume_lv_options *options, struct error *error)
{
	CLEANUP_FREE struct allocate_free *gaps = NULL;
	uint64_t left = 0, largest = 0;
	size_t count = 0;

	if (find_free(group, options, &gaps, &count))
		return no_memory(group, error);
	for (size_t i = 0; i < count; i++) {
		left += gaps[i].count;
		largest = MAX(largest, (uint64_t)gaps[i].count);
	}
	if (wish->contiguous || wish->stripes > 1)
		error_set(error, -ENOSPC,
			  "volume group %s: %u extents %s do not fit; %llu are free, the largest "
			  "area has %llu",
			  group->name, wish->extents,
			  wish->contiguous ? "in one piece" : "in stripes on PVs of their own",
			  (unsigned long long)left, (unsigned long long)largest);
	else
		error_set(error, -ENOSPC,
			  "volume group %s: %u extents of %llu bytes are needed, %llu are free",
			  group->name, wish->extents, (unsigned long long)group->extent_size,
			  (unsigned long long)left);
	return -ENOSPC;
}

/* ---- Segments from places ---- */

/* Whether `segment` goes on at `places` without a new segment. */
static bool continues(const struct volume_segment *segment, const struct volume_group *group,
		      const struct allocate_place *places, unsigned stripes, uint32_t stripe_size)
{
	if (segment->private->node || segment->area_count != stripes ||
	    (stripes > 1 && segment->stripe_size != stripe_size))
		return false;
	for (unsigned i = 0; i < stripes; i++)
		if (segment->areas[i].pv != group->pvs[places[i].pv] ||
		    segment->areas[i].extent + lvm_segment_area_extents(segment) !=
			    places[i].extent)
			return false;
	return true;
}

static int new_segment(struct volume_group *group, struct volume_segment *segment,
		       const struct allocate_place *places, unsigned stripes, uint32_t stripe_size,
		       uint32_t start, uint32_t extents)
{
	*segment = (struct volume_segment){
		.start_extent = start,
		.extent_count = extents,
		.type = (char *)"striped",
		.stripe_size = stripes > 1 ? stripe_size : 0,
		.area_count = stripes,
		.areas = allocate(group, stripes * sizeof(*segment->areas)),
		.private = allocate(group, sizeof(*segment->private)),
	};
	if (!segment->areas || !segment->private)
		return -ENOMEM;
	for (unsigned i = 0; i < stripes; i++)
		segment->areas[i] = (struct volume_area){ .pv = group->pvs[places[i].pv],
							  .extent = places[i].extent };
	return 0;
}

/* What a volume has, kept to take a change back. */
struct lv_state {
	unsigned segment_count;
	struct volume_segment *segments;
	uint32_t extent_count;
	uint64_t size;
};

static struct lv_state state_of(const struct volume_lv *lv)
{
	return (struct lv_state){ lv->segment_count, lv->segments, lv->extent_count, lv->size };
}

static void set_state(struct volume_lv *lv, const struct lv_state *state)
{
	lv->segment_count = state->segment_count;
	lv->segments = state->segments;
	lv->extent_count = state->extent_count;
	lv->size = state->size;
}

/* Adds the pieces behind the volume's end, in a new array of segments: the old one stays as it was. */
static int append(struct volume_group *group, struct volume_lv *lv,
		  const struct allocate_result *pieces, unsigned stripes, uint32_t stripe_size)
{
	struct volume_segment *segments = allocate(group, (lv->segment_count + pieces->count) *
								  sizeof(struct volume_segment));

	if (!segments)
		return -ENOMEM;
	if (lv->segment_count)
		memcpy(segments, lv->segments, lv->segment_count * sizeof(*segments));
	lv->segments = segments;
	for (size_t i = 0; i < pieces->count; i++) {
		const struct allocate_place *places = &pieces->places[i * stripes];
		uint32_t extents = pieces->lengths[i] * stripes;
		struct volume_segment *last =
			lv->segment_count ? &segments[lv->segment_count - 1] : NULL;

		if (last && continues(last, group, places, stripes, stripe_size))
			last->extent_count += extents;
		else if (new_segment(group, &segments[lv->segment_count], places, stripes,
				     stripe_size, lv->extent_count, extents))
			return -ENOMEM;
		else
			lv->segment_count++;
		lv->extent_count += extents;
	}
	lv->size = lv->extent_count * group->extent_size;
	return 0;
}

/* Gives the volume `extents` more. */
static int grow(struct volume_group *group, struct volume_lv *lv, uint32_t extents,
		unsigned stripes, uint32_t stripe_size, const struct volume_lv_options *options,
		struct error *error)
{
	CLEANUP_FREE struct allocate_free *gaps = NULL;
	struct allocate_wish wish = { .extents = extents, .stripes = stripes };
	struct allocate_place after[STRIPES_MAX];
	struct allocate_result pieces;
	size_t count;
	int r;

	wish.contiguous = options && options->allocation == VOLUME_ALLOCATE_CONTIGUOUS;
	if (lv->segment_count) {
		const struct volume_segment *last = &lv->segments[lv->segment_count - 1];

		for (unsigned i = 0; i < stripes; i++)
			after[i] =
				(struct allocate_place){ .pv = last->areas[i].pv->private->index,
							 .extent = last->areas[i].extent +
								   lvm_segment_area_extents(last) };
		wish.after = after;
	}
	r = find_free(group, options, &gaps, &count);
	if (!r)
		r = allocate_extents(gaps, count, &wish, &pieces);
	if (r == -ENOSPC)
		return fail_space(group, &wish, options, error);
	if (r)
		return no_memory(group, error);
	r = append(group, lv, &pieces, stripes, stripe_size);
	allocate_result_free(&pieces);
	return r ? no_memory(group, error) : 0;
}

/* ---- Create ---- */

static int wanted_extents(const struct volume_group *group, const char *name, uint64_t size,
			  unsigned stripes, uint32_t *out, struct error *error)
{
	uint64_t extents = size / group->extent_size + !!(size % group->extent_size);
	uint64_t rest = extents % stripes;

	if (rest)
		extents += stripes - rest;
	if (!extents)
		return error_set(error, -EINVAL, "%s/%s: size is 0", group->name, name);
	if (extents > UINT32_MAX)
		return error_set(error, -ENOSPC,
				 "%s/%s: %llu extents are needed, a volume has fewer than 2^32",
				 group->name, name, (unsigned long long)extents);
	*out = (uint32_t)extents;
	return 0;
}

static int check_stripes(const struct volume_group *group, const char *name, unsigned stripes,
			 uint32_t stripe_size, struct error *error)
{
	if (stripes == 1)
		return 0;
	if (stripes > STRIPES_MAX || stripes > group->pv_count)
		return error_set(error, -EINVAL,
				 "%s/%s: %u stripes are asked for, the volume group has %u PVs",
				 group->name, name, stripes, group->pv_count);
	if (!is_power_of_two(stripe_size) || stripe_size < STRIPE_SIZE_MIN ||
	    stripe_size > group->extent_size)
		return error_set(error, -EINVAL,
				 "%s/%s: stripe size is %u, expected a power of two from %u to "
				 "%llu",
				 group->name, name, stripe_size, STRIPE_SIZE_MIN,
				 (unsigned long long)group->extent_size);
	return 0;
}

/* device-mapper's name is GROUP-VOLUME with hyphens doubled: it must fit there as well. */
static int check_dm_name(const struct volume_group *group, const char *name, struct error *error)
{
	size_t length = strlen(group->name) + 1 + strlen(name);

	for (const char *c = group->name; *c; c++)
		length += *c == '-';
	for (const char *c = name; *c; c++)
		length += *c == '-';
	if (length > VOLUME_NAME_LENGTH)
		return error_set(error, -EINVAL,
				 "%s/%s: device-mapper's name for it has %zu characters, at most "
				 "%d are allowed",
				 group->name, name, length, VOLUME_NAME_LENGTH);
	return 0;
}

static int check_new_name(const struct volume_group *group, const char *name, struct error *error)
{
	int r = volume_lv_name_check(name, error);

	if (!r)
		r = check_dm_name(group, name, error);
	if (!r && volume_group_get_lv(group, name))
		r = error_set(error, -EEXIST, "%s/%s: exists already", group->name, name);
	return r;
}

static int set_strings(struct volume_group *group, struct lvm_strings *strings,
		       const char *const *from, unsigned count)
{
	strings->at = allocate(group, (count + 1) * sizeof(*strings->at));
	if (!strings->at)
		return -ENOMEM;
	for (strings->count = 0; strings->count < count; strings->count++) {
		strings->at[strings->count] = lvm_vg_string(group, from[strings->count]);
		if (!strings->at[strings->count])
			return -ENOMEM;
	}
	return 0;
}

/* A volume without segments, not yet in the group. */
static struct volume_lv *new_lv(struct volume_group *group, const char *name,
				const struct volume_lv_options *options)
{
	static const char *const writable[] = { "READ", "WRITE", "VISIBLE" };
	static const char *const read_only[] = { "READ", "VISIBLE" };
	struct volume_lv *lv = allocate(group, sizeof(*lv));
	struct lvm_strings tags;

	if (!lv)
		return NULL;
	lv->private = allocate(group, sizeof(*lv->private));
	lv->name = lvm_vg_string(group, name);
	lv->creation_host = lvm_vg_string(group, group->private->host);
	if (!lv->private || !lv->name || !lv->creation_host ||
	    set_strings(group, &lv->private->flags, NULL, 0) ||
	    set_strings(group, &tags, options->tags, options->tag_count) ||
	    (options->read_only ? set_strings(group, &lv->private->status, read_only, 2)
				: set_strings(group, &lv->private->status, writable, 3)))
		return NULL;
	lvm_uuid_generate(lv->uuid, group->private->random);
	lv->creation_time = lvm_vg_now(group);
	lv->tags = (char **)tags.at;
	lv->tag_count = tags.count;
	lv->visible = true;
	lv->writable = !options->read_only;
	lv->supported = true;
	return lv;
}

/* Old contents must not be taken for a file system of the new volume. The extents are free until the
 * commit, so nobody else's data is touched. */
static int clear_start(struct volume_group *group, struct volume_lv *lv, struct error *error)
{
	CLEANUP_BLOCK struct block *block = NULL;
	int r = lvm_lv_block(group, lv, true, &block, error);

	if (r)
		return r;
	r = block_write_zeroes(block, 0, MIN((uint64_t)ZEROED, block->size), 0);
	if (r)
		return error_set(error, r, "%s: clearing its start: %s", block->name,
				 error_name(r));
	return block_signature_wipe(block, error);
}

static int add_lv(struct volume_group *group, struct volume_lv *lv)
{
	struct volume_lv **grown =
		allocate(group, (group->lv_count + 1) * sizeof(struct volume_lv *));

	if (!grown)
		return -ENOMEM;
	if (group->lv_count)
		memcpy(grown, group->lvs, group->lv_count * sizeof(struct volume_lv *));
	grown[group->lv_count] = lv;
	group->lvs = grown;
	group->lv_count++;
	return 0;
}

static int create(struct volume_group *group, const char *name,
		  const struct volume_lv_options *options, struct volume_lv **out,
		  struct error *error)
{
	unsigned stripes = options->stripes ? options->stripes : 1;
	uint32_t stripe_size = options->stripe_size ? options->stripe_size : STRIPE_SIZE_DEFAULT;
	uint64_t size = options->extents ? options->extents * group->extent_size : options->size;
	struct volume_lv *lv;
	uint32_t extents;
	int r;

	r = check_new_name(group, name, error);
	if (!r && stripes > 1 && !options->stripe_size)
		stripe_size = (uint32_t)MIN((uint64_t)stripe_size, group->extent_size);
	if (!r)
		r = check_stripes(group, name, stripes, stripe_size, error);
	if (!r)
		r = wanted_extents(group, name, size, stripes, &extents, error);
	if (r)
		return r;
	if (group->max_lv && group->lv_count >= group->max_lv)
		return error_set(error, -ENOSPC, "volume group %s: allows %u volumes and has them",
				 group->name, group->max_lv);
	lv = new_lv(group, name, options);
	if (!lv)
		return no_memory(group, error);
	r = grow(group, lv, extents, stripes, stripe_size, options, error);
	if (!r && !options->keep_contents)
		r = clear_start(group, lv, error);
	if (!r && add_lv(group, lv))
		r = no_memory(group, error);
	if (r)
		return r;
	r = lvm_vg_commit(group, error);
	if (r) {
		group->lv_count--;
		return r;
	}
	if (out)
		*out = lv;
	return lvm_vg_count(group, error);
}

int volume_lv_create(struct volume_group *group, const char *name,
		     const struct volume_lv_options *options, struct volume_lv **out,
		     struct error *error)
{
	CHANGING(group);
	int r = lvm_vg_check_changeable(group, error);

	return r ? r : create(group, name, options, out, error);
}

/* ---- Remove, rename, permission ---- */

/* Whether another volume's segments name this one: an origin, a pool, a part of a raid, ... */
static bool named_by_value(const struct lvm_config_node *node, const char *name)
{
	for (; node; node = node->next) {
		if (named_by_value(node->child, name))
			return true;
		for (unsigned i = 0; i < node->value_count; i++)
			if (node->values[i].type == LVM_CONFIG_STRING &&
			    !strcmp(node->values[i].string, name))
				return true;
	}
	return false;
}

static bool named_by(const struct volume_lv *other, const char *name)
{
	for (unsigned i = 0; i < other->segment_count; i++) {
		const struct volume_segment *segment = &other->segments[i];

		if (segment->private->node && named_by_value(segment->private->node->child, name))
			return true;
		for (unsigned k = 0; k < segment->area_count; k++)
			if (segment->areas[k].lv_name && !strcmp(segment->areas[k].lv_name, name))
				return true;
	}
	return false;
}

/* The volume of that name, if it may be changed by itself. */
static int find_plain(struct volume_group *group, const char *name, struct volume_lv **out,
		      struct error *error)
{
	struct volume_lv *lv = volume_group_get_lv(group, name);
	int r = lvm_vg_check_changeable(group, error);

	if (r)
		return r;
	if (!lv)
		return error_set(error, -ENOENT, "%s/%.128s: no such volume", group->name, name);
	if (!lv->supported || !lv->visible)
		return error_set(error, -EOPNOTSUPP,
				 "%s/%s: its type is %s%s; only plain linear and striped volumes "
				 "can be changed",
				 group->name, name, volume_lv_type(lv),
				 lv->visible ? "" : ", a part of another volume");
	for (unsigned i = 0; i < group->lv_count; i++)
		if (group->lvs[i] != lv && named_by(group->lvs[i], name))
			return error_set(error, -EOPNOTSUPP,
					 "%s/%s: %s is made of it, or of its data", group->name,
					 name, group->lvs[i]->name);
	*out = lv;
	return 0;
}

static int check_closed(const struct volume_group *group, const struct volume_lv *lv,
			struct error *error)
{
	if (!lv->open_count)
		return 0;
	return error_set(error, -EBUSY, "%s/%s: is in use", group->name, lv->name);
}

int volume_lv_remove(struct volume_group *group, const char *name, struct error *error)
{
	CHANGING(group);
	struct volume_lv *lv;
	unsigned at = 0;
	int r = find_plain(group, name, &lv, error);

	if (!r)
		r = check_closed(group, lv, error);
	if (r)
		return r;
	while (group->lvs[at] != lv)
		at++;
	group->lv_count--;
	memmove(&group->lvs[at], &group->lvs[at + 1],
		(group->lv_count - at) * sizeof(struct volume_lv *));
	r = lvm_vg_commit(group, error);
	if (r) {
		memmove(&group->lvs[at + 1], &group->lvs[at],
			(group->lv_count - at) * sizeof(struct volume_lv *));
		group->lvs[at] = lv;
		group->lv_count++;
		return r;
	}
	return lvm_vg_count(group, error);
}

int volume_lv_rename(struct volume_group *group, const char *name, const char *new_name,
		     struct error *error)
{
	CHANGING(group);
	struct volume_lv *lv;
	char *old, *new;
	int r = find_plain(group, name, &lv, error);

	if (!r)
		r = check_new_name(group, new_name, error);
	if (r)
		return r;
	old = lv->name;
	new = lvm_vg_string(group, new_name);
	if (!new)
		return no_memory(group, error);
	lv->name = new;
	r = lvm_vg_commit(group, error);
	if (r)
		lv->name = old;
	return r;
}

int volume_lv_set_writable(struct volume_group *group, const char *name, bool writable,
			   struct error *error)
{
	CHANGING(group);
	struct lvm_strings old, new = { 0 };
	struct volume_lv *lv;
	int r = find_plain(group, name, &lv, error);

	if (!r)
		r = check_closed(group, lv, error);
	if (r || lv->writable == writable)
		return r;
	old = lv->private->status;
	new.at = allocate(group, (old.count + 1) * sizeof(*new.at));
	if (!new.at)
		return no_memory(group, error);
	for (unsigned i = 0; i < old.count; i++) {
		if (strcmp(old.at[i], "WRITE"))
			new.at[new.count++] = old.at[i];
		if (writable && !strcmp(old.at[i], "READ"))
			new.at[new.count++] = "WRITE";
	}
	lv->private->status = new;
	lv->writable = writable;
	r = lvm_vg_commit(group, error);
	if (r) {
		lv->private->status = old;
		lv->writable = !writable;
	}
	return r;
}

/* ---- Resize ---- */

/* Cuts segments to `extents`, in a new array. */
static int shrink(struct volume_group *group, struct volume_lv *lv, uint32_t extents)
{
	struct volume_segment *segments = allocate(group, lv->segment_count * sizeof(*segments));

	if (!segments)
		return -ENOMEM;
	memcpy(segments, lv->segments, lv->segment_count * sizeof(*segments));
	while (segments[lv->segment_count - 1].start_extent >= extents)
		lv->segment_count--;
	segments[lv->segment_count - 1].extent_count =
		extents - segments[lv->segment_count - 1].start_extent;
	lv->segments = segments;
	lv->extent_count = extents;
	lv->size = extents * group->extent_size;
	return 0;
}

/* The last segment that a shrunken volume keeps a part of must divide into its stripes: rounds up. */
static uint32_t round_to_stripes(const struct volume_lv *lv, uint32_t extents)
{
	for (unsigned i = 0; i < lv->segment_count; i++) {
		const struct volume_segment *segment = &lv->segments[i];
		uint32_t within = extents - segment->start_extent;

		if (extents <= segment->start_extent || within >= segment->extent_count)
			continue;
		return extents +
		       (segment->area_count - within % segment->area_count) % segment->area_count;
	}
	return extents;
}

static int resize(struct volume_group *group, struct volume_lv *lv, uint64_t size,
		  const struct volume_lv_options *options, struct error *error)
{
	const struct volume_segment *last = &lv->segments[lv->segment_count - 1];
	uint32_t extents, more;
	int r = wanted_extents(group, lv->name, size, 1, &extents, error);

	if (r)
		return r;
	if (extents <= lv->extent_count) {
		extents = round_to_stripes(lv, extents);
		if (extents == lv->extent_count)
			return 0;
		r = check_closed(group, lv, error);
		if (!r && shrink(group, lv, extents))
			r = no_memory(group, error);
		return r;
	}
	if (last->area_count > STRIPES_MAX)
		return error_set(error, -EOPNOTSUPP, "%s/%s: has %u stripes, at most %u can grow",
				 group->name, lv->name, last->area_count, STRIPES_MAX);
	more = extents - lv->extent_count;
	if (more % last->area_count)
		more += last->area_count - more % last->area_count;
	return grow(group, lv, more, last->area_count, last->stripe_size, options, error);
}

int volume_lv_resize(struct volume_group *group, const char *name, uint64_t size,
		     const struct volume_lv_options *options, struct error *error)
{
	CHANGING(group);
	struct lv_state old;
	struct volume_lv *lv;
	int r = find_plain(group, name, &lv, error);

	if (r)
		return r;
	old = state_of(lv);
	r = resize(group, lv, size, options, error);
	if (!r && lv->extent_count == old.extent_count)
		return 0;
	if (!r)
		r = lvm_vg_commit(group, error);
	if (r) {
		set_state(lv, &old);
		return r;
	}
	r = lvm_vg_count(group, error);
	return r ? r : lvm_lv_refresh(group, lv, error);
}
