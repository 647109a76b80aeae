/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a hostile client of VDE says on the control socket (vswitch/port_vde.h), and in what pieces: how many bytes at a time, then
 * these. In front of them, by the highest bit, the beginning of a good request with a socket that is there.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/bytes.h"
#include "vswitch/internal.h"
#include "vswitch/port_vde.h"
#include "vswitch/switch.h"

#define REQUEST 122u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t fuzz_clock(void *arg)
{
	(void)arg;
	return 1;
}

static void run(struct vswitch *vswitch)
{
	for (unsigned i = 0; i < 64; i++)
		if (!(vswitch_thread_dispatch(&vswitch->threads[0], 0) + vswitch_round(vswitch)))
			return;
}

static char folder[] = "/tmp/vde_fuzz.XXXXXX";
static struct sockaddr_un own = { .sun_family = AF_UNIX };
static int own_fd;

static void end_folder(void)
{
	unlink(own.sun_path);
	rmdir(folder);
}

static void begin(void)
{
	if (own_fd)
		return;
	own_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (!mkdtemp(folder))
		abort();
	snprintf(own.sun_path, sizeof(own.sun_path), "%s/own", folder);
	if (bind(own_fd, (struct sockaddr *)&own, sizeof(own)))
		abort();
	atexit(end_folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vswitch_options options = { .seed = 1, .clock = fuzz_clock };
	struct sockaddr_un ctl = { .sun_family = AF_UNIX };
	uint8_t bytes[4096] = { 0 };
	struct vswitch_vde_options vde = { 0 };
	struct vswitch *vswitch;
	char directory[64];
	size_t length = 0, step;
	int fd;

	if (size < 1 || size > sizeof(bytes) - REQUEST)
		return 0;
	begin();
	snprintf(directory, sizeof(directory), "%s/d", folder);
	vde.directory = directory;
	if (vswitch_create(&vswitch, &options, NULL) ||
	    vswitch_add_port_vde(vswitch, "v", &vde, NULL))
		abort();
	snprintf(ctl.sun_path, sizeof(ctl.sun_path), "%s/ctl", directory);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&ctl, sizeof(ctl)))
		abort();
	step = (data[0] & 0x7f) + 1;
	if (data[0] & 0x80) {
		put_le32(bytes, 0xfeedface);
		put_le32(bytes + 4, 3);
		memcpy(bytes + 12, &own, sizeof(own));
		length = REQUEST;
	}
	memcpy(bytes + length, data + 1, size - 1);
	length += size - 1;
	for (size_t at = 0; at < length; at += step) {
		if (send(fd, bytes + at, MIN(step, length - at), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
		run(vswitch);
	}
	close(fd);
	run(vswitch);
	if (vswitch_find_port(vswitch, "v")->up)
		abort();
	vswitch_destroy(vswitch);
	return 0;
}
