/* SPDX-License-Identifier: BSD-2-Clause */
/* See vm_boot.h. */
#include "tools/vm_boot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tools/image_boot.h"
#include "tools/image_look.h"
#include "util/cleanup.h"

#define CONSOLE "console=ttyS0"

struct boot_job {
	struct vm_boot *boot;
	struct machine_options *machine;
	const struct cli_words *given;
	char *word;
};

/* A file without a name but that of its descriptor. */
static int keep(int *fd, char path[32], const char *data, size_t length, struct error *error)
{
	*fd = memfd_create("boot", MFD_CLOEXEC);
	for (size_t done = 0; *fd >= 0 && done < length;) {
		ssize_t put = write(*fd, data + done, length - done);

		if (put < 0 && errno != EINTR)
			return error_set(error, -errno, "no memory for a copy: %s",
					 error_name(errno));
		done += put > 0 ? (size_t)put : 0;
	}
	if (*fd < 0)
		return -errno;
	snprintf(path, 32, "/proc/self/fd/%d", *fd);
	return 0;
}

/* What the disk's own menu says; or its root file system, by the place that the first disk has. */
static int make_cmdline(struct vm_boot *boot, const struct image_boot *found, const char *word,
			struct error *error)
{
	char root[32] = "root=/dev/vda";

	if (found->parameters) {
		bool has = strstr(found->parameters, CONSOLE);

		return asprintf(&boot->cmdline, "%s%s", found->parameters, has ? "" : " " CONSOLE) <
				       0
			       ? (boot->cmdline = NULL, -ENOMEM)
			       : 0;
	}
	if (!strcmp(found->folder, "/")) {
		error_set(error, -EINVAL,
			  "%s: its kernel lies beside no root file system, and no boot menu that "
			  "is understood says where that is",
			  word);
		return error_advise(error, "say so: --cmdline 'root=/dev/vda2 " CONSOLE "'");
	}
	if (found->partition)
		snprintf(root, sizeof(root), "root=/dev/vda%u", found->partition);
	return asprintf(&boot->cmdline, "%s ro " CONSOLE, root) < 0
		       ? (boot->cmdline = NULL, -ENOMEM)
		       : 0;
}

static int name(char **out, const char *what, const struct image_boot *found, const char *word)
{
	return asprintf(out, "%s %s on %s", what, found->version, word) < 0 ? (*out = NULL, -ENOMEM)
									    : 0;
}

static int take(struct boot_job *job, const struct image_boot *found, struct error *error)
{
	struct vm_boot *boot = job->boot;
	int rc = keep(&boot->kernel, boot->kernel_path, found->kernel, found->kernel_length, error);

	if (!rc && found->initrd)
		rc = keep(&boot->initrd, boot->initrd_path, found->initrd, found->initrd_length,
			  error);
	if (!rc)
		rc = name(&boot->kernel_name, "Linux", found, job->word);
	if (!rc)
		rc = name(&boot->initrd_name, "that of Linux", found, job->word);
	if (!rc && !job->machine->cmdline)
		rc = make_cmdline(boot, found, job->word, error);
	if (rc)
		return rc;
	job->machine->kernel = boot->kernel_path;
	job->machine->kernel_name = boot->kernel_name;
	if (found->initrd) {
		job->machine->initrd = boot->initrd_path;
		job->machine->initrd_name = boot->initrd_name;
	}
	if (boot->cmdline)
		job->machine->cmdline = boot->cmdline;
	return 0;
}

static int read_disk(void *arg, struct error *error)
{
	struct boot_job *job = arg;
	CLEANUP_IMAGE_DISK struct image_disk disk = { 0 };
	CLEANUP_IMAGE_BOOT struct image_boot found = { 0 };
	unsigned wanted = IMAGE_BOOT_KERNEL | IMAGE_BOOT_INITRD |
			  (job->machine->cmdline ? 0 : IMAGE_BOOT_PARAMETERS);
	int rc = image_disk_open(&disk, job->given, job->word, error);

	if (rc)
		return rc;
	rc = image_boot_read(&found, disk.block, job->word, NULL, wanted, error);
	if (rc == -ENOENT)
		error_advise(error, "give --kernel FILE; `tenon image show %s` says what is on it",
			     job->word);
	return rc ? rc : take(job, &found, error);
}

int vm_boot_from_disk(struct vm_boot *boot, struct machine_options *machine,
		      const struct cli_words *given, const char *word)
{
	CLEANUP_FREE char *path = strdup(word);
	struct boot_job job = { boot, machine, given, path };
	char *comma;

	if (!path)
		return cli_fail(-ENOMEM, &(struct error){ 0 });
	/* FILE,ro,serial=TEXT */
	while (access(path, F_OK) && (comma = strrchr(path, ',')))
		*comma = '\0';
	return cli_on_fiber(read_disk, &job);
}

void vm_boot_free(struct vm_boot *boot)
{
	cleanup_close(&boot->kernel);
	cleanup_close(&boot->initrd);
	free(boot->kernel_name);
	free(boot->initrd_name);
	free(boot->cmdline);
	*boot = VM_BOOT_NONE;
}
