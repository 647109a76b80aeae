/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest of User Mode Linux, and calls to its agent; see uml.h.
 *
 * `up` is true from the agent's first word until the line ends or uml_kill(); the reader alone reads, and ends every call that waits
 * when the line does. A call after that fails at once. So nobody waits for a guest that is no more.
 */
#include "tools/uml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "block/block.h"
#include "tools/image.h"
#include "util/bytes.h"
#include "util/error.h"
#include "virtio/vhost_user_blk.h"

#define MEMORY_MIB 384u
#define START_NS   (300 * 1000000000ull)
#define RESTARTS   3u /* its kernel panics now and then while it boots */

struct waiter {
	struct list node;
	uint32_t number;
	bool done;
	int rc;
	uint64_t ns;
	char *answer;
	size_t length;
};

/* ---- Folders ---- */

/* Its memory is a file from which it runs code. */
static int find_memory(struct uml *uml, struct error *error)
{
	const char *places[] = { getenv("TMPDIR"), "/dev/shm", "/tmp", "/var/tmp" };

	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		struct statvfs at;

		if (places[i] && !access(places[i], W_OK) && !statvfs(places[i], &at) &&
		    !(at.f_flag & ST_NOEXEC) && (at.f_bavail * at.f_frsize) >> 20 >= MEMORY_MIB) {
			uml->memory_folder = strdup(places[i]);
			return uml->memory_folder ? 0 : -ENOMEM;
		}
	}
	return error_set(
		error, -ENOSPC,
		"/dev/shm, /tmp: User Mode Linux has its memory in a file: expected %u MiB "
		"of room in a folder that is not mounted noexec (TMPDIR)",
		MEMORY_MIB);
}

static int make_folder(struct uml *uml, struct error *error)
{
	const char *base = getenv("TMPDIR");

	/* A socket's path has room for 107 bytes. */
	if (!base || strlen(base) > 30 || access(base, W_OK))
		base = "/tmp";
	snprintf(uml->folder, sizeof(uml->folder), "%s/tenon-lab-XXXXXX", base);
	if (mkdtemp(uml->folder))
		return 0;
	error_set(error, -errno, "%s: %s", uml->folder, error_name(errno));
	uml->folder[0] = '\0';
	return error->code;
}

/* ---- Disks ---- */

const char *uml_disk_name(unsigned index, char name[16])
{
	/* The mailbox is the first. */
	snprintf(name, 16, "vd%c", 'b' + (char)index);
	return name;
}

static int serve(struct uml *uml, struct block *block, unsigned number, struct error *error)
{
	const struct vhost_user_blk_options options = { .queue_count = 1 };
	char path[96];

	snprintf(path, sizeof(path), "%s/%u.sock", uml->folder, number);
	return vhost_user_blk_server_start(&uml->servers[number], block, path, &options, error);
}

int uml_add_disk(struct uml *uml, struct block *block, struct error *error)
{
	int rc;

	if (uml->disk_count == UML_DISKS)
		return error_set(error, -E2BIG, "expected at most %u disks", UML_DISKS);
	rc = serve(uml, block, uml->disk_count + 1, error);
	uml->disk_count += !rc;
	return rc;
}

void uml_drop_disks(struct uml *uml)
{
	for (; uml->disk_count; uml->disk_count--)
		vhost_user_blk_server_stop(steal_pointer(&uml->servers[uml->disk_count]));
}

/* ---- Life ---- */

static int prepare(struct uml *uml, struct error *error)
{
	int rc = image_find_program("linux.uml", "user-mode-linux", &uml->program, error);

	if (!rc)
		rc = find_memory(uml, error);
	if (!rc)
		rc = make_folder(uml, error);
	if (!rc)
		rc = uml_image(uml->folder, error);
	if (!rc)
		rc = block_create_memory(&uml->mailbox, "mailbox", UML_SLOT * UML_SLOTS, error);
	return rc ? rc : serve(uml, uml->mailbox, 0, error);
}

int uml_create(struct uml **out, struct error *error)
{
	struct uml *uml = calloc(1, sizeof(*uml));
	int rc;

	if (!uml)
		return error_set(error, -ENOMEM, "out of memory");
	list_init(&uml->waiting);
	fiber_queue_init(&uml->changed);
	fiber_queue_init(&uml->slot_queue);
	fiber_mutex_init(&uml->saying);
	rc = prepare(uml, error);
	if (rc) {
		uml_destroy(uml);
		return rc;
	}
	*out = uml;
	return 0;
}

