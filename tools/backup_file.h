/* SPDX-License-Identifier: BSD-2-Clause */
/* Files with the backup of a reshape in place (--backup-file): made for one that begins, opened for those that go on. */
#ifndef TENON_TOOLS_BACKUP_FILE_H
#define TENON_TOOLS_BACKUP_FILE_H

#include "tools/stack.h"

/* `files`: of struct cli_words, to which the backups of what is given point. */
#define CLI_OPTION_BACKUP_FILE(files)                                                              \
	{                                                                                          \
		"backup-file", CLI_LIST, files, "FILE",                                            \
			"with what a reshape in place writes over (repeatable)"                    \
	}

/* Opens those that `given` names, as the devices of the stack are: for writing, locked, for reading or under an overlay; in a look those that
 * cannot be opened are left out. Suspends. */
int backup_files_open(struct stack *stack, const struct stack_options *options,
		      struct error *error);
/* Gives those back that no array has taken; all of them at the stack's end. */
void backup_files_release(struct stack *stack, bool all);

/* A new file of so many bytes, or a block device that has them; -EEXIST for a file that is there. Suspends. */
int backup_file_make(struct block **out, const char *path, uint64_t bytes, struct error *error);

/* What `grow` asks for in place, which names no file yet, gets the file at `path`, made if one is needed; *block is a reference, or NULL. With
 * grow->only_check nothing is made, and it is said whether one can be. Suspends. */
int backup_file_for(struct raid_array *array, struct raid_grow *grow, const char *path,
		    struct block **block, struct error *error);
/* Removes it again where it was made and the array has no use for it; NULL is fine. */
void backup_file_discard(struct block *block, const char *path);

#endif
