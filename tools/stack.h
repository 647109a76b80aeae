/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lies on what: devices, the arrays on them, the volume groups on both.
 *
 * A look opens every device of the list for reading, without locks, assembles what arrays it finds
 * read-only (nothing is written), and scans for groups. A claim takes hold of just the devices that some
 * targets lie on: locked, and for writing if asked. Whoever holds the locks owns the arrays and groups;
 * a running server answers for what it owns on its control socket (owner.h).
 *
 * Two paths that lead to the same bytes are one device (identity.h). A device that does not answer is told of and
 * left alone (device_look.h).
 *
 *	stack.c		opening and closing, groups; looks and claims
 *	stack_arrays.c	arrays
 *	stack_devices.c	the devices at the bottom
 *	stack_find.c	finding things by name
 *
 * A target is "md/NAME" (or md/UUID), "VG" or "VG/LV".
 */
#ifndef TENON_TOOLS_STACK_H
#define TENON_TOOLS_STACK_H

#include "block/identity.h"
#include "raid/raid.h"
#include "tools/devices.h"
#include "util/log.h"
#include "volume/volume.h"

struct block;

/* A device of the list, or an array that was assembled and is looked at in turn. */
struct stack_node {
	char *name;          /* path, or "md/NAME" */
	struct block *block; /* NULL: not used */
	struct block *ends;  /* while it is looked at: its ends as they were read, or NULL */
	struct block_identity identity; /* of a device, in a look */
	bool unseen;                    /* it could not be looked at: what is on it is not known */
	bool is_member;                 /* carries an md superblock */
	struct raid_info md;            /* if so */
	int array;                      /* index of the array that it is a member of, or -1 */
	struct raid_array *raid;        /* where the node is an array that runs */
	int self;                       /* then its index among the arrays, else -1 */
	char *problem;                  /* why it was left out, or NULL */
};

struct stack_array {
	struct raid_info md;     /* of the member with the most events */
	struct raid_array *raid; /* NULL: could not be assembled */
	char *problem, *advice;  /* then why, and what to do (or NULL) */
	char *note;              /* what whoever reads from it is to know, or NULL */
	bool wanted;             /* it is a target, or one lies on it: stack_devices_of() */

	unsigned rank;    /* when a claim assembles it */
	unsigned present; /* members that have a place */
	bool tried;       /* it was assembled, or could not be */
};

struct stack {
	struct log log; /* for those who write and have none: what is lost on the way is told */
	struct stack_node *nodes;
	unsigned node_count;
	struct stack_array *arrays;
	unsigned array_count, wanted_count;
	struct volume_scan *scan;
	struct block *
		*backups; /* files of reshapes in place, for those arrays that have one there */
	unsigned backup_count;
};

struct stack_arrays {
	uint8_t (*uuids)[16];
	unsigned count;
};

struct stack_options {
	bool write; /* open for writing, locked */
	bool lock;  /* locked for reading */
	bool rehearse; /* as with `write`, but on overlays (overlay.h): a look that may be changed, and is gone then */
	bool resync;        /* arrays resync and recover by themselves */
	bool degraded;      /* with `write`: arrays start without members that were in sync */
	bool strict;        /* in a look too, arrays start as they would with `write` */
	bool force;         /* as raid_assemble_options.force */
	bool journal_comes; /* the same */
	const struct cli_words *backups; /* files, or NULL; see backup_file.h */
	bool invalid_backup;             /* as raid_assemble_options.invalid_backup */
	const char *command;             /* for the description in volume metadata */
	struct log *log;
	struct worker *compute; /* as volume_context.compute */
	bool pvs_only;          /* the same: groups are there without their volumes */
	bool quiet; /* volumes are opened to see how they are: what comes of that is not told beside it */
	struct stack *
		*below; /* of a claim: a look that was made already, which it closes; or NULL */
	/* Of a claim, which sets it itself: UUIDs of the arrays that it needs, in the order in which they lie on each other. Those above the targets are not assembled: they may
	 * have members elsewhere, and would be started without these. NULL: all are. */
	const struct stack_arrays *only;
};

