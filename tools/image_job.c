/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all makers of disks share; see image.h.
 *
 * The work is done by a child, in a temporary folder that the parent removes however the child ends, as it does with volumes that were made
 * for nothing; the signals that end a command are handed to the child, and the parent ends as that did. Where the parent was
 * killed, the child ends as if it were asked to; the folder stays then. What is made goes
 * to its place by `tenon copy`'s own function, which knows volumes, servers, and what may be overwritten.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/block.h"
#include "block/signature.h"
#include "tools/devices.h"
#include "tools/image.h"
#include "tools/image_look.h"
#include "tools/stack.h"
#include "util/bytes.h"
#include "util/size.h"
#include "volume/volume.h"

/* ---- Names ---- */

/* As `tenon copy` has it: what lies in a folder that exists is a file. */
bool image_names_volume(const char *word)
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
static char *base_name(const struct image_job *job)
{
	char *base = strdup(job->out), *slash = base ? strrchr(base, '/') : NULL;
	size_t length = base ? strlen(base) : 0;

	if (job->is_volume && slash)
		*slash = '-';
	else if (length > 4 && !strcmp(base + length - 4, ".img"))
		base[length - 4] = '\0';
	return base;
}

/* As a shell takes it for one word. */
char *image_quoted(const char *word)
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

/* "FOLDER/NAME", with the folder as it is; NULL: there is no such folder. */
static char *real_place(const char *word)
{
	CLEANUP_FREE char *folder = strdup(word), *real = NULL;
	char *slash = folder ? strrchr(folder, '/') : NULL, *place = NULL;

	if (slash)
		slash[slash == folder] = '\0';
	real = folder ? realpath(slash ? folder : ".", NULL) : NULL;
	slash = strrchr(word, '/');
	if (!real || asprintf(&place, "%s/%s", real, slash ? slash + 1 : word) < 0)
		return NULL;
	return place;
}

static bool is_one_place(const char *one, const char *other)
{
	CLEANUP_FREE char *first = NULL, *second = NULL;
	struct stat a, b;

	if (!strcmp(one, other))
		return true;
	if (!stat(one, &a) && !stat(other, &b))
		return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
	first = real_place(one);
	second = real_place(other);
	return first && second && !strcmp(first, second);
}

int image_check_apart(const char *one, const char *other, const char *what, struct error *error)
{
	if (!one || !other || !is_one_place(one, other))
		return 0;
	error_set(error, -EINVAL, "%s: would be %s", other, what);
	return error_advise(error, "name two different ones");
}

/* ---- Verbs of our own ---- */

/* The verb `words` with operands; what the user said of devices goes with it. An exit status. */
static int run_verb(command_fn *verb, const struct image_job *job, const char *const *words,
		    const char *const *operands)
{
	char *argv[2 * CLI_MOST_OPTIONS + 16];
	int argc = 0;

	if (job->given.count > CLI_MOST_OPTIONS)
		return cli_fail(-ENOMEM, &(struct error){ 0 });
	for (; *words; words++)
		argv[argc++] = (char *)*words;
	if (job->given.degraded)
		argv[argc++] = (char *)"--degraded";
	for (unsigned i = 0; i < job->given.count; i++) {
		argv[argc++] = (char *)"--device";
		argv[argc++] = job->given.words[i];
	}
	argv[argc++] = (char *)"--";
	for (; *operands; operands++)
		argv[argc++] = (char *)*operands;
	argv[argc] = NULL;
	return verb(argc, argv);
}

/* A file is named as nothing else can be. */
static char *place_of(const char *to)
{
	bool plain = *to == '/' || *to == '.' || image_names_volume(to);

	return plain ? strdup(to) : image_path(".", to);
}

int image_job_put(const struct image_job *job, const char *name, const char *to)
{
	CLEANUP_FREE char *from = *name == '/' ? strdup(name) : image_path(job->temporary, name);
	CLEANUP_FREE char *place = place_of(to);
	const char *const words[] = { "copy", job->force ? "--force" : NULL, NULL };
	const char *const operands[] = { from, place, NULL };

	if (!from || !place)
		return cli_fail(-ENOMEM, &(struct error){ 0 });
	return run_verb(command_copy, job, words, operands);
}

int image_job_fetch(const struct image_job *job, const char *from, const char *format,
		    const char *name)
{
	CLEANUP_FREE char *to = *name == '/' ? strdup(name) : image_path(job->temporary, name);
	const char *const words[] = { "copy", format ? "--format" : NULL, format, NULL };
	const char *const operands[] = { from, to, NULL };

	return to ? run_verb(command_copy, job, words, operands)
		  : cli_fail(-ENOMEM, &(struct error){ 0 });
}

