/* SPDX-License-Identifier: BSD-2-Clause */
/* What a running switch says of its bonds; see switch.h. */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "tools/switch.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "vswitch/bond.h"
#include "vswitch/switch.h"

static json_t *system_json(const struct lacp_info *info, bool known)
{
	char text[MAC_TEXT];

	return known ? json_string(mac_format(info->system, text)) : json_null();
}

static json_t *name_json(const char *name)
{
	return name[0] ? json_string(name) : json_null();
}

static json_t *states_json(uint8_t state)
{
	char text[LACP_STATE_TEXT], *rest = text, *one;
	json_t *list = json_array();

	lacp_state_text(state, text);
	while (text[0] && (one = strsep(&rest, ",")))
		json_array_append_new(list, json_string(one));
	return list;
}

static unsigned carrying(const struct vswitch_bond *bond)
{
	unsigned count = 0;

	for (unsigned i = 0; i < bond->link_count; i++)
		count += bond->links[i].carries;
	return count;
}

static json_t *bond_json(const struct vswitch_bond *bond)
{
	const struct lacp_config *lacp = &bond->lacp;
	char system[MAC_TEXT];

	return json_pack(
		"{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:s, s:i, s:i, s:s, s:s, s:b, s:o, s:o, s:o, "
		"s:o, s:I, s:I, s:i, s:i}",
		"bond", bond->name, "state", bond->up ? "up" : "down", "bond_mode",
		bond_mode_name(bond->config.mode), "hash", bond_hash_name(bond->config.hash),
		"link_count", (int)bond->link_count, "carrying", (int)carrying(bond), "min_links",
		(int)MAX(bond->config.min_links, (uint8_t)1), "system",
		mac_format(lacp->system, system), "system_priority", (int)lacp->system_priority,
		"key", (int)lacp->key, "lacp", lacp->passive ? "passive" : "active", "rate",
		lacp->fast ? "fast" : "slow", "fallback", lacp->fallback, "primary",
		name_json(bond->config.primary), "active_link", name_json(bond->active),
		"partner_system", system_json(&bond->partner, bond->has_partner), "partner_key",
		bond->has_partner ? json_integer(bond->partner.key) : json_null(), "failovers",
		(json_int_t)bond->failovers, "announced", (json_int_t)bond->announced, "updelay_ms",
		(int)bond->config.up_delay_ms, "downdelay_ms", (int)bond->config.down_delay_ms);
}

static json_t *bond_link_json(const struct vswitch_bond *bond, const struct vswitch_bond_link *link)
{
	const struct lacp_link *lacp = &link->lacp;
	const struct lacp_counters *counters = &lacp->counters;
	bool speaks = bond->config.mode == BOND_LACP,
	     heard = speaks && !(lacp->actor.state & LACP_DEFAULTED);

	return json_pack(
		"{s:s, s:s, s:s, s:b, s:i, s:o, s:o, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:s, "
		"s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"port", link->name, "bond", bond->name, "state", link->up ? "up" : "down",
		"carries", link->carries, "share_percent",
		(int)((link->share * 100 + BOND_BUCKETS / 2) / BOND_BUCKETS), "mux_state",
		speaks ? json_string(lacp_mux_name(lacp->mux)) : json_null(), "receive_state",
		speaks ? json_string(lacp_receive_name(lacp->receive)) : json_null(), "number",
		(int)lacp->actor.port, "priority", (int)lacp->actor.port_priority, "actor_states",
		states_json(speaks ? lacp->actor.state : 0), "partner_system",
		system_json(&lacp->partner, heard), "partner_key",
		heard ? json_integer(lacp->partner.key) : json_null(), "partner_port",
		heard ? json_integer(lacp->partner.port) : json_null(), "partner_priority",
		heard ? json_integer(lacp->partner.port_priority) : json_null(), "partner_states",
		states_json(heard ? lacp->partner.state : 0), "actor_churn",
		lacp_churn_name(lacp->actor_churn.state), "partner_churn",
		lacp_churn_name(lacp->partner_churn.state), "rx_lacpdus",
		(json_int_t)counters->rx_lacpdus, "tx_lacpdus", (json_int_t)counters->tx_lacpdus,
		"rx_markers", (json_int_t)counters->rx_markers, "tx_marker_answers",
		(json_int_t)counters->tx_marker_answers, "rx_bad", (json_int_t)counters->rx_bad,
		"markers_unanswered", (json_int_t)counters->markers_unanswered, "expired",
		(json_int_t)counters->expired);
}

