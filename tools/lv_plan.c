/* SPDX-License-Identifier: BSD-2-Clause */
/* See lv_plan.h. */
#include "tools/lv_plan.h"

#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "block/signature.h"
#include "block/signature_size.h"
#include "rpc/rpc.h"
#include "tools/consent.h"
#include "tools/describe.h"
#include "tools/lv_change.h"
#include "tools/lv_size.h"
#include "util/size.h"
#include "volume/volume.h"

/* ---- What it would do ---- */

static uint64_t positive(json_t *params, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(params, key));

	return value > 0 ? (uint64_t)value : 0;
}

static int wanted_size(const struct volume_group *group, const struct volume_lv *lv, json_t *params,
		       uint64_t *wanted, struct error *error)
{
	const char *sign = json_string_value(json_object_get(params, "sign"));
	char sizes[2][SIZE_TEXT];
	bool fits = true;
	uint64_t amount;
	int rc = lv_size_bytes(group, lv, params, &amount, error);

	if (rc)
		return rc;
	if (fits && sign && *sign == '+') {
		fits = !__builtin_add_overflow(lv->size, amount, wanted);
	} else if (fits && sign && *sign == '-') {
		if (amount >= lv->size)
			return error_set(error, -ERANGE,
					 "%s/%s: has %s, and cannot be made smaller by %s",
					 group->name, lv->name, size_format(lv->size, sizes[0]),
					 size_format(amount, sizes[1]));
		*wanted = lv->size - amount;
	} else {
		*wanted = amount;
	}
	if (fits && *wanted && *wanted <= (uint64_t)INT64_MAX - group->extent_size)
		return 0;
	return error_set(error, -ERANGE, "%s/%s: a size of no bytes, or of more than 8 EiB",
			 group->name, lv->name);
}

/* What is on the volume. That it cannot be told is no failure of this, but to be known. */
static void look_at_contents(struct volume_group *group, const struct volume_lv *lv, json_t *plan)
{
	CLEANUP_BLOCK struct block *block = NULL;
	struct block_signature found;
	struct error why = { 0 };
	uint64_t needs = 0;
	int rc = volume_open_lv(group, lv->name, false, &block, &why);

	if (!rc)
		rc = block_signature_find(block, &found, &why);
	if (rc > 0) {
		json_object_set_new(plan, "holds", describe_text(found.name));
		rc = block_signature_size(block, &found, &needs, &why);
		if (!rc && needs)
			json_object_set_new(plan, "needs_bytes", json_integer((json_int_t)needs));
	}
	if (rc < 0)
		json_object_set_new(plan, "unread",
				    describe_text(why.text[0] ? why.text : error_name(rc)));
}

static int plan_create(struct volume_group *group, json_t *params, json_t **plan,
		       struct error *error)
{
	json_t *lines = json_array();
	int rc = lv_change_plan_create(group, params, lines, error);

	*plan = rc ? NULL : json_pack("{s:O}", "lines", lines);
	json_decref(lines);
	return rc || *plan ? rc : -ENOMEM;
}

int lv_plan(struct volume_group *group, json_t *params, json_t **plan, struct error *error)
{
	bool resize = json_object_get(params, "sign");
	uint64_t wanted = 0, rounded = 0, extent = group->extent_size;
	struct volume_lv *lv;
	const char *name;
	int rc = rpc_param_string(params, "name", &name, error);

	if (rc)
		return rc;
	if (json_is_true(json_object_get(params, "create")))
		return plan_create(group, params, plan, error);
	name = strchr(name, '/') ? strchr(name, '/') + 1 : name;
	lv = volume_group_get_lv(group, name);
	if (!lv) {
		error_set(error, -ENOENT, "%s/%s: no such volume", group->name, name);
		return error_advise(error, "`tenon lv list %s` shows what there is", group->name);
	}
	/* As the change itself would say it, and before anybody is asked. */
	rc = volume_group_check_planned(group, !resize, error);
	if (!rc && resize)
		rc = wanted_size(group, lv, params, &wanted, error);
	if (rc)
		return rc;
	if (resize)
		rounded = (wanted + extent - 1) / extent * extent;
	*plan = json_pack("{s:s, s:I, s:o, s:o, s:n, s:n, s:n}", "uuid", lv->uuid, "size_bytes",
			  (json_int_t)lv->size, "new_size_bytes",
			  resize ? json_integer((json_int_t)rounded) : json_null(), "wanted_bytes",
			  resize ? json_integer((json_int_t)wanted) : json_null(), "holds",
			  "needs_bytes", "unread");
	if (!*plan)
		return -ENOMEM;
	if (rounded < lv->size)
		look_at_contents(group, lv, *plan);
	return 0;
}

