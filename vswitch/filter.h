/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of a port, one way: an expression (filter_program.h) and what is done with the frames that it is about. The first rule
 * that matches decides; what none matches passes.
 *
 *	allow		it passes			drop		it is dropped
 *	rate=RATE/BURST	it passes while there is as much of the rule's frames as police.h lets pass, and is else dropped
 *	mark=dscp:N	it passes with that DSCP (IPv4, IPv6)	mark=pcp:N	with that priority in its tag
 *	mirror=PORT	a copy goes there, and it passes, or is dropped, as the other words say
 *
 * Several, with commas between, are one action: "mark=dscp:46,rate=10M". mark= and mirror= are of rules of the way in.
 *
 * Rules of the way in see a frame as it came, before anything is learned of it; those of the way out as it leaves. What a rule reads
 * of a frame that comes in is copied first (filter_pin()), for its sender may still change what is not in the head: what was
 * decided on is what is sent on.
 */
#ifndef TENON_VSWITCH_FILTER_H
#define TENON_VSWITCH_FILTER_H

#include "vswitch/filter_program.h"
#include "vswitch/police.h"
#include "vswitch/port.h"

#define FILTER_RULES_MAX   64 /* of a port, one way */
#define FILTER_ACTION_TEXT 128

/* What is changed in a frame that passes; 0: nothing, else the value plus 1. */
struct filter_mark {
	uint8_t dscp; /* of IPv4 and IPv6, with the header's checksum */
	uint8_t pcp;  /* of the 802.1Q tag, if the frame leaves with one */
};

static inline bool filter_marks(const struct filter_mark *mark)
{
	return mark->dscp || mark->pcp;
}

/* Changes a frame's head. */
void filter_mark_apply(const struct filter_mark *mark, uint8_t *head, size_t length);

struct filter_action {
	bool drop;
	struct filter_mark mark;
	char mirror[PORT_NAME_MAX]; /* "": none */
	struct port *mirror_port;   /* while it is there */
	bool absent;                /* it may come later */
	struct police police;
	char text[FILTER_ACTION_TEXT]; /* as it was given */
};

/* Words as above, with commas between. -EINVAL with `error` set. */
int filter_action_parse(struct filter_action *action, const char *text, struct error *error);

struct filter_rule {
	struct filter_program *program;
	struct filter_action action;
	uint64_t frames, bytes; /* that it was about */
	uint64_t dropped;       /* of them, frames */
};

struct filter {
	unsigned count;
	struct filter_rule rules[FILTER_RULES_MAX];
	struct police police; /* of all that rules let pass */
	size_t reach;         /* of all programs */
	uint8_t *
		pinned; /* of the way in, where they reach beyond a head: so many bytes for each frame of a burst */
};

enum filter_verdict { FILTER_ALLOW, FILTER_DROP, FILTER_POLICE };

/* `room` as for filter_program_matches(). *action (may be NULL): of the rule that decided; NULL: none did. */
enum filter_verdict filter_decide(struct filter *filter, const struct frame *frame, uint64_t now,
				  uint8_t *room, const struct filter_action **action);

/* In a call: the ports of mirror= by their names. NULL is fine. */
void filter_find_mirrors(struct filter *filter, const struct vswitch *vswitch);

/* Makes the beginning of the frame, the `slot`th of its burst, memory of the switch's as far as rules read it. */
void filter_pin(struct filter *filter, struct frame *frame, unsigned slot);

/* NULL is fine. */
void filter_free(struct filter *filter);

/* Puts a rule (whose program it takes over) at `position`, from 1; 0: last. `way_in`: it pins. -ENOSPC, -EINVAL, -ENOMEM: nothing
 * has changed. */
int filter_add(struct filter *filter, unsigned position, const struct filter_rule *rule,
	       bool way_in, struct error *error);

/* -ENOENT. */
int filter_remove(struct filter *filter, unsigned position, struct error *error);

#endif
