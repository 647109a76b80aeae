/* SPDX-License-Identifier: BSD-2-Clause */
/* dnsmasq's command line and file of leases; see dnsmasq.h. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netdev/dnsmasq.h"
#include "util/bytes.h"
#include "util/cleanup.h"

/* Each address that is taken makes one range two; and there is one of IPv6. */
#define ARGUMENTS_MAX (64 + DNSMASQ_HOSTS + DNSMASQ_EXTRAS + DNSMASQ_TAKEN + 4)

struct arguments {
	char **words;
	unsigned count;
	bool failed;
};

static __attribute__((format(printf, 2, 3))) void add(struct arguments *arguments,
						      const char *format, ...)
{
	va_list list;

	if (arguments->failed)
		return;
	va_start(list, format);
	arguments->failed = vasprintf(&arguments->words[arguments->count], format, list) < 0;
	va_end(list);
	if (arguments->failed)
		arguments->words[arguments->count] = NULL;
	else
		arguments->count++;
}

static const char *lease_text(const struct dnsmasq *dnsmasq, char text[16])
{
	uint32_t seconds = dnsmasq->lease_s ? dnsmasq->lease_s : 3600;

	snprintf(text, 16, seconds == DNSMASQ_LEASE_INFINITE ? "infinite" : "%u", seconds);
	return text;
}

/* Each part of the range without what something has. */
static void add_range(struct arguments *arguments, const struct dnsmasq *dnsmasq, const char *lease)
{
	struct in_addr mask = { htonl(~0u << (32 - dnsmasq->prefix)) }, address;
	char first[INET_ADDRSTRLEN], last[INET_ADDRSTRLEN], netmask[INET_ADDRSTRLEN];
	struct dnsmasq_run run;

	inet_ntop(AF_INET, &mask, netmask, sizeof(netmask));
	for (uint64_t from = 0; dnsmasq_next_run(dnsmasq, false, from, &run); from = run.last + 1) {
		address.s_addr = htonl((uint32_t)run.first);
		inet_ntop(AF_INET, &address, first, sizeof(first));
		address.s_addr = htonl((uint32_t)run.last);
		inet_ntop(AF_INET, &address, last, sizeof(last));
		add(arguments, "--dhcp-range=%s,%s,%s,%s", first, last, netmask, lease);
	}
}

static void add_range6(struct arguments *arguments, const struct dnsmasq *dnsmasq,
		       const char *lease)
{
	char first[INET6_ADDRSTRLEN], last[INET6_ADDRSTRLEN];
	struct in6_addr address = dnsmasq->first6;
	struct dnsmasq_run run;

	for (uint64_t from = 0; dnsmasq_next_run(dnsmasq, true, from, &run); from = run.last + 1) {
		put_be64(address.s6_addr + 8, run.first);
		inet_ntop(AF_INET6, &address, first, sizeof(first));
		put_be64(address.s6_addr + 8, run.last);
		inet_ntop(AF_INET6, &address, last, sizeof(last));
		add(arguments, "--dhcp-range=%s,%s,slaac,64,%s", first, last, lease);
	}
}

static void add_ranges(struct arguments *arguments, const struct dnsmasq *dnsmasq,
		       const char *interface)
{
	char lease[16];

	lease_text(dnsmasq, lease);
	add_range(arguments, dnsmasq, lease);
	/* It knows a thousand unless told, and may know as many as there are. */
	add(arguments, "--dhcp-lease-max=%u",
	    MIN(ntohl(dnsmasq->last.s_addr) - ntohl(dnsmasq->first.s_addr), 65535u) + 1 +
		    dnsmasq->host_count + (dnsmasq->prefix6 ? 1000u : 0u));
	if (!dnsmasq->prefix6)
		return;
	if (IN6_IS_ADDR_UNSPECIFIED(&dnsmasq->first6))
		add(arguments, "--dhcp-range=::,constructor:%s,ra-stateless,ra-names,64,%s",
		    interface, lease);
	else
		add_range6(arguments, dnsmasq, lease);
	add(arguments, "--enable-ra");
	add(arguments, "--ra-param=%s,0,0", interface);
}

static void add_host(struct arguments *arguments, const struct dnsmasq_host *host)
{
	char address[INET_ADDRSTRLEN] = "", address6[INET6_ADDRSTRLEN] = "";
	const uint8_t *mac = host->mac;
	bool has6 = !IN6_IS_ADDR_UNSPECIFIED(&host->address6);

	if (host->address.s_addr)
		inet_ntop(AF_INET, &host->address, address, sizeof(address));
	if (has6)
		inet_ntop(AF_INET6, &host->address6, address6, sizeof(address6));
	add(arguments, "--dhcp-host=%02x:%02x:%02x:%02x:%02x:%02x%s%s%s%s%s%s%s", mac[0], mac[1],
	    mac[2], mac[3], mac[4], mac[5], *address ? "," : "", address, has6 ? ",[" : "",
	    address6, has6 ? "]" : "", *host->name ? "," : "", host->name);
}

