/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether what users say of a segment's DHCP and DNS fits together, and the ranges of leases; see dnsmasq.h.
 *
 * dnsmasq gives out any address of a range that it is told, and has no word for holes in one: the name server that it asks, say, would be the next
 * guest's address. So there is a range for each part without such an address.
 */
#include "netdev/dnsmasq.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"

static uint32_t mask_of(const struct dnsmasq *dnsmasq)
{
	return ~0u << (32 - dnsmasq->prefix);
}

/* A machine's address in the network: neither the network's own nor all's. */
static bool is_inside(const struct dnsmasq *dnsmasq, struct in_addr address)
{
	uint32_t mask = mask_of(dnsmasq), given = ntohl(address.s_addr);

	return (given & mask) == (ntohl(dnsmasq->address.s_addr) & mask) && (given & ~mask) &&
	       (given & ~mask) != ~mask;
}

static bool is_inside6(const struct dnsmasq *dnsmasq, const struct in6_addr *address)
{
	return !memcmp(address, &dnsmasq->address6, 8);
}

/* ---- Ranges ---- */

static uint64_t number6(const struct in6_addr *address)
{
	return get_be64(address->s6_addr + 8);
}

static bool is_of_range(const struct dnsmasq *dnsmasq, bool is6, const struct in6_addr *address)
{
	return is6 ? !memcmp(address, &dnsmasq->address6, 8) : IN6_IS_ADDR_V4MAPPED(address);
}

/* The first address from `from` on that something has. The last there is at all is no machine's: RFC 2526 has it in IPv6. */
static uint64_t next_taken(const struct dnsmasq *dnsmasq, bool is6, uint64_t from)
{
	uint64_t own = is6 ? number6(&dnsmasq->address6) : ntohl(dnsmasq->address.s_addr);
	uint64_t router = ntohl(dnsmasq->router.s_addr), next = UINT64_MAX;

	if (own >= from)
		next = own;
	if (!is6 && router >= from)
		next = MIN(next, router);
	for (unsigned i = 0; i < dnsmasq->taken_count; i++) {
		const struct in6_addr *address = &dnsmasq->taken[i].address;
		uint64_t number = is6 ? number6(address) : get_be32(address->s6_addr + 12);

		if (is_of_range(dnsmasq, is6, address) && number >= from)
			next = MIN(next, number);
	}
	return next;
}

bool dnsmasq_next_run(const struct dnsmasq *dnsmasq, bool is6, uint64_t from,
		      struct dnsmasq_run *run)
{
	uint64_t first = is6 ? number6(&dnsmasq->first6) : ntohl(dnsmasq->first.s_addr);
	uint64_t last = is6 ? number6(&dnsmasq->last6) : ntohl(dnsmasq->last.s_addr);
	uint64_t taken;

	for (from = MAX(from, first); from <= last; from++) {
		taken = next_taken(dnsmasq, is6, from);
		if (taken != from) {
			*run = (struct dnsmasq_run){ from, MIN(last, taken - 1) };
			return true;
		}
		if (from == UINT64_MAX)
			break;
	}
	return false;
}

/* From the first address that is free to the last. */
static int trim(const struct dnsmasq *dnsmasq, bool is6, struct dnsmasq_run *whole,
		struct error *error)
{
	struct dnsmasq_run run;

	if (!dnsmasq_next_run(dnsmasq, is6, 0, whole))
		return error_set(error, -EINVAL,
				 "%s: no address is left to give: expected one that is neither its "
				 "own nor of router=, dns=, name=, upstream= or option=",
				 is6 ? "range6=" : "range=");
	run = *whole;
	while (run.last < UINT64_MAX && dnsmasq_next_run(dnsmasq, is6, run.last + 1, &run))
		whole->last = run.last;
	return 0;
}

/* The longest run of addresses without these two: what else is taken makes holes, so that leases stay in the range when a name comes. */
static void choose_usual(struct dnsmasq *dnsmasq)
{
	uint32_t mask = mask_of(dnsmasq), network = ntohl(dnsmasq->address.s_addr) & mask;
	uint32_t a = ntohl(dnsmasq->address.s_addr), b = ntohl(dnsmasq->router.s_addr);
	uint32_t stops[4] = { network, MIN(a, b ? b : a), MAX(a, b), network | ~mask };
	uint32_t best = 0;

	for (unsigned i = 0; i < 3; i++) {
		uint32_t room = stops[i + 1] > stops[i] ? stops[i + 1] - stops[i] - 1 : 0;

		if (room <= best)
			continue;
		best = room;
		dnsmasq->first.s_addr = htonl(stops[i] + 1);
		dnsmasq->last.s_addr = htonl(stops[i + 1] - 1);
	}
}

static int choose_range(struct dnsmasq *dnsmasq, struct error *error)
{
	struct dnsmasq_run whole;
	int rc;

	if (!dnsmasq->first.s_addr)
		choose_usual(dnsmasq);
	if (!dnsmasq->first.s_addr)
		return error_set(error, -EINVAL, "range=: the network has no address to give");
	rc = trim(dnsmasq, false, &whole, error);
	if (rc)
		return rc;
	dnsmasq->first.s_addr = htonl((uint32_t)whole.first);
	dnsmasq->last.s_addr = htonl((uint32_t)whole.last);
	return 0;
}

