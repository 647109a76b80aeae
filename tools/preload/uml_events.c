/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For User Mode Linux, by LD_PRELOAD: its interrupts come one at a time, so that none is lost.
 *
 * Linux 4.16 to 6.12 at least (arch/um/os-Linux/irq.c, kernel/irq.c) takes up to 64 events from epoll_wait() into one static array, and goes
 * through it in _sigio_handler(). Each interrupt that it does for one of them ends in irq_exit(), which runs soft interrupts with signals enabled: a
 * SIGIO that comes meanwhile begins the same function anew, whose events go over those that the first has not come to. They are edges
 * (EPOLLET), told once: a device that signalled then is not heard, nor is it again, for its driver says by the ring (used_event) that it waits
 * still for what it was told of. With an array of one entry nothing is left in it when an interrupt begins.
 *
 * A file with an interrupt for reading and one for writing is told of twice, for the same reason.
 */
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

/* It is called with signals disabled, by one thread: the second part of an event that was told in two. */
static struct epoll_event second;

int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	int count;

	(void)max;
	if (second.events) {
		*events = second;
		second.events = 0;
		return 1;
	}
	count = (int)syscall(SYS_epoll_wait, epfd, events, 1, timeout);
	if (count == 1 && (events->events & EPOLLOUT) && (events->events & ~(uint32_t)EPOLLOUT)) {
		second = *events;
		second.events = EPOLLOUT;
		events->events &= ~(uint32_t)EPOLLOUT;
	}
	return count;
}
