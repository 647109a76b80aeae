/* SPDX-License-Identifier: BSD-2-Clause */
/* Which links go together: the selection logic of lacp.h (6.4.14). */
#include "vswitch/lacp.h"

/* The partner is heard, would have the link be one of several, and is not this system itself. */
static bool may_join(const struct lacp *lacp, const struct lacp_link *link)
{
	return link->up && !link->leaving &&
	       (link->receive == LACP_RX_CURRENT || link->receive == LACP_RX_EXPIRED) &&
	       !(link->actor.state & LACP_DEFAULTED) && link->partner.state & LACP_AGGREGATION &&
	       link->partner.system != lacp->config.system;
}

/* A link whose partner says that it is individual, or says nothing (and `fallback` is set). */
static bool may_work_alone(const struct lacp *lacp, const struct lacp_link *link)
{
	if (!link->up || link->leaving || link->partner.system == lacp->config.system)
		return false;
	return link->receive == LACP_RX_DEFAULTED
		       ? lacp->config.fallback
		       : link->receive == LACP_RX_CURRENT &&
				 !(link->partner.state & LACP_AGGREGATION);
}

static unsigned count_of(const struct lacp *lacp, const struct lacp_info *partner)
{
	unsigned count = 0;

	list_for_each(at, &lacp->links) {
		const struct lacp_link *link = list_entry(at, struct lacp_link, node);

		count += may_join(lacp, link) && lacp_same_system(&link->partner, partner);
	}
	return count;
}

static bool is_preferred(const struct lacp_link *a, const struct lacp_link *b)
{
	return a->actor.port_priority != b->actor.port_priority
		       ? a->actor.port_priority < b->actor.port_priority
		       : a->actor.port < b->actor.port;
}

/* The partner of most links; of several, that of the link with the best priority. One that has been chosen stays while it has any. */
static void choose_partner(struct lacp *lacp)
{
	const struct lacp_link *best = NULL;
	unsigned most = 0;

	if (lacp->has_partner && count_of(lacp, &lacp->partner))
		return;
	list_for_each(at, &lacp->links) {
		const struct lacp_link *link = list_entry(at, struct lacp_link, node);
		unsigned count = may_join(lacp, link) ? count_of(lacp, &link->partner) : 0;

		if (count > most || (count && count == most && is_preferred(link, best))) {
			best = link;
			most = count;
		}
	}
	lacp->has_partner = best;
	if (best)
		lacp->partner = best->partner;
}

/* The one that works alone; one that does already stays. */
static const struct lacp_link *choose_alone(const struct lacp *lacp)
{
	const struct lacp_link *best = NULL;

	list_for_each(at, &lacp->links) {
		const struct lacp_link *link = list_entry(at, struct lacp_link, node);

		if (!may_work_alone(lacp, link))
			continue;
		if (link->selected)
			return link;
		if (!best || is_preferred(link, best))
			best = link;
	}
	return best;
}

bool lacp_select(struct lacp *lacp)
{
	const struct lacp_link *alone;
	bool changed = false;

	choose_partner(lacp);
	alone = lacp->has_partner ? NULL : choose_alone(lacp);
	list_for_each(at, &lacp->links) {
		struct lacp_link *link = list_entry(at, struct lacp_link, node);
		bool wanted = lacp->has_partner
				      ? may_join(lacp, link) &&
						lacp_same_system(&link->partner, &lacp->partner)
				      : link == alone;

		/* What was deselected leaves its aggregator before it is selected anew. */
		if (wanted == link->selected || (wanted && link->mux != LACP_DETACHED))
			continue;
		link->selected = wanted;
		changed = true;
	}
	return changed;
}
