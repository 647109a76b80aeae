/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: ports on stream sockets, and peers that break, stop reading, go and come back. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_port.h"
#include "lingering.h"
#include "netdev/endpoint.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/unix_socket.h"
#include "vswitch/internal.h"
#include "vswitch/port_link.h"
#include "vswitch/port_stream.h"

#define A         0x0200000000a1ULL
#define B         0x0200000000b1ULL
#define BROADCAST 0xffffffffffffULL
#define SECOND    1000000000ULL

struct bed {
	uint64_t clock;
	struct vswitch *vswitch;
	struct fake_port *a;
	struct endpoint endpoint;
};

static uint64_t test_clock(void *arg)
{
	return *(uint64_t *)arg;
}

/* A switch with a port "a" by hand and a stream port "s" at `where`. */
static void bed_make(struct bed *bed, const char *where, bool client)
{
	struct vswitch_options options = { .seed = 1,
					   .clock = test_clock,
					   .clock_arg = &bed->clock };
	struct vswitch_stream_options stream = { .endpoint = &bed->endpoint, .client = client };
	struct error error = { 0 };

	bed->clock = 1000 * SECOND;
	CU_ASSERT_EQUAL_FATAL(endpoint_parse(&bed->endpoint, where, "tcp", &error), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&bed->vswitch, &options, NULL), 0);
	bed->a = fake_port_add(bed->vswitch, "a", 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_stream(bed->vswitch, "s", &stream, &error), 0);
}

/* As its thread would, until nothing is left to do. */
static void bed_run(struct bed *bed)
{
	for (unsigned i = 0; i < 1000; i++)
		if (!(vswitch_thread_dispatch(&bed->vswitch->threads[0], 0) +
		      vswitch_round(bed->vswitch)))
			return;
	CU_FAIL("it never ends");
}

static const struct port *stream_port(const struct bed *bed)
{
	return vswitch_find_port(bed->vswitch, "s");
}

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", unit_directory(), name);
	return path;
}

