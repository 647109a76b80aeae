/* SPDX-License-Identifier: BSD-2-Clause */
/* A thread in the sandbox does what a vCPU does, and dies of anything else. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/error.h"
#include "util/peer_file.h"
#include "vmm/sandbox.h"

/* Runs `act` in the sandbox of a process of its own; how that ended, as from wait(). */
static int in_sandbox(void (*act)(void))
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		if (sandbox_enter_vcpu(NULL) < 0)
			_exit(9);
		act();
		_exit(0);
	}
	waitpid(child, &status, 0);
	return status;
}

static void work_as_a_vcpu_does(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	void *at = malloc(1 << 20);

	/* A back-end that does not answer is hung up on; there is none, which is fine. */
	(void)shutdown(-1, SHUT_RDWR);
	eventfd_write(fd, 1);
	memset(at, 1, 1 << 20);
	free(at);
	close(fd);
}

static int files[3];

/* A back-end may send with an answer what nobody has asked for. */
static void close_files_of_a_back_end(void)
{
	for (unsigned i = 0; i < 3; i++)
		peer_file_close(files[i]);
}

static void open_a_file(void)
{
	_exit(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES ? 3 : 0);
}

/* Off the main thread, much that others had left in its allocator's arena is freed. */
static void *free_much_on_a_thread(void *unused)
{
	enum { COUNT = 40000 };
	void **at = calloc(COUNT, sizeof(*at));

	for (unsigned i = 0; i < COUNT; i++)
		at[i] = malloc(100);
	if (sandbox_enter_vcpu(NULL) < 0)
		_exit(9);
	for (unsigned i = COUNT; i-- > 0;)
		free(at[i]);
	free(at);
	return unused;
}

static void start_a_program(void)
{
	execl("/bin/true", "true", NULL);
}

static void reach_the_network(void)
{
	(void)!socket(AF_INET, SOCK_STREAM, 0);
}

static void make_code(void)
{
	(void)!mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static bool sandboxed(void)
{
	int status = in_sandbox(reach_the_network);

	if (WIFSIGNALED(status))
		return true;
	unit_skip("no sandbox in this build, or not allowed here");
	return false;
}

static void *do_nothing(void *unused)
{
	return unused;
}

static void test_a_vcpu_can_work(void)
{
	pthread_t thread;

	CU_ASSERT_EQUAL(in_sandbox(work_as_a_vcpu_does), 0);
	/* A machine's process has had threads before. */
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, do_nothing, NULL), 0);
	pthread_join(thread, NULL);
	files[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	files[1] = eventfd(0, EFD_CLOEXEC);
	files[2] = memfd_create("inflight", MFD_CLOEXEC);
	CU_ASSERT_EQUAL(in_sandbox(close_files_of_a_back_end), 0);
	close(files[0]);
	close(files[1]);
	close(files[2]);
}

static void test_memory_may_be_given_back(void)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		pthread_t thread;

		pthread_create(&thread, NULL, free_much_on_a_thread, NULL);
		pthread_join(thread, NULL);
		_exit(0);
	}
	waitpid(child, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
}

static void test_no_file_can_be_opened(void)
{
	if (sandboxed())
		CU_ASSERT_EQUAL(WEXITSTATUS(in_sandbox(open_a_file)), 3);
}

static void test_anything_else_kills(void)
{
	static void (*const acts[])(void) = { start_a_program, reach_the_network, make_code };

	if (!sandboxed())
		return;
	for (unsigned i = 0; i < 3; i++) {
		int status = in_sandbox(acts[i]);

		CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	}
}

UNIT_MAIN("vmm sandbox", UNIT(test_a_vcpu_can_work), UNIT(test_memory_may_be_given_back),
	  UNIT(test_no_file_can_be_opened), UNIT(test_anything_else_kills))
