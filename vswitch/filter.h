/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of a port, one way: an expression (filter_program.h) and what is done with the frames that it is about. The first rule
 * that matches decides; what none matches passes.
 *
 *	allow		it passes			drop		it is dropped
 *	rate=RATE/BURST	it passes while there is as much of the rule's frames as police.h lets pass, and is else dropped
 *
 * Rules of the way in see a frame as it came, before anything is learned of it; those of the way out as it leaves. What a rule reads
 * of a frame that comes in is copied first (filter_pin()), for its sender may still change what is not in the head: what was
 * decided on is what is sent on.
 */
#ifndef TENON_VSWITCH_FILTER_H
#define TENON_VSWITCH_FILTER_H

#include "vswitch/filter_program.h"
#include "vswitch/police.h"

#define FILTER_RULES_MAX   64 /* of a port, one way */
#define FILTER_ACTION_TEXT 64

struct filter_action {
	bool drop;
	struct police police;
	char text[FILTER_ACTION_TEXT]; /* as it was given */
};

/* "allow", "drop", "rate=10M/1M". -EINVAL with `error` set. */
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
	size_t reach; /* of all programs */
	uint8_t *
		pinned; /* of the way in, where they reach beyond a head: so many bytes for each frame of a burst */
};

enum filter_verdict { FILTER_ALLOW, FILTER_DROP, FILTER_POLICE };

/* `room` as for filter_program_matches(). */
enum filter_verdict filter_decide(struct filter *filter, const struct frame *frame, uint64_t now,
				  uint8_t *room);

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
