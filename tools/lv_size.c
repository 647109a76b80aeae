/* SPDX-License-Identifier: BSD-2-Clause */
/* See lv_size.h. */
#include "tools/lv_size.h"

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
#include "util/number.h"
#include "volume/volume.h"

/* ---- What is given ---- */

/* "50%FREE". 1: it is one; 0: it is none; negative: it is wrong. */
static int parse_percentage(const char *text, json_t *params, struct error *error)
{
	static const char *const wholes[] = { "VG", "FREE", "PVS", "LV" };
	const char *sign = strchr(text, '%');
	CLEANUP_FREE char *digits = sign ? strndup(text, (size_t)(sign - text)) : NULL;
	uint64_t percent;
	int rc;

	if (!sign)
		return 0;
	if (!digits)
		return -ENOMEM;
	rc = number_parse(digits, 1, UINT32_MAX, &percent, error);
	if (rc)
		return rc;
	for (unsigned i = 0; i < ARRAY_SIZE(wholes); i++)
		if (!strcmp(sign + 1, wholes[i])) {
			json_object_set_new(params, "percent", json_integer((json_int_t)percent));
			json_object_set_new(params, "of", json_string(wholes[i]));
			return 1;
		}
	return error_set(error, -EINVAL, "%s: expected VG, FREE, PVS or LV behind %%", text);
}

bool lv_size_parse(const struct lv_size *size, const char *signs, json_t *params)
{
	const char *text = size->size ? size->size : size->extents;
	const char *option = size->size ? "size" : "extents";
	struct error error = { 0 };
	char sign[2] = "";
	uint64_t amount;
	int rc;

	if (!size->size == !size->extents)
		return cli_usage_error("give either --size or --extents"), false;
	if (*text == '+' || *text == '-') {
		if (!strchr(signs, *text))
			return cli_usage_error("--%s %s: expected a size%s%s%s", option, text,
					       *signs ? ", or " : "", signs,
					       *signs ? " before it" : ""),
			       false;
		sign[0] = *text++;
	}
	json_object_set_new(params, "sign", json_string(sign));
	rc = parse_percentage(text, params, &error);
	if (!rc) {
		rc = size->size ? cli_parse_size(text, 1, INT64_MAX, &amount, &error)
				: number_parse(text, 1, UINT32_MAX, &amount, &error);
		if (!rc)
			json_object_set_new(params, size->size ? "bytes" : "extents",
					    json_integer((json_int_t)amount));
	}
	if (rc < 0)
		return cli_usage_error("--%s: %s", option, error.text), false;
	return true;
}

/* ---- What that means in a group ---- */

/* The whole that a percentage is of, in extents. */
static int whole_of(const struct volume_group *group, const struct volume_lv *lv, json_t *params,
		    uint64_t *whole, struct error *error)
{
	const char *of = json_string_value(json_object_get(params, "of"));
	CLEANUP_LV_PLACES struct lv_places places = { 0 };
	int rc = lv_place_find(group, json_object_get(params, "pvs"), &places, error);

	if (rc)
		return rc;
	*whole = group->extent_count;
	if (of && !strcmp(of, "FREE"))
		*whole = group->free_extents;
	if (of && !strcmp(of, "LV")) {
		if (!lv)
			return error_set(error, -EINVAL,
					 "%%LV: a volume that is made has no size yet");
		*whole = lv->extent_count;
	}
	if (!of || strcmp(of, "PVS") != 0 || !places.pv_count)
		return 0;
	return lv_place_free(group, &places, whole, error);
}

static uint64_t natural(json_t *params, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(params, key));

	return value > 0 ? (uint64_t)value : 0;
}

bool lv_size_is_relative(json_t *params)
{
	return natural(params, "percent");
}

int lv_size_bytes(const struct volume_group *group, const struct volume_lv *lv, json_t *params,
		  uint64_t *bytes, struct error *error)
{
	const char *sign = json_string_value(json_object_get(params, "sign"));
	uint64_t percent = natural(params, "percent"), extents = natural(params, "extents"), whole;
	int rc = percent ? whole_of(group, lv, params, &whole, error) : 0;

	if (rc)
		return rc;
	*bytes = natural(params, "bytes");
	if (percent > UINT32_MAX)
		return error_set(error, -ERANGE, "a percentage over %u", UINT32_MAX);
	if (percent)
		extents = (percent * whole + (sign && *sign == '-' ? 99 : 0)) / 100;
	if (percent && !extents)
		return error_set(error, -ENOSPC,
				 "volume group %s: %llu%%%s of %llu extents are none", group->name,
				 (unsigned long long)percent,
				 json_string_value(json_object_get(params, "of")),
				 (unsigned long long)whole);
	if (!*bytes && __builtin_mul_overflow(extents, group->extent_size, bytes))
		return error_set(error, -ERANGE, "%llu extents are more than 8 EiB",
				 (unsigned long long)extents);
	return 0;
}
