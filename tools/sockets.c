/* SPDX-License-Identifier: BSD-2-Clause */
/* See sockets.h. */
#include "tools/sockets.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

bool socket_options_parse(struct socket_options *options)
{
	struct unix_socket_access *access = &options->access;
	struct error error = { 0 };

	access->has_group = options->group != NULL;
	access->mode = options->group ? 0660 : 0600;
	if (options->mode && unix_socket_parse_mode(options->mode, &access->mode, &error)) {
		cli_usage_error("--socket-mode %s", error.text);
		return false;
	}
	if (options->group && unix_socket_parse_group(options->group, &access->group, &error)) {
		cli_usage_error("--socket-group %s", error.text);
		return false;
	}
	return true;
}

static int cannot_make(const char *path, int code, struct error *error)
{
	return error_set(error, code, "%s: cannot make the socket directory: %s", path,
			 error_name(code));
}

int socket_options_make_directory(const struct socket_options *options, struct error *error)
{
	const struct unix_socket_access *access = &options->access;
	const char *path = options->directory;
	struct stat status;

	if (mkdir(path, 0700) < 0) {
		if (errno != EEXIST)
			return cannot_make(path, -errno, error);
		if (stat(path, &status) < 0)
			return cannot_make(path, -errno, error);
		return S_ISDIR(status.st_mode) ? 0 : cannot_make(path, -ENOTDIR, error);
	}
	if (!access->has_group)
		return 0;
	/* The group first: until then nobody of another one gets in. */
	if (lchown(path, (uid_t)-1, access->group) < 0 || chmod(path, 0750) < 0) {
		int rc = -errno;

		rmdir(path);
		cannot_make(path, rc, error);
		if (rc == -EPERM)
			error_advise(error,
				     "the group must be one that this user is in (see `id`)");
		return rc;
	}
	return 0;
}