int switch_lacp_show(void *context, json_t *params, json_t **result, struct error *error)
{
	CLEANUP(cleanup_bond_status) struct vswitch_bond_status *status = NULL;
	const char *only = json_string_value(json_object_get(params, "bond"));
	struct switch_control *control = context;
	json_t *bonds, *links;

	if (vswitch_bond_status(control->vswitch, &status))
		return error_set(error, -ENOMEM, "switch %s: out of memory", control->name);
	bonds = json_array();
	links = json_array();
	for (unsigned i = 0; i < status->count; i++) {
		const struct vswitch_bond *bond = &status->bonds[i];

		if (only && strcmp(only, bond->name))
			continue;
		json_array_append_new(bonds, bond_json(bond));
		for (unsigned k = 0; k < bond->link_count; k++)
			json_array_append_new(links, bond_link_json(bond, &bond->links[k]));
	}
	if (only && !json_array_size(bonds)) {
		json_decref(bonds);
		json_decref(links);
		error_set(error, -ENXIO, "switch %s: bond %.40s: there is none of that name",
			  control->name, only);
		error_advise(error, "`tenon switch lacp %s show` shows those there are",
			     control->name);
		return -ENXIO;
	}
	*result = json_pack("{s:o, s:o}", "bonds", bonds, "bond_links", links);
	return *result ? 0 : error_set(error, -ENOMEM, "switch %s: out of memory", control->name);
}

/* ---- For Prometheus ---- */

static const struct {
	const char *event;
	size_t at;
} lacp_events[] = {
	{ "rx_lacpdu", offsetof(struct lacp_counters, rx_lacpdus) },
	{ "tx_lacpdu", offsetof(struct lacp_counters, tx_lacpdus) },
	{ "rx_marker", offsetof(struct lacp_counters, rx_markers) },
	{ "tx_marker_answer", offsetof(struct lacp_counters, tx_marker_answers) },
	{ "marker_unanswered", offsetof(struct lacp_counters, markers_unanswered) },
	{ "rx_bad", offsetof(struct lacp_counters, rx_bad) },
	{ "expired", offsetof(struct lacp_counters, expired) },
};

static void put_bond_links(FILE *out, const char *name, const struct vswitch_bond_status *status)
{
	fprintf(out, "# HELP tenon_switch_bond_link_carries whether a link carries frames\n"
		     "# TYPE tenon_switch_bond_link_carries gauge\n");
	for (unsigned i = 0; i < status->count; i++)
		for (unsigned k = 0; k < status->bonds[i].link_count; k++)
			fprintf(out,
				"tenon_switch_bond_link_carries{switch=\"%s\",bond=\"%s\","
				"port=\"%s\"} %d\n",
				name, status->bonds[i].name, status->bonds[i].links[k].name,
				status->bonds[i].links[k].carries);
	fprintf(out, "# HELP tenon_switch_lacp_events_total what LACP sent, heard and missed\n"
		     "# TYPE tenon_switch_lacp_events_total counter\n");
	for (unsigned i = 0; i < status->count; i++)
		for (unsigned k = 0; k < status->bonds[i].link_count; k++)
			for (size_t e = 0; e < ARRAY_SIZE(lacp_events); e++)
				fprintf(out,
					"tenon_switch_lacp_events_total{switch=\"%s\",bond=\"%s\","
					"port=\"%s\",event=\"%s\"} %" PRIu64 "\n",
					name, status->bonds[i].name, status->bonds[i].links[k].name,
					lacp_events[e].event,
					*(const uint64_t *)((const char *)&status->bonds[i]
								    .links[k]
								    .lacp.counters +
							    lacp_events[e].at));
}

void switch_lacp_metrics(FILE *out, const char *name, struct vswitch *vswitch)
{
	CLEANUP(cleanup_bond_status) struct vswitch_bond_status *status = NULL;

	if (vswitch_bond_status(vswitch, &status) || !status->count)
		return;
	fprintf(out, "# HELP tenon_switch_bond_failovers_total another link became the active one\n"
		     "# TYPE tenon_switch_bond_failovers_total counter\n");
	for (unsigned i = 0; i < status->count; i++)
		fprintf(out,
			"tenon_switch_bond_failovers_total{switch=\"%s\",bond=\"%s\"} %" PRIu64
			"\n",
			name, status->bonds[i].name, status->bonds[i].failovers);
	put_bond_links(out, name, status);
}
