/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: ports on datagram sockets. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_port.h"
#include "lingering.h"
#include "netdev/endpoint.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/unix_socket.h"
#include "vswitch/internal.h"
#include "vswitch/port_datagram.h"

#define A         0x0200000000a1ULL
#define B         0x0200000000b1ULL
#define BROADCAST 0xffffffffffffULL

struct bed {
	struct vswitch *vswitch;
	struct fake_port *a;
	struct endpoint local, remote;
};

static int bed_make(struct bed *bed, const char *local, const char *remote, struct error *error)
{
	struct vswitch_options options = { .seed = 1 };
	struct vswitch_datagram_options datagram = { &bed->local, &bed->remote, NULL };

	CU_ASSERT_EQUAL_FATAL(endpoint_parse(&bed->local, local, "udp", error), 0);
	CU_ASSERT_EQUAL_FATAL(endpoint_parse(&bed->remote, remote, "udp", error), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&bed->vswitch, &options, NULL), 0);
	bed->a = fake_port_add(bed->vswitch, "a", 0);
	return vswitch_add_port_datagram(bed->vswitch, "d", &datagram, error);
}

static void bed_run(struct bed *bed)
{
	for (unsigned i = 0; i < 1000; i++)
		if (!(vswitch_thread_dispatch(&bed->vswitch->threads[0], 0) +
		      vswitch_round(bed->vswitch)))
			return;
	CU_FAIL("it never ends");
}

static const struct port *datagram_port(const struct bed *bed)
{
	return vswitch_find_port(bed->vswitch, "d");
}

/* A socket of a peer, bound to `at`. */
static int make_peer(const char *at)
{
	struct endpoint endpoint;
	int fd;

	CU_ASSERT_EQUAL_FATAL(endpoint_parse(&endpoint, at, "udp", NULL), 0);
	fd = endpoint_socket(&endpoint, SOCK_DGRAM);
	if (endpoint_is_local(&endpoint))
		unlink(endpoint.address.local.sun_path);
	CU_ASSERT_EQUAL_FATAL(bind(fd, &endpoint.address.any, endpoint.length), 0);
	return fd;
}

static ssize_t send_frame(int fd, const struct endpoint *to, size_t length)
{
	static uint8_t bytes[70000] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
					0,    0,    0,    0,    0xb1, 0x88, 0xb5 };

	return sendto(fd, bytes, length, MSG_DONTWAIT, &to->address.any, to->length);
}

static unsigned count_frames(int fd)
{
	uint8_t bytes[2000];
	unsigned count = 0;

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		count++;
	return count;
}

static void test_paths(void)
{
	char local[200], remote[200];
	struct error error = { 0 };
	struct stat status;
	struct bed bed;
	int peer;

	snprintf(local, sizeof(local), "%s/local", unit_directory());
	snprintf(remote, sizeof(remote), "%s/remote", unit_directory());
	CU_ASSERT_EQUAL_FATAL(bed_make(&bed, local, remote, &error), 0);
	CU_ASSERT_EQUAL(stat(local, &status), 0);
	CU_ASSERT_EQUAL(status.st_mode & 0777, 0600);
	fake_port_put_frame(bed.a, BROADCAST, A, 100);
	bed_run(&bed);
	CU_ASSERT_EQUAL(datagram_port(&bed)->counters.drops[PORT_DROP_DOWN], 1);
	/* It comes, goes, and another comes, who is heard before anything was sent to it. */
	for (unsigned i = 0; i < 3; i++) {
		peer = make_peer(remote);
		fake_port_clear(bed.a);
		CU_ASSERT_EQUAL(send_frame(peer, &bed.local, 13), 13);
		CU_ASSERT_EQUAL(send_frame(peer, &bed.local, 60), 60);
		CU_ASSERT_EQUAL(send_frame(peer, &bed.local, 65600), 65600);
		bed_run(&bed);
		CU_ASSERT_EQUAL(bed.a->out_count, 1);
		CU_ASSERT_EQUAL(datagram_port(&bed)->counters.drops[PORT_DROP_BAD_LENGTH],
				2 * i + 2);
		fake_port_put_frame(bed.a, B, A, 100);
		bed_run(&bed);
		fake_port_put_frame(bed.a, B, A, 1514);
		bed_run(&bed);
		/* The first one after a change is lost where the old socket was still connected to. */
		CU_ASSERT_EQUAL(count_frames(peer), i ? 1 : 2);
		close(peer);
	}
	vswitch_destroy(bed.vswitch);
	CU_ASSERT_NOT_EQUAL(access(local, F_OK), 0);
	unlink(remote);
}

