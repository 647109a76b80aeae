/* SPDX-License-Identifier: BSD-2-Clause */
/* See image_look.h. os-release: os-release(5); seeds: cloud-init, NoCloud; entries: the Boot Loader Specification. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "block/block.h"
#include "block/fat.h"
#include "tools/describe.h"
#include "tools/describe_set.h"
#include "tools/image_ext.h"
#include "tools/image_look.h"
#include "util/bytes.h"
#include "util/error.h"

#define TEXT_MOST    (64u << 10)
#define KERNELS_MOST 64u
#define BOOT_MOST    64u

/* ---- Text ---- */

/* "KEY=value", also in quotes, as far as os-release(5) has them; the caller frees it. NULL: there is none. */
static char *value_of(const char *text, const char *key, char separator)
{
	size_t length = strlen(key);

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *at = line + strspn(line, " \t");
		size_t end;

		if (strncmp(at, key, length) || at[length] != separator)
			continue;
		at += length + 1;
		at += strspn(at, " \t");
		end = strcspn(at, "\n\r");
		if (end >= 2 && (*at == '"' || *at == '\'') && at[end - 1] == *at)
			return strndup(at + 1, end - 2);
		return strndup(at, end);
	}
	return NULL;
}

static void set_value(json_t *row, const char *key, const char *text, const char *name,
		      char separator)
{
	CLEANUP_FREE char *value = value_of(text, name, separator);

	if (value && *value)
		set_text(row, key, value);
}

/* ---- Linux in ext2, ext3, ext4 ---- */

static int take_kernel(void *arg, const char *name)
{
	json_t *list = arg;

	if (strncmp(name, "vmlinuz-", 8) || !name[8])
		return 0;
	json_array_append_new(list, describe_text(name + 8));
	return json_array_size(list) == KERNELS_MOST;
}

static int compare_versions(const void *a, const void *b)
{
	return strverscmp(json_string_value(*(json_t *const *)a),
			  json_string_value(*(json_t *const *)b));
}

/* As dpkg and distributions number them, the newest is the last then. */
static json_t *sorted(json_t *list)
{
	json_t *all[KERNELS_MOST], *result = json_array();
	size_t count = MIN(json_array_size(list), (size_t)KERNELS_MOST);

	for (size_t i = 0; i < count; i++)
		all[i] = json_array_get(list, i);
	qsort(all, count, sizeof(all[0]), compare_versions);
	for (size_t i = 0; i < count; i++)
		json_array_append(result, all[i]);
	json_decref(list);
	return result;
}

int image_system_kernels(struct image_ext *ext, json_t **versions, const char **folder)
{
	static const char *const folders[] = { "/boot", "/" };
	int rc = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		json_t *list = json_array();

		rc = image_ext_list(ext, folders[i], take_kernel, list);
		if (json_array_size(list)) {
			*versions = sorted(list);
			*folder = folders[i];
			return 0;
		}
		json_decref(list);
	}
	return rc < 0 ? rc : -ENOENT;
}

static void look_at_release(json_t *row, struct image_ext *ext)
{
	static const char *const paths[] = { "/etc/os-release", "/usr/lib/os-release" };
	CLEANUP_FREE char *text = NULL;
	size_t length;

	for (size_t i = 0; !text && i < ARRAY_SIZE(paths); i++)
		(void)image_ext_read(ext, paths[i], TEXT_MOST, &text, &length, NULL);
	if (!text)
		return;
	set_value(row, "os", text, "PRETTY_NAME", '=');
	set_value(row, "os_id", text, "ID", '=');
	set_value(row, "os_version", text, "VERSION_ID", '=');
}

