/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See user_network.h. The library is opened when it is needed, so that nothing else of the program depends on it.
 *
 * Source: libslirp 4.7, libslirp.h; QEMU 7.2, net/slirp.c (the words of a forward).
 */
#include "netdev/user_network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netdev/ip_fragments.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/library.h"
#include "util/number.h"

LIBRARY_NOTE(libslirp, SONAME_slirp, "the user network", "suggested");

#define NETWORK     0x0a000200u /* 10.0.2.0 */
#define NETMASK     0xffffff00u
#define ROUTER      (NETWORK + 2)
#define NAME_SERVER (NETWORK + 3)
#define FIRST_GUEST (NETWORK + 15)

#define LENGTH_SIZE 4
#define FRAME_MOST  9216 /* longer ones are dropped */
#define PEER_MAX    69632
#define IN_SIZE     (2 * 69632)
#define OUT_SIZE    (1 << 20)
#define POLLS_MAX   4096
#define TIMERS_MAX  8

struct slirp_timer {
	bool used, armed;
	int64_t when_ms;
	SlirpTimerCb fire;
	void *arg;
};

struct user_network {
	int fd, control;
	bool loopback, ended;
	Slirp *slirp;
	struct pollfd polls[POLLS_MAX];
	unsigned poll_count;
	struct slirp_timer timers[TIMERS_MAX];
	struct ip_fragments *fragments;
	struct user_network_options live; /* its forwards */
	uint8_t in[IN_SIZE], out[OUT_SIZE];
	size_t in_end, out_first, out_end;

	__typeof__(&slirp_new) create;
	__typeof__(&slirp_cleanup) destroy;
	__typeof__(&slirp_pollfds_fill) fill;
	__typeof__(&slirp_pollfds_poll) poll;
	__typeof__(&slirp_input) input;
	__typeof__(&slirp_add_hostfwd) forward;
	__typeof__(&slirp_remove_hostfwd) end_forward;
};

/* ---- Forwards ---- */

/* "[ADDRESS]:PORT" */
static bool parse_end(char *text, struct in_addr *address, uint16_t *port)
{
	char *colon = strchr(text, ':');
	uint64_t number;

	if (!colon || number_parse(colon + 1, 1, 65535, &number, NULL))
		return false;
	*colon = '\0';
	*port = (uint16_t)number;
	return !*text || inet_pton(AF_INET, text, address) == 1;
}

int user_network_parse_forward(struct user_network_options *options, const char *text,
			       struct error *error)
{
	struct user_network_forward forward = { .host.s_addr = htonl(INADDR_LOOPBACK),
						.guest.s_addr = htonl(FIRST_GUEST) };
	CLEANUP_FREE char *copy = strdup(text);
	char *host = copy ? strchr(copy, ':') : NULL, *guest = host ? strchr(host, '-') : NULL;
	bool good = false;

	if (!copy)
		return error_set(error, -ENOMEM, "out of memory");
	if (host && guest) {
		*host++ = *guest++ = '\0';
		forward.udp = !strcmp(copy, "udp");
		good = (forward.udp || !strcmp(copy, "tcp")) &&
		       parse_end(host, &forward.host, &forward.host_port) &&
		       parse_end(guest, &forward.guest, &forward.guest_port);
	}
	if (!good)
		return error_set(
			error, -EINVAL,
			"hostfwd=%.80s: expected tcp or udp, an address and port of the host "
			"and of the guest, as in tcp:127.0.0.1:2222-:22",
			text);
	if ((ntohl(forward.guest.s_addr) & NETMASK) != NETWORK)
		return error_set(error, -EINVAL,
				 "hostfwd=%.80s: expected a guest's address in 10.0.2.0/24", text);
	if (options->count == USER_NETWORK_FORWARDS)
		return error_set(error, -ENOSPC, "hostfwd=%.80s: at most %d fit", text,
				 USER_NETWORK_FORWARDS);
	options->forwards[options->count++] = forward;
	return 0;
}

/* ---- What guests send ---- */

