/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of `tenon image build`: a guest to boot, made of what this host has, by an ordinary user.
 *
 *	image.c		the command, and `build busybox`
 *	image_job.c	what all that make disks share: a temporary folder that goes with it, where the result goes
 *	image_kernel.c	which kernel, and the files of its modules
 *	image_guest.c	the root file system and the initial RAM disk
 *	image_cpio.c	the archive that an initial RAM disk is
 *	image_programs.c	programs with their libraries
 *	image_files.c	files, folders and programs
 *
 * All is made in the temporary folder first. The modules are in the initial RAM disk alone, so that any kernel can have
 * the root file system.
 */
#ifndef TENON_TOOLS_IMAGE_H
#define TENON_TOOLS_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "tools/devices.h"

struct error;

/* ---- image_job.c ---- */

/* The making of one disk. */
struct image_job {
	struct cli_words given; /* the user's, as `force` */
	bool force;
	char *out; /* where it goes: FILE or VG/LV */
	bool is_volume;
	char *temporary; /* the folder */
	char *base;      /* of the names of what lies beside `out`: "vg0-root", "dir/root" */
};

typedef int image_work(struct image_job *job);

/* Runs work(job) in a child and returns its exit status. Whatever becomes of it, the temporary folder is removed, and when it
 * failed the volumes that it made are, too. */
int image_job_run(struct image_job *job, char *out, image_work *work);

/* As `tenon copy` has it: what lies in a folder that exists is a file. */
bool image_names_volume(const char *word);

/* What is where a disk is to go. */
struct image_place {
	bool is_volume, exists;
	uint64_t size; /* of what exists; 0: a file, or nothing, which will have what it needs */
	uint64_t room, unit; /* of a volume: what its group has free, and its extents */
	char holds[96];      /* what is recognised there, or empty */
};

/* In these an exit status is returned; what went wrong was said. */

/* Looks, and refuses what holds something without `force`. */
int image_job_look(const struct image_job *job, const char *name, struct image_place *place);
/* How large a disk will be there for which `*size` is asked (0: as large as can be told, else `least`): as large as what exists, whole extents of a volume that
 * is made. Refuses what does not fit. */
int image_job_fit(const struct image_job *job, const struct image_place *place, uint64_t least,
		  uint64_t *size);
/* Makes a volume, which is removed again when the work fails. */
int image_job_make_volume(const struct image_job *job, const char *name, uint64_t size);
/* Copies the file `name` of the temporary folder (or from the root) to FILE or VG/LV. */
int image_job_put(const struct image_job *job, const char *name, const char *to);
/* Makes a file without a name where `to` is to be: `*path` to it for as long as this process has `*fd`. -1 where its file system has
 * none; then it is made in the temporary folder. */
int image_job_unnamed(const char *to, char **path, int *fd);
/* It is on the disk, and then has its name, unless another has that. */
int image_job_name(const char *path, int fd, const char *to);
/* Copies what `tenon copy` takes as a source, in a format that may be given, to the file `name` of the temporary folder (or from the root). */
int image_job_fetch(const struct image_job *job, const char *from, const char *format,
		    const char *name);

/* That two words, either of which may be NULL, do not name one file or volume; `what` says what it would be: "the disk and its seed". 0 or
 * -EINVAL with `error` set. */
int image_check_apart(const char *one, const char *other, const char *what, struct error *error);

/* A word as a shell takes it for one; the caller frees it. */
char *image_quoted(const char *word);

/* ---- image_list.c: verbs ---- */

int image_list_verb(int argc, char **argv);
int image_show_verb(int argc, char **argv);
int image_extract_verb(int argc, char **argv);

/* ---- image_grow.c ---- */

struct image_grown {
	unsigned number;        /* of the partition that lies last; 0: there is no table */
	char content[32];       /* what is in it, as libblkid calls it, or empty */
	uint64_t start, length; /* bytes: of it, as it is now */
	uint64_t by;            /* bytes that it got; 0: it was left */
	bool file_system;       /* what is in it grew, too */
};

/* Makes the file `name` of the temporary folder, which holds a disk, `size` bytes long, and what is in it with it, as far as can be
 * done from outside. An exit status; what went wrong was said. */
int image_grow(const char *temporary, const char *name, uint64_t size, struct image_grown *grown);

/* ---- image_seed.c ---- */

/* Who a guest is. */
struct image_identity {
	const char *hostname, *user, *key_path, *hash_path; /* the user's words; NULL: not said */
	char *keys, *hash;                                  /* what is in the files */
};