/* ---- Files that have no name yet ---- */

int image_job_unnamed(const char *to, char **path, int *fd)
{
	CLEANUP_FREE char *place = place_of(to), *folder = place ? strdup(place) : NULL;
	char *slash = folder ? strrchr(folder, '/') : NULL;

	if (!slash)
		return cli_fail(-ENOMEM, &(struct error){ 0 });
	slash[slash == folder] = '\0';
	*fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
	if (*fd >= 0 && asprintf(path, "/proc/%d/fd/%d", (int)getpid(), *fd) < 0)
		return *path = NULL, cli_fail(-ENOMEM, &(struct error){ 0 });
	if (*fd >= 0 && cli_call(*path, to))
		return cli_fail(-ENOMEM, &(struct error){ 0 });
	return EXIT_DONE;
}

int image_job_name(const char *path, int fd, const char *to)
{
	CLEANUP_FREE char *place = place_of(to);
	struct error error = { 0 };

	if (!place)
		return cli_fail(-ENOMEM, &error);
	if (!fsync(fd) && !linkat(AT_FDCWD, path, AT_FDCWD, place, AT_SYMLINK_FOLLOW))
		return EXIT_DONE;
	error_set(&error, -errno, "%s: %s", to,
		  errno == EEXIST ? "somebody else has made it meanwhile" : error_name(errno));
	return cli_fail(error.code, &error);
}

/* ---- Volumes that are made for it ---- */

/* What the process that stays behind reads when this one failed: the names of volumes that are of no use then. */
#define MADE "volumes-made"

static int note_made(const struct image_job *job, const char *name)
{
	CLEANUP_FREE char *path = image_path(job->temporary, MADE);
	FILE *to = path ? fopen(path, "ae") : NULL;

	if (!to || fprintf(to, "%s\n", name) < 0 || fclose(to))
		return cli_fail(to ? -EIO : -ENOMEM, &(struct error){ 0 });
	return EXIT_DONE;
}

int image_job_make_volume(const struct image_job *job, const char *name, uint64_t size)
{
	char bytes[32];
	const char *const words[] = { "lv", "create", "--size", bytes, NULL };
	const char *const operands[] = { name, NULL };
	int status;

	snprintf(bytes, sizeof(bytes), "%lluB", (unsigned long long)size);
	status = run_verb(command_lv, job, words, operands);
	/* One that a server cannot serve is there as well. */
	return status && status != EXIT_NOT_SERVED ? status : note_made(job, name);
}

static void remove_made(const struct image_job *job)
{
	static const char *const words[] = { "lv", "remove", "--yes", NULL };
	CLEANUP_FREE char *path = image_path(job->temporary, MADE), *text = NULL;
	size_t length;
	char *rest, *name;

	if (!path || image_file_read(path, &text, &length, NULL))
		return;
	for (rest = text; (name = strsep(&rest, "\n"));)
		if (*name && run_verb(command_lv, job, words, (const char *const[]){ name, NULL }))
			cli_warn("%s: it was made for this, and is still there, with nothing or "
				 "part of the disk on it",
				 name);
}

/* ---- What is there already ---- */

struct check {
	const struct image_job *job;
	const char *name;
	struct image_place *place;
};

static int check_volume(void *arg, struct error *error)
{
	struct check *check = arg;
	struct image_place *place = check->place;
	CLEANUP_STACK struct stack *look = NULL;
	CLEANUP_FREE char *vg = strndup(check->name, strcspn(check->name, "/"));
	struct block_signature found;
	struct volume_group *group;
	struct volume_lv *lv;
	int rc = vg ? stack_look(&look, &check->job->given, error) : -ENOMEM;

	if (!rc)
		rc = stack_find_group(look, vg, &group, error);
	if (rc)
		return rc;
	place->room = group->free_extents * group->extent_size;
	place->unit = group->extent_size;
	rc = stack_find_volume(look, check->name, &group, &lv, error);
	if (rc == -ENOENT)
		return *error = (struct error){ 0 }, 0;
	if (!rc) {
		CLEANUP_BLOCK struct block *block = NULL;

		place->exists = true;
		place->size = lv->size;
		rc = stack_open_block(look, check->name, false, &block, error);
		if (!rc)
			rc = block_signature_find(block, &found, error);
	}
	if (rc > 0)
		snprintf(place->holds, sizeof(place->holds), "%s", found.name);
	return MIN(rc, 0);
}

