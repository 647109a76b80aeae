/* SPDX-License-Identifier: BSD-2-Clause */
/* See image.h. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/image.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/seccomp_library.h"

#define SBIN "/usr/local/sbin:/usr/sbin:/sbin"

char *image_path(const char *directory, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

int image_file_read(const char *path, char **data, size_t *length, struct error *error)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP_FREE char *all = NULL;
	struct stat status;
	ssize_t got = 1;

	if (fd < 0 || fstat(fd, &status))
		return error_set(error, -errno, "%s: %s", path, error_name(errno));
	if (!S_ISREG(status.st_mode))
		return error_set(error, -EINVAL, "%s: is not a file", path);
	all = malloc((size_t)status.st_size + 1);
	if (!all)
		return -ENOMEM;
	*length = 0;
	while (*length < (size_t)status.st_size && got > 0) {
		got = read(fd, all + *length, (size_t)status.st_size - *length);
		*length += got > 0 ? (size_t)got : 0;
	}
	if (got < 0)
		return error_set(error, -errno, "%s: reading it: %s", path, error_name(errno));
	all[*length] = '\0';
	*data = steal_pointer(&all);
	return 0;
}

int image_file_write(const char *path, mode_t mode, const void *data, size_t length,
		     struct error *error)
{
	CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	const char *at = data;

	/* The user's umask is not the guest's. */
	if (fd < 0 || fchmod(fd, mode))
		return error_set(error, -errno, "%s: %s", path, error_name(errno));
	while (length) {
		ssize_t put = write(fd, at, length);

		if (put < 0)
			return error_set(error, -errno, "%s: writing it: %s", path,
					 error_name(errno));
		at += put;
		length -= (size_t)put;
	}
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status, (void)type, (void)where;
	(void)remove(path);
	return 0;
}

void image_remove_folder(const char *path)
{
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int image_find_program(const char *name, const char *package, char **path, struct error *error)
{
	const char *given = getenv("PATH");
	CLEANUP_FREE char *folders = NULL;
	char *rest, *folder;

	if (asprintf(&folders, "%s:" SBIN, given ? given : "/usr/bin:/bin") < 0)
		return -ENOMEM;
	for (rest = folders; (folder = strsep(&rest, ":"));) {
		char *at = image_path(folder, name);

		if (!at)
			return -ENOMEM;
		if (*folder && !access(at, X_OK)) {
			*path = at;
			return 0;
		}
		free(at);
	}
	error_set(error, -ENOENT, "%s: there is no such program on this host", name);
	error_advise(error, "install the package %s", package);
	return -ENOENT;
}

/* resize2fs cuts a file to the size of the file system in it, also where that begins further behind: what else is in the
 * file would be lost. To it the file is as a disk, which cannot be cut. */
static bool keep_length(void)
{
	scmp_filter_ctx filter = libseccomp.seccomp_init(SCMP_ACT_ALLOW);
	bool kept =
		filter &&
		!libseccomp.seccomp_rule_add(filter, SCMP_ACT_ERRNO(0), SCMP_SYS(ftruncate), 0) &&
		!libseccomp.seccomp_rule_add(filter, SCMP_ACT_ERRNO(0), SCMP_SYS(truncate), 0) &&
		!libseccomp.seccomp_load(filter);

	libseccomp.seccomp_release(filter);
	return kept;
}

/* In the child, which leads a group: what mmdebstrap and fakeroot start ends with them only if all of them are told. What our
 * caller left open is not theirs: mmdebstrap's shell has no names for descriptors above 9. */
static void become(const char *said, const char *const *argv, unsigned flags)
{
	const char *path = getenv("PATH");
	char *longer;
	int from = open("/dev/null", O_RDONLY), to = open(said, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	setpgid(0, 0);
	/* Who waits for it may be killed. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (from >= 0 && to >= 0 && dup2(from, 0) == 0 && dup2(to, 1) == 1 && dup2(to, 2) == 2 &&
	    !close_range(STDERR_FILENO + 1, ~0u, 0) &&
	    asprintf(&longer, "%s:" SBIN, path ? path : "/usr/bin:/bin") >= 0 &&
	    !setenv("PATH", longer, 1) && !setenv("LC_ALL", "C", 1) &&
	    (!(flags & IMAGE_RUN_UNCUT) || keep_length()))
		execvp(argv[0], (char *const *)argv);
	_exit(errno == ENOENT ? 127 : 126);
}

/* The first line, or of apt and mmdebstrap, which tell what they do before, the first that is an error. */
static const char *said_why(char *text)
{
	char *why = strncmp(text, "E: ", 3) ? strstr(text, "\nE: ") : text;

	why = why ? why + (*why == '\n') : text;
	why[strcspn(why, "\n")] = '\0';
	return why;
}

static const int ending[] = { SIGINT, SIGTERM, SIGHUP };
static volatile sig_atomic_t running, ended_by;

static void end_group(int number)
{
	ended_by = number;
	if (running > 0)
		kill(-(pid_t)running, number == SIGHUP ? SIGHUP : SIGTERM);
}

/* Runs it and waits for its end, and is itself ended only then: by the signal that came meanwhile. */
static int run_group(const char *said, const char *const *argv, unsigned flags, int *status)
{
	const struct sigaction handler = { .sa_handler = end_group };
	struct sigaction were[ARRAY_SIZE(ending)];
	sigset_t set, before;
	int rc = 0;
	pid_t child;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
		sigaddset(&set, ending[i]);
	sigprocmask(SIG_BLOCK, &set, &before);
	child = fork();
	if (child == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		become(said, argv, flags);
	}
	if (child < 0) {
		rc = -errno;
		sigprocmask(SIG_SETMASK, &before, NULL);
		return rc;
	}
	setpgid(child, child);
	running = child;
	ended_by = 0;
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++) {
		sigaction(ending[i], NULL, &were[i]);
		if (were[i].sa_handler != SIG_IGN)
			sigaction(ending[i], &handler, NULL);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	while (!rc && waitpid(child, status, 0) < 0)
		rc = errno == EINTR ? 0 : -errno;
	running = 0;
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
		sigaction(ending[i], &were[i], NULL);
	if (ended_by)
		raise(ended_by);
	return rc;
}

int image_run_status(const char *temporary, const char *package, const char *const *argv, int most,
		     unsigned flags, struct error *error)
{
	CLEANUP_FREE char *said = image_path(temporary, "said"), *text = NULL;
	const char *why;
	size_t length = 0;
	int status = 0, rc;

	if (!said)
		return -ENOMEM;
	rc = flags & IMAGE_RUN_UNCUT ? libseccomp_load(error) : 0;
	if (rc)
		return rc;
	rc = run_group(said, argv, flags, &status);
	if (rc)
		return error_set(error, rc, "%s: %s", argv[0], error_name(rc));
	if (WIFEXITED(status) && WEXITSTATUS(status) <= most)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		error_set(error, -ENOENT, "%s: there is no such program on this host", argv[0]);
		error_advise(error, "install the package %s", package);
		return -ENOENT;
	}
	why = image_file_read(said, &text, &length, NULL) == 0 ? said_why(text) : "";
	return error_set(error, -EIO, "%s failed: %s", argv[0], *why ? why : "it did not say why");
}

int image_run(const char *temporary, const char *package, const char *const *argv,
	      struct error *error)
{
	return image_run_status(temporary, package, argv, 0, 0, error);
}
