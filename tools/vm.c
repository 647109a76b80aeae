/* `tenon vm run`: a KVM machine with our own monitor. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "tools/cli.h"
#include "util/log.h"
#include "vmm/machine.h"

/* How long a guest has to power off after a polite signal. */
#define GRACE_SECONDS 10

/* ---- Signals: SIGTERM, SIGINT and SIGHUP press the power button, then switch off ---- */

struct signals {
	struct machine *machine;
	sigset_t set;
	pthread_t thread;
	_Atomic bool done, forced;
};

static void *watch_signals(void *argument)
{
	const struct timespec grace = { .tv_sec = GRACE_SECONDS };
	struct signals *signals = argument;
	int number;

	sigwait(&signals->set, &number);
	if (atomic_load(&signals->done))
		return NULL;
	machine_press_power_button(signals->machine);
	sigtimedwait(&signals->set, NULL, &grace);
	if (atomic_load(&signals->done))
		return NULL;
	atomic_store(&signals->forced, true);
	machine_stop(signals->machine);
	return NULL;
}

/* Before any other thread is made, so that all of them leave these signals alone. */
static void block_signals(struct signals *signals)
{
	sigemptyset(&signals->set);
	sigaddset(&signals->set, SIGTERM);
	sigaddset(&signals->set, SIGINT);
	sigaddset(&signals->set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals->set, NULL);
}

static int run_with_signals(struct signals *signals, enum machine_end *end, struct error *error)
{
	int rc = pthread_create(&signals->thread, NULL, watch_signals, signals);

	if (rc)
		return error_set(error, -rc, "cannot start a thread: %s", error_name(rc));
	rc = machine_run(signals->machine, end, error);
	atomic_store(&signals->done, true);
	pthread_kill(signals->thread, SIGTERM);
	pthread_join(signals->thread, NULL);
	if (!rc && *end == MACHINE_END_STOPPED && atomic_load(&signals->forced))
		return error_set(error, -ETIMEDOUT,
				 "the guest did not power off when asked to, and was switched off");
	return rc;
}

/* ---- run ---- */

static const char run_usage[] =
	"vm run --kernel FILE [--initrd FILE] [--cmdline TEXT] [--memory 256M] [--cpus 1]\n"
	"	[--console stdio|FILE]";

static int run_machine(const struct machine_options *options, struct error *error)
{
	struct signals signals = { 0 };
	enum machine_end end;
	int rc;

	block_signals(&signals);
	rc = machine_create(&signals.machine, options, error);
	if (rc < 0)
		return rc;
	rc = run_with_signals(&signals, &end, error);
	machine_destroy(signals.machine);
	return rc;
}

static int run(int argc, char **argv)
{
	struct machine_options machine = { .console = "stdio" };
	uint64_t memory = 256ULL << 20, cpus = 1;
	struct log log;
	const struct cli_option options[] = {
		{ "kernel", CLI_TEXT, &machine.kernel, "FILE", "the kernel: a bzImage" },
		{ "initrd", CLI_TEXT, &machine.initrd, "FILE", "its initial RAM disk" },
		{ "cmdline", CLI_TEXT, &machine.cmdline, "TEXT",
		  "kernel parameters (console=ttyS0)" },
		{ "memory", CLI_SIZE, &memory, "SIZE", "of the machine (256M)" },
		{ "cpus", CLI_NUMBER, &cpus, "N", "processors (1)" },
		{ "console", CLI_TEXT, &machine.console, "stdio|FILE",
		  "where the serial console goes; on a terminal Ctrl-A x ends the machine" },
		{ 0 },
	};
	struct cli_words operands;
	struct error error = { 0 };
	int status, rc;

	if (!cli_parse(run_usage, options, argc, argv, 0, 0, &operands, &status))
		return status;
	if (!machine.kernel)
		return cli_usage_error("--kernel is missing");
	log_to_stderr(&log, LOG_LEVEL_WARNING);
	machine.log = &log;
	machine.memory = memory;
	machine.cpus = (unsigned)(cpus > 100000 ? 100000 : cpus);
	rc = run_machine(&machine, &error);
	return rc < 0 ? cli_fail(rc, &error) : EXIT_DONE;
}

int command_vm(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "run", run, "--kernel FILE [OPTION]...", "boot a machine on this console" },
		{ 0 },
	};

	return cli_run_verb("vm", verbs, argc, argv);
}
