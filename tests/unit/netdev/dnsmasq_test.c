/* SPDX-License-Identifier: BSD-2-Clause */
/* netdev: what users say of a segment's DHCP and DNS, dnsmasq's command line, and its leases. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "netdev/dnsmasq.h"
#include "util/bytes.h"
#include "util/error.h"

/* Words with spaces between; the first error. */
static int set_all(struct dnsmasq *dnsmasq, const char *words, struct error *error)
{
	char copy[1024], *rest = copy, *word;
	int rc = 0;

	memset(dnsmasq, 0, sizeof(*dnsmasq));
	snprintf(copy, sizeof(copy), "%s", words);
	while (!rc && (word = strsep(&rest, " ")))
		rc = dnsmasq_set(dnsmasq, word, error);
	return rc ? rc : dnsmasq_check(dnsmasq, error);
}

static bool has(char **argv, const char *word)
{
	while (*argv && strcmp(*argv, word) != 0)
		argv++;
	return *argv;
}

/* The command line of `words` has each of `wanted`. */
static void check_argv(const char *words, const char *const *wanted)
{
	static struct dnsmasq dnsmasq;
	struct error error = { 0 };
	char **argv;

	CU_ASSERT_EQUAL_FATAL(set_all(&dnsmasq, words, &error), 0);
	argv = dnsmasq_argv(&dnsmasq, "eth9", "/leases");
	CU_ASSERT_PTR_NOT_NULL_FATAL(argv);
	for (; *wanted; wanted++)
		if (!has(argv, *wanted)) {
			printf("%s: there is no %s\n", words, *wanted);
			CU_FAIL("an argument is missing");
		}
	dnsmasq_argv_free(argv);
	dnsmasq_clear(&dnsmasq);
}

static void test_arguments(void)
{
	static const char *const plain[] = { "dnsmasq",
					     "--interface=eth9",
					     "--dhcp-leasefile=/leases",
					     "--dhcp-range=10.1.0.2,10.1.0.254,255.255.255.0,3600",
					     "--dhcp-lease-max=253",
					     "--dhcp-option=option:router",
					     NULL };
	static const char *const much[] = {
		"--dhcp-range=10.1.0.9,10.1.0.10,255.255.0.0,infinite",
		"--dhcp-option=option:router,10.1.0.2",
		"--dhcp-option=option:dns-server,10.1.0.3,10.1.0.4",
		"--domain=lab.test",
		"--local=/lab.test/",
		"--dhcp-host=02:00:00:00:00:0a,10.1.7.7,[fd00::77],web",
		"--dhcp-host=02:00:00:00:00:0b,db",
		"--dhcp-host=02:00:00:00:00:0c,d",
		"--host-record=printer,10.1.0.8",
		"--host-record=printer,fd00::8",
		"--server=10.1.0.5",
		"--dhcp-option=42,10.1.0.6,10.1.0.7",
		"--dhcp-range=fd00::10,fd00::ff,slaac,64,infinite",
		"--ra-param=eth9,0,0",
		NULL,
	};
	static const char *const stateless[] = {
		"--dhcp-range=::,constructor:eth9,ra-stateless,ra-names,64,600", "--port=0",
		"--dhcp-option=option:dns-server", NULL
	};

	check_argv("address=10.1.0.1/24", plain);
	check_argv("address=10.1.0.1/16 range=10.1.0.9-10.1.0.10 lease=infinite router=10.1.0.2 "
		   "dns=10.1.0.3+10.1.0.4 domain=lab.test ipv6=fd00::1/64 range6=fd00::10-fd00::ff "
		   "host=02:00:00:00:00:0A/10.1.7.7/fd00::77/web host=02:00:00:00:00:0b//db "
		   "host=02:00:00:00:00:0c//d "
		   "name=printer/10.1.0.8 name=printer/fd00::8 upstream=10.1.0.5 "
		   "option=42:10.1.0.6+10.1.0.7",
		   much);
	check_argv("address=10.1.0.1/24 lease=10m dns=none ipv6=fd00::1/64", stateless);
}

