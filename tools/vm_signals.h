/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The signals of `tenon vm run`, from the first to the last moment: a thread that waits for them.
 *
 * Before the machine runs, and after it has ended, SIGINT, SIGTERM and SIGHUP do what they do to any program,
 * whatever the command is waiting for. While it runs, the first presses the guest's power button; a second,
 * or VM_GRACE_SECONDS in which the guest does not power off, switches the machine off; a third ends the
 * program, should even that hang. SIGHUP counts only if it was not ignored before (nohup). SIGCONT brings back
 * the terminal's raw mode.
 */
#ifndef TENON_TOOLS_VM_SIGNALS_H
#define TENON_TOOLS_VM_SIGNALS_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

struct error;
struct machine;

#define VM_GRACE_SECONDS 10

struct vm_signals {
	sigset_t set, before;
	pthread_t thread;

	pthread_mutex_t lock;    /* guards the rest */
	struct machine *machine; /* that runs; NULL: none does */
	bool done;
	bool forced; /* the machine was switched off because of signals or the lack of an answer */
	unsigned signals; /* so far, that ask for the end */
};

/* Before any other thread is made: they inherit that these signals are not theirs. */
int vm_signals_start(struct vm_signals *signals, struct error *error);
/* The machine runs from now on; does not any more (NULL). */
void vm_signals_watch(struct vm_signals *signals, struct machine *machine);
/* Ends the thread. */
void vm_signals_stop(struct vm_signals *signals);

#endif
