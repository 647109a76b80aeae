/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A capture file that is replayed: the first byte says how its times are changed, the rest is the file. Whatever it is, it is refused with a reason, or what
 * is sent lies in its bytes, is a frame by its length, and is due in order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/error.h"
#include "virtio/virtio_net.h"
#include "vswitch/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void play(struct capture_replay *replay)
{
	uint64_t before = 0;
	unsigned sum = 0;

	replay_start(replay, 0);
	for (unsigned i = 0; i < 2 * replay->count + 2; i++) {
		uint64_t due = replay_due(replay);
		const struct replay_frame *frame;

		if (due == UINT64_MAX)
			break;
		if (due < before)
			abort();
		before = due;
		frame = replay_take(replay);
		if (frame->length < VIRTIO_NET_FRAME_MIN || frame->length > VIRTIO_NET_FRAME_MAX)
			abort();
		for (uint32_t at = 0; at < frame->length; at++)
			sum += replay->bytes[frame->offset + at];
	}
	/* So that the bytes are read. */
	if (sum == UINT32_MAX)
		puts("");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct replay_timing timing = { 0 };
	struct capture_replay *replay = NULL;
	struct error error = { 0 };
	char path[32];
	int fd;

	if (!size)
		return 0;
	timing.passes = data[0] & 3;
	timing.speed = data[0] & 4 ? REPLAY_SPEED_MIN : data[0] & 8 ? REPLAY_SPEED_MAX : 0;
	timing.has_interval = data[0] & 16;
	timing.interval_ns = data[0] & 32 ? INT64_MAX : 1000;
	fd = memfd_create("replay", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1))
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (replay_read(&replay, path, &timing, &error)) {
		if (!error.text[0])
			abort();
	} else {
		if (!replay->count)
			abort();
		play(replay);
	}
	replay_destroy(replay);
	close(fd);
	return 0;
}
