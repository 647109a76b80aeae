/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/util/peer_file: files that a peer sends, wanted or not, and that have whoever closes them wait: for an hour, unless another thread does it. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lingering.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/peer_file.h"
#include "util/unix_socket.h"

#define PATIENCE 12000 /* looks, 10 ms apart */

struct bed {
	int ends[2]; /* the peer's, ours */
	struct lingering lingering;
};

static void bed_make(struct bed *bed, int type)
{
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, bed->ends), 0);
	peer_socket_begin(bed->ends[1]);
	lingering_make(&bed->lingering);
}

static void bed_end(struct bed *bed)
{
	peer_socket_close(bed->ends[1]);
	cleanup_close(&bed->ends[0]);
	lingering_end(&bed->lingering);
}

/* Theirs end when the other end of what lingers has. */
static void await_closings(void)
{
	for (unsigned i = 0; peer_files_waiting() && i < PATIENCE; i++)
		usleep(10000);
}

static void test_with_bytes_that_are_wanted(void)
{
	char text[8];
	struct bed bed;

	bed_make(&bed, SOCK_STREAM);
	lingering_send(&bed.lingering, bed.ends[0], "bytes", 5, 1, 0);
	CU_ASSERT_EQUAL(peer_receive_bytes(bed.ends[1], text, sizeof(text)), 5);
	CU_ASSERT_EQUAL(peer_receive_bytes(bed.ends[1], text, sizeof(text)), -EAGAIN);
	bed_end(&bed);
}

/* More than any message has, of which some are wanted. */
static void test_many(void)
{
	unsigned count = 2;
	int files[2];
	struct bed bed;
	char byte;

	bed_make(&bed, SOCK_STREAM);
	lingering_send(&bed.lingering, bed.ends[0], NULL, 0, 50, 0);
	CU_ASSERT_EQUAL(peer_receive(bed.ends[1], &byte, 1, 0, files, &count), 1);
	CU_ASSERT_EQUAL(count, 50);
	CU_ASSERT_NOT_EQUAL(files[0], files[1]);
	CU_ASSERT_TRUE(fcntl(files[1], F_GETFD) & FD_CLOEXEC);
	peer_file_close(files[0]);
	peer_file_close(files[1]);
	bed_end(&bed);
}

/* An urgent byte is dropped by who reads past it. */
static void test_with_an_urgent_byte(void)
{
	struct bed bed;
	char byte;

	bed_make(&bed, SOCK_STREAM);
	if (send(bed.ends[1], "!", 1, MSG_OOB) < 0) {
		unit_skip("unix sockets have no urgent bytes in this kernel");
		bed_end(&bed);
		close(bed.lingering.fd);
		return;
	}
	lingering_send(&bed.lingering, bed.ends[0], NULL, 0, 1, MSG_OOB);
	CU_ASSERT_EQUAL(send(bed.ends[0], "?", 1, 0), 1);
	CU_ASSERT_EQUAL(peer_receive_bytes(bed.ends[1], &byte, 1), 1);
	CU_ASSERT_EQUAL(byte, '!');
	CU_ASSERT_EQUAL(peer_receive_bytes(bed.ends[1], &byte, 1), 1);
	CU_ASSERT_EQUAL(byte, '?');
	bed_end(&bed);
}

static void test_nobody_takes_it(void)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };

	for (unsigned i = 0; i < 3; i++) {
		struct bed bed;

		bed_make(&bed, types[i]);
		lingering_send(&bed.lingering, bed.ends[0], NULL, 0, 1, 0);
		bed_end(&bed);
	}
}

/* A socket that was sent, with the file in it. */
static void test_within_a_socket(void)
{
	struct bed bed;
	int pair[2];

	bed_make(&bed, SOCK_STREAM);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	lingering_send(&bed.lingering, pair[0], NULL, 0, 1, 0);
	close(pair[0]);
	CU_ASSERT_TRUE(peer_file_is_prompt(pair[1]));
	peer_file_close(pair[1]);
	bed_end(&bed);
}

/* As many closings wait as may: what is sent without files still comes, and files stay where they are. */
static void test_as_many_as_may(void)
{
	unsigned count = 2, held = 0;
	static struct bed beds[200];
	struct bed next;
	int files[2];
	char text[8];

	bed_make(&next, SOCK_STREAM);
	for (; !peer_files_wait() && held < 200; held++) {
		bed_make(&beds[held], SOCK_STREAM);
		lingering_send(&beds[held].lingering, beds[held].ends[0], NULL, 0, 1, 0);
		CU_ASSERT_EQUAL(peer_receive_bytes(beds[held].ends[1], text, 1), 1);
	}
	CU_ASSERT_TRUE(peer_files_wait());
	CU_ASSERT_EQUAL(send(next.ends[0], "one", 3, 0), 3);
	CU_ASSERT_EQUAL(peer_receive(next.ends[1], text, 2, MSG_DONTWAIT, files, &count), 2);
	CU_ASSERT_EQUAL(count, 0);
	CU_ASSERT_EQUAL(peer_look(next.ends[1], text, sizeof(text), MSG_DONTWAIT), 1);
	CU_ASSERT_EQUAL(peer_receive_bytes(next.ends[1], text, sizeof(text)), 1);
	CU_ASSERT_EQUAL(text[0], 'e');
	lingering_send(&next.lingering, next.ends[0], "two", 3, 1, 0);
	CU_ASSERT_EQUAL(peer_receive_bytes(next.ends[1], text, sizeof(text)), -EMFILE);
	CU_ASSERT_EQUAL(peer_look(next.ends[1], text, 1, MSG_DONTWAIT), -EMFILE);
	CU_ASSERT_PTR_NOT_NULL(strstr(peer_error_name(-EMFILE), "not closed yet"));
	bed_end(&next);
	while (held--)
		bed_end(&beds[held]);
	await_closings();
	CU_ASSERT_FALSE(peer_files_wait());
	CU_ASSERT_PTR_NULL(strstr(peer_error_name(-EMFILE), "not closed yet"));
}

