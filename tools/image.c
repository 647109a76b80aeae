/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon image`, and of it `build busybox`: a guest to boot. See image.h. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/consent.h"
#include "tools/image.h"
#include "tools/image_debian.h"
#include "tools/qemu_disk.h"
#include "util/bytes.h"
#include "util/size.h"

#define SIZE_LEAST   (16ULL << 20)
#define SIZE_DEFAULT (128ULL << 20)

#define DEBIAN_LEAST   (1ULL << 30)
#define DEBIAN_DEFAULT (2ULL << 30)

struct build {
	const char *kernel_given, *modules, *initrd;
	uint64_t size;
	struct consent consent;
	struct image_job job;
	struct image_kernel kernel;
	const char *output;
	bool bootable; /* by what is on it */
	struct image_debian debian;
	struct image_identity identity;
};

/* ---- Where it goes ---- */

/* By default, the file system is as large as the volume, which is made if it is not there. */
static int find_size(struct build *build, struct image_place *place)
{
	uint64_t asked = build->size;
	int status;

	*place = (struct image_place){ .is_volume = build->job.is_volume };
	status = place->is_volume ? image_job_look(&build->job, build->job.out, place) : EXIT_DONE;
	if (!asked && !place->exists)
		build->size = SIZE_DEFAULT;
	if (!status && place->is_volume)
		status = image_job_fit(&build->job, place, SIZE_LEAST, &build->size);
	if (asked && place->exists)
		build->size = asked;
	return status;
}

/* ---- What it says ---- */

static int tell(const struct build *build, const char *kernel, const char *initrd)
{
	CLEANUP_FREE char *kernel_word = image_quoted(kernel), *initrd_word = image_quoted(initrd);
	CLEANUP_FREE char *out = image_quoted(build->job.out), *socket = NULL, *socket_word = NULL;
	char size[SIZE_TEXT];

	if (asprintf(&socket, "vhost-user:sockets/%s.sock", build->job.base) < 0)
		socket = NULL;
	socket_word = socket ? image_quoted(socket) : NULL;
	if (!kernel_word || !initrd_word || !out || !socket_word)
		return cli_fail(-ENOMEM, &(struct error){ 0 });
	cli_say("%s: root file system of %s (busybox, ext4)", build->job.out,
		size_format(build->size, size));
	cli_say("%s: initial RAM disk for Linux %s", initrd, build->kernel.version);
	if (build->bootable) {
		cli_say("To boot it by that kernel, which is on it as well:");
		cli_say("    tenon vm run --disk %s", out);
		return EXIT_DONE;
	}
	if (build->job.is_volume) {
		cli_say("To boot it, unless it is served already (`tenon status` shows the "
			"socket):");
		cli_say("    tenon serve %.*s --socket-dir sockets &", (int)strcspn(out, "/"), out);
	} else {
		cli_say("To boot it:");
	}
	cli_say("    tenon vm run --kernel %s --initrd %s --disk %s", kernel_word, initrd_word,
		build->job.is_volume ? socket_word : out);
	return EXIT_DONE;
}

/* ---- What it would do ---- */

static void plan_file(const struct build *build, const char *path, const char *what)
{
	struct stat status;
	bool there = !stat(path, &status);

	cli_say("%s: would be %s: %s", path, there ? "overwritten" : "made", what);
	if (there && !build->job.force)
		cli_say("  if it carries a signature, only with --force");
}

/* What is on a volume would go. */
static void plan_volume(const struct build *build, const struct image_place *place,
			const char *what)
{
	cli_say("%s: would be %s: %s", build->job.out, place->exists ? "written to" : "made", what);
	if (*place->holds)
		cli_say("  the %s on it would be lost", place->holds);
}

static int plan(struct build *build, const struct image_place *place, const char *initrd,
		const char *kernel)
{
	char size[SIZE_TEXT], text[160];

	snprintf(text, sizeof(text), "a root file system of %s (busybox, ext4)",
		 size_format(build->size, size));
	if (place->is_volume)
		plan_volume(build, place, text);
	else
		plan_file(build, build->job.out, text);
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
				 build->job.temporary, error);
}

static int make_all(struct build *build, struct error *error)
{
	int rc = find_kernel(build, error);

	if (!rc)
		rc = image_guest_initrd(build->job.temporary, &build->kernel, error);
	return rc ? rc
		  : image_guest_root(build->job.temporary, &build->kernel, build->size,
				     &build->bootable, error);
}

static int work(struct image_job *job)
{
	struct build *build = container_of(job, struct build, job);
	CLEANUP_FREE char *initrd = NULL, *kernel = NULL;
	struct image_place place;
	struct error error = { 0 };
	int status, rc;

	rc = image_check_apart(job->out, build->initrd, "the disk and its initial RAM disk",
			       &error);
	if (!rc)
		rc = image_check_apart(build->kernel_given, job->out, "the kernel and the disk",
				       &error);
	if (!rc)
		rc = image_check_apart(build->kernel_given, build->initrd,
				       "the kernel and the initial RAM disk", &error);
	if (rc)
		return cli_fail(rc, &error);
	status = find_size(build, &place);
	if (status)
		return status;
	rc = build->consent.dry_run ? find_kernel(build, &error) : make_all(build, &error);
	if (rc)
		return cli_fail(rc, &error);
	if (asprintf(&initrd, "%s.initrd", build->job.base) < 0 ||
	    asprintf(&kernel, "%s.kernel", build->job.base) < 0)
		return cli_fail(-ENOMEM, &error);
	if (build->consent.dry_run)
		return plan(build, &place, initrd, kernel);
	if (place.is_volume && !place.exists)
		status = image_job_make_volume(job, job->out, build->size);
	if (!status)
		status = image_job_put(&build->job, "root.ext4", build->job.out);
	if (!status)
		status = image_job_put(&build->job, "initrd",
				       build->initrd ? build->initrd : initrd);
	if (!status && build->kernel.unpacked)
		status = image_job_put(&build->job, build->kernel.path, kernel);
	if (!status)
		status = tell(build, build->kernel.unpacked ? kernel : build->kernel.path,
			      build->initrd ? build->initrd : initrd);
	image_kernel_free(&build->kernel);
	return status;
}

/* ---- Debian ---- */

static int plan_debian(const struct build *build, const struct image_place *place)
{
	char size[SIZE_TEXT], text[160];

	snprintf(text, sizeof(text), "Debian %.60s on a disk of %s (GPT, ESP, ext4)",
		 build->debian.suite, size_format(build->size, size));
	if (place->is_volume)
		plan_volume(build, place, text);
	else
		plan_file(build, build->job.out, text);
	return EXIT_DONE;
}

static int tell_debian(const struct build *build)
{
	const struct image_identity *identity = &build->identity;
	CLEANUP_FREE char *out = image_quoted(build->job.out);
	char size[SIZE_TEXT];

	if (!out)
		return cli_fail(-ENOMEM, &(struct error){ 0 });
	cli_say("%s: Debian %s on a disk of %s, which boots by UEFI", build->job.out,
		build->debian.suite, size_format(build->size, size));
	if (!identity->keys && !identity->hash)
		cli_note("nobody can log in: --ssh-key or --password-hash would let somebody");
	/* A machine of ours takes the bytes of a disk only. */
	if (!build->job.is_volume && qemu_disk_format_of_name(build->job.out))
		return EXIT_DONE;
	cli_say("To boot it by its kernel:");
	cli_say("    tenon vm run --memory 512M --disk %s", out);
	return EXIT_DONE;
}

static int work_debian(struct image_job *job)
{
	struct build *build = container_of(job, struct build, job);
	struct error error = { 0 };
	struct image_place place;
	int status = image_job_look(job, job->out, &place), rc;

	if (!build->size && !(place.exists && place.size))
		build->size = DEBIAN_DEFAULT;
	if (!status)
		status = image_job_fit(job, &place, DEBIAN_LEAST, &build->size);
	if (status || build->consent.dry_run)
		return status ? status : plan_debian(build, &place);
	rc = image_debian_make(job->temporary, &build->debian, build->size, &error);
	if (rc)
		return cli_fail(rc, &error);
	if (place.is_volume && !place.exists)
		status = image_job_make_volume(job, job->out, build->size);
	if (build->identity.hash)
		umask(0077);
	if (!status)
		status = image_job_put(job, "disk", job->out);
	return status ? status : tell_debian(build);
}

static int build_debian(struct build *build, char *out)
{
	struct error error = { 0 };
	int status, rc;

	if (!build->debian.suite)
		return cli_usage_error("--suite: which Debian? bookworm or trixie");
	if (build->modules || build->initrd)
		return cli_usage_error("--modules and --initrd are for busybox");
	build->debian.kernel = build->kernel_given;
	build->debian.identity = &build->identity;
	rc = image_debian_check(&build->debian, &error);
	if (rc)
		return cli_wrong_value(NULL, &error);
	rc = image_identity_read(&build->identity, &error);
	status = rc ? cli_fail(rc, &error) : image_job_run(&build->job, out, work_debian);
	image_identity_free(&build->identity);
	return status;
}

/* ---- Both ---- */

static int build_verb(int argc, char **argv)
{
	struct build build = { 0 };
	const struct cli_option options[] = {
		{ "suite", CLI_TEXT, &build.debian.suite, "SUITE", "of Debian: bookworm, trixie" },
		{ "packages", CLI_TEXT, &build.debian.packages, "A,B",
		  "of Debian: more packages to install" },
		{ "mirror", CLI_TEXT, &build.debian.mirror, "URI",
		  "of Debian, in place of the one that apt is configured with" },
		IMAGE_IDENTITY_OPTIONS(&build.identity),
		{ "output", CLI_TEXT, &build.output, "FILE|VG/LV",
		  "where it goes, as a word of its own would say" },
		{ "kernel", CLI_TEXT, &build.kernel_given, "FILE",
		  "a bzImage, or a linux-image package (.deb); else the newest in /boot; of Debian "
		  "the name of a package (linux-image-cloud-amd64)" },
		{ "modules", CLI_TEXT, &build.modules, "DIR",
		  "the folder of its modules, if not where its version has them" },
		{ "size", CLI_SIZE, &build.size, "SIZE",
		  "of the file system (the volume's, or 128M); of Debian's disk (2G)", SIZE_LEAST,
		  0 },
		{ "initrd", CLI_TEXT, &build.initrd, "FILE",
		  "where the initial RAM disk goes (FILE or VG-LV, with .initrd)" },
		{ "force", CLI_FLAG, &build.job.force, NULL,
		  "overwrite files that carry a signature" },
		CLI_OPTION_DRY_RUN(&build.consent),
		CLI_OPTION_DEVICE(&build.job.given),
		CLI_OPTION_END,
	};
	struct cli_words operands;
	char *out;
	int status;

	if (!cli_parse("image build busybox|debian FILE|VG/LV", options, argc, argv, 1, 2,
		       &operands, &status))
		return status;
	if ((operands.count == 2) == (build.output != NULL))
		return cli_usage_error("where does it go? FILE or VG/LV, once");
	out = build.output ? (char *)build.output : operands.words[1];
	if (!strcmp(operands.words[0], "debian"))
		return build_debian(&build, out);
	if (strcmp(operands.words[0], "busybox") != 0)
		return cli_usage_error("there is no guest '%s', only busybox and debian",
				       operands.words[0]);
	if (build.debian.suite || build.debian.packages || build.debian.mirror ||
	    image_identity_any(&build.identity))
		return cli_usage_error("busybox has no suite, packages, mirror, names, users or "
				       "keys; debian has");
	return image_job_run(&build.job, out, work);
}

int command_image(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "build", build_verb, "busybox|debian FILE|VG/LV",
		  "make a guest to boot: its disk, and busybox's initial RAM disk" },
		{ "import", image_import_verb, "SOURCE FILE|VG/LV",
		  "make a disk from an image: copied, grown, with a seed" },
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
