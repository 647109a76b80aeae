/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitch: ports for clients of VDE that say nothing, half of it, or stop reading. */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_port.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/unix_socket.h"
#include "vswitch/internal.h"
#include "vswitch/port_vde.h"

#define SECOND    1000000000ULL
#define BROADCAST 0xffffffffffffULL
#define A         0x0200000000a1ULL

static uint64_t test_clock(void *arg)
{
	return *(uint64_t *)arg;
}

static void run(struct vswitch *vswitch)
{
	for (unsigned i = 0; i < 1000; i++)
		if (!(vswitch_thread_dispatch(&vswitch->threads[0], 0) + vswitch_round(vswitch)))
			return;
	CU_FAIL("it never ends");
}

static int open_ctl(const char *directory)
{
	char path[300];
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(path, sizeof(path), "%s/ctl", directory);
	CU_ASSERT_EQUAL_FATAL(unix_socket_address(&address, path, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* A whole client, at last. */
static int plug_in(struct vswitch *vswitch, const char *directory, int ctl)
{
	uint8_t request[122 + 4] = { 0 };
	struct sockaddr_un own, theirs;
	char path[300];
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	snprintf(path, sizeof(path), "%s/client", directory);
	CU_ASSERT_EQUAL_FATAL(unix_socket_address(&own, path, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
	memcpy(request, &(uint32_t){ 0xfeedface }, 4);
	memcpy(request + 4, &(uint32_t){ 3 }, 4);
	memcpy(request + 12, &own, sizeof(own));
	/* Byte by byte, but for the description. */
	for (unsigned i = 0; i < 122; i++) {
		CU_ASSERT_EQUAL(send(ctl, request + i, i == 121 ? 5 : 1, 0), i == 121 ? 5 : 1);
		run(vswitch);
	}
	CU_ASSERT_EQUAL_FATAL(recv(ctl, &theirs, sizeof(theirs), MSG_DONTWAIT), sizeof(theirs));
	CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&theirs, sizeof(theirs)), 0);
	unlink(path);
	return fd;
}

static void test_clients(void)
{
	uint64_t clock = 1000 * SECOND;
	struct vswitch_options options = { .seed = 1, .clock = test_clock, .clock_arg = &clock };
	struct vswitch_vde_options vde = { 0 };
	uint8_t bytes[2000] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1 };
	struct error error = { 0 };
	struct vswitch *vswitch;
	struct fake_port *a, *c;
	char directory[256], byte;
	const struct port *port;
	unsigned count = 0;
	int silent, ctl, fd;

	snprintf(directory, sizeof(directory), "%s/vde", unit_directory());
	vde.directory = directory;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	a = fake_port_add(vswitch, "a", 0);
	c = fake_port_add(vswitch, "c", 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_vde(vswitch, "v", &vde, &error), 0);
	port = vswitch_find_port(vswitch, "v");
	/* One that says nothing has the place for five seconds. */
	silent = open_ctl(directory);
	run(vswitch);
	ctl = open_ctl(directory);
	run(vswitch);
	CU_ASSERT_EQUAL(recv(ctl, &byte, 1, MSG_DONTWAIT), 0);
	close(ctl);
	clock += 5 * SECOND;
	run(vswitch);
	CU_ASSERT_EQUAL(recv(silent, &byte, 1, MSG_DONTWAIT), 0);
	close(silent);
	/* Its time begins when it comes, also where nothing has happened for a while. */
	clock += 60 * SECOND;
	ctl = open_ctl(directory);
	run(vswitch);
	fd = plug_in(vswitch, directory, ctl);
	CU_ASSERT_TRUE(port->up);
	clock += 10 * SECOND;
	run(vswitch);
	CU_ASSERT_TRUE(port->up);
	CU_ASSERT_EQUAL(send(fd, bytes, 13, 0), 13);
	CU_ASSERT_EQUAL(send(fd, bytes, 60, 0), 60);
	run(vswitch);
	CU_ASSERT_EQUAL(a->out_count, 1);
	CU_ASSERT_EQUAL(port->counters.drops[PORT_DROP_BAD_LENGTH], 1);
	/* It stops reading: others go on. */
	fake_port_clear(c);
	for (unsigned i = 0; i < 500; i++)
		fake_port_put_frame(a, BROADCAST, A, 1514);
	run(vswitch);
	CU_ASSERT_EQUAL(c->out_count, 500);
	CU_ASSERT_EQUAL(port->counters.tx_frames + port->counters.drops[PORT_DROP_NO_BUFFER], 500);
	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) == 1514)
		count++;
	CU_ASSERT_EQUAL(count, port->counters.tx_frames);
	CU_ASSERT_TRUE(count > 0 && count < 500);
	/* Its datagram socket goes without the other one, then that, too. */
	close(fd);
	fake_port_put_frame(a, BROADCAST, A, 1514);
	run(vswitch);
	CU_ASSERT_EQUAL(port->counters.drops[PORT_DROP_DOWN], 1);
	close(ctl);
	run(vswitch);
	CU_ASSERT_FALSE(port->up);
	/* Removed while somebody is about to plug in. */
	ctl = open_ctl(directory);
	run(vswitch);
	CU_ASSERT_EQUAL(vswitch_remove_port(vswitch, "v", &error), 0);
	clock += 10 * SECOND;
	run(vswitch);
	CU_ASSERT_NOT_EQUAL(access(directory, F_OK), 0);
	close(ctl);
	vswitch_destroy(vswitch);
}

