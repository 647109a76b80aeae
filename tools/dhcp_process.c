/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See dhcp_process.h. DHCP and DNS of a segment, without root: in a user and network namespace of its own, in which this user is
 * root, there is one TAP interface, and dnsmasq listens at it and at nothing else. Frames between it and the switch are carried
 * here.
 *
 *	switch <- stream socket -> this process <- TAP -> dnsmasq, in the namespace
 *
 * Who ends takes the others along. The switch, however it ends: the socket is at its end, and this process ends dnsmasq. This process: dnsmasq
 * is sent SIGTERM by the kernel, and the switch starts another one of it. dnsmasq: its standard error is at its end.
 *
 * The file of leases is locked here for as long as this process lives, so that two servers do not share one. dnsmasq, which closes what it
 * inherits, is ended by SIGTERM: it has done then with what it writes.
 */
#include "tools/dhcp_process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/route.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "netdev/dnsmasq.h"
#include "netdev/link.h"
#include "netdev/tap.h"
#include "tools/cli.h"
#include "tools/spawn.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/confine.h"
#include "util/error.h"
#include "util/ethernet.h"
#include "util/log.h"
#include "vswitch/port_user.h"

#define SOCKET_FD   3
#define READY_FD    4
#define INTERFACE   "dhcp0"
#define LENGTH_SIZE 4
#define FRAME_MOST  1518
#define PEER_MAX    69632 /* as long as a frame of the stream may be */
#define LOCK_TRIES  100   /* every 20 ms */

#define SECOND       1000000000ull
#define TROUBLE_LATE 5 /* seconds that dnsmasq may be late with trying again */

struct dhcp_process {
	struct dnsmasq dnsmasq;
	const char *leases;
	uint8_t mac[6];
	struct tap tap;
	int leases_fd, said; /* dnsmasq's standard error */
	pid_t child;
	bool ready, ended;
	char line[512], last[512]; /* of what it says; the last one until it is ready */
	size_t line_end;
	struct log log;
	char trouble[320];   /* why leases are not written down; "": they are */
	uint64_t trouble_ns; /* when they are then, if nothing else is said */
	bool untold;         /* of the trouble: the switch has not read the last one yet */
	uint8_t in[2 * PEER_MAX];
	size_t in_end;
};

/* ---- Its namespaces ---- */

static int write_file(const char *path, const char *text)
{
	CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int map_user(uid_t user, gid_t group)
{
	char text[64];
	int rc;

	(void)write_file("/proc/self/setgroups", "deny");
	snprintf(text, sizeof(text), "0 %u 1", user);
	rc = write_file("/proc/self/uid_map", text);
	if (rc)
		return rc;
	snprintf(text, sizeof(text), "0 %u 1", group);
	return write_file("/proc/self/gid_map", text);
}

static int enter_namespaces(struct error *error)
{
	uid_t user = geteuid();
	gid_t group = getegid();
	int rc = 0;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
		rc = -errno;
		/* Root can do without, where there are none. */
		if (!user && !unshare(CLONE_NEWNET))
			return 0;
	} else {
		rc = map_user(user, group);
	}
	if (rc) {
		error_set(error, rc, "cannot make a user and network namespace for dnsmasq: %s",
			  error_name(rc));
		error_advise(error, "allow them to users (`unshare -rn true` must work)");
	}
	return rc;
}

/* What the segment does not lead to, others' name servers, is behind the router. */
static int add_route(const struct dnsmasq *dnsmasq, struct error *error)
{
	struct sockaddr_in any = { .sin_family = AF_INET },
			   router = { .sin_family = AF_INET, .sin_addr = dnsmasq->router };
	struct rtentry route = { .rt_flags = RTF_UP | RTF_GATEWAY };
	CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(&route.rt_dst, &any, sizeof(any));
	memcpy(&route.rt_genmask, &any, sizeof(any));
	memcpy(&route.rt_gateway, &router, sizeof(router));
	if (fd >= 0 && !ioctl(fd, SIOCADDRT, &route))
		return 0;
	return error_set(error, -errno, "cannot set its route to the router: %s",
			 error_name(-errno));
}

