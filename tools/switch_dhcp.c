/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon switch dhcp`: the segments' DHCP and DNS of a running switch, and their leases; see switch.h. The command, and what the switch does. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "netdev/dnsmasq.h"
#include "tools/describe.h"
#include "tools/devices.h"
#include "tools/output.h"
#include "tools/switch.h"
#include "tools/switch_port.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "vswitch/switch.h"

#define DHCP_USAGE "switch dhcp NAME [show|add|remove] [PORT] [host=...|name=...]... [--json]"

#define LEASES_MOST (16u << 20) /* bytes of the file; what is behind is not shown */

/* ---- The command ---- */

static const struct cli_column server_columns[] = {
	{ "PORT", "port", CLI_AS_TEXT },           { "STATE", "state", CLI_AS_STATE },
	{ "ADDRESS", "address", CLI_AS_TEXT },     { "FIRST", "range_first", CLI_AS_TEXT },
	{ "LAST", "range_last", CLI_AS_TEXT },     { "LEASES", "lease_count", CLI_AS_TEXT },
	{ "DOMAIN", "domain", CLI_AS_TEXT, 1 },    { "ROUTER", "router", CLI_AS_TEXT, 1 },
	{ "FILE", "leases_path", CLI_AS_PATH, 2 }, { NULL },
};

static const struct cli_column lease_columns[] = {
	{ "PORT", "port", CLI_AS_TEXT },
	{ "ADDRESS", "address", CLI_AS_TEXT },
	{ "MAC", "mac", CLI_AS_TEXT },
	{ "NAME", "name", CLI_AS_TEXT },
	{ "KIND", "kind", CLI_AS_TEXT, 1 },
	{ "FOR", "seconds_left", CLI_AS_TEXT },
	{ NULL },
};

int switch_dhcp(int argc, char **argv)
{
	struct cli_listing listing = { 0 };
	const struct cli_option options[] = { CLI_OPTIONS_SHOW(&listing), CLI_OPTION_END };
	struct cli_words operands;
	json_t *result = NULL;
	const char *action;
	int status;

	if (!cli_parse(DHCP_USAGE, options, argc, argv, 1, CLI_ANY, &operands, &status) ||
	    !cli_listing_check(&listing, NULL, &status) || !switch_names_check(&operands, &status))
		return status;
	action = switch_action(&operands, "show");
	if (operands.count >= 4 && (!strcmp(action, "add") || !strcmp(action, "remove")))
		return switch_dhcp_change(&operands);
	if (strcmp(action, "show") != 0 || operands.count > 2)
		return switch_wrong_action(action, operands.count - 2,
					   "show, add PORT WORD..., or remove PORT WORD...");
	status = switch_ask(operands.words[0], "switch.dhcp.show", NULL, &result);
	if (status != EXIT_DONE)
		return status;
	if (listing.json) {
		cli_print_json(result);
	} else {
		cli_print_rows(json_object_get(result, "dhcp_servers"), server_columns, &listing);
		printf("\n");
		cli_print_rows(json_object_get(result, "leases"), lease_columns, &listing);
	}
	json_decref(result);
	return status;
}

/* ---- What the switch does ---- */

static json_t *address_json(struct in_addr address)
{
	char text[INET_ADDRSTRLEN];

	return address.s_addr ? json_string(inet_ntop(AF_INET, &address, text, sizeof(text)))
			      : json_null();
}

/* The file as it is now; dnsmasq writes it anew with each change. NULL: there is none. */
static char *read_leases(const char *path)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;
	size_t size, used = 0;
	ssize_t got = 1;
	char *text;

	if (fd < 0 || fstat(fd, &status) || !S_ISREG(status.st_mode))
		return NULL;
	size = (size_t)(status.st_size < LEASES_MOST ? status.st_size : LEASES_MOST);
	text = malloc(size + 1);
	while (text && used < size && got > 0) {
		got = read(fd, text + used, size - used);
		used += got > 0 ? (size_t)got : 0;
	}
	if (text)
		text[used] = '\0';
	return text;
}

static const struct dnsmasq_host *find_host(const struct dnsmasq *dnsmasq, const char *address)
{
	struct in6_addr address6;
	struct in_addr address4;
	bool is6 = inet_pton(AF_INET6, address, &address6) == 1;

	if (!is6 && inet_pton(AF_INET, address, &address4) != 1)
		return NULL;
	for (unsigned i = 0; i < dnsmasq->host_count; i++) {
		const struct dnsmasq_host *host = &dnsmasq->hosts[i];

		if (is6 ? IN6_ARE_ADDR_EQUAL(&host->address6, &address6)
			: host->address.s_addr && host->address.s_addr == address4.s_addr)
			return host;
	}
	return NULL;
}

static void add_lease(json_t *leases, const struct port_spec *spec, const char *line, time_t now,
		      unsigned *count, bool *seen)
{
	struct dnsmasq_lease lease;
	const struct dnsmasq_host *host;
	uint64_t today = (uint64_t)now;

	if (!dnsmasq_lease_parse(&lease, line) || (lease.expires && lease.expires <= today))
		return;
	host = find_host(spec->dhcp, lease.address);
	if (host)
		seen[host - spec->dhcp->hosts] = true;
	++*count;
	json_array_append_new(
		leases, json_pack("{s:s, s:s, s:o, s:o, s:s, s:o}", "port", spec->name, "address",
				  lease.address, "mac",
				  lease.mac[0] ? describe_text(lease.mac) : json_null(), "name",
				  lease.name[0] ? describe_text(lease.name) : json_null(), "kind",
				  host ? "static" : "dynamic", "seconds_left",
				  lease.expires ? json_integer((json_int_t)(lease.expires - today))
						: json_null()));
}

/* Those that nobody has asked for yet. */
static void add_hosts(json_t *leases, const struct port_spec *spec, const bool *seen)
{
	for (unsigned i = 0; i < spec->dhcp->host_count; i++) {
		const struct dnsmasq_host *host = &spec->dhcp->hosts[i];
		const uint8_t *mac = host->mac;
		char text[MAC_TEXT];

		if (seen[i])
			continue;
		snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
			 mac[2], mac[3], mac[4], mac[5]);
		json_array_append_new(
			leases,
			json_pack("{s:s, s:o, s:s, s:o, s:s, s:n}", "port", spec->name, "address",
				  address_json(host->address), "mac", text, "name",
				  host->name[0] ? json_string(host->name) : json_null(), "kind",
				  "reserved", "seconds_left"));
	}
}

static int add_server(const struct switch_control *control, const struct port_spec *spec,
		      const char *state, json_t *result, struct error *error)
{
	CLEANUP_FREE char *path = port_dhcp_leases(spec, control->name, error);
	CLEANUP_FREE char *text = path ? read_leases(path) : NULL;
	json_t *leases = json_object_get(result, "leases");
	bool seen[DNSMASQ_HOSTS] = { false };
	const struct dnsmasq *dhcp = spec->dhcp;
	char *rest = text, *line;
	unsigned count = 0;

	if (!path)
		return error_set(error, -ENOMEM, "port %s: its leases: out of memory", spec->name);
	while ((line = strsep(&rest, "\n")))
		add_lease(leases, spec, line, time(NULL), &count, seen);
	add_hosts(leases, spec, seen);
	json_array_append_new(json_object_get(result, "dhcp_servers"),
			      json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:i, s:o}", "port",
					spec->name, "state", state, "address", spec->argument,
					"range_first", address_json(dhcp->first), "range_last",
					address_json(dhcp->last), "domain",
					dhcp->domain[0] ? json_string(dhcp->domain) : json_null(),
					"router", address_json(dhcp->router), "lease_count",
					(int)count, "leases_path", describe_path(path)));
	return 0;
}

int switch_dhcp_show(void *context, json_t *params, json_t **result, struct error *error)
{
	CLEANUP(cleanup_vswitch_status) struct vswitch_status *status = NULL;
	struct switch_control *control = context;
	int rc = 0;

	(void)params;
	if (vswitch_status(control->vswitch, &status))
		return error_set(error, -ENOMEM, "switch %s: out of memory", control->name);
	*result = json_pack("{s:[], s:[]}", "dhcp_servers", "leases");
	for (unsigned i = 0; i < status->port_count && !rc; i++) {
		const struct vswitch_port_status *port = &status->ports[i];
		const char *text = json_string_value(json_object_get(control->specs, port->name));
		struct port_spec spec;

		if (strcmp(port->type, "dhcp") != 0 || !text)
			continue;
		rc = port_spec_parse(&spec, text, error);
		if (!rc)
			rc = add_server(control, &spec, port->state, *result, error);
		port_spec_free(&spec);
	}
	if (!rc)
		return 0;
	json_decref(*result);
	*result = NULL;
	return rc;
}
