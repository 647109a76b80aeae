/* SPDX-License-Identifier: BSD-2-Clause */
/* See rehearse.h. */
#include "tools/rehearse.h"

#include <stdio.h>
#include <stdlib.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/size.h"

int rehearse_claim(struct stack **out, const struct cli_words *given, char *target,
		   struct error *error)
{
	const struct stack_options options = { .rehearse = true };
	struct cli_words targets = { &target, 1 };

	return stack_claim(out, given, &targets, &options, error);
}

static void say_tags(const char *what, char *const *tags, unsigned count)
{
	CLEANUP_FREE char *text = NULL;
	size_t length;
	FILE *to = open_memstream(&text, &length);

	for (unsigned i = 0; to && i < count; i++)
		fprintf(to, "%s%s", i ? ", " : "", tags[i]);
	if (!to || fclose(to))
		return;
	if (count)
		cli_say("%s: its tags would be: %s", what, text);
	else
		cli_say("%s: would have no tags", what);
}

void rehearse_say_settings(const char *what, json_t *params, char *const *tags, unsigned tag_count)
{
	static const struct {
		const char *key, *yes, *no;
	} settings[] = {
		{ "writable", "could be written to", "could only be read" },
		{ "activation_skip", "would be left alone by LVM2 unless told",
		  "would not be left alone by LVM2" },
		{ "autoactivate", "LVM2 might start it by itself",
		  "LVM2 would not start it by itself" },
		{ "allocatable", "volumes could get extents on it",
		  "no volume would get extents on it" },
		{ "resizeable", "physical volumes could come and go",
		  "its physical volumes would have to stay the same" },
	};
	static const struct {
		const char *key, *what;
	} limits[] = { { "max_lvs", "volumes" }, { "max_pvs", "physical volumes" } };
	static const struct {
		const char *key, *what;
	} rates[] = { { "recovery_least", "least" }, { "recovery_most", "most" } };
	json_t *policy = json_object_get(params, "allocation");
	char size[SIZE_TEXT];

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		json_t *value = json_object_get(params, settings[i].key);

		if (json_is_boolean(value))
			cli_say("%s: %s", what,
				json_is_true(value) ? settings[i].yes : settings[i].no);
	}
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		json_int_t most = json_integer_value(json_object_get(params, limits[i].key));

		if (most)
			cli_say("%s: could have %lld %s at most", what, (long long)most,
				limits[i].what);
		else if (json_object_get(params, limits[i].key))
			cli_say("%s: could have any number of %s", what, limits[i].what);
	}
	if (json_object_get(params, "extent_size"))
		cli_say("%s: its extents would have %s", what,
			size_format((uint64_t)json_integer_value(
					    json_object_get(params, "extent_size")),
				    size));
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		json_t *given = json_object_get(params, rates[i].key);
		uint64_t rate = (uint64_t)json_integer_value(given);

		if (json_is_integer(given) && rate)
			cli_say("%s: %s of each image would be synchronized a second, at %s", what,
				size_format(rate, size), rates[i].what);
		else if (json_is_integer(given))
			cli_say("%s: nothing would be said of how much is synchronized a second, "
				"at %s",
				what, rates[i].what);
	}
	if (json_is_string(policy))
		cli_say("%s: its allocation policy would be %s", what, json_string_value(policy));
	if (json_array_size(json_object_get(params, "add_tags")) ||
	    json_array_size(json_object_get(params, "delete_tags")))
		say_tags(what, tags, tag_count);
}