static int make_interface(struct dhcp_process *process, struct error *error)
{
	const struct dnsmasq *dnsmasq = &process->dnsmasq;
	struct tap_options options = { .netns = -1, .plain = true };
	struct link_settings settings = { .mac = process->mac, .up = true };
	char text[INET6_ADDRSTRLEN + 4], address[INET6_ADDRSTRLEN];
	int rc;

	/* Nobody else is there to have its addresses, and dnsmasq would wait for the answer. */
	(void)write_file("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
	rc = tap_open(&process->tap, INTERFACE, &options, error);
	if (rc)
		return rc;
	inet_ntop(AF_INET, &dnsmasq->address, address, sizeof(address));
	snprintf(text, sizeof(text), "%s/%u", address, dnsmasq->prefix);
	settings.address = text;
	rc = link_configure(INTERFACE, -1, &settings, error);
	if (!rc && dnsmasq->prefix6) {
		inet_ntop(AF_INET6, &dnsmasq->address6, address, sizeof(address));
		snprintf(text, sizeof(text), "%s/%u", address, dnsmasq->prefix6);
		settings = (struct link_settings){ .address = text };
		rc = link_configure(INTERFACE, -1, &settings, error);
	}
	if (!rc && dnsmasq->router.s_addr && dnsmasq->has_upstream)
		rc = add_route(dnsmasq, error);
	return rc;
}

/* ---- dnsmasq ---- */

/* With its first lease dnsmasq writes the file anew, whatever was in it. */
static int check_leases(const struct dhcp_process *process, struct error *error)
{
	char text[1024];
	ssize_t got = pread(process->leases_fd, text, sizeof(text) - 1, 0);

	if (got < 0)
		return error_set(error, -errno, "leases %s: cannot read them: %s", process->leases,
				 error_name(-errno));
	text[got] = '\0';
	if (dnsmasq_may_be_leases(text, (size_t)got))
		return 0;
	error_set(error, -EINVAL, "leases %s: expected an empty file or one of dnsmasq's leases",
		  process->leases);
	error_advise(error, "it is left as it is: give this port a file of its own: leases=FILE");
	return -EINVAL;
}

static int open_leases(struct dhcp_process *process, struct error *error)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	const char *path = process->leases;
	struct stat status;
	int rc = -EWOULDBLOCK;

	process->leases_fd = open(path, O_RDWR | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (process->leases_fd < 0 || fstat(process->leases_fd, &status))
		return error_set(error, -errno, "leases %s: cannot open them: %s", path,
				 error_name(-errno));
	if (!S_ISREG(status.st_mode))
		return error_set(error, -EINVAL, "leases %s: expected an ordinary file", path);
	for (unsigned i = 0; i < LOCK_TRIES && rc; i++) {
		rc = flock(process->leases_fd, LOCK_EX | LOCK_NB) ? -errno : 0;
		if (rc)
			nanosleep(&pause, NULL);
	}
	if (!rc)
		return check_leases(process, error);
	error_set(error, -EBUSY, "leases %s: another server uses this file", path);
	error_advise(error, "end that one, or give this port a file of its own: leases=FILE");
	return -EBUSY;
}

/* In the child: it keeps what a name server with DHCP needs. */
static void give_up_rights(const char *leases)
{
	const struct confine_path files[] = {
		{ leases, true },        { "/etc/passwd", false },
		{ "/etc/group", false }, { "/etc/localtime", false },
		{ "/dev/null", true },   { "/proc/sys/net", false },
	};
	unsigned count = 0;
	struct confine_path there[ARRAY_SIZE(files)];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (!access(files[i].path, F_OK))
			there[count++] = files[i];
	for (int i = 0; i <= CAP_LAST_CAP; i++)
		if (i != CAP_NET_ADMIN && i != CAP_NET_RAW && i != CAP_NET_BIND_SERVICE)
			(void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)confine_files(there, count);
}

static void become_dnsmasq(const struct dhcp_process *process, const char *program, char **argv,
			   int said, pid_t parent)
{
	static char locale[] = "LC_ALL=C", *environment[] = { locale, NULL };
	int null = open("/dev/null", O_RDWR);

	if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) || getppid() != parent)
		_exit(EXIT_FAILURE);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(said, STDERR_FILENO);
	close_range(STDERR_FILENO + 1, ~0u, 0);
	give_up_rights(process->leases);
	execve(program, argv, environment);
	_exit(127);
}