static int connect_to(const struct endpoint *endpoint)
{
	int fd = socket(endpoint->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL_FATAL(connect(fd, &endpoint->address.any, endpoint->length), 0);
	return fd;
}

/* A frame behind its length; returns the size of both. */
static size_t make_frame(uint8_t *at, size_t length, uint64_t destination, uint64_t source)
{
	put_be32(at, (uint32_t)length);
	for (size_t i = 0; i < length; i++)
		at[4 + i] = (uint8_t)i;
	for (unsigned i = 0; i < 6; i++) {
		at[4 + i] = (uint8_t)(destination >> (40 - 8 * i));
		at[10 + i] = (uint8_t)(source >> (40 - 8 * i));
	}
	put_be16(at + 16, 0x88b5);
	return 4 + length;
}

/* Reads all that is there and counts whole frames; -1 where they are not what a stream must be. */
static int count_frames(int fd, size_t *left)
{
	static uint8_t bytes[4 << 20];
	size_t end = 0, at = 0;
	ssize_t got;
	int count = 0;

	while (end < sizeof(bytes) &&
	       (got = recv(fd, bytes + end, sizeof(bytes) - end, MSG_DONTWAIT)) > 0)
		end += (size_t)got;
	while (end - at >= 4 && get_be32(bytes + at) <= end - at - 4) {
		if (get_be32(bytes + at) < 14 || get_be32(bytes + at) > 65553)
			return -1;
		at += 4 + get_be32(bytes + at);
		count++;
	}
	*left = end - at;
	return count;
}

/* In pieces of any size, frames come as they were sent. */
static void test_frames_in_pieces(void)
{
	uint8_t bytes[8192];
	struct bed bed;
	size_t size = 0, left;
	int fd;

	bed_make(&bed, path_of("pieces"), false);
	fd = connect_to(&bed.endpoint);
	bed_run(&bed);
	CU_ASSERT_TRUE(stream_port(&bed)->up);
	size += make_frame(bytes + size, 60, A, B);
	size += make_frame(bytes + size, 1514, BROADCAST, B);
	size += make_frame(bytes + size, 13, A, B); /* too short, and no reason to hang up */
	size += make_frame(bytes + size, 0, A, B) - 0;
	size += make_frame(bytes + size, 61, A, B);
	for (size_t i = 0; i < size; i++) {
		CU_ASSERT_EQUAL(send(fd, bytes + i, 1, 0), 1);
		bed_run(&bed);
	}
	CU_ASSERT_EQUAL_FATAL(bed.a->out_count, 3);
	CU_ASSERT_EQUAL(bed.a->out[0].length, 60);
	CU_ASSERT_EQUAL(bed.a->out[1].length, 1514);
	CU_ASSERT_EQUAL(memcmp(bed.a->out[1].bytes, bytes + 64 + 4, 1514), 0);
	CU_ASSERT_EQUAL(bed.a->out[2].length, 61);
	CU_ASSERT_EQUAL(stream_port(&bed)->counters.drops[PORT_DROP_BAD_LENGTH], 2);
	fake_port_put_frame(bed.a, B, A, 0);
	bed_run(&bed);
	CU_ASSERT_EQUAL(count_frames(fd, &left), 1);
	CU_ASSERT_EQUAL(left, 0);
	close(fd);
	vswitch_destroy(bed.vswitch);
	CU_ASSERT_NOT_EQUAL(access(path_of("pieces"), F_OK), 0);
}

/* A great many in one go. */
static void test_many_at_once(void)
{
	static uint8_t bytes[600 * 1600];
	struct bed bed;
	size_t size = 0, sent = 0;
	unsigned count = 0;
	int fd;

	bed_make(&bed, path_of("many"), false);
	fd = connect_to(&bed.endpoint);
	for (unsigned i = 0; i < 500; i++)
		size += make_frame(bytes + size, 60 + 2 * i % 1500, A, B);
	while (sent < size) {
		ssize_t put = send(fd, bytes + sent, size - sent, MSG_DONTWAIT);

		if (put > 0)
			sent += (size_t)put;
		bed_run(&bed);
	}
	CU_ASSERT_EQUAL(bed.a->out_count, 500);
	for (unsigned i = 0; i < bed.a->out_count; i++)
		count += bed.a->out[i].length == 60 + 2 * i % 1500;
	CU_ASSERT_EQUAL(count, 500);
	close(fd);
	vswitch_destroy(bed.vswitch);
}

/* A length that nobody sends ends the connection, whatever comes behind it; the next peer is served. */
static void test_a_length_that_cannot_be(void)
{
	static const uint32_t lengths[] = { 69633, 0x7fffffff, 0x80000000, 0xffffffff };
	uint8_t bytes[4096];
	struct bed bed;
	ssize_t got;
	char byte;
	int fd;

	bed_make(&bed, path_of("hostile"), false);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		size_t size = make_frame(bytes, 60, A, B);

		fd = connect_to(&bed.endpoint);
		put_be32(bytes + size, lengths[i]);
		CU_ASSERT_EQUAL(send(fd, bytes, 1000, 0), 1000);
		bed_run(&bed);
		CU_ASSERT_EQUAL(bed.a->out_count, i + 1);
		CU_ASSERT_FALSE(stream_port(&bed)->up);
		got = recv(fd, &byte, 1, MSG_DONTWAIT);
		CU_ASSERT_TRUE(!got || (got < 0 && errno == ECONNRESET));
		close(fd);
	}
	/* As long as QEMU's buffer, and longer than a frame can be: counted. */
	fd = connect_to(&bed.endpoint);
	put_be32(bytes, 69632);
	CU_ASSERT_EQUAL(send(fd, bytes, 4, 0), 4);
	for (unsigned i = 0; i < 69632 / 4096; i++) {
		CU_ASSERT_EQUAL(send(fd, bytes, 4096, 0), 4096);
		bed_run(&bed);
	}
	CU_ASSERT_TRUE(stream_port(&bed)->up);
	CU_ASSERT_EQUAL(stream_port(&bed)->counters.drops[PORT_DROP_BAD_LENGTH], 1);
	close(fd);
	vswitch_destroy(bed.vswitch);
}

