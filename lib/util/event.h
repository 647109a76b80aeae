/* SPDX-License-Identifier: BSD-2-Clause */
/* Eventfds that a peer has given us. */
#ifndef TENON_UTIL_EVENT_H
#define TENON_UTIL_EVENT_H

/*
 * Takes what was signalled at `fd`: 1, or 0 if nothing was. Never waits, whatever the file is and whoever
 * else reads it: O_NONBLOCK belongs to the open file, which the peer shares, so that it may have taken the
 * flag and the signal back since poll(2) said that there is one. A negative errno if the file is of no
 * use: it ended, or cannot be read without waiting.
 */
int event_take(int fd);

#endif
