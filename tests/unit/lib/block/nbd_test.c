/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/block/nbd: URIs, and a disk behind a server that is a fiber of the same worker, in virtual time: one that is well, and ones that are not. */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "block/block.h"
#include "block/nbd.h"
#include "block/nbd_uri.h"
#include "fiber/fiber.h"
#include "fiber_run.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"

#define DISK   (1u << 20)
#define SECOND 1000000000ull

/* ---- URIs ---- */

static void test_the_host_of_a_uri(void)
{
	static const struct {
		const char *uri, *host, *with; /* the URI with 192.0.2.1 in place of the host */
		bool is_address;
	} all[] = {
		{ "nbd://disks", "disks", "nbd://192.0.2.1", false },
		{ "nbd://disks/", "disks", "nbd://192.0.2.1/", false },
		{ "nbd://disks:10809/a:b@c/d", "disks", "nbd://192.0.2.1:10809/a:b@c/d", false },
		{ "nbd://me@disks?x=@y", "disks", "nbd://me@192.0.2.1?x=@y", false },
		{ "nbds://disks.example/x", "disks.example", "nbds://192.0.2.1/x", false },
		{ "nbd://127.0.0.1:1/", "127.0.0.1", "nbd://192.0.2.1:1/", true },
		{ "nbd://[::1]:1/x", "::1", "nbd://192.0.2.1:1/x", true },
		{ "nbd://[fe80::1%eth0]/", "fe80::1%eth0", "nbd://192.0.2.1/", true },
		{ "nbd:///x", NULL, NULL, false },
		{ "nbd://:10809/x", NULL, NULL, false },
		{ "nbd://[::1/x", NULL, NULL, false },
		{ "nbd+unix:///?socket=/a", NULL, NULL, false },
		{ "nbds+unix:///?socket=/a", NULL, NULL, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct nbd_uri uri;
		CLEANUP_FREE char *with = NULL;

		CU_ASSERT_TRUE(block_is_nbd(all[i].uri));
		CU_ASSERT_EQUAL_FATAL(nbd_uri_parse(all[i].uri, &uri), all[i].host != NULL);
		if (!all[i].host)
			continue;
		CU_ASSERT_EQUAL(uri.host_length, strlen(all[i].host));
		CU_ASSERT_EQUAL(strncmp(uri.host, all[i].host, uri.host_length), 0);
		CU_ASSERT_EQUAL(uri.is_address, all[i].is_address);
		CU_ASSERT_EQUAL(uri.has_tls, all[i].uri[3] == 's');
		with = nbd_uri_with_address(all[i].uri, &uri, "192.0.2.1");
		CU_ASSERT_STRING_EQUAL(with, all[i].with);
	}
	CU_ASSERT_FALSE(block_is_nbd("nbd:/x"));
	CU_ASSERT_FALSE(block_is_nbd("/nbd://x"));
}

static int a_name_is_looked_up_aside(void *arg)
{
	char addresses[NBD_URI_ADDRESSES][NBD_URI_TEXT];
	struct nbd_uri uri;
	struct error error = { 0 };

	(void)arg;
	CU_ASSERT_TRUE(nbd_uri_parse("nbd://no-such-host.invalid/", &uri));
	CU_ASSERT_TRUE(nbd_uri_resolve("nbd://no-such-host.invalid/", &uri, addresses, &error) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "looking up no-such-host.invalid"));
	CU_ASSERT_TRUE(nbd_uri_parse("nbd://localhost/", &uri));
	CU_ASSERT_TRUE(nbd_uri_resolve("nbd://localhost/", &uri, addresses, NULL) > 0);
	return 0;
}

static void test_a_name_is_looked_up_aside(void)
{
	fiber_run_real(fiber_run_first_engine(), a_name_is_looked_up_aside, NULL);
}

/* ---- The server: the NBD project's doc/proto.md, fixed newstyle, simple replies ---- */

#define OPTION_REPLY 0x3e889045565a9ull

