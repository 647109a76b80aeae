/* SPDX-License-Identifier: BSD-2-Clause */
/* See image_debian.h. */
#include "tools/image_debian.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/block.h"
#include "block/gpt.h"
#include "tools/cli.h"
#include "tools/image.h"
#include "tools/image_attributes.h"
#include "tools/spawn.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"

#define ESP_SIZE  (256u << 20)
#define ESP_SMALL (128u << 20) /* of a disk of less than 2 GiB */
#define KERNEL    "linux-image-cloud-amd64"
#define BASE                                                                                       \
	"initramfs-tools,systemd-sysv,systemd-boot,systemd-boot-efi,systemd-resolved,udev,dbus,"   \
	"iproute2,netbase"
#define AUTH_CONF  "etc/apt/auth.conf.d/90-tenon.conf"
#define BOOT_PARTS "systemd-bootx64.efi"

/* ---- What the user says ---- */

static bool is_word(const char *text, const char *more)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789.+-";

	for (; *text; text++)
		if (!strchr(letters, *text) && !strchr(more, *text))
			return false;
	return true;
}

/* Debian has had systemd-boot in packages of its own since bookworm. */
static int check_age(const char *suite, struct error *error)
{
	static const char *const old[] = { "wheezy", "jessie", "stretch", "buster", "bullseye" };

	for (size_t i = 0; i < ARRAY_SIZE(old); i++) {
		if (strncmp(suite, old[i], strlen(old[i])) != 0)
			continue;
		error_set(error, -EINVAL,
			  "--suite: %s is older than bookworm, the first that can be built here",
			  suite);
		return error_advise(error, "`tenon image import` takes its cloud image");
	}
	return 0;
}

int image_debian_check(const struct image_debian *debian, struct error *error)
{
	if (!*debian->suite || *debian->suite == '-' || !is_word(debian->suite, ""))
		return error_set(error, -EINVAL, "--suite: '%s' is none (bookworm, trixie)",
				 debian->suite);
	if (debian->packages && (*debian->packages == '-' || !is_word(debian->packages, ",:=~_")))
		return error_set(error, -EINVAL, "--packages: '%s' is no list of packages (A,B)",
				 debian->packages);
	if (debian->kernel && (!is_word(debian->kernel, "") || *debian->kernel == '-'))
		return error_set(error, -EINVAL, "--kernel: '%s' is no package of a kernel",
				 debian->kernel);
	if (debian->mirror &&
	    (strpbrk(debian->mirror, " \t\n[]\"'") || !strchr(debian->mirror, ':')))
		return error_set(error, -EINVAL, "--mirror: '%s' is no URI", debian->mirror);
	return check_age(debian->suite, error);
}

/* ---- Installing ---- */

static char *list_packages(const struct image_debian *debian)
{
	const struct image_identity *identity = debian->identity;
	const char *more = debian->packages ? debian->packages : "";
	char *list;

	if (asprintf(&list, "%s," BASE "%s%s%s%s", debian->kernel ? debian->kernel : KERNEL,
		     identity->key_path ? ",openssh-server" : "", identity->user ? ",sudo" : "",
		     *more ? "," : "", more) < 0)
		return NULL;
	return list;
}

static void say_source(const char *suite, const char *source)
{
	cli_note("mmdebstrap installs %s from %s: this takes minutes", suite, source);
}

/* What mmdebstrap is told so that apt has the passwords while it installs, and nobody else: words of a command line can be seen by
 * all, and a file of the new system would be in the image. */
struct auth_hooks {
	char *file, *upload;
};

static const char auth_begin[] =
	"--setup-hook=mkdir -p \"$1/etc/apt/auth.conf.d\" && umask 077 && : >\"$1/" AUTH_CONF "\"";
static const char auth_end[] = "--customize-hook=rm -f \"$1/" AUTH_CONF "\"";

static void auth_hooks_free(struct auth_hooks *hooks)
{
	if (hooks->file)
		unlink(hooks->file);
	free(hooks->file);
	free(hooks->upload);
}

static int auth_hooks_make(struct auth_hooks *hooks, const char *temporary, const char *auth,
			   struct error *error)
{
	CLEANUP_FREE char *quoted = NULL;

	hooks->file = image_path(temporary, "auth.conf");
	quoted = hooks->file ? image_quoted(hooks->file) : NULL;
	if (!quoted || asprintf(&hooks->upload, "--setup-hook=upload %s /" AUTH_CONF, quoted) < 0)
		return hooks->upload = NULL, -ENOMEM;
	return image_file_write(hooks->file, 0600, auth, strlen(auth), error);
}

