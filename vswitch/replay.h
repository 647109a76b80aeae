/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames of a capture file, and when each is due again.
 *
 * The file is read whole, by whoever makes the replay, so that no disk holds a forwarding thread later; REPLAY_BYTES_MAX
 * bound it. What is not a whole Ethernet frame (cut by the capture's snapshot length, too short, too long) is left out and
 * counted. Times that go back are taken for those of the frame before.
 */
#ifndef TENON_VSWITCH_REPLAY_H
#define TENON_VSWITCH_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

struct error;

#define REPLAY_BYTES_MAX  ((size_t)1 << 30)
#define REPLAY_FRAMES_MAX (1u << 24)
#define REPLAY_SPEED_MAX  1000000.0
#define REPLAY_SPEED_MIN  0.000001

struct replay_timing {
	double speed;         /* 2: in half the time; 0: 1 */
	bool has_interval;    /* `interval` between any two frames, whatever the file says */
	uint64_t interval_ns; /* 0: as fast as they are taken */
	unsigned passes;      /* 0: for ever */
};

struct replay_frame {
	uint64_t at_ns; /* since the first */
	size_t offset;  /* in `bytes` */
	uint32_t length;
};

struct capture_replay {
	struct replay_timing timing;
	struct replay_frame *frames;
	uint8_t *bytes;
	unsigned count;
	unsigned left_out; /* frames of the file that are none for us */
	char damage[128];  /* why the file could not be read to its end; "": it could */
	uint64_t gap_ns;   /* between the last frame of a pass and the first of the next */

	uint64_t start_ns; /* of this pass, by the caller's clock */
	unsigned next;     /* the frame that is next in this pass */
	uint64_t passed;   /* whole passes */
};

/*
 * Reads `path`: pcap or pcapng, of Ethernet. A file that is damaged later on gives the frames before that; one that has none
 * is refused. Errors of opening, -EINVAL for what is no capture of Ethernet, -EFBIG, with `error` set.
 */
int replay_read(struct capture_replay **out, const char *path, const struct replay_timing *timing,
		struct error *error);
void replay_destroy(struct capture_replay *replay);
DEFINE_CLEANUP(cleanup_replay, struct capture_replay, replay_destroy)

/* Begins at `now`. */
void replay_start(struct capture_replay *replay, uint64_t now);

/* When the next frame is due; UINT64_MAX: there is none any more. */
uint64_t replay_due(const struct capture_replay *replay);

/* That frame; it is the caller's to look at for as long as the replay. */
const struct replay_frame *replay_take(struct capture_replay *replay);

#endif
