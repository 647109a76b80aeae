/* SPDX-License-Identifier: BSD-2-Clause */
/* See filter.h. */
#include "vswitch/filter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/port.h"

/* ---- Rules ---- */

int filter_action_parse(struct filter_action *action, const char *text, struct error *error)
{
	struct filter_action made = { .drop = !strcmp(text, "drop") };
	int rc = 0;

	if (!strncmp(text, "rate=", 5))
		rc = police_parse(&made.police, text + 5, error);
	else if (!made.drop && strcmp(text, "allow"))
		rc = error_set(error, -EINVAL,
			       "action \"%.40s\": expected allow, drop or rate=RATE[/BURST]", text);
	if (!rc && strlen(text) >= sizeof(made.text))
		rc = error_set(error, -EINVAL, "action \"%.40s...\": too long", text);
	if (rc)
		return rc;
	strcpy(made.text, text);
	*action = made;
	return 0;
}

static size_t reach_of_rules(const struct filter *filter)
{
	size_t reach = 0;

	for (unsigned i = 0; i < filter->count; i++)
		reach = MAX(reach, filter_program_reach(filter->rules[i].program));
	return reach;
}

int filter_add(struct filter *filter, unsigned position, const struct filter_rule *rule,
	       bool way_in, struct error *error)
{
	size_t reach = MAX(filter->reach, filter_program_reach(rule->program));

	if (filter->count == FILTER_RULES_MAX)
		return error_set(error, -ENOSPC, "there are %d rules, no more fit",
				 FILTER_RULES_MAX);
	if (position > filter->count + 1)
		return error_set(error, -EINVAL,
				 "position %u: there are %u rules, expected 1 to %u", position,
				 filter->count, filter->count + 1);
	if (way_in && reach > FRAME_HEAD_PLAIN && (!filter->pinned || reach > filter->reach)) {
		uint8_t *pinned = malloc(PORT_BURST * reach);

		if (!pinned)
			return error_set(error, -ENOMEM, "out of memory");
		free(filter->pinned);
		filter->pinned = pinned;
	}
	filter->reach = reach;
	position = position ? position - 1 : filter->count;
	memmove(&filter->rules[position + 1], &filter->rules[position],
		(filter->count - position) * sizeof(filter->rules[0]));
	filter->rules[position] = *rule;
	filter->count++;
	return 0;
}

int filter_remove(struct filter *filter, unsigned position, struct error *error)
{
	if (!position || !filter || position > filter->count)
		return error_set(error, -ENOENT, "rule %u: there are %u", position,
				 filter ? filter->count : 0);
	filter_program_free(filter->rules[position - 1].program);
	filter->count--;
	memmove(&filter->rules[position - 1], &filter->rules[position],
		(filter->count - (position - 1)) * sizeof(filter->rules[0]));
	/* `pinned` has room for what was there. */
	if (!filter->pinned)
		filter->reach = reach_of_rules(filter);
	return 0;
}

void filter_free(struct filter *filter)
{
	if (!filter)
		return;
	for (unsigned i = 0; i < filter->count; i++)
		filter_program_free(filter->rules[i].program);
	free(filter->pinned);
	free(filter);
}

/* ---- Frames ---- */

void filter_pin(struct filter *filter, struct frame *frame, unsigned slot)
{
	size_t wanted = MIN(filter->reach, (size_t)frame->length), skip;
	uint8_t *to = filter->pinned ? filter->pinned + slot * filter->reach : NULL;

	if (!to || frame->pieces[0].iov_len >= wanted)
		return;
	frame_copy_out(frame->pieces, frame->count, 0, to, wanted);
	skip = wanted - frame->pieces[0].iov_len;
	frame->pieces[0] = (struct iovec){ to, wanted };
	for (unsigned i = 1; i < frame->count && skip; i++) {
		size_t less = MIN(skip, frame->pieces[i].iov_len);

		frame->pieces[i].iov_base = (uint8_t *)frame->pieces[i].iov_base + less;
		frame->pieces[i].iov_len -= less;
		skip -= less;
	}
}

/* On a wire: a large frame's headers are there once for each segment. */
static uint64_t wire_bits(const struct frame *frame, uint64_t packets)
{
	return 8 * (frame->length + (packets - 1) * frame->offload.headers);
}

enum filter_verdict filter_decide(struct filter *filter, const struct frame *frame, uint64_t now,
				  uint8_t *room)
{
	for (unsigned i = 0; i < filter->count; i++) {
		struct filter_rule *rule = &filter->rules[i];
		uint64_t packets;

		if (!filter_program_matches(rule->program, frame, room))
			continue;
		packets = virtio_net_wire_frames(&frame->offload, frame->length);
		rule->frames++;
		rule->bytes += frame->length;
		if (!rule->action.drop &&
		    police_allows(&rule->action.police, now, packets, wire_bits(frame, packets)))
			return FILTER_ALLOW;
		rule->dropped++;
		return rule->action.drop ? FILTER_DROP : FILTER_POLICE;
	}
	return FILTER_ALLOW;
}
