/* SPDX-License-Identifier: BSD-2-Clause */
/* The machines of lacp.h, by their names in IEEE 802.1AX-2014, 6.4. */
#include "vswitch/lacp.h"

#include <string.h>

#include "util/bytes.h"

/* What is told at once when it is not what the partner has (6.4.9, update_NTT). */
#define TOLD (LACP_ACTIVITY | LACP_SHORT_TIMEOUT | LACP_SYNCHRONIZATION | LACP_AGGREGATION)

#define PASSES_MOST 64 /* of all machines, until none has more to do: a handful is what it takes */

/* Of a partner that was never heard (6.4.6): an individual link, passive, slow. */
static const struct lacp_info nobody = { .system_priority = 0, .state = 0 };

static bool is_same_port(const struct lacp_info *a, const struct lacp_info *b)
{
	return lacp_same_system(a, b) && a->port == b->port &&
	       a->port_priority == b->port_priority && !((a->state ^ b->state) & LACP_AGGREGATION);
}

static void set_bits(struct lacp_info *info, uint8_t bits, bool on)
{
	info->state = on ? info->state | bits : info->state & (uint8_t)~bits;
}

/* ---- Receive: 6.4.12 ---- */

static void record_default(struct lacp_link *link)
{
	link->partner = nobody;
	set_bits(&link->partner, LACP_SYNCHRONIZATION, true);
	set_bits(&link->actor, LACP_DEFAULTED, true);
}

static void enter_disabled(struct lacp_link *link)
{
	link->receive = LACP_RX_PORT_DISABLED;
	link->current_until = LACP_NEVER;
	link->selected = false;
	set_bits(&link->partner, LACP_SYNCHRONIZATION, false);
}

static void enter_expired(const struct lacp *lacp, struct lacp_link *link)
{
	link->receive = LACP_RX_EXPIRED;
	set_bits(&link->partner, LACP_SYNCHRONIZATION, false);
	set_bits(&link->partner, LACP_SHORT_TIMEOUT, true);
	set_bits(&link->actor, LACP_EXPIRED, true);
	link->current_until = lacp->now + LACP_SHORT;
}

static void enter_defaulted(struct lacp_link *link)
{
	link->receive = LACP_RX_DEFAULTED;
	if (!is_same_port(&link->partner, &nobody)) /* update_Default_Selected */
		link->selected = false;
	record_default(link);
	set_bits(&link->actor, LACP_EXPIRED, false);
	link->current_until = LACP_NEVER;
}

/* Whether the partner has us as we are, and is going on to say so (recordPDU). */
static bool is_in_step(const struct lacp_link *link, const struct lacp_pdu *pdu)
{
	bool kept_up = pdu->actor.state & LACP_ACTIVITY ||
		       (link->actor.state & LACP_ACTIVITY && pdu->partner.state & LACP_ACTIVITY);

	return pdu->actor.state & LACP_SYNCHRONIZATION && kept_up &&
	       (is_same_port(&pdu->partner, &link->actor) ||
		!(pdu->actor.state & LACP_AGGREGATION));
}

static void enter_current(const struct lacp *lacp, struct lacp_link *link,
			  const struct lacp_pdu *pdu)
{
	if (!is_same_port(&pdu->actor, &link->partner)) /* update_Selected */
		link->selected = false;
	if (!is_same_port(&pdu->partner, &link->actor) ||
	    (pdu->partner.state ^ link->actor.state) & TOLD) /* update_NTT */
		link->tell = true;
	link->partner = pdu->actor;
	set_bits(&link->partner, LACP_SYNCHRONIZATION, is_in_step(link, pdu));
	set_bits(&link->actor, LACP_DEFAULTED | LACP_EXPIRED, false);
	link->receive = LACP_RX_CURRENT;
	link->current_until = lacp->now + (lacp->config.fast ? LACP_SHORT : LACP_LONG);
}

static void answer_marker(struct lacp *lacp, struct lacp_link *link,
			  const uint8_t answer[LACP_PDU_LEN])
{
	if (lacp->now - link->markers_since >= LACP_SECOND) {
		link->markers_since = lacp->now;
		link->markers = 0;
	}
	if (link->markers == LACP_MARKERS_MOST) {
		link->counters.markers_unanswered++;
		return;
	}
	link->markers++;
	link->counters.tx_marker_answers++;
	lacp->ops->send(lacp, link, answer);
}