static int check_file(const char *path, bool force, struct image_place *place, struct error *error)
{
	struct block_signature found;
	CLEANUP_CLOSE int fd = -1;
	struct stat status;
	int rc;

	if (stat(path, &status))
		return errno == ENOENT
			       ? 0
			       : error_set(error, -errno, "%s: %s", path, error_name(errno));
	place->exists = true;
	if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
		return error_set(error, -EINVAL, "%s: is neither a file nor a block device", path);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return error_set(error, -errno, "%s: %s", path, error_name(errno));
	place->size = S_ISBLK(status.st_mode) ? (uint64_t)lseek(fd, 0, SEEK_END) : 0;
	rc = block_signature_find_file(fd, &found);
	if (rc > 0)
		snprintf(place->holds, sizeof(place->holds), "%s", found.name);
	return rc < 0 && !force ? error_set(error, rc, "%s: cannot be searched for signatures: %s",
					    path, error_name(rc))
				: 0;
}

int image_job_look(const struct image_job *job, const char *name, struct image_place *place)
{
	struct check check = { job, name, place };
	struct error error = { 0 };
	int rc, status = EXIT_DONE;

	*place = (struct image_place){ .is_volume = image_names_volume(name) };
	if (place->is_volume) {
		status = cli_on_fiber(check_volume, &check);
	} else {
		rc = check_file(name, job->force, place, &error);
		status = rc ? cli_fail(rc, &error) : EXIT_DONE;
	}
	if (status || !*place->holds || job->force)
		return status;
	error_set(&error, -EEXIST, "%s: holds %s", name, place->holds);
	error_advise(&error, "give --force to overwrite it, if nothing on it is needed");
	return cli_fail(-EEXIST, &error);
}

int image_job_fit(const struct image_job *job, const struct image_place *place, uint64_t least,
		  uint64_t *size)
{
	bool is_new = place->is_volume && !place->exists;
	uint64_t most = is_new ? place->room : place->size;
	uint64_t wanted = MAX(*size, least);
	struct error error = { 0 };
	char sizes[2][SIZE_TEXT];

	if (is_new)
		wanted = (wanted + place->unit - 1) / place->unit * place->unit;
	if ((is_new || most) && wanted > most) {
		error_set(&error, -ENOSPC, "%s: %s %s, the disk would have %s", job->out,
			  is_new ? "its group has free" : "has", size_format(most, sizes[0]),
			  size_format(wanted, sizes[1]));
		if (!is_new && place->is_volume)
			error_advise(&error, "`tenon lv resize` makes it larger");
		return cli_fail(-ENOSPC, &error);
	}
	*size = !is_new && most ? most : round_up(wanted, 4096);
	return EXIT_DONE;
}

/* ---- The process that stays behind ---- */

static volatile sig_atomic_t worker_pid;

static void hand_on(int number)
{
	if (worker_pid > 0)
		kill((pid_t)worker_pid, number);
}

/* Also reaps what the work's programs leave behind: where process 1 does not, as in many containers, fakeroot waits for its
 * daemon to be gone and would do so for ever. */
static bool await_child(pid_t child, int *status)
{
	pid_t ended;

	do
		ended = wait(status);
	while (ended > 0 ? ended != child : errno == EINTR);
	return ended == child;
}

/* Runs the work in a child. `*ended_by`: the signal that it died of, or 0. */
static int supervise(struct image_job *job, image_work *work, int *ended_by)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	const struct sigaction handler = { .sa_handler = hand_on, .sa_flags = SA_RESTART };
	sigset_t set, before;
	int status = 0;
	pid_t child, parent = getpid();

	sigemptyset(&set);
	for (unsigned i = 0; i < 3; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, &before);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	child = fork();
	if (child == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		status = getppid() == parent ? work(job) : EXIT_FAILED;
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
	if (child < 0 || !await_child(child, &status))
		return cli_fail(-errno, &(struct error){ 0 });
	*ended_by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

/* ---- The whole ---- */

int image_job_run(struct image_job *job, char *out, image_work *work)
{
	struct error error = { 0 };
	int status, ended_by = 0, rc;
	CLEANUP_CLOSE int lock = -1;

	job->out = out;
	job->is_volume = image_names_volume(out);
	job->base = base_name(job);
	if (!job->base)
		return cli_fail(-ENOMEM, &error);
	rc = image_folder_make(&job->temporary, &lock, &error);
	if (rc) {
		status = cli_fail(rc, &error);
	} else {
		status = supervise(job, work, &ended_by);
		worker_pid = 0;
		if (status)
			remove_made(job);
		image_remove_folder(job->temporary);
	}
	free(job->temporary);
	free(job->base);
	if (ended_by) {
		signal(ended_by, SIG_DFL);
		raise(ended_by);
	}
	return status;
}