/* Of stack.c and stack_devices.c alone: adds a node, which takes `block` over. NULL without memory, and then not. */
struct stack_node *stack_add_node(struct stack *stack, const char *name, struct block *block);
/* Adds the nodes of the devices. A look (neither `write` nor `lock`) opens what answers, each only once. */
int stack_open_devices(struct stack *stack, const struct device_list *devices,
		       const struct stack_options *options, struct error *error);
/* Once it is known which nodes are members of arrays: takes those out that show a PV of one as if it were theirs. */
int stack_hide_members(struct stack *stack);
/* Probes nodes and assembles arrays until nothing new appears. */
int stack_build(struct stack *stack, const struct stack_options *options);
/* Whether partitions of a node are on the list, too. */
bool stack_has_parts(const struct stack *stack, const struct stack_node *node);
/* An image that is nothing itself may have something inside, which was not looked at: unless its partitions are on
 * the list too. */
void stack_look_for_partitions(struct stack *stack);

/* Opens everything on `devices`. Without `write` and `lock` a device that cannot be opened is only noted
 * in its node; with one of them it is the error. */
int stack_open(struct stack **out, const struct device_list *devices,
	       const struct stack_options *options, struct error *error);
/* A look at the devices that --device and its substitutes name. */
int stack_look(struct stack **out, const struct cli_words *given, struct error *error);
/* A look that says which devices arrays and groups lie on, and nothing of volumes. */
int stack_look_below(struct stack **out, const struct cli_words *given, struct error *error);
/* Looks, then opens what `targets` lie on with `options`. -EBUSY where another process has it. An array
 * that has lost a member since it was last written does not start for writing without --degraded. */
int stack_claim(struct stack **out, const struct cli_words *given, const struct cli_words *targets,
		const struct stack_options *options, struct error *error);

/* Closes all; arrays are stopped. The first error of that is returned. NULL is fine. */
int stack_close(struct stack *stack, struct error *error);
/* Closes after work that ended with `rc`: the first error of both is returned, and told in `error`. */
int stack_finish(struct stack *stack, int rc, struct error *error);
static inline void cleanup_stack(struct stack **at)
{
	stack_close(*at, NULL);
}
#define CLEANUP_STACK CLEANUP(cleanup_stack)

/* Adds the paths of the devices below `target`, and marks the arrays there as wanted. */
int stack_devices_of(struct stack *stack, const char *target, struct device_list *paths,
		     struct error *error);

/* How many devices could not be looked at, so that it is not known what is on them; calls `fn`, unless it is NULL, with
 * why. */
unsigned stack_unseen(const struct stack *stack, void (*fn)(const char *text, void *arg),
		      void *arg);

/* What a look could not use, and why: calls `fn` with one text for each device, and each array that lacks
 * members. Returns how
 * many. `fn` may be NULL. */
unsigned stack_problems(const struct stack *stack, void (*fn)(const char *text, void *arg),
			void *arg);
/* For a listing: tells on standard error what could not be used. Where that is all there was (`found`
 * is false), it is the error: -EIO. */
int stack_report(const struct stack *stack, bool found, struct error *error);

/* By name without host part, by whole name, or by UUID; "md/" before it is skipped. -ENOENT; -EEXIST
 * where two arrays have the name. The second gives only arrays that run. */
int stack_find_array(struct stack *stack, const char *name, struct stack_array **out,
		     struct error *error);
int stack_find_running(struct stack *stack, const char *name, struct raid_array **out,
		       struct error *error);
int stack_find_group(struct stack *stack, const char *name, struct volume_group **out,
		     struct error *error);
/* Of "VG/LV": the group and the volume. */
int stack_find_volume(struct stack *stack, const char *name, struct volume_group **group,
		      struct volume_lv **lv, struct error *error);
/* The block of "md/NAME" or "VG/LV", with a reference for the caller. */
int stack_open_block(struct stack *stack, const char *target, bool writable, struct block **out,
		     struct error *error);

/* Whether `word` names an array ("md/...") rather than a path that exists. */
bool stack_names_array(const char *word);
/* Whether `word` has the form VG/LV and is no path that exists. */
bool stack_names_volume(const char *word);

#endif
