/* SPDX-License-Identifier: BSD-2-Clause */
/* Copies of kernel and initial RAM disk; see boot_source.h. */
#include "vmm/boot_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "vmm/machine.h"

/* Files are kept whole, with some sense of proportion. */
#define FILE_SIZE_MAX (2ULL << 30)

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* Opens it without waiting for anybody. */
static int open_file(const char *path, const char *name, size_t *size, struct error *error)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return error_set(error, -errno, "%s: %s", name, error_name(errno));
	if (!S_ISREG(status.st_mode)) {
		error_set(error, -EINVAL, "%s: not a regular file%s", name,
			  S_ISFIFO(status.st_mode) ? ", but a FIFO" : "");
		error_advise(error, "write what it gives to a file first");
		return -EINVAL;
	}
	if (status.st_size == 0)
		return error_set(error, -EINVAL, "%s: the file is empty", name);
	if ((uint64_t)status.st_size > FILE_SIZE_MAX)
		return error_set(error, -EFBIG, "%s: %lld bytes, expected at most 2 GiB", name,
				 (long long)status.st_size);
	*size = (size_t)status.st_size;
	return steal_fd(&fd);
}

static int copy_bytes(int to, int from, const char *path, size_t size, struct error *error)
{
	for (size_t done = 0; done < size;) {
		ssize_t sent = sendfile(to, from, NULL, size - done);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return error_set(error, -errno, "%s: copying it into memory: %s", path,
					 error_name(errno));
		if (sent == 0)
			return error_set(error, -EIO, "%s: ends at byte %zu, expected %zu", path,
					 done, size);
		done += (size_t)sent;
	}
	return 0;
}

static int keep_file(struct boot_file *file, const char *path, const char *name,
		     struct error *error)
{
	CLEANUP_CLOSE int from = -1;
	CLEANUP_CLOSE int copy = memfd_create("boot-file", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t size = 0;
	void *at;
	int rc;

	name = name ? name : path;
	file->name = strdup(name);
	if (!file->name)
		return error_set(error, -ENOMEM, "out of memory");
	from = open_file(path, name, &size, error);
	if (from < 0)
		return from;
	if (copy < 0)
		return error_set(error, -errno, "%s: no memory for a copy: %s", name,
				 error_name(errno));
	rc = copy_bytes(copy, from, name, size, error);
	if (rc < 0)
		return rc;
	if (fcntl(copy, F_ADD_SEALS, SEALS) < 0)
		return error_set(error, -errno, "%s: sealing the copy: %s", name,
				 error_name(errno));
	at = mmap(NULL, size, PROT_READ, MAP_PRIVATE, copy, 0);
	if (at == MAP_FAILED)
		return error_set(error, -errno, "%s: mapping the copy: %s", name,
				 error_name(errno));
	file->bytes = at;
	file->size = size;
	return 0;
}

int boot_source_open(struct boot_source *source, const struct machine_options *options,
		     struct error *error)
{
	int rc = keep_file(&source->kernel, options->kernel, options->kernel_name, error);

	if (rc < 0) {
		error_prefix(error, "kernel");
		return rc;
	}
	rc = options->initrd
		     ? keep_file(&source->initrd, options->initrd, options->initrd_name, error)
		     : 0;
	if (rc < 0)
		error_prefix(error, "initial RAM disk");
	return rc;
}

static void release(struct boot_file *file)
{
	if (file->bytes)
		munmap((void *)file->bytes, file->size);
	free(file->name);
	*file = (struct boot_file){ 0 };
}

void boot_source_close(struct boot_source *source)
{
	release(&source->kernel);
	release(&source->initrd);
}
