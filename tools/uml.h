/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest of User Mode Linux for `tenon raid test`: a real kernel, as an ordinary user, without KVM. Its disks are those of the
 * laboratory, over vhost-user-blk: whatever may go wrong with one is the same for the kernel's md as for an array of ours.
 *
 *	uml.c		its life: image, start, end; calls to what runs in it
 *	uml_process.c	the process, and that nothing of it is left when ours is killed
 *	uml_image.c	the initial RAM disk: busybox, mdadm, tenon
 *	uml_agent.c	what runs in it
 *	uml_block.c	a device of the guest as a block device here
 *
 * The agent is asked over a serial line; data go through a disk of their own, the mailbox, which is memory here: a request
 * takes a slot of it. A guest that is killed takes with it what it had not written to its disks, as a power loss does, and may be
 * started again. All functions are called on fibers of one worker.
 */
#ifndef TENON_TOOLS_UML_H
#define TENON_TOOLS_UML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fiber/fiber.h"
#include "util/list.h"

struct block;
struct error;
struct vhost_user_blk_server;

#define UML_DISKS 24u
#define UML_SLOT  (128u << 10)
#define UML_SLOTS 32u
#define UML_TEXT  16384u
#define UML_TOOK  128u

/* ---- What is said over the line: both ends are of one host ---- */

enum uml_kind {
	UML_OPEN,  /* text: a path; what read, write and flush are about */
	UML_CLOSE, /* ... no more */
	UML_READ,  /* offset, length, slot */
	UML_WRITE, /* the same; flag: durable */
	UML_FLUSH,
	UML_RUN,  /* text: a command for sh; answers what it said, and its exit status as result */
	UML_LOOK, /* text: paths, a line each; answers what is in them, each ended by a zero byte; a file that is not there is empty */
	UML_PUT,  /* text: a path, a line's end, what to write into it */
};

struct uml_call {
	uint32_t number, kind, slot, flag;
	uint64_t offset;
	uint32_t length, text;
};

struct uml_answer {
	uint32_t number;
	int32_t rc;
	uint32_t text, spare;
	uint64_t ns; /* that the device took */
};

#define UML_HELLO "tenon\n"

/* ---- The process ---- */

/* The library of tools/preload, which the process gets as an open file; the variable of its environment that has it loaded. */
extern const unsigned char uml_events[];
extern const size_t uml_events_size;
extern const char uml_events_variable[];

struct uml_process {
	pid_t keeper; /* 0: none */
	int line;     /* non-blocking */
	int order;    /* to the keeper */
};

/* `argv` with the line as descriptor 4; its output goes to the file `console`. When this process is no more, the keeper ends it and
 * removes `folder`. */
int uml_process_start(struct uml_process *process, const char *const *argv, const char *console,
		      const char *folder, struct error *error);
/* Ends it at once. Fine where there is none. */
void uml_process_kill(struct uml_process *process);

/* ---- The guest ---- */

struct uml {
	char folder[64];
	char *program, *memory_folder;
	struct uml_process process;
	bool up; /* it answers */
	bool reading;
	struct fiber_mutex saying;
	struct list waiting; /* for answers */
	struct fiber_queue changed;
	uint32_t number;
	uint64_t console_read;

	struct block *mailbox;
	struct fiber_queue slot_queue;
	bool slots[UML_SLOTS];
	/* How long the guest waited for its last requests. */
	struct {
		uint64_t offset, ns;
	} took[UML_TOOK];
	unsigned took_next;
	struct vhost_user_blk_server *servers[UML_DISKS + 1];
	unsigned disk_count;
};

/* Says what this host lacks for it, and makes the image. Blocks for a part of a second. */
int uml_create(struct uml **out, struct error *error);
void uml_destroy(struct uml *uml); /* NULL is fine */

/* A disk that it has from its next start on; uml_disk_name() says how it is called there. The server takes a reference. */
int uml_add_disk(struct uml *uml, struct block *block, struct error *error);
/* No more disks, and nobody is served. The guest does not run. */
void uml_drop_disks(struct uml *uml);
const char *uml_disk_name(unsigned index, char name[16]);

int uml_start(struct uml *uml, struct error *error);
void uml_kill(struct uml *uml);

/* Asks the agent. The result of what it did, or -EIO where the guest is no more. `answer` (room for UML_TEXT bytes and a zero
 * byte) may be NULL. */
int uml_ask(struct uml *uml, const struct uml_call *call, const char *text, char *answer,
	    size_t *length);
/* The same for what a device does: adds to `took` how long it took in the guest. */
int uml_ask_device(struct uml *uml, const struct uml_call *call, uint64_t *took);
/* Runs a command in it; fails where that does, with the last line of what it says. */
int uml_run(struct uml *uml, struct error *error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int uml_put(struct uml *uml, const char *path, const char *text);

/* Lines of the kernel since the last time that begin with `start`, each to `line`. */
void uml_console(struct uml *uml, const char *start, void (*line)(void *arg, const char *text),
		 void *arg);

/* ---- uml_image.c ---- */

/* FOLDER/initrd. */
int uml_image(const char *folder, struct error *error);

/* ---- uml_block.c ---- */

/* What UML_OPEN is about, of `size` bytes. One at a time; ends before the guest. */
int uml_block_create(struct uml *uml, const char *name, uint64_t size, struct block **out,
		     struct error *error);
/* How long the guest waited for its last request that began there; UINT64_MAX: a flush. 0: it is not known. */
uint64_t uml_latency(const struct uml *uml, uint64_t offset);

/* ---- uml_agent.c ---- */

/* Answers over this terminal until it is closed. Returns an exit status. */
int uml_agent(const char *terminal);

#endif
