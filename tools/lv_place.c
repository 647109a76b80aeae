/* SPDX-License-Identifier: BSD-2-Clause */
/* See lv_place.h. */
#include "tools/lv_place.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "tools/describe.h"
#include "tools/device_look.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "util/error.h"

/* ---- Words ---- */

/* What is behind the colon of one range; false: it is none. `last` UINT64_MAX: to the end of the PV. */
static bool read_range(const char **at, uint64_t *first, uint64_t *last)
{
	const char *text = *at;
	char *end = (char *)text, sign;

	*first = isdigit((unsigned char)*text) ? strtoull(text, &end, 10) : 0;
	*last = *first;
	sign = *end;
	if (sign == '-' || sign == '+') {
		text = end + 1;
		*last = UINT64_MAX;
		if (isdigit((unsigned char)*text)) {
			/* One that no number holds is no "to the end". */
			*last = MIN(strtoull(text, &end, 10), UINT64_MAX - 1);
			if (sign == '+')
				*last = *last && *last < UINT64_MAX - *first ? *first + *last - 1
									     : UINT64_MAX - 1;
		} else {
			end = (char *)text;
		}
	}
	if (end == *at || (*end && *end != ':'))
		return false;
	*at = end;
	return true;
}

static bool are_ranges(const char *text)
{
	uint64_t first, last;

	while (*text == ':') {
		text++;
		if (!read_range(&text, &first, &last))
			return false;
	}
	return !*text;
}

/* The ranges behind a name of `length`, or one with fewer of them; NULL: all of it is the name. */
static const char *ranges_before(const char *word, size_t length)
{
	while (length-- > 1)
		if (word[length] == ':')
			return are_ranges(word + length) ? word + length : NULL;
	return NULL;
}

/* A path, unless it is a tag, an array or a UUID. */
static bool is_path(const char *word)
{
	return *word != '@' && !stack_names_array(word) &&
	       (strchr(word, '/') || !access(word, F_OK));
}

char *lv_place_device(const char *word)
{
	const char *ranges = word + strlen(word);

	for (const char *more = ranges; access(word, F_OK);) {
		CLEANUP_FREE char *shorter = NULL;

		more = ranges_before(word, (size_t)(more - word));
		shorter = more ? strndup(word, (size_t)(more - word)) : NULL;
		if (!shorter)
			break;
		ranges = more;
		if (!access(shorter, F_OK))
			break;
	}
	return strndup(word, (size_t)(ranges - word));
}

json_t *lv_place_words(const struct cli_words *words, unsigned from)
{
	json_t *list = json_array();

	for (unsigned i = from; i < words->count; i++) {
		const char *word = words->words[i];
		CLEANUP_FREE char *device = lv_place_device(word), *path = NULL, *text = NULL;

		if (device && is_path(device))
			path = device_resolve(device);
		if (path && asprintf(&text, "%s%s", path, word + strlen(device)) < 0)
			text = NULL;
		json_array_append_new(list, text ? describe_path(text) : describe_text(word));
	}
	return list;
}

void lv_place_add(const struct cli_words *words, unsigned from, json_t *params)
{
	json_object_set_new(params, "pvs", lv_place_words(words, from));
}

/* ---- What that means in a group ---- */

static bool has_tag(const struct volume_pv *pv, const char *tag)
{
	for (unsigned i = 0; i < pv->tag_count; i++)
		if (!strcmp(pv->tags[i], tag))
			return true;
	return false;
}

static bool names_pv(const struct volume_pv *pv, const char *name)
{
	if (*name == '@')
		return has_tag(pv, name + 1);
	return !strcmp(pv->uuid, name) || (pv->block && !strcmp(pv->block->name, name));
}

static bool names_any(const struct volume_group *group, const char *name)
{
	for (unsigned i = 0; i < group->pv_count; i++)
		if (names_pv(group->pvs[i], name))
			return true;
	return false;
}

static bool contains(struct volume_pv *const *pvs, unsigned count, const struct volume_pv *pv)
{
	for (unsigned i = 0; i < count; i++)
		if (pvs[i] == pv)
			return true;
	return false;
}

void lv_places_free(struct lv_places *places)
{
	free(places->pvs);
	free(places->ranges);
}

static int add_range(const struct volume_group *group, struct lv_places *places,
		     struct volume_pv *pv, uint64_t first, uint64_t last, struct error *error)
{
	struct volume_range *grown =
		realloc(places->ranges, (places->range_count + 1) * sizeof(*grown));
	const char *name = pv->block ? pv->block->name : pv->uuid;

