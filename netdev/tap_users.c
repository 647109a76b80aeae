/* SPDX-License-Identifier: BSD-2-Clause */
/* See tap_users.h. */
#include "netdev/tap_users.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "netdev/netlink_library.h"
#include "util/cleanup.h"

DEFINE_CLEANUP(cleanup_socket, struct nl_sock, libnl.nl_socket_free)
DEFINE_CLEANUP(cleanup_message, struct nl_msg, libnl.nlmsg_free)

/* Each as the functions of tap_users.h return it. */
struct queues {
	int attached, several, persistent;
};

/* IFLA_LINKINFO of a tun device; linux/if_link.h. */
static int take_queues(struct nl_msg *message, void *arg)
{
	struct nlattr *link[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1], *tun[IFLA_TUN_MAX + 1];
	struct queues *queues = arg;
	char kind[8] = "";

	if (libnl.nlmsg_parse(libnl.nlmsg_hdr(message), sizeof(struct ifinfomsg), link, IFLA_MAX,
			      NULL) ||
	    !link[IFLA_LINKINFO] ||
	    libnl.nla_parse_nested(info, IFLA_INFO_MAX, link[IFLA_LINKINFO], NULL) ||
	    !info[IFLA_INFO_KIND] || !info[IFLA_INFO_DATA])
		return NL_OK;
	libnl.nla_strlcpy(kind, info[IFLA_INFO_KIND], sizeof(kind));
	if (strcmp(kind, "tun") != 0 ||
	    libnl.nla_parse_nested(tun, IFLA_TUN_MAX, info[IFLA_INFO_DATA], NULL))
		return NL_OK;
	if (tun[IFLA_TUN_TYPE] && libnl.nla_get_u8(tun[IFLA_TUN_TYPE]) == IFF_TAP &&
	    tun[IFLA_TUN_MULTI_QUEUE])
		queues->several = libnl.nla_get_u8(tun[IFLA_TUN_MULTI_QUEUE]) != 0;
	if (tun[IFLA_TUN_TYPE] && libnl.nla_get_u8(tun[IFLA_TUN_TYPE]) == IFF_TAP &&
	    tun[IFLA_TUN_PERSIST])
		queues->persistent = libnl.nla_get_u8(tun[IFLA_TUN_PERSIST]) != 0;
	if (tun[IFLA_TUN_NUM_QUEUES] && tun[IFLA_TUN_NUM_DISABLED_QUEUES])
		queues->attached = (int)(libnl.nla_get_u32(tun[IFLA_TUN_NUM_QUEUES]) +
					 libnl.nla_get_u32(tun[IFLA_TUN_NUM_DISABLED_QUEUES]));
	return NL_OK;
}

static struct queues look_at(const char *name)
{
	CLEANUP(cleanup_socket) struct nl_sock *sock = NULL;
	CLEANUP(cleanup_message) struct nl_msg *message = NULL;
	struct ifinfomsg any = { .ifi_family = AF_UNSPEC };
	const struct queues unknown = { -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP };
	struct queues queues = unknown;

	if (libnl_load(NULL))
		return unknown;
	sock = libnl.nl_socket_alloc();
	message = libnl.nlmsg_alloc_simple(RTM_GETLINK, 0);
	if (!sock || !message)
		return unknown;
	libnl.nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take_queues, &queues);
	if (libnl.nlmsg_append(message, &any, sizeof(any), NLMSG_ALIGNTO) ||
	    libnl.nla_put_string(message, IFLA_IFNAME, name) ||
	    libnl.nl_connect(sock, NETLINK_ROUTE) || libnl.nl_send_auto(sock, message) < 0 ||
	    libnl.nl_recvmsgs_default(sock) < 0)
		return unknown;
	return queues;
}

int tap_attached_queues(const char *name)
{
	return look_at(name).attached;
}

int tap_is_multi_queue(const char *name)
{
	return look_at(name).several;
}

int tap_is_persistent(const char *name)
{
	return look_at(name).persistent;
}

/* Whether /proc/PID/fdinfo/FD is that of a descriptor of the TAP: it has a line "iff:", tab, name. */
static bool is_of_tap(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	char line[128];
	bool is = false;

	while (file && !is && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		is = !strncmp(line, "iff:\t", 5) && !strcmp(line + 5, name);
	}
	if (file)
		fclose(file);
	return is;
}

static bool has_tap(const char *pid, const char *name)
{
	char path[600];
	struct dirent *entry;
	bool has = false;
	DIR *listing;

	snprintf(path, sizeof(path), "/proc/%.16s/fdinfo", pid);
	listing = opendir(path);
	while (listing && !has && (entry = readdir(listing))) {
		snprintf(path, sizeof(path), "/proc/%.16s/fdinfo/%s", pid, entry->d_name);
		has = isdigit((unsigned char)entry->d_name[0]) && is_of_tap(path, name);
	}
	if (listing)
		closedir(listing);
	return has;
}

/* With this thread, which may have gone into another namespace than its process (netns_call()). */
static bool shares_network(const char *pid)
{
	struct stat ours, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%.16s/ns/net", pid);
	return !stat("/proc/thread-self/ns/net", &ours) && !stat(path, &theirs) &&
	       ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
}

/* A process, not this one, that has a TAP of that name, in our network namespace or wherever; 0: none. */
static int find_user(const char *name, bool here)
{
	struct dirent *entry;
	DIR *listing = opendir("/proc");
	int found = 0;

	while (listing && !found && (entry = readdir(listing)))
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    atol(entry->d_name) != (long)getpid() &&
		    (!here || shares_network(entry->d_name)) && has_tap(entry->d_name, name))
			found = atoi(entry->d_name);
	if (listing)
		closedir(listing);
	return found;
}

bool tap_has_user(const char *name)
{
	return has_tap("self", name) || find_user(name, true);
}

const char *tap_user(const char *name, bool attached, char text[PROCESS_TEXT])
{
	int pid;

	/* Others may have one of that name in other namespaces: whoever is near comes first. */
	if (!attached && has_tap("self", name)) {
		snprintf(text, PROCESS_TEXT, "another NIC or port of this process itself");
		return text;
	}
	pid = find_user(name, true);
	if (!pid)
		pid = find_user(name, false);
	snprintf(text, PROCESS_TEXT, "another process");
	if (pid)
		process_describe(pid, text);
	return text;
}