/* Whether others may enter it: the root of a user's own namespace is not the user. */
static bool is_enterable(const char *folder)
{
	CLEANUP_FREE char *path = realpath(folder, NULL);
	struct stat status;

	if (!path || access(path, W_OK | X_OK))
		return false;
	for (char *end = path + strlen(path); end > path; end = strrchr(path, '/')) {
		*end = '\0';
		if (stat(path, &status) || !(status.st_mode & S_IXOTH))
			return false;
	}
	return true;
}

/* mmdebstrap without root installs as another user in TMPDIR, which may be a folder of this one's alone, as his home is. */
static void choose_folder(void)
{
	const char *given = getenv("TMPDIR");
	const char *const places[] = { given && *given ? given : "/tmp", "/var/tmp", "/tmp" };

	for (size_t i = 0; geteuid() && i < ARRAY_SIZE(places); i++)
		if (is_enterable(places[i])) {
			setenv("TMPDIR", places[i], 1);
			return;
		}
}

static int install(const char *temporary, const struct image_debian *debian, struct error *error)
{
	CLEANUP_FREE char *packages = list_packages(debian), *include = NULL, *proxy = NULL;
	CLEANUP_FREE char *archive = image_path(temporary, "root.tar"), *auth = NULL;
	CLEANUP(auth_hooks_free) struct auth_hooks hooks = { 0 };
	const char *argv[20];
	char **sources = NULL;
	int argc = 0, rc;

	if (!packages || !archive)
		return -ENOMEM;
	if (asprintf(&include, "--include=%s", packages) < 0)
		return include = NULL, -ENOMEM;
	rc = image_apt_sources(temporary, debian->suite, debian->mirror, &sources, &auth, error);
	if (rc)
		return rc;
	if (auth && *auth)
		rc = auth_hooks_make(&hooks, temporary, auth, error);
	if (rc) {
		image_list_free(sources);
		return rc;
	}
	proxy = image_apt_proxy(temporary);
	if (proxy)
		setenv("http_proxy", proxy, 0);
	argv[argc++] = "mmdebstrap";
	argv[argc++] = "--architectures=amd64";
	argv[argc++] = "--variant=minbase";
	argv[argc++] = "--format=tar";
	if (hooks.upload) {
		argv[argc++] = auth_begin;
		argv[argc++] = hooks.upload;
		argv[argc++] = auth_end;
	}
	argv[argc++] = include;
	argv[argc++] = debian->suite;
	argv[argc++] = archive;
	for (char **line = sources; *line; line++)
		argv[argc++] = *line;
	argv[argc] = NULL;
	say_source(debian->suite, sources[0] + strlen("deb "));
	choose_folder();
	rc = image_run(temporary, "mmdebstrap", argv, error);
	image_list_free(sources);
	if (rc && rc != -ENOENT && geteuid() && !spawn_finds("newuidmap"))
		error_advise(error, "for a user other than root it needs newuidmap: install the "
				    "package uidmap, and see that /etc/subuid has a range for you");
	else if (rc && rc != -ENOENT)
		error_advise(error, "is the mirror reachable, and has it the suite and the "
				    "packages? --mirror names another");
	return rc;
}

/* What root owns is root's to fakeroot, whoever runs it: what it was told is kept in a file of its own. Extended attributes are not
 * among that (of a file that gets one, fakeroot 1.31 forgets that it is a file): they go another way. */
static int unpack_tree(const char *temporary, const char *tree, struct image_attributes *attributes,
		       struct error *error)
{
	CLEANUP_FREE char *owners = image_path(temporary, "owners");
	CLEANUP_FREE char *archive = image_path(temporary, "root.tar");
	int rc;

	if (!owners || !archive)
		return -ENOMEM;
	if (mkdir(tree, 0755))
		return error_set(error, -errno, "%s: %s", tree, error_name(errno));
	rc = image_attributes_read(attributes, archive, error);
	if (rc)
		return rc;
	rc = image_run(temporary, "fakeroot",
		       (const char *const[]){ "fakeroot", "-s", owners, "--", "tar", "-C", tree,
					      "--numeric-owner", "-xpf", archive, NULL },
		       error);
	unlink(archive);
	return rc;
}

/* ---- The disk ---- */

struct layout_call {
	const char *path;
	uint64_t size;
	struct image_layout *layout;
};

