/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TAP: an Ethernet interface of the host whose other end is a file descriptor. What the host sends, we
 * read, one frame per read(); what we write, the host receives.
 *
 * With `header` each frame has a struct virtio_net_header (12 bytes, little-endian: the very format of
 * virtio 1.x) before it, by which large frames and unfinished checksums pass both ways. The offloads say
 * what the kernel may hand to us; writing is not restricted by them.
 *
 * A device that this process made vanishes when it is closed; one that was there before stays.
 *
 * A device may have several queues, each with a descriptor of its own. The kernel sends the frames of a flow on the queue on which one of the same
 * flow was written last within three seconds (tun_automq_select_queue()), and other flows by their hash; what is set for one queue holds for the device.
 *
 * Source: Linux Documentation/networking/tuntap.rst, drivers/net/tun.c (6.1).
 */
#ifndef TENON_NETDEV_TAP_H
#define TENON_NETDEV_TAP_H

#include <linux/if_tun.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

struct error;
struct link_place;

/* Since Linux 6.2; Debian 12's headers lack them. Given together only. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/* Of one device, at most: the kernel has room for 256. */
#define TAP_QUEUES_MAX 128

struct tap {
	int fd;                          /* of its first queue; non-blocking, close-on-exec */
	unsigned queues;                 /* that are attached */
	int further[TAP_QUEUES_MAX - 1]; /* of the others */
	char name[IFNAMSIZ];
	bool created;      /* by tap_open(), and then brought up by it */
	bool header;       /* frames carry struct virtio_net_header */
	unsigned offloads; /* TUN_F_*: what the kernel may hand us */
};

struct tap_options {
	int netns;          /* an fd; 0 or -1: the caller's own */
	bool plain;         /* no header and no offloads: only whole frames of at most the MTU */
	unsigned mtu;       /* of a device that is created; 0: the kernel's 1500 */
	unsigned queues;    /* to attach, of a device that has several; 0, 1: one, of any */
	bool existing;      /* -ENODEV if there is none of that name, rather than making it */
	const char *device; /* NULL: /dev/net/tun; a test names another */
};

/*
 * Attaches to the TAP interface `name`, which is made if there is none. `options` may be NULL. Errors,
 * each naming the interface: -EINVAL (no possible name; or an interface that is no TAP, or has one queue where several are
 * wanted), -ENOENT (no /dev/net/tun), -EPERM (neither CAP_NET_ADMIN nor the device's owner), -EBUSY (another process has
 * it, or any queue of it; named if it can be found; who cannot be seen may be about to let go, and is waited for, for a second, unless `existing`), -E2BIG (the kernel has no
 * room for so many queues), -EOPNOTSUPP (no header of 12 bytes).
 *
 * Whatever a former user of a persistent interface set is set anew, so that it is as one just made.
 */
int tap_open(struct tap *tap, const char *name, const struct tap_options *options,
	     struct error *error);
void tap_close(struct tap *tap);

static inline int tap_queue_fd(const struct tap *tap, unsigned queue)
{
	return queue ? tap->further[queue - 1] : tap->fd;
}

/* Whether the link is seen as up by the host's side: carrier on or off. -EPERM, -EINVAL (Linux before
 * 5.0). */
int tap_set_carrier(struct tap *tap, bool on);

/* Whether the interface is there and administratively up, in whatever namespace: only then the host takes frames,
 * and only then the driver calls it writable (tun_chr_poll()). */
bool tap_is_up(const struct tap *tap);

/* Where the interface is, and what it is called, now: it may have been renamed, and moved. False: it is gone, and the name is empty; or (without CAP_NET_ADMIN there, or Linux before
 * 5.6) only the name is known. */
bool tap_place(const struct tap *tap, struct link_place *place);

/* Asks for as many offloads as there are: the kernel refuses a set with a bit it does not know, so fewer are asked for until it
 * agrees. Returns which (TUN_F_*). */
unsigned tap_set_offloads(int fd);

/* "csum tso4 tso6 ecn uso4 uso6", or as much of it as is set. Returns `text`. */
char *tap_offload_names(unsigned offloads, char *text, size_t size);

#endif