	if (!grown)
		return -ENOMEM;
	places->ranges = grown;
	if (last == UINT64_MAX && pv->extent_count)
		last = pv->extent_count - 1;
	if (first > last || last >= pv->extent_count)
		return error_set(error, -EINVAL,
				 "%s: extents %llu to %llu: volume group %s has 0 to %llu there",
				 name, (unsigned long long)first, (unsigned long long)last,
				 group->name, (unsigned long long)pv->extent_count - 1);
	for (unsigned i = 0; i < places->range_count; i++)
		if (grown[i].pv == pv && first <= grown[i].last && grown[i].first <= last)
			return error_set(error, -EINVAL,
					 "%s: extents %llu to %llu and %u to %u: overlap", name,
					 (unsigned long long)first, (unsigned long long)last,
					 grown[i].first, grown[i].last);
	grown[places->range_count++] = (struct volume_range){ pv, (uint32_t)first, (uint32_t)last };
	return 0;
}

static int add_pv(const struct volume_group *group, struct lv_places *places, struct volume_pv *pv,
		  const char *ranges, struct error *error)
{
	int rc = 0;

	if (!contains(places->pvs, places->pv_count, pv))
		places->pvs[places->pv_count++] = pv;
	while (!rc && *ranges == ':') {
		uint64_t first, last;

		ranges++;
		read_range(&ranges, &first, &last);
		rc = add_range(group, places, pv, first, last, error);
	}
	return rc;
}

static int add_word(const struct volume_group *group, struct lv_places *places, const char *word,
		    struct error *error)
{
	const char *ranges = word + strlen(word);
	CLEANUP_FREE char *name = strdup(word);
	int rc = name ? 0 : -ENOMEM;

	for (const char *more = ranges; !rc && !names_any(group, name);) {
		more = ranges_before(word, (size_t)(more - word));
		if (!more) {
			error_set(error, -ENOENT,
				  "%s: is no physical volume of volume group %s, and no tag of "
				  "one",
				  word, group->name);
			return error_advise(error, "`tenon vg show %s` lists them", group->name);
		}
		ranges = more;
		name[more - word] = '\0';
	}
	for (unsigned i = 0; !rc && i < group->pv_count; i++)
		if (names_pv(group->pvs[i], name))
			rc = add_pv(group, places, group->pvs[i], ranges, error);
	return rc;
}

int lv_place_find(const struct volume_group *group, json_t *list, struct lv_places *places,
		  struct error *error)
{
	json_t *item;
	size_t index;
	int rc = 0;

	if (!json_array_size(list))
		return 0;
	places->pvs = calloc(group->pv_count + 1, sizeof(struct volume_pv *));
	if (!places->pvs)
		return -ENOMEM;
	json_array_foreach(list, index, item) {
		rc = add_word(group, places, json_is_string(item) ? json_string_value(item) : "?",
			      error);
		if (rc)
			return rc;
	}
	return 0;
}

int lv_place_find_pvs(const struct volume_group *group, json_t *params, struct volume_pv ***out,
		      unsigned *count, struct error *error)
{
	CLEANUP_LV_PLACES struct lv_places places = { 0 };
	int rc = lv_place_find(group, json_object_get(params, "pvs"), &places, error);

	*out = NULL;
	*count = 0;
	if (!rc && places.range_count)
		rc = error_set(error, -EINVAL,
			       "%s: only some of its extents are named, expected all",
			       places.ranges[0].pv->block ? places.ranges[0].pv->block->name
							  : places.ranges[0].pv->uuid);
	if (rc)
		return rc;
	*out = steal_pointer(&places.pvs);
	*count = places.pv_count;
	return 0;
}

int lv_place_free(const struct volume_group *group, const struct lv_places *places,
		  uint64_t *extents, struct error *error)
{
	uint64_t some = 0;
	int rc = volume_free_in(group, places->ranges, places->range_count, &some);

	if (rc)
		return error_set(error, rc, "volume group %s: no memory", group->name);
	*extents = some;
	for (unsigned i = 0; i < places->pv_count; i++) {
		const struct volume_pv *pv = places->pvs[i];
		bool in_part = false;

		for (unsigned k = 0; k < places->range_count; k++)
			in_part |= places->ranges[k].pv == pv;
		if (!in_part)
			*extents += pv->extent_count - pv->allocated_extents;
	}
	return 0;
}

void lv_place_options(const struct lv_places *places, struct volume_lv_options *options)
{
	options->pvs = places->pvs;
	options->pv_count = places->pv_count;
	options->ranges = places->ranges;
	options->range_count = places->range_count;
}