bool user_network_may_pass(const uint8_t *frame, size_t length, bool loopback)
{
	const uint8_t *packet = frame + 14;
	uint32_t destination;
	size_t header;

	if (length < 14)
		return false;
	if (get_be16(frame + 12) == 0x0806)
		return true;
	if (get_be16(frame + 12) != 0x0800 || length < 14 + 20 || packet[0] >> 4 != 4 ||
	    ip_fragments_is_one(frame, length))
		return false;
	header = (size_t)(packet[0] & 15) * 4;
	destination = get_be32(packet + 16);
	/* The library connects to what the guest says, and 0.0.0.0 is another name of 127.0.0.1. */
	if (destination >> 24 == 127 || destination >> 24 == 0)
		return false;
	if (destination != NAME_SERVER || loopback)
		return true;
	if (header < 20 || length < 14 + header + 4)
		return false;
	switch (packet[9]) {
	case IPPROTO_ICMP:
		return true;
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		return get_be16(packet + header + 2) == 53;
	default:
		return false;
	}
}

/* The library is never given a fragment: 4.7 writes where it must not when the last one of a datagram comes first. */
static void hand_on(struct user_network *net, const uint8_t *frame, size_t length)
{
	if (ip_fragments_is_one(frame, length))
		frame = ip_fragments_add(net->fragments, frame, &length, monotonic_ns());
	if (frame && user_network_may_pass(frame, length, net->loopback))
		net->input(net->slirp, frame, (int)length);
}

/* Hands frames on. False: what comes is no stream of frames. */
static bool take_input(struct user_network *net)
{
	size_t at = 0;

	while (net->in_end - at >= LENGTH_SIZE) {
		size_t length = get_be32(net->in + at);
		const uint8_t *frame = net->in + at + LENGTH_SIZE;

		if (length > PEER_MAX)
			return false;
		if (net->in_end - at - LENGTH_SIZE < length)
			break;
		if (length <= FRAME_MOST)
			hand_on(net, frame, length);
		at += LENGTH_SIZE + length;
	}
	memmove(net->in, net->in + at, net->in_end - at);
	net->in_end -= at;
	return true;
}

static void read_input(struct user_network *net)
{
	ssize_t got = recv(net->fd, net->in + net->in_end, IN_SIZE - net->in_end, MSG_DONTWAIT);

	if (got > 0)
		net->in_end += (size_t)got;
	net->ended |= !got || (got < 0 && errno != EAGAIN && errno != EINTR) || !take_input(net);
}

/* ---- What they get ---- */

static void write_output(struct user_network *net)
{
	ssize_t put = send(net->fd, net->out + net->out_first, net->out_end - net->out_first,
			   MSG_DONTWAIT | MSG_NOSIGNAL);

	if (put > 0)
		net->out_first += (size_t)put;
	else if (put < 0 && errno != EAGAIN && errno != EINTR)
		net->ended = true;
	if (net->out_first == net->out_end)
		net->out_first = net->out_end = 0;
}

/* What finds no room is lost, as on a wire. */
static ssize_t send_packet(const void *bytes, size_t length, void *opaque)
{
	struct user_network *net = opaque;

	if (OUT_SIZE - net->out_end < LENGTH_SIZE + length && net->out_first) {
		memmove(net->out, net->out + net->out_first, net->out_end - net->out_first);
		net->out_end -= net->out_first;
		net->out_first = 0;
	}
	if (OUT_SIZE - net->out_end < LENGTH_SIZE + length)
		return (ssize_t)length;
	put_be32(net->out + net->out_end, (uint32_t)length);
	memcpy(net->out + net->out_end + LENGTH_SIZE, bytes, length);
	net->out_end += LENGTH_SIZE + length;
	return (ssize_t)length;
}

/* ---- What the library asks for ---- */

static void guest_error(const char *message, void *opaque)
{
	(void)message, (void)opaque; /* a guest could fill a log with it */
}

static int64_t clock_ns(void *opaque)
{
	(void)opaque;
	return (int64_t)monotonic_ns();
}

static void *timer_new(SlirpTimerCb fire, void *arg, void *opaque)
{
	struct user_network *net = opaque;

	for (unsigned i = 0; i < TIMERS_MAX; i++)
		if (!net->timers[i].used) {
			net->timers[i] =
				(struct slirp_timer){ .used = true, .fire = fire, .arg = arg };
			return &net->timers[i];
		}
	return NULL;
}

static void timer_free(void *timer, void *opaque)
{
	(void)opaque;
	if (timer)
		((struct slirp_timer *)timer)->used = false;
}

