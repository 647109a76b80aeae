/* SPDX-License-Identifier: BSD-2-Clause */
/* Attaching to TAP interfaces; see tap.h. */
#include "netdev/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "netdev/link.h"
#include "netdev/netns.h"
#include "netdev/tap_users.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/error.h"
#include "virtio/virtio_net.h"

#define TAP_DEVICE "/dev/net/tun"
#define GOING_NS   1000000000ull

struct tap_open_call {
	struct tap *tap;
	const char *device;
	bool plain, existing;
	unsigned queues; /* more than 1: of a device with several */
	struct error *error;
};

unsigned tap_set_offloads(int fd)
{
	static const unsigned ladder[] = {
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6,
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6,
		TUN_F_CSUM,
	};

	for (size_t i = 0; i < ARRAY_SIZE(ladder); i++)
		if (!ioctl(fd, TUNSETOFFLOAD, ladder[i]))
			return ladder[i];
	ioctl(fd, TUNSETOFFLOAD, 0);
	return 0;
}

static int open_device(const struct tap_open_call *call)
{
	const char *name = call->tap->name;
	int rc, fd = open(call->device, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	rc = -errno;
	error_set(call->error, rc, "TAP interface %s: cannot open %s: %s", name, call->device,
		  error_name(rc));
	if (rc == -ENOENT || rc == -ENODEV || rc == -ENXIO)
		error_advise(call->error,
			     "the kernel's TUN/TAP driver is missing: `modprobe tun`, or give "
			     "the container the device %s",
			     call->device);
	else if (rc == -EACCES || rc == -EPERM)
		error_advise(call->error,
			     "the device file must be readable and writable (usually mode "
			     "0666)");
	return rc;
}

static int refuse(const struct tap_open_call *call, int rc)
{
	const char *name = call->tap->name;
	char who[PROCESS_TEXT];

	if (!call->error)
		return rc;
	error_set(call->error, rc, "TAP interface %s: cannot attach to it: %s", name,
		  error_name(rc));
	if (rc == -EPERM)
		error_advise(call->error,
			     "needs CAP_NET_ADMIN: run in a user and network namespace of your "
			     "own (unshare -rn), or have root make it yours once: tenon nic "
			     "create %s%s --owner USER, or nic set where it is there",
			     name, call->queues > 1 ? " --multi-queue" : "");
	else if (rc == -EBUSY)
		error_advise(call->error,
			     "%s is attached to it; end that one, or use another interface",
			     tap_user(name, false, who));
	else if (rc == -ENOTTY)
		error_advise(call->error,
			     "%s is another device: expected the kernel's TUN/TAP driver",
			     call->device);
	else if (rc == -EINVAL)
		error_advise(call->error,
			     "an interface of that name exists and is no TAP, or its name is "
			     "not possible");
	return rc;
}

/* Why a device with several queues was not given out. */
static int refuse_several(const struct tap_open_call *call, int rc)
{
	const char *name = call->tap->name;

	if (rc == -E2BIG) {
		error_set(call->error, rc,
			  "TAP interface %s: expected %u queues, found room for %u", name,
			  call->queues, call->tap->queues);
		error_advise(call->error, "the kernel gives it no more: ask for fewer");
		return rc;
	}
	if (rc != -EINVAL || tap_is_multi_queue(name))
		return refuse(call, rc);
	error_set(call->error, rc,
		  "TAP interface %s: expected one with %u queues, found one that "
		  "has a single queue",
		  name, call->queues);
	error_advise(call->error,
		     "make it anew (tenon nic delete %s; tenon nic create %s --multi-queue), or "
		     "attach to it without queues=",
		     name, name);
	return rc;
}

/*
 * A device with several queues takes several owners, and gives each a part of the flows: of two switches each
 * would see half of the connections. So we want to be the only one.
 */
static int check_alone(const struct tap_open_call *call, int own)
{
	const char *name = call->tap->name;
	int queues = tap_attached_queues(name);
	char who[PROCESS_TEXT];

	if (queues <= own)
		return 0;
	if (!call->error)
		return -EBUSY;
	error_set(call->error, -EBUSY,
		  "TAP interface %s: expected none of its queues to be attached, found %d, by %s",
		  name, queues - own, tap_user(name, own > 0, who));
	error_advise(call->error, "end that one, or use another interface");
	return -EBUSY;
}

static int set_interface(const struct tap_open_call *call, int fd, bool several)
{
	struct ifreq request = {
		.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (call->plain ? 0 : IFF_VNET_HDR) |
				     (several ? IFF_MULTI_QUEUE : 0)),
	};

	memcpy(request.ifr_name, call->tap->name, sizeof(request.ifr_name));
	return ioctl(fd, TUNSETIFF, &request) ? -errno : 0;
}

