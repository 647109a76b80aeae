/* SPDX-License-Identifier: BSD-2-Clause */
/* See runtime.h. */
#include "tools/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/process.h"

/*
 * The user that `uid` is outside of this user namespace: who has root's number in one of his own (`unshare -rn`) is
 * found at the same place as without.
 */
static int uid_outside(uid_t uid, uid_t *out)
{
	FILE *map = fopen("/proc/self/uid_map", "re");
	unsigned inside, outside, count;
	uid_t found = uid;

	if (!map && error_is_shortage(-errno))
		return -errno;
	while (map && fscanf(map, "%u %u %u", &inside, &outside, &count) == 3)
		if (uid >= inside && uid - inside < count)
			found = outside + (uid - inside);
	if (map)
		fclose(map);
	*out = found;
	return 0;
}

/* Root's own place, unless this is a root who may not have it. */
static bool may_use_run(void)
{
	struct stat status;

	if (geteuid())
		return false;
	return lstat("/run/tenon", &status) ? !access("/run", W_OK) : status.st_uid == 0;
}

/* NULL where it is not set, or not absolute: such a value is none by the XDG Base Directory Specification, and would be another place in each folder. */
static const char *xdg_directory(void)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");

	return xdg && *xdg == '/' ? xdg : NULL;
}

/* The path that is to be, in an allocated text; 0 or a negative errno. */
static int choose(char **path)
{
	const char *given = getenv("TENON_RUNTIME_DIR"), *xdg = xdg_directory();
	uid_t uid = 0;
	int rc;

	if (given && *given)
		rc = asprintf(path, "%s", given);
	else if (xdg)
		rc = asprintf(path, "%s/tenon", xdg);
	else if (may_use_run())
		rc = asprintf(path, "/run/tenon");
	else if ((rc = uid_outside(geteuid(), &uid)))
		return rc;
	else
		rc = asprintf(path, "/tmp/tenon-%u", (unsigned)uid);
	return rc < 0 ? -ENOMEM : 0;
}

/* Which variable made it that path, for advice. */
static const char *chosen_by(void)
{
	const char *given = getenv("TENON_RUNTIME_DIR"), *xdg = xdg_directory();

	return given && *given ? "TENON_RUNTIME_DIR" : xdg ? "XDG_RUNTIME_DIR" : NULL;
}

/* "user 1000 (alice)" */
static void describe_user(char text[80], uid_t uid)
{
	const struct passwd *user = getpwuid(uid);

	snprintf(text, 80, "user %u%s%.40s%s", (unsigned)uid, user ? " (" : "",
		 user ? user->pw_name : "", user ? ")" : "");
}

static int advise_foreign(const char *variable, struct error *error)
{
	return error_advise(error,
			    "%s came with the environment of another user (su or sudo keep it): "
			    "unset it, or set TENON_RUNTIME_DIR to a directory of yours",
			    variable);
}

/* What is made in another user's folder would be in his way, and he could put another in its place. */
static int check_xdg(struct error *error)
{
	const char *given = getenv("TENON_RUNTIME_DIR"), *xdg = xdg_directory();
	char owner[80], self[80];
	struct stat status;

	if ((given && *given) || !xdg || stat(xdg, &status) || status.st_uid == geteuid())
		return 0;
	describe_user(owner, status.st_uid);
	describe_user(self, geteuid());
	error_set(error, -EPERM, "%s: XDG_RUNTIME_DIR belongs to %s, expected %s", xdg, owner,
		  self);
	return advise_foreign("XDG_RUNTIME_DIR", error);
}

static int refuse_foreign(const char *path, const struct stat *status, struct error *error)
{
	const char *variable = chosen_by();
	char owner[80], self[80];

	if (!S_ISDIR(status->st_mode)) {
		error_set(error, -ENOTDIR,
			  "%s: is no directory, expected the runtime directory for control sockets",
			  path);
		error_advise(error, "set TENON_RUNTIME_DIR to a directory of yours");
		return -ENOTDIR;
	}
	describe_user(owner, status->st_uid);
	describe_user(self, geteuid());
	error_set(error, -EPERM, "%s: the runtime directory belongs to %s, expected %s", path,
		  owner, self);
	if (variable)
		advise_foreign(variable, error);
	else
		error_advise(error, "whoever made it could read your control sockets: set "
				    "TENON_RUNTIME_DIR to a directory of yours");
	return -EPERM;
}

