/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a bad link does to packets: the model, without ports and queues.
 *
 * One direction of a link is a model (what was asked for) and a state. For each packet, in the order of arrival, it
 * decides: whether it is lost, whether it is there twice, which bit is wrong, and when each copy is at the other end. In this
 * order, each drawing for itself:
 *
 *	loss		with probability P; or by Gilbert and Elliott's two states; or the packets of a list
 *	duplicate	one more copy, with a delay of its own
 *	corrupt		one bit of the first copy, any with the same probability
 *	trace		in place of a rate, recorded opportunities to send (link_trace.h); the first packet begins with it
 *	rate		each copy takes length * 8 / rate to be sent, after all before it; what would wait longer than the
 *			queue is long is dropped, which is counted apart from loss. With a burst it is a shaper: a bucket of so many bits, which
 *			fills at the rate, lets copies go at once
 *	delay		delay, and jitter: uniform, normal, pareto, or of a table (link_table.h)
 *	ecn		instead of what loss would take, and what finds the queue full, packets whose ends understand it
 *			(link_ecn.h) are marked and go on; those that would wait for more than twice the queue are dropped anyway
 *	reorder		with probability P a packet passes by those that are delayed: it is not delayed at all
 *	keep-order	it is not there before those that were sent before it: link_queue.h
 *
 * Randomness is a function of (seed, name of the link, direction, number of the packet, purpose): the same seed and traffic give
 * the same packets, and neither another link nor another parameter changes a draw. Time is an argument, in nanoseconds.
 *
 * Gilbert and Elliott: gemodel=P,R,H,K. In the good state a packet passes with probability K, in the bad one with H; before
 * each packet the good state turns bad with P and the bad one good with R. So P/(P+R) of all packets are met by the bad state,
 * and the loss is P/(P+R) (1-H) + R/(P+R) (1-K). (tc-netem's "gemodel" is given 1-H and 1-K, and
 * its transition comes with the packet after.)
 */
#ifndef TENON_VSWITCH_LINK_MODEL_H
#define TENON_VSWITCH_LINK_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vswitch/link_table.h"
#include "vswitch/link_trace.h"

struct error;

#define LINK_LIST_MAX 32 /* ranges of loss=list */

/* A probability as a share of 2^63: 0 is never, LINK_ALWAYS always. */
typedef uint64_t link_share;
#define LINK_ALWAYS (1ULL << 63)

/* In: what comes from the port; out: what goes to it. */
enum link_direction { LINK_IN = 1, LINK_OUT = 2 };

enum link_jitter { LINK_UNIFORM, LINK_NORMAL, LINK_PARETO, LINK_TABLE };
enum link_loss { LINK_LOSS_RANDOM, LINK_LOSS_STATES, LINK_LOSS_LIST };

/* "in", "out", "in and out": a set of them. */
const char *link_ways_text(unsigned ways);

/* All zero: a perfect link. */
struct link_model {
	uint64_t seed;
	bool anew; /* the seed was said just now, though it may be the same: packets are counted from 1 again */
	uint64_t delay_ns, jitter_ns;
	uint8_t jitter; /* enum link_jitter: within jitter_ns; or with that standard deviation */
	bool keep_order;
	bool ecn;
	uint8_t loss_kind; /* enum link_loss */
	link_share loss;   /* LINK_LOSS_RANDOM */
	struct {
		link_share p, r, h, k;
	} states;
	unsigned list_count; /* LINK_LOSS_LIST: packets, from 1 */
	struct {
		uint64_t from, to;
	} list[LINK_LIST_MAX];
	link_share duplicate, corrupt, reorder;
	uint64_t rate;     /* bits a second; 0: no limit */
	uint64_t burst;    /* bits that go at once after a pause */
	uint64_t queue_ns; /* how long a packet may wait for its turn; 0: LINK_QUEUE_NS ... */
	uint64_t
		queue_packets; /* ... or how many may wait; without a rate, how many may be on the link; 0: any number */
	/* NULL: none; counted by who keeps the model, not by each copy */
	struct link_trace *trace;
	struct link_table *table; /* of LINK_TABLE */
};

#define LINK_QUEUE_NS     100000000ULL
#define LINK_LATE_BUCKETS 48

/* Whether it does anything. */
bool link_model_is_bad(const struct link_model *model);
struct link_way;
bool link_way_is_bad(const struct link_way *way);

/* A time as people write it ("20ms", "1.5s", "0"), at most an hour. */
bool link_read_time(const char *text, uint64_t *ns);
/* The same, at most `most` nanoseconds, which fit into 63 bits. */
bool link_read_span(const char *text, double most, uint64_t *ns);

