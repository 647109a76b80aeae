/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DHCP and DNS of a segment, by dnsmasq: what users say of it, checked here, so that nothing that dnsmasq would refuse or take for
 * something else reaches its command line, and that command line.
 *
 *	address=10.1.0.1/24	its own address; required
 *	range=FIRST-LAST	of leases; the largest part of the network without its own address and the router. What other words say to be
 *				somebody's (router=, dns=, name=, upstream=, and addresses in option=), and its own address, is nobody's lease
 *	lease=TIME		600, 45m, 12h, 2d or infinite (1h)
 *	host=MAC/ADDRESS/NAME	the same address (of IPv4, IPv6, or both) and name for this machine each time; parts may be missing
 *	router=ADDRESS		told to machines; none
 *	dns=ADDRESS[+...]|none	told in its own place; none: it does not listen for DNS either
 *	domain=NAME		of machines' names, which it alone answers for
 *	name=NAME/ADDRESS	another name, of either IP
 *	upstream=ADDRESS	whom it asks for other names; it gets there through the segment
 *	option=NUMBER:VALUE	another DHCP option (IPv4), with '+' between several values
 *	ipv6=ADDRESS/64		router advertisements for stateless addresses; never as a router
 *	range6=FIRST-LAST	and leases by DHCPv6
 *
 * Source: dnsmasq(8) 2.90; RFC 2132, 4861, 8415.
 */
#ifndef TENON_NETDEV_DNSMASQ_H
#define TENON_NETDEV_DNSMASQ_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define DNSMASQ_HOSTS  256
#define DNSMASQ_EXTRAS 256
#define DNSMASQ_NAME   254 /* with its zero */

#define DNSMASQ_TAKEN 4096 /* addresses of dns=, name=, upstream= and option= */

#define DNSMASQ_LEASE_LEAST    120 /* seconds: dnsmasq's own */
#define DNSMASQ_LEASE_INFINITE UINT32_MAX

struct dnsmasq_host {
	uint8_t mac[6];
	struct in_addr address; /* 0: any */
	struct in6_addr address6;
	char name[64]; /* "": none */
};

/* An address that something has by the user's word; of IPv4 as ::ffff:A.B.C.D. */
struct dnsmasq_taken {
	struct in6_addr address;
	bool is_upstream;
};

struct dnsmasq {
	struct in_addr address, first, last, router; /* 0: not said */
	unsigned prefix;
	struct in6_addr address6, first6, last6; /* `::`: not said */
	unsigned prefix6;
	uint32_t lease_s; /* 0: not said */
	bool no_dns;
	char domain[DNSMASQ_NAME];
	unsigned host_count, extra_count;
	struct dnsmasq_host hosts[DNSMASQ_HOSTS];
	char *extras[DNSMASQ_EXTRAS]; /* arguments as dnsmasq takes them */
	bool has_upstream, has_dns;
	struct dnsmasq_taken *taken; /* NULL: nothing yet */
	unsigned taken_count;
};

/* A word of those above. -ENOTSUP: it is none of them; -EINVAL, -ENOSPC, -ENOMEM with `error` set. Begins with all zero. */
int dnsmasq_set(struct dnsmasq *dnsmasq, const char *word, struct error *error);
/* After the last of them: whether they fit together; and chooses the range. -EINVAL. */
int dnsmasq_check(struct dnsmasq *dnsmasq, struct error *error);
/* What is in it. */
void dnsmasq_clear(struct dnsmasq *dnsmasq);

/* Part of the range, each address a number: of IPv4, or of IPv6 the last 64 bits. */
struct dnsmasq_run {
	uint64_t first, last;
};

/* The first part of the range from `from` on without an address that something has. False: there is none. */
bool dnsmasq_next_run(const struct dnsmasq *dnsmasq, bool is6, uint64_t from,
		      struct dnsmasq_run *run);
/*
 * argv of a dnsmasq that stays in the foreground, says on standard error what it does, and needs no file but `leases`; on `interface`,
 * which has its addresses. NULL at the end; dnsmasq_argv_free(). NULL without memory.
 */
char **dnsmasq_argv(const struct dnsmasq *dnsmasq, const char *interface, const char *leases);
void dnsmasq_argv_free(char **argv);

/* Leases that dnsmasq wrote down. */
struct dnsmasq_lease {
	uint64_t expires; /* seconds since 1970; 0: never */
	char mac[3 * 20]; /* hexadecimal with colons; of IPv6 its DUID's end: "" */
	char address[INET6_ADDRSTRLEN];
	char name[DNSMASQ_NAME]; /* what the machine calls itself; "": nothing */
};

/* A line of its file. False: it is no lease (or is damaged). */
bool dnsmasq_lease_parse(struct dnsmasq_lease *lease, const char *line);

/* Whether a file that begins so, with `length` bytes and a zero, may be one of these: it is empty, or its first line is of dnsmasq,
 * whole or not. Any other dnsmasq would overwrite. */
bool dnsmasq_may_be_leases(const char *text, size_t length);

#endif