struct server {
	int fd;
	uint64_t size;
	uint32_t least_block; /* 0: says nothing of blocks */
	uint16_t flags;       /* of the export */
	bool dumb;            /* says nothing, not even hello */
	unsigned ends_after;  /* requests; 0: never */
	unsigned silent_for;  /* requests of this kind are not answered; 0: all are */
	uint64_t slow_ns;     /* before each answer */
	unsigned requests, flushes;
	char *disk;
};

#define EXPORT_FLAGS 0x2du /* has flags, flush, FUA, trim */
#define READ_ONLY    2u

static bool take_bytes(struct server *server, void *at, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t got = fiber_read(server->fd, (char *)at + done, length - done);

		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

static void reply_option(struct server *server, uint32_t option, uint32_t kind, const void *data,
			 uint32_t length)
{
	char head[20];

	put_be64(head, OPTION_REPLY);
	put_be32(head + 8, option);
	put_be32(head + 12, kind);
	put_be32(head + 16, length);
	fiber_write(server->fd, head, sizeof(head));
	if (length)
		fiber_write(server->fd, data, length);
}

static void say_what_it_is(struct server *server, uint32_t option)
{
	char info[14] = { 0 };

	put_be64(info + 2, server->size);
	put_be16(info + 10, server->flags);
	reply_option(server, option, 3, info, 12);
	if (server->least_block) {
		put_be16(info, 3);
		put_be32(info + 2, server->least_block);
		put_be32(info + 6, server->least_block);
		put_be32(info + 10, 1 << 25);
		reply_option(server, option, 3, info, 14);
	}
	reply_option(server, option, 1, NULL, 0);
}

static bool shake_hands(struct server *server)
{
	char hello[18] = "NBDMAGICIHAVEOPT", head[16], data[4096];

	put_be16(hello + 16, 3);
	fiber_write(server->fd, hello, sizeof(hello));
	if (!take_bytes(server, head, 4))
		return false;
	while (take_bytes(server, head, sizeof(head))) {
		uint32_t option = get_be32(head + 8), length = get_be32(head + 12);

		if (length > sizeof(data) || !take_bytes(server, data, length))
			return false;
		if (option != 7) { /* GO */
			reply_option(server, option, 0x80000001u, NULL, 0);
			continue;
		}
		say_what_it_is(server, option);
		return true;
	}
	return false;
}

static bool serve_one(struct server *server)
{
	char head[28], reply[16];
	uint32_t length;
	uint64_t offset;
	unsigned kind;

	if (!take_bytes(server, head, sizeof(head)))
		return false;
	kind = get_be16(head + 6);
	offset = get_be64(head + 16);
	length = get_be32(head + 24);
	if (kind == 2 || offset + length > DISK)
		return false;
	if (kind == 1 && !take_bytes(server, server->disk + offset, length))
		return false;
	server->requests++;
	server->flushes += kind == 3;
	if (server->silent_for == kind + 1)
		return true;
	if (server->slow_ns)
		fiber_sleep(server->slow_ns);
	put_be32(reply, 0x67446698);
	put_be32(reply + 4, 0);
	memcpy(reply + 8, head + 8, 8);
	fiber_write(server->fd, reply, sizeof(reply));
	if (kind == 0)
		fiber_write(server->fd, server->disk + offset, length);
	return !server->ends_after || server->requests < server->ends_after;
}

static int serve(void *arg)
{
	struct server *server = arg;
	char one;

	if (server->dumb)
		while (take_bytes(server, &one, 1))
			;
	else if (shake_hands(server))
		while (serve_one(server))
			;
	close(server->fd);
	return 0;
}

/* Opens the disk of a new server, which is freed by finish(). */
static struct server *begin(struct server options, bool writable, struct block **block, int *rc,
			    struct fiber **fiber, struct error *error)
{
	struct server *server = malloc(sizeof(*server));
	int ends[2];

	*server = options;
	server->disk = calloc(1, DISK);
	if (!server->size)
		server->size = DISK;
	if (!server->flags)
		server->flags = EXPORT_FLAGS;
	CU_ASSERT_EQUAL_FATAL(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	server->fd = ends[0];
	*fiber = fiber_spawn(serve, server);
	*block = NULL;
	*rc = block_open_nbd_socket(block, "disk", ends[1], writable, error);
	return server;
}

static void finish(struct server *server, struct block *block, struct fiber *fiber)
{
	block_unref(block);
	fiber_join(fiber);
	free(server->disk);
	free(server);
}

#define ON_EACH_ENGINE(name)                                                                       \
	static void test_##name(void)                                                              \
	{                                                                                          \
		fiber_run_each(name, NULL);                                                        \
	}

static int what_was_written_is_read(void *arg)
{
	struct block *block;
	struct fiber *fiber;
	int rc;
	struct server *server =
		begin((struct server){ .size = DISK + 511 }, true, &block, &rc, &fiber, NULL);
	char bytes[8192], back[8192];

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT_EQUAL(block->size, DISK);
	CU_ASSERT_EQUAL(block->logical_block_size, 512);
	memset(bytes, 'x', sizeof(bytes));
	CU_ASSERT_EQUAL(block_write(block, 4096, bytes, sizeof(bytes), 0), 0);
	CU_ASSERT_EQUAL(block_read(block, 4096, back, sizeof(back)), 0);
	CU_ASSERT_EQUAL(memcmp(bytes, back, sizeof(bytes)), 0);
	CU_ASSERT_EQUAL(block_flush(block), 0);
	CU_ASSERT_EQUAL(server->flushes, 1);
	/* The server cannot write zeroes: it is sent some. */
	CU_ASSERT_EQUAL(block_write_zeroes(block, 4096, 4096, 0), 0);
	CU_ASSERT_TRUE(bytes_all_zero(server->disk + 4096, 4096));
	CU_ASSERT_EQUAL(server->disk[8192], 'x');
	finish(server, block, fiber);
	return 0;
}
ON_EACH_ENGINE(what_was_written_is_read)

static int what_no_disk_can_be(void *arg)
{
	static const struct {
		struct server options;
		int rc;
		const char *text;
	} all[] = {
		{ { .size = 511 }, -EPROTO, "it has 511 bytes" },
		{ { .least_block = 8192 }, -EPROTO, "blocks of 8192" },
		{ { .flags = EXPORT_FLAGS | READ_ONLY }, -EROFS, "lets nobody write" },
		{ { .dumb = true }, -ETIMEDOUT, "connecting" },
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct error error = { 0 };
		struct block *block;
		struct fiber *fiber;
		int rc;
		struct server *server = begin(all[i].options, true, &block, &rc, &fiber, &error);

		CU_ASSERT_EQUAL(rc, all[i].rc);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, all[i].text));
		finish(server, block, fiber);
	}
	return 0;
}
ON_EACH_ENGINE(what_no_disk_can_be)

