/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shapers of ports, as settings: "shape-out=50M/1M" is a link (vswitch/port_link.h) with that rate and burst, in one direction. So there is
 * one queue and one place where it is counted, and `tenon link` shows and changes the same.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/switch.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "vswitch/switch.h"

unsigned switch_shape_direction(const char *word)
{
	return !strncmp(word, "shape-in=", 9)     ? LINK_IN
	       : !strncmp(word, "shape-out=", 10) ? LINK_OUT
						  : 0;
}

int switch_shape_change(struct link_model *model, const char *word, struct error *error)
{
	CLEANUP_FREE char *copy = strdup(strchr(word, '=') + 1);
	char *burst = copy ? strchr(copy, '/') : NULL, text[80];
	struct link_model changed = *model;
	int rc;

	if (burst)
		*burst++ = '\0';
	if (!copy)
		return error_set(error, -ENOMEM, "%.20s: out of memory", word);
	snprintf(text, sizeof(text), "rate=%.60s", copy);
	rc = link_model_set(&changed, text, NULL);
	snprintf(text, sizeof(text), "burst=%.60s", burst ? burst : "none");
	if (!rc)
		rc = link_model_set(&changed, text, NULL);
	if (rc || (burst && !*burst) || (!changed.rate && burst))
		return error_set(
			error, -EINVAL,
			"%.60s: expected RATE or RATE/BURST in bits, as in 50M/1M, or none", word);
	rc = link_model_check(&changed, error);
	if (rc) {
		error_prefix(error, "%.60s", word);
		return rc;
	}
	*model = changed;
	return 0;
}

static void describe_way(const char *key, const struct link_model *model, char *text, size_t size)
{
	size_t used = strlen(text);

	if (!model->rate)
		return;
	used += (size_t)snprintf(text + used, size - used, "%s%s=%llu", used ? "," : "", key,
				 (unsigned long long)model->rate);
	if (model->burst && used < size)
		snprintf(text + used, size - used, "/%llu", (unsigned long long)model->burst);
}

void switch_shape_describe(const struct vswitch_port_status *port, char *text, size_t size)
{
	if (!port->has_link)
		return;
	describe_way("shape-in", &port->link_in.model, text, size);
	describe_way("shape-out", &port->link_out.model, text, size);
}
