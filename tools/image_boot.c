/* SPDX-License-Identifier: BSD-2-Clause */
/* See image_boot.h. */
#include "tools/image_boot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "block/block.h"
#include "block/fat.h"
#include "block/signature.h"
#include "tools/image_ext.h"
#include "tools/image_look.h"
#include "util/bytes.h"
#include "util/error.h"

#define KERNEL_MOST  (256u << 20)
#define INITRD_MOST  (1024u << 20)
#define MENU_MOST    (1u << 20)
#define ENTRIES_MOST 64u

struct search {
	struct image_boot *boot;
	const char *version; /* NULL: the newest */
	unsigned wanted;
	struct error *error;
};

/* ---- The kernel, and what is beside it ---- */

static char *path_of(const struct image_boot *boot, const char *before, const char *after)
{
	char *path;

	return asprintf(&path, "%s%s%s%s%s", boot->folder, strcmp(boot->folder, "/") ? "/" : "",
			before, boot->version, after) < 0
		       ? NULL
		       : path;
}

static int read_kernel(struct image_boot *boot, struct image_ext *ext, struct error *error)
{
	CLEANUP_FREE char *path = path_of(boot, "vmlinuz-", "");

	return path ? image_ext_read(ext, path, KERNEL_MOST, &boot->kernel, &boot->kernel_length,
				     error)
		    : -ENOMEM;
}

/* As Debian, Fedora and SUSE name it. There need not be one. */
static int read_initrd(struct image_boot *boot, struct image_ext *ext, struct error *error)
{
	static const char *const names[][2] = { { "initrd.img-", "" },
						{ "initramfs-", ".img" },
						{ "initrd-", "" } };
	int rc = -ENOENT;

	for (size_t i = 0; rc == -ENOENT && i < ARRAY_SIZE(names); i++) {
		CLEANUP_FREE char *path = path_of(boot, names[i][0], names[i][1]);

		rc = path ? image_ext_read(ext, path, INITRD_MOST, &boot->initrd,
					   &boot->initrd_length, error)
			  : -ENOMEM;
	}
	if (rc != -ENOENT)
		return rc;
	*error = (struct error){ 0 };
	return 0;
}

/* ---- Menus ---- */

struct menu {
	struct image_boot *boot;
	char kernel[300];
	struct fat *fat;
	struct image_ext *ext;
	const char *folder; /* of entries, in `ext` */
	unsigned count;
};

static void menu_init(struct menu *menu, struct image_boot *boot)
{
	*menu = (struct menu){ .boot = boot };
	snprintf(menu->kernel, sizeof(menu->kernel), "vmlinuz-%s", boot->version);
}

static int try_entry(void *arg, const char *name)
{
	struct menu *menu = arg;
	CLEANUP_FREE char *path = NULL, *text = NULL;
	size_t length = strlen(name);

	if (length < 5 || strcasecmp(name + length - 5, ".conf") || menu->count++ >= ENTRIES_MOST)
		return 0;
	if (asprintf(&path, "%s/%s", menu->folder, name) < 0)
		return path = NULL, -ENOMEM;
	if (!image_ext_read(menu->ext, path, MENU_MOST, &text, &length, NULL))
		menu->boot->parameters = image_menu_entry(text, menu->kernel);
	return menu->boot->parameters != NULL;
}

/* In the file system that the kernel is in. */
static void look_in_menus(struct image_boot *boot, struct image_ext *ext)
{
	static const char *const configs[] = { "/boot/grub/grub.cfg", "/boot/grub2/grub.cfg" };
	const char *folder = strcmp(boot->folder, "/") ? "" : "/boot"; /* to be cut off */
	struct menu menu;

	menu_init(&menu, boot);
	menu.ext = ext;
	for (size_t i = 0; !boot->parameters && i < ARRAY_SIZE(configs); i++) {
		CLEANUP_FREE char *text = NULL;
		size_t length;

		if (!image_ext_read(ext, configs[i] + strlen(folder), MENU_MOST, &text, &length,
				    NULL))
			boot->parameters = image_menu_grub(text, menu.kernel);
	}
	menu.folder = *folder ? "/loader/entries" : "/boot/loader/entries";
	if (!boot->parameters)
		(void)image_ext_list(ext, menu.folder, try_entry, &menu);
}