static void timer_mod(void *timer, int64_t when_ms, void *opaque)
{
	struct slirp_timer *changed = timer;

	(void)opaque;
	if (changed) {
		changed->armed = true;
		changed->when_ms = when_ms;
	}
}

static void fire_timers(struct user_network *net)
{
	int64_t now = (int64_t)(monotonic_ns() / 1000000);

	for (unsigned i = 0; i < TIMERS_MAX; i++) {
		struct slirp_timer *timer = &net->timers[i];

		if (!timer->used || !timer->armed || timer->when_ms > now)
			continue;
		timer->armed = false;
		timer->fire(timer->arg);
	}
}

static void nothing(int fd, void *opaque)
{
	(void)fd, (void)opaque;
}

static void notify(void *opaque)
{
	(void)opaque; /* the loop looks each time */
}

static int add_poll(int fd, int events, void *opaque)
{
	struct user_network *net = opaque;
	short wanted = 0;

	if (net->poll_count == POLLS_MAX)
		return -1;
	wanted |= events & SLIRP_POLL_IN ? POLLIN : 0;
	wanted |= events & SLIRP_POLL_OUT ? POLLOUT : 0;
	wanted |= events & SLIRP_POLL_PRI ? POLLPRI : 0;
	net->polls[net->poll_count] = (struct pollfd){ fd, wanted, 0 };
	return (int)net->poll_count++;
}