static int lay_out(void *arg, struct error *error)
{
	const struct layout_call *call = arg;
	struct image_layout *layout = call->layout;
	CLEANUP_BLOCK struct block *block = NULL;
	CLEANUP_GPT struct gpt gpt = { 0 };
	struct gpt_partition esp, root;
	unsigned number;
	int rc = block_open_file(&block, call->path,
				 BLOCK_OPEN_WRITE | BLOCK_OPEN_LOCK | BLOCK_OPEN_CREATE, call->size,
				 error);

	if (rc)
		return rc;
	rc = gpt_init(&gpt, call->size, 512);
	if (!rc)
		rc = gpt_add(&gpt, gpt_type_esp, "esp",
			     call->size < (2ull << 30) ? ESP_SMALL : ESP_SIZE, &number);
	if (!rc)
		rc = gpt_add(&gpt, gpt_type_root_x86_64, "root", 0, &number);
	if (rc)
		return error_set(error, rc, "a disk of %llu bytes: %s",
				 (unsigned long long)call->size, error_name(rc));
	gpt_partition(&gpt, 0, &esp);
	gpt_partition(&gpt, 1, &root);
	gpt_uuid(esp.id, layout->esp_uuid);
	gpt_uuid(root.id, layout->root_uuid);
	layout->esp_start = esp.start;
	layout->esp_length = esp.length;
	layout->root_start = root.start;
	layout->root_length = root.length;
	snprintf(layout->cmdline, sizeof(layout->cmdline),
		 "root=PARTUUID=%s ro console=tty0 console=ttyS0,115200", layout->root_uuid);
	return gpt_write(block, &gpt, error);
}

/* The folder is the file system's contents, with owners as fakeroot knows them. The home's are the user's, who has no entry there. */
static int make_root(const char *temporary, const char *tree, const char *disk,
		     const struct image_layout *layout, const char *user, struct error *error)
{
	static const char script[] =
		"set -e\n"
		"[ -z \"$4\" ] || chown -R 1000:1000 \"$1/home/$4\"\n"
		"exec mke2fs -q -F -t ext4 -L root -E \"offset=$3,root_owner=0:0\" -d \"$1\" "
		"\"$2\" \"$5\"\n";
	CLEANUP_FREE char *owners = image_path(temporary, "owners"), *offset = NULL, *size = NULL;

	if (!owners || asprintf(&offset, "%llu", (unsigned long long)layout->root_start) < 0)
		return offset = NULL, -ENOMEM;
	if (asprintf(&size, "%lluk", (unsigned long long)(layout->root_length >> 10)) < 0)
		return size = NULL, -ENOMEM;
	return image_run(temporary, "e2fsprogs",
			 (const char *const[]){ "fakeroot", "-i", owners, "--", "sh", "-c", script,
						"sh", tree, disk, offset, user ? user : "", size,
						NULL },
			 error);
}

/* ---- What the firmware boots ---- */

/* The newest kernel in the folder's /boot that has an initial RAM disk; the caller frees it. */
static int find_kernel(const char *boot, char **version, struct error *error)
{
	DIR *folder = opendir(boot);
	struct dirent *entry;

	*version = NULL;
	while (folder && (entry = readdir(folder))) {
		const char *name = entry->d_name;

		if (strncmp(name, "vmlinuz-", 8) != 0 ||
		    (*version && strverscmp(name + 8, *version) < 0))
			continue;
		free(*version);
		*version = strdup(name + 8);
	}
	if (folder)
		closedir(folder);
	return *version ? 0
			: error_set(error, -ENOENT,
				    "there is no kernel in the new system's /boot: does --kernel "
				    "name a package of one?");
}

static int write_text(const char *temporary, const char *name, struct error *error,
		      const char *format, ...)
{
	CLEANUP_FREE char *path = image_path(temporary, name), *text = NULL;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0 || !path)
		return text = length < 0 ? NULL : text, -ENOMEM;
	return image_file_write(path, 0644, text, (size_t)length, error);
}