void lacp_receive(struct lacp *lacp, struct lacp_link *link, const uint8_t *bytes, size_t length,
		  uint64_t now)
{
	uint8_t answer[LACP_PDU_LEN];
	struct lacp_pdu pdu;

	lacp->now = now;
	if (lacp_marker_answer(answer, bytes, length)) {
		link->counters.rx_markers++;
		answer_marker(lacp, link, answer);
	} else if (!lacp_pdu_decode(&pdu, bytes, length)) {
		link->counters.rx_bad++;
	} else if (link->up) {
		link->counters.rx_lacpdus++;
		enter_current(lacp, link, &pdu);
		lacp_run(lacp, now);
	}
}

static bool run_receive(struct lacp *lacp, struct lacp_link *link)
{
	if (lacp->now < link->current_until)
		return false;
	if (link->receive == LACP_RX_CURRENT) {
		link->counters.expired++;
		enter_expired(lacp, link);
	} else {
		enter_defaulted(link);
	}
	return true;
}

/* ---- Periodic: 6.4.13 ---- */

static bool run_periodic(const struct lacp *lacp, struct lacp_link *link)
{
	bool is_quiet = !link->up || !((link->actor.state | link->partner.state) & LACP_ACTIVITY);
	enum lacp_periodic wanted = is_quiet                                   ? LACP_PERIODIC_NONE
				    : link->partner.state & LACP_SHORT_TIMEOUT ? LACP_PERIODIC_FAST
									       : LACP_PERIODIC_SLOW;
	/* Who asks for more often does not wait for the next of the slow ones. */
	bool due = lacp->now >= link->periodic_at ||
		   (link->periodic == LACP_PERIODIC_SLOW && wanted == LACP_PERIODIC_FAST);

	if (wanted == link->periodic && !due)
		return false;
	if (wanted != LACP_PERIODIC_NONE && due)
		link->tell = true;
	link->periodic = wanted;
	link->periodic_at =
		wanted == LACP_PERIODIC_NONE
			? LACP_NEVER
			: lacp->now + (wanted == LACP_PERIODIC_FAST ? LACP_FAST : LACP_SLOW);
	return true;
}

/* ---- Mux, with coupled control: 6.4.15, figure 6-22 ---- */

static void enter_mux(struct lacp *lacp, struct lacp_link *link, enum lacp_mux state)
{
	bool carried = link->mux == LACP_CARRYING, carries = state == LACP_CARRYING;

	link->mux = state;
	link->wait_until = state == LACP_WAITING ? lacp->now + LACP_WAIT : LACP_NEVER;
	link->waited = false;
	set_bits(&link->actor, LACP_SYNCHRONIZATION, state >= LACP_ATTACHED);
	set_bits(&link->actor, LACP_COLLECTING | LACP_DISTRIBUTING, carries);
	if (state != LACP_WAITING)
		link->tell = true;
	link->counters.carried += carries;
	if (carries != carried)
		lacp->ops->changed(lacp);
}

/* All links that wait for the aggregator have waited long enough. */
static bool is_ready(const struct lacp *lacp)
{
	list_for_each(at, &lacp->links) {
		const struct lacp_link *link = list_entry(at, struct lacp_link, node);

		if (link->mux == LACP_WAITING && link->selected && !link->waited)
			return false;
	}
	return true;
}

static bool run_mux(struct lacp *lacp, struct lacp_link *link)
{
	bool in_step = link->partner.state & LACP_SYNCHRONIZATION;

	switch (link->mux) {
	case LACP_DETACHED:
		if (!link->selected)
			return false;
		enter_mux(lacp, link, LACP_WAITING);
		return true;
	case LACP_WAITING:
		link->waited |= lacp->now >= link->wait_until;
		if (link->selected && !(link->waited && is_ready(lacp)))
			return false;
		enter_mux(lacp, link, link->selected ? LACP_ATTACHED : LACP_DETACHED);
		return true;
	case LACP_ATTACHED:
		if (link->selected && !in_step)
			return false;
		enter_mux(lacp, link, link->selected ? LACP_CARRYING : LACP_DETACHED);
		return true;
	case LACP_CARRYING:
		if (link->selected && in_step)
			return false;
		enter_mux(lacp, link, LACP_ATTACHED);
		return true;
	}
	return false;
}

/* ---- Churn: 6.4.17 ---- */