/* ---- Whether it may ---- */

struct judged {
	const char *name, *holds, *unread;
	uint64_t size, new_size, needs;
	char sizes[3][SIZE_TEXT];
};

static void judge(struct judged *judged, json_t *plan, const char *name)
{
	*judged = (struct judged){ .name = name,
				   .holds = json_string_value(json_object_get(plan, "holds")),
				   .unread = json_string_value(json_object_get(plan, "unread")),
				   .size = positive(plan, "size_bytes"),
				   .new_size = positive(plan, "new_size_bytes"),
				   .needs = positive(plan, "needs_bytes") };
	size_format(judged->size, judged->sizes[0]);
	size_format(judged->new_size, judged->sizes[1]);
	size_format(judged->needs, judged->sizes[2]);
}

static int wrong_way(const struct judged *judged, const struct lv_plan_rules *rules,
		     struct error *error)
{
	if (judged->new_size < judged->size && rules->grow) {
		error_set(error, -EINVAL, "%s: has %s, and would be cut to %s%s%s%s%s",
			  judged->name, judged->sizes[0], judged->sizes[1],
			  judged->holds ? "; on it: " : "", judged->holds ? judged->holds : "",
			  judged->holds && judged->needs ? " of " : "",
			  judged->holds && judged->needs ? judged->sizes[2] : "");
		return error_advise(error,
				    "nothing was changed; `tenon lv reduce`, or `lv resize` with "
				    "--shrink, says that this is meant");
	}
	error_set(error, -EINVAL, "%s: has %s, and would grow to %s", judged->name,
		  judged->sizes[0], judged->sizes[1]);
	return error_advise(error, "nothing was changed; `tenon lv extend` makes it larger");
}

/* What is on a volume that is made smaller stays whole, or is cut on purpose. */
static int judge_shrinking(const struct judged *judged, const struct lv_plan_rules *rules,
			   struct consent *consent, struct error *error)
{
	consent_plan(consent, "%s: would be reduced from %s to %s", judged->name, judged->sizes[0],
		     judged->sizes[1]);
	if (judged->unread)
		consent_loss(consent, "what is on it is not known: %s", judged->unread);
	if (!judged->holds)
		return 0;
	if (judged->needs && judged->needs <= judged->new_size) {
		consent_plan(consent, "  the %s on it has %s, and stays whole", judged->holds,
			     judged->sizes[2]);
		return 0;
	}
	consent_loss(consent, "the %s on it%s%s would be cut", judged->holds,
		     judged->needs ? ", of " : ", whose size is not known here,",
		     judged->needs ? judged->sizes[2] : "");
	if (rules->force)
		return 0;
	error_set(error, -EEXIST, "%s: would be reduced from %s to %s; %s", judged->name,
		  judged->sizes[0], judged->sizes[1], consent->loss);
	return error_advise(error, "nothing was changed; make that smaller first, or give --force "
				   "if nothing on it is needed");
}

int lv_plan_agree(json_t *plan, const char *name, const struct lv_plan_rules *rules,
		  struct consent *consent, struct error *error)
{
	struct judged judged;
	int rc = 0;

	judge(&judged, plan, name);
	consent->force |= rules->force;
	consent->always = rules->remove || judged.new_size < judged.size;
	if (rules->remove) {
		consent_plan(consent, "%s: would be removed, %s", name, judged.sizes[0]);
		if (judged.holds)
			consent_loss(consent, "the %s on it would be lost", judged.holds);
		if (judged.unread)
			consent_loss(consent, "what is on it is not known: %s", judged.unread);
	} else if (judged.new_size < judged.size   ? !rules->shrink
		   : judged.new_size > judged.size ? !rules->grow
						   : false) {
		return wrong_way(&judged, rules, error);
	} else if (judged.new_size < judged.size) {
		rc = judge_shrinking(&judged, rules, consent, error);
	} else if (judged.new_size == judged.size) {
		consent_plan(consent, "%s: has %s, and would keep them", name, judged.sizes[0]);
	} else {
		consent_plan(consent, "%s: would be extended from %s to %s", name, judged.sizes[0],
			     judged.sizes[1]);
	}
	return rc ? rc : consent_ask(consent, error);
}