/* Who sends what is no frame has no more of a round than who sends frames, and is heard to the end. */
static void test_a_peer_that_sends_nothing_but_wrong_frames(void)
{
	static const uint8_t zeros[65536];
	uint64_t sent = 0, counted = 0, before;
	struct port *port;
	struct bed bed;
	ssize_t put;
	int fd;

	bed_make(&bed, path_of("wrong"), false);
	fd = connect_to(&bed.endpoint);
	bed_run(&bed);
	while ((put = send(fd, zeros, sizeof(zeros), MSG_DONTWAIT)) > 0)
		sent += (uint64_t)put / 4;
	CU_ASSERT_TRUE_FATAL(sent > 100 * PORT_BURST);
	/* As its thread, which does not sleep where a port has something. */
	port = vswitch_find_port(bed.vswitch, "s");
	do {
		before = counted;
		vswitch_thread_dispatch(&bed.vswitch->threads[0], 0);
		vswitch_round(bed.vswitch);
		counted = port->counters.drops[PORT_DROP_BAD_LENGTH];
		CU_ASSERT_TRUE(counted - before <= PORT_BURST);
	} while (counted > before || port->ops->arm(port));
	CU_ASSERT_EQUAL(counted, sent);
	CU_ASSERT_TRUE(stream_port(&bed)->up);
	close(fd);
	vswitch_destroy(bed.vswitch);
}

/* Who comes and goes in a loop gets a share of the thread's time, and waits at the socket when he has had it. */
static void test_a_peer_that_comes_and_goes_without_end(void)
{
	unsigned came = 0;
	struct bed bed;
	int fd;

	bed_make(&bed, path_of("storm"), false);
	do {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(fd, &bed.endpoint.address.any, bed.endpoint.length)) {
			CU_ASSERT_EQUAL(errno, EAGAIN);
			came = 0;
		} else {
			came++;
		}
		close(fd);
		bed_run(&bed);
	} while (came && came < 1000000);
	CU_ASSERT_EQUAL(came, 0);
	/* He is served when it has rested, and so is the next one. */
	bed.clock += SECOND;
	bed_run(&bed);
	fd = connect_to(&bed.endpoint);
	bed_run(&bed);
	CU_ASSERT_TRUE(stream_port(&bed)->up);
	close(fd);
	vswitch_destroy(bed.vswitch);
}

/* All that a peer has sent is on its way over a bad link at once, however many bursts it is. */
static void test_over_a_link(void)
{
	const struct link_model late = { .delay_ns = SECOND };
	uint8_t bytes[400 * 64];
	struct error error = { 0 };
	size_t size = 0;
	struct bed bed;
	int fd;

	bed_make(&bed, path_of("link"), false);
	CU_ASSERT_EQUAL_FATAL(vswitch_set_link(bed.vswitch, "s", LINK_IN, &late, &error), 0);
	fd = connect_to(&bed.endpoint);
	bed_run(&bed);
	for (unsigned i = 0; i < 400; i++)
		size += make_frame(bytes + size, 60, A, B);
	CU_ASSERT_EQUAL(send(fd, bytes, size, 0), (ssize_t)size);
	bed_run(&bed);
	CU_ASSERT_EQUAL(bed.a->out_count, 0);
	bed.clock += SECOND;
	bed_run(&bed);
	CU_ASSERT_EQUAL(bed.a->out_count, 400);
	close(fd);
	vswitch_destroy(bed.vswitch);
}

