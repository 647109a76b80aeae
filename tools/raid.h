/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two halves of `tenon raid` share, and opening devices that are to be taken. */
#ifndef TENON_TOOLS_RAID_H
#define TENON_TOOLS_RAID_H

#include <jansson.h>

#include "tools/cli.h"

struct block;
struct raid_array;
struct stack;

command_fn raid_assemble_verb, raid_add_verb, raid_replace_verb, raid_grow_verb, raid_fail_verb,
	raid_remove_verb, raid_rebuild_verb, raid_check_verb, raid_repair_verb, raid_examine_verb,
	raid_zero_verb, raid_re_add_verb, raid_stop_sync_verb, raid_speed_verb, raid_bitmap_verb,
	raid_limit_verb, raid_watch_verb, raid_test_verb, raid_list_verb, raid_show_verb;

/* `raid examine --kernels`. */
int raid_kernels_run(const struct cli_words *devices, bool json, struct error *error);

/* What --dry-run says of `raid bitmap` and `raid rebuild`, on overlays (rehearse.h). */
int raid_rehearse_bitmap(const struct cli_words *given, char *target, bool remove, uint64_t chunk,
			 struct error *error);
int raid_rehearse_rebuild(const struct cli_words *given, char *target, struct error *error);

/* `raid grow NAME --add-journal DEVICE`: what `raid add NAME DEVICE --journal` does. The exit status. */
int raid_journal_verb(const struct cli_words *given, const char *name, const char *device,
		      bool force);

/* "md/NAME" from a name with or without "md/". The caller frees it. */
char *raid_target(const char *name);

/* Opens a device that is to be added to `array`: as device_open_new(), but a former member of the same array
 * needs no `force`, and one that `stack` has open is taken from there. The caller owns *out. */
int raid_open_member(struct stack *stack, struct raid_array *array, const char *path, bool force,
		     struct block **out, struct error *error);

/* The parts of that. A former member that is still on the list of devices is open already, and locked by us:
 * its block, or NULL. */
struct block *raid_open_device(const struct stack *stack, const char *path);
/* The block of an array that is to be in `array`, which was started before it: it is stopped behind it. NULL: there is none, */
struct block *raid_open_array(struct stack *stack, const struct raid_array *array,
			      const char *name);
/* which is an error. */
int raid_refuse_array(const char *name, struct error *error);
int raid_open_new_member(const char *path, struct block **out, struct error *error);
/* Whether another array that runs in `stack`, or a group there, has it: who took it, if by force, would write over what is in use. */
int raid_check_unused(const struct stack *stack, const struct raid_array *array,
		      const struct block *block, struct error *error);
int raid_check_member(const struct stack *stack, struct raid_array *array, struct block *block,
		      bool force, struct error *error);

/* That a new member is not on the list of devices, so that it is missing at the next start: here, or by what a server
 * answered to raid.add or raid.replace. */
bool raid_is_listed(const struct cli_words *given, const char *device);
void raid_warn_unlisted(const char *device);
void raid_warn_unlisted_there(const json_t *answer, const char *device);

#endif