/* Of two ports with one directory: without descriptors who comes is hung up on, and the threads are not busy with him (run()). */
static void test_out_of_descriptors(void)
{
	struct vswitch_vde_options vde = { 0 };
	struct vswitch *vswitch;
	struct rlimit old, few;
	char directory[256], byte;
	int ctl, least;

	snprintf(directory, sizeof(directory), "%s/few", unit_directory());
	vde.directory = directory;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, NULL, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_vde(vswitch, "v", &vde, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_vde(vswitch, "w", &vde, NULL), 0);
	ctl = open_ctl(directory);
	least = dup(ctl); /* the first that is free */
	close(least);
	getrlimit(RLIMIT_NOFILE, &old);
	few = (struct rlimit){ (rlim_t)least, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &few);
	run(vswitch);
	setrlimit(RLIMIT_NOFILE, &old);
	CU_ASSERT_EQUAL(recv(ctl, &byte, 1, MSG_DONTWAIT), 0);
	close(ctl);
	ctl = open_ctl(directory);
	run(vswitch);
	close(plug_in(vswitch, directory, ctl));
	CU_ASSERT_TRUE(vswitch_find_port(vswitch, "v")->up);
	close(ctl);
	vswitch_destroy(vswitch);
}

static mode_t mode_of(const char *directory, const char *name)
{
	struct stat status = { 0 };
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	CU_ASSERT_EQUAL(stat(path, &status), 0);
	return status.st_mode & 07777;
}

/* Who may plug in may send, too, whatever the umask. */
static void test_access(void)
{
	const struct unix_socket_access access = { .mode = 0660,
						   .has_group = true,
						   .group = getegid() };
	struct vswitch_vde_options vde = { .access = &access };
	struct error error = { 0 };
	struct vswitch *vswitch;
	mode_t before = umask(077);
	char directory[256];
	int ctl, fd;

	snprintf(directory, sizeof(directory), "%s/access", unit_directory());
	vde.directory = directory;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, NULL, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_vde(vswitch, "v", &vde, &error), 0);
	CU_ASSERT_EQUAL(mode_of(directory, "."), 0750);
	CU_ASSERT_EQUAL(mode_of(directory, "ctl"), 0660);
	ctl = open_ctl(directory);
	run(vswitch);
	fd = plug_in(vswitch, directory, ctl);
	CU_ASSERT_EQUAL(mode_of(directory, "ctl.data"), 0660);
	close(fd);
	close(ctl);
	vswitch_destroy(vswitch);
	umask(before);
}

