/* SPDX-License-Identifier: BSD-2-Clause */
/* `tenon vg backup|archive|restore`: copies of metadata in files (volume/archive.h). */
#ifndef TENON_TOOLS_VG_ARCHIVE_H
#define TENON_TOOLS_VG_ARCHIVE_H

int vg_backup_verb(int argc, char **argv);
int vg_archive_verb(int argc, char **argv);
int vg_restore_verb(int argc, char **argv);

#endif