int runtime_directory(char **path, struct error *error)
{
	CLEANUP_FREE char *made = NULL;
	struct stat status;
	int rc = check_xdg(error);

	if (!rc)
		rc = choose(&made);
	if (rc)
		return rc;
	rc = mkdir(made, 0700) < 0 && errno != EEXIST ? -errno : 0;
	/* What cannot be made may be there: below a file system that is read-only. */
	if (lstat(made, &status) < 0) {
		rc = rc ? rc : -errno;
		error_set(error, rc, "%s: cannot make the runtime directory: %s", made,
			  error_name(rc));
		error_advise(error, "set TENON_RUNTIME_DIR to a directory of yours");
		return rc;
	}
	if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid())
		return refuse_foreign(made, &status, error);
	*path = steal_pointer(&made);
	return 0;
}

int runtime_socket(const char *name, char **path, struct error *error)
{
	CLEANUP_FREE char *directory = NULL;
	int rc = runtime_directory(&directory, error);

	if (rc)
		return rc;
	if (asprintf(path, "%s/%s.sock", directory, name) < 0)
		return -ENOMEM;
	if (strlen(*path) < sizeof((struct sockaddr_un){ 0 }.sun_path) || !access(*path, F_OK))
		return 0;
	error_set(error, -ENAMETOOLONG,
		  "%s: the control socket's path has %zu bytes, a socket's may have %zu", *path,
		  strlen(*path), sizeof((struct sockaddr_un){ 0 }.sun_path) - 1);
	error_advise(error, "set TENON_RUNTIME_DIR to a directory with a shorter path");
	free(steal_pointer(path));
	return -ENAMETOOLONG;
}

pid_t runtime_pid_of(const char *path)
{
	const char *name = strrchr(path, '/'), *hyphen = name ? strchr(name, '-') : NULL;
	int pid, length = 0;

	return hyphen && sscanf(hyphen, "-%d.sock%n", &pid, &length) == 1 && length &&
			       !hyphen[length]
		       ? pid
		       : 0;
}

/* No directory, so no sockets, where none can be made. */
static bool is_nowhere(void)
{
	CLEANUP_FREE char *path = NULL;
	struct stat status;

	return !check_xdg(NULL) && !choose(&path) && lstat(path, &status) && errno == ENOENT;
}

/* `own_only`: what is not this user's to look into has none of his sockets. */
static int open_directory(char **directory, DIR **listing, bool own_only, struct error *error)
{
	struct error why = { 0 };
	int rc = runtime_directory(directory, &why);

	if (rc && (is_nowhere() || (own_only && !error_is_shortage(rc))))
		return 0;
	if (!rc && !(*listing = opendir(*directory))) {
		rc = -errno;
		error_set(&why, rc, "%s: cannot look into the runtime directory: %s", *directory,
			  error_name(rc));
	}
	if (rc && error)
		*error = why;
	return rc;
}

static int each(DIR *listing, const char *directory, const char *prefix,
		int (*fn)(const char *path, void *arg), void *arg, struct error *error)
{
	struct dirent *entry;
	int rc = 0;

	while (!rc && (errno = 0, entry = readdir(listing))) {
		size_t length = strlen(entry->d_name);
		CLEANUP_FREE char *path = NULL;

		if (strncmp(entry->d_name, prefix, strlen(prefix)) || length < 5 ||
		    strcmp(entry->d_name + length - 5, ".sock"))
			continue;
		rc = asprintf(&path, "%s/%s", directory, entry->d_name) < 0 ? -ENOMEM
									    : fn(path, arg);
	}
	return rc || !errno ? rc
			    : error_set(error, -errno, "%s: cannot read the runtime directory: %s",
					directory, error_name(errno));
}

static int each_socket(const char *prefix, int (*fn)(const char *path, void *arg), void *arg,
		       bool own_only, struct error *error)
{
	CLEANUP_FREE char *directory = NULL;
	DIR *listing = NULL;
	int rc = open_directory(&directory, &listing, own_only, error);

	if (!rc && listing)
		rc = each(listing, directory, prefix, fn, arg, error);
	if (listing)
		closedir(listing);
	return rc;
}

int runtime_each_socket(const char *prefix, int (*fn)(const char *path, void *arg), void *arg,
			struct error *error)
{
	return each_socket(prefix, fn, arg, false, error);
}

int runtime_each_own_socket(const char *prefix, int (*fn)(const char *path, void *arg), void *arg,
			    struct error *error)
{
	return each_socket(prefix, fn, arg, true, error);
}

static int tidy(const char *path, void *arg)
{
	const char *name = strrchr(path, '/');
	int pid;

	(void)arg;
	if (name && sscanf(name, "/disk-%d-", &pid) == 1 && pid > 0 && process_is_gone(pid))
		unlink(path);
	return 0;
}

void runtime_tidy_disks(void)
{
	(void)runtime_each_own_socket("disk-", tidy, NULL, NULL);
}