/* By a symbolic link and by detours it is the same directory, with one socket, whose access is the first port's. */
static void test_spellings(void)
{
	const struct unix_socket_access access = { .mode = 0660 }, other = { .mode = 0666 };
	char directory[256], link[256], detour[256];
	struct vswitch_vde_options first = { .directory = directory, .access = &access },
				   second = { .directory = link },
				   third = { .directory = detour, .access = &access },
				   wrong = { .directory = link, .access = &other };
	struct error error = { 0 };
	struct vswitch *vswitch;
	int ctl[3], fd[3];

	snprintf(directory, sizeof(directory), "%s/same", unit_directory());
	snprintf(link, sizeof(link), "%s/link", unit_directory());
	snprintf(detour, sizeof(detour), "%s/./same/../link/", unit_directory());
	CU_ASSERT_EQUAL_FATAL(symlink("same", link), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, NULL, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_vde(vswitch, "u", &first, &error), 0);
	CU_ASSERT_EQUAL(vswitch_add_port_vde(vswitch, "x", &wrong, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "with mode 0660: it cannot have mode 0666"));
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_vde(vswitch, "v", &second, &error), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_vde(vswitch, "w", &third, &error), 0);
	for (unsigned i = 0; i < 3; i++) {
		ctl[i] = open_ctl(i ? link : directory);
		run(vswitch);
		fd[i] = plug_in(vswitch, directory, ctl[i]);
		CU_ASSERT_EQUAL(mode_of(directory, i == 0   ? "ctl.data"
						   : i == 1 ? "ctl.data1"
							    : "ctl.data2"),
				0660);
	}
	for (const char *name = "uvw"; *name; name++)
		CU_ASSERT_TRUE(vswitch_find_port(vswitch, (char[]){ *name, '\0' })->up);
	/* The first that came may go first. */
	CU_ASSERT_EQUAL(vswitch_remove_port(vswitch, "u", &error), 0);
	CU_ASSERT_EQUAL(vswitch_add_port_vde(vswitch, "x", &wrong, &error), -EINVAL);
	for (unsigned i = 0; i < 3; i++) {
		close(fd[i]);
		close(ctl[i]);
	}
	vswitch_destroy(vswitch);
	CU_ASSERT_NOT_EQUAL(rmdir(directory), 0); /* it went with them */
	unlink(link);
}

