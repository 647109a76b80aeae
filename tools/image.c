/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tenon image build busybox`: a guest to boot. See image.h.
 *
 * The work is done by a child, in a temporary folder that the parent removes however the child ends; the signals that
 * end a command are handed to the child, and the parent ends as that did. What is made goes to its place by `tenon copy`'s
 * own function, which knows volumes, servers, and what may be overwritten.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/block.h"
#include "block/signature.h"
#include "tools/consent.h"
#include "tools/devices.h"
#include "tools/image.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "util/size.h"
#include "volume/volume.h"

#define SIZE_LEAST   (16ULL << 20)
#define SIZE_DEFAULT (128ULL << 20)

struct build {
	const char *kernel_given, *modules, *initrd;
	uint64_t size;
	bool force;
	struct consent consent;
	struct cli_words given;
	char *out, *temporary;
	bool is_volume;
	struct image_kernel kernel;
	char *base; /* of the names of what lies beside the image */
};

/* ---- Where it goes ---- */

/* By default, the file system is as large as the volume. */
static int find_size(void *arg, struct error *error)
{
	struct build *build = arg;
	CLEANUP_STACK struct stack *look = NULL;
	struct volume_group *group;
	struct volume_lv *lv;
	char wanted[SIZE_TEXT], there[SIZE_TEXT];
	int rc = stack_look(&look, &build->given, error);

	if (!rc)
		rc = stack_find_volume(look, build->out, &group, &lv, error);
	if (rc)
		return rc;
	if (!build->size)
		build->size = lv->size;
	if (build->size <= lv->size && build->size >= SIZE_LEAST)
		return 0;
	error_set(error, -ENOSPC, "%s: has %s, the file system would have %s, at least 16 MiB",
		  build->out, size_format(lv->size, there), size_format(build->size, wanted));
	error_advise(error, "`tenon lv resize` makes it larger");
	return -ENOSPC;
}

/* As `tenon copy` has it: what lies in a folder that exists is a file. */
static bool names_volume(const char *word)
{
	CLEANUP_FREE char *folder = strdup(word);
	char *slash = folder ? strrchr(folder, '/') : NULL;
	struct stat status;

	if (!slash || !stack_names_volume(word))
		return false;
	*slash = '\0';
	return stat(folder, &status) || !S_ISDIR(status.st_mode);
}

/* "vg0/root" is vg0-root, here; "dir/root.img" is dir/root, there. */
static char *base_name(const struct build *build)
{
	char *base = strdup(build->out), *slash = base ? strrchr(base, '/') : NULL;
	size_t length = base ? strlen(base) : 0;

	if (build->is_volume && slash)
		*slash = '-';
	else if (length > 4 && !strcmp(base + length - 4, ".img"))
		base[length - 4] = '\0';
	return base;
}

/* Copies what was made to where it is to be: a file is named as nothing else can be. An exit status. */
static int put(const struct build *build, const char *name, const char *to)
{
	CLEANUP_FREE char *from = *name == '/' ? strdup(name) : image_path(build->temporary, name);
	bool plain = *to == '/' || *to == '.' || (build->is_volume && to == build->out);
	CLEANUP_FREE char *place = plain ? strdup(to) : image_path(".", to);
	char *argv[2 * CLI_MOST_OPTIONS + 8];
	int argc = 0;

	if (!from || !place || build->given.count > CLI_MOST_OPTIONS)
		return cli_fail(-ENOMEM, &(struct error){ 0 });
	argv[argc++] = (char *)"copy";
	if (build->force)
		argv[argc++] = (char *)"--force";
	if (build->given.degraded)
		argv[argc++] = (char *)"--degraded";
	for (unsigned i = 0; i < build->given.count; i++) {
		argv[argc++] = (char *)"--device";
		argv[argc++] = build->given.words[i];
	}
	argv[argc++] = (char *)"--";
	argv[argc++] = from;
	argv[argc++] = place;
	argv[argc] = NULL;
	return command_copy(argc, argv);
}

/* ---- What it says ---- */

/* As a shell takes it for one word. */
static char *quoted(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "/._-+:@=,%";
	char *text = NULL;
	size_t length;
	FILE *to;

	if (*word && !word[strspn(word, plain)])
		return strdup(word);
	to = open_memstream(&text, &length);
	if (!to)
		return NULL;
	fputc('\'', to);
	for (; *word; word++)
		if (*word == '\'')
			fputs("'\\''", to);
		else
			fputc(*word, to);
	fputc('\'', to);
	return fclose(to) ? NULL : text;
}

static int tell(const struct build *build, const char *kernel, const char *initrd)
{
	CLEANUP_FREE char *kernel_word = quoted(kernel), *initrd_word = quoted(initrd);
	CLEANUP_FREE char *out = quoted(build->out), *socket = NULL, *socket_word = NULL;
	char size[SIZE_TEXT];

	if (asprintf(&socket, "vhost-user:sockets/%s.sock", build->base) < 0)
		socket = NULL;
	socket_word = socket ? quoted(socket) : NULL;
	if (!kernel_word || !initrd_word || !out || !socket_word)
		return cli_fail(-ENOMEM, &(struct error){ 0 });
	cli_say("%s: root file system of %s (busybox, ext4)", build->out,
		size_format(build->size, size));
	cli_say("%s: initial RAM disk for Linux %s", initrd, build->kernel.version);
	if (build->is_volume) {
		cli_say("To boot it, unless it is served already (`tenon status` shows the "
			"socket):");
		cli_say("    tenon serve %.*s --socket-dir sockets &", (int)strcspn(out, "/"), out);
	} else {
		cli_say("To boot it:");
	}
	cli_say("    tenon vm run --kernel %s --initrd %s --disk %s", kernel_word, initrd_word,
		build->is_volume ? socket_word : out);
	return EXIT_DONE;
}

/* ---- What it would do ---- */

/* What is on the volume would go. */
static int plan_loss(void *arg, struct error *error)
{
	struct build *build = arg;
	CLEANUP_STACK struct stack *look = NULL;
	CLEANUP_BLOCK struct block *block = NULL;
	struct block_signature found;
	int rc = stack_look(&look, &build->given, error);

	if (!rc)
		rc = stack_open_block(look, build->out, false, &block, error);
	if (!rc)
		rc = block_signature_find(block, &found, error);
	if (rc > 0 && build->force)
		cli_say("  the %s on it would be lost", found.name);
	else if (rc > 0)
		return block_signature_check(block, error);
	return MIN(rc, 0);
}

static void plan_file(const struct build *build, const char *path, const char *what)
{
	struct stat status;
	bool there = !stat(path, &status);

	cli_say("%s: would be %s: %s", path, there ? "overwritten" : "made", what);
	if (there && !build->force)
		cli_say("  if it carries a signature, only with --force");
}

static int plan(struct build *build, const char *initrd, const char *kernel)
{
	char size[SIZE_TEXT], text[160];
	int status = EXIT_DONE;

	snprintf(text, sizeof(text), "a root file system of %s (busybox, ext4)",
		 size_format(build->size, size));
	if (build->is_volume) {
		cli_say("%s: would be written to: %s", build->out, text);
		status = cli_on_fiber(plan_loss, build);
	} else {
		plan_file(build, build->out, text);
	}
	if (status)
		return status;
	snprintf(text, sizeof(text), "an initial RAM disk for Linux %.100s", build->kernel.version);
	plan_file(build, build->initrd ? build->initrd : initrd, text);
	if (build->kernel.unpacked)
		plan_file(build, kernel, "the kernel of the package");
	return EXIT_DONE;
}

/* ---- The work ---- */

static int find_kernel(struct build *build, struct error *error)
{
	return image_kernel_find(&build->kernel, build->kernel_given, build->modules,
				 build->temporary, error);
}

static int make_all(struct build *build, struct error *error)
{
	int rc = find_kernel(build, error);

	if (!rc)
		rc = image_guest_initrd(build->temporary, &build->kernel, error);
	return rc ? rc : image_guest_root(build->temporary, build->size, error);
}

static int work(struct build *build)
{
	CLEANUP_FREE char *initrd = NULL, *kernel = NULL;
	struct error error = { 0 };
	int status, rc;

	if (build->is_volume) {
		status = cli_on_fiber(find_size, build);
		if (status)
			return status;
	} else if (!build->size) {
		build->size = SIZE_DEFAULT;
	}
	rc = build->consent.dry_run ? find_kernel(build, &error) : make_all(build, &error);
	if (rc)
		return cli_fail(rc, &error);
	if (asprintf(&initrd, "%s.initrd", build->base) < 0 ||
	    asprintf(&kernel, "%s.kernel", build->base) < 0)
		return cli_fail(-ENOMEM, &error);
	if (build->consent.dry_run)
		return plan(build, initrd, kernel);
	status = put(build, "root.ext4", build->out);
	if (!status)
		status = put(build, "initrd", build->initrd ? build->initrd : initrd);
	if (!status && build->kernel.unpacked)
		status = put(build, build->kernel.path, kernel);
	if (!status)
		status = tell(build, build->kernel.unpacked ? kernel : build->kernel.path,
			      build->initrd ? build->initrd : initrd);
	image_kernel_free(&build->kernel);
	return status;
}

/* ---- The process that stays behind ---- */

static volatile sig_atomic_t worker_pid;

static void hand_on(int number)
{
	if (worker_pid > 0)
		kill((pid_t)worker_pid, number);
}

/* Runs the work in a child. `*ended_by`: the signal that it died of, or 0. */
static int supervise(struct build *build, int *ended_by)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	const struct sigaction handler = { .sa_handler = hand_on, .sa_flags = SA_RESTART };
	sigset_t set, before;
	int status = 0;
	pid_t child;

	sigemptyset(&set);
	for (unsigned i = 0; i < 3; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, &before);
	child = fork();
	if (child == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		status = work(build);
		fflush(NULL);
		_exit(status);
	}
	worker_pid = child;
	for (unsigned i = 0; i < 3; i++) {
		struct sigaction now;

		if (!sigaction(signals[i], NULL, &now) && now.sa_handler != SIG_IGN)
			sigaction(signals[i], &handler, NULL);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return cli_fail(-errno, &(struct error){ 0 });
	*ended_by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

static int build_verb(int argc, char **argv)
{
	struct build build = { 0 };
	const struct cli_option options[] = {
		{ "kernel", CLI_TEXT, &build.kernel_given, "FILE",
		  "a bzImage, or a linux-image package (.deb); else the newest in /boot" },
		{ "modules", CLI_TEXT, &build.modules, "DIR",
		  "the folder of its modules, if not where its version has them" },
		{ "size", CLI_SIZE, &build.size, "SIZE",
		  "of the file system (the volume's, or 128M)", SIZE_LEAST, 0 },
		{ "initrd", CLI_TEXT, &build.initrd, "FILE",
		  "where the initial RAM disk goes (FILE or VG-LV, with .initrd)" },
		{ "force", CLI_FLAG, &build.force, NULL, "overwrite files that carry a signature" },
		CLI_OPTION_DRY_RUN(&build.consent),
		CLI_OPTION_DEVICE(&build.given),
		CLI_OPTION_END,
	};
	const char *temporary = getenv("TMPDIR");
	struct cli_words operands;
	int status, ended_by = 0;

	if (!cli_parse("image build busybox FILE|VG/LV", options, argc, argv, 2, 2, &operands,
		       &status))
		return status;
	if (strcmp(operands.words[0], "busybox"))
		return cli_usage_error("there is no guest '%s', only busybox", operands.words[0]);
	build.out = operands.words[1];
	build.is_volume = names_volume(build.out);
	build.base = base_name(&build);
	if (!build.base || asprintf(&build.temporary, "%s/tenon-image-XXXXXX",
				    temporary && *temporary ? temporary : "/tmp") < 0)
		return cli_fail(-ENOMEM, &(struct error){ 0 });
	if (!mkdtemp(build.temporary)) {
		struct error error = { 0 };

		error_set(&error, -errno, "%s: %s", build.temporary, error_name(errno));
		error_advise(&error, "set TMPDIR to a directory with room for the guest");
		status = cli_fail(-errno, &error);
	} else {
		status = supervise(&build, &ended_by);
		image_remove_folder(build.temporary);
	}
	free(build.temporary);
	free(build.base);
	if (ended_by) {
		signal(ended_by, SIG_DFL);
		raise(ended_by);
	}
	return status;
}

int command_image(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "build", build_verb, "busybox FILE|VG/LV",
		  "make a guest to boot: its disk and initial RAM disk" },
		{ "list", image_list_verb, "[VG/LV|VG|md/NAME|FILE]...",
		  "what is on disks: systems, kernels, names" },
		{ "show", image_show_verb, "VG/LV|md/NAME|FILE",
		  "what is on a disk, without mounting it" },
		{ "extract", image_extract_verb, "VG/LV|md/NAME|FILE",
		  "take the kernel out of a disk, to boot it by that" },
		{ NULL, NULL, NULL, NULL },
	};

	return cli_run_verb("image", verbs, argc, argv);
}
