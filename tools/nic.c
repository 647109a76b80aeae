/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon nic`: the interfaces of this host, or of a network namespace: see netdev/nic.h. What they look like is in nic_print.c. */
#include "tools/nic.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "netdev/link.h"
#include "netdev/netns.h"
#include "netdev/tap.h"
#include "tools/devices.h"
#include "util/cleanup.h"
#include "util/ethernet.h"
#include "util/number.h"

#define LIST_USAGE  "nic list [--netns NS] [--json]"
#define SHOW_USAGE  "nic show NAME [--netns NS] [--json]"
#define STATS_USAGE "nic stats [NAME] [--netns NS] [--json]"
#define CREATE_USAGE                                                                               \
	"nic create NAME [--type tap|veth|bridge] [--peer PEER] [--mac MAC] [--mtu N] [--up] ..."
#define SET_USAGE                                                                                  \
	"nic set NAME [--mac MAC] [--mtu N] [--up] [--down] [--address ADDRESS/N]... [--bridge "   \
	"BRIDGE] ..."
#define DELETE_USAGE "nic delete NAME [--netns NS]"

#define NIC_OPTION_NETNS(netns)                                                                    \
	{                                                                                          \
		"netns", CLI_TEXT, (netns), "NS",                                                  \
			"in this network namespace: a name of `ip netns`, a process, or a path"    \
	}

#define MTU_LEAST 68
#define MTU_MOST  65535

/* Opens the namespace that was asked for; *fd is -1 for the own one. */
static int open_netns(const char *name, int *fd, struct error *error)
{
	*fd = name ? netns_open(name, error) : -1;
	return name && *fd < 0 ? *fd : 0;
}

/* ---- Looking ---- */

enum nic_view { NIC_VIEW_LIST, NIC_VIEW_SHOW, NIC_VIEW_STATS };

static int print_nics(const struct nic_list *list, const char *name, enum nic_view view,
		      const struct cli_listing *listing, struct error *error)
{
	const struct nic *nic = name ? nic_find(list, name) : NULL;

	if (name && !nic)
		return link_missing(name, error);
	if (view == NIC_VIEW_SHOW)
		nic_print(nic, listing);
	else if (view == NIC_VIEW_STATS)
		nic_print_stats(list, nic, listing);
	else
		nic_print_list(list, listing);
	return 0;
}

static int look(const char *usage, enum nic_view view, unsigned least, unsigned most, int argc,
		char **argv)
{
	const struct cli_column *columns = view == NIC_VIEW_SHOW    ? NULL
					   : view == NIC_VIEW_STATS ? nic_stats_columns
								    : nic_columns;
	struct cli_listing listing = { 0 };
	const char *netns = NULL;
	const struct cli_option one[] = { NIC_OPTION_NETNS(&netns), CLI_OPTIONS_SHOW(&listing),
					  CLI_OPTION_END };
	const struct cli_option many[] = { NIC_OPTION_NETNS(&netns), CLI_OPTIONS_LISTING(&listing),
					   CLI_OPTION_END };
	struct cli_words operands;
	struct error error = { 0 };
	struct nic_list list = { 0 };
	CLEANUP_CLOSE int fd = -1;
	int rc, status;

	if (!cli_parse(usage, columns ? many : one, argc, argv, least, most, &operands, &status) ||
	    !cli_listing_check(&listing, columns, &status))
		return status;
	rc = open_netns(netns, &fd, &error);
	if (!rc)
		rc = nic_list(fd, &list, &error);
	if (!rc)
		rc = print_nics(&list, operands.count ? operands.words[0] : NULL, view, &listing,
				&error);
	nic_list_free(&list);
	return rc ? cli_fail(rc, &error) : EXIT_DONE;
}

static int list_verb(int argc, char **argv)
{
	return look(LIST_USAGE, NIC_VIEW_LIST, 0, 0, argc, argv);
}

static int show_verb(int argc, char **argv)
{
	return look(SHOW_USAGE, NIC_VIEW_SHOW, 1, 1, argc, argv);
}

static int stats_verb(int argc, char **argv)
{
	return look(STATS_USAGE, NIC_VIEW_STATS, 0, 1, argc, argv);
}

/* ---- Settings, which create and set have in common ---- */

struct nic_words {
	const char *netns, *mac, *owner, *group, *bridge, *remove_address, *move;
	uint64_t mtu;
	bool up, down;
	struct cli_words addresses;

	/* What they mean. */
	uint8_t mac_bytes[6];
	struct nic_change change;
	int netns_fd, move_fd;
};

#define NIC_OPTIONS(words)                                                                           \
	NIC_OPTION_NETNS(&(words)->netns),                                                           \
		{ "mac", CLI_TEXT, &(words)->mac, "MAC", "as in 52:54:00:12:34:56" },                \
		{ "mtu", CLI_NUMBER, &(words)->mtu, "N", "bytes in a packet", MTU_LEAST, MTU_MOST }, \
		{ "up", CLI_FLAG, &(words)->up, NULL, "bring it up" },                               \
		{ "address", CLI_LIST, &(words)->addresses, "ADDRESS/N",                             \
		  "add an address (repeatable)" },                                                   \
		{ "bridge", CLI_TEXT, &(words)->bridge, "BRIDGE", "have it be a port of this" },     \
		{ "owner", CLI_TEXT, &(words)->owner, "USER",                                        \
		  "of a TAP: who may attach without privileges" },                                   \
	{                                                                                            \
		"group", CLI_TEXT, &(words)->group, "GROUP", "of a TAP: whose members may"           \
	}

static int parse_owner(struct nic_words *words, struct error *error)
{
	const struct passwd *user = words->owner ? getpwnam(words->owner) : NULL;
	const struct group *group = words->group ? getgrnam(words->group) : NULL;
	uint64_t number;

	if (words->owner) {
		if (!user && number_parse(words->owner, 0, UINT32_MAX - 1, &number, NULL))
			return error_set(error, -EINVAL,
					 "--owner %.40s: there is no user of that name",
					 words->owner);
		words->change.set_owner = true;
		words->change.owner = user ? user->pw_uid : (uid_t)number;
	}
	if (words->group) {
		if (!group && number_parse(words->group, 0, UINT32_MAX - 1, &number, NULL))
			return error_set(error, -EINVAL,
					 "--group %.40s: there is no group of that name",
					 words->group);
		words->change.set_group = true;
		words->change.group = group ? group->gr_gid : (gid_t)number;
	}
	return 0;
}

/* All that can be seen to be wrong before anything is changed. */
static int parse_words(struct nic_words *words, struct error *error)
{
	int rc = 0;

	words->netns_fd = words->move_fd = -1;
	if (words->up && words->down)
		return error_set(error, -EINVAL, "--up and --down: expected one of them");
	if (words->mac)
		rc = ethernet_parse(words->mac, words->mac_bytes, error);
	if (!rc)
		rc = parse_owner(words, error);
	for (unsigned i = 0; i < words->addresses.count && !rc; i++)
		rc = nic_check_address(words->addresses.words[i], error);
	if (!rc && words->remove_address)
		rc = nic_check_address(words->remove_address, error);
	words->change.set_bridge = words->bridge != NULL;
	words->change.bridge =
		words->bridge && strcmp(words->bridge, "none") ? words->bridge : NULL;
	words->change.remove_address = words->remove_address;
	return rc;
}

static int open_namespaces(struct nic_words *words, struct error *error)
{
	int rc = open_netns(words->netns, &words->netns_fd, error);

	return rc ? rc : open_netns(words->move, &words->move_fd, error);
}

static void close_namespaces(struct nic_words *words)
{
	cleanup_close(&words->netns_fd);
	cleanup_close(&words->move_fd);
}

/* In an order in which each step can be: into a bridge before it is up, and to another namespace last. */
static int apply_words(const char *name, const struct nic_words *words, struct error *error)
{
	const struct nic_change *change = &words->change;
	struct link_settings settings = { .mac = words->mac ? words->mac_bytes : NULL,
					  .mtu = (unsigned)words->mtu,
					  .down = words->down };
	int fd = words->netns_fd, rc = 0;

	if (change->set_owner || change->set_group || change->set_bridge || change->remove_address)
		rc = nic_change(name, fd, change, error);
	if (!rc)
		rc = link_configure(name, fd, &settings, error);
	for (unsigned i = 0; i < words->addresses.count && !rc; i++)
		rc = link_configure(name, fd,
				    &(struct link_settings){ .address = words->addresses.words[i] },
				    error);
	if (!rc && (words->up || words->move))
		rc = link_configure(name, fd,
				    &(struct link_settings){
					    .up = words->up,
					    .move_to_netns = words->move ? words->move_fd : 0 },
				    error);
	return rc;
}

/* ---- tenon nic create ---- */

static int check_creation(const struct nic_creation *creation, const struct nic_words *words,
			  struct error *error)
{
	bool tap = !strcmp(creation->kind, "tap"), veth = !strcmp(creation->kind, "veth");

	if (!tap && !veth && strcmp(creation->kind, "bridge"))
		return error_set(error, -EINVAL, "--type %.20s: expected tap, veth or bridge",
				 creation->kind);
	if (veth != (creation->peer != NULL))
		return error_set(error, -EINVAL,
				 veth ? "--peer PEER is missing: the name of a veth's other end"
				      : "--peer: only a veth has another end");
	if (!tap && (creation->multi_queue || words->owner || words->group))
		return error_set(error, -EINVAL,
				 "--multi-queue, --owner and --group are about TAP interfaces");
	if (creation->peer && !strcmp(creation->peer, creation->name))
		return error_set(error, -EINVAL,
				 "--peer %.20s: expected another name than the "
				 "interface's own",
				 creation->peer);
	return link_check_name(creation->name, error);
}

static int create(struct nic_creation *creation, struct nic_words *words, struct error *error)
{
	struct nic_tap_found found = { 0 };
	struct error unused;
	char offloads[64];
	int rc = open_namespaces(words, error);

	creation->has_owner = words->change.set_owner;
	creation->has_group = words->change.set_group;
	creation->owner = words->change.owner;
	creation->group = words->change.group;
	words->change.set_owner = words->change.set_group = false;
	if (!rc)
		rc = nic_create(creation, words->netns_fd, &found, error);
	if (rc)
		return rc;
	rc = apply_words(creation->name, words, error);
	if (rc) {
		/* All or nothing. */
		link_delete(creation->name, words->netns_fd, &unused);
		return rc;
	}
	if (!strcmp(creation->kind, "tap"))
		cli_say("%s: %s, offloads: %s", creation->name,
			found.header12 ? "virtio-net header of 12 bytes"
				       : "no virtio-net header of 12 bytes",
			found.offloads
				? tap_offload_names(found.offloads, offloads, sizeof(offloads))
				: "none");
	return 0;
}

static int create_verb(int argc, char **argv)
{
	struct nic_creation creation = { .kind = "tap" };
	struct nic_words words = { 0 };
	const struct cli_option options[] = {
		{ "type", CLI_TEXT, &creation.kind, "tap|veth|bridge", "what it is to be (tap)" },
		{ "peer", CLI_TEXT, &creation.peer, "PEER", "of a veth: its other end" },
		{ "multi-queue", CLI_FLAG, &creation.multi_queue, NULL,
		  "of a TAP: it may have several queues" },
		NIC_OPTIONS(&words),
		CLI_OPTION_END,
	};
	struct error error = { 0 };
	struct cli_words operands;
	int rc, status;

	if (!cli_parse(CREATE_USAGE, options, argc, argv, 1, 1, &operands, &status))
		return status;
	creation.name = operands.words[0];
	if (check_creation(&creation, &words, &error) || parse_words(&words, &error))
		return cli_usage_error("%s", error.text);
	rc = create(&creation, &words, &error);
	close_namespaces(&words);
	return rc ? cli_fail(rc, &error) : EXIT_DONE;
}

/* ---- tenon nic set, delete ---- */

static int set_verb(int argc, char **argv)
{
	struct nic_words words = { 0 };
	const struct cli_option options[] = {
		NIC_OPTIONS(&words),
		{ "down", CLI_FLAG, &words.down, NULL, "bring it down; before anything else" },
		{ "remove-address", CLI_TEXT, &words.remove_address, "ADDRESS/N", "that it has" },
		{ "move-to", CLI_TEXT, &words.move, "NS",
		  "move it to this network namespace, last of all" },
		CLI_OPTION_END,
	};
	struct error error = { 0 };
	struct cli_words operands;
	int rc, status;

	if (!cli_parse(SET_USAGE, options, argc, argv, 1, 1, &operands, &status))
		return status;
	if (link_check_name(operands.words[0], &error) || parse_words(&words, &error))
		return cli_usage_error("%s", error.text);
	if (!words.mac && !words.mtu && !words.up && !words.down && !words.addresses.count &&
	    !words.bridge && !words.owner && !words.group && !words.remove_address && !words.move)
		return cli_usage_error("nothing to set: give --mtu, --mac, --up, --address, ...");
	rc = open_namespaces(&words, &error);
	if (!rc)
		rc = apply_words(operands.words[0], &words, &error);
	close_namespaces(&words);
	return rc ? cli_fail(rc, &error) : EXIT_DONE;
}

static int delete_verb(int argc, char **argv)
{
	const char *netns = NULL;
	const struct cli_option options[] = {
		NIC_OPTION_NETNS(&netns),
		CLI_OPTION_END,
	};
	struct error error = { 0 };
	struct cli_words operands;
	CLEANUP_CLOSE int fd = -1;
	int rc, status;

	if (!cli_parse(DELETE_USAGE, options, argc, argv, 1, 1, &operands, &status))
		return status;
	rc = open_netns(netns, &fd, &error);
	if (!rc)
		rc = link_delete(operands.words[0], fd, &error);
	return rc ? cli_fail(rc, &error) : EXIT_DONE;
}

int command_nic(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "list", list_verb, "[--netns NS] [--json]", "list interfaces" },
		{ "show", show_verb, "NAME [--netns NS] [--json]", "all about one" },
		{ "create", create_verb,
		  "NAME [--type tap|veth|bridge] [--peer PEER] [--mac MAC] [--mtu N] [--up] ...",
		  "make a TAP that stays, a pair of veth, or a bridge" },
		{ "set", set_verb,
		  "NAME [--mac MAC] [--mtu N] [--up] [--down] [--address ADDRESS/N]... [--bridge "
		  "BRIDGE] ...",
		  "change one" },
		{ "delete", delete_verb, "NAME [--netns NS]", "delete one" },
		{ "stats", stats_verb, "[NAME] [--netns NS] [--json]",
		  "what came, went and was lost" },
		{ NULL, NULL, NULL, NULL },
	};

	return cli_run_verb("nic", verbs, argc, argv);
}
