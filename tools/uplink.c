/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See uplink.h. What guests send is read here by a library that had its faults: so when it is set up the process gives up what it
 * needs no more: files (Landlock, where the kernel has it), capabilities, and the calls by which others start programs or reach
 * into processes (seccomp).
 */
#include "tools/uplink.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "netdev/user_network.h"
#include "tools/cli.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/confine.h"
#include "util/error.h"
#include "util/seccomp_library.h"
#include "vswitch/port_user.h"

#define SOCKET_FD  3
#define READY_FD   4
#define CONTROL_FD 5

/* Root has them all, and a program may have them by its file (setcap). A raw socket is what libslirp makes for a guest's ping where
 * this user has no other. What it is to listen at, it does already. */
static int give_up_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &head, sets))
		return -errno;
	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		sets[i].permitted &= i == CAP_TO_INDEX(CAP_NET_RAW) ? CAP_TO_MASK(CAP_NET_RAW) : 0;
		sets[i].effective &= sets[i].permitted;
		sets[i].inheritable = 0;
	}
	return syscall(SYS_capset, &head, sets) ? -errno : 0;
}

static int forbid_calls(void)
{
	static const int calls[] = {
		SCMP_SYS(execve),      SCMP_SYS(execveat),       SCMP_SYS(fork),
		SCMP_SYS(vfork),       SCMP_SYS(ptrace),         SCMP_SYS(process_vm_readv),
		SCMP_SYS(kill),        SCMP_SYS(tkill),          SCMP_SYS(process_vm_writev),
		SCMP_SYS(mount),       SCMP_SYS(unshare),        SCMP_SYS(setns),
		SCMP_SYS(bpf),         SCMP_SYS(io_uring_setup), SCMP_SYS(userfaultfd),
		SCMP_SYS(pidfd_getfd), SCMP_SYS(keyctl),         SCMP_SYS(perf_event_open),
	};
	scmp_filter_ctx filter = libseccomp.seccomp_init(SCMP_ACT_ALLOW);
	int rc = filter ? 0 : -ENOMEM;

	for (size_t i = 0; i < ARRAY_SIZE(calls) && !rc; i++)
		rc = libseccomp.seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 0);
	if (!rc)
		rc = libseccomp.seccomp_load(filter);
	if (filter)
		libseccomp.seccomp_release(filter);
	return rc;
}

/* The resolver's file, and the folder of what it is a link to: programs write that anew. */
static void confine(void)
{
	CLEANUP_FREE char *real = realpath("/etc/resolv.conf", NULL);
	struct confine_path paths[] = { { "/etc/resolv.conf", false }, { real, false } };
	char *slash = real ? strrchr(real, '/') : NULL;

	if (slash && !strncmp(real, "/run/", 5))
		*slash = '\0';
	/* Without Landlock the user's files are as open to it as to the user: docs/threat-model.md. */
	(void)confine_files(paths, real ? 2 : 1);
	(void)give_up_capabilities();
	(void)forbid_calls();
}

static void tell_ready(void *arg)
{
	int unused;

	(void)arg;
	confine();
	unused = dprintf(READY_FD, USER_PORT_READY);
	(void)unused;
	close(READY_FD);
}

int uplink_process(int argc, char **argv)
{
	struct user_network_options options = { 0 };
	struct error error = { 0 };
	int rc = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
	int unused;

	for (int i = 0; i < argc && !rc; i++)
		if (!strcmp(argv[i], "loopback"))
			options.loopback = true;
		else if (!strcmp(argv[i], "nodhcp"))
			options.no_dhcp = true;
		else
			rc = user_network_parse_forward(&options, argv[i], &error);
	/* While files can be reached: confine(). */
	if (!rc)
		rc = libseccomp_load(&error);
	if (!rc)
		rc = user_network_run(SOCKET_FD, CONTROL_FD, &options, tell_ready, NULL, &error);
	if (!rc)
		return EXIT_DONE;
	unused = dprintf(READY_FD, "%s\n%s", error.text, error.advice);
	(void)unused;
	return EXIT_FAILED;
}