#define IMAGE_IDENTITY_OPTIONS(identity)                                                           \
	{ "hostname", CLI_TEXT, &(identity)->hostname, "NAME", "the guest's name" },               \
		{ "user", CLI_TEXT, &(identity)->user, "NAME",                                     \
		  "a user, who may become root (without: root)" },                                 \
		{ "ssh-key", CLI_TEXT, &(identity)->key_path, "FILE",                              \
		  "public keys of SSH with which the user may log in" },                           \
	{                                                                                          \
		"password-hash", CLI_TEXT, &(identity)->hash_path, "FILE",                         \
			"the hash of the user's password, as mkpasswd makes it; -: standard input" \
	}

/* Checks what was said, and reads the files. 0 or a negative errno with `error` set. */
int image_identity_read(struct image_identity *identity, struct error *error);
void image_identity_free(struct image_identity *identity);
bool image_identity_any(const struct image_identity *identity);

/* Makes the file `name` of the temporary folder: a seed for cloud-init. */
int image_seed_make(const char *temporary, const char *name, const struct image_identity *identity,
		    struct error *error);

/* ---- image_import.c ---- */

int image_import_verb(int argc, char **argv);

/* ---- image_kernel.c ---- */

struct image_kernel {
	char *path;    /* the bzImage */
	char *version; /* "6.1.0-56-cloud-amd64", of its header */
	char *modules; /* the folder of its modules, with modules.dep */
	bool unpacked; /* out of a package, into the temporary folder */
};

void image_kernel_free(struct image_kernel *kernel);

/* `given`: a bzImage, a Debian package with one in it (*.deb), or NULL for the newest in /boot that has modules.
 * `modules`: their folder, or NULL for where kernels have them. -ENOENT where there is none. */
int image_kernel_find(struct image_kernel *kernel, const char *given, const char *modules,
		      const char *temporary, struct error *error);

/* The files below kernel->modules of the modules `wanted` and of what they need, in the order in which they can be
 * loaded; "NAME?" may be missing. What is built in is left out. NULL-terminated; image_list_free() frees it. */
int image_kernel_modules(const struct image_kernel *kernel, const char *const *wanted,
			 char ***files, struct error *error);
void image_list_free(char **list);

/* ---- image_guest.c ---- */

/* A busybox that needs no libraries; the caller frees it. */
int image_read_busybox(char **data, size_t *length, struct error *error);
/* Puts modules with what they need into modules/, and their order into modules/order. */
int image_put_modules(FILE *to, const char *temporary, const struct image_kernel *kernel,
		      const char *const *wanted, struct error *error);

/* Makes TEMPORARY/root.ext4, of `size` bytes, and TEMPORARY/initrd. */
int image_guest_root(const char *temporary, const struct image_kernel *kernel, uint64_t size,
		     bool *bootable, struct error *error);
int image_guest_initrd(const char *temporary, const struct image_kernel *kernel,
		       struct error *error);

/* ---- image_cpio.c ---- */

/* Adds a file (S_IFREG, `length` bytes of `data`), folder or symbolic link (its target is the data), owned by root. */
int image_cpio_add(FILE *to, const char *name, mode_t mode, const void *data, size_t length);
int image_cpio_end(FILE *to);

/* ---- image_programs.c ---- */

/* Puts programs of this host into bin/, with the libraries that they load, which are where they are here. */
struct image_program {
	const char *name;    /* what it is called there */
	const char *path;    /* NULL: it is looked for by its name */
	const char *package; /* where it comes from */
	const char *loads;   /* a library that it loads by itself, or NULL */
};
int image_put_programs(FILE *to, const char *temporary, const struct image_program *programs,
		       unsigned count, struct error *error);

/* ---- image_folder.c ---- */

/* Makes a folder for a job in TMPDIR, and removes what killed ones left there. *path is the caller's to free, also after an error; it is the job's as
 * long as a process has *lock open. 0 or a negative errno. */
int image_folder_make(char **path, int *lock, struct error *error);

/* ---- image_files.c ---- */

/* DIRECTORY/NAME; the caller frees it. NULL without memory. */
char *image_path(const char *directory, const char *name);
/* The whole of a file; the caller frees it, also when it is empty. */
int image_file_read(const char *path, char **data, size_t *length, struct error *error);
int image_file_write(const char *path, mode_t mode, const void *data, size_t length,
		     struct error *error);
/* The path of a program, also of /usr/sbin; the caller frees it. -ENOENT with advice where there is none. */
int image_find_program(const char *name, const char *package, char **path, struct error *error);
/* Removes a folder with all that is in it. */
void image_remove_folder(const char *path);

/* Runs a program, also of /usr/sbin, and waits for it. Its standard input is /dev/null; what it says is kept in
 * TEMPORARY/said, whose first line is in the error. `package` is where a missing program comes from. */
int image_run(const char *temporary, const char *package, const char *const *argv,
	      struct error *error);

/* The same where an exit status up to `most` is none of a failure. */
#define IMAGE_RUN_UNCUT (1u << 0) /* ftruncate() does nothing there */
int image_run_status(const char *temporary, const char *package, const char *const *argv, int most,
		     unsigned flags, struct error *error);

#endif
