/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tells an installed Debian who and where it is, written to the folder that it lies in; see image_debian.h.
 *
 * Links in the folder are absolute as the guest sees them: every path is resolved inside of the folder (openat2(2),
 * RESOLVE_IN_ROOT). fakeroot knows owners by inode: files that are there are changed in place, and what goes is only put beside
 * the folder, or a new file would get its inode and be taken for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tools/image.h"
#include "tools/image_debian.h"
#include "util/bytes.h"
#include "util/error.h"

#define TEXT_MOST (1u << 20)
#define FIRST_UID 1000

/* ---- Files ---- */

static int tree_open(int tree, const char *path, int flags, mode_t mode)
{
	const struct open_how how = { .flags = (uint64_t)flags | O_CLOEXEC,
				      .mode = flags & O_CREAT ? mode : 0,
				      .resolve = RESOLVE_IN_ROOT };
	long fd = syscall(SYS_openat2, tree, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static int tree_fail(struct error *error, int rc, const char *path)
{
	return error_set(error, rc, "the new system's %s: %s", path, error_name(rc));
}

/* The folder that a path lies in, made if need be; *name is its last part. */
static int tree_folder(int tree, const char *path, const char **name)
{
	CLEANUP_FREE char *folder = strdup(path);
	char *slash = folder ? strrchr(folder, '/') : NULL;
	int fd;

	*name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	if (!slash)
		return tree_open(tree, ".", O_RDONLY | O_DIRECTORY, 0);
	for (char *at = folder; (at = strchr(at, '/')); *at++ = '/') {
		const char *part;
		int above;

		*at = '\0';
		fd = tree_open(tree, folder, O_RDONLY | O_DIRECTORY, 0);
		if (fd == -ENOENT) {
			above = tree_folder(tree, folder, &part);
			if (above >= 0 && mkdirat(above, part, 0755))
				fd = -errno;
			cleanup_close(&above);
		}
		if (fd >= 0)
			close(fd);
	}
	*slash = '\0';
	return tree_open(tree, folder, O_RDONLY | O_DIRECTORY, 0);
}

/* What is gone lies beside the folder. */
static int put_aside(int tree, int folder, const char *name)
{
	char aside[40];

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(aside, sizeof(aside), "../removed-%u", i);
		if (!renameat2(folder, name, tree, aside, RENAME_NOREPLACE))
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static void tree_remove(int tree, const char *path)
{
	const char *name;
	CLEANUP_CLOSE int folder = tree_folder(tree, path, &name);

	if (folder >= 0)
		(void)put_aside(tree, folder, name);
}

/* A new text, of a file that may be there. */
static int tree_write(int tree, const char *path, mode_t mode, const char *text,
		      struct error *error)
{
	const char *name;
	CLEANUP_CLOSE int folder = tree_folder(tree, path, &name), fd = -1;
	size_t length = strlen(text);

	if (folder < 0)
		return tree_fail(error, folder, path);
	/* A link there gives way: what it leads to is not this file. */
	fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0 && errno == ELOOP && !put_aside(tree, folder, name))
		fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0 || (ssize_t)length != write(fd, text, length))
		return tree_fail(error, fd < 0 ? -errno : -EIO, path);
	return fchmod(fd, mode) ? tree_fail(error, -errno, path) : 0;
}

/* The whole of it; the caller frees it. */
static int tree_read(int tree, const char *path, char **text, struct error *error)
{
	CLEANUP_CLOSE int fd = tree_open(tree, path, O_RDONLY, 0);
	CLEANUP_FREE char *all = calloc(1, TEXT_MOST + 1);
	size_t length = 0;
	ssize_t got = 1;

	if (!all)
		return -ENOMEM;
	if (fd < 0)
		return tree_fail(error, fd, path);
	while (got > 0 && length < TEXT_MOST) {
		got = read(fd, all + length, TEXT_MOST - length);
		if (got < 0)
			return tree_fail(error, -errno, path);
		length += (size_t)got;
	}
	*text = steal_pointer(&all);
	return 0;
}

/* In place, with the mode that it has. */
static int tree_rewrite(int tree, const char *path, const char *text, struct error *error)
{
	CLEANUP_CLOSE int fd = tree_open(tree, path, O_WRONLY | O_TRUNC, 0);
	size_t length = strlen(text);

	if (fd < 0 || write(fd, text, length) != (ssize_t)length)
		return tree_fail(error, fd < 0 ? fd : -EIO, path);
	return 0;
}

static int tree_append(int tree, const char *path, const char *text, struct error *error)
{
	CLEANUP_CLOSE int fd = tree_open(tree, path, O_WRONLY | O_APPEND, 0);
	size_t length = strlen(text);

	if (fd < 0 || write(fd, text, length) != (ssize_t)length)
		return tree_fail(error, fd < 0 ? fd : -EIO, path);
	return 0;
}

static int tree_link(int tree, const char *path, const char *target, struct error *error)
{
	const char *name;
	CLEANUP_CLOSE int folder = tree_folder(tree, path, &name);

	if (folder < 0)
		return tree_fail(error, folder, path);
	return symlinkat(target, folder, name) && errno != EEXIST ? tree_fail(error, -errno, path)
								  : 0;
}

static bool tree_has(int tree, const char *path)
{
	CLEANUP_CLOSE int fd = tree_open(tree, path, O_PATH, 0);

	return fd >= 0;
}

static int tree_mkdir(int tree, const char *path, mode_t mode, struct error *error)
{
	const char *name;
	CLEANUP_CLOSE int folder = tree_folder(tree, path, &name);

	if (folder < 0)
		return tree_fail(error, folder, path);
	if ((mkdirat(folder, name, mode) && errno != EEXIST) || fchmodat(folder, name, mode, 0))
		return tree_fail(error, -errno, path);
	return 0;
}

/* ---- Users ---- */

/* The password of a user who is there: the second field of the line in shadow(5). */
static int set_hash(int tree, const char *user, const char *hash, struct error *error)
{
	CLEANUP_FREE char *text = NULL, *changed = NULL;
	size_t length = strlen(user);
	char *line, *rest;
	int rc = tree_read(tree, "etc/shadow", &text, error);

	if (rc)
		return rc;
	for (line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (!strncmp(line, user, length) && line[length] == ':')
			break;
	if (!*line)
		return tree_fail(error, -ENOENT, "user root in etc/shadow");
	rest = line + length + 1;
	rest += strcspn(rest, ":\n");
	line[length] = '\0';
	if (asprintf(&changed, "%s:%s%s", text, hash, rest) < 0)
		return changed = NULL, -ENOMEM;
	rc = tree_rewrite(tree, "etc/shadow", changed, error);
	explicit_bzero(changed, strlen(changed));
	return rc;
}

static bool has_user(const char *passwd, const char *name)
{
	size_t length = strlen(name);

	for (; *passwd; passwd += strcspn(passwd, "\n"), passwd += *passwd == '\n')
		if (!strncmp(passwd, name, length) && passwd[length] == ':')
			return true;
	return false;
}

static int add_line(int tree, const char *path, struct error *error, const char *format, ...)
{
	CLEANUP_FREE char *line = NULL;
	va_list arguments;
	int length, rc;

	va_start(arguments, format);
	length = vasprintf(&line, format, arguments);
	va_end(arguments);
	if (length < 0)
		return line = NULL, -ENOMEM;
	rc = tree_append(tree, path, line, error);
	explicit_bzero(line, (size_t)length);
	return rc;
}

/* As adduser(8) makes one, with sudo(8) as cloud images have it. */
static int add_user(int tree, const struct image_identity *identity, struct error *error)
{
	static const char *const skeleton[] = { ".bashrc", ".profile", ".bash_logout" };
	const char *user = identity->user;
	CLEANUP_FREE char *passwd = NULL, *home = NULL, *sudo = NULL;
	int rc = tree_read(tree, "etc/passwd", &passwd, error);

	if (rc)
		return rc;
	if (has_user(passwd, user))
		return error_set(error, -EEXIST,
				 "--user: there is a user '%s' in the system already", user);
	if (asprintf(&home, "home/%s", user) < 0)
		return home = NULL, -ENOMEM;
	if (asprintf(&sudo, "%s ALL=(ALL) NOPASSWD:ALL\n", user) < 0)
		return sudo = NULL, -ENOMEM;
	rc = add_line(tree, "etc/passwd", error, "%s:x:%d:%d::/%s:/bin/bash\n", user, FIRST_UID,
		      FIRST_UID, home);
	if (!rc)
		rc = add_line(tree, "etc/shadow", error, "%s:%s:%lld:0:99999:7:::\n", user,
			      identity->hash ? identity->hash : "!",
			      (long long)(time(NULL) / 86400));
	if (!rc)
		rc = add_line(tree, "etc/group", error, "%s:x:%d:\n", user, FIRST_UID);
	if (!rc)
		rc = add_line(tree, "etc/gshadow", error, "%s:!::\n", user);
	if (!rc)
		rc = tree_mkdir(tree, home, 0700, error);
	for (size_t i = 0; !rc && i < ARRAY_SIZE(skeleton); i++) {
		CLEANUP_FREE char *from = image_path("etc/skel", skeleton[i]), *text = NULL;
		CLEANUP_FREE char *to = image_path(home, skeleton[i]);

		if (!from || !to)
			rc = -ENOMEM;
		else if (!tree_read(tree, from, &text, NULL))
			rc = tree_write(tree, to, 0644, text, error);
	}
	return rc ? rc : tree_write(tree, "etc/sudoers.d/90-tenon", 0440, sudo, error);
}

static int add_keys(int tree, const struct image_identity *identity, struct error *error)
{
	CLEANUP_FREE char *folder = NULL, *path = NULL, *text = NULL;
	int rc;

	if (asprintf(&folder, "%s%s/.ssh", identity->user ? "home/" : "",
		     identity->user ? identity->user : "root") < 0)
		return folder = NULL, -ENOMEM;
	if (asprintf(&path, "%s/authorized_keys", folder) < 0)
		return path = NULL, -ENOMEM;
	if (asprintf(&text, "%s\n", identity->keys) < 0)
		return text = NULL, -ENOMEM;
	rc = tree_mkdir(tree, folder, 0700, error);
	return rc ? rc : tree_write(tree, path, 0600, text, error);
}

static int set_identity(int tree, const struct image_identity *identity, struct error *error)
{
	const char *hostname = identity->hostname ? identity->hostname : "debian";
	CLEANUP_FREE char *line = NULL, *hosts = NULL;
	int rc;

	if (asprintf(&line, "%s\n", hostname) < 0)
		return line = NULL, -ENOMEM;
	if (asprintf(&hosts,
		     "127.0.0.1\tlocalhost\n127.0.1.1\t%s\n\n::1\tlocalhost ip6-localhost "
		     "ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
		     hostname) < 0)
		return hosts = NULL, -ENOMEM;
	rc = tree_write(tree, "etc/hostname", 0644, line, error);
	if (!rc)
		rc = tree_write(tree, "etc/hosts", 0644, hosts, error);
	if (!rc && identity->user)
		rc = add_user(tree, identity, error);
	else if (!rc && identity->hash)
		rc = set_hash(tree, "root", identity->hash, error);
	if (!rc && identity->keys)
		rc = add_keys(tree, identity, error);
	return rc;
}

/* ---- The system ---- */

/* Each machine that is made of the image is one of its own. */
static int forget_machine(int tree, struct error *error)
{
	static const char *const keys[] = { "rsa", "ecdsa", "ed25519" };
	int rc = tree_write(tree, "etc/machine-id", 0444, "", error);

	tree_remove(tree, "var/lib/dbus/machine-id");
	tree_remove(tree, "var/lib/systemd/random-seed");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		char path[64];

		snprintf(path, sizeof(path), "etc/ssh/ssh_host_%s_key", keys[i]);
		tree_remove(tree, path);
		snprintf(path, sizeof(path), "etc/ssh/ssh_host_%s_key.pub", keys[i]);
		tree_remove(tree, path);
	}
	if (!rc && tree_has(tree, "etc/ssh/sshd_config"))
		rc = tree_write(tree, "etc/systemd/system/ssh.service.d/host-keys.conf", 0644,
				"# The image has none: each machine makes its own.\n[Service]\n"
				"ExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\n"
				"ExecStartPre=/usr/sbin/sshd -t\n",
				error);
	return rc;
}

static bool says_locale(int tree, const char *path)
{
	CLEANUP_FREE char *text = NULL;

	return tree_has(tree, path) && !tree_read(tree, path, &text, NULL) &&
	       (!strncmp(text, "LANG=", 5) || strstr(text, "\nLANG="));
}

/* The one that each system has. Where nobody says which it is, cloud-init makes it en_US, fails at that, and so does its service. */
static int set_locale_of(int tree, struct error *error)
{
	if (says_locale(tree, "etc/default/locale") || says_locale(tree, "etc/locale.conf"))
		return 0;
	return tree_write(tree, "etc/default/locale", 0644, "LANG=C.UTF-8\n", error);
}

static int set_network(int tree, struct error *error)
{
	static const char *const wants[][2] = {
		{ "etc/systemd/system/multi-user.target.wants/systemd-networkd.service",
		  "/lib/systemd/system/systemd-networkd.service" },
		{ "etc/systemd/system/sockets.target.wants/systemd-networkd.socket",
		  "/lib/systemd/system/systemd-networkd.socket" },
		{ "etc/systemd/system/dbus-org.freedesktop.network1.service",
		  "/lib/systemd/system/systemd-networkd.service" },
	};
	int rc = tree_write(tree, "etc/systemd/network/80-dhcp.network", 0644,
			    "[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\n", error);

	for (size_t i = 0; !rc && i < ARRAY_SIZE(wants); i++)
		rc = tree_link(tree, wants[i][0], wants[i][1], error);
	return rc;
}

/* Where it boots from, also after an update of its kernel: kernel-install(8) reads these. */
static int set_boot(int tree, const struct image_layout *layout, struct error *error)
{
	CLEANUP_FREE char *fstab = NULL, *cmdline = NULL;
	int rc;

	if (asprintf(&fstab,
		     "PARTUUID=%s / ext4 errors=remount-ro 0 1\n"
		     "PARTUUID=%s /boot/efi vfat umask=0077 0 2\n",
		     layout->root_uuid, layout->esp_uuid) < 0)
		return fstab = NULL, -ENOMEM;
	if (asprintf(&cmdline, "%s\n", layout->cmdline) < 0)
		return cmdline = NULL, -ENOMEM;
	rc = tree_mkdir(tree, "boot/efi", 0755, error);
	if (!rc)
		rc = tree_write(tree, "etc/fstab", 0644, fstab, error);
	if (!rc)
		rc = tree_write(tree, "etc/kernel/cmdline", 0644, cmdline, error);
	return rc ? rc
		  : tree_write(tree, "etc/kernel/entry-token", 0644, IMAGE_ENTRY_TOKEN "\n", error);
}

int image_tree_set(const char *path, const struct image_identity *identity,
		   const struct image_layout *layout, struct error *error)
{
	CLEANUP_CLOSE int tree = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (tree < 0)
		return error_set(error, -errno, "%s: %s", path, error_name(errno));
	rc = set_identity(tree, identity, error);
	if (!rc)
		rc = forget_machine(tree, error);
	if (!rc)
		rc = set_network(tree, error);
	if (!rc)
		rc = set_locale_of(tree, error);
	return rc ? rc : set_boot(tree, layout, error);
}