static void run_churn(const struct lacp *lacp, struct lacp_churn *churn, bool in_step)
{
	if (in_step) {
		churn->state = LACP_CHURN_NONE;
	} else if (churn->state == LACP_CHURN_NONE) {
		churn->state = LACP_CHURN_WATCHED;
		churn->until = lacp->now + LACP_CHURN;
	} else if (churn->state == LACP_CHURN_WATCHED && lacp->now >= churn->until) {
		churn->state = LACP_CHURN_FOUND;
		churn->found++;
	}
}

/* ---- Transmit: 6.4.16 ---- */

/* When the next may be sent: when there are less than LACP_TX_MOST in the time before it. */
static uint64_t may_send_at(const struct lacp_link *link)
{
	uint64_t oldest = link->sent[0];

	return oldest == LACP_NEVER ? 0 : oldest + LACP_FAST;
}

static void transmit_lacpdu(struct lacp *lacp, struct lacp_link *link)
{
	struct lacp_pdu pdu = { .actor = link->actor, .partner = link->partner };
	uint8_t bytes[LACP_PDU_LEN];

	/* Where nothing is sent regularly, nothing is sent (6.4.16). */
	if (link->periodic == LACP_PERIODIC_NONE)
		link->tell = false;
	if (!link->tell || lacp->now < may_send_at(link))
		return;
	link->tell = false;
	memmove(link->sent, link->sent + 1, sizeof(link->sent) - sizeof(link->sent[0]));
	link->sent[LACP_TX_MOST - 1] = lacp->now;
	link->counters.tx_lacpdus++;
	lacp_pdu_encode(&pdu, bytes);
	lacp->ops->send(lacp, link, bytes);
}

/* ---- All of them ---- */

static bool run_all_machines(struct lacp *lacp)
{
	bool changed = false;

	list_for_each(at, &lacp->links)
		changed |= run_receive(lacp, list_entry(at, struct lacp_link, node));
	/* Who was deselected leaves first. */
	list_for_each(at, &lacp->links)
		changed |= run_mux(lacp, list_entry(at, struct lacp_link, node));
	changed |= lacp_select(lacp);
	list_for_each(at, &lacp->links)
		changed |= run_periodic(lacp, list_entry(at, struct lacp_link, node));
	return changed;
}

void lacp_run(struct lacp *lacp, uint64_t now)
{
	lacp->now = now;
	for (unsigned pass = 0; pass < PASSES_MOST && run_all_machines(lacp); pass++)
		;
	list_for_each(at, &lacp->links) {
		struct lacp_link *link = list_entry(at, struct lacp_link, node);

		if (link->up) {
			run_churn(lacp, &link->actor_churn,
				  link->actor.state & LACP_SYNCHRONIZATION);
			run_churn(lacp, &link->partner_churn,
				  link->partner.state & LACP_SYNCHRONIZATION);
		}
		transmit_lacpdu(lacp, link);
	}
}

static uint64_t next_of_churn(const struct lacp_churn *churn)
{
	return churn->state == LACP_CHURN_WATCHED ? churn->until : LACP_NEVER;
}

static uint64_t next_of_link(const struct lacp_link *link)
{
	uint64_t next = MIN(link->current_until, link->periodic_at);

	/* One that has waited waits for others. */
	if (!link->waited)
		next = MIN(next, link->wait_until);
	if (link->up)
		next = MIN(next, MIN(next_of_churn(&link->actor_churn),
				     next_of_churn(&link->partner_churn)));
	return link->tell ? MIN(next, may_send_at(link)) : next;
}

uint64_t lacp_next(const struct lacp *lacp)
{
	uint64_t next = LACP_NEVER;

	list_for_each(at, &lacp->links)
		next = MIN(next, next_of_link(list_entry(at, struct lacp_link, node)));
	return next;
}

/* ---- Settings, links ---- */

static void take_settings(const struct lacp *lacp, struct lacp_link *link)
{
	const struct lacp_config *config = &lacp->config;

	link->actor.system_priority = config->system_priority;
	link->actor.system = config->system;
	link->actor.key = config->key;
	set_bits(&link->actor, LACP_ACTIVITY, !config->passive);
	set_bits(&link->actor, LACP_SHORT_TIMEOUT, config->fast);
	set_bits(&link->actor, LACP_AGGREGATION, true);
	link->tell = true;
}

void lacp_init(struct lacp *lacp, const struct lacp_ops *ops, const struct lacp_config *config,
	       uint64_t now)
{
	*lacp = (struct lacp){ .ops = ops, .config = *config, .now = now };
	list_init(&lacp->links);
}

