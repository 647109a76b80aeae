/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What outlives the command: the archive of metadata (volume/archive.h), and checkpoints of copies (copy_resume.h).
 *
 * It is kept in $TENON_STATE_DIR, or else in /var/lib/tenon for root, in $XDG_STATE_HOME/tenon or
 * ~/.local/state/tenon for others. Never in /etc/lvm: a guest's group often has the name of one of the host's.
 */
#ifndef TENON_TOOLS_STATE_H
#define TENON_TOOLS_STATE_H

#include "volume/volume.h"

struct state_archive {
	struct volume_archive archive;
	char *directory;
};

/* Whether the environment says what it can say of that: 0, or -EINVAL with `error` set. */
int state_check(struct error *error);

/* Where metadata is kept, and for how long: TENON_ARCHIVE_MIN and TENON_ARCHIVE_DAYS, or else LVM2's 10 and 30.
 * NULL where the user wants none (TENON_ARCHIVE=off) or has no home. Good as long as `state`. */
const struct volume_archive *state_archive(struct state_archive *state);
void state_archive_free(struct state_archive *state);

/* The folder: malloc; NULL: the user has none. */
char *state_directory(void);

/* The folder of lvm.conf, as LVM2 has it: LVM_SYSTEM_DIR, or /etc/lvm. */
const char *state_lvm_conf(void);

/* The user's home: $HOME, or without it what the system's list of users says; NULL: that says nothing, either. */
const char *state_home(void);

#define CLEANUP_STATE_ARCHIVE CLEANUP(state_archive_free)

#endif
