/* SPDX-License-Identifier: BSD-2-Clause */
/* The decisions of a bad link; see link_model.h. */
#include "vswitch/link_model.h"

#include <math.h>
#include <string.h>

#include "util/bytes.h"
#include "util/random.h"

/* What a draw is for. New purposes go to the end: a seed means the same in each version. */
enum purpose {
	DRAW_LOSS,
	DRAW_STATE,
	DRAW_DUPLICATE,
	DRAW_CORRUPT,
	DRAW_BIT,
	DRAW_REORDER,
	DRAW_DELAY,
	DRAW_DELAY_COPY,
	DRAW_COUNT
};

bool link_model_is_bad(const struct link_model *model)
{
	return model->delay_ns || model->jitter_ns || model->loss || model->loss_kind ||
	       model->duplicate || model->corrupt || model->rate || model->queue_packets ||
	       model->trace;
}

bool link_way_is_bad(const struct link_way *way)
{
	return way->down || link_model_is_bad(&way->model);
}

/* FNV-1a, to make a number of a name. */
static uint64_t hash_name(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3ULL;
	return hash;
}

/* 63 random bits. */
static uint64_t draw(const struct link_way *way, enum purpose purpose)
{
	uint64_t counter = way->number * DRAW_COUNT + purpose;

	return random_mix(random_mix(way->key + counter * 0x9e3779b97f4a7c15ULL)) >> 1;
}

static bool happens(const struct link_way *way, link_share share, enum purpose purpose)
{
	return share && draw(way, purpose) < share;
}

/* ---- Loss ---- */

static bool is_listed(const struct link_model *model, uint64_t number)
{
	for (unsigned i = 0; i < model->list_count; i++)
		if (number >= model->list[i].from && number <= model->list[i].to)
			return true;
	return false;
}

static bool is_lost(struct link_way *way)
{
	const struct link_model *model = &way->model;

	switch (model->loss_kind) {
	case LINK_LOSS_LIST:
		return is_listed(model, way->number);
	case LINK_LOSS_STATES:
		if (happens(way, way->bad ? model->states.r : model->states.p, DRAW_STATE))
			way->bad = !way->bad;
		return draw(way, DRAW_LOSS) >= (way->bad ? model->states.h : model->states.k);
	default:
		return happens(way, model->loss, DRAW_LOSS);
	}
}

/* ---- Delay ---- */

/* In (0, 1). */
static double unit(uint64_t bits)
{
	return ((double)(bits >> 10) + 0.5) * 0x1p-53;
}

/* The quantile of the standard normal distribution: P. J. Acklam's rational approximation, whose relative error is under
 * 1.15e-9. */