void image_system_ext(json_t *row, struct block *part)
{
	CLEANUP_IMAGE_EXT struct image_ext *ext = NULL;
	CLEANUP_FREE char *hostname = NULL, *cloud = NULL;
	json_t *kernels = NULL;
	const char *folder;
	struct error error = { 0 };
	size_t length;

	if (image_ext_open(&ext, part, &error)) {
		set_text(row, "problem", error.text);
		return;
	}
	set_number(row, "used_bytes", image_ext_used(ext));
	look_at_release(row, ext);
	if (!image_ext_read(ext, "/etc/hostname", TEXT_MOST, &hostname, &length, NULL)) {
		hostname[strcspn(hostname, "\r\n")] = '\0';
		if (*hostname)
			set_text(row, "hostname", hostname);
	}
	if (!image_system_kernels(ext, &kernels, &folder))
		json_object_set_new(row, "kernel_versions", kernels);
	if (json_is_string(json_object_get(row, "os")))
		set_flag(row, "cloud_init",
			 image_ext_read(ext, "/etc/cloud/cloud.cfg", TEXT_MOST, &cloud, &length,
					NULL) != -ENOENT);
}

/* ---- What firmware boots, and seeds ---- */

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), wanted = strlen(end);

	return length >= wanted && !strcasecmp(text + length - wanted, end);
}

/* Programs for the firmware, and entries of a boot menu. */
static int take_boot_file(void *arg, const struct fat_file *file)
{
	json_t *list = arg;

	if (file->is_folder)
		return 0;
	if (ends_with(file->path, ".efi") || !strncasecmp(file->path, "loader/entries/", 15) ||
	    ends_with(file->path, "grub.cfg"))
		json_array_append_new(list, describe_text(file->path));
	return json_array_size(list) == BOOT_MOST;
}

static void look_at_seed(json_t *row, struct fat *fat)
{
	CLEANUP_FREE char *text = NULL, *instance = NULL, *hostname = NULL;
	size_t length;

	set_text(row, "seed_instance", "");
	if (fat_read(fat, "meta-data", TEXT_MOST, &text, &length))
		return;
	/* YAML, of which this much is JSON, too, as tenon writes it. */
	for (char *at = text; *at; at++)
		if (strchr("{},", *at))
			*at = '\n';
	instance = value_of(text, "\"instance-id\"", ':');
	if (!instance)
		instance = value_of(text, "instance-id", ':');
	hostname = value_of(text, "\"local-hostname\"", ':');
	if (!hostname)
		hostname = value_of(text, "local-hostname", ':');
	if (instance)
		set_text(row, "seed_instance", instance);
	if (hostname)
		set_text(row, "hostname", hostname);
}

/* Where libblkid looks for a label, in the root folder, may be farther in than what it is given of a disk: the first
 * sector has it, too. A table whose size is in 32 bits is FAT32's. */
static void look_at_label(json_t *row, struct block *part)
{
	uint8_t boot[4096];
	char label[12] = "";
	size_t length = 11;

	if (json_is_string(json_object_get(row, "label")) ||
	    part->logical_block_size > sizeof(boot) ||
	    block_read(part, 0, boot, part->logical_block_size))
		return;
	memcpy(label, boot + (get_le16(boot + 22) ? 43 : 71), length);
	while (length && (label[length - 1] == ' ' || !label[length - 1]))
		label[--length] = '\0';
	if (*label && strcmp(label, "NO NAME") != 0)
		set_text(row, "label", label);
}

void image_system_fat(json_t *row, struct block *part, bool is_seed)
{
	CLEANUP_FAT struct fat *fat = NULL;
	struct error error = { 0 };
	json_t *files;
	uint64_t used;
	int rc = fat_open(&fat, part, &error);

	if (rc) {
		set_text(row, "problem", error.text);
		return;
	}
	look_at_label(row, part);
	if (!fat_used(fat, &used))
		set_number(row, "used_bytes", used);
	if (is_seed) {
		look_at_seed(row, fat);
		return;
	}
	files = json_array();
	rc = fat_walk(fat, take_boot_file, files);
	if (rc < 0)
		set_text(row, "problem", error_name(rc));
	if (json_array_size(files))
		json_object_set(row, "boot_files", files);
	json_decref(files);
}
