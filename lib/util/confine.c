/* SPDX-License-Identifier: BSD-2-Clause */
/* See confine.h. */
#include "util/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/bytes.h"

#define OF_FILES (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE)
#define READING  (OF_FILES | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITING  LANDLOCK_ACCESS_FS_WRITE_FILE
/* All of the first version. */
#define EVERYTHING ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)

/* Programs and their libraries, wherever distributions have them, and what these read when they start. */
static const char *const system_paths[] = {
	"/usr",
	"/lib",
	"/lib64",
	"/bin",
	"/sbin",
	"/opt",
	"/nix/store",
	"/gnu/store",
	"/etc/ld.so.cache",
	"/etc/ld.so.preload",
	"/etc/gnutls",
	"/etc/crypto-policies",
	"/dev/urandom",
	"/proc/self",
};

static int allow(int rules, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access };
	struct stat status;
	int rc = 0;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return -errno;
	/* A folder's rights are refused for a file. */
	if (!fstat(rule.parent_fd, &status) && !S_ISDIR(status.st_mode))
		rule.allowed_access &= OF_FILES | WRITING;
	if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
		rc = -errno;
	close(rule.parent_fd);
	return rc;
}

int confine_files(const struct confine_path *paths, unsigned count)
{
	const struct landlock_ruleset_attr all = { .handled_access_fs = EVERYTHING };
	int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0), rc = 0;

	if (rules < 0)
		return -errno;
	/* Those that are not there are not needed. */
	for (size_t i = 0; i < ARRAY_SIZE(system_paths); i++)
		(void)allow(rules, system_paths[i], READING);
	/* QEMU opens it for writing, too, and without it does not take locks of open files. */
	(void)allow(rules, "/dev/null", READING | WRITING);
	for (unsigned i = 0; !rc && i < count; i++)
		rc = allow(rules, paths[i].path, READING | (paths[i].write ? WRITING : 0));
	if (!rc && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		    syscall(SYS_landlock_restrict_self, rules, 0)))
		rc = -errno;
	close(rules);
	return rc;
}
