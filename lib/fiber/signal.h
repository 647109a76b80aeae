/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiting for signals on a fiber. */
#ifndef TENON_FIBER_SIGNAL_H
#define TENON_FIBER_SIGNAL_H

#include <signal.h>

/* Suspends until one of these signals comes; all threads must block them. Returns its number, or
 * -ECANCELED, or the errno of what could not be made. */
int fiber_wait_signal(const sigset_t *set);

#endif
