/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Giving events to peers that would hold who gives them.
 *
 * write(2) to an eventfd waits while its counter is full, unless O_NONBLOCK is set; and that belongs to the open
 * file, which the peer that made it shares. There is no write that says by itself not to wait (RWF_NOWAIT is
 * refused), and a look before it, by poll(2), is out of date when it is there: the peer fills the counter in
 * between. io_uring and libaio can signal an eventfd from within the kernel, for half as much again as write(2) costs and
 * more. So it is written to, and a thread that is held for more than a moment is freed by a signal from another, which
 * sleeps while nothing is given.
 */
#ifndef TENON_UTIL_EVENT_GUARD_H
#define TENON_UTIL_EVENT_GUARD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Of one thread, which gives events while others (vCPUs, peers) wait for it. */
struct event_guard {
	pthread_t owner, thread;
	int wake_fd;  /* -1: there is no thread yet */
	bool refused; /* nor can there be one */
	atomic_bool giving, asleep, ending;
	atomic_uint gives;
};

/* Makes `guard` the calling thread's until event_guard_end(); the thread may be interrupted by SIGURG from then on.
 * Costs nothing until it gives an event. */
void event_guard_begin(struct event_guard *guard);
void event_guard_end(struct event_guard *guard);

/*
 * Signals `fd`, an eventfd: 0, also where its counter is full, which says the same; -EINTR where its counter was full
 * and its owner had this thread wait, for a fifth of a second at most where the thread has a guard. Else a
 * negative errno.
 */
int event_give(int fd);

/* Whether `fd` is an eventfd, or a pipe or unix socket as user-mode Linux gives: any other file may hold who writes to it
 * for longer, and by other means. */
bool event_can_be_given(int fd);

/* The same, but for sockets, which bring files (peer_file.h). */
bool event_can_be_taken(int fd);

#endif
