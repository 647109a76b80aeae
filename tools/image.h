/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of `tenon image build`: a guest to boot, made of what this host has, by an ordinary user.
 *
 *	image.c		the command: a temporary folder that goes with it, where the result goes, what it says
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

struct error;

/* ---- image_list.c: verbs ---- */

int image_list_verb(int argc, char **argv);
int image_show_verb(int argc, char **argv);
int image_extract_verb(int argc, char **argv);

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
int image_guest_root(const char *temporary, uint64_t size, struct error *error);
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
};
int image_put_programs(FILE *to, const char *temporary, const struct image_program *programs,
		       unsigned count, struct error *error);

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

#endif
