/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state machines of link aggregation (IEEE 802.1AX-2014, 6.4, version 1 of the protocol): of the links that may make one
 * aggregate. A pure object, told what comes and what time it is; it sends, and says which links carry frames, by lacp_ops.
 *
 *	LACPDU -> receive (6.4.12)		what is known of the partner, and how long it holds
 *			|
 *			v
 *	          selection (6.4.14)		which links go together: those of one partner's one key
 *			| selected
 *			v
 *	          mux (6.4.15, coupled)		detached, waiting, attached, collecting and distributing
 *			| what is said has changed
 *			v
 *	periodic ->  transmit (6.4.16)		at most three in a second
 *	(6.4.13)
 *	          churn (6.4.17)		the two ends do not come to terms in a minute
 *
 * One aggregate has one aggregator: links that a partner would have in another one (another system or key at the other end)
 * are not selected while the aggregate has links of the first. A link whose partner is silent is "defaulted", and carries
 * nothing, unless `fallback` has one of them work alone.
 *
 * Times are nanoseconds of any clock; nobody needs to call more often than lacp_next() says.
 */
#ifndef TENON_VSWITCH_LACP_H
#define TENON_VSWITCH_LACP_H

#include "util/list.h"
#include "vswitch/lacp_pdu.h"

#define LACP_SECOND  1000000000ULL
#define LACP_FAST    (1 * LACP_SECOND) /* between two LACPDUs (6.4.4) */
#define LACP_SLOW    (30 * LACP_SECOND)
#define LACP_SHORT   (3 * LACP_SECOND) /* until what was heard is too old */
#define LACP_LONG    (90 * LACP_SECOND)
#define LACP_WAIT    (2 * LACP_SECOND) /* for other links to come along */
#define LACP_CHURN   (60 * LACP_SECOND)
#define LACP_TX_MOST 3 /* LACPDUs in one LACP_FAST */
#define LACP_MARKERS_MOST                                                                          \
	10 /* answers to markers in a second: what slow protocols may send (802.3, 57A.2) */
#define LACP_NEVER UINT64_MAX

enum lacp_receive { LACP_RX_PORT_DISABLED, LACP_RX_EXPIRED, LACP_RX_DEFAULTED, LACP_RX_CURRENT };
enum lacp_periodic { LACP_PERIODIC_NONE, LACP_PERIODIC_FAST, LACP_PERIODIC_SLOW };
enum lacp_mux {
	LACP_DETACHED,
	LACP_WAITING,
	LACP_ATTACHED,
	LACP_CARRYING /* collecting and distributing */
};
enum lacp_churn_state { LACP_CHURN_NONE, LACP_CHURN_WATCHED, LACP_CHURN_FOUND };

struct lacp_churn {
	enum lacp_churn_state state;
	uint64_t until; /* of LACP_CHURN_WATCHED */
	uint64_t found; /* how often */
};

struct lacp_counters {
	uint64_t rx_lacpdus, tx_lacpdus, rx_markers, tx_marker_answers;
	uint64_t rx_bad;             /* of a slow protocol's subtype of ours, and not one */
	uint64_t markers_unanswered; /* too many */
	uint64_t expired;            /* the partner was not heard in time */
	uint64_t carried;            /* it began to carry frames */
};

struct lacp_link {
	struct list node; /* in lacp.links */
	bool up;
	bool waited; /* in LACP_WAITING: long enough */
	bool selected;
	bool tell;    /* NTT: what the partner is told has changed */
	bool leaving; /* lacp_leave() */
	struct lacp_info actor, partner;
	enum lacp_receive receive;
	enum lacp_periodic periodic;
	enum lacp_mux mux;
	uint64_t current_until, periodic_at, wait_until; /* LACP_NEVER: not running */
	uint64_t sent[LACP_TX_MOST]; /* when the last ones were; LACP_NEVER: not yet */
	uint64_t markers_since;      /* answers are counted from then on */
	unsigned markers;
	struct lacp_churn actor_churn, partner_churn;
	struct lacp_counters counters;
};

struct lacp_config {
	uint16_t system_priority;
	uint64_t system;
	uint16_t key;
	bool passive;  /* speaks when it is spoken to */
	bool fast;     /* asks the partner for one LACPDU a second */
	bool fallback; /* without any partner one link carries frames */
};

struct lacp;

struct lacp_ops {
	/* Sends what is behind the EtherType. */
	void (*send)(struct lacp *lacp, struct lacp_link *link, const uint8_t bytes[LACP_PDU_LEN]);
	/* Which links carry frames has changed, or which are there. */
	void (*changed)(struct lacp *lacp);
};

struct lacp {
	const struct lacp_ops *ops;
	struct lacp_config config;
	struct list links; /* in the order of port numbers */
	uint64_t now;
	/* The partner whose links are selected; its state says nothing, its port neither. */
	struct lacp_info partner;
	bool has_partner;
};

void lacp_init(struct lacp *lacp, const struct lacp_ops *ops, const struct lacp_config *config,
	       uint64_t now);
/* Changes the settings: links begin anew where others know of it. */
void lacp_set(struct lacp *lacp, const struct lacp_config *config, uint64_t now);

/* `link` is zeroed; its number is one of its own in the system, not 0. Its link is down at first. */
void lacp_add(struct lacp *lacp, struct lacp_link *link, uint16_t number, uint16_t priority,
	      uint64_t now);
void lacp_remove(struct lacp *lacp, struct lacp_link *link, uint64_t now);
/*
 * Before it is removed: has the link send nothing more, and tells the partner so, who stops too. What still comes can be taken until
 * lacp_has_left(). `leave` false: it stays after all.
 */
void lacp_leave(struct lacp *lacp, struct lacp_link *link, bool leave, uint64_t now);
/* The partner said that it sends nothing more by it, or is not heard. */
bool lacp_has_left(const struct lacp_link *link);
void lacp_set_priority(struct lacp *lacp, struct lacp_link *link, uint16_t priority, uint64_t now);
void lacp_link_up(struct lacp *lacp, struct lacp_link *link, bool up, uint64_t now);

/* A frame of a slow protocol came: what is behind the EtherType. */
void lacp_receive(struct lacp *lacp, struct lacp_link *link, const uint8_t *bytes, size_t length,
		  uint64_t now);

/* Does what is due; and when there will be more, LACP_NEVER: nothing. */
void lacp_run(struct lacp *lacp, uint64_t now);
uint64_t lacp_next(const struct lacp *lacp);

const char *lacp_receive_name(enum lacp_receive state);
const char *lacp_mux_name(enum lacp_mux state);
const char *lacp_churn_name(enum lacp_churn_state state);

/* ---- lacp_select.c, for lacp.c ---- */

/* Decides which links are selected. True: something changed. */
bool lacp_select(struct lacp *lacp);

#endif
