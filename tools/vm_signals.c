/* SPDX-License-Identifier: BSD-2-Clause */
/* Signals of `tenon vm run`; see vm_signals.h. */
#include "tools/vm_signals.h"

#include <errno.h>

#include "util/bytes.h"
#include "util/error.h"
#include "vmm/machine.h"

/* They end the program, as ever; but not before the terminal is as it was. */
static const int deadly[] = { SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM,
			      SIGPROF, SIGXCPU, SIGIO,   SIGPWR };

static bool is_deadly(int number)
{
	bool is = false;

	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++)
		is |= number == deadly[i];
	return is;
}

/* Ends the program by the signal, so that whoever waits for it sees that. */
static void die_of(struct vm_signals *signals, int number)
{
	sigset_t only;

	if (signals->machine)
		machine_leave_terminal(signals->machine);
	signal(number, SIG_DFL);
	sigemptyset(&only);
	sigaddset(&only, number);
	pthread_sigmask(SIG_UNBLOCK, &only, NULL);
	raise(number);
}

static void switch_off(struct vm_signals *signals)
{
	signals->forced = true;
	machine_stop(signals->machine);
}

/* With the lock held. `number` is a signal, or -1 when the guest's time is over. */
static void handle(struct vm_signals *signals, int number)
{
	if (number == SIGCONT) {
		if (signals->machine)
			machine_continued(signals->machine);
		return;
	}
	if (number < 0) {
		if (signals->machine && !signals->forced)
			switch_off(signals);
		return;
	}
	if (!signals->machine || signals->forced || is_deadly(number)) {
		die_of(signals, number);
		return;
	}
	if (signals->signals++ == 0)
		machine_press_power_button(signals->machine);
	else
		switch_off(signals);
}

static void *wait_for_signals(void *argument)
{
	const struct timespec grace = { .tv_sec = VM_GRACE_SECONDS };
	struct vm_signals *signals = argument;
	bool pressed = false, done = false;

	while (!done) {
		int number = pressed ? sigtimedwait(&signals->set, NULL, &grace)
				     : sigwaitinfo(&signals->set, NULL);

		if (number < 0 && errno != EAGAIN)
			continue;
		pthread_mutex_lock(&signals->lock);
		done = signals->done;
		if (!done)
			handle(signals, number);
		pressed = signals->signals > 0 && !signals->forced;
		pthread_mutex_unlock(&signals->lock);
	}
	return NULL;
}

/* Blocked signals wait, ignored ones too, so that those are left out. */
static void add_unless_ignored(sigset_t *set, int number)
{
	struct sigaction before;

	if (sigaction(number, NULL, &before) < 0 || before.sa_handler != SIG_IGN)
		sigaddset(set, number);
}

int vm_signals_start(struct vm_signals *signals, struct error *error)
{
	sigset_t blocked;
	int rc;

	pthread_mutex_init(&signals->lock, NULL);
	sigemptyset(&signals->set);
	sigaddset(&signals->set, SIGTERM);
	sigaddset(&signals->set, SIGINT);
	sigaddset(&signals->set, SIGCONT);
	add_unless_ignored(&signals->set, SIGHUP);
	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++)
		add_unless_ignored(&signals->set, deadly[i]);
	blocked = signals->set;
	/* A terminal that is used from the background is an error of the call, and stops nobody. */
	sigaddset(&blocked, SIGTTIN);
	sigaddset(&blocked, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &blocked, &signals->before);
	rc = pthread_create(&signals->thread, NULL, wait_for_signals, signals);
	return rc ? error_set(error, -rc, "cannot start a thread: %s", error_name(rc)) : 0;
}

void vm_signals_watch(struct vm_signals *signals, struct machine *machine)
{
	pthread_mutex_lock(&signals->lock);
	signals->machine = machine;
	pthread_mutex_unlock(&signals->lock);
}

void vm_signals_stop(struct vm_signals *signals)
{
	pthread_mutex_lock(&signals->lock);
	signals->done = true;
	pthread_mutex_unlock(&signals->lock);
	pthread_kill(signals->thread, SIGCONT); /* is in the set in any case */
	pthread_join(signals->thread, NULL);
	pthread_mutex_destroy(&signals->lock);
	pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
}