void lacp_set(struct lacp *lacp, const struct lacp_config *config, uint64_t now)
{
	bool is_another = config->system_priority != lacp->config.system_priority ||
			  config->system != lacp->config.system || config->key != lacp->config.key;

	lacp->config = *config;
	lacp->now = now;
	list_for_each(at, &lacp->links) {
		struct lacp_link *link = list_entry(at, struct lacp_link, node);

		take_settings(lacp, link);
		if (is_another)
			link->selected = false;
	}
	lacp_run(lacp, now);
}

void lacp_add(struct lacp *lacp, struct lacp_link *link, uint16_t number, uint16_t priority,
	      uint64_t now)
{
	struct list *at = lacp->links.next;

	link->actor.port = number;
	link->actor.port_priority = priority;
	link->current_until = link->periodic_at = link->wait_until = LACP_NEVER;
	for (unsigned i = 0; i < LACP_TX_MOST; i++)
		link->sent[i] = LACP_NEVER;
	lacp->now = now;
	take_settings(lacp, link);
	record_default(link);
	enter_disabled(link);
	while (at != &lacp->links && list_entry(at, struct lacp_link, node)->actor.port < number)
		at = at->next;
	list_add_tail(at, &link->node);
	lacp_run(lacp, now);
}

/* The partner need not wait until it hears nothing more. */
static void say_farewell(struct lacp *lacp, struct lacp_link *link)
{
	struct lacp_pdu pdu = { .actor = link->actor, .partner = link->partner };
	uint8_t bytes[LACP_PDU_LEN];

	set_bits(&pdu.actor,
		 LACP_AGGREGATION | LACP_SYNCHRONIZATION | LACP_COLLECTING | LACP_DISTRIBUTING,
		 false);
	link->counters.tx_lacpdus++;
	lacp_pdu_encode(&pdu, bytes);
	lacp->ops->send(lacp, link, bytes);
}

void lacp_remove(struct lacp *lacp, struct lacp_link *link, uint64_t now)
{
	if (link->up && link->periodic != LACP_PERIODIC_NONE)
		say_farewell(lacp, link);
	lacp_link_up(lacp, link, false, now);
	list_remove(&link->node);
	lacp_run(lacp, now);
}

void lacp_leave(struct lacp *lacp, struct lacp_link *link, bool leave, uint64_t now)
{
	lacp->now = now;
	if (leave && !link->leaving && link->up && link->periodic != LACP_PERIODIC_NONE)
		say_farewell(lacp, link);
	link->leaving = leave;
	lacp_run(lacp, now);
}

bool lacp_has_left(const struct lacp_link *link)
{
	return !link->up || link->receive != LACP_RX_CURRENT ||
	       !(link->partner.state & LACP_DISTRIBUTING);
}

void lacp_set_priority(struct lacp *lacp, struct lacp_link *link, uint16_t priority, uint64_t now)
{
	if (link->actor.port_priority == priority)
		return;
	link->actor.port_priority = priority;
	link->selected = false;
	link->tell = true;
	lacp_run(lacp, now);
}

void lacp_link_up(struct lacp *lacp, struct lacp_link *link, bool up, uint64_t now)
{
	lacp->now = now;
	if (up != link->up) {
		link->up = up;
		link->actor_churn.state = link->partner_churn.state = LACP_CHURN_NONE;
		if (up)
			enter_expired(lacp, link);
		else
			enter_disabled(link);
		link->tell = up;
	}
	lacp_run(lacp, now);
}

/* ---- Names ---- */

const char *lacp_receive_name(enum lacp_receive state)
{
	static const char *const names[] = { [LACP_RX_PORT_DISABLED] = "disabled",
					     [LACP_RX_EXPIRED] = "expired",
					     [LACP_RX_DEFAULTED] = "defaulted",
					     [LACP_RX_CURRENT] = "current" };

	return names[state];
}

const char *lacp_mux_name(enum lacp_mux state)
{
	static const char *const names[] = { [LACP_DETACHED] = "detached",
					     [LACP_WAITING] = "waiting",
					     [LACP_ATTACHED] = "attached",
					     [LACP_CARRYING] = "distributing" };

	return names[state];
}

const char *lacp_churn_name(enum lacp_churn_state state)
{
	static const char *const names[] = { [LACP_CHURN_NONE] = "none",
					     [LACP_CHURN_WATCHED] = "watched",
					     [LACP_CHURN_FOUND] = "churned" };

	return names[state];
}