/*
 * Changes a model by a word KEY=VALUE: delay=20ms, jitter=2ms[,normal|pareto|uniform|table=NAME], keep-order=yes, loss=0.5%,
 * loss=gemodel,P,R[,H[,K]], loss=list,3,7-9 (gemodel=, list= as well), ecn=yes, duplicate=P, corrupt=P, reorder=P, rate=50M (bits), burst=1M (bits), queue=100ms, queue=1000p,
 * seed=N, trace=none (another one is read from a file, and so is a table: the caller puts it there); "none" takes one back. -EINVAL with `error` set, and nothing is changed.
 */
int link_model_set(struct link_model *model, const char *word, struct error *error);

/* Whether the model as a whole can be: -EINVAL with `error` set. */
int link_model_check(const struct link_model *model, struct error *error);

/* The words that make it, with spaces between. */
void link_model_describe(const struct link_model *model, char *text, size_t size);

/* What happened, beside what was asked. */
struct link_counters {
	uint64_t offered; /* packets that came to the link */
	uint64_t lost, duplicated, corrupted, reordered;
	uint64_t down;       /* dropped while nothing passed at all */
	uint64_t marked;     /* ... instead of being dropped */
	uint64_t queue_full; /* dropped: they would have waited too long for their turn */
	uint64_t delivered;  /* copies at the other end */
	uint64_t late_sum_ns, late_max_ns; /* by how much those were later than decided */
	uint64_t late
		[LINK_LATE_BUCKETS]; /* how many of them by less than 2^i ns, and by 2^(i-1) or more */
};

/* By how much the copies were late of which the share `part` was less late: an upper bound, a power of two. */
uint64_t link_late_quantile(const struct link_counters *counters, double part);

/* One direction. */
struct link_way {
	struct link_model model;
	bool down;       /* nothing passes */
	uint64_t key;    /* of the draws */
	uint64_t number; /* of the last packet, from 1 */
	bool bad;        /* the state of Gilbert and Elliott */
	uint64_t busy_until, last_sent;
	struct link_trace_place place; /* in the model's trace */
	struct link_counters counters;
};

/* Begins anew, with packet 1, and not down. `out`: the direction. */
void link_way_start(struct link_way *way, const struct link_model *model, const char *link,
		    bool out);

/*
 * Another model from now on; with a seed that is said packets are counted from 1 again. What happened stays counted. True: the wire is another one (rate, burst,
 * trace); each that waits for it now takes its turn anew, in the order of coming (link_way_resend()).
 */
bool link_way_change(struct link_way *way, const struct link_model *model, const char *link,
		     bool out, uint64_t now);

/* A wire as it sends what waited when it became this one, packet by packet. The trace is the model's, while that is the way's. */
struct link_resend {
	uint64_t rate; /* 0: all at once, or ... */
	const struct link_trace *trace;
	struct link_trace_place place;
	uint64_t from;    /* when the first one is sent ... */
	uint64_t bytes;   /* ... and so much of those behind it is after that */
	uint64_t changed; /* when it became this one */
};

/*
 * After link_way_change() said true: has all that waits sent by the wire as it is now. The first one, of `length` bytes, may be on the old wire, by
 * which it would be sent at `sent`: it is by whichever is earlier, and when is returned. `behind` bytes are behind it, for each packet of which
 * link_resend_next() says when it is sent; what comes later is sent after them.
 */
uint64_t link_way_resend(struct link_way *way, uint64_t now, size_t length, uint64_t sent,
			 uint64_t behind, struct link_resend *resend);
uint64_t link_resend_next(struct link_resend *resend, size_t length);

/* Why nothing of a packet arrives, as captures say it. */
#define LINK_DROP_LOST       "link_lost"
#define LINK_DROP_DOWN       "link_down"
#define LINK_DROP_QUEUE_FULL "link_queue_full"

/* What becomes of a packet. */
struct link_fate {
	unsigned copies;     /* 0 to 2 */
	uint64_t sent[2];    /* when each has left the wire */
	uint64_t due[2];     /* when each is at the other end, unless it is kept behind others */
	int64_t corrupt_bit; /* of the first copy; -1: none */
	bool mark;           /* all of them: congestion experienced */
	const char *dropped; /* of no copies: LINK_DROP_... */
};

/* A copy that was due at `due` is at the other end `now`. */
void link_way_delivered(struct link_way *way, uint64_t due, uint64_t now);

/* Whether there is a wire to wait for: a rate, or a trace. */
bool link_model_has_wire(const struct link_model *model);

/* Decides on a packet of `length` bytes that comes at `now` (for queue=1000p) while `waiting` others of this way are not sent yet; without a
 * wire, are not there yet; LINK_NO_ROOM: nobody can keep it. `capable`: it can be marked. */
#define LINK_NO_ROOM UINT64_MAX
void link_way_decide(struct link_way *way, uint64_t now, size_t length, uint64_t waiting,
		     bool capable, struct link_fate *fate);

#endif