/* The largest part of the network that has neither. */
static void test_usual_range(void)
{
	static const struct {
		const char *words, *range;
	} cases[] = {
		{ "address=10.0.0.1/24 router=10.0.0.2", "10.0.0.3,10.0.0.254,255.255.255.0" },
		{ "address=10.0.0.254/24", "10.0.0.1,10.0.0.253,255.255.255.0" },
		{ "address=10.0.0.100/24 router=10.0.0.254",
		  "10.0.0.101,10.0.0.253,255.255.255.0" },
		{ "address=10.0.0.200/24 router=10.0.0.1", "10.0.0.2,10.0.0.199,255.255.255.0" },
		{ "address=10.0.0.2/30", "10.0.0.1,10.0.0.1,255.255.255.252" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[128];
		const char *wanted[] = { text, NULL };

		snprintf(text, sizeof(text), "--dhcp-range=%s,3600", cases[i].range);
		check_argv(cases[i].words, wanted);
	}
}

/* What words say to be somebody's is nobody's lease. */
static void test_taken_addresses(void)
{
	static const struct {
		const char *words, *wanted[8], *others[4];
	} cases[] = {
		{ "address=10.0.2.1/24 router=10.0.2.2 upstream=10.0.2.3",
		  { "--dhcp-range=10.0.2.4,10.0.2.254,255.255.255.0,3600" },
		  { "--dhcp-range=10.0.2.3,10.0.2.254,255.255.255.0,3600" } },
		{ "address=10.0.2.1/24 dns=10.0.2.9+10.0.2.10 name=printer/10.0.2.254 "
		  "name=away/10.9.9.9 upstream=9.9.9.9 option=42:10.0.2.20",
		  { "--dhcp-range=10.0.2.2,10.0.2.8,255.255.255.0,3600",
		    "--dhcp-range=10.0.2.11,10.0.2.19,255.255.255.0,3600",
		    "--dhcp-range=10.0.2.21,10.0.2.253,255.255.255.0,3600",
		    "--dhcp-lease-max=252" },
		  { "--dhcp-range=10.0.2.2,10.0.2.254,255.255.255.0,3600" } },
		{ "address=10.0.2.5/24 router=10.0.2.7 upstream=10.0.2.8 range=10.0.2.4-10.0.2.9",
		  { "--dhcp-range=10.0.2.4,10.0.2.4,255.255.255.0,3600",
		    "--dhcp-range=10.0.2.6,10.0.2.6,255.255.255.0,3600",
		    "--dhcp-range=10.0.2.9,10.0.2.9,255.255.255.0,3600" },
		  { "--dhcp-range=10.0.2.4,10.0.2.9,255.255.255.0,3600" } },
		{ "address=10.0.2.1/24 ipv6=fd00::12/64 range6=fd00::10-fd00::1f "
		  "upstream=fd00::10 name=printer/fd00::18 name=other/fd01::19",
		  { "--dhcp-range=fd00::11,fd00::11,slaac,64,3600",
		    "--dhcp-range=fd00::13,fd00::17,slaac,64,3600",
		    "--dhcp-range=fd00::19,fd00::1f,slaac,64,3600" },
		  { "--dhcp-range=fd00::10,fd00::1f,slaac,64,3600" } },
		/* A name may have several addresses. */
		{ "address=10.0.2.1/24 name=two/10.0.2.2 name=two/10.0.2.3",
		  { "--host-record=two,10.0.2.2", "--host-record=two,10.0.2.3",
		    "--dhcp-range=10.0.2.4,10.0.2.254,255.255.255.0,3600" },
		  { NULL } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		static struct dnsmasq dnsmasq;
		char **argv;

		check_argv(cases[i].words, cases[i].wanted);
		CU_ASSERT_EQUAL_FATAL(set_all(&dnsmasq, cases[i].words, NULL), 0);
		argv = dnsmasq_argv(&dnsmasq, "eth9", "/leases");
		for (unsigned k = 0; cases[i].others[k]; k++)
			CU_ASSERT_FALSE(has(argv, cases[i].others[k]));
		dnsmasq_argv_free(argv);
		dnsmasq_clear(&dnsmasq);
	}
}

/* As many holes as there can be, each an argument. */
static void test_many_holes(void)
{
	static char words[65536];
	static struct dnsmasq dnsmasq;
	struct error error = { 0 };
	size_t used = (size_t)snprintf(words, sizeof(words), "dns=10.0.0.2");
	char **argv;

	for (unsigned i = 2; i <= DNSMASQ_TAKEN; i++)
		used += (size_t)snprintf(words + used, sizeof(words) - used, "+10.0.%u.%u",
					 i * 2 >> 8, i * 2 & 255);
	CU_ASSERT_EQUAL_FATAL(dnsmasq_set(&dnsmasq, "address=10.0.0.1/16", &error), 0);
	CU_ASSERT_EQUAL_FATAL(dnsmasq_set(&dnsmasq, words, &error), 0);
	CU_ASSERT_EQUAL(dnsmasq_set(&dnsmasq, "name=a/10.0.0.9", &error), -ENOSPC);
	CU_ASSERT_EQUAL_FATAL(dnsmasq_check(&dnsmasq, &error), 0);
	argv = dnsmasq_argv(&dnsmasq, "eth9", "/leases");
	CU_ASSERT_PTR_NOT_NULL_FATAL(argv);
	CU_ASSERT(has(argv, "--dhcp-range=10.0.0.3,10.0.0.3,255.255.0.0,3600"));
	CU_ASSERT(has(argv, "--dhcp-range=10.0.32.1,10.0.255.254,255.255.0.0,3600"));
	dnsmasq_argv_free(argv);
	dnsmasq_clear(&dnsmasq);
}

/* dnsmasq's commas, and what else could become another argument or option, pass nowhere. */
static void test_wrong_words(void)
{
	static const struct {
		const char *words, *says;
	} cases[] = {
		{ "range=10.0.0.1-10.0.0.2", "its own address is missing" },
		{ "address=10.0.0.1", "expected its own address" },
		{ "address=10.0.0.0/24", "neither the first nor the last" },
		{ "address=10.0.0.255/24", "neither the first nor the last" },
		{ "address=127.0.0.1/8", "not of 0.0.0.0/8, 127.0.0.0/8" },
		{ "address=127.0.0.1/24", "not of 0.0.0.0/8, 127.0.0.0/8" },
		{ "address=224.0.0.1/24", "not of 0.0.0.0/8, 127.0.0.0/8" },
		{ "address=255.0.0.1/24", "not of 0.0.0.0/8, 127.0.0.0/8" },
		{ "address=0.0.0.1/24", "not of 0.0.0.0/8, 127.0.0.0/8" },
		{ "address=10.0.0.1/24 range=10.0.0.1-10.0.0.1", "no address is left" },
		{ "address=10.0.0.2/30 upstream=10.0.0.1", "no address is left" },
		{ "address=10.0.0.1/24 ipv6=fd00::1/64 range6=fd00::1-fd00::1",
		  "range6=: no address is left" },
		{ "address=10.0.0.1/24 router=10.0.0.1", "router=: this address is the server's" },
		{ "address=10.0.0.1/24 upstream=10.0.0.1",
		  "upstream=: this address is the server's own" },
		{ "address=10.0.0.1/24 upstream=fd00::1 ipv6=fd00::1/64",
		  "upstream=: this address is the server's own" },
		{ "address=10.0.0.1/24 upstream=127.0.0.53", "upstream=127.0.0.53: expected" },
		{ "address=10.0.0.1/24 upstream=224.0.0.251", "upstream=224.0.0.251: expected" },
		{ "address=10.0.0.1/24 upstream=::1", "upstream=::1: expected" },
		{ "address=10.0.0.1/24 ipv6=::1/64", "ipv6=" },
		{ "address=10.0.0.1/31", "expected its own address" },
		{ "address=10.0.0.1/24 range=10.0.0.9-10.0.0.8", "range=10.0.0.9" },
		{ "address=10.0.0.1/24 range=10.0.1.9-10.0.1.10", "range=10.0.1.9: expected" },
		{ "address=10.0.0.1/24 range=10.0.0.9-10.0.0.255", "range=10.0.0.255: expected" },
		{ "address=10.0.0.1/24 router=10.0.1.1", "router=10.0.1.1" },
		{ "address=10.0.0.1/24 lease=119", "at least 120 seconds" },
		{ "address=10.0.0.1/24 lease=99999999999w", "at least 120 seconds" },
		{ "address=10.0.0.1/24 lease=", "at least 120 seconds" },
		{ "address=10.0.0.1/24 lease=h", "at least 120 seconds" },
		{ "address=10.0.0.1/24 domain=a..b", "domain=a..b" },
		{ "address=10.0.0.1/24 domain=-a", "domain=-a" },
		{ "address=10.0.0.1/24 domain=a/b", "domain=a/b" },
		{ "address=10.0.0.1/24 name=a,b/10.0.0.2", "name=a,b" },
		{ "address=10.0.0.1/24 name=a", "name=a" },
		{ "address=10.0.0.1/24 host=01:00:00:00:00:01/10.0.0.2", "host=01:" },
		{ "address=10.0.0.1/24 host=02:00:00:00:00:01", "host=02:" },
		{ "address=10.0.0.1/24 host=02:00:00:00:00:01/set:x", "host=02:" },
		{ "address=10.0.0.1/24 host=02:00:00:00:00:01//ignore", "host=02:" },
		{ "address=10.0.0.1/24 host=02:00:00:00:00:01//infinite", "host=02:" },
		{ "address=10.0.0.1/24 host=02:00:00:00:00:01/10.0.0.2/600", "host=02:" },
		{ "address=10.0.0.1/24 host=02:00:00:00:00:01//7d", "host=02:" },
		{ "address=10.0.0.1/24 host=02:00:00:00:00:01//12H", "\"12H\" is no name" },
		{ "address=10.0.0.1/24 host=02:00:00:00:00:01/10.0.0.1",
		  "host=10.0.0.1: expected" },
		{ "address=10.0.0.1/24 host=02:00:00:00:00:01/10.0.0.2 "
		  "host=02:00:00:00:00:01/10.0.0.3",
		  "given twice" },
		{ "address=10.0.0.1/24 host=02:00:00:00:00:01/10.0.0.2 "
		  "host=02:00:00:00:00:02/10.0.0.2",
		  "another machine's" },
		{ "address=10.0.0.1/24 host=02:00:00:00:00:01/fd00::2", "needs ipv6=" },
		{ "address=10.0.0.1/24 router=10.0.0.2 host=02:00:00:00:00:01/10.0.0.2",
		  "host=10.0.0.2: this address is the router's" },
		{ "address=10.0.0.1/24 ipv6=fd00::1/64 range6=fd00::10-fd00::20 "
		  "host=02:00:00:00:00:01/fd00::9 host=02:00:00:00:00:02/10.0.0.9/fd00::9",
		  "this address of IPv6 is another machine's" },
		{ "address=10.0.0.1/24 ipv6=fd00::1/64 range6=fd00::10-fd00::20 "
		  "host=02:00:00:00:00:01/fd00::1",
		  "host=fd00::1: this address is the server's own" },
		{ "address=10.0.0.1/24 option=0:x", "option=0" },
		{ "address=10.0.0.1/24 option=42", "option=42" },
		{ "address=10.0.0.1/24 option=42:\"x", "option=42" },
		{ "address=10.0.0.1/24 upstream=name", "upstream=name" },
		{ "address=10.0.0.1/24 dns=none upstream=10.0.0.3", "dns=none" },
		{ "address=10.0.0.1/24 ipv6=fe80::1/64", "ipv6=" },
		{ "address=10.0.0.1/24 ipv6=fd00::1/63", "ipv6=" },
		{ "address=10.0.0.1/24 ipv6=fd00::1/64 range6=fd01::1-fd01::2", "range6=" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		static struct dnsmasq dnsmasq;
		struct error error = { 0 };

		CU_ASSERT_EQUAL(set_all(&dnsmasq, cases[i].words, &error), -EINVAL);
		if (!strstr(error.text, cases[i].says)) {
			printf("%s: %s\n", cases[i].words, error.text);
			CU_FAIL("another error");
		}
		dnsmasq_clear(&dnsmasq);
	}
}

static void test_files_of_others(void)
{
	static const char *const leases[] = {
		"",
		"1795728269 02:00:00:00:00:01 10.1.0.122 * 01:02:00:00:00:00:01\nmore",
		"0 02:00:00:00:00:01 10.1.0.122 name *\n",
		"duid 00:01:00:01\n1795728269 1 fd00::9 * 00:01\n",
		"1795728269 02:00:0",
		"17957",
		"du",
	};
	static const char *const others[] = {
		"notes\n",    "notes",      "17 things\nto do\n", "\n",
		"duidless\n", "17. things", "#!/bin/sh",          "127.0.0.1 localhost"
	};

	for (size_t i = 0; i < ARRAY_SIZE(leases); i++)
		CU_ASSERT_TRUE(dnsmasq_may_be_leases(leases[i], strlen(leases[i])));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		CU_ASSERT_FALSE(dnsmasq_may_be_leases(others[i], strlen(others[i])));
	/* After a power cut, of a file system that had its length only. */
	CU_ASSERT_TRUE(dnsmasq_may_be_leases("\0\0\0", 3));
}

static void test_words_of_others(void)
{
	static struct dnsmasq dnsmasq;

	CU_ASSERT_EQUAL(dnsmasq_set(&dnsmasq, "vlan=10", NULL), -ENOTSUP);
	CU_ASSERT_EQUAL(dnsmasq_set(&dnsmasq, "client", NULL), -ENOTSUP);
}

static void test_too_many(void)
{
	static struct dnsmasq dnsmasq;
	struct error error = { 0 };
	char word[80];
	int rc = 0;

	for (unsigned i = 0; i <= DNSMASQ_HOSTS && !rc; i++) {
		snprintf(word, sizeof(word), "host=02:00:00:00:%02x:%02x//h%u", i >> 8, i & 255, i);
		rc = dnsmasq_set(&dnsmasq, word, &error);
	}
	CU_ASSERT_EQUAL(rc, -ENOSPC);
	CU_ASSERT_EQUAL(dnsmasq.host_count, DNSMASQ_HOSTS);
	rc = 0;
	for (unsigned i = 0; i <= DNSMASQ_EXTRAS && !rc; i++)
		rc = dnsmasq_set(&dnsmasq, "name=a/10.0.0.2", &error);
	CU_ASSERT_EQUAL(rc, -ENOSPC);
	dnsmasq_clear(&dnsmasq);
}

static void test_leases(void)
{
	static const char *const wrong[] = { "",
					     "duid 00:01:00:01:32:9b:39:51",
					     "x 02:00:00:00:00:01 10.0.0.2 a *",
					     "12 02:00:00:00:00:01 10.0.0.256 a *",
					     "12x 02:00:00:00:00:01 10.0.0.2 a *",
					     "12 02:00:00:00:00:01",
					     " 12 02:00:00:00:00:01 10.0.0.2" };
	struct dnsmasq_lease lease;

	CU_ASSERT(dnsmasq_lease_parse(&lease, "1795718954 02:00:00:00:00:01 10.1.0.10 web 01:02"));
	CU_ASSERT_EQUAL(lease.expires, 1795718954);
	CU_ASSERT_STRING_EQUAL(lease.mac, "02:00:00:00:00:01");
	CU_ASSERT_STRING_EQUAL(lease.address, "10.1.0.10");
	CU_ASSERT_STRING_EQUAL(lease.name, "web");
	CU_ASSERT(dnsmasq_lease_parse(&lease, "0 6789 fd00::10 * 00:01"));
	CU_ASSERT_EQUAL(lease.expires, 0);
	CU_ASSERT_STRING_EQUAL(lease.mac, "");
	CU_ASSERT_STRING_EQUAL(lease.name, "");
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		CU_ASSERT_FALSE(dnsmasq_lease_parse(&lease, wrong[i]));
}

UNIT_MAIN("DHCP and DNS by dnsmasq", UNIT(test_arguments), UNIT(test_usual_range),
	  UNIT(test_taken_addresses), UNIT(test_many_holes), UNIT(test_wrong_words),
	  UNIT(test_files_of_others), UNIT(test_words_of_others), UNIT(test_too_many),
	  UNIT(test_leases))