static void test_a_peer_that_stops_reading(void)
{
	char local[200], remote[200];
	struct error error = { 0 };
	struct fake_port *c;
	struct bed bed;
	int peer;

	snprintf(local, sizeof(local), "%s/local", unit_directory());
	snprintf(remote, sizeof(remote), "%s/remote", unit_directory());
	peer = make_peer(remote);
	CU_ASSERT_EQUAL_FATAL(bed_make(&bed, local, remote, &error), 0);
	c = fake_port_add(bed.vswitch, "c", 0);
	for (unsigned round = 0; round < 10; round++) {
		fake_port_clear(c);
		for (unsigned i = 0; i < 100; i++)
			fake_port_put_frame(bed.a, BROADCAST, A, 1514);
		bed_run(&bed);
		CU_ASSERT_EQUAL(c->out_count, 100);
	}
	CU_ASSERT_TRUE(datagram_port(&bed)->counters.drops[PORT_DROP_NO_BUFFER] > 0);
	CU_ASSERT_EQUAL(datagram_port(&bed)->counters.drops[PORT_DROP_NO_BUFFER] +
				datagram_port(&bed)->counters.tx_frames,
			1000);
	CU_ASSERT_EQUAL(count_frames(peer), datagram_port(&bed)->counters.tx_frames);
	close(peer);
	vswitch_destroy(bed.vswitch);
}

/* Only the one it sends to is heard. */
static void test_udp(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int peer = socket(AF_INET, SOCK_DGRAM, 0), other = socket(AF_INET, SOCK_DGRAM, 0);
	int own = socket(AF_INET, SOCK_DGRAM, 0);
	char local[64], remote[64], frame[2000];
	struct timeval patience = { 60, 0 };
	struct error error = { 0 };
	struct bed bed;

	setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	CU_ASSERT_EQUAL(bind(peer, (struct sockaddr *)&address, length), 0);
	CU_ASSERT_EQUAL(bind(own, (struct sockaddr *)&address, length), 0);
	CU_ASSERT_EQUAL(getsockname(peer, (struct sockaddr *)&address, &length), 0);
	snprintf(remote, sizeof(remote), "udp:127.0.0.1:%u", ntohs(address.sin_port));
	CU_ASSERT_EQUAL(getsockname(own, (struct sockaddr *)&address, &length), 0);
	snprintf(local, sizeof(local), "udp::%u", ntohs(address.sin_port));
	close(own);
	CU_ASSERT_EQUAL_FATAL(bed_make(&bed, local, remote, &error), 0);
	CU_ASSERT_EQUAL(send_frame(other, &bed.local, 60), 60);
	CU_ASSERT_EQUAL(send_frame(peer, &bed.local, 60), 60);
	/* What goes over the loopback may take its time. */
	for (unsigned wait = 0; wait < 60000 && !bed.a->out_count; wait++) {
		bed_run(&bed);
		usleep(1000);
	}
	CU_ASSERT_EQUAL(bed.a->out_count, 1);
	fake_port_put_frame(bed.a, B, A, 1514);
	bed_run(&bed);
	CU_ASSERT_EQUAL(recv(peer, frame, sizeof(frame), 0), 1514);
	close(peer);
	for (unsigned i = 0; i < 3; i++) {
		fake_port_put_frame(bed.a, B, A, 1514);
		bed_run(&bed);
	}
	CU_ASSERT_EQUAL(datagram_port(&bed)->counters.drops[PORT_DROP_FAILED], 0);
	close(other);
	vswitch_destroy(bed.vswitch);
}