static int make_socket(const char *path, uid_t owner)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	CU_ASSERT_EQUAL_FATAL(unix_socket_address(&address, path, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL_FATAL(chown(path, owner, (gid_t)-1), 0);
	return fd;
}

struct exchange {
	char own[300], others[300], path[300], next[300];
	atomic_bool stop;
};

/* Has the path be the client's own socket, and a link to another's, in turn. */
static void *go_on_exchanging(void *arg)
{
	struct exchange *exchange = arg;

	while (!atomic_load(&exchange->stop)) {
		if (link(exchange->own, exchange->next) || rename(exchange->next, exchange->path) ||
		    symlink(exchange->others, exchange->next) ||
		    rename(exchange->next, exchange->path))
			break;
	}
	return NULL;
}

/* What was looked at is what is sent to. */
static void test_a_path_that_is_exchanged(void)
{
	uint64_t clock = 1000 * SECOND;
	struct vswitch_options options = { .seed = 1, .clock = test_clock, .clock_arg = &clock };
	uint8_t request[122] = { 0 }, bytes[64];
	struct vswitch_vde_options vde = { 0 };
	struct exchange exchange = { .stop = false };
	struct sockaddr_un named;
	struct error error = { 0 };
	struct vswitch *vswitch;
	char directory[256];
	struct fake_port *a;
	pthread_t thread;
	int own, others;

	if (geteuid() != 0)
		return; /* there is nobody else */
	snprintf(directory, sizeof(directory), "%s/exchange", unit_directory());
	snprintf(exchange.own, sizeof(exchange.own), "%s.own", directory);
	snprintf(exchange.others, sizeof(exchange.others), "%s.others", directory);
	snprintf(exchange.path, sizeof(exchange.path), "%s.path", directory);
	snprintf(exchange.next, sizeof(exchange.next), "%s.next", directory);
	own = make_socket(exchange.own, 0);
	others = make_socket(exchange.others, 1);
	vde.directory = directory;
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	a = fake_port_add(vswitch, "a", 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_vde(vswitch, "v", &vde, &error), 0);
	CU_ASSERT_EQUAL_FATAL(unix_socket_address(&named, exchange.path, NULL), 0);
	memcpy(request, &(uint32_t){ 0xfeedface }, 4);
	memcpy(request + 4, &(uint32_t){ 3 }, 4);
	memcpy(request + 12, &named, sizeof(named));
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, go_on_exchanging, &exchange), 0);
	for (unsigned i = 0; i < 2000; i++) {
		int ctl = open_ctl(directory);

		clock += SECOND; /* it has no share to wait for */
		run(vswitch);
		CU_ASSERT_EQUAL(send(ctl, request, sizeof(request), MSG_NOSIGNAL), 122);
		run(vswitch);
		fake_port_put_frame(a, BROADCAST, A, 60);
		run(vswitch);
		while (recv(own, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
			;
		CU_ASSERT_TRUE_FATAL(recv(others, bytes, sizeof(bytes), MSG_DONTWAIT) < 0);
		close(ctl);
		run(vswitch);
	}
	atomic_store(&exchange.stop, true);
	pthread_join(thread, NULL);
	close(own);
	close(others);
	vswitch_destroy(vswitch);
}

/* Who comes and goes in a loop has a share of the thread's time at each port of a directory; who comes then waits, and is not sent away. */
static void test_a_client_that_comes_and_goes_without_end(void)
{
	uint64_t clock = 1000 * SECOND;
	struct vswitch_options options = { .seed = 1, .clock = test_clock, .clock_arg = &clock };
	char directory[256], path[300], byte;
	struct vswitch_vde_options vde = { .directory = directory };
	struct sockaddr_un address;
	struct error error = { 0 };
	struct vswitch *vswitch;
	int ctl, late, fd = -1;
	unsigned came = 0;

	snprintf(directory, sizeof(directory), "%s/storm", unit_directory());
	snprintf(path, sizeof(path), "%s/ctl", directory);
	CU_ASSERT_EQUAL_FATAL(unix_socket_address(&address, path, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_create(&vswitch, &options, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_vde(vswitch, "v", &vde, &error), 0);
	CU_ASSERT_EQUAL_FATAL(vswitch_add_port_vde(vswitch, "w", &vde, &error), 0);
	ctl = open_ctl(directory);
	run(vswitch);
	fd = plug_in(vswitch, directory, ctl);
	do {
		late = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(late, (void *)&address, sizeof(address)))
			came = 0;
		else
			came++;
		close(late);
		run(vswitch);
	} while (came && came < 1000000);
	CU_ASSERT_EQUAL(came, 0);
	CU_ASSERT_TRUE(vswitch_find_port(vswitch, "v")->up);
	/* The rest of them, and one who stays. */
	for (late = -1; late < 0; clock += SECOND / 20, run(vswitch)) {
		late = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(late, (void *)&address, sizeof(address))) {
			close(late);
			late = -1;
		}
	}
	for (unsigned i = 0; i < 20; i++) {
		clock += SECOND / 20;
		run(vswitch);
	}
	CU_ASSERT_EQUAL(recv(late, &byte, 1, MSG_DONTWAIT), -1);
	close(plug_in(vswitch, directory, late));
	CU_ASSERT_TRUE(vswitch_find_port(vswitch, "w")->up);
	close(late);
	close(ctl);
	close(fd);
	vswitch_destroy(vswitch);
}

UNIT_MAIN("ports for clients of VDE", UNIT(test_clients), UNIT(test_out_of_descriptors),
	  UNIT(test_access), UNIT(test_spellings), UNIT(test_a_path_that_is_exchanged),
	  UNIT(test_a_client_that_comes_and_goes_without_end))