/* What it had acknowledged may be lost; a flush must never say that it is not. */
static int a_server_that_goes_with_unflushed_writes(void *arg)
{
	struct block *block;
	struct fiber *fiber;
	int rc;
	struct server *server =
		begin((struct server){ .ends_after = 1 }, true, &block, &rc, &fiber, NULL);
	char bytes[512] = { 0 };

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT_EQUAL(block_write(block, 0, bytes, sizeof(bytes), 0), 0);
	CU_ASSERT_EQUAL(block_flush(block), -EIO);
	fiber_sleep(5 * SECOND);
	CU_ASSERT_EQUAL(block_flush(block), -EIO);
	CU_ASSERT_EQUAL(block_read(block, 0, bytes, sizeof(bytes)), -EIO);
	finish(server, block, fiber);
	return 0;
}
ON_EACH_ENGINE(a_server_that_goes_with_unflushed_writes)

static int a_server_that_does_not_answer(void *arg)
{
	struct block *block;
	struct fiber *fiber;
	int rc;
	struct server *server =
		begin((struct server){ .silent_for = 1 }, false, &block, &rc, &fiber, NULL);
	uint64_t before = worker_now();
	char bytes[512];

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT_EQUAL(block_read(block, 0, bytes, sizeof(bytes)), -EIO);
	CU_ASSERT_TRUE(worker_now() - before >= BLOCK_NBD_LIMIT_NS);
	CU_ASSERT_TRUE(worker_now() - before < BLOCK_NBD_LIMIT_NS + SECOND);
	finish(server, block, fiber);
	return 0;
}
ON_EACH_ENGINE(a_server_that_does_not_answer)