static int start_dnsmasq(struct dhcp_process *process, struct error *error)
{
	CLEANUP_FREE char *program = spawn_find("dnsmasq");
	char **argv = dnsmasq_argv(&process->dnsmasq, INTERFACE, process->leases);
	int pipes[2] = { -1, -1 }, rc = 0;
	pid_t parent = getpid();

	if (!program) {
		rc = error_set(error, -ENOPKG, "DHCP and DNS need dnsmasq, which is not there");
		error_advise(error, "install it: apt-get install dnsmasq-base");
	} else if (!argv || pipe2(pipes, O_CLOEXEC)) {
		rc = error_set(error, -ENOMEM, "cannot start dnsmasq: %s", error_name(-ENOMEM));
	} else {
		process->child = fork();
		if (!process->child)
			become_dnsmasq(process, program, argv, pipes[1], parent);
		if (process->child < 0)
			rc = error_set(error, -errno, "cannot start dnsmasq: %s",
				       error_name(-errno));
	}
	cleanup_close(&pipes[1]);
	process->said = pipes[0];
	dnsmasq_argv_free(argv);
	return rc;
}

/* ---- What it says ---- */

static void tell_trouble(struct dhcp_process *process)
{
	char line[sizeof(process->trouble) + 1];
	int length = snprintf(line, sizeof(line), "%s" USER_PORT_READY, process->trouble);

	process->untold = write(READY_FD, line, (size_t)length) < 0 && errno == EAGAIN;
}

/*
 * "failed to write FILE: No space left on device (retry in 60 s)": guests have leases then that whoever is started next knows nothing of. It says
 * so at each attempt, and nothing once it has written.
 */
static void take_trouble(struct dhcp_process *process, const char *text)
{
	static const char begins[] = "failed to write ";
	const char *retry = strstr(text, " (retry in "), *reason;
	char trouble[sizeof(process->trouble)];
	unsigned seconds;

	if (strncmp(text, begins, strlen(begins)) != 0 || !retry ||
	    sscanf(retry, " (retry in %u s)", &seconds) != 1)
		return;
	reason = memrchr(text, ':', (size_t)(retry - text));
	reason = reason ? reason + 1 + strspn(reason + 1, " ") : retry;
	snprintf(trouble, sizeof(trouble),
		 "leases %.160s: not written down (%.*s), and forgotten when dnsmasq starts again",
		 process->leases, (int)(retry - reason), reason);
	process->trouble_ns = monotonic_ns() + (MIN(seconds, 3600u) + TROUBLE_LATE) * SECOND;
	if (!strcmp(trouble, process->trouble))
		return;
	strcpy(process->trouble, trouble);
	log_warning(&process->log, "%s", trouble);
	tell_trouble(process);
}

/* Nothing was said for as long as it takes to try again. */
static void end_trouble(struct dhcp_process *process)
{
	process->trouble[0] = '\0';
	log_warning(&process->log, "leases %s: they are written down again", process->leases);
	tell_trouble(process);
}

/* "dnsmasq[77]: bad dhcp-option" */
static void take_line(struct dhcp_process *process)
{
	const char *text = strstr(process->line, ": ");

	text = text ? text + 2 : process->line;
	if (process->ready) {
		take_trouble(process, text);
	} else if (!strncmp(text, "started,", 8)) {
		process->ready = true;
		/* Who reads it may be stopped. */
		(void)fcntl(READY_FD, F_SETFL, O_NONBLOCK);
		tell_trouble(process);
	} else if (strncmp(text, "FAILED to start", 15) != 0) {
		snprintf(process->last, sizeof(process->last), "%s", text);
	}
}

/* What it says later is not kept, but for troubles: guests could fill a log with it. */
static void read_said(struct dhcp_process *process)
{
	char text[512];
	ssize_t got = read(process->said, text, sizeof(text));

	process->ended |= !got || (got < 0 && errno != EINTR);
	for (ssize_t i = 0; i < got; i++) {
		if (text[i] != '\n' && process->line_end < sizeof(process->line) - 1) {
			process->line[process->line_end++] = text[i];
			continue;
		}
		process->line[process->line_end] = '\0';
		process->line_end = 0;
		take_line(process);
	}
}

/* ---- Frames ---- */

/* False: what comes makes no sense. */
static bool take_input(struct dhcp_process *process)
{
	size_t at = 0;
	ssize_t unused;

	while (process->in_end - at >= LENGTH_SIZE) {
		size_t length = get_be32(process->in + at);

		if (length > PEER_MAX - LENGTH_SIZE)
			return false;
		if (process->in_end - at < LENGTH_SIZE + length)
			break;
		/* What it does not take is lost, as on a wire. */
		if (length <= FRAME_MOST)
			unused = write(process->tap.fd, process->in + at + LENGTH_SIZE, length);
		at += LENGTH_SIZE + length;
	}
	(void)unused;
	memmove(process->in, process->in + at, process->in_end - at);
	process->in_end -= at;
	return true;
}