static int choose_range6(struct dnsmasq *dnsmasq, struct error *error)
{
	struct dnsmasq_run whole;
	int rc;

	if (IN6_IS_ADDR_UNSPECIFIED(&dnsmasq->first6))
		return 0;
	rc = trim(dnsmasq, true, &whole, error);
	if (rc)
		return rc;
	put_be64(dnsmasq->first6.s6_addr + 8, whole.first);
	put_be64(dnsmasq->last6.s6_addr + 8, whole.last);
	return 0;
}

/* ---- Addresses ---- */

static int outside(const struct dnsmasq *dnsmasq, const char *what, struct in_addr address,
		   struct error *error)
{
	char text[INET_ADDRSTRLEN], own[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &address, text, sizeof(text));
	inet_ntop(AF_INET, &dnsmasq->address, own, sizeof(own));
	return error_set(error, -EINVAL,
			 "%s=%s: expected a machine's address in the network of %s/%u", what, text,
			 own, dnsmasq->prefix);
}

static int check_hosts(const struct dnsmasq *dnsmasq, struct error *error)
{
	for (unsigned i = 0; i < dnsmasq->host_count; i++) {
		const struct dnsmasq_host *host = &dnsmasq->hosts[i];
		char text[INET6_ADDRSTRLEN];

		if (host->address.s_addr && (!is_inside(dnsmasq, host->address) ||
					     host->address.s_addr == dnsmasq->address.s_addr))
			return outside(dnsmasq, "host", host->address, error);
		if (host->address.s_addr && host->address.s_addr == dnsmasq->router.s_addr)
			return error_set(error, -EINVAL,
					 "host=%s: this address is the router's (router=)",
					 inet_ntop(AF_INET, &host->address, text, sizeof(text)));
		if (IN6_IS_ADDR_UNSPECIFIED(&host->address6))
			continue;
		inet_ntop(AF_INET6, &host->address6, text, sizeof(text));
		if (!dnsmasq->prefix6 || IN6_IS_ADDR_UNSPECIFIED(&dnsmasq->first6))
			return error_set(
				error, -EINVAL,
				"host=%s: an address of IPv6 needs ipv6= and range6=", text);
		if (!is_inside6(dnsmasq, &host->address6))
			return error_set(
				error, -EINVAL,
				"host=%s: expected an address in the network of ipv6=", text);
		if (IN6_ARE_ADDR_EQUAL(&host->address6, &dnsmasq->address6))
			return error_set(error, -EINVAL,
					 "host=%s: this address is the server's own (ipv6=)", text);
	}
	return 0;
}

/* It would ask itself, or be told as a router that it is not. */
static int check_itself(const struct dnsmasq *dnsmasq, struct error *error)
{
	uint32_t own = dnsmasq->address.s_addr;

	if (dnsmasq->router.s_addr == own)
		return error_set(error, -EINVAL,
				 "router=: this address is the server's own, which leads nowhere: "
				 "expected the router's");
	for (unsigned i = 0; i < dnsmasq->taken_count; i++) {
		const struct in6_addr *address = &dnsmasq->taken[i].address;
		bool same = IN6_IS_ADDR_V4MAPPED(address)
				    ? !memcmp(address->s6_addr + 12, &own, sizeof(own))
				    : IN6_ARE_ADDR_EQUAL(address, &dnsmasq->address6);

		if (same && dnsmasq->taken[i].is_upstream)
			return error_set(error, -EINVAL,
					 "upstream=: this address is the server's own: expected "
					 "another name server's");
	}
	return 0;
}

int dnsmasq_check(struct dnsmasq *dnsmasq, struct error *error)
{
	char text[INET_ADDRSTRLEN];
	int rc;

	if (!dnsmasq->prefix)
		return error_set(error, -EINVAL,
				 "its own address is missing, as in dhcp:10.1.0.1/24");
	if (!is_inside(dnsmasq, dnsmasq->address))
		return error_set(error, -EINVAL,
				 "address \"%s\": expected a machine's, neither the first nor the "
				 "last of its network",
				 inet_ntop(AF_INET, &dnsmasq->address, text, sizeof(text)));
	if (dnsmasq->router.s_addr && !is_inside(dnsmasq, dnsmasq->router))
		return outside(dnsmasq, "router", dnsmasq->router, error);
	if (dnsmasq->first.s_addr && !is_inside(dnsmasq, dnsmasq->first))
		return outside(dnsmasq, "range", dnsmasq->first, error);
	if (dnsmasq->first.s_addr && !is_inside(dnsmasq, dnsmasq->last))
		return outside(dnsmasq, "range", dnsmasq->last, error);
	if (!IN6_IS_ADDR_UNSPECIFIED(&dnsmasq->first6) &&
	    (!dnsmasq->prefix6 || !is_inside6(dnsmasq, &dnsmasq->first6) ||
	     !is_inside6(dnsmasq, &dnsmasq->last6)))
		return error_set(error, -EINVAL,
				 "range6=: expected addresses in the network of ipv6=");
	if (dnsmasq->no_dns && (dnsmasq->has_upstream || dnsmasq->has_dns))
		return error_set(error, -EINVAL,
				 "dns=none: not together with upstream= or dns=ADDRESS");
	rc = check_itself(dnsmasq, error);
	if (!rc)
		rc = choose_range(dnsmasq, error);
	if (!rc)
		rc = choose_range6(dnsmasq, error);
	return rc ? rc : check_hosts(dnsmasq, error);
}
