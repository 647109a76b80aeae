/* SPDX-License-Identifier: BSD-2-Clause */
/* Surviving a peer that shortens its file: see memory_guard.h. */
#include "virtio/memory_guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/bytes.h"

#define BLOCK_GUARDS 256

/*
 * States of a guard, by `start`: FREE; CLAIMED, while its other fields are written, which nobody else
 * does then; an address: guarded. memory_guard_add() goes from FREE over CLAIMED to an address,
 * memory_guard_remove() back. The handler reads the other fields only after an address. It cannot
 * change under it, because who touches a mapping has not removed its guard. Who counts what is mapped counts what is
 * claimed too: two that come at once may both be refused, but not both be taken.
 */
enum { FREE = 0, CLAIMED = 1 };

struct memory_guard {
	_Atomic uintptr_t start;
	_Atomic size_t length;
	_Atomic int connection;
	_Atomic bool torn;
};

struct guard_block {
	struct guard_block *next;
	struct memory_guard guards[BLOCK_GUARDS];
};

static _Atomic(struct guard_block *) blocks;
static struct sigaction before;
static pthread_once_t installed = PTHREAD_ONCE_INIT;

static struct memory_guard *find(uintptr_t address)
{
	for (struct guard_block *block = atomic_load(&blocks); block; block = block->next) {
		for (unsigned i = 0; i < BLOCK_GUARDS; i++) {
			struct memory_guard *guard = &block->guards[i];
			uintptr_t start = atomic_load(&guard->start);

			if (start > CLAIMED && address - start < atomic_load(&guard->length))
				return guard;
		}
	}
	return NULL;
}

/* What would have happened without us: somebody else's handler, or the end of the process when the
 * access is repeated. */
static void pass_on(int number, siginfo_t *info, void *context)
{
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(number, info, context);
	else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
		before.sa_handler(number);
	else
		signal(number, SIG_DFL);
}

static void handle_sigbus(int number, siginfo_t *info, void *context)
{
	struct memory_guard *guard = find((uintptr_t)info->si_addr);
	int saved = errno;
	void *start;

	if (!guard || info->si_code <= 0) { /* sent by kill() */
		pass_on(number, info, context);
		return;
	}
	/* Another thread may have done it meanwhile. A second time would take away what was written
	 * since, and that is nobody's. */
	start = (void *)atomic_load(&guard->start);
	if (mmap(start, atomic_load(&guard->length), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED) {
		pass_on(number, info, context);
		return;
	}
	atomic_store(&guard->torn, true);
	if (atomic_load(&guard->connection) >= 0)
		(void)shutdown(atomic_load(&guard->connection), SHUT_RDWR);
	errno = saved;
}

static void install(void)
{
	/* Not on a stack of its own: fibers have room, and a frame that lies on theirs is the one that a
	 * debugger expects. */
	struct sigaction action = { .sa_sigaction = handle_sigbus,
				    .sa_flags = SA_SIGINFO | SA_RESTART };

	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, &before);
}

static struct memory_guard *claim(struct guard_block *block)
{
	for (unsigned i = 0; i < BLOCK_GUARDS; i++) {
		uintptr_t expected = FREE;

		if (atomic_compare_exchange_strong(&block->guards[i].start, &expected, CLAIMED))
			return &block->guards[i];
	}
	return NULL;
}

static struct memory_guard *claim_any(void)
{
	struct guard_block *block, *fresh;

	for (block = atomic_load(&blocks); block; block = block->next) {
		struct memory_guard *guard = claim(block);

		if (guard)
			return guard;
	}
	fresh = calloc(1, sizeof(*fresh));
	if (!fresh)
		return NULL;
	atomic_store(&fresh->guards[0].start, CLAIMED);
	fresh->next = atomic_load(&blocks);
	while (!atomic_compare_exchange_weak(&blocks, &fresh->next, fresh))
		;
	return &fresh->guards[0];
}

/* Claims one, with all that is known before there is an address. */
static struct memory_guard *prepare(size_t length, int connection)
{
	struct memory_guard *guard;

	pthread_once(&installed, install);
	guard = claim_any();
	if (!guard)
		return NULL;
	atomic_store(&guard->length, length);
	atomic_store(&guard->connection, connection);
	atomic_store(&guard->torn, false);
	return guard;
}

int memory_guard_add(struct memory_guard **out, void *at, size_t length, int connection)
{
	struct memory_guard *guard = prepare(length, connection);

	if (!guard)
		return -ENOMEM;
	atomic_store(&guard->start, (uintptr_t)at);
	*out = guard;
	return 0;
}

/* Whether what is mapped or about to be, with `own`, is no more than there is for this peer and for all. */
static bool fits(const struct memory_guard *own)
{
	uint64_t all = 0, peers = 0;

	if (atomic_load(&own->length) > MEMORY_GUARD_PEER_MOST)
		return false;
	for (struct guard_block *block = atomic_load(&blocks); block; block = block->next)
		for (unsigned i = 0; i < BLOCK_GUARDS; i++) {
			const struct memory_guard *guard = &block->guards[i];
			size_t length = atomic_load(&guard->length);

			if (atomic_load(&guard->start) == FREE)
				continue;
			all += length;
			if (atomic_load(&guard->connection) == atomic_load(&own->connection))
				peers += length;
		}
	return peers <= MEMORY_GUARD_PEER_MOST && all <= MEMORY_GUARD_MOST;
}

/* To whole pages of the file's. */
static int round_length(size_t *length, int fd)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (*length > MEMORY_GUARD_PEER_MOST)
		return -E2BIG;
	if (is_power_of_two((uint64_t)status.st_blksize))
		*length = round_up(*length, (uint64_t)status.st_blksize);
	return 0;
}

int memory_guard_map(struct memory_guard **out, void **at, size_t *length, int fd, int connection)
{
	struct memory_guard *guard;
	int rc = round_length(length, fd);

	if (rc < 0)
		return rc;
	guard = prepare(*length, connection);
	if (!guard)
		return -ENOMEM;
	if (!fits(guard)) {
		memory_guard_remove(guard);
		return -E2BIG;
	}
	*at = mmap(NULL, *length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (*at == MAP_FAILED) {
		rc = -errno;
		memory_guard_remove(guard);
		return rc;
	}
	atomic_store(&guard->start, (uintptr_t)*at);
	*out = guard;
	return 0;
}

void memory_guard_remove(struct memory_guard *guard)
{
	if (guard)
		atomic_store(&guard->start, FREE);
}

bool memory_guard_torn(const struct memory_guard *guard)
{
	return guard && atomic_load(&guard->torn);
}