static void read_socket(struct dhcp_process *process)
{
	ssize_t got = recv(SOCKET_FD, process->in + process->in_end,
			   sizeof(process->in) - process->in_end, MSG_DONTWAIT);

	if (got > 0)
		process->in_end += (size_t)got;
	process->ended |=
		!got || (got < 0 && errno != EAGAIN && errno != EINTR) || !take_input(process);
}

/* Waits until the switch takes it, which it does, or ends. */
static bool send_all(const uint8_t *bytes, size_t length)
{
	while (length) {
		ssize_t put = send(SOCKET_FD, bytes, length, MSG_NOSIGNAL);

		if (put < 0 && errno != EINTR)
			return false;
		bytes += MAX(put, 0);
		length -= (size_t)MAX(put, 0);
	}
	return true;
}

static void read_tap(struct dhcp_process *process)
{
	uint8_t frame[LENGTH_SIZE + 65536];
	ssize_t got = read(process->tap.fd, frame + LENGTH_SIZE, sizeof(frame) - LENGTH_SIZE);

	if (got <= 0)
		return;
	put_be32(frame, (uint32_t)got);
	process->ended |= !send_all(frame, LENGTH_SIZE + (size_t)got);
}

/* Milliseconds until there is something to do by itself; -1: never. */
static int next_look(const struct dhcp_process *process)
{
	uint64_t now = monotonic_ns();

	if (process->untold)
		return 1000;
	if (!process->trouble[0])
		return -1;
	return process->trouble_ns <= now ? 0 : (int)((process->trouble_ns - now) / 1000000) + 1;
}

static void run(struct dhcp_process *process)
{
	enum { FROM_SWITCH, FROM_TAP, FROM_CHILD, COUNT };
	struct pollfd polls[COUNT] = { { SOCKET_FD, POLLIN, 0 },
				       { process->tap.fd, POLLIN, 0 },
				       { process->said, POLLIN, 0 } };

	while (!process->ended) {
		if (poll(polls, COUNT, next_look(process)) < 0)
			continue;
		if (process->untold)
			tell_trouble(process);
		if (process->trouble[0] && monotonic_ns() >= process->trouble_ns)
			end_trouble(process);
		if (polls[FROM_CHILD].revents)
			read_said(process);
		if (polls[FROM_TAP].revents & POLLIN)
			read_tap(process);
		if (polls[FROM_SWITCH].revents)
			read_socket(process);
	}
}

static int set_up(struct dhcp_process *process, int argc, char **argv, struct error *error)
{
	int rc = argc < 3 ? -EINVAL : ethernet_parse(argv[0], process->mac, error);

	for (int i = 2; i < argc && !rc; i++)
		rc = dnsmasq_set(&process->dnsmasq, argv[i], error);
	if (!rc)
		rc = dnsmasq_check(&process->dnsmasq, error);
	if (rc)
		return rc;
	process->leases = argv[1];
	log_to_stderr(&process->log, LOG_LEVEL_WARNING);
	(void)fcntl(SOCKET_FD, F_SETFL, fcntl(SOCKET_FD, F_GETFL) & ~O_NONBLOCK);
	/* As the user: of one with more rights, the file is that user's. */
	rc = open_leases(process, error);
	if (!rc)
		rc = enter_namespaces(error);
	if (!rc)
		rc = make_interface(process, error);
	return rc ? rc : start_dnsmasq(process, error);
}

int dhcp_process(int argc, char **argv)
{
	struct dhcp_process *process = calloc(1, sizeof(*process));
	struct error error = { 0 };
	int unused, rc = process ? 0 : error_set(&error, -ENOMEM, "out of memory");

	(void)signal(SIGPIPE, SIG_IGN);
	if (!rc)
		rc = set_up(process, argc, argv, &error);
	if (!rc)
		run(process);
	if (!rc && process->child > 0)
		kill(process->child, SIGTERM);
	if (!rc && process->ready)
		return EXIT_DONE;
	if (!rc)
		error_set(&error, -EIO, "dnsmasq refuses: %s",
			  process->last[0] ? process->last : "it ended without a word");
	unused = dprintf(READY_FD, "%s\n%s", error.text, error.advice);
	(void)unused;
	return EXIT_FAILED;
}
