/* See unix_socket.h. */
#include "rpc/unix_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/error.h"

static int unix_address(const char *path, struct sockaddr_un *address, struct error *error)
{
	size_t length = strlen(path), most = sizeof(address->sun_path) - 1;

	if (length > most) {
		error_set(error, -ENAMETOOLONG,
			  "%s: socket path is %zu bytes long, expected at most %zu", path, length,
			  most);
		error_advise(error, "use a shorter directory");
		return -ENAMETOOLONG;
	}
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(address->sun_path, path, length);
	return 0;
}

int unix_socket_connect(const char *path, struct error *error)
{
	struct sockaddr_un address;
	CLEANUP_CLOSE int fd = -1;
	int rc = unix_address(path, &address, error);

	if (rc)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		rc = -errno;
		error_set(error, rc, "%s: cannot connect: %s", path, error_name(rc));
		if (rc == -ENOENT || rc == -ECONNREFUSED)
			error_advise(error, "start the server of this socket first");
		return rc;
	}
	return steal_fd(&fd);
}

/* Makes room at `path`: removes a socket that nobody listens on. */
static int unix_socket_clear(const char *path, struct error *error)
{
	struct stat status;
	int fd;

	if (lstat(path, &status) < 0)
		return 0;
	if (!S_ISSOCK(status.st_mode)) {
		error_set(error, -EEXIST, "%s: there is a file that is no socket", path);
		error_advise(error, "move it away or use another directory");
		return -EEXIST;
	}
	fd = unix_socket_connect(path, NULL);
	if (fd != -ECONNREFUSED) {
		if (fd >= 0)
			close(fd);
		error_set(error, -EADDRINUSE, "%s: another process listens there", path);
		error_advise(error, "stop it, or use another directory");
		return -EADDRINUSE;
	}
	unlink(path);
	return 0;
}

int unix_socket_listen(const char *path, struct error *error)
{
	struct sockaddr_un address;
	CLEANUP_CLOSE int fd = -1;
	int rc = unix_address(path, &address, error);

	if (!rc)
		rc = unix_socket_clear(path, error);
	if (rc)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* On Linux the mode of the bound path follows that of the socket's own inode. */
	if (fd < 0 || fchmod(fd, 0600) < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 64) < 0) {
		rc = -errno;
		return error_set(error, rc, "%s: cannot listen: %s", path, error_name(rc));
	}
	return steal_fd(&fd);
}