static int try_fat_file(void *arg, const struct fat_file *file)
{
	struct menu *menu = arg;
	CLEANUP_FREE char *text = NULL;
	size_t length;

	if (file->is_folder || strncasecmp(file->path, "loader/entries/", 15) ||
	    menu->count++ >= ENTRIES_MOST)
		return 0;
	if (!fat_read(menu->fat, file->path, MENU_MOST, &text, &length))
		menu->boot->parameters = image_menu_entry(text, menu->kernel);
	return menu->boot->parameters != NULL;
}

/* systemd-boot has its entries on the ESP. */
static int try_esp(void *arg, unsigned number, struct block *part)
{
	struct search *search = arg;
	struct block_signature found;
	CLEANUP_FAT struct fat *fat = NULL;
	struct menu menu;

	(void)number;
	if (block_signature_find(part, &found, NULL) != 1 || strcmp(found.type, "vfat") ||
	    fat_open(&fat, part, NULL))
		return 0;
	menu_init(&menu, search->boot);
	menu.fat = fat;
	(void)fat_walk(fat, try_fat_file, &menu);
	return search->boot->parameters != NULL;
}

/* ---- The disk ---- */

static int choose(struct search *search, json_t *versions)
{
	struct image_boot *boot = search->boot;
	json_t *one;
	size_t index;

	json_array_foreach(versions, index, one) {
		if (search->version && strcmp(search->version, json_string_value(one)) != 0)
			continue;
		free(boot->version);
		boot->version = strdup(json_string_value(one));
		if (!boot->version)
			return -ENOMEM;
	}
	return boot->version ? 0 : -ENOENT;
}

/* The first file system with such a kernel is the one. */
static int try_partition(void *arg, unsigned number, struct block *part)
{
	struct search *search = arg;
	struct image_boot *boot = search->boot;
	CLEANUP_IMAGE_EXT struct image_ext *ext = NULL;
	json_t *versions = NULL;
	const char *folder = NULL;
	int rc;

	if (image_ext_open(&ext, part, NULL) || image_system_kernels(ext, &versions, &folder))
		return 0;
	rc = choose(search, versions);
	json_decref(versions);
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	boot->partition = number;
	boot->folder = strdup(folder);
	if (!boot->folder)
		return -ENOMEM;
	if (search->wanted & IMAGE_BOOT_KERNEL)
		rc = read_kernel(boot, ext, search->error);
	if (!rc && (search->wanted & IMAGE_BOOT_INITRD))
		rc = read_initrd(boot, ext, search->error);
	if (!rc && (search->wanted & IMAGE_BOOT_PARAMETERS))
		look_in_menus(boot, ext);
	return rc ? rc : 1;
}

int image_boot_read(struct image_boot *boot, struct block *disk, const char *word,
		    const char *version, unsigned wanted, struct error *error)
{
	struct search search = { boot, version, wanted, error };
	int rc;

	*boot = (struct image_boot){ 0 };
	rc = image_each_partition(disk, try_partition, &search, error);
	if (!rc) {
		rc = error_set(error, -ENOENT,
			       "%s: there is no kernel%s%s in an ext4 file system on it", word,
			       version ? " " : "", version ? version : "");
		error_advise(error, "`tenon image show %s` says what is on it", word);
	}
	if (rc > 0 && (wanted & IMAGE_BOOT_PARAMETERS) && !boot->parameters)
		rc = image_each_partition(disk, try_esp, &search, error);
	if (rc < 0)
		image_boot_free(boot);
	return MIN(rc, 0);
}

void image_boot_free(struct image_boot *boot)
{
	free(boot->version);
	free(boot->folder);
	free(boot->kernel);
	free(boot->initrd);
	free(boot->parameters);
	*boot = (struct image_boot){ 0 };
}