static void test_what_is_refused(void)
{
	char local[200];
	struct error error = { 0 };
	struct bed bed;
	int other;

	snprintf(local, sizeof(local), "%s/taken", unit_directory());
	other = make_peer(local);
	CU_ASSERT_EQUAL(bed_make(&bed, local, "/nowhere", &error), -EADDRINUSE);
	vswitch_destroy(bed.vswitch);
	CU_ASSERT_EQUAL(access(local, F_OK), 0);
	close(other); /* a file that nobody has any more */
	CU_ASSERT_EQUAL(bed_make(&bed, local, "/nowhere", &error), 0);
	vswitch_destroy(bed.vswitch);
	close(open(local, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	CU_ASSERT_EQUAL(bed_make(&bed, local, "/nowhere", &error), -EEXIST);
	vswitch_destroy(bed.vswitch);
	CU_ASSERT_EQUAL(access(local, F_OK), 0);
	unlink(local);
	CU_ASSERT_EQUAL(bed_make(&bed, local, "udp:127.0.0.1:9", &error), -EINVAL);
	vswitch_destroy(bed.vswitch);
}

/* Who else may send is as of the other sockets; and what listens there is not taken for nobody's, whatever its kind. */
static void test_access(void)
{
	struct unix_socket_access access = { .mode = 0660 };
	struct vswitch_datagram_options datagram = { .access = &access };
	struct unix_listener listener, second;
	struct error error = { 0 };
	struct stat status;
	char local[200];
	struct bed bed;

	snprintf(local, sizeof(local), "%s/shared", unit_directory());
	CU_ASSERT_EQUAL_FATAL(unix_listen(&listener, local, &error), 0);
	CU_ASSERT_EQUAL(bed_make(&bed, local, "/nowhere", &error), -EADDRINUSE);
	CU_ASSERT_EQUAL(stat(local, &status), 0);
	unix_listener_close(&listener);
	datagram.local = &bed.local;
	datagram.remote = &bed.remote;
	CU_ASSERT_EQUAL(vswitch_add_port_datagram(bed.vswitch, "d", &datagram, &error), 0);
	CU_ASSERT_EQUAL(stat(local, &status), 0);
	CU_ASSERT_EQUAL(status.st_mode & 0777, 0660);
	CU_ASSERT_EQUAL(unix_listen(&second, local, &error), -EADDRINUSE);
	CU_ASSERT_EQUAL(stat(local, &status), 0);
	vswitch_destroy(bed.vswitch);
	CU_ASSERT_NOT_EQUAL(stat(local, &status), 0);
}

/* Files come with its frames, and nobody wants them: who closes them waits. */
static void test_a_peer_that_sends_files(void)
{
	struct lingering files[2];
	uint8_t frame[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0xb1, 0x88, 0xb5 };
	char local[200], remote[200];
	struct error error = { 0 };
	struct bed bed;
	int peer;

	snprintf(local, sizeof(local), "%s/files", unit_directory());
	snprintf(remote, sizeof(remote), "%s/sender", unit_directory());
	peer = make_peer(remote);
	CU_ASSERT_EQUAL_FATAL(bed_make(&bed, local, remote, &error), 0);
	CU_ASSERT_EQUAL(connect(peer, &bed.local.address.any, bed.local.length), 0);
	for (unsigned i = 0; i < 2; i++)
		lingering_make(&files[i]);
	lingering_send(&files[0], peer, frame, sizeof(frame), 1, 0);
	bed_run(&bed);
	CU_ASSERT_EQUAL(datagram_port(&bed)->counters.rx_frames, 1);
	/* One that nobody takes any more. */
	lingering_send(&files[1], peer, frame, sizeof(frame), 1, 0);
	vswitch_destroy(bed.vswitch);
	for (unsigned i = 0; i < 2; i++)
		lingering_end(&files[i]);
	close(peer);
}

UNIT_MAIN("ports on datagram sockets", UNIT(test_paths), UNIT(test_a_peer_that_stops_reading),
	  UNIT(test_udp), UNIT(test_what_is_refused), UNIT(test_access),
	  UNIT(test_a_peer_that_sends_files))