/* A persistent device that was made with several queues is only given out with that flag. */
static int attach_one(const struct tap_open_call *call)
{
	int rc = set_interface(call, call->tap->fd, false);

	if (rc != -EINVAL)
		return rc ? refuse(call, rc) : 0;
	rc = check_alone(call, 0);
	if (rc)
		return rc;
	rc = set_interface(call, call->tap->fd, true);
	return rc ? refuse(call, rc) : check_alone(call, 1);
}

/* Its first descriptor is there, the others are opened here. */
static int attach_several(const struct tap_open_call *call)
{
	struct tap *tap = call->tap;
	int rc = tap->created ? 0 : check_alone(call, 0);

	if (rc)
		return rc;
	for (tap->queues = 0; tap->queues < call->queues; tap->queues++) {
		int fd = tap->queues ? open_device(call) : tap->fd;

		if (fd < 0)
			return fd;
		rc = set_interface(call, fd, true);
		if (rc && fd != tap->fd)
			close(fd);
		if (rc)
			return refuse_several(call, rc);
		if (tap->queues)
			tap->further[tap->queues - 1] = fd;
	}
	return check_alone(call, (int)call->queues);
}

/*
 * A persistent interface keeps what its former user set: offloads that we do not undo for whoever reads, filters
 * that drop what we are to see, a small send buffer, no carrier. All of it as on a new one. What a kernel
 * does not know (-EINVAL) nobody has set.
 */