static void add_names(struct arguments *arguments, const struct dnsmasq *dnsmasq)
{
	if (dnsmasq->domain[0]) {
		add(arguments, "--domain=%s", dnsmasq->domain);
		add(arguments, "--local=/%s/", dnsmasq->domain);
		add(arguments, "--expand-hosts");
	}
	if (dnsmasq->no_dns) {
		add(arguments, "--port=0");
		add(arguments, "--dhcp-option=option:dns-server");
	}
	/* CERT VU#598349: no machine of the segment is the others' proxy by its name. */
	add(arguments, "--dhcp-name-match=set:wpad-ignore,wpad");
	add(arguments, "--dhcp-ignore-names=tag:wpad-ignore");
}

char **dnsmasq_argv(const struct dnsmasq *dnsmasq, const char *interface, const char *leases)
{
	static const char *const always[] = {
		"dnsmasq", "--keep-in-foreground",
		/* Of its own user namespace, in which there is no other user and no group. */
		"--user=root", "--group=", "--conf-file=/dev/null",
		"--pid-file=", "--log-facility=-", "--quiet-dhcp", "--quiet-dhcp6", "--quiet-ra",
		"--no-resolv", "--no-poll", "--no-hosts", "--bind-interfaces",
		"--except-interface=lo", "--domain-needed", "--dhcp-authoritative",
		"--dhcp-no-override"
	};
	struct arguments arguments = { .words = calloc(ARGUMENTS_MAX, sizeof(char *)) };
	char router[INET_ADDRSTRLEN];

	if (!arguments.words)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		add(&arguments, "%s", always[i]);
	add(&arguments, "--interface=%s", interface);
	add(&arguments, "--dhcp-leasefile=%s", leases);
	add_ranges(&arguments, dnsmasq, interface);
	/* Without a router it would name itself. */
	if (dnsmasq->router.s_addr)
		add(&arguments, "--dhcp-option=option:router,%s",
		    inet_ntop(AF_INET, &dnsmasq->router, router, sizeof(router)));
	else
		add(&arguments, "--dhcp-option=option:router");
	add_names(&arguments, dnsmasq);
	for (unsigned i = 0; i < dnsmasq->host_count; i++)
		add_host(&arguments, &dnsmasq->hosts[i]);
	for (unsigned i = 0; i < dnsmasq->extra_count; i++)
		add(&arguments, "%s", dnsmasq->extras[i]);
	if (!arguments.failed)
		return arguments.words;
	dnsmasq_argv_free(arguments.words);
	return NULL;
}

void dnsmasq_argv_free(char **argv)
{
	for (char **word = argv; word && *word; word++)
		free(*word);
	free(argv);
}

bool dnsmasq_lease_parse(struct dnsmasq_lease *lease, const char *line)
{
	CLEANUP_FREE char *copy = strdup(line);
	char *rest = copy, *fields[5] = { NULL }, *end;
	struct in6_addr address6;
	struct in_addr address;
	bool is6;

	memset(lease, 0, sizeof(*lease));
	for (unsigned i = 0; rest && i < ARRAY_SIZE(fields); i++)
		fields[i] = strsep(&rest, " ");
	if (!fields[3] || *fields[0] < '0' || *fields[0] > '9')
		return false;
	lease->expires = strtoull(fields[0], &end, 10);
	is6 = inet_pton(AF_INET6, fields[2], &address6) == 1;
	if (*end || (!is6 && inet_pton(AF_INET, fields[2], &address) != 1))
		return false;
	snprintf(lease->address, sizeof(lease->address), "%s", fields[2]);
	/* Of IPv6 it is the number of an association, which says nothing of the machine. */
	if (!is6)
		snprintf(lease->mac, sizeof(lease->mac), "%s", fields[1]);
	if (strcmp(fields[3], "*") != 0)
		snprintf(lease->name, sizeof(lease->name), "%s", fields[3]);
	return true;
}

bool dnsmasq_may_be_leases(const char *text, size_t length)
{
	static const char duid[] = "duid ";
	size_t first = strcspn(text, "\n"), digits = strspn(text, "0123456789");
	CLEANUP_FREE char *line = strndup(text, first);
	struct dnsmasq_lease lease;

	if (!length || (line && dnsmasq_lease_parse(&lease, line)))
		return true;
	if (!strncmp(text, duid, MIN(length, strlen(duid))))
		return true;
	/* The power went while it was written. */
	return first == strlen(text) && (!first || (digits && strchr(" ", text[digits])));
}
