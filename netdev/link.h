/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network interfaces of the host: what they are, and setting them up, through libnl-3. Each call may be
 * aimed at another network namespace by its fd (netns.h); -1 is the caller's own.
 */
#ifndef TENON_NETDEV_LINK_H
#define TENON_NETDEV_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

struct error;

struct link_info {
	char name[IFNAMSIZ];
	int index;
	unsigned mtu;
	bool up;      /* administratively */
	bool carrier; /* IFF_LOWER_UP: someone is at the other end */
	bool has_mac; /* and `mac` holds a 48-bit one */
	uint8_t mac[6];
};

/* What to change; what is not given stays. */
struct link_settings {
	const uint8_t *mac;
	unsigned mtu;        /* 0: as it is */
	bool up;             /* bring it up */
	bool down;           /* or down; before anything else is changed */
	const char *address; /* "10.0.0.1/24" or "fd00::1/64": add it */
	int move_to_netns;   /* an fd: move it there, last of all; 0: leave it */
};

/* Says into `error` that no interface has this name, and what shows those there are; -ENODEV. */
int link_missing(const char *name, struct error *error);

/* -ENODEV with `error` set if there is none of that name. */
int link_get(const char *name, int netns, struct link_info *out, struct error *error);

/* Applies the settings in the order of the struct, except that `up` comes after MTU and MAC. An address
 * that is there already is fine. -ENODEV, -EPERM (says which capability), -EINVAL for an address that
 * does not parse, or what the kernel answered. */
int link_configure(const char *name, int netns, const struct link_settings *settings,
		   struct error *error);

/* Makes a veth pair in `netns`. -EEXIST if a name is taken. */
int link_create_veth(const char *name, const char *peer, int netns, struct error *error);

int link_delete(const char *name, int netns, struct error *error);

/* Whether a name can be one of an interface: 1 to 15 bytes without slash, colon, space, or being "."
 * or "..". -EINVAL with `error` set. */
int link_check_name(const char *name, struct error *error);

/* Where an interface is: its name in a network namespace, of which there is one. */
struct link_place {
	dev_t device; /* of the namespace's file */
	ino_t netns;
	char name[IFNAMSIZ];
};

/* Closes the namespace's fd. False: it is none, and only the name is set. */
bool link_place_set(struct link_place *place, int netns, const char *name);

static inline bool link_place_same(const struct link_place *a, const struct link_place *b)
{
	return a->device == b->device && a->netns == b->netns && !strcmp(a->name, b->name);
}

#endif
