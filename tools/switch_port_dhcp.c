/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports `dhcp` as --port describes them: a segment's DHCP and DNS; see switch_port.h and netdev/dnsmasq.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fiber/fiber.h"
#include "netdev/dnsmasq.h"
#include "tools/dhcp_process.h"
#include "tools/runtime.h"
#include "tools/switch.h"
#include "tools/switch_port.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/error.h"
#include "vswitch/port_user.h"
#include "vswitch/switch.h"

#define RESTART_PAUSE_NS 10000000ull

static unsigned count_words(const struct port_spec *spec)
{
	unsigned count = 0;

	while (spec->dhcp_words && spec->dhcp_words[count])
		count++;
	return count;
}

static int add_word(struct port_spec *spec, const char *word, struct error *error)
{
	unsigned count = count_words(spec);
	char **grown = reallocarray(spec->dhcp_words, count + 2, sizeof(*grown));

	if (grown)
		spec->dhcp_words = grown;
	if (!grown || !(grown[count] = strdup(word)))
		return error_set(error, -ENOMEM, "out of memory");
	grown[count + 1] = NULL;
	return 0;
}

int port_dhcp_option(struct port_spec *spec, char *option, struct error *error)
{
	int rc;

	if (!strncmp(option, "leases=", 7)) {
		spec->leases = option + 7;
		return *spec->leases ? 0
				     : error_set(error, -EINVAL, "leases=: expected a file's path");
	}
	rc = dnsmasq_set(spec->dhcp, option, error);
	return rc ? rc : add_word(spec, option, error);
}

int port_dhcp_parse(struct port_spec *spec, struct error *error)
{
	CLEANUP_FREE char *word = NULL;

	spec->dhcp = calloc(1, sizeof(*spec->dhcp));
	if (!spec->argument)
		return -ENOTSUP;
	if (!spec->dhcp || asprintf(&word, "address=%s", spec->argument) < 0)
		return error_set(error, -ENOMEM, "out of memory");
	return port_dhcp_option(spec, word, error);
}

int port_dhcp_check(struct port_spec *spec, struct error *error)
{
	return dnsmasq_check(spec->dhcp, error);
}

void port_dhcp_free(struct port_spec *spec)
{
	for (char **word = spec->dhcp_words; word && *word; word++)
		free(*word);
	free(spec->dhcp_words);
	if (spec->dhcp)
		dnsmasq_clear(spec->dhcp);
	free(spec->dhcp);
}

char *port_dhcp_leases(const struct port_spec *spec, const char *switch_name, struct error *error)
{
	CLEANUP_FREE char *directory = NULL;
	char *path = NULL;

	if (spec->leases)
		return strdup(spec->leases);
	if (runtime_directory(&directory, error))
		return NULL;
	if (asprintf(&path, "%s/dhcp-%s=%s.leases", directory, switch_name, spec->name) < 0)
		return NULL;
	return path;
}

/* The server's own: the same each time, so that what machines remember of it stays true. */
static void own_address(const char *switch_name, const char *port, char text[MAC_TEXT])
{
	CLEANUP_FREE char *whole = NULL;

	if (asprintf(&whole, "%s/%s", switch_name, port) < 0)
		whole = NULL;
	mac_format(switch_usual_address(whole ? whole : port), text);
}

/* What its process is started with. */
struct dhcp_words {
	char mac[MAC_TEXT];
	char *leases, **argv;
};

static void dhcp_words_free(struct dhcp_words *words)
{
	free(words->leases);
	free(words->argv);
}

static int dhcp_words_make(struct dhcp_words *words, const char *switch_name,
			   const struct port_spec *spec, struct error *error)
{
	static char name[] = "tenon", word[] = DHCP_PROCESS;
	unsigned count = count_words(spec);
	struct error why = { 0 };

	words->argv = calloc(count + 5, sizeof(*words->argv));
	words->leases = port_dhcp_leases(spec, switch_name, &why);
	if (!words->argv || !words->leases)
		return error_set(error, why.code ? why.code : -ENOMEM, "port %s: %s", spec->name,
				 why.code ? why.text : "out of memory");
	own_address(switch_name, spec->name, words->mac);
	words->argv[0] = name;
	words->argv[1] = word;
	words->argv[2] = words->mac;
	words->argv[3] = words->leases;
	memcpy(words->argv + 4, spec->dhcp_words, count * sizeof(*words->argv));
	return 0;
}

int port_dhcp_add(struct vswitch *vswitch, const struct port_spec *spec, const char *path,
		  const struct socket_options *sockets, struct error *error)
{
	CLEANUP(dhcp_words_free) struct dhcp_words words = { .argv = NULL };
	struct vswitch_user_options options = { .program = "/proc/self/exe",
						.type = "dhcp",
						.where = spec->argument,
						.config = &spec->config };
	int rc = dhcp_words_make(&words, vswitch_name(vswitch), spec, error);

	(void)path, (void)sockets;
	options.argv = words.argv;
	return rc ? rc : vswitch_add_port_user(vswitch, spec->name, &options, error);
}

static int begin_again(struct vswitch *vswitch, const struct port_spec *spec, uint64_t *process,
		       struct error *error)
{
	CLEANUP(dhcp_words_free) struct dhcp_words words = { .argv = NULL };
	int rc = dhcp_words_make(&words, vswitch_name(vswitch), spec, error);

	return rc ? rc : vswitch_restart_port_user(vswitch, spec->name, words.argv, process, error);
}

/* Until dnsmasq listens. */
static int await_again(struct vswitch *vswitch, const char *port, uint64_t process, uint64_t until,
		       struct error *error)
{
	int rc;

	while ((rc = vswitch_look_port_user(vswitch, port, process, error)) == -EINPROGRESS)
		if (monotonic_ns() >= until || fiber_sleep(RESTART_PAUSE_NS))
			return error_set(error, -ETIMEDOUT,
					 "port %s: its process does not get ready", port);
	return rc;
}

int port_dhcp_restart(struct vswitch *vswitch, const struct port_spec *before,
		      const struct port_spec *after, uint64_t until, struct error *error)
{
	struct error unused;
	uint64_t process;
	int rc;

	if (monotonic_ns() >= until) {
		error_set(error, -EBUSY, "port %s: changes before this one took too long",
			  after->name);
		return error_advise(error, "nothing is changed: ask again");
	}
	rc = vswitch_check_port_user(vswitch, after->name, error);

	/* The next dnsmasq would know nothing of leases that this one cannot write down, and give their addresses away. */
	if (rc == -EIO)
		error_advise(
			error,
			"nothing is changed: mend that first; it is tried again within a minute");
	if (!rc)
		rc = begin_again(vswitch, after, &process, error);
	if (rc)
		return rc;
	rc = await_again(vswitch, after->name, process, until, error);
	if (rc && !error->advice[0])
		error_advise(error, "nothing is changed: it is started again as it was");
	if (rc)
		begin_again(vswitch, before, &process, &unused);
	return rc;
}