static int forget_former_user(const struct tap_open_call *call, int fd)
{
	struct tun_filter all = { 0 };
	struct sock_fprog none = { 0 };
	int no_program = -1, sndbuf = INT_MAX, on = 1;
	const struct {
		unsigned long request;
		const void *argument;
		const char *what;
	} states[] = {
		{ TUNSETOFFLOAD, NULL, "offloads" },
		{ TUNSETTXFILTER, &all, "address filter" },
		{ TUNDETACHFILTER, &none, "packet filter" },
		{ TUNSETSTEERINGEBPF, &no_program, "steering program" },
		{ TUNSETFILTEREBPF, &no_program, "filter program" },
		{ TUNSETSNDBUF, &sndbuf, "send buffer" },
		{ TUNSETCARRIER, &on, "carrier" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (ioctl(fd, states[i].request, states[i].argument) < 0 && errno != EINVAL &&
		    errno != ENOTTY)
			return error_set(call->error, -errno,
					 "TAP interface %s: cannot reset its %s: %s",
					 call->tap->name, states[i].what, error_name(errno));
	return 0;
}

/* What we asked for is not always what we got: a further queue inherits its device's flags. */
static int set_header(const struct tap_open_call *call, int fd)
{
	struct tap *tap = call->tap;
	int size = sizeof(struct virtio_net_header), little = 1, big = 0;
	struct ifreq request = { 0 };

	if (ioctl(fd, TUNGETIFF, &request))
		return refuse(call, -errno);
	tap->header = request.ifr_flags & IFF_VNET_HDR;
	if (!tap->header && call->plain)
		return 0;
	if (!tap->header)
		return error_set(call->error, -EOPNOTSUPP,
				 "TAP interface %s: the kernel gives no "
				 "virtio-net header (IFF_VNET_HDR)",
				 tap->name);
	if (ioctl(fd, TUNSETVNETHDRSZ, &size))
		return error_set(call->error, -EOPNOTSUPP,
				 "TAP interface %s: the kernel refuses a "
				 "virtio-net header of %d bytes: %s",
				 tap->name, size, error_name(errno));
	/* Most kernels do not know that at all. */
	(void)ioctl(fd, TUNSETVNETBE, &big);
	if (ioctl(fd, TUNSETVNETLE, &little))
		return error_set(call->error, -EOPNOTSUPP,
				 "TAP interface %s: the kernel refuses a "
				 "little-endian virtio-net header: %s",
				 tap->name, error_name(errno));
	tap->offloads = call->plain ? 0 : tap_set_offloads(fd);
	return 0;
}

static int there_is_none(const struct tap_open_call *call)
{
	return error_set(call->error, -ENODEV, "TAP interface %s: there is none", call->tap->name);
}

static int open_once(const struct tap_open_call *call)
{
	struct tap *tap = call->tap;
	unsigned before = if_nametoindex(tap->name), after;
	int rc;

	tap->created = !before;
	if (tap->created && call->existing)
		return there_is_none(call);
	tap->fd = open_device(call);
	if (tap->fd < 0)
		return tap->fd;
	tap->queues = 1;
	rc = call->queues > 1 ? attach_several(call) : attach_one(call);
	if (!rc)
		rc = forget_former_user(call, tap->fd);
	if (!rc)
		rc = set_header(call, tap->fd);
	if (rc || !before)
		return rc;
	/* The one that was there may have gone before it was attached to. */
	after = if_nametoindex(tap->name);
	tap->created = after && after != before;
	return tap->created && call->existing ? there_is_none(call) : 0;
}

/*
 * A descriptor that its process has closed, or whose process has ended, is open for a while longer where another process looks at it in /proc/PID/fdinfo
 * (lsof; we, to name who is attached) and waits for a lock or a processor meanwhile. Then somebody is attached whom nobody sees.
 */
static bool may_be_going(const char *name, int rc)
{
	return rc == -EBUSY || (rc == -EINVAL && tap_is_persistent(name) == 0);
}

/* Runs in the device's namespace: /dev/net/tun belongs to the one it is opened in. */
static int open_in_namespace(void *arg)
{
	const struct tap_open_call *call = arg;
	struct tap_open_call quiet = *call;
	uint64_t until = monotonic_ns() + GOING_NS;
	int rc = open_once(call);

	if (!rc)
		return 0;
	tap_close(call->tap);
	/* Who wants one that is there tries again anyway. */
	if (call->existing || !may_be_going(call->tap->name, rc) || tap_has_user(call->tap->name))
		return rc;
	/* Without a look at who it is, which would keep him. */
	quiet.error = NULL;
	while (rc && may_be_going(call->tap->name, rc) && monotonic_ns() < until) {
		usleep(10000);
		rc = open_once(&quiet);
		if (rc)
			tap_close(call->tap);
	}
	return rc ? open_once(call) : 0;
}

int tap_open(struct tap *tap, const char *name, const struct tap_options *options,
	     struct error *error)
{
	static const struct tap_options defaults;
	struct link_settings settings = { .up = true };
	struct tap_open_call call;
	int netns, rc = link_check_name(name, error);

	if (!options)
		options = &defaults;
	*tap = (struct tap){ .fd = -1 };
	if (rc)
		return rc;
	strncpy(tap->name, name, sizeof(tap->name) - 1);
	netns = options->netns > 0 ? options->netns : -1;
	call = (struct tap_open_call){ tap,
				       options->device ? options->device : TAP_DEVICE,
				       options->plain,
				       options->existing,
				       MIN(options->queues, (unsigned)TAP_QUEUES_MAX),
				       error };
	rc = netns_call(netns, open_in_namespace, &call, error);
	if (!rc && tap->created) {
		settings.mtu = options->mtu;
		rc = link_configure(tap->name, netns, &settings, error);
	}
	if (rc)
		tap_close(tap);
	return rc;
}

void tap_close(struct tap *tap)
{
	for (unsigned i = 1; i < tap->queues; i++)
		close(tap->further[i - 1]);
	if (tap->fd >= 0)
		close(tap->fd);
	tap->queues = 0;
	tap->fd = -1;
}

int tap_set_carrier(struct tap *tap, bool on)
{
	int value = on;

	return ioctl(tap->fd, TUNSETCARRIER, &value) ? -errno : 0;
}

bool tap_is_up(const struct tap *tap)
{
	struct pollfd look = { tap->fd, POLLOUT, 0 };

	return tap->fd >= 0 && poll(&look, 1, 0) > 0 && look.revents & POLLOUT;
}

bool tap_place(const struct tap *tap, struct link_place *place)
{
	struct ifreq request = { 0 };

	memset(place, 0, sizeof(*place));
	return tap->fd >= 0 && !ioctl(tap->fd, TUNGETIFF, &request) &&
	       link_place_set(place, ioctl(tap->fd, TUNGETDEVNETNS), request.ifr_name);
}

char *tap_offload_names(unsigned offloads, char *text, size_t size)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = { { TUN_F_CSUM, "csum" },   { TUN_F_TSO4, "tso4" }, { TUN_F_TSO6, "tso6" },
		      { TUN_F_TSO_ECN, "ecn" }, { TUN_F_USO4, "uso4" }, { TUN_F_USO6, "uso6" } };
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!(offloads & names[i].bit) || used >= size)
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s%s", used ? " " : "",
					 names[i].name);
	}
	return text;
}