/* Two clients, one after the other, at a socket; the first is not answered what it writes. */
static int serve_two(void *arg)
{
	struct server *server = arg;
	int listener = server->fd;

	for (unsigned i = 0; i < 2; i++) {
		struct server one = *server;

		if (fiber_poll(listener, POLLIN, FIBER_FOREVER) < 0)
			break;
		one.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		one.silent_for = i ? 0 : 2;
		server->requests++;
		serve(&one);
	}
	close(listener);
	return 0;
}

/* The server may carry it out yet, whenever it goes on: nothing is written by another connection, which that would overwrite. */
static int a_write_that_is_not_answered(void *arg)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct server server = { .size = DISK, .flags = EXPORT_FLAGS };
	char uri[256], bytes[512] = { 0 };
	struct block *block = NULL;
	struct fiber *fiber;

	(void)arg;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/nbd", unit_directory());
	snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s", address.sun_path);
	unlink(address.sun_path);
	server.disk = calloc(1, DISK);
	server.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(server.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(server.fd, 5), 0);
	fiber = fiber_spawn(serve_two, &server);
	CU_ASSERT_EQUAL_FATAL(block_open_nbd(&block, uri, true, NULL), 0);
	CU_ASSERT_EQUAL(block_read(block, 0, bytes, sizeof(bytes)), 0);
	CU_ASSERT_EQUAL(block_write(block, 0, bytes, sizeof(bytes), 0), -EIO);
	fiber_sleep(5 * SECOND);
	CU_ASSERT_EQUAL(block_write(block, 0, bytes, sizeof(bytes), 0), -EIO);
	CU_ASSERT_EQUAL(server.requests, 1);
	block_unref(block);
	fiber_cancel(fiber);
	fiber_join(fiber);
	free(server.disk);
	return 0;
}
ON_EACH_ENGINE(a_write_that_is_not_answered)

struct reader {
	struct block *block;
	char bytes[4096];
};

static int read_some(void *arg)
{
	struct reader *reader = arg;

	return block_read(reader->block, 0, reader->bytes, sizeof(reader->bytes));
}

/* As with any disk. It would end the connection, and with it the requests of others. */
static int who_is_cancelled_gets_his_answer(void *arg)
{
	struct block *block;
	struct fiber *fiber, *readers[2];
	int rc;
	struct server *server =
		begin((struct server){ .slow_ns = 2 * SECOND }, false, &block, &rc, &fiber, NULL);
	struct reader reader[2] = { { block }, { block } };

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	memset(server->disk, 'y', 4096);
	for (unsigned i = 0; i < 2; i++)
		readers[i] = fiber_spawn(read_some, &reader[i]);
	fiber_sleep(SECOND);
	fiber_cancel(readers[0]);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(fiber_join(readers[i]), 0);
		CU_ASSERT_EQUAL(reader[i].bytes[4095], 'y');
	}
	finish(server, block, fiber);
	return 0;
}
ON_EACH_ENGINE(who_is_cancelled_gets_his_answer)

UNIT_MAIN("nbd", UNIT(test_the_host_of_a_uri), UNIT(test_a_name_is_looked_up_aside),
	  UNIT(test_what_was_written_is_read), UNIT(test_what_no_disk_can_be),
	  UNIT(test_a_server_that_goes_with_unflushed_writes),
	  UNIT(test_a_server_that_does_not_answer), UNIT(test_a_write_that_is_not_answered),
	  UNIT(test_who_is_cancelled_gets_his_answer))
