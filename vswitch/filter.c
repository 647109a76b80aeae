/* SPDX-License-Identifier: BSD-2-Clause */
/* See filter.h. */
#include "vswitch/filter.h"

#include <errno.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/number.h"
#include "vswitch/internal.h"

/* ---- Rules ---- */

static int bad_action(const char *word, struct error *error)
{
	return error_set(error, -EINVAL,
			 "action \"%.60s\": expected allow, drop, rate=RATE[/BURST], mark=dscp:N, "
			 "mark=pcp:N or mirror=PORT, also several with commas between",
			 word);
}

static int parse_mark(struct filter_mark *mark, const char *value, struct error *error)
{
	bool dscp = !strncmp(value, "dscp:", 5);
	uint64_t number;

	if (!dscp && strncmp(value, "pcp:", 4) != 0)
		return error_set(error, -EINVAL, "mark=%.40s: expected dscp:N or pcp:N", value);
	if (number_parse(value + (dscp ? 5 : 4), 0, dscp ? 63 : 7, &number, NULL))
		return error_set(error, -EINVAL, "mark=%.40s: expected a number from 0 to %d",
				 value, dscp ? 63 : 7);
	*(dscp ? &mark->dscp : &mark->pcp) = (uint8_t)(number + 1);
	return 0;
}

static int parse_mirror(struct filter_action *action, const char *port, struct error *error)
{
	/* Whether there is such a port is seen when the rule is added. */
	if (!*port || strlen(port) >= sizeof(action->mirror) || strchr(port, '/'))
		return error_set(error, -EINVAL, "mirror=%.40s: expected the name of a port", port);
	strcpy(action->mirror, port);
	return 0;
}

static int parse_word(struct filter_action *action, const char *word, bool *allow,
		      struct error *error)
{
	if (!strcmp(word, "drop"))
		action->drop = true;
	else if (!strcmp(word, "allow"))
		*allow = true;
	else if (!strncmp(word, "rate=", 5))
		return police_parse(&action->police, word + 5, error);
	else if (!strncmp(word, "mark=", 5))
		return parse_mark(&action->mark, word + 5, error);
	else if (!strncmp(word, "mirror=", 7))
		return parse_mirror(action, word + 7, error);
	else
		return bad_action(word, error);
	return 0;
}

int filter_action_parse(struct filter_action *action, const char *text, struct error *error)
{
	struct filter_action made = { 0 };
	char *rest, *word, copy[FILTER_ACTION_TEXT];
	bool allow = false;
	int rc = 0;

	if (strlen(text) >= sizeof(made.text))
		return error_set(error, -EINVAL, "action \"%.40s...\": too long", text);
	strcpy(copy, text);
	rest = copy;
	while (!rc && (word = strsep(&rest, ",")))
		rc = parse_word(&made, word, &allow, error);
	if (!rc && made.drop && (allow || made.police.rate || filter_marks(&made.mark)))
		rc = error_set(
			error, -EINVAL,
			"action \"%.60s\": what is dropped has no rate and no mark, and does "
			"not pass",
			text);
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
	if (!filter || !filter->count)
		return error_set(error, -ENOENT, "rule %u: there are no rules", position);
	if (!position || position > filter->count)
		return error_set(error, -ENOENT, "rule %u: there is none: expected 1 to %u",
				 position, filter->count);
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

void filter_find_mirrors(struct filter *filter, const struct vswitch *vswitch)
{
	for (unsigned i = 0; filter && i < filter->count; i++) {
		struct filter_action *action = &filter->rules[i].action;

		action->mirror_port =
			action->mirror[0] ? vswitch_find_port(vswitch, action->mirror) : NULL;
	}
}

/* Where the network header is, behind whatever tags there are; its type in *type. */
static size_t network_of(const uint8_t *head, size_t length, uint16_t *type)
{
	size_t at = VLAN_AT;

	*type = get_be16(head + at);
	while ((*type == VLAN_TYPE || *type == VLAN_TYPE_S || *type == VLAN_TYPE_OLD_S) &&
	       range_within(at + VLAN_TAG_SIZE, 2, length))
		*type = get_be16(head + (at += VLAN_TAG_SIZE));
	return at + 2;
}

static void mark_dscp(uint8_t dscp, uint8_t *head, size_t length)
{
	uint16_t type, before, after;
	size_t at = network_of(head, length, &type);
	uint8_t *ip = head + at;
	uint32_t sum;

	if (type == ETHERTYPE_IPV6 && range_within(at, 2, length) && ip[0] >> 4 == 6) {
		put_be16(ip, (uint16_t)((get_be16(ip) & 0xf03f) | dscp << 6));
	} else if (type == ETHERTYPE_IP && range_within(at, 20, length) && ip[0] >> 4 == 4) {
		before = get_be16(ip);
		after = (uint16_t)((before & 0xff03) | dscp << 2);
		put_be16(ip, after);
		/* RFC 1624, equation 3 */
		sum = (uint32_t)(uint16_t)~get_be16(ip + 10) + (uint16_t)~before + after;
		sum = (sum & 0xffff) + (sum >> 16);
		sum = (sum & 0xffff) + (sum >> 16);
		put_be16(ip + 10, (uint16_t)~sum);
	}
}

void filter_mark_apply(const struct filter_mark *mark, uint8_t *head, size_t length)
{
	if (mark->dscp)
		mark_dscp((uint8_t)(mark->dscp - 1), head, length);
	if (mark->pcp && length >= VIRTIO_NET_FRAME_MIN + VLAN_TAG_SIZE &&
	    get_be16(head + VLAN_AT) == VLAN_TYPE)
		head[VLAN_AT + 2] = (uint8_t)((head[VLAN_AT + 2] & 0x1f) | (mark->pcp - 1) << 5);
}

static enum filter_verdict rules_decide(struct filter *filter, const struct frame *frame,
					uint64_t now, uint8_t *room,
					const struct filter_action **action)
{
	if (action)
		*action = NULL;
	for (unsigned i = 0; i < filter->count; i++) {
		struct filter_rule *rule = &filter->rules[i];
		uint64_t packets;

		if (!filter_program_matches(rule->program, frame, room))
			continue;
		packets = virtio_net_wire_frames(&frame->offload, frame->length);
		rule->frames++;
		rule->bytes += frame->length;
		if (action)
			*action = &rule->action;
		if (!rule->action.drop &&
		    police_allows(&rule->action.police, now, packets, wire_bits(frame, packets)))
			return FILTER_ALLOW;
		rule->dropped++;
		return rule->action.drop ? FILTER_DROP : FILTER_POLICE;
	}
	return FILTER_ALLOW;
}

enum filter_verdict filter_decide(struct filter *filter, const struct frame *frame, uint64_t now,
				  uint8_t *room, const struct filter_action **action)
{
	enum filter_verdict verdict = rules_decide(filter, frame, now, room, action);
	uint64_t packets;

	if (verdict != FILTER_ALLOW || !filter->police.rate)
		return verdict;
	packets = virtio_net_wire_frames(&frame->offload, frame->length);
	return police_allows(&filter->police, now, packets, wire_bits(frame, packets))
		       ? FILTER_ALLOW
		       : FILTER_POLICE;
}