/* Nor was there a thread for it: it gets one when there is. In a process of its own, whose rights go with it. */
static int close_without_threads(void)
{
	const struct rlimit none = { 0, 4096 }, some = { 4096, 4096 };
	unsigned held = 0;
	int ends[2];

	if (setuid(65534) || setrlimit(RLIMIT_NPROC, &none))
		return 77;
	for (; !peer_files_wait() && held < 200; held++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) ||
		    send(ends[0], "!", 1, 0) != 1)
			return 1;
		close(ends[0]);
		peer_file_close(ends[1]);
	}
	if (!peer_files_wait() || peer_files_waiting() != held)
		return 2;
	if (setrlimit(RLIMIT_NPROC, &some))
		return 3;
	for (unsigned i = 0; peer_files_wait() && i < PATIENCE; i++)
		usleep(10000);
	if (peer_files_wait())
		return 4;
	await_closings();
	return peer_files_waiting() ? 5 : fcntl(ends[1], F_GETFD) < 0 ? 0 : 6;
}

static void test_no_thread_at_first(void)
{
	int status = 0;
	pid_t child;

	if (geteuid()) {
		unit_skip("only root can become a user who has no processes");
		return;
	}
	child = fork();
	if (!child)
		_exit(close_without_threads());
	waitpid(child, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		unit_skip("cannot become a user who has no processes");
	else
		CU_ASSERT_EQUAL(status, 0);
}

/* Who connected, and was not accepted. */
static void test_a_listener_ends(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct lingering lingering;
	struct unix_listener listener;
	struct error error;
	int peers[2];
	CLEANUP_CLOSE int late = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/ends", unit_directory());
	CU_ASSERT_EQUAL_FATAL(unix_listen(&listener, address.sun_path, &error), 0);
	lingering_make(&lingering);
	for (unsigned i = 0; i < 2; i++) {
		peers[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		CU_ASSERT_EQUAL_FATAL(connect(peers[i], (void *)&address, sizeof(address)), 0);
	}
	/* Of the second one. */
	lingering_send(&lingering, peers[1], NULL, 0, 1, 0);
	unix_listener_close(&listener);
	CU_ASSERT_EQUAL(connect(late, (void *)&address, sizeof(address)), -1);
	lingering_end(&lingering);
	await_closings();
	CU_ASSERT_EQUAL(peer_files_waiting(), 0);
	for (unsigned i = 0; i < 2; i++)
		close(peers[i]);
}

static void test_what_holds_nobody(void)
{
	CLEANUP_CLOSE int memory = memfd_create("peer", MFD_CLOEXEC);
	CLEANUP_CLOSE int event = eventfd(0, EFD_CLOEXEC), zero = open("/dev/zero", O_RDONLY);
	struct bed bed;

	bed_make(&bed, SOCK_STREAM);
	CU_ASSERT_TRUE(peer_file_is_prompt(memory));
	CU_ASSERT_TRUE(peer_file_is_prompt(event));
	CU_ASSERT_TRUE(peer_file_is_prompt(bed.ends[1]));
	CU_ASSERT_FALSE(peer_file_is_prompt(zero));
	CU_ASSERT_FALSE(peer_file_is_prompt(bed.lingering.other));
	lingering_send(&bed.lingering, bed.ends[0], NULL, 0, 1, 0);
	bed_end(&bed);
}

/* An overlay of two folders, which has no disk of its own, and who has mounts of his own (libvirt's QEMU does). Status 77: that cannot be had here. */
static int look_at_overlay(void)
{
	char options[600], path[300];
	const char *folder = unit_directory();
	int fd, status = 0;
	pid_t child;

	snprintf(options, sizeof(options), "lowerdir=%s/a:%s/b,userxattr", folder, folder);
	snprintf(path, sizeof(path), "%s/both/file", folder);
	/* First as it is without another one's mounts. */
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", dirname(strdupa(path)), "overlay", 0, options))
		return 77;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || !peer_file_is_prompt(fd))
		return 1;
	close(fd);
	child = fork();
	if (!child) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		/* The file's mount is another one than is seen here from now on. */
		if (fd < 0 || unshare(CLONE_NEWNS))
			_exit(77);
		_exit(peer_file_is_prompt(fd) ? 0 : 2);
	}
	waitpid(child, &status, 0);
	return WEXITSTATUS(status);
}

static void test_a_file_system_that_is_mounted_twice(void)
{
	char path[300];
	int status = 0;
	pid_t child;

	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", unit_directory(),
			 (const char *const[]){ "a", "b", "both" }[i]);
		CU_ASSERT_EQUAL_FATAL(mkdir(path, 0755), 0);
	}
	snprintf(path, sizeof(path), "%s/a/file", unit_directory());
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	child = fork();
	if (!child)
		_exit(look_at_overlay());
	waitpid(child, &status, 0);
	if (WEXITSTATUS(status) == 77)
		unit_skip("no overlay can be mounted here");
	else
		CU_ASSERT_EQUAL(status, 0);
}

UNIT_MAIN("files of peers", UNIT(test_with_bytes_that_are_wanted), UNIT(test_many),
	  UNIT(test_with_an_urgent_byte), UNIT(test_nobody_takes_it), UNIT(test_within_a_socket),
	  UNIT(test_what_holds_nobody), UNIT(test_a_file_system_that_is_mounted_twice),
	  UNIT(test_as_many_as_may), UNIT(test_no_thread_at_first), UNIT(test_a_listener_ends))