/* mtools take an offset into a file behind "@@". */
static int put_boot_files(const char *temporary, const char *tree, const char *at,
			  const char *version, struct error *error)
{
	const char *const folders[] = { "mmd",
					"-i",
					at,
					"::/EFI",
					"::/EFI/BOOT",
					"::/EFI/systemd",
					"::/loader",
					"::/loader/entries",
					NULL,
					NULL,
					NULL };
	struct boot_put {
		char *from, *to;
	} puts[6] = { 0 };
	const char *more[ARRAY_SIZE(folders)];
	CLEANUP_FREE char *top = NULL, *below = NULL;
	int rc = 0;

	memcpy(more, folders, sizeof(folders));
	if (asprintf(&top, "::/" IMAGE_ENTRY_TOKEN) < 0)
		return top = NULL, -ENOMEM;
	if (asprintf(&below, "%s/%s", top, version) < 0)
		return below = NULL, -ENOMEM;
	more[8] = top;
	more[9] = below;
	if (asprintf(&puts[0].from, "%s/usr/lib/systemd/boot/efi/" BOOT_PARTS, tree) < 0 ||
	    asprintf(&puts[0].to, "::/EFI/BOOT/BOOTX64.EFI") < 0 ||
	    asprintf(&puts[1].from, "%s/usr/lib/systemd/boot/efi/" BOOT_PARTS, tree) < 0 ||
	    asprintf(&puts[1].to, "::/EFI/systemd/" BOOT_PARTS) < 0 ||
	    asprintf(&puts[2].from, "%s/boot/vmlinuz-%s", tree, version) < 0 ||
	    asprintf(&puts[2].to, "%s/linux", below) < 0 ||
	    asprintf(&puts[3].from, "%s/boot/initrd.img-%s", tree, version) < 0 ||
	    asprintf(&puts[3].to, "%s/initrd.img-%s", below, version) < 0 ||
	    asprintf(&puts[4].from, "%s/loader.conf", temporary) < 0 ||
	    asprintf(&puts[4].to, "::/loader/loader.conf") < 0 ||
	    asprintf(&puts[5].from, "%s/entry.conf", temporary) < 0 ||
	    asprintf(&puts[5].to, "::/loader/entries/" IMAGE_ENTRY_TOKEN "-%s.conf", version) < 0)
		return -ENOMEM;
	rc = image_run(temporary, "mtools", more, error);
	for (size_t i = 0; i < ARRAY_SIZE(puts); i++) {
		if (!rc)
			rc = image_run(temporary, "mtools",
				       (const char *const[]){ "mcopy", "-i", at, puts[i].from,
							      puts[i].to, NULL },
				       error);
		free(puts[i].from);
		free(puts[i].to);
	}
	return rc;
}

static int make_esp(const char *temporary, const char *tree, const char *disk,
		    const struct image_layout *layout, struct error *error)
{
	CLEANUP_FREE char *boot = image_path(tree, "boot"), *version = NULL, *at = NULL;
	CLEANUP_FREE char *sector = NULL, *size = NULL;
	int rc = boot ? find_kernel(boot, &version, error) : -ENOMEM;

	if (rc)
		return rc;
	if (asprintf(&at, "%s@@%llu", disk, (unsigned long long)layout->esp_start) < 0)
		return at = NULL, -ENOMEM;
	if (asprintf(&sector, "%llu", (unsigned long long)layout->esp_start / 512) < 0)
		return sector = NULL, -ENOMEM;
	if (asprintf(&size, "%llu", (unsigned long long)layout->esp_length >> 10) < 0)
		return size = NULL, -ENOMEM;
	rc = image_run(temporary, "dosfstools",
		       (const char *const[]){ "mkfs.fat", "-F", "32", "-s", "2", "-n", "ESP", "-h",
					      sector, "--offset", sector, disk, size, NULL },
		       error);
	if (!rc)
		rc = write_text(temporary, "loader.conf", error, "timeout 1\n");
	if (!rc)
		rc = write_text(temporary, "entry.conf", error,
				"title   Debian GNU/Linux\nversion %s\nsort-key debian\n"
				"options %s\nlinux   /" IMAGE_ENTRY_TOKEN
				"/%s/linux\ninitrd  /" IMAGE_ENTRY_TOKEN "/%s/initrd.img-%s\n",
				version, layout->cmdline, version, version, version);
	return rc ? rc : put_boot_files(temporary, tree, at, version, error);
}

/* ---- The whole ---- */

int image_debian_make(const char *temporary, const struct image_debian *debian, uint64_t size,
		      struct error *error)
{
	CLEANUP_FREE char *tree = image_path(temporary, "tree");
	CLEANUP_FREE char *disk = image_path(temporary, "disk");
	CLEANUP(image_attributes_free) struct image_attributes attributes = { 0 };
	struct image_layout layout = { 0 };
	struct layout_call call = { .path = disk, .size = size, .layout = &layout };
	int rc;

	if (!tree || !disk)
		return -ENOMEM;
	if (cli_on_fiber(lay_out, &call) != EXIT_DONE)
		return -ECANCELED; /* which was said */
	rc = install(temporary, debian, error);
	if (!rc)
		rc = unpack_tree(temporary, tree, &attributes, error);
	if (!rc)
		rc = image_tree_set(tree, debian->identity, &layout, error);
	if (!rc)
		rc = make_esp(temporary, tree, disk, &layout, error);
	if (!rc)
		rc = make_root(temporary, tree, disk, &layout, debian->identity->user, error);
	return rc ? rc : image_attributes_set(&attributes, disk, layout.root_start, error);
}
