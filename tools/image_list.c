/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon image list`, `show` and `extract`; see image_look.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "block/output.h"
#include "block/partition.h"
#include "tools/describe.h"
#include "tools/image.h"
#include "tools/image_boot.h"
#include "tools/image_look.h"
#include "tools/look.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "util/size.h"

/* ---- list ---- */

/* What cannot be looked at is a row that says why: the others are shown. */
static void add_row(json_t *rows, const struct cli_words *given, char *word)
{
	CLEANUP_IMAGE_DISK struct image_disk disk = { 0 };
	struct error error = { 0 };
	json_t *row = NULL;
	int rc = image_disk_open(&disk, given, word, &error);

	if (!rc)
		rc = image_look(&disk, &row, &error);
	if (rc)
		row = json_pack("{s:o, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:o}",
				"name", describe_path(word), "size_bytes", "partition_table",
				"table_uuid", "sector_bytes", "content", "os", "hostname", "kernel",
				"seed_instance", "partition_count", "problem",
				describe_text(error.text));
	json_object_del(row, "parts");
	json_array_append_new(rows, row);
}

static int add_group(struct cli_words *words, const struct volume_group *group)
{
	for (unsigned i = 0; i < group->lv_count; i++) {
		CLEANUP_FREE char *name = NULL;

		if (!group->lvs[i]->visible)
			continue;
		if (asprintf(&name, "%s/%s", group->name, group->lvs[i]->name) < 0)
			return name = NULL, -ENOMEM;
		cli_words_add(words, cli_keep_text(name));
	}
	return 0;
}

/* Of no operand: all volumes of all groups. A group stands for its volumes. */
static int expand(struct look *look, struct cli_words *words, struct error *error)
{
	CLEANUP_STACK struct stack *stack = NULL;
	int rc = 0;

	for (unsigned i = 0; !rc && i < look->operands.count; i++) {
		char *word = look->operands.words[i];
		struct volume_group *group;

		if (!strchr(word, '/') && !device_exists(word)) {
			if (!stack)
				rc = stack_look(&stack, &look->given, error);
			if (!rc)
				rc = stack_find_group(stack, word, &group, error);
			if (!rc)
				rc = add_group(words, group);
		} else {
			cli_words_add(words, word);
		}
	}
	if (rc || look->operands.count)
		return rc;
	rc = stack_look(&stack, &look->given, error);
	for (unsigned i = 0; !rc && i < stack->scan->group_count; i++)
		rc = add_group(words, stack->scan->groups[i]);
	return rc ? rc : stack_report(stack, stack->scan->group_count, error);
}

static int list_run(struct look *look, struct error *error)
{
	struct cli_words words = { 0 };
	int rc = expand(look, &words, error);

	if (rc)
		return rc;
	look->result = json_array();
	for (unsigned i = 0; i < words.count; i++)
		add_row(look->result, &look->given, words.words[i]);
	return 0;
}

int image_list_verb(int argc, char **argv)
{
	static const struct cli_column columns[] = {
		{ "DISK", "name", CLI_AS_PATH },
		{ "SIZE", "size_bytes", CLI_AS_SIZE },
		{ "TABLE", "partition_table", CLI_AS_TEXT, 3 },
		{ "PARTITIONS", "partition_count", CLI_AS_TEXT, 5 },
		{ "CONTENT", "content", CLI_AS_TEXT, 4 },
		{ "OS", "os", CLI_AS_TEXT, 1 },
		{ "KERNEL", "kernel", CLI_AS_TEXT, 3 },
		{ "HOSTNAME", "hostname", CLI_AS_TEXT, 2 },
		{ "PROBLEM", "problem", CLI_AS_NOTE, 2 },
		{ NULL },
	};
	struct look look = { .usage = "image list [VG/LV|VG|md/NAME|FILE]...",
			     .most = CLI_ANY,
			     .columns = columns,
			     .run = list_run };

	return look_verb(&look, argc, argv);
}

/* ---- show ---- */

static int show_run(struct look *look, struct error *error)
{
	CLEANUP_IMAGE_DISK struct image_disk disk = { 0 };
	int rc = image_disk_open(&disk, &look->given, look->name, error);

	return rc ? rc : image_look(&disk, &look->result, error);
}

int image_show_verb(int argc, char **argv)
{
	static const struct cli_column columns[] = {
		{ "NUMBER", "number", CLI_AS_TEXT },      { "SIZE", "size_bytes", CLI_AS_SIZE },
		{ "USED", "used_bytes", CLI_AS_SIZE, 3 }, { "TYPE", "type", CLI_AS_TEXT, 4 },
		{ "CONTENT", "content", CLI_AS_TEXT },    { "LABEL", "label", CLI_AS_TEXT, 2 },
		{ "UUID", "uuid", CLI_AS_TEXT, 6 },       { "OS", "os", CLI_AS_TEXT, 1 },
		{ "PROBLEM", "problem", CLI_AS_NOTE, 2 }, { NULL },
	};
	static const struct cli_part parts[] = { { "parts", "Partitions", columns }, { NULL } };
	struct look look = { .usage = "image show VG/LV|md/NAME|FILE",
			     .least = 1,
			     .most = 1,
			     .parts = parts,
			     .run = show_run };

	return look_verb(&look, argc, argv);
}

/* ---- extract ---- */

struct extract {
	struct cli_words given;
	char *word;
	const char *kernel, *initrd, *version;
	bool force;
};

static int put_file(const struct extract *extract, const char *path, const char *data,
		    size_t length, struct error *error)
{
	struct output out = { .fd = -1 };
	int rc = output_open(&out, path, extract->force ? OUTPUT_FORCE : 0, NULL, error);

	for (size_t done = 0; !rc && done < length;) {
		ssize_t put = write(out.fd, data + done, length - done);

		if (put < 0 && errno != EINTR)
			rc = error_set(error, -errno, "%s: writing it: %s", path,
				       error_name(errno));
		done += put > 0 ? (size_t)put : 0;
	}
	if (!rc && out.is_file && fsync(out.fd))
		rc = error_set(error, -errno, "%s: writing it: %s", path, error_name(errno));
	if (rc)
		output_discard(&out, path);
	else
		output_close(&out);
	return rc;
}

static int put_both(const struct extract *extract, const struct image_boot *boot,
		    struct error *error)
{
	int rc = 0;

	if (extract->initrd && !boot->initrd)
		return error_set(error, -ENOENT,
				 "%s: there is no initial RAM disk initrd.img-%s in %s of it",
				 extract->word, boot->version, boot->folder);
	if (extract->kernel)
		rc = put_file(extract, extract->kernel, boot->kernel, boot->kernel_length, error);
	if (!rc && extract->initrd)
		rc = put_file(extract, extract->initrd, boot->initrd, boot->initrd_length, error);
	if (rc)
		return rc;
	if (extract->kernel)
		cli_say("%s: Linux %s of %s", extract->kernel, boot->version, extract->word);
	if (extract->initrd)
		cli_say("%s: its initial RAM disk", extract->initrd);
	if (boot->parameters)
		cli_say("%s: its boot menu gives that kernel: %s", extract->word, boot->parameters);
	return 0;
}

static int extract_run(void *arg, struct error *error)
{
	struct extract *extract = arg;
	CLEANUP_IMAGE_DISK struct image_disk disk = { 0 };
	CLEANUP_IMAGE_BOOT struct image_boot boot = { 0 };
	unsigned wanted = (extract->kernel ? IMAGE_BOOT_KERNEL : 0) |
			  (extract->initrd ? IMAGE_BOOT_INITRD : 0) | IMAGE_BOOT_PARAMETERS;
	int rc = image_check_apart(extract->kernel, extract->initrd,
				   "the kernel and its initial RAM disk", error);

	if (!rc)
		rc = image_check_apart(extract->word, extract->kernel, "the disk and its kernel",
				       error);
	if (!rc)
		rc = image_check_apart(extract->word, extract->initrd,
				       "the disk and its initial RAM disk", error);
	if (!rc)
		rc = image_disk_open(&disk, &extract->given, extract->word, error);
	if (!rc)
		rc = image_boot_read(&boot, disk.block, extract->word, extract->version, wanted,
				     error);
	return rc ? rc : put_both(extract, &boot, error);
}

int image_extract_verb(int argc, char **argv)
{
	struct extract extract = { 0 };
	const struct cli_option options[] = {
		{ "kernel", CLI_TEXT, &extract.kernel, "FILE", "where the kernel goes" },
		{ "initrd", CLI_TEXT, &extract.initrd, "FILE", "where its initial RAM disk goes" },
		{ "version", CLI_TEXT, &extract.version, "VERSION",
		  "of the kernel; else the newest" },
		{ "force", CLI_FLAG, &extract.force, NULL,
		  "overwrite files that carry a signature" },
		CLI_OPTION_LOOK_AT(&extract.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	int status;

	if (!cli_parse("image extract VG/LV|md/NAME|FILE --kernel FILE", options, argc, argv, 1, 1,
		       &operands, &status))
		return status;
	if (!extract.kernel && !extract.initrd)
		return cli_usage_error("give --kernel FILE, --initrd FILE or both");
	extract.word = operands.words[0];
	return cli_on_fiber(extract_run, &extract);
}