void uml_destroy(struct uml *uml)
{
	if (!uml)
		return;
	uml_kill(uml);
	for (unsigned i = 0; i <= UML_DISKS; i++)
		vhost_user_blk_server_stop(uml->servers[i]);
	block_unref(uml->mailbox);
	if (uml->folder[0])
		image_remove_folder(uml->folder);
	free(uml->memory_folder);
	free(uml->program);
	free(uml);
}

static void end_calls(struct uml *uml)
{
	uml->up = false;
	list_for_each(at, &uml->waiting) {
		struct waiter *waiter = list_entry(at, struct waiter, node);

		waiter->done = true;
		waiter->rc = -EIO;
	}
	fiber_queue_wake_all(&uml->changed);
}

static int read_all(int fd, void *at, size_t length)
{
	while (length) {
		ssize_t got = fiber_read(fd, at, length);

		if (got <= 0)
			return got ? (int)got : -EPIPE;
		at = (char *)at + got;
		length -= (size_t)got;
	}
	return 0;
}

static void take_answer(struct uml *uml, const struct uml_answer *head, const char *text)
{
	list_for_each(at, &uml->waiting) {
		struct waiter *waiter = list_entry(at, struct waiter, node);

		if (waiter->number != head->number)
			continue;
		waiter->done = true;
		waiter->rc = head->rc;
		waiter->ns = head->ns;
		waiter->length = head->text;
		if (waiter->answer)
			memcpy(waiter->answer, text, head->text);
	}
	fiber_queue_wake_all(&uml->changed);
}

static int reader_fiber(void *arg)
{
	struct uml *uml = arg;
	CLEANUP_FREE char *text = malloc(UML_TEXT);
	int line = uml->process.line, rc = text ? 0 : -ENOMEM;
	char hello[sizeof(UML_HELLO)] = "";
	struct uml_answer head;

	if (!rc)
		rc = read_all(line, hello, strlen(UML_HELLO));
	if (!rc && strcmp(hello, UML_HELLO) != 0)
		rc = -EPROTO;
	if (!rc)
		uml->up = true;
	fiber_queue_wake_all(&uml->changed);
	while (!rc && !(rc = read_all(line, &head, sizeof(head)))) {
		rc = head.text > UML_TEXT ? -EPROTO : read_all(line, text, head.text);
		if (!rc)
			take_answer(uml, &head, text);
	}
	uml->reading = false;
	end_calls(uml);
	return 0;
}

/* Why it panicked, or else the last line of its console. */
static void tell_console(struct uml *uml, struct error *error)
{
	CLEANUP_FREE char *path = image_path(uml->folder, "console"), *text = NULL;
	const char *line;
	size_t length = 0;

	if (!path || image_file_read(path, &text, &length, NULL))
		return;
	while (length && (unsigned char)text[length - 1] <= ' ')
		text[--length] = '\0';
	line = strstr(text, "Kernel panic");
	if (!line)
		line = strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text;
	error_advise(error, "the last that it said: %.*s", (int)MIN(strcspn(line, "\n"), 200u),
		     line);
}

/* Until it answers; else `ended` says whether its process has ended by itself, and nothing of it is left. */
static int start_once(struct uml *uml, const char *const *argv, const char *console, bool *ended,
		      struct error *error)
{
	int rc = uml_process_start(&uml->process, argv, console, uml->folder, error);

	*ended = false;
	if (rc)
		return rc;
	uml->reading = true;
	fiber_start(reader_fiber, uml);
	while (!uml->up && uml->reading)
		if (fiber_queue_wait(&uml->changed, START_NS))
			break;
	if (uml->up)
		return 0;
	*ended = !uml->reading;
	uml_kill(uml);
	error_set(error, -EIO, "%s: the guest did not come up", uml->program);
	tell_console(uml, error);
	return -EIO;
}

int uml_start(struct uml *uml, struct error *error)
{
	char disks[UML_DISKS + 1][128], memory[32], initrd[96], folder[96], temporary[160];
	const char *argv[24 + UML_DISKS] = {
		"/usr/bin/env", temporary,        uml_events_variable, uml->program,
		memory,         initrd,           "rdinit=/init",      "root=/dev/ram0",
		"loglevel=7",   "con0=null,fd:1", "con=null",          "ssl0=fd:4",
		"ssl=null",     "umid=uml",       "panic=-1",          folder
	};
	CLEANUP_FREE char *console = image_path(uml->folder, "console");
	unsigned count = 16, restarts = 0;
	bool ended;
	int rc;

	/* One that has ended by itself. */
	uml_kill(uml);
	snprintf(temporary, sizeof(temporary), "TMPDIR=%.140s", uml->memory_folder);
	snprintf(memory, sizeof(memory), "mem=%uM", MEMORY_MIB);
	snprintf(initrd, sizeof(initrd), "initrd=%s/initrd", uml->folder);
	snprintf(folder, sizeof(folder), "uml_dir=%s/", uml->folder);
	for (unsigned i = 0; i <= uml->disk_count; i++) {
		snprintf(disks[i], sizeof(disks[i]), "virtio_uml.device=%s/%u.sock:2", uml->folder,
			 i);
		argv[count++] = disks[i];
	}
	if (!console)
		return error_set(error, -ENOMEM, "out of memory");
	do
		rc = start_once(uml, argv, console, &ended, error);
	while (rc && ended && restarts++ < RESTARTS);
	return rc;
}

