/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When links change by themselves: a script with times, for one port or several.
 *
 *	seed 7				of what is random below; at most once, before all else
 *	at 10s				from here on it is 10 s after the script (in a repeat: the pass) began
 *	wait 5s				it is so much later
 *	wait 1s..20s			it is later by a random time between these, all equally likely
 *	repeat [COUNT]			what follows, up to its end, COUNT times, or for ever
 *	end
 *	[port NAME[,NAME...]] WHAT	of these ports; without, of the port that the script was given to:
 *		down [in|out]			nothing passes, in one direction or (as if the cable were out) in both
 *		up [in|out]			it does again
 *		set [in|out] WORD...		the link is as these words say (link_model.h), and in all else perfect;
 *						"trace=FILE" is a rate that was recorded (link_trace.h), "jitter=TIME,table=FILE" a
 *						distribution (link_table.h)
 *		clear [in|out]			it is perfect
 *	partition A,B C,D ...		ports of different groups do not reach each other; others reach all of them
 *	heal				they do again
 *
 * Words are apart by spaces, a statement is a line, "#" begins a comment. Times are as "20ms", "1.5s", "5m", "2h".
 *
 * What it reads is a program that does not change and that all its ports share. Each of them goes through it for itself
 * (struct link_run), on its own thread, and does what is for it: the draws of random times are a function of the seed and their
 * number, so all are at the same place at the same time.
 */
#ifndef TENON_VSWITCH_LINK_SCHEDULE_H
#define TENON_VSWITCH_LINK_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "vswitch/link_model.h"
#include "vswitch/port.h"

struct error;

#define LINK_SCHEDULE_BYTES 65536u
#define LINK_SCHEDULE_STEPS 4096u
#define LINK_SCHEDULE_PORTS 64u
#define LINK_SCHEDULE_DEPTH 8u
#define LINK_SCHEDULE_FILES 16u
/* A pass of a repeat takes at least so long, so that no script holds a forwarding thread. */
#define LINK_SCHEDULE_PASS_NS 1000000ULL

enum link_step_kind {
	LINK_STEP_WAIT,
	LINK_STEP_AT,
	LINK_STEP_REPEAT,
	LINK_STEP_END,
	LINK_STEP_DOWN,
	LINK_STEP_UP,
	LINK_STEP_MODEL,
	LINK_STEP_SIDE,
	LINK_STEP_FINISH, /* the last one */
};

struct link_step {
	uint8_t kind; /* enum link_step_kind */
	uint8_t ways; /* enum link_direction, of DOWN, UP and MODEL */
	unsigned line;
	uint64_t ports;       /* a bit for each port that it is for */
	uint64_t least, most; /* WAIT, AT (`least`) */
	uint64_t count;       /* REPEAT, END; 0: for ever */
	unsigned start;       /* END: the step after its REPEAT */
	unsigned side;        /* SIDE; 0: none */
	struct link_model *model;
};

struct link_schedule {
	unsigned references;
	unsigned id;               /* given by the switch */
	uint64_t began;            /* on its clock */
	char *name;                /* of the file, as people know it */
	char owner[PORT_NAME_MAX]; /* the port that it was given to: the first one */
	uint64_t seed;
	unsigned port_count, step_count;
	char ports[LINK_SCHEDULE_PORTS][PORT_NAME_MAX];
	struct link_step *steps;
};

/* The traces and tables that a script names, by these names. */
struct link_schedule_files {
	unsigned count;
	struct {
		const char *name, *text;
	} list[LINK_SCHEDULE_FILES];
};

/* Reads `text`, of the file `name`, for port `owner`; files NULL: none. -EINVAL with line and column in `error`; -ENOMEM. */
int link_schedule_read(struct link_schedule **out, const char *name, const char *text,
		       const char *owner, const struct link_schedule_files *files,
		       struct error *error);
struct link_schedule *link_schedule_take(struct link_schedule *schedule);
void link_schedule_drop(struct link_schedule *schedule);

/* Where one port is in it. */
struct link_run {
	struct link_schedule *schedule;
	unsigned port;  /* its number in the schedule */
	unsigned step;  /* the next one ... */
	uint64_t due;   /* ... and when it is, by the switch's clock */
	uint64_t waits; /* random ones, up to now */
	unsigned depth;
	struct {
		uint64_t passed, began;
	} loops[LINK_SCHEDULE_DEPTH + 1]; /* [0]: the script itself */
	uint64_t changes;                 /* of this port's */
	unsigned last_line;               /* of the last one */
	uint64_t last_due;
};

/* At the first step; the schedule is taken. */
void link_run_start(struct link_run *run, struct link_schedule *schedule, unsigned port);

/* The next step for the port that is due at `now`, which is passed; NULL: there is none yet. */
const struct link_step *link_run_next(struct link_run *run, uint64_t now);

/* When to ask again; UINT64_MAX: never, it has ended. */
uint64_t link_run_due(const struct link_run *run);

#endif
