/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Surviving a peer that shortens a file which it shares with us.
 *
 * Touching a mapped page that lies past the end of its file raises SIGBUS, which ends the process, and with
 * it every other client. So each mapping of a peer's file is guarded: the handler of that signal finds
 * which mapping was touched, puts zero pages of our own in its place (all of it, so that what follows is
 * one thing and not two), marks it as torn, and hangs up on the peer's connection. The access is then
 * repeated and goes on; whatever is read is zeroes, what is written goes nowhere. The peer's own
 * loop sees the hang-up, as of any client that left, and lets go of its memory when all is quiet.
 *
 * The kernel's own accesses (O_DIRECT into guest memory) fail with EFAULT and raise nothing.
 *
 * Threads that touch such memory must not block SIGBUS; workers do not.
 *
 * The signal's handler is the process's: this module is the one place with file-global state (but for a count in util/peer_file.c). It is installed
 * with the first guard. A SIGBUS elsewhere has the effect that it had before. The handler only
 * loads and stores atomics and makes two system calls, mmap() and shutdown(), both of which may be made
 * in a handler. The table is a list of blocks that are added and never freed, so it is read without locks.
 */
#ifndef TENON_VIRTIO_MEMORY_GUARD_H
#define TENON_VIRTIO_MEMORY_GUARD_H

#include <stdbool.h>
#include <stddef.h>

struct memory_guard;

/* A peer's file may be of any length and takes no memory, but its mapping takes addresses, without which nothing else can
 * be mapped in this process: of those (47 bits) one peer gets so much, and all together leave some to the rest. */
#define MEMORY_GUARD_PEER_MOST (16ULL << 40)
#define MEMORY_GUARD_MOST      (96ULL << 40)

/*
 * Guards [at, at + length), which is mapped for reading and writing, until it is removed; do that before it
 * is unmapped, and before `connection` is closed: the peer's socket, to be shut down, or -1. 0 or -ENOMEM.
 * From any thread.
 */
int memory_guard_add(struct memory_guard **out, void *at, size_t length, int connection);
/* Maps the first *length bytes of a file, shared, for reading and writing, and guards that. *length becomes that of the mapping, of whole
 * pages of the file's, which are huge ones where the peer likes: munmap() takes no part of one. -E2BIG: more than a peer gets, or
 * than is left; -ENOMEM; or fstat()'s or mmap()'s errno. The caller unmaps it, after it has removed the guard. */
int memory_guard_map(struct memory_guard **out, void **at, size_t *length, int fd, int connection);
/* NULL is fine. */
void memory_guard_remove(struct memory_guard *guard);

/* Whether its memory is not the peer's any more. NULL is fine. */
bool memory_guard_torn(const struct memory_guard *guard);

#endif
