/* SPDX-License-Identifier: BSD-2-Clause */
/* See process.h. Sources: proc(5), /proc/PID/stat, /proc/PID/fdinfo, /proc/stat. */
#include "util/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define EXITING 4u /* PF_EXITING */

struct facts {
	char state;
	unsigned flags;
	unsigned long long started; /* clock ticks since the boot */
	unsigned long pending;      /* signals */
};

static bool read_stat(const char *path, struct facts *facts)
{
	char line[1024];
	const char *after;
	size_t length;
	FILE *file;

	file = fopen(path, "re");
	length = file ? fread(line, 1, sizeof(line) - 1, file) : 0;
	if (file)
		fclose(file);
	line[length] = '\0';
	/* The name in parentheses may itself have some; the fields after it are numbers. */
	after = strrchr(line, ')');
	return after && sscanf(after,
			       ") %c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
			       "%*d %*d %*d %llu %*u %*d %*u %*u %*u %*u %*u %*u %lu",
			       &facts->state, &facts->flags, &facts->started, &facts->pending) == 4;
}

static bool read_facts(pid_t pid, struct facts *facts)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	return read_stat(path, facts);
}

/* Seconds since 1970 at which this machine was booted; 0 where that is not told. */
static time_t boot_time(void)
{
	FILE *file = fopen("/proc/stat", "re");
	char line[256];
	long long when = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "btime %lld", &when) == 1)
			break;
	if (file)
		fclose(file);
	return (time_t)when;
}

static void read_command(pid_t pid, char *to, size_t size)
{
	char path[64];
	size_t length;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	file = fopen(path, "re");
	length = file ? fread(to, 1, size - 1, file) : 0;
	if (file)
		fclose(file);
	while (length && !to[length - 1])
		length--;
	to[length] = '\0';
	for (size_t i = 0; i < length; i++)
		if (!to[i])
			to[i] = ' ';
}

const char *process_command(pid_t pid, char text[PROCESS_TEXT])
{
	read_command(pid, text, PROCESS_TEXT);
	return *text ? text : NULL;
}

bool process_is_ours(pid_t pid)
{
	struct stat own, other;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	return !stat("/proc/self/exe", &own) && !stat(path, &other) && own.st_dev == other.st_dev &&
	       own.st_ino == other.st_ino;
}

const char *process_describe(pid_t pid, char text[PROCESS_TEXT])
{
	char command[128], since[48] = "";
	struct facts facts;
	struct tm parts;
	time_t when;

	read_command(pid, command, sizeof(command));
	if (!read_facts(pid, &facts)) {
		snprintf(text, PROCESS_TEXT, "process %d, which is gone", (int)pid);
		return text;
	}
	when = boot_time();
	if (when) {
		when += (time_t)(facts.started / (unsigned long long)sysconf(_SC_CLK_TCK));
		if (localtime_r(&when, &parts))
			strftime(since, sizeof(since), ", started %Y-%m-%d %H:%M:%S", &parts);
	}
	snprintf(text, PROCESS_TEXT, "process %d (%s)%s%s", (int)pid, command, since,
		 facts.state == 'T' || facts.state == 't' ? ", stopped" : "");
	return text;
}

bool process_is_stopped(pid_t pid)
{
	struct facts facts;

	return read_facts(pid, &facts) && (facts.state == 'T' || facts.state == 't');
}

bool process_is_runnable(pid_t pid)
{
	struct facts facts;

	return read_facts(pid, &facts) && facts.state == 'R';
}

bool process_has_runnable(pid_t pid)
{
	bool runnable = false;
	struct dirent *entry;
	struct facts facts;
	char path[320];
	DIR *threads;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	threads = opendir(path);
	while (threads && !runnable && (entry = readdir(threads))) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)pid, entry->d_name);
		runnable = isdigit((unsigned char)entry->d_name[0]) && read_stat(path, &facts) &&
			   facts.state == 'R';
	}
	if (threads)
		closedir(threads);
	return runnable;
}

bool process_is_gone(pid_t pid)
{
	struct facts facts;

	return kill(pid, 0) ? errno == ESRCH
			    : read_facts(pid, &facts) && (facts.state == 'Z' || facts.state == 'X');
}

bool process_is_ending(pid_t pid)
{
	struct facts facts;

	return process_is_gone(pid) ||
	       (read_facts(pid, &facts) &&
		(facts.flags & EXITING || facts.pending & 1ul << (SIGKILL - 1)));
}

/* ---- What it has open ---- */

static bool same_file(const struct statx *a, const struct stat *b)
{
	if (S_ISBLK(a->stx_mode) && S_ISBLK(b->st_mode))
		return makedev(a->stx_rdev_major, a->stx_rdev_minor) == b->st_rdev;
	return makedev(a->stx_dev_major, a->stx_dev_minor) == b->st_dev && a->stx_ino == b->st_ino;
}

/* Whether that descriptor's open file holds a lock. */
static bool descriptor_has_lock(pid_t pid, const char *number)
{
	char path[300], line[256];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", (int)pid, number);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = !strncmp(line, "lock:", 5);
	if (file)
		fclose(file);
	return found;
}

/* Whether the process has it at that descriptor; a negative errno where that cannot be seen. */
static int is_open_at(int descriptors, const char *number, const struct stat *status)
{
	struct statx open;

	/* Of a file system that does not answer, what is known of the file must do. */
	if (statx(descriptors, number, AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &open))
		return errno == ENOENT || errno == ESRCH ? 0 : -errno;
	return same_file(&open, status);
}

/* 1, 0 or a negative errno, the last only where none that can be seen is it. */
static int has_open(pid_t pid, const struct stat *status, bool locked)
{
	char path[300];
	struct dirent *entry;
	int found = 0, unseen = 0;
	DIR *descriptors;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	descriptors = opendir(path);
	/* Without /proc nobody is there. */
	if (!descriptors) {
		unseen = -errno;
		return process_is_gone(pid) ? 0 : unseen;
	}
	while (found <= 0 && (errno = 0, entry = readdir(descriptors))) {
		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    (locked && !descriptor_has_lock(pid, entry->d_name)))
			continue;
		found = is_open_at(dirfd(descriptors), entry->d_name, status);
		unseen = found < 0 ? found : unseen;
	}
	if (found <= 0 && errno && errno != ENOENT && errno != ESRCH)
		unseen = -errno;
	closedir(descriptors);
	return found > 0 ? found : unseen;
}

int process_has_open(pid_t pid, const struct stat *status)
{
	return has_open(pid, status, false);
}

/* By the kernel's list, which says of open-file-description locks that they are, and not whose. */
static pid_t lock_holder(const struct stat *status, pid_t except)
{
	FILE *file = fopen("/proc/locks", "re");
	pid_t found = 0;
	char line[256];

	while (file && !found && fgets(line, sizeof(line), file)) {
		unsigned long long inode;
		unsigned major, minor;
		int pid;

		if (sscanf(line, "%*s %*s %*s %*s %d %x:%x:%llu", &pid, &major, &minor, &inode) ==
			    4 &&
		    pid > 0 && pid != except && makedev(major, minor) == status->st_dev &&
		    inode == status->st_ino)
			found = pid;
	}
	if (file)
		fclose(file);
	return found;
}

pid_t process_with_lock(const struct stat *status, pid_t except)
{
	DIR *processes = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	while (processes && !found && (entry = readdir(processes))) {
		pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;

		if (pid && pid != except && has_open(pid, status, true) > 0)
			found = pid;
	}
	if (processes)
		closedir(processes);
	return found ? found : lock_holder(status, except);
}