static int get_events(int index, void *opaque)
{
	struct user_network *net = opaque;
	short came = index < 0 ? 0 : net->polls[index].revents;

	return (came & POLLIN ? SLIRP_POLL_IN : 0) | (came & POLLOUT ? SLIRP_POLL_OUT : 0) |
	       (came & POLLPRI ? SLIRP_POLL_PRI : 0) | (came & POLLERR ? SLIRP_POLL_ERR : 0) |
	       (came & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static const SlirpCb callbacks = {
	.send_packet = send_packet,
	.guest_error = guest_error,
	.clock_get_ns = clock_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = nothing,
	.unregister_poll_fd = nothing,
	.notify = notify,
};

/* ---- Running ---- */

static int open_library(struct user_network *net, struct error *error)
{
	const struct library_function functions[] = {
		{ "slirp_new", &net->create },
		{ "slirp_cleanup", &net->destroy },
		{ "slirp_pollfds_fill", &net->fill },
		{ "slirp_pollfds_poll", &net->poll },
		{ "slirp_input", &net->input },
		{ "slirp_add_hostfwd", &net->forward },
		{ "slirp_remove_hostfwd", &net->end_forward },
	};

	return library_load(SONAME_slirp, functions, ARRAY_SIZE(functions), error);
}

static int begin_forward(struct user_network *net, const struct user_network_forward *forward,
			 struct error *error)
{
	char host[INET_ADDRSTRLEN];
	int rc;

	if (net->live.count == USER_NETWORK_FORWARDS)
		return error_set(error, -ENOSPC, "hostfwd: at most %d fit", USER_NETWORK_FORWARDS);
	if (net->forward(net->slirp, forward->udp, forward->host, forward->host_port,
			 forward->guest, forward->guest_port) >= 0) {
		net->live.forwards[net->live.count++] = *forward;
		return 0;
	}
	rc = errno ? -errno : -EADDRINUSE;
	inet_ntop(AF_INET, &forward->host, host, sizeof(host));
	return error_set(error, rc, "hostfwd: cannot listen at %s:%s:%u: %s",
			 forward->udp ? "udp" : "tcp", host, forward->host_port, error_name(rc));
}

static int set_up(struct user_network *net, const struct user_network_options *options,
		  struct error *error)
{
	const SlirpConfig config = {
		.version = 4,
		.in_enabled = true,
		.vnetwork.s_addr = htonl(NETWORK),
		.vnetmask.s_addr = htonl(NETMASK),
		.vhost.s_addr = htonl(ROUTER),
		.vnameserver.s_addr = htonl(NAME_SERVER),
		.vdhcp_start.s_addr = htonl(FIRST_GUEST),
		.disable_host_loopback = !options->loopback,
		.disable_dhcp = options->no_dhcp,
	};
	int rc = open_library(net, error);

	if (rc)
		return rc;
	net->fragments = ip_fragments_create();
	if (!net->fragments)
		return error_set(error, -ENOMEM, "out of memory");
	net->slirp = net->create(&config, &callbacks, net);
	if (!net->slirp)
		return error_set(error, -EINVAL, "libslirp refuses its configuration");
	for (unsigned i = 0; i < options->count && !rc; i++)
		rc = begin_forward(net, &options->forwards[i], error);
	return rc;
}

/* ---- Being told ---- */

/* The one from the same place, or NULL. */
static struct user_network_forward *find_forward(struct user_network *net,
						 const struct user_network_forward *wanted)
{
	for (unsigned i = 0; i < net->live.count; i++) {
		struct user_network_forward *forward = &net->live.forwards[i];

		if (forward->udp == wanted->udp && forward->host_port == wanted->host_port &&
		    forward->host.s_addr == wanted->host.s_addr)
			return forward;
	}
	return NULL;
}

/* Who did not hear the answer asks again: what is so already is done. */
static int change_forwards(struct user_network *net, const char *text, struct error *error)
{
	struct user_network_options one = { 0 };
	const struct user_network_forward *wanted = &one.forwards[0];
	bool begins = *text == '+', may_be_gone = !strncmp(text, "--", 2);
	const char *words = text + 1 + may_be_gone;
	struct user_network_forward *found;
	int rc = user_network_parse_forward(&one, words, error);

	if (rc)
		return rc;
	found = find_forward(net, wanted);
	if (begins && found && found->guest.s_addr == wanted->guest.s_addr &&
	    found->guest_port == wanted->guest_port)
		return 0;
	if (begins)
		return begin_forward(net, wanted, error);
	if (!found)
		return may_be_gone ? 0
				   : error_set(error, -ENOENT, "nothing is forwarded from %.*s",
					       (int)strcspn(words, "-"), words);
	if (net->end_forward(net->slirp, wanted->udp, wanted->host, wanted->host_port) < 0)
		return error_set(error, -EIO, "hostfwd=%.80s: it does not end", words);
	*found = net->live.forwards[--net->live.count];
	return 0;
}

static void read_control(struct user_network *net)
{
	char text[256], answer[sizeof(text) + sizeof(((struct error *)NULL)->text)];
	struct error error = { 0 };
	int number, rc;
	ssize_t got = recv(net->control, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (got <= 0) {
		net->control = got < 0 && errno == EAGAIN ? net->control : -1;
		return;
	}
	text[got] = '\0';
	number = (int)strcspn(text, " ");
	if (!text[number] || !text[number + 1])
		return;
	rc = change_forwards(net, text + number + 1, &error);
	snprintf(answer, sizeof(answer), "%.*s %s", number, text, rc ? error.text : "done");
	(void)send(net->control, answer, strlen(answer), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* ---- Rounds ---- */

static void go_round(struct user_network *net)
{
	uint32_t wait_ms = 1000; /* for its timers, too */
	int rc;

	net->poll_count = 2;
	net->polls[0] =
		(struct pollfd){ net->fd, (short)(POLLIN | (net->out_end ? POLLOUT : 0)), 0 };
	net->polls[1] = (struct pollfd){ net->control, POLLIN, 0 };
	net->fill(net->slirp, &wait_ms, add_poll, net);
	rc = poll(net->polls, net->poll_count, (int)MIN(wait_ms, 1000u));
	net->poll(net->slirp, rc < 0, get_events, net);
	if (rc > 0 && net->polls[0].revents & (POLLIN | POLLERR | POLLHUP))
		read_input(net);
	if (rc > 0 && net->polls[1].revents)
		read_control(net);
	fire_timers(net);
	if (net->out_end)
		write_output(net);
}

int user_network_run(int fd, int control, const struct user_network_options *options,
		     void (*ready)(void *arg), void *arg, struct error *error)
{
	struct user_network *net = calloc(1, sizeof(*net));
	int rc;

	if (!net)
		return error_set(error, -ENOMEM, "out of memory");
	net->fd = fd;
	net->control = control;
	net->loopback = options->loopback;
	rc = set_up(net, options, error);
	if (!rc) {
		ready(arg);
		while (!net->ended)
			go_round(net);
	}
	if (net->slirp)
		net->destroy(net->slirp);
	ip_fragments_destroy(net->fragments);
	free(net);
	return rc;
}