static double normal_quantile(double p)
{
	static const double a[] = { -3.969683028665376e+01, 2.209460984245205e+02,
				    -2.759285104469687e+02, 1.383577518672690e+02,
				    -3.066479806614716e+01, 2.506628277459239e+00 };
	static const double b[] = { -5.447609879822406e+01, 1.615858368580409e+02,
				    -1.556989798598866e+02, 6.680131188771972e+01,
				    -1.328068155288572e+01 };
	static const double c[] = { -7.784894002430293e-03, -3.223964580411365e-01,
				    -2.400758277161838e+00, -2.549732539343734e+00,
				    4.374664141464968e+00,  2.938163982698783e+00 };
	static const double d[] = { 7.784695709041462e-03, 3.224671290700398e-01,
				    2.445134137142996e+00, 3.754408661907416e+00 };
	double q, r, tail = MIN(p, 1 - p);

	if (tail < 0.02425) {
		q = sqrt(-2 * log(tail));
		q = (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
		    ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
		return p < 0.5 ? q : -q;
	}
	q = p - 0.5;
	r = q * q;
	return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
	       (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

/* Of Pareto's distribution with shape 3, brought to mean 0 and standard deviation 1: mostly a little early, sometimes very
 * late. */
static double pareto_quantile(double p)
{
	return (1 / cbrt(1 - p) - 1.5) / 0.86602540378443865;
}

static uint64_t delay_of(const struct link_way *way, enum purpose purpose)
{
	const struct link_model *model = &way->model;
	double offset, delay;

	if (!model->jitter_ns)
		return model->delay_ns;
	offset = unit(draw(way, purpose));
	switch (model->jitter) {
	case LINK_NORMAL:
		offset = normal_quantile(offset);
		break;
	case LINK_PARETO:
		offset = pareto_quantile(offset);
		break;
	case LINK_TABLE:
		offset = link_table_value(model->table, draw(way, purpose));
		break;
	default:
		offset = 2 * offset - 1;
		break;
	}
	delay = (double)model->delay_ns + offset * (double)model->jitter_ns;
	return delay > 0 ? (uint64_t)(delay + 0.5) : 0;
}

/* ---- One packet ---- */

#define WIRE_TIME_MOST (1ULL << 62) /* ns: a century and more, to which others can be added */

/* At `rate`. */
static uint64_t wire_time(uint64_t rate, unsigned __int128 bits)
{
	unsigned __int128 ns = bits * 1000000000 / rate;

	return ns < WIRE_TIME_MOST ? (uint64_t)ns : WIRE_TIME_MOST;
}

/* How long the bucket takes to fill. */
static uint64_t burst_of(const struct link_model *model)
{
	return model->rate && model->burst ? wire_time(model->rate, model->burst) : 0;
}

bool link_model_has_wire(const struct link_model *model)
{
	return model->rate || model->trace;
}

/* Gives a copy the next turn on the wire; when it is sent. */
static uint64_t turn_of(struct link_way *way, uint64_t now, size_t length)
{
	const struct link_model *model = &way->model;
	uint64_t burst_ns = burst_of(model), sent = now;

	if (model->trace)
		link_trace_send(model->trace, &way->place, now, length, UINT64_MAX, &sent);
	if (!model->rate)
		return sent;
	/* The bucket is full when all that was sent would have been at the rate. */
	way->busy_until = MAX(now, way->busy_until) + wire_time(model->rate, (uint64_t)length * 8);
	return way->busy_until > now + burst_ns ? way->busy_until - burst_ns : now;
}

/* The same in a queue `times` as long as the model's. False, and nothing is taken: it would wait too long. */
static bool take_turn(struct link_way *way, uint64_t now, size_t length, uint64_t waiting,
		      unsigned times, uint64_t *sent)
{
	const struct link_model *model = &way->model;
	uint64_t longest = times * (model->queue_ns ? model->queue_ns : LINK_QUEUE_NS);

	if (waiting == LINK_NO_ROOM)
		return false;
	if (model->queue_packets) {
		if (waiting >= times * model->queue_packets)
			return false;
	} else if (model->trace) {
		return link_trace_send(model->trace, &way->place, now, length, longest, sent);
	} else if (model->rate && MAX(now, way->busy_until) - now > longest + burst_of(model)) {
		return false;
	}
	*sent = turn_of(way, now, length);
	return true;
}

/* ---- Changes ---- */

/* The bucket lacks what it lacked, as far as it can now. */
static uint64_t busy_until(const struct link_way *way, const struct link_model *model, uint64_t now)
{
	unsigned __int128 bits;

	if (!way->model.rate || !model->rate || way->busy_until <= now)
		return 0;
	bits = (unsigned __int128)(way->busy_until - now) * way->model.rate / 1000000000;
	return now + wire_time(model->rate, MIN(bits, model->burst));
}

bool link_way_change(struct link_way *way, const struct link_model *model, const char *link,
		     bool out, uint64_t now)
{
	bool another = way->model.rate != model->rate || way->model.burst != model->burst ||
		       way->model.trace != model->trace;

	if (another) {
		way->busy_until = busy_until(way, model, now);
		way->place = (struct link_trace_place){ 0 };
	}
	if (!way->key || way->model.seed != model->seed || model->anew) {
		way->key = random_mix(random_mix(model->seed) ^ random_mix(hash_name(link) + out));
		way->number = 0;
		way->bad = false;
	}
	way->model = *model;
	way->model.anew = false;
	return another;
}

void link_way_start(struct link_way *way, const struct link_model *model, const char *link,
		    bool out)
{
	*way = (struct link_way){ 0 };
	link_way_change(way, model, link, out, 0);
}

uint64_t link_resend_next(struct link_resend *resend, size_t length)
{
	uint64_t sent = resend->from;

	resend->bytes += length;
	if (resend->trace)
		link_trace_send(resend->trace, &resend->place, resend->changed, length, UINT64_MAX,
				&sent);
	else if (resend->rate)
		sent += wire_time(resend->rate, (unsigned __int128)resend->bytes * 8);
	return MAX(sent, resend->from);
}

uint64_t link_way_resend(struct link_way *way, uint64_t now, size_t length, uint64_t sent,
			 uint64_t behind, struct link_resend *resend)
{
	const struct link_model *model = &way->model;
	struct link_resend all;

	/* As from an empty bucket: there is not enough in it for what waits. */
	*resend = (struct link_resend){
		.rate = model->rate, .trace = model->trace, .from = now, .changed = now
	};
	resend->from = link_resend_next(resend, length);
	resend->from = sent = MIN(sent, resend->from);
	resend->bytes = 0;
	all = *resend;
	way->last_sent = behind ? link_resend_next(&all, behind) : sent;
	way->busy_until = way->last_sent + burst_of(model);
	way->place = all.place;
	return sent;
}

static uint64_t due_of(struct link_way *way, uint64_t sent, enum purpose purpose)
{
	uint64_t due = sent;

	if (purpose == DRAW_DELAY && happens(way, way->model.reorder, DRAW_REORDER))
		way->counters.reordered++;
	else
		due += delay_of(way, purpose);
	return due;
}

static void send_copy(struct link_way *way, uint64_t now, size_t length, uint64_t waiting,
		      bool capable, struct link_fate *fate)
{
	uint64_t sent;

	if (waiting != LINK_NO_ROOM)
		waiting += fate->copies;
	if (!take_turn(way, now, length, waiting, 1, &sent)) {
		if (!capable || !take_turn(way, now, length, waiting, 2, &sent)) {
			way->counters.queue_full++;
			return;
		}
		fate->mark = true;
	}
	/* Nothing passes what waits. */
	way->last_sent = sent = MAX(sent, way->last_sent);
	fate->sent[fate->copies] = sent;
	fate->due[fate->copies] = due_of(way, sent, fate->copies ? DRAW_DELAY_COPY : DRAW_DELAY);
	fate->copies++;
}

void link_way_decide(struct link_way *way, uint64_t now, size_t length, uint64_t waiting,
		     bool capable, struct link_fate *fate)
{
	const struct link_model *model = &way->model;
	unsigned copies = 1;

	capable &= model->ecn;
	*fate = (struct link_fate){ .corrupt_bit = -1 };
	way->number++;
	way->counters.offered++;
	if (way->down) {
		way->counters.down++;
		fate->dropped = LINK_DROP_DOWN;
		return;
	}
	if (is_lost(way)) {
		if (!capable) {
			way->counters.lost++;
			fate->dropped = LINK_DROP_LOST;
			return;
		}
		fate->mark = true;
	}
	if (happens(way, model->duplicate, DRAW_DUPLICATE)) {
		way->counters.duplicated++;
		copies = 2;
	}
	if (happens(way, model->corrupt, DRAW_CORRUPT)) {
		way->counters.corrupted++;
		fate->corrupt_bit =
			(int64_t)(((unsigned __int128)draw(way, DRAW_BIT) * length * 8) >> 63);
	}
	for (unsigned i = 0; i < copies; i++)
		send_copy(way, now, length, waiting, capable, fate);
	way->counters.marked += fate->mark && fate->copies;
	if (!fate->copies)
		fate->dropped = LINK_DROP_QUEUE_FULL;
}

/* ---- What happened ---- */

void link_way_delivered(struct link_way *way, uint64_t due, uint64_t now)
{
	struct link_counters *counters = &way->counters;
	uint64_t late = now > due ? now - due : 0;
	unsigned bucket = late ? 64 - (unsigned)__builtin_clzll(late) : 0;

	counters->delivered++;
	counters->late_sum_ns += late;
	counters->late_max_ns = MAX(counters->late_max_ns, late);
	counters->late[MIN(bucket, LINK_LATE_BUCKETS - 1u)]++;
}

uint64_t link_late_quantile(const struct link_counters *counters, double part)
{
	double wanted = part * (double)counters->delivered;
	uint64_t seen = 0;

	for (unsigned i = 0; i < LINK_LATE_BUCKETS; i++) {
		seen += counters->late[i];
		if (seen && (double)seen >= wanted)
			return i ? MIN(1ULL << i, counters->late_max_ns) : 0;
	}
	return counters->late_max_ns;
}