void uml_kill(struct uml *uml)
{
	int line = uml->process.line;

	if (!uml->process.keeper)
		return;
	/* The reader has the line: it stays open until that has seen its end. */
	uml->process.line = dup(line);
	uml_process_kill(&uml->process);
	while (uml->reading)
		fiber_queue_wait_always(&uml->changed);
	close(line);
}

/* ---- Calls ---- */

static int ask(struct uml *uml, const struct uml_call *call, const char *text, struct waiter *out)
{
	struct waiter waiter = { .number = ++uml->number, .answer = out->answer };
	struct uml_call head = *call;
	int rc = 0;

	if (!uml->up)
		return -EIO;
	head.number = waiter.number;
	head.text = text ? (uint32_t)strlen(text) : 0;
	list_add_tail(&uml->waiting, &waiter.node);
	fiber_mutex_lock(&uml->saying);
	if (uml->up)
		rc = fiber_write(uml->process.line, &head, sizeof(head));
	if (!rc && uml->up && text)
		rc = fiber_write(uml->process.line, text, head.text);
	fiber_mutex_unlock(&uml->saying);
	while (!rc && uml->up && !waiter.done)
		fiber_queue_wait_always(&uml->changed);
	list_remove(&waiter.node);
	*out = waiter;
	return waiter.done ? waiter.rc : -EIO;
}

int uml_ask(struct uml *uml, const struct uml_call *call, const char *text, char *said,
	    size_t *length)
{
	struct waiter waiter = { .answer = said };
	int rc = ask(uml, call, text, &waiter);

	if (length)
		*length = waiter.length;
	return rc;
}

int uml_ask_device(struct uml *uml, const struct uml_call *call, uint64_t *took)
{
	struct waiter waiter = { 0 };
	int rc = ask(uml, call, NULL, &waiter);

	*took += waiter.ns;
	return rc;
}

int uml_run(struct uml *uml, struct error *error, const char *format, ...)
{
	const struct uml_call call = { .kind = UML_RUN };
	CLEANUP_FREE char *command = NULL, *said = calloc(1, UML_TEXT + 1);
	size_t length = 0;
	va_list args;
	int rc;

	va_start(args, format);
	rc = vasprintf(&command, format, args);
	va_end(args);
	if (rc < 0 || !said)
		return error_set(error, -ENOMEM, "out of memory");
	rc = uml_ask(uml, &call, command, said, &length);
	if (!rc)
		return 0;
	while (length && (unsigned char)said[length - 1] <= ' ')
		said[--length] = '\0';
	if (rc < 0) {
		error_set(error, rc, "the guest is no more");
		tell_console(uml, error);
		return rc;
	}
	return error_set(error, -EIO, "%s",
			 *said ? (strrchr(said, '\n') ? strrchr(said, '\n') + 1 : said) : command);
}

int uml_put(struct uml *uml, const char *path, const char *text)
{
	const struct uml_call call = { .kind = UML_PUT };
	CLEANUP_FREE char *both = NULL;

	if (asprintf(&both, "%s\n%s", path, text) < 0)
		return -ENOMEM;
	return uml_ask(uml, &call, both, NULL, NULL);
}

/* ---- Console ---- */

void uml_console(struct uml *uml, const char *start, void (*line)(void *arg, const char *text),
		 void *arg)
{
	CLEANUP_FREE char *path = image_path(uml->folder, "console");
	FILE *from = path ? fopen(path, "re") : NULL;
	char text[400];

	if (!from)
		return;
	if (!fseek(from, (long)uml->console_read, SEEK_SET))
		while (fgets(text, sizeof(text), from)) {
			size_t length = strlen(text);

			/* One that is being written is for the next time. */
			if (text[length - 1] != '\n' && length + 1 < sizeof(text))
				break;
			uml->console_read += length;
			text[strcspn(text, "\r\n")] = '\0';
			if (!strncmp(text, start, strlen(start)))
				line(arg, text);
		}
	fclose(from);
}