/* More pieces than one system call takes are no want of room. */
static void test_frames_in_many_pieces(void)
{
	struct bed bed;
	size_t left;
	int fd;

	bed_make(&bed, path_of("pieces"), false);
	fd = connect_to(&bed.endpoint);
	bed_run(&bed);
	bed.a->small_pieces = true;
	for (unsigned i = 0; i < 40; i++)
		fake_port_put_frame(bed.a, BROADCAST, A, 3300);
	bed_run(&bed);
	CU_ASSERT_EQUAL(stream_port(&bed)->counters.tx_frames, 40);
	CU_ASSERT_EQUAL(stream_port(&bed)->counters.drops[PORT_DROP_NO_BUFFER], 0);
	CU_ASSERT_EQUAL(count_frames(fd, &left), 40);
	close(fd);
	vswitch_destroy(bed.vswitch);
}

/* Others go on, what has no room is counted, and the stream is whole when it reads again. */
static void test_a_peer_that_stops_reading(void)
{
	struct bed bed;
	struct fake_port *c;
	size_t left;
	int fd, count = 0, got;

	bed_make(&bed, path_of("stops"), false);
	c = fake_port_add(bed.vswitch, "c", 0);
	fd = connect_to(&bed.endpoint);
	bed_run(&bed);
	for (unsigned round = 0; round < 20; round++) {
		fake_port_clear(c);
		for (unsigned i = 0; i < 100; i++)
			fake_port_put_frame(bed.a, BROADCAST, A, 1514);
		bed_run(&bed);
		CU_ASSERT_EQUAL(c->out_count, 100);
	}
	CU_ASSERT_TRUE(stream_port(&bed)->counters.drops[PORT_DROP_NO_BUFFER] > 0);
	CU_ASSERT_EQUAL(stream_port(&bed)->counters.drops[PORT_DROP_NO_BUFFER] +
				stream_port(&bed)->counters.tx_frames,
			2000);
	/* The rest of the last frame comes by itself. */
	for (unsigned i = 0; i < 10; i++) {
		uint8_t length[4];

		if (!count) { /* a little first, so that there is room for a part only */
			CU_ASSERT_EQUAL(recv(fd, length, 4, 0), 4);
			CU_ASSERT_EQUAL(get_be32(length), 1514);
			for (size_t at = 0; at < 1514; at++)
				recv(fd, length, 1, 0);
			count = 1;
		}
		got = count_frames(fd, &left);
		CU_ASSERT_TRUE_FATAL(got >= 0);
		count += got;
		if (left) { /* of a frame whose end is on its way: begin anew with it */
			CU_ASSERT_TRUE(left < 1518);
			bed_run(&bed);
			CU_ASSERT_EQUAL(recv(fd, (uint8_t[1518]){ 0 }, 1518 - left, MSG_DONTWAIT),
					(ssize_t)(1518 - left));
			count++;
		}
		bed_run(&bed);
	}
	CU_ASSERT_EQUAL((uint64_t)count, stream_port(&bed)->counters.tx_frames);
	close(fd);
	vswitch_destroy(bed.vswitch);
}

static void test_one_peer_at_a_time(void)
{
	struct bed bed;
	char byte;
	int first, second;

	bed_make(&bed, path_of("one"), false);
	first = connect_to(&bed.endpoint);
	bed_run(&bed);
	second = connect_to(&bed.endpoint);
	bed_run(&bed);
	CU_ASSERT_EQUAL(recv(second, &byte, 1, MSG_DONTWAIT), 0);
	close(second);
	/* The one that comes as the first one goes is served, whatever is seen first. */
	close(first);
	second = connect_to(&bed.endpoint);
	bed_run(&bed);
	CU_ASSERT_TRUE(stream_port(&bed)->up);
	CU_ASSERT_EQUAL(stream_port(&bed)->counters.connections, 2);
	close(second);
	bed_run(&bed);
	CU_ASSERT_FALSE(stream_port(&bed)->up);
	vswitch_destroy(bed.vswitch);
}

