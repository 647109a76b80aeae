/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that the verbs of links read whole: schedules, traces, tables of delays; see link.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tools/link.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "vswitch/link_table.h"

#define WRITER_LOOKS   100 /* for somebody who writes to a FIFO ... */
#define WRITER_LOOK_NS 100000000L

/* What is there next, like read(). `may_come`: nothing is not the end yet, for somebody may come who writes; who is there is waited for. */
static ssize_t read_some(int fd, char *to, size_t length, bool may_come)
{
	struct pollfd waited = { .fd = fd, .events = POLLIN };
	unsigned looks = 0;

	for (;;) {
		ssize_t got = read(fd, to, length);

		if (got > 0 || (!got && !may_come))
			return got;
		if (!got && ++looks > WRITER_LOOKS) {
			errno = ETIMEDOUT;
			return -1;
		}
		if (!got)
			nanosleep(&(struct timespec){ .tv_nsec = WRITER_LOOK_NS }, NULL);
		else if (errno == EAGAIN)
			poll(&waited, 1, -1);
		else if (errno != EINTR)
			return -1;
	}
}

/* At most `most` + 1 bytes. Their number, or a negative errno. */
static ssize_t read_whole(int fd, bool is_fifo, char *text, size_t most)
{
	size_t length = 0;
	ssize_t got;

	do {
		got = read_some(fd, text + length, most + 1 - length, is_fifo && !length);
		if (got < 0)
			return -errno;
		length += (size_t)got;
	} while (got && length <= most);
	return (ssize_t)length;
}

char *link_read_text(const char *what, const char *path, size_t most, struct error *error)
{
	bool is_input = !strcmp(path, "-");
	/* Without O_NONBLOCK a FIFO that nobody writes to never opens. */
	CLEANUP_CLOSE int fd = is_input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
					: open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP_FREE char *text = malloc(most + 2);
	struct stat status;
	ssize_t length;

	if (!text)
		length = -ENOMEM;
	else if (fd < 0 || fstat(fd, &status))
		length = -errno;
	else
		length = read_whole(fd, !is_input && S_ISFIFO(status.st_mode), text, most);
	if (length == -ETIMEDOUT)
		error_set(error, -ETIMEDOUT, "%s %s: it is a FIFO that nobody writes to", what,
			  path);
	else if (length < 0)
		error_set(error, (int)length, "%s %s: %s", what, path, strerror((int)-length));
	if (length < 0)
		return NULL;
	text[length] = '\0';
	if ((size_t)length > most)
		error_set(error, -EFBIG, "%s %s: it is longer than the %zu bytes that fit", what,
			  path, most);
	else if (strlen(text) != (size_t)length)
		error_set(error, -EINVAL, "%s %s: byte %zu is zero: expected text", what, path,
			  strlen(text));
	else
		return steal_pointer(&text);
	return NULL;
}

char *link_read_table(const char *name, struct error *error)
{
	static const char *const folders[] = { "/usr/lib/tc",
					       "/usr/lib64/tc",
					       "/usr/lib/x86_64-linux-gnu/tc",
					       "/usr/lib/aarch64-linux-gnu/tc",
					       "/usr/share/tc",
					       "/lib/tc" };
	char *text;

	for (size_t i = 0; !strchr(name, '/') && i < ARRAY_SIZE(folders); i++) {
		CLEANUP_FREE char *path = NULL;

		if (access(name, F_OK) && asprintf(&path, "%s/%s.dist", folders[i], name) >= 0 &&
		    !access(path, F_OK))
			return link_read_text("table", path, LINK_TABLE_BYTES, error);
	}
	text = link_read_text("table", name, LINK_TABLE_BYTES, error);
	if (!text && error->code == -ENOENT && !strchr(name, '/'))
		error_advise(error,
			     "iproute2's are there by name where that is installed, as %s/%s.dist",
			     folders[0], name);
	return text;
}