/* A client looks for its server each second, until there is one, and again when it has gone. */
static void try_client(const char *where)
{
	struct vswitch_status *status;
	bool refused = false;
	struct error error = { 0 };
	struct bed bed;
	int listener, peer;

	bed_make(&bed, where, true);
	/* Over the loopback the refusal may take its time. */
	for (unsigned wait = 0; wait < 60000 && !refused; wait++) {
		bed_run(&bed);
		CU_ASSERT_EQUAL_FATAL(vswitch_status(bed.vswitch, &status), 0);
		refused = strstr(status->ports[1].state, "cannot connect") != NULL;
		vswitch_status_free(status);
		usleep(refused ? 0 : 1000);
	}
	CU_ASSERT_TRUE(refused);
	if (endpoint_is_local(&bed.endpoint)) {
		listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		CU_ASSERT_EQUAL_FATAL(
			bind(listener, &bed.endpoint.address.any, bed.endpoint.length), 0);
		CU_ASSERT_EQUAL_FATAL(listen(listener, 1), 0);
	} else {
		listener = endpoint_listen(&bed.endpoint, SOCK_STREAM, &error);
		CU_ASSERT_TRUE_FATAL(listener >= 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		bed.clock += SECOND / 2;
		bed_run(&bed);
		CU_ASSERT_FALSE(stream_port(&bed)->up);
		bed.clock += SECOND / 2;
		for (unsigned wait = 0; wait < 60000 && !stream_port(&bed)->up; wait++) {
			bed_run(&bed);
			usleep(1000);
		}
		CU_ASSERT_TRUE_FATAL(stream_port(&bed)->up);
		peer = accept(listener, NULL, NULL);
		CU_ASSERT_TRUE_FATAL(peer >= 0);
		close(peer);
		for (unsigned wait = 0; wait < 60000 && stream_port(&bed)->up; wait++) {
			bed_run(&bed);
			usleep(1000);
		}
		CU_ASSERT_FALSE(stream_port(&bed)->up);
	}
	/* Between two tries it may go, too. */
	CU_ASSERT_EQUAL(vswitch_remove_port(bed.vswitch, "s", &error), 0);
	bed.clock += 10 * SECOND;
	bed_run(&bed);
	close(listener);
	vswitch_destroy(bed.vswitch);
}

static void test_a_client_of_a_path(void)
{
	try_client(path_of("client"));
}

static void test_a_client_of_tcp(void)
{
	char where[64];
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	/* A port that nobody has, nor gets: the system's choice, where nobody listens yet. Were it free, the client could be given it, and
	 * be connected with itself. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	snprintf(where, sizeof(where), "tcp:127.0.0.1:%u", ntohs(address.sin_port));
	try_client(where);
	close(fd);
}

/* Without descriptors nobody waits for ever, and nor is the thread busy with him (bed_run()). */
static void test_out_of_descriptors(void)
{
	struct rlimit old, few;
	struct bed bed;
	char byte;
	int fd, least;

	bed_make(&bed, path_of("few"), false);
	fd = connect_to(&bed.endpoint);
	least = dup(fd); /* the first that is free */
	close(least);
	getrlimit(RLIMIT_NOFILE, &old);
	few = (struct rlimit){ (rlim_t)least, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &few);
	bed_run(&bed);
	setrlimit(RLIMIT_NOFILE, &old);
	CU_ASSERT_EQUAL(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
	close(fd);
	fd = connect_to(&bed.endpoint);
	bed_run(&bed);
	CU_ASSERT_TRUE(stream_port(&bed)->up);
	close(fd);
	vswitch_destroy(bed.vswitch);
}

static void expect_state(const struct bed *bed, const char *expected)
{
	char where[PORT_TEXT_MAX], state[PORT_TEXT_MAX], text[PORT_TEXT_MAX];
	struct port *port = vswitch_find_port(bed->vswitch, "s");

	port->ops->describe(port, where, state, text);
	CU_ASSERT_STRING_EQUAL(state, expected);
}

/* Nobody will come to a path that is not there any more, or another's. */
static void test_its_file_is_removed(void)
{
	static const char gone[] = "its socket file is gone: remove the port and add it again";
	struct bed bed;
	FILE *file;
	int fd;

	bed_make(&bed, path_of("removed"), false);
	fd = connect_to(&bed.endpoint);
	expect_state(&bed, "waiting for a peer");
	bed_run(&bed);
	CU_ASSERT_EQUAL(unlink(path_of("removed")), 0);
	expect_state(&bed, "up");
	close(fd);
	bed_run(&bed);
	expect_state(&bed, gone);
	file = fopen(path_of("removed"), "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fclose(file);
	expect_state(&bed, gone);
	vswitch_destroy(bed.vswitch);
	CU_ASSERT_EQUAL(unlink(path_of("removed")), 0);
}

static void test_addresses(void)
{
	static const char *const bad[] = { "",
					   "tcp:",
					   "tcp:localhost:1",
					   "tcp:127.0.0.1",
					   "tcp:127.0.0.1:0",
					   "tcp:127.0.0.1:65536",
					   "tcp:127.0.0.1:1x",
					   "tcp:[::1:1",
					   "tcp:[]:1",
					   "tcp:::1:1",
					   "udp:127.0.0.1:1",
					   "unix:" };
	static const char *const good[] = { "tcp:127.0.0.1:1", "tcp::65535", "tcp:[::1]:80", "path",
					    "/a/b:c",          "unix:x" };
	struct endpoint endpoint;
	struct error error = { 0 };
	char path[200];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CU_ASSERT_EQUAL(endpoint_parse(&endpoint, bad[i], "tcp", &error), -EINVAL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		CU_ASSERT_EQUAL(endpoint_parse(&endpoint, good[i], "tcp", &error), 0);
	memset(path, '/', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	CU_ASSERT_EQUAL(endpoint_parse(&endpoint, path, "tcp", &error), -ENAMETOOLONG);
}

/* Files come with its frames, and nobody wants them: who closes them waits. And with who comes while it is there. */
static void test_a_peer_that_sends_files(void)
{
	struct lingering files[3];
	uint8_t bytes[100];
	size_t size = make_frame(bytes, 60, BROADCAST, B);
	struct bed bed;
	int fd, second;

	bed_make(&bed, path_of("files"), false);
	for (unsigned i = 0; i < 3; i++)
		lingering_make(&files[i]);
	fd = connect_to(&bed.endpoint);
	lingering_send(&files[0], fd, bytes, (unsigned)size, 1, 0);
	bed_run(&bed);
	CU_ASSERT_EQUAL(stream_port(&bed)->counters.rx_frames, 1);
	second = connect_to(&bed.endpoint);
	lingering_send(&files[1], second, NULL, 0, 1, 0);
	bed_run(&bed);
	lingering_send(&files[2], fd, bytes, (unsigned)size, 1, 0);
	vswitch_destroy(bed.vswitch);
	for (unsigned i = 0; i < 3; i++)
		lingering_end(&files[i]);
	close(second);
	close(fd);
}

UNIT_MAIN("ports on stream sockets", UNIT(test_frames_in_pieces), UNIT(test_many_at_once),
	  UNIT(test_a_length_that_cannot_be), UNIT(test_a_peer_that_sends_nothing_but_wrong_frames),
	  UNIT(test_a_peer_that_comes_and_goes_without_end), UNIT(test_over_a_link),
	  UNIT(test_frames_in_many_pieces), UNIT(test_a_peer_that_stops_reading),
	  UNIT(test_one_peer_at_a_time), UNIT(test_a_client_of_a_path), UNIT(test_a_client_of_tcp),
	  UNIT(test_out_of_descriptors), UNIT(test_a_peer_that_sends_files),
	  UNIT(test_its_file_is_removed), UNIT(test_addresses))
